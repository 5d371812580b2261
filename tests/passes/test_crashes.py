"""Whichever call is a process's last, others make it right: the whole matrix, and the mistakes it must show."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from sync import apply, conference, pull, records, wake
from tests.passes.crash_matrix import PAGE, deaths
from tests.passes.crash_story import play
from tests.passes.crash_town import Death, Net, Wrong

Plant = pytest.MonkeyPatch


@pytest.mark.timeout(900)
def test_a_process_that_dies_at_any_call_leaves_nothing_undone_and_the_page_says_how() -> None:
    """In a process of its own: the story forks, and this one may have threads."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.passes.crash_matrix"],
        cwd=PAGE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert outline(told.stdout) == outline(PAGE.read_text()), "it is of other code: run `make crash-matrix`"
    assert "wrong 0" in told.stdout


def test_the_page_counts_every_call_of_the_story() -> None:
    made = Counter((each.process, each.call) for each in play().points)
    rows = re.findall(r"^\| (\w+) \| ([\w.: ,]+) \| (\d+) ", PAGE.read_text(), re.MULTILINE)
    assert {(process, call): int(times) for process, call, times in rows} == made


def outline(page: str) -> list[list[str]]:
    """Which calls there are and how they end. Which of several wakes came first may differ from run to run."""
    rows = [row.split(" | ") for row in re.findall(r"^\| (.+) \|$", page, re.MULTILINE)]
    return [[*row[:2], row[-1]] for row in rows]


def test_the_same_death_is_told_in_the_same_words() -> None:
    one, other = (play(lambda point: Death(300) if point.number == 300 else None) for _ in range(2))
    assert one.points == other.points
    assert (one.taken_up_by, one.acme.calls) == (other.taken_up_by, other.acme.calls)


# --- Mistakes that only a death shows ---


@dataclass(frozen=True)
class Mistake:
    """What to plant, and the deaths that must show it."""

    plant: Callable[[Plant], None]
    before: str
    net: Net = Net.QUEUE


def token_before_record(patch: Plant) -> None:
    finish = pull._Pull._finish

    def hasty(self: Any, progress: Any) -> None:
        self._tenure.change(lambda _book, _now: None, progress)
        finish(self, progress)

    patch.setattr(pull._Pull, "_finish", hasty)


def intent_not_written(patch: Plant) -> None:
    def intend(self: Any, item: Any, takes_s: float) -> Any:
        now = self._tenure.now()
        return conference.intended(item, now, now + takes_s, 0.0).intent

    patch.setattr(apply._Apply, "_intend", intend)
    patch.setattr(conference, "is_ours", lambda *_: True)


def busy_without_a_wake_after_the_lease(patch: Plant) -> None:
    after_lease = wake.after_lease
    patch.setattr(wake, "after_lease", lambda *args: replace(after_lease(*args), due_at=float("inf")))


def lease_that_no_sweep_looks_after(patch: Plant) -> None:
    patch.setattr(records, "held", lambda record, lease, _: replace(record, lease=lease))


def lease_that_never_ends(patch: Plant) -> None:
    patch.setattr("sync.lease.Lease.is_free", lambda self, *_: not self.owner)


MISTAKES = (
    Mistake(token_before_record, "store.change: the last events and the token"),
    Mistake(intent_not_written, "store.change: settle"),
    Mistake(busy_without_a_wake_after_the_lease, "calendar.list_page"),
    Mistake(lease_that_no_sweep_looks_after, "calendar.list_page", Net.SWEEP),
    Mistake(lease_that_never_ends, "calendar.list_page"),
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.plant.__name__)
def test_a_mistake_that_only_a_death_shows_is_shown(mistake: Mistake, monkeypatch: Plant) -> None:
    mistake.plant(monkeypatch)
    town = play()  # without a death all is well
    candidates = (each for each in town.points if each.call.startswith(mistake.before))
    assert any(is_wrong(death) for point in candidates for death in deaths(point) if death.net is mistake.net)


def is_wrong(death: Death) -> bool:
    try:
        play(lambda point: death if point.number == death.number else None)
    except Wrong:
        return True
    return False
