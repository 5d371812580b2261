"""Every act a person can do, and every trouble that can be had, has an effect that a client sees."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from sync.simulator.acts import ACTS
from sync.simulator.clock import SECOND
from sync.simulator.control import TROUBLES
from sync.simulator.faults import PushFault, Quota, RequestFault

from .conftest import CONFERENCE, ME, YOU, Caller, Json, hours

AWAY = "away@example.com"
TEAM = "team@group.calendar.google.com"
NINE, TEN, ELEVEN = (f"2026-03-02T{hour:02d}:00:00+01:00" for hour in (9, 10, 11))
THIRD = {"event": "dishes", "at": "2026-03-04T09:00:00+01:00"}
OCCURRENCE = "dishes_20260304T080000Z"
OTHER = {**CONFERENCE, "conferenceId": "732"}


@pytest.fixture
def office(me: Caller) -> Caller:
    """A meeting with a guest and a conference, a deleted one, a series, a calendar more, one who is suspended."""
    me.act("add_user", email=AWAY)
    me.act("suspend_user", user=AWAY)
    me.act("add_calendar", id=TEAM)
    wish = {"title": "Plans", "start": NINE, "end": TEN, "time_zone": "Europe/Berlin"}
    me.act("create_meeting", id="plans", attendees=[YOU], conference=CONFERENCE, **wish)
    me.act("create_meeting", id="gone0", **wish)
    me.act("delete", event="gone0")
    me.act("create_meeting", id="dishes", recurrence=["RRULE:FREQ=DAILY;COUNT=5"], **wish)
    return me


def titles(me: Caller, calendar: str = ME) -> list[str]:
    return sorted(item.get("summary", "") for item in me.everything(calendar)[0])


def seen(name: str, event: str = "plans") -> Callable[[Caller], Any]:
    return lambda me: me.get(event).body.get(name)


def answer_of_the_guest(me: Caller) -> str:
    return str(me.get("plans").body["attendees"][1]["responseStatus"])


def token_for(user: str) -> Callable[[Caller], int]:
    """The status with which a service account is answered that asks to speak for this user."""

    def ask(me: Caller) -> int:
        now_s = me.simulator.clock.now() // SECOND
        claims = {"iss": "sync@project.example", "sub": user, "scope": "all", "iat": now_s, "exp": now_s + 60}
        assertion = f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()}."
        form = urlencode({"assertion": assertion})
        return urllib3.request("POST", f"{me.simulator.url}/token", body=form).status

    return ask


def role(me: Caller) -> Json:
    return dict(me.sim("GET", "state")["calendars"][ME]["acl"])


MATRIX: list[tuple[str, Json, Callable[[Caller], Any], Any]] = [
    ("add_user", {"email": "New@example.com"},
     lambda me: me.sim("GET", "state")["users"][3:], ["new@example.com"]),
    ("suspend_user", {"user": YOU}, token_for(YOU), 400),
    ("restore_user", {"user": AWAY}, token_for(AWAY), 200),
    ("delegate", {"account": "another@project.example", "scopes": ["calendar.events"]}, token_for(ME), 401),
    ("add_calendar", {"id": "new@group.calendar.google.com"},
     lambda me: me.list("new@group.calendar.google.com").status, 200),
    ("change_role", {"user": YOU, "role": "reader"}, role, {ME: "owner", YOU: "reader"}),
    ("create_meeting", {"title": "Party", "start": NINE, "end": TEN}, titles, ["Party", "Plans", "Plans"]),
    ("copy_event", {"event": "plans", "to": TEAM}, lambda me: titles(me, TEAM), ["Plans"]),
    ("move", {"event": "plans", "start": TEN, "end": ELEVEN}, seen("sequence"), 1),
    ("retitle", {"event": "plans", "title": "Party"}, seen("summary"), "Party"),
    ("edit", {"event": "plans", "fields": {"location": "Roof"}}, seen("location"), "Roof"),
    ("invite", {"event": "plans", "attendees": ["x@y.example"]}, lambda me: len(seen("attendees")(me)), 3),
    ("rsvp", {"event": "plans", "calendar": YOU, "response": "tentative"}, answer_of_the_guest, "tentative"),
    ("delete", {"event": "plans"}, seen("status"), "cancelled"),
    ("restore", {"event": "gone0"}, seen("status", "gone0"), "confirmed"),
    ("strip_conference", {"event": "plans"}, seen("conferenceData"), None),
    ("replace_conference", {"event": "plans", "conference": OTHER}, seen("conferenceData"), OTHER),
    ("move_to_calendar", {"event": "plans", "to": TEAM}, seen("organizer"), {"email": TEAM, "displayName": TEAM}),
    ("move_occurrence", {**THIRD, "start": TEN, "end": ELEVEN}, seen("sequence", OCCURRENCE), 1),
    ("cancel_occurrence", THIRD, seen("status", OCCURRENCE), "cancelled"),
    ("split_series", {**THIRD, "title": "Pots"}, titles, ["Plans", "Plans", "Pots"]),
    ("delete_following", THIRD, lambda me: me.get(OCCURRENCE).status, 404),
    ("touch", {"event": "plans"}, lambda me: me.list(timeMin=NINE).body["items"][-1]["id"], "plans"),
    ("fill", {"count": 7}, lambda me: len(me.everything()[0]), 9),
]  # fmt: skip


@pytest.mark.parametrize(("do", "wish", "look", "expected"), MATRIX, ids=[row[0] for row in MATRIX])
def test_every_act_is_seen_by_a_client(
    office: Caller, do: str, wish: Json, look: Callable[[Caller], Any], expected: Any
) -> None:
    assert look(office) != expected
    office.act(do, **wish)
    assert look(office) == expected


def test_the_matrix_holds_every_act() -> None:
    assert sorted(row[0] for row in MATRIX) == sorted(ACTS)


def test_every_key_of_every_trouble_is_had_by_a_test() -> None:
    words = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    keys = {one.name for kind in (RequestFault, PushFault, Quota) for one in fields(kind)} | TROUBLES.keys()
    assert {key for key in keys if f"fault({key}=" not in words and f", {key}=" not in words} == set()


@pytest.mark.parametrize(
    ("do", "wish", "status"),
    [
        ("change_role", {"user": YOU, "role": "king"}, 400),
        ("rsvp", {"event": "plans", "calendar": YOU, "response": "perhaps"}, 400),
        ("touch", {"event": "nosuchevent"}, 404),
        ("add_user", {"email": ME}, 409),
        ("add_user", {"email": "new@example.com", "time_zone": "Mars/Base"}, 400),
        ("fill", {"count": 10**9}, 400),
        ("fill", {"count": True}, 400),
        ("invite", {"event": "plans", "attendees": [5]}, 400),
        ("edit", {"event": "plans", "fields": {"start": 5}}, 400),
        ("replace_conference", {"event": "plans", "conference": {"entryPoints": "all"}}, 400),
        ("cancel_occurrence", {"event": "dishes", "at": "soon"}, 400),
    ],
)
def test_an_act_that_cannot_be_changes_nothing(office: Caller, do: str, wish: Json, status: int) -> None:
    before = office.sim("GET", "state")
    response, content = office.send("POST", "/_sim/act", {"do": do, **wish})
    assert response.status == status
    assert json.loads(content)["error"]
    after = office.sim("GET", "state")
    assert (after["calendars"], after["users"]) == (before["calendars"], before["users"])


@pytest.mark.parametrize(
    ("door", "body"),
    [
        ("act", []),
        ("act", 5),
        ("act", {"do": ["dance"]}),
        ("faults", "x"),
        ("faults", [5]),
        ("faults", [{"status": 500}, {"sttus": 500}]),
        ("faults", {"push": "delay", "delay_s": 10**400}),
        ("faults", {"skew_s": 1e18}),
        ("clock", {"advance_s": 1e18}),
        ("clock", {"advance_s": -1e18}),
        ("clock", []),
        ("settle", []),
    ],
)
def test_a_body_that_makes_no_sense_back_stage_changes_nothing(me: Caller, door: str, body: Any) -> None:
    response, content = me.send("POST", f"/_sim/{door}", body)
    assert response.status == 400
    assert json.loads(content)["hint"]
    assert me.insert(hours("2026-03-02", 9, 10)).status == 200


def test_a_number_beyond_all_bounds_is_none(me: Caller) -> None:
    response, _ = me.send("POST", "/_sim/faults", {"push": "delay", "delay_s": float("inf")})
    assert response.status == 400
