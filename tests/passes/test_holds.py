"""Held deletions wait for a person: approved they are done on fresh evidence, rejected they are left alone."""

from dataclasses import replace

import pytest

from sync import conference, holds
from sync.conference import State
from sync.decide import Brake
from sync.errors import Gone, Refused, Timeout, Transient
from sync.recognise import ConferenceKey
from tests.passes.conftest import ME, YOU, Town


def key(number: int) -> ConferenceKey:
    return ConferenceKey("acme", f"c-{number}")


@pytest.fixture
def held(town: Town) -> Town:
    """Five deleted meetings, where two a day are unsuspicious."""
    town.policy = replace(town.policy, brake=Brake(most=2, unquestioned=2))
    town.events = [town.meet(f"c-{number}", hours=200) for number in range(5)]  # type: ignore[attr-defined]
    town.settle()
    for event in town.events:  # type: ignore[attr-defined]
        town.act("delete", event=event)
    town.settle()
    assert len(holds.held(town.store, town.key)) == 5
    assert town.calls("delete") == {}
    return town


def answer(town: Town, *, approve: bool, only: list[ConferenceKey] | None = None) -> list[ConferenceKey]:
    return holds.answer(town.outside, town.policy, town.key, owner="a person", approve=approve, only=only)


def test_approved_deletions_are_done(held: Town) -> None:
    assert len(answer(held, approve=True)) == 5
    held.settle()
    assert held.acme.has == {}
    assert holds.held(held.store, held.key) == []


def test_only_what_was_approved_is_done(held: Town) -> None:
    assert answer(held, approve=True, only=[key(3)]) == [key(3)]
    held.settle()
    assert held.calls("delete") == {"c-3": 1}
    assert len(holds.held(held.store, held.key)) == 4


def test_rejected_deletions_are_never_done(held: Town) -> None:
    answer(held, approve=False)
    held.settle()
    held.sweep()
    assert held.calls("delete") == {}
    assert len(held.acme.has) == 5
    assert holds.held(held.store, held.key) == []


def test_a_rejected_conference_that_is_used_again_is_looked_after_again(held: Town) -> None:
    answer(held, approve=False, only=[key(0)])
    held.act("restore", event=held.events[0])  # type: ignore[attr-defined]
    held.act("retitle", event=held.events[0], title="Back")  # type: ignore[attr-defined]
    held.settle()
    meeting = held.acme.has["c-0"]
    assert meeting is not None
    assert meeting.title == "Back"


def test_an_approved_deletion_is_called_off_when_its_event_is_back(held: Town) -> None:
    held.act("restore", event=held.events[0])  # type: ignore[attr-defined]
    answer(held, approve=True)
    held.settle()
    assert "c-0" in held.acme.has
    assert held.calls("delete") == {f"c-{number}": 1 for number in range(1, 5)}


def test_held_ones_hold_back_later_deletions_until_a_person_has_looked(held: Town) -> None:
    later = held.meet("c-9", hours=200)
    held.settle()
    held.act("delete", event=later)
    held.settle()
    assert held.calls("delete") == {}
    answer(held, approve=False)
    another = held.meet("c-10", hours=200)
    held.settle()
    held.act("delete", event=another)
    held.settle()
    assert held.calls("delete") == {"c-10": 1}


def test_what_a_person_approved_does_not_count_as_unusual_afterwards(held: Town) -> None:
    answer(held, approve=True)
    held.settle()
    later = held.meet("c-9", hours=200)
    held.settle()
    held.act("delete", event=later)
    held.settle()
    assert held.calls("delete")["c-9"] == 1


def test_an_approval_holds_for_this_deletion_only(held: Town) -> None:
    answer(held, approve=True, only=[key(0)])
    held.act("restore", event=held.events[0])  # type: ignore[attr-defined]
    held.settle()
    held.act("delete", event=held.events[0])  # type: ignore[attr-defined]
    held.settle()
    assert held.calls("delete") == {}
    assert key(0) in [item.key for item in holds.held(held.store, held.key)]


def test_a_pass_in_between_is_not_disturbed(held: Town) -> None:
    held.store.claim(held.key, "a pass")
    with pytest.raises(Transient, match="try again"):
        answer(held, approve=True)
    held.clock.advance(100)
    assert len(answer(held, approve=True)) == 5


def test_a_calendar_that_is_not_looked_after_has_nothing_to_approve(town: Town) -> None:
    with pytest.raises(Refused, match="not looked after"):
        holds.answer(town.outside, town.policy, "unknown", owner="a person", approve=True)


def test_a_conference_is_released_from_the_brake_though_the_answer_was_lost_on_the_way(held: Town) -> None:
    for _ in range(2):  # the same answer twice is one answer
        answer(held, approve=True, only=[key(1)])
    held.settle()
    assert held.calls("delete") == {"c-1": 1}
    [conference] = held.store.conferences([key(1)])
    assert conference.state is State.GONE


def test_a_deletion_that_more_events_have_a_say_in_than_are_remembered_waits_for_a_person(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conference, "FORMER_KEPT", 1)
    event = town.meet("c-1", hours=200)
    town.settle()
    town.act("delete", event=event)
    town.settle()
    assert [each.key for each in holds.held(town.store, town.key)] == [key(1)]
    assert town.calls("delete") == {}


def test_a_deletion_without_an_answer_counts_where_it_was_made_whoever_takes_over(town: Town) -> None:
    town.policy = replace(town.policy, brake=Brake(most=1, unquestioned=1))
    town.enrol(YOU)
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    first, second = (town.meet(conference, hours=200) for conference in ("c-1", "c-2"))
    town.settle()
    town.acme.late = [Timeout("no answer")] * 1000
    town.act("delete", event=first)
    town.settle()
    assert town.calls("delete")["c-1"] > 1  # its own retries are no more deletions
    town.acme.late, town.acme.faults = [], [Gone("404")]
    town.meet("c-1", calendar=YOU)
    town.settle()
    town.act("delete", event=second)
    town.settle()
    assert "c-2" not in town.calls("delete")
    assert [each.key for each in holds.held(town.store, town.key)] == [key(2)]


# --- What counts ---


def test_meetings_that_are_over_do_not_make_many_deletions_look_few(town: Town) -> None:
    for number in range(24):
        town.meet(f"over-{number}", hours=1)
    ahead = [town.meet(f"c-{number}", hours=400) for number in range(6)]
    town.settle()
    town.settle(hours=72)
    for event in ahead:
        town.act("delete", event=event)
    town.settle()
    assert town.calls("delete") == {}
    assert len(holds.held(town.store, town.key)) == 6


def test_deletions_that_an_outage_has_gathered_do_not_land_on_one_day(town: Town) -> None:
    town.policy = replace(town.policy, brake=Brake(most=2, unquestioned=2))
    events = [town.meet(f"c-{number}", hours=400) for number in range(6)]
    town.settle()
    town.acme.faults = [Transient("503")] * 10_000
    for day in range(3):
        for event in events[2 * day : 2 * day + 2]:
            town.act("delete", event=event)
        town.settle(hours=30)
        assert holds.held(town.store, town.key) == [] or day
    town.acme.faults = []
    there = len(town.acme.has)
    town.settle(hours=24)
    assert there - len(town.acme.has) <= 2
    assert len(holds.held(town.store, town.key)) >= 4
