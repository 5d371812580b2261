"""A wake is a durable request to look at one calendar; a burst of them is one. Pure names and times.

A wake is named by its calendar and a time bucket, and is due at the END of the bucket plus a margin larger than
clock skew: no wake fires before the last notification it stands for. One that fired at once would deduplicate
later notifications away. Names are never used twice.
"""

import hashlib
import math
from dataclasses import dataclass, replace

from sync.ports import Clock, Queue, Task

_ATTEMPTS = 3
_STORM = 6  # buckets without a silent one


@dataclass(frozen=True, slots=True)
class Buckets:
    """How wakes coalesce: bucket length and margin, in seconds."""

    bucket_s: float = 5.0
    margin_s: float = 2.0

    @property
    def settle_s(self) -> float:
        """By then a wake asked for now has been due."""
        return 2 * self.bucket_s + self.margin_s

    def after(self, burst_s: float) -> "Buckets":
        """The buckets for a calendar that has not come to rest for so long: twice, then four times as long."""
        factor = 1 + (burst_s >= _STORM * self.bucket_s) + 2 * (burst_s >= 2 * _STORM * self.bucket_s)
        return replace(self, bucket_s=factor * self.bucket_s)

    def task(self, calendar_key: str, at: float, notified_at: float = 0.0) -> Task:
        """The wake for the bucket that `at` (seconds since the epoch) falls into.

        One that a notification asks for has a name of its own: a wake of ours in the same bucket, which knows of
        no notification, must not stand for it.
        """
        number = math.floor(at / self.bucket_s)
        due_at = (number + 1) * self.bucket_s + self.margin_s
        whose = ("notified",) if notified_at else ()
        name = _name(calendar_key, *whose, self.bucket_s, number)
        return Task(name, "sync", calendar_key, due_at, notified_at=notified_at)


def wake(
    queue: Queue,
    clock: Clock,
    buckets: Buckets,
    calendar_key: str,
    at: float | None = None,
    notified_at: float = 0.0,
) -> Task:
    """Ask for a look at this calendar, now or at `at`. Returns only when that request is durable.

    `notified_at` is when the notification came that asks for it, or 0. "It exists already" stands for us only
    if it was said before that wake was due: afterwards it may have run before our change. Raises Transient when
    the queue does not answer.
    """
    for _ in range(_ATTEMPTS):
        task = buckets.task(calendar_key, max(clock.now(), at or 0.0), notified_at)
        if queue.create(task) or clock.now() < task.due_at:
            return task
    late = _straggler(task, clock.now())
    queue.create(late)
    return late


def after_lease(
    calendar_key: str, fence: int, generation: int, lease_ends_at: float, notified_at: float = 0.0
) -> Task:
    """The wake that looks again just after the lease with this fence has ended, unless it was served before."""
    return Task(
        name=_name(calendar_key, "fence", fence, lease_ends_at),  # a lease that was renewed ends later
        kind="sync",
        subject=calendar_key,
        due_at=lease_ends_at + 0.5,
        generation=generation,
        notified_at=notified_at,
    )


def hello(calendar_key: str, channel_id: str, now: float) -> Task:
    """Not a wake: notes that the first message of this channel has arrived. Nothing is listed for it."""
    return Task(_name(calendar_key, "hello", channel_id), "hello", f"{calendar_key}.{channel_id}", now)


def _straggler(task: Task, now: float) -> Task:
    """A queue so slow that every bucket was over before it answered: a name of its own, due at once."""
    return replace(task, name=_name(task.subject, "late", now), due_at=now)


def _name(calendar_key: str, *parts: object) -> str:
    """A hash first: sequential names slow Cloud Tasks down (CreateTaskRequest)."""
    text = "\0".join((calendar_key, *map(str, parts)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
