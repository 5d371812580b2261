"""Many stories at once, in as many processes as there are cores: one that dies or hangs costs only its story."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from multiprocessing.connection import Connection, wait

from tests.simulation.story import Ending, play

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
STUCK_S = 120.0
SHARES = {"chaos": 6, "noaudit": 5, "comers": 1, "pure": 3, "channels": 1}

Title = tuple[int, str]  # a seed and its profile
Play = Callable[[int, str], Ending]

_CONTEXT = multiprocessing.get_context(
    "spawn"
)  # a forked process would miss the threads of its parent's stories


def titles(first: int, count: int, profile: str = "") -> Iterator[Title]:
    """So many stories: the number of each is its seed and says its profile, so that a run can be continued."""
    turns = [profile] if profile else [name for name, share in SHARES.items() for _ in range(share)]
    return ((number, turns[number % len(turns)]) for number in range(first, first + count))


def tell(stories: Iterable[Title], processes: int = CORES, teller: Play = play) -> Iterator[Ending]:
    """The ending of each, as it comes."""
    left = iter(stories)
    tellers = [Teller(teller, title) for title in islice(left, processes)]
    try:
        while tellers:
            ready = wait([teller.line for teller in tellers], timeout=1.0)
            for free in [each for each in tellers if each.line in ready or each.is_stuck]:
                yield free.ending()
                title = next(left, None)
                if title is None:
                    tellers.remove(free)
                    free.leave()
                else:
                    free.begin(title)
    finally:
        for each in tellers:
            each.leave()


class Teller:
    """A process that tells one story after the other; another one takes its place when it is lost."""

    def __init__(self, play: Play, title: Title) -> None:
        self._play = play
        self._hire()
        self.begin(title)

    def begin(self, title: Title) -> None:
        self._title, self._began = title, time.monotonic()
        self.line.send(title)

    @property
    def is_stuck(self) -> bool:
        return time.monotonic() > self._began + STUCK_S

    def ending(self) -> Ending:
        """How its story ended; never, if it was lost."""
        if not self.line.poll():
            return self._replaced(f"hangs for more than {STUCK_S:.0f} s")
        try:
            ending: Ending = self.line.recv()
        except (EOFError, OSError):
            self._process.join()
            return self._replaced(f"its process died ({self._process.exitcode})")
        return ending

    def leave(self) -> None:
        self._process.kill()
        self._process.join()
        self.line.close()

    def _hire(self) -> None:
        self.line, far_end = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_listen, args=(far_end, self._play), daemon=True)
        self._process.start()
        far_end.close()

    def _replaced(self, why: str) -> Ending:
        self.leave()
        self._hire()
        return Ending(*self._title, violation=why, steps=0)


def _listen(line: Connection, play: Play) -> None:
    """Tell what is asked for, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            seed, profile = line.recv()
        except EOFError:
            return
        ending = play(seed, profile)
        line.send(ending if ending.violation else replace(ending, words=[]))
