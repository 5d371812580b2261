"""A time gone by, as a person says it: so long ago, or at that moment."""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime

from sync.cli.desk import Wrong

_UNITS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_AGO = re.compile(r"(\d{1,6})(s|m|min|h|d)", re.ASCII)
_INSERT_ID = re.compile(
    r"([0-9a-f]{16})[0-9a-f]{12}", re.ASCII
)  # when it was written, in nanoseconds (sync.logs)
FORMS = "10min, 2h, 3d, a moment in UTC such as 2026-01-31T14:00, or the insertId of a log record"

Since = Callable[[float], float]


def since(text: str) -> Since:
    """For argparse: what tells the moment, in seconds since the epoch, once it is known what time it is now."""
    if text == "now":
        return lambda now: now
    if ago := _AGO.fullmatch(text):
        length_s = int(ago[1]) * _UNITS_S[ago[2]]
        return lambda now: now - length_s
    if record := _INSERT_ID.fullmatch(text):
        written_at = int(record[1], 16) / 1e9
        return lambda _: written_at
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time: {FORMS}") from None
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return lambda _: at


def past(tell: Since, now: float) -> float:
    """The moment, if it has come. Raises Wrong."""
    at = tell(now)
    if at > now:
        raise Wrong("--since names a moment that is yet to come", f"say when it began: {FORMS}")
    return at
