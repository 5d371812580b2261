"""Wakes: a burst is one, none fires before the last notification it stands for, and none is swallowed."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import Transient
from sync.ports import Task
from sync.wake import Buckets, after_lease, wake
from tests.clock import ManualClock

BUCKETS = Buckets(bucket_s=5.0, margin_s=2.0)
START = 1_900_000_000.0  # the beginning of a bucket

times = st.floats(1.5e9, 4e9)
all_buckets = st.builds(Buckets, st.sampled_from([1.0, 5.0, 10.0, 20.0]), st.floats(0.5, 10))
calendars = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=1)


class SlowQueue:
    """A queue that remembers names for ever, and during whose calls the clock goes on."""

    def __init__(self, clock: ManualClock, *, takes: Iterable[float] = ()) -> None:
        self.tasks: dict[str, Task] = {}
        self.calls = 0
        self._clock = clock
        self._takes = iter(takes)

    def create(self, task: Task) -> bool:
        self.calls += 1
        self._clock.advance(next(self._takes, 0.0))
        return self.tasks.setdefault(task.name, task) is task


class DeadQueue:
    def create(self, _task: Task) -> bool:
        raise Transient("no answer")


def woken(queue: SlowQueue) -> list[float]:
    """When the queue's wakes are due, in seconds after the start."""
    return [task.due_at - START for task in queue.tasks.values()]


# --- Buckets ---


@given(all_buckets, calendars, times)
def test_a_wake_is_due_a_margin_after_the_end_of_its_bucket(
    buckets: Buckets, calendar_key: str, at: float
) -> None:
    wait = buckets.task(calendar_key, at).due_at - at
    assert buckets.margin_s - 1e-6 < wait <= buckets.bucket_s + buckets.margin_s + 1e-6


@given(all_buckets, calendars, times, st.floats(0, 60))
def test_no_wake_is_due_before_any_moment_it_stands_for(
    buckets: Buckets, calendar_key: str, at: float, later: float
) -> None:
    one, other = buckets.task(calendar_key, at), buckets.task(calendar_key, at + later)
    if one.name == other.name:
        assert one == other
        assert one.due_at > at + later


@given(all_buckets, calendars, times, st.integers(1, 10_000))
def test_names_are_not_used_twice_in_later_buckets(
    buckets: Buckets, calendar_key: str, at: float, number: int
) -> None:
    later = buckets.task(calendar_key, at + number * buckets.bucket_s)
    assert later.name != buckets.task(calendar_key, at).name


@given(all_buckets, calendars, times)
def test_a_wake_of_ours_never_stands_for_a_notification_of_the_same_bucket(
    buckets: Buckets, calendar_key: str, at: float
) -> None:
    ours, notified = buckets.task(calendar_key, at), buckets.task(calendar_key, at, notified_at=at)
    assert ours.name != notified.name
    assert replace(notified, name=ours.name, notified_at=0.0) == ours


@given(calendars, calendars, times)
def test_no_two_calendars_share_a_wake(one: str, other: str, at: float) -> None:
    shared = BUCKETS.task(one, at).name == BUCKETS.task(other, at).name
    assert shared is (one == other)


def test_longer_buckets_in_a_storm_do_not_meet_the_names_of_shorter_ones() -> None:
    names = {Buckets(length).task("cal", at).name for length in (5.0, 10.0) for at in (0.0, 5.0, 10.0, 15.0)}
    assert len(names) == 6


@given(all_buckets, calendars, times)
def test_a_wake_asked_for_now_has_been_due_when_it_is_said_to_be_settled(
    buckets: Buckets, calendar_key: str, at: float
) -> None:
    assert buckets.task(calendar_key, at).due_at <= at + buckets.settle_s


# --- Asking for a wake ---


def test_a_burst_is_one_wake() -> None:
    clock = ManualClock(START)
    queue = SlowQueue(clock)
    for _ in range(49):
        wake(queue, clock, BUCKETS, "cal")
        clock.advance(0.1)
    assert woken(queue) == [7.0]


def test_a_wake_may_be_asked_for_later() -> None:
    clock = ManualClock(START)
    queue = SlowQueue(clock)
    wake(queue, clock, BUCKETS, "cal", START + 3601)
    assert woken(queue) == [3607.0]


def test_a_wake_for_a_moment_that_has_passed_is_for_now() -> None:
    clock = ManualClock(START)
    queue = SlowQueue(clock)
    wake(queue, clock, BUCKETS, "cal", START - 3600)
    assert woken(queue) == [7.0]


def test_it_exists_already_is_good_news_before_that_wake_is_due() -> None:
    clock = ManualClock(START)
    queue = SlowQueue(clock, takes=[0.0, 6.9])
    wake(queue, clock, BUCKETS, "cal")
    wake(queue, clock, BUCKETS, "cal")
    assert (queue.calls, woken(queue)) == (2, [7.0])


def test_it_exists_already_is_no_news_once_that_wake_was_due() -> None:
    """It may have run before our change: another is made, in the bucket that it is by then."""
    clock = ManualClock(START)
    queue = SlowQueue(clock, takes=[0.0, 7.0])
    wake(queue, clock, BUCKETS, "cal")
    wake(queue, clock, BUCKETS, "cal")
    assert (queue.calls, woken(queue)) == (3, [7.0, 12.0])


def test_a_wake_that_was_made_late_was_made() -> None:
    clock = ManualClock(START)
    queue = SlowQueue(clock, takes=[60.0])
    wake(queue, clock, BUCKETS, "cal")
    assert (queue.calls, woken(queue)) == (1, [7.0])


class Rival(SlowQueue):
    """Somebody else has always made the wake of the bucket just before, and the queue is slow to say so."""

    def create(self, task: Task) -> bool:
        if task.due_at > self._clock.now():
            self.tasks[task.name] = task
            self._clock.advance(8.0)
            self.calls += 1
            return False
        return super().create(task)


def test_after_so_many_vain_attempts_a_wake_of_its_own_is_made_due_at_once() -> None:
    clock = ManualClock(START)
    queue = Rival(clock)
    wake(queue, clock, BUCKETS, "cal", notified_at=START)
    *vain, straggler = queue.tasks.values()
    assert (queue.calls, len(vain)) == (4, 3)
    assert straggler == Task(straggler.name, "sync", "cal", clock.now(), notified_at=START)


def test_a_queue_that_does_not_answer_is_not_taken_for_one_that_did() -> None:
    with pytest.raises(Transient):
        wake(DeadQueue(), ManualClock(), BUCKETS, "cal")


@given(st.lists(st.floats(0, 20), max_size=30), st.lists(st.floats(0, 8), min_size=1, max_size=10))
def test_whatever_the_queue_takes_a_wake_runs_after_every_change(
    takes: list[float], pauses: list[float]
) -> None:
    """Each call returns with a wake in the queue that is due after the change it was made for."""
    clock = ManualClock(START)
    queue = SlowQueue(clock, takes=takes)
    for pause in pauses:
        clock.advance(pause)
        changed_at = clock.now()
        wake(queue, clock, BUCKETS, "cal")
        assert max(task.due_at for task in queue.tasks.values()) > changed_at


# --- Just after a lease ---


def test_the_wake_after_a_lease_is_due_when_it_is_over_and_knows_its_generation() -> None:
    task = after_lease("cal", 7, 3, START + 90, notified_at=START)
    assert (task.kind, task.subject, task.generation, task.notified_at) == ("sync", "cal", 3, START)
    assert START + 90 < task.due_at < START + 92


def test_each_lease_has_one_wake_after_it() -> None:
    assert after_lease("cal", 7, 3, START).name == after_lease("cal", 7, 4, START).name
    assert len({after_lease(key, fence, 3, START).name for key in ("a", "b") for fence in (7, 8)}) == 4


@given(st.integers(0, 400_000_000))
def test_the_wake_after_a_lease_never_bears_the_name_of_a_bucket(fence: int) -> None:
    assert after_lease("cal", fence, 1, 0.0).name != BUCKETS.task("cal", fence * 5.0).name
