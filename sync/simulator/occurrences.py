"""Occurrences of a series in one calendar: those that exist by rule alone, and those stored as exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from . import series
from .documents import time_json
from .model import Calendar, Copy


def find(calendar: Calendar, event_id: str, most: int) -> Copy | None:
    """A stored copy, or one of the first `most` occurrences that so far exist by their rule alone."""
    stored = calendar.events.get(event_id)
    if stored is not None:
        return stored
    base, _, tail = event_id.rpartition("_")
    for master in _series_of(calendar, base):
        for moment in islice(starts_of(calendar, master), most):
            if series.stamp(moment) == tail:
                return by_rule(calendar, master, moment)
    return None


def base_of(series_id: str) -> str:
    """The id that the occurrences of a series are named after, also when it was split off another one."""
    return series_id.split("_R")[0]


def _series_of(calendar: Calendar, base: str) -> list[Copy]:
    return [
        copy
        for copy in calendar.events.values()
        if base and base_of(copy.id) == base and copy.recurrence and not copy.cancelled
    ]


def by_rule(calendar: Calendar, master: Copy, moment: series.Start) -> Copy:
    """One occurrence as its rule makes it."""
    event_zone = master.shared["start"].get("timeZone", calendar.time_zone)
    end = _shifted(moment, length(calendar, master))
    shared = {name: value for name, value in master.shared.items() if name != "recurrence"}
    shared["start"] = shared["originalStartTime"] = time_json(moment, event_zone)
    shared["end"] = time_json(end, event_zone)
    shared["recurringEventId"] = master.id
    return replace(master, id=f"{base_of(master.id)}_{series.stamp(moment)}", shared=shared, before=None)


def every(calendar: Calendar, master: Copy, most: int) -> Iterator[Copy]:
    """The first `most` occurrences as the rule makes them, whatever became of them since."""
    return (by_rule(calendar, master, moment) for moment in islice(starts_of(calendar, master), most))


def expand(calendar: Calendar, master: Copy, most: int) -> Iterator[Copy]:
    """Those of them that are not stored as exceptions."""
    return (one for one in every(calendar, master, most) if one.id not in calendar.events)


def starts_of(calendar: Calendar, master: Copy) -> Iterator[series.Start]:
    start = series.start_of(master.shared["start"], calendar.time_zone)
    return series.occurrences(master.recurrence, start)


def original_start(calendar: Calendar, occurrence: Copy) -> series.Start:
    return series.start_of(occurrence.shared["originalStartTime"], calendar.time_zone)


def reaches(calendar: Calendar, master: Copy, moment: series.Start) -> bool:
    start = series.start_of(master.shared["start"], calendar.time_zone)
    return series.happens_at(master.recurrence, start, moment)


def starts_at(calendar: Calendar, copy: Copy) -> datetime:
    start = series.start_of(copy.shared["start"], calendar.time_zone)
    return series.instant(start, calendar.time_zone)


def ends_at(calendar: Calendar, copy: Copy) -> datetime:
    end = series.start_of(copy.shared["end"], calendar.time_zone)
    return series.instant(end, calendar.time_zone)


def length(calendar: Calendar, copy: Copy) -> timedelta:
    return ends_at(calendar, copy) - starts_at(calendar, copy)


def _shifted(start: series.Start, by: timedelta) -> series.Start:
    """Real time for timed events, whole days for the others."""
    if not isinstance(start, datetime):
        return start + timedelta(days=round(by / timedelta(days=1)))
    return (start.astimezone(UTC) + by).astimezone(start.tzinfo)
