"""The only place that knows Google's event JSON: parse(raw) -> Event | Unreadable, and it never raises."""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum


class Kind(StrEnum):
    """What one item of a listing is, as far as conferences are concerned."""

    ORGANIZER = "organizer"  # the organizer's copy of a single event: the only kinds that drive are this ...
    SERIES = "series"  # ... the organizer's copy of a recurring event ...
    OCCURRENCE = "occurrence"  # ... and one changed occurrence of it
    GUEST = "guest"  # somebody else's meeting: never drives
    TOMBSTONE = "tombstone"  # cancelled; only the id is sure


@dataclass(frozen=True, slots=True)
class Times:
    """When a meeting is; `end` is exclusive. An all-day one starts and ends at midnight UTC of its dates."""

    start: datetime  # aware, in UTC
    end: datetime  # aware, in UTC
    time_zone: str  # IANA name: the event's own, else the calendar's
    all_day: bool


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Which occurrence of which series: known by the series' id and the start it originally had."""

    series_id: str
    original_start: str  # UTC, "2025-03-24T12:30:00Z", or a date for all-day series; "" when not told


@dataclass(frozen=True, slots=True)
class Carried:
    """The conferenceData of an event, reduced to what recognition reads. Absent texts are empty."""

    solution_type: str  # "addOn", "hangoutsMeet", ...
    solution_name: str
    conference_id: str
    script_id: str  # addOnParameters: which add-on made it
    real_id: str  # addOnParameters: the conference's id at its provider
    uris: tuple[str, ...]  # video entry points first, then the other web ones

    @property
    def trace(self) -> str:
        """A hash of all of it: whether an event still carries the same, whatever our rules make of it."""
        return hashlib.sha256(repr(self).encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Event:
    """One event as one calendar has it."""

    id: str
    etag: str
    kind: Kind
    title: str
    times: Times | None  # None only for a tombstone
    recurrence: tuple[str, ...]
    occurrence: Occurrence | None
    carried: Carried | None
    whole: bool  # nothing of it was hidden from us: absence of a conference means there is none
    organizer: str = ""  # an address, in lower case
    agenda: str = ""  # the description as plain text, if we asked for it
    invitees: tuple[str, ...] = ()  # addresses, in lower case and in order, if we asked for them
    # Seconds since the epoch, by Google's clock; 0: not told. It measures how late we are, and orders nothing.
    updated_at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item we cannot make sense of; `problem` says why without quoting its contents."""

    id: str  # "" when even that is missing
    problem: str


TITLE_LIMIT = 1024
TEXT_LIMIT = 1300  # what Google allows an entry point's URI, the longest of the other texts we keep
URIS_LIMIT = 10
AGENDA_LIMIT = 4000
INVITEES_LIMIT = 500

# Events: insert, `id`: lower-case base32hex, 5 to 1024 characters; imports and occurrences add a few more.
ID = re.compile(r"[\w.@+=-]{1,1024}", re.ASCII)
UNPRINTABLE_BUT_LINES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # controls, and halves of surrogate pairs

# Google also writes "GMT-07:00". Names are judged by their shape: which of them exist depends on the machine.
IANA_NAME = re.compile(r"(?!(?:GMT|UTC)[+-])[A-Za-z][\w+-]*(?:/[\w+-]+)*", re.ASCII)

SEES_EVERYTHING = ("owner", "writer")
SEES_WHAT_IS_NOT_PRIVATE = ("reader", "writerWithoutPrivateAccess")


def parse(raw: object, *, time_zone: str = "UTC", access_role: str = "owner") -> Event | Unreadable:
    """Read one item of a listing; `time_zone` and `access_role` are what the listing says of its calendar."""
    event_id = _text(_at(raw, "id"))
    if not event_id:
        return Unreadable("", "it has no id" if isinstance(raw, dict) else "it is not an object")
    if not ID.fullmatch(event_id):
        return Unreadable("", "its id is none that Google makes")
    if _at(raw, "status") == "cancelled":
        return _tombstone(event_id, raw)
    try:
        times = _times(raw, time_zone)
    except _Illegible as problem:
        return Unreadable(event_id, str(problem))
    recurrence = _recurrence(raw)
    occurrence = _occurrence(raw)
    carried = _carried(_at(raw, "conferenceData"))
    return Event(
        id=event_id,
        etag=_text(_at(raw, "etag")),
        kind=_kind(raw, recurrence, occurrence),
        title=_title(raw),
        times=times,
        recurrence=recurrence,
        occurrence=occurrence,
        carried=carried,
        whole=_whole(raw, access_role) and not _is_unclear(raw, carried),
        organizer=_text(_at(raw, "organizer", "email")).lower(),
        agenda=_agenda(_at(raw, "description")),
        invitees=_invitees(_at(raw, "attendees")),
        updated_at=_updated_at(_at(raw, "updated")),
    )


class Items(Collection[Event | Unreadable]):
    """The items of one page, each read only when it is come to: most events concern nobody."""

    def __init__(self, raws: Sequence[object], *, time_zone: str, access_role: str) -> None:
        self._raws = raws
        self._time_zone = time_zone
        self._access_role = access_role

    def __len__(self) -> int:
        return len(self._raws)

    def __iter__(self) -> Iterator[Event | Unreadable]:
        return map(self._read, self._raws)

    def __contains__(self, item: object) -> bool:
        return any(each == item for each in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Collection) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def carrying_or(self, is_wanted: Callable[[str], bool]) -> Iterator[Event | Unreadable]:
        """Those with conference data, those that are wanted by their id, and cancelled occurrences."""
        for raw in self._raws:
            plain = _id_of_plain(raw)
            if not plain or is_wanted(plain):
                yield self._read(raw)

    def _read(self, raw: object) -> Event | Unreadable:
        return parse(raw, time_zone=self._time_zone, access_role=self._access_role)


def _id_of_plain(raw: object) -> str:
    """The id of an item without conference data; empty for all others, and for a cancelled occurrence.

    That one says nothing of conferences and yet matters: it is missing from a series that may have one.
    """
    if not isinstance(raw, dict) or "conferenceData" in raw:
        return ""
    if raw.get("status") == "cancelled" and raw.get("recurringEventId"):
        return ""
    event_id = raw.get("id")
    return event_id if isinstance(event_id, str) else ""


def tombstone(event_id: str) -> Event:
    """An event that is not there any more, as a deletion would have told us."""
    return _tombstone(event_id, {})


def _tombstone(event_id: str, raw: object) -> Event:
    """A cancelled event. What else it may still tell is history, and most of them tell nothing else."""
    return Event(
        id=event_id,
        etag=_text(_at(raw, "etag")),
        kind=Kind.TOMBSTONE,
        title="",
        times=None,
        recurrence=(),
        occurrence=_occurrence(raw),
        carried=None,
        whole=False,
    )


def _kind(raw: object, recurrence: tuple[str, ...], occurrence: Occurrence | None) -> Kind:
    # Google marks its own copy; addresses have aliases and must not be compared.
    if _at(raw, "organizer", "self") is not True:
        return Kind.GUEST
    if occurrence:
        return Kind.OCCURRENCE
    return Kind.SERIES if recurrence else Kind.ORGANIZER


def _whole(raw: object, access_role: str) -> bool:
    if not _at(raw, "organizer"):
        return False
    if access_role in SEES_EVERYTHING:
        return True  # also without a summary: nobody has to give an event a title
    hidden = not _at(raw, "summary") or _at(raw, "visibility") in ("private", "confidential")
    return access_role in SEES_WHAT_IS_NOT_PRIVATE and not hidden


def _is_unclear(raw: object, carried: Carried | None) -> bool:
    """Conference data that we cannot read, or that is still being made, does not say that there is none."""
    return carried is None and bool(_at(raw, "conferenceData"))


def _times(raw: object, time_zone: str) -> Times:
    start, all_day = _moment(_at(raw, "start"), "start")
    end = start
    if _at(raw, "end") is not None and _at(raw, "endTimeUnspecified") is not True:
        end, ends_all_day = _moment(_at(raw, "end"), "end")
        if ends_all_day != all_day:
            raise _Illegible("start and end are not both dates or both times")
    names = (_text(_at(raw, "start", "timeZone")), time_zone, "UTC")
    own_or_calendars = next(name for name in names if IANA_NAME.fullmatch(name))
    return Times(start, max(start, end), own_or_calendars, all_day)


def _moment(raw: object, name: str) -> tuple[datetime, bool]:
    """The instant that a start or an end names, and whether it names a whole day."""
    moment, day = _at(raw, "dateTime"), _at(raw, "date")
    try:
        if isinstance(moment, str):
            instant = datetime.fromisoformat(moment)
            if instant.tzinfo is None:
                raise _Illegible(f"{name} has no offset")
            return instant.astimezone(UTC), False
        if isinstance(day, str):
            return datetime.combine(date.fromisoformat(day), time(tzinfo=UTC)), True
    except (ValueError, OverflowError):
        raise _Illegible(f"{name} is not a time") from None
    raise _Illegible(f"{name} is missing")


def _updated_at(raw: object) -> float:
    try:
        return max(0.0, _moment({"dateTime": raw}, "")[0].timestamp())
    except (_Illegible, OverflowError):
        return 0.0


def _occurrence(raw: object) -> Occurrence | None:
    # An id such as "<series>_20250324T123000Z" is not taken apart here: after "this and following" it
    # names the first series although the occurrence belongs to a later one. Only the ledger can tell.
    series_id = _text(_at(raw, "recurringEventId"))
    if not series_id:
        return None
    try:
        start, all_day = _moment(_at(raw, "originalStartTime"), "original start")
    except _Illegible:
        return Occurrence(series_id, "")
    if all_day:
        return Occurrence(series_id, start.date().isoformat())
    return Occurrence(series_id, start.isoformat(timespec="seconds").replace("+00:00", "Z"))


def _recurrence(raw: object) -> tuple[str, ...]:
    return tuple(
        line for line in _list(_at(raw, "recurrence")) if isinstance(line, str) and line.isprintable()
    )


def _title(raw: object) -> str:
    summary = _at(raw, "summary")
    return UNPRINTABLE.sub("", summary)[:TITLE_LIMIT] if isinstance(summary, str) else ""


def _agenda(description: object) -> str:
    """The words of a description, which is text or HTML."""
    if not isinstance(description, str):
        return ""
    from sync.words import words  # here: the public door, which reads no event, starts without a parser

    return UNPRINTABLE_BUT_LINES.sub(" ", words(description[: 4 * AGENDA_LIMIT]))[:AGENDA_LIMIT]


def _invitees(attendees: object) -> tuple[str, ...]:
    """Who is invited: people, not rooms."""
    invited = (each for each in _list(attendees) if _at(each, "resource") is not True)
    addresses = {_text(_at(each, "email")).lower() for each in invited}
    return tuple(sorted(filter(None, addresses))[:INVITEES_LIMIT])


def _carried(raw: object) -> Carried | None:
    if raw is None:
        return None
    carried = Carried(
        solution_type=_text(_at(raw, "conferenceSolution", "key", "type")),
        solution_name=_text(_at(raw, "conferenceSolution", "name")),
        conference_id=_text(_at(raw, "conferenceId")),
        script_id=_text(_at(raw, "parameters", "addOnParameters", "parameters", "scriptId")),
        real_id=_text(_at(raw, "parameters", "addOnParameters", "parameters", "realMeetingId")),
        uris=_uris(_at(raw, "entryPoints")),
    )
    if carried.solution_type or carried.solution_name or carried.uris:
        return carried
    # Without solution and entry points it may be a request for a conference: pending, or failed.
    requested = _at(raw, "createRequest") is not None
    named = carried.conference_id or carried.script_id or carried.real_id
    return carried if named and not requested else None


def _uris(raw: object) -> tuple[str, ...]:
    web = [
        (_at(point, "entryPointType") != "video", uri)
        for point in _list(raw)
        if (uri := _text(_at(point, "uri"))).lower().startswith(("https://", "http://"))
    ]
    web.sort(key=lambda entry: entry[0])  # stable: within each sort the event's own order stays
    return tuple(uri for _, uri in web[:URIS_LIMIT])


class _Illegible(Exception):
    """A start or an end that cannot be read; says which and why, without quoting it."""


def _at(raw: object, *path: str) -> object:
    """What lies under `path`; None where any step of it is missing or not an object."""
    for name in path:
        raw = raw.get(name) if isinstance(raw, dict) else None
    return raw


def _list(raw: object) -> list[object]:
    return raw if isinstance(raw, list) else []


def _text(raw: object) -> str:
    """A text fit to be compared, stored and printed; else an empty one."""
    return raw if isinstance(raw, str) and raw.isprintable() and len(raw) <= TEXT_LIMIT else ""
