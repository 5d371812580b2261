"""Weeks of channels: no calendar goes dark, no channel is lost, and whoever plants a mistake is found out."""

import pytest

from tests.simulation.channel_mistakes import PLANTED, Plant
from tests.simulation.watching import HOUR, SWEEP_S, Ending, Scale, keep

VIGILS = 40
SHORT = Scale(days=12.0, calendars=3)

pytestmark = pytest.mark.timeout(900)


def first_broken(vigils: int = 12) -> Ending | None:
    return next((ending for seed in range(vigils) if (ending := keep(seed, SHORT)).violation), None)


def test_every_vigil_keeps_every_promise() -> None:
    endings = [keep(seed, SHORT) for seed in range(VIGILS)]
    assert [f"seed {each.seed}: {each.violation}" for each in endings if each.violation] == []
    assert 1.0 < max(each.dark_hours_max for each in endings) <= SWEEP_S / HOUR, (
        "some were dark, but not for long"
    )
    said = sum((each.counts for each in endings), endings[0].counts)
    for happened in (
        "calendar call is refused",
        "calendar call takes effect, and the answer is lost",
        "store call dies before it",
        "notification lost",
        "log push_silent",
        "log access_lost",
    ):
        assert said[happened], happened


def test_a_seed_tells_the_same_vigil_again() -> None:
    assert keep(1, SHORT).words == keep(1, SHORT).words


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_seen_by_the_promise_it_breaks(name: str, monkeypatch: Plant) -> None:
    with monkeypatch.context() as patch:
        PLANTED[name].plant(patch)
        broken = first_broken()
    assert broken is not None
    assert broken.violation.startswith(PLANTED[name].breaks), broken.violation
    assert not keep(broken.seed, SHORT).violation  # the same vigil without it
