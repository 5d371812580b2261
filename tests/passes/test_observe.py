"""Observe mode decides and says, and calls no provider; back in apply mode the difference is applied."""

import json
from dataclasses import replace

import pytest

from sync.conference import State
from sync.decide import Brake
from sync.recognise import ConferenceKey
from tests.passes.conftest import Town

C1 = ConferenceKey("acme", "c-1")


@pytest.fixture
def observing(town: Town) -> Town:
    town.policy = replace(town.policy, observing=True)
    return town


def apply(town: Town) -> None:
    """Switch over, and let the sweep come by."""
    town.policy = replace(town.policy, observing=False)
    town.sweep()


def observed(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [(line["conference"], line["why"]) for line in lines if line.get("code") == "observed"]


def test_no_provider_is_called_and_all_is_recorded_and_said(
    observing: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    town = observing
    event = town.meet()
    town.settle()
    town.act("move", event=event, start=town.at(48), end=town.at(49))
    town.settle()
    town.act("delete", event=event)
    town.settle()
    assert town.acme.calls == []
    assert town.acme.has == {"c-1": None}
    said = [why for _, why in observed(capsys)]
    assert said[0] == "would be updated"
    assert said[-1] == "would be deleted"


def test_what_was_observed_is_applied_after_the_switch_and_only_its_last_state(observing: Town) -> None:
    town = observing
    event = town.meet()
    town.settle()
    town.act("retitle", event=event, title="Another title")
    town.settle()
    apply(town)
    meeting = town.acme.has["c-1"]
    assert meeting is not None
    assert meeting.title == "Another title"
    assert town.calls() == {"c-1": 1}


def test_deletions_that_piled_up_meet_the_brake_after_the_switch(observing: Town) -> None:
    town = observing
    town.policy = replace(town.policy, brake=Brake(most=3, unquestioned=3))
    events = [town.meet(f"c-{number}") for number in range(5)]
    town.settle()
    for event in events:
        town.act("delete", event=event)
    town.settle()
    apply(town)
    assert town.calls("delete") == {}
    conferences = town.store.conferences([ConferenceKey("acme", f"c-{number}") for number in range(5)])
    assert {each.state for each in conferences} == {State.HELD}


def test_observing_says_that_a_deletion_would_be_held_and_holds_nothing(
    observing: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    town = observing
    town.policy = replace(town.policy, brake=Brake(most=0, unquestioned=0))
    event = town.meet()
    town.settle()
    town.act("delete", event=event)
    town.settle()
    assert observed(capsys)[-1] == (C1.veiled, "would be held")
    [conference] = town.store.conferences([C1])
    assert conference.state is State.OK


def test_a_conference_restored_while_observing_is_never_deleted(observing: Town) -> None:
    town = observing
    event = town.meet()
    town.settle()
    town.act("delete", event=event)
    town.settle()
    town.act("restore", event=event)
    town.settle()
    apply(town)
    assert "c-1" in town.acme.has
    assert town.calls("delete") == {}


def test_observing_costs_no_more_than_one_look_a_sweep(observing: Town) -> None:
    town = observing
    for number in range(5):
        town.meet(f"c-{number}")
    town.settle()
    before = town.listings()
    town.settle(hours=24)
    assert town.listings() - before <= 6
