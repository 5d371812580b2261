"""Each playbook against the fault it is for: its commands and filters find it, and say so when it is mended.

The fault is planted in a town of its own. Then somebody reads the playbook: looks, mends, and makes sure.
"""

import base64
import importlib
import json
import operator
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import functions_framework
import pytest
import urllib3

import sync.wiring
from sync.cli.demo.conference_service import ConferenceService
from sync.local.sqlite import SqliteStore
from sync.simulator import Simulator
from tests.passes.conftest import KEY, LEASE_S
from tests.system.troubled_town import HOUR, WEBHOOK, TroubledTown

ROOT = Path(__file__).parents[2]
PLAYBOOKS = ROOT / "docs/playbooks"
LOOK, MEND, MENDED = "How to look", "How to mend", "How to know it is mended"

Told = list[dict[str, Any]]


# --- The playbook as it is read ---


def section(alert: str, title: str) -> str:
    text = (PLAYBOOKS / f"{alert}.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(found)


def commands(alert: str, title: str) -> list[list[str]]:
    blocks = re.findall(r"^```console\n(.*?)^```", section(alert, title), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert all(line.startswith("$ python -m sync ") for line in lines)
    return [line.split()[4:] for line in lines]


def filters(alert: str) -> list[str]:
    return re.findall(r"^```text\n(.*?)\n```", section(alert, LOOK), re.MULTILINE | re.DOTALL)


# --- The Logs Explorer, as far as playbooks ask it ---

_ORDER = ("DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL")
_COMPARE = {"=": operator.eq, ">": operator.gt, ">=": operator.ge}


def found(told: Told, wanted: str) -> Told:
    terms = re.findall(r'([\w.]+)(>=|=|>)("[^"]*"|\([^)]*\)|[\w.]+)', wanted)
    assert terms
    return [record for record in told if all(_fits(record, *term) for term in terms)]


def _fits(record: dict[str, Any], path: str, how: str, listed: str) -> bool:
    value: Any = record
    for name in path.removeprefix("jsonPayload.").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    alternatives = re.findall(r'"([^"]*)"', listed) or [listed]
    if path == "severity":
        return any(_COMPARE[how](_ORDER.index(value), _ORDER.index(each)) for each in alternatives)
    if how == "=":
        return str(value) in alternatives
    return isinstance(value, int | float) and _COMPARE[how](value, float(listed))


def test_the_filters_are_read_as_the_logs_explorer_reads_them() -> None:
    told = [
        {"message": "a", "severity": "ERROR", "n": 5, "httpRequest": {"status": 503}},
        {"message": "b", "severity": "INFO", "n": 50, "httpRequest": {"status": 204}},
    ]

    def names(wanted: str) -> str:
        return "".join(record["message"] for record in found(told, wanted))

    assert names('jsonPayload.message=("a" OR "c") severity=ERROR') == "a"
    assert names("severity>=INFO") == "ab"
    assert names("severity>=WARNING httpRequest.status>=500") == "a"
    assert names("jsonPayload.n>5") == "b"
    assert names('jsonPayload.message="c"') == ""


# --- The faults ---


class Deployment(TroubledTown):
    """The town, whose last hour is worked by the real worker door."""

    events: list[str]

    def open_door(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        keys = folder / "channel-keys"
        keys.write_text(f"{KEY.id}:{base64.urlsafe_b64encode(KEY.secret).decode()}\n")
        self._patch = patch
        for name, value in {**self.environ, "SYNC_CHANNEL_KEYS": str(keys)}.items():
            patch.setenv(name, value)
        self.restart()

    def restart(self, **settings: str) -> None:
        """The worker anew, with these settings different."""
        for name, value in settings.items():
            self._patch.setenv(name, value)
        importlib.reload(sync.wiring)
        self._door = functions_framework.create_app("worker", str(ROOT / "main.py")).test_client()

    def job(self, name: str) -> int:
        self.until_now()
        return int(self._door.post(f"/jobs/{name}").status_code)

    def task(self, late_s: float = 0.0, notified_s: float = 0.0) -> int:
        """A wake: how long after it was due, and how long ago its notification came."""
        self.until_now()
        now = time.time()
        body = {"kind": "sync", "subject": self.key, "notified_at": now - notified_s if notified_s else 0.0}
        headers = {"X-CloudTasks-TaskETA": f"{now - late_s}", "X-CloudTasks-TaskRetryCount": "0"}
        return int(self._door.post("/tasks", json=body, headers=headers).status_code)

    def in_step(self) -> str:
        """A meeting whose conference is as it says."""
        event = self.meet()
        self.settle()
        self.events = [event]
        self.task()
        return event

    def retitle(self, title: str) -> None:
        self.act("retitle", event=self.events[0], title=title)

    def an_hour_passes(self) -> None:
        """For us, and for Google too."""
        self.clock.advance(HOUR)
        self.simulator.clock.advance(self.clock.now() - self.simulator.clock.now() / 1e6)

    def conference(self) -> str:
        return str(next(iter(self.store.conferences_of(self.key))).key)

    def google_answers(self, **fault: Any) -> None:
        self.fault(where="events.list", times=0, **fault)

    def google_is_well(self) -> None:
        urllib3.request("DELETE", f"{self.simulator.url}/_sim/faults")

    def service_is_well(self) -> None:
        urllib3.request("DELETE", f"{self.service.url}/api/faults")


def dead_grant(town: Deployment) -> None:
    town.in_step()
    town.google_answers(status=403, reason="forbidden")
    town.task()


def stale_calendar(town: Deployment) -> None:
    town.in_step()
    town.google_answers(status=503)
    for _ in range(4):
        town.task()


def converge_silent(town: Deployment) -> None:
    town.policy = replace(town.policy, channel_life_s=6 * HOUR)
    town.webhook(WEBHOOK)
    town.converge()
    town.in_step()
    town.restart(SYNC_MODE="aply")
    assert town.job("converge") == 500


def converge_runs_again(town: Deployment) -> None:
    town.restart(SYNC_MODE="apply")
    assert town.job("converge") == 204


def channel_ending(town: Deployment) -> None:
    """It was renewed in vain for as long as it lived."""
    town.policy = replace(town.policy, channel_life_s=6 * HOUR)
    town.webhook(WEBHOOK)
    town.converge()
    town.in_step()
    town.fault(where="events.watch", status=403, reason="forbidden", times=0)
    assert town.job("converge") == 204


def converge_succeeds(town: Deployment) -> None:
    town.google_is_well()
    town.policy = replace(town.policy, channel_life_s=7 * 24 * HOUR)
    town.clock.advance(300)  # it waits for four minutes before it tries again
    town.converge()


def push_silent(town: Deployment) -> None:
    """Three changes are found by looking, though a channel was open."""
    town.webhook(WEBHOOK)
    town.converge()
    town.events = [town.meet()]
    town.settle()
    for number in range(3):
        town.an_hour_passes()
        town.retitle(f"Title {number}")
        town.an_hour_passes()
        town.look()
    assert town.job("converge") == 204


def somebody_is_told_again(town: Deployment) -> None:
    town.retitle("Told of")
    town.task(notified_s=1)


def server_errors(town: Deployment) -> None:
    stale_calendar(town)


def queue_age(town: Deployment) -> None:
    town.in_step()
    town.google_answers(status=503)
    for _ in range(4):
        town.task(late_s=300)


def not_fresh(town: Deployment) -> None:
    town.in_step()
    town.retitle("Another title")
    town.task(notified_s=100)
    town.break_service(refuse=429, headers={"Retry-After": "28800"}, times=99)
    town.retitle("A third title")
    town.task()


def quarantine(town: Deployment) -> None:
    town.in_step()
    town.break_service(refuse=422, times=99)
    town.retitle("Another title")
    town.task()


def holds_waiting(town: Deployment) -> None:
    town.events = [town.meet(hours=200) for _ in range(7)]
    town.settle()
    for event in town.events:
        town.act("delete", event=event)
    town.settle()
    town.task()


@dataclass(frozen=True)
class Fault:
    """How it comes about, what `status` says of it, and what people do about it beside our commands."""

    plant: Callable[[Deployment], None]
    says: str
    mend: Callable[[Deployment], object]


FAULTS = {
    "dead-grant": Fault(dead_grant, "cannot be read since", Deployment.google_is_well),
    "stale-calendar": Fault(stale_calendar, "passes failed: events.list", Deployment.google_is_well),
    "converge-silent": Fault(converge_silent, "its channel expired", converge_runs_again),
    "channel-ending": Fault(channel_ending, "Google notifies nobody", converge_succeeds),
    "push-silent": Fault(push_silent, "notifications are lost on the way", somebody_is_told_again),
    "server-errors": Fault(server_errors, "passes failed: events.list", Deployment.google_is_well),
    "queue-age": Fault(queue_age, "passes failed: events.list", Deployment.google_is_well),
    "not-fresh": Fault(not_fresh, "it refused us", Deployment.service_is_well),
    "quarantine": Fault(quarantine, "update was refused: PUT: 422", Deployment.service_is_well),
    "holds-waiting": Fault(holds_waiting, "wait for a person", lambda _: None),
}
CHOICES = ("holds-waiting",)  # how to mend it is for a person to choose


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    path = tmp_path / "store.db"
    environ = {"SYNC_STORE": f"sqlite:{path}", "SYNC_QUEUE": "local"}

    def build(clock: Any) -> Any:
        store = SqliteStore(str(path), lease_s=LEASE_S, margin_s=20.0, grace_s=60.0, clock=clock)
        return store, store.wire

    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator(clock="frozen"))
        service = stack.enter_context(ConferenceService())
        town = Deployment(simulator, service, environ, build)
        town.open_door(tmp_path, monkeypatch)
        yield town
    importlib.reload(sync.wiring)


def run(town: Deployment, command: list[str]) -> tuple[int, str]:
    """One command of a playbook, about our calendar and our conference."""
    named = {"CALENDAR": "me", "CONFERENCE": town.conference()}
    done = town.run(*(named.get(word, word) for word in command))
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


def test_every_playbook_is_tried() -> None:
    assert sorted(FAULTS) == sorted(path.stem for path in PLAYBOOKS.glob("[a-z]*.md"))


# Where there are several ways to mend it, each is tried.
WAYS = [(alert, way) for alert in FAULTS for way in (commands(alert, MEND) if alert in CHOICES else [[]])]


@pytest.mark.parametrize(
    ("alert", "way"), WAYS, ids=lambda each: each if isinstance(each, str) else "-".join(each)
)
def test_a_playbook_finds_its_fault_mends_it_and_says_that_it_is_mended(
    town: Deployment, alert: str, way: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fault = FAULTS[alert]
    fault.plant(town)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    looked = [run(town, command) for command in commands(alert, LOOK)]
    assert any(code == 1 and fault.says in output for code, output in looked), looked
    wanted = [each.replace("KEY", town.key) for each in filters(alert)]
    assert [each for each in wanted if found(told, each)] != [], "no filter finds it in the log"

    fault.mend(town)
    mended = [run(town, command) for command in ([way] if way else commands(alert, MEND))]
    assert [output for code, output in mended if code != 0] == []
    town.task()

    assert [
        output for code, output in (run(town, each) for each in commands(alert, MENDED)) if code != 0
    ] == []
    assert fault.says not in run(town, ["status"])[1]
