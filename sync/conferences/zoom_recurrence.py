"""RRULE lines as Zoom's `recurrence` object, and where Zoom then has the occurrences. Pure.

Facts are from Zoom's Meetings API, "Update a meeting". What Zoom could only take in part is Unsupported: a series
that meets on other days than its event is worse than one that keeps its old ones.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice
from zoneinfo import ZoneInfo

from sync.errors import Unsupported

MOST = 60  # occurrences of a series that ends: the limit of `end_times`
_TYPES = {"DAILY": 1, "WEEKLY": 2, "MONTHLY": 3}
_WIDEST = {"DAILY": 99, "WEEKLY": 50, "MONTHLY": 10}
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST"}
_PARTS_OF = {"DAILY": set[str](), "WEEKLY": {"BYDAY"}, "MONTHLY": {"BYDAY", "BYMONTHDAY", "BYSETPOS"}}
_DAYS = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")  # Zoom counts them from 1
_NTH = re.compile(r"([+-]?\d{1,2})?(SU|MO|TU|WE|TH|FR|SA)", re.ASCII)
_SURE_MONTH_DAY = 28  # what Zoom does in a month without a 31st no document says
_MONTHS_LIMIT = 1200


@dataclass(frozen=True, slots=True)
class Series:
    """A series as Zoom can have it. `excluded`: starts that the rule has, and the event has not; aware, in UTC."""

    recurrence: Mapping[str, object]
    excluded: tuple[datetime, ...]
    first: datetime  # local, without a zone
    zone: ZoneInfo

    def starts(self) -> Iterator[datetime]:
        """Where the rule has its occurrences, excluded ones too; aware, in UTC. May be endless."""
        most = self.recurrence.get("end_times", 0)
        until = self.recurrence.get("end_date_time")
        last = datetime.fromisoformat(str(until)) if until else None
        for local in islice(_candidates(self.recurrence, self.first), int(str(most)) or None):
            start = local.replace(tzinfo=self.zone).astimezone(UTC)
            if last and start > last:
                return
            yield start


def mapped(lines: Sequence[str], start: datetime, zone: ZoneInfo) -> Series:
    """The series that starts at `start` and repeats as Google's lines say. Raises Unsupported."""
    rules = [line.partition(":")[2] for line in lines if re.match(r"RRULE[:;]", line)]
    excluded = [line for line in lines if re.match(r"EXDATE[:;]", line)]
    if len(rules) != 1 or len(rules) + len(excluded) != len(lines):
        raise Unsupported("Zoom knows one rule of repetition, and no single dates beside it")
    first = start.astimezone(zone).replace(tzinfo=None)
    parts = dict(part.split("=", 1) for part in rules[0].upper().split(";") if "=" in part)
    recurrence = {**_pattern(parts, first), **_end(parts, zone)}
    series = Series(recurrence, tuple(_moments(excluded, first, zone)), first, zone)
    if next(series.starts(), None) != start.astimezone(UTC):
        raise Unsupported("the first occurrence is not one of its rule, which Zoom cannot express")
    if recurrence.get("end_times") != 0 and len(list(islice(series.starts(), MOST + 1))) > MOST:
        raise Unsupported(f"Zoom has at most {MOST} occurrences in a series that ends")
    return series


# --- from RRULE ---


def _pattern(parts: Mapping[str, str], first: datetime) -> dict[str, object]:
    frequency = parts.get("FREQ", "")
    if frequency not in _TYPES:
        raise Unsupported("Zoom repeats daily, weekly or monthly only")
    if set(parts) - _PARTS - _PARTS_OF[frequency]:
        raise Unsupported(f"Zoom cannot combine such parts in a {frequency.lower()} rule")
    every = _number(parts.get("INTERVAL", "1"))
    if not 1 <= every <= _WIDEST[frequency]:
        raise Unsupported(
            f"Zoom repeats a {frequency.lower()} series at intervals of 1 to {_WIDEST[frequency]}"
        )
    pattern: dict[str, object] = {"type": _TYPES[frequency], "repeat_interval": every}
    if frequency == "WEEKLY":
        pattern["weekly_days"] = _weekly_days(parts, first, every)
    if frequency == "MONTHLY":
        pattern.update(_monthly(parts, first))
    return pattern


def _weekly_days(parts: Mapping[str, str], first: datetime, every: int) -> str:
    names = parts["BYDAY"].split(",") if "BYDAY" in parts else [_DAYS[first.isoweekday() % 7]]
    if not set(names) <= set(_DAYS):
        raise Unsupported("Zoom knows days of the week, not the nth of them, in a weekly rule")
    # A guess from the numbering of its days: Zoom's week begins on Sunday. A rule's begins on Monday unless told.
    week = parts.get("WKST", "MO")
    alike = week == "SU" or (week == "MO" and "SU" not in names)
    if every > 1 and len(set(names)) > 1 and not alike:
        raise Unsupported(
            "every few weeks, on days around the turn of the week: Zoom's weeks begin on Sunday"
        )
    return ",".join(str(number) for number, name in enumerate(_DAYS, 1) if name in names)


def _monthly(parts: Mapping[str, str], first: datetime) -> dict[str, object]:
    if "BYDAY" not in parts:
        day = _number(parts.get("BYMONTHDAY", str(first.day)))
        if not 1 <= day <= _SURE_MONTH_DAY or "BYSETPOS" in parts:
            raise Unsupported(
                f"Zoom repeats surely only on one day of the month, from 1 to {_SURE_MONTH_DAY}"
            )
        return {"monthly_day": day}
    found = _NTH.fullmatch(parts["BYDAY"])
    nth = _number(parts.get("BYSETPOS") or (found[1] if found else "") or "0")
    twice = bool(found and found[1] and "BYSETPOS" in parts)
    if found is None or twice or "BYMONTHDAY" in parts or nth not in (-1, 1, 2, 3, 4):
        raise Unsupported("Zoom repeats on the first to fourth or last of one weekday in a month")
    return {"monthly_week": nth, "monthly_week_day": _DAYS.index(found[2]) + 1}


def _end(parts: Mapping[str, str], zone: ZoneInfo) -> dict[str, object]:
    if "COUNT" in parts:
        times = _number(parts["COUNT"])
        if not 1 <= times <= MOST:
            raise Unsupported(f"Zoom has at most {MOST} occurrences in a series that ends")
        return {"end_times": times}
    if "UNTIL" in parts:
        text = parts["UNTIL"]
        until = _moment(text if "T" in text else f"{text}T235959", zone)
        return {"end_date_time": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
    return {"end_times": 0}  # by Zoom's specification a series without an end


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Unsupported("the rule of repetition cannot be read") from None


def _moments(lines: Sequence[str], first: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The starts that EXDATE lines name; a date alone means the occurrence of that day."""
    for line in lines:
        head, _, values = line.partition(":")
        named = re.search(r"TZID=([^;:]+)", head)
        try:
            there = ZoneInfo(named[1]) if named else zone
        except (ValueError, OSError, KeyError):  # no such name here
            raise Unsupported("an excluded date is in a time zone that nobody knows") from None
        for value in values.split(","):
            yield _moment(value if "T" in value else f"{value}T{first:%H%M%S}", there)


def _moment(text: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
        return moment.replace(tzinfo=UTC if text.endswith("Z") else zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unsupported("a date of the rule of repetition cannot be read") from None


# --- where Zoom has them ---


def _candidates(pattern: Mapping[str, object], first: datetime) -> Iterator[datetime]:
    """The local starts of a pattern from `first` on, without regard to its end."""
    every = int(str(pattern["repeat_interval"]))
    match pattern:
        case {"weekly_days": str(listed)}:
            days = _weeks(first.date(), every, [int(day) - 1 for day in listed.split(",")])
        case {"type": 1}:
            days = (first.date() + timedelta(days=every * each) for each in count())
        case _:
            days = _months(first.date(), every, pattern)
    return (datetime.combine(day, first.time()) for day in days if day >= first.date())


def _weeks(first: date, every: int, days: Sequence[int]) -> Iterator[date]:
    sunday = first - timedelta(days=first.isoweekday() % 7)
    for week in count():
        yield from (sunday + timedelta(days=7 * every * week + day) for day in days)


def _months(first: date, every: int, pattern: Mapping[str, object]) -> Iterator[date]:
    for month in range(0, _MONTHS_LIMIT, every):
        year, index = divmod(first.year * 12 + first.month - 1 + month, 12)
        match pattern:
            case {"monthly_day": int(day)}:
                yield date(year, index + 1, day)
            case {"monthly_week": int(nth), "monthly_week_day": int(weekday)}:
                length = monthrange(year, index + 1)[1]
                such = [
                    day
                    for day in range(1, length + 1)
                    if date(year, index + 1, day).isoweekday() % 7 == weekday - 1
                ]
                yield date(year, index + 1, such[nth - 1 if nth > 0 else nth])
