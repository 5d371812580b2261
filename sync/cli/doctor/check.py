"""One thing that a doctor tries, and how it is told."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
_MARKS = {OK: "\x1b[32m✓\x1b[0m", FAILED: "\x1b[31m✗\x1b[0m", SKIPPED: "–"}
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
    marked = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    width = max(_NARROWEST, *(len(check.name) for check in checks))
    for check in checks:
        mark = _MARKS[check.result] if marked else check.result.ljust(_WIDTH)
        yield f"{mark}  {check.name:<{width}} {check.told}"
        if check.fix:
            yield f"{'':<{1 if marked else _WIDTH}}  {'':<{width}} fix: {check.fix}"
