"""A series as other systems can have it: one rule, and the occurrences that are not where it says. Pure.

RFC 5545, 3.3.10, as far as other systems go: rules that count days, weeks, months or years, and say which days of
a week or a month. What cannot be told whole is Unsupported: a series that meets on other days than its event is
worse than one that keeps its old ones.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from sync.errors import Unsupported
from sync.meeting import Meeting, Moved

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"}
_NTH = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,6}", re.ASCII)
_FARTHEST = 200  # years that a rule is followed: one that has nothing in them has nothing
_ALIKE = 100  # occurrences that are compared of two series


@dataclass(frozen=True, slots=True)
class Place:
    """Where an occurrence is; aware, in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Rule:
    """One RRULE, read. Numbers are as RFC 5545 has them; `days` are (nth, index into DAYS), nth 0 being every."""

    parts: Mapping[str, str]  # as it was told, in upper case
    frequency: str
    interval: int
    times: int  # how many occurrences; 0: it says nothing of that
    until: datetime | None
    week_start: int = 0
    days: tuple[tuple[int, int], ...] = ()
    month_days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()

    @property
    def ends(self) -> bool:
        return self.times > 0 or self.until is not None


@dataclass(frozen=True, slots=True)
class Series:
    """A rule from its first occurrence on.

    `elsewhere`: the occurrences that are not where the rule says, by where it says; None: there is none.
    """

    rule: Rule
    first: datetime  # local, without a zone
    zone: ZoneInfo
    length: timedelta
    elsewhere: Mapping[datetime, Place | None] = field(default_factory=dict)

    def starts(self) -> Iterator[datetime]:
        """Where the rule has its occurrences, whatever became of them; aware, in UTC. May be endless."""
        days = (day for day in _days(self.rule, self.first.date()) if day >= self.first.date())
        for day in islice(days, self.rule.times or None):
            local = datetime.combine(day, self.first.time())
            start = local.replace(tzinfo=self.zone).astimezone(UTC)
            if self.rule.until and start > self.rule.until:
                return
            yield start

    def place(self, at: datetime) -> Place | None:
        """Where the occurrence is that the rule has at this moment."""
        return self.elsewhere.get(at, Place(at, at + self.length))

    def ahead(self, now: datetime) -> "Series | None":
        """What is left of it after `now`; None: nothing. Where it is told, a series begins with what is ahead."""
        left = ((passed, start) for passed, start in enumerate(self.starts()) if start > now)
        passed, first = next(left, (0, None))
        if first is None:
            return None
        # The time of day is the rule's: on the day when the clocks go forward it may be another.
        day = first.astimezone(self.zone).date()
        rule, times = self.rule, self.rule.times - passed
        if rule.times:
            rule = replace(rule, times=times, parts={**rule.parts, "COUNT": str(times)})
        return replace(self, rule=rule, first=datetime.combine(day, self.first.time()))

    def meets_as(self, other: "Series") -> bool:
        """Whether both have the same occurrences, however their rules are written, and go on alike."""
        if (self.length, self.zone.key, _last(self)) != (other.length, other.zone.key, _last(other)):
            return False
        ours, theirs = (list(islice(each.starts(), _ALIKE)) for each in (self, other))
        return ours == theirs


def series(meeting: Meeting) -> Series:
    """The series that a meeting is. Raises Unsupported, in words that fit any system."""
    zone = meeting.zone
    if zone is None:
        raise Unsupported("in an unknown time zone a series would drift")
    rules = [line.partition(":")[2] for line in meeting.recurrence if re.match(r"RRULE[:;]", line)]
    excluded = [line for line in meeting.recurrence if re.match(r"EXDATE[:;]", line)]
    if len(rules) != 1 or len(rules) + len(excluded) != len(meeting.recurrence):
        raise Unsupported("a series is one rule of repetition here, without single dates beside it")
    try:
        first = meeting.start.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise Unsupported("no calendar has such a date") from None
    elsewhere = dict.fromkeys(_excluded(excluded, meeting, zone)) | dict(map(_moved, meeting.moved))
    found = Series(read(rules[0], first, zone), first, zone, meeting.end - meeting.start, elsewhere)
    if next(found.starts(), None) != meeting.start.astimezone(UTC):
        raise Unsupported("the first occurrence is not one of its rule")
    return found


def _moved(moved: Moved) -> tuple[datetime, Place | None]:
    original = datetime.fromisoformat(moved.original)
    at = original.astimezone(UTC) if original.tzinfo else original.replace(tzinfo=UTC)
    if moved.start is None or moved.end is None:
        return at, None
    return at, Place(datetime.fromtimestamp(moved.start, UTC), datetime.fromtimestamp(moved.end, UTC))


# --- reading ---


def read(text: str, first: datetime, zone: ZoneInfo) -> Rule:
    """The rule of an RRULE (what stands behind the colon). What it leaves unsaid is as in `first`.

    Raises Unsupported.
    """
    parts = dict(part.split("=", 1) for part in text.upper().split(";") if "=" in part)
    frequency = parts.get("FREQ", "")
    if frequency not in _FREQUENCIES or parts.keys() - _PARTS:
        raise Unsupported("it repeats in a way that no other system has")
    if {"COUNT", "UNTIL"} <= parts.keys():
        raise Unsupported("the rule of repetition cannot be read")
    rule = Rule(
        parts=parts,
        frequency=frequency,
        interval=_number(parts.get("INTERVAL", "1"), range(1, 1000)),
        times=_number(parts["COUNT"], range(1, 10000)) if "COUNT" in parts else 0,
        until=_until(parts["UNTIL"], zone) if "UNTIL" in parts else None,
        week_start=_weekday(parts.get("WKST", "MO")),
        days=tuple(_nth(each) for each in _listed(parts, "BYDAY")),
        month_days=_numbers(parts, "BYMONTHDAY", range(-31, 32)),
        months=_numbers(parts, "BYMONTH", range(1, 13)),
        positions=_numbers(parts, "BYSETPOS", range(-366, 367)),
    )
    if any(nth for nth, _ in rule.days) and frequency in ("DAILY", "WEEKLY"):
        raise Unsupported("an nth weekday is one of a month")
    if rule.days or rule.month_days:
        if frequency == "YEARLY" and not rule.months:
            raise Unsupported("a rule that counts the days of a year is one that no other system has")
        return rule
    if frequency == "WEEKLY":
        return replace(rule, days=((0, first.weekday()),))
    if frequency == "MONTHLY":
        return replace(rule, month_days=(first.day,))
    if frequency == "YEARLY":
        return replace(rule, month_days=(first.day,), months=rule.months or (first.month,))
    return rule


def _listed(parts: Mapping[str, str], name: str) -> Sequence[str]:
    return parts[name].split(",") if name in parts else ()


def _numbers(parts: Mapping[str, str], name: str, within: range) -> tuple[int, ...]:
    return tuple(_number(each, within) for each in _listed(parts, name))


def _number(text: str, within: range) -> int:
    if not _NUMBER.fullmatch(text) or int(text) not in within or (within.start < 0 and int(text) == 0):
        raise Unsupported("the rule of repetition cannot be read")
    return int(text)


def _weekday(name: str) -> int:
    if name not in DAYS:
        raise Unsupported("the rule of repetition cannot be read")
    return DAYS.index(name)


def _nth(text: str) -> tuple[int, int]:
    found = _NTH.fullmatch(text)
    if found is None or (found[1] and not 1 <= abs(int(found[1])) <= 5):
        raise Unsupported("the rule of repetition cannot be read")
    return int(found[1] or 0), DAYS.index(found[2])


def _until(text: str, zone: ZoneInfo) -> datetime:
    """A date alone means the whole of that day."""
    return _moment(text if "T" in text else f"{text}T235959", zone)


def _excluded(lines: Sequence[str], meeting: Meeting, zone: ZoneInfo) -> Iterator[datetime]:
    """The starts that EXDATE lines name; a date alone means the occurrence of that day."""
    of_day = meeting.start.astimezone(zone).strftime("%H%M%S")
    for line in lines:
        head, _, values = line.partition(":")
        named = re.search(r"TZID=([^;:]+)", head)
        there = replace(meeting, time_zone=named[1]).zone if named else zone
        if there is None:
            raise Unsupported("an excluded date is in a time zone that nobody knows")
        for value in values.split(","):
            yield _moment(value if "T" in value else f"{value}T{of_day}", there)


def _moment(text: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
        return moment.replace(tzinfo=UTC if text.endswith("Z") else zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unsupported("a date of the rule of repetition cannot be read") from None


# --- where a rule has its days ---


def _days(rule: Rule, first: date) -> Iterator[date]:
    """The days of a rule in order, from the beginning of the period on that `first` is in."""
    for period in _periods(rule, first):
        days = [day for day in period if _is_of(rule, day)]
        if rule.positions:
            kept = {position - (position > 0) for position in rule.positions}
            days = [day for at, day in enumerate(days) if at in kept or at - len(days) in kept]
        yield from days


def _periods(rule: Rule, first: date) -> Iterator[list[date]]:
    """The days of each day, week, month or year that the rule counts."""
    years = min(_FARTHEST, date.max.year - 1 - first.year)
    match rule.frequency:
        case "DAILY":
            for n in range(0, 365 * years, rule.interval):
                yield [first + timedelta(days=n)]
        case "WEEKLY":
            begin = first - timedelta(days=(first.weekday() - rule.week_start) % 7)
            for n in range(0, 52 * years, rule.interval):
                yield [begin + timedelta(days=7 * n + day) for day in range(7)]
        case "MONTHLY":
            for n in range(0, 12 * years, rule.interval):
                year, index = divmod(first.year * 12 + first.month - 1 + n, 12)
                yield _month(year, index + 1)
        case _:
            for year in range(first.year, first.year + years, rule.interval):
                yield [day for month in range(1, 13) for day in _month(year, month)]


def _month(year: int, month: int) -> list[date]:
    return [date(year, month, day) for day in range(1, monthrange(year, month)[1] + 1)]


def _is_of(rule: Rule, day: date) -> bool:
    if rule.months and day.month not in rule.months:
        return False
    length = monthrange(day.year, day.month)[1]
    if rule.month_days and not {day.day, day.day - length - 1} & set(rule.month_days):
        return False
    if not rule.days:
        return True
    nth = (day.day - 1) // 7 + 1
    from_end = -((length - day.day) // 7 + 1)
    return any(weekday == day.weekday() and each in (0, nth, from_end) for each, weekday in rule.days)


def _last(series: Series) -> datetime | None:
    """Where a series ends; None: it does not."""
    last = None
    if series.rule.ends:
        for last in series.starts():  # noqa: B007
            pass
    return last
