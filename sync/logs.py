"""One JSON object a line, as Cloud Logging reads it: a constant event name, and data in flat fields.

Identifiers, counts and codes; never a title, an address, a token or a link. docs/logs.md lists every record.
"""

import json
import logging
import math
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal, TextIO

from sync import trace
from sync.errors import SyncError
from sync.version import VERSION

Severity = Literal["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"]
Value = str | int | float | bool | None | Sequence["Value"] | Mapping[str, "Value"]

TEXT_LIMIT = 512
_FRAMES = 40  # of a stack, the innermost: even a runaway recursion stays one readable record
_REPORTED_ERROR = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"


class Record(StrEnum):
    """What happened. These names are what filters, metrics and alerts are made of."""

    REQUEST = "request"
    PASS = "pass"
    DECISION = "decision"
    SYNC_TOKEN_GONE = "sync_token_gone"
    NO_SYNC_TOKEN = "no_sync_token"
    ACCESS_LOST = "access_lost"
    ACCOUNT_PAUSED = "account_paused"
    ACCOUNT_ANSWERS = "account_answers"
    ENROLMENT = "enrolment"
    CONVERGE = "converge"
    CHANNEL_FAILED = "channel_failed"
    PUSH_SILENT = "push_silent"
    SWEEP = "sweep"
    STOCK = "stock"
    QUEUE_GAVE_UP = "queue_gave_up"
    MISCONFIGURED = "misconfigured"
    LIBRARY = "library"
    BUG = "bug"


class Asked(StrEnum):
    """Requests that are counted where they are sent, and told with the verdict of the operation they were for."""

    CALENDAR = "calendar_requests"
    PROVIDER = "provider_requests"


# The last word of each kind of operation, and what it tells that others have counted.
_VERDICTS = {
    Record.PASS: (Asked.CALENDAR, Asked.PROVIDER),
    Record.CONVERGE: (Asked.CALENDAR,),
    Record.SWEEP: (),
}


@dataclass(slots=True)
class _Operation:
    id: str
    begun: bool = False  # a line of it was written
    asked: Counter[Asked] = field(default_factory=Counter)


_current: ContextVar[_Operation | None] = ContextVar("operation", default=None)


@contextmanager
def operation(operation_id: str) -> Iterator[None]:
    """Lines that this thread writes within belong together: a pass, or one run of a job."""
    before = _current.set(_Operation(operation_id))
    try:
        yield
    finally:
        _current.reset(before)


def count(asked: Asked) -> None:
    """One request more was sent for the present operation."""
    if (present := _current.get()) is not None:
        present.asked[asked] += 1


def write(record: Record, severity: Severity = "INFO", /, **fields: Value) -> None:
    """Write one line. It also tells who wrote it, and to which request and operation it belongs."""
    caller = sys._getframe(1)
    _line(
        record, severity, _plain(fields), (caller.f_code.co_filename, caller.f_lineno, caller.f_code.co_name)
    )


def write_bug(error: BaseException, /, **fields: Value) -> None:
    """Write one line that Error Reporting groups by its stack.

    Without locals, and without the message of an error that is not ours: both may hold what somebody wrote into
    a calendar.
    """
    frames = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    bug = {"@type": _REPORTED_ERROR, "error": _name(error), "stack_trace": _stack(frames, error)}
    if isinstance(error, SyncError):
        bug["why"] = str(error)[:TEXT_LIMIT]
    _line(Record.BUG, "ERROR", _plain(fields) | bug, frames[-1] if frames else None)


def quiet_libraries() -> None:
    """From now on a library's warning tells where it was raised, not what it says: that may hold a URL."""
    logging.getLogger().handlers = [_Wordless(logging.WARNING)]
    warnings.showwarning = _wordless_warning


class _Wordless(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        severity: Severity = "ERROR" if record.levelno >= logging.ERROR else "WARNING"
        place = (record.pathname, record.lineno, record.funcName or "")
        _line(Record.LIBRARY, severity, {"logger": record.name}, place)


def _wordless_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Of Python's own kind of warnings."""
    del message, file, line
    _line(Record.LIBRARY, "WARNING", {"logger": category.__name__}, (filename, lineno, ""))


_Place = tuple[str, int, str]  # a file, a line of it, and the function there


def _line(record: Record, severity: Severity, fields: Mapping[str, object], place: _Place | None) -> None:
    # ASCII, so that no control character, line separator or terminal escape in it is ever taken for one; and
    # one call, so that lines of several threads and processes do not mix. With LOG_EXECUTION_ID set,
    # functions-framework puts a stream over standard output that makes two calls of it, and changes the span.
    out = getattr(sys.stdout, "stream", sys.stdout)
    entry = _entry(record, severity, fields, place)
    out.write(json.dumps(entry, ensure_ascii=True, separators=(",", ":")) + "\n")
    out.flush()


def _entry(
    record: Record, severity: Severity, fields: Mapping[str, object], place: _Place | None
) -> dict[str, object]:
    """The keys are those that Cloud Logging takes out of a line ("Structured logging", special fields)."""
    at_ns = time.time_ns()
    return {
        **fields,
        "severity": severity,
        "message": record,
        "time": f"{datetime.fromtimestamp(at_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{at_ns % 10**9 // 1000:06}Z",
        # Unlike any other, whichever process writes it: a line that is taken in twice is kept once. And in order.
        "logging.googleapis.com/insertId": f"{at_ns:016x}{os.urandom(6).hex()}",
        "logging.googleapis.com/labels": {"version": VERSION},
        **_source(place),
        **_traced(),
        **_operated(record),
    }


def _source(place: _Place | None) -> Mapping[str, object]:
    if place is None:
        return {}
    file, line, function = place
    source = {"file": _relative(file), "line": str(line), "function": function}
    return {"logging.googleapis.com/sourceLocation": source}


def _traced() -> Mapping[str, object]:
    # Asked for here and not of the settings: a line that says that they are broken has a request too.
    project = os.environ.get("SYNC_PROJECT", "")
    present = trace.current()
    if present is None or not project:
        return {}
    return {
        "logging.googleapis.com/trace": f"projects/{project}/traces/{present.id}",
        "logging.googleapis.com/spanId": present.span,
        "logging.googleapis.com/trace_sampled": present.sampled,
    }


def _operated(record: Record) -> Mapping[str, object]:
    """To which operation a line belongs; with its verdict also what it has cost."""
    present = _current.get()
    if present is None:
        return {}
    told = {"id": present.id, "producer": "sync", "first": not present.begun, "last": record in _VERDICTS}
    present.begun = True
    cost = {asked.value: present.asked[asked] for asked in _VERDICTS.get(record, ())}
    return {"logging.googleapis.com/operation": told, **cost}


def _plain(fields: Mapping[str, Value]) -> dict[str, object]:
    """What there is nothing to say of is left out."""
    return {name: _plain_value(value) for name, value in fields.items() if value not in (None, "")}


def _plain_value(value: Value) -> object:
    """The value as JSON can say it, its texts cut."""
    match value:
        case str():
            return value[:TEXT_LIMIT]
        case float() if not math.isfinite(value):
            return str(value)
        case Mapping():
            return {name[:TEXT_LIMIT]: _plain_value(inner) for name, inner in value.items()}
        case Sequence():
            return [_plain_value(inner) for inner in value]
    return value


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _stack(frames: Sequence[_Place], error: BaseException) -> str:
    """Frames in Python's own form, which is what Error Reporting parses, innermost last."""
    told = [f'  File "{_relative(file)}", line {line}, in {function}' for file, line, function in frames]
    return "\n".join(("Traceback (most recent call last):", *told[-_FRAMES:], _name(error)))


def _relative(path: str) -> str:
    """A source file as its import names it: where this machine keeps it is nobody's business."""
    roots = [root for root in sys.path if root and path.startswith(f"{root}/")]
    return path.removeprefix(f"{max(roots, key=len)}/") if roots else path.rpartition("/")[2]
