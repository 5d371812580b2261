"""A call to the outside ends in time, whatever the other side does.

`within` says until when, for all that is called inside of it. A socket of ours asks before each single step how
much time is left, so that an answer which comes byte by byte ends like one that does not come at all. Whoever
cannot be told when to end, a resolver or somebody else's library, is waited for and then left alone (`awaited`):
what it still does by a socket of ours ends in time all the same.
"""

import contextvars
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

_LEFT_ALONE = 64  # calls at a time that are waited for, or were and have not ended yet

_ends_at: contextvars.ContextVar[float | None] = contextvars.ContextVar("ends_at", default=None)
_room = threading.BoundedSemaphore(_LEFT_ALONE)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is called inside ends within this time, and within what was said outside of it.

    Raises TimeoutError if that has passed already.
    """
    outer, ends_at = _ends_at.get(), time.monotonic() + seconds
    before = _ends_at.set(ends_at if outer is None else min(outer, ends_at))
    try:
        left_s()
        yield
    finally:
        _ends_at.reset(before)


def left_s() -> float | None:
    """How many seconds there are; None: nobody has said. Raises TimeoutError when there are none."""
    ends_at = _ends_at.get()
    if ends_at is None:
        return None
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("there is no time left")
    return left


def awaited(call: Callable[[], T]) -> T:
    """What `call` returns or raises; or TimeoutError, and then it goes on in a thread of its own.

    For calls that do no harm if they end late.
    """
    left = left_s()
    if not _room.acquire(timeout=-1 if left is None else left):
        raise TimeoutError("too many calls have not come back")
    result: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            result.set_result(context.run(call))
        except BaseException as error:
            result.set_exception(error)
        finally:
            _room.release()

    try:
        threading.Thread(target=run, daemon=True).start()
    except RuntimeError:
        _room.release()
        raise
    return result.result(left_s())


# --- Sockets ---


class _Bounded:
    """Mixed into a socket: no single step takes longer than there is time."""

    def connect(self, *args: Any) -> None:
        self._bound("connect", *args)

    def do_handshake(self, *args: Any) -> None:
        self._bound("do_handshake", *args)

    def recv_into(self, *args: Any) -> int:
        return int(self._bound("recv_into", *args))

    def recv(self, *args: Any) -> bytes:
        return bytes(self._bound("recv", *args))

    def send(self, *args: Any) -> int:
        return int(self._bound("send", *args))

    def sendall(self, *args: Any) -> None:
        self._bound("sendall", *args)

    def _bound(self, step: str, *args: Any) -> Any:
        self.settimeout(left_s())  # type: ignore[attr-defined]
        return getattr(super(), step)(*args)


class _Socket(_Bounded, socket.socket):
    pass


class _TlsSocket(_Bounded, ssl.SSLSocket):
    pass


def connected(host: str, port: int, most_s: float) -> socket.socket:
    """A socket to the first address of this host that answers; each has its share of the time there is.

    Raises TimeoutError, OSError.
    """
    with within(most_s):
        found = awaited(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        failure: OSError = OSError(f"no address for {port}")
        for tried, (family, kind, protocol, _, address) in enumerate(found):
            bound = _Socket(family, kind, protocol)
            try:
                bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with within((left_s() or 0.0) / (len(found) - tried)):
                    bound.connect(address)
                return bound
            except OSError as error:
                bound.close()
                failure = error
        raise failure


def bounded(context: ssl.SSLContext) -> ssl.SSLContext:
    """This context, whose sockets are ours from now on."""
    context.sslsocket_class = _TlsSocket
    return context
