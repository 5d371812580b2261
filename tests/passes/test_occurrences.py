"""Single occurrences of a series: a provider that can is told where they are; one that cannot is left in peace."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync.meeting import Meeting
from sync.ports import Page
from tests.passes.conftest import ME, YOU, Town

WEEKLY = ["RRULE:FREQ=WEEKLY;COUNT=6"]


@pytest.fixture
def told(town: Town) -> Town:
    """A town whose provider can be told single occurrences."""
    town.policy = replace(town.policy, rules=replace(town.policy.rules, occurrences=frozenset({"acme"})))
    return town


def weekly(town: Town) -> str:
    series = town.meet("c-1", title="Stand-up", hours=24, recurrence=WEEKLY, time_zone="UTC")
    town.settle()
    return series


def occurrence(series: str, town: Town, week: int) -> str:
    return f"{series}_{at(town, week):%Y%m%dT%H%M%SZ}"


def at(town: Town, week: int, hours: float = 0) -> datetime:
    return datetime.fromisoformat(town.first) + timedelta(weeks=week, hours=hours)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _first(town: Town) -> None:
    town.first = town.at(24)  # type: ignore[attr-defined]


def move(town: Town, series: str, week: int, hours: float, **more: Any) -> None:
    start, end = at(town, week, hours), at(town, week, hours + 1)
    town.act(
        "move_occurrence",
        event=occurrence(series, town, week),
        start=start.isoformat(),
        end=end.isoformat(),
        **more,
    )


def has(town: Town) -> Meeting:
    meeting = town.acme.has["c-1"]
    assert meeting is not None
    return meeting


def moved(town: Town) -> dict[str, float | None]:
    return {each.original: each.start for each in has(town).moved}


def test_a_moved_occurrence_is_told_with_where_it_was_and_where_it_is(told: Town) -> None:
    series = weekly(told)
    move(told, series, 2, hours=3)
    told.settle()
    assert moved(told) == {f"{at(told, 2):%Y-%m-%dT%H:%M:%SZ}": at(told, 2, 3).timestamp()}
    assert told.calls() == {"c-1": 2}


def test_a_cancelled_occurrence_is_told_as_none(told: Town) -> None:
    series = weekly(told)
    told.act("cancel_occurrence", event=occurrence(series, told, 3))
    told.settle()
    assert moved(told) == {f"{at(told, 3):%Y-%m-%dT%H:%M:%SZ}": None}


def test_one_that_is_back_in_its_place_is_not_told_any_more(told: Town) -> None:
    series = weekly(told)
    move(told, series, 2, hours=3)
    told.settle()
    move(told, series, 2, hours=0)
    told.settle()
    assert moved(told) == {}
    assert told.calls() == {"c-1": 3}


def test_what_a_guest_answers_to_an_occurrence_is_no_move(told: Town) -> None:
    series = told.meet("c-1", hours=24, recurrence=WEEKLY, time_zone="UTC", attendees=[YOU])
    told.settle()
    told.act("rsvp", event=occurrence(series, told, 1), calendar=YOU, response="declined")
    told.settle()
    assert told.calls() == {"c-1": 1}


def test_several_are_one_call_and_a_full_listing_finds_them_again_without_one(told: Town) -> None:
    series = weekly(told)
    for week in (1, 2, 4):
        move(told, series, week, hours=2)
    told.settle()
    assert len(moved(told)) == 3
    before = told.calls()
    told.fault(expire_tokens=ME)
    told.settle()
    assert told.calls() == before
    assert len(moved(told)) == 3


def test_a_series_that_moves_as_a_whole_forgets_where_its_occurrences_were(told: Town) -> None:
    series = weekly(told)
    move(told, series, 2, hours=3)
    told.settle()
    told.act("move", event=series, start=at(told, 0, 5).isoformat(), end=at(told, 0, 6).isoformat())
    told.settle()
    assert f"{at(told, 2):%Y-%m-%dT%H:%M:%SZ}" not in moved(told)
    assert has(told).start == at(told, 0, 5).astimezone(UTC)


def test_a_series_that_is_deleted_takes_all_of_it_along(told: Town) -> None:
    series = weekly(told)
    move(told, series, 2, hours=3)
    told.settle()
    told.act("delete", event=series)
    told.settle()
    assert told.acme.has == {}


def test_a_provider_that_knows_no_occurrences_is_not_called_for_them(town: Town) -> None:
    series = weekly(town)
    move(town, series, 2, hours=3)
    town.act("cancel_occurrence", event=occurrence(series, town, 3))
    town.settle()
    assert town.calls() == {"c-1": 1}
    assert has(town).moved == ()


# --- Agenda and invitees ---


def test_details_are_told_only_to_a_provider_that_is_to_be_told(town: Town) -> None:
    town.policy = replace(
        town.policy, rules=replace(town.policy.rules, details={"acme": frozenset({"invitees"})})
    )
    asks = type(town.outside.calendar)(root_url=town.simulator.url, call_s=5.0, details=("invitees",))
    town.outside = replace(town.outside, calendar=asks)
    event = town.meet("c-1", attendees=[YOU])
    town.settle()
    assert YOU in (has(town).invitees or ())
    town.act("invite", event=event, attendees=["new@example.com"])
    town.settle()
    assert "new@example.com" in (has(town).invitees or ())
    assert town.calls() == {"c-1": 2}


def test_without_that_a_new_guest_is_no_change(town: Town) -> None:
    event = town.meet("c-1", attendees=[YOU])
    town.settle()
    town.act("invite", event=event, attendees=["new@example.com"])
    town.settle()
    assert has(town).invitees is None
    assert town.calls() == {"c-1": 1}


def test_an_occurrence_that_was_cancelled_before_we_first_looked_is_told(told: Town) -> None:
    series = told.meet("c-1", hours=24, recurrence=WEEKLY, time_zone="UTC")
    told.act("cancel_occurrence", event=occurrence(series, told, 3))
    told.settle()
    assert moved(told) == {f"{at(told, 3):%Y-%m-%dT%H:%M:%SZ}": None}
    assert told.calls() == {"c-1": 1}


def test_an_occurrence_that_was_cancelled_while_our_token_died_is_told(told: Town) -> None:
    series = weekly(told)
    told.act("cancel_occurrence", event=occurrence(series, told, 3))
    told.fault(expire_tokens=ME)
    told.settle()
    assert moved(told) == {f"{at(told, 3):%Y-%m-%dT%H:%M:%SZ}": None}


class Backwards:
    """Google Calendar, with the last of each page first."""

    def __init__(self, calendar: Any) -> None:
        self._calendar = calendar

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calendar, name)

    def list_page(self, *asked: Any) -> Page:
        page: Page = self._calendar.list_page(*asked)
        return replace(page, items=list(page.items)[::-1])


def test_occurrences_that_are_listed_long_before_their_series_are_told(
    told: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.pull._BATCH", 1)
    told.outside = replace(told.outside, calendar=Backwards(told.outside.calendar))  # type: ignore[arg-type]
    series = told.meet("c-1", hours=24, recurrence=WEEKLY, time_zone="UTC")
    told.act("cancel_occurrence", event=occurrence(series, told, 3))
    move(told, series, 2, hours=3)
    told.settle()
    assert list(moved(told).values()) == [at(told, 2, 3).timestamp(), None]
    assert told.calls() == {"c-1": 1}
