"""One afternoon of a client, as a script: played to the simulator in every run, and to Google when asked.

Every step yields its name and the shape of what came back: keys and kinds, no values. The two must be equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from googleapiclient.errors import HttpError

Json = dict[str, Any]
Shape = Any

TIMES: Json = {
    "start": {"dateTime": "2030-03-04T09:00:00+01:00", "timeZone": "Europe/Berlin"},
    "end": {"dateTime": "2030-03-04T10:00:00+01:00", "timeZone": "Europe/Berlin"},
}


def shape(value: Any) -> Shape:
    """Keys and kinds. Lists are as one of each shape that is in them."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        shapes = [shape(item) for item in value]
        return [one for place, one in enumerate(shapes) if one not in shapes[:place]]
    return type(value).__name__


def failure(refused: HttpError) -> Shape:
    detail = refused.error_details[0]
    return {"status": refused.status_code, **{name: detail[name] for name in ("domain", "reason")}}


def play(service: Any, calendar: str) -> Iterator[tuple[str, Shape]]:
    """Needs a calendar of its own that is empty; leaves tombstones."""
    events = service.events()
    empty = events.list(calendarId=calendar).execute()
    yield "an empty list", shape(empty)
    plain = events.insert(calendarId=calendar, body={"summary": "Plain", **TIMES}).execute()
    yield "insert", shape(plain)
    rule = {"summary": "Series", "recurrence": ["RRULE:FREQ=DAILY;COUNT=4"], **TIMES}
    series = events.insert(calendarId=calendar, body=rule).execute()
    yield "insert a series", shape(series)
    first = events.list(calendarId=calendar, maxResults=1).execute()
    yield "a first page", sorted(first.keys() - {"items"})
    delta = events.list(calendarId=calendar, syncToken=empty["nextSyncToken"]).execute()
    yield "a delta", shape(delta)
    instances = events.instances(calendarId=calendar, eventId=series["id"]).execute()
    yield "instances", shape(instances["items"])
    events.delete(calendarId=calendar, eventId=instances["items"][1]["id"]).execute()
    changed = events.patch(calendarId=calendar, eventId=plain["id"], body={"summary": "Changed"}).execute()
    yield "patch", shape(changed)
    stale = events.patch(calendarId=calendar, eventId=plain["id"], body={"summary": "Too late"})
    stale.headers["If-Match"] = plain["etag"]
    yield "a stale etag", _refused(stale)
    events.delete(calendarId=calendar, eventId=plain["id"]).execute()
    yield "delete twice", _refused(events.delete(calendarId=calendar, eventId=plain["id"]))
    later = events.list(calendarId=calendar, syncToken=delta["nextSyncToken"]).execute()
    by_id = sorted(later["items"], key=lambda item: (item["status"], len(item["id"])))
    yield "a delta of one tombstone, one cancelled occurrence, one series", [shape(item) for item in by_id]
    ordered = events.list(calendarId=calendar, orderBy="updated").execute()
    yield "no token with an order", "nextSyncToken" in ordered
    token = later["nextSyncToken"]
    yield "a token with a filter", _refused(events.list(calendarId=calendar, syncToken=token, q="x"))
    yield "a malformed token", _refused(events.list(calendarId=calendar, syncToken="x"))
    yield "a malformed page token", _refused(events.list(calendarId=calendar, pageToken="x"))
    empty_window = {"timeMin": "2030-01-02T00:00:00Z", "timeMax": "2030-01-01T00:00:00Z"}
    yield "an empty window", _refused(events.list(calendarId=calendar, **empty_window))
    yield "an unknown event", _refused(events.get(calendarId=calendar, eventId="nosuchevent"))
    unsafe = {"id": "w1", "type": "web_hook", "address": "http://hooks.example/x"}
    yield "an unsafe address", _refused(events.watch(calendarId=calendar, body=unsafe))
    yield "an unknown channel", _refused(service.channels().stop(body={"id": "x", "resourceId": "y"}))


def _refused(request: Any) -> Shape:
    try:
        return request.execute()
    except HttpError as refused:
        return failure(refused)
