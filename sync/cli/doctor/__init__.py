"""`python -m sync doctor`: try the deployment, or one provider, and say of each thing that fails what to do."""

import json
import math
from argparse import ArgumentTypeError, Namespace
from dataclasses import asdict

from sync.cli.desk import Wrong, quietly
from sync.cli.doctor import deployment as deployment
from sync.cli.doctor import provider
from sync.cli.doctor.check import FAILED, lines
from sync.cli.verbs import Parser, complain


def main(argv: list[str]) -> int:
    """Try one thing after the other. Exit code 0, 1 if a check failed, 2 for wrong arguments."""
    arguments = _arguments(argv)
    try:
        with quietly():  # log records of what we use on the way
            if arguments.provider:
                checks = list(provider.checks(arguments))
            else:
                checks = list(deployment.checks(arguments.wait))
    except Wrong as wrong:
        complain(f"doctor: {wrong}", wrong.hint)
        return 2
    failed = [check.name for check in checks if check.result == FAILED]
    if arguments.json:
        about = {"provider": arguments.provider} if arguments.provider else {}
        print(json.dumps({**about, "ok": not failed, "checks": [asdict(check) for check in checks]}))
    else:
        print("\n".join(lines(checks)))
    if failed:
        complain(f"doctor: {', '.join(failed)} failed", "do what stands behind fix: and try again")
    return 1 if failed else 0


def _arguments(argv: list[str]) -> Namespace:
    parser = Parser(
        "doctor",
        "Try the whole deployment with the worker's settings: the store, the webhook, each calendar and its\n"
        "channel, a test channel whose first message must come all the way, the queue, the jobs, and each\n"
        "provider's credentials. Or, with --provider, one provider: its settings, its secrets, its token, and\n"
        "with --conference a reading and an update with what was read, which changes nothing. Take a conference\n"
        "made for this, that does not repeat. Nothing is ever deleted.\n"
        "Exit code 0 if all is well; 1 if a check failed; 2 for wrong arguments.",
        [
            "python -m sync doctor",
            "python -m sync doctor --provider zoom",
            "python -m sync doctor --provider zoom --account emea --conference 84411223344 --json",
        ],
    )
    parser.add_argument("--provider", default="", metavar="NAME", help="its name in SYNC_CONFERENCES")
    parser.add_argument("--account", default="", metavar="NAME", help="one of its accounts")
    parser.add_argument(
        "--conference",
        default="",
        metavar="ID",
        help="a conference there: its id, or the URL it is joined at",
    )
    parser.add_argument("--organizer", default="", metavar="ADDRESS", help="whose conference that is")
    parser.add_argument(
        "--single",
        action="store_true",
        help="the conference does not repeat: without this promise none is updated that might",
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="of the deployment: how long the test channel may take (60)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    if not arguments.provider and (arguments.account or arguments.conference or arguments.organizer):
        parser.error("--account, --conference and --organizer belong to --provider")
    return arguments


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 600:
        raise ArgumentTypeError("a number of seconds, at most 600")
    return seconds
