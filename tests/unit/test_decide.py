"""Deciding: each row of the table, its edges, and that no look comes too early, too late or for ever."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import conference as conferences
from sync.codes import Code
from sync.conference import Applied, Conference, Decision, Intent, Ref, State, Want
from sync.decide import Action, Brake, Confirm, Nothing, Update, Verify, decide, due_at, recent
from sync.meeting import Reach
from tests.unit.builders import DAY, HOUR, NOW, conference, dropped, key, reach, ref

GRACE = HOUR
OPEN = Intent(1, NOW + 12, Want(2, "f2", "cal.e1"))
PENDING = conference(wanted=2, applied=1)


def many(count: int) -> dict[str, Ref]:
    return {f"cal.e{number}": ref() for number in range(count)}


@pytest.mark.parametrize(
    ("known", "action"),
    [
        pytest.param(conference(), Nothing(None), id="settled"),
        pytest.param(PENDING, Update(), id="pending"),
        pytest.param(replace(PENDING, state=State.GONE), Nothing(None), id="gone"),
        pytest.param(replace(PENDING, state=State.LOST), Nothing(None), id="lost"),
        pytest.param(replace(PENDING, state=State.HELD), Nothing(None, Code.HELD), id="held"),
        pytest.param(replace(PENDING, state=State.QUARANTINED), Update(), id="quarantine over"),
        pytest.param(
            replace(PENDING, state=State.QUARANTINED, not_before=NOW + 9), Nothing(NOW + 9), id="quarantined"
        ),
        pytest.param(replace(PENDING, refs=many(100)), Update(), id="100 refs"),
        pytest.param(replace(PENDING, refs=many(101)), Nothing(None, Code.PERSONAL_ROOM), id="a room"),
        pytest.param(replace(PENDING, former=many(101)), Update(), id="a meeting that 101 events once had"),
        pytest.param(dropped(NOW - DAY, former=many(101)), Confirm(), id="many used it once"),
        pytest.param(replace(PENDING, intent=OPEN), Nothing(NOW + 12), id="somebody is at it"),
        pytest.param(replace(PENDING, intent=replace(OPEN, until=NOW)), Update(), id="somebody was at it"),
        pytest.param(replace(PENDING, not_before=NOW + 9), Nothing(NOW + 9), id="waiting"),
        pytest.param(replace(PENDING, not_before=NOW), Update(), id="waited"),
        pytest.param(replace(PENDING, verify_at=NOW), Update(), id="pending comes before a debt"),
        pytest.param(conference(verify_at=NOW + 9), Nothing(NOW + 9), id="a debt for later"),
        pytest.param(conference(verify_at=NOW), Verify(), id="a debt"),
        pytest.param(conference(verify_at=NOW, not_before=NOW + 9), Nothing(NOW + 9), id="a debt put off"),
        pytest.param(conference(verify_at=NOW, refs={}), Nothing(None), id="a debt of a released one"),
        pytest.param(replace(PENDING, refs={}), Nothing(None), id="released"),
        pytest.param(dropped(NOW - GRACE, verify_at=NOW), Confirm(), id="deletion comes before a debt"),
        pytest.param(dropped(NOW - DAY, not_before=NOW + 9), Nothing(NOW + 9), id="deletion put off"),
    ],
)
def test_each_record_has_its_one_next_step(known: Conference, action: Action) -> None:
    assert decide(known, NOW, GRACE) == action


@pytest.mark.parametrize(
    ("waited", "action"),
    [
        (0.0, Nothing(NOW + GRACE, Code.DELETION_WAITING)),
        (GRACE - 0.5, Nothing(NOW + GRACE, Code.DELETION_WAITING)),
        (GRACE, Confirm()),
    ],
)
def test_a_deletion_waits_for_exactly_the_grace(waited: float, action: Action) -> None:
    assert decide(dropped(NOW), NOW + waited, GRACE) == action


def test_a_conference_without_an_event_is_never_deleted_without_a_grace() -> None:
    undated = replace(dropped(), dropped_at=None)
    assert not isinstance(decide(undated, NOW, GRACE), Confirm)


# --- In progress ---


def ending(of: Reach, now: float, dropped_at: float = NOW) -> Action:
    return decide(dropped(dropped_at, former={"cal.e1": Ref("f1", of)}), now, GRACE)


@pytest.mark.parametrize(
    ("since_start", "waits"),
    [(-1.0, False), (0.0, True), (HOUR, True), (3 * HOUR - 1, True), (3 * HOUR, False)],
)
def test_a_meeting_is_not_deleted_while_it_runs(since_start: float, waits: bool) -> None:
    start = NOW + 10 * HOUR
    step = ending(reach(start, 3 * HOUR), start + since_start)
    assert step == (Nothing(start + 3 * HOUR, Code.IN_PROGRESS) if waits else Confirm())


@pytest.mark.parametrize(
    ("of_day", "waits"),
    [
        (-HOUR - 1, False),
        (-HOUR, True),
        (0.0, True),
        (3 * HOUR - 1, True),
        (3 * HOUR, False),
        (12 * HOUR, False),
    ],
    ids=["before", "summer time early", "start", "winter time late", "after", "elsewhere in the day"],
)
def test_a_series_is_not_deleted_around_its_time_of_day(of_day: float, waits: bool) -> None:
    """Two hours long, and an hour early and late: its rule may be in a zone whose clocks have changed."""
    start = NOW - 30 * DAY
    step = ending(reach(start, 2 * HOUR, repeats=True), NOW + of_day, dropped_at=NOW + of_day - GRACE)
    assert isinstance(step, Nothing) is waits


def test_a_series_that_fills_its_days_is_deleted_in_the_end() -> None:
    whole_days = reach(NOW - 30 * DAY, DAY, repeats=True)
    assert ending(whole_days, NOW + 2 * HOUR) == Nothing(NOW + 2 * HOUR + 900, Code.IN_PROGRESS)
    assert ending(whole_days, NOW + 2 * DAY) == Confirm()


def test_any_of_its_former_meetings_running_holds_up_a_deletion() -> None:
    former = {"cal.e1": ref(), "cal.e2": ref(start=NOW)}
    assert isinstance(decide(dropped(NOW - DAY, former=former), NOW + 60, GRACE), Nothing)


# --- When to look again ---

seconds = st.integers(-3 * 86400, 3 * 86400).map(lambda second: NOW + second)
reaches = st.builds(reach, start=seconds, length=st.sampled_from([0.0, HOUR, DAY]), repeats=st.booleans())
refs = st.dictionaries(
    st.sampled_from(["cal.a", "cal.b"]), st.builds(Ref, st.just("f1"), reaches), max_size=2
)
wants = st.builds(Want, st.integers(0, 3), st.sampled_from(["", "f1"]))
records = st.builds(
    Conference,
    key=st.just(key()),
    home=st.just("cal"),
    refs=refs,
    former=refs,
    want=wants,
    applied=st.builds(Applied, st.integers(0, 3)),
    intent=st.none() | st.builds(Intent, st.just(1), seconds, wants),
    not_before=seconds,
    dropped_at=seconds,
    verify_at=st.none() | seconds,
    state=st.sampled_from(State),
)


@given(records, seconds)
def test_a_conference_is_due_now_exactly_when_there_is_something_to_do(known: Conference, now: float) -> None:
    due = due_at(known, now, GRACE)
    assert (due == now) is not isinstance(decide(known, now, GRACE), Nothing)
    assert due is None or due >= now


@given(records, seconds, st.floats(0, 1, exclude_max=True))
def test_nothing_is_to_be_done_before_it_is_due(known: Conference, now: float, share: float) -> None:
    step = decide(known, now, GRACE)
    if isinstance(step, Nothing) and step.code is not Code.IN_PROGRESS:
        until = now + 9 * DAY if step.until is None else step.until
        between = min(now + share * (until - now), until - 1e-3)
        assert isinstance(decide(known, max(now, between), GRACE), Nothing)


@given(records, seconds)
def test_looking_whenever_it_is_due_soon_leads_to_a_step_or_to_rest(known: Conference, now: float) -> None:
    """By way of the intent, the wait, the grace and what is in progress, and never by looking in vain for ever."""
    for _ in range(600):
        step = decide(known, now, GRACE)
        if not isinstance(step, Nothing) or step.until is None:
            return
        assert step.until > now
        now = step.until
    pytest.fail("never comes to rest")


def test_a_read_that_is_put_off_is_not_tried_again_at_once() -> None:
    owing = conferences.suspected(conference(), NOW - 200, NOW - 100)
    later = conferences.postponed(owing, NOW, NOW + 60, Decision(Code.ACCESS_LOST))
    assert due_at(later, NOW, GRACE) == NOW + 60


# --- The brake ---


@pytest.mark.parametrize(
    ("deleted", "waiting", "live", "held"),
    [
        (0, 0, 0, False),
        (0, 5, 0, False),  # five are never questioned ...
        (0, 6, 0, True),  # ... and six of six are all of them
        (0, 6, 14, False),  # 30 % exactly
        (0, 6, 13, True),  # a little more
        (3, 3, 14, False),
        (3, 3, 13, True),  # what was deleted today counts too
        (0, 20, 10_000, False),
        (0, 21, 10_000, True),  # never more than 20, however few that are
        (20, 1, 10_000, True),
    ],
)
def test_more_than_20_or_more_than_5_and_30_percent_wait_for_a_person(
    deleted: int, waiting: int, live: int, held: bool
) -> None:
    assert Brake().holds(deleted, waiting, live) is held


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_the_brake_never_lets_go_because_there_are_more_deletions(
    deleted: int, waiting: int, live: int
) -> None:
    if Brake().holds(deleted, waiting, live):
        assert Brake().holds(deleted + 1, waiting, live)
        assert Brake().holds(deleted, waiting + 1, live)


def test_a_deletion_is_recent_for_24_hours() -> None:
    assert recent([NOW - DAY, NOW - DAY + 1, NOW], NOW) == (NOW - DAY + 1, NOW)
