"""`python -m sync enrol`: have a calendar looked after from now on, or no longer, without a deploy."""

import re
from argparse import Namespace

from sync import enrol
from sync.channel import calendar_key
from sync.cli import say
from sync.cli.desk import Desk, Wrong, answer, owner, quietly
from sync.cli.verbs import Parser
from sync.enrol import Outcome
from sync.ports import CalendarId, EnrolledCalendar

_CALENDAR = re.compile(r"[^@\s]+@[^@\s]+")
_MEANING = {
    "enrolled": "enrolled; converge opens its channel within five minutes",
    "withdrawn": "withdrawn; nothing of it is deleted, and converge stops its channels within five minutes",
    "wired": "noted; but Terraform has wired it, and that counts for more",
    "overtaken": "something later was asked for, and stands: look again, and try again in a minute",
}


def main(argv: list[str]) -> int:
    """Write it into the store. Exit code 0, 1 if that failed, 2 for wrong arguments."""
    arguments = _arguments(argv)
    return answer(lambda: _enrol(Desk(), arguments))


def _enrol(desk: Desk, arguments: Namespace) -> int:
    came = _remove(desk, arguments) if arguments.remove else _add(desk, arguments)
    left_over = [str(each) for each in came.left_over]
    if arguments.json:
        say.as_json({"calendar": arguments.calendar, "outcome": came.word, "left_over": left_over})
    else:
        print(f"{arguments.calendar}: {_MEANING[came.word]}")
        for each in left_over:
            print(
                f"  {each} was to be deleted, and is left over: delete it at its provider if nobody uses it"
            )
    return int(came.word == "overtaken")


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


def _add(desk: Desk, arguments: Namespace) -> Outcome:
    store = desk.store
    if arguments.subject and not desk.settings.delegation:
        raise Wrong(
            "--subject needs SYNC_DELEGATION", "or share the calendar with us, and leave --subject out"
        )
    enrolled = EnrolledCalendar(CalendarId(arguments.calendar, arguments.subject), desk.now)
    if not store.enrol(calendar_key(store.salt(), arguments.calendar), enrolled):
        return Outcome("overtaken")
    wired = {each.calendar.id.lower() for each in store.wired().calendars}
    return Outcome("wired" if arguments.calendar.lower() in wired else "enrolled")


def _remove(desk: Desk, arguments: Namespace) -> Outcome:
    outside, policy = desk.workplace
    key = calendar_key(desk.store.salt(), arguments.calendar)
    with quietly():
        return enrol.remove(outside, policy, key, desk.now, owner())
