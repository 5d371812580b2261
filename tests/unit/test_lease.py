"""Leases and fences: at most one believes it may write, and exactly one can."""

from hypothesis import given
from hypothesis import strategies as st

from sync.lease import Hold, Lease, deadline

LEASE_S, MARGIN_S = 90.0, 20.0


def hold(lease: Lease, until: float = 0.0) -> Hold:
    return Hold("cal", lease.owner, lease.fence, until)


def test_a_lease_that_nobody_ever_held_is_free() -> None:
    assert Lease().is_free(0.0, LEASE_S)


def test_a_granted_lease_is_taken_until_exactly_its_end() -> None:
    lease = Lease().granted("one", 1000.0)
    assert not lease.is_free(1089.9, LEASE_S)
    assert lease.is_free(1090.0, LEASE_S)


def test_renewing_lengthens_a_lease_and_keeps_its_fence() -> None:
    lease = Lease().granted("one", 1000.0).renewed(1060.0)
    assert (lease.fence, lease.ends_at(LEASE_S)) == (1, 1150.0)


def test_a_lease_given_back_is_free_and_its_fence_is_remembered() -> None:
    lease = Lease().granted("one", 1000.0).released()
    assert lease.is_free(1001.0, LEASE_S)
    assert lease.granted("two", 1001.0).fence == 2


def test_a_holder_that_gave_its_lease_back_holds_it_no_more() -> None:
    lease = Lease().granted("one", 1000.0)
    assert hold(lease).is_of(lease)
    assert not hold(lease).is_of(lease.released())


def test_a_holder_that_was_overtaken_is_found_out_though_it_bears_the_same_name() -> None:
    first = Lease().granted("one", 1000.0)
    assert not hold(first).is_of(first.granted("one", 2000.0))


@given(st.lists(st.sampled_from(["grant", "renew", "release"])))
def test_the_fence_grows_with_every_grant_and_with_nothing_else(steps: list[str]) -> None:
    lease, grants = Lease(), 0
    for step in steps:
        if step == "grant":
            lease, grants = lease.granted("one", 0.0), grants + 1
        else:
            lease = lease.renewed(1.0) if step == "renew" else lease.released()
        assert lease.fence == grants


def test_a_call_that_would_end_at_the_deadline_is_not_started() -> None:
    held = hold(Lease(), until=100.0)
    assert held.may_start(89.9, takes_s=10.0)
    assert not held.may_start(90.0, takes_s=10.0)


@given(delay=st.floats(0, 60), waited=st.floats(0, 120), takes_s=st.floats(0, 120))
def test_every_call_that_may_start_ends_a_margin_before_the_store_lets_another_in(
    delay: float, waited: float, takes_s: float
) -> None:
    """However long the grant was on its way: our share counts from before we asked."""
    asked_at, monotonic = 1_900_000_000.0, 5000.0
    lease = Lease().granted("one", asked_at + delay)
    held = hold(lease, deadline(monotonic, LEASE_S, MARGIN_S))
    if held.may_start(monotonic + waited, takes_s):
        assert asked_at + waited + takes_s + MARGIN_S <= lease.ends_at(LEASE_S)
