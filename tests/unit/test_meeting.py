"""Meetings: what is sent, when it is sent again, and how far an event reaches."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.event import Event, Kind, Times
from sync.meeting import Reach, fingerprint, joint_fingerprint, leader, meeting, reach
from tests.unit.builders import DAY, HOUR, NOW, at, carrying, event, times, weekly
from tests.unit.builders import reach as reaching

MIDNIGHT = NOW - NOW % DAY


def timed(each: Event) -> Times:
    assert each.times is not None
    return each.times


def printed(each: Event) -> str:
    return fingerprint(each, timed(each))


def reached(each: Event) -> Reach:
    return reach(each, timed(each))


# --- Fingerprints ---


@pytest.mark.parametrize(
    "other",
    [
        replace(event(), etag='"2"'),
        replace(event(), carried=carrying("other.example/x")),
        replace(event(), whole=False),
        replace(event(), kind=Kind.GUEST),
        event("another"),
    ],
    ids=["etag", "conference", "whole", "kind", "id"],
)
def test_what_is_not_sent_does_not_change_the_fingerprint(other: Event) -> None:
    assert printed(other) == printed(event())


@pytest.mark.parametrize(
    "other",
    [
        event(title="Planning "),
        event(start=NOW + DAY + 1),
        event(length=HOUR + 1),
        replace(event(), times=replace(times(), time_zone="Europe/Paris")),
        replace(event(), times=times(all_day=True)),
        weekly("e1"),
    ],
    ids=["title", "start", "end", "time zone", "all day", "recurrence"],
)
def test_whatever_is_sent_changes_the_fingerprint(other: Event) -> None:
    assert printed(other) != printed(event())


@given(st.text(), st.text())
def test_every_title_has_its_own_fingerprint(one: str, other: str) -> None:
    assert (printed(event(title=one)) == printed(event(title=other))) is (one == other)


def test_a_fingerprint_carries_its_version_and_no_title() -> None:
    assert printed(event(title="Secret")).startswith("1:")
    assert "Secret" not in printed(event(title="Secret"))


prints = st.dictionaries(st.text(min_size=1), st.text(min_size=1), min_size=1, max_size=4)


@given(prints, st.data())
def test_a_joint_fingerprint_does_not_depend_on_the_order_of_events(
    fingerprints: dict[str, str], data: st.DataObject
) -> None:
    lead = data.draw(st.sampled_from(sorted(fingerprints)))
    shuffled = dict(data.draw(st.permutations(list(fingerprints.items()))))
    assert joint_fingerprint(fingerprints, lead) == joint_fingerprint(shuffled, lead)


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_joint_fingerprint_of_one_event_is_its_own(name: str, fingerprint: str) -> None:
    assert joint_fingerprint({name: fingerprint}, name) == fingerprint


@given(prints.filter(lambda fingerprints: len(fingerprints) > 1), st.data())
def test_a_joint_fingerprint_changes_with_every_event_and_with_the_leader(
    fingerprints: dict[str, str], data: st.DataObject
) -> None:
    one, other, *_ = data.draw(st.permutations(sorted(fingerprints)))
    changed = {**fingerprints, other: fingerprints[other] + "'"}
    assert joint_fingerprint(changed, one) != joint_fingerprint(fingerprints, one)
    assert joint_fingerprint(fingerprints, other) != joint_fingerprint(fingerprints, one)


# --- Leaders ---


@pytest.mark.parametrize(
    ("reaches", "lead"),
    [
        ({"a": reaching(NOW)}, "a"),
        ({"a": reaching(NOW + 1), "b": reaching(NOW)}, "a"),
        ({"a": reaching(NOW), "b": reaching(NOW)}, "b"),
        ({"a": reaching(NOW, repeats=True), "b": reaching(NOW + 9 * DAY)}, "a"),
        ({"a": reaching(NOW, repeats=True), "b": reaching(NOW, repeats=True)}, "b"),
    ],
    ids=["alone", "ends last", "tie", "never ends", "neither ends"],
)
def test_the_event_that_ends_last_leads(reaches: dict[str, Reach], lead: str) -> None:
    assert leader(reaches) == lead
    assert leader(dict(reversed(reaches.items()))) == lead


# --- Meetings ---


def test_a_single_event_is_told_as_it_is() -> None:
    told = meeting({"a": event(title="Retro")}, "a")
    assert (told.title, told.start, told.end) == ("Retro", at(NOW + DAY), at(NOW + DAY + HOUR))


def test_what_an_event_is_about_and_who_is_invited_is_told_only_where_that_is_wanted() -> None:
    events = {"a": replace(event(), agenda="Private", invitees=("ada@example.com",))}
    for told, agenda, invitees in (
        (set[str](), None, None),
        ({"agenda"}, "Private", None),
        ({"invitees"}, None, ("ada@example.com",)),
    ):
        found = meeting(events, "a", told=told)
        assert (found.agenda, found.invitees) == (agenda, invitees)


def test_events_that_share_a_conference_get_the_leaders_title_and_the_union_of_their_times() -> None:
    told = meeting(
        {"a": event(start=NOW, title="Early"), "b": event(start=NOW + 5 * HOUR, title="Late")}, "b"
    )
    assert (told.title, told.start, told.end) == ("Late", at(NOW), at(NOW + 6 * HOUR))


def test_a_leading_series_keeps_its_own_times() -> None:
    told = meeting({"a": weekly(start=NOW), "b": event(start=NOW - DAY)}, "a")
    assert (told.start, told.recurrence) == (at(NOW), ("RRULE:FREQ=WEEKLY",))


def test_a_leading_event_is_not_stretched_over_a_series() -> None:
    told = meeting({"a": weekly(start=NOW - 99 * DAY), "b": event(start=NOW)}, "b")
    assert (told.start, told.recurrence) == (at(NOW), ())


def test_a_union_of_days_and_hours_is_not_all_day() -> None:
    evening = event(start=MIDNIGHT + 20 * HOUR)
    day = replace(event(), times=times(MIDNIGHT + DAY, DAY, all_day=True))
    told = meeting({"a": evening, "b": day}, "b")
    assert (told.all_day, told.start) == (False, at(MIDNIGHT + 20 * HOUR))


def test_a_union_of_days_is_all_day() -> None:
    days = [replace(event(), times=times(MIDNIGHT + n * DAY, DAY, all_day=True)) for n in range(2)]
    told = meeting({"a": days[0], "b": days[1]}, "b")
    assert (told.all_day, told.end - told.start) == (True, timedelta(days=2))


# --- Reach ---


def test_a_single_event_reaches_to_its_end() -> None:
    assert reached(event(start=NOW)) == Reach(NOW, NOW + HOUR, HOUR, repeats=False)


@pytest.mark.parametrize(
    "rules",
    [
        ("RRULE:FREQ=DAILY",),
        ("RRULE:FREQ=DAILY;COUNT=3",),
        ("RRULE:FREQ=DAILY;UNTIL=20300401", "RRULE:FREQ=WEEKLY"),
        ("RRULE:FREQ=DAILY;UNTIL=99999999",),
        ("RDATE:20300401T100000Z",),
    ],
    ids=["no end", "a count", "one of two without end", "no such day", "only dates"],
)
def test_a_series_whose_end_is_not_plain_to_see_is_endless(rules: tuple[str, ...]) -> None:
    assert reached(event(recurrence=rules)).end is None


@pytest.mark.parametrize("until", ["20300401", "20300401T235959Z", "20300401T100000"])
def test_a_series_ends_two_days_and_one_meeting_after_its_last_day(until: str) -> None:
    midnight = 1_901_232_000.0  # the beginning of 2030-04-01
    assert reached(weekly(until=until, length=50 * HOUR)).end == midnight + 2 * DAY + 50 * HOUR


def test_the_later_of_two_ends_counts() -> None:
    both = event(recurrence=("RRULE:FREQ=DAILY;UNTIL=20300401", "RRULE:FREQ=DAILY;UNTIL=20300501"))
    assert reached(both).end == reached(weekly(until="20300501")).end


@given(
    day=st.integers(0, 300),
    of_day=st.integers(0, 86399),
    length=st.integers(0, 100 * 3600),
    offset=st.integers(-12 * 3600, 14 * 3600),
)
def test_no_occurrence_ends_after_its_series_does(day: int, of_day: int, length: int, offset: int) -> None:
    """Whatever the hour and the zone of its last occurrence on the day that UNTIL names."""
    last_day = at(MIDNIGHT + day * DAY)
    series = reached(weekly(until=f"{last_day:%Y%m%d}", length=length))
    last_start = last_day.timestamp() + of_day - offset
    assert not series.is_over(last_start + length - 1)


@given(
    start=st.integers(0, 300),
    weeks=st.integers(0, 200),
    shift=st.sampled_from([-HOUR, 0, HOUR]),
    share=st.floats(0, 1),
)
def test_every_occurrence_of_a_series_is_in_progress_while_it_runs(
    start: int, weeks: int, shift: float, share: float
) -> None:
    """Also where the clocks have changed by an hour between its start and then."""
    of = reaching(NOW + start, HOUR, repeats=True)
    now = of.start + weeks * 7 * DAY + shift + share * (HOUR - 1)
    assert of.in_progress(now) or now < of.start
