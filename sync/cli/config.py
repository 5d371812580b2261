"""`python -m sync config`: say what the doors would say of this environment, before they are opened."""

import json
import os
from argparse import Namespace
from collections.abc import Mapping
from typing import get_args

from sync import wiring
from sync.cli import say
from sync.cli.origins import URLS, Setting, root, settings_of
from sync.cli.verbs import Parser, complain
from sync.errors import Misconfigured
from sync.settings import VARIABLES, Door, Settings, draft

_DOORS: tuple[Door, ...] = get_args(Door)


def main(argv: list[str]) -> int:
    """Print every problem, one a line, or else what is set. Exit code 0, 1 for problems, 2 for wrong arguments."""
    parser = Parser(
        "config",
        "Check the SYNC_ variables of this environment as the doors do, and open none. Says every problem,\n"
        "one a line; or what is set, without secrets.\n"
        "  show  every setting that counts, also those that nobody has set; with --origin, where each came from:\n"
        "        the environment, a file or a secret that it names, or default. Of secrets, only that\n"
        "Exit code 0; 1 for problems; 2 for wrong arguments.",
        [
            "python -m sync config",
            "python -m sync config show --origin",
            "python -m sync config --door webhook --json",
        ],
    )
    parser.add_argument(
        "action", nargs="?", choices=("check", "show"), default="check", help="check, if left out"
    )
    parser.add_argument("--origin", action="store_true", help="show: also where each setting came from")
    parser.add_argument("--door", choices=_DOORS, help="check it for this door only; else for both")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    if arguments.origin and arguments.action != "show":
        parser.error("--origin belongs to show")
    doors = (arguments.door,) if arguments.door else _DOORS
    problems = {door: _problems(door) for door in doors}
    every = list(dict.fromkeys(problem for told in problems.values() for problem in told))
    if arguments.action == "show":
        _show(list(settings_of(os.environ, every)), problems, arguments)
    else:
        _tell(draft(os.environ, doors[-1])[0], problems, arguments)
    if every and not arguments.json:
        complain(
            "\n".join(f"config: {problem}" for problem in every), "docs/settings.md explains each variable"
        )
    return 1 if every else 0


def _tell(settings: Settings, problems: Mapping[Door, tuple[str, ...]], arguments: Namespace) -> None:
    told = {} if any(problems.values()) else _what_is_set(settings)
    if arguments.json:
        print(json.dumps({"problems": problems, "set": told}))
    else:
        for name, value in told.items():
            print(f"{name:<22}{value}")


def _show(shown: list[Setting], problems: Mapping[Door, tuple[str, ...]], arguments: Namespace) -> None:
    columns = ("name", "value", "origin") if arguments.origin else ("name", "value")
    rows = [{column: getattr(each, column) for column in columns} for each in shown]
    if arguments.json:
        print(json.dumps({"problems": problems, "settings": rows}))
    else:
        say.table(columns, (list(row.values()) for row in rows), left=len(columns))


def _problems(door: Door) -> tuple[str, ...]:
    try:
        wiring.check(os.environ, door)
    except Misconfigured as error:
        return error.problems
    except (
        Exception
    ) as error:  # code of a provider that nobody has tried yet: what it says may hold its options
        return (f"SYNC_CONFERENCES names a provider that fails with {type(error).__name__}.",)
    return ()


def _what_is_set(settings: Settings) -> Mapping[str, str]:
    told = {name: value for name in VARIABLES if (value := os.environ.get(name, "").strip())}
    told.update((name, root(told[name])) for name in URLS if name in told)
    if settings.conferences_secret:
        told["SYNC_CONFERENCES"] = f"{settings.conferences_secret} (a secret, read when the worker runs)"
    elif "SYNC_CONFERENCES" in told:
        providers = ", ".join(f"{each.name} ({each.use})" for each in settings.providers)
        told["SYNC_CONFERENCES"] = providers or "set"
    return told
