"""What a person does in the Calendar's web page, as one JSON object: `{"do": "move", "calendar": …, "event": …}`.

A person acts on the calendar they name, as its owner. Nothing here is a client: no parameters, no conditions, no
mail settings; etags move and notifications go out as they do for people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from . import occurrences, series, shapes
from .clock import SECOND
from .discovery import misfits
from .model import Calendar, Copy
from .world import World

Json = dict[str, Any]

MOST_AT_ONCE = 100_000


class BadAct(ValueError):
    """An act that cannot be understood; the message says what is missing or unknown."""


@dataclass(frozen=True)
class Deed:
    needed: tuple[str, ...]
    possible: tuple[str, ...]
    does: Callable[[World, Json], Copy | Json]


def perform(world: World, act: Json) -> Json:
    """Does it, and shows what became of the calendar or the event."""
    if not isinstance(act, dict):
        raise BadAct("not a JSON object")
    name, wish = act.get("do"), {key: value for key, value in act.items() if key != "do"}
    if not isinstance(name, str) or name not in ACTS:
        raise BadAct(f"unknown act {name!r}; known are {', '.join(sorted(ACTS))}")
    deed = ACTS[name]
    if missing := [key for key in deed.needed if key not in wish]:
        raise BadAct(f"{name} needs {', '.join(missing)}")
    if unknown := sorted(wish.keys() - {*deed.needed, *deed.possible}):
        raise BadAct(f"{name} does not know {', '.join(unknown)}")
    if wrong := [key for key in wish if not _fits(key, wish[key])]:
        raise BadAct(f"{wrong[0]} cannot be {wish[wrong[0]]!r}")
    if "at" in wish:
        wish["event"] = _occurrence_id(world, wish)
    done = deed.does(world, wish)
    return _shown(world, done) if isinstance(done, Copy) else done


def _fits(key: str, value: Any) -> bool:
    """Of the kind that is asked for, down to the fields that the API describes."""
    kind = KINDS.get(key, str)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        return False
    if kind is list:
        return all(isinstance(item, str) for item in value)
    body = {"fields": value, "conference": {"conferenceData": value}}.get(key)
    return not misfits("events.patch", body)


def schema() -> Json:
    return {"oneOf": [_schema(name, deed) for name, deed in ACTS.items()]}


def _schema(name: str, deed: Deed) -> Json:
    keys = {key: SCHEMAS[KINDS.get(key, str)] for key in (*deed.needed, *deed.possible)}
    return {
        "type": "object",
        "properties": {"do": {"const": name}, **keys},
        "required": ["do", *deed.needed],
        "additionalProperties": False,
    }


def _shown(world: World, copy: Copy) -> Json:
    return shapes.event(world, world.calendars[copy.calendar].owner, copy)


def _owner(world: World, wish: Json) -> tuple[str, str]:
    """Who acts, and where."""
    calendar_id = wish.get("calendar") or world.users[0]
    calendar = world.calendars.get(calendar_id)
    if calendar is None:
        raise BadAct(f"no calendar {calendar_id}")
    return calendar.owner, calendar.id


def _occurrence_id(world: World, wish: Json) -> str:
    """The id of the occurrence of a series that its rule puts `at` this time."""
    _, calendar_id = _owner(world, wish)
    zone = world.calendars[calendar_id].time_zone
    name = "date" if len(wish["at"]) == 10 else "dateTime"
    at = series.start_of({name: wish["at"]}, zone)
    return f"{occurrences.base_of(wish['event'])}_{series.stamp(at)}"


def _patch(world: World, wish: Json, body: Json, conference_version: int = 0) -> Copy:
    return world.patch(*_owner(world, wish), wish["event"], body, conference_version=conference_version)


def _times(world: World, wish: Json) -> Json:
    zone = wish.get("time_zone") or world.calendars[_owner(world, wish)[1]].time_zone

    def when(text: str) -> Json:
        return {"date": text} if len(text) == 10 else {"dateTime": text, "timeZone": zone}

    return {name: when(wish[name]) for name in ("start", "end") if name in wish}


def _retimed(world: World, wish: Json) -> Json:
    """New times in the zone the event has, unless another is named."""
    _, calendar_id = _owner(world, wish)
    copy = world.get(world.calendars[calendar_id].owner, calendar_id, wish["event"])
    return _times(world, {"time_zone": copy.shared["start"].get("timeZone"), **wish})


def _guests(world: World, wish: Json) -> list[Json]:
    """The web page lists the organizer among the guests, as one who has accepted."""
    organizer = {"email": _owner(world, wish)[1], "responseStatus": "accepted"}
    return [organizer, *({"email": email} for email in wish["attendees"])]


def _create_meeting(world: World, wish: Json) -> Copy:
    plain = ("description", "location", "recurrence", "visibility", "id")
    body: Json = {"summary": wish["title"], **_times(world, wish)}
    body |= {name: wish[name] for name in plain if name in wish}
    if "conference" in wish:
        body["conferenceData"] = wish["conference"]
    if wish.get("attendees"):
        body["attendees"] = _guests(world, wish)
    return world.insert(*_owner(world, wish), body, conference_version=1)


def _move(world: World, wish: Json) -> Copy:
    return _patch(world, wish, _retimed(world, wish))


def _retitle(world: World, wish: Json) -> Copy:
    return _patch(world, wish, {"summary": wish["title"]})


def _edit(world: World, wish: Json) -> Copy:
    return _patch(world, wish, wish["fields"])


def _invite(world: World, wish: Json) -> Copy:
    owner, calendar_id = _owner(world, wish)
    present = world.get(owner, calendar_id, wish["event"]).shared.get("attendees") or _guests(
        world, {**wish, "attendees": []}
    )
    known = {guest["email"] for guest in present}
    new = [{"email": email} for email in wish["attendees"] if email not in known]
    return _patch(world, wish, {"attendees": [*present, *new]})


def _rsvp(world: World, wish: Json) -> Copy:
    return world.rsvp(*_owner(world, wish), wish["event"], wish["response"])


def _delete(world: World, wish: Json) -> Copy:
    return world.delete(*_owner(world, wish), wish["event"])


def _restore(world: World, wish: Json) -> Copy:
    return world.restore(*_owner(world, wish), wish["event"])


def _strip_conference(world: World, wish: Json) -> Copy:
    return _patch(world, wish, {"conferenceData": None}, 1)


def _replace_conference(world: World, wish: Json) -> Copy:
    return _patch(world, wish, {"conferenceData": wish["conference"]}, 1)


def _copy_event(world: World, wish: Json) -> Copy:
    """A duplicate: another event, as a rule with the same conference."""
    owner, calendar_id = _owner(world, wish)
    shared = world.get(owner, calendar_id, wish["event"]).shared
    left_out = {"attendees", "recurringEventId", "originalStartTime", "iCalUID", "sequence"}
    left_out |= set() if world.switches.conference_copied else {"conferenceData"}
    body = {name: value for name, value in shared.items() if name not in left_out}
    return world.insert(
        owner, wish.get("to", calendar_id), {**body, **_retimed(world, wish)}, conference_version=1
    )


def _split_series(world: World, wish: Json) -> Copy:
    body = {**_retimed(world, wish), **wish.get("fields", {})}
    if "title" in wish:
        body["summary"] = wish["title"]
    return world.split(*_owner(world, wish), wish["event"], body)


def _delete_following(world: World, wish: Json) -> Copy:
    return world.split(*_owner(world, wish), wish["event"], None)


def _move_to_calendar(world: World, wish: Json) -> Copy:
    return world.move(*_owner(world, wish), wish["event"], wish["to"])


def _change_role(world: World, wish: Json) -> Json:
    _, calendar_id = _owner(world, wish)
    world.change_role(calendar_id, wish["user"], wish["role"])
    return _calendar(world.calendars[calendar_id])


def _add_calendar(world: World, wish: Json) -> Json:
    owner = wish.get("owner") or world.users[0]
    zone = wish.get("time_zone", "UTC")
    return _calendar(
        world.add_calendar(wish.get("id", ""), owner=owner, summary=wish.get("title", ""), time_zone=zone)
    )


def _add_user(world: World, wish: Json) -> Json:
    return _calendar(world.add_user(wish["email"], wish.get("time_zone", "UTC")))


def _touch(world: World, wish: Json) -> Copy:
    return world.touch(_owner(world, wish)[1], wish["event"])


def _suspend_user(world: World, wish: Json) -> Json:
    return _of_the_domain(world, world.suspended | {_known_user(world, wish)})


def _restore_user(world: World, wish: Json) -> Json:
    return _of_the_domain(world, world.suspended - {_known_user(world, wish)})


def _known_user(world: World, wish: Json) -> str:
    user = str(wish["user"]).lower()
    if user not in world.users:
        raise BadAct(f"no user {user}")
    return user


def _of_the_domain(world: World, suspended: set[str]) -> Json:
    world.suspended = suspended
    return {"users": world.users, "suspended": sorted(suspended)}


def _delegate(world: World, wish: Json) -> Json:
    """What a service account may do as any user; without scopes, nothing any more."""
    world.delegations[wish["account"]] = frozenset(wish["scopes"])
    return {account: sorted(scopes) for account, scopes in world.delegations.items()}


def _calendar(calendar: Calendar) -> Json:
    return {**shapes.calendar_resource(calendar), "acl": calendar.acl}


def _fill(world: World, wish: Json) -> Json:
    """Many plain meetings, an hour after one another: for listings of any size."""
    if wish["count"] > MOST_AT_ONCE:
        raise BadAct(f"count cannot be more than {MOST_AT_ONCE} at once")
    owner, calendar_id = _owner(world, wish)
    calendar = world.calendars[calendar_id]
    first = datetime.fromtimestamp(world.now() // SECOND, UTC).replace(minute=0, second=0)
    for number in range(wish["count"]):
        start = first + timedelta(hours=number + 1)
        times = {"start": start, "end": start + timedelta(minutes=30)}
        body = {name: {"dateTime": moment.isoformat()} for name, moment in times.items()}
        world.insert(owner, calendar_id, {"summary": f"Meeting {number + 1}", **body})
    return _calendar(calendar)


KINDS: dict[str, type[Any]] = {
    "attendees": list,
    "scopes": list,
    "recurrence": list,
    "conference": dict,
    "fields": dict,
    "count": int,
}
SCHEMAS: dict[type[Any], Json] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    dict: {"type": "object"},
    list: {"type": "array", "items": {"type": "string"}},
}
MEETING = ("attendees", "recurrence", "conference", "description", "location", "visibility", "id")
WHEN = ("start", "end", "time_zone")
ACTS = {
    "add_user": Deed(("email",), ("time_zone",), _add_user),
    "suspend_user": Deed(("user",), (), _suspend_user),
    "restore_user": Deed(("user",), (), _restore_user),
    "delegate": Deed(("account", "scopes"), (), _delegate),
    "add_calendar": Deed((), ("id", "owner", "title", "time_zone"), _add_calendar),
    "change_role": Deed(("user", "role"), ("calendar",), _change_role),
    "create_meeting": Deed(("title", "start", "end"), ("calendar", "time_zone", *MEETING), _create_meeting),
    "copy_event": Deed(("event",), ("calendar", "to", *WHEN), _copy_event),
    "move": Deed(("event", "start", "end"), ("calendar", "time_zone"), _move),
    "retitle": Deed(("event", "title"), ("calendar",), _retitle),
    "edit": Deed(("event", "fields"), ("calendar",), _edit),
    "invite": Deed(("event", "attendees"), ("calendar",), _invite),
    "rsvp": Deed(("event", "response"), ("calendar",), _rsvp),
    "delete": Deed(("event",), ("calendar",), _delete),
    "restore": Deed(("event",), ("calendar",), _restore),
    "strip_conference": Deed(("event",), ("calendar",), _strip_conference),
    "replace_conference": Deed(("event", "conference"), ("calendar",), _replace_conference),
    "move_to_calendar": Deed(("event", "to"), ("calendar",), _move_to_calendar),
    "move_occurrence": Deed(("event", "start", "end"), ("calendar", "time_zone", "at"), _move),
    "cancel_occurrence": Deed(("event",), ("calendar", "at"), _delete),
    "split_series": Deed(("event",), ("calendar", "at", "title", "fields", *WHEN), _split_series),
    "delete_following": Deed(("event",), ("calendar", "at"), _delete_following),
    "touch": Deed(("event",), ("calendar",), _touch),
    "fill": Deed(("count",), ("calendar",), _fill),
}
