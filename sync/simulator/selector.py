"""The `fields` parameter: a partial answer keeps exactly what was named, in the answer's own order."""

from __future__ import annotations

import re
from typing import Any

from .errors import ApiError

Wanted = dict[str, Any]  # name -> Wanted; an empty one means all of it
WORD = re.compile(r"[^,()/\s]+|[,()/]")
MOST_WORDS = 500  # the longest sensible selection has a few dozen, and each may lie within the one before


def parse(text: str) -> Wanted:
    """`a,b(c,d/e)` as nested dicts."""
    words = WORD.findall(text)
    if len(words) > MOST_WORDS:
        raise invalid(f"{text[:60]}…")
    wanted, rest = _list(words)
    if rest or not wanted:
        raise invalid(text)
    return wanted


def select(wanted: Wanted, value: Any) -> Any:
    if not wanted:
        return value
    if isinstance(value, list):
        return [select(wanted, item) for item in value]
    if not isinstance(value, dict):
        return value
    everything = wanted.get("*")
    return {
        name: select(wanted.get(name, everything) or {}, item)
        for name, item in value.items()
        if name in wanted or everything is not None
    }


def _list(words: list[str]) -> tuple[Wanted, list[str]]:
    wanted: Wanted = {}
    while True:
        words = _path(words, wanted)
        if not words or words[0] != ",":
            return wanted, words
        words = words[1:]


def _path(words: list[str], into: Wanted) -> list[str]:
    if not words or words[0] in ",()/":
        raise invalid(words[0] if words else "")
    inner = into.setdefault(words[0], {})
    words = words[1:]
    if words and words[0] == "/":
        return _path(words[1:], inner)
    if words and words[0] == "(":
        found, words = _list(words[1:])
        if not words or words[0] != ")":
            raise invalid("(")
        inner.update(found)
        return words[1:]
    return words


def invalid(what: str) -> ApiError:
    message = f"Invalid field selection {what}"
    return ApiError(400, "invalidParameter", message, location_type="parameter", location="fields")
