"""How a verb speaks: times a person reads at a glance, tables, marks, and one JSON object for programs."""

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TextIO

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
_COLOURS = {"✗": 31, "!": 33, "✓": 32, "~": 33, "-": 31, "=": 32, "?": 35}
_COMMAND = re.compile(r"`[^`]*`")
_NO_BREAK = "\N{NO-BREAK SPACE}"
_NARROWEST, _WIDEST = 60, 120


def as_json(answer: object) -> None:
    """The last line of standard output is one object."""
    print(json.dumps(answer))


def aside(text: str) -> None:
    """Beside the answer: for whoever looks on."""
    print(text, file=sys.stderr, flush=True)


def span(seconds: float) -> str:
    """A length of time in one unit: "3 h"."""
    for unit_s, name in _UNITS:
        if abs(seconds) >= unit_s:
            return f"{seconds / unit_s:.0f} {name}"
    return "0 s"


def ago(now: float, at: float | None) -> str:
    """How long ago, in one unit; a dash for never."""
    return span(max(0.0, now - at)) if at else "–"


def moment(at: float) -> str:
    """A moment, as the logs tell it: in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def when(now: float, at: float) -> str:
    """A moment to come or gone, seen from now."""
    if abs(at - now) < 1:
        return "now"
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def width() -> int:
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((100, 24)).columns))


def takes_codes(stream: TextIO) -> bool:
    """Whether a person sees it at a terminal, and has not asked for plain text (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def marked(mark: str) -> str:
    """A mark, in colour where that can be seen."""
    colour = _COLOURS.get(mark)
    if colour is None or not takes_codes(sys.stdout):
        return mark
    return f"\x1b[{colour}m{mark}\x1b[0m"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> None:
    """Columns side by side; the first `left` of them begin at the left, figures end at the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(size) if at <= left else cell.rjust(size)
            for at, (cell, size) in enumerate(zip(line, widths, strict=True))
        ]
        cells[0] = cells[0].replace(line[0], marked(line[0])) if line[0] else cells[0]
        print("  ".join(cells).rstrip())


def paragraph(text: str, first: str = "", rest: str | None = None) -> None:
    """A text that is wrapped, its first line beginning with `first` and the others with `rest`.

    A command in it, between backticks, stays in one line: it is there to be copied.
    """
    indent = " " * len(first) if rest is None else rest
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _NO_BREAK), text)
    lines = textwrap.wrap(whole, width() - len(indent), break_on_hyphens=False, break_long_words=False) or [
        ""
    ]
    for number, line in enumerate(lines):
        print(f"{first if number == 0 else indent}{line}".replace(_NO_BREAK, " ").rstrip())
