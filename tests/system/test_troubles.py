"""Ten troubles at three in the morning: `status` and `explain` name the cause of each, and what mends it.

Each is planted in a town of its own, once over SQLite and once over Firestore's emulator, and both say the same.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore import Client

from sync import records
from sync.cli import verbs
from sync.cli.demo.conference_service import ConferenceService
from sync.google.firestore import FirestoreStore
from sync.local.sqlite import SqliteStore
from sync.ports import Store, WiredCalendar
from sync.simulator import Simulator
from tests.clock import ManualClock
from tests.contract.emulator import Wire, emulator
from tests.passes.conftest import LEASE_S, ME
from tests.system.troubled_town import HOUR, WEBHOOK, TroubledTown

GRACE_S = 60.0


@dataclass(frozen=True)
class Trouble:
    """How it comes about; the code it goes by; words of its cause and of what mends it, in both outputs."""

    plant: Callable[[TroubledTown], str]  # returns what is to be explained
    code: str
    cause: str
    fix: str
    grave: bool = True
    explained: str = ""  # the code in `explain`, if it knows more


def dead_grant(town: TroubledTown) -> str:
    event = town.meet()
    town.settle()
    town.fault(where="events.list", status=403, reason="forbidden", times=0)
    town.settle()
    town.sweep()
    return event


def expired_channel(town: TroubledTown) -> str:
    town.policy = replace(town.policy, channel_life_s=6 * HOUR)
    town.webhook(WEBHOOK)
    town.converge()
    event = town.meet()
    town.settle()
    town.sweep()
    return event


def refused(town: TroubledTown, status: int) -> str:
    event = town.meet()
    town.settle()
    town.break_service(refuse=status, times=99)
    town.act("retitle", event=event, title="Another title")
    town.settle()
    town.sweep()
    return event


def quarantined_conference(town: TroubledTown) -> str:
    return refused(town, 422)


def held_deletions(town: TroubledTown) -> str:
    events = [town.meet(hours=200) for _ in range(7)]
    town.settle()
    for event in events:
        town.act("delete", event=event)
    town.settle()
    town.sweep()
    return events[0]


def unknown_conference_name(town: TroubledTown) -> str:
    named = {"key": {"type": "addOn"}, "name": "My Web Conference"}
    video = {"entryPointType": "video", "uri": "https://meet.corp.example/room/7"}
    event = town.meet(conference={"conferenceSolution": named, "entryPoints": [video]})
    town.settle()
    town.sweep()
    return event


def exhausted_quota(town: TroubledTown) -> str:
    event = town.meet()
    town.settle()
    town.sweep()
    town.break_service(refuse=429, headers={"Retry-After": "28800"}, times=99)
    town.act("retitle", event=event, title="Another title")
    town.look()
    return event


def lost_notification(town: TroubledTown) -> str:
    town.webhook(WEBHOOK)
    town.converge()
    event = town.meet()
    town.settle()
    town.sweep()
    town.act("move", event=event, start=town.at(72), end=town.at(73))
    return event


def provider_down(town: TroubledTown) -> str:
    event = town.meet()
    town.settle(hours=19)
    town.break_service(outage=True)
    town.act("retitle", event=event, title="Another title")
    town.settle(hours=0.9)
    return event


def wrong_secret(town: TroubledTown) -> str:
    return refused(town, 401)


def clock_skew(town: TroubledTown) -> str:
    event = town.meet()
    town.settle()
    town.outside = replace(town.outside, clock=Ahead(town.clock, 45.0))
    town.sweep()
    return event


class Ahead:
    """A worker's clock that somebody has set wrong."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def now(self) -> float:
        return self._clock.now() + self._seconds

    def monotonic(self) -> float:
        return self._clock.monotonic()


TROUBLES = {
    "dead grant": Trouble(
        dead_grant, "frozen", "cannot be read since", "share it with the worker's service account"
    ),
    "expired channel": Trouble(
        expired_channel, "channel_expired", "its channel expired", "see that converge runs"
    ),
    "quarantined conference": Trouble(
        quarantined_conference,
        "quarantined",
        "update was refused: PUT: 422",
        "python -m sync retry demo:conf-001",
    ),
    "held deletions": Trouble(
        held_deletions,
        "held",
        "for a person: more at once than can be judged",
        "python -m sync holds list me",
    ),
    "unknown conference name": Trouble(
        unknown_conference_name,
        "unknown_conference",
        "“My Web Conference”",
        "add the name to `names` of a system in SYNC_CONFERENCES",
        grave=False,
    ),
    "exhausted quota": Trouble(exhausted_quota, "account_paused", "PUT: 429", "its quota is used up"),
    "lost notification": Trouble(
        lost_notification,
        "push_silent",
        "notifications are lost on the way",
        "see whether the webhook can be reached from outside",
    ),
    "provider down": Trouble(provider_down, "waiting", "update: PUT: 503", "see its status page"),
    "wrong secret": Trouble(wrong_secret, "account_paused", "PUT: 401", "add a version of its secret"),
    "clock skew": Trouble(clock_skew, "clock_skew", "45 s ahead of the store's", "set that machine's clock"),
}


@pytest.fixture(scope="module")
def town_over(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], TroubledTown]]:
    """Builds a town over "sqlite" or "firestore"; each has a database of its own."""
    numbers = count()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:

        @cache
        def host() -> str:
            return stack.enter_context(emulator())

        def sqlite(clock: ManualClock, path: Path) -> tuple[Store, Callable[..., None]]:
            store = SqliteStore(str(path), lease_s=LEASE_S, margin_s=20.0, grace_s=GRACE_S, clock=clock)
            return store, store.wire

        def firestore(clock: ManualClock, project: str) -> tuple[Store, Callable[..., None]]:
            wire = stack.enter_context(Wire(host(), now=clock.now).open())
            patch.setenv("FIRESTORE_EMULATOR_HOST", wire.host)
            store = FirestoreStore(
                project, "sync", lease_s=LEASE_S, margin_s=20.0, grace_s=GRACE_S, clock=clock
            )
            client = Client(project, database="sync")
            return store, lambda url, wired: _wire(client, url, wired)

        def build(kind: str) -> TroubledTown:
            number = next(numbers)
            simulator = stack.enter_context(Simulator(clock="frozen"))
            service = stack.enter_context(ConferenceService())
            if kind == "sqlite":
                path = tmp_path_factory.mktemp("town") / "store.db"
                environ = {"SYNC_STORE": f"sqlite:{path}", "SYNC_QUEUE": "local"}
                return TroubledTown(simulator, service, environ, lambda clock: sqlite(clock, path))
            project = f"trouble-{number}"
            environ = {
                "SYNC_STORE": "firestore",
                "SYNC_PROJECT": project,
                "SYNC_DATABASE": "sync",
                "FIRESTORE_EMULATOR_HOST": host(),
            }
            return TroubledTown(simulator, service, environ, lambda clock: firestore(clock, project))

        yield build


def _wire(client: Client, url: str, wired: tuple[WiredCalendar, ...]) -> None:
    """What Terraform writes."""
    for each in wired:
        client.collection("wired_calendars").document(each.slug).set(records.wired_calendar_document(each))
    switch = client.collection("wiring").document("webhook")
    switch.set(records.webhook_document(url)) if url else switch.delete()


@dataclass(frozen=True)
class Answers:
    """What both verbs said, to people and to programs; and where, for whoever asks more."""

    town: TroubledTown
    status: str
    status_code: int
    status_json: Any
    explain: str
    explain_json: Any


@pytest.fixture(scope="module")
def answers(town_over: Callable[[str], TroubledTown]) -> Callable[[str, str], Answers]:
    @cache
    def ask(name: str, kind: str) -> Answers:
        town = town_over(kind)
        random.seed(name)  # waits are drawn alike
        what = TROUBLES[name].plant(town)
        town.until_now()
        status, explain = town.run("status"), town.run("explain", what)
        told = [town.run(*argv, "--json").stdout for argv in (["status"], ["explain", what])]
        assert status.stderr == explain.stderr == ""
        status_json, explain_json = (json.loads(each.splitlines()[-1]) for each in told)
        return Answers(town, status.stdout, status.returncode, status_json, explain.stdout, explain_json)

    return ask


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "firestore"])
@pytest.mark.parametrize("name", TROUBLES)
def test_status_and_explain_name_the_cause_and_what_mends_it(
    answers: Callable[[str, str], Answers], name: str, kind: str
) -> None:
    trouble, told = TROUBLES[name], answers(name, kind)
    assert told.status_code == (1 if trouble.grave else 0), told.status
    assert trouble.code in [each["code"] for each in told.status_json["troubles"]], told.status
    assert trouble.code in [each["code"] for each in told.explain_json["troubles"]], told.explain
    for output in (told.status, told.explain):
        words = re.sub(r"\s+", " ", output)
        assert trouble.cause in words
        assert trouble.fix in words
    assert "Planning" not in told.status + told.explain
    assert ME not in told.status + told.explain


def test_explain_asks_the_calendar_and_sees_what_no_notification_told(
    answers: Callable[[str, str], Answers],
) -> None:
    told = answers("lost notification", "sqlite")
    assert told.explain_json["events"][0]["now"]["differs"] == ["start", "end"]
    assert "lost_notification" in [each["code"] for each in told.explain_json["troubles"]]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TROUBLES)
def test_both_stores_give_the_same_answers(answers: Callable[[str, str], Answers], name: str) -> None:
    one, other = (_without_chance(answers(name, kind)) for kind in ("sqlite", "firestore"))
    assert [(a, b) for a, b in zip(one, other, strict=True) if a != b] == []


@pytest.mark.timeout(300)
def test_whoever_follows_is_told_the_same_of_both_stores(answers: Callable[[str, str], Answers]) -> None:
    told = []
    chance: dict[str, Any] = {"at": "", "event": "", "version": 0, "fence": 0}
    for kind in ("sqlite", "firestore"):
        town = answers("quarantined conference", kind).town
        followed = town.run("tail", "me", "--since", "1d", "--no-follow", "--json")
        assert followed.returncode == 0, followed.stderr
        told.append([json.loads(line) | chance for line in followed.stdout.splitlines()])
    assert told[0] == told[1]
    assert [each.get("code", each["record"]) for each in told[0]][-2:] == ["quarantined", "pass"]
    assert [each["changed"] for each in told[0] if each["record"] == "event"] == [[], ["title"]]


@pytest.mark.timeout(300)
def test_who_only_looks_asks_firestore_for_nothing_but_reading(
    answers: Callable[[str, str], Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    town = answers("quarantined conference", "firestore").town
    with Wire(town.environ["FIRESTORE_EMULATOR_HOST"]).open() as wire:
        for name, value in {**town.environ, "FIRESTORE_EMULATOR_HOST": wire.host}.items():
            monkeypatch.setenv(name, value)
        for argv in (
            ["status", ME],
            ["explain", "demo:conf-001"],
            ["tail", "--since", "1d", "--no-follow"],
            ["plan"],
            ["holds", "list"],
            ["watch", "list"],
        ):
            asked = len(wire.requests)
            assert verbs.main(argv) in (0, 1, 2)
            assert len(wire.requests) > asked
    assert set(wire.requests) <= {"BatchGetDocuments", "RunQuery", "RunAggregationQuery"}


def _without_chance(told: Answers) -> list[str]:
    """Times, ids, ports and waits that are drawn at random are not compared; all that is said of them is."""
    texts = [json.dumps(told.status_json), json.dumps(told.explain_json), told.status, told.explain]
    patterns = (
        (r"\s+", " "),
        (r"20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)?", "TIME"),
        (r"\b[a-z2-7]{26}\b", "ID"),
        (r"\b[a-v0-9]{26}\b", "ID"),
        (r"\b\d+ (s|min|h|d)\b", "SPAN"),
        (r"\b\d+ times?\b", "N times"),
        (r'"(attempts|times|refusals|paused_s|\w+_s|\w+_s_ago)": [\d.e-]+', r'"\1": N'),
        (r"\b[0-9a-f]{6}\b", "HASH"),
        (r'"version": \d+', '"version": N'),
    )
    for pattern, word in patterns:
        texts = [re.sub(pattern, word, text) for text in texts]
    return [word for text in texts for word in text.split()]


def test_a_deployment_without_trouble_is_well(town_over: Callable[[str], TroubledTown]) -> None:
    town = town_over("sqlite")
    event = town.meet()
    town.settle()
    town.sweep()
    status, explain = town.run("status"), town.run("explain", event)
    assert (status.returncode, explain.returncode) == (0, 0), status.stdout + explain.stdout
    assert "all well" in status.stdout
    assert "✓" in status.stdout
    assert time.time() - town.clock.now() < 60
