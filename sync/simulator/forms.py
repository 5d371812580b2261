"""A JSON object becomes a frozen dataclass, or a sentence that says why it cannot.

One description serves reading and the schema in docs/simulator.md: the annotations of the dataclass.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Json = dict[str, Any]
Form = TypeVar("Form")

TYPES: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    NoneType: "null",
}


SEEN: dict[type[Any], dict[str, Any]] = {}  # annotations, once read


class Misread(ValueError):
    """A body that cannot be understood; the message says which key is to blame."""


def read(kind: type[Form], body: Json) -> Form:
    known = _hints(kind)
    if not isinstance(body, dict):
        raise Misread("not a JSON object")
    for name, value in body.items():
        if name not in known:
            raise Misread(f"unknown key {name!r}; known are {', '.join(known)}")
        if not _fits(known[name], value):
            raise Misread(f"{name} cannot be {value!r}; it is {_told(known[name])}")
    if missing := [name for name in _required(kind) if name not in body]:
        raise Misread(f"{missing[0]} is missing")
    return kind(**body)


def schema(kind: type[Any]) -> Json:
    known = _hints(kind)
    return {
        "type": "object",
        "properties": {name: _schema(annotation) for name, annotation in known.items()},
        "required": _required(kind),
        "additionalProperties": False,
    }


def _hints(kind: type[Any]) -> dict[str, Any]:
    if kind not in SEEN:
        SEEN[kind] = get_type_hints(kind)
    return SEEN[kind]


def _required(kind: type[Any]) -> list[str]:
    return [
        field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING
    ]


def _fits(annotation: Any, value: Any) -> bool:
    if get_origin(annotation) is Literal:
        return value in get_args(annotation) and not isinstance(value, bool)
    if isinstance(annotation, UnionType):
        return any(_fits(option, value) for option in get_args(annotation))
    if isinstance(value, bool):
        return annotation is bool
    if annotation is float:
        return isinstance(value, (int, float)) and isfinite(value)
    return isinstance(value, get_origin(annotation) or annotation)


def _schema(annotation: Any) -> Json:
    if get_origin(annotation) is Literal:
        return {"enum": list(get_args(annotation))}
    options = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    names = [TYPES[get_origin(option) or option] for option in options]
    return {"type": names if len(names) > 1 else names[0]}


def _told(annotation: Any) -> str:
    described = _schema(annotation)
    return (
        " or ".join(map(repr, described["enum"])) if "enum" in described else f"of type {described['type']}"
    )
