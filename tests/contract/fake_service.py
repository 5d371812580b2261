"""What stand-ins for other people's systems have in common: an HTTP server on this machine that fails as told."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from sync.testing import Failure


@dataclass
class Asked:
    """One call of the API: signing in is none."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        return self.method != "GET"


@dataclass
class _Fault:
    failure: Failure
    suffers: Callable[[Asked], bool]


class FakeService:
    """Answers with `sign_in` and `act`. One lock: a call is acted upon while no other is."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = make_server(
            "127.0.0.1", 0, Request.application(self._answer), threaded=True, request_handler=_Silent
        )
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fail(self, failure: Failure, suffers: Callable[[Asked], bool] = lambda _: True) -> None:
        """The next call that `suffers` says gets this instead of, or after, being acted upon."""
        self._faults.append(_Fault(failure, suffers))

    def calm(self) -> None:
        """Nothing fails any more."""
        self._faults.clear()

    def sign_in(self, request: Request) -> Response | None:
        """The answer to a request that asks for a token; None for any other."""
        raise NotImplementedError

    def act(self, asked: Asked, token: str) -> Response:
        raise NotImplementedError

    def _answer(self, request: Request) -> Response:
        with self._lock:
            if signed_in := self.sign_in(request):
                return signed_in
            body = json.loads(request.get_data()) if request.method in ("PATCH", "POST", "PUT") else {}
            asked = Asked(request.method, request.path, dict(request.args), body)
            self.asked.append(asked)
            fault = next((each for each in self._faults if each.suffers(asked)), None)
            if fault:
                self._faults.remove(fault)
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            acted = None if fault and not fault.failure.after_acting else self.act(asked, token)
        if fault is None:
            assert acted is not None
            return acted
        if fault.failure.silent:
            self._released.wait(30)
        return Response(fault.failure.body, fault.failure.status or 500, dict(fault.failure.headers))


class _Silent(WSGIRequestHandler):
    """What was asked is in `asked`."""

    def log(self, type: str, message: str, *args: object) -> None: ...


def told(content: object, status: int = 200) -> Response:
    return Response(json.dumps(content), status, mimetype="application/json")
