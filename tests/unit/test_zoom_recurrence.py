"""RRULE as Zoom has it: what is mapped meets at the same moments, and what is not says why."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from sync.conferences.zoom_recurrence import MOST, mapped
from sync.errors import Unsupported

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2030, 3, 4, 9, 30, tzinfo=BERLIN)
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")


@pytest.mark.parametrize(
    ("rule", "recurrence"),
    [
        ("FREQ=DAILY;COUNT=5", {"type": 1, "repeat_interval": 1, "end_times": 5}),
        ("FREQ=DAILY;INTERVAL=99", {"type": 1, "repeat_interval": 99, "end_times": 0}),
        ("FREQ=WEEKLY", {"type": 2, "repeat_interval": 1, "weekly_days": "2", "end_times": 0}),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=FR,MO;COUNT=60",
            {"type": 2, "repeat_interval": 2, "weekly_days": "2,6", "end_times": 60},
        ),
        (
            "FREQ=WEEKLY;BYDAY=MO;UNTIL=20300401T073000Z",
            {"type": 2, "repeat_interval": 1, "weekly_days": "2", "end_date_time": "2030-04-01T07:30:00Z"},
        ),
        (
            "FREQ=WEEKLY;BYDAY=MO;UNTIL=20300401",
            {"type": 2, "repeat_interval": 1, "weekly_days": "2", "end_date_time": "2030-04-01T21:59:59Z"},
        ),
        ("FREQ=MONTHLY", {"type": 3, "repeat_interval": 1, "monthly_day": 4, "end_times": 0}),
        (
            "FREQ=MONTHLY;BYDAY=1MO",
            {"type": 3, "repeat_interval": 1, "monthly_week": 1, "monthly_week_day": 2, "end_times": 0},
        ),
        (
            "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1",
            {"type": 3, "repeat_interval": 1, "monthly_week": 1, "monthly_week_day": 2, "end_times": 0},
        ),
    ],
)
def test_a_rule_is_told_in_the_words_of_zoom(rule: str, recurrence: dict[str, object]) -> None:
    assert mapped([f"RRULE:{rule}"], MONDAY, BERLIN).recurrence == recurrence


@pytest.mark.parametrize(
    "lines",
    [
        ["RRULE:FREQ=YEARLY"],
        ["RRULE:FREQ=HOURLY"],
        ["RRULE:"],
        ["EXDATE:20300311T083000Z"],
        ["RRULE:FREQ=DAILY", "RDATE:20300312T083000Z"],
        ["RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"],
        ["RRULE:FREQ=DAILY;INTERVAL=100"],
        ["RRULE:FREQ=DAILY;INTERVAL=0"],
        ["RRULE:FREQ=DAILY;INTERVAL=x"],
        ["RRULE:FREQ=DAILY;BYDAY=MO"],
        ["RRULE:FREQ=DAILY;BYMONTH=3"],
        ["RRULE:FREQ=DAILY;COUNT=61"],
        ["RRULE:FREQ=DAILY;COUNT=0"],
        ["RRULE:FREQ=DAILY;UNTIL=20300503T073000Z"],
        ["RRULE:FREQ=DAILY;UNTIL=20300230"],
        ["RRULE:FREQ=DAILY;UNTIL=20300303"],
        ["RRULE:FREQ=WEEKLY;INTERVAL=51"],
        ["RRULE:FREQ=WEEKLY;BYDAY=TU"],
        ["RRULE:FREQ=WEEKLY;BYDAY=1MO"],
        ["RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU"],
        ["RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;WKST=WE"],
        ["RRULE:FREQ=MONTHLY;INTERVAL=11"],
        ["RRULE:FREQ=MONTHLY;BYMONTHDAY=4,5"],
        ["RRULE:FREQ=MONTHLY;BYMONTHDAY=-1"],
        ["RRULE:FREQ=MONTHLY;BYMONTHDAY=31"],
        ["RRULE:FREQ=MONTHLY;BYDAY=5MO"],
        ["RRULE:FREQ=MONTHLY;BYDAY=MO"],
        ["RRULE:FREQ=MONTHLY;BYDAY=1MO,3MO"],
        ["RRULE:FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=1"],
        ["RRULE:FREQ=DAILY", "EXDATE;TZID=Nowhere/At_All:20300305T093000"],
        ["RRULE:FREQ=DAILY", "EXDATE:soon"],
    ],
    ids=lambda lines: " ".join(lines),
)
def test_what_zoom_cannot_express_is_unsupported(lines: list[str]) -> None:
    with pytest.raises(Unsupported):
        mapped(lines, MONDAY, BERLIN)


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
    series = mapped(["RRULE:FREQ=WEEKLY", line], MONDAY, BERLIN)
    assert series.excluded == (datetime(2030, 3, 11, 8, 30, tzinfo=UTC),)
    assert series.excluded[0] in set(islice(series.starts(), 3))


def test_a_series_keeps_its_time_of_day_when_the_clocks_change() -> None:
    starts = islice(mapped(["RRULE:FREQ=WEEKLY"], MONDAY, BERLIN).starts(), 8)
    assert {f"{start.astimezone(BERLIN):%a %H:%M}" for start in starts} == {"Mon 09:30"}


ENDS = st.one_of(
    st.just(""),
    st.integers(1, MOST).map(lambda times: f";COUNT={times}"),
    st.integers(0, 400).map(
        lambda days: f";UNTIL={datetime(2031, 1, 1, tzinfo=UTC) + timedelta(days=days):%Y%m%d}T120000Z"
    ),
)
RULES = st.one_of(
    st.integers(1, 99).map(lambda every: f"FREQ=DAILY;INTERVAL={every}"),
    st.tuples(st.integers(1, 50), st.sets(st.sampled_from(DAYS), min_size=1), st.sampled_from(DAYS)).map(
        lambda of: f"FREQ=WEEKLY;INTERVAL={of[0]};BYDAY={','.join(sorted(of[1]))};WKST={of[2]}"
    ),
    st.tuples(st.integers(1, 10), st.integers(1, 31)).map(
        lambda of: f"FREQ=MONTHLY;INTERVAL={of[0]};BYMONTHDAY={of[1]}"
    ),
    st.tuples(st.integers(1, 10), st.sampled_from((-1, 1, 2, 3, 4, 5)), st.sampled_from(DAYS)).map(
        lambda of: f"FREQ=MONTHLY;INTERVAL={of[0]};BYDAY={of[1]}{of[2]}"
    ),
)
FIRSTS = st.datetimes(datetime(2030, 1, 1), datetime(2031, 12, 31))  # noqa: DTZ001


@given(RULES, ENDS, FIRSTS, st.sampled_from(ZONES))
def test_what_is_mapped_meets_when_the_rule_says(rule: str, end: str, begin: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    begin = begin.replace(second=0, microsecond=0)
    first = next(
        iter(rrulestr(rule, dtstart=begin))
    )  # so that most rules are those of their first occurrence
    try:
        series = mapped([f"RRULE:{rule}{end}"], first.replace(tzinfo=zone), zone)
    except Unsupported:
        return
    bounds = rrulestr(f"{rule}{end.partition(';UNTIL')[0]}", dtstart=first)
    starts = (start.replace(tzinfo=zone).astimezone(UTC) for start in islice(bounds, 70))
    if until := end.partition(";UNTIL=")[2]:
        last = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        starts = (start for start in starts if start <= last)
    assert list(islice(series.starts(), 70)) == list(starts)
