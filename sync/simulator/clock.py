"""Time is an argument: one clock, in microseconds since 1970, that can stand still, jump, and lie.

`real` follows the machine plus whatever was advanced; `frozen` moves only when told to, so that a run can be
repeated to the microsecond. A skew makes the simulated servers' idea of now differ from everybody else's.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

SECOND = 1_000_000
DAY = 24 * 3600 * SECOND
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * SECOND for year in (1971, 9000))
FROZEN_START = int(datetime(2026, 1, 5, 8, tzinfo=UTC).timestamp()) * SECOND

Mode = Literal["real", "frozen"]


class Clock:
    def __init__(self, mode: Mode = "real") -> None:
        self.mode = mode
        self.advanced_us = 0
        self.skew_us = 0

    def now(self) -> int:
        """What the simulated servers believe."""
        return self.true_now() + self.skew_us

    def true_now(self) -> int:
        start = FROZEN_START if self.mode == "frozen" else time.time_ns() // 1000
        return start + self.advanced_us

    def advance(self, seconds: float) -> None:
        self.advanced_us += self._bounded(seconds)

    def skew(self, seconds: float) -> None:
        self.skew_us = self._bounded(seconds)

    def _bounded(self, seconds: float) -> int:
        """Microseconds, if there is a date so far from now."""
        us = round(seconds * SECOND)
        if not FIRST <= self.true_now() + us < LAST:
            raise ValueError(f"there is no date {seconds:g} seconds from now")
        return us


def rfc3339(us: int) -> str:
    """2026-01-05T08:00:00.000Z: milliseconds, as every `updated` of the API has."""
    moment = datetime.fromtimestamp(us // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{us % SECOND // 1000:03d}Z"


def http_date(us: int) -> str:
    return f"{datetime.fromtimestamp(us // SECOND, UTC):%a, %d %b %Y %H:%M:%S} GMT"
