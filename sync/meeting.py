"""What a provider is told about a meeting, and the fingerprint that says whether it must be told again. Pure."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sync.event import Event, Times

FIELDS = (
    "title",
    "start",
    "end",
    "time_zone",
    "all_day",
    "recurrence",
    "agenda",
    "invitees",
)  # that are sent
_FINGERPRINT_VERSION = 1
_UNTIL = re.compile(r"UNTIL=(\d{8})", re.ASCII)
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Meeting:
    """The state a conference should have; never a delta. Times are aware, in UTC; `end` is exclusive."""

    title: str
    start: datetime
    end: datetime
    time_zone: str  # IANA name, for providers that want local time
    all_day: bool
    recurrence: tuple[str, ...]  # RRULE, EXDATE, RDATE lines as Google has them
    organizer: str = ""  # an address
    agenda: str | None = None  # plain text; None: its provider is not to be told
    invitees: tuple[str, ...] | None = None  # addresses; None: its provider is not to be told
    moved: tuple["Moved", ...] = ()  # of a series: the occurrences that are not where its rule says

    @property
    def zone(self) -> ZoneInfo | None:
        """Its time zone, if it is one that this machine knows."""
        try:
            return ZoneInfo(self.time_zone)
        except (OSError, ValueError, LookupError):
            return None


@dataclass(frozen=True, slots=True)
class Moved:
    """One occurrence of a series that is not where its rule says. Times are seconds since the epoch.

    `original` is where the rule says, as the event tells it: "2025-03-24T12:30:00Z", or a date for all-day series.
    """

    original: str
    start: float | None  # None: there is none
    end: float | None


@dataclass(frozen=True, slots=True)
class Reach:
    """How far an event reaches in time; seconds since the epoch."""

    start: float
    end: float | None  # None: a series without an end that we know of
    length_s: float  # of the event, or of one occurrence of the series
    repeats: bool

    def is_over(self, at: float) -> bool:
        return self.end is not None and self.end <= at

    def in_progress(self, at: float) -> bool:
        """Whether the meeting may be running at this time.

        For a series: every day around its time of day, an hour early and late. Expanding its rule exactly is
        not worth a deletion that comes too early.
        """
        if at < self.start or self.is_over(at):
            return False
        return not self.repeats or (at - self.start + 3600) % _DAY_S < self.length_s + 7200


def reach(event: Event, times: Times) -> Reach:
    """How far an event with these times reaches."""
    start, end = times.start.timestamp(), times.end.timestamp()
    if not event.recurrence:
        return Reach(start, end, end - start, repeats=False)
    last_start = _last_start(event.recurrence)
    ends = None if last_start is None else last_start + end - start
    return Reach(start, ends, end - start, repeats=True)


def _last_start(recurrence: tuple[str, ...]) -> float | None:
    """Two days after the latest UNTIL, whatever its zone. A COUNT is not expanded: it counts as endless."""
    ends = [_until(line) for line in recurrence if line.startswith("RRULE")]
    return max((end for end in ends if end), default=None) if all(ends) else None


def _until(rule: str) -> float | None:
    match = _UNTIL.search(rule)
    try:
        day = datetime.strptime(f"{match[1]}+0000", "%Y%m%d%z") if match else None
    except ValueError:
        return None
    return day.timestamp() + 2 * _DAY_S if day else None


def fingerprint(event: Event, times: Times, told: Collection[str] = ()) -> str:
    """A hash of the fields we send, and of nothing else: RSVPs, reminders and etags do not change it.

    `told`: which of agenda and invitees are among them.
    """
    fields: tuple[object, ...] = tuple(_fields(event, times).values())
    if told:
        fields += (_detail("agenda", event.agenda, told), _detail("invitees", event.invitees, told))
    return _hashed(fields)


def prints(event: Event, times: Times, told: Collection[str] = ()) -> dict[str, str]:
    """Of each field we send, a short hash: tells which of them differ between versions of this event."""
    details = {"agenda": event.agenda, "invitees": event.invitees}
    fields = _fields(event, times) | {name: details[name] for name in sorted(told)}
    return {name: _short(event.id, name, value) for name, value in fields.items()}


def _fields(event: Event, times: Times) -> dict[str, object]:
    return {
        "title": event.title,
        "start": times.start.isoformat(),
        "end": times.end.isoformat(),
        "time_zone": times.time_zone,
        "all_day": times.all_day,
        "recurrence": event.recurrence,
    }


def _short(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:6]


def _detail(name: str, value: object, told: Collection[str]) -> object:
    return value if name in told else None


def _hashed(fields: object) -> str:
    digest = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
    return f"{_FINGERPRINT_VERSION}:{digest[:32]}"


def with_moved(fingerprint: str, moved: Iterable[Moved]) -> str:
    """The fingerprint of a series together with its moved occurrences; without any, its own."""
    told = sorted((each.original, each.start, each.end) for each in moved)
    return _hashed([fingerprint, told]) if told else fingerprint


def joint_fingerprint(fingerprints: Mapping[str, str], leader: str) -> str:
    """One fingerprint for a conference that several events share; of a single event, its own."""
    if len(fingerprints) == 1:
        return fingerprints[leader]
    return _hashed([leader, sorted(fingerprints.items())])


def leader(reaches: Mapping[str, Reach]) -> str:
    """The event that speaks for a shared conference: the one that ends last, ties by name."""
    return max(reaches, key=lambda ref: (end_or_never(reaches[ref]), ref))


def end_or_never(reach: Reach) -> float:
    return float("inf") if reach.end is None else reach.end


def meeting(
    events: Mapping[str, Event], leader: str, moved: Iterable[Moved] = (), told: Collection[str] = ()
) -> Meeting:
    """What the events that share a conference make of it: the leader's title, the union of their times.

    A series keeps its own times: two recurrences have no union that a provider could express.
    """
    first = events[leader]
    times = first.times
    assert times is not None, "only events with times carry a conference"
    shared = [times]
    if not first.recurrence:
        shared = [event.times for event in events.values() if event.times and not event.recurrence]
    return Meeting(
        title=first.title,
        start=min(each.start for each in shared),
        end=max(each.end for each in shared),
        time_zone=times.time_zone,
        all_day=all(each.all_day for each in shared),
        recurrence=first.recurrence,
        organizer=first.organizer,
        agenda=first.agenda if "agenda" in told else None,
        invitees=first.invitees if "invitees" in told else None,
        moved=tuple(sorted(moved, key=lambda each: each.original)) if first.recurrence else (),
    )
