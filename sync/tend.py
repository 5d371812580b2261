"""What keeps calendars looked at: converge brings channels to the wanted state, sweep wakes what is due.

One calendar's trouble never stops the others: it is counted in the run's verdict and tried again by the next. A
run of converge takes so many steps and no more, the most urgent first: calendars that nobody watches, then those
whose channels have the least time left; and then what is superfluous.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from sync import budget, logs, push, records
from sync.channel import Key, Keys
from sync.errors import NewerRecord, SyncError
from sync.policy import Policy
from sync.ports import CalendarRecord, Outside, WiredCalendar
from sync.wake import wake
from sync.watching import Revision, Watching

_STEPS = 600  # of one run, each a call to Google
_RUN_S = 240.0  # ... within this time: the next run comes soon. So long a sweep goes on at most, too
_STALE = 1.5  # times the interval at which each calendar is looked at
_PROVISIONAL_S = 7 * 86400.0  # so long ago an add-on told of a conference that no event has ever carried
_TOLD_OF = 100  # of those


@dataclass(slots=True)
class Verdict:
    """What one run of converge has come to, and how it leaves the calendars that are to be watched."""

    calendars: int = 0  # wired or enrolled
    opened: int = 0
    stopped: int = 0
    failed: int = 0
    left: int = 0  # steps that are the next run's
    dark: int = 0  # calendars without a channel whose notifications are believed
    polled: int = 0  # ... of which Google says that it does not watch them
    frozen: int = 0
    stale: int = 0  # calendars that nobody has listed for too long
    unstoppable: int = 0  # channels that end by themselves
    shortest_life_days: float | None = None  # of the channels that are believed


def converge(outside: Outside, policy: Policy, key: Key, known: Keys) -> Verdict:
    """Wired and enrolled calendars are watched, all others are not. Where one is both, the wire speaks.

    `key` signs the tokens of new channels. A channel signed with none of the `known` keys is not believed, and
    replaced; one signed with an older key than `key` is replaced as well.
    """
    run = _Run(outside, policy, key, known)
    run.take_stock()
    run.work()
    return run.judge()


class _Run:
    """One run over all calendars."""

    def __init__(self, outside: Outside, policy: Policy, key: Key, known: Keys) -> None:
        self._outside = outside
        self._policy = policy
        self._key = key
        self._known = known
        self._wanted: Mapping[str, WiredCalendar] = {}
        self._all: list[Watching] = []
        self._verdict = Verdict()
        self._steps_left = _STEPS
        self._ends_at = outside.clock.monotonic() + _RUN_S

    def take_stock(self) -> None:
        """What is known of each calendar, and which are wanted. What differs is written at once.

        In this order: one that is enrolled in between is not among the known, and so not taken for unwanted.
        """
        store = self._outside.store
        known = self._records()
        wiring = store.wired()
        self._wanted = records.wanted(wiring.calendars, store.enrolled(), store.salt())
        self._verdict.calendars = len(self._wanted)
        there = self._readable() if known is None else known
        for calendar_key, each in self._wanted.items():
            record = there.pop(calendar_key, None)
            address = "" if each.paused else wiring.webhook_url
            self._regard(calendar_key, record, _as_wired(calendar_key, each), address)
        for calendar_key, record in there.items():
            self._regard(calendar_key, record, _without_wire(record), "")

    def _records(self) -> dict[str, CalendarRecord] | None:
        """All there are. None: one of them is of a later version."""
        try:
            return {record.key: record for record in self._outside.store.calendars()}
        except NewerRecord:
            return None

    def _readable(self) -> dict[str, CalendarRecord]:
        """Those that are wanted and not of a later version."""
        found = {}
        for calendar_key in self._wanted:
            with _counting_failures(self._verdict, calendar_key):
                found[calendar_key] = self._outside.store.calendar(calendar_key)
        return {calendar_key: record for calendar_key, record in found.items() if record}

    def _regard(self, calendar_key: str, record: CalendarRecord | None, wish: Revision, address: str) -> None:
        with _counting_failures(self._verdict, calendar_key):
            if record is None or wish(record, 0.0) != record:
                record = self._outside.store.tend(calendar_key, wish)
            each = Watching(self._outside, self._policy, self._key, self._known, record, address)
            self._all.append(each)

    def work(self) -> None:
        """Open first, stop afterwards; what one step fails at is left to the next run."""
        now = self._outside.clock.now()
        openings = [each for each in self._all if each.may_open(each.record, now)]
        openings.sort(key=lambda each: _urgency(each, now))
        for each in openings:
            self._verdict.opened += self._step(each, each.open_if_due)
        for each in self._all:
            if records.has_work_left(each.record):
                self._step(each, partial(self._hand_over, each.record.key))
            due = each.due(now)
            for superfluous in due.stop:
                self._verdict.stopped += self._step(each, partial(each.stop, superfluous))
            if due.forget:
                with _counting_failures(self._verdict, each.record.key):
                    each.change(*due.forget)

    def _hand_over(self, calendar_key: str) -> bool:
        """A conference that others use as well must not wait for a calendar that nobody looks after."""
        active = [each.record for each in self._all if each.record.active]
        heirs = sorted(active, key=lambda record: record.frozen != "")  # one that is frozen rather than none
        return bool(self._outside.store.hand_over(calendar_key, [record.key for record in heirs]))

    def _step(self, each: Watching, step: Callable[[], bool]) -> bool:
        """Whether it came to what it was for."""
        if self._steps_left <= 0 or self._outside.clock.monotonic() >= self._ends_at:
            self._verdict.left += 1
            return False
        self._steps_left -= 1
        with _counting_failures(self._verdict, each.record.key):
            return step()
        return False

    def judge(self) -> Verdict:
        """How things stand now, in one record; and in another one if notifications do not arrive."""
        verdict, now = self._verdict, self._outside.clock.now()
        subjects = (each.record.calendar.subject for each in self._all if each.record.active)
        stale_before = now - _STALE * budget.interval_s(self._policy.sweep_s, subjects)
        for each in self._all:
            record, due = each.record, each.due(now)
            verdict.frozen += record.active and bool(record.frozen)
            verdict.stale += record.active and record.listed_at < stale_before
            verdict.unstoppable += sum(one.lapsing for one in record.channels if one not in due.forget)
            if not each.watched:
                continue
            if not due.speaks_until:
                verdict.dark += 1
                verdict.polled += bool(record.unwatchable)
                continue
            days = (due.speaks_until - now) / 86400.0
            shortest = verdict.shortest_life_days
            verdict.shortest_life_days = days if shortest is None else min(shortest, days)
        self._tell(push.liveness((each.record for each in self._all), now), now)
        return verdict

    def _tell(self, pushed: push.Liveness, now: float) -> None:
        verdict = self._verdict
        notified_ago_s = round(now - pushed.notified_at) if pushed.notified_at else None
        changed_ago_s = round(now - pushed.changed_at) if pushed.changed_at else None
        days = verdict.shortest_life_days
        logs.write(
            logs.Record.CONVERGE,
            "WARNING" if verdict.failed else "INFO",
            calendars=verdict.calendars,
            opened=verdict.opened,
            stopped=verdict.stopped,
            failed=verdict.failed,
            left=verdict.left,
            dark=verdict.dark,
            polled=verdict.polled,
            frozen=verdict.frozen,
            stale=verdict.stale,
            unstoppable=verdict.unstoppable,
            shortest_life_days=None if days is None else round(days, 2),
            notified_ago_s=notified_ago_s,
            changed_ago_s=changed_ago_s,
            missing_notifications=pushed.missing,
        )
        if pushed.is_silent:
            logs.write(
                logs.Record.PUSH_SILENT,
                "ERROR",
                notified_ago_s=notified_ago_s,
                changed_ago_s=changed_ago_s,
                missing_notifications=pushed.missing,
            )


def _urgency(each: Watching, now: float) -> tuple[float, float]:
    """Who is watched by nobody comes first, and of those whoever was not looked at for longest."""
    speaks_until = each.due(now).speaks_until
    return speaks_until, each.record.listed_at  # 0: nothing speaks


def sweep(outside: Outside, policy: Policy) -> int:
    """Wake the calendars that are due: those nobody has looked at lately, and those whose wake was lost.

    As many as Google's budget allows, spread over the time to the next run, the least recently listed first.
    """
    due = sorted(outside.store.due_calendars(budget.MOST), key=lambda each: each.listed_at)
    ends_at = outside.clock.monotonic() + _RUN_S
    woken = failed = 0
    for calendar, wait_s in zip(due, budget.spread([each.subject for each in due]), strict=True):
        if wait_s is None or outside.clock.monotonic() >= ends_at:
            continue
        try:
            at = outside.clock.now() + wait_s
            wake(outside.queue, outside.clock, policy.buckets, calendar.key, at)
            woken += 1
        except SyncError as error:
            failed, why = failed + 1, str(error)
    provisional = outside.store.provisional_links(outside.clock.now() - _PROVISIONAL_S, _TOLD_OF)
    logs.write(
        logs.Record.SWEEP,
        "WARNING" if failed else "INFO",
        woken=woken,
        left=len(due) - woken - failed,
        failed=failed,
        why=why if failed else "",
        provisional_links=len(provisional),
    )
    return woken


def take_stock(outside: Outside) -> None:
    """Tell how the conferences stand, which no pass over one calendar knows: metrics and alerts are made of it."""
    stock = outside.store.stock()
    logs.write(
        logs.Record.STOCK,
        pending=stock.pending,
        held=stock.held,
        quarantined=stock.quarantined,
        lost=stock.lost,
    )


def _as_wired(
    calendar_key: str, wired: WiredCalendar
) -> Callable[[CalendarRecord | None, float], CalendarRecord]:
    def body(record: CalendarRecord | None, now: float) -> CalendarRecord:
        known = record or CalendarRecord(calendar_key, wired.calendar, due_at=now)
        return replace(known, calendar=wired.calendar, label=wired.slug, active=not wired.paused)

    return body


def _without_wire(gone: CalendarRecord) -> Callable[[CalendarRecord | None, float], CalendarRecord]:
    def body(record: CalendarRecord | None, _now: float) -> CalendarRecord:
        return replace(record or gone, active=False)

    return body


@contextmanager
def _counting_failures(verdict: Verdict, calendar_key: str = "") -> Iterator[None]:
    try:
        yield
    except SyncError as error:
        verdict.failed += 1
        logs.write(logs.Record.CHANNEL_FAILED, "WARNING", calendar=calendar_key, why=str(error))
