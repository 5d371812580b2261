"""How far a long piece of work has come: a line that moves where a person watches, elsewhere one now and then."""

import sys
import time
from types import TracebackType
from typing import Self

from sync.cli import say

_OFTEN_S, _SELDOM_S = 0.2, 10.0


class Progress:
    """On standard error. `total`: how many there will be; 0: nobody knows."""

    def __init__(self, what: str, total: int = 0) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._told_at = 0.0
        self._moves = say.takes_codes(sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if self._moves and self._told_at:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def step(self, number: int = 1, beside: str = "") -> None:
        """So many more are done."""
        self._done += number
        self.tell(beside)

    def tell(self, beside: str = "") -> None:
        """Say how far it is, unless that was just said."""
        now = time.monotonic()
        if now - self._told_at < (_OFTEN_S if self._moves else _SELDOM_S):
            return
        self._told_at = now
        line = self.line(now - self._began, beside)
        print(
            f"\r\x1b[K{line}" if self._moves else line,
            end="" if self._moves else "\n",
            file=sys.stderr,
            flush=True,
        )

    def line(self, seconds: float, beside: str = "") -> str:
        """What is done, how fast, and where the end is known, how long it still takes."""
        done = f" {self._done}/{self._total}" if self._total else f" {self._done}" if self._done else ""
        rate = self._done / seconds if seconds > 0 else 0.0
        left_s = (self._total - self._done) / rate if self._total and rate else None
        parts = [f"{self._what}{done}", f"{rate:.1f}/s" if rate else "", beside]
        if left_s is not None and self._done < self._total:
            parts.append(f"{say.span(left_s)} left")
        return ", ".join(filter(None, parts))
