"""One calendar's channels: opened before they are needed, stopped when they are superfluous, never lost sight of.

A channel is written down before the watch call, so that one whose answer is lost is still known by its id; its
first notification may come before the answer, and its token needs no record to be verified. Google has no list of
channels: what we lose sight of goes on until it lapses.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from sync import channel
from sync.channel import Channel, ChannelState, Due, Key, Keys, Wish
from sync.errors import AccessLost, RateLimited, Refused, SyncError, Transient, Unsupported
from sync.policy import Policy
from sync.ports import CalendarRecord, Outside, Store
from sync.wake import wake

Revision = Callable[[CalendarRecord | None, float], CalendarRecord]

_TOKEN_SLACK_S = 86400.0  # a token outlives the channel we ask for: its last notification may be late
_NOT_OPENED = (AccessLost, RateLimited, Refused, Unsupported)  # after any other failure nobody knows
_FIRST_WAIT_S, _LONGEST_WAIT_S = 240.0, 3600.0  # from one attempt to open a channel to the next
_UNWATCHABLE_S = 7 * 86400.0  # ... of a calendar that Google says it does not watch
_UNFINISHED = 30  # openings that are remembered until they are stopped, or over


class Watching:
    """The channels of one calendar, and what they should be like."""

    def __init__(
        self,
        outside: Outside,
        policy: Policy,
        key: Key | None,
        known: Keys,
        record: CalendarRecord,
        address: str,
    ) -> None:
        """`key` signs the tokens of new channels. None: an empty address wants none."""
        self.record = record
        self.watched = bool(address)
        self._outside = outside
        self._policy = policy
        self._key = key
        ids = [each.id for each in known.oldest_first]
        signing = key.id if key else ""
        fresh_ids = ids[ids.index(signing) :] if signing in ids else [signing]
        self._wish = Wish(address, record.calendar.subject, ids, fresh_ids, channel.share_left(record.key))

    def due(self, now: float) -> Due:
        """What is to be done about them."""
        return channel.due(self.record.channels, now, self._wish)

    def may_open(self, record: CalendarRecord, now: float) -> bool:
        """Whether one is to be opened, and it is time to try. What cannot be read cannot be watched either."""
        return (
            now >= record.watch_after
            and not record.frozen
            and channel.due(record.channels, now, self._wish).open_one
        )

    def open_if_due(self) -> bool:
        """False, and nothing done, if another run was first. Raises as `open_one`."""
        return self._open(only_if_due=True) is not None

    def open_one(self) -> Channel:
        """Whatever there is already. Raises as Calendar.watch, and as the store and the queue."""
        opened = self._open(only_if_due=False)
        assert opened is not None
        return opened

    def _open(self, *, only_if_due: bool) -> Channel | None:
        assert self._key is not None, "whoever opens a channel signs its token"
        opening = self._written_ahead(self._key.id, only_if_due=only_if_due)
        if opening is None:
            return None
        token = channel.mint(self._key, opening.id, self.record.key, int(opening.expires_at + _TOKEN_SLACK_S))
        try:
            watch = self._outside.calendar.watch(
                self.record.calendar, opening.id, token, opening.address, self._policy.channel_life_s
            )
        except _NOT_OPENED as error:
            self._was_not_opened(opening, error)
            raise
        opened = replace(
            opening, state=ChannelState.OPEN, resource_id=watch.resource_id, expires_at=watch.expires_at
        )
        # What changed while nobody watched is to be found: the pass is sure before the channel counts.
        wake(self._outside.queue, self._outside.clock, self._policy.buckets, self.record.key)
        self.change(opening, new=opened, revise=_opened)
        return opened

    def _written_ahead(self, key_id: str, *, only_if_due: bool) -> Channel | None:
        """At the store's time, and as if it had failed already: so nobody else tries meanwhile, or soon after."""
        channel_id = uuid.uuid4().hex

        def body(record: CalendarRecord | None, now: float) -> CalendarRecord:
            record = self._known(record)
            if only_if_due and not self.may_open(record, now):
                return record
            opening = Channel(
                id=channel_id,
                state=ChannelState.OPENING,
                address=self._wish.address,
                key_id=key_id,
                subject=self._wish.subject,
                opened_at=now,
                expires_at=now + self._policy.channel_life_s,  # Google grants no more than was asked for
            )
            failures = record.watch_failures + 1
            return replace(
                record,
                channels=_bounded((*record.channels, opening)),
                watch_failures=failures,
                watch_after=now + min(_FIRST_WAIT_S * 2.0 ** min(failures - 1, 30), _LONGEST_WAIT_S),
            )

        self.record = self._outside.store.tend(self.record.key, body)
        return next((each for each in self.record.channels if each.id == channel_id), None)

    def _was_not_opened(self, opening: Channel, error: SyncError) -> None:
        """Should this be lost too, the opening is stopped like one whose answer was lost."""
        unwatchable = str(error) if isinstance(error, Unsupported) else ""

        def revise(record: CalendarRecord, now: float) -> CalendarRecord:
            after = now + _UNWATCHABLE_S if unwatchable else record.watch_after
            return replace(record, unwatchable=unwatchable, watch_after=after)

        with suppress(Transient):
            self.change(opening, revise=revise)

    def stop(self, superfluous: Channel) -> bool:
        """As whoever opened it. False: they may do so no more, and it is left to lapse. Raises Transient."""
        try:
            self._outside.calendar.stop(superfluous)
        except AccessLost:
            self.change(superfluous, new=replace(superfluous, lapsing=True))
            return False
        self.change(superfluous)
        return True

    def change(
        self,
        *gone: Channel,
        new: Channel | None = None,
        revise: Callable[[CalendarRecord, float], CalendarRecord] = lambda record, _: record,
    ) -> None:
        """Take these out of the record, and put this one in. Raises as the store."""
        gone_ids = {each.id for each in gone}

        def body(record: CalendarRecord | None, now: float) -> CalendarRecord:
            record = revise(self._known(record), now)
            others = tuple(each for each in record.channels if each.id not in gone_ids)
            if new is None:
                return replace(record, channels=others)
            greeted_at = max((each.greeted_at for each in record.channels if each.id == new.id), default=0.0)
            return replace(record, channels=(*others, replace(new, greeted_at=greeted_at)))

        self.record = self._outside.store.tend(self.record.key, body)

    def _known(self, record: CalendarRecord | None) -> CalendarRecord:
        if record is None:
            raise Transient(f"calendar {self.record.key} is not in the store any more")
        return record


def _opened(record: CalendarRecord, _now: float) -> CalendarRecord:
    return replace(record, unwatchable="", watch_after=0.0, watch_failures=0)


def _bounded(channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
    """Only so many of those that nobody knows anything of: the latest."""
    unfinished = [each for each in channels if each.state is ChannelState.OPENING]
    too_many = unfinished[:-_UNFINISHED]
    return tuple(each for each in channels if each not in too_many)


# --- One calendar at a time ---


def look_after(
    outside: Outside, policy: Policy, key: Key, known: Keys, record: CalendarRecord, address: str
) -> None:
    """Bring one calendar's channels to the wanted state. Trouble is left to the next converge."""
    watching = Watching(outside, policy, key, known, record, address)
    now = outside.clock.now()
    with suppress(SyncError):
        if watching.may_open(record, now):
            watching.open_if_due()
    _stop(watching, now)


def _stop(watching: Watching, now: float) -> None:
    for superfluous in watching.due(now).stop:
        with suppress(SyncError):
            watching.stop(superfluous)


def renew(store: Store, record: CalendarRecord) -> None:
    """Have the next converge open a new channel, however often that has failed, and then stop the others."""

    def body(stands: CalendarRecord | None, _now: float) -> CalendarRecord:
        stands = stands or record
        return replace(
            stands, channels=tuple(replace(each, spent=True) for each in stands.channels), watch_after=0.0
        )

    store.tend(record.key, body)


def stop_all(outside: Outside, policy: Policy, record: CalendarRecord) -> None:
    """The end of a calendar's channels. Trouble is left to the next converge."""
    _stop(Watching(outside, policy, None, Keys(()), record, ""), outside.clock.now())


@contextmanager
def trial(
    outside: Outside, policy: Policy, key: Key, record: CalendarRecord, address: str, life_s: float
) -> Iterator[Channel]:
    """A channel beside the others, to see whether its first message comes. Raises as Calendar.watch.

    Should we die, it lapses by itself, or converge stops it: it is written down like any other.
    """
    short = replace(policy, channel_life_s=life_s)
    watching = Watching(outside, short, key, Keys((key,)), record, address)
    opened = watching.open_one()
    try:
        yield opened
    finally:
        with suppress(SyncError):
            watching.stop(opened)


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
