"""A rule of repetition is expanded as dateutil expands it, cut where it is told, and compared by what it means."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given
from hypothesis import strategies as st

from sync.conferences.recurrence import DAYS, Place, read, series
from sync.errors import Unsupported
from sync.meeting import Meeting, Moved
from sync.testing import MEETING

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2030, 3, 4, 9, 30, tzinfo=BERLIN)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")


def meeting(*lines: str, start: datetime = MONDAY, zone: str = "Europe/Berlin", **more: object) -> Meeting:
    times = {"start": start.astimezone(UTC), "end": start.astimezone(UTC) + timedelta(minutes=45)}
    return replace(MEETING, recurrence=lines, time_zone=zone, **times, **more)  # type: ignore[arg-type]


# --- against dateutil ---

ENDS = st.one_of(
    st.just(""),
    st.integers(1, 70).map(lambda times: f";COUNT={times}"),
    st.integers(0, 900).map(
        lambda days: f";UNTIL={datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=days):%Y%m%d}T120000Z"
    ),
)
EVERY = st.integers(1, 12).map(lambda every: f";INTERVAL={every}")
WEEKDAYS = st.sets(st.sampled_from(DAYS), min_size=1).map(lambda days: f";BYDAY={','.join(sorted(days))}")
NTHS = st.sets(
    st.tuples(st.sampled_from((-5, -2, -1, 1, 2, 4, 5)), st.sampled_from(DAYS)), min_size=1, max_size=3
).map(lambda days: f";BYDAY={','.join(f'{nth}{day}' for nth, day in sorted(days))}")
MONTH_DAYS = st.sets(st.sampled_from((-31, -2, -1, 1, 4, 15, 29, 30, 31)), min_size=1, max_size=3).map(
    lambda days: f";BYMONTHDAY={','.join(map(str, sorted(days)))}"
)
MONTHS = st.sets(st.integers(1, 12), min_size=1, max_size=3).map(
    lambda months: f";BYMONTH={','.join(map(str, sorted(months)))}"
)
POSITIONS = st.sampled_from(("", ";BYSETPOS=1", ";BYSETPOS=-1", ";BYSETPOS=2,-2"))
WEEK = st.sampled_from(DAYS).map(lambda day: f";WKST={day}")
NOTHING = st.just("")


def rules(frequency: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda parts: f"FREQ={frequency}{''.join(parts)}")


RULES = st.one_of(
    rules("DAILY", EVERY, st.one_of(NOTHING, WEEKDAYS), st.one_of(NOTHING, MONTHS)),
    rules("WEEKLY", EVERY, st.one_of(NOTHING, WEEKDAYS), WEEK, st.one_of(NOTHING, MONTHS)),
    rules("MONTHLY", EVERY, st.one_of(NOTHING, NTHS, MONTH_DAYS, WEEKDAYS), st.one_of(NOTHING, MONTHS)),
    rules("MONTHLY", EVERY, WEEKDAYS, POSITIONS),
    rules("MONTHLY", EVERY, WEEKDAYS, MONTH_DAYS),
    rules("YEARLY", EVERY, MONTHS, st.one_of(NOTHING, NTHS, MONTH_DAYS, WEEKDAYS)),
    rules("YEARLY", EVERY),
)
FIRSTS = st.datetimes(datetime(2030, 1, 1), datetime(2031, 12, 31)).map(  # noqa: DTZ001
    lambda at: at.replace(second=0, microsecond=0)
)


def first_of(rule: str, begin: datetime, zone: ZoneInfo) -> datetime:
    """The first local start of a rule; not in an hour that a day does not have, where nothing could begin."""
    first = next(iter(rrulestr(rule, dtstart=begin)), None)
    assume(first is not None and first.year < 2200)
    assert first is not None
    assume(first.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == first)
    return first


def expanded(rule: str, end: str, first: datetime, zone: ZoneInfo) -> list[datetime]:
    """The first seventy starts as dateutil has them, which knows UNTIL only in the zone of its start."""
    bounds = rrulestr(f"{rule}{end.partition(';UNTIL')[0]}", dtstart=first)
    starts = [start.replace(tzinfo=zone).astimezone(UTC) for start in islice(bounds, 70)]
    if until := end.partition(";UNTIL=")[2]:
        last = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        starts = [start for start in starts if start <= last]
    return starts


@given(RULES, ENDS, FIRSTS, st.sampled_from(ZONES))
def test_a_rule_meets_when_dateutil_says(rule: str, end: str, begin: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    first = first_of(rule, begin, zone)
    wanted = expanded(rule, end, first, zone)
    assume(wanted)
    whole = series(meeting(f"RRULE:{rule}{end}", start=first.replace(tzinfo=zone), zone=name))
    found = islice(whole.starts(), len(wanted) if len(wanted) == 70 else 71)
    followed = first.year + 199  # no farther are rules followed
    assert [at for at in found if at.year < followed] == [at for at in wanted if at.year < followed]


@given(RULES, ENDS, FIRSTS, st.sampled_from(ZONES), st.integers(0, 69))
def test_what_is_left_of_a_series_is_where_the_whole_of_it_was(
    rule: str, end: str, begin: datetime, name: str, passed: int
) -> None:
    zone = ZoneInfo(name)
    first = first_of(rule, begin, zone)
    wanted = expanded(rule, end, first, zone)
    assume(len(wanted) > passed and wanted[passed].year < first.year + 20)
    whole = series(meeting(f"RRULE:{rule}{end}", start=first.replace(tzinfo=zone), zone=name))
    rest = whole.ahead(wanted[passed] - timedelta(seconds=1))
    assert rest is not None
    ahead = [start for start in wanted[passed:] if start.year < first.year + 100]
    assert list(islice(rest.starts(), len(ahead))) == ahead
    assert rest.meets_as(rest)
    told = ";".join(f"{part}={value}" for part, value in rest.rule.parts.items())
    again = read(told, rest.first, zone)
    assert again == replace(rest.rule, parts=again.parts)


def test_nothing_is_left_of_a_series_that_is_over() -> None:
    whole = series(meeting("RRULE:FREQ=DAILY;COUNT=3"))
    assert whole.ahead(MONDAY + timedelta(days=2)) is None
    assert whole.ahead(MONDAY + timedelta(days=1)) is not None


# --- what a series means ---


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=1;BYDAY=MO;WKST=SU"),
        ("FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU"),
        ("FREQ=MONTHLY", "BYMONTHDAY=4;FREQ=MONTHLY"),
        ("FREQ=WEEKLY;COUNT=3", "FREQ=WEEKLY;UNTIL=20300318T083000Z"),
        ("FREQ=WEEKLY;UNTIL=20300318", "FREQ=WEEKLY;UNTIL=20300320T000000Z"),
    ],
)
def test_rules_that_are_written_in_two_ways_are_one(one: str, other: str) -> None:
    assert series(meeting(f"RRULE:{one}")).meets_as(series(meeting(f"RRULE:{other}")))


@pytest.mark.parametrize(
    "other",
    [
        meeting("RRULE:FREQ=WEEKLY;INTERVAL=2"),
        meeting("RRULE:FREQ=WEEKLY;COUNT=300"),
        meeting("RRULE:FREQ=WEEKLY", start=MONDAY + timedelta(days=7)),
        meeting("RRULE:FREQ=WEEKLY", zone="Africa/Lagos"),
        replace(meeting("RRULE:FREQ=WEEKLY"), end=MONDAY + timedelta(hours=2)),
    ],
)
def test_another_series_is_another(other: Meeting) -> None:
    assert not series(meeting("RRULE:FREQ=WEEKLY")).meets_as(series(other))


def test_a_series_keeps_its_time_of_day_when_the_clocks_change() -> None:
    starts = islice(series(meeting("RRULE:FREQ=WEEKLY")).starts(), 8)
    assert {f"{start.astimezone(BERLIN):%a %H:%M}" for start in starts} == {"Mon 09:30"}


@pytest.mark.parametrize(
    "line",
    [
        "EXDATE:20300311T083000Z",
        "EXDATE;TZID=Europe/Berlin:20300311T093000",
        "EXDATE;TZID=America/New_York:20300311T043000",
        "EXDATE;VALUE=DATE:20300311",
    ],
)
def test_an_excluded_date_is_the_occurrence_of_that_moment(line: str) -> None:
    whole = series(meeting("RRULE:FREQ=WEEKLY", line))
    at = datetime(2030, 3, 11, 8, 30, tzinfo=UTC)
    assert whole.elsewhere == {at: None}
    assert whole.place(at) is None
    assert at in set(islice(whole.starts(), 3))


def test_a_moved_occurrence_is_where_the_event_has_it_also_if_its_date_is_excluded() -> None:
    at, to = datetime(2030, 3, 11, 8, 30, tzinfo=UTC), datetime(2030, 3, 12, 8, 30, tzinfo=UTC)
    moved = Moved("2030-03-11T08:30:00Z", to.timestamp(), (to + timedelta(hours=1)).timestamp())
    whole = series(meeting("RRULE:FREQ=WEEKLY", "EXDATE:20300311T083000Z", moved=(moved,)))
    assert whole.place(at) == Place(to, to + timedelta(hours=1))


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("EXDATE:20300311T083000Z",),
        ("RRULE:FREQ=DAILY", "RDATE:20300312T083000Z"),
        ("RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"),
        ("RRULE:FREQ=DAILY", "EXRULE:FREQ=WEEKLY"),
        ("RRULE:",),
        ("RRULE:FREQ=HOURLY",),
        ("RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",),
        ("RRULE:FREQ=DAILY;INTERVAL=0",),
        ("RRULE:FREQ=DAILY;INTERVAL=x",),
        ("RRULE:FREQ=DAILY;INTERVAL=" + "9" * 5000,),
        ("RRULE:FREQ=DAILY;INTERVAL=\u0661",),
        ("RRULE:FREQ=DAILY;COUNT=0",),
        ("RRULE:FREQ=DAILY;COUNT=5;UNTIL=20300412",),
        ("RRULE:FREQ=DAILY;UNTIL=20300230",),
        ("RRULE:FREQ=DAILY;UNTIL=20300303",),
        ("RRULE:FREQ=WEEKLY;BYDAY=TU",),
        ("RRULE:FREQ=WEEKLY;BYDAY=1MO",),
        ("RRULE:FREQ=WEEKLY;BYDAY=",),
        ("RRULE:FREQ=WEEKLY;WKST=XX",),
        ("RRULE:FREQ=MONTHLY;BYMONTHDAY=0",),
        ("RRULE:FREQ=MONTHLY;BYMONTHDAY=32",),
        ("RRULE:FREQ=MONTHLY;BYDAY=6MO",),
        ("RRULE:FREQ=MONTHLY;BYDAY=0MO",),
        ("RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",),
        ("RRULE:FREQ=YEARLY;BYDAY=20MO",),
        ("RRULE:FREQ=YEARLY;BYYEARDAY=1",),
        ("RRULE:FREQ=YEARLY;BYDAY=MO",),
        ("RRULE:FREQ=DAILY", "EXDATE;TZID=Nowhere/At_All:20300305T093000"),
        ("RRULE:FREQ=DAILY", "EXDATE:soon"),
    ],
    ids=lambda lines: " ".join(lines)[:60],
)
def test_what_cannot_be_told_whole_is_unsupported(lines: tuple[str, ...]) -> None:
    with pytest.raises(Unsupported):
        series(meeting(*lines))


def test_in_an_unknown_zone_a_series_would_drift() -> None:
    with pytest.raises(Unsupported, match="drift"):
        series(meeting("RRULE:FREQ=DAILY", zone="Nowhere/At_All"))


@pytest.mark.parametrize("start", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)])
def test_the_ends_of_time_are_no_trouble(start: datetime) -> None:
    for zone in ZONES:
        try:
            starts = series(meeting("RRULE:FREQ=WEEKLY", start=start, zone=zone)).starts()
        except Unsupported:
            continue
        assert len(list(islice(starts, 3))) <= 3
