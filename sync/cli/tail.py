"""`python -m sync tail`: what passes see, decide and come to, as it happens.

It is read from the store, not from Cloud Logging: whoever may ask for `status` may watch, with no other right and
no other library, and a laptop is watched as a deployment is.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from sync.cli import history, say
from sync.cli.desk import Desk, answer
from sync.cli.since import FORMS, Since, past, since
from sync.cli.verbs import Parser
from sync.conference import Conference
from sync.errors import Transient
from sync.ledger import Link
from sync.ports import CalendarRecord, Store

_POLL_S = 2.0
_SLACK_S = 30.0  # a change is seen this long after the time that it is stored with, at the latest

Wait = Callable[[float], object]


def main(argv: list[str], wait: Wait = time.sleep) -> int:
    """Follow, until Ctrl-C ends it. Exit code 0, 1 if the store cannot be read, 2 for wrong arguments."""
    parser = Parser(
        "tail",
        "Follow what passes see, decide and come to: a line for each event that was seen another way than\n"
        "before, each decision about a conference, and each pass that has ended. It is read from the store, of\n"
        "this machine or deployed, with the rights that status needs. What concerns no conference of ours is in\n"
        "the logs alone. With --json each line is one object. Nothing is changed.\n"
        "Ctrl-C ends it, with exit code 130. Else 0; 1 if the store cannot be read; 2 for wrong arguments.",
        ["python -m sync tail room-a --since 10min", "python -m sync tail --since 2h --no-follow --json"],
    )
    parser.add_argument(
        "what",
        nargs="?",
        metavar="CALENDAR|CONFERENCE",
        help="only of this calendar (its label, key or id), or of this conference",
    )
    parser.add_argument(
        "--since", type=since, metavar="TIME", help=f"begin with what is remembered since then: {FORMS}"
    )
    parser.add_argument("--no-follow", action="store_true", help="end with what is remembered")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    arguments = parser.parse_args(argv)
    follow = wait if not arguments.no_follow else None
    return answer(lambda: _tail(Desk(), arguments.what, arguments.since, follow, as_json=arguments.json))


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `of` names what it happened to: no two lines of it are alike."""

    at: float
    kind: str  # pass, event or decision
    of: tuple[object, ...]
    calendar: str  # its key
    conference: str
    said: str
    told: Mapping[str, object] = field(compare=False)


class Follower:
    """Tells each thing once. What is stored late, after later things were told, is told then."""

    def __init__(self, store: Store, begin: float, lease_s: float) -> None:
        self._store = store
        self._begin = begin
        self._late_s = lease_s + _SLACK_S
        self._from = begin - self._late_s
        self._told: dict[tuple[object, ...], float] | None = None

    def news(self) -> list[Line]:
        """What was not told yet, in its order."""
        now = self._store.now()
        recent = self._store.recent(self._from)
        found = [
            *(line for link in recent.links for line in _seen(link)),
            *(line for conference in recent.conferences for line in _decided(conference)),
            *(line for record in recent.calendars for line in _pass(record)),
        ]
        lines = sorted((line for line in found if line.at > self._from), key=lambda line: line.at)
        if self._told is None:
            self._told = {line.of: line.at for line in lines if line.at <= self._begin}
        fresh = [line for line in lines if line.of not in self._told]
        self._from = max(self._from, now - self._late_s)
        known = self._told | {line.of: line.at for line in lines}
        self._told = {of: at for of, at in known.items() if at > self._from}
        return fresh


def _pass(record: CalendarRecord) -> Iterator[Line]:
    """The last that has ended."""
    lease = record.lease
    if lease.owner:
        return
    why = record.frozen or record.failed
    outcome = "frozen" if record.frozen else "failed" if record.failed else "done"
    said = f"pass ended{'' if outcome == 'done' else f', {outcome}'}{f': {why}' if why else ''}"
    told = {"outcome": outcome, "why": why, "fence": lease.fence}
    of = ("pass", record.key, lease.fence)
    yield Line(lease.renewed_at, "pass", of, record.key, "", said, told)


def _seen(link: Link) -> Iterator[Line]:
    for before, sighting in history.versions(link.seen):
        changed = list(history.changes(before, sighting))
        first = "first seen" if before is None else "seen again"
        verdict = history.verdict(sighting) if sighting.code else "changed" if changed else first
        what = f"{verdict}{': ' if changed else ''}{', '.join(changed)}"
        told = {"event": link.event_id, "code": sighting.code or "to_be_told", "changed": changed}
        of = ("event", link.ref, sighting.at)
        yield Line(
            sighting.at,
            "event",
            of,
            link.calendar_key,
            str(link.conference or ""),
            f"event {link.event_id}  {what}",
            told,
        )


def _decided(conference: Conference) -> Iterator[Line]:
    for each in conference.decisions:
        decision = each.decision
        told = {
            "code": decision.code,
            "why": decision.why,
            "call": decision.call,
            "answer": decision.answer,
            "version": each.version,
            "times": each.times,
        }
        of = ("decision", conference.key, each.version, decision, each.at)
        said = f"{conference.key}  {history.decision(each)}"
        yield Line(each.at, "decision", of, conference.home, str(conference.key), said, told)


def _tail(desk: Desk, what: str | None, begin: Since | None, wait: Wait | None, *, as_json: bool) -> int:
    conference = desk.conference(what) if what else None
    only_of = str(conference.key) if conference else ""
    only_in = desk.named(what).key if what and conference is None else ""
    follower = Follower(desk.store, past(begin, desk.now) if begin else desk.now, desk.settings.times.lease)
    silent = False
    while True:
        try:
            for line in follower.news():
                if _is_about(line, only_in, only_of):
                    print(json.dumps(_told(desk, line)) if as_json else _said(desk, line), flush=True)
            silent = False
        except Transient as error:
            if wait is None:
                raise
            if not silent:
                say.aside(f"{error}\nhint: it is asked again until it answers, and nothing is left out")
            silent = True
        if wait is None:
            return 0
        wait(_POLL_S)


def _is_about(line: Line, calendar: str, conference: str) -> bool:
    """Empty: any."""
    return calendar in ("", line.calendar) and conference in ("", line.conference)


def _said(desk: Desk, line: Line) -> str:
    return f"{say.moment(line.at)}  {desk.label(line.calendar)}  {line.said}"


def _told(desk: Desk, line: Line) -> Mapping[str, object]:
    about = {"conference": line.conference} if line.conference else {}
    return {
        "at": say.moment(line.at),
        "record": line.kind,
        "calendar": desk.label(line.calendar),
        **about,
        **line.told,
    }
