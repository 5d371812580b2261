"""Invariant: whatever a client sends, it gets an answer that HTTP and the API know, never a broken line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.simulator import Simulator, discovery

from .conftest import ME, PATIENCE_S, Json, hours

WORDS = st.text(max_size=12) | st.sampled_from(
    ["2026-03-02", "9999-12-31", "0001-01-01T00:00:00+14:00", "2026-03-02T09:00:00Z", "Europe/Berlin", "../..",
     "RRULE:FREQ=WEEKLY", "RRULE:FREQ=YEARLY;BYMONTH=13", "RRULE:FREQ=DAILY;UNTIL=99991231T000000Z",
     "EXDATE;TZID=Nowhere:20260101T000000", "GMT-99:99", "confirmed", "cancelled", ME, "true"]
)  # fmt: skip
PARAMETERS = (
    "timeMin", "timeMax", "updatedMin", "singleEvents", "maxResults", "maxAttendees", "timeZone", "orderBy", "q",
    "conferenceDataVersion", "fields", "originalStart", "syncToken", "pageToken", "destination",
)  # fmt: skip
DOORS = (
    ("GET", ""), ("POST", ""), ("POST", "/import"), ("POST", "/watch"), ("GET", "/{}"), ("PATCH", "/{}"),
    ("PUT", "/{}"),
    ("DELETE", "/{}"), ("GET", "/{}/instances"), ("POST", "/{}/move"),
)  # fmt: skip
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "string": WORDS,
    "boolean": st.booleans(),
    "integer": st.integers(-5, 10**12),
    "number": st.floats(allow_nan=False),
}


def fitting(schema: Json) -> st.SearchStrategy[Any]:
    """Values of the right type that make no sense."""
    schema = discovery.document()["schemas"][schema["$ref"]] if "$ref" in schema else schema
    if schema["type"] == "array":
        return st.lists(fitting(schema["items"]), max_size=2)
    if "properties" in schema:
        inner = {name: st.none() | fitting(item) for name, item in schema["properties"].items()}
        return st.fixed_dictionaries({}, optional=inner)
    return KINDS.get(schema["type"], st.dictionaries(WORDS, WORDS, max_size=2))


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator(clock="frozen") as simulator:
        simulator.world.insert(ME, ME, {"id": "plain", **hours("2026-03-02", 9, 10)})
        daily = {"id": "series", "recurrence": ["RRULE:FREQ=DAILY"], **hours("2026-03-02", 9, 10)}
        simulator.world.insert(ME, ME, daily)
        yield simulator


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    door=st.sampled_from(DOORS),
    event=st.sampled_from(["plain", "series", "series_20260303T080000Z", "series_R20260305", "_", "none"]),
    query=st.dictionaries(st.sampled_from(PARAMETERS), WORDS, max_size=2),
    body=fitting({"$ref": "Event"}) | WORDS,
    times=st.booleans(),
)
def test_every_request_is_answered(
    running: Simulator, door: tuple[str, str], event: str, query: dict[str, str], body: Any, times: bool
) -> None:
    if times and isinstance(body, dict):
        body = {**body, **hours("2026-03-02", 9, 10)}
    place = urlsplit(running.url)
    path = f"/calendar/v3/calendars/primary/events{door[1].format(event)}?{urlencode(query)}"
    with closing(HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE_S)) as connection:
        connection.request(door[0], path, json.dumps(body).encode() if door[0] != "GET" else None)
        response = connection.getresponse()
        content = response.read()
    assert response.status in (200, 204, 400, 403, 404, 409, 410)
    assert response.status == 204 or json.loads(content)
