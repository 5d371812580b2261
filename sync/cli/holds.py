"""`python -m sync holds`: deletions that wait for a person, and the person's answer."""

from argparse import Namespace
from collections.abc import Sequence

from sync import holds
from sync.cli import say
from sync.cli.desk import Desk, Wrong, answer, owner, quietly
from sync.cli.verbs import Parser
from sync.conference import Conference, State
from sync.ports import CalendarRecord


def main(argv: list[str]) -> int:
    """Exit code 0, 1 if it failed, 2 for wrong arguments."""
    parser = Parser(
        "holds",
        "A calendar that deletes implausibly many conferences at once is stopped, and a person is asked.\n"
        "  list     what waits, in one calendar or in all\n"
        "  approve  have it deleted by the next pass, on fresh evidence all the same\n"
        "  reject   leave the conferences alone, until an event uses them again\n"
        "To answer, name a calendar, and conferences of it or --all.\n"
        "Exit code 0; 1 if it failed; 2 for wrong arguments.",
        ["python -m sync holds list", "python -m sync holds approve room-a zoom:84411223344"],
    )
    parser.add_argument("action", choices=("list", "approve", "reject"))
    parser.add_argument("calendar", nargs="?", metavar="CALENDAR", help="its label, key or id")
    parser.add_argument(
        "conferences", nargs="*", metavar="CONFERENCE", help="provider:id, its id or its join URL"
    )
    parser.add_argument("--all", action="store_true", help="answer for all that this calendar holds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    if arguments.action != "list":
        if not arguments.calendar:
            parser.error("name the calendar whose deletions you have looked at")
        if bool(arguments.conferences) == arguments.all:
            parser.error("name the conferences, or say --all")
    return answer(
        lambda: _list(Desk(), arguments) if arguments.action == "list" else _answer(Desk(), arguments)
    )


def _list(desk: Desk, arguments: Namespace) -> int:
    chosen = [desk.named(arguments.calendar)] if arguments.calendar else desk.calendars
    found = [(record, item) for record in chosen for item in holds.held(desk.store, record.key)]
    if arguments.json:
        say.as_json({"held": [_told(desk, *each) for each in found]})
    elif not found:
        print("no deletion waits for a person")
    else:
        rows = [_row(desk, record, item) for record, item in found]
        say.table(("calendar", "conference", "unused since", "held since", "was used by"), rows, left=3)
    return 0


def _answer(desk: Desk, arguments: Namespace) -> int:
    record, approve = desk.named(arguments.calendar), arguments.action == "approve"
    only = None if arguments.all else [_held(desk, record, name).key for name in arguments.conferences]
    with quietly():
        answered = holds.answer(*desk.errands, record.key, owner=owner(), approve=approve, only=only)
    if arguments.json:
        say.as_json(
            {
                "calendar": desk.label(record.key),
                "answer": arguments.action,
                "answered": list(map(str, answered)),
            }
        )
        return 0
    what = "approved: deleted by the next pass" if approve else "rejected: left alone"
    print(f"{say.plural(len(answered), 'deletion')} of {desk.label(record.key)} {what}")
    return 0


def _held(desk: Desk, record: CalendarRecord, name: str) -> Conference:
    item = desk.conference(name)
    if item is None or item.state is not State.HELD or item.home != record.key:
        label = desk.label(record.key)
        raise Wrong(f"{label} holds no deletion of {name!r}", f"python -m sync holds list {label} lists them")
    return item


def _row(desk: Desk, record: CalendarRecord, item: Conference) -> Sequence[str]:
    told = _told(desk, record, item)
    return [
        str(told[name] or "–") for name in ("calendar", "conference", "unused_since", "held_since", "used_by")
    ]


def _told(desk: Desk, record: CalendarRecord, item: Conference) -> dict[str, object]:
    held = [each for each in item.decisions if each.decision.code == State.HELD.value]
    return {
        "calendar": desk.label(record.key),
        "conference": str(item.key),
        "unused_since": say.moment(item.dropped_at) if item.dropped_at else None,
        "held_since": say.moment(held[-1].since) if held else None,
        "used_by": say.plural(len(item.former), "event"),
    }
