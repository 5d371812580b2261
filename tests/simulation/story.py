"""One seed is one story: people act, processes work and fail, all heals, and the judge has the last word."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from unittest.mock import patch

from sync import enrol, enrolment, logs, tend, watching
from sync.channel import Key, Keys
from sync.decide import Brake
from sync.enrolment import Ask, Enrolment
from sync.errors import SyncError
from sync.one_pass import one_pass
from sync.policy import Backoff, Policy
from sync.ports import CalendarId, Outside, Task, WiredCalendar, Wiring
from sync.receive import Receiver
from sync.recognise import KNOWN, ConferenceKey
from sync.rules import Rules
from sync.simulator import shapes
from sync.simulator.model import Message, Switches
from sync.simulator.world import World
from sync.wake import Buckets
from tests.simulation import provider
from tests.simulation.google import WorldCalendar
from tests.simulation.judge import Judge, Violation
from tests.simulation.people import ME, TEAM, WATCHED, YOU, People
from tests.simulation.process import Chronicle, Clock, Nature, Process
from tests.simulation.schedule import Killed, Schedule
from tests.simulation.store import MemoryStore, Records
from tests.simulation.tasks import Tasks
from tests.simulation.weather import FATES, Fate, Weather, storm

MORNING = 1_767_600_000.0  # 2026-01-05T08:00Z
KEY = Key("k1", b"k" * 32)
ADDRESS = "https://webhook.example/"
INSTANCES = 4
SWEEP_EVERY_S = 120.0
HEALING_S = 2.5 * 3600  # at most
HEALED_AFTER_S = 2100.0  # at least: what was frozen, late or lost has been swept by then, and swept again
QUIET_S = 2100.0  # longer than any wait that repeats itself
PATIENT = 0.1  # so many stories wait much longer than they seem to need


@dataclass(frozen=True)
class Profile:
    """What a story has to do without: every layer that heals hides the mistakes of those above it."""

    name: str
    faults: bool
    sweeps: bool
    channel_life_s: float = 1e7
    acts: tuple[int, int] = (24, 40)
    told_within_s: float = 0.0  # L1 at every moment: after so much quiet; 0: only after healing
    comes_and_goes: bool = False  # all calendars but one are enrolled and withdrawn at run time


PROFILES = {
    each.name: each
    for each in (
        Profile("chaos", faults=True, sweeps=True),
        Profile("noaudit", faults=True, sweeps=True),
        Profile("comers", faults=True, sweeps=True, comes_and_goes=True),
        Profile("pure", faults=False, sweeps=False, acts=(40, 60), told_within_s=150.0),
        Profile("channels", faults=False, sweeps=False, channel_life_s=1200.0, told_within_s=150.0),
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
            (
                *self.words,
                f"seed {self.seed}, profile {self.profile}: {self.violation or 'all promises kept'}",
            )
        )


def play(seed: int, profile: str, script: Callable[[Story], None] | None = None) -> Ending:
    """Tell the story of a seed; or another one, in its world."""
    story = Story(seed, PROFILES[profile])
    violation = ""
    random_before = random.getstate()
    random.seed(seed)  # production draws its waits from here
    with patch.object(logs, "write", story.read_log):
        try:
            script(story) if script else story.play()
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
        self.acme = provider.Acme(changed=self._provider_changed, now=lambda: schedule.now)
        self.people = People(self.world, self.acme, rng, calm=not profile.faults)
        brake = rng.choice((Brake(), Brake(unquestioned=1), Brake(most=1000, unquestioned=1000)))
        self.policy = Policy(
            rules=Rules(
                (provider.SYSTEM, *KNOWN),
                frozenset({provider.NAME}),
                written_back=frozenset({provider.NAME}),
            ),
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
        at_run_time = (YOU, TEAM) if profile.comes_and_goes else ()
        wired = tuple(WiredCalendar(name, CalendarId(name)) for name in WATCHED if name not in at_run_time)
        self._away = set(at_run_time)
        self._asked = 0
        self.kept = Records(lambda: schedule.now, self.policy.grace_s, Wiring(ADDRESS, wired))
        self.judge = Judge(nature, self.world, self.acme, self.kept, self.policy, brake)
        self.judge.ended = self.people.lost
        self.kept.witness = self.judge
        nature.told_to_wait = self.judge.told_to_wait
        nature.asking, nature.asked = self.judge.asking, self.judge.asked
        self.calendar = WorldCalendar(
            self.world, rng, self._mischief, self._overlooks, rng.choice((2, 5, 250))
        )
        self.calendar.wrote, self.judge.unwritable = self._wrote, self.calendar.unwritable
        nature.slow = rng.choice(("", "calendar", "provider"))
        self.tasks = Tasks(nature, self._work)
        self.clocks = [
            Clock(schedule, rng.uniform(-1, 1) * nature.weather.skew_s, rng.uniform(0, MORNING))
            for _ in range(INSTANCES)
        ]
        self._processes = 0
        self._receivers: dict[Clock, Receiver] = {}
        self.leisure = 1.0  # of the scheduler's jobs
        self.mischief = ""  # of every listing, where a script asks for it

    def play(self) -> None:
        profile, schedule = self.profile, self.nature.schedule
        self.deploy()
        for name in sorted(self._away):
            self.come(name)
        for _ in range(self.rng.randint(*profile.acts)):
            schedule.sleep(self._pause())
            self.act(self.people.act)
            if profile.comes_and_goes and self.rng.random() < 0.2:
                self._come_or_go()
            if profile.told_within_s:
                self.judge.all_is_told(profile.told_within_s)
        self._heal()

    def deploy(self) -> None:
        """Let the scheduler's jobs run from now on."""
        self._regularly(150.0 if self.profile.channel_life_s < 1e6 else 600.0, self._converge)
        if self.profile.sweeps:
            self._regularly(SWEEP_EVERY_S, self._sweep)

    def end(self) -> None:
        self.nature.schedule.end()

    # --- people ---

    def _pause(self) -> float:
        rng, told_within_s = self.rng, self.profile.told_within_s
        if told_within_s:  # something new while the last is being told, or nothing until it must have been
            soon, silence = rng.uniform(1.0, 9.0), rng.uniform(1.0, 1.5) * told_within_s
            return rng.choice((rng.uniform(0.01, 1.0), soon, soon, silence))
        return rng.choice(
            (rng.uniform(0.01, 1.0), rng.uniform(1, 10), rng.uniform(5, 60), rng.uniform(60, 400))
        )

    def act(self, does: Callable[[], str]) -> None:
        """Somebody does something, and Google tells of it."""
        try:
            what = does()
        except Exception as error:
            if type(error).__name__ not in ("ApiError", "BadAct"):
                raise
            what = ""
        if what:
            self.nature.tell(f"people: {what}")
            self.nature.chronicle.counts["act"] += 1
        self.judge.look()
        self._carry_notifications()

    def meet(self) -> str:
        """A meeting tomorrow, with a conference; returns the event's id."""
        known = set(self.world.calendars[ME].events)
        self.act(self.people.plan)
        return next(iter(self.world.calendars[ME].events.keys() - known))

    def do(self, what: str, event: str, **more: str) -> str:
        return self.people.do({"do": what, "calendar": ME, "event": event, **more})

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

    def _wrote(self) -> None:
        """We ourselves have changed an event, and are told of it like everybody."""
        self.judge.look()
        self._carry_notifications()

    def _notify(self, message: Message, in_s: float, tries: int = 0) -> None:
        def deliver() -> None:
            clock = self.rng.choice(self.clocks)
            receiver = self._receivers.get(clock) or self._open_door(clock)
            try:
                receiver.receive(shapes.notification(message))
            except (SyncError, Killed) as trouble:
                if isinstance(trouble, Killed):
                    self._receivers.pop(clock, None)  # and what it had in mind
                if tries < 8:  # Google tries again for a while
                    self.nature.chronicle.counts["notification sent again"] += 1
                    self._notify(message, self.rng.uniform(1.0, 5.0) * min(2**tries, 4), tries + 1)

        self.nature.schedule.start(in_s, deliver)

    # --- calendars that come and go ---

    def _come_or_go(self) -> None:
        name = self.rng.choice((YOU, TEAM))
        if name not in self._away and self.rng.random() < 0.4:
            self.go(name)
        else:
            self.come(name, *self._claim())

    def _claim(self) -> tuple[str, str]:
        """What an add-on says of an event and a conference: true, too early, mistaken or a lie."""
        if self.rng.random() < 0.5:
            return "", ""
        events = sorted({id_ for name in WATCHED for id_ in self.world.calendars[name].events})
        return self.rng.choice([*events, "unsaved"]), f"c-{self.rng.randint(1, 1 + len(self.acme.has))}"

    def come(self, name: str, event: str = "", conference: str = "") -> None:
        """The owner of this calendar asks to have it looked after, and may say what an event carries."""
        key = ConferenceKey(provider.NAME, conference) if event else None
        self._ask(Ask.ENROL, Enrolment(name, name, self.nature.schedule.now, event, key))
        self._away.discard(name)
        self.judge.lost_sight_of(name)

    def go(self, name: str) -> None:
        """The owner of this calendar asks to have it left alone."""
        self._ask(Ask.WITHDRAW, Enrolment(name, name, self.nature.schedule.now))
        self._away.add(name)
        self.judge.lost_sight_of(name)

    def _ask(self, ask: Ask, asked: Enrolment) -> None:
        self._asked += 1
        self.nature.tell(f"people: {ask} {asked.calendar_id} {asked.event_id} {asked.conference or ''}")
        self.nature.chronicle.counts[f"people {ask}"] += 1
        self.tasks.create(Task(f"asked {self._asked}", ask, enrolment.written(asked), asked.asked_at))

    def _fulfil(self, process: Process, outside: Outside, task: Task) -> None:
        asked = enrolment.read_again(task.subject)
        if task.kind == Ask.ENROL:
            enrol.enrol(outside, self.policy, KEY, Keys((KEY,)), asked, process.name)
        else:
            enrol.withdraw(outside, self.policy, asked, process.name)
        self._carry_notifications()

    # --- the deployment ---

    def _open_door(self, clock: Clock) -> Receiver:
        """The webhook of one machine; it lives until it dies."""
        process = self._process("webhook", clock)
        queue = process.queue(self.tasks, "doorbell")
        receiver = Receiver(KeyRing(), queue, clock, self.policy.buckets)  # type: ignore[arg-type]
        self._receivers[clock] = receiver
        return receiver

    def _process(self, name: str, clock: Clock) -> Process:
        self._processes += 1
        return Process(self.nature, f"{name} {self._processes}", clock)

    def _worker(self, name: str) -> tuple[Process, Outside]:
        process = self._process(name, self.rng.choice(self.clocks))
        store = MemoryStore(self.kept, process.clock)
        return process, process.outside(self.calendar, store, self.acme, self.tasks)

    def _work(self, task: Task) -> None:
        process, outside = self._worker("worker")
        if task.kind == "hello":
            calendar_key, _, channel_id = task.subject.partition(".")
            watching.greeted(outside.store, calendar_key, channel_id)
            return
        if task.kind in (Ask.ENROL, Ask.WITHDRAW):
            self._fulfil(process, outside, task)
            return
        one_pass(outside, self.policy, task.subject, process.name, task.generation, task.notified_at)

    def _sweep(self) -> None:
        tend.sweep(self._worker("sweep")[1], self.policy)

    def _converge(self) -> None:
        tend.converge(self._worker("converge")[1], self.policy, KEY, Keys((KEY,)))
        self._carry_notifications()

    def _regularly(self, every_s: float, job: Callable[[], None]) -> None:
        """A scheduler's job: when one run fails, the next one comes anyway."""

        def run() -> None:
            self.nature.schedule.start(every_s * self.leisure, run)
            with suppress(SyncError, Killed):
                job()

        self.nature.schedule.start(0.0, run)

    # --- what happens to it ---

    def _weather(self) -> Weather:
        if self.profile.name == "channels":  # nothing but a webhook in trouble
            return Weather({("doorbell", fate): self.rng.choice((0.0, 0.1)) for fate in FATES["doorbell"]})
        if not self.profile.faults:
            return Weather()
        if self.profile.name == "chaos":
            return storm(self.rng)
        dying = (Fate.DIES_BEFORE, Fate.DIES_AFTER, Fate.DIES_LANDING_LATER)
        weather = storm(self.rng, without=dying if self.rng.random() < 0.5 else (Fate.FREEZES,))
        for fate in (Fate.LANDS_LATER, Fate.ANSWER_LOST, Fate.DIES_LANDING_LATER):
            weather.rates["provider", fate] = self.rng.choice((0.0, 0.1, 0.2))
        return weather

    def _mischief(self, first_page: bool) -> str:
        if self.mischief:
            return self.mischief
        if self.rng.random() >= self.nature.weather.mischief:
            return ""
        # A stale replica may begin a listing, not go on with it: what it hides would be lost to every client.
        kind = self.rng.choice(("short", "repeat", "empty", *(["stale"] * 3 if first_page else [])))
        self.nature.chronicle.counts[f"listing {kind}"] += 1
        return kind

    def _overlooks(self, calendar: str, event: str) -> bool:
        """Whether a full listing leaves out an event that we expect in it: absence is no evidence of anything."""
        link = self.kept.links.get(self.judge.keys[calendar], {}).get(event)
        since = self.nature.schedule.now - self.policy.window_s
        known = link is not None and link.live and (link.end is None or link.end > since + 60.0)
        overlooks = known and self.rng.random() < self.nature.weather.overlooked
        self.nature.chronicle.counts["listing overlooks an event"] += overlooks
        return overlooks

    def _provider_changed(self, kind: str, conference: str) -> None:
        self.nature.tell(f"provider: {kind} of {conference} lands")
        if kind == "delete":
            self.judge.deleted(conference)

    def _heal(self) -> None:
        schedule, judge = self.nature.schedule, self.judge
        self.nature.weather.clear_up()
        self.people.calm_down()
        if self.profile.comes_and_goes:
            schedule.sleep(1.0)  # nobody asks for two things at once
            for name in (YOU, TEAM):
                self.come(name)
        self._carry_notifications()
        judge.look()
        self.leisure = 2.5 if self.profile.sweeps else 1.0
        self.nature.tell("everything heals")
        if self.profile.told_within_s:
            schedule.sleep(self.profile.told_within_s)
            judge.all_is_told(self.profile.told_within_s)
            judge.no_work_was_vain(self.calendar.full_listings)
        patient = self.rng.random() < PATIENT
        self._wait_for_healing(patient)
        judge.all_is_done()
        before, waiting = Counter(self.acme.calls), set(judge.waiting_for_their_end())
        schedule.sleep(2 * QUIET_S if patient else QUIET_S)
        for call, _ in (self.acme.calls - before).items():
            kind, _, conference = call.partition(" ")
            if not judge.is_poisoned(conference) and not (kind == "delete" and conference in waiting):
                raise Violation(f"L3: nothing happens, and still: {call}")

    def _wait_for_healing(self, patient: bool) -> None:
        """Until nothing is left to be done, or as long as anything may take."""
        schedule = self.nature.schedule
        at_latest = schedule.now + (HEALING_S if self.profile.faults else HEALING_S / 2)
        schedule.sleep(HEALED_AFTER_S)
        while schedule.now < at_latest and (patient or self.judge.something_is_due()):
            schedule.sleep(300.0)

    def read_log(self, record: logs.Record, _severity: str = "INFO", /, **fields: logs.Value) -> None:
        counts = self.nature.chronicle.counts
        counts[f"log {record} {fields.get('outcome', '')}".strip()] += 1
        codes = fields.get("codes")
        if isinstance(codes, dict):
            counts.update({f"code {code}": times for code, times in codes.items()})
        if record is logs.Record.DECISION:
            self.nature.tell(f"decided: {fields.get('event') or fields.get('conference')} {fields['code']}")
