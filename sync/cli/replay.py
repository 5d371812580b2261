"""`python -m sync replay`: have done again what was due since a time."""

from argparse import Namespace
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from sync import account, budget, by_hand
from sync.by_hand import Again
from sync.cli import health, say
from sync.cli.desk import Desk, answer, owner, quietly
from sync.cli.progress import Progress
from sync.cli.since import FORMS, past, since
from sync.cli.verbs import Parser
from sync.errors import Transient
from sync.ports import CalendarRecord
from sync.recognise import ConferenceKey


def main(argv: list[str]) -> int:
    """Exit code 0, 1 if it failed, 2 for wrong arguments."""
    parser = Parser(
        "replay",
        "Have done again what was due since a time, or since a notification, for one calendar or for all. Each\n"
        "is woken, as by a notification. One that was listed since then may have passed something over: it is\n"
        "listed in full. Conferences that failed since then, are quarantined or lost, are tried, and accounts of\n"
        "theirs that pause are asked by a probe. What stands is not told again; nothing is deleted for not being\n"
        "listed, and what is held stays held. The passes do it, all of them at the pace of a sweep.\n"
        "Exit code 0; 1 if it failed; 2 for wrong arguments.",
        [
            "python -m sync replay --since 2h",
            "python -m sync replay room-a --since 2026-01-31T03:00 --dry-run",
        ],
    )
    parser.add_argument("calendar", nargs="?", metavar="CALENDAR", help="its label, key or id; else all")
    parser.add_argument(
        "--since",
        type=since,
        required=True,
        metavar="TIME",
        help=f"{FORMS}: that of the request record of a notification",
    )
    parser.add_argument(
        "--read-back",
        action="store_true",
        help="also have read back what was told since then, as after a backup was restored at a provider",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    return answer(lambda: _replay(Desk(), arguments))


@dataclass(slots=True)
class _Replayed:
    """What came of one calendar."""

    label: str
    again: Again
    read_back: list[ConferenceKey] = field(default_factory=list)
    failed: str = ""  # why nothing could be noted, as while a pass is over it

    def as_json(self) -> Mapping[str, object]:
        return {
            "calendar": self.label,
            "listed": "in full" if self.again.in_full else "from its token",
            "tried": list(map(str, self.again.tries)),
            "read_back": list(map(str, self.read_back)),
            "failed": self.failed,
        }


def _replay(desk: Desk, arguments: Namespace) -> int:
    began_at = past(arguments.since, desk.now)
    chosen = desk.chosen([arguments.calendar] if arguments.calendar else [])
    unsettled = list(desk.store.unsettled(chosen[0].key if arguments.calendar else ""))
    due = [(each, by_hand.due_since(each, unsettled, began_at, desk.now)) for each in chosen]
    tries = {key for _, again in due for key in again.tries}
    paused = _paused(desk, {health.account_of(each) for each in unsettled if each.key in tries})
    if arguments.dry_run:
        replayed = [_Replayed(desk.label(record.key), again) for record, again in due]
    else:
        for name in paused:
            desk.store.change_account(name, account.hurried)
        replayed = list(_done(desk, due, began_at if arguments.read_back else None))
    _tell(replayed, paused, began_at, arguments)
    return 1 if any(each.failed for each in replayed) else 0


def _paused(desk: Desk, accounts: Collection[str]) -> list[str]:
    return [each.name for each in desk.store.accounts() if not each.answers and each.name in accounts]


def _done(
    desk: Desk, due: Sequence[tuple[CalendarRecord, Again]], read_back_since: float | None
) -> Iterator[_Replayed]:
    """Calendar by calendar: none is woken before Google's budget allows it."""
    outside, policy = desk.errands
    waits = budget.spread([record.calendar.subject for record, _ in due], run_s=inf)
    began_at = outside.clock.now()
    with Progress("asking for", len(due)) as progress:
        for (record, again), wait_s in zip(due, waits, strict=True):
            one, at = _Replayed(desk.label(record.key), again), began_at + (wait_s or 0.0)
            try:
                with quietly():
                    by_hand.do_again(outside, policy, record.key, again, owner=owner(), at=at)
                    if read_back_since is not None:
                        one.read_back = by_hand.read_back(
                            outside, policy, record.key, owner=owner(), since=read_back_since
                        )
            except Transient as error:
                one.failed = str(error)
            yield one
            progress.step()


def _tell(replayed: Sequence[_Replayed], paused: list[str], began_at: float, arguments: Namespace) -> None:
    if arguments.json:
        told = {"since": say.moment(began_at), "dry_run": arguments.dry_run, "accounts": paused}
        say.as_json({**told, "calendars": [each.as_json() for each in replayed]})
    else:
        becomes = "would be" if arguments.dry_run else "is"
        for each in replayed:
            if not each.failed:
                print(f"{each.label}: {becomes} {_said(each)}")
        for name in paused:
            print(f"{name}: {becomes} asked again by one probe")
        if not replayed:
            print("no calendar is looked after")
    for each in replayed:
        if each.failed:
            say.aside(f"{each.label}: {each.failed}")
    if any(each.failed for each in replayed):
        say.aside("hint: try again in a minute: what was asked for already is not done twice")


def _said(one: _Replayed) -> str:
    number = {"tried": len(one.again.tries), "read back": len(one.read_back)}
    listed = "listed in full" if one.again.in_full else "listed from its token on"
    conferences = (f"{say.plural(many, 'conference')} {what}" for what, many in number.items() if many)
    return ", ".join((listed, *conferences))
