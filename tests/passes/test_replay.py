"""What was due since a time is done again: what failed, and what was passed over; and nothing twice."""

import time

from sync import by_hand
from sync.conference import State
from sync.errors import Refused
from sync.ports import CalendarRecord
from sync.recognise import ConferenceKey
from tests.passes.conftest import Town


def record(town: Town) -> CalendarRecord:
    found = town.store.calendar(town.key)
    assert found is not None
    return found


def replay(town: Town, since: float) -> by_hand.Again:
    due = by_hand.due_since(record(town), town.store.unsettled(town.key), since, town.clock.now())
    by_hand.do_again(town.outside, town.policy, town.key, due, owner=f"p{time.monotonic_ns()}")
    return due


def test_what_failed_and_what_was_passed_over_is_done_and_what_stands_is_not_told_again(town: Town) -> None:
    town.meet("stands")
    town.settle()
    before = town.clock.now()
    town.clock.advance(60)
    town.acme.faults = [Refused("not like this")]
    town.meet("refused")
    town.settle()
    town.meet("passed-over")
    town.pass_over()
    town.settle()
    assert town.calls() == {"stands": 1, "refused": 1}
    town.acme.calls.clear()
    assert replay(town, before) == by_hand.Again(in_full=True, tries=(ConferenceKey("acme", "refused"),))
    assert replay(town, before).tries == (), "asked for already"
    town.settle()
    assert sorted(town.acme.calls) == [("update", "passed-over"), ("update", "refused")]
    assert {each.state for each in town.store.conferences_of(town.key)} == {State.OK}
    assert replay(town, before).tries == ()
    town.settle()
    assert len(town.acme.calls) == 2


def test_what_failed_before_then_is_left_to_its_own_time(town: Town) -> None:
    town.acme.faults = [Refused("not like this")]
    town.meet("refused")
    town.settle()
    town.clock.advance(60)
    assert replay(town, town.clock.now()) == by_hand.Again(in_full=False)
    town.settle()
    assert town.calls() == {"refused": 1}


def test_a_calendar_that_nobody_has_looked_at_since_then_is_listed_from_its_token(town: Town) -> None:
    town.settle()
    since = town.clock.now()
    town.meet("lost")  # and its notification as well
    town.clock.advance(60)
    assert not replay(town, since).in_full
    listed = town.listings()
    [wake] = town.queue.tasks
    assert wake.subject == town.key
    town.look()
    assert (town.calls(), town.listings() - listed) == ({"lost": 1}, 1)
