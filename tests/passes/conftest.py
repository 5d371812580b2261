"""A town to play stories in: Google's stand-in over HTTP, the real client, the real store and queue, and time."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sync import tend
from sync.channel import Key, Keys, calendar_key
from sync.cursor import LastPage, SyncToken
from sync.decide import Brake
from sync.errors import SyncError, Transient
from sync.google.calendar import GoogleCalendar
from sync.local.sqlite import SqliteStore
from sync.meeting import Meeting
from sync.one_pass import one_pass
from sync.policy import Backoff, Policy
from sync.ports import Actual, CalendarId, Outcome, Outside, Progress, Target, Task, WiredCalendar
from sync.recognise import KNOWN, System
from sync.rules import Rules
from sync.simulator import Simulator
from sync.tenure import borrowed
from sync.wake import Buckets
from tests.clock import ManualClock

ME = "me@example.com"
YOU = "you@example.com"
SYSTEM = System("acme", names=("Acme Call",), hosts=("calls.acme.example",), path=r"^/j/([a-z0-9-]+)$")
KEY = Key("k1", bytes(32))
GRACE_S = 60.0
MORNING = datetime(2026, 1, 5, 8, tzinfo=UTC).timestamp()  # where a frozen simulator stands
LEASE_S = 90.0
MARGIN_S = 20.0


@dataclass
class Acme:
    """A conference system in memory: what it was told, what it has, and the faults asked of it."""

    name: str = "acme"
    system: System = SYSTEM
    capabilities: frozenset[str] = frozenset({"title", "time", "read"})
    call_s: float = 5.0
    has: dict[str, Meeting | None] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    faults: list[SyncError] = field(default_factory=list)  # raised by the next calls, before they act
    late: list[SyncError] = field(default_factory=list)  # raised by the next calls, after they acted

    def provider(self, name: str, account: str = "") -> "Acme":
        assert (name, account) == (self.name, "")
        return self

    def read(self, target: Target) -> Actual | None:
        self._begin("read", target)
        if target.id not in self.has:
            return None
        meeting = self.has[target.id]
        return Actual(meeting.title, meeting.start, meeting.end) if meeting else Actual()

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        self._begin("update", target)
        self.has[target.id] = meeting
        self._end()
        return Outcome(changed=True, applied=("title", "time"))

    def delete(self, target: Target) -> Outcome:
        self._begin("delete", target)
        there = target.id in self.has
        self.has.pop(target.id, None)
        self._end()
        return Outcome(changed=there)

    def _begin(self, call: str, target: Target) -> None:
        self.calls.append((call, target.id))
        if self.faults:
            raise self.faults.pop(0)

    def _end(self) -> None:
        if self.late:
            raise self.late.pop(0)


class MemoryQueue:
    """Tasks by name; names are never free again."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.names: set[str] = set()

    def create(self, task: Task) -> bool:
        if task.name in self.names:
            return False
        self.names.add(task.name)
        self.tasks.append(task)
        return True


class Town:
    """Everything around one_pass, with the hands to play on it."""

    def __init__(self, simulator: Simulator, path: Path) -> None:
        self.simulator = simulator
        self.clock = ManualClock(MORNING)
        self.store = SqliteStore(
            str(path), lease_s=LEASE_S, margin_s=MARGIN_S, grace_s=GRACE_S, clock=self.clock
        )
        self.acme = Acme()
        self.queue = MemoryQueue()
        calendar = GoogleCalendar(credentials=lambda _: None, root_url=simulator.url, call_s=5.0)
        self.outside = Outside(calendar, self.store, self.acme, self.queue, self.clock)
        self.policy = Policy(
            rules=Rules((SYSTEM, *KNOWN), frozenset({"acme"})),
            buckets=Buckets(5.0, 2.0),
            backoff=Backoff(5.0, 3600.0),
            brake=Brake(),
            window_s=86400.0,
            grace_s=GRACE_S,
            sweep_s=21600.0,
            horizon_s=120.0,
            quarantine_s=86400.0,
            channel_life_s=604800.0,
        )
        self.key = self.enrol(ME)

    def enrol(self, calendar_id: str) -> str:
        wired = (*self.store.wired().calendars, WiredCalendar(calendar_id, CalendarId(calendar_id)))
        self.store.wire("", wired)
        self.converge()
        return calendar_key(self.store.salt(), calendar_id)

    def converge(self) -> None:
        tend.converge(self.outside, self.policy, KEY, Keys((KEY,)))

    # --- people ---

    def act(self, do: str, **what: Any) -> dict[str, Any]:
        answer = urllib3.request("POST", f"{self.simulator.url}/_sim/act", json={"do": do, **what})
        assert answer.status == 200, answer.data
        return dict(answer.json())

    def fault(self, **what: Any) -> None:
        answer = urllib3.request("POST", f"{self.simulator.url}/_sim/faults", json=what)
        assert answer.status == 200, answer.data

    def meet(self, conference: str = "c-1", title: str = "Planning", hours: float = 24, **more: Any) -> str:
        """A meeting with a conference, which its provider has; returns the event's id."""
        start = self.at(hours)
        event = self.act(
            "create_meeting",
            title=title,
            start=start,
            end=self.at(hours + 1),
            **({"conference": conferencing(conference)} if conference else {}),
            **more,
        )
        if conference:
            self.acme.has.setdefault(conference, None)
        return str(event["id"])

    def at(self, hours: float) -> str:
        start = datetime.fromtimestamp(self.clock.now(), UTC).replace(minute=0, second=0, microsecond=0)
        return (start + timedelta(hours=hours)).isoformat()

    # --- the sync ---

    def look(self, key: str = "") -> None:
        """One pass, whatever comes of it."""
        try:
            one_pass(self.outside, self.policy, key or self.key, owner=f"w{time.monotonic_ns()}")
        except Transient:
            return

    def settle(self, hours: float = 2.0) -> None:
        """Look, and then do all that was put into the queue for the next hours."""
        self.look()
        end = self.clock.now() + hours * 3600
        for _ in range(500):
            self.queue.tasks.sort(key=lambda task: task.due_at)
            if not self.queue.tasks or self.queue.tasks[0].due_at > end:
                self.clock.advance(end - self.clock.now())
                return
            task = self.queue.tasks.pop(0)
            self.clock.advance(max(0.0, task.due_at - self.clock.now()))
            try:
                worker = f"w{time.monotonic_ns()}"
                one_pass(self.outside, self.policy, task.subject, worker, task.generation, task.notified_at)
            except Transient:
                continue
        raise AssertionError("it does not come to rest")

    def sweep(self) -> None:
        """What the scheduler does, half a day later."""
        self.clock.advance(12 * 3600)
        tend.sweep(self.outside, self.policy)
        self.settle()

    def pass_over(self) -> None:
        """As a fault of ours would: the token passes what was changed, and it is recorded nowhere."""
        with borrowed(self.outside, self.policy, self.key, "a bug") as tenure:
            bookmark = tenure.record.bookmark
            assert bookmark is not None
            page = self.outside.calendar.list_page(CalendarId(ME), SyncToken(bookmark.token), "")
            assert isinstance(page.end, LastPage)
            passed = replace(bookmark, token=page.end.sync_token)
            tenure.note(Progress(bookmark=passed))

    def calls(self, kind: str = "") -> Counter[str]:
        """The provider calls so far, by conference."""
        return Counter(conference for call, conference in self.acme.calls if kind in ("", call))

    def listings(self) -> int:
        journal = urllib3.request("GET", f"{self.simulator.url}/_sim/journal").json()
        return sum(entry["method"] == "events.list" for entry in journal["requests"])


def conferencing(conference: str) -> dict[str, Any]:
    """conferenceData as an add-on writes it."""
    uri = f"https://calls.acme.example/j/{conference}"
    return {
        "conferenceId": conference,
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Acme Call"},
        "entryPoints": [{"entryPointType": "video", "uri": uri, "label": uri.removeprefix("https://")}],
    }


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Simulator(clock="frozen") as simulator:
        yield Town(simulator, tmp_path / "store.db")
