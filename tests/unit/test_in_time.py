"""Time for a call is said once, and everything inside of it keeps to it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sync import in_time

LONG_S, SHORT_S = 60.0, 0.05


def test_nobody_has_said_how_long() -> None:
    assert in_time.left_s() is None


def test_what_is_said_inside_shortens_the_time_and_never_prolongs_it() -> None:
    with in_time.within(LONG_S), in_time.within(1.0), in_time.within(LONG_S):
        assert 0 < (in_time.left_s() or 0) <= 1.0
    with in_time.within(LONG_S):
        with in_time.within(1.0):
            """Over."""
        assert (in_time.left_s() or 0) > 1.0


def test_nothing_is_begun_when_the_time_is_over() -> None:
    with pytest.raises(TimeoutError), in_time.within(-1.0):
        pytest.fail("begun")
    assert in_time.left_s() is None


def test_each_thread_has_its_own_time_but_what_is_awaited_has_its_callers() -> None:
    times: list[float | None] = []
    with in_time.within(1.0):
        stranger = threading.Thread(target=lambda: times.append(in_time.left_s()))
        stranger.start()
        stranger.join()
        ours = in_time.awaited(in_time.left_s)
    assert times == [None]
    assert ours is not None


def test_what_is_awaited_returns_and_raises_as_if_it_were_called() -> None:
    def fail() -> None:
        raise KeyError("as it is")

    assert in_time.awaited(lambda: 7) == 7
    with pytest.raises(KeyError, match="as it is"):
        in_time.awaited(fail)


@pytest.fixture
def over() -> Iterator[threading.Event]:
    over = threading.Event()
    yield over
    over.set()


def test_those_left_alone_are_not_more_and_more(over: threading.Event) -> None:
    """A resolver that hangs for good must not take a thread for every call."""
    before, threads = threading.active_count(), 0
    for _ in range(in_time._LEFT_ALONE + 10):
        with pytest.raises(TimeoutError), in_time.within(0.001):
            in_time.awaited(over.wait)
        threads = max(threads, threading.active_count() - before)
    assert threads == in_time._LEFT_ALONE
    over.set()
    with in_time.within(LONG_S):
        assert in_time.awaited(lambda: "again") == "again"


@pytest.fixture
def full() -> Iterator[tuple[str, int]]:
    """An address where nobody answers a connection: the queue of its listener is full."""
    with ExitStack() as open_, socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        for _ in range(4):
            waiting = open_.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield address


def resolved_to(*addresses: tuple[str, int]) -> Any:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]
    return lambda *_, **__: found


def test_one_address_that_does_not_answer_leaves_time_for_the_next(
    full: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        monkeypatch.setattr(socket, "getaddrinfo", resolved_to(full, address))
        with in_time.connected("many.example", 443, 1.0) as found:
            assert found.getpeername() == address


def test_none_answers(full: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolved_to(full, full, full))
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        in_time.connected("many.example", 443, SHORT_S)
    assert time.monotonic() - began < LONG_S / 10


def test_a_send_that_nobody_reads_ends_in_time() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        in_time.connected(*listener.getsockname(), LONG_S) as line,
        in_time.within(SHORT_S),
        pytest.raises(TimeoutError),
    ):
        line.sendall(bytes(50_000_000))
