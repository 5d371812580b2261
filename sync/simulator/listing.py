"""One page of a listing: which copies it shows, in which order, and what token it ends with.

Without orderBy the order is that of writing: an event edited while a client pages shows up again further on. The
watermark of the first page goes into the last one's token: no change during paging is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice, takewhile

from . import errors, occurrences, series
from .clock import DAY, SECOND
from .faults import Faults
from .model import Calendar, Copy, Page, Query, Switches

Row = tuple[tuple[int, int], Copy]


def page(
    calendar: Calendar,
    query: Query,
    watermark: int,
    now: int,
    switches: Switches,
    mischief: str,
    faults: Faults,
) -> Page:
    """`mischief` is the listing fault in force: stale, empty, short or repeat."""
    _check(query, now, switches)
    horizon = _before_latest(calendar, watermark) if mischief == "stale" else None
    until = query.until or (watermark if horizon is None else horizon)
    query = replace(query, until=until)
    if mischief == "empty":
        return Page([], until, next_page=query)
    if mischief == "repeat" and query.after != Query.after:
        query = replace(query, after=(query.after[0], query.after[1] - 1))
    wanted = faults.pick(query.max_results) if mischief == "short" else query.max_results
    rows = list(islice(_rows(calendar, query, horizon, switches), wanted + 1))
    items = [copy for _, copy in rows[:wanted]]
    if len(rows) > wanted:
        return Page(items, until, next_page=replace(query, after=rows[wanted - 1][0]))
    token = max(until, query.since or 0)  # a stale replica never takes a token back in time
    return Page(items, until, next_sync=token if query.earns_token else None)


def moment(text: str) -> datetime:
    """A bound of a window, which must say its offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as broken:
        raise errors.invalid("Bad Request") from broken
    if found.tzinfo is None:
        raise errors.invalid("Bad Request")
    return found


def _check(query: Query, now: int, switches: Switches) -> None:
    if query.order_by == "startTime" and not query.single_events:
        raise errors.invalid("The requested ordering is not available for the particular query.")
    bounds = [moment(text) for text in (query.time_min, query.time_max) if text]
    if len(bounds) == 2 and bounds[0] >= bounds[1]:
        raise errors.time_range_empty()
    if query.updated_min and _us(query.updated_min) < now - switches.updated_min_days * DAY:
        raise errors.updated_min_too_long_ago()


def _before_latest(calendar: Calendar, watermark: int) -> int:
    """The watermark of a replica that has not seen the calendar's latest change."""
    latest = next(reversed(calendar.events.values()), None)
    return latest.stamp - 1 if latest else watermark


def _rows(calendar: Calendar, query: Query, horizon: int | None, switches: Switches) -> Iterator[Row]:
    if query.order_by:
        return _ordered(calendar, query)
    return _written(calendar, query, _floor(calendar, query, switches), horizon)


def _floor(calendar: Calendar, query: Query, switches: Switches) -> int:
    """The stamp after which copies belong to the listing."""
    if query.since is None:
        return -1
    if not switches.boundary_repeats:
        return query.since
    older = (copy.stamp for copy in reversed(calendar.events.values()) if copy.stamp <= query.since)
    return next(older, query.since + 1) - 1


def _written(calendar: Calendar, query: Query, floor: int, horizon: int | None) -> Iterator[Row]:
    """In the order of the last write, from where the query stands."""
    newest_first = takewhile(
        lambda copy: copy.version >= query.after[0] and copy.stamp > floor,
        reversed(calendar.events.values()),
    )
    for copy in reversed(list(newest_first)):
        seen = copy if horizon is None or copy.stamp <= horizon else copy.before
        if seen is None or seen.stamp <= floor:
            continue
        for place, item in enumerate(_shown(calendar, seen, query)):
            if (copy.version, place) > query.after:
                yield (copy.version, place), item


def _ordered(calendar: Calendar, query: Query) -> Iterator[Row]:
    everything = (item for copy in calendar.events.values() for item in _shown(calendar, copy, query))
    if query.order_by == "updated":
        ordered = sorted(everything, key=lambda copy: copy.updated)
    else:
        ordered = sorted(everything, key=lambda copy: occurrences.starts_at(calendar, copy))
    return (((0, place), item) for place, item in enumerate(ordered) if place > query.after[1])


def _shown(calendar: Calendar, copy: Copy, query: Query) -> Iterator[Copy]:
    """What one copy contributes: itself, its occurrences, or nothing."""
    master = calendar.events.get(copy.series)
    if master is not None and master.cancelled:
        return  # its own tombstone says it all
    if query.single_events and copy.recurrence and not copy.cancelled:
        end = moment(query.time_max) if query.time_max else None
        for occurrence in occurrences.expand(calendar, copy):
            if end and occurrences.starts_at(calendar, occurrence) >= end:
                return
            if _matches(calendar, occurrence, query):
                yield occurrence
    elif _matches(calendar, copy, query):
        yield copy


def _matches(calendar: Calendar, copy: Copy, query: Query) -> bool:
    shared = copy.shared
    return (
        (not copy.cancelled or _shows_cancelled(copy, query))
        and query.series in ("", copy.series)
        and (not query.event_types or shared["eventType"] in query.event_types)
        and query.ical_uid in ("", shared["iCalUID"])
        and (not query.updated_min or copy.updated >= _us(query.updated_min))
        and _has_words(copy, query.q)
        and _has_properties(copy, query)
        and _is_original(calendar, copy, query.original_start)
        and _in_window(calendar, copy, query)
    )


def _shows_cancelled(copy: Copy, query: Query) -> bool:
    """Cancelled occurrences of a living series are shown even to those who want no deleted events."""
    if query.since is not None or query.show_deleted or query.updated_min:
        return True
    return bool(copy.series) and not query.single_events


def _has_words(copy: Copy, words: str) -> bool:
    text = " ".join(str(copy.shared.get(name, "")) for name in ("summary", "description", "location"))
    return all(word in text.lower() for word in words.lower().split())


def _has_properties(copy: Copy, query: Query) -> bool:
    def has(source: dict[str, dict[str, dict[str, str]]], kind: str, wanted: tuple[str, ...]) -> bool:
        given = source.get("extendedProperties", {}).get(kind, {})
        pairs = (text.partition("=") for text in wanted)
        return all(given.get(name) == value for name, _, value in pairs)

    private = has(copy.private, "private", query.private_properties)
    return private and has(copy.shared, "shared", query.shared_properties)


def _is_original(calendar: Calendar, copy: Copy, wanted: str) -> bool:
    if not wanted:
        return True
    original = occurrences.original_start(calendar, copy)
    if not isinstance(original, datetime):
        return original.isoformat() == wanted
    return original == moment(wanted)


def _in_window(calendar: Calendar, copy: Copy, query: Query) -> bool:
    if query.time_max and occurrences.starts_at(calendar, copy) >= moment(query.time_max):
        return False
    if not query.time_min:
        return True
    floor = moment(query.time_min)
    if not copy.recurrence:
        return occurrences.ends_at(calendar, copy) > floor
    if series.endless(copy.recurrence):
        return True
    length = occurrences.length(calendar, copy)
    starts = (series.instant(start, calendar.time_zone) for start in occurrences.starts_of(calendar, copy))
    return any(start + length > floor for start in starts)


def _us(text: str) -> int:
    return round(moment(text).timestamp() * SECOND)
