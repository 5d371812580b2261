"""`python -m sync config`: say what the doors would say of this environment, before they are opened."""

import json
import os
from collections.abc import Mapping
from typing import get_args
from urllib.parse import urlsplit

from sync import wiring
from sync.cli.verbs import Parser, complain
from sync.errors import Misconfigured
from sync.settings import VARIABLES, Door, Settings

_DOORS: tuple[Door, ...] = get_args(Door)
_URLS = ("SYNC_WORKER_URL", "SYNC_CALENDAR_API", "SYNC_TASKS_API", "SYNC_SECRETS_API")


def main(argv: list[str]) -> int:
    """Print every problem, one a line, or else what is set. Exit code 0, 1 for problems, 2 for wrong arguments."""
    parser = Parser(
        "config",
        "Check the SYNC_ variables of this environment as the doors do, and open none. Says every problem,\n"
        "one a line; or what is set, without secrets. Exit code 0; 1 for problems; 2 for wrong arguments.",
        ["python -m sync config", "python -m sync config --door webhook --json"],
    )
    parser.add_argument("--door", choices=_DOORS, help="check it for this door only; else for both")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    doors = (arguments.door,) if arguments.door else _DOORS
    judged = {door: _judge(door) for door in doors}
    problems = {door: each if isinstance(each, tuple) else () for door, each in judged.items()}
    sound = [each for each in judged.values() if isinstance(each, Settings)]
    every = list(dict.fromkeys(problem for told in problems.values() for problem in told))
    if arguments.json:
        print(json.dumps({"problems": problems, "set": {} if every else _what_is_set(sound[-1])}))
    elif every:
        complain(
            "\n".join(f"config: {problem}" for problem in every), "docs/settings.md explains each variable"
        )
    else:
        for name, value in _what_is_set(sound[-1]).items():
            print(f"{name:<22}{value}")
    return 1 if every else 0


def _judge(door: Door) -> Settings | tuple[str, ...]:
    try:
        return wiring.check(os.environ, door)
    except Misconfigured as error:
        return error.problems
    except (
        Exception
    ) as error:  # code of a provider that nobody has tried yet: what it says may hold its options
        return (f"SYNC_CONFERENCES names a provider that fails with {type(error).__name__}.",)


def _what_is_set(settings: Settings) -> Mapping[str, str]:
    told = {name: value for name in VARIABLES if (value := os.environ.get(name, "").strip())}
    told.update((name, _root(told[name])) for name in _URLS if name in told)
    if settings.conferences_secret:
        told["SYNC_CONFERENCES"] = f"{settings.conferences_secret} (a secret, read when the worker runs)"
    elif "SYNC_CONFERENCES" in told:
        providers = ", ".join(f"{each.name} ({each.use})" for each in settings.providers)
        told["SYNC_CONFERENCES"] = providers or "set"
    return told


def _root(url: str) -> str:
    """Without user, path and query: any of them may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
