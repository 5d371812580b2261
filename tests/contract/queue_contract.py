"""What every queue promises. An adapter inherits QueueContract and says, by fixtures, how to reach its queue.

`queue` is empty. `clock` tells its time and `pass_time` lets seconds of it pass. `deliver` has everything that is
due delivered to a worker that accepts it, and tells the subjects. `reopened` is the queue as another process, or
this one after a restart, sees it.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sync.ports import Clock, Queue, Task

DAY_S = 86400.0

PassTime = Callable[[float], None]
Deliver = Callable[[], list[str]]
Reopened = Callable[[], Queue]


def task(name: str, due_at: float, subject: str = "a") -> Task:
    return Task(name, "sync", subject, due_at)


class QueueContract:
    def test_a_task_is_delivered_once_it_is_due(
        self, queue: Queue, clock: Clock, pass_time: PassTime, deliver: Deliver
    ) -> None:
        assert queue.create(task("one", clock.now() + 10))
        pass_time(9)
        assert deliver() == []
        pass_time(1)
        assert deliver() == ["a"]
        assert deliver() == []

    def test_a_task_that_was_due_already_is_delivered(
        self, queue: Queue, clock: Clock, deliver: Deliver
    ) -> None:
        assert queue.create(task("one", clock.now() - 100))
        assert deliver() == ["a"]

    def test_a_name_is_taken_while_its_task_waits_and_the_first_task_counts(
        self, queue: Queue, clock: Clock, deliver: Deliver
    ) -> None:
        assert queue.create(task("one", clock.now(), "first"))
        assert not queue.create(task("one", clock.now(), "second"))
        assert queue.create(task("two", clock.now(), "other"))
        assert sorted(deliver()) == ["first", "other"]

    def test_a_name_stays_taken_for_a_day_after_its_task_was_done(
        self, queue: Queue, clock: Clock, pass_time: PassTime, deliver: Deliver
    ) -> None:
        queue.create(task("one", clock.now()))
        deliver()
        pass_time(DAY_S - 60)
        assert not queue.create(task("one", clock.now()))
        assert deliver() == []
        pass_time(61)
        assert queue.create(task("one", clock.now()))
        assert deliver() == ["a"]

    def test_a_task_outlives_the_process_that_created_it(
        self, queue: Queue, clock: Clock, reopened: Reopened, deliver: Deliver
    ) -> None:
        queue.create(task("one", clock.now()))
        assert not reopened().create(task("one", clock.now()))
        assert deliver() == ["a"]
        assert not reopened().create(task("one", clock.now()))

    def test_of_many_that_create_one_name_at_once_one_succeeds(
        self, queue: Queue, clock: Clock, deliver: Deliver
    ) -> None:
        together = threading.Barrier(4)

        def create(_: int) -> bool:
            together.wait()
            return queue.create(task("one", clock.now()))

        with ThreadPoolExecutor(4) as workers:
            assert sorted(workers.map(create, range(4))) == [False, False, False, True]
        assert deliver() == ["a"]
