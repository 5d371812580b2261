"""`python -m sync retry`: have what waits after a failure tried now."""

from sync import account, by_hand
from sync.cli import say
from sync.cli.desk import Desk, Wrong, answer, owner, quietly
from sync.cli.verbs import Parser
from sync.conference import State
from sync.errors import Transient
from sync.ports import CalendarRecord
from sync.recognise import ConferenceKey


def main(argv: list[str]) -> int:
    """Exit code 0, 1 if it failed, 2 for wrong arguments."""
    parser = Parser(
        "retry",
        "Have conferences that wait tried by the next pass, which is asked for: those that failed, are\n"
        "quarantined or lost; of one calendar, or of all, or one conference. Accounts that pause are asked by a\n"
        "probe at once. Held deletions stay held: see holds.\n"
        "Exit code 0; 1 if it failed; 2 for wrong arguments.",
        ["python -m sync retry", "python -m sync retry zoom:84411223344 --json"],
    )
    parser.add_argument(
        "what",
        nargs="?",
        metavar="CALENDAR|CONFERENCE",
        help="a calendar, or a conference; else all that waits",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    return answer(lambda: _retry(Desk(), arguments.what, as_json=arguments.json))


def _retry(desk: Desk, what: str | None, *, as_json: bool) -> int:
    calendars, only = _meant(desk, what)
    paused = [each for each in desk.store.accounts() if not each.answers]
    if only is not None:
        paused = [each for each in paused if each.name.partition(":")[0] == only[0].provider]
    for each in paused:
        desk.store.change_account(each.name, account.hurried)
    retried: list[ConferenceKey] = []
    busy = []
    for record in calendars:
        try:
            with quietly():
                retried += by_hand.retry(*desk.errands, record.key, owner=owner(), only=only)
        except Transient:  # what it would have tried is tried anyway, but not now
            busy.append(desk.label(record.key))
    if as_json:
        told = {"retried": list(map(str, retried)), "accounts": [each.name for each in paused], "busy": busy}
        say.as_json(told)
    else:
        print(f"{say.plural(len(retried), 'conference')} to be tried now" if retried else "nothing waits")
        for each in paused:
            print(f"{each.name} is asked again by one probe")
    if busy:
        say.aside(f"a pass is over {', '.join(busy)} just now\nhint: try again in a minute")
    return 1 if busy else 0


def _meant(desk: Desk, what: str | None) -> tuple[list[CalendarRecord], list[ConferenceKey] | None]:
    """Which calendars, and which of their conferences; None: all."""
    if what is None:
        homes = {each.home for each in desk.store.unsettled()}
        return [each for each in desk.calendars if each.active and each.key in homes], None
    conference = desk.conference(what)
    if conference is None:
        return [desk.named(what)], None
    if conference.state in (State.HELD, State.GONE):
        why = (
            "its deletion waits for a person"
            if conference.state is State.HELD
            else "it was deleted, as wanted"
        )
        raise Wrong(f"{conference.key} is not tried: {why}", f"python -m sync explain {conference.key}")
    return [each for each in desk.calendars if each.key == conference.home], [conference.key]
