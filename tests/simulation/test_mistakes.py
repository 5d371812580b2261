"""The test of the test: every planted mistake is seen, by name of the promise it breaks, and nothing else is."""

from collections.abc import Callable

import pytest

from tests.simulation import mistakes
from tests.simulation.google import SYNC
from tests.simulation.mistakes import COVERED, PLANTED, Plant
from tests.simulation.people import ME
from tests.simulation.story import Ending, Story, play
from tests.simulation.weather import Fate


def first_broken(profile: str, seeds: range) -> Ending | None:
    """The first of so many stories that breaks a promise."""
    return next((ending for seed in seeds if (ending := play(seed, profile)).violation), None)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_seen(name: str, monkeypatch: Plant) -> None:
    mistake = PLANTED[name]
    with monkeypatch.context() as patch:
        mistake.plant(patch)
        broken = first_broken(mistake.profile, mistake.seeds)
    assert broken is not None, f"not seen in {mistake.seeds} stories of profile {mistake.profile}"
    assert broken.violation.startswith(mistake.promises), broken
    assert not play(broken.seed, mistake.profile).violation  # the same story without it


def regret(story: Story) -> None:
    """A meeting is deleted, and restored when the grace is almost over; a stale replica does not show that."""
    sleep, grace_s = story.nature.schedule.sleep, story.policy.grace_s
    story.deploy()
    sleep(30.0)
    meeting = story.meet()
    sleep(60.0)
    story.act(lambda: story.do("delete", meeting))
    sleep(grace_s)
    story.nature.weather.lost_push = 1.0
    story.act(lambda: story.do("restore", meeting))
    story.mischief = "stale"
    sleep(300.0)


def secrecy(story: Story) -> None:
    """A meeting becomes private, and we may not look behind that any more."""
    sleep, people = story.nature.schedule.sleep, story.people
    story.deploy()
    sleep(30.0)
    meeting = story.meet()
    sleep(60.0)
    story.act(lambda: people.do({"do": "change_role", "calendar": ME, "user": SYNC, "role": "reader"}))
    story.act(lambda: people.hide(ME, meeting))
    sleep(1500.0)


@pytest.mark.parametrize(
    ("plant", "script"),
    [
        (mistakes.deletion_without_confirmation, regret),
        (mistakes.masked_event_taken_as_removal, secrecy),
    ],
    ids=lambda value: value.__name__,
)
def test_a_mistake_that_is_rarely_seen_is_seen_in_a_story_of_its_own(
    plant: Callable[[Plant], None], script: Callable[[Story], None], monkeypatch: Plant
) -> None:
    assert not play(0, "pure", script).violation
    plant(monkeypatch)
    assert play(0, "pure", script).violation.startswith("S1")


def overtaken_by_its_past(story: Story) -> None:
    """A call is abandoned, its meeting changes again, and only after that has been told does the call land."""
    sleep, weather = story.nature.schedule.sleep, story.nature.weather
    story.deploy()
    sleep(30.0)
    meeting = story.meet()
    sleep(60.0)
    weather.rates["provider", Fate.LANDS_LATER] = 1.0
    story.act(lambda: story.do("retitle", meeting, title="Then"))
    sleep(10.0)
    weather.clear_up()
    story.act(lambda: story.do("retitle", meeting, title="Now"))
    sleep(600.0)
    story.judge.all_is_told(0.0)


def test_a_call_whose_end_nobody_awaits_is_seen(monkeypatch: Plant) -> None:
    def promises_broken() -> set[str]:
        endings = (play(seed, "pure", overtaken_by_its_past) for seed in range(60))
        return {ending.violation[:2] for ending in endings if ending.violation}

    assert promises_broken() == set()
    mistakes.unknown_outcome_taken_as_failure(monkeypatch)
    assert promises_broken() == {"L1"}


def test_nothing_is_seen_where_nothing_was_planted(monkeypatch: Plant) -> None:
    monkeypatch.setattr(mistakes.meeting, "fingerprint", mistakes.meeting.fingerprint)
    assert first_broken("noaudit", range(30)) is None


@pytest.mark.parametrize("plant", COVERED, ids=lambda plant: plant.__name__)
def test_one_of_a_pair_is_covered_by_the_other(plant: Callable[[Plant], None], monkeypatch: Plant) -> None:
    plant(monkeypatch)
    assert first_broken("pure", range(30)) is None
