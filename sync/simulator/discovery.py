"""What the API itself says exists: methods, parameters and fields, read from the public discovery document.

The document ships inside google-api-python-client. Where that is not installed nothing is checked, and the journal
says so, rather than pretending that everything was known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Json = dict[str, Any]

KINDS: dict[str, type[Any] | tuple[type[Any], ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "array": list,
    "object": dict,
}
PATTERNS = {"boolean": r"true|false", "integer": r"-?\d+"}


@cache
def document() -> Json:
    """The whole document; empty where it is not installed."""
    spec = find_spec("googleapiclient")
    if spec is None or not spec.submodule_search_locations:
        return {}
    folder = Path(spec.submodule_search_locations[0])
    content: Json = json.loads((folder / "discovery_cache/documents/calendar.v3.json").read_text())
    return content


@cache
def methods() -> dict[str, Json]:
    """Every method of the API by name: events.list, channels.stop …"""
    found: dict[str, Json] = {}

    def walk(resource: Json) -> None:
        for method in resource.get("methods", {}).values():
            found[method["id"].removeprefix("calendar.")] = method
        for inner in resource.get("resources", {}).values():
            walk(inner)

    walk(document())
    return found


def unknown_to_api(method: str, query: Iterable[tuple[str, str]], body: Any) -> list[str] | None:
    """The parameters and fields of a request that the API does not know; None if there is nothing to ask."""
    described = methods().get(method)
    if described is None:
        return None
    parameters = {**document()["parameters"], **described.get("parameters", {})}
    wrong = [problem for name, value in query for problem in _wrong_parameter(parameters, name, value)]
    return wrong + [f"unknown field {path}" for path, kind in _problems(described, body) if kind == "unknown"]


def misfits(method: str, body: Any) -> list[str]:
    """The fields of a body whose values are of another type than the API says."""
    described = methods().get(method, {})
    return [path for path, kind in _problems(described, body) if kind == "type"]


def unknown_selection(method: str, wanted: Json) -> str:
    """The first name in a `fields` selection that the answer cannot have."""
    response = methods().get(method, {}).get("response")
    return _unselectable(response, wanted) if response else ""


def _wrong_parameter(parameters: Json, name: str, value: str) -> list[str]:
    described = parameters.get(name)
    if described is None or described.get("location") != "query":
        return [f"unknown parameter {name}"]
    fits = re.fullmatch(PATTERNS.get(described["type"], r"[\s\S]*"), value)
    if not fits or value not in described.get("enum", [value]):
        return [f"parameter {name} cannot be {value}"]
    return []


def _problems(method: Json, body: Any) -> Iterator[tuple[str, str]]:
    if body is not None and "request" in method:
        yield from _walk({"$ref": method["request"]["$ref"]}, body, "")


def _walk(schema: Json, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Where a value departs from its schema: an unknown field, or another type. null erases, and always fits."""
    schema = _resolved(schema)
    kind = KINDS.get(schema.get("type", ""), object)
    if value is None:
        return
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        yield path, "type"
    elif isinstance(value, list):
        for item in value:
            yield from _walk(schema.get("items", {}), item, path)
    elif isinstance(value, dict):
        known, more = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in value.items():
            inner = known.get(name, more)
            where = f"{path}.{name}".lstrip(".")
            if inner is None:
                yield where, "unknown"
            else:
                yield from _walk(inner, item, where)


def _unselectable(schema: Json, wanted: Json) -> str:
    schema = _resolved(schema)
    schema = _resolved(schema.get("items", schema))
    known, more = schema.get("properties", {}), schema.get("additionalProperties")
    for name, inner in wanted.items():
        if name == "*":
            continue
        below = known.get(name, more)
        if below is None:
            return name
        if unknown := _unselectable(below, inner):
            return unknown
    return ""


def _resolved(schema: Json) -> Json:
    if "$ref" not in schema:
        return schema
    named: Json = document()["schemas"][schema["$ref"]]
    return named
