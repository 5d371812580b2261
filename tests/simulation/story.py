"""One seed is one story: people act, processes work and fail, everything heals, and the judge has the last word."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from unittest.mock import patch

from sync import logs, tend
from sync.channel import Key, Keys
from sync.decide import Brake
from sync.errors import SyncError
from sync.ledger import Rules
from sync.one_pass import one_pass
from sync.policy import Backoff, Policy
from sync.ports import CalendarId, Outside, Task, WiredCalendar, Wiring
from sync.receive import Receiver
from sync.recognise import KNOWN
from sync.simulator import shapes
from sync.simulator.model import Message, Switches
from sync.simulator.world import World
from sync.wake import Buckets
from tests.simulation import provider
from tests.simulation.google import WorldCalendar
from tests.simulation.judge import Judge, Violation
from tests.simulation.people import WATCHED, People
from tests.simulation.process import Chronicle, Clock, Nature, Process
from tests.simulation.schedule import Killed, Schedule
from tests.simulation.store import MemoryStore, Records
from tests.simulation.tasks import Tasks
from tests.simulation.weather import Fate, Weather, storm

MORNING = 1_767_600_000.0  # 2026-01-05T08:00Z
KEY = Key("k1", b"k" * 32)
ADDRESS = "https://webhook.example/"
INSTANCES = 4
SWEEP_EVERY_S = 60.0
HEALING_S = 4.5 * 3600
QUIET_S = 3600.0


@dataclass(frozen=True)
class Profile:
    """What a story has to do without: every layer that heals hides the mistakes of those above it."""

    name: str
    faults: bool
    sweeps: bool
    channel_life_s: float = 1e7
    told_within_s: float = 0.0  # L1 at every moment: after so much quiet; 0: only after healing


PROFILES = {
    each.name: each
    for each in (
        Profile("chaos", faults=True, sweeps=True),
        Profile("noaudit", faults=True, sweeps=True),
        Profile("pure", faults=False, sweeps=False, told_within_s=60.0),
        Profile("channels", faults=False, sweeps=False, channel_life_s=400.0, told_within_s=60.0),
    )
}


@dataclass
class Ending:
    """How a story ended."""

    seed: int
    profile: str
    violation: str
    steps: int
    counts: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(
            (*self.words, f"seed {self.seed}, profile {self.profile}: {self.violation or 'all promises kept'}")
        )


def play(seed: int, profile: str) -> Ending:
    """Tell the story of a seed."""
    story = Story(seed, PROFILES[profile])
    violation = ""
    random_before = random.getstate()
    random.seed(seed)  # production draws its waits from here
    with patch.object(logs, "write", story.read_log):
        try:
            story.play()
        except Violation as broken:
            violation = str(broken)
        except Exception as bug:
            violation = f"bug: {type(bug).__name__}: {bug}"
        finally:
            story.end()
    random.setstate(random_before)
    chronicle = story.nature.chronicle
    return Ending(seed, profile, violation, chronicle.steps, chronicle.counts, chronicle.words)


class KeyRing:
    """The channel keys, as KeyFile has them."""

    keys = Keys((KEY,))

    @staticmethod
    def may_yet_know(_key_id: str) -> bool:
        return False


class Story:
    """A deployment, its world, and what happens to them."""

    def __init__(self, seed: int, profile: Profile) -> None:
        self.profile = profile
        self.rng = rng = Random(f"{profile.name} {seed}")
        schedule = Schedule(MORNING + rng.uniform(0, 3600))
        self.nature = nature = Nature(schedule, rng, self._weather(), Chronicle())
        self.world = World(lambda: int(schedule.now * 1e6), seed, Switches(meet_delay_s=0.0))
        self.acme = provider.Acme(changed=self._provider_changed)
        self.people = People(self.world, self.acme, rng, calm=not profile.faults)
        brake = rng.choice((Brake(), Brake(most=1000, unquestioned=1000)))
        self.policy = Policy(
            rules=Rules((provider.SYSTEM, *KNOWN), frozenset({provider.NAME})),
            buckets=Buckets(5.0, 2.0),
            backoff=Backoff(5.0, 300.0),
            brake=brake,
            window_s=86400.0,
            grace_s=rng.choice((60.0, 300.0)),
            sweep_s=900.0,
            horizon_s=120.0,
            quarantine_s=1800.0,
            channel_life_s=profile.channel_life_s,
        )
        wired = tuple(WiredCalendar(name, CalendarId(name)) for name in WATCHED)
        self.kept = Records(lambda: schedule.now, self.policy.grace_s, Wiring(ADDRESS, wired))
        self.judge = Judge(nature, self.world, self.acme, self.kept, self.policy, brake)
        self.judge.ended = self.people.lost
        self.kept.witness = self.judge
        self.calendar = WorldCalendar(self.world, rng, self._mischief, rng.choice((2, 5, 250)))
        self.tasks = Tasks(nature, self._work)
        self.clocks = [
            Clock(schedule, rng.uniform(-1, 1) * nature.weather.skew_s, rng.uniform(0, MORNING))
            for _ in range(INSTANCES)
        ]
        self._workers = 0

    def play(self) -> None:
        profile, schedule = self.profile, self.nature.schedule
        self._regularly(60.0 if profile.channel_life_s < 1e6 else 300.0, self._converge)
        if profile.sweeps:
            self._regularly(SWEEP_EVERY_S, self._sweep)
        for _ in range(self.rng.randint(24, 40)):
            schedule.sleep(self._pause())
            self._act()
            if profile.told_within_s:
                self.judge.all_is_told(profile.told_within_s)
        self._heal()

    def end(self) -> None:
        self.nature.schedule.end()

    # --- people ---

    def _pause(self) -> float:
        rng = self.rng
        return rng.choice((rng.uniform(0.01, 1.0), rng.uniform(1, 10), rng.uniform(5, 60), rng.uniform(60, 400)))

    def _act(self) -> None:
        try:
            what = self.people.act()
        except Exception as error:
            if type(error).__name__ not in ("ApiError", "BadAct"):
                raise
            what = ""
        if what:
            self.nature.tell(f"people: {what}")
            self.nature.chronicle.counts["act"] += 1
        self.judge.look()
        self._carry_notifications()

    def _carry_notifications(self) -> None:
        messages, self.world.channels.outbox = self.world.channels.outbox, []
        weather, rng, counts = self.nature.weather, self.rng, self.nature.chronicle.counts
        for message in messages:
            if rng.random() < weather.lost_push:
                counts["notification lost"] += 1
                continue
            late = rng.random() < weather.late_push
            counts["notification late"] += late
            self._notify(message, rng.uniform(0.1, 120.0 if late else 2.0))
            if rng.random() < weather.twice_push:
                counts["notification twice"] += 1
                self._notify(message, rng.uniform(0.1, 30.0))

    def _notify(self, message: Message, in_s: float, tries: int = 0) -> None:
        def deliver() -> None:
            process, _ = self._process("webhook")
            receiver = Receiver(KeyRing(), process.queue(self.tasks), process.clock, self.policy.buckets)  # type: ignore[arg-type]
            try:
                receiver.receive(shapes.notification(message))
            except (SyncError, Killed):
                if tries < 3:  # Google tries again for a while
                    self.nature.chronicle.counts["notification sent again"] += 1
                    self._notify(message, self.rng.uniform(1.0, 10.0) * 2**tries, tries + 1)

        self.nature.schedule.start(in_s, deliver)

    # --- the deployment ---

    def _process(self, name: str) -> tuple[Process, Outside]:
        self._workers += 1
        process = Process(self.nature, f"{name} {self._workers}", self.rng.choice(self.clocks))
        store = MemoryStore(self.kept, process.clock)
        return process, process.outside(self.calendar, store, self.acme, self.tasks)

    def _work(self, task: Task) -> None:
        process, outside = self._process("worker")
        one_pass(outside, self.policy, task.subject, process.name, task.generation)

    def _sweep(self) -> None:
        tend.sweep(self._process("sweep")[1], self.policy)

    def _converge(self) -> None:
        tend.converge(self._process("converge")[1], self.policy, KEY)
        self._carry_notifications()

    def _regularly(self, every_s: float, job: Callable[[], None]) -> None:
        """A scheduler's job: when one run fails, the next one comes anyway."""

        def run() -> None:
            self.nature.schedule.start(every_s, run)
            with suppress(SyncError, Killed):
                job()

        self.nature.schedule.start(0.0, run)

    # --- what happens to it ---

    def _weather(self) -> Weather:
        if not self.profile.faults:
            return Weather()
        if self.profile.name == "chaos":
            return storm(self.rng)
        dying = (Fate.DIES_BEFORE, Fate.DIES_AFTER, Fate.DIES_LANDING_LATER)
        return storm(self.rng, without=dying if self.rng.random() < 0.5 else (Fate.FREEZES,))

    def _mischief(self) -> str:
        if self.rng.random() >= self.nature.weather.mischief:
            return ""
        kind = self.rng.choice(("stale", "short", "repeat", "empty"))
        self.nature.chronicle.counts[f"listing {kind}"] += 1
        return kind

    def _provider_changed(self, kind: str, conference: str) -> None:
        self.nature.tell(f"provider: {kind} of {conference} lands")
        if kind == "delete":
            self.judge.deleted(conference)

    def _heal(self) -> None:
        schedule, judge = self.nature.schedule, self.judge
        self.nature.weather.clear_up()
        self.people.calm_down()
        self._carry_notifications()
        judge.look()
        self.nature.tell("everything heals")
        if self.profile.told_within_s:
            schedule.sleep(self.profile.told_within_s)
            judge.all_is_told(self.profile.told_within_s)
        schedule.sleep(HEALING_S)
        judge.all_is_done()
        before = Counter(self.acme.calls)
        schedule.sleep(QUIET_S)
        for call, _ in (self.acme.calls - before).items():
            if not judge.is_poisoned(call.partition(" ")[2]):
                raise Violation(f"L3: nothing happens, and still: {call}")

    def read_log(self, record: logs.Record, _severity: str = "INFO", /, **fields: logs.Value) -> None:
        counts = self.nature.chronicle.counts
        counts[f"log {record} {fields.get('outcome', '')}".strip()] += 1
        codes = fields.get("codes")
        if isinstance(codes, dict):
            counts.update({f"code {code}": times for code, times in codes.items()})
        if record is logs.Record.DECISION:
            self.nature.tell(f"decided: {fields.get('event') or fields.get('conference')} {fields['code']}")
