"""The demo's conference system: a small web service that keeps conferences, counts calls, and fails when told.

It stands for somebody else's system and shares no code with the sync.

| call                           | answer                                                                     |
|--------------------------------|----------------------------------------------------------------------------|
| POST /api/conferences          | a new one from {title, start, end}: {id, join_url}                         |
| GET /api/conferences           | all that ever were: their state, `deleted`, how often they changed, calls  |
| GET /api/conferences/ID        | one                                                                        |
| PUT /api/conferences/ID        | sets title, start and end; `changed` says whether they were different      |
| DELETE /api/conferences/ID     | ends it; 404 when there is none                                            |
| GET /api/calls                 | every call of the three above, oldest first; `status` is null in mid-call  |
| POST /api/faults               | the next such calls fail: {refuse: status, headers, body}, {stall: s},     |
|                                | {stall_after_acting: s}, each with {times}; {outage: true}; {forget: ID}   |
| DELETE /api/faults             | no more faults; what stalls goes on                                        |
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response


@dataclass
class Conference:
    id: str
    title: str
    start: str
    end: str
    deleted: bool = False
    changes: int = 0


@dataclass
class Call:
    """One call for one conference. `did`: whether it changed anything there."""

    verb: str
    conference: str
    status: int | None = None
    did: bool = False


@dataclass
class Fault:
    """What the next `times` calls suffer."""

    refuse: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    stall: float = 0.0
    stall_after_acting: float = 0.0
    times: int = 1


class ConferenceService:
    """The service on a port of the loopback; a free one by default."""

    def __init__(self, port: int = 0) -> None:
        self._lock = threading.Lock()
        self._conferences: dict[str, Conference] = {}
        self._calls: list[Call] = []
        self._faults: list[Fault] = []
        self._outage = False
        self._released = threading.Event()
        self._server = make_server(
            "127.0.0.1", port, Request.application(self._answer), threaded=True, request_handler=_Silent
        )
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="conferences", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._clear_faults()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: Request) -> Response:
        try:
            match (request.method, request.path.strip("/").split("/")):
                case ("POST", ["api", "conferences"]):
                    return self._create(request)
                case ("GET", ["api", "conferences"]):
                    return self._list()
                case (("GET" | "PUT" | "DELETE") as verb, ["api", "conferences", conference_id]):
                    return self._call(request, Call(verb, conference_id))
                case ("GET", ["api", "calls"]):
                    return _json({"calls": [asdict(call) for call in self._calls]})
                case ("POST", ["api", "faults"]):
                    return self._fail_next(_object(request))
                case ("DELETE", ["api", "faults"]):
                    return self._clear_faults()
        except _Illegible as problem:
            return _json({"error": str(problem)}, 400)
        return _json({"error": "there is nothing here"}, 404)

    # --- conferences ---

    def _create(self, request: Request) -> Response:
        state = _state(_object(request))
        with self._lock:
            conference = Conference(f"conf-{len(self._conferences) + 1:03}", **state)
            self._conferences[conference.id] = conference
        return _json({"id": conference.id, "join_url": f"{self.url}/j/{conference.id}"}, 201)

    def _list(self) -> Response:
        with self._lock:
            told = [
                {
                    **asdict(each),
                    "calls": [asdict(call) for call in self._calls if call.conference == each.id],
                }
                for each in self._conferences.values()
            ]
        return _json({"conferences": told})

    def _call(self, request: Request, call: Call) -> Response:
        with self._lock:
            self._calls.append(call)
            fault = Fault(refuse=503, body="out of order") if self._outage else self._next_fault()
        self._wait(fault.stall)
        if fault.refuse:
            answer = Response(fault.body, fault.refuse, fault.headers)
        else:
            with self._lock:
                answer = self._act(request, call)
            self._wait(fault.stall_after_acting)
        call.status = answer.status_code
        return answer

    def _act(self, request: Request, call: Call) -> Response:
        conference = self._conferences.get(call.conference)
        if conference is None or conference.deleted:
            return _json({"error": "there is no such conference"}, 404)
        if call.verb == "DELETE":
            conference.deleted = call.did = True
            return Response(status=204)
        if call.verb == "PUT":
            before = asdict(conference)
            vars(conference).update(_state(_object(request)))
            call.did = asdict(conference) != before
            conference.changes += call.did
        return _json({**asdict(conference), "changed": call.did})

    # --- faults ---

    def _fail_next(self, wish: dict[str, Any]) -> Response:
        with self._lock:
            match wish:
                case {"forget": str(conference_id)}:
                    self._conferences.pop(conference_id, None)
                case {"outage": bool(outage)}:
                    self._outage = outage
                case {"refuse": _} | {"stall": _} | {"stall_after_acting": _}:
                    self._faults.append(_fault(wish))
                case _:
                    raise _Illegible("not a fault that this service knows")
        return Response(status=204)

    def _next_fault(self) -> Fault:
        if not self._faults:
            return Fault()
        fault = self._faults[0]
        fault.times -= 1
        if fault.times == 0:
            self._faults.pop(0)
        return fault

    def _clear_faults(self) -> Response:
        with self._lock:
            self._faults.clear()
            self._outage = False
            self._released.set()
            self._released = threading.Event()
        return Response(status=204)

    def _wait(self, seconds: float) -> None:
        if seconds:
            self._released.wait(seconds)


class _Silent(WSGIRequestHandler):
    """GET /api/calls is the log."""

    def log(self, type: str, message: str, *args: object) -> None: ...


class _Illegible(Exception):
    """A body that cannot be read; says why."""


def _object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.get_data())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _Illegible("the body is not a JSON object")
    return body


def _state(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller may set: a title, and two moments."""
    match body:
        case {"title": str(title), "start": str(start), "end": str(end)}:
            return {"title": title, "start": _moment(start), "end": _moment(end)}
    raise _Illegible("a conference has a title, a start and an end")


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Illegible("a time is not ISO 8601") from None
    if moment.tzinfo is None:
        raise _Illegible("a time has no offset")
    return moment.isoformat()


def _fault(wish: dict[str, Any]) -> Fault:
    try:
        return Fault(**wish)
    except TypeError:
        raise _Illegible("not a fault that this service knows") from None


def _json(content: object, status: int = 200) -> Response:
    return Response(json.dumps(content), status, mimetype="application/json")
