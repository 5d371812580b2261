"""How the world looks from outside: JSON with the keys, the order and the omissions of recorded answers."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from . import series
from .clock import http_date, rfc3339
from .model import Calendar, Channel, Copy, Message, Page, at_least
from .world import World

Json = dict[str, Any]

AFTER_TIMES = ("endTimeUnspecified", "recurrence")
SETTINGS = ("anyoneCanAddSelf", "guestsCanInviteOthers", "guestsCanModify", "guestsCanSeeOtherGuests")
LAST = (
    "source", "attachments", "workingLocationProperties", "outOfOfficeProperties", "focusTimeProperties",
    "birthdayProperties", "gadget", "eventLabelId",
)  # fmt: skip


def event(world: World, principal: str, copy: Copy, *, zone: str = "", most_attendees: int = 0) -> Json:
    """One copy in full, or masked if the reader may not see what is private."""
    calendar = world.calendars[copy.calendar]
    head: Json = {"kind": "calendar#event", "etag": f'"{copy.etag}"', "id": copy.id}
    if copy.orphan:
        return {**head, "status": "cancelled"}
    shared, private = copy.shared, copy.private
    show = zone or calendar.time_zone
    times = {name: time(shared[name], show) for name in ("start", "end")}
    occurrence = _occurrence(copy, show)
    fixed = {"iCalUID": shared["iCalUID"], "sequence": shared["sequence"]}
    status = "cancelled" if copy.cancelled else shared["status"]
    link = base64.urlsafe_b64encode(f"{copy.id} {copy.calendar}".encode()).decode().rstrip("=")
    head |= {"status": status, "htmlLink": f"https://www.google.com/calendar/event?eid={link}"}
    head |= {"created": rfc3339(shared["created"]), "updated": rfc3339(copy.updated)}
    if masked(world, principal, copy):
        title = {"summary": world.switches.masked_title} if world.switches.masked_title else {}
        hidden = {"visibility": "private", **fixed, "eventType": shared["eventType"]}
        return {**head, **title, **times, **_some(shared, "recurrence"), **occurrence, **hidden}
    return {
        **head,
        **_some(shared, "summary", "description", "location"),
        **_some(private, "colorId"),
        "creator": person(shared["creator"], copy.calendar),
        "organizer": person(shared["organizer"], copy.calendar),
        **times,
        **_some(shared, *AFTER_TIMES),
        **occurrence,
        **_some(private, "transparency", "visibility"),
        **fixed,
        **_attendees(copy, most_attendees),
        **_conference(shared),
        **_properties(copy),
        **_some(shared, *SETTINGS),
        **_some(private, "reminders"),
        **_some(shared, *LAST),
        "eventType": shared["eventType"],
    }


def listed(world: World, principal: str, copy: Copy, *, zone: str = "", most_attendees: int = 0) -> Json:
    """A copy as lists show it: of what was deleted, only that it was."""
    if not copy.cancelled or (world.switches.tombstones == "rich" and not copy.orphan):
        return event(world, principal, copy, zone=zone, most_attendees=most_attendees)
    bare = {"kind": "calendar#event", "etag": f'"{copy.etag}"', "id": copy.id, "status": "cancelled"}
    return {**bare, **_occurrence(copy, zone or world.calendars[copy.calendar].time_zone)}


def masked(world: World, principal: str, copy: Copy) -> bool:
    calendar = world.calendars[copy.calendar]
    role = calendar.role(principal)
    hidden = copy.private.get("visibility") in ("private", "confidential")
    return not at_least(role, "writer" if hidden else "reader")


def events(
    world: World,
    principal: str,
    calendar: Calendar,
    page: Page,
    tokens: dict[str, str],
    *,
    zone: str = "",
    most_attendees: int = 0,
) -> Json:
    return {
        "kind": "calendar#events",
        "etag": f'"p{page.watermark:x}o"',
        "summary": calendar.summary,
        "description": calendar.description,
        "updated": rfc3339(page.watermark),
        "timeZone": zone or calendar.time_zone,
        "accessRole": calendar.role(principal),
        "defaultReminders": default_reminders(calendar),
        **tokens,
        "items": [
            listed(world, principal, copy, zone=zone, most_attendees=most_attendees) for copy in page.items
        ],
    }


def default_reminders(calendar: Calendar) -> list[Json]:
    return [{"method": "popup", "minutes": 30}] if calendar.primary else []


def time(when: Json, zone: str) -> Json:
    """The offset is that of the calendar or of `timeZone=`; the zone's name is the event's own."""
    if "date" in when:
        return {"date": when["date"]}
    moment = datetime.fromisoformat(when["dateTime"]).astimezone(series.zone(zone))
    text = moment.isoformat(timespec="seconds")
    if moment.utcoffset() == UTC.utcoffset(None):
        text = text.replace("+00:00", "Z")
    return {"dateTime": text, "timeZone": when["timeZone"]}


def person(who: Json, calendar_id: str) -> Json:
    return {**who, "self": True} if who.get("email") == calendar_id else dict(who)


def calendar_resource(calendar: Calendar) -> Json:
    return {
        "kind": "calendar#calendar",
        "etag": f'"{calendar.stamp}"',
        "id": calendar.id,
        "summary": calendar.summary,
        **({"description": calendar.description} if calendar.description else {}),
        "timeZone": calendar.time_zone,
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    }


def calendar_list_entry(principal: str, calendar: Calendar) -> Json:
    return {
        "kind": "calendar#calendarListEntry",
        "etag": f'"{calendar.stamp}"',
        "id": calendar.id,
        "summary": calendar.summary,
        **({"description": calendar.description} if calendar.description else {}),
        "timeZone": calendar.time_zone,
        "colorId": "14",
        "backgroundColor": "#9fe1e7",
        "foregroundColor": "#000000",
        "selected": True,
        "accessRole": calendar.role(principal),
        "defaultReminders": default_reminders(calendar),
        **({"primary": True} if calendar.primary and calendar.owner == principal else {}),
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    }


def acl_rule(calendar: Calendar, who: str) -> Json:
    scope = {"type": "default"} if who == "*" else {"type": "user", "value": who}
    rule_id = "default" if who == "*" else f"user:{who}"
    return {
        "kind": "calendar#aclRule",
        "etag": f'"{calendar.stamp}"',
        "id": rule_id,
        "scope": scope,
        "role": calendar.acl[who],
    }


def channel(one: Channel) -> Json:
    return {
        "kind": "api#channel",
        "id": one.id,
        "resourceId": one.resource_id,
        "resourceUri": one.resource_uri,
        **({"token": one.token} if one.token else {}),
        "expiration": str(one.expiration_ms),
    }


def notification(message: Message) -> dict[str, str]:
    """The headers of a push, as recorded; the body is empty and has no type."""
    return {
        "Accept": "*/*",
        "Accept-Encoding": "gzip,deflate,br",
        "Content-Length": "0",
        "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        **({"X-Goog-Channel-Token": message.token} if message.token else {}),
        "X-Goog-Channel-Expiration": http_date(message.expiration_ms * 1000),
        "X-Goog-Channel-ID": message.channel_id,
        "X-Goog-Message-Number": str(message.number),
        "X-Goog-Resource-ID": message.resource_id,
        "X-Goog-Resource-State": message.state,
        "X-Goog-Resource-URI": message.resource_uri,
    }


def truth(world: World, copy: Copy) -> Json:
    """One copy as the judge sees it, with nothing masked and nothing left out."""
    shared = copy.shared
    return {
        "id": copy.id,
        "live": not copy.cancelled and not _series_gone(world, copy),
        "organizer_self": copy.organized_here,
        "organizer": copy.organizer,
        "title": shared.get("summary", ""),
        "start": shared["start"],
        "end": shared["end"],
        "recurrence": shared.get("recurrence"),
        "series": shared.get("recurringEventId"),
        "original_start": shared.get("originalStartTime"),
        "attendees": shared.get("attendees", []),
        "conference": shared.get("conferenceData"),
        "visibility": copy.private.get("visibility", "default"),
        "ical_uid": shared["iCalUID"],
        "sequence": shared["sequence"],
        "etag": f'"{copy.etag}"',
        "updated": rfc3339(copy.updated),
    }


def _series_gone(world: World, copy: Copy) -> bool:
    master = world.calendars[copy.calendar].events.get(copy.series)
    return bool(copy.series) and (master is None or master.cancelled)


def _occurrence(copy: Copy, zone: str) -> Json:
    if not copy.series:
        return {}
    original = time(copy.shared["originalStartTime"], zone)
    return {"recurringEventId": copy.series, "originalStartTime": original}


def _attendees(copy: Copy, most: int) -> Json:
    guests = copy.shared.get("attendees")
    if not guests:
        return {}
    organizer = copy.shared["organizer"].get("email")
    shown = [
        {
            "email": guest["email"],
            **_some(guest, "id", "displayName"),
            **({"organizer": True} if guest["email"] == organizer else {}),
            **({"self": True} if guest["email"] == copy.calendar else {}),
            **_some(guest, "resource", "optional"),
            "responseStatus": guest["responseStatus"],
            **_some(guest, "comment", "additionalGuests"),
        }
        for guest in guests
    ]
    if most and len(shown) > most:
        mine = [guest for guest in shown if guest.get("self")]
        return {"attendees": (mine or shown)[:most], "attendeesOmitted": True}
    return {"attendees": shown}


def _conference(shared: Json) -> Json:
    conference = shared.get("conferenceData")
    if not conference:
        return {}
    meet = conference.get("conferenceSolution", {}).get("key", {}).get("type") == "hangoutsMeet"
    links = [
        point["uri"] for point in conference.get("entryPoints", []) if point["entryPointType"] == "video"
    ]
    link = {"hangoutLink": links[0]} if meet and links else {}
    return {**link, "conferenceData": conference}


def _properties(copy: Copy) -> Json:
    own = copy.private.get("extendedProperties", {})
    both = {**own, **copy.shared.get("extendedProperties", {})}
    return {"extendedProperties": both} if both else {}


def _some(source: Json, *names: str) -> Json:
    return {name: source[name] for name in names if name in source}
