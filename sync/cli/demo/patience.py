"""How the demo waits: by asking again and again, never beyond a bound, and not on when a signal says to end."""

import signal
import time
from collections.abc import Callable
from types import FrameType

_POLL_S = 0.05


class Interrupted(Exception):
    """Somebody wants us to end: Ctrl-C, a closed terminal, a supervisor."""


class Patience:
    """Takes the signals over. A handler that raised could hit the taking down, or be lost in a finaliser."""

    def __init__(self) -> None:
        self._exhausted = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, self._end)

    def until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait for it; False if it did not come in time. Raises Interrupted."""
        deadline = time.monotonic() + within_s
        while not condition():
            if self._exhausted:
                raise Interrupted
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._exhausted = True
