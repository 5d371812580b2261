"""`python -m sync backfill`: have all that calendars hold looked at anew, and brought in step.

Each calendar's record tells when it was last listed in full, so that nothing else need be remembered: who is
interrupted goes on with those that are left. One that was being listed is begun again; of that, nothing that is
recorded is written or told again, as in any long pass.
"""

import threading
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor
from concurrent.futures import wait as until_one_of
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf

from sync import budget, by_hand
from sync.by_hand import Again
from sync.cli import passes, say
from sync.cli.desk import Desk, answer, owner, quietly
from sync.cli.passes import Looked, Waiting
from sync.cli.progress import Progress
from sync.cli.since import FORMS, past, since
from sync.cli.verbs import Parser
from sync.errors import Misconfigured, SyncError, Transient
from sync.ports import CalendarRecord

_WAIT_S = 600.0  # without a sign of the worker
_AT_ONCE = (
    5  # calendars in the worker's hands: a page takes it a second, and so they keep to half of a minute's
)
_TICK_S = 0.5
_POLL_S = 2.0
_TRIES = 3  # to come in between two passes

Wait = Callable[[float], object]


def main(argv: list[str], wait: Wait = time.sleep) -> int:
    """Exit code 0 if all of them were, 1 if not, 2 for wrong arguments."""
    parser = Parser(
        "backfill",
        "Have all that calendars hold looked at anew from a full listing, and what is not in step brought in\n"
        "step: what is not as its events want is told, what waits after a failure is tried, and deletions go\n"
        "through grace, evidence and brake. What was listed in full since a day ago, or since --since, is left\n"
        "out: so it may be interrupted, and goes on when it is run again. It is done by the worker, five\n"
        "calendars at a time, or here, where wakes are kept beside a local store; within Google's budget.\n"
        "Exit code 0 if all were listed; 1 if one could not be; 2 for wrong arguments; 130 if it was interrupted.",
        ["python -m sync backfill", "python -m sync backfill room-a room-b --since now --json"],
    )
    parser.add_argument("calendars", nargs="*", metavar="CALENDAR", help="its label, key or id; else all")
    parser.add_argument(
        "--since",
        type=since,
        default=since("1d"),
        metavar="TIME",
        help=f"leave out what was listed in full since then: now, {FORMS} (1d)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    return answer(lambda: _backfill(Desk(), arguments, wait))


@dataclass(frozen=True, slots=True)
class _Listed:
    """What came of one calendar."""

    label: str
    looked: Looked


@dataclass(slots=True)
class _Come:
    """How far it has come."""

    listed: int = 0
    items: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    not_done: list[_Listed] = field(default_factory=list)

    def add(self, listed: _Listed) -> None:
        if listed.looked.outcome == "done":
            self.listed += 1
        else:
            self.not_done.append(listed)
        self.items += listed.looked.items
        self.codes += listed.looked.codes


def _backfill(desk: Desk, arguments: Namespace, wait: Wait) -> int:
    began_at = past(arguments.since, desk.now)
    chosen = desk.chosen(arguments.calendars)
    left = [each for each in chosen if each.full_at < began_at]
    out = len(chosen) - len(left)
    if out:
        were = "was" if out == 1 else "were"
        say.aside(
            f"{say.plural(out, 'calendar')} {were} listed in full since {say.moment(began_at)}: left out"
        )
    come, listing = _Come(), _here if desk.works_here else _elsewhere
    with (
        quietly(),  # once, as standard output is one for all threads
        _saying_how_to_go_on(arguments, began_at, come, len(left)),
        Progress("listing", len(left)) as progress,
    ):
        progress.tell()
        for listed in listing(desk, left, progress, wait):
            come.add(listed)
            progress.step(beside=f"{come.items} events" if come.items else "")
    _tell(come, began_at, out, as_json=arguments.json)
    return 1 if come.not_done else 0


@contextmanager
def _saying_how_to_go_on(arguments: Namespace, began_at: float, come: _Come, total: int) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        said = f"interrupted: {come.listed} of {say.plural(total, 'calendar')} listed in full"
        again = " ".join(("python -m sync backfill", *arguments.calendars))
        moment = say.moment(began_at).replace(" ", "T")
        say.aside(f"{said}\nhint: `{again} --since {moment}` goes on with the others")
        raise


def _tell(come: _Come, began_at: float, out: int, *, as_json: bool) -> None:
    not_done = [
        {"calendar": each.label, "outcome": each.looked.outcome, "why": each.looked.why}
        for each in come.not_done
    ]
    if as_json:
        told = {"since": say.moment(began_at), "listed": come.listed, "left_out": out, "items": come.items}
        say.as_json({**told, "codes": dict(sorted(come.codes.items())), "not_done": not_done})
    else:
        codes = ", ".join(f"{number} {code}" for code, number in sorted(come.codes.items()))
        print(f"{say.plural(come.listed, 'calendar')} listed in full{f': {codes}' if codes else ''}")
    for each in not_done:
        say.aside(f"{each['calendar']}: {each['outcome']}: {each['why']}")
    if not_done:
        say.aside("hint: run it again, and it goes on with these; python -m sync status says what is wrong")


def _here(desk: Desk, left: Sequence[CalendarRecord], progress: Progress, wait: Wait) -> Iterator[_Listed]:
    """One after the other, by passes of this process; each when what the others have asked for allows it."""
    began, owed_s = time.monotonic(), 0.0
    starts = budget.spread([each.calendar.subject for each in left], run_s=inf)
    for record, at in zip(left, starts, strict=True):
        wait(max(0.0, began + (at or 0.0) + owed_s - time.monotonic()))
        listed = _list(desk, record, partial(progress.tell, desk.label(record.key)), wait)
        owed_s += budget.pause_s(max(0, listed.looked.requests - 1))
        yield listed


def _elsewhere(desk: Desk, left: Sequence[CalendarRecord], progress: Progress, _: Wait) -> Iterator[_Listed]:
    """By passes of the worker, which are waited for."""
    over = threading.Event()

    def unless_over() -> None:
        if over.is_set():
            raise _Over

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = {pool.submit(_list, desk, each, unless_over, over.wait) for each in left}
        try:
            while running:
                done, running = until_one_of(running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
                yield from (each.result() for each in done)
                progress.tell()
        finally:
            over.set()
            pool.shutdown(cancel_futures=True)


class _Over(Exception):
    """Nobody waits for it any more."""


def _list(desk: Desk, record: CalendarRecord, waiting: Waiting, wait: Wait) -> _Listed:
    """Have one calendar listed in full, and wait for it. Its trouble stops no other."""
    try:
        looked = passes.look(desk, _asked_for(desk, record, waiting, wait), _WAIT_S, waiting)
    except Misconfigured:
        raise
    except SyncError as error:
        looked = Looked("failed", str(error))
    return _Listed(desk.label(record.key), looked)


def _asked_for(desk: Desk, record: CalendarRecord, waiting: Waiting, wait: Wait) -> CalendarRecord:
    """The calendar once its next listing is to be a full one, and what waits there is to be tried."""
    for tries_left in reversed(range(_TRIES)):
        present = _when_free(desk, record, waiting, wait)
        tries = tuple(each.key for each in desk.store.unsettled(record.key))
        try:
            by_hand.do_again(*desk.errands, record.key, Again(in_full=True, tries=tries), owner=owner())
            break
        except Transient:  # another pass came in between
            if not tries_left:
                raise
    return present


def _when_free(desk: Desk, record: CalendarRecord, waiting: Waiting, wait: Wait) -> CalendarRecord:
    """The calendar when no pass is over it any more; one that was killed is over when its lease ends."""
    while True:
        waiting()
        present = desk.store.calendar(record.key) or record
        if present.lease.is_free(desk.store.now(), desk.settings.times.lease):
            return present
        wait(_POLL_S)
