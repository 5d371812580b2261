"""An account that refuses us pauses as a whole, and is asked again by one probe at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.account import Account, Clients, account_of, answered, approached, exchanged, refused

TIMES = st.floats(0, 1e6)
FINE = Account("zoom")


def test_an_account_that_answers_may_be_asked_by_all() -> None:
    assert FINE.may_be_asked_by("w1")
    assert approached(FINE, 5.0, "w1", 10.0) == FINE


@given(TIMES, TIMES)
def test_nobody_asks_a_paused_account(now: float, rest_s: float) -> None:
    paused = refused(FINE, now + rest_s + 1.0, "c-1")
    assert not approached(paused, now, "w1", 10.0).may_be_asked_by("w1")


def test_after_the_pause_the_first_to_come_is_the_probe_and_the_others_wait_for_it() -> None:
    paused = refused(FINE, 100.0, "c-1")
    probed = approached(paused, 100.0, "w1", 15.0)
    assert probed.may_be_asked_by("w1")
    again = approached(probed, 101.0, "w2", 15.0)
    assert not again.may_be_asked_by("w2")
    assert again.paused_until == 115.0


def test_a_probe_that_never_came_back_is_followed_by_another() -> None:
    probed = approached(refused(FINE, 100.0, "c-1"), 100.0, "w1", 15.0)
    again = approached(probed, 115.0, "w2", 15.0)
    assert again.may_be_asked_by("w2")
    assert not again.may_be_asked_by("w1")


def test_a_probe_that_is_refused_lengthens_the_row() -> None:
    probed = approached(refused(FINE, 100.0, "c-1"), 100.0, "w1", 15.0)
    after = refused(probed, 300.0, "c-2")
    assert (after.refusals, after.paused_until, after.may_be_asked_by("w1")) == (2, 300.0, False)


def test_of_two_answers_at_once_the_longer_pause_counts() -> None:
    assert refused(refused(FINE, 900.0, "c-1"), 30.0, "c-2").paused_until == 900.0


def test_one_conference_refused_again_says_no_more_about_the_account() -> None:
    probed = approached(refused(FINE, 100.0, "c-1"), 100.0, "w1", 15.0)
    after = refused(probed, 900.0, "c-1")
    assert (after.refusals, after.paused_until, after.may_be_asked_by("w1")) == (1, 115.0, False)


def test_an_answer_ends_the_pause_for_all() -> None:
    assert answered(refused(FINE, 900.0, "c-1")) == FINE


def test_what_workers_share_outlives_a_pause_and_is_replaced_only_by_who_saw_it() -> None:
    first = exchanged(FINE, "", "t-1")
    assert answered(refused(first, 900.0, "c-1")).shared == "t-1"
    assert exchanged(first, "", "t-2").shared == "t-1"
    assert exchanged(first, "t-1", "t-2").shared == "t-2"
    assert "t-1" not in repr(first)


# --- Whose meetings ---

CLIENTS = (
    Clients("emea", frozenset({"emea.example.com", "boss@example.com"})),
    Clients("rest", frozenset({"example.com"})),
)


@pytest.mark.parametrize(
    ("organizer", "account"),
    [
        ("ada@emea.example.com", "emea"),
        ("Boss@Example.com", "emea"),
        ("ada@example.com", "rest"),
        ("ada@evil-example.com", None),
        ("ada@example.com.evil.example", None),
        ("", None),
    ],
)
def test_an_account_is_found_by_address_then_by_domain(organizer: str, account: str | None) -> None:
    assert account_of(organizer, CLIENTS) == account


def test_an_account_for_everybody_serves_who_is_left() -> None:
    assert account_of("bob@elsewhere.example", (*CLIENTS, Clients("others"))) == "others"
    assert account_of("", (Clients(""),)) == ""
