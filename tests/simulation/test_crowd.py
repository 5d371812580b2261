"""Many stories at once: whatever becomes of the process that tells one, the others are told."""

import time

import pytest

from tests.simulation import crowd, ill
from tests.simulation.crowd import tell, titles
from tests.simulation.story import play


def test_a_process_that_dies_is_a_failure_of_its_story_alone() -> None:
    endings = list(tell(titles(11, 5), processes=2, teller=ill.dying))
    assert sorted(ending.seed for ending in endings) == [11, 12, 13, 14, 15]
    broken = [(each.seed, each.violation) for each in endings if each.violation]
    assert broken == [(13, "its process died (3)")]


def test_a_story_that_hangs_is_a_failure_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "STUCK_S", 3.0)
    endings = list(tell(titles(11, 5), processes=2, teller=ill.hanging))
    assert sorted(ending.seed for ending in endings) == [11, 12, 13, 14, 15]
    assert [each.seed for each in endings if "hangs" in each.violation] == [13]


def test_what_a_process_tells_is_what_is_told_here() -> None:
    (told,) = tell([(5, "chaos")], processes=1)
    here = play(5, "chaos")
    assert (told.steps, told.counts) == (here.steps, here.counts)
    assert told.words == []  # nobody reads them of a story that ended well


def test_nobody_is_left_behind_when_the_listener_leaves() -> None:
    stories = tell(titles(0, 1000), processes=2)
    next(stories)
    began = time.monotonic()
    stories.close()
    assert time.monotonic() - began < 10.0
