"""One process that looks like Google Calendar: HTTP/1.1 on the loopback, with connections that stay open.

Written on the standard library's server rather than werkzeug's, because that one closes every connection: what
clients do with a kept connection that dies is a large part of what this stand-in is for.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from . import acts, forms
from .clock import Clock, Mode
from .control import Control
from .model import Message, Switches
from .oauth import Accounts
from .push import Courier
from .routes import Api
from .tokens import Sealer
from .wire import Answer, Request, json_answer
from .world import World

Json = dict[str, Any]

DEFAULT_ACTS: tuple[Json, ...] = (
    {"do": "add_user", "email": "me@example.com"},
    {"do": "add_user", "email": "you@example.com"},
)


@dataclass(frozen=True)
class Seed:
    """The world to start with: where chance begins, what is switched, what people have done already."""

    random: int = 0
    switches: dict[str, Any] = field(default_factory=dict)
    acts: list[Any] = field(default_factory=lambda: list(DEFAULT_ACTS))


class Simulator:
    """A Google Calendar of one's own. `seed` is a number, or a document as `Seed` describes it."""

    def __init__(
        self,
        port: int = 0,
        seed: int | Mapping[str, Any] | None = None,
        *,
        control: bool = True,
        strict_auth: bool = False,
        clock: Mode = "real",
        push_backoff_s: float = 1.0,
    ) -> None:
        self._seed = Seed(random=seed) if isinstance(seed, int) else forms.read(Seed, dict(seed or {}))
        self.clock = Clock(clock)
        self.world = self._new_world()
        self.accounts = Accounts(strict=strict_auth)
        self.courier = Courier(self.clock, backoff_s=push_backoff_s, told=self._told)
        sealer = Sealer(self.clock.now() if clock == "real" else self.world.seed)
        self.api = Api(self.world, self.accounts, sealer, self.courier.send)
        self.control = Control(self.api, self.clock, self.courier, self._reset) if control else None
        self.stopping = Event()
        self._server = Server(port, self)
        self._threads = [
            Thread(
                target=self._server.serve_forever,
                kwargs={"poll_interval": 0.05},
                name="simulator",
                daemon=True,
            ),
            Thread(target=self._heart, name="simulator-heart", daemon=True),
        ]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> Simulator:
        self.courier.start()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Ends every thread and hangs up on everybody; also right for one that never started."""
        self.stopping.set()
        if self._threads[0].is_alive():
            self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self.courier.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=2.0)

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, request: Request) -> Answer:
        if request.path.startswith("/_sim/"):
            if self.control is None:
                return json_answer(
                    404, {"error": "no control here", "hint": "start the simulator with --control"}
                )
            return self.control.answer(request)
        if (request.verb, request.path) == ("POST", "/token"):
            return self.accounts.exchange(request, self.world.users, self.clock.now())
        answer = self.api.answer(request)
        before = request.path.endswith("/events/watch") and self.world.switches.sync_message == "before"
        if before and answer.status == 200:
            self.courier.idle(5.0)
        return answer

    def _new_world(self) -> World:
        switches = forms.read(Switches, self._seed.switches)
        world = World(self.clock.now, self._seed.random, switches)
        for act in self._seed.acts:
            acts.perform(world, act)
        return world

    def _reset(self) -> None:
        """Back to the seed: the same world, an empty journal, no faults."""
        self.clock.advanced_us = self.clock.skew_us = 0
        vars(self.world).update(vars(self._new_world()))
        self.api.requests.clear()
        self.api.pushes.clear()

    def _told(self, message: Message, status: int) -> None:
        self.api.journal_push(message, status)

    def _heart(self) -> None:
        """What happens by itself happens, even when nobody asks: conferences that were being created."""
        while not self.stopping.wait(0.05):
            with self.api.lock:
                due = self.world.next_due()
                if due is not None and due <= self.clock.now():
                    self.world.settle()
                    self.api.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, simulator: Simulator) -> None:
        self.simulator = simulator
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news; anything else is a bug worth its traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Kept connections end with the server, or they would go on being answered."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it was closing anyway


class Handler(BaseHTTPRequestHandler):
    """Bytes to Request, Answer to bytes, and the ways in which a line can fail."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(self.command, parts.path, query, headers, self._body(headers))
        self._write(self.server.simulator.answer(request))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", ""):
            return self.rfile.read(int(headers.get("content-length", "0")))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return body

    def _write(self, answer: Answer) -> None:
        stopping = self.server.simulator.stopping
        if answer.wait_s:
            stopping.wait(answer.wait_s)
        if answer.line == "silent":
            self._wait_for_hang_up()
        if answer.line in ("silent", "none"):
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.lines is not None:
            self._write_lines(answer.lines)
            return
        if answer.status not in (204, 304):
            self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        half = len(answer.body) // 2 if answer.line == "half" else len(answer.body)
        self.wfile.write(answer.body[:half])
        self.wfile.flush()
        self.close_connection = self.close_connection or answer.line == "half"

    def _write_lines(self, lines: Iterator[bytes]) -> None:
        """Pieces as they come, until the reader hangs up or the simulator stops."""
        self.send_header("connection", "close")
        self.end_headers()
        for line in lines:
            if self.server.simulator.stopping.is_set():
                return
            self.wfile.write(line)
            self.wfile.flush()

    def _wait_for_hang_up(self) -> None:
        """Says nothing until the client gives up or the simulator stops."""
        self.connection.settimeout(0.1)
        while not self.server.simulator.stopping.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def log_message(self, format: str, *args: Any) -> None:
        """The journal is the log."""
