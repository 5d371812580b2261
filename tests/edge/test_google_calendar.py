"""The real client against a loopback server that answers as it is told: what is asked, and what becomes of it."""

import gc
import gzip
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from google.auth.credentials import Credentials
from google.auth.exceptions import RefreshError, TransportError

from sync import event, in_time
from sync.channel import Channel, ChannelState
from sync.cursor import Cursor, LastPage, PageToken, SyncToken, Window
from sync.errors import (
    AccessLost,
    Gone,
    Overtaken,
    RateLimited,
    Refused,
    SyncError,
    SyncTokenGone,
    Timeout,
    Transient,
    Unsupported,
)
from sync.event import Event, Unreadable
from sync.google.calendar import EVENT_FIELDS, LIST_FIELDS, GoogleCalendar
from sync.ports import CalendarId, Version
from sync.simulator import selector

SAMPLES = Path(__file__).parent.parent / "samples"
WAIT_S = 10.0  # for what happens at once: only a broken test waits this long

ANNA = CalendarId("anna.secret@example.com", "anna.secret@example.com")
CHANNEL = Channel("channel-1", ChannelState.OPEN, "https://hook.example", "k1", "", 0.0, "resource-1", 9.0)
WINDOW = Window(1767225600.5)
TOKEN = SyncToken("secret-sync-token")


# --- The server ---


@dataclass(frozen=True)
class Asked:
    """One request as it came in, and on which connection."""

    verb: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    line: Literal["whole", "dropped", "half", "garbled", "silent", "closed after"] = "whole"


def page(**fields: object) -> Answer:
    return Answer(body=json.dumps({"accessRole": "owner", "timeZone": "Europe/Berlin", **fields}).encode())


def refusal(status: int, reason: str, **headers: str) -> Answer:
    """As Google words it; with everything in it that must not come out again."""
    entry = {"domain": "global", "reason": reason, "message": "anna.secret@example.com"}
    body = {"error": {"errors": [entry], "code": status, "message": "anna.secret@example.com"}}
    return Answer(status, json.dumps(body).encode(), {k.replace("_", "-"): v for k, v in headers.items()})


class Server:
    """Gives the answers it was told, in order and the last one for ever; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.closed = threading.Event()  # a connection was closed after its answer
        self._answers: list[Answer | Callable[[Asked], Answer]] = [page(items=[], nextSyncToken="t")]
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = False
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def will(self, *answers: Answer | Callable[[Asked], Answer]) -> None:
        self._answers = list(answers)

    def end(self) -> None:
        self._over.set()
        self._http.shutdown()
        self._thread.join(WAIT_S)
        self._http.server_close()

    def _answer_to(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            told = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return told(asked) if callable(told) else told

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 0.02  # so that idle connections see the end of the test

            def handle(self) -> None:
                self.close_connection = False
                while not (self.close_connection or server._over.is_set()):
                    self.handle_one_request_if_any()

            def handle_one_request_if_any(self) -> None:
                try:
                    first = self.connection.recv(1, 2)  # MSG_PEEK
                except TimeoutError:
                    return
                except OSError:
                    first = b""
                if first:
                    self.handle_one_request()
                else:
                    self.close_connection = True

            def do_GET(self) -> None:
                self.serve()

            def do_POST(self) -> None:
                self.serve()

            def do_PATCH(self) -> None:
                self.serve()

            def serve(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(
                    self.command, url.path, parse_qs(url.query), headers, body, self.client_address[1]
                )
                answer = server._answer_to(asked)
                if answer.line == "silent":
                    server._over.wait(WAIT_S)
                if answer.line in ("silent", "dropped"):
                    self.close_connection = True
                    return
                self.send_response_only(answer.status)
                for name, value in {"content-type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                if answer.line == "garbled":
                    self.send_header("transfer-encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"no number\r\n")
                    return
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(
                    answer.body[: len(answer.body) // 2] if answer.line == "half" else answer.body
                )
                if answer.line in ("half", "closed after"):
                    self.close_connection = True

            def finish(self) -> None:
                super().finish()
                self.connection.close()
                server.closed.set()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.end()


@pytest.fixture
def calendar(server: Server) -> GoogleCalendar:
    return anonymous(server)


def anonymous(server: Server, call_s: float = WAIT_S) -> GoogleCalendar:
    return GoogleCalendar(root_url=server.url, call_s=call_s)


def listed(server: Server, call_s: float = WAIT_S) -> GoogleCalendar:
    """A client that has listed the calendar before, and so knows how much of it can be seen."""
    calendar = anonymous(server, call_s)
    server.will(page())
    calendar.list_page(ANNA, WINDOW, "")
    server.asked.clear()
    return calendar


# --- What is asked ---

FORBIDDEN_WITH_A_TOKEN = {
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
}


def test_a_full_listing_asks_for_all_that_ends_after_the_window_began(server: Server) -> None:
    anonymous(server).list_page(ANNA, WINDOW, "")
    (asked,) = server.asked
    assert asked.path == "/calendar/v3/calendars/anna.secret%40example.com/events"
    assert asked.query == {
        "timeMin": ["2026-01-01T00:00:00Z"],
        "showDeleted": ["true"],
        "singleEvents": ["false"],
        "maxResults": ["2500"],
        "fields": [LIST_FIELDS],
        "quotaUser": asked.query["quotaUser"],
        "alt": ["json"],
    }


def test_an_incremental_listing_asks_for_nothing_that_is_forbidden_with_a_sync_token(server: Server) -> None:
    anonymous(server).list_page(ANNA, TOKEN, "")
    (asked,) = server.asked
    assert asked.query["syncToken"] == [TOKEN.value]
    assert not asked.query.keys() & FORBIDDEN_WITH_A_TOKEN
    assert asked.query["showDeleted"] == ["true"]  # false is not allowed either


@pytest.mark.parametrize("cursor", [WINDOW, TOKEN])
def test_a_further_page_is_asked_for_with_the_same_words(server: Server, cursor: Cursor) -> None:
    calendar = anonymous(server)
    calendar.list_page(ANNA, cursor, "")
    calendar.list_page(ANNA, cursor, "page-2")
    first, second = server.asked
    assert second.query == {**first.query, "pageToken": ["page-2"]}


def test_both_tokens_are_among_the_fields() -> None:
    assert {"nextPageToken", "nextSyncToken", "accessRole", "timeZone"} < set(LIST_FIELDS.split(","))


# With what no recorded answer has: a title that a reader sees, on an event that is private all the same, and an
# entry point that is not the video's in front of it.
PRIVATE = {
    "id": "e1",
    "summary": "Talk",
    "visibility": "private",
    "organizer": {"self": True},
    "start": {"date": "2026-01-01"},
    "end": {"date": "2026-01-02"},
    "conferenceData": {
        "entryPoints": [
            {"entryPointType": "more", "uri": "https://more.example/1"},
            {"entryPointType": "video", "uri": "https://video.example/1"},
        ]
    },
}


def sampled_items() -> list[dict[str, Any]]:
    bodies = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(SAMPLES.glob("*.json")))
    answers = [body.get("body", body) for body in bodies]
    return [PRIVATE, *(item for answer in answers for item in answer.get("items", [answer]))]


@pytest.mark.parametrize("role", ["owner", "reader"])
def test_every_event_reads_the_same_with_only_the_fields_we_ask_for(role: str) -> None:
    wanted = selector.parse(EVENT_FIELDS)
    for item in sampled_items():
        undetailed = {key: item[key] for key in item if key not in ("description", "attendees")}
        read = event.parse(selector.select(wanted, item), access_role=role)
        assert read == event.parse(undetailed, access_role=role)


def test_details_are_read_only_when_they_are_asked_for(server: Server) -> None:
    told = {
        **PRIVATE,
        "description": "<p>Bring the <b>plan</b></p><script>x()</script>\u0007tea &amp; cake",
        "attendees": [
            {"email": "Bob@example.com"},
            {"email": "room@example.com", "resource": True},
            {"email": "ada@example.com", "self": True},
            "nobody",
        ],
    }
    server.will(page(items=[told], nextSyncToken="t"))
    calendar = GoogleCalendar(root_url=server.url, details=("invitees", "agenda"))
    (item,) = calendar.list_page(ANNA, WINDOW, "").items
    assert isinstance(item, Event)
    assert item.agenda == "Bring the plan\n tea & cake"
    assert item.invitees == ("ada@example.com", "bob@example.com")
    (fields,) = server.asked[-1].query["fields"]
    assert fields.endswith(",description,attendees(email,resource))")
    assert calendar.listing != GoogleCalendar().listing


def test_no_address_of_a_guest_and_no_description_is_asked_for() -> None:
    named = set(LIST_FIELDS.replace("(", ",").replace(")", ",").split(","))
    assert not named & {"attendees", "description", "location", "creator", "extendedProperties", "notes"}


# --- What a page becomes ---


def test_a_page_is_read_with_the_time_zone_and_the_role_it_names(server: Server) -> None:
    server.will(page(items=[PRIVATE, {"summary": "no id"}], nextSyncToken="t2", accessRole="reader"))
    listed = anonymous(server).list_page(ANNA, WINDOW, "")
    read, unreadable = listed.items
    assert isinstance(read, Event)
    assert read.times is not None
    assert read.times.time_zone == "Europe/Berlin"
    assert not read.whole  # a reader does not see all of a private event
    assert isinstance(unreadable, Unreadable)
    assert listed.access_role == "reader"
    assert listed.end == LastPage("t2")


def test_a_page_that_names_another_one_is_not_the_last_even_when_it_is_empty(server: Server) -> None:
    server.will(page(nextPageToken="p2"))
    listed = anonymous(server).list_page(ANNA, WINDOW, "")
    assert (listed.items, listed.end) == ([], PageToken("p2"))


def test_a_last_page_without_a_sync_token_is_told_as_such(server: Server) -> None:
    server.will(page(items=[]))
    assert anonymous(server).list_page(ANNA, WINDOW, "").end == LastPage("")


@pytest.mark.parametrize("role", ["none", "freeBusyReader"])
def test_a_role_that_hides_events_is_lost_access(server: Server, role: str) -> None:
    server.will(page(items=[], accessRole=role))
    with pytest.raises(AccessLost, match=role):
        anonymous(server).list_page(ANNA, TOKEN, "page-7")


NO_PAGES = [
    *(b"{}", b"[]", b'"x"', b"null", b'{"accessRole": "owner", "items": {}}'),
    *(b'{"accessRole": "owner", "nextPageToken": 5}', b'{"accessRole": "owner", "nextSyncToken": ["x"]}'),
]


@pytest.mark.parametrize("body", NO_PAGES)
def test_an_answer_that_is_no_page_is_no_evidence_of_anything(server: Server, body: bytes) -> None:
    server.will(Answer(body=body))
    with pytest.raises(Transient, match="no page"):
        anonymous(server).list_page(ANNA, WINDOW, "")


@pytest.mark.parametrize("status", [200, 403, 500])
@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"error":' * 100_000, b'{"error": {"message": 1}}', b'{"error": {"errors": 5}}'],
    ids=["nested", "nested errors", "a message that is no text", "errors that are no list"],
)
@pytest.mark.parametrize("call", ["list", "watch"])
def test_no_body_whatever_breaks_a_call(server: Server, call: str, status: int, body: bytes) -> None:
    server.will(Answer(status, body))
    with pytest.raises((Transient, AccessLost)):
        CALLS[call](anonymous(server))


def test_compressed_answers_are_read(server: Server) -> None:
    plain = page(items=[], nextSyncToken="from gzip")
    server.will(Answer(body=gzip.compress(plain.body), headers={"content-encoding": "gzip"}))
    assert anonymous(server).list_page(ANNA, WINDOW, "").end == LastPage("from gzip")
    assert "gzip" in server.asked[0].headers["accept-encoding"]


def test_the_listing_hash_is_the_same_for_every_instance(server: Server) -> None:
    assert anonymous(server).listing == GoogleCalendar().listing


# --- One event ---


def test_an_event_is_read_as_the_last_listing_showed_its_calendar(server: Server) -> None:
    calendar = anonymous(server)
    server.will(page(items=[], accessRole="writer"), Answer(body=json.dumps(PRIVATE).encode()))
    calendar.list_page(ANNA, WINDOW, "")
    read = calendar.get(ANNA, "e1")
    assert isinstance(read, Event)
    assert read.whole
    assert read.times is not None
    assert read.times.time_zone == "Europe/Berlin"
    assert server.asked[-1].query["fields"] == [EVENT_FIELDS]


@pytest.mark.parametrize(("role", "whole"), [("owner", True), ("reader", False)])
def test_without_a_listing_one_event_is_read_with_the_role_and_the_zone_of_its_calendar(
    server: Server, role: str, whole: bool
) -> None:
    zoneless = {
        **PRIVATE,
        "start": {"dateTime": "2026-03-01T09:00:00Z"},
        "end": {"dateTime": "2026-03-01T10:00:00Z"},
    }
    server.will(page(accessRole=role), Answer(body=json.dumps(zoneless).encode()))
    read = anonymous(server).get(ANNA, "e1")
    assert isinstance(read, Event)
    assert read.times is not None
    assert (read.whole, read.times.time_zone) == (whole, "Europe/Berlin")


def test_a_calendar_that_cannot_be_seen_says_nothing_of_its_events(server: Server) -> None:
    server.will(refusal(404, "notFound"))
    with pytest.raises(AccessLost):
        anonymous(server).get(ANNA, "e1")


def test_a_cancelled_event_is_a_tombstone(server: Server) -> None:
    calendar = listed(server)
    server.will(Answer(body=b'{"id": "e1", "status": "cancelled"}'))
    read = calendar.get(ANNA, "e1")
    assert isinstance(read, Event)
    assert read.kind is event.Kind.TOMBSTONE


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"id": "another", "status": "cancelled"}'])
def test_an_answer_about_something_else_is_no_evidence_about_the_event(server: Server, body: bytes) -> None:
    server.will(Answer(body=body))
    with pytest.raises(Transient):
        anonymous(server).get(ANNA, "e1")


def test_an_event_whose_question_google_refuses_is_unreadable_and_stops_nothing(server: Server) -> None:
    calendar = listed(server)
    server.will(refusal(400, "invalid"))
    assert calendar.get(ANNA, "e1") == Unreadable("e1", "events.get: 400 invalid")


# --- The one thing that is written ---

VERSION = Version("secret-event", '"v1"')
CARRIED = {
    "conferenceId": "c-1",
    "conferenceSolution": {"key": {"type": "addOn"}, "name": "Acme Call"},
    "entryPoints": [
        {"entryPointType": "video", "uri": "https://secret.example/j/1", "label": "secret", "passcode": "7"},
        {"entryPointType": "phone", "uri": "tel:+1-secret"},
    ],
    "parameters": {"addOnParameters": {"parameters": {"scriptId": "s"}}},
}


def present(etag: str = '"v1"', carried: object = CARRIED) -> Answer:
    return Answer(body=json.dumps({"etag": etag, "conferenceData": carried}).encode())


def replace_url(calendar: GoogleCalendar) -> str:
    return calendar.replace_url(ANNA, VERSION, "https://secret.example/j/1", "https://secret.example/j/2")


def test_a_url_is_replaced_in_that_version_alone_and_nobody_gets_a_mail(server: Server) -> None:
    server.will(present(), Answer(body=b'{"etag": "\\"v2\\""}'))
    assert replace_url(anonymous(server)) == '"v2"'
    _, patch = server.asked
    assert (patch.verb, patch.headers["if-match"]) == ("PATCH", '"v1"')
    assert patch.query["sendUpdates"] == ["none"]
    assert patch.query["conferenceDataVersion"] == ["1"]
    first, *others = CARRIED["entryPoints"]  # type: ignore[misc]
    renewed = [{**first, "uri": "https://secret.example/j/2"}, *others]  # type: ignore[dict-item]
    assert json.loads(patch.body) == {"conferenceData": {**CARRIED, "entryPoints": renewed}}


@pytest.mark.parametrize(
    "found",
    [
        present(etag='"v0"'),
        present(carried={**CARRIED, "entryPoints": []}),
        present(carried=None),
        Answer(body=b"{}"),
        Answer(body=b"[]"),
    ],
    ids=["another version", "another link", "no conference", "nothing", "no object"],
)
def test_what_has_changed_since_is_not_written_over(server: Server, found: Answer) -> None:
    server.will(found)
    with pytest.raises(Overtaken):
        replace_url(anonymous(server))
    assert [asked.verb for asked in server.asked] == ["GET"]


def refused_patch(calendar: GoogleCalendar, server: Server, answer: Answer) -> None:
    server.will(present(), answer)
    replace_url(calendar)


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (412, "conditionNotMet", Overtaken),
        (404, "notFound", Gone),
        (410, "deleted", Gone),
        (400, "invalid", Refused),
        (403, "forbidden", Refused),
        (403, "insufficientPermissions", Refused),
        (403, "quotaExceeded", RateLimited),
        (401, "authError", AccessLost),
        (503, "backendError", Transient),
    ],
)
def test_a_refused_write_says_who_must_act(
    server: Server, status: int, reason: str, kind: type[SyncError]
) -> None:
    with pytest.raises(SyncError) as raised:
        refused_patch(anonymous(server), server, refusal(status, reason))
    assert type(raised.value) is kind
    assert not any(secret in str(raised.value) for secret in SECRETS)
    assert [asked.verb for asked in server.asked] == ["GET", "PATCH"]


def test_a_write_that_is_answered_without_a_version_is_an_unknown_outcome(server: Server) -> None:
    with pytest.raises(Transient):
        refused_patch(anonymous(server), server, Answer(body=b"{}"))


# --- Channels ---


def watch(calendar: GoogleCalendar) -> Any:
    return calendar.watch(ANNA, "channel-1", "secret-channel-token", "https://secret.example", 3600.5)


def test_a_watch_says_what_the_push_guide_wants_and_believes_only_the_answer(server: Server) -> None:
    server.will(Answer(body=b'{"resourceId": "r1", "expiration": "1767225600250"}'))
    opened = watch(anonymous(server))
    assert (opened.resource_id, opened.expires_at) == ("r1", 1767225600.25)
    assert json.loads(server.asked[0].body) == {
        "id": "channel-1",
        "type": "web_hook",
        "address": "https://secret.example",
        "token": "secret-channel-token",
        "params": {"ttl": "3600"},
    }


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"resourceId": "r1"}', b'{"resourceId": "r", "expiration": "soon"}']
)
def test_a_watch_without_resource_or_expiration_is_an_unknown_outcome(server: Server, body: bytes) -> None:
    server.will(Answer(body=body))
    with pytest.raises(Transient):
        watch(anonymous(server))


def test_a_channel_is_stopped_by_both_its_names(server: Server) -> None:
    server.will(Answer(204))
    anonymous(server).stop(CHANNEL)
    assert server.asked[0].path == "/calendar/v3/channels/stop"
    assert json.loads(server.asked[0].body) == {"id": "channel-1", "resourceId": "resource-1"}


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_channel_that_google_does_not_know_is_closed(server: Server, status: int) -> None:
    server.will(refusal(status, "notFound"))
    anonymous(server).stop(CHANNEL)


# --- What each refusal means ---

CALLS: dict[str, Callable[[GoogleCalendar], object]] = {
    "list": lambda calendar: calendar.list_page(ANNA, WINDOW, ""),
    "list page 2": lambda calendar: calendar.list_page(ANNA, WINDOW, "secret-page-token"),
    "list since": lambda calendar: calendar.list_page(ANNA, TOKEN, ""),
    "list since page 2": lambda calendar: calendar.list_page(ANNA, TOKEN, "secret-page-token"),
    "get": lambda calendar: calendar.get(ANNA, "secret-event"),
    "watch": watch,
    "stop": lambda calendar: calendar.stop(CHANNEL),
}
SECRETS = ("secret", "example.com", "127.0.0.1", "http:")

EVERY_CALL = {
    (401, "authError"): AccessLost,
    (403, "insufficientPermissions"): AccessLost,
    (403, "notACalendarUser"): AccessLost,
    (403, "accessNotConfigured"): AccessLost,
    (403, "rateLimitExceeded"): RateLimited,
    (403, "userRateLimitExceeded"): RateLimited,
    (403, "quotaExceeded"): RateLimited,
    (403, "dailyLimitExceeded"): RateLimited,
    (429, "rateLimitExceeded"): RateLimited,
    (408, "requestTimeout"): Transient,
    (409, "conflict"): Transient,
    (302, "found"): Transient,
    (500, "backendError"): Transient,
    (503, "backendError"): Transient,
}
SOME_CALLS = [
    ("list", 400, "timeRangeEmpty", Transient),
    ("list", 400, "badRequest", Transient),
    ("list", 404, "notFound", AccessLost),
    ("list", 410, "deleted", AccessLost),
    ("list page 2", 400, "invalid", Transient),
    ("list page 2", 404, "notFound", AccessLost),
    ("list page 2", 410, "deleted", Transient),
    ("list since", 400, "invalid", SyncTokenGone),
    ("list since", 400, "required", Transient),
    ("list since", 404, "notFound", AccessLost),
    ("list since", 410, "fullSyncRequired", SyncTokenGone),
    ("list since", 410, "updatedMinTooLongAgo", SyncTokenGone),
    ("list since page 2", 400, "invalid", Transient),
    ("list since page 2", 410, "fullSyncRequired", SyncTokenGone),
    ("watch", 400, "pushNotSupportedForRequestedResource", Unsupported),
    ("watch", 403, "pushNotSupportedForRequestedResource", Unsupported),
    ("watch", 400, "channelIdNotUnique", Refused),
    ("watch", 400, "push.webhookUrlNotHttps", Refused),
    ("watch", 404, "notFound", AccessLost),
]
REFUSALS = [
    *((call, status, reason, kind) for call in CALLS for (status, reason), kind in EVERY_CALL.items()),
    *SOME_CALLS,
]


@pytest.mark.parametrize(("status", "reason"), [(404, "notFound"), (410, "deleted")])
def test_an_event_that_is_not_there_is_told_from_a_calendar_that_is_not_shared_any_more(
    server: Server, status: int, reason: str
) -> None:
    calendar = listed(server)
    server.will(refusal(status, reason), page(items=[]))
    with pytest.raises(Gone):
        calendar.get(ANNA, "event1")
    server.will(refusal(status, reason), refusal(404, "notFound"))
    with pytest.raises(AccessLost):
        calendar.get(ANNA, "event1")


@pytest.mark.parametrize(("call", "status", "reason", "kind"), REFUSALS)
def test_a_refusal_becomes_the_error_of_whoever_must_act(
    server: Server, call: str, status: int, reason: str, kind: type[SyncError]
) -> None:
    calendar = listed(server)
    server.will(refusal(status, reason))
    with pytest.raises(SyncError) as raised:
        CALLS[call](calendar)
    assert type(raised.value) is kind
    assert str(status) in str(raised.value)
    assert reason in str(raised.value)
    assert not any(secret in str(raised.value) for secret in SECRETS)
    assert len(server.asked) == 1


HTML = b"<html><title>Error</title>anna.secret@example.com</html>"


@pytest.mark.parametrize(
    "body", [HTML, b"", b"\xff\xfe", b"[]", b"{}", b'{"error": "x"}', b'{"error": "errors"}']
)
@pytest.mark.parametrize(
    ("call", "status", "kinds"),
    [
        ("list", 502, {Transient}),
        ("list since", 400, {Transient}),
        ("list since", 403, {AccessLost, Transient}),
        ("list since", 410, {SyncTokenGone}),
        ("get", 404, {AccessLost}),
    ],
)
def test_a_refusal_in_other_words_is_judged_by_its_status_and_never_as_evidence(
    server: Server, call: str, status: int, kinds: set[type[SyncError]], body: bytes
) -> None:
    server.will(Answer(status, body, {"content-type": "text/html"}))
    with pytest.raises(SyncError) as raised:
        CALLS[call](anonymous(server))
    assert type(raised.value) in kinds
    assert not any(secret in str(raised.value) for secret in SECRETS)


def test_a_reason_is_found_among_the_details_too(server: Server) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED"}]
    server.will(Answer(403, json.dumps({"error": {"code": 403, "details": details}}).encode()))
    with pytest.raises(RateLimited, match="RATE_LIMIT_EXCEEDED"):
        anonymous(server).list_page(ANNA, WINDOW, "")


def test_a_reason_that_is_no_word_is_not_repeated(server: Server) -> None:
    server.will(refusal(503, "see http://secret.example"))
    with pytest.raises(Transient, match="503 without a reason"):
        anonymous(server).list_page(ANNA, WINDOW, "")


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry_after": "17"}, 17.0),
        ({"retry_after": "Thu, 01 Jan 2026 00:01:00 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 60.0),
        ({"retry_after": "Thu, 01 Jan 2026 00:00:00 GMT", "date": "Thu, 01 Jan 2026 00:01:00 GMT"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-5"}, None),
        ({}, None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(
    server: Server, headers: dict[str, str], wait_s: float | None
) -> None:
    server.will(refusal(429, "rateLimitExceeded", **headers))
    with pytest.raises(RateLimited) as raised:
        anonymous(server).list_page(ANNA, WINDOW, "")
    assert raised.value.retry_after_s == wait_s


# --- When there is no answer ---


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("line", ["dropped", "half"])
def test_a_lost_answer_is_an_unknown_outcome_and_nothing_is_sent_twice(
    server: Server, call: str, line: Literal["dropped", "half"]
) -> None:
    if call == "stop" and line == "half":
        pytest.skip("a stop has no body to lose")
    server.will(Answer(body=page(items=[]).body, line=line))
    with pytest.raises(Transient):
        CALLS[call](anonymous(server))
    assert len(server.asked) == 1


@pytest.mark.parametrize("call", ["list", "watch"])
def test_a_connection_lost_in_use_is_not_used_for_a_second_try_either(server: Server, call: str) -> None:
    calendar = anonymous(server)
    server.will(page(items=[]), Answer(line="dropped"))
    calendar.list_page(ANNA, WINDOW, "")
    with pytest.raises(Transient):
        CALLS[call](calendar)
    assert len(server.asked) == 2
    assert len({asked.connection for asked in server.asked}) == 1


@pytest.mark.parametrize("call", ["list", "watch"])
def test_a_kept_connection_that_the_server_has_closed_fails_nothing(server: Server, call: str) -> None:
    calendar = anonymous(server)
    closing = Answer(body=page(items=[]).body, line="closed after")
    server.will(closing, Answer(body=b'{"accessRole":"owner","resourceId":"r","expiration":"1000"}'))
    calendar.list_page(ANNA, WINDOW, "")
    assert server.closed.wait(WAIT_S)
    CALLS[call](calendar)
    assert len(server.asked) == 2
    assert len({asked.connection for asked in server.asked}) == 2


def test_a_connection_is_kept_from_call_to_call(server: Server) -> None:
    calendar = anonymous(server)
    for _ in range(5):
        calendar.list_page(ANNA, WINDOW, "")
    assert len({asked.connection for asked in server.asked}) == 1


@pytest.mark.parametrize("line", ["half", "garbled"])
def test_after_a_broken_answer_the_next_call_has_a_connection_of_its_own(
    server: Server, line: Literal["half", "garbled"]
) -> None:
    calendar = anonymous(server)
    server.will(Answer(body=page(items=[]).body, line=line), page(items=[], nextSyncToken="t"))
    with pytest.raises(Transient):
        calendar.list_page(ANNA, WINDOW, "")
    assert calendar.list_page(ANNA, WINDOW, "").end == LastPage("t")
    assert len({asked.connection for asked in server.asked}) == 2


@pytest.mark.parametrize("call", CALLS)
def test_silence_is_a_timeout_within_the_time_of_a_call(server: Server, call: str) -> None:
    server.will(Answer(line="silent"))
    with pytest.raises(Timeout):
        CALLS[call](anonymous(server, call_s=0.1))
    assert len(server.asked) <= 1, "never twice; and not once where the time was over before"


def test_nobody_listening_is_transient(server: Server) -> None:
    calendar = anonymous(server)
    server.end()
    with pytest.raises(Transient):
        calendar.list_page(ANNA, WINDOW, "")


def test_an_answer_that_only_claims_to_be_compressed_is_transient(server: Server) -> None:
    server.will(Answer(body=b"not gzip", headers={"content-encoding": "gzip"}))
    with pytest.raises(Transient):
        anonymous(server).list_page(ANNA, WINDOW, "")


# --- Subjects and threads ---


class Key(Credentials):  # type: ignore[no-untyped-call,misc]
    """Credentials whose n-th token is `subject-n`; `failure` is what a refresh ends in."""

    def __init__(self, subject: str, failure: Exception | None = None) -> None:
        super().__init__()
        self._subject = subject
        self._failure = failure
        self._refreshes = 0

    def refresh(self, request: object) -> None:
        if self._failure is not None:
            raise self._failure
        self._refreshes += 1
        self.token = f"{self._subject}-{self._refreshes}"


def test_each_subject_is_spoken_for_with_its_own_credentials(server: Server) -> None:
    keys = {"ben": Key("ben"), "eva": Key("eva")}
    calendar = GoogleCalendar(root_url=server.url, credentials=keys.__getitem__)
    calendar.list_page(CalendarId("team", "ben"), WINDOW, "")
    calendar.list_page(CalendarId("team", "eva"), WINDOW, "")
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer ben-1", "Bearer eva-1"]


def test_an_expired_access_token_is_renewed_and_the_same_page_asked_for_again(server: Server) -> None:
    key = Key("ben")
    calendar = GoogleCalendar(root_url=server.url, credentials=lambda _: key)
    server.will(refusal(401, "authError"), page(items=[], nextSyncToken="t"))
    assert calendar.list_page(ANNA, TOKEN, "page-2").end == LastPage("t")
    first, second = server.asked
    assert (first.query, second.headers["authorization"]) == (second.query, "Bearer ben-2")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (RefreshError("invalid_grant: anna.secret@example.com"), AccessLost),
        (RefreshError("internal_failure", retryable=True), Transient),
        (TransportError("http://secret.example"), Transient),
    ],
)
def test_a_failing_refresh_is_told_by_who_must_act(
    server: Server, failure: Exception, kind: type[SyncError]
) -> None:
    calendar = GoogleCalendar(root_url=server.url, credentials=lambda _: Key("ben", failure))
    with pytest.raises(SyncError) as raised:
        calendar.list_page(ANNA, WINDOW, "")
    assert type(raised.value) is kind
    assert not any(secret in str(raised.value) for secret in SECRETS)
    assert not server.asked


def test_a_connection_that_the_garbage_collector_finds_is_closed_without_a_word(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever it finds first: what holds the connection, or its socket, which would complain that it is open."""
    opened, connect, complaints = [], in_time.connected, list[object]()

    def connected(host: str, port: int, most_s: float) -> socket.socket:
        opened.append(connect(host, port, most_s))
        return opened[-1]

    monkeypatch.setattr(in_time, "connected", connected)
    monkeypatch.setattr("sys.unraisablehook", complaints.append)
    client = listed(server)
    opened[0].of = client._http()  # type: ignore[attr-defined]
    gc.collect()  # while only the socket is known to be held: from now on it comes first
    del client
    gc.collect()
    opened.clear()
    gc.collect()
    assert complaints == []


def test_eight_threads_each_get_their_own_answers(server: Server) -> None:
    calendar = anonymous(server)
    server.will(lambda asked: page(items=[], nextSyncToken=asked.path.split("/")[4]))
    together = threading.Barrier(8, timeout=WAIT_S)

    def list_often(name: str) -> set[str]:
        together.wait()
        pages = [calendar.list_page(CalendarId(name), WINDOW, "") for _ in range(20)]
        return {page.end.sync_token for page in pages if isinstance(page.end, LastPage)}

    names = [f"calendar-{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(list_often, names)) == [{name} for name in names]
    assert len(server.asked) == 160
    assert len({asked.connection for asked in server.asked}) == 8


# --- What the libraries say ---


def test_no_library_logs_an_address_or_a_body(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = Key("ben")
    calendar = GoogleCalendar(root_url=server.url, credentials=lambda _: key)
    for answer in (refusal(401, "authError"), Answer(403, HTML), refusal(404, "notFound")):
        server.will(answer)
        with pytest.raises(SyncError):
            calendar.list_page(ANNA, TOKEN, "")
    assert not any(secret in caplog.text for secret in SECRETS)
