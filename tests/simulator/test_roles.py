"""Who sees what, and who may do what."""

from __future__ import annotations

import pytest

from sync.simulator import Simulator

from .conftest import CONFERENCE, ME, YOU, Caller, Receiver, channel, hours, ids


def role(me: Caller, name: str) -> None:
    me.act("change_role", calendar=ME, user=YOU, role=name)


def test_without_a_role_a_calendar_does_not_exist(me: Caller, you: Caller) -> None:
    assert you.list(ME).reason == "notFound"
    assert you.insert({}, ME).status == 404


@pytest.mark.parametrize(
    "name", ["freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner"]
)
def test_every_list_says_which_role_reads_it(me: Caller, you: Caller, name: str) -> None:
    role(me, name)
    assert you.list(ME).body["accessRole"] == name


def test_free_and_busy_shows_times_only(me: Caller, you: Caller) -> None:
    event = me.act("create_meeting", title="Secret", start="2026-03-02T09:00:00Z", end="2026-03-02T10:00:00Z",
                   conference=CONFERENCE)  # fmt: skip
    role(me, "freeBusyReader")
    (seen,) = you.everything(ME)[0]
    assert seen["start"] == event["start"]
    assert not seen.keys() & {"summary", "conferenceData", "organizer", "attendees", "description"}


@pytest.mark.parametrize(
    ("name", "masked"), [("reader", True), ("writerWithoutPrivateAccess", True), ("writer", False)]
)
def test_private_events_are_masked_below_writers(me: Caller, you: Caller, name: str, masked: bool) -> None:
    event = me.act("create_meeting", title="Secret", start="2026-03-02T09:00:00Z", end="2026-03-02T10:00:00Z",
                   conference=CONFERENCE, visibility="private")  # fmt: skip
    me.meeting("Open")
    role(me, name)
    seen = {item["id"]: item for item in you.everything(ME)[0]}
    assert ("conferenceData" not in seen[event["id"]]) == masked
    assert ("summary" not in seen[event["id"]]) == masked
    assert "Open" in [item.get("summary") for item in seen.values()]


def test_readers_cannot_write(me: Caller, you: Caller) -> None:
    event = me.meeting()
    role(me, "reader")
    for answer in (you.insert(hours("2026-03-02", 9, 10), ME), you.patch(event["id"], {"summary": "x"}, ME)):
        assert (answer.status, answer.reason) == (403, "requiredAccessLevel")


def test_writers_write_what_they_see(me: Caller, you: Caller) -> None:
    private = me.meeting(visibility="private")
    role(me, "writerWithoutPrivateAccess")
    assert you.insert(hours("2026-03-02", 9, 10), ME).status == 200
    assert you.patch(private["id"], {"summary": "x"}, ME).status == 403
    role(me, "writer")
    assert you.patch(private["id"], {"summary": "x"}, ME).status == 200


def test_a_role_can_be_lost_and_found(me: Caller, you: Caller) -> None:
    role(me, "writer")
    token = you.token(ME)
    role(me, "none")
    assert you.list(ME, syncToken=token).status == 404
    role(me, "reader")
    assert you.list(ME, syncToken=token).body["accessRole"] == "reader"


def test_free_and_busy_is_not_enough_to_watch(me: Caller, you: Caller, receiver: Receiver) -> None:
    role(me, "freeBusyReader")
    assert you.watch(channel(receiver), ME).status == 403


def test_the_owner_grants_and_takes_roles_through_the_api(me: Caller, you: Caller) -> None:
    rule = {"role": "reader", "scope": {"type": "user", "value": YOU}}
    acl = f"/calendars/{ME}/acl"
    assert me.call("acl.insert", "POST", acl, rule).body["id"] == f"user:{YOU}"
    assert you.list(ME).status == 200
    assert me.call("acl.get", "GET", f"{acl}/user:{YOU}").body["role"] == "reader"
    assert me.call("acl.patch", "PATCH", f"{acl}/user:{YOU}", {"role": "writer"}).body["role"] == "writer"
    assert len(me.call("acl.list", "GET", acl).body["items"]) == 2
    assert me.call("acl.delete", "DELETE", f"{acl}/user:{YOU}").status == 204
    assert me.call("acl.get", "GET", f"{acl}/user:{YOU}").status == 404
    assert you.list(ME).status == 404
    public = me.call("acl.insert", "POST", acl, {"role": "reader", "scope": {"type": "default"}}).body
    assert public["id"] == "default"
    assert me.call("acl.insert", "POST", acl, {"role": "king", "scope": {"type": "default"}}).status == 400


def test_only_owners_see_who_has_which_role(me: Caller, you: Caller) -> None:
    role(me, "writer")
    assert you.call("acl.list", "GET", f"/calendars/{ME}/acl").status == 403


def test_calendars_can_be_made_listed_and_deleted(me: Caller) -> None:
    made = me.call(
        "calendars.insert", "POST", "/calendars", {"summary": "Team", "timeZone": "Europe/Berlin"}
    ).body
    assert me.call("calendars.get", "GET", f"/calendars/{made['id']}").body["timeZone"] == "Europe/Berlin"
    assert ids(me.call("calendarList.list", "GET", "/users/me/calendarList").body["items"]) == [
        ME,
        made["id"],
    ]
    entry = me.call("calendarList.get", "GET", "/users/me/calendarList/primary").body
    assert (entry["id"], entry["primary"], entry["accessRole"]) == (ME, True, "owner")
    assert me.call("calendars.delete", "DELETE", f"/calendars/{made['id']}").status == 204
    gone = me.list(made["id"])
    assert (gone.status, gone.reason) == (410, "deleted")
    assert me.call("calendars.delete", "DELETE", f"/calendars/{ME}").status == 400
    assert me.call("calendars.insert", "POST", "/calendars", {}).status == 400


def test_with_strict_auth_only_fresh_tokens_speak() -> None:
    with Simulator(strict_auth=True, clock="frozen") as simulator:
        assert Caller(simulator).list().reason == "authError"
        assert Caller(simulator, "made-up").list().status == 401
        known = Caller(simulator, simulator.accounts.issue(YOU, simulator.clock.now()))
        assert known.list("primary").body["summary"] == YOU
        simulator.clock.advance(3601)
        assert known.list("primary").status == 401


def test_a_lax_simulator_takes_anybody_for_the_first_user(simulator: Simulator) -> None:
    assert Caller(simulator, "anything").list("primary").body["summary"] == ME
