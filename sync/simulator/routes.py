"""The HTTP API around the served methods: routing, speakers, faults of the line, partial answers, the journal."""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Condition
from typing import Any
from urllib.parse import parse_qsl, unquote

from . import documents, errors, selector
from .clock import http_date, rfc3339
from .discovery import methods, misfits, unknown_selection, unknown_to_api
from .faults import RequestFault
from .methods import Call, Methods
from .model import Message
from .oauth import Accounts, bearer
from .tokens import Sealer
from .wire import Answer, Request, compressed, json_answer, parsed, unpacked
from .world import World

Json = dict[str, Any]

PREFIX = "/calendar/v3"
CALENDAR = r"/calendars/(?P<calendarId>[^/]+)"
EVENTS = CALENDAR + "/events"
EVENT = EVENTS + r"/(?P<eventId>[^/]+)"
RULE = CALENDAR + r"/acl/(?P<ruleId>[^/]+)"
ROUTES = [
    (verb, re.compile(pattern), method)
    for verb, pattern, method in (
        ("GET", EVENTS, "events.list"),
        ("POST", EVENTS, "events.insert"),
        ("POST", EVENTS + "/import", "events.import"),
        ("POST", EVENTS + "/watch", "events.watch"),
        ("GET", EVENT, "events.get"),
        ("PATCH", EVENT, "events.patch"),
        ("PUT", EVENT, "events.update"),
        ("DELETE", EVENT, "events.delete"),
        ("GET", EVENT + "/instances", "events.instances"),
        ("POST", EVENT + "/move", "events.move"),
        ("POST", "/channels/stop", "channels.stop"),
        ("GET", "/users/me/calendarList", "calendarList.list"),
        ("GET", r"/users/me/calendarList/(?P<calendarId>[^/]+)", "calendarList.get"),
        ("POST", "/calendars", "calendars.insert"),
        ("GET", CALENDAR, "calendars.get"),
        ("DELETE", CALENDAR, "calendars.delete"),
        ("GET", CALENDAR + "/acl", "acl.list"),
        ("POST", CALENDAR + "/acl", "acl.insert"),
        ("GET", RULE, "acl.get"),
        ("PATCH", RULE, "acl.patch"),
        ("PUT", RULE, "acl.update"),
        ("DELETE", RULE, "acl.delete"),
    )
]
JOURNAL_LENGTH = 200_000
HEARTBEAT_S = 1.0
COMMON_HEADERS = {
    "cache-control": "no-cache, no-store, max-age=0, must-revalidate",
    "vary": "Origin, X-Origin, Referer",
    "server": "ESF",
    "x-content-type-options": "nosniff",
}
ERROR_PAGE = (
    "<!DOCTYPE html>\n<html lang=en>\n<title>Error {0} (Server Error)!!1</title>\n"
    "<p><b>{0}.</b> <ins>That’s an error.</ins>\n"
)


class Api:
    """One request at a time touches the world; answers are written outside the lock."""

    def __init__(
        self, world: World, accounts: Accounts, sealer: Sealer, deliver: Callable[[list[Message]], None]
    ) -> None:
        self.world = world
        self.accounts = accounts
        self.lock = Condition()  # held around everything that touches the world; tells of new journal entries
        self.requests: deque[Json] = deque(maxlen=JOURNAL_LENGTH)
        self.pushes: deque[Json] = deque(maxlen=JOURNAL_LENGTH)
        self._followers: list[deque[Json]] = []
        self._methods = Methods(world, sealer)
        self._deliver = deliver

    def answer(self, request: Request) -> Answer:
        request = _overridden(request)
        method, path = _route(request)
        method = method or self.accounts.endpoint(request)
        with self.lock:
            self.world.settle()
            token = bearer(request)
            calendar = self._named_calendar(token, path)
            faults = self.world.faults.take(method, calendar, token)
            entry: Json = {"method": method, "calendar": calendar, "event": path.get("eventId", "")}
            answer = self._answered(request, method, path, faults, entry)
            self._record(request, entry, answer, faults)
            self.flush()
        return answer

    def flush(self) -> None:
        """Hands over what the world wants told, and wakes who waits for a change. Called with the lock held."""
        messages, self.world.channels.outbox = self.world.channels.outbox, []
        self._deliver(messages)
        self.lock.notify_all()

    def journal_push(self, message: Message, status: int) -> None:
        """A notification and what the receiver said to it; 0 if nothing."""
        entry = {
            "channel": message.channel_id,
            "state": message.state,
            "number": message.number,
            "status": status,
        }
        with self.lock:
            self._append(self.pushes, {**entry, "at": rfc3339(self.world.now())})

    def follow(self) -> Iterator[Json]:
        """What is journalled from now on, as it comes; an empty entry now and then shows that all is well."""
        news: deque[Json] = deque()
        with self.lock:
            self._followers.append(news)
        return self._follow(news)

    def _follow(self, news: deque[Json]) -> Iterator[Json]:
        try:
            while True:
                with self.lock:
                    self.lock.wait_for(lambda: news, HEARTBEAT_S)
                    found = list(news) or [{}]
                    news.clear()
                yield from found
        finally:
            with self.lock:
                self._followers = [one for one in self._followers if one is not news]

    def _named_calendar(self, token: str, path: dict[str, str]) -> str:
        try:
            speaker = self.accounts.principal(token, self.world)
        except errors.ApiError:
            speaker = "primary"
        return self.world.resolve(speaker, path.get("calendarId", ""))

    def _answered(
        self, request: Request, method: str, path: dict[str, str], faults: list[RequestFault], entry: Json
    ) -> Answer:
        wait_s = sum(fault.latency_s for fault in faults)
        if any(fault.hang for fault in faults):
            return Answer(0, line="silent", wait_s=wait_s)
        if any(fault.close == "before" for fault in faults):
            return Answer(0, line="none", wait_s=wait_s)
        wants_a_token = bool(self.accounts.endpoint(request))
        refused = next((fault for fault in faults if fault.status), None)
        if refused is not None:
            return replace(_refusal(refused, of_a_token=wants_a_token), wait_s=wait_s)
        try:
            if wants_a_token:
                answer = self.accounts.perform(method, request, self.world)
            else:
                answer = self._performed(request, method, path, faults, entry)
        except errors.ApiError as refusal:
            entry["reason"] = refusal.reason
            answer = self._written(request, refusal.status, refusal.body(), {})
        if any(fault.close == "after" for fault in faults):
            return replace(answer, line="none", wait_s=wait_s)
        if any(fault.truncate for fault in faults):
            return replace(answer, line="half", wait_s=wait_s)
        return replace(answer, wait_s=wait_s)

    def _performed(
        self, request: Request, method: str, path: dict[str, str], faults: list[RequestFault], entry: Json
    ) -> Answer:
        wanted = selector.parse(request.param("fields")) if request.param("fields") else {}
        if unknown := unknown_selection(method, wanted):
            raise selector.invalid(unknown)
        principal = self.accounts.principal(bearer(request), self.world, method)
        entry["principal"] = principal
        spent = self.world.faults.over_quota(request.param("quotaUser") or principal, self.world.now())
        if spent is not None:
            refusal, retry_after_s = spent
            entry["reason"] = refusal.reason
            return self._written(request, refusal.status, refusal.body(), _retry_after(retry_after_s))
        body = entry["body"] = _json_body(request)
        if wrong := misfits(method, body):
            raise errors.invalid(f"Invalid value for: {wrong[0]}")
        if self.world.switches.unknown_names == "refuse":
            _check_known(method, request, body)
        told = body if method.endswith(".patch") else documents.without_nulls(body)
        status, content = self._of_the_world(Call(method, request, path, principal, told or {}, faults))
        if content is None:
            return Answer(status, headers=self._headers())
        if "items" in content:
            entry["items"] = len(content["items"])
        return self._written(
            request, status, selector.select(wanted, content), {"etag": content.get("etag", "")}
        )

    def _of_the_world(self, call: Call) -> tuple[int, Json | None]:
        """Where the API's description is not there to find a wrong type beforehand, it is found by its effect."""
        try:
            return self._methods.perform(call)
        except (AttributeError, KeyError, TypeError) as broken:
            if methods():
                raise
            raise errors.invalid() from broken

    def _written(self, request: Request, status: int, content: Any, headers: dict[str, str]) -> Answer:
        pretty = request.param("prettyPrint") != "false"
        given = {name: value for name, value in {**self._headers(), **headers}.items() if value}
        answer = json_answer(status, content, pretty=pretty, headers=given)
        return compressed(answer) if "gzip" in request.headers.get("accept-encoding", "") else answer

    def _headers(self) -> dict[str, str]:
        return {**COMMON_HEADERS, "date": http_date(self.world.now())}

    def _record(self, request: Request, entry: Json, answer: Answer, faults: list[RequestFault]) -> None:
        entry |= {
            "at": rfc3339(self.world.now()),
            "verb": request.verb,
            "path": request.path,
            "params": {name: request.params(name) for name, _ in request.query},
            "if_match": request.headers.get("if-match", ""),
            "status": answer.status,
            "line": answer.line,
            "faulty": bool(faults),
            "unknown": unknown_to_api(entry["method"], request.query, entry.get("body")),
        }
        self._append(self.requests, entry)

    def _append(self, journal: deque[Json], entry: Json) -> None:
        for place in (journal, *self._followers):
            place.append(entry)
        self.lock.notify_all()


def _route(request: Request) -> tuple[str, dict[str, str]]:
    """The method's name, empty if none is served there, and what its path names."""
    path = request.path.removeprefix(PREFIX)
    for verb, pattern, method in ROUTES:
        match = pattern.fullmatch(path)
        if match and verb == request.verb:
            return method, {name: unquote(value) for name, value in match.groupdict().items()}
    return "", {}


def _overridden(request: Request) -> Request:
    """Long GETs arrive as POST with the query as a form: the Python client does so beyond 2048 characters."""
    verb = request.headers.get("x-http-method-override", "").upper()
    if not verb:
        return request
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return replace(request, verb=verb)
    form = tuple(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    return replace(request, verb=verb, query=(*request.query, *form), body=b"")


def _check_known(method: str, request: Request, body: Json | None) -> None:
    unknown = unknown_to_api(method, request.query, body)
    if unknown:
        raise errors.invalid(f"Bad Request: {unknown[0]}")


def _json_body(request: Request) -> Json | None:
    content = request.body
    try:
        if request.headers.get("content-encoding") == "gzip":
            content = unpacked(content)
        body = parsed(content) if content.strip() else None
    except (ValueError, EOFError, zlib.error) as broken:
        raise errors.parse_error() from broken
    if body is not None and not isinstance(body, dict):
        raise errors.parse_error()
    return body


def _refusal(fault: RequestFault, *, of_a_token: bool) -> Answer:
    """The failure a fault asks for, without asking the world."""
    after = _retry_after(fault.retry_after_s)
    if fault.html:
        page = ERROR_PAGE.format(fault.status).encode()
        return Answer(fault.status, page, {"content-type": "text/html; charset=UTF-8", **after})
    if of_a_token:
        told = {"error": fault.reason or "internal_failure", "error_description": "as a fault wants it"}
        return json_answer(fault.status, told, headers=after)
    refusal = errors.by_status(fault.status, fault.reason)
    return json_answer(fault.status, refusal.body(), headers={**COMMON_HEADERS, **after})


def _retry_after(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"retry-after": str(seconds)}
