"""The back stage, `/_sim/…`: act as a person, make things go wrong, move the clock, look at the whole truth.

Served only when the simulator was started for it. Bodies are JSON; `GET /_sim/schema` tells what they may be.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from . import acts, forms, shapes
from .clock import SECOND, Clock, rfc3339
from .errors import ApiError
from .faults import PushFault, Quota, RequestFault
from .model import Calendar, Switches
from .push import Courier
from .routes import Api
from .wire import Answer, Request, json_answer, parsed

Json = dict[str, Any]


@dataclass(frozen=True)
class ExpireTokens:
    """Every sync token of a calendar that was given out so far answers 410 from now on."""

    expire_tokens: str


@dataclass(frozen=True)
class SpoilTokens:
    """Every sync token of a calendar that was given out so far answers 400 from now on."""

    spoil_tokens: str


@dataclass(frozen=True)
class TouchAll:
    """Every event of a calendar gets another etag and is listed again, though nothing changed."""

    touch_all: str


@dataclass(frozen=True)
class Skew:
    """The clock of the simulated servers is wrong by this much."""

    skew_s: float


@dataclass(frozen=True)
class Switch:
    switch: str
    to: str | int | float | bool


@dataclass(frozen=True)
class Advance:
    advance_s: float


@dataclass(frozen=True)
class Patience:
    timeout_s: float = 10.0


@dataclass(frozen=True)
class Named:
    name: str = "snapshot"


TROUBLES: dict[str, type[Any]] = {
    "push": PushFault,
    "quota": Quota,
    "expire_tokens": ExpireTokens,
    "spoil_tokens": SpoilTokens,
    "touch_all": TouchAll,
    "skew_s": Skew,
    "switch": Switch,
}


class Control:
    def __init__(self, api: Api, clock: Clock, courier: Courier, reset: Callable[[], None]) -> None:
        self._api = api
        self._world = api.world
        self._clock = clock
        self._courier = courier
        self._reset = reset
        self._switches = api.world.switches
        self._snapshots: dict[str, bytes] = {}
        self._served: dict[tuple[str, str], Callable[[Any], Json]] = {
            ("POST", "act"): self._act,
            ("POST", "faults"): self._add_faults,
            ("GET", "faults"): self._list_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "state"): self._state,
            ("GET", "journal"): self._journal,
            ("DELETE", "journal"): self._clear_journal,
            ("GET", "metrics"): self._metrics,
            ("POST", "reset"): self._start_again,
            ("POST", "clock"): self._move_clock,
            ("GET", "clock"): self._tell_clock,
            ("POST", "snapshot"): self._snapshot,
            ("POST", "restore"): self._restore,
            ("GET", "schema"): self._schema,
        }
        self._patient: dict[tuple[str, str], Callable[[Any], Answer]] = {
            ("POST", "settle"): self._settle,
            ("GET", "stream"): self._stream,
        }

    def answer(self, request: Request) -> Answer:
        door = request.verb, request.path.removeprefix("/_sim/").strip("/")
        try:
            body = _body(request)
            if door in self._patient:
                return self._patient[door](body)
            if door in self._served:
                with self._api.lock:
                    content = self._served[door](body)
                    self._api.flush()
                return json_answer(200, content)
        except ApiError as refusal:
            return json_answer(refusal.status, refusal.body())
        except (ValueError, OverflowError) as wrong:
            return json_answer(
                400, {"error": str(wrong), "hint": "GET /_sim/schema tells what bodies may be"}
            )
        doors = ", ".join(sorted({name for _, name in (*self._served, *self._patient)}))
        return json_answer(404, {"error": f"no {door[0]} /_sim/{door[1]}", "hint": f"there is {doors}"})

    # -- acts and faults --

    def _act(self, body: Any) -> Json:
        self._world.settle()
        return acts.perform(self._world, body)

    def _add_faults(self, body: Any) -> Json:
        """All of them, or none if one cannot be understood."""
        for trouble in [_trouble(one) for one in (body if isinstance(body, list) else [body])]:
            self._add_fault(trouble)
        return self._list_faults(None)

    def _add_fault(self, trouble: Any) -> None:
        match fault := trouble:
            case RequestFault() | PushFault() | Quota():
                self._world.faults.add(fault)
            case ExpireTokens():
                self._calendar(fault.expire_tokens).epoch += 1
            case SpoilTokens():
                calendar = self._calendar(fault.spoil_tokens)
                calendar.spoiled, calendar.epoch = calendar.epoch, calendar.epoch + 1
            case TouchAll():
                for event_id in list(self._calendar(fault.touch_all).events):
                    self._world.touch(fault.touch_all, event_id)
            case Skew():
                self._clock.skew(fault.skew_s)
            case Switch():
                switches = {**vars(self._world.switches), fault.switch: fault.to}
                self._world.switches = forms.read(Switches, switches)

    def _calendar(self, calendar_id: str) -> Calendar:
        if calendar_id not in self._world.calendars:
            raise forms.Misread(f"no calendar {calendar_id}")
        return self._world.calendars[calendar_id]

    def _list_faults(self, _: Any) -> Json:
        return {
            "faults": [vars(one) for one in self._world.faults.in_force()],
            "switches": vars(self._world.switches),
            "skew_s": self._clock.skew_us / SECOND,
        }

    def _clear_faults(self, _: Any) -> Json:
        self._world.faults.clear()
        self._world.switches = self._switches
        self._clock.skew_us = 0
        return self._list_faults(None)

    # -- looking --

    def _state(self, _: Any) -> Json:
        world = self._world
        world.settle()
        return {
            "seed": world.seed,
            "now": rfc3339(world.now()),
            "users": world.users,
            "calendars": {
                calendar.id: {
                    "title": calendar.summary,
                    "owner": calendar.owner,
                    "time_zone": calendar.time_zone,
                    "deleted": calendar.deleted,
                    "acl": calendar.acl,
                    "events": [shapes.truth(world, copy) for copy in calendar.events.values()],
                }
                for calendar in world.calendars.values()
            },
            "channels": list(self._channels()),
        }

    def _channels(self) -> Iterator[Json]:
        for channel in self._world.channels:
            live = self._world.channels.is_live(channel, self._world.now())
            yield {
                **{name: value for name, value in vars(channel).items() if name != "stopped_at"},
                "live": live,
            }

    def _journal(self, _: Any) -> Json:
        return {"requests": list(self._api.requests), "pushes": list(self._api.pushes)}

    def _clear_journal(self, _: Any) -> Json:
        self._api.requests.clear()
        self._api.pushes.clear()
        return self._journal(None)

    def _stream(self, _: Any) -> Answer:
        """Everything journalled from now on, a JSON object on each line, until the reader hangs up."""
        kind = {"content-type": "application/x-ndjson"}
        return Answer(200, headers=kind, lines=map(_line, self._api.follow()))

    def _metrics(self, _: Any) -> Json:
        requests = self._api.requests
        return {
            "requests": len(requests),
            "by_method": Counter(entry["method"] or "unknown" for entry in requests),
            "by_status": Counter(str(entry["status"]) for entry in requests),
            "pushes": {**self._courier.counts, "waiting": self._courier.waiting()},
            "channels": sum(one["live"] for one in self._channels()),
            "events": sum(len(calendar.events) for calendar in self._world.calendars.values()),
        }

    def _schema(self, _: Any) -> Json:
        return schema()

    # -- time and worlds --

    def _move_clock(self, body: Json) -> Json:
        self._clock.advance(forms.read(Advance, body).advance_s)
        self._world.settle()
        self._courier.nudge()
        return self._tell_clock(None)

    def _tell_clock(self, _: Any) -> Json:
        return {"mode": self._clock.mode, "now": rfc3339(self._world.now())}

    def _settle(self, body: Json) -> Answer:
        """Waits until every notification that is due has been delivered or lost. Not under the lock."""
        timeout_s = forms.read(Patience, body).timeout_s
        return json_answer(200, {"settled": self._courier.idle(timeout_s)})

    def _snapshot(self, body: Json) -> Json:
        name = forms.read(Named, body).name
        self._snapshots[name] = self._world.snapshot()
        return {"name": name}

    def _restore(self, body: Json) -> Json:
        name = forms.read(Named, body).name
        if name not in self._snapshots:
            raise forms.Misread(f"no snapshot {name}")
        self._world.resume(self._snapshots[name])
        return {"name": name}

    def _start_again(self, _: Any) -> Json:
        self._reset()
        return {"seed": self._world.seed}


def schema() -> Json:
    """JSON Schema of every body that POST /_sim/… takes."""
    one = {"anyOf": [forms.schema(kind) for kind in (*TROUBLES.values(), RequestFault)]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {
            "act": acts.schema(),
            "fault": one,
            "faults": {
                "anyOf": [{"$ref": "#/$defs/fault"}, {"type": "array", "items": {"$ref": "#/$defs/fault"}}]
            },
            "clock": forms.schema(Advance),
            "settle": forms.schema(Patience),
            "snapshot": forms.schema(Named),
            "restore": forms.schema(Named),
            "seed": {
                "type": "object",
                "properties": {
                    "random": {"type": "integer"},
                    "switches": forms.schema(Switches),
                    "acts": {"type": "array", "items": {"$ref": "#/$defs/act"}},
                },
                "additionalProperties": False,
            },
        },
    }


def _trouble(one: Json) -> Any:
    """One key says what kind of trouble is wanted; without it, it is trouble with requests."""
    kind = next((TROUBLES[name] for name in TROUBLES if name in one), RequestFault)
    return forms.read(kind, one)


def _body(request: Request) -> Any:
    """What was asked for: an object, or a list of them where several may come at once."""
    body = parsed(request.body or b"{}")
    if not all(isinstance(one, dict) for one in (body if isinstance(body, list) else [body])):
        raise forms.Misread("not a JSON object")
    return body


def _line(entry: Json) -> bytes:
    return json.dumps(entry, ensure_ascii=False).encode() + b"\n"
