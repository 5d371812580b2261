"""`python -m sync demo`: one day of meetings on this machine, their conferences following, and a verdict.

stage builds everything up and takes it down, day is the story played on it, and patience is how both wait.
conference_service stands for somebody else's system, and judge says whether all went well: neither knows the sync.
sabotage has providers that spoil the day.
"""

import json
import math
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sync.cli.verbs import Parser, complain

if TYPE_CHECKING:  # the worker comes by for its sabotage, and must not load a stage for it
    from sync.cli.demo.day import Report
    from sync.cli.demo.stage import Stage

SABOTAGES = {
    "skip-update": "sync.cli.demo.sabotage:SkipUpdate",
    "skip-delete": "sync.cli.demo.sabotage:SkipDelete",
    "touch-live": "sync.cli.demo.sabotage:TouchLive",
}

Tell = Callable[[str], None]


def main(argv: list[str]) -> int:
    """Play the day. Exit code 0 if every conference was as its events say, else 1; 2 for wrong arguments."""
    from sync.cli.demo.patience import Interrupted
    from sync.cli.demo.stage import Broken

    arguments = _arguments(argv)
    try:
        return 0 if _play(arguments).converged else 1
    except Broken as broken:
        complain(f"demo: {broken}", broken.hint)
        return 1
    except Interrupted:
        complain("demo: interrupted before there was a verdict", "a day takes less than a minute")
        return 130


def _arguments(argv: list[str]) -> Namespace:
    parser = Parser(
        "demo",
        "Play one day of meetings in a stand-in for Google Calendar, and watch their conferences follow.\n"
        "Then everything stays up to be played with, until Ctrl-C. Exit code 0 if every conference was as\n"
        "its events say and none was touched without need, else 1; 2 for wrong arguments; 130 if\n"
        "interrupted before there was a verdict.",
        [
            "python -m sync demo",
            "python -m sync demo --headless --json",
            "python -m sync demo --headless --sabotage skip-update",
        ],
    )
    parser.add_argument("--headless", action="store_true", help="end with the day")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and all else to stderr")
    parser.add_argument(
        "--sabotage", choices=SABOTAGES, help="let the worker misbehave once: the verdict must say so"
    )
    parser.add_argument("--keep", action="store_true", help="keep the store and the logs of both doors")
    return parser.parse_args(argv)


def _play(arguments: Namespace) -> "Report":
    from sync.cli.demo.day import Day
    from sync.cli.demo.patience import Interrupted, Patience
    from sync.cli.demo.stage import Stage

    tell = partial(print, file=sys.stderr if arguments.json else sys.stdout, flush=True)
    provider = SABOTAGES.get(arguments.sabotage, "demo")
    began, patience = time.monotonic(), Patience()
    with _folder(arguments.keep, tell) as folder, Stage(folder, provider, patience) as stage:
        report = Day(stage, tell, began).play()
        _tell_verdict(report, tell)
        if arguments.json:
            print(json.dumps(asdict(report)), flush=True)
        if not arguments.headless:
            _tell_how_to_play(stage, tell)
            with suppress(Interrupted):
                patience.until(lambda: False, math.inf)
    return report


@contextmanager
def _folder(keep: bool, tell: Tell) -> Iterator[Path]:
    """Where the store and the logs are."""
    if not keep:
        with tempfile.TemporaryDirectory(prefix="sync-demo-") as folder:
            yield Path(folder)
        return
    folder = tempfile.mkdtemp(prefix="sync-demo-")
    try:
        yield Path(folder)
    finally:
        tell(f"kept: {folder}")


def _tell_verdict(report: "Report", tell: Tell) -> None:
    figures = {
        "every conference is as its events say": "yes" if report.converged else "NO",
        "steps played": report.steps,
        "calls to the conference system": report.provider_calls,
        "listings of the calendar": report.list_calls,
        "seconds": report.seconds,
    }
    tell("")
    for name, figure in figures.items():
        tell(f"    {name:<49}  {figure}")
    for mismatch in report.mismatches:
        tell(f"    {mismatch.conference}: {mismatch.problem}")


def _tell_how_to_play(stage: "Stage", tell: Tell) -> None:
    calendar, conferences = stage.simulator.url, stage.conferences.url
    tell("\nAll of it stays up until Ctrl-C; what you do in the calendar, the conferences follow.")
    tell(f"    the calendar     {calendar}/_sim/state")
    tell(f"    the conferences  {conferences}/api/conferences")
    tell(
        f'    act              curl {calendar}/_sim/act -d \'{{"do": "retitle", "event": ID, "title": "…"}}\''
    )
