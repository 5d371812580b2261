"""A town in which any one call to the world outside can be the last of its process.

One frozen clock, the simulator's pure world, the store of production in memory, and a queue, a doorbell and a
scheduler that do again what a dead process left undone. Told twice, a story is the same to the letter.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import count
from random import Random
from typing import Any

from sync import tend
from sync.channel import Key, Keys
from sync.conference import Intent
from sync.decide import Brake
from sync.errors import SyncError, Transient
from sync.ledger import Ledger
from sync.local.sqlite import SqliteStore
from sync.meeting import Meeting
from sync.one_pass import one_pass
from sync.policy import Backoff, Policy
from sync.ports import Actual, CalendarId, Claimed, Outcome, Outside, Progress, Target, Task, WiredCalendar
from sync.receive import Receiver
from sync.recognise import KNOWN, System
from sync.rules import Rules
from sync.simulator import acts, shapes
from sync.simulator.model import Copy, Switches
from sync.simulator.world import World
from sync.wake import Buckets
from tests.clock import ManualClock
from tests.simulation.google import SYNC, WorldCalendar

ME, TEAM, GUEST = "me@example.com", "team@group.calendar.google.com", "guest@example.com"
WATCHED = (ME, TEAM)
SYSTEM = System("acme", names=("Acme Call",), hosts=("calls.acme.example",), path=r"^/j/([a-z0-9-]+)$")
KEY = Key("k1", bytes(32))
MORNING = datetime(2026, 1, 5, 8, tzinfo=UTC)
LEASE_S, MARGIN_S, GRACE_S, HORIZON_S = 90.0, 20.0, 60.0, 120.0
SWEEP_EVERY_S, CONVERGE_EVERY_S = 300.0, 600.0
SENT_AGAIN_S = 2.0  # until the queue, or Google, tries again what got no answer
LANDS_AFTER_S = 25.0
MOST_HAPPENINGS = 5000  # of a story that has some three hundred


class Net(StrEnum):
    """What takes up the work of a dead worker. Each must do without the other."""

    QUEUE = "queue"  # which delivers again; and no sweep
    SWEEP = "sweep"  # and the task is lost


@dataclass(frozen=True)
class Point:
    """A moment to die at: just before a process makes a call, or gives its answer."""

    number: int
    process: str
    call: str


@dataclass(frozen=True)
class Death:
    """Before which call a process dies, and what is there to take up its work.

    `lands`: the call was under way, and takes effect when nobody waits for it any more.
    """

    number: int
    net: Net = Net.QUEUE
    lands: bool = False


class Killed(BaseException):
    """Not an error that anything would handle: the process is gone."""


class Wrong(AssertionError):
    """A promise is broken."""


# --- The conference system ---


@dataclass
class Acme:
    """Conferences in memory. A fault befalls a conference's next call before it acts, a late one after."""

    is_used: Callable[[str], bool]
    name: str = "acme"
    system: System = SYSTEM
    capabilities: frozenset[str] = frozenset({"title", "time", "read"})
    call_s: float = 5.0
    has: dict[str, Meeting | None] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    faults: dict[str, SyncError] = field(default_factory=dict)
    late: dict[str, SyncError] = field(default_factory=dict)

    def read(self, target: Target) -> Actual | None:
        self.calls["read"] += 1
        if target.id not in self.has:
            return None
        meeting = self.has[target.id]
        return Actual(meeting.title, meeting.start, meeting.end) if meeting else Actual("")

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        with self._answering("update", target.id):
            self.has[target.id] = meeting
        return Outcome(changed=True, applied=("title", "time"))

    def delete(self, target: Target) -> Outcome:
        with self._answering("delete", target.id):
            if self.is_used(target.id):
                raise Wrong(f"{target.id} is deleted while a meeting uses it")
            there = target.id in self.has
            self.has.pop(target.id, None)
        return Outcome(changed=there)

    @contextmanager
    def _answering(self, call: str, conference: str) -> Iterator[None]:
        self.calls[call] += 1
        if conference in self.faults:
            raise self.faults.pop(conference)
        yield
        if conference in self.late:
            raise self.late.pop(conference)


class OneProvider:
    """The registry of a town with one conference system."""

    def __init__(self, only: Any) -> None:
        self._only = only

    def provider(self, _name: str, _account: str = "") -> Any:
        return self._only


# --- Doors ---


class Doors:
    """Every call of every process comes by here, is numbered, and is never made if its process dies before it."""

    def __init__(
        self, fate: Callable[[Point], Death | None], lands: Callable[[Callable[[], Any]], None]
    ) -> None:
        self.points: list[Point] = []
        self.death: Death | None = None
        self.dead = ""  # which process died
        self._fate = fate
        self._lands = lands
        self._unsettled = ""  # the provider call whose outcome is not written down yet

    def spare(self) -> list[Point]:
        """From now on nobody dies. Returns the points up to here."""
        self._fate = lambda _: None
        return list(self.points)

    def of(self, process: str, port: str, thing: Any) -> "Door":
        return Door(self, process, port, thing)

    def answer(self, process: str) -> None:
        """The last thing a process does: whoever sent it hears that all is done."""
        self.call(process, "answer", lambda: None)

    def call(self, process: str, name: str, effect: Callable[[], Any]) -> Any:
        self.points.append(point := Point(len(self.points) + 1, process, name))
        if not self.dead and (death := self._fate(point)):
            self._die(process, death, effect)
        if name.startswith("provider."):
            self._unsettled = name
        return effect()

    def change(
        self, process: str, change: Any, hold: Any, body: Any, progress: Progress | None = None
    ) -> Any:
        """Which of the ledger's changes it was is told by what went before, and by what came of it."""
        ledgers: list[Ledger] = []

        def watched(ledger: Ledger, now: float) -> Any:
            ledgers.append(ledger)
            return body(ledger, now)

        asked, self._unsettled = self._unsettled, ""
        number = len(self.points)
        changed = self.call(process, "store.change", partial(change, hold, watched, progress))
        kind = _kind(asked, progress, changed[0], ledgers[-1])
        self.points[number] = Point(number + 1, process, f"store.change: {kind}")
        return changed

    def _die(self, process: str, death: Death, effect: Callable[[], Any]) -> None:
        self.dead, self.death = process, death
        self._unsettled = ""
        if death.lands:
            self._lands(effect)
        raise Killed


def _kind(asked: str, progress: Progress | None, result: Any, ledger: Ledger) -> str:
    if progress is not None and progress.bookmark is not None:
        return "the last events and the token"
    if isinstance(result, Intent):
        return "intent"
    if asked in ("provider.update", "provider.delete"):
        return "settle"
    if asked == "provider.read":
        return "what was read back"
    return "events" if ledger.changed_links else "a wait, or a doubt"


class Door:
    """One port, as one process knows it."""

    def __init__(self, doors: Doors, process: str, port: str, thing: Any) -> None:
        self._doors = doors
        self._process = process
        self._port = port
        self._thing = thing

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if not callable(found):
            return found
        if (self._port, name) == ("store", "change"):
            return partial(self._doors.change, self._process, found)
        return lambda *args: self._doors.call(self._process, f"{self._port}.{name}", partial(found, *args))


def whatever_comes(effect: Callable[[], Any]) -> None:
    """Nobody is there any more to hear the answer."""
    with suppress(SyncError):
        effect()


# --- The town ---


class Town:
    """A deployment in its world, and the agenda of what happens next."""

    def __init__(self, fate: Callable[[Point], Death | None]) -> None:
        self.clock = ManualClock(MORNING.timestamp())
        self.world = World(lambda: int(self.clock.now() * 1e6), 0, Switches(meet_delay_s=0.0))
        self.acme = Acme(self._is_used)
        self.store = SqliteStore(
            ":memory:", lease_s=LEASE_S, margin_s=MARGIN_S, grace_s=GRACE_S, clock=self.clock
        )
        self.doors = Doors(fate, self._land)
        self.points: list[Point] = []  # of the story, when it is told
        self.taken_up_by = ""  # what came first for the work of the process that died
        self._orphan = ""  # the calendar whose worker died
        self._calendar = WorldCalendar(self.world, Random(0), lambda _: "", lambda *_: False, page_size=4)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count(1)
        self._happened = count(1)
        self._tasks: set[str] = set()
        self._policy = Policy(
            rules=Rules((SYSTEM, *KNOWN), frozenset({"acme"})),
            buckets=Buckets(5.0, 2.0),
            backoff=Backoff(5.0, 60.0),
            brake=Brake(unquestioned=10),
            window_s=86400.0,
            grace_s=GRACE_S,
            sweep_s=21600.0,
            horizon_s=HORIZON_S,
            quarantine_s=86400.0,
            channel_life_s=2400.0,
        )

    # --- people ---

    def settle_in(self) -> None:
        """Two calendars are wired, and the scheduler's jobs run from now on."""
        for user in (ME, GUEST):
            self.world.add_user(user)
        self.world.add_calendar(TEAM, owner=ME, summary="Team")
        for calendar in WATCHED:
            self.world.change_role(calendar, SYNC, "writer")
        wired = (WiredCalendar(each.partition("@")[0], CalendarId(each)) for each in WATCHED)
        self.store.wire("https://webhook.example/", wired)
        self._regularly(CONVERGE_EVERY_S, "converge", self._converge, first_in_s=1.0)
        self._regularly(SWEEP_EVERY_S, "sweep", self._sweep, first_in_s=5.0)

    def act(self, what: dict[str, Any]) -> str:
        """Somebody does something, and Google tells of it. Returns the event's id."""
        done = acts.perform(self.world, what)
        self._carry_notifications()
        return str(done.get("id", ""))

    def _is_used(self, conference: str) -> bool:
        calendars = (self.world.calendars[name].events for name in WATCHED)
        return any(_uses(copy, conference, events) for events in calendars for copy in events.values())

    def held(self) -> list[str]:
        """The calendars that somebody holds a lease of."""
        return [record.calendar.id for record in self.store.calendars() if record.lease.owner]

    # --- time ---

    def wait(self, seconds: float) -> None:
        """Time passes, and brings what it brings."""
        end = self.clock.now() + seconds
        while self._agenda and self._agenda[0][0] <= end:
            if next(self._happened) > MOST_HAPPENINGS:
                raise Wrong("it does not come to rest")
            at, _, happens = heapq.heappop(self._agenda)
            self.clock.advance(max(0.0, at - self.clock.now()))
            happens()
        self.clock.advance(end - self.clock.now())

    def _later(self, in_s: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.clock.now() + in_s, next(self._numbers), happens))

    def _land(self, effect: Callable[[], Any]) -> None:
        self._later(LANDS_AFTER_S, partial(whatever_comes, effect))

    # --- the webhook ---

    def _carry_notifications(self) -> None:
        messages, self.world.channels.outbox = self.world.channels.outbox, []
        for message in messages:
            self._later(0.5, partial(self._notify, shapes.notification(message)))

    def _notify(self, headers: Any) -> None:
        queue = self.doors.of("webhook", "queue", Tray(self._keep, "a later notification"))
        receiver = Receiver(_KeyRing(), queue, self.clock, self._policy.buckets)  # type: ignore[arg-type]
        try:
            receiver.receive(headers)
            self.doors.answer("webhook")
        except Killed:
            self.taken_up_by = "Google, sending it again"
            self._later(SENT_AGAIN_S, partial(self._notify, headers))

    # --- the queue and the worker ---

    def _keep(self, task: Task, errand: str) -> bool:
        if task.name in self._tasks:
            return False
        self._tasks.add(task.name)
        errand = "the wake after the lease" if task.generation else errand
        self._later(max(0.0, task.due_at - self.clock.now()), partial(self._deliver, task, errand))
        return True

    def _deliver(self, task: Task, errand: str) -> None:
        try:
            done = self._served(task, errand)
            self.doors.answer("worker")
        except Killed:
            self._orphan = task.subject
            done = self.doors.death is not None and self.doors.death.net is Net.SWEEP
        if not done:
            self._later(SENT_AGAIN_S, partial(self._deliver, task, "the task, delivered again"))

    def _served(self, task: Task, errand: str) -> bool:
        owner = f"worker {next(self._numbers)}"
        try:
            outside = self._outside("worker", errand)
            one_pass(outside, self._policy, task.subject, owner, task.generation, task.notified_at)
        except Transient:
            return False
        return True

    def _outside(self, process: str, errand: str = "") -> Outside:
        door = partial(self.doors.of, process)
        claims: Any = _Claims(self.store, partial(self._claimed, errand))
        return Outside(
            door("calendar", self._calendar),
            door("store", claims),
            OneProvider(door("provider", self.acme)),
            door("queue", Tray(self._keep, "the sweep" if process == "sweep" else "another wake")),
            self.clock,
        )

    def _claimed(self, errand: str, key: str) -> None:
        if key == self._orphan:
            self._orphan, self.taken_up_by = "", errand

    # --- the scheduler's jobs ---

    def _regularly(self, every_s: float, job: str, run: Callable[[], None], first_in_s: float) -> None:
        def tick() -> None:
            self._later(every_s, tick)
            try:
                run()
                self.doors.answer(job)
            except Killed:
                self.taken_up_by = f"the next {job}"

        self._later(first_in_s, tick)

    def _sweep(self) -> None:
        if not self._must_do_without_sweeps():
            tend.sweep(self._outside("sweep"), self._policy)

    def _must_do_without_sweeps(self) -> bool:
        """What a worker or a webhook leaves undone, the queue and Google bring back: no sweep is needed for it."""
        death = self.doors.death
        return death is not None and death.net is Net.QUEUE and self.doors.dead in ("worker", "webhook")

    def _converge(self) -> None:
        tend.converge(self._outside("converge"), self._policy, KEY, Keys((KEY,)))
        self._carry_notifications()


class Tray:
    """The queue, as one process knows it: what is put in here is remembered as its errand."""

    def __init__(self, keep: Callable[[Task, str], bool], errand: str) -> None:
        self._keep = keep
        self._errand = errand

    def create(self, task: Task) -> bool:
        return self._keep(task, self._errand)


class _Claims:
    """The store, which tells when a calendar is claimed."""

    def __init__(self, store: SqliteStore, told: Callable[[str], None]) -> None:
        self._store = store
        self._told = told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def claim(self, key: str, *args: Any) -> Any:
        claim = self._store.claim(key, *args)
        if isinstance(claim, Claimed):
            self._told(key)
        return claim


class _KeyRing:
    """The channel keys, as the webhook has them."""

    keys = Keys((KEY,))

    @staticmethod
    def may_yet_know(_: str) -> bool:
        return False


def _uses(copy: Copy, conference: str, events: Mapping[str, Copy]) -> bool:
    """An occurrence goes with its series, whatever it still says itself."""
    carried = copy.shared.get("conferenceData") or {}
    lives = not copy.cancelled and not (copy.series in events and events[copy.series].cancelled)
    return lives and copy.organized_here and carried.get("conferenceId") == conference
