"""Nothing that people wrote, where they meet or what opens a door is told: not in logs, nor in tasks, nor stored.

Both doors as they are deployed, behind functions-framework's production server, through days on which Google and
the conference systems answer with everything they should not.
"""

import base64
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from google.cloud.firestore import Client

from sync import records
from sync.cli.demo.stage import TIMES, Door
from sync.local.clock import SystemClock
from sync.local.sqlite import SqliteStore
from sync.ports import CalendarId, WiredCalendar
from tests.contract.emulator import emulator
from tests.contract.fake_cloud_tasks import FakeCloudTasks
from tests.contract.loopback import Answer, Asked, Loopback
from tests.house.test_metrics import METRICS
from tests.logs_page import undocumented
from tests.system import canaries
from tests.system.canaries import KEY, OWNER, ROOM, STORMS, SYNC_TOKEN, event, malformed, sung

PROJECT, DATABASE = "demo-town", "sync"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PATIENCE_S = 60.0
WIRED = WiredCalendar("owner", CalendarId(OWNER))

# What is stored because nothing works without it: which calendar, channel and conference, and from where to go on.
KEPT = {*canaries.CANARY.findall(OWNER), "zzresourcezz", SYNC_TOKEN, ROOM}


class TownTasks(FakeCloudTasks):
    """Delivers to wherever the worker is."""

    worker_url = ""

    def _post(self, kept: Any) -> bool:
        kept.task["httpRequest"]["url"] = f"{self.worker_url}/tasks"
        return super()._post(kept)


class Town:
    """Both doors, what they speak to, and what they leave behind."""

    def __init__(self, folder: Path, firestore: str) -> None:
        self.folder = folder
        self.google = canaries.Google()
        self.storm = STORMS["no storm"]
        self.calendar = Loopback(self.google)
        self.provider = Loopback(self._provide)
        self.tasks = TownTasks(SystemClock(), token="nobody")
        self._firestore = firestore
        self._stack = ExitStack()

    def _provide(self, asked: Asked) -> Answer:
        return self.storm(asked) or Answer()

    def __enter__(self) -> "Town":
        with ExitStack() as stack:
            for server in (self.calendar, self.provider, self.tasks):
                stack.enter_context(server)
            settings = self._settings()
            self.worker, self.webhook = (Door(name, settings, self.folder) for name in ("worker", "webhook"))
            self.tasks.worker_url = self.worker.url
            self.wire(WIRED)
            for door in (self.worker, self.webhook):
                stack.callback(door.kill)
                door.start()
                self.until(door.is_ready)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _settings(self) -> dict[str, str]:
        keys = self.folder / "channel-keys"
        keys.write_text(f"k1:{base64.urlsafe_b64encode(os.urandom(32)).decode()}\n")
        password = self.folder / "password"
        password.write_text("zzpluginpasswordzz")
        own = {
            "use": "webhook",
            "tell": ["agenda", "invitees"],
            "options": {
                "url": self.provider.url,
                "key": KEY,
                "recognise": {"hosts": ["own.example"], "path": "^/j/([a-z0-9-]+)$"},
            },
        }
        buggy = {
            "use": "tests.system.canaries:Buggy",
            "tell": ["agenda", "invitees"],
            "options": {"password": {"file": str(password)}},
        }
        times = {name: getattr(TIMES, name) for name in TIMES.__dataclass_fields__}
        return {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "LOG_EXECUTION_ID": "true",
            "SYNC_PROJECT": PROJECT,
            "SYNC_QUEUE": self.tasks.queue,
            "SYNC_TASKS_API": self.tasks.url,
            "SYNC_WORKER_URL": "http://worker.invalid",
            "SYNC_DISPATCH_ACCOUNT": "dispatch@demo-town.iam.gserviceaccount.com",
            "SYNC_CHANNEL_KEYS": str(keys),
            "SYNC_CONFERENCES": json.dumps({"providers": {"own": own, "buggy": buggy}}),
            "SYNC_CALENDAR_API": self.calendar.url,
            "SYNC_TIMES": " ".join(f"{name}={value}" for name, value in (times | {"grace": 1.0}).items()),
            "THREADS": "8",
            **(
                {
                    "SYNC_STORE": "firestore",
                    "SYNC_DATABASE": DATABASE,
                    "FIRESTORE_EMULATOR_HOST": self._firestore,
                }
                if self._firestore
                else {"SYNC_STORE": f"sqlite:{self.folder / 'store.db'}"}
            ),
        }

    def wire(self, *calendars: WiredCalendar) -> None:
        """These and no others, as Terraform writes them."""
        if not self._firestore:
            store = SqliteStore(
                str(self.folder / "store.db"), lease_s=9.0, margin_s=2.0, grace_s=1.0, clock=SystemClock()
            )
            store.wire(self.webhook.url, calendars)
            return
        with closing(Client(PROJECT, database=DATABASE)) as client:
            for document in client.collection("wired_calendars").list_documents():
                document.delete()
            for wired in calendars:
                client.document(f"wired_calendars/{wired.slug}").set(records.wired_calendar_document(wired))
            client.document("wiring/webhook").set(records.webhook_document(self.webhook.url))

    def until(self, condition: Any) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"it never came: {self.output()[-3000:]}"
            self.tasks.deliver()
            time.sleep(0.01)

    # --- a day ---

    def run(self, job: str = "converge") -> None:
        urllib3.request("POST", f"{self.worker.url}/jobs/{job}", retries=False, timeout=30.0)

    def notify(self) -> None:
        """As Google does, by the first channel that was opened."""
        watch = self.google.watches[0]
        headers = {
            "traceparent": TRACEPARENT,
            "X-Goog-Channel-ID": watch["id"],
            "X-Goog-Channel-Token": watch["token"],
            "X-Goog-Resource-State": "exists",
            "X-Goog-Resource-URI": f"https://www.googleapis.com/calendar/v3/calendars/{OWNER}/events",
        }
        for more in ({}, {"X-Goog-Channel-Token": f"1.k1.zzforgedzz.9999999999.{'A' * 43}"}):
            urllib3.request("POST", self.webhook.url, headers=headers | more, body=b"zzbodyzz", retries=False)

    def look(self) -> None:
        """A notification, and the pass that it leads to."""
        before, answered = self.passes(), self.google.answered
        self.notify()
        self.until(lambda: self.passes() > before and self.google.answered > answered)

    def passes(self) -> int:
        return sum(record["message"] == "pass" for record in self.worker.records)

    def decided(self, code: str) -> bool:
        return any(record.get("code") == code for record in self.worker.records)

    # --- what is left of it ---

    def output(self) -> str:
        """All that both doors have written, on both of their streams."""
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def stored(self) -> str:
        if not self._firestore:
            with closing(sqlite3.connect(self.folder / "store.db")) as connection:
                return "\n".join(connection.iterdump())
        with closing(Client(PROJECT, database=DATABASE)) as client:
            found = [each for group in client.collections() for each in group.stream()]
            return "\n".join(f"{each.reference.path} {each.to_dict()}" for each in found)

    def kept_in_tasks(self) -> str:
        """Every task as it was created, its body read."""
        bodies = [json.loads(asked.body)["task"]["httpRequest"]["body"] for asked in self.tasks.asked]
        return "\n".join([*map(str, self.tasks.asked), *(base64.b64decode(each).decode() for each in bodies)])

    def tokens(self) -> list[str]:
        """The channel tokens that Google was given, and the key that signed them."""
        key = (self.folder / "channel-keys").read_text().strip().partition(":")[2]
        return [key, key.rstrip("="), *(watch["token"] for watch in self.google.watches)]


@dataclass(frozen=True)
class Left:
    """What is left of all days."""

    output: str
    stored: str
    tasks: str
    tokens: list[str]
    records: list[dict[str, Any]]


def live_through(town: Town) -> None:
    """Every storm at Google's and at a provider's, bugs and nonsense among the events, and a meeting's end."""
    events = town.google.events
    events[:] = [event(0, "own-0"), event(1, f"own-{ROOM}"), event(2, "bugs-2"), *malformed()]
    for storm in reversed(STORMS.values()):  # no channel is opened before the last, on which there is none
        town.google.storm = storm
        for wired in (
            (),
            (WIRED,),
        ):  # one that comes back is tried at once, however often it has failed before
            town.wire(*wired)
            town.run()
    for storm in STORMS.values():
        town.google.storm = storm
        town.look()
    town.google.storm = STORMS["no storm"]
    for number, storm in enumerate(STORMS.values()):
        town.storm = storm
        for at in range(3):
            events[at]["summary"] = f"zztitlezz of day {number}"
        told = len(town.provider.asked)
        town.look()
        town.until(lambda told=told: len(town.provider.asked) > told)  # type: ignore[misc]
    town.storm = STORMS["no storm"]
    while not any(
        "since_notified_s" in record for record in town.worker.records
    ):  # its account may still pause
        events[0]["summary"] = f"zztitlezz of a quiet day {town.passes()}"
        town.look()
    for at in (0, 1):
        events[at] = {"id": f"event{at}", "status": "cancelled", "summary": "zzgonezz", "etag": "zzetagzz"}
    town.look()
    town.until(lambda: town.decided("deleted"))
    town.run()
    town.run("sweep")


@pytest.fixture(scope="module", params=["sqlite", "firestore"])
def left(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        host = stack.enter_context(emulator()) if request.param == "firestore" else ""
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("FIRESTORE_EMULATOR_HOST", host)
        with Town(folder, host) as town:
            live_through(town)
        records = [*town.worker.records, *town.webhook.records]
        yield Left(town.output(), town.stored(), town.kept_in_tasks(), town.tokens(), records)


pytestmark = pytest.mark.timeout(600)


def test_the_days_were_as_bad_as_they_should_be(left: Left) -> None:
    events = {record["message"] for record in left.records}
    assert {"pass", "decision", "bug", "library", "converge", "access_lost", "channel_failed"} <= events
    codes = {record.get("code") for record in left.records}
    assert {"updated", "malformed", "retry_later", "quarantined", "rate_limited", "deleted"} <= codes
    outcomes = {record.get("outcome") for record in left.records}
    assert {"done", "failed", "frozen"} <= outcomes


def test_the_canaries_are_found_in_any_disguise() -> None:
    token = base64.b64encode(b"?zztitlezz of day 3").decode()
    assert sung(f"a {token} b zzTITLEzz {b'zzpinzz'.hex()}") == {"zztitlezz", "zzpinzz"}


def test_no_output_of_either_door_tells_what_somebody_wrote_or_what_opens_a_door(left: Left) -> None:
    assert sung(left.output) == set()
    assert [token for token in left.tokens if token in left.output] == []


def test_no_task_tells_it(left: Left) -> None:
    assert sung(left.tasks) == set()
    assert [token for token in left.tokens if token in left.tasks] == []


def test_the_store_keeps_only_what_nothing_works_without(left: Left) -> None:
    assert sung(left.stored) - KEPT == set()
    assert [token for token in left.tokens if token in left.stored] == []


def test_every_line_is_one_record_whose_fields_are_on_the_page(left: Left) -> None:
    lines = [line for line in left.output.splitlines() if line.strip()]
    assert len(lines) == len(left.records), [line for line in lines if not line.startswith("{")]
    assert [undocumented(record) for record in left.records if undocumented(record)] == []


def test_every_record_of_a_pass_names_its_trace_though_the_framework_marks_executions(left: Left) -> None:
    traced = [each for each in left.records if "logging.googleapis.com/trace" in each]
    assert {each["message"] for each in traced} >= {"request", "pass", "decision", "bug"}
    spans = {each["logging.googleapis.com/spanId"] for each in traced}
    assert {len(span) for span in spans} == {16}


# Push is silent only after ten minutes of silence: tests/passes/test_silence.py has them.
@pytest.mark.parametrize("name", sorted(METRICS.keys() - {"push_silent"}))
def test_every_metric_is_made_of_records_that_were_written_on_these_days(left: Left, name: str) -> None:
    metric = METRICS[name]
    counted = [each for each in left.records if each["message"] in metric["records"]]
    if value := metric.get("value"):
        counted = [each for each in counted if isinstance(each.get(value), int | float) and each[value] >= 0]
    assert counted
    labels = [{field: each.get(field) for field in metric["labels"].values()} for each in counted]
    assert any(None not in each.values() for each in labels)
