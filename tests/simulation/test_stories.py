"""Thousands of stories: each keeps all promises, and together they leave nothing untried."""

import pytest

from tests.simulation.crowd import SHARES, tell, titles
from tests.simulation.story import PROFILES, play
from tests.simulation.tally import Tally

STORIES = 3000
LEAST_STEPS = 40

pytestmark = pytest.mark.timeout(900)  # the first test tells all of them; on two cores in about a minute


@pytest.fixture(scope="module")
def told() -> Tally:
    """What came of all the stories of this run."""
    tally = Tally()
    for ending in tell(titles(0, STORIES)):
        tally.add(ending)
    return tally


def test_every_story_keeps_every_promise(told: Tally) -> None:
    assert "\n\n".join(map(str, told.broken)) == ""


def test_every_story_is_long_enough_for_things_to_meet(told: Tally) -> None:
    assert told.stories == STORIES
    assert told.shortest >= LEAST_STEPS


def test_nothing_that_can_happen_never_happened(told: Tally) -> None:
    assert told.untried() == []


def test_every_profile_has_its_share() -> None:
    assert SHARES.keys() == PROFILES.keys()
    told = [profile for _, profile in titles(700, sum(SHARES.values()))]
    assert {profile: told.count(profile) for profile in told} == SHARES


@pytest.mark.parametrize("profile", PROFILES)
def test_a_seed_tells_the_same_story_again(profile: str) -> None:
    assert [str(play(seed, profile)) for seed in range(3)] == [str(play(seed, profile)) for seed in range(3)]
