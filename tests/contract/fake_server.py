"""What stand-ins for somebody's own server share: a port on this machine, and calls that fail when told."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from sync.testing import PATIENT_S, Failure


@dataclass(frozen=True)
class Asked:
    """One call; header names in lower case."""

    method: str
    path: str
    raw_query: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.raw_query))


@dataclass(frozen=True)
class Told:
    status: int
    kind: str
    content: str


class FakeServer:
    """Subclasses say in `act` what a call does."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._faults: list[tuple[Failure, Callable[[Asked], bool]]] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()

    def fail(self, failure: Failure, suffers: Callable[[Asked], bool] = lambda _: True) -> None:
        """Make the next call that `suffers` says fail; called again, the one after it."""
        self._faults.append((failure, suffers))

    def calm(self) -> None:
        """Nothing fails any more."""
        self._faults.clear()

    def calls(self) -> int:
        return len(self.asked)

    def act(self, asked: Asked) -> Told:
        raise NotImplementedError

    def _answer(self, asked: Asked) -> tuple[Told, Failure | None]:
        with self._lock:
            self.asked.append(asked)
            fault = next((each for each in self._faults if each[1](asked)), None)
            if fault:
                self._faults.remove(fault)
            failure = fault[0] if fault else None
            acted = self.act(asked) if failure is None or failure.after_acting else None
            if failure is None:
                assert acted is not None
                return acted, None
            return Told(failure.status, "text/plain", failure.body), failure

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                told, failure = server._answer(Asked(self.command, parts.path, parts.query, headers, body))
                if failure and failure.silent:
                    server._over.wait(PATIENT_S)
                    return
                content = told.content.encode()
                self.send_response(told.status)
                for name, value in (failure.headers if failure else {"Content-Type": told.kind}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, *_: object) -> None:
                """Silent."""

        return Handler
