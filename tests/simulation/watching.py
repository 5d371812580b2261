"""Weeks of channels in seconds: converge, sweep, webhook and passes of production, in the simulator's pure world.

A vigil is told as a story is, by one seed, and what may happen to a process at a call is the same. But it lasts
for weeks, and what is at stake is that every change is seen: by its notification, or else within a sweep interval.
"""

from __future__ import annotations

import base64
import random
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, cast
from unittest.mock import patch

from sync import logs, tend, watching
from sync.channel import Key, calendar_key
from sync.cursor import Cursor
from sync.decide import Brake
from sync.errors import AccessLost, SyncError, Unsupported
from sync.keyfile import KeyFile
from sync.one_pass import one_pass
from sync.policy import Backoff, Policy
from sync.ports import CalendarId, CalendarRecord, Page, Task, Watch, WiredCalendar, Wiring
from sync.receive import Receiver, Reception
from sync.rules import Rules
from sync.simulator import shapes
from sync.simulator.model import Channel as Opened
from sync.simulator.model import Message, Switches
from sync.simulator.world import World
from sync.wake import Buckets
from tests.simulation.google import SYNC, WorldCalendar
from tests.simulation.judge import Violation
from tests.simulation.process import Chronicle, Clock, Nature, Process
from tests.simulation.schedule import Killed, Schedule
from tests.simulation.store import SALT, MemoryStore, Records
from tests.simulation.tasks import Tasks
from tests.simulation.weather import Fate, Weather

MORNING = 1_767_600_000.0  # 2026-01-05T08:00Z
ADDRESS = "https://webhook.example/"
HOUR, DAY = 3600.0, 86400.0
SWEEP_S = 6 * HOUR
REREAD_S = 60.0
SWEEP_EVERY_S = 300.0


@dataclass(frozen=True)
class Scale:
    """How long a vigil is, and over how many calendars."""

    days: float = 21.0
    calendars: int = 4
    life_days: float = 7.0  # of a channel
    converge_every_s: float = 1800.0
    changes_a_day: float = 2.0  # of each calendar
    outages: int = 1  # of the webhook, for up to two days each
    rotations: int = 2
    dying_grants: int = 1
    pauses: int = 1  # calendars that are taken out for a while, and put back
    unwatchable: int = 1  # calendars that Google does not watch
    overlaps: float = 0.1  # of the runs of converge begin while another one does
    failing: float | None = None  # of the calls to every door; None: weather, from the seed


@dataclass
class Ending:
    """How a vigil ended."""

    seed: int
    violation: str
    dark_hours_max: float
    leaked: int
    requests_per_day_max: int
    counts: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)


def keep(seed: int, scale: Scale | None = None, script: Callable[[Vigil], None] | None = None) -> Ending:
    """Keep the vigil of a seed to its end, or to the first promise that is broken."""
    vigil, violation = Vigil(seed, scale or Scale()), ""
    random_before = random.getstate()
    random.seed(seed)  # production draws its waits from here
    with patch.object(logs, "write", vigil.read_log):
        try:
            (script or Vigil.last)(vigil)
        except Violation as broken:
            violation = str(broken)
        except Exception as bug:
            violation = f"bug: {type(bug).__name__}: {bug}"
        finally:
            vigil.nature.schedule.end()
    random.setstate(random_before)
    watchman, chronicle = vigil.watchman, vigil.nature.chronicle
    return Ending(
        seed,
        violation,
        watchman.darkest_s / HOUR,
        watchman.leaked,
        max(vigil.google.requests.values(), default=0),
        chronicle.counts,
        chronicle.words,
    )


class Secret:
    """The channel keys as they are mounted: a file that whoever rotates them writes again."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.made = 0

    def add(self) -> None:
        self.made += 1
        self.keys.append(Key(f"k{self.made}", bytes([self.made]) * 32))

    def read_text(self, _encoding: str) -> str:
        lines = (f"{key.id}:{base64.urlsafe_b64encode(key.secret).decode()}" for key in self.keys)
        return "\n".join(lines)

    def stat(self) -> Any:
        return type("Stat", (), {"st_mtime": 0.0})


class Google(WorldCalendar):
    """The Calendar API: who may ask, which calendars are never watched, how often it was asked."""

    def __init__(self, world: World, schedule: Schedule, rng: Random) -> None:
        super().__init__(world, rng, lambda _: "", lambda _calendar, _event: False, page_size=250)
        self._schedule = schedule
        self.dead: set[str] = set()  # subjects whose grant is taken back
        self.unwatchable: set[str] = set()
        self.requests: Counter[int] = Counter()  # by day
        self.opened: Callable[[Opened], None] = lambda _: None
        self.stopping: Callable[[Opened], None] = lambda _: None

    def _ask(self, subject: str) -> None:
        self.requests[int(self._schedule.now // DAY)] += 1
        if subject in self.dead:
            raise AccessLost("delegation: invalid_grant")

    def list_page(self, calendar: CalendarId, cursor: Cursor, page_token: str) -> Page:
        self._ask(calendar.subject)
        return super().list_page(calendar, cursor, page_token)

    def watch(self, calendar: CalendarId, channel_id: str, token: str, address: str, life_s: float) -> Watch:
        self._ask(calendar.subject)
        if calendar.id in self.unwatchable:
            raise Unsupported("pushNotSupportedForRequestedResource")
        watch = super().watch(calendar, channel_id, token, address, life_s)
        self.opened(self._world.channels._by_id[channel_id])
        return watch

    def stop(self, channel: Any) -> None:
        self._ask(channel.subject)
        known = self._world.channels._by_id.get(channel.id)
        if known is not None and known.resource_id == channel.resource_id:
            self.stopping(known)
        super().stop(channel)


class Watchman:
    """Who judges. Every moment at which a change would not be told of, and every channel, is on his slate."""

    def __init__(self, vigil: Vigil) -> None:
        self._vigil = vigil
        self.blind: dict[str, float] = {}  # calendars of which a change, made since then, may be unseen
        self.listed_at: dict[str, float] = {}
        self.darkest_s = 0.0
        self.leaked = 0

    @property
    def _now(self) -> float:
        return self._vigil.nature.schedule.now

    # --- Is every change seen? ---

    def may_be_unseen(self, calendars: Iterable[str]) -> None:
        for calendar in calendars:
            self.blind.setdefault(calendar, self._now)

    def may_not_be_asked(self, calendar: str) -> None:
        self.blind.pop(calendar, None)

    def listed(self, calendar: str, at: float) -> None:
        """A whole pass, whose listing began then: what was unseen before it is not any more."""
        if at <= self.listed_at.get(calendar, 0.0):
            return
        self.listed_at[calendar] = at
        if calendar in self.blind:
            self._was_dark(calendar, at - self.blind.pop(calendar))
            if not self._vigil.tells(calendar):
                self.blind[calendar] = at

    def look(self) -> None:
        for calendar, since in self.blind.items():
            self._was_dark(calendar, self._now - since)
        self._count_leaked()

    def _was_dark(self, calendar: str, for_s: float) -> None:
        if calendar in self._vigil.exempt:
            return
        self.darkest_s = max(self.darkest_s, for_s)
        if for_s > SWEEP_S:
            raise Violation(f"L1: {calendar} was dark for {for_s / HOUR:.1f} hours")

    # --- Is every channel known, and no gap between two? ---

    def opened(self, channel: Opened) -> None:
        wait = channel.expiration_ms / 1000 - self._now
        self._vigil.nature.schedule.after(wait, partial(self._lapsed, channel))

    def stopping(self, channel: Opened) -> None:
        vigil = self._vigil
        if not vigil.is_live(channel):
            return
        others = [each for each in vigil.live(channel.calendar) if each.id != channel.id]
        if not others and channel.calendar in vigil.wanted() and channel.calendar not in vigil.refused:
            raise Violation(
                f"L1: the last channel of {channel.calendar} was stopped before there was another"
            )
        if not others:
            self.may_be_unseen([channel.calendar])

    def _lapsed(self, channel: Opened) -> None:
        vigil = self._vigil
        if channel.stopped_at is not None or vigil.live(channel.calendar):
            return
        self.may_be_unseen([channel.calendar])
        if channel.calendar in vigil.wanted() and channel.calendar not in vigil.refused:
            raise Violation(f"L1: the last channel of {channel.calendar} ended before there was another")

    def _count_leaked(self) -> None:
        vigil = self._vigil
        known = {each.id for record in vigil.kept.calendars.values() for each in record.channels}
        leaked = [each for each in vigil.live() if each.id not in known]
        self.leaked = max(self.leaked, len(leaked))
        if leaked:
            raise Violation(f"L3: a channel of {leaked[0].calendar} was leaked")

    # --- Are notifications believed? ---

    def received(self, reception: Reception) -> None:
        if reception is Reception.REFUSED:
            raise Violation("L1: a genuine notification was refused")
        if reception is Reception.NOT_YET:
            raise Violation("L1: a webhook did not know the key of a genuine notification")

    def everything_is_settled(self) -> None:
        """Long after the last trouble: one channel for each calendar that is wanted, and no other."""
        vigil = self._vigil
        for calendar in vigil.calendars:
            live = len(vigil.live(calendar))
            wanted = calendar in vigil.wanted() and calendar not in vigil.google.unwatchable
            if live != wanted:
                raise Violation(f"L3: {calendar} has {live} channels in the end")

    # The store's witness; what passes do is others' business.
    def appeared(self, _calendar_key: str) -> None: ...
    def claimed(self, _before: CalendarRecord, _hold: object) -> None: ...
    def committing(self, *_: object) -> None: ...


class Vigil:
    """A deployment over some weeks, and what happens to it."""

    def __init__(self, seed: int, scale: Scale) -> None:
        self.scale = scale
        self._life_s = scale.life_days * DAY
        self.rng = rng = Random(f"vigil {seed}")
        schedule = Schedule(MORNING + rng.uniform(0, HOUR))
        self.nature = Nature(schedule, rng, self._weather(), Chronicle())
        self.world = World(lambda: int(schedule.now * 1e6), seed, Switches(ttl_cap_s=int(self._life_s)))
        self.world.add_user(SYNC)
        self.calendars = [
            self.world.add_calendar(f"{number}@group.calendar.google.com", owner=SYNC).id
            for number in range(scale.calendars)
        ]
        self.events = {
            calendar: self.world.insert(SYNC, calendar, _meeting("Plans")).id for calendar in self.calendars
        }
        self.keys = {calendar: calendar_key(SALT, calendar) for calendar in self.calendars}
        self._names = {key: calendar for calendar, key in self.keys.items()}
        self.policy = Policy(
            rules=Rules((), frozenset()),
            buckets=Buckets(),
            backoff=Backoff(5.0, 300.0),
            brake=Brake(),
            window_s=DAY,
            grace_s=HOUR,
            sweep_s=SWEEP_S,
            horizon_s=120.0,
            quarantine_s=DAY,
            channel_life_s=30 * DAY,  # Google grants less
        )
        wired = tuple(WiredCalendar(f"c{n}", CalendarId(each, each)) for n, each in enumerate(self.calendars))
        self.kept = Records(lambda: schedule.now, HOUR, Wiring(ADDRESS, wired))
        self.google = Google(self.world, schedule, rng)
        self.google.unwatchable |= set(self.calendars[: scale.unwatchable])
        self.watchman = self.kept.witness = Watchman(self)
        self.google.opened, self.google.stopping = self.watchman.opened, self.watchman.stopping
        self.tasks = Tasks(self.nature, self._work)
        self.secret = Secret()
        self.secret.add()
        self.webhook_is_down = False
        self.refused: set[str] = set()  # calendars that may not be opened now, or could not for a while
        self.exempt: set[str] = set()  # of them, those that may not be listed either
        self._processes = 0
        self.machines = [Clock(schedule, rng.uniform(-0.5, 0.5), rng.uniform(0, MORNING)) for _ in range(3)]
        self._rings = {machine: self._ring(machine) for machine in self.machines}
        self._receivers: dict[Clock, Receiver] = {}

    def _weather(self) -> Weather:
        """Calls that fail, are answered in vain, and in which processes die or freeze."""
        doors = ("calendar", "store", "queue", "doorbell")
        if (failing := self.scale.failing) is not None:
            fates = (Fate.REFUSED, Fate.ANSWER_LOST)
            return Weather({(door, fate): failing / 2 for door in doors for fate in fates})
        fates = (Fate.REFUSED, Fate.ANSWER_LOST, Fate.DIES_BEFORE, Fate.DIES_AFTER, Fate.FREEZES)
        rates = {(door, fate): self.rng.choice((0.0, 0.01, 0.04)) for door in doors for fate in fates}
        return Weather(
            rates,
            lost_push=self.rng.choice((0.0, 0.05, 0.5)),
            late_push=self.rng.choice((0.0, 0.2)),
            twice_push=0.1,
        )

    # --- What is so ---

    def wanted(self) -> set[str]:
        wiring = self.kept.wiring
        return {each.calendar.id for each in wiring.calendars if wiring.webhook_url and not each.paused}

    def live(self, calendar: str = "") -> list[Opened]:
        channels = self.world.channels
        return [each for each in (channels.of(calendar) if calendar else channels) if self.is_live(each)]

    def is_live(self, channel: Opened) -> bool:
        return self.world.channels.is_live(channel, int(self.nature.schedule.now * 1e6))

    def tells(self, calendar: str) -> bool:
        """Whether a change would be notified, and the notification believed."""
        return not self.webhook_is_down and bool(self.live(calendar))

    # --- The deployment ---

    def _ring(self, machine: Clock) -> KeyFile:
        paths = cast(list[Path], [self.secret])
        return KeyFile(paths, REREAD_S, machine.monotonic, machine.now)

    def _process(self, name: str) -> Process:
        self._processes += 1
        return Process(self.nature, f"{name} {self._processes}", self.rng.choice(self.machines))

    def _outside(self, process: Process) -> Any:
        store = MemoryStore(self.kept, process.clock)
        return process.outside(self.google, store, None, self.tasks)

    def _work(self, task: Task) -> None:
        process = self._process("worker")
        outside = self._outside(process)
        if task.kind == "hello":
            watching.greeted(outside.store, *task.subject.split("."))
            return
        one_pass(outside, self.policy, task.subject, process.name, task.generation, task.notified_at)
        if record := self.kept.calendars.get(task.subject):
            self.watchman.listed(self._names[task.subject], record.listed_at)

    def converge(self) -> None:
        process = self._process("converge")
        ring = self._rings[process.clock]
        try:
            tend.converge(self._outside(process), self.policy, ring.signing_key(), ring.keys)
        finally:
            self.carry()

    def sweep(self) -> None:
        tend.sweep(self._outside(self._process("sweep")), self.policy)

    def regularly(self, every_s: float, job: Callable[[], None], overlaps: float = 0.0) -> None:
        """A scheduler's job: when one run fails, the next one comes anyway."""

        def run() -> None:
            self.nature.schedule.start(every_s, run)
            if self.rng.random() < overlaps:
                self.nature.schedule.start(self.rng.uniform(0.0, 2.0), partial(_whatever, job))
            _whatever(job)

        self.nature.schedule.start(self.rng.uniform(0.0, every_s), run)

    # --- Notifications ---

    def carry(self) -> None:
        messages, self.world.channels.outbox = self.world.channels.outbox, []
        weather, rng = self.nature.weather, self.rng
        for message in messages:
            if rng.random() < weather.lost_push:
                self._was_lost(message)
                continue
            late = rng.random() < weather.late_push
            self._post(message, rng.uniform(0.1, 3000.0 if late else 5.0))
            if rng.random() < weather.twice_push:
                self._post(message, rng.uniform(0.1, 60.0))

    def _was_lost(self, message: Message) -> None:
        self.nature.chronicle.counts["notification lost"] += 1
        if message.state != "sync":
            self.watchman.may_be_unseen([self.world.channels._by_id[message.channel_id].calendar])

    def _post(self, message: Message, in_s: float, tries: int = 0) -> None:
        def deliver() -> None:
            if self.webhook_is_down:
                self._was_lost(message)
                return
            machine = self.rng.choice(self.machines)
            try:
                self.watchman.received(self._door(machine).receive(shapes.notification(message)))
            except Killed:
                self._receivers.pop(machine, None)
                self._again(message, tries)
            except SyncError:
                self._again(message, tries)

        self.nature.schedule.start(in_s, deliver)

    def _again(self, message: Message, tries: int) -> None:
        if tries < 8:  # Google tries again for a while
            self._post(message, self.rng.uniform(1.0, 5.0) * min(2**tries, 4), tries + 1)
        else:
            self._was_lost(message)

    def _door(self, machine: Clock) -> Receiver:
        if machine not in self._receivers:
            self._processes += 1
            process = Process(self.nature, f"webhook {self._processes}", machine)
            queue = process.queue(self.tasks, "doorbell")
            self._receivers[machine] = Receiver(self._rings[machine], queue, machine, self.policy.buckets)
        return self._receivers[machine]

    # --- What happens ---

    def last(self) -> None:
        """From the first day to the last, and then until everything has come to rest."""
        scale, schedule, rng = self.scale, self.nature.schedule, self.rng
        self.deploy()
        span_s = scale.days * DAY
        for _ in range(scale.outages):
            self._at(rng.uniform(0.1, 0.8) * span_s, self._outage)
        for _ in range(scale.rotations):
            self._at(rng.uniform(0.05, 0.5) * span_s, self._rotate)
        for _ in range(scale.dying_grants):
            self._at(rng.uniform(0.05, 0.6) * span_s, self._grant_dies)
        for _ in range(scale.pauses):
            self._at(rng.uniform(0.05, 0.8) * span_s, self._pause)
        end = schedule.now + span_s
        while schedule.now < end:
            schedule.sleep(min(DAY / 4, end - schedule.now))
            self.watchman.look()
        self._heal()

    def deploy(self) -> None:
        self.regularly(self.scale.converge_every_s, self.converge, self.scale.overlaps)
        self.regularly(SWEEP_EVERY_S, self.sweep)
        self.watchman.may_be_unseen(self.calendars)
        for calendar in self.calendars:
            self._change_again(calendar)

    def _change_again(self, calendar: str) -> None:
        def change() -> None:
            self.nature.schedule.after(self.rng.expovariate(self.scale.changes_a_day / DAY), change)
            body = {"summary": f"Plans {self.rng.random()}"}
            self.world.patch(SYNC, calendar, self.events[calendar], body)
            self.carry()

        self.nature.schedule.after(self.rng.expovariate(self.scale.changes_a_day / DAY), change)

    def _at(self, in_s: float, body: Callable[[], None]) -> None:
        self.nature.schedule.start(in_s, body)

    def _some_days(self, most: float) -> float:
        """In seconds; in a short vigil, no more than a third of it."""
        return self.rng.uniform(0.1, min(most, self.scale.days / 3)) * DAY

    def _outage(self) -> None:
        self.nature.tell("the webhook is down")
        self.webhook_is_down = True
        self.watchman.may_be_unseen(self.calendars)
        self.nature.schedule.sleep(self._some_days(2.0))
        self.webhook_is_down = False
        self.nature.tell("the webhook is up")

    def _rotate(self) -> None:
        """As docs/channels.md says: add the new key, wait until nothing more is opened, remove the old one."""
        former = self.secret.keys[-1]
        self.secret.add()
        self.nature.tell(f"{self.secret.keys[-1].id} is added")
        for impatient in range(12):
            self._at(impatient * REREAD_S / 6, partial(_whatever, self.converge))
        self._reread_for_a_while()
        while any(each.key_id == former.id for r in self.kept.calendars.values() for each in r.channels):
            self.nature.schedule.sleep(HOUR)
        self.secret.keys.remove(former)
        self.nature.tell(f"{former.id} is removed")
        self._reread_for_a_while()

    def _reread_for_a_while(self) -> None:
        """Each machine in its own minute, and a few times: what is not read again has not changed."""
        for ring in self._rings.values():
            begins = self.rng.uniform(0.0, REREAD_S)
            for times in range(4):
                self.nature.schedule.after(begins + times * REREAD_S, ring.reread)
        self.nature.schedule.sleep(6 * REREAD_S)

    def _grant_dies(self) -> None:
        calendar = self.calendars[-1]
        self.nature.tell(f"the grant of {calendar} dies")
        self.google.dead.add(calendar)
        self.refused.add(calendar)
        self.exempt.add(calendar)
        self.nature.schedule.sleep(self._some_days(9.0))
        self.google.dead.discard(calendar)
        self.nature.tell(f"the grant of {calendar} is back")
        self.watchman.may_not_be_asked(calendar)
        self.watchman.may_be_unseen([calendar])
        self.exempt.discard(calendar)
        self.nature.schedule.sleep(DAY)  # looked at again within a sweep, and watched again after that
        self.refused.discard(calendar)

    def _pause(self) -> None:
        calendar = self.calendars[-2]
        self.nature.tell(f"{calendar} is paused")
        self._wire(calendar, paused=True)
        self.exempt.add(calendar)
        self.nature.schedule.sleep(self._some_days(3.0))
        self._wire(calendar, paused=False)
        self.nature.tell(f"{calendar} is wired again")
        self.nature.schedule.sleep(2 * self.scale.converge_every_s)
        self.watchman.may_not_be_asked(calendar)
        self.watchman.may_be_unseen([calendar])
        self.exempt.discard(calendar)

    def _wire(self, calendar: str, *, paused: bool) -> None:
        wiring = self.kept.wiring
        calendars = (
            replace(each, paused=paused) if each.calendar.id == calendar else each
            for each in wiring.calendars
        )
        self.kept.wiring = replace(wiring, calendars=tuple(calendars))

    def _heal(self) -> None:
        self.nature.weather.clear_up()
        self.nature.schedule.sleep(
            self._life_s + DAY
        )  # what was refused when it was to be stopped has lapsed
        self.watchman.look()
        self.watchman.everything_is_settled()
        self.kept.wiring = replace(self.kept.wiring, webhook_url="")
        self.nature.schedule.sleep(3 * self.scale.converge_every_s)
        self.watchman.blind.clear()
        self.watchman.look()
        self.watchman.everything_is_settled()

    def read_log(self, record: logs.Record, _severity: str = "INFO", /, **fields: Any) -> None:
        self.nature.chronicle.counts[f"log {record} {fields.get('outcome', '')}".strip()] += 1


def _meeting(title: str) -> dict[str, Any]:
    times = {"start": {"dateTime": "2027-01-01T09:00:00Z"}, "end": {"dateTime": "2027-01-01T10:00:00Z"}}
    return {"summary": title, **times}


def _whatever(job: Callable[[], None]) -> None:
    with suppress(SyncError, Killed):
        job()
