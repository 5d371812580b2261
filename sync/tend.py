"""What keeps calendars looked at: converge brings channels to the wired state, sweep wakes what is due.

One calendar's trouble never stops the others: it is counted in the run's verdict and tried again by the next.
"""

import uuid
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sync import channel, logs
from sync.channel import Channel, ChannelState, Key, Keys
from sync.errors import AccessLost, RateLimited, Refused, SyncError, Transient, Unsupported
from sync.policy import Policy
from sync.ports import CalendarRecord, Outside, Store, WiredCalendar
from sync.wake import wake

_SWEPT = 500  # calendars woken by one sweep
_STALE = 1.5  # sweep intervals without a listing
_TOKEN_SLACK_S = 86400.0  # a token outlives the channel we ask for: its last notification may be late
_NOT_OPENED = (AccessLost, RateLimited, Refused, Unsupported)  # after any other failure nobody knows


@dataclass(slots=True)
class Verdict:
    """What one run of converge has come to."""

    calendars: int = 0
    opened: int = 0
    stopped: int = 0
    failed: int = 0


def converge(outside: Outside, policy: Policy, key: Key, known: Keys) -> Verdict:
    """Wired and enrolled calendars are watched, all others are not. Where one is both, the wire speaks.

    `key` signs the tokens of new channels. A channel signed with none of the `known` keys is replaced.
    """
    key_ids = frozenset(each.id for each in known.oldest_first)
    wiring = outside.store.wired()
    salt = outside.store.salt()
    enrolled = (WiredCalendar("", each.calendar) for each in outside.store.enrolled())
    wanted = {channel.calendar_key(salt, each.calendar.id): each for each in (*enrolled, *wiring.calendars)}
    verdict = Verdict(calendars=len(wanted))
    for calendar_key, each in wanted.items():
        with _counting_failures(verdict, calendar_key):
            record = outside.store.tend(calendar_key, _as_wired(calendar_key, each))
            address = "" if each.paused else wiring.webhook_url
            _Converge(outside, policy, key, key_ids, record, address).converge(verdict)
    with _counting_failures(verdict):
        for record in outside.store.calendars():
            if record.key in wanted:
                continue
            with _counting_failures(verdict, record.key):
                if record.active:
                    outside.store.tend(record.key, _without_wire(record))
                _Converge(outside, policy, key, key_ids, record, "").converge(verdict)
    logs.write(
        logs.Record.CONVERGE,
        "WARNING" if verdict.failed else "INFO",
        calendars=verdict.calendars,
        opened=verdict.opened,
        stopped=verdict.stopped,
        failed=verdict.failed,
    )
    return verdict


def look_after(
    outside: Outside, policy: Policy, key: Key, known: Keys, record: CalendarRecord, address: str
) -> None:
    """Bring one calendar's channels to the wanted state. Trouble is left to the next converge."""
    key_ids = frozenset(each.id for each in known.oldest_first)
    _Converge(outside, policy, key, key_ids, record, address).converge(Verdict())


def renew(outside: Outside, policy: Policy, key: Key, record: CalendarRecord, address: str) -> None:
    """A new channel, and then the end of the others. Raises as Calendar.watch."""
    converge = _Converge(outside, policy, key, (), record, address)
    converge.open_one(outside.clock.now())
    converge.stop(Verdict(), *(each for each in record.channels if each.state is ChannelState.OPEN))


@contextmanager
def trial(
    outside: Outside, policy: Policy, key: Key, record: CalendarRecord, address: str, life_s: float
) -> Iterator[Channel]:
    """A channel beside the others, to see whether its first message comes. Raises as Calendar.watch.

    Should we die, it lapses by itself, or converge stops it: it is written down like any other.
    """
    short = replace(policy, channel_life_s=life_s)
    converge = _Converge(outside, short, key, (), record, address)
    opened = converge.open_one(outside.clock.now())
    try:
        yield opened
    finally:
        converge.stop(Verdict(), opened)


def adopt(store: Store, record: CalendarRecord, channel_id: str, resource_id: str, expires_at: float) -> None:
    """A channel that is running and was not known: the next converge stops it, if there is a good one."""

    def body(stands: CalendarRecord | None, now: float) -> CalendarRecord:
        stands = stands or record
        others = tuple(each for each in stands.channels if each.id != channel_id)
        adopted = Channel(
            id=channel_id,
            state=ChannelState.OPEN,
            address="",
            key_id="",
            subject=record.calendar.subject,
            opened_at=now,
            resource_id=resource_id,
            expires_at=expires_at,
        )
        return replace(stands, channels=(*others, adopted))

    store.tend(record.key, body)


def greeted(store: Store, calendar_key: str, channel_id: str) -> None:
    """A channel's first message has come all the way: by Google, the webhook and the queue."""
    known = store.calendar(calendar_key)
    if known is None:
        return

    def body(record: CalendarRecord | None, now: float) -> CalendarRecord:
        record = record or known
        channels = (
            replace(each, greeted_at=now) if each.id == channel_id and not each.greeted_at else each
            for each in record.channels
        )
        return replace(record, channels=tuple(channels))

    store.tend(calendar_key, body)


def sweep(outside: Outside, policy: Policy) -> int:
    """Wake the calendars that are due: those nobody has looked at lately, and those whose wake was lost."""
    due = outside.store.due_calendars(_SWEPT)
    for calendar_key in due:
        wake(outside.queue, outside.clock, policy.buckets, calendar_key)
    logs.write(logs.Record.SWEEP, woken=len(due))
    return len(due)


def take_stock(outside: Outside, policy: Policy) -> None:
    """Tell how everything stands, which no pass over one calendar knows: metrics and alerts are made of it."""
    stock = outside.store.stock(outside.clock.now() - _STALE * policy.sweep_s)
    logs.write(
        logs.Record.STOCK,
        stale_calendars=stock.stale_calendars,
        frozen_calendars=stock.frozen_calendars,
        pending_conferences=stock.pending_conferences,
        held_conferences=stock.held_conferences,
        quarantined_conferences=stock.quarantined_conferences,
        lost_conferences=stock.lost_conferences,
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


class _Converge:
    """One calendar's channels."""

    def __init__(
        self,
        outside: Outside,
        policy: Policy,
        key: Key,
        key_ids: Container[str],
        record: CalendarRecord,
        address: str,
    ) -> None:
        self._outside = outside
        self._policy = policy
        self._key = key
        self._key_ids = key_ids
        self._record = record
        self._address = address  # empty: not to be watched

    def converge(self, verdict: Verdict) -> None:
        """Each step for itself: one that fails is left to the next run, and the others are taken all the same."""
        record, now = self._record, self._outside.clock.now()
        due = channel.due(record.channels, now, self._address, record.calendar.subject, self._key_ids)
        if due.forget:
            with _counting_failures(verdict, record.key):
                self.change(*due.forget)
        if due.open_one and not record.frozen:  # what cannot be read cannot be watched either
            with _counting_failures(verdict, record.key):
                self.open_one(now)
                verdict.opened += 1
        self.stop(verdict, *due.stop)

    def stop(self, verdict: Verdict, *channels: Channel) -> None:
        for superfluous in channels:
            with _counting_failures(verdict, self._record.key):
                self._outside.calendar.stop(superfluous)
                self.change(superfluous)
                verdict.stopped += 1

    def open_one(self, now: float) -> Channel:
        """Written down before the call: a channel whose answer is lost is then still known by its id.

        Its first notification may arrive before the answer; its token needs no record to be verified.
        """
        opening = Channel(
            id=uuid.uuid4().hex,
            state=ChannelState.OPENING,
            address=self._address,
            key_id=self._key.id,
            subject=self._record.calendar.subject,
            opened_at=now,
        )
        self.change(new=opening)
        life_s = self._policy.channel_life_s
        token = channel.mint(self._key, opening.id, self._record.key, int(now + life_s + _TOKEN_SLACK_S))
        calendar = self._outside.calendar
        try:
            watch = calendar.watch(self._record.calendar, opening.id, token, self._address, life_s)
        except _NOT_OPENED:
            self.change(opening)
            raise
        opened = replace(
            opening, state=ChannelState.OPEN, resource_id=watch.resource_id, expires_at=watch.expires_at
        )
        self.change(opening, new=opened)
        wake(self._outside.queue, self._outside.clock, self._policy.buckets, self._record.key)
        return opened

    def change(self, *gone: Channel, new: Channel | None = None) -> None:
        gone_ids = {each.id for each in gone}

        def body(record: CalendarRecord | None, _now: float) -> CalendarRecord:
            if record is None:
                raise Transient(f"calendar {self._record.key} is not in the store any more")
            others = tuple(each for each in record.channels if each.id not in gone_ids)
            if new is None:
                return replace(record, channels=others)
            greeted_at = max((each.greeted_at for each in record.channels if each.id == new.id), default=0.0)
            return replace(record, channels=(*others, replace(new, greeted_at=greeted_at)))

        self._outside.store.tend(self._record.key, body)
