"""A server that takes its time: it never falls silent, and never comes to an end."""

import socketserver
import threading
import time
from dataclasses import dataclass
from typing import Self

_LONGEST_S = 20.0  # then it breaks off: a caller that would wait for ever fails all the same


@dataclass(frozen=True)
class Slowness:
    """How an answer begins, and what then comes bit by bit."""

    first: bytes
    piece: bytes
    every_s: float = 0.01


_OK = b"HTTP/1.1 200 OK\r\n"
_JSON = _OK + b"Content-Type: application/json\r\n"
_CHUNKED = _JSON + b"Transfer-Encoding: chunked\r\n\r\n"
SLOWNESS = {
    "silence": Slowness(b"", b"", 1.0),
    "the line of the status": Slowness(b"HTTP/1.1 200 ", b"O"),
    "a provisional answer, again and again": Slowness(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a header": Slowness(_OK + b"X-Long: ", b"x"),
    "ever more headers": Slowness(_OK, b"X: y\r\n", 0.1),  # of which a client takes but a hundred
    "the body": Slowness(_JSON + b"Content-Length: 1000000\r\n\r\n", b" "),
    "a body without a length": Slowness(_JSON + b"\r\n", b" "),
    "the size of a chunk": Slowness(_CHUNKED, b"0"),
    "a chunk": Slowness(_CHUNKED + b"fffff\r\n", b" "),
    "small chunks": Slowness(_CHUNKED, b"1\r\n \r\n"),
    "what follows the last chunk": Slowness(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n", 0.1),
}


class SlowServer(socketserver.ThreadingTCPServer):
    """Answers whatever it is asked with `slowness`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, slowness: Slowness) -> None:
        super().__init__(("127.0.0.1", 0), _Line)
        self.slowness = slowness
        self.asked = 0
        self.over = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()


class _Line(socketserver.StreamRequestHandler):
    server: SlowServer

    def handle(self) -> None:
        slow, until = self.server.slowness, time.monotonic() + _LONGEST_S
        while self.rfile.readline().strip():
            """The request, but for its body."""
        self.server.asked += 1
        try:
            self.wfile.write(slow.first)
            while not self.server.over.wait(slow.every_s) and time.monotonic() < until:
                self.wfile.write(slow.piece)
        except OSError:
            return  # nobody listens any more
