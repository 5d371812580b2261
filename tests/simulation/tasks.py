"""A queue in memory that behaves as Cloud Tasks does: at least once, in no order, names that stay taken."""

from collections.abc import Callable

from sync.errors import SyncError
from sync.ports import Task
from tests.simulation.process import Nature
from tests.simulation.schedule import Killed

_TWICE = 0.02
_GIVEN_UP_ON_S = 60.0  # without an answer, a task is sent again


class Tasks:
    """Keeps tasks and sends each to `work` until that returns."""

    def __init__(self, nature: Nature, work: Callable[[Task], None]) -> None:
        self._nature = nature
        self._work = work
        self._names: set[str] = set()

    def create(self, task: Task) -> bool:
        if task.name in self._names:
            return False
        self._names.add(task.name)
        nature = self._nature
        nature.chronicle.counts["task"] += 1
        delay = nature.rng.random()
        if nature.rng.random() < nature.weather.late_task:
            nature.chronicle.counts["task late"] += 1
            delay += nature.rng.uniform(10.0, 300.0)
        self._send(task, max(task.due_at - nature.schedule.now, 0.0) + delay)
        if nature.rng.random() < _TWICE:
            nature.chronicle.counts["task twice"] += 1
            self._send(task, max(task.due_at - nature.schedule.now, 0.0) + nature.rng.uniform(0.0, 60.0))
        return True

    def _send(self, task: Task, in_s: float, attempt: int = 1) -> None:
        def run() -> None:
            again_in = self._attempt(task, attempt)
            if again_in is not None:
                self._nature.chronicle.counts["task tried again"] += 1
                self._send(task, again_in, attempt + 1)

        self._nature.schedule.start(in_s, run)

    def _attempt(self, task: Task, attempt: int) -> float | None:
        """None when it was accepted; else when to try again."""
        try:
            self._work(task)
        except Killed:
            return _GIVEN_UP_ON_S
        except SyncError:
            return min(300.0, 2.0**attempt)
        return None
