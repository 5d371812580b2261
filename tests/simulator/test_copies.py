"""One event on several calendars: what is shared, what is private, who may change it, where it goes."""

from __future__ import annotations

from .conftest import CONFERENCE, ME, YOU, Caller, hours, ids


def invited(me: Caller, **more: object) -> dict[str, object]:
    return me.meeting("Together", attendees=[{"email": YOU}], **more)


def test_a_guest_gets_a_copy_with_the_same_id(me: Caller, you: Caller) -> None:
    event = invited(me)
    copy = you.get(str(event["id"]), YOU).body
    assert (copy["id"], copy["iCalUID"]) == (event["id"], event["iCalUID"])
    assert copy["organizer"] == {"email": ME}
    assert event["organizer"] == {"email": ME, "self": True}
    assert copy["attendees"] == [{"email": YOU, "self": True, "responseStatus": "needsAction"}]


def test_guests_see_the_conference_and_shared_properties_but_no_private_ones(me: Caller, you: Caller) -> None:
    event = me.insert(
        {
            **hours("2026-03-02", 9, 10),
            "attendees": [{"email": YOU}],
            "conferenceData": CONFERENCE,
            "extendedProperties": {"private": {"mine": "1"}, "shared": {"ours": "2"}},
            "reminders": {"useDefault": False},
        },
        conferenceDataVersion=1,
    ).body
    copy = you.get(event["id"], YOU).body
    assert copy["conferenceData"] == event["conferenceData"]
    assert copy["extendedProperties"] == {"shared": {"ours": "2"}}
    assert copy["reminders"] == {"useDefault": True}


def test_a_change_by_the_organizer_reaches_every_copy(me: Caller, you: Caller) -> None:
    event = invited(me)
    token = you.token(YOU)
    me.patch(str(event["id"]), {"summary": "Moved on"})
    assert [item["summary"] for item in you.delta(token, YOU)] == ["Moved on"]


def test_a_private_change_stays_on_its_copy(me: Caller, you: Caller) -> None:
    event = invited(me)
    token = me.token()
    you.patch(str(event["id"]), {"colorId": "5", "extendedProperties": {"private": {"a": "1"}}}, YOU)
    assert me.delta(token) == []
    assert "colorId" not in me.get(str(event["id"])).body


def test_an_answer_shows_on_every_copy_and_its_etag_lags_behind(me: Caller, you: Caller) -> None:
    event = invited(me)
    you.act("rsvp", calendar=YOU, event=event["id"], response="accepted")
    seen = me.get(str(event["id"])).body
    assert seen["attendees"][0]["responseStatus"] == "accepted"
    assert seen["etag"] < event["etag"] != seen["etag"]
    assert seen["updated"] > event["updated"]


def test_an_answer_may_come_by_patch(me: Caller, you: Caller) -> None:
    event = invited(me)
    mine = [{"email": YOU, "responseStatus": "tentative"}]
    assert you.patch(str(event["id"]), {"attendees": mine}, YOU).status == 200
    assert me.get(str(event["id"])).body["attendees"][0]["responseStatus"] == "tentative"


def test_a_guest_cannot_change_what_is_shared(me: Caller, you: Caller) -> None:
    event = invited(me)
    answer = you.patch(str(event["id"]), {"summary": "Mine now"}, YOU)
    assert (answer.status, answer.reason) == (403, "forbiddenForNonOrganizer")
    other = [{"email": YOU}, {"email": ME, "responseStatus": "declined"}]
    me.patch(str(event["id"]), {"attendees": [{"email": YOU}, {"email": ME}]})
    assert you.patch(str(event["id"]), {"attendees": other}, YOU).status == 403


def test_a_guest_may_invite_others_unless_told_not_to(me: Caller, you: Caller) -> None:
    event = invited(me)
    more = [{"email": YOU}, {"email": "third@example.com"}]
    assert you.patch(str(event["id"]), {"attendees": more}, YOU).status == 200
    closed = invited(me, guestsCanInviteOthers=False)
    assert you.patch(str(closed["id"]), {"attendees": more}, YOU).status == 403


def test_a_trusted_guest_changes_the_organizers_copy(me: Caller, you: Caller) -> None:
    event = invited(me, guestsCanModify=True)
    you.patch(str(event["id"]), {"summary": "Better title"}, YOU)
    assert me.get(str(event["id"])).body["summary"] == "Better title"


def test_a_guest_who_deletes_has_declined(me: Caller, you: Caller) -> None:
    event = invited(me)
    assert you.delete(str(event["id"]), YOU).status == 204
    seen = me.get(str(event["id"])).body
    assert (seen["status"], seen["attendees"][0]["responseStatus"]) == ("confirmed", "declined")
    me.patch(str(event["id"]), {"summary": "Still on"})
    assert you.get(str(event["id"]), YOU).body["status"] == "cancelled"


def test_a_deletion_by_the_organizer_is_everybodys(me: Caller, you: Caller) -> None:
    event = invited(me)
    me.delete(str(event["id"]))
    assert you.get(str(event["id"]), YOU).body["status"] == "cancelled"
    me.act("restore", event=event["id"])
    assert you.get(str(event["id"]), YOU).body["status"] == "confirmed"


def test_who_is_no_longer_invited_loses_the_copy(me: Caller, you: Caller) -> None:
    event = invited(me)
    me.patch(str(event["id"]), {"attendees": []})
    assert you.get(str(event["id"]), YOU).body["status"] == "cancelled"


def test_a_secondary_calendar_organizes_as_itself(me: Caller) -> None:
    me.act("add_calendar", id="team@group.calendar.google.com", title="Team")
    event = me.meeting("Ours", "team@group.calendar.google.com")
    assert event["organizer"] == {
        "email": "team@group.calendar.google.com",
        "displayName": "Team",
        "self": True,
    }
    assert event["creator"] == {"email": ME}


def test_a_moved_event_keeps_its_id_and_leaves_a_tombstone(me: Caller) -> None:
    me.act("add_calendar", id="team@group.calendar.google.com")
    event = me.meeting(conferenceData=None)
    token = me.token()
    path = f"/calendars/{ME}/events/{event['id']}/move"
    moved = me.call("events.move", "POST", path, destination="team@group.calendar.google.com").body
    assert (moved["id"], moved["organizer"]["self"]) == (event["id"], True)
    assert me.delta(token) == [me.delta(token)[0]]
    assert list(me.delta(token)[0]) == ["kind", "etag", "id", "status"]
    assert ids(me.everything("team@group.calendar.google.com")[0]) == [event["id"]]


def test_only_plain_events_of_ones_own_can_be_moved(me: Caller, you: Caller) -> None:
    me.act("add_calendar", id="team@group.calendar.google.com", owner=YOU)
    event = invited(me)
    move = f"/calendars/{YOU}/events/{event['id']}/move"
    assert you.call("events.move", "POST", move, destination="team@group.calendar.google.com").status == 403
    assert me.call("events.move", "POST", f"/calendars/{ME}/events/{event['id']}/move").status == 400


def test_only_some_attendees_are_shown_when_few_are_asked_for(me: Caller) -> None:
    guests = [{"email": ME}, {"email": YOU}, {"email": "third@example.com"}]
    event = me.meeting(attendees=guests)
    seen = me.get(event["id"], maxAttendees=1).body
    assert ([guest["email"] for guest in seen["attendees"]], seen["attendeesOmitted"]) == ([ME], True)
