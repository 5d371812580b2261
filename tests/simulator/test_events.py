"""Single events: shapes, etags, conditions, what a patch leaves alone, what is refused."""

from __future__ import annotations

import pytest

from sync.simulator import Simulator

from .conftest import ME, YOU, Caller, hours


def test_an_event_has_the_recorded_keys_in_the_recorded_order(me: Caller) -> None:
    assert list(me.meeting("Plans", attendees=[{"email": YOU}], description="d", location="l")) == [
        "kind", "etag", "id", "status", "htmlLink", "created", "updated", "summary", "description", "location",
        "creator", "organizer", "start", "end", "iCalUID", "sequence", "attendees", "reminders", "eventType",
    ]  # fmt: skip


def test_the_offset_is_the_calendars_and_the_zone_is_the_events(me: Caller) -> None:
    me.act("add_calendar", id="team@group.calendar.google.com", time_zone="America/Los_Angeles")
    event = me.meeting("Far", "team@group.calendar.google.com")
    assert event["start"] == {"dateTime": "2026-03-02T00:00:00-08:00", "timeZone": "Europe/Berlin"}
    tokyo = me.get(event["id"], "team@group.calendar.google.com", timeZone="Asia/Tokyo").body
    assert tokyo["start"]["dateTime"] == "2026-03-02T17:00:00+09:00"


def test_an_etag_is_twice_the_microseconds_of_the_last_write(frozen: Simulator) -> None:
    event = Caller(frozen).meeting()
    assert int(event["etag"].strip('"')) // 2000 == int(frozen.clock.now() // 1000)


def test_a_reminder_moves_the_etag_and_not_updated(frozen: Simulator) -> None:
    me = Caller(frozen)
    event = me.meeting()
    token = me.token()
    frozen.clock.advance(5)
    changed = me.patch(event["id"], {"reminders": {"useDefault": False}}).body
    assert changed["etag"] != event["etag"]
    assert changed["updated"] == event["updated"]
    assert len(me.delta(token)) == 1


def test_the_sequence_counts_moves_of_the_start_only(me: Caller) -> None:
    event = me.meeting()
    start, end = hours("2026-03-02", 11, 12)["start"], hours("2026-03-02", 11, 13)["end"]
    assert me.patch(event["id"], {"start": start, "end": end}).body["sequence"] == 1
    assert me.patch(event["id"], {"end": hours("2026-03-02", 11, 14)["end"]}).body["sequence"] == 1
    assert me.patch(event["id"], {"summary": "Other"}).body["sequence"] == 1


def test_a_stale_etag_changes_nothing(me: Caller) -> None:
    event = me.meeting()
    me.act("retitle", event=event["id"], title="A person was faster")
    answer = me.patch(event["id"], {"summary": "Too late"}, if_match=event["etag"])
    assert (answer.status, answer.reason) == (412, "conditionNotMet")
    assert me.delete(event["id"], if_match=event["etag"]).status == 412
    assert me.get(event["id"]).body["summary"] == "A person was faster"


def test_the_right_etag_or_a_star_may_write(me: Caller) -> None:
    event = me.meeting()
    changed = me.patch(event["id"], {"summary": "One"}, if_match=event["etag"]).body
    assert me.update(event["id"], {**changed, "summary": "Two"}, if_match="*").status == 200
    assert me.delete(event["id"], if_match=me.get(event["id"]).body["etag"]).status == 204


def test_a_patch_leaves_alone_what_it_does_not_name(me: Caller) -> None:
    event = me.meeting(
        "Plans", description="d", extendedProperties={"private": {"a": "1"}, "shared": {"b": "2"}}
    )
    changed = me.patch(event["id"], {"summary": "New", "extendedProperties": {"private": {"c": "3"}}}).body
    assert changed["description"] == "d"
    assert changed["extendedProperties"] == {"private": {"a": "1", "c": "3"}, "shared": {"b": "2"}}


def test_null_in_a_patch_erases(me: Caller) -> None:
    event = me.meeting("Plans", description="d")
    assert "description" not in me.patch(event["id"], {"description": None}).body


def test_an_update_replaces_every_field_it_does_not_name(me: Caller) -> None:
    event = me.meeting("Plans", description="d", location="l")
    changed = me.update(event["id"], {"summary": "Plans", **hours("2026-03-02", 9, 10)}).body
    assert "description" not in changed
    assert changed["id"] == event["id"]
    assert me.update(event["id"], {"summary": "No times"}).status == 400


def test_a_timed_event_can_become_all_day_and_back(me: Caller) -> None:
    event = me.meeting()
    whole = me.patch(event["id"], {"start": {"date": "2026-03-02"}, "end": {"date": "2026-03-03"}}).body
    assert whole["start"] == {"date": "2026-03-02"}
    back = me.patch(event["id"], hours("2026-03-02", 9, 10)).body
    assert back["start"]["timeZone"] == "Europe/Berlin"
    assert "date" not in back["start"]


def test_a_deleted_event_cannot_be_deleted_again(me: Caller) -> None:
    event = me.meeting()
    assert me.delete(event["id"]).status == 204
    answer = me.delete(event["id"])
    assert (answer.status, answer.reason) == (410, "deleted")


def test_a_restored_event_is_confirmed_under_its_old_id(me: Caller) -> None:
    event = me.meeting("Phoenix")
    me.delete(event["id"])
    token = me.token()
    me.act("restore", event=event["id"])
    assert [(item["id"], item["status"], item["summary"]) for item in me.delta(token)] == [
        (event["id"], "confirmed", "Phoenix")
    ]


def test_a_client_restores_by_writing_the_status(me: Caller) -> None:
    event = me.meeting()
    me.delete(event["id"])
    assert me.patch(event["id"], {"description": "still gone"}).body["status"] == "cancelled"
    assert me.patch(event["id"], {"status": "confirmed"}).body["status"] == "confirmed"
    assert me.patch(event["id"], {"status": "cancelled"}).body["status"] == "cancelled"


def test_ids_are_the_clients_to_choose_once(me: Caller) -> None:
    me.meeting(id="0123abcdv")
    again = me.insert({"id": "0123abcdv", **hours("2026-03-02", 9, 10)})
    assert (again.status, again.reason) == (409, "duplicate")
    assert me.insert({"id": "Not_Base32", **hours("2026-03-02", 9, 10)}).status == 400


def test_an_import_is_named_after_its_calendar_id_and_tells_no_guest(me: Caller, you: Caller) -> None:
    body = {
        "iCalUID": "abc@elsewhere.example",
        "organizer": {"email": "boss@elsewhere.example"},
        "attendees": [{"email": YOU}],
        **hours("2026-03-02", 9, 10),
    }
    event = me.call("events.import", "POST", f"/calendars/{ME}/events/import", body).body
    assert event["id"].startswith("_")
    assert event["organizer"] == {"email": "boss@elsewhere.example"}
    assert you.everything(YOU)[0] == []
    assert me.call("events.import", "POST", f"/calendars/{ME}/events/import", {}).status == 400


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "required"),
        ({"start": {"date": "2026-03-02"}}, "required"),
        ({"start": {"date": "2026-03-02"}, "end": {"dateTime": "2026-03-02T10:00:00Z"}}, "invalid"),
        ({"start": {"date": "2026-03-02"}, "end": {"date": "2026-03-01"}}, "timeRangeEmpty"),
        ({"start": {"date": "soon"}, "end": {"date": "later"}}, "invalid"),
        (
            {"start": {"dateTime": "2026-03-02T10:00:00", "timeZone": "Mars/Base"}, "end": {"date": "x"}},
            "invalid",
        ),
        ({**hours("2026-03-02", 9, 10), "attendees": [{}]}, "required"),
        ({**hours("2026-03-02", 9, 10), "attendees": "everybody"}, "invalid"),
        ({**hours("2026-03-02", 9, 10), "recurrence": ["RRULE:FREQ=SOMETIMES"]}, "invalid"),
        (
            {
                "start": {"dateTime": "2026-03-02T10:00:00Z"},
                "end": {"dateTime": "2026-03-02T11:00:00Z"},
                "recurrence": ["RRULE:FREQ=DAILY"],
            },
            "required",
        ),
    ],
)
def test_an_event_that_makes_no_sense_is_refused(me: Caller, body: dict[str, object], reason: str) -> None:
    answer = me.insert(body)
    assert (answer.status, answer.reason) == (400, reason)


def test_the_type_of_an_event_is_for_ever(me: Caller) -> None:
    assert me.patch(me.meeting()["id"], {"eventType": "focusTime"}).status == 400


def test_what_does_not_exist_is_not_found(me: Caller) -> None:
    assert me.get("nosuchevent").status == 404
    assert me.patch("nosuchevent", {}).status == 404
    assert me.delete("nosuchevent").status == 404
    assert me.list("nobody@example.com").reason == "notFound"


def test_get_knows_what_the_client_already_has(me: Caller) -> None:
    event = me.meeting()
    path = f"/calendar/v3/calendars/{ME}/events/{event['id']}"
    response, content = me.send("GET", path, headers={"if-none-match": event["etag"]})
    assert (response.status, content) == (304, b"")
    assert me.send("GET", path, headers={"if-none-match": '"0"'})[0].status == 200


def test_null_is_nothing_wherever_it_stands(me: Caller) -> None:
    event = me.insert(
        {
            **hours("2026-03-02", 9, 10),
            "attendees": None,
            "extendedProperties": {"private": None},
        }
    ).body
    assert "attendees" not in event
    changed = me.patch(
        event["id"], {"start": {"date": None}, "source": {"title": None}, "recurrence": None}
    ).body
    assert changed["start"] == event["start"]


def test_an_unknown_zone_is_refused(me: Caller) -> None:
    assert me.list(timeZone="Mars/Base").status == 400
    made = me.call("calendars.insert", "POST", "/calendars", {"summary": "x", "timeZone": "Mars/Base"})
    assert made.status == 400
