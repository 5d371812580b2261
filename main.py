"""Two doors. `webhook` is public and only keeps a wake; `worker` is private and does the work.

Method and path, one call inward, errors to status, one log record: nothing else happens here.
"""

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from flask import Request, Response, jsonify

from sync import logs, trace, wiring
from sync.errors import Misconfigured, Rejected, SyncError, Transient
from sync.receive import Reception
from sync.version import VERSION

if TYPE_CHECKING:
    from sync.reservation import Reply

Route = Callable[[Request], Response]

# Google sends again on 500, 502, 503 and 504 only; to a refusal we say what we say to a success.
_RECEPTION_STATUS = {
    Reception.WOKEN: 204,
    Reception.HELLO: 204,
    Reception.REFUSED: 204,
    Reception.NOT_YET: 503,
}


def webhook(request: Request) -> Response:
    """Google's push notifications (POST /), calendars that come and go (/enrol), a sign of life (GET /status)."""
    return _enter(request, _WEBHOOK, misconfigured=503)  # 503: Google keeps the hint until it is mended


def worker(request: Request) -> Response:
    """The queue's tasks, the scheduler's jobs, and the questions of a Jitsi server."""
    return _enter(request, _WORKER, misconfigured=500)


def _notified(request: Request) -> Response:
    receiver = wiring.receiver()
    reception = receiver.receive(request.headers)
    status = _RECEPTION_STATUS[reception]
    if reception is Reception.WOKEN or reception is Reception.HELLO:
        _record(request, status, reception=reception.name.lower(), refused_before=receiver.refused())
    return Response(status=status)


def _asked(request: Request) -> Response:
    admission = wiring.admission()
    if admission is None:
        return Response(status=404)
    # A body in chunks does not say how long it is: it counts as too long.
    length = sys.maxsize if "Transfer-Encoding" in request.headers else request.content_length or 0
    authorization = request.headers.get("Authorization", "")
    answer = admission.admit(request.method, authorization, length, lambda: request.get_data(cache=False))
    if answer.status != 401:  # those are not worth a line: anybody can write them
        accepted = answer.status == 202
        _record(
            request, answer.status, "INFO" if accepted else "WARNING", why="" if accepted else answer.word
        )
    response = jsonify(answer.body)
    response.status_code = answer.status
    if answer.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if answer.wait_s:
        response.headers["Retry-After"] = str(answer.wait_s)
    return response


def _task(request: Request) -> Response:
    wiring.work().task(request.get_data(cache=False))
    return _done(request)


def _converge(request: Request) -> Response:
    wiring.work().converge()
    return _done(request)


def _sweep(request: Request) -> Response:
    wiring.work().sweep()
    return _done(request)


def _reserve(request: Request) -> Response:
    reservations = wiring.work().reservations
    if reservations is None:
        return Response(status=404)
    return _replied(
        request, reservations.reserve(request.form.get("name", ""), request.form.get("mail_owner", ""))
    )


def _look_up_reservation(request: Request) -> Response:
    reservations = wiring.work().reservations
    if reservations is None:
        return Response(status=404)
    return _replied(request, reservations.look_up(request.path.removeprefix(_RESERVATION)))


def _end_reservation(request: Request) -> Response:
    """The room is empty, or its time is over. The slot stays what the calendar says."""
    return Response(status=404) if wiring.work().reservations is None else _done(request)


def _webhook_status(_: Request) -> Response:
    wiring.receiver()
    return jsonify(version=VERSION, ready=True)


def _worker_status(_: Request) -> Response:
    wiring.work()
    return jsonify(version=VERSION, ready=True)


_RESERVATION = "/reservations/conference/"  # and an id

_WEBHOOK: Mapping[str, Mapping[str, Route]] = {
    "/": {"POST": _notified},
    "/enrol": {"POST": _asked, "DELETE": _asked},
    "/status": {"GET": _webhook_status},
}
_WORKER: Mapping[str, Mapping[str, Route]] = {
    "/tasks": {"POST": _task},
    "/jobs/converge": {"POST": _converge},
    "/jobs/sweep": {"POST": _sweep},
    "/reservations/conference": {"POST": _reserve},
    _RESERVATION: {"GET": _look_up_reservation, "DELETE": _end_reservation},
    "/status": {"GET": _worker_status},
}


def _enter(request: Request, routes: Mapping[str, Mapping[str, Route]], misconfigured: int) -> Response:
    """Find the route; turn what it raises into a status and a record. No answer but a status tells anything."""
    methods = routes.get(_place(request))
    if methods is None:
        return Response(status=404)
    route = methods.get(request.method)
    if route is None:
        return Response(status=405, headers={"Allow": ", ".join(methods)})
    with trace.within(request.headers.get("traceparent", "")):
        return _follow(route, request, misconfigured)


def _follow(route: Route, request: Request, misconfigured: int) -> Response:
    try:
        return route(request)
    except Misconfigured as error:
        logs.write(logs.Record.MISCONFIGURED, "CRITICAL", problems=list(error.problems))
        return Response(status=misconfigured)
    except Rejected as error:
        return _record(request, 400, "WARNING", why=str(error))
    except Transient as error:
        return _record(request, 503, "WARNING", why=str(error))
    except SyncError as error:  # raised on purpose, but not for us: somebody must look, and it comes again
        return _record(request, 500, "ERROR", why=str(error))
    except Exception as error:  # a bug of ours: told once, in full, and the request is sent again
        logs.write_bug(error, httpRequest=_told(request, 500))
        return Response(status=500)


def _place(request: Request) -> str:
    """The path without the id in it, which would tell a log how a room is called."""
    return _RESERVATION if request.path.startswith(_RESERVATION) else request.path


def _replied(request: Request, reply: "Reply") -> Response:
    _record(request, reply.status)
    answer = jsonify(reply.body)
    answer.status_code = reply.status
    return answer


def _done(request: Request) -> Response:
    return _record(request, 204)


def _record(
    request: Request, status: int, severity: logs.Severity = "INFO", **fields: logs.Value
) -> Response:
    logs.write(
        logs.Record.REQUEST, severity, httpRequest=_told(request, status), **_delivery(request), **fields
    )
    return Response(status=status)


def _delivery(request: Request) -> Mapping[str, float]:
    """How late a task is, and how often it was tried, as the queue says (Cloud Tasks: "Task request headers")."""
    if request.path != "/tasks":
        return {}
    try:
        due_at = float(request.headers["X-CloudTasks-TaskETA"])
        attempt = int(request.headers["X-CloudTasks-TaskRetryCount"]) + 1
    except (KeyError, ValueError):
        return {}
    return {"waited_s": round(max(0.0, time.time() - due_at), 3), "attempt": attempt}


def _told(request: Request, status: int) -> Mapping[str, logs.Value]:
    """As Cloud Logging has it. Who asked, and how long it took, the platform's own record of the request tells."""
    return {"requestMethod": request.method, "requestUrl": _place(request), "status": status}
