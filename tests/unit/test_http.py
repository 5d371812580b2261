"""A call to a provider ends in time: as an answer, or as the one error that says who must act and no secret."""

import gzip
import json
import socket
import socketserver
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.conferences.http import ANSWER_LIMIT, WAIT_LIMIT_S, Http, retry_after
from sync.errors import (
    AuthFailed,
    Gone,
    Misconfigured,
    RateLimited,
    Refused,
    SyncError,
    Timeout,
    Transient,
)

NOW = 1_800_000_000.0
PATIENT_S = 30.0  # no call takes that long, however busy the machine is
IMPATIENT_S = 0.2
BUSY_S = 10.0  # what a busy machine may add to a bound


class Stub(socketserver.ThreadingTCPServer):
    """Answers every request with the same bytes, or does to the connection whatever it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Line)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.does: Callable[[Line], None] = lambda line: line.say(answer(200, "{}"))
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def says(self, text: bytes) -> None:
        self.does = lambda line: line.say(text)


class Line(socketserver.StreamRequestHandler):
    """One connection, on which a client may call several times."""

    server: Stub

    def handle(self) -> None:
        self.server.connections += 1
        while first := self.rfile.readline().decode().strip():
            pairs = iter(lambda: self.rfile.readline().decode().strip(), "")
            headers = {name.lower(): value for name, _, value in (pair.partition(": ") for pair in pairs)}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            self.server.requests.append((first, headers, body))
            self.server.does(self)
            if self.wfile.closed:
                return

    def say(self, text: bytes) -> None:
        self.wfile.write(text)

    def hang_up(self) -> None:
        self.wfile.close()

    def drip(self, piece: bytes, every_s: float) -> None:
        """Goes on and on, never silent for long, until nobody listens."""
        try:
            while not self.server.over.wait(every_s):
                self.say(piece)
        except OSError:
            self.hang_up()


def answer(status: int, body: str = "", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as stub:
        threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield stub
        stub.over.set()
        stub.shutdown()


@pytest.fixture
def http(stub: Stub) -> Http:
    return Http(stub.url + "/api/", connect_s=PATIENT_S, read_s=PATIENT_S, now=lambda: NOW)


@pytest.fixture
def impatient(stub: Stub) -> Http:
    return Http(stub.url, connect_s=IMPATIENT_S, read_s=IMPATIENT_S)


def test_a_call_sends_json_and_returns_json(stub: Stub, http: Http) -> None:
    stub.says(answer(201, '{"title": "Wöchentlich"}'))
    assert http.call("PUT", "rooms", "r1", body={"title": "Plan ✓"}) == {"title": "Wöchentlich"}
    line, headers, body = stub.requests[0]
    assert line == "PUT /api/rooms/r1 HTTP/1.1"
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert json.loads(body) == {"title": "Plan ✓"}


def test_a_call_is_bounded_by_what_it_waits_for() -> None:
    assert Http("http://h", connect_s=3, read_s=10).call_s == 13


def test_headers_are_sent_with_every_call(stub: Stub) -> None:
    http = Http(stub.url, connect_s=PATIENT_S, read_s=PATIENT_S, headers={"Authorization": "Bearer t"})
    http.call("GET", "a")
    http.call("PUT", "b", body={})
    assert [headers["authorization"] for _, headers, _ in stub.requests] == ["Bearer t", "Bearer t"]


@pytest.mark.parametrize(
    "key", ["SECRET\n", "SECRET\r\nX-Admin: 1", "SECR\u00c9T", "SECRET\x00", "\u2028SECRET"]
)
def test_a_key_that_no_header_can_hold_is_told_without_its_text_and_nothing_is_sent(
    stub: Stub, http: Http, key: str
) -> None:
    with pytest.raises(AuthFailed, match="not one line of plain characters") as caught:
        http.send("GET", "meetings", headers={"Authorization": f"Bearer {key}"})
    assert "SECR" not in str(caught.value)
    assert stub.connections == 0


def test_success_may_have_nothing_to_say(stub: Stub, http: Http) -> None:
    stub.says(answer(204))
    assert http.call("DELETE", "rooms", "r1") == {}
    assert stub.requests[0][2] == b""


@pytest.mark.parametrize("said", [answer(200, "{}"), answer(204)])
def test_a_connection_is_kept_for_the_next_call(stub: Stub, http: Http, said: bytes) -> None:
    stub.says(said)
    http.call("GET", "r")
    http.call("GET", "r")
    assert stub.connections == 1


@pytest.mark.parametrize(
    "name", ["a/b", "a?b=c", "a#b", "%2e%2e", "ä", "a b", "a%2Fb", "https://evil.example"]
)
def test_a_name_stays_one_segment_of_the_path(stub: Stub, http: Http, name: str) -> None:
    http.call("DELETE", "rooms", name)
    path = stub.requests[0][0].split()[1]
    assert path.startswith("/api/rooms/")
    assert not set("/?#") & set(path.removeprefix("/api/rooms/"))


@pytest.mark.parametrize("name", ["", ".", "..", "..."])
def test_a_name_that_would_climb_out_of_its_place_is_refused_unsent(
    stub: Stub, http: Http, name: str
) -> None:
    with pytest.raises(Refused):
        http.call("DELETE", "rooms", name)
    assert stub.requests == []


STATUSES: list[tuple[int, type[SyncError]]] = [
    (301, Refused),
    (302, Refused),
    (307, Refused),
    (400, Refused),
    (401, AuthFailed),
    (402, Refused),
    (403, AuthFailed),
    (404, Gone),
    (405, Refused),
    (408, Transient),
    (409, Refused),
    (410, Gone),
    (412, Refused),
    (415, Refused),
    (422, Refused),
    (423, Transient),
    (425, Transient),
    (429, RateLimited),
    (451, Refused),
    (500, Transient),
    (501, Transient),
    (502, Transient),
    (503, Transient),
    (504, Transient),
    (599, Transient),
]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(("status", "error"), STATUSES)
def test_a_status_means_one_error_and_one_call(
    stub: Stub, http: Http, method: str, status: int, error: type[SyncError]
) -> None:
    stub.says(answer(status, "<html>oops</html>", Location=f"{stub.url}/elsewhere"))
    with pytest.raises(SyncError) as caught:
        http.call(method, "r")
    assert type(caught.value) is error
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    "header",
    [
        {"Retry_After": "90"},
        {"Retry_After": format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True)},
        {"Retry_After": datetime.fromtimestamp(NOW + 90, UTC).isoformat()},
        {"Retry_After": datetime.fromtimestamp(NOW + 90, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
        {"X_RateLimit_Reset": str(int(NOW + 90))},
        {"Retry_After": "soon", "X_RateLimit_Reset": str(int(NOW + 90))},
    ],
    ids=lambda header: " ".join(header.values()),
)
def test_a_wait_is_understood_in_every_form(stub: Stub, http: Http, header: dict[str, str]) -> None:
    stub.says(answer(429, **header))
    with pytest.raises(RateLimited) as caught:
        http.call("PUT", "r")
    assert caught.value.retry_after_s == 90


def test_a_redirect_is_not_followed_and_not_waited_for(stub: Stub, http: Http) -> None:
    stub.says(answer(301, Location=f"{stub.url}/elsewhere", Retry_After="7"))
    with pytest.raises(Refused, match="redirects are not followed"):
        http.call("GET", "r")
    assert len(stub.requests) == 1


def test_a_moment_without_a_zone_is_utc_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/New_York")
        time.tzset()
        naive = datetime.fromtimestamp(NOW + 90, UTC).replace(tzinfo=None).isoformat()
        assert retry_after({"Retry-After": naive}, NOW) == 90
    time.tzset()


@pytest.mark.parametrize("status", [400, 403, 404, 409, 503])
def test_a_refusal_that_names_a_wait_is_a_limit(stub: Stub, http: Http, status: int) -> None:
    stub.says(answer(status, Retry_After="7"))
    with pytest.raises(RateLimited) as caught:
        http.call("PUT", "r")
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_failure_that_may_have_come_after_the_deed_is_no_limit(stub: Stub, http: Http, status: int) -> None:
    stub.says(answer(status, Retry_After="7"))
    with pytest.raises(Transient) as caught:
        http.call("PUT", "r")
    assert (type(caught.value), caught.value.retry_after_s) == (Transient, 7)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("²", None),
        ("Thu, 99 Jan 2030 00:00:00 GMT", None),
        ("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("1999-01-01T00:00:00Z", 0.0),
        ("9999-12-31T23:59:59-23:59", WAIT_LIMIT_S),
        ("9" * 400, WAIT_LIMIT_S),
    ],
)
def test_an_absurd_wait_is_bounded_or_not_believed(text: str, wait_s: float | None) -> None:
    assert retry_after({"Retry-After": text}, NOW) == wait_s


@given(st.text(max_size=40))
def test_no_text_in_place_of_a_wait_is_an_accident(text: str) -> None:
    wait_s = retry_after({"Retry-After": text, "X-RateLimit-Reset": text}, NOW)
    assert wait_s is None or 0 <= wait_s <= WAIT_LIMIT_S


@pytest.mark.parametrize(
    "body",
    ["<html>Please log in</html>", "[]", "null", '"ok"', "{", "[" * 100_000, '{"a": ' + "9" * 5000 + "}"],
)
def test_success_without_a_json_object_may_be_anybodys_answer(stub: Stub, http: Http, body: str) -> None:
    stub.says(answer(200, body))
    with pytest.raises(Transient):
        http.call("PUT", "r")


def test_what_is_compressed_unasked_is_no_answer(stub: Stub, http: Http) -> None:
    body = gzip.compress(b"{}")
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nContent-Encoding: gzip\r\n\r\n"
    stub.says(head.encode() + body)
    with pytest.raises(Transient):
        http.call("GET", "r")


@pytest.mark.parametrize(
    "start", ["HTTP/1.1 200 OK\r\n\r\n", f"HTTP/1.1 200 OK\r\nContent-Length: {10**9}\r\n\r\n"]
)
def test_an_answer_that_is_too_long_is_not_read_to_its_end(stub: Stub, http: Http, start: str) -> None:
    def endless(line: Line) -> None:
        line.say(start.encode())
        line.drip(b" " * ANSWER_LIMIT, 0)

    stub.does = endless
    with pytest.raises(Transient, match="too long"):
        http.call("GET", "r")


def test_an_answer_may_be_just_so_long(stub: Stub, http: Http) -> None:
    title = "x" * (ANSWER_LIMIT - len('{"title": ""}'))
    stub.says(answer(200, json.dumps({"title": title})))
    assert http.call("GET", "r") == {"title": title}
    stub.says(answer(200, json.dumps({"title": title + "x"})))
    with pytest.raises(Transient, match="too long"):
        http.call("GET", "r")


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"],
    ids=["nothing", "half a head", "half a body"],
)
def test_silence_ends_as_a_timeout(stub: Stub, impatient: Http, beginning: bytes) -> None:
    def stall(line: Line) -> None:
        line.say(beginning)
        line.wfile.flush()
        stub.over.wait()

    stub.does = stall
    started = time.monotonic()
    with pytest.raises(Timeout):
        impatient.call("PUT", "r")
    assert time.monotonic() - started < 2 * IMPATIENT_S + BUSY_S


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{",
        b"\x00\xff garbage\r\n\r\n",
        b"HTTP/1.1 2x0\r\n\r\n",
    ],
    ids=["nothing", "half a body", "garbage", "no status"],
)
def test_a_broken_connection_leaves_the_outcome_open(stub: Stub, http: Http, said: bytes) -> None:
    def break_off(line: Line) -> None:
        line.say(said)
        line.hang_up()

    stub.does = break_off
    with pytest.raises(Transient) as caught:
        http.call("PUT", "r")
    assert type(caught.value) is Transient
    assert len(stub.requests) == 1, "a call is made once"


def test_nobody_there_is_no_silence_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with Stub() as closed:
        url = closed.url
    with pytest.raises(Transient, match=r"^GET: 127.0.0.1 takes no connection$") as caught:
        Http(url, connect_s=PATIENT_S, read_s=PATIENT_S).call("GET", "r")
    assert type(caught.value) is Transient
    monkeypatch.setattr(socket, "getaddrinfo", _nobody_knows)
    with pytest.raises(Transient, match=r"^GET: nobody knows a host nowhere.invalid$") as caught:
        Http("https://nowhere.invalid", connect_s=PATIENT_S, read_s=PATIENT_S).call("GET", "r")
    assert type(caught.value) is Transient


def _nobody_knows(*_: object, **__: object) -> None:
    raise socket.gaierror("no such name")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com",
        "https://",
        "https://h:port",
        "https://[",
        "https://u:pw@h",
        "https://h?k=1",
    ],
)
def test_a_root_that_cannot_work_is_said_at_once_and_not_repeated(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Http(url, connect_s=1, read_s=1)
    assert caught.value.problems == ("a provider's URL is not of the form https://host/path",)


def _failures() -> list[bytes]:
    refusals = [
        answer(status, '{"message": "SECRET-BODY"}', X_Note="SECRET-HEADER") for status, _ in STATUSES
    ]
    return [
        *refusals,
        answer(200, "SECRET-BODY"),
        b"SECRET-LINE\r\n\r\n",
        b"HTTP/1.1 200 SECRET\r\nContent-Length: 9\r\n\r\n",
    ]


@pytest.mark.parametrize("said", _failures())
def test_an_error_tells_no_secret(stub: Stub, said: bytes) -> None:
    def say_and_leave(line: Line) -> None:
        line.say(said)
        line.hang_up()

    stub.does = say_and_leave
    http = Http(
        f"{stub.url}/SECRET-ROOT",
        connect_s=PATIENT_S,
        read_s=PATIENT_S,
        headers={"Authorization": "SECRET-KEY"},
    )
    with pytest.raises(SyncError) as caught:
        http.call("PUT", "SECRET-PATH", body={"title": "SECRET-TITLE"})
    told = "".join(traceback.format_exception_only(caught.value))
    assert "SECRET" not in told
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "PUT" in told
    assert "127.0.0.1" in told
