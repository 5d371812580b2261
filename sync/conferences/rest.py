"""A system that is a plain REST API, told by templates instead of code: docs/providers/rest.md.

rest_template.py fills them. What of a meeting the templates of `update` hold, the system can be told: its
capabilities are read off them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sync.conferences import Context, Secret
from sync.conferences.http import Answer, Http
from sync.conferences.options import ELSEWHERE, Options, header
from sync.conferences.own_system import system
from sync.conferences.rest_template import (
    FIELDS,
    LISTS,
    LOCAL,
    OF_THE_CALL,
    Value,
    as_text,
    capabilities_of,
    fields_of,
    filled,
    is_cut,
    leaves,
    of_call,
    of_meeting,
    parts_of,
    sound_fields,
)
from sync.conferences.told import NOT_OURS, address, moment
from sync.errors import Gone, Refused, Transient, Unsupported, nearest
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import System

_METHODS = {
    "update": ("PATCH", "PUT", "POST"),
    "delete": ("DELETE", "POST", "PUT", "PATCH"),
    "read": ("GET",),
}
_ANSWERS = {"read": ("title", "start", "end", "join_url", "time_zone"), "update": ("join_url",), "delete": ()}
_GONE = frozenset(range(400, 500)) - {401, 403, 408, 423, 425, 429}  # those have a meaning of their own
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_CREDENTIAL = re.compile(r"authorization|cookie|key|token|secret|password", re.IGNORECASE)


class Rest:
    """The client. Options: `url`, `recognise`, `update`, `delete`; `headers`, `read`, `gone`."""

    name = "rest"

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        told = Options(options, ("url", "recognise", "update", "delete"), ("headers", "read", "gone"))
        url = told.url()
        self.system: System = system(told, self.name)
        self._update = _Operation.of(told, "update")
        self._delete = _Operation.of(told, "delete")
        self._read = _Operation.of(told, "read") if "read" in options else None
        self._headers = _headers(told)
        self._gone = _gone(told)
        self._told = capabilities_of(self._update.fields)
        says_where = any(each and "join_url" in each.answer for each in (self._update, self._read))
        self.capabilities = self._told | ({"read"} if self._read else set())
        self.capabilities |= {"join_url"} if says_where else set()
        if not told.problems and not self._told:
            told.problem("update: it tells nothing of a meeting: neither title nor times.")
        told.check()
        self._http = Http(url, connect_s=context.connect_s, read_s=context.read_s)
        self.call_s = self._http.call_s

    def read(self, target: Target) -> Actual | None:
        if self._read is None:
            raise Unsupported("the settings do not say how a conference is read")
        try:
            answer = self._call(self._read, of_call(target))
        except Gone:
            return None
        return _actual(answer, self._read.answer)

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        tells_zone = "time_zone" in self._update.fields
        if tells_zone and "recurrence" in self.capabilities and meeting.recurrence and meeting.zone is None:
            raise Unsupported("in an unknown time zone a series would drift")
        answer = self._call(self._update, {**of_call(target), **of_meeting(meeting)})
        answer.json()
        told, partly = self._told, is_cut(meeting, self._update.fields)
        wanted = [word for word, value in parts_of(meeting).items() if value]
        applied = tuple(word for word in wanted if word in told and not (partly and word == "recurrence"))
        unknown = meeting.zone is None and tells_zone
        note = "its time zone is not known here: told in UTC" if unknown else ""
        ignored = tuple(word for word in wanted if word not in applied)
        return Outcome(True, applied, ignored, note, _join_url(answer, self._update.answer))

    def delete(self, target: Target) -> Outcome:
        try:
            self._call(self._delete, of_call(target)).json()
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=True)

    def _call(self, operation: "_Operation", values: Mapping[str, Value]) -> Answer:
        """One call that succeeded. Raises as http.py says; of what is gone the settings have the last word."""
        body = filled(operation.body, values)
        query = filled(operation.query, values)
        assert isinstance(query, dict), "settings with another are refused"
        answer = self._http.send(
            operation.method,
            *(str(filled(segment, values)) for segment in operation.path),
            query={name: as_text(value) for name, value in query.items() if value is not None},
            headers={name: "".join(map(_shown, parts)) for name, parts in self._headers.items()},
            body=body if isinstance(body, dict) else None,
        )
        if answer.status in self._gone:
            raise Gone(f"{answer.method}: {answer.status} from {answer.host}")
        if answer.status in (404, 410):
            raise Refused(f"{answer.method}: {answer.status} from {answer.host}, which does not mean gone")
        self._http.judge(answer)
        return answer


@dataclass(frozen=True)
class _Operation:
    """One of the calls: what is sent, with fields in it, and where in the answer is what."""

    method: str = ""
    path: tuple[str, ...] = ()
    query: Mapping[str, object] = field(default_factory=dict)
    body: object = None
    answer: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Options, name: str) -> "_Operation":
        raw = told.told.get(name)
        if not isinstance(raw, Mapping):
            if name in told.told:
                told.problem(f"{name} is not an object.")
            return cls()
        sends = () if name == "read" else ("body",)
        told.refuse_unknown(raw, ("method", "path", "query", *sends, *_ANSWERS[name]), f"a key of {name}")
        operation = cls(
            method=raw.get("method", _METHODS[name][0]),
            path=tuple(str(raw.get("path", "")).split("/")[1:]),
            query=raw.get("query", {}),
            body=raw.get("body"),
            answer={key: raw[key] for key in _ANSWERS[name] if key in raw},
        )
        known = FIELDS if name == "update" else OF_THE_CALL
        for problem in operation._problems(name, str(raw.get("path", "")), known):
            told.problem(f"{name}: {problem}")
        return operation

    @property
    def fields(self) -> set[str]:
        """Every field that is in it; of a text with a mistake, none."""
        return {name for leaf in self._leaves() for name in sound_fields(leaf)}

    def _leaves(self) -> Iterator[object]:
        yield from leaves([list(self.path), self.query, self.body])

    def _problems(self, name: str, path: str, known: frozenset[str]) -> Iterator[str]:
        if self.method not in _METHODS[name]:
            yield f"method is none of {', '.join(_METHODS[name])}."
        if not path.startswith("/") or re.search(r"[?#\\]", path) or not all(s.strip(".") for s in self.path):
            yield "path is not of the form /meetings/{conference_id}."
        if not isinstance(self.query, Mapping) or any(
            isinstance(v, dict | list) for v in self.query.values()
        ):
            yield "query is not an object of single values."
        if self.body is not None and not isinstance(self.body, dict):
            yield "body is not an object."
        if name == "read" and not self.answer:
            yield f"it names none of {', '.join(_ANSWERS[name])}: where in the answer they are."
        if not all(isinstance(where, str) and all(where.split(".")) for where in self.answer.values()):
            yield f"{', '.join(_ANSWERS[name])} are names in the answer, with dots between them."
        yield from self._problems_of_fields(known)

    def _problems_of_fields(self, known: frozenset[str]) -> Iterator[str]:
        for leaf in self._leaves():
            try:
                names = list(fields_of(leaf))
            except ValueError:
                yield "a text has a brace that begins or ends no field; a brace itself is written twice: {{."
                continue
            for each in names:
                if each in FIELDS - known:
                    yield f"{{{each}}} is not known when there is no meeting any more."
                elif each not in known:
                    yield f"{{{each}}} is not a field{nearest(each, known)}"
            if LISTS & set(names) and leaf != f"{{{names[0]}}}":
                yield f"{{{names[0]}}} is a list, and stands alone in its text."
        for each in sorted(
            {name for text in self.path for name in sound_fields(text)} & FIELDS - OF_THE_CALL
        ):
            yield f"{{{each}}} may be in no path, which others log."
        for each in sorted({name for text in leaves(self.query) for name in sound_fields(text)} & LISTS):
            yield f"{{{each}}} is a list, which no query can hold."
        if "conference_id" not in self.fields:
            yield "it does not say which: {conference_id} is nowhere in it."
        if self.fields & LOCAL and "time_zone" not in self.fields:
            yield "local times say nothing without {time_zone}."


# --- Other options, and the answer ---


def _headers(told: Options) -> dict[str, list[str | Secret]]:
    """Each header in its parts: texts and secrets. What looks like credentials is no text."""
    raw = told.told.get("headers", {})
    if not isinstance(raw, Mapping):
        told.problem("headers is not an object.")
        return {}
    headers: dict[str, list[str | Secret]] = {}
    for name, value in raw.items():
        parts = value if isinstance(value, list) else [value]
        if not _HEADER.fullmatch(name):
            told.problem("headers: a name is letters, digits and -.")
        elif not parts or not all(isinstance(part, Secret) or _is_plain(part) for part in parts):
            told.problem(f"headers: {name} is not a text, a secret, or a list of them.")
        elif not (told.on_loopback or _has_secret(parts)) and _CREDENTIAL.search(name):
            told.problem(f'headers: {name} must be kept elsewhere, as in ["Bearer ", {ELSEWHERE}].')
        headers[name] = parts
    return headers


def _shown(part: str | Secret) -> str:
    return header(part) if isinstance(part, Secret) else part


def _is_plain(part: object) -> bool:
    return isinstance(part, str) and part.isascii() and part.isprintable()


def _has_secret(parts: list[str | Secret]) -> bool:
    return any(isinstance(part, Secret) for part in parts)


def _gone(told: Options) -> frozenset[int]:
    raw = told.told.get("gone", [404, 410])
    if isinstance(raw, list) and all(type(status) is int and status in _GONE for status in raw):
        return frozenset(raw)
    told.problem("gone is not a list of statuses from 400 to 499; some of them always mean something else.")
    return frozenset()


def _actual(answer: Answer, places: Mapping[str, str]) -> Actual:
    """The conference as the answer tells it; one that lacks what the settings say it has proves nothing."""
    answer.json()
    said = {name: answer.said(*at.split(".")) for name, at in places.items() if name != "join_url"}
    if not all(isinstance(value, str) for value in said.values()):
        raise Transient(NOT_OURS)
    times = {name: moment(said[name]) for name in ("start", "end") if name in said}
    title, zone = (str(said[name]) if name in said else None for name in ("title", "time_zone"))
    return Actual(title, times.get("start"), times.get("end"), _join_url(answer, places), zone)


def _join_url(answer: Answer, places: Mapping[str, str]) -> str:
    return address(answer.said(*places["join_url"].split("."))) if "join_url" in places else ""
