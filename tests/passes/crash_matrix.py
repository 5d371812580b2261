"""Every crash of the story, and the table of them: `python -m tests.passes.crash_matrix` prints it as a page.

The story forks. Before each call, copies of the whole town go on without the process that was to make it, while
the original goes on undisturbed to the next call: so no beginning is told twice.
"""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from tests.passes.crash_story import STORY, play
from tests.passes.crash_town import Death, Net, Point, Town

PAGE = Path(__file__).parents[2] / "docs" / "crash-matrix.md"
AT_ONCE = os.cpu_count() or 1
PATIENCE_S = 60  # a story takes a tenth of a second


# --- Every death ---


@dataclass(frozen=True)
class Ending:
    """How the story went on after a death."""

    number: int
    net: str
    lands: bool
    taken_up_by: str
    reads: int  # of the provider, in all
    wrong: str


class Fork:
    """At every call of the story, children live on with each of its deaths; the parent goes on with none."""

    def __init__(self) -> None:
        self.endings: list[Ending] = []
        self.death: Death | None = None  # a child has one
        self._tell = -1
        self._children: dict[int, tuple[Death, int]] = {}

    def __call__(self, point: Point) -> Death | None:
        for death in deaths(point):
            while len(self._children) >= AT_ONCE:
                self._hear()
            hear, tell = os.pipe()
            if child := os.fork():
                os.close(tell)
                self._children[child] = (death, hear)
            else:
                signal.alarm(PATIENCE_S)
                self.death, self._tell = death, tell
                return death
        return None

    def end(self, town: Town | None, wrong: str) -> NoReturn:
        """A child tells how it ended, and is gone."""
        assert self.death is not None
        taken_up_by, reads = (town.taken_up_by, town.acme.calls["read"]) if town else ("", 0)
        death = self.death
        ending = Ending(death.number, death.net, death.lands, taken_up_by, reads, wrong)
        os.write(self._tell, json.dumps(asdict(ending)).encode())
        os._exit(0)

    def hear_all(self) -> None:
        while self._children:
            self._hear()

    def _hear(self) -> None:
        child, (death, hear) = next(iter(self._children.items()))
        del self._children[child]
        with os.fdopen(hear) as told:
            words = told.read()
        os.waitpid(child, 0)
        never = Ending(death.number, death.net, death.lands, "", 0, "the story never ended")
        self.endings.append(Ending(**json.loads(words)) if words else never)


def deaths(point: Point) -> Iterable[Death]:
    """Before a claim a lost task is no more than a lost notification; nothing but a sweep brings that back."""
    yield Death(point.number)
    if point.process == "worker" and point.call != "store.claim":
        yield Death(point.number, Net.SWEEP)
    if point.call in ("provider.update", "provider.delete"):
        yield Death(point.number, lands=True)


def die_everywhere() -> tuple[Town, list[Ending]]:
    """The undisturbed town, and how it ended in all the others."""
    fork = Fork()
    town, wrong = None, ""
    try:
        town = play(fork)
    except Exception as error:  # a promise broken, or a bug: a child reports it, the parent has no excuse
        wrong = f"{type(error).__name__}: {error}"
        if fork.death is None:
            raise
    if fork.death is not None:
        fork.end(town, wrong)
    fork.hear_all()
    assert town is not None
    return town, fork.endings


# --- The page ---

INTRODUCTION = """\
# The crash matrix

One story is told again and again, and in every telling one process dies at another of its calls to the world
outside. Nothing is cleaned up, no lease is given back, nobody hears an answer. Then the story goes on, and in the
end every conference is what its events say, no lease is left over and no call is made any more; and at no moment
was a conference deleted that a meeting used. `make crash-matrix` tells them all and writes this page, and a test
fails when it is not what the code does.

- *before*, *after*: how many deaths just before and just after the call. The moment after one call is the moment
  before the next of the same process, and after its last it is the moment before its answer: that is one telling.
- *under way*: deaths with the call sent and its effect still to come.
- *taken up by*: what first brought a worker to the calendar again, while no sweep ran.
- *its task lost*: the same when the queue does not deliver again, so that the sweep must do. Before a claim, a
  lost task is a lost notification: the regular look at every calendar brings that back; it is not tried here.
- *read back*: after so many of these deaths the provider was asked once more what had become of a call.

"""
HEAD = """\
| process | call | before | after | under way | taken up by | its task lost | read back | ends |
|---|---|---|---|---|---|---|---|---|
"""


def page(town: Town, endings: Sequence[Ending]) -> str:
    """The whole document."""
    rows = sorted({(each.process, each.call) for each in town.points}, key=_place)
    lines = "\n".join(_line(*row, town, endings) for row in rows)
    steps = "\n".join(f"{number}. {words}" for number, (words, _, _) in enumerate(STORY, start=1))
    wrong = sum(bool(each.wrong) for each in endings)
    return (
        f"{INTRODUCTION}{HEAD}{lines}\n\n"
        f"`calls {len(town.points)} deaths {len(endings)} wrong {wrong}`\n\n"
        f"## The story\n\n{steps}\n"
    )


PROCESSES = ("webhook", "worker", "sweep", "converge")
PROTOCOL = (
    "store.wired",
    "store.salt",
    "store.tend",
    "store.due_calendars",
    "store.claim",
    "calendar.list_page",
    "store.live_links",
    "store.doubted_links",
    "calendar.get",
    "store.change: events",
    "store.change: the last events and the token",
    "store.due_conferences",
    "store.calendar",
    "store.calendars",
    "store.tally",
    "store.change: a wait, or a doubt",
    "store.change: intent",
    "provider.update",
    "provider.delete",
    "store.change: settle",
    "provider.read",
    "store.change: what was read back",
    "store.next_due",
    "store.close",
    "calendar.watch",
    "queue.create",
    "answer",
)


def _place(row: tuple[str, str]) -> tuple[int, int, str]:
    """By process, and in the order of the protocol; what has no place there comes last."""
    process, call = row
    place = PROTOCOL.index(call) if call in PROTOCOL else len(PROTOCOL) - 2
    return PROCESSES.index(process), place, call


def _line(process: str, call: str, town: Town, endings: Sequence[Ending]) -> str:
    """What came of all deaths around one kind of call."""
    numbers = {each.number for each in town.points if (each.process, each.call) == (process, call)}
    before = [each for each in endings if each.number in numbers]
    after = [each for each in endings if each.number - 1 in numbers and not each.lands and call != "answer"]
    around = list(dict.fromkeys((*before, *after)))
    cells = (
        process,
        call,
        sum(each.net == Net.QUEUE and not each.lands for each in before),
        sum(each.net == Net.QUEUE for each in after) or "–",
        sum(each.lands for each in before) or "–",
        _takers(each for each in around if each.net == Net.QUEUE),
        _takers(each for each in around if each.net == Net.SWEEP) or "–",
        sum(each.reads > town.acme.calls["read"] for each in around) or "–",
        "wrong" if any(each.wrong for each in around) else "right",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _takers(endings: Iterable[Ending]) -> str:
    """Most often first."""
    takers = Counter(each.taken_up_by or "nobody was needed" for each in endings)
    return ", ".join(
        f"{taker} {times}" for taker, times in sorted(takers.items(), key=lambda t: (-t[1], t[0]))
    )


def tell(endings: Sequence[Ending], town: Town) -> str:
    """What went wrong, in words; nothing if nothing did."""
    points = {each.number: each for each in town.points}
    wrong = [f"{points[each.number]}, {each.net}: {each.wrong}" for each in endings if each.wrong]
    return "\n".join(wrong[:10])


if __name__ == "__main__":
    told, all_endings = die_everywhere()
    sys.stdout.write(page(told, all_endings))
    sys.exit(tell(all_endings, told) or 0)
