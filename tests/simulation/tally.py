"""What many stories came to, and what none of them has tried."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sync.codes import Code
from tests.simulation.story import Ending
from tests.simulation.weather import FATES

NOT_HERE = {Code.OBSERVED}  # no story observes
BRANCHES = (
    "debt paid",
    "intent of a predecessor",
    "lease taken over",
    "held for a person",
    "listing stale",
    "listing short",
    "listing repeat",
    "listing empty",
    "listing overlooks an event",
    "log sync_token_gone",
    "log access_lost",
    "log channel_failed",
    "log pass busy",
    "log pass idle",
    "log pass overtaken",
    "log pass failed",
    "notification lost",
    "notification late",
    "notification twice",
    "notification sent again",
    "task late",
    "task twice",
    "task tried again",
)
FAULTS = tuple(f"{door} call {fate}" for door, fates in FATES.items() for fate in fates)
CODES = tuple(f"code {code}" for code in Code if code not in NOT_HERE)


@dataclass
class Tally:
    """The sum of all endings so far."""

    stories: int = 0
    steps: int = 0
    shortest: float = float("inf")  # in steps
    broken: list[Ending] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, ending: Ending) -> None:
        self.stories += 1
        self.steps += ending.steps
        self.shortest = min(self.shortest, ending.steps)
        self.counts.update(ending.counts)
        if ending.violation:
            self.broken.append(ending)

    def untried(self) -> list[str]:
        """Every fault, decision and way of recovery that no story has come to."""
        return [name for name in (*FAULTS, *CODES, *BRANCHES) if not self.counts[name]]

    def __str__(self) -> str:
        return f"seeds {self.stories} violations {len(self.broken)} steps {self.steps}"
