"""Recurrence arithmetic: pure functions from RRULE, EXDATE and RDATE lines to the starts they mean.

A start is a `date` (all day) or an aware `datetime` in the event's own zone. Rules run on the wall clock of that
zone and only then become instants, so a weekly nine o'clock stays at nine when daylight saving begins; a wall time
that does not exist that day moves forward, as in the Calendar itself.
"""

from __future__ import annotations

import calendar as months
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import cache
from heapq import merge
from itertools import count, islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Start = date | datetime
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
LAST_YEAR = 2200  # impossible rules (30 February) must end somewhere
MOST_INTERVAL = 1000


class BadRecurrence(ValueError):
    """A line that Google would refuse, or that this arithmetic does not know."""


@dataclass(frozen=True)
class Rule:
    freq: str
    interval: int = 1
    count: int | None = None
    until: Start | None = None
    by_day: tuple[tuple[int, int], ...] = ()  # (ordinal or 0, weekday)
    by_month_day: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    week_start: int = 0


@cache
def zone(name: str) -> tzinfo:
    """An IANA zone, or a fixed one written `GMT-07:00` as some clients send."""
    if fixed := re.fullmatch(r"GMT([+-])(\d\d):(\d\d)", name):
        sign = -1 if fixed[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(fixed[2]), minutes=int(fixed[3])), name)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as unknown:
        raise BadRecurrence(f"unknown time zone {name!r}") from unknown


def start_of(when: dict[str, Any], default_zone: str) -> Start:
    """The `start` or `end` of an event as a date or an aware datetime in the event's zone."""
    if "date" in when:
        return date.fromisoformat(when["date"])
    event_zone = zone(when.get("timeZone") or default_zone)
    moment = datetime.fromisoformat(when["dateTime"])
    return moment.replace(tzinfo=event_zone) if moment.tzinfo is None else moment.astimezone(event_zone)


def instant(start: Start, default_zone: str) -> datetime:
    """A start on the one line of time; all-day starts begin at midnight of the calendar's zone."""
    if isinstance(start, datetime):
        return start.astimezone(UTC)
    return datetime.combine(start, time(), zone(default_zone)).astimezone(UTC)


def stamp(start: Start) -> str:
    """The part of an occurrence's id after the underscore."""
    if isinstance(start, datetime):
        return f"{start.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return f"{start:%Y%m%d}"


def parse_rule(text: str) -> Rule:
    parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    known = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "WKST"}
    if unknown := set(parts) - known:
        raise BadRecurrence(f"unknown part {sorted(unknown)[0]} in {text!r}")
    if parts.get("FREQ") not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        raise BadRecurrence(f"no known FREQ in {text!r}")
    try:
        rule = Rule(
            freq=parts["FREQ"],
            interval=int(parts.get("INTERVAL", "1")),
            count=int(parts["COUNT"]) if "COUNT" in parts else None,
            until=_moment(parts["UNTIL"]) if "UNTIL" in parts else None,
            by_day=tuple(_weekday(day) for day in parts.get("BYDAY", "").split(",") if day),
            by_month_day=_numbers(parts.get("BYMONTHDAY", "")),
            by_month=_numbers(parts.get("BYMONTH", "")),
            week_start=DAYS.index(parts.get("WKST", "MO")),
        )
    except ValueError as broken:
        raise BadRecurrence(f"cannot read {text!r}") from broken
    if not 1 <= rule.interval <= MOST_INTERVAL or (rule.count is not None and rule.count < 1):
        raise BadRecurrence(f"INTERVAL or COUNT out of bounds in {text!r}")
    return rule


def occurrences(recurrence: Sequence[str], start: Start) -> Iterator[Start]:
    """Every start the lines mean, in order; endless for endless rules."""
    excluded = {_key(moment, start) for moment in _listed(recurrence, "EXDATE")}
    extra = sorted((_like(moment, start) for moment in _listed(recurrence, "RDATE")), key=_order)
    streams = [_of_rule(rule, start) for rule in _rules(recurrence)] or [iter([start])]
    previous: Start | None = None
    for moment in merge(*streams, extra, key=_order):
        if moment != previous and _key(moment, start) not in excluded:
            yield moment
        previous = moment


def check(recurrence: Sequence[str], start: Start) -> None:
    """Refuses lines that cannot be expanded."""
    for line in recurrence:
        if not re.match(r"(RRULE:|(EXDATE|RDATE)[;:])", line):
            raise BadRecurrence(f"cannot read {line!r}")
    next(occurrences(recurrence, start), None)


def endless(recurrence: Sequence[str]) -> bool:
    return any(rule.count is None and rule.until is None for rule in _rules(recurrence))


def happens_at(recurrence: Sequence[str], start: Start, moment: Start) -> bool:
    if isinstance(moment, datetime) != isinstance(start, datetime):
        return False
    return any(
        found == moment
        for found in takewhile(lambda other: _order(other) <= _order(moment), occurrences(recurrence, start))
    )


def cut(recurrence: Sequence[str], at: Start) -> list[str]:
    """The lines of a series that ends the day before `at`: COUNT and UNTIL give way to a new UNTIL."""
    if isinstance(at, datetime):
        midnight = datetime.combine(at.date(), time(), at.tzinfo)
        until = f"{midnight.astimezone(UTC) - timedelta(seconds=1):%Y%m%dT%H%M%SZ}"
    else:
        until = f"{at - timedelta(days=1):%Y%m%d}"
    return [
        f"{_without(line, 'COUNT', 'UNTIL')};UNTIL={until}" if line.startswith("RRULE:") else line
        for line in recurrence
    ]


def rest(recurrence: Sequence[str], start: Start, at: Start) -> list[str]:
    """The lines of the series that takes over at `at`: a COUNT shrinks by what has already happened."""
    lines = []
    for line in recurrence:
        rule = parse_rule(line.removeprefix("RRULE:")) if line.startswith("RRULE:") else None
        if rule and rule.count is not None:
            done = sum(
                1 for _ in takewhile(lambda moment: _order(moment) < _order(at), _of_rule(rule, start))
            )
            line = f"{_without(line, 'COUNT')};COUNT={rule.count - done}"
        lines.append(line)
    return lines


def _rules(recurrence: Sequence[str]) -> list[Rule]:
    return [parse_rule(line.removeprefix("RRULE:")) for line in recurrence if line.startswith("RRULE:")]


def _of_rule(rule: Rule, start: Start) -> Iterator[Start]:
    first_day = start.date() if isinstance(start, datetime) else start
    days = (day for day in _days(rule, first_day) if day >= first_day)
    starts = takewhile(lambda moment: not _past(moment, rule.until), (_at(day, start) for day in days))
    return islice(starts, rule.count)


def _days(rule: Rule, first: date) -> Iterator[date]:
    if rule.freq == "DAILY":
        return _daily(rule, first)
    if rule.freq == "WEEKLY":
        return _weekly(rule, first)
    return _by_month(rule, first)


def _daily(rule: Rule, first: date) -> Iterator[date]:
    weekdays = {day for _, day in rule.by_day}
    for step in count():
        day = first + timedelta(days=step * rule.interval)
        if day.year > LAST_YEAR:
            return
        fits_month = not rule.by_month or day.month in rule.by_month
        fits_date = not rule.by_month_day or day in _dates(rule.by_month_day, day.year, day.month)
        if fits_month and fits_date and (not weekdays or day.weekday() in weekdays):
            yield day


def _weekly(rule: Rule, first: date) -> Iterator[date]:
    weekdays = {day for _, day in rule.by_day} or {first.weekday()}
    week = first - timedelta(days=(first.weekday() - rule.week_start) % 7)
    while week.year <= LAST_YEAR:
        for offset in range(7):
            day = week + timedelta(days=offset)
            if day.weekday() in weekdays and (not rule.by_month or day.month in rule.by_month):
                yield day
        week += timedelta(weeks=rule.interval)


def _by_month(rule: Rule, first: date) -> Iterator[date]:
    for step in count():
        if rule.freq == "MONTHLY":
            year, month = divmod(first.year * 12 + first.month - 1 + step * rule.interval, 12)
            wanted = [month + 1] if not rule.by_month or month + 1 in rule.by_month else []
        else:
            year, wanted = first.year + step * rule.interval, sorted(rule.by_month) or [first.month]
        if year > LAST_YEAR:
            return
        for month in wanted:
            yield from _in_month(rule, first, year, month)


def _in_month(rule: Rule, first: date, year: int, month: int) -> list[date]:
    by_date = _dates(rule.by_month_day, year, month)
    by_day = _ordinals(rule.by_day, year, month)
    if rule.by_month_day and rule.by_day:
        return sorted(by_date & by_day)
    if rule.by_month_day or rule.by_day:
        return sorted(by_date | by_day)
    return sorted(_dates((first.day,), year, month))


def _dates(numbers: Sequence[int], year: int, month: int) -> set[date]:
    length = months.monthrange(year, month)[1]
    wanted = (number if number > 0 else length + 1 + number for number in numbers)
    return {date(year, month, number) for number in wanted if 1 <= number <= length}


def _ordinals(by_day: Sequence[tuple[int, int]], year: int, month: int) -> set[date]:
    length = months.monthrange(year, month)[1]
    found: set[date] = set()
    for ordinal, weekday in by_day:
        all_of_them = [date(year, month, n) for n in range(1, length + 1)]
        matching = [day for day in all_of_them if day.weekday() == weekday]
        if ordinal == 0:
            found.update(matching)
        elif abs(ordinal) <= len(matching):
            found.add(matching[ordinal - 1 if ordinal > 0 else ordinal])
    return found


def _at(day: date, start: Start) -> Start:
    if not isinstance(start, datetime):
        return day
    wall = datetime.combine(day, start.time().replace(fold=0), start.tzinfo)
    return wall.astimezone(UTC).astimezone(
        start.tzinfo
    )  # there and back: a wall time in the gap moves forward


def _past(moment: Start, until: Start | None) -> bool:
    if until is None:
        return False
    if isinstance(moment, datetime) and isinstance(until, datetime):
        return moment > (until if until.tzinfo else until.replace(tzinfo=moment.tzinfo))
    day = moment.date() if isinstance(moment, datetime) else moment
    return day > (until.date() if isinstance(until, datetime) else until)


def _listed(recurrence: Sequence[str], name: str) -> Iterator[Start]:
    for line in recurrence:
        if line.startswith(name):
            head, _, values = line.partition(":")
            listed_in = re.search(r"TZID=([^;:]+)", head)
            for value in values.split(","):
                moment = _moment(value)
                if listed_in and isinstance(moment, datetime) and moment.tzinfo is None:
                    moment = moment.replace(tzinfo=zone(listed_in[1]))
                yield moment


def _moment(text: str) -> Start:
    """20260105 is a date, 20260105T090000Z an instant, and without the Z a wall time of a zone named elsewhere."""
    return date.fromisoformat(text) if len(text) == 8 else datetime.fromisoformat(text)


def _like(moment: Start, start: Start) -> Start:
    """A listed moment in the kind and zone of the series' start."""
    if not isinstance(start, datetime):
        return moment.date() if isinstance(moment, datetime) else moment
    if not isinstance(moment, datetime):
        return _at(moment, start)
    return moment.astimezone(start.tzinfo) if moment.tzinfo else moment.replace(tzinfo=start.tzinfo)


def _key(moment: Start, start: Start) -> str:
    return stamp(_like(moment, start))


def _order(moment: Start) -> datetime:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return datetime.combine(moment, time(), UTC)


def _weekday(text: str) -> tuple[int, int]:
    return int(text[:-2] or 0), DAYS.index(text[-2:])


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)


def _without(line: str, *names: str) -> str:
    head, _, rule = line.partition(":")
    return f"{head}:" + ";".join(part for part in rule.split(";") if part.split("=")[0] not in names)
