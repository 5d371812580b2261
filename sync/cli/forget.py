"""`python -m sync forget`: erase what is known of a calendar."""

import sys

from sync import channel, records
from sync.cli import say
from sync.cli.desk import Desk, Wrong, answer
from sync.cli.verbs import Parser
from sync.ports import CalendarRecord


def main(argv: list[str]) -> int:
    """Exit code 0, 1 if it failed or nobody wanted it, 2 for wrong arguments or one that is looked after."""
    parser = Parser(
        "forget",
        "Erase all that is known of a calendar: its sync token, events, links, holds and decisions, what was\n"
        "said of events that were never seen, and the record itself. One that is wired or enrolled, or has a\n"
        "channel that may be open, is refused: that is to end first. No provider is called: its conferences are\n"
        "left as they are, and those that another calendar uses are looked after there. At a terminal it asks,\n"
        "elsewhere it needs --yes. Interrupted or killed, it is run again. What is forgotten cannot be had back.\n"
        "Exit code 0 if it is forgotten; 1 if that failed, or the answer was not yes; 2 for wrong arguments, or\n"
        "if it is refused.",
        ["python -m sync forget room-a", "python -m sync forget room-a --yes --json"],
    )
    parser.add_argument("calendar", metavar="CALENDAR", help="its label, key or id")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    return answer(lambda: _forget(Desk(), arguments.calendar, asks=not arguments.yes, as_json=arguments.json))


def _forget(desk: Desk, name: str, *, asks: bool, as_json: bool) -> int:
    record = desk.named(name)
    label = desk.label(record.key)
    _refuse_unless_at_rest(desk, record, label)
    left_over = [str(each.key) for each in desk.store.unsettled(record.key) if each.is_to_go]
    if asks and not _is_wanted(desk, record, label, len(left_over)):
        say.aside("nothing is forgotten")
        return 1
    forgotten = desk.store.forget(record.key)
    if as_json:
        erased = {"links": forgotten.links, "conferences": forgotten.conferences}
        say.as_json({"calendar": label, "forgotten": erased, "left_over": left_over})
        return 0
    links, conferences = (
        say.plural(forgotten.links, "link"),
        say.plural(forgotten.conferences, "conference"),
    )
    print(f"{label} is forgotten, with {links} and its part in {conferences}")
    for each in left_over:
        print(f"  {each} was to be deleted, and is left over: delete it at its provider if nobody uses it")
    return 0


def _refuse_unless_at_rest(desk: Desk, record: CalendarRecord, label: str) -> None:
    """Raises Wrong, and says what is to end first."""
    store = desk.store
    wanted = records.wanted(store.wired().calendars, store.enrolled(), store.salt()).get(record.key)
    if wanted is not None and wanted.slug:
        unwire = (
            "take it out of `calendars` in terraform.tfvars, terraform apply, and try again in five minutes"
        )
        raise Wrong(f"{label} is wired", unwire)
    if wanted is not None:
        withdraw = "python -m sync enrol with its id and --remove withdraws it; try again in five minutes"
        raise Wrong(f"{label} is enrolled", withdraw)
    if record.active:
        raise Wrong(f"converge has not yet noticed that {label} is to go", "try again in five minutes")
    running = [each for each in record.channels if not channel.is_over(each, desk.now)]
    if running:
        ends = say.when(desk.now, max(channel.ends_at(each) for each in running))
        raise Wrong(
            f"{label} has {say.plural(len(running), 'channel')} that may be open",
            f"converge stops it, or `python -m sync watch stop {label}`; at the latest it ends by itself, {ends}",
        )


def _is_wanted(desk: Desk, record: CalendarRecord, label: str, to_go: int) -> bool:
    """A person at a terminal says so. Raises Wrong where there is none."""
    if not sys.stdin.isatty():
        raise Wrong("there is no terminal to ask at", "--yes forgets without asking")
    conferences = sum(1 for _ in desk.store.conferences_of(record.key))
    lost = f", {say.plural(to_go, 'deletion')} that would never be made" if to_go else ""
    question = (
        f"{label} looks after {say.plural(conferences, 'conference')}{lost}. Forget it for good? [y/N] "
    )
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
