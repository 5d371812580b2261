"""`python -m sync explain`: why a meeting's conference is, or is not, as its event says."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import parse_qs, urlsplit

from sync.cli import health, history, say
from sync.cli.desk import Desk, Wrong, answer, quietly
from sync.cli.health import Trouble, Watched
from sync.cli.verbs import Parser
from sync.codes import Code
from sync.conference import Conference, State
from sync.errors import AccessLost, Gone, Misconfigured, SyncError
from sync.event import Event, Kind, Unreadable, tombstone
from sync.ledger import Link, event_of, ref_of
from sync.ports import CalendarRecord
from sync.rules import Rules

_ASKED = 20  # calendars that are asked for an event we know nothing of
_TELLING = (Code.UPDATED, Code.DELETED, Code.DELETED_ALREADY, Code.WRITTEN_BACK)


def main(argv: list[str]) -> int:
    """Print it. Exit code 0 if all is as it should be, 1 if something is wrong, 2 for what nobody knows."""
    parser = Parser(
        "explain",
        "Say what became of a meeting: each version of its event that we remember and what differed, the rule\n"
        "that recognised its conference, every decision with the provider's answer, what happens next and when,\n"
        "and what mends it. The calendar is asked what it says now, unless --offline. No title or address is\n"
        "printed, and nothing is changed.\n"
        "Exit code 0 if all is as it should be; 1 if something is wrong; 2 for wrong arguments, and the unknown.",
        [
            "python -m sync explain zoom:84411223344",
            "python -m sync explain 6tgm8ohk6oq3ib9p --calendar room-a --json",
        ],
    )
    parser.add_argument(
        "what",
        metavar="EVENT|CONFERENCE|URL",
        help="an event's id or link, or a conference as provider:id, its id or its join URL",
    )
    parser.add_argument("--calendar", metavar="CALENDAR", help="the event's calendar: its label, key or id")
    parser.add_argument("--offline", action="store_true", help="do not ask Google what the calendar says now")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    return answer(
        lambda: _explain(Desk(), arguments.what, arguments.calendar, arguments.offline, arguments.json)
    )


@dataclass(frozen=True, slots=True)
class _Now:
    """What the calendar says of an event now."""

    said: str
    differs: tuple[str, ...] = ()  # the fields that we have not seen like this
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class _Story:
    """All there is to tell."""

    links: Sequence[Link]
    conference: Conference | None
    now: Mapping[str, _Now] = field(default_factory=dict)  # by ref
    troubles: Sequence[Trouble] = ()


def _explain(desk: Desk, what: str, calendar: str | None, offline: bool, as_json: bool) -> int:
    where = desk.named(calendar) if calendar else None
    links, conference = _found(desk, what, where)
    if not links and conference is None and offline:
        raise _unknown(desk, what)
    look = _Look(desk)
    asked = _asked(desk, what, links, where)
    now = {} if offline else dict(look.at(asked, links))
    if not links and conference is None and not now:
        raise _unknown(desk, what)
    story = _Story(links, conference, now, list(_troubles(desk, links, conference, now)))
    say.as_json(_told(desk, story)) if as_json else _print(desk, story)
    return 1 if any(each.grave for each in story.troubles) else 0


# --- What is meant ---


def _found(desk: Desk, what: str, where: CalendarRecord | None) -> tuple[list[Link], Conference | None]:
    """The event's links and the conference it carries; or the conference, and the links of all that use it."""
    event_id = _event_id(what)
    links = [
        each for each in desk.store.links_of(event_id) if where is None or each.calendar_key == where.key
    ]
    if links:
        keys = [each.conference for each in links if each.conference]
        known = desk.store.conferences(keys[:1])
        return links, known[0] if known else None
    conference = desk.conference(what)
    if conference is None:
        return [], None
    refs = [*sorted(conference.refs), *sorted(conference.former)][:_ASKED]
    events = dict.fromkeys(event_of(ref)[1] for ref in refs)
    return [link for each in events for link in desk.store.links_of(each) if link.ref in refs], conference


def _event_id(what: str) -> str:
    """The id in an event's link, as Google Calendar shows it, or the id itself."""
    [eid] = parse_qs(urlsplit(what).query).get("eid", [""])[:1]
    try:
        decoded = base64.urlsafe_b64decode(eid + "=" * (-len(eid) % 4)).decode()
    except (binascii.Error, ValueError):
        return what
    return decoded.partition(" ")[0] or what


def _asked(
    desk: Desk, what: str, links: Sequence[Link], where: CalendarRecord | None
) -> list[tuple[CalendarRecord, str]]:
    """Which calendars are to be asked for which event."""
    records = {each.key: each for each in desk.calendars}
    if links:
        return [(records[each.calendar_key], each.event_id) for each in links if each.calendar_key in records]
    if ("://" in what and _event_id(what) == what) or ":" in _event_id(what):
        return []  # a conference that we do not know
    return [(each, _event_id(what)) for each in ([where] if where else desk.calendars) if each.active][
        :_ASKED
    ]


def _unknown(desk: Desk, what: str) -> Wrong:
    providers = ", ".join(sorted(desk.rules.providers)) or "none configured"
    return Wrong(
        f"nothing is known of {what!r}: no event or conference of this name was ever recorded",
        f"name an event's id with --calendar, or a conference as provider:id (providers: {providers})",
    )


# --- What the calendar says now ---


class _Look:
    """Asks Google, as far as this machine may."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def at(
        self, asked: Sequence[tuple[CalendarRecord, str]], links: Sequence[Link]
    ) -> Iterator[tuple[str, _Now]]:
        """What each says, by its ref."""
        known = {each.ref: each for each in links}
        for record, event_id in asked:
            ref = ref_of(record.key, event_id)
            link = known.get(ref)
            if link is not None and not link.live and link.conference is None:
                continue
            said = self._of(record, event_id, link)
            if said is not None:
                yield ref, said

    def _of(self, record: CalendarRecord, event_id: str, link: Link | None) -> _Now | None:
        try:
            with quietly():
                outside, policy = self._desk.workplace
                seen = outside.calendar.get(record.calendar, event_id)
        except Gone:
            seen = tombstone(event_id)
            if link is None:
                return None
        except Misconfigured:
            return _Now("not asked: this environment lacks the worker's settings")
        except AccessLost as error:
            return _Now(f"not to be read from here: {error}")
        except SyncError as error:
            return _Now(f"it does not answer: {error}")
        if isinstance(seen, Unreadable):
            return _Now(f"it makes no sense: {seen.problem}")
        return self._judged(record, seen, link, policy.rules)

    def _judged(self, record: CalendarRecord, seen: Event, link: Link | None, rules: Rules) -> _Now:
        unseen = _unseen(self._desk, record, seen.id)
        if seen.kind is Kind.TOMBSTONE:
            went = link is None or not link.live
            return _Now("cancelled", () if went else ("cancelled",), None if went else unseen)
        if seen.kind is Kind.GUEST:
            return _Now("a guest's copy: only the organizer's copy drives, nothing is done for it")
        found = rules.ours(seen, link.conference if link else None)
        if isinstance(found, Code):
            return self._not_ours(record, seen, found, rules)
        recorded = link.seen[-1].prints if link is not None and link.live and link.seen else {}
        prints = rules.prints(seen, found)
        differs = tuple(name for name, value in prints.items() if recorded.get(name) != value)
        said = f"the organizer's copy, carrying {found} ({rules.rule(seen, found)})"
        return _Now(said, differs, unseen if differs else None)

    def _not_ours(self, record: CalendarRecord, seen: Event, code: Code, rules: Rules) -> _Now:
        said = {
            Code.NO_CONFERENCE: "the organizer's copy, without a conference",
            Code.PERSONAL_ROOM: "the organizer's copy, with a personal room: never changed",
        }
        stranger = rules.stranger(seen, self._desk.now)
        if stranger is None:
            return _Now(
                said.get(
                    code, f"the organizer's copy, with a conference that is not ours: {rules.why_not(seen)}"
                )
            )
        named = f"“{stranger.solution}”" if stranger.solution else "a system that does not say its name"
        trouble = Trouble(
            "unknown_conference",
            seen.id,
            f"its conference is of {named}, which no rule knows: it is left alone",
            "if it is yours, add the name to `names` of a system in SYNC_CONFERENCES, with hosts and path of its"
            " join URLs (docs/settings.md)",
            calendar=record.key,
        )
        return _Now(f"the organizer's copy, with a conference of {named} that no rule knows", (), trouble)


def _unseen(desk: Desk, record: CalendarRecord, event_id: str) -> Trouble:
    """The calendar says something that no pass has seen: nobody told us, or nobody came to look."""
    label = desk.label(record.key)
    notified = (
        f"the last notification came {say.ago(desk.now, record.notified_at)} ago"
        if record.notified_at
        else ("no notification ever came")
    )
    listed = say.ago(desk.now, record.listed_at)
    return Trouble(
        "lost_notification",
        event_id,
        f"the calendar says something else than we have seen: it was last listed {listed} ago, and {notified}",
        f"the next sweep finds it, or now `python -m sync pull {label}`; if it happens again, see whether"
        " notifications arrive at all: `python -m sync status`",
        calendar=record.key,
    )


# --- What is wrong ---


def _troubles(
    desk: Desk, links: Sequence[Link], conference: Conference | None, now: Mapping[str, _Now]
) -> Iterator[Trouble]:
    keys = {link.calendar_key for link in links} | ({conference.home} if conference else set())
    watched = Watched(desk.store.webhook_url(), desk.settings.times)
    for record in desk.calendars:
        if record.key in keys and record.active:
            found = health.of_calendar(record, desk.now, desk.label(record.key), watched)
            yield from (each for each in found if each.code != "unknown_conference")
    if conference is not None:
        yield from health.of_conference(conference, desk.now, desk.labels, desk.store.accounts())
    yield from (each.trouble for each in now.values() if each.trouble is not None)


# --- How it is told ---


def _told(desk: Desk, story: _Story) -> Mapping[str, object]:
    conference = story.conference
    return {
        "well": not any(each.grave for each in story.troubles),
        "events": [_event(desk, link, story.now.get(link.ref)) for link in story.links]
        or [
            {
                "calendar": desk.label(event_of(ref)[0]),
                "id": event_of(ref)[1],
                "now": asdict(said) | {"trouble": None},
            }
            for ref, said in story.now.items()
        ],
        "conference": _conference(desk, conference) if conference else None,
        "troubles": [asdict(each) for each in story.troubles],
    }


def _event(desk: Desk, link: Link, now: _Now | None) -> Mapping[str, object]:
    return {
        "id": link.event_id,
        "calendar": desk.label(link.calendar_key),
        "conference": str(link.conference) if link.conference else None,
        "live": link.live,
        "rule": link.rule,
        "seen": [
            {
                "at": say.moment(sighting.at),
                "code": sighting.code or "to_be_told",
                "prints": {name: sighting.prints[name] for name in history.in_order(sighting.prints)},
                "changed": {name: list(pair) for name, pair in history.changes(before, sighting).items()},
            }
            for before, sighting in history.versions(link.seen)
        ],
        "now": None if now is None else {"said": now.said, "differs": list(now.differs)},
    }


def _conference(desk: Desk, conference: Conference) -> Mapping[str, object]:
    step, at = health.next_step(conference, desk.now, desk.settings.times.grace)
    return {
        "key": str(conference.key),
        "state": conference.state,
        "looked_after_by": desk.label(conference.home),
        "account": conference.account,
        "wanted": {"version": conference.want.version, "gone": not conference.wanted}
        | _at("since", conference.want.since),
        "confirmed": {"version": conference.applied.version},
        "pending": conference.pending,
        "attempts": conference.attempts,
        "decisions": [
            {
                "since": say.moment(each.since),
                "at": say.moment(each.at),
                "times": each.times,
                "version": each.version,
                **asdict(each.decision),
            }
            for each in conference.decisions
        ],
        "next": {"step": step} | _at("at", at),
    }


def _at(name: str, at: float | None) -> dict[str, str | None]:
    return {name: say.moment(at) if at else None}


def _print(desk: Desk, story: _Story) -> None:
    for link in story.links:
        _print_event(desk, link, story.now.get(link.ref))
    for ref, said in story.now.items():
        if ref not in {link.ref for link in story.links}:
            key, event_id = event_of(ref)
            print(f"event {event_id} in {desk.label(key)}")
            say.paragraph(said.said, "  now        ")
    if story.conference is not None:
        _print_conference(desk, story.conference)
    for each in story.troubles:
        print()
        say.paragraph(each.cause, f"{say.marked('✗' if each.grave else '!')} ", "  ")
        say.paragraph(each.fix, "  fix: ", "       ")


def _print_event(desk: Desk, link: Link, now: _Now | None) -> None:
    gone = "" if link.live else ", which it carries no more"
    print(f"event {link.event_id} in {desk.label(link.calendar_key)}")
    carries = f"{link.conference}{gone}" if link.conference else "no conference of its own"
    say.paragraph(
        f"{carries}{f'; recognised by its {_RULES.get(link.rule, link.rule)}' if link.rule else ''}",
        "  carries    ",
    )
    for before, sighting in history.versions(link.seen):
        changed = history.changes(before, sighting)
        what = "  ".join(f"{name} {old or '–'}→{new}" for name, (old, new) in changed.items())
        first = "first seen" if before is None and sighting.prints else ""
        told = history.verdict(sighting)
        say.paragraph(
            ": ".join(filter(None, (told, what or first))), f"  {say.moment(sighting.at)}  ", " " * 23
        )
    if now is not None:
        differs = f"; not seen yet: {', '.join(now.differs)}" if now.differs else ""
        say.paragraph(f"{now.said}{differs}", "  now        ")


def _print_conference(desk: Desk, conference: Conference) -> None:
    print(f"conference {conference.key}")
    account = f", account {conference.account}" if conference.account else ""
    state = "" if conference.state is State.OK else f"; {conference.state}"
    used = say.plural(len(conference.refs), "event")
    say.paragraph(f"{used}, looked after by {desk.label(conference.home)}{account}{state}", "  used by    ")
    want = conference.want
    what = "as its events say" if conference.wanted else "gone"
    since = f" since {say.moment(want.since)}" if want.since else ""
    told = "not told yet" if conference.pending else "told"
    say.paragraph(f"{what}{since}; {told}", "  wanted     ")
    for each in conference.decisions:
        earlier = "" if each.version == want.version else "earlier version: "
        say.paragraph(f"{earlier}{history.decision(each)}", f"  {say.moment(each.at)}  ", " " * 23)
    step, at = health.next_step(conference, desk.now, desk.settings.times.grace)
    moment = f", {say.when(desk.now, at)} ({say.moment(at)})" if at and at > desk.now + 1 else ""
    say.paragraph(f"{step}{moment}", "  next       ")


_RULES = {
    "own_link": "id, known before",
    "script_id": "add-on's script id",
    "entry_point": "entry point's URL",
    "solution_name": "solution's name",
}
