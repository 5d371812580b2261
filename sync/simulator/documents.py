"""Event bodies: what may be written, what is shared and what is private, how a patch merges, what is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from . import errors, series
from .model import Calendar, Copy

Json = dict[str, Any]

SHARED = (
    "summary", "description", "location", "start", "end", "endTimeUnspecified", "recurrence", "attendees",
    "conferenceData", "guestsCanInviteOthers", "guestsCanModify", "guestsCanSeeOtherGuests",
    "anyoneCanAddSelf", "source", "attachments", "status", "eventType", "workingLocationProperties",
    "outOfOfficeProperties", "focusTimeProperties", "birthdayProperties", "gadget", "eventLabelId",
)  # fmt: skip
PRIVATE = ("reminders", "colorId", "transparency", "visibility")
FIXED = (
    "created", "creator", "organizer", "iCalUID", "sequence", "recurringEventId", "originalStartTime",
)  # fmt: skip
ANSWERS = ("needsAction", "declined", "tentative", "accepted")
BASE32HEX = "0123456789abcdefghijklmnopqrstuv"


def writable(body: Mapping[str, Any]) -> Json:
    return {name: body[name] for name in (*SHARED, *PRIVATE, "extendedProperties") if name in body}


def document_of(copy: Copy) -> Json:
    """A copy as the body that would write it."""
    properties = {
        **copy.shared.get("extendedProperties", {}),
        **copy.private.get("extendedProperties", {}),
    }
    document = {**writable(copy.shared), **writable(copy.private)}
    return {**document, "extendedProperties": properties} if properties else document


def divide(document: Json) -> tuple[Json, Json]:
    """What every copy shows, and what only this one does."""
    properties = document.get("extendedProperties", {})
    own = (*PRIVATE, "extendedProperties")
    shared = {name: value for name, value in document.items() if name not in own}
    private = {name: document[name] for name in PRIVATE if name in document}
    if properties.get("shared"):
        shared["extendedProperties"] = {"shared": properties["shared"]}
    if properties.get("private"):
        private["extendedProperties"] = {"private": properties["private"]}
    return shared, private


def fixed(copy: Copy) -> Json:
    """What no body can change."""
    return {name: copy.shared[name] for name in FIXED if name in copy.shared}


def merged(old: Json, change: Json) -> Json:
    """Patch semantics: objects merge, lists and values replace, null removes. A conference is replaced whole."""
    new = dict(old)
    for name, value in change.items():
        before = old.get(name)
        if value is None:
            new.pop(name, None)
        elif name in ("start", "end"):
            new[name] = _merged_time(before or {}, value)
        elif name != "conferenceData" and isinstance(value, dict):
            new[name] = merged(before if isinstance(before, dict) else {}, value)
        else:
            new[name] = without_nulls(value)
    return new


def without_nulls(value: Any) -> Any:
    """null in a body says that there is nothing."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value if item is not None]
    return value


def _merged_time(before: Json, change: Json) -> Json:
    """A date drives out the time, and a time the date."""
    if change.get("date"):
        return {"date": change["date"]}
    return merged({name: value for name, value in before.items() if name != "date"}, change)


def complete(calendar: Calendar, body: Json) -> Json:
    """A body as it is kept: checked, with its defaults, its times in the event's zone."""
    document: Json = {"status": "confirmed", "eventType": "default", "reminders": {"useDefault": True}}
    document |= {name: value for name, value in without_nulls(writable(body)).items() if value != []}
    for name in ("start", "end"):
        document[name] = _canonical(calendar, document.get(name) or {}, name)
    _check_times(calendar, document)
    if "recurrence" in document:
        _check_recurrence(calendar, body, document)
    if "attendees" in document:
        document["attendees"] = [_attendee(guest) for guest in document["attendees"]]
    return document


def _canonical(calendar: Calendar, when: Json, name: str) -> Json:
    if not when.get("dateTime") and not when.get("date"):
        raise errors.required(f"Missing {name} time.")
    event_zone = when.get("timeZone") or calendar.time_zone
    try:
        given = {"date": when["date"]} if when.get("date") else {**when, "timeZone": event_zone}
        start = series.start_of(given, event_zone)
        series.instant(start, calendar.time_zone)
        return time_json(start, event_zone)
    except (ValueError, OverflowError) as broken:  # no such time, or none in our calendar
        raise errors.invalid(f"Invalid value for: {name}") from broken


def time_json(start: series.Start, event_zone: str) -> Json:
    if isinstance(start, datetime):
        return {"dateTime": start.isoformat(timespec="seconds"), "timeZone": event_zone}
    return {"date": start.isoformat()}


def _check_times(calendar: Calendar, document: Json) -> None:
    if ("date" in document["start"]) != ("date" in document["end"]):
        raise errors.invalid("Start and end times must either both be date or both be dateTime.")
    start, end = (
        series.instant(series.start_of(document[name], calendar.time_zone), calendar.time_zone)
        for name in ("start", "end")
    )
    if end < start:
        raise errors.time_range_empty()


def _check_recurrence(calendar: Calendar, body: Json, document: Json) -> None:
    if body["start"].get("dateTime") and not body["start"].get("timeZone"):
        raise errors.required("Missing time zone definition for start time.")
    try:
        series.check(document["recurrence"], series.start_of(document["start"], calendar.time_zone))
    except ValueError as broken:
        raise errors.invalid("Invalid recurrence rule.") from broken


def _attendee(guest: Json) -> Json:
    if not guest.get("email"):
        raise errors.required("Missing attendee email.")
    kept = {name: value for name, value in guest.items() if name not in ("self", "organizer")}
    answer = guest.get("responseStatus", "needsAction")
    return {**kept, "email": guest["email"].lower(), "responseStatus": answer}


def answered(shared: Json, email: str, response: str) -> Json:
    """The shared part after one guest has answered."""
    attendees = [
        {**guest, "responseStatus": response} if guest["email"] == email else guest
        for guest in shared.get("attendees", ())
    ]
    return {**shared, "attendees": attendees} if attendees else shared


def response_of(shared: Json, email: str) -> str:
    given = (guest["responseStatus"] for guest in shared.get("attendees", ()) if guest["email"] == email)
    return next(given, "")


def meddles(copy: Copy, shared: Json, differs: set[str]) -> bool:
    """Whether a guest changes more than is theirs: their own answer, the guest list, everything if trusted."""
    old = copy.shared
    settings = {"guestsCanModify", "guestsCanInviteOthers", "guestsCanSeeOtherGuests"}
    if not differs or (old.get("guestsCanModify") and not differs & settings):
        return False
    before, after = _by_email(old), _by_email(shared)
    others = before.keys() - {copy.calendar}
    answers_for_others = any(after.get(email) != before[email] for email in others)
    uninvited = after.keys() > before.keys() and not old.get("guestsCanInviteOthers", True)
    return differs != {"attendees"} or answers_for_others or uninvited


def _by_email(shared: Json) -> dict[str, Json]:
    return {guest["email"]: guest for guest in shared.get("attendees", ())}


def check_id(event_id: str) -> None:
    if not re.fullmatch(r"[0-9a-v]{5,1024}", event_id):
        raise errors.invalid("Invalid resource id value.")


def import_id(ical_uid: str) -> str:
    """The id of an imported event: an underscore and its iCalendar id in base32hex."""
    bits = "".join(f"{byte:08b}" for byte in ical_uid.encode())
    chunks = (bits[at : at + 5].ljust(5, "0") for at in range(0, len(bits), 5))
    return "_" + "".join(BASE32HEX[int(chunk, 2)] for chunk in chunks)


def conference(wanted: Json, old: Json | None) -> Json:
    """The conference that a body asks for, as it is kept; refused if it is none."""
    request = wanted.get("createRequest")
    if request and "conferenceSolution" not in wanted:
        asked_before = (old or {}).get("createRequest", {}).get("requestId")
        if old and request.get("requestId") == asked_before:
            return old  # a repeated request is ignored
        return {"createRequest": _pending(request)}
    if not wanted.get("entryPoints"):
        raise errors.invalid("Invalid conference data.")
    return wanted


def _pending(request: Json) -> Json:
    kind = request.get("conferenceSolutionKey", {}).get("type", "hangoutsMeet")
    if kind != "hangoutsMeet" or not request.get("requestId"):
        raise errors.invalid("Invalid conference type value.")
    asked = {"requestId": request["requestId"], "conferenceSolutionKey": {"type": kind}}
    return {**asked, "status": {"statusCode": "pending"}}


def is_pending(copy: Copy) -> bool:
    request = copy.shared.get("conferenceData", {}).get("createRequest", {})
    return bool(request.get("status", {}).get("statusCode") == "pending")


def meet(request: Json, code: str) -> Json:
    """The conference that a pending request becomes."""
    return {
        "createRequest": {**request, "status": {"statusCode": "success"}},
        "entryPoints": [
            {
                "entryPointType": "video",
                "uri": f"https://meet.google.com/{code}",
                "label": f"meet.google.com/{code}",
            }
        ],
        "conferenceSolution": {
            "key": {"type": "hangoutsMeet"},
            "name": "Google Meet",
            "iconUri": "https://fonts.gstatic.com/s/i/productlogos/meet/v1/icon.png",
        },
        "conferenceId": code,
    }
