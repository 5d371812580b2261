"""Conference data: who can write it, when it appears, what survives."""

from __future__ import annotations

from sync.simulator import Simulator

from .conftest import CONFERENCE, ME, PATIENCE_S, YOU, Caller, hours

OTHER = {**CONFERENCE, "conferenceId": "732"}
MEET = {"createRequest": {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}}


def test_a_conference_is_written_only_with_version_1(me: Caller) -> None:
    body = {**hours("2026-03-02", 9, 10), "conferenceData": CONFERENCE}
    assert "conferenceData" not in me.insert(body).body
    event = me.insert(body, conferenceDataVersion=1).body
    assert event["conferenceData"] == CONFERENCE
    assert "hangoutLink" not in event
    kept = me.patch(event["id"], {"summary": "x", "conferenceData": OTHER}).body
    assert kept["conferenceData"] == CONFERENCE
    assert me.update(event["id"], hours("2026-03-02", 9, 10)).body["conferenceData"] == CONFERENCE


def test_with_version_1_a_conference_is_replaced_whole_and_erased_by_null(me: Caller) -> None:
    event = me.act("create_meeting", title="t", **_times(), conference=CONFERENCE)
    bare = {name: value for name, value in OTHER.items() if name != "parameters"}
    assert (
        me.patch(event["id"], {"conferenceData": bare}, conferenceDataVersion=1).body["conferenceData"]
        == bare
    )
    assert (
        "conferenceData" not in me.patch(event["id"], {"conferenceData": None}, conferenceDataVersion=1).body
    )


def test_a_put_with_version_1_and_no_conference_removes_it(me: Caller) -> None:
    event = me.act("create_meeting", title="t", **_times(), conference=CONFERENCE)
    changed = me.update(event["id"], hours("2026-03-02", 9, 10), conferenceDataVersion=1).body
    assert "conferenceData" not in changed


def test_add_on_conferences_can_be_refused(me: Caller) -> None:
    event = me.act("create_meeting", title="t", **_times(), conference=CONFERENCE)
    me.fault(switch="addon_writes", to="refuse")
    answer = me.patch(event["id"], {"conferenceData": OTHER}, conferenceDataVersion=1)
    assert (answer.status, answer.reason) == (400, "invalid")
    same = me.patch(event["id"], {"summary": "x", "conferenceData": CONFERENCE}, conferenceDataVersion=1)
    assert same.body["summary"] == "x"


def test_a_requested_conference_is_pending_and_comes_as_a_second_change(frozen: Simulator) -> None:
    me = Caller(frozen)
    body = {**hours("2026-03-02", 9, 10), "attendees": [{"email": YOU}], "conferenceData": MEET}
    event = me.insert(body, conferenceDataVersion=1).body
    assert event["conferenceData"]["createRequest"]["status"] == {"statusCode": "pending"}
    assert "entryPoints" not in event["conferenceData"]
    token = me.token()
    me.sim("POST", "clock", {"advance_s": 2})
    (ready,) = me.delta(token)
    assert ready["conferenceData"]["createRequest"]["status"] == {"statusCode": "success"}
    assert ready["hangoutLink"] == ready["conferenceData"]["entryPoints"][0]["uri"]
    truth = me.sim("GET", "state")["calendars"][YOU]["events"][0]
    assert truth["conference"] == ready["conferenceData"]


def test_on_a_real_clock_a_requested_conference_comes_by_itself(me: Caller) -> None:
    me.fault(switch="meet_delay_s", to=0.01)
    event = me.insert({**hours("2026-03-02", 9, 10), "conferenceData": MEET}, conferenceDataVersion=1).body
    with me.simulator.api.lock:
        assert me.simulator.api.lock.wait_for(lambda: me.simulator.world.next_due() is None, PATIENCE_S)
    assert me.get(event["id"]).body["conferenceData"]["conferenceSolution"]["name"] == "Google Meet"


def test_a_repeated_request_makes_no_second_conference(frozen: Simulator) -> None:
    me = Caller(frozen)
    event = me.insert({**hours("2026-03-02", 9, 10), "conferenceData": MEET}, conferenceDataVersion=1).body
    me.sim("POST", "clock", {"advance_s": 2})
    ready = me.get(event["id"]).body["conferenceData"]
    assert (
        me.patch(event["id"], {"conferenceData": MEET}, conferenceDataVersion=1).body["conferenceData"]
        == ready
    )


def test_a_conference_that_makes_no_sense_is_refused(me: Caller) -> None:
    for wrong in (
        {"createRequest": {"requestId": "r", "conferenceSolutionKey": {"type": "addOn"}}},
        {"createRequest": {"conferenceSolutionKey": {"type": "hangoutsMeet"}}},
        {"conferenceSolution": {"key": {"type": "addOn"}}},
    ):
        body = {**hours("2026-03-02", 9, 10), "conferenceData": wrong}
        assert me.insert(body, conferenceDataVersion=1).status == 400


def test_people_strip_replace_and_copy_conferences(me: Caller) -> None:
    event = me.act("create_meeting", title="t", **_times(), conference=CONFERENCE)
    assert "conferenceData" not in me.act("strip_conference", event=event["id"])
    assert me.act("replace_conference", event=event["id"], conference=OTHER)["conferenceData"] == OTHER
    copied = me.act("copy_event", event=event["id"], start="2026-03-09T09:00:00Z", end="2026-03-09T10:00:00Z")
    assert copied["id"] != event["id"]
    assert copied["conferenceData"] == OTHER
    assert copied["organizer"]["email"] == ME


def _times() -> dict[str, str]:
    return {"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T10:00:00Z"}
