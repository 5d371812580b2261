"""How often calendars are looked at: as wanted, or as half of what Google allows."""

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import budget
from sync.budget import MOST, RUN_S, interval_s, spread

SIX_HOURS = 21600.0


@pytest.mark.parametrize(
    ("calendars", "users", "hours"),
    [
        (1, 1, 6.0),
        (1_000, 1, 6.0),
        (108_000, 1, 6.0),  # shared with us: 600 a minute for all of them, half of it ours
        (216_000, 1, 12.0),
        (125_000, 125_000, 6.0),  # delegated: a million a day, half of it ours
        (250_000, 250_000, 12.0),
    ],
)
def test_an_interval_is_as_wanted_until_there_are_too_many_calendars(
    calendars: int, users: int, hours: float
) -> None:
    subjects = [str(number % users) for number in range(calendars)]
    assert interval_s(SIX_HOURS, subjects) / 3600 == pytest.approx(hours)


def test_without_a_calendar_there_is_nothing_to_wait_for() -> None:
    assert interval_s(SIX_HOURS, []) == SIX_HOURS
    assert spread([]) == []


@given(st.lists(st.sampled_from(["", "ada", "bob"]), max_size=3000))
def test_no_minute_has_more_looks_than_half_of_what_is_allowed(subjects: list[str]) -> None:
    times = spread(subjects)
    for who in {None, *subjects}:
        mine = [
            at
            for at, subject in zip(times, subjects, strict=True)
            if at is not None and who in (None, subject)
        ]
        for start in range(0, int(RUN_S), 60):
            looks = sum(start <= at < start + 60 for at in mine)
            allowed = budget.A_DAY / 1440 if who is None else budget.A_MINUTE
            assert looks <= allowed * budget.SHARE + 1


@given(st.lists(st.sampled_from(["", "ada"]), max_size=3000))
def test_whoever_comes_first_is_looked_at_first_and_only_what_does_not_fit_is_left(
    subjects: list[str],
) -> None:
    times = spread(subjects)
    taken = [at for at in times if at is not None]
    assert all(at < RUN_S for at in taken)
    for who in set(subjects):
        mine = [at for at, subject in zip(times, subjects, strict=True) if subject == who and at is not None]
        assert mine == sorted(mine)
    assert len(taken) == len(subjects) or len(taken) >= budget.A_MINUTE * budget.SHARE * RUN_S / 60


def test_one_run_takes_no_more_than_there_is_room_for() -> None:
    delegated = [str(number) for number in range(MOST + 10)]
    assert sum(at is not None for at in spread(delegated)) in (MOST, MOST + 1)


@given(st.lists(st.sampled_from(["", "ada"]), max_size=3000))
def test_with_time_for_all_everybody_has_a_turn_at_the_same_pace(subjects: list[str]) -> None:
    times = [at for at in spread(subjects, run_s=inf) if at is not None]
    assert len(times) == len(subjects)
    for who in set(subjects):
        mine = [at for at, subject in zip(times, subjects, strict=True) if subject == who]
        assert all(later - at >= 0.2 - 1e-9 for at, later in pairwise(mine))
