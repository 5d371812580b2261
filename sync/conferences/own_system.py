"""How the conferences of a system on one's own hosts look in an event: only its owner knows (`recognise`)."""

import re
from collections.abc import Mapping
from typing import Any

from sync.conferences.options import Options
from sync.recognise import AUTHORITY, System

_LISTS = ("hosts", "names", "script_ids")
_PATTERNS = ("path", "personal", "id_pattern")
_RECOGNISE = (*_LISTS, *_PATTERNS, "query_id")


def system(options: Options, provider: str) -> System:
    """What the option `recognise` says. Notes every problem, among them what would match somebody else's."""
    raw = options.told.get("recognise", {})
    if not isinstance(raw, Mapping):
        options.problem("recognise is not an object.")
        return System(provider)
    before = len(options.problems)
    options.refuse_unknown(raw, _RECOGNISE, "a key of recognise")
    for name in _LISTS:
        if not _is_texts(raw.get(name, [])):
            options.problem(f"recognise: {name} is not a list of texts.")
    for name in (*_PATTERNS, "query_id"):
        if not isinstance(raw.get(name, ""), str):
            options.problem(f"recognise: {name} is not a text.")
    if len(options.problems) > before or "recognise" not in options.told:
        return System(provider)
    told: dict[str, Any] = {name: tuple(raw[name]) if name in _LISTS else raw[name] for name in raw}
    found = System(provider, **told)
    for doubt in _doubts(found):
        options.problem(f"recognise: {doubt}")
    return found


def _doubts(system: System) -> list[str]:
    """Why a system would recognise nothing, or what is not its own."""
    doubts = [
        "hosts are lower-case names, with or without :port."
        for host in system.hosts
        if host != host.lower() or not AUTHORITY.fullmatch(host) or ".:" in f"{host}:"
    ]
    for name in _PATTERNS:
        doubts += _doubts_of_pattern(name, getattr(system, name), bool(system.query_id))
    if bool(system.hosts) != bool(system.path or system.personal):
        doubts.append("hosts and path prove something only together.")
    if bool(system.names) != bool(system.id_pattern):
        doubts.append("names and id_pattern prove something only together.")
    if not (system.hosts or system.names or system.script_ids):
        doubts.append("it names neither hosts and path, nor names and id_pattern, nor script_ids.")
    return doubts


def _doubts_of_pattern(name: str, pattern: str, id_is_elsewhere: bool) -> list[str]:
    try:
        groups = re.compile(pattern).groups
    except re.error:
        return [f"{name} is not a regular expression."]
    doubts = []
    if pattern and not pattern.startswith("^"):
        doubts.append(f"{name} must begin with ^: it would be found anywhere.")
    if pattern and not groups and not (name == "id_pattern" or (name == "path" and id_is_elsewhere)):
        doubts.append(f"{name} has no group that is the conference's id.")
    return doubts


def _is_texts(raw: object) -> bool:
    return isinstance(raw, list) and all(isinstance(each, str) for each in raw)
