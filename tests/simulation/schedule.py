"""One thread runs at a time, and virtual time says which: the same seed is the same story, to the last step.

The code of production is synchronous, so every process of a story has a stack of its own: a thread. Whoever waits
runs what is due meanwhile, and hands the baton over when that is another process's turn. Nothing is preempted:
the only points at which processes overtake each other, freeze or die are their calls to the world outside.
"""

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass


class Killed(BaseException):
    """The process is gone: not an error that anything would handle."""


class Lane:
    """A thread that carries processes, one after the other."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.turn.acquire()
        self.schedule: Schedule
        self.job: Job


@dataclass(frozen=True)
class Job:
    """Something to do that may wait, and so needs a thread."""

    body: Callable[[], None]


_idle: list[Lane] = []  # threads outlive stories: starting one costs more than a step


class Schedule:
    """Virtual time, and what is due when."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.failure: BaseException | None = None
        self._due: list[tuple[float, int, Lane | Job | Callable[[], None]]] = []
        self._order = 0
        self._main = Lane()
        self._current = self._main
        self._ended = False

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do this then. It happens in one instant: it may not wait."""
        self._push(self.now + seconds, act)

    def start(self, seconds: float, body: Callable[[], None]) -> None:
        """Begin this then, as a process of its own."""
        self._push(self.now + seconds, Job(body))

    def sleep(self, seconds: float) -> None:
        """Let others have their turn until so much later."""
        lane = self._current
        if self._ended and lane is not self._main:
            raise Killed
        self._push(self.now + seconds, lane)
        other = self._next()
        if other is not lane:
            other.turn.release()
            lane.turn.acquire()
        self._current = lane
        if self._ended and lane is not self._main:
            raise Killed
        if lane is self._main and self.failure is not None:
            raise self.failure

    def end(self) -> None:
        """Everything that still waits dies where it stands."""
        self._ended = True
        waiting = [what for _, _, what in self._due if isinstance(what, Lane) and what is not self._main]
        self._due.clear()
        for lane in waiting:
            self._push(self.now, lane)
        self.failure = None
        self.sleep(0.0)

    def _push(self, when: float, what: Lane | Job | Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (when, self._order, what))

    def _next(self) -> Lane:
        """Do what is due, until it is somebody's turn."""
        while True:
            when, _, what = heapq.heappop(self._due)
            self.now = max(self.now, when)
            if isinstance(what, Lane):
                return what
            if not isinstance(what, Job):
                self._guard(what)
            elif not self._ended:
                return self._lane_for(what)

    def _lane_for(self, job: Job) -> Lane:
        """A free thread for this job."""
        if not _idle:
            fresh = Lane()
            threading.Thread(target=_carry, args=(fresh,), daemon=True).start()
            _idle.append(fresh)
        free = _idle.pop()
        free.schedule, free.job = self, job
        return free

    def _guard(self, act: Callable[[], None]) -> None:
        """What fails in a process or an act fails the story."""
        try:
            act()
        except Killed:
            return
        except BaseException as error:
            if self.failure is None:
                self.failure = error
                self._push(0.0, self._main)  # it is asleep: nobody else plays while it is awake

    def carry(self, lane: Lane) -> None:
        """One process to its end, and whatever this thread is given next, until it hands the baton over."""
        while True:
            self._current = lane
            self._guard(lane.job.body)
            _idle.append(lane)
            other = self._next()
            if other is not lane:
                other.turn.release()
                return


def _carry(lane: Lane) -> None:
    while True:
        lane.turn.acquire()
        lane.schedule.carry(lane)
