"""A notification becomes a wake, or nothing: all that the public door does.

A refusal costs no I/O at all. It is counted in memory, and the count is told with the next genuine notification.
"""

from dataclasses import dataclass
from enum import Enum, auto

from sync import notification
from sync.channel import TokenProblem
from sync.keyfile import KeyFile
from sync.notification import Headers, Rejection
from sync.ports import Clock, Queue
from sync.wake import Buckets, hello, wake


class Reception(Enum):
    """What became of a notification."""

    WOKEN = auto()  # a wake is durable
    HELLO = auto()  # a new channel's first message, noted: that notifications arrive
    REFUSED = auto()  # not from a channel of ours
    NOT_YET = auto()  # signed with a key that the next reading of the keys may bring: Google shall ask again


_BURSTS = 10_000  # calendars, and new channels, an instance remembers: more than it ever hears of at once


@dataclass(frozen=True, slots=True)
class _Burst:
    """Notifications of one calendar that no silent bucket parts. Times are seconds since the epoch, ours."""

    began_at: float
    covered_until: float  # the end of the bucket whose wake is durable
    bucket_s: float

    def covers(self, now: float) -> bool:
        return self.began_at <= now < self.covered_until

    def goes_on(self, now: float) -> bool:
        return self.began_at <= now < self.covered_until + self.bucket_s


class Receiver:
    """The public door's one use case. Safe for many threads."""

    def __init__(self, keys: KeyFile, queue: Queue, clock: Clock, buckets: Buckets) -> None:
        self._keys = keys
        self._queue = queue
        self._clock = clock
        self._buckets = buckets
        self._refused = 0
        self._bursts: dict[str, _Burst] = {}
        self._greeted: dict[str, None] = {}

    def receive(self, headers: Headers) -> Reception:
        """Authenticate, route and acknowledge only what is durable. Raises Transient: Google sends it again."""
        read = notification.read(headers, self._keys.keys, self._clock.now())
        if isinstance(read, Rejection):
            if read.reason is TokenProblem.UNKNOWN_KEY and self._keys.may_yet_know(read.key_id):
                return Reception.NOT_YET
            self._refused += 1
            return Reception.REFUSED
        if read.is_sync:
            self._greet(read.calendar_key, read.channel_id)
            return Reception.HELLO
        self._wake(read.calendar_key)
        return Reception.WOKEN

    def _greet(self, calendar_key: str, channel_id: str) -> None:
        """Once for each channel, however often it says hello."""
        if channel_id not in self._greeted:
            self._queue.create(hello(calendar_key, channel_id, self._clock.now()))
            self._greeted[channel_id] = None
            if len(self._greeted) > _BURSTS:
                self._greeted.pop(next(iter(self._greeted)), None)

    def _wake(self, calendar_key: str) -> None:
        """One wake for each bucket: the one made durable for it stands for all of its notifications."""
        now = self._clock.now()
        burst = self._bursts.pop(calendar_key, None)
        if burst is None or not burst.covers(now):
            began_at = burst.began_at if burst is not None and burst.goes_on(now) else now
            buckets = self._buckets.after(now - began_at)
            task = wake(self._queue, self._clock, buckets, calendar_key, notified_at=now)
            burst = _Burst(began_at, task.due_at - buckets.margin_s, buckets.bucket_s)
        self._bursts[calendar_key] = burst
        if len(self._bursts) > _BURSTS:
            self._bursts.pop(next(iter(self._bursts)), None)

    def refused(self) -> int:
        """How many were refused since this was last asked."""
        count, self._refused = self._refused, 0
        return count
