"""What the providers for systems on one's own hosts are told of them, and how it is judged.

Where the system is (`url`) and how its conferences look in an event (`recognise`) only its owner knows. A private
address is as good as any: the URL is the operator's, and nothing in an event can change it.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from sync.conferences import Secret
from sync.errors import AuthFailed, Misconfigured, nearest
from sync.recognise import AUTHORITY, LOOPBACK, System

_LISTS = ("hosts", "names", "script_ids")
_PATTERNS = ("path", "personal", "id_pattern")
_RECOGNISE = (*_LISTS, *_PATTERNS, "query_id")


class Options:
    """A provider's options, and every problem there is with them."""

    def __init__(
        self, options: Mapping[str, object], needed: Collection[str], others: Collection[str]
    ) -> None:
        self.problems: list[str] = []
        self.options = options
        self.refuse_unknown(options, (*needed, *others), "an option")
        for name in needed:
            if name not in options:
                self.problem(f"the option {name} is missing.")

    def problem(self, sentence: str) -> None:
        self.problems.append(sentence)

    def refuse_unknown(self, names: Collection[str], known: Collection[str], what: str) -> None:
        for name in names:
            if name not in known:
                self.problem(f"{name} is not {what}{nearest(name, known)}")

    def check(self) -> None:
        """Raises Misconfigured with every problem."""
        if self.problems:
            raise Misconfigured(self.problems)

    @property
    def on_loopback(self) -> bool:
        """Whether the system is on this very machine, where nothing is secret."""
        url = self.options.get("url")
        return isinstance(url, str) and _place(url)[1] == "loopback"

    def url(self) -> str:
        """The system's root, or its only address."""
        url = self.options.get("url", "https://missing.invalid")
        scheme, host = _place(url) if isinstance(url, str) else ("", "")
        if not host:
            self.problem("url is not of the form https://host/path, without a user, a query or a last slash.")
        elif scheme != "https" and host != "loopback":
            self.problem("url must begin with https://, except on this very machine.")
        return str(url)

    def system(self, provider: str) -> System:
        """How the conferences look in an event."""
        raw = self.options.get("recognise", {})
        if not isinstance(raw, Mapping):
            self.problem("recognise is not an object.")
            return System(provider)
        before = len(self.problems)
        self.refuse_unknown(raw, _RECOGNISE, "a key of recognise")
        for name in _LISTS:
            if not _is_texts(raw.get(name, [])):
                self.problem(f"recognise: {name} is not a list of texts.")
        for name in (*_PATTERNS, "query_id"):
            if not isinstance(raw.get(name, ""), str):
                self.problem(f"recognise: {name} is not a text.")
        if len(self.problems) > before:
            return System(provider)
        told: dict[str, Any] = {name: tuple(raw[name]) if name in _LISTS else raw[name] for name in raw}
        system = System(provider, **told)
        self.problems += [f"recognise: {problem}" for problem in _doubts(system)]
        return system


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


def _place(url: str) -> tuple[str, str]:
    """The scheme of a URL and its host, `loopback` if that is this machine; empty when there is any doubt."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    authority = AUTHORITY.fullmatch(parts.netloc)
    bare = url.isprintable() and not re.search(r"[?#\\ ]", url) and not parts.path.endswith("/", 1)
    if authority is None or not bare or parts.scheme not in ("http", "https"):
        return "", ""
    if int(authority["port"] or 0) > 65535:
        return "", ""
    host = authority["host"].lower()
    return parts.scheme, "loopback" if LOOPBACK.fullmatch(host) else host


def shown(kept: Secret | str) -> str:
    """A secret's text, fit for a header. Raises AuthFailed, Transient."""
    text = kept.read() if isinstance(kept, Secret) else kept
    if not (text.isascii() and text.isprintable()):
        raise AuthFailed(f"{kept!r} holds what no header can: it must be one line of plain characters")
    return text


def _is_texts(raw: object) -> bool:
    return isinstance(raw, list) and all(isinstance(each, str) for each in raw)
