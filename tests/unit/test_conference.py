"""A conference's transitions: what we believe of the provider is true, or it is a debt that will be paid."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sync import conference as conferences
from sync.codes import Code
from sync.conference import Conference, Decided, Decision, Intent, State
from sync.decide import Confirm, Nothing, Update, Verify, decide, due_at
from tests.unit.builders import DAY, NOW, conference, dropped, key, ref

UNTIL = NOW + 12  # when a call that starts now must have ended
HORIZON = 100.0  # how much longer an abandoned call may land
LATER = Decision(Code.RETRY_LATER, "PUT: 503", "update", "transient")
READ = Decision(Code.UNCHANGED, "read back", "read", "done")


def used(known: Conference, name: str, fingerprint: str, now: float = NOW) -> Conference:
    return conferences.used(known, name, ref(fingerprint), "cal", now)


def unused(known: Conference, name: str = "cal.e1", now: float = NOW) -> Conference:
    return conferences.unused(known, name, "cal", now)


def intended(known: Conference, now: float = NOW) -> tuple[Conference, Intent]:
    claimed = conferences.intended(known, now, now + 12, HORIZON)
    assert claimed.intent is not None
    return claimed, claimed.intent


# --- The want ---


def test_the_first_use_makes_a_want_of_that_event() -> None:
    known = used(Conference(key(), "cal"), "cal.e1", "f1")
    assert (known.want.fingerprint, known.want.leader) == ("f1", "cal.e1")
    assert known.pending
    assert known.wanted


def test_versions_grow_also_over_what_was_forgotten_in_between() -> None:
    """Receivers keep the newest version they were told: a lower one would be answered as old news."""
    known = used(Conference(key(), "cal"), "cal.e1", "f1")
    for change in range(100):
        known = used(known, "cal.e1", f"g{change}", NOW + change)
    later = used(Conference(key(), "cal"), "cal.e1", "f1", NOW + 90 * DAY)
    assert later.want.version > known.want.version > used(Conference(key(), "cal"), "c", "f").want.version > 0


def test_the_same_use_again_wants_nothing_new() -> None:
    assert used(conference(), "cal.e1", "f1", NOW + 5) == conference()


def test_a_changed_use_is_pending_at_once_whatever_was_waited_for() -> None:
    waiting = conference(attempts=7, not_before=NOW + 999)
    known = used(waiting, "cal.e1", "f2")
    assert (known.want.version, known.attempts, known.not_before, known.pending) == (2, 0, NOW, True)


def test_the_last_use_going_starts_the_grace_and_remembers_whom_to_ask() -> None:
    known = unused(conference())
    assert (known.wanted, known.pending, known.dropped_at) == (False, True, NOW)
    assert known.former == {"cal.e1": ref()}


def test_one_use_of_two_going_wants_what_the_other_makes_of_it() -> None:
    known = unused(used(conference(), "cal.e2", "f2"))
    assert (known.want.fingerprint, known.want.leader, known.dropped_at) == ("f2", "cal.e2", None)


def test_a_use_that_nobody_knows_of_cannot_go() -> None:
    assert unused(conference(), "cal.stranger") == conference()


def test_a_use_that_returns_unchanged_needs_no_call() -> None:
    known = used(unused(conference()), "cal.e1", "f1", NOW + 60)
    assert (known.wanted, known.pending, known.dropped_at, known.former) == (True, False, None, {})


def test_a_use_that_returns_changed_is_told() -> None:
    assert used(unused(conference()), "cal.e1", "f2").pending


@pytest.mark.parametrize(
    "doubt",
    [
        {"intent": Intent(1, UNTIL, conference().want), "intents": 1},
        {"verify_at": NOW + 100, "verify_until": NOW + 100},
    ],
    ids=["a call is under way", "a call may have landed"],
)
def test_a_want_that_returns_is_told_again_while_the_provider_is_in_doubt(doubt: dict[str, Any]) -> None:
    changed = used(conference(**doubt), "cal.e1", "f2")
    assert used(changed, "cal.e1", "f1").pending


def test_a_conference_that_was_never_told_anything_is_still_deleted() -> None:
    known = unused(used(Conference(key(), "cal"), "cal.e1", "f1"))
    assert (known.pending, known.state) == (True, State.OK)


def test_a_conference_that_was_read_back_as_different_is_still_deleted() -> None:
    differing = conferences.verified(conference(), NOW, NOW, READ, equal=False)
    assert unused(differing).pending


@pytest.mark.parametrize("state", [State.QUARANTINED, State.HELD, State.LOST, State.GONE])
def test_a_new_want_takes_a_conference_out_of_every_corner(state: State) -> None:
    assert used(conference(state=state), "cal.e1", "f2").state is State.OK


@pytest.mark.parametrize("state", [State.QUARANTINED, State.LOST])
def test_an_event_that_did_not_change_leaves_its_conference_set_aside(state: State) -> None:
    assert used(conference(state=state), "cal.e1", "f1").state is state


# --- Release ---


def test_releasing_the_last_use_leaves_nothing_to_do() -> None:
    known = conferences.released(conference(wanted=2, applied=1), "cal.e1", "cal", NOW)
    assert not known.pending
    assert decide(known, NOW + 9e9, 3600) == Nothing(None)


def test_releasing_one_of_two_uses_wants_what_the_other_makes_of_it() -> None:
    known = conferences.released(used(conference(), "cal.e2", "f2"), "cal.e1", "cal", NOW)
    assert (known.want.fingerprint, known.want.leader) == ("f2", "cal.e2")
    assert known.former.keys() == {"cal.e1"}  # it may still use it: asked before a deletion


@pytest.mark.parametrize("outcome", ["settled", "unknown"])
def test_a_call_under_way_when_its_conference_was_released_comes_to_nothing(outcome: str) -> None:
    claimed, intent = intended(conference(wanted=2, applied=1))
    known = conferences.released(used(claimed, "cal.e1", "f3"), "cal.e1", "cal", NOW)
    if conferences.is_ours(known, intent) and outcome == "settled":
        known = conferences.settled(known, intent, NOW, Decision(Code.UPDATED))
    elif conferences.is_ours(known, intent):
        known = conferences.unknown(known, NOW, NOW + 1, HORIZON, LATER)
    assert not known.pending
    assert decide(known, NOW + 9e9, 3600) == Nothing(None)


def test_a_use_that_returns_after_its_release_is_told_what_was_still_pending() -> None:
    pending = conference(wanted=2, applied=1)
    released = conferences.released(pending, "cal.e1", "cal", NOW)
    assert used(released, "cal.e1", "f1").pending


def test_a_use_that_returns_after_its_release_unchanged_needs_no_call() -> None:
    released = conferences.released(conference(), "cal.e1", "cal", NOW)
    assert not used(released, "cal.e1", "f1").pending


# --- Intents ---


def test_intents_are_numbered_upwards() -> None:
    first, one = intended(conference(wanted=2))
    second, two = intended(conferences.settled(first, one, NOW, Decision(Code.UPDATED)))
    assert (one.number, two.number, second.intents) == (1, 2, 2)


def test_the_outcome_of_an_overtaken_intent_is_not_ours() -> None:
    first, one = intended(conference(wanted=2))
    second, two = intended(first, UNTIL + 1)
    assert not conferences.is_ours(second, one)
    assert conferences.is_ours(second, two)


def test_an_intent_that_was_left_open_becomes_a_debt() -> None:
    first, one = intended(conference(wanted=2))
    second, _ = intended(first, UNTIL + 1)
    assert second.verify_at == second.verify_until == one.until + HORIZON


def test_what_was_confirmed_is_applied() -> None:
    claimed, intent = intended(conference(wanted=2, attempts=3))
    known = conferences.settled(claimed, intent, NOW, Decision(Code.UPDATED))
    assert (known.pending, known.intent, known.attempts) == (False, None, 0)
    assert known.decisions[-1] == Decided(Decision(Code.UPDATED), 2, NOW, NOW)


def test_what_was_confirmed_while_the_want_moved_on_is_still_pending() -> None:
    claimed, intent = intended(conference(wanted=2))
    known = conferences.settled(used(claimed, "cal.e1", "f9"), intent, NOW, Decision(Code.UPDATED))
    assert known.pending
    assert decide(known, NOW, 3600) == Update()


def test_a_deletion_that_was_confirmed_ends_the_conference() -> None:
    claimed, intent = intended(dropped(verify_at=NOW + 50, verify_until=NOW + 50))
    known = conferences.settled(claimed, intent, NOW, Decision(Code.DELETED))
    assert (known.state, known.pending, known.verify_at) == (State.GONE, False, None)


def test_a_deletion_that_was_confirmed_while_an_event_came_back_is_a_pending_update() -> None:
    claimed, intent = intended(dropped())
    known = conferences.settled(used(claimed, "cal.e1", "f1"), intent, NOW, Decision(Code.DELETED))
    assert (known.state, known.pending) == (State.OK, True)
    assert decide(known, NOW, 3600) == Update()


def test_a_call_without_effect_waits_and_leaves_no_debt() -> None:
    claimed, _ = intended(conference(wanted=2))
    known = conferences.postponed(claimed, NOW, NOW + 30, Decision(Code.RATE_LIMITED))
    assert (known.intent, known.not_before, known.verify_at, known.pending) == (None, NOW + 30, None, True)


@pytest.mark.parametrize("aside", ["postponed", "set aside"])
def test_a_predecessors_open_intent_outlives_every_decision_but_the_next_intent(aside: str) -> None:
    claimed, one = intended(conference(wanted=2))
    if aside == "postponed":
        known = conferences.postponed(claimed, UNTIL + 1, UNTIL + 30, Decision(Code.RETRY_LATER))
    else:
        known = conferences.set_aside(
            claimed, UNTIL + 1, State.QUARANTINED, UNTIL + 30, Decision(Code.QUARANTINED)
        )
    again, _ = intended(known, UNTIL + 30)
    assert again.verify_until == one.until + HORIZON


def test_a_conference_set_aside_keeps_its_want_for_later() -> None:
    claimed, _ = intended(conference(wanted=2, attempts=4))
    known = conferences.set_aside(claimed, NOW, State.QUARANTINED, NOW + 86400, Decision(Code.QUARANTINED))
    assert (known.state, known.pending, known.attempts, known.intent) == (State.QUARANTINED, True, 0, None)


# --- Debts ---


def test_an_unknown_outcome_is_tried_again_and_read_back_when_it_can_no_longer_land() -> None:
    claimed, _ = intended(conference(wanted=2, attempts=2))
    known = conferences.unknown(claimed, NOW, NOW + 5, HORIZON, LATER)
    assert (known.pending, known.intent, known.attempts, known.not_before) == (True, None, 3, NOW + 5)
    assert known.verify_at == known.verify_until == NOW + HORIZON


@pytest.mark.parametrize(("first", "then"), [(50.0, 100.0), (100.0, 50.0)])
def test_the_later_horizon_counts_in_whichever_order_they_come(first: float, then: float) -> None:
    known = conferences.suspected(conferences.suspected(conference(), NOW, NOW + first), NOW, NOW + then)
    assert known.verify_at == known.verify_until == NOW + 100


def test_an_early_read_does_not_pay_a_later_debt() -> None:
    owing = conferences.suspected(conference(), NOW, NOW + 100)
    assert conferences.verified(owing, NOW + 60, NOW + 60, READ, equal=True).verify_at == NOW + 100


def test_a_read_that_was_asked_before_the_horizon_pays_nothing_though_it_answered_after_it() -> None:
    owing = conferences.suspected(conference(), NOW, NOW + 100)
    assert conferences.verified(owing, NOW + 101, NOW + 99.9, READ, equal=True).verify_at is not None


def test_a_read_at_the_horizon_pays_the_debt() -> None:
    owing = conferences.suspected(conference(), NOW, NOW + 100)
    assert conferences.verified(owing, NOW + 100, NOW + 100, READ, equal=True).verify_at is None


def test_a_conference_read_back_as_different_is_told_again() -> None:
    known = conferences.verified(conference(), NOW, NOW, READ, equal=False)
    assert known.pending
    assert decide(known, NOW, 3600) == Update()


def test_a_failed_read_owes_as_much_as_before() -> None:
    owing = conferences.reread(conferences.suspected(conference(), NOW, NOW + 100), NOW, NOW + 130, LATER)
    assert (owing.verify_at, owing.verify_until) == (NOW + 130, NOW + 100)


def test_the_last_ten_decisions_are_remembered() -> None:
    known = conference()
    for number in range(12):
        known = conferences.decided(known, NOW + number, Decision(Code.RETRY_LATER, f"{number}"))
    assert [each.decision.why for each in known.decisions] == [f"{number}" for number in range(2, 12)]


def test_a_decision_made_again_and_again_is_counted_and_displaces_no_other() -> None:
    known = conferences.decided(conference(), NOW, Decision(Code.UPDATED))
    for number in range(20):
        known = conferences.decided(known, NOW + 2 * number, LATER)
        known = conferences.decided(
            known, NOW + 2 * number + 1, Decision(Code.RETRY_LATER, "its account pauses")
        )
    updated, refused, paused = known.decisions
    assert (updated.times, refused.times, paused.times) == (1, 20, 20)
    assert (refused.since, refused.at) == (NOW, NOW + 38)


def test_the_same_decision_about_another_want_is_another_one() -> None:
    known = conferences.decided(conference(), NOW, Decision(Code.UPDATED))
    again = conferences.decided(used(known, "cal.e1", "f9"), NOW + 5, Decision(Code.UPDATED))
    assert [(each.version, each.at) for each in again.decisions] == [(1, NOW), (2, NOW + 5)]


def test_however_much_a_provider_says_little_of_it_is_kept() -> None:
    known = conferences.decided(conference(), NOW, Decision(Code.QUARANTINED, "x" * 100_000))
    assert len(known.decisions[0].decision.why) == 200


def test_what_a_person_answered_is_remembered() -> None:
    assert conferences.approved(dropped(), NOW).decisions[-1].decision.why == "a person approved it"
    assert conferences.rejected(dropped(), NOW).decisions[-1].decision.code is Code.HELD


def test_a_want_tells_since_when_it_stands() -> None:
    known = used(conference(), "cal.e1", "f9")
    assert known.want.since == NOW
    assert conferences.released(known, "cal.e1", "cal", NOW + 5).want.since == NOW


# --- Everything together ---


class AgainstAProvider(RuleBasedStateMachine):
    """Events come and go; calls succeed, fail, get lost, land late; workers die. What we believe stays true."""

    REFS = st.sampled_from(["cal.a", "cal.b"])
    PRINTS = st.sampled_from(["f1", "f2", "f3"])
    ANSWERED = ("confirmed", "rate limited", "refused", "event unreadable")
    UNANSWERED = ("answer lost", "never sent", "in flight", "dies before", "dies after", "dies in flight")
    FATES = st.sampled_from(ANSWERED + UNANSWERED)

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.known = Conference(key(), "cal")
        self.told = "as created"  # what the provider has; empty once deleted
        self.flying: list[tuple[float, str]] = []  # calls that have yet to land: by when, and what

    @rule(name=REFS, fingerprint=PRINTS)
    def an_event_uses_it(self, name: str, fingerprint: str) -> None:
        self.known = used(self.known, name, fingerprint, self.now)

    @rule(name=REFS)
    def an_event_stops_using_it(self, name: str) -> None:
        self.known = unused(self.known, name, self.now)

    @rule(name=REFS)
    def an_event_is_released(self, name: str) -> None:
        if name in self.known.refs:
            self.known = conferences.released(self.known, name, "cal", self.now)

    @rule(seconds=st.sampled_from([1.0, 15.0, 90.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        for by, wanted in [each for each in self.flying if each[0] <= self.now + seconds]:
            self.flying.remove((by, wanted))
            self._land(wanted)
        self.now += seconds

    @precondition(lambda self: self.flying)
    @rule()
    def a_call_lands_late(self) -> None:
        self._land(self.flying.pop(0)[1])

    @rule(fate=FATES)
    def a_pass_looks_at_it(self, fate: str) -> None:
        step = decide(self.known, self.now, 3600)
        if fate == "event unreadable" and not isinstance(step, Nothing):
            self.known = conferences.postponed(
                self.known, self.now, self.now + 20, Decision(Code.RETRY_LATER)
            )
        elif isinstance(step, Update | Confirm):
            self._call(fate)
        elif isinstance(step, Verify):
            self._read()

    def _call(self, fate: str) -> None:
        self.known, intent = intended(self.known, self.now)
        wanted = intent.want.fingerprint
        if fate in ("confirmed", "answer lost", "dies after"):
            self._land(wanted)
        if fate in ("in flight", "dies in flight"):
            self.flying.append((intent.until + HORIZON - 1, wanted))
        if fate == "confirmed" and self.told == wanted:
            self.known = conferences.settled(self.known, intent, self.now, Decision(Code.UPDATED))
        elif fate == "confirmed":
            self.known = conferences.set_aside(
                self.known, self.now, State.LOST, self.now, Decision(Code.LOST)
            )
        elif fate in ("answer lost", "never sent", "in flight"):
            self.known = conferences.unknown(self.known, self.now, self.now + 3, HORIZON + 12, LATER)
        elif fate == "rate limited":
            self.known = conferences.postponed(
                self.known, self.now, self.now + 3, Decision(Code.RATE_LIMITED)
            )
        elif fate == "refused":
            self.known = conferences.set_aside(
                self.known, self.now, State.QUARANTINED, self.now + 999, Decision(Code.QUARANTINED)
            )

    def _land(self, wanted: str) -> None:
        if self.told:  # what is deleted stays deleted
            self.told = wanted

    def _read(self) -> None:
        if not self.told:
            self.known = conferences.set_aside(
                self.known, self.now, State.LOST, self.now, Decision(Code.LOST)
            )
        else:
            equal = self.told == self.known.want.fingerprint
            self.known = conferences.verified(self.known, self.now, self.now, READ, equal=equal)

    @invariant()
    def what_needs_no_look_is_as_wanted(self) -> None:
        at_rest = due_at(self.known, self.now, 3600) is None and not self.flying
        if at_rest and self.known.refs and self.known.state is State.OK:
            assert self.told == self.known.want.fingerprint
        if self.known.state is State.GONE:
            assert not self.told

    @invariant()
    def what_is_used_is_wanted_and_nothing_else(self) -> None:
        if self.known.refs:
            assert self.known.wanted
        if not self.known.wanted and self.known.want.version:
            assert self.known.pending or self.known.state is State.GONE

    def teardown(self) -> None:
        """Left alone with a provider that answers, everything comes to rest."""
        for _ in range(30):
            due = due_at(self.known, self.now, 3600)
            if due is None:
                break
            self.time_passes(max(0.0, due - self.now))
            self.a_pass_looks_at_it("confirmed")
        self.time_passes(9999.0)
        assert due_at(self.known, self.now, 3600) is None
        self.what_needs_no_look_is_as_wanted()


TestAgainstAProvider = AgainstAProvider.TestCase
TestAgainstAProvider.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)


def test_a_conference_whose_deletion_was_rejected_was_not_deleted() -> None:
    held = dropped(state=State.HELD)
    kept = conferences.rejected(held, NOW)
    assert not kept.pending
    assert not kept.was_deleted  # its next update must not be told as the return of what is gone
    assert conferences.used(kept, "cal.e1", ref(), "cal", NOW).pending


def test_a_room_that_very_many_events_use_stays_small_and_is_never_dropped() -> None:
    room = conference(refs={})
    for number in range(500):
        room = used(room, f"cal.e{number}", f"f{number}")
    assert len(room.refs) == 200
    for number in range(500):
        room = unused(room, f"cal.e{number}")
    assert room.wanted, "of those that were not counted, some may still use it"
    assert decide(room, NOW + 1e9, 0.0) == Nothing(None, Code.PERSONAL_ROOM)


def test_of_very_many_that_carried_it_those_that_end_last_are_asked() -> None:
    known = conferences.remembered(conference(), "cal.next_year", ref(start=NOW + 365 * DAY))
    for number in range(120):
        known = conferences.remembered(known, f"cal.s_{number}", ref(start=NOW + number * DAY))
    assert "cal.next_year" in known.former
    assert len(known.former) == 100


# --- What a person asks for ---


def test_what_waits_is_tried_at_once_when_a_person_asks() -> None:
    refused = conferences.set_aside(
        conference(wanted=2), NOW, State.QUARANTINED, NOW + DAY, Decision(Code.QUARANTINED)
    )
    assert decide(refused, NOW, 3600) == Nothing(NOW + DAY)
    tried = conferences.retried(refused, NOW)
    assert (tried.state, tried.attempts) == (State.OK, 0)
    assert decide(tried, NOW - 1, 3600) == Update(), "also by a clock that is a little behind the store's"


def test_what_is_lost_is_told_again_when_a_person_asks() -> None:
    lost = conferences.set_aside(conference(), NOW, State.LOST, NOW, Decision(Code.LOST))
    assert decide(conferences.retried(lost, NOW), NOW, 3600) == Update()


@pytest.mark.parametrize(
    "settled",
    [conference(), dropped(state=State.HELD), dropped(state=State.GONE), dropped(not_before=NOW - DAY)],
)
def test_nothing_else_is_tried(settled: Conference) -> None:
    assert conferences.retried(settled, NOW) == settled


def test_an_open_intent_outlives_a_persons_wish() -> None:
    claimed, intent = intended(conference(wanted=2, not_before=NOW + 50))
    assert conferences.retried(claimed, NOW).intent == intent
    assert decide(conferences.retried(claimed, NOW), NOW, 3600) == Nothing(intent.until)


def test_what_a_person_doubts_is_read_back_and_what_waits_is_not() -> None:
    assert decide(conferences.doubted(conference(), NOW), NOW, 3600) == Verify()
    for other in (conference(wanted=2), dropped(), conference(refs={})):
        assert conferences.doubted(other, NOW) == other
