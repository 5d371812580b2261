"""Recurrence arithmetic against the calendar on the wall."""

from __future__ import annotations

from datetime import date, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from sync.simulator import series

BERLIN = ZoneInfo("Europe/Berlin")


def first(lines: list[str], start: series.Start, most: int = 6) -> list[str]:
    return [moment.isoformat() for moment in islice(series.occurrences(lines, start), most)]


def at_nine(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T09:00:00").replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("rule", "start", "expected"),
    [
        ("FREQ=DAILY;COUNT=3", "2026-03-02", ["2026-03-02", "2026-03-03", "2026-03-04"]),
        ("FREQ=DAILY;INTERVAL=10;UNTIL=20260325", "2026-03-02", ["2026-03-02", "2026-03-12", "2026-03-22"]),
        ("FREQ=DAILY;BYDAY=SA,SU;COUNT=3", "2026-03-02", ["2026-03-07", "2026-03-08", "2026-03-14"]),
        ("FREQ=WEEKLY;COUNT=2", "2026-03-02", ["2026-03-02", "2026-03-09"]),
        ("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=3", "2026-03-02", ["2026-03-02", "2026-03-04", "2026-03-09"]),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU;COUNT=3",
            "2026-03-03",
            ["2026-03-03", "2026-03-15", "2026-03-17"],
        ),
        ("FREQ=MONTHLY;COUNT=3", "2026-01-31", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", "2026-01-31", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("FREQ=MONTHLY;BYDAY=2TU;COUNT=2", "2026-03-10", ["2026-03-10", "2026-04-14"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=2", "2026-03-27", ["2026-03-27", "2026-04-24"]),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=2", "2026-02-13", ["2026-02-13", "2026-03-13"]),
        ("FREQ=YEARLY;COUNT=2", "2024-02-29", ["2024-02-29", "2028-02-29"]),
        (
            "FREQ=YEARLY;BYMONTH=3,9;BYDAY=1SU;COUNT=3",
            "2026-03-01",
            ["2026-03-01", "2026-09-06", "2027-03-07"],
        ),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "2026-02-01", []),
    ],
)
def test_a_rule_means_these_days(rule: str, start: str, expected: list[str]) -> None:
    assert first([f"RRULE:{rule}"], date.fromisoformat(start)) == expected


def test_nine_o_clock_stays_nine_when_daylight_saving_begins() -> None:
    days = first(["RRULE:FREQ=WEEKLY;COUNT=2"], at_nine("2026-03-23"))
    assert days == ["2026-03-23T09:00:00+01:00", "2026-03-30T09:00:00+02:00"]


def test_a_wall_time_that_does_not_exist_moves_forward() -> None:
    start = datetime(2026, 3, 28, 2, 30, tzinfo=BERLIN)
    days = first(["RRULE:FREQ=DAILY;COUNT=3"], start)
    assert days == ["2026-03-28T02:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"]


def test_excluded_and_added_dates_count_whatever_zone_they_are_written_in() -> None:
    lines = [
        "RRULE:FREQ=DAILY;COUNT=4",
        "EXDATE:20260303T080000Z",
        "EXDATE;TZID=Europe/Berlin:20260304T090000",
        "RDATE;TZID=Europe/Berlin:20260309T090000",
    ]
    assert [day[:10] for day in first(lines, at_nine("2026-03-02"))] == [
        "2026-03-02",
        "2026-03-05",
        "2026-03-09",
    ]


def test_a_series_without_a_rule_is_its_dates() -> None:
    lines = ["RDATE;VALUE=DATE:20260309"]
    assert first(lines, date(2026, 3, 2)) == ["2026-03-02", "2026-03-09"]


def test_a_cut_series_ends_with_the_day_before_in_its_own_zone() -> None:
    assert series.cut(["RRULE:FREQ=DAILY;COUNT=9"], at_nine("2026-03-27")) == [
        "RRULE:FREQ=DAILY;UNTIL=20260326T225959Z"
    ]
    assert series.cut(["RRULE:FREQ=DAILY"], date(2026, 3, 27)) == ["RRULE:FREQ=DAILY;UNTIL=20260326"]


def test_what_goes_on_after_a_cut_has_the_rest_of_the_count() -> None:
    lines = ["RRULE:FREQ=DAILY;COUNT=9"]
    assert series.rest(lines, date(2026, 3, 2), date(2026, 3, 6)) == ["RRULE:FREQ=DAILY;COUNT=5"]


@pytest.mark.parametrize(
    "line",
    [
        "RRULE:FREQ=HOURLY",
        "RRULE:FREQ=DAILY;BYEASTER=1",
        "RRULE:FREQ=DAILY;COUNT=x",
        "RRULE:FREQ=DAILY;COUNT=0",
        "RRULE:FREQ=DAILY;INTERVAL=1000000",
        "DTSTART:20260101",
        "EXDATE:soon",
    ],
)
def test_a_line_that_cannot_be_expanded_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        series.check([line], at_nine("2026-03-02"))


def test_a_zone_may_be_a_fixed_offset() -> None:
    start = series.start_of({"dateTime": "2026-03-02T09:00:00", "timeZone": "GMT-07:00"}, "UTC")
    assert series.stamp(start) == "20260302T160000Z"
