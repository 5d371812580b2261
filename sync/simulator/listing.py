"""One page of a listing: which copies it shows, in which order, and what token it ends with.

Without orderBy the order is that of writing, or by a switch one that means nothing. In the first, an event edited
while a client pages shows up again further on. The watermark of the first page goes into the last one's token: no
change during paging is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
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
    return Page(items, until, next_sync=token if _earns_token(query, switches) else None)


def _earns_token(query: Query, switches: Switches) -> bool:
    """An order suppresses nextSyncToken, and so does every filter that a sync token cannot carry."""
    if query.order_by or query.series:
        return False
    return switches.filters_earn_token or not query.filtered


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
        return _ordered(calendar, query, switches)
    return _unordered(calendar, query, horizon, switches)


def _floor(calendar: Calendar, query: Query, switches: Switches) -> int:
    """The stamp after which copies belong to the listing."""
    if query.since is None:
        return -1
    if not switches.boundary_repeats:
        return query.since
    older = (copy.stamp for copy in reversed(calendar.events.values()) if copy.stamp <= query.since)
    return next(older, query.since + 1) - 1


def _unordered(calendar: Calendar, query: Query, horizon: int | None, switches: Switches) -> Iterator[Row]:
    """From where the query stands, in an order that no change of another event disturbs."""
    floor = _floor(calendar, query, switches)
    for number, copy in _numbered(calendar, query, floor, switches):
        seen = copy if horizon is None or copy.stamp <= horizon else copy.before
        if seen is None or seen.stamp <= floor:
            continue
        for place, item in enumerate(_shown(calendar, seen, query, switches)):
            if (number, place) > query.after:
                yield (number, place), item


def _numbered(calendar: Calendar, query: Query, floor: int, switches: Switches) -> Iterator[tuple[int, Copy]]:
    """The copies written after the floor that are still to come, each with its place in the order."""
    newest_first = takewhile(lambda copy: copy.stamp > floor, reversed(calendar.events.values()))
    if switches.list_order == "shuffled":
        drawn = sorted((_lot(copy), copy.id) for copy in newest_first)
        return ((number, calendar.events[name]) for number, name in drawn)
    to_come = takewhile(lambda copy: copy.version >= query.after[0], newest_first)
    return ((copy.version, copy) for copy in reversed(list(to_come)))


def _lot(copy: Copy) -> int:
    return int.from_bytes(sha256(copy.id.encode()).digest()[:8])


def _ordered(calendar: Calendar, query: Query, switches: Switches) -> Iterator[Row]:
    everything = (
        item for copy in calendar.events.values() for item in _shown(calendar, copy, query, switches)
    )
    if query.order_by == "updated":
        ordered = sorted(everything, key=lambda copy: copy.updated)
    else:
        ordered = sorted(everything, key=lambda copy: occurrences.starts_at(calendar, copy))
    return (((0, place), item) for place, item in enumerate(ordered) if place > query.after[1])


def _shown(calendar: Calendar, copy: Copy, query: Query, switches: Switches) -> Iterator[Copy]:
    """What one copy contributes: itself, its occurrences, or nothing."""
    master = calendar.events.get(copy.series)
    if master is not None and master.cancelled:
        return  # its own tombstone says it all
    for item in _unfolded(calendar, copy, query, switches):
        if _matches(calendar, item, query, switches):
            yield item


def _unfolded(calendar: Calendar, copy: Copy, query: Query, switches: Switches) -> Iterator[Copy]:
    """A copy, or in a listing of single events the occurrences of a series."""
    most = switches.most_occurrences
    if not query.single_events or not copy.recurrence:
        return iter((copy,))
    if not copy.cancelled:
        end = moment(query.time_max) if query.time_max else None
        return takewhile(
            lambda one: end is None or occurrences.starts_at(calendar, one) < end,
            occurrences.expand(calendar, copy, most),
        )
    return iter((copy,)) if switches.deleted_series == "itself" else occurrences.every(calendar, copy, most)


def _matches(calendar: Calendar, copy: Copy, query: Query, switches: Switches) -> bool:
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
        and _in_window(calendar, copy, query, switches)
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


def _in_window(calendar: Calendar, copy: Copy, query: Query, switches: Switches) -> bool:
    if query.time_max and occurrences.starts_at(calendar, copy) >= moment(query.time_max):
        return False
    if not query.time_min:
        return True
    floor = moment(query.time_min)
    if not copy.recurrence:
        return occurrences.ends_at(calendar, copy) > floor
    if switches.ended_series_listed or series.endless(copy.recurrence):
        return True
    length = occurrences.length(calendar, copy)
    starts = (series.instant(start, calendar.time_zone) for start in occurrences.starts_of(calendar, copy))
    return any(start + length > floor for start in starts)


def _us(text: str) -> int:
    return round(moment(text).timestamp() * SECOND)
