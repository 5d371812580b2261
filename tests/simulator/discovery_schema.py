"""The discovery document as a closed JSON Schema: a key that Google does not have is a failure, not a detail."""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from sync.simulator import discovery

Json = dict[str, Any]

FORMATS: dict[str, Json] = {
    "date-time": {"format": "date-time"},
    "date": {"format": "date"},
    "int64": {"pattern": r"^-?\d{1,19}$"},
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
}
KINDS = {"api#channel", "calendar#event", "calendar#events", "calendar#calendar", "calendar#aclRule"}


def closed(schema: Json) -> Json:
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    if schema["type"] == "any":
        return {}
    turned: Json = {"type": schema["type"], **FORMATS.get(schema.get("format", ""), {})}
    if "enum" in schema:
        turned["enum"] = schema["enum"]
    if schema.get("default") in KINDS:
        turned["const"] = schema["default"]
    if "items" in schema:
        turned["items"] = closed(schema["items"])
    if "properties" in schema:
        turned["properties"] = {name: closed(inner) for name, inner in schema["properties"].items()}
        turned["additionalProperties"] = False
    if "additionalProperties" in schema:
        turned["additionalProperties"] = closed(schema["additionalProperties"])
    return turned


@cache
def validator(schema_name: str) -> Draft202012Validator:
    definitions = {name: closed(schema) for name, schema in discovery.document()["schemas"].items()}
    root = {"$defs": definitions, "$ref": f"#/$defs/{schema_name}"}
    return Draft202012Validator(root, format_checker=FormatChecker())


def check_answer(method: str, content: Json) -> None:
    """Raises unless the API could have answered this."""
    response = discovery.methods()[method]["response"]["$ref"]
    validator(response).validate(content)
