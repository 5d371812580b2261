"""main.worker, killed with SIGKILL at the point that the file DEATH names: once, for the file dies first.

Served by functions-framework like the real one. Only the ports are wrapped: what is killed is production code.
"""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from main import worker
from sync import wiring
from sync.conference import Intent
from sync.cursor import PageToken
from sync.ports import Claimed, Progress
from sync.work import Work

__all__ = ["worker"]


def _die(point: str) -> None:
    """Nothing is cleaned up, no lock is given back, no answer is sent."""
    death = Path(os.environ["DEATH"])
    if death.exists() and death.read_text() == point:
        death.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


class _Port:
    """Passes everything on."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


class _Store(_Port):
    def claim(self, *args: Any) -> Any:
        claim = self._port.claim(*args)
        if isinstance(claim, Claimed):
            _die("after claim")
        return claim

    def change(self, hold: Any, body: Any, progress: Progress | None = None) -> Any:
        changed = self._port.change(hold, body, progress)
        if progress is not None and progress.bookmark is not None:
            _die("after record")
        if isinstance(changed[0], Intent):
            _die("after intent")
        return changed

    def close(self, *args: Any) -> Any:
        _die("before close")
        return self._port.close(*args)


class _Calendar(_Port):
    def list_page(self, *args: Any) -> Any:
        page = self._port.list_page(*args)
        if isinstance(page.end, PageToken):
            _die("mid-listing")
        return page


def _mortal() -> Work:
    work = wiring._work()
    outside = work._outside
    work._outside = replace(outside, store=_Store(outside.store), calendar=_Calendar(outside.calendar))
    return work


wiring.work = wiring._Once(_mortal)
