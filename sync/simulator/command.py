"""`python -m sync simulator`: the stand-in as a process. The first line on stdout is its root URL."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from threading import Event
from typing import Any, NoReturn

from .acts import BadAct
from .errors import ApiError
from .server import Simulator

EXAMPLES = """\
examples:
  python -m sync simulator --control
  python -m sync simulator --port 8787 --seed office.json --json
  python -m sync simulator --control --clock frozen --strict-auth
"""


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    try:
        simulator = Simulator(
            port=options.port,
            seed=_seed(options.seed),
            control=options.control,
            strict_auth=options.strict_auth,
            clock=options.clock,
        )
    except (OSError, OverflowError) as refused:
        return _fail(f"cannot use port {options.port}: {refused}", "leave --port out to get a free one")
    except (BadAct, ApiError, ValueError) as wrong:
        return _fail(f"cannot use {options.seed}: {wrong}", "docs/simulator.md shows what a seed file holds")
    seed = simulator.world.seed
    ready = {"url": simulator.url, "seed": seed, "control": options.control, "clock": options.clock}
    try:
        with simulator:
            print(json.dumps(ready) if options.json else simulator.url, flush=True)
            print(f"seed {seed}", file=sys.stderr, flush=True)
            Event().wait()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _fail(message, f"{self.prog} --help")
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m sync simulator",
        description=(
            "A stand-in for Google Calendar over real HTTP. The first line on stdout is its root URL.\n"
            "Exit code 0 after Ctrl-C; 1 if it cannot start; 2 for wrong arguments."
        ),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--port", type=int, default=0, help="port on the loopback; a free one by default")
    parser.add_argument("--seed", type=Path, help="JSON file with the world to start with")
    parser.add_argument("--control", action="store_true", help="serve /_sim/: acts, faults, clock, state")
    parser.add_argument(
        "--strict-auth", action="store_true", help="only tokens from POST /token, for an hour"
    )
    parser.add_argument(
        "--clock", choices=("real", "frozen"), default="real", help="frozen moves only when told"
    )
    parser.add_argument("--json", action="store_true", help="the first line is an object with `url`")
    return parser


def _seed(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        content = json.loads(path.read_text())
    except OSError as missing:
        raise ValueError(missing.strerror) from missing
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def _fail(what: str, hint: str) -> int:
    print(f"simulator: {what}\nhint: {hint}", file=sys.stderr)
    return 1
