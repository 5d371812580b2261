"""`python -m sync pull`: have one calendar looked at now."""

from sync import by_hand
from sync.by_hand import Again
from sync.cli import passes, say
from sync.cli.desk import Desk, answer, owner, quietly
from sync.cli.progress import Progress
from sync.cli.verbs import Parser

_WAIT_S = 120.0


def main(argv: list[str]) -> int:
    """Exit code 0 if it was looked at, 1 if not, 2 for wrong arguments."""
    parser = Parser(
        "pull",
        "Have a calendar looked at now, and its conferences brought to what its events say: by the worker,\n"
        "which is woken; or here, where wakes are kept beside a local store. With --full it is listed in full,\n"
        "as after a lost sync token: nothing is deleted for not being listed.\n"
        "Exit code 0 if it was looked at, or with --wait 0 asked for; 1 if not; 2 for wrong arguments.",
        ["python -m sync pull room-a", "python -m sync pull room-a --full --json"],
    )
    parser.add_argument("calendar", metavar="CALENDAR", help="its label, key or id")
    parser.add_argument("--full", action="store_true", help="list it in full")
    parser.add_argument(
        "--wait",
        type=float,
        default=_WAIT_S,
        metavar="S",
        help="seconds to wait for a sign of the worker (120)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    return answer(
        lambda: _pull(Desk(), arguments.calendar, arguments.wait, full=arguments.full, as_json=arguments.json)
    )


def _pull(desk: Desk, name: str, wait_s: float, *, full: bool, as_json: bool) -> int:
    record = desk.named(name)
    by_hand.refuse_unless_active(desk.store, record.key)
    if full:
        with quietly():
            by_hand.do_again(*desk.errands, record.key, Again(in_full=True), owner=owner())
    with Progress(f"looking at {desk.label(record.key)}") as progress:
        looked = passes.look(desk, record, wait_s, progress.tell)
    if as_json:
        say.as_json({"calendar": desk.label(record.key), "full": full, **looked.as_json()})
    else:
        codes = ", ".join(f"{number} {code}" for code, number in sorted(looked.codes.items()))
        said = {
            "done": f"looked at: {codes or 'nothing has changed'}" if desk.works_here else "looked at",
            "asked": "the worker is asked",
        }
        print(f"{desk.label(record.key)}: {said.get(looked.outcome, f'{looked.outcome}: {looked.why}')}")
    return 0 if looked.outcome in ("done", "asked") else 1
