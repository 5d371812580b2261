"""One process that looks like Google Calendar: HTTP/1.1 on the loopback, with connections that stay open.

Written on the standard library's server rather than werkzeug's, because that one closes every connection: what
clients do with a kept connection that dies is a large part of what this stand-in is for.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from . import acts, errors, forms
from .clock import Clock, Mode
from .control import Control
from .model import Message, Switches
from .oauth import Accounts
from .push import Courier
from .routes import Api
from .tokens import Sealer
from .wire import MOST_BODY_BYTES, Answer, Request, json_answer
from .world import World

Json = dict[str, Any]

DEFAULT_ACTS: tuple[Json, ...] = (
    {"do": "add_user", "email": "me@example.com"},
    {"do": "add_user", "email": "you@example.com"},
)
BODY_PATIENCE_S = 20.0  # for each piece of a body that was announced
LINGER_S = 1.0
LONGEST_WAIT_S = 24 * 3600.0
MOST_LINE_BYTES = 65_536


@dataclass(frozen=True)
class Seed:
    """The world to start with: where chance begins, what is switched, what people have done already."""

    random: int = 0
    switches: dict[str, Any] = field(default_factory=dict)
    acts: list[Any] = field(default_factory=lambda: list(DEFAULT_ACTS))


class Simulator:
    """A Google Calendar of one's own. `seed` is a number, or a document as `Seed` describes it.

    `push_backoff_s` is short for the switch `push_pause_s`.
    """

    def __init__(
        self,
        port: int = 0,
        seed: int | Mapping[str, Any] | None = None,
        *,
        control: bool = True,
        strict_auth: bool = False,
        clock: Mode = "real",
        push_backoff_s: float | None = None,
    ) -> None:
        self._seed = Seed(random=seed) if isinstance(seed, int) else forms.read(Seed, dict(seed or {}))
        if push_backoff_s is not None:
            switches = {**self._seed.switches, "push_pause_s": push_backoff_s}
            self._seed = replace(self._seed, switches=switches)
        self.clock = Clock(clock)
        self.world = self._new_world()
        self.accounts = Accounts(strict=strict_auth)
        self.courier = Courier(self.clock, switches=lambda: self.world.switches, told=self._told)
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
        """Back to the seed: the same world, an empty journal, no faults, nothing on its way."""
        self.clock.advanced_us = self.clock.skew_us = 0
        vars(self.world).update(vars(self._new_world()))
        self.courier.forget()
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
    """One thread for each connection; a connection nobody uses stays open as long as the server."""

    daemon_threads = True
    request_queue_size = 1024  # a crowd that arrives at once waits for its threads, and is not sent away

    def __init__(self, port: int, simulator: Simulator) -> None:
        self.simulator = simulator
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news; anything else is a bug worth its traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Kept connections end with the server, or they would go on being answered."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
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

    def __getattr__(self, name: str) -> Any:
        """Every verb is served, if only to be told that the API knows no such thing."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        try:
            request = self._read()
            answer = self.server.simulator.answer(request)
        except errors.ApiError as refusal:  # of the line itself: what else comes on it, nobody can tell
            self._hang_up_with(refusal)
        except Exception:
            self.server.handle_error(self.request, self.client_address)
            self._hang_up_with(errors.backend_error())
        else:
            self._write(answer)

    def _read(self) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            parts = urlsplit(self.path)
        except ValueError as broken:
            raise errors.bad_request("a malformed address") from broken
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        self.connection.settimeout(BODY_PATIENCE_S)
        try:
            body = self._chunks() if "transfer-encoding" in headers else self._measured(headers)
        except TimeoutError as late:
            raise errors.request_timeout() from late
        self.connection.settimeout(None)
        return Request(self.command, parts.path, query, headers, body)

    def _measured(self, headers: Mapping[str, str]) -> bytes:
        length = headers.get("content-length", "0")
        if not re.fullmatch(r"[0-9]{1,18}", length):
            raise errors.bad_request("a malformed Content-Length")
        return self._exactly(int(length), MOST_BODY_BYTES)

    def _chunks(self) -> bytes:
        body = b""
        while size := self._chunk_size():
            body += self._exactly(size, MOST_BODY_BYTES - len(body))
            if self.rfile.readline(3).strip():
                raise errors.bad_request("a chunk longer than it says")
        while self.rfile.readline(MOST_LINE_BYTES).strip():
            pass  # trailers
        return body

    def _chunk_size(self) -> int:
        size = self.rfile.readline(MOST_LINE_BYTES).split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", size):
            raise errors.bad_request("a chunk without its size")
        return int(size, 16)

    def _exactly(self, length: int, most: int) -> bytes:
        if length > most:
            raise errors.too_large()
        content = self.rfile.read(length)
        if len(content) < length:
            raise errors.bad_request("a body cut off")
        return content

    def send_error(self, code: int, message: str | None = None, _: str | None = None) -> None:
        """What the standard library refuses before it is a request, in the words of the API."""
        self.request_version = self.protocol_version
        self._hang_up_with(errors.bad_request(message or "", code))

    def _hang_up_with(self, refusal: errors.ApiError) -> None:
        """The last answer on a line. What was still coming is heard out, or the answer would be lost with it."""
        self.close_connection = True
        self._write(json_answer(refusal.status, refusal.body(), headers={"connection": "close"}))
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_S)
            while self.rfile.read1(MOST_LINE_BYTES):
                pass
        except OSError:
            pass

    def _write(self, answer: Answer) -> None:
        stopping = self.server.simulator.stopping
        if answer.wait_s:
            stopping.wait(min(answer.wait_s, LONGEST_WAIT_S))
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
        if self.command != "HEAD":
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
