"""`python -m sync enrol`: have a calendar looked after from now on, or no longer, without a deploy."""

import json
import os
import re
import uuid
from argparse import Namespace

from sync import enrol, wiring
from sync.channel import calendar_key
from sync.cli.verbs import Parser, complain
from sync.errors import Misconfigured, SyncError, Transient
from sync.ports import CalendarId, EnrolledCalendar
from sync.wiring import Hands

_CALENDAR = re.compile(r"[^@\s]+@[^@\s]+")


def main(argv: list[str]) -> int:
    """Write it into the store. Exit code 0, 1 if that failed, 2 for wrong arguments."""
    arguments = _arguments(argv)
    try:
        ours = wiring.hands(os.environ, of_a_person=True)
        outcome = _remove(ours, arguments) if arguments.remove else _add(ours, arguments)
    except Misconfigured as error:
        complain("\n".join(f"enrol: {each}" for each in error.problems), "python -m sync config lists them")
        return 1
    except SyncError as error:
        hint = "try again in a minute" if isinstance(error, Transient) else "python -m sync doctor"
        complain(f"enrol: {error}", hint)
        return 1
    if arguments.json:
        print(json.dumps({"calendar": arguments.calendar, "outcome": outcome}))
    elif outcome != "overtaken":
        print(f"{arguments.calendar}: {_MEANING[outcome]}")
    if outcome == "overtaken":
        complain(
            "enrol: something later was asked for this calendar, and stands",
            "if that is not so, the clock of this machine is behind: set it, and try again",
        )
        return 1
    return 0


_MEANING = {
    "enrolled": "enrolled; converge opens its channel within five minutes",
    "withdrawn": "withdrawn; nothing of it is deleted, and converge stops its channels within five minutes",
    "wired": "noted; but Terraform has wired it, and that counts for more",
}


def _arguments(argv: list[str]) -> Namespace:
    parser = Parser(
        "enrol",
        "Have a calendar looked after from now on, or with --remove no longer: in the store that the worker's\n"
        "settings name, without a deploy. Nobody's ownership is judged: who may write to the store may do this.\n"
        "Exit code 0; 1 if it failed; 2 for wrong arguments.",
        [
            "python -m sync enrol room@example.com",
            "python -m sync enrol c_188@group.calendar.google.com --subject ada@example.com",
            "python -m sync enrol room@example.com --remove",
        ],
    )
    parser.add_argument("calendar", metavar="CALENDAR", help="its id, as Google Calendar's settings show it")
    parser.add_argument(
        "--subject",
        default="",
        metavar="ADDRESS",
        help="read it as this user, by delegation; else as ourselves",
    )
    parser.add_argument("--remove", action="store_true", help="look after it no longer")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    if not _CALENDAR.fullmatch(arguments.calendar):
        parser.error("a calendar's id has an @, and `primary` is not one: it is its owner's address")
    if arguments.subject and not _CALENDAR.fullmatch(arguments.subject):
        parser.error("--subject is an address")
    if arguments.subject and arguments.remove:
        parser.error("--subject says nothing about a calendar that goes")
    return arguments


def _add(ours: Hands, arguments: Namespace) -> str:
    store, settings = ours.outside.store, ours.settings
    if arguments.subject and not settings.delegation:
        raise Misconfigured(["--subject needs SYNC_DELEGATION: without it, calendars are shared with us."])
    key = calendar_key(store.salt(), arguments.calendar)
    calendar = CalendarId(arguments.calendar, arguments.subject)
    if not store.enrol(key, EnrolledCalendar(calendar, ours.outside.clock.now())):
        return "overtaken"
    wired = {each.calendar.id.lower() for each in store.wired().calendars}
    return "wired" if arguments.calendar.lower() in wired else "enrolled"


def _remove(ours: Hands, arguments: Namespace) -> str:
    key = calendar_key(ours.outside.store.salt(), arguments.calendar)
    now = ours.outside.clock.now()
    return enrol.remove(ours.outside, ours.policy, key, now, f"command line {uuid.uuid4().hex[:12]}")
