"""The test of the test: every planted mistake is seen, by name of the promise it breaks, and nothing else is."""

from collections.abc import Callable

import pytest

from tests.simulation import mistakes
from tests.simulation.mistakes import COVERED, PLANTED, Plant
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


def test_a_deletion_that_nobody_confirms_is_seen(monkeypatch: Plant) -> None:
    assert not play(0, "pure", regret).violation
    mistakes.deletion_without_confirmation(monkeypatch)
    assert play(0, "pure", regret).violation.startswith("S1")


def overtaken_by_its_past(fate: Fate) -> Callable[[Story], None]:
    """A call is abandoned, its meeting changes again, and only after that has been told does the call land."""

    def script(story: Story) -> None:
        sleep, weather = story.nature.schedule.sleep, story.nature.weather
        story.deploy()
        sleep(30.0)
        meeting = story.meet()
        sleep(60.0)
        weather.rates["provider", fate] = 1.0
        story.act(lambda: story.do("retitle", meeting, title="Then"))
        sleep(10.0)
        weather.clear_up()
        story.act(lambda: story.do("retitle", meeting, title="Now"))
        sleep(600.0)
        story.judge.all_is_told(0.0)

    return script


@pytest.mark.parametrize(
    ("plant", "fate"),
    [
        (mistakes.intent_not_written, Fate.DIES_LANDING_LATER),
        (mistakes.unknown_outcome_taken_as_failure, Fate.LANDS_LATER),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_call_whose_end_nobody_awaits_is_seen(
    plant: Callable[[Plant], None], fate: Fate, monkeypatch: Plant
) -> None:
    script = overtaken_by_its_past(fate)
    assert not any(play(seed, "pure", script).violation for seed in range(60))
    plant(monkeypatch)
    seen = [ending.violation[:2] for seed in range(60) if (ending := play(seed, "pure", script)).violation]
    assert set(seen) == {"L1"}


def test_nothing_is_seen_where_nothing_was_planted(monkeypatch: Plant) -> None:
    monkeypatch.setattr(mistakes.meeting, "fingerprint", mistakes.meeting.fingerprint)
    assert first_broken("noaudit", range(30)) is None


@pytest.mark.parametrize("plant", COVERED, ids=lambda plant: plant.__name__)
def test_one_of_a_pair_is_covered_by_the_other(plant: Callable[[Plant], None], monkeypatch: Plant) -> None:
    plant(monkeypatch)
    assert first_broken("pure", range(30)) is None
