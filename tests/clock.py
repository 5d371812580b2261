"""Time that passes only when a test says so."""


class ManualClock:
    """A clock that stands still. Its two times differ, so that a test sees them mixed up."""

    def __init__(self, now: float = 1_900_000_000.0, monotonic: float = 5_000.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds

    def set_back(self, seconds: float) -> None:
        """Somebody corrects the wall clock; the other goes on."""
        self._now -= seconds
