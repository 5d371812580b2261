"""A notification becomes a wake, or nothing: all that the public door does.

A refusal costs no I/O at all. It is counted in memory, and the count is told with the next genuine notification.
"""

from enum import Enum, auto

from sync import notification
from sync.channel import TokenProblem
from sync.keyfile import KeyFile
from sync.notification import Headers, Rejection
from sync.ports import Clock, Queue
from sync.wake import Buckets, wake


class Reception(Enum):
    """What became of a notification."""

    WOKEN = auto()  # a wake is durable
    HELLO = auto()  # a new channel's first message: nothing to do
    REFUSED = auto()  # not from a channel of ours
    NOT_YET = auto()  # signed with a key that the next reading of the keys may bring: Google shall ask again


class Receiver:
    """The public door's one use case. Safe for many threads."""

    def __init__(self, keys: KeyFile, queue: Queue, clock: Clock, buckets: Buckets) -> None:
        self._keys = keys
        self._queue = queue
        self._clock = clock
        self._buckets = buckets
        self._refused = 0

    def receive(self, headers: Headers) -> Reception:
        """Authenticate, route and acknowledge only what is durable. Raises Transient: Google sends it again."""
        read = notification.read(headers, self._keys.keys, self._clock.now())
        if isinstance(read, Rejection):
            if read.reason is TokenProblem.UNKNOWN_KEY and self._keys.may_yet_know(read.key_id):
                return Reception.NOT_YET
            self._refused += 1
            return Reception.REFUSED
        if read.is_sync:
            return Reception.HELLO
        wake(self._queue, self._clock, self._buckets, read.calendar_key)
        return Reception.WOKEN

    def refused(self) -> int:
        """How many were refused since this was last asked."""
        count, self._refused = self._refused, 0
        return count
