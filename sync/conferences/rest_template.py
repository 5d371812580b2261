"""The templates of the rest provider: their fields, what these stand for, and how a template is filled. Pure.

A template is JSON whose texts may hold fields: {title}. It is never put together as text: a text that is one
field alone becomes that field's value, a number stays a number, and a text with a field that has no value (no
recurrence) becomes null.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from string import Formatter

from sync.conferences import Secret
from sync.errors import Unsupported
from sync.meeting import Meeting
from sync.ports import Target

Value = str | int | bool | list[str] | None

OF_THE_CALL = frozenset({"conference_id", "version"})
LOCAL = frozenset({"start_local", "end_local"})
STARTS = frozenset({"start_utc", "start_local", "start_unix"})
ENDS = frozenset({"end_utc", "end_local", "end_unix", "duration_minutes"})
LISTS = frozenset({"recurrence", "invitees"})
OTHERS = frozenset({"title", "agenda", "time_zone", "all_day", "rrule"})
FIELDS = OF_THE_CALL | STARTS | ENDS | LISTS | OTHERS


def leaves(template: object) -> Iterator[object]:
    """What is neither an object nor a list, however deep it lies."""
    match template:
        case Mapping():
            yield from (leaf for value in template.values() for leaf in leaves(value))
        case list():
            yield from (leaf for value in template for leaf in leaves(value))
        case _:
            yield template


def fields_of(leaf: object) -> Iterator[str]:
    """The fields of a text, by name. ValueError for one that is no template."""
    if isinstance(leaf, str):
        for _, name, form, conversion in Formatter().parse(leaf):
            if name is not None:
                yield name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")


def sound_fields(leaf: object) -> list[str]:
    """The same, and none for one that is no template."""
    try:
        return list(fields_of(leaf))
    except ValueError:
        return []


def filled(template: object, values: Mapping[str, Value]) -> object:
    """The template with its fields' values; what holds a field that is not to be told is left out.

    Raises AuthFailed, Transient for a secret that cannot be had.
    """
    match template:
        case Mapping():
            told = ((name, value) for name, value in template.items() if _is_told(value, values))
            return {name: filled(value, values) for name, value in told}
        case list():
            return [filled(value, values) for value in template if _is_told(value, values)]
        case Secret():
            return template.read()
        case str():
            return _filled_text(template, values)
    return template


def _is_told(leaf: object, values: Mapping[str, Value]) -> bool:
    return not isinstance(leaf, str) or all(name in values for name in fields_of(leaf))


def _filled_text(template: str, values: Mapping[str, Value]) -> Value:
    pieces = [(text, values[name] if name else "") for text, name, _, _ in Formatter().parse(template)]
    if any(value is None for _, value in pieces):
        return None
    if len(pieces) == 1 and not pieces[0][0]:
        return pieces[0][1]
    return "".join(text + as_text(value) for text, value in pieces)


def as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def of_call(target: Target) -> dict[str, Value]:
    return {"conference_id": target.id, "version": target.version}


def of_meeting(meeting: Meeting) -> dict[str, Value]:
    """What the fields stand for; those that the provider is not to be told are missing.

    An all-day meeting begins when its day does in its own zone.
    """
    own: tzinfo = meeting.zone or UTC
    try:
        start, end = (
            (when.replace(tzinfo=own) if meeting.all_day else when).astimezone(own)
            for when in (meeting.start, meeting.end)
        )
        start_utc, end_utc = start.astimezone(UTC), end.astimezone(UTC)
    except OverflowError:
        raise Unsupported("no calendar has such a date") from None
    rules = _rules(meeting)
    told: dict[str, Value] = {} if meeting.agenda is None else {"agenda": meeting.agenda}
    told |= {} if meeting.invitees is None else {"invitees": list(meeting.invitees)}
    return {
        **told,
        "title": meeting.title,
        "start_utc": _moment(start_utc) + "Z",
        "end_utc": _moment(end_utc) + "Z",
        "start_local": _moment(start),
        "end_local": _moment(end),
        "start_unix": int(start_utc.timestamp()),
        "end_unix": int(end_utc.timestamp()),
        "duration_minutes": -int((start_utc - end_utc).total_seconds() // 60),
        "time_zone": meeting.time_zone if meeting.zone else "UTC",
        "all_day": meeting.all_day,
        "recurrence": list(meeting.recurrence),
        "rrule": rules[0] if rules else None,
    }


def _moment(when: datetime) -> str:
    return when.replace(tzinfo=None).isoformat(timespec="seconds")


def _rules(meeting: Meeting) -> list[str]:
    return [line.removeprefix("RRULE:") for line in meeting.recurrence if line.startswith("RRULE:")]


def is_cut(meeting: Meeting, fields: set[str]) -> bool:
    """Whether of a recurrence only one rule is told, and dates or other rules are not."""
    return "recurrence" not in fields and len(meeting.recurrence) != len(_rules(meeting)[:1])


def parts_of(meeting: Meeting) -> dict[str, object]:
    """What there is to tell, by capability."""
    return {
        "title": True,
        "time": True,
        "recurrence": meeting.recurrence,
        "agenda": meeting.agenda is not None,
        "invitees": meeting.invitees is not None,
    }


def capabilities_of(fields: set[str]) -> frozenset[str]:
    """What can be told by these fields. A time has both ends."""
    told = fields & {"title", "agenda", "invitees"}
    if fields & STARTS and fields & ENDS:
        told.add("time")
    if fields & {"rrule", "recurrence"}:
        told.add("recurrence")
    return frozenset(told)
