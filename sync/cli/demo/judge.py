"""The demo's verdict: is every conference as its events say, and was none touched without need?

The judge shares no code with the sync and imports nothing of it: it looks at the calendar and at the conference
service over HTTP, as any stranger could, and compares.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.request import urlopen

Json = Mapping[str, Any]

_ANSWER_S = 10.0
_PAUSES_S = (0.1, 0.5)  # before it is looked at again
_NEVER = datetime.max.replace(tzinfo=UTC)


class Unseen(Exception):
    """One side could not be looked at: there is no verdict."""


@dataclass(frozen=True)
class Mismatch:
    """One conference, and what is wrong with it, in words."""

    conference: str
    problem: str


def judge(simulator_url: str, service_url: str, touches: Mapping[str, int]) -> list[Mismatch]:
    """Look at both sides now. `touches`: how often the story needs each conference to be changed or deleted.

    Raises Unseen.
    """
    state = _get("the calendar's stand-in", f"{simulator_url}/_sim/state")
    listed = _get("the conference service", f"{service_url}/api/conferences")["conferences"]
    calendars = state["calendars"].values()
    return compare(
        [event for calendar in calendars for event in calendar["events"]], listed, service_url, touches
    )


def compare(
    events: Sequence[Json], listed: Sequence[Json], service_url: str, touches: Mapping[str, int]
) -> list[Mismatch]:
    """What is wrong, given all events of all calendars, and all conferences that ever were."""
    carriers: dict[str, list[Json]] = {}
    for event in events:
        if event["organizer_self"] and not event["series"] and (name := _carried(event, service_url)):
            carriers.setdefault(name, []).append(event)
    conferences = {conference["id"]: conference for conference in listed}
    return [
        Mismatch(name, problem)
        for name in sorted({*conferences, *carriers})
        for problem in _problems(conferences.get(name), carriers.get(name, []), touches.get(name, 0))
    ]


def _problems(conference: Json | None, carriers: Sequence[Json], touches: int) -> Iterator[str]:
    users = [event for event in carriers if event["live"]]
    there = conference if conference and not conference["deleted"] else None
    if users and not there:
        yield "an event uses it, and it does not exist"
    if users and there:
        yield from _differences(there, users)
    if there and not users:
        ended = "its events are gone" if carriers else "it was taken off its event"
        yield f"{ended}, and it still exists"
    if conference and (touched := _touches(conference)) > touches:
        yield f"it was touched {touched} times where its story needs {touches}"


def _differences(conference: Json, users: Sequence[Json]) -> Iterator[str]:
    """The event that ends last gives the title; together they give the times, but a series gives its own."""
    last = max(users, key=_last_moment)
    timed = [last] if last["recurrence"] else [event for event in users if not event["recurrence"]]
    wanted = {
        "title": last["title"],
        "start": min(_moment(event["start"]) for event in timed),
        "end": max(_moment(event["end"]) for event in timed),
    }
    actual = {
        "title": conference["title"],
        "start": datetime.fromisoformat(conference["start"]),
        "end": datetime.fromisoformat(conference["end"]),
    }
    for name, wish in wanted.items():
        if actual[name] != wish:
            yield f"its {name} is {actual[name]}, its event says {wish}"


def _touches(conference: Json) -> int:
    """Calls that were let through to it, whether or not it was different afterwards."""
    return sum(
        call["verb"] in ("PUT", "DELETE") and (call["status"] is None or call["status"] < 300)
        for call in conference["calls"]
    )


def _carried(event: Json, service_url: str) -> str:
    """The name of this service's conference that an event leads to; empty if to none."""
    points = (event["conference"] or {}).get("entryPoints", [])
    door = f"{service_url}/j/"
    return next((point["uri"].removeprefix(door) for point in points if point["uri"].startswith(door)), "")


def _last_moment(event: Json) -> datetime:
    """When an event is over for good; a series without an UNTIL never is."""
    rules = [line for line in event["recurrence"] or () if line.startswith("RRULE:")]
    if not rules:
        return _moment(event["end"])
    ends = [part.removeprefix("UNTIL=") for part in rules[0].split(";") if part.startswith("UNTIL=")]
    return datetime.strptime(f"{ends[0][:8]}+0000", "%Y%m%d%z") if ends else _NEVER


def _moment(when: Json) -> datetime:
    if "date" in when:
        return datetime.fromisoformat(when["date"]).replace(tzinfo=UTC)
    return datetime.fromisoformat(when["dateTime"])


def _get(whom: str, url: str) -> Any:
    """What it tells. Looking once more changes nothing, so a connection that breaks is no reason to give up."""
    for pause_s in (*_PAUSES_S, None):
        try:
            with urlopen(url, timeout=_ANSWER_S) as answer:
                return json.load(answer)
        except (OSError, HTTPException) as error:
            if pause_s is None:
                raise Unseen(f"{whom} cannot be looked at: {type(error).__name__}") from None
            time.sleep(pause_s)
    raise AssertionError("the last try returns or raises")
