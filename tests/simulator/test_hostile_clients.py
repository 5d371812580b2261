"""Invariant: whoever misbehaves on the line is told so in the API's words, and holds up nobody else."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from sync.simulator import Simulator, server, wire

from .conftest import ME, PATIENCE_S, YOU, Caller, hours

EVENTS = f"/calendar/v3/calendars/{ME}/events"
DEEP = 100_000


@contextmanager
def line(simulator: Simulator) -> Iterator[socket.socket]:
    place = urlsplit(simulator.url)
    with closing(socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S)) as connection:
        yield connection


def said(simulator: Simulator, *pieces: bytes, hang_up: bool = False) -> tuple[int, bytes]:
    """Status and body of what comes back for these bytes, until the server hangs up or has said all."""
    with line(simulator) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            headers = dict(row.lower().split(b": ", 1) for row in iter(answer.readline, b"\r\n"))
            return status, answer.read(int(headers.get(b"content-length", b"0")))


def request(first: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([first, "host: x", *headers, "", ""]).encode() + body


def reason(content: bytes) -> str:
    error = json.loads(content)["error"]
    assert list(error) == ["errors", "code", "message"]
    return str(error["errors"][0]["reason"])


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/x.y\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n", 431),
        (request("GET http://[x/calendar HTTP/1.1"), 400),
        (request("BREW /calendar/v3/calendars/primary HTTP/1.1"), 501),
        (request("OPTIONS * HTTP/1.1"), 501),
        (request("CONNECT elsewhere:443 HTTP/1.1"), 501),
        (request(f"POST {EVENTS} HTTP/1.1", "content-length: many"), 400),
        (request(f"POST {EVENTS} HTTP/1.1", "content-length: -5"), 400),
        (request(f"POST {EVENTS} HTTP/1.1", f"content-length: {10**15}"), 413),
        (request(f"POST {EVENTS} HTTP/1.1", "transfer-encoding: chunked", body=b"zz\r\n"), 400),
        (request(f"POST {EVENTS} HTTP/1.1", "transfer-encoding: chunked", body=b"-5\r\n"), 400),
        (
            request(f"POST {EVENTS} HTTP/1.1", "transfer-encoding: chunked", body=b"2\r\n{}{}\r\n0\r\n\r\n"),
            400,
        ),
        (request(f"POST {EVENTS} HTTP/1.1", "transfer-encoding: chunked", body=b"ffffffff\r\n"), 413),
        (request("GET /calendar/v3/calendars/%ff%fe/events HTTP/1.1"), 404),
        (b"GET /calendar/v3/calendars/\xff\xfe/events HTTP/1.1\r\n\r\n", 404),
        (request(f"GET {EVENTS}?fields={'a(' * 20_000} HTTP/1.1"), 400),
    ],
)
def test_what_is_no_request_is_refused_in_the_words_of_the_api(
    simulator: Simulator, sent: bytes, status: int
) -> None:
    told, content = said(simulator, sent)
    assert told == status
    assert reason(content)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null and void",
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b'{"summary": ' + b"[" * 60 + b"]" * 60 + b"}",
        b'{"summary": "\\ud800"}',
        b'{"sequence": NaN}',
        b"\xff\xfe",
    ],
)
def test_a_body_nobody_can_read_is_a_parse_error(simulator: Simulator, body: bytes) -> None:
    sent = request(f"POST {EVENTS} HTTP/1.1", f"content-length: {len(body)}", body=body)
    status, content = said(simulator, sent)
    assert (status, reason(content)) == (400, "parseError")


@pytest.mark.parametrize("packed", [b"\x1f\x8b", b"plain", gzip.compress(b"{}", mtime=0)[:-4]])
def test_what_was_packed_badly_is_a_parse_error(simulator: Simulator, packed: bytes) -> None:
    head = request(f"POST {EVENTS} HTTP/1.1", "content-encoding: gzip", f"content-length: {len(packed)}")
    status, content = said(simulator, head, packed)
    assert (status, reason(content)) == (400, "parseError")


def test_a_small_body_cannot_unpack_to_a_very_large_one(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MOST_BODY_BYTES", 1000)
    bomb = gzip.compress(b'{"summary": "' + b"x" * 10_000 + b'"}')
    head = request(f"POST {EVENTS} HTTP/1.1", "content-encoding: gzip", f"content-length: {len(bomb)}")
    status, content = said(simulator, head, bomb)
    assert (status, reason(content)) == (400, "parseError")


def test_a_body_too_large_is_heard_out_and_refused(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_BODY_BYTES", 1000)
    body = b"x" * 30_000_000
    sent = request(f"POST {EVENTS} HTTP/1.1", f"content-length: {len(body)}", body=body)
    status, content = said(simulator, sent)
    assert (status, reason(content)) == (413, "requestTooLarge")


@pytest.mark.parametrize(
    ("header", "start"), [("content-length: 100", b"{"), ("transfer-encoding: chunked", b"5\r\n{")]
)
def test_a_body_that_never_ends_is_given_up(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, header: str, start: bytes
) -> None:
    monkeypatch.setattr(server, "BODY_PATIENCE_S", 0.02)
    status, content = said(simulator, request(f"POST {EVENTS} HTTP/1.1", header, body=start))
    assert (status, reason(content)) == (408, "requestTimeout")


@pytest.mark.parametrize("header", ["content-length: 999", "transfer-encoding: chunked"])
def test_a_body_that_is_cut_off_changes_nothing(simulator: Simulator, header: str) -> None:
    meeting = json.dumps(hours("2026-03-02", 9, 10)).encode()
    start = meeting if "length" in header else b"%x\r\n%s\r\n" % (len(meeting), meeting)
    status, _ = said(simulator, request(f"POST {EVENTS} HTTP/1.1", header, body=start), hang_up=True)
    assert status == 400
    assert Caller(simulator).everything()[0] == []


def test_the_head_of_an_answer_has_no_body(simulator: Simulator) -> None:
    with line(simulator) as connection:
        connection.sendall(request(f"HEAD {EVENTS} HTTP/1.1"))
        connection.sendall(request(f"GET {EVENTS} HTTP/1.1", "connection: close"))
        with connection.makefile("rb") as answers:
            head, _, rest = answers.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 501 ")
    assert rest.startswith(b"HTTP/1.1 200 ")


def test_a_mistake_of_the_simulator_is_an_answer_too(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulator.world, "page", lambda *_: 1 / 0)
    status, content = said(simulator, request(f"GET {EVENTS} HTTP/1.1"))
    assert (status, reason(content)) == (500, "backendError")
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(
    "form", [b"\xff\xfe=\xff", b"assertion=a.W10.b", b"assertion=a.%ff.b", b"assertion=."]
)
def test_a_token_request_that_makes_no_sense_is_refused(simulator: Simulator, form: bytes) -> None:
    sent = request("POST /token HTTP/1.1", f"content-length: {len(form)}", body=form)
    status, content = said(simulator, sent)
    assert (status, json.loads(content)["error"]) == (400, "invalid_grant")


def test_a_disguised_get_may_hold_anything(simulator: Simulator) -> None:
    form, kind = b"q=\xff\xfe&maxResults=2", "content-type: application/x-www-form-urlencoded"
    headers = ("x-http-method-override: GET", kind, f"content-length: {len(form)}")
    assert said(simulator, request(f"POST {EVENTS} HTTP/1.1", *headers, body=form))[0] == 200


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("{etag}", 200),
        ("*", 200),
        ('"0", {etag}', 200),
        ("W/{etag}", 412),
        ("{bare}", 412),
        ('"0"', 412),
        ('"0", "1"', 412),
        ('"*"', 412),
    ],
)
def test_only_the_very_etag_or_a_star_meets_a_condition(me: Caller, condition: str, status: int) -> None:
    event = me.meeting()
    if_match = condition.format(etag=event["etag"], bare=event["etag"].strip('"'))
    assert me.patch(event["id"], {"summary": "x"}, if_match=if_match).status == status


def test_a_page_token_of_another_list_or_calendar_is_invalid(me: Caller) -> None:
    me.act("add_calendar", id="team@group.calendar.google.com")
    series = me.meeting(recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    me.meeting("another")
    page = me.list(maxResults=1).body["nextPageToken"]
    instances = f"/calendars/{ME}/events/{series['id']}/instances"
    for answer in (
        me.list("team@group.calendar.google.com", pageToken=page),
        me.call("events.instances", "GET", instances, pageToken=page),
        me.list(pageToken=me.token()),
        me.list(pageToken=page, syncToken=me.token()),
    ):
        assert (answer.status, answer.body["error"]["message"]) == (400, "Invalid page token value.")
    assert me.list(syncToken=page).body["error"]["message"] == "Invalid sync token value."


def test_two_hundred_connections_at_once_are_all_served() -> None:
    simulator = Simulator()  # listens already, and takes nobody in yet: the crowd waits at the door
    place = urlsplit(simulator.url)
    crowd = [socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S) for _ in range(200)]
    with simulator:
        for connection in crowd:
            connection.sendall(request("GET /calendar/v3/calendars/primary HTTP/1.1"))
        assert {connection.recv(12) for connection in crowd} == {b"HTTP/1.1 200"}
    for connection in crowd:
        connection.close()


def test_a_connection_that_idles_longer_than_a_body_may_take_stays_open(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_PATIENCE_S", 0.01)
    with line(simulator) as connection, connection.makefile("rb") as answers:
        for _ in range(2):
            connection.sendall(request("HEAD / HTTP/1.1"))
            assert answers.readline().startswith(b"HTTP/1.1 501")
            while answers.readline() != b"\r\n":
                pass
            connection.settimeout(0.05)
            with pytest.raises(TimeoutError):
                connection.recv(1)  # nothing comes, not even the end
            connection.settimeout(PATIENCE_S)


def test_writers_at_once_leave_no_torn_state(me: Caller, you: Caller) -> None:
    event = me.meeting("0", attendees=[{"email": YOU}])
    token = me.token()

    def write(number: int) -> int:
        return me.patch(event["id"], {"summary": str(number), "description": str(number)}).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, range(40))) == {200}
    (seen,) = me.delta(token)
    copy = you.get(event["id"], YOU).body
    assert seen["summary"] == seen["description"] == copy["summary"] == copy["description"]
    assert seen["etag"] == copy["etag"]


def test_of_writers_with_one_etag_one_wins(me: Caller) -> None:
    event = me.meeting("0")

    def write(number: int) -> int:
        return me.patch(event["id"], {"summary": str(number)}, if_match=event["etag"]).status

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(write, range(16))) == [200, *[412] * 15]


def test_ten_thousand_faults_are_each_spent_once_and_gone(me: Caller) -> None:
    me.sim("POST", "faults", [{"where": "events.list", "nth": 3, "status": 503}] * 10_000)
    assert [me.list().status for _ in range(4)] == [200, 200, 503, 200]
    assert me.sim("GET", "faults")["faults"] == []


def test_meetings_that_make_no_sense_are_refused_where_the_api_is_not_described(
    me: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.simulator.routes.methods", dict)
    monkeypatch.setattr("sync.simulator.routes.misfits", lambda *_: [])
    for wrong in ({"start": 3}, {**hours("2026-03-02", 9, 10), "attendees": [5]}):
        response, content = me.send("POST", EVENTS, wrong)
        assert (response.status, reason(content)) == (400, "invalid")
