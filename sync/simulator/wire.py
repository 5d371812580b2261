"""What crosses the socket: a request as it came, an answer as it will go, faults of the line included."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Json = dict[str, Any]

MOST_BODY_BYTES = 10_000_000
MOST_DEPTH = 50
GZIP_WINDOW = 31


@dataclass(frozen=True)
class Request:
    verb: str
    path: str  # still percent-encoded
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def param(self, name: str, default: str = "") -> str:
        return dict(self.query).get(name, default)

    def params(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.query if key == name)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    line: Literal["whole", "none", "half", "silent"] = "whole"  # what the client gets to see of it
    wait_s: float = 0.0
    lines: Iterator[bytes] | None = None  # instead of a body: pieces as they come


def json_answer(status: int, content: Any, *, pretty: bool = True, headers: Mapping[str, str] = {}) -> Answer:
    text = json.dumps(content, ensure_ascii=False, indent=1 if pretty else None)
    kind = {"content-type": "application/json; charset=UTF-8"}
    return Answer(status, text.encode(), {**kind, **headers})


def parsed(content: bytes) -> Any:
    """JSON as anybody may send it; ValueError if it is none, or such as no function should have to follow."""
    try:
        value = json.loads(content, parse_constant=_no_number)
    except RecursionError as deep:
        raise ValueError("too deep") from deep
    if _too_deep(value):
        raise ValueError("too deep")
    if b"\\u" in content:
        json.dumps(value, ensure_ascii=False).encode()  # half a character cannot be said again
    return value


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_DEPTH):
        inner = (
            one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))
        )
        level = [item for items in inner for item in items]
    return bool(level)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def unpacked(content: bytes) -> bytes:
    """What was packed with gzip, unless it is larger than a body may be: a small one can hold a very large one."""
    unpacker = zlib.decompressobj(wbits=GZIP_WINDOW)
    whole = unpacker.decompress(content, MOST_BODY_BYTES)
    if not unpacker.eof:
        raise EOFError("cut off, or too large")
    return whole


def compressed(answer: Answer) -> Answer:
    headers = {**answer.headers, "content-encoding": "gzip"}
    return replace(answer, body=gzip.compress(answer.body, 1, mtime=0), headers=headers)
