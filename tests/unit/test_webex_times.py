"""What Webex is told of times means the same, as dateutil expands it, also of a series that has begun."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sync.conferences.webex_times import times
from sync.errors import Unsupported
from tests.unit.test_recurrence import (
    ENDS,
    EVERY,
    FIRSTS,
    MONDAY,
    WEEKDAYS,
    ZONES,
    expanded,
    first_of,
    meeting,
    rules,
)

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
RULES = st.one_of(
    rules("DAILY", EVERY),
    rules("WEEKLY", EVERY, WEEKDAYS, st.sampled_from((";WKST=SU", ";WKST=MO"))),
    rules("MONTHLY", EVERY, st.sampled_from(("", ";BYMONTHDAY=-1", ";BYDAY=2TU", ";BYDAY=-1FR"))),
    rules("YEARLY", EVERY),
)


def told_starts(told: dict[str, Any]) -> list[datetime]:
    """What Webex makes of it: local in its zone, and the end of the rule where it says."""
    zone = ZoneInfo(told["timezone"])
    first = datetime.fromisoformat(told["start"]).astimezone(zone).replace(tzinfo=None)
    rule, _, until = told["recurrence"].partition(";UNTIL=")
    return expanded(rule, f";UNTIL={until}" if until else "", first, zone)


@given(RULES, ENDS, FIRSTS, st.sampled_from(ZONES), st.integers(0, 30))
def test_what_is_told_meets_when_the_rule_says_from_now_on(
    rule: str, end: str, begin: datetime, name: str, passed: int
) -> None:
    zone = ZoneInfo(name)
    first = first_of(rule, begin, zone)
    wanted = expanded(rule, end, first, zone)
    assume(len(wanted) > passed and wanted[passed].year < first.year + 50)
    now = wanted[passed] - (timedelta(seconds=1) if passed else timedelta(days=1))
    try:
        found = times(meeting(f"RRULE:{rule}{end}", start=first.replace(tzinfo=zone), zone=name), now)
    except Unsupported:
        return
    told = found.told()
    ahead = [start for start in wanted[passed:] if start.year < first.year + 100]
    assert told_starts(told)[: len(ahead)] == ahead
    assert found.are_in(told)
    assert found.has_begun == (found.first.start <= now)


@pytest.mark.parametrize(
    "other",
    [
        {"recurrence": "FREQ=WEEKLY;INTERVAL=2"},
        {"recurrence": "FREQ=WEEKLY;COUNT=5"},
        {"recurrence": None},
        {"recurrence": "whenever"},
        {"start": "2030-03-11T08:30:00Z", "end": "2030-03-11T09:15:00Z"},
        {"end": "2030-03-04T10:15:00Z"},
        {"timezone": "Africa/Lagos"},
        {"timezone": "Nowhere/At_All"},
        {"timezone": None},
    ],
    ids=str,
)
def test_other_times_are_seen(other: dict[str, object]) -> None:
    found = times(meeting("RRULE:FREQ=WEEKLY"), LONG_AGO)
    assert found.are_in(found.told())
    assert not found.are_in({**found.told(), **other})


def test_a_rule_of_as_many_occurrences_as_webex_has_is_told_and_one_more_is_not() -> None:
    for rule, most in (("DAILY", 1826), ("WEEKLY", 261), ("MONTHLY", 60), ("YEARLY", 5)):
        times(meeting(f"RRULE:FREQ={rule};COUNT={most}"), LONG_AGO)
        with pytest.raises(Unsupported, match=f"series of {most} occurrences"):
            times(meeting(f"RRULE:FREQ={rule};COUNT={most + 1}"), LONG_AGO)
    with pytest.raises(Unsupported, match="series of 5 occurrences"):
        times(meeting("RRULE:FREQ=YEARLY;UNTIL=20350401T000000Z"), LONG_AGO)


def test_a_series_that_is_over_is_not_told_and_as_it_is_it_is_as_wanted() -> None:
    found = times(meeting("RRULE:FREQ=DAILY;COUNT=3"), MONDAY + timedelta(days=9))
    with pytest.raises(Unsupported, match="past"):
        found.told()
    assert found.are_in(times(meeting("RRULE:FREQ=DAILY;COUNT=3"), LONG_AGO).told())
    assert len(list(islice(found.series.starts(), 5))) == 3 if found.series else False
