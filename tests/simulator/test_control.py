"""The back stage: people act, the judge sees the truth, worlds are kept and brought back."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator

from sync.simulator import Simulator
from sync.simulator.control import schema

from .conftest import CONFERENCE, ME, PATIENCE_S, YOU, Caller, Json, Receiver, channel, ids

MEETING = {
    "do": "create_meeting",
    "title": "Plans",
    "start": "2026-03-02T09:00:00Z",
    "end": "2026-03-02T10:00:00Z",
}


def refused(me: Caller, name: str, body: object) -> Json:
    response, content = me.send("POST", f"/_sim/{name}", body)
    assert response.status == 400
    return dict(json.loads(content))


def test_without_control_there_is_no_back_stage() -> None:
    with Simulator(control=False) as simulator:
        response, content = Caller(simulator).send("GET", "/_sim/state")
        assert response.status == 404
        assert "--control" in json.loads(content)["hint"]


def test_people_act_without_parameters_and_everybody_is_told(me: Caller, receiver: Receiver) -> None:
    me.watch(channel(receiver))
    event = me.act("create_meeting", title="Plans", start="2026-03-02T09:00:00Z", end="2026-03-02T10:00:00Z",
                   attendees=[YOU], time_zone="Europe/Berlin")  # fmt: skip
    assert [guest["email"] for guest in event["attendees"]] == [ME, YOU]
    assert event["start"]["timeZone"] == "Europe/Berlin"
    etags = [event["etag"]]
    for do, wish in (
        ("move", {"start": "2026-03-03T09:00:00Z", "end": "2026-03-03T10:00:00Z"}),
        ("retitle", {"title": "Better plans"}),
        ("invite", {"attendees": ["third@example.com"]}),
        ("edit", {"fields": {"location": "Roof"}}),
        ("replace_conference", {"conference": CONFERENCE}),
        ("touch", {}),
    ):
        event = me.act(do, event=event["id"], **wish)
        etags.append(event["etag"])
    assert len(set(etags)) == len(etags)
    assert event["start"]["timeZone"] == "Europe/Berlin"
    assert (event["summary"], event["location"], len(event["attendees"])) == ("Better plans", "Roof", 3)
    me.settle()
    assert receiver.states().count("exists") == 7


def test_the_state_is_the_whole_truth(me: Caller) -> None:
    event = me.act(**MEETING, attendees=[YOU], conference=CONFERENCE, visibility="private")
    me.act("change_role", user="third@example.com", role="reader")
    me.act("delete", event=event["id"])
    state = me.sim("GET", "state")
    mine, yours = (state["calendars"][who]["events"][0] for who in (ME, YOU))
    assert (mine["organizer_self"], yours["organizer_self"]) == (True, False)
    assert (mine["live"], yours["live"]) == (False, False)
    assert mine["conference"] == yours["conference"] == CONFERENCE
    assert mine["title"] == "Plans"
    assert state["calendars"][ME]["acl"]["third@example.com"] == "reader"


def test_the_journal_keeps_every_request_and_what_the_api_does_not_know(me: Caller) -> None:
    me.sim("DELETE", "journal")
    event = me.meeting()
    me.send("PATCH", f"/calendar/v3/calendars/primary/events/{event['id']}?sendUpdates=none&sendMail=no",
            {"summary": "x", "colour": "red", "start": {"moment": 1}}, {"if-match": "*"})  # fmt: skip
    inserted, patched = me.sim("GET", "journal")["requests"]
    assert (inserted["method"], inserted["unknown"], inserted["status"]) == ("events.insert", [], 200)
    assert patched["unknown"] == [
        "unknown parameter sendMail",
        "unknown field colour",
        "unknown field start.moment",
    ]
    assert patched["params"] == {"sendUpdates": ["none"], "sendMail": ["no"]}
    assert (patched["calendar"], patched["event"], patched["if_match"]) == (ME, event["id"], "*")
    assert patched["body"]["summary"] == "x"


def test_the_journal_knows_which_parameter_values_cannot_be(me: Caller) -> None:
    me.send("GET", f"/calendar/v3/calendars/{ME}/events?singleEvents=yes&maxResults=x&orderBy=title")
    assert len(me.sim("GET", "journal")["requests"][-1]["unknown"]) == 3


def test_metrics_count(me: Caller) -> None:
    me.meeting()
    me.get("nosuchevent")
    metrics = me.sim("GET", "metrics")
    assert metrics["by_method"] == {"events.insert": 1, "events.get": 1}
    assert metrics["by_status"] == {"200": 1, "404": 1}
    assert metrics["events"] == 1


def test_reset_goes_back_to_the_seed(me: Caller) -> None:
    me.meeting()
    me.fault(times=0, status=500)
    me.sim("POST", "reset")
    assert me.everything()[0] == []
    assert len(me.sim("GET", "journal")["requests"]) == 1


def test_a_seed_is_what_people_have_done_already() -> None:
    seed = {
        "random": 9,
        "switches": {"tombstones": "rich"},
        "acts": [{"do": "add_user", "email": "boss@corp.example", "time_zone": "Asia/Tokyo"}, MEETING],
    }
    with Simulator(seed=seed) as simulator:
        boss = Caller(simulator)
        page = boss.list("primary").body
        assert (page["summary"], page["timeZone"], len(page["items"])) == (
            "boss@corp.example",
            "Asia/Tokyo",
            1,
        )
        assert boss.sim("GET", "state")["seed"] == 9
        assert boss.sim("GET", "faults")["switches"]["tombstones"] == "rich"


def test_a_snapshot_brings_back_events_tokens_and_channels(me: Caller, receiver: Receiver) -> None:
    event = me.meeting()
    me.watch(channel(receiver))
    token = me.token()
    me.sim("POST", "snapshot", {"name": "before"})
    me.delete(event["id"])
    me.sim("POST", "restore", {"name": "before"})
    assert ids(me.everything()[0]) == [event["id"]]
    assert me.delta(token) == []
    assert me.sim("GET", "metrics")["channels"] == 1
    assert "no snapshot" in refused(me, "restore", {"name": "never"})["error"]


def test_a_frozen_clock_moves_when_told(frozen: Simulator) -> None:
    me = Caller(frozen)
    assert me.sim("GET", "clock") == {"mode": "frozen", "now": "2026-01-05T08:00:00.000Z"}
    assert me.sim("POST", "clock", {"advance_s": 1.5})["now"] == "2026-01-05T08:00:01.500Z"


def test_the_stream_tells_what_is_journalled_as_it_comes(me: Caller, receiver: Receiver) -> None:
    place = urlsplit(me.simulator.url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE_S)
    connection.request("GET", "/_sim/stream")
    response = connection.getresponse()
    me.watch(channel(receiver))
    lines = (json.loads(response.readline()) for _ in range(100))
    told = [next(line for line in lines if line) for _ in range(2)]
    assert {line.get("method", line.get("state")) for line in told} == {"events.watch", "sync"}
    response.close()
    connection.close()


def test_many_plain_meetings_can_be_had_at_once(me: Caller) -> None:
    me.act("fill", count=30)
    assert len(me.everything(maxResults=10)[0]) == 30


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("act", {"do": "dance"}, "unknown act"),
        ("act", {"do": "move", "event": "x"}, "needs start, end"),
        ("act", {"do": "delete", "event": "x", "why": "no"}, "does not know why"),
        ("act", {"do": "fill", "count": "many"}, "count cannot be"),
        ("act", {"do": "delete", "event": "x", "calendar": "nobody"}, "no calendar"),
        ("faults", {"where": "events.list", "sttus": 500}, "unknown key 'sttus'"),
        ("faults", {"status": "500"}, "of type integer"),
        ("faults", {"push": "lose"}, "'drop' or"),
        ("faults", {"quota": "user"}, "per_minute is missing"),
        ("faults", {"switch": "gravity", "to": False}, "unknown key 'gravity'"),
        ("faults", {"switch": "tombstones", "to": "marble"}, "tombstones cannot be"),
        ("faults", {"expire_tokens": "nobody"}, "no calendar"),
        ("clock", {}, "advance_s is missing"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_with_a_reason(
    me: Caller, name: str, body: Json, told: str
) -> None:
    answer = refused(me, name, body)
    assert told in answer["error"]
    assert answer["hint"]
    bodies = Draft202012Validator({**schema(), "$ref": f"#/$defs/{name}"})
    known_only_at_run_time = {"no calendar", "unknown key 'gravity'", "tombstones cannot be"}
    assert bodies.is_valid(body) == (told in known_only_at_run_time)


def test_what_the_api_refuses_people_it_refuses_in_its_own_words(me: Caller) -> None:
    response, content = me.send("POST", "/_sim/act", {"do": "retitle", "event": "nosuchevent", "title": "x"})
    assert response.status == 404
    assert json.loads(content)["error"]["errors"][0]["reason"] == "notFound"


def test_an_unknown_door_names_the_known_ones(me: Caller) -> None:
    response, content = me.send("GET", "/_sim/teapot")
    assert response.status == 404
    assert "journal" in json.loads(content)["hint"]
