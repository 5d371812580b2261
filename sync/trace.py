"""The trace that a request belongs to (W3C Trace Context): in at a door, on to tasks, to Google and to providers.

Whoever asks us says which it is. So it is believed only as far as its form goes, and nothing of the header itself
is passed on: a trace is hexadecimal digits and one flag. One that nobody told is not invented.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_HEADER = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<id>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})",
    re.ASCII,
)
_SAMPLED = 0b1


@dataclass(frozen=True, slots=True)
class Trace:
    """Which trace, and which span of it asked us."""

    id: str
    span: str
    sampled: bool


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def within(traceparent: str) -> Iterator[None]:
    """All that this thread does belongs to the trace that this header names, if it names one."""
    before = _current.set(_read(traceparent))
    try:
        yield
    finally:
        _current.reset(before)


def current() -> Trace | None:
    """The trace of what is being done."""
    return _current.get()


def onward() -> Mapping[str, str]:
    """The header for a request that is made now, as a new span of the same trace; none outside of a trace."""
    trace = _current.get()
    if trace is None:
        return {}
    return {"traceparent": f"00-{trace.id}-{os.urandom(8).hex()}-{int(trace.sampled):02x}"}


def _read(traceparent: str) -> Trace | None:
    found = _HEADER.fullmatch(traceparent)
    return found and Trace(found["id"], found["span"], bool(int(found["flags"], 16) & _SAMPLED))
