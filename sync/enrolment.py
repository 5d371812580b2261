"""What somebody asks for at run time: that a calendar be looked after, or no longer. Parsed strictly; pure.

    {"calendar_id": "room@example.org", "event_id": "…", "conference": {"provider": "zoom", "id": "…"}}

Nothing in it is needed: without `calendar_id` it is the caller's own calendar. Event and conference come together.
"""

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum

from sync.errors import Rejected
from sync.recognise import ConferenceKey

MOST_BYTES = 4096  # of a body
_MOST_CHARACTERS = 1024  # of an id: Google's are no longer ("Events: insert", `id`)
_PROVIDER = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)  # as SYNC_CONFERENCES names them
_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


class Ask(StrEnum):
    """What is asked for. The kind of the task that it becomes."""

    ENROL = "enrol"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Person:
    """Who a genuine token speaks for."""

    address: str
    organization: str  # the domain of the Workspace organization that manages it; empty for anybody's account

    def __repr__(self) -> str:
        return "Person(…)"  # an address must not reach a log by way of a traceback


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who asks, when, and for which calendar. An event and the conference it is to carry may be named."""

    caller: str  # an address, lower-case, proved to be the caller's
    calendar_id: str
    asked_at: float  # seconds since the epoch, by the door's clock
    event_id: str = ""
    conference: ConferenceKey | None = None

    def __repr__(self) -> str:
        return "Enrolment(…)"  # an address must not reach a log by way of a traceback

    @property
    def is_callers_own(self) -> bool:
        """Whether it is the caller's primary calendar, whose id is their address."""
        return self.calendar_id.lower() == self.caller


def read(body: bytes, caller: str, now: float) -> Enrolment:
    """What a request's body asks for. An empty one asks for the caller's own calendar. Raises Rejected."""
    told = _object(body) if body.strip() else {}
    _refuse_unknown(told, "calendar_id", "event_id", "conference")
    return _enrolment(told, caller.lower(), now)


def written(enrolment: Enrolment) -> str:
    """As a task carries it from the public door to the worker."""
    key = enrolment.conference
    return json.dumps(
        {
            "caller": enrolment.caller,
            "asked_at": enrolment.asked_at,
            "calendar_id": enrolment.calendar_id,
            **({"event_id": enrolment.event_id} if enrolment.event_id else {}),
            **({"conference": {"provider": key.provider, "id": key.id}} if key else {}),
        }
    )


def read_again(text: str) -> Enrolment:
    """What a task carries. Raises Rejected."""
    told = _object(text.encode("utf-8", "surrogatepass"))
    caller, asked_at = told.get("caller"), told.get("asked_at")
    if not isinstance(caller, str) or not _ADDRESS.fullmatch(caller):
        raise Rejected("an enrolment needs the address of its caller")
    if not isinstance(asked_at, float) or not math.isfinite(asked_at):
        raise Rejected("an enrolment needs the time at which it was asked for")
    return _enrolment(told, caller, asked_at)


def _enrolment(told: dict[str, object], caller: str, asked_at: float) -> Enrolment:
    event_id = _id(told, "event_id")
    conference = _conference(told["conference"]) if "conference" in told else None
    if bool(event_id) != (conference is not None):
        raise Rejected("event_id and conference come together")
    return Enrolment(caller, _id(told, "calendar_id") or caller, asked_at, event_id, conference)


def _conference(told: object) -> ConferenceKey:
    if not isinstance(told, dict):
        raise Rejected("conference is not an object")
    _refuse_unknown(told, "provider", "id")
    provider = told.get("provider")
    if not isinstance(provider, str) or not _PROVIDER.fullmatch(provider):
        raise Rejected("conference.provider is not the name of a provider")
    key = ConferenceKey(provider, _id(told, "id"))
    if not key.is_sound():
        raise Rejected("conference.id is not the id of a conference")
    return key


def _id(told: dict[str, object], name: str) -> str:
    """Empty if it is not told; "primary" is whoever asks, and so nobody's name."""
    found = told.get(name, "")
    if not isinstance(found, str) or len(found) > _MOST_CHARACTERS or not found.isprintable():
        raise Rejected(f"{name} is not an id")
    if name in told and found.strip() in ("", "primary"):
        raise Rejected(f"{name} is empty, or primary: leave it out, or name the calendar by its id")
    return found.strip()


def _object(body: bytes) -> dict[str, object]:
    try:
        told = json.loads(body, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Rejected("an enrolment is a JSON object")
    return told


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of two values under one name, another reader may take the other one."""
    told = dict(pairs)
    if len(told) != len(pairs):
        raise ValueError("a name is told twice")
    return told


def _refuse_unknown(told: dict[str, object], *known: str) -> None:
    if not told.keys() <= set(known):
        raise Rejected(f"an enrolment says nothing but {', '.join(known)}")
