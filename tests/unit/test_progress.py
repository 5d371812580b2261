"""Long work says how far it is: a line that moves where a person watches, plain lines now and then elsewhere."""

import io
import sys

import pytest

from sync.cli import progress
from sync.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def passes_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.delenv("NO_COLOR", raising=False)
    return now


def worked(monkeypatch: pytest.MonkeyPatch, now: list[float], screen: io.StringIO, total: int) -> str:
    """A hundred steps, one a second."""
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress("counting", total) as told:
        for _ in range(100):
            now[0] += 1.0
            told.step()
    return screen.getvalue()


def test_at_a_terminal_one_line_moves_and_is_gone_in_the_end(
    monkeypatch: pytest.MonkeyPatch, passes_s: list[float]
) -> None:
    out = worked(monkeypatch, passes_s, Terminal(), 100)
    assert "\n" not in out
    first, *_, last, gone = out.split("\r\x1b[K")[1:]
    assert first == "counting 1/100, 1.0/s, 2 min left"
    assert last == "counting 100/100, 1.0/s"
    assert gone == ""


def test_elsewhere_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch, passes_s: list[float]) -> None:
    out = worked(monkeypatch, passes_s, io.StringIO(), 100)
    assert "\x1b" not in out
    assert "\r" not in out
    assert 5 < len(out.splitlines()) <= 11
    assert out.splitlines()[1] == "counting 11/100, 1.0/s, 1 min left"


def test_where_nobody_knows_the_end_none_is_told(
    monkeypatch: pytest.MonkeyPatch, passes_s: list[float]
) -> None:
    out = worked(monkeypatch, passes_s, io.StringIO(), 0)
    assert out.splitlines()[1] == "counting 11, 1.0/s"


def test_who_wants_no_colour_gets_plain_lines_at_a_terminal_too(
    monkeypatch: pytest.MonkeyPatch, passes_s: list[float]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in worked(monkeypatch, passes_s, Terminal(), 100)
