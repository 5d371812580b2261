"""HTTP as clients speak it: kept connections, chunks, gzip, partial answers, overridden verbs."""

from __future__ import annotations

import gzip
import json
from base64 import urlsafe_b64encode
from http.client import HTTPConnection, RemoteDisconnected
from urllib.parse import urlsplit

import pytest

from sync.simulator import Simulator

from .conftest import ME, PATIENCE_S, Caller, hours

EVENTS = f"/calendar/v3/calendars/{ME}/events"


def connect(simulator: Simulator) -> HTTPConnection:
    place = urlsplit(simulator.url)
    return HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE_S)


def test_a_connection_stays_open(me: Caller) -> None:
    connection = connect(me.simulator)
    ports = set()
    for _ in range(3):
        connection.request("GET", EVENTS)
        assert connection.getresponse().read()
        ports.add(connection.sock.getsockname()[1])
    connection.close()
    assert len(ports) == 1


def _again(connection: HTTPConnection) -> None:
    connection.request("GET", EVENTS)
    connection.getresponse()


def test_a_kept_connection_dies_with_the_simulator() -> None:
    with Simulator() as simulator:
        connection = connect(simulator)
        connection.request("GET", EVENTS)
        connection.getresponse().read()
    with pytest.raises((RemoteDisconnected, ConnectionError)):
        _again(connection)
    connection.close()


def test_the_api_is_served_with_and_without_its_prefix(me: Caller) -> None:
    for path in (EVENTS, EVENTS.removeprefix("/calendar/v3")):
        assert me.send("GET", path)[0].status == 200


def test_a_body_may_come_in_chunks_and_packed(me: Caller) -> None:
    packed = gzip.compress(json.dumps({"summary": "Packed", **hours("2026-03-02", 9, 10)}).encode())
    connection = connect(me.simulator)
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    connection.request("POST", EVENTS, iter([packed[:7], packed[7:]]), headers, encode_chunked=True)
    response = connection.getresponse()
    assert json.loads(response.read())["summary"] == "Packed"
    connection.request("GET", EVENTS)
    assert connection.getresponse().status == 200
    connection.close()


def test_an_answer_is_packed_for_those_who_can_unpack_it(me: Caller) -> None:
    response, content = me.send("GET", EVENTS, headers={"accept-encoding": "gzip, deflate"})
    assert response.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(content))["kind"] == "calendar#events"


@pytest.mark.parametrize("content", [b"{", b"[]", b"\x1f\x8bnot gzip"])
def test_a_body_that_is_no_object_is_a_parse_error(me: Caller, content: bytes) -> None:
    connection = connect(me.simulator)
    packed = {"content-encoding": "gzip"} if content.startswith(b"\x1f") else {}
    connection.request("POST", EVENTS, content, packed)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["error"]["errors"][0]["reason"]) == (
        400,
        "parseError",
    )
    connection.close()


def test_a_long_get_may_be_a_post_in_disguise(me: Caller) -> None:
    event = me.meeting()
    connection = connect(me.simulator)
    headers = {"x-http-method-override": "GET", "content-type": "application/x-www-form-urlencoded"}
    connection.request("POST", EVENTS, b"maxResults=1&q=Plans", headers)
    assert json.loads(connection.getresponse().read())["items"][0]["id"] == event["id"]
    connection.close()


def test_a_patch_may_be_a_post_in_disguise(me: Caller) -> None:
    event = me.meeting()
    path = f"{EVENTS}/{event['id']}"
    _, content = me.send("POST", path, {"summary": "Patched"}, {"x-http-method-override": "PATCH"})
    assert json.loads(content)["summary"] == "Patched"


def test_fields_select_what_comes_back(me: Caller) -> None:
    me.meeting("Plans", attendees=[{"email": "a@b.example"}])
    chosen = "nextSyncToken,items(id,start/timeZone,attendees(email))"
    body = me.list(fields=chosen).body
    assert list(body) == ["nextSyncToken", "items"]
    assert list(body["items"][0]) == ["id", "start", "attendees"]
    assert body["items"][0]["start"] == {"timeZone": "Europe/Berlin"}
    assert body["items"][0]["attendees"] == [{"email": "a@b.example"}]


def test_a_star_selects_everything_below(me: Caller) -> None:
    event = me.meeting()
    assert me.get(event["id"], fields="*").body == event
    assert me.list(fields="items/*").body == {"items": [event]}


def test_forgetting_the_token_in_fields_means_no_token(me: Caller) -> None:
    assert list(me.list(fields="items(id)").body) == ["items"]


@pytest.mark.parametrize("fields", ["items(", "items)", ",", "items(id", "itmes(id)", "items(idd)", "items/"])
def test_a_selection_of_what_does_not_exist_is_refused(me: Caller, fields: str) -> None:
    answer = me.list(fields=fields)
    assert (answer.status, answer.reason) == (400, "invalidParameter")


def test_answers_are_pretty_unless_told_not_to_be(me: Caller) -> None:
    assert me.send("GET", EVENTS)[1].startswith(b'{\n "kind"')
    assert b"\n" not in me.send("GET", EVENTS + "?prettyPrint=false&key=k&alt=json")[1]


def test_answers_carry_the_recorded_headers(me: Caller) -> None:
    headers = me.list().headers
    assert headers["content-type"] == "application/json; charset=UTF-8"
    assert headers["server"] == "ESF"
    assert headers["vary"] == "Origin, X-Origin, Referer"
    assert headers["date"].endswith("GMT")


@pytest.mark.parametrize(
    ("verb", "path"), [("GET", "/colors"), ("POST", "/freeBusy"), ("POST", "/users/me/calendarList")]
)
def test_the_rest_of_the_api_says_that_it_is_not_served(me: Caller, verb: str, path: str) -> None:
    response, content = me.send(verb, f"/calendar/v3{path}")
    assert response.status == 501
    assert f"{verb} /calendar/v3{path}" in json.loads(content)["error"]["message"]


def test_a_token_is_exchanged_for_an_assertion_or_an_address(simulator: Simulator) -> None:
    claims = urlsafe_b64encode(
        json.dumps({"iss": "robot@example.com", "sub": "you@example.com"}).encode()
    ).decode()
    for form in (
        f"grant_type=jwt&assertion=e30.{claims}.x",
        "grant_type=refresh_token&refresh_token=you@example.com",
    ):
        connection = connect(simulator)
        connection.request("POST", "/token", form.encode())
        granted = json.loads(connection.getresponse().read())
        connection.close()
        you = Caller(simulator, granted["access_token"])
        assert you.list("primary").body["summary"] == "you@example.com"


@pytest.mark.parametrize("form", [b"refresh_token=nobody@example.com", b"assertion=x", b""])
def test_nobody_gets_no_token(simulator: Simulator, form: bytes) -> None:
    connection = connect(simulator)
    connection.request("POST", "/token", form)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["error"]) == (400, "invalid_grant")
    connection.close()
