"""Weeks of channels: no calendar goes dark, no channel is lost, and whoever plants a mistake is found out."""

import re

import pytest

from tests.simulation import soak_channels
from tests.simulation.channel_mistakes import PLANTED, Plant
from tests.simulation.watching import HOUR, SWEEP_S, Ending, Scale, keep

VIGILS = 16
SHORT = Scale(days=6.0, calendars=3, life_days=2.0)

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
    told = "\n".join(word for each in endings for word in each.words)
    for told_of in (
        "the webhook is down",
        "k2 is added",
        "k1 is removed",
        r"the grant of \S+ dies",
        r"the grant of \S+ is back",
        r"\S+ is paused",
        r"\S+ is wired again",
        r"converge \d+: calendar.watch dies after it",
        r"converge \d+: calendar.stop is refused",
    ):
        assert re.search(told_of, told), told_of


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


def test_a_small_soak_ends_in_one_line_of_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["soak", "--days", "3", "--calendars", "40"])
    assert soak_channels.main() == 0
    last = capsys.readouterr().out.splitlines()[-1]
    said = re.fullmatch(
        r"days 3 calendars 40 dark_hours_max (\d\.\d\d) leaked 0 requests_per_day_max (\d+)", last
    )
    assert said is not None, last
    assert 1.0 < float(said[1]) <= 6.0
    assert 40 * 4 <= int(said[2]) < 40 * 40


def test_a_soak_in_which_a_calendar_goes_dark_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    PLANTED["calendar_that_is_not_looked_at_unless_it_is_notified"].plant(monkeypatch)
    monkeypatch.setattr("sys.argv", ["soak", "--days", "3", "--calendars", "4"])
    assert soak_channels.main() == 1
    assert "violation: L1" in capsys.readouterr().out
