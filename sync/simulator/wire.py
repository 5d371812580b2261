"""What crosses the socket: a request as it came, an answer as it will go, faults of the line included."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Json = dict[str, Any]


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


def compressed(answer: Answer) -> Answer:
    headers = {**answer.headers, "content-encoding": "gzip"}
    return replace(answer, body=gzip.compress(answer.body, 1, mtime=0), headers=headers)
