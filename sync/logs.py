"""One JSON object a line, as Cloud Logging reads it: a constant event name, and data in flat fields.

Identifiers, counts and codes; never a title, an address, a token or a link. docs/logs.md lists every record.
"""

import json
import logging
import math
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from sync.errors import SyncError

Severity = Literal["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"]
Value = str | int | float | bool | None | Sequence["Value"] | Mapping[str, "Value"]

TEXT_LIMIT = 512
_FRAMES = 40  # of a stack, the innermost: even a runaway recursion stays one readable record
_REPORTED_ERROR = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
# W3C Trace Context, "traceparent Header": version, trace id, parent id, flags.
_TRACEPARENT = re.compile(
    r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}", re.ASCII
)


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
    CONVERGE = "converge"
    CHANNEL_FAILED = "channel_failed"
    SWEEP = "sweep"
    QUEUE_GAVE_UP = "queue_gave_up"
    MISCONFIGURED = "misconfigured"
    LIBRARY = "library"
    BUG = "bug"


def write(record: Record, severity: Severity = "INFO", /, **fields: Value) -> None:
    """Write one line. A field named `trace` is a request's traceparent header, and ties the line to it."""
    _line(record, severity, _plain_fields(fields))


def write_bug(error: BaseException, /, **fields: Value) -> None:
    """Write one line that Error Reporting groups by its stack.

    Without locals, and without the message of an error that is not ours: both may hold what somebody wrote into
    a calendar.
    """
    bug = {"@type": _REPORTED_ERROR, "error": _name(error), "stack_trace": _stack(error)}
    if isinstance(error, SyncError):
        bug["why"] = str(error)[:TEXT_LIMIT]
    _line(Record.BUG, "ERROR", {**_plain_fields(fields), **bug})


def quiet_libraries() -> None:
    """From now on a library's warning tells where it was raised, not what it says: that may hold a URL."""
    logging.getLogger().handlers = [_Wordless(logging.WARNING)]


class _Wordless(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        severity: Severity = "ERROR" if record.levelno >= logging.ERROR else "WARNING"
        write(Record.LIBRARY, severity, logger=record.name, at=f"{record.module}:{record.lineno}")


def _line(record: Record, severity: Severity, fields: Mapping[str, object]) -> None:
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"severity": severity, "message": record, "time": time, **fields}
    # ASCII, so that no control character, line separator or terminal escape in it is ever taken for one; and
    # one call, so that lines of several threads and processes do not mix.
    sys.stdout.write(json.dumps(line, ensure_ascii=True, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _plain_fields(fields: Mapping[str, Value]) -> Mapping[str, object]:
    plain = {name: _plain(value) for name, value in fields.items() if name != "trace"}
    return {**_trace(str(fields.get("trace", ""))), **plain}


def _trace(traceparent: str) -> Mapping[str, str]:
    # Asked for here and not of the settings: a line that says that they are broken has a request too.
    project = os.environ.get("SYNC_PROJECT", "")
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or not project:
        return {}
    return {
        "logging.googleapis.com/trace": f"projects/{project}/traces/{match[1]}",
        "logging.googleapis.com/spanId": match[2],
    }


def _plain(value: Value) -> object:
    """The value as JSON can say it, its texts cut."""
    match value:
        case str():
            return value[:TEXT_LIMIT]
        case float() if not math.isfinite(value):
            return str(value)
        case Mapping():
            return {name[:TEXT_LIMIT]: _plain(inner) for name, inner in value.items()}
        case Sequence():
            return [_plain(inner) for inner in value]
    return value


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _stack(error: BaseException) -> str:
    """Frames in Python's own form, which is what Error Reporting parses, innermost last."""
    frames = [
        f'  File "{_relative(frame.f_code.co_filename)}", line {line}, in {frame.f_code.co_name}'
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return "\n".join(("Traceback (most recent call last):", *frames[-_FRAMES:], _name(error)))


def _relative(path: str) -> str:
    """A source file as its import names it: where this machine keeps it is nobody's business."""
    roots = [root for root in sys.path if root and path.startswith(f"{root}/")]
    return path.removeprefix(f"{max(roots, key=len)}/") if roots else path.rpartition("/")[2]
