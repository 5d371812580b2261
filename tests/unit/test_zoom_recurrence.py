"""A rule of repetition in Zoom's words means the same as dateutil has it; what Zoom cannot have says why."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from sync.conferences.recurrence import DAYS, series
from sync.conferences.zoom_recurrence import MOST, told
from sync.errors import Unsupported
from tests.contract.fake_zoom import expanded
from tests.unit.test_recurrence import FIRSTS, MONDAY, ZONES, first_of, meeting


def mapped(rule: str, start: datetime = MONDAY, zone: str = "Europe/Berlin") -> Mapping[str, object]:
    return told(series(meeting(f"RRULE:{rule}", start=start, zone=zone)))


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
    assert mapped(rule) == recurrence


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY",
        "FREQ=DAILY;INTERVAL=100",
        "FREQ=DAILY;BYDAY=MO",
        "FREQ=DAILY;BYMONTH=3",
        "FREQ=DAILY;COUNT=61",
        "FREQ=DAILY;UNTIL=20300503T073000Z",
        "FREQ=WEEKLY;INTERVAL=51",
        "FREQ=WEEKLY;BYMONTH=3",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;WKST=WE",
        "FREQ=MONTHLY;INTERVAL=11",
        "FREQ=MONTHLY;BYMONTHDAY=4,5",
        "FREQ=MONTHLY;BYMONTHDAY=-28",
        "FREQ=MONTHLY;BYMONTHDAY=4;BYSETPOS=1",
        "FREQ=MONTHLY;BYDAY=MO",
        "FREQ=MONTHLY;BYDAY=1MO,3MO",
        "FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=1",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1,2",
        "FREQ=MONTHLY;BYDAY=MO;BYMONTHDAY=4",
    ],
)
def test_what_zoom_cannot_express_is_unsupported(rule: str) -> None:
    with pytest.raises(Unsupported, match="Zoom"):
        mapped(rule)


@pytest.mark.parametrize("rule", ["FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=MONTHLY;BYDAY=5TH"])
def test_what_some_months_do_not_have_is_unsupported(rule: str) -> None:
    start = datetime(2030, 1, 31, 9, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    with pytest.raises(Unsupported, match="Zoom"):
        mapped(rule, start)


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


@given(RULES, ENDS, FIRSTS, st.sampled_from(ZONES))
def test_what_is_mapped_meets_when_the_rule_says(rule: str, end: str, begin: datetime, name: str) -> None:
    """Both sides as dateutil has them: the rule of the event, and the stand-in's reading of Zoom's object."""
    zone = ZoneInfo(name)
    first = first_of(rule, begin, zone)  # most rules are those of their first occurrence then
    try:
        recurrence = mapped(f"{rule}{end}", first.replace(tzinfo=zone), name)
    except Unsupported:
        return
    bounds = rrulestr(f"{rule}{end.partition(';UNTIL')[0]}", dtstart=first)
    starts = list(islice(bounds, 70))
    if until := end.partition(";UNTIL=")[2]:
        last = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).astimezone(zone)
        starts = [start for start in starts if start.replace(tzinfo=zone) <= last]
    assert expanded(dict(recurrence), first, zone) == starts
