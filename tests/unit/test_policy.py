"""The policy: waits grow, with jitter and a bound; and what decides a listing is in its hash."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.decide import Brake
from sync.policy import Backoff, Policy
from sync.rules import Rules
from sync.wake import Buckets
from tests.unit.builders import DAY, DEMO, HOUR, OTHER, RULES

BACKOFF = Backoff(first_s=2.0, most_s=600.0)
POLICY = Policy(
    rules=RULES,
    buckets=Buckets(),
    backoff=BACKOFF,
    brake=Brake(),
    window_s=DAY,
    grace_s=HOUR,
    sweep_s=6 * HOUR,
    horizon_s=120.0,
    quarantine_s=DAY,
    channel_life_s=7 * DAY,
)


@pytest.mark.parametrize(
    ("failures", "wait"), [(1, 1.0), (2, 2.0), (3, 4.0), (9, 256.0), (10, 300.0), (99, 300.0)]
)
def test_the_wait_doubles_with_each_failure_up_to_a_bound(failures: int, wait: float) -> None:
    assert BACKOFF.wait(failures, 0.5) == wait


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_no_wait_is_too_short_or_too_long(failures: int, draw: float) -> None:
    assert 0.2 <= BACKOFF.wait(failures, draw) <= 600.0


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_every_part_of_the_wait_is_as_likely(failures: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert BACKOFF.wait(failures, low) <= BACKOFF.wait(failures, high)


@pytest.mark.parametrize(
    "changed",
    [
        replace(POLICY, window_s=2 * DAY),
        replace(POLICY, rules=Rules((DEMO,), RULES.providers)),
        replace(POLICY, rules=Rules((DEMO, replace(OTHER, path=r"^/x/(\w+)$")), RULES.providers)),
        replace(POLICY, rules=Rules(RULES.systems, frozenset({"demo", "other"}))),
    ],
    ids=["window", "a system less", "a system's rule", "a provider more"],
)
def test_what_decides_what_is_seen_calls_for_a_full_listing(changed: Policy) -> None:
    assert changed.listing("list") != POLICY.listing("list")


def test_other_list_parameters_call_for_a_full_listing() -> None:
    assert POLICY.listing("list") != POLICY.listing("other list")


def test_what_does_not_decide_what_is_seen_costs_no_full_listing() -> None:
    changed = replace(
        POLICY, grace_s=1.0, backoff=Backoff(1.0, 2.0), rules=Rules(RULES.systems, frozenset(["demo"]))
    )
    assert changed.listing("list") == POLICY.listing("list")


def test_the_order_of_providers_costs_no_full_listing() -> None:
    one, other = (replace(POLICY, rules=Rules((), frozenset(names))) for names in ("abcdefgh", "hgfedcba"))
    assert one.listing("list") == other.listing("list")
