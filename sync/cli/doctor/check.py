"""One thing that a doctor tries, and how it is told."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sync.cli import say

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
_MARKS = {OK: "✓", FAILED: "✗", SKIPPED: "–"}
_WIDTH = len(SKIPPED)
_NARROWEST = 9  # of names


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried, what came of it, and what to do about it."""

    name: str
    result: str
    told: str
    fix: str = ""


def lines(checks: Sequence[Check]) -> Iterator[str]:
    """For people: with marks on a terminal, with words in a file."""
    marked = say.takes_codes(sys.stdout)
    width = max(_NARROWEST, *(len(check.name) for check in checks))
    for check in checks:
        mark = say.marked(_MARKS[check.result]) if marked else check.result.ljust(_WIDTH)
        yield f"{mark}  {check.name:<{width}} {check.told}"
        if check.fix:
            yield f"{'':<{1 if marked else _WIDTH}}  {'':<{width}} fix: {check.fix}"
