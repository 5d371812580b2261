"""Series as clients meet them: one action, several items; exceptions, splits, orphans, telling ids."""

from __future__ import annotations

import pytest

from .conftest import CONFERENCE, ME, YOU, Caller, Json, hours, ids


@pytest.fixture
def dishes(me: Caller) -> Json:
    """Every day at nine in Berlin from 2 March 2026 on."""
    return me.act(
        "create_meeting",
        title="Dishes",
        start="2026-03-02T09:00:00+01:00",
        end="2026-03-02T10:00:00+01:00",
        time_zone="Europe/Berlin",
        recurrence=["RRULE:FREQ=DAILY"],
        conference=CONFERENCE,
    )


def on(day: str) -> str:
    return f"{day}T09:00:00+01:00"


def occurrence(series: Json, day: str) -> str:
    return f"{series['id']}_{day.replace('-', '')}T080000Z"


def test_a_series_is_one_item(me: Caller, dishes: Json) -> None:
    assert ids(me.everything()[0]) == [dishes["id"]]
    assert dishes["recurrence"] == ["RRULE:FREQ=DAILY"]


def test_single_events_are_occurrences_named_after_their_start(me: Caller, dishes: Json) -> None:
    window = {"timeMin": "2026-03-03T00:00:00Z", "timeMax": "2026-03-05T00:00:00Z"}
    items, _ = me.everything(singleEvents=True, **window)
    assert ids(items) == [occurrence(dishes, "2026-03-03"), occurrence(dishes, "2026-03-04")]
    assert {item["recurringEventId"] for item in items} == {dishes["id"]}
    assert items[0]["originalStartTime"] == items[0]["start"]
    assert "recurrence" not in items[0]


def test_an_endless_series_is_expanded_730_times(me: Caller, dishes: Json) -> None:
    assert len(me.everything(singleEvents=True, maxResults=500)[0]) == 730


def test_an_occurrence_can_be_read_before_anybody_touched_it(me: Caller, dishes: Json) -> None:
    seen = me.get(f"{dishes['id']}_20260401T070000Z").body
    assert seen["start"]["dateTime"] == "2026-04-01T07:00:00Z"  # nine in Berlin, in summer
    assert me.get(f"{dishes['id']}_20260401T080000Z").status == 404


def test_editing_one_occurrence_lists_its_series_again(me: Caller, dishes: Json) -> None:
    token = me.token()
    me.act(
        "move_occurrence",
        event=dishes["id"],
        at=on("2026-03-04"),
        start=on("2026-03-05"),
        end="2026-03-05T10:00:00+01:00",
    )
    exception, master = sorted(me.delta(token), key=lambda item: "recurrence" in item)
    assert exception["id"] == occurrence(dishes, "2026-03-04")
    assert exception["recurringEventId"] == dishes["id"]
    assert exception["originalStartTime"]["dateTime"] == "2026-03-04T08:00:00Z"
    assert exception["start"]["dateTime"] == "2026-03-05T08:00:00Z"
    assert (exception["sequence"], master["sequence"]) == (1, 0)
    assert master["recurrence"] == dishes["recurrence"]


def test_a_cancelled_occurrence_tells_which_one_it_was(me: Caller, dishes: Json) -> None:
    token = me.token()
    me.act("cancel_occurrence", event=dishes["id"], at=on("2026-03-04"))
    tombstone = next(item for item in me.delta(token) if item["status"] == "cancelled")
    assert list(tombstone) == ["kind", "etag", "id", "status", "recurringEventId", "originalStartTime"]
    assert len(me.delta(token)) == 2
    assert tombstone["id"] in ids(me.everything()[0])
    window = {"timeMin": "2026-03-03T00:00:00Z", "timeMax": "2026-03-05T00:00:00Z"}
    assert ids(me.everything(singleEvents=True, **window)[0]) == [occurrence(dishes, "2026-03-03")]


def test_editing_all_lists_every_exception_again(me: Caller, dishes: Json) -> None:
    for day in ("2026-03-04", "2026-03-05"):
        me.act("cancel_occurrence", event=dishes["id"], at=on(day))
    me.patch(occurrence(dishes, "2026-03-06"), {"description": "bring a towel"})
    token = me.token()
    me.act("retitle", event=dishes["id"], title="Pots")
    delta = me.delta(token)
    assert len(delta) == 4
    assert len({item["etag"] for item in delta}) == 1
    changed = next(item for item in delta if item["id"] == occurrence(dishes, "2026-03-06"))
    assert (changed["summary"], changed["description"]) == ("Pots", "bring a towel")


def test_an_exception_keeps_what_was_made_different_in_it(me: Caller, dishes: Json) -> None:
    me.patch(occurrence(dishes, "2026-03-06"), {"summary": "Party"})
    me.act("retitle", event=dishes["id"], title="Pots")
    assert me.get(occurrence(dishes, "2026-03-06")).body["summary"] == "Party"


def test_this_and_following_makes_a_second_series_with_the_same_conference(me: Caller, dishes: Json) -> None:
    token = me.token()
    new = me.act("split_series", event=dishes["id"], at=on("2026-03-05"), title="Pots")
    old, following = me.delta(token)
    assert old["recurrence"] == ["RRULE:FREQ=DAILY;UNTIL=20260304T225959Z"]
    assert following["id"] == new["id"] == f"{dishes['id']}_R20260305T080000"
    assert following["iCalUID"] == f"{new['id']}@google.com"
    assert following["etag"] == old["etag"]
    assert following["created"] == dishes["created"]
    assert following["recurrence"] == ["RRULE:FREQ=DAILY"]
    assert following["conferenceData"] == dishes["conferenceData"]


def test_occurrences_of_the_second_series_are_named_after_the_first(me: Caller, dishes: Json) -> None:
    new = me.act("split_series", event=dishes["id"], at=on("2026-03-05"), title="Pots")
    seen = me.get(occurrence(dishes, "2026-03-09")).body
    assert (seen["recurringEventId"], seen["summary"]) == (new["id"], "Pots")
    assert me.get(occurrence(dishes, "2026-03-04")).body["recurringEventId"] == dishes["id"]


def test_a_split_that_changes_the_time_has_an_id_of_its_own(me: Caller, dishes: Json) -> None:
    me.act("cancel_occurrence", event=dishes["id"], at=on("2026-03-09"))
    token = me.token()
    new = me.act(
        "split_series",
        event=dishes["id"],
        at=on("2026-03-05"),
        start="2026-03-05T15:00:00+01:00",
        end="2026-03-05T16:00:00+01:00",
    )
    assert dishes["id"] not in new["id"]
    orphan = next(item for item in me.delta(token) if item["id"] == occurrence(dishes, "2026-03-09"))
    assert list(orphan) == ["kind", "etag", "id", "status"]


def test_later_exceptions_go_with_the_second_series(me: Caller, dishes: Json) -> None:
    me.act("cancel_occurrence", event=dishes["id"], at=on("2026-03-09"))
    me.act("cancel_occurrence", event=dishes["id"], at=on("2026-03-03"))
    token = me.token()
    new = me.act("split_series", event=dishes["id"], at=on("2026-03-05"), title="Pots")
    delta = {item["id"]: item for item in me.delta(token)}
    assert len(delta) == 4
    assert delta[occurrence(dishes, "2026-03-09")]["recurringEventId"] == new["id"]
    assert delta[occurrence(dishes, "2026-03-03")]["recurringEventId"] == dishes["id"]


def test_a_second_split_keeps_the_base_id(me: Caller, dishes: Json) -> None:
    me.act("split_series", event=dishes["id"], at=on("2026-03-05"), title="Pots")
    third = me.act("split_series", event=dishes["id"], at=on("2026-03-09"), title="Pans")
    assert third["id"] == f"{dishes['id']}_R20260309T080000"
    assert me.get(f"{dishes['id']}_R20260305T080000").body["recurrence"] == [
        "RRULE:FREQ=DAILY;UNTIL=20260308T225959Z"
    ]


def test_a_cut_leaves_orphans_that_look_like_ordinary_deletions(me: Caller, dishes: Json) -> None:
    me.act("cancel_occurrence", event=dishes["id"], at=on("2026-03-09"))
    token = me.token()
    me.act("delete_following", event=dishes["id"], at=on("2026-03-05"))
    orphan = next(item for item in me.delta(token) if item["id"] == occurrence(dishes, "2026-03-09"))
    assert list(orphan) == ["kind", "etag", "id", "status"]
    assert list(me.get(orphan["id"]).body) == ["kind", "etag", "id", "status"]


def test_deleting_from_the_first_on_deletes_the_series(me: Caller, dishes: Json) -> None:
    gone = me.act("delete_following", event=dishes["id"], at=on("2026-03-02"))
    assert (gone["id"], gone["status"]) == (dishes["id"], "cancelled")


def test_a_deleted_series_is_one_tombstone(me: Caller, dishes: Json) -> None:
    me.act("cancel_occurrence", event=dishes["id"], at=on("2026-03-09"))
    token = me.token()
    me.act("delete", event=dishes["id"])
    assert ids(me.delta(token)) == [dishes["id"]]
    assert me.everything()[0] == []


def test_a_restored_series_brings_its_exceptions_back(me: Caller, dishes: Json) -> None:
    me.act("cancel_occurrence", event=dishes["id"], at=on("2026-03-09"))
    me.act("delete", event=dishes["id"])
    token = me.token()
    me.act("restore", event=dishes["id"])
    assert sorted(ids(me.delta(token))) == sorted([dishes["id"], occurrence(dishes, "2026-03-09")])


def test_moving_the_whole_series_orphans_its_exceptions(me: Caller, dishes: Json) -> None:
    me.act("cancel_occurrence", event=dishes["id"], at=on("2026-03-09"))
    token = me.token()
    me.act(
        "move",
        event=dishes["id"],
        start="2026-03-02T11:00:00+01:00",
        end="2026-03-02T12:00:00+01:00",
    )
    orphan = next(item for item in me.delta(token) if item["status"] == "cancelled")
    assert list(orphan) == ["kind", "etag", "id", "status"]


def test_instances_lists_a_series_with_its_exceptions(me: Caller, dishes: Json) -> None:
    me.patch(occurrence(dishes, "2026-03-03"), {"summary": "Pots"})
    me.act("cancel_occurrence", event=dishes["id"], at=on("2026-03-04"))
    path = f"/calendars/{ME}/events/{dishes['id']}/instances"
    window = {"timeMax": "2026-03-06T00:00:00Z"}
    items = me.call("events.instances", "GET", path, **window).body["items"]
    assert sorted(item["summary"] for item in items) == ["Dishes", "Dishes", "Pots"]
    every = me.call("events.instances", "GET", path, showDeleted=True, **window).body["items"]
    assert len(every) == 4
    one = me.call("events.instances", "GET", path, originalStart="2026-03-03T08:00:00Z").body["items"]
    assert ids(one) == [occurrence(dishes, "2026-03-03")]
    first = me.call("events.instances", "GET", path, maxResults=2, **window).body
    assert "nextPageToken" in first
    assert "nextSyncToken" not in first


def test_an_all_day_series_names_its_occurrences_by_date(me: Caller) -> None:
    event = me.insert(
        {
            "start": {"date": "2026-03-02"},
            "end": {"date": "2026-03-03"},
            "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=2"],
        }
    ).body
    items, _ = me.everything(singleEvents=True)
    assert ids(items) == [f"{event['id']}_20260302", f"{event['id']}_20260309"]
    assert items[1]["end"] == {"date": "2026-03-10"}


def test_a_series_is_in_a_window_while_any_occurrence_ends_in_it(me: Caller, dishes: Json) -> None:
    short = me.insert({**hours("2026-03-02", 9, 10), "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]}).body
    assert sorted(ids(me.everything(timeMin="2026-03-04T08:30:00Z")[0])) == sorted(
        [
            dishes["id"],
            short["id"],
        ]
    )
    assert ids(me.everything(timeMin="2026-03-04T09:00:00Z")[0]) == [dishes["id"]]


def test_a_guest_can_leave_one_occurrence(me: Caller, you: Caller) -> None:
    series = me.act(
        "create_meeting",
        title="Together",
        start=on("2026-03-02"),
        end="2026-03-02T10:00:00+01:00",
        time_zone="Europe/Berlin",
        recurrence=["RRULE:FREQ=DAILY"],
        attendees=[YOU],
    )
    left = occurrence(series, "2026-03-04")
    you.delete(left, YOU)
    assert you.get(left, YOU).body["status"] == "cancelled"
    seen = me.get(left).body
    assert (seen["status"], seen["attendees"][1]["responseStatus"]) == ("confirmed", "declined")
    assert me.get(str(series["id"])).body["attendees"][1]["responseStatus"] == "needsAction"


def test_a_guest_of_one_occurrence_has_only_that(me: Caller, you: Caller, dishes: Json) -> None:
    me.patch(occurrence(dishes, "2026-03-04"), {"attendees": [{"email": YOU}]})
    assert ids(you.everything(YOU)[0]) == [occurrence(dishes, "2026-03-04")]


def test_a_series_that_comes_back_shows_all_its_exceptions_again(me: Caller, dishes: Json) -> None:
    """Also those it lost while it was away: their old tombstones had gone unseen behind its own."""
    away = "team@group.calendar.google.com"
    me.act("add_calendar", id=away)
    lost, kept = occurrence(dishes, "2026-03-04"), occurrence(dishes, "2026-03-09")
    for one in (lost, kept):
        me.patch(one, {"summary": "Party"})
    token = me.token()
    me.act("move_to_calendar", event=dishes["id"], to=away)
    assert ids(me.delta(token)) == [dishes["id"]]
    times = {"start": "2026-03-05T09:00:00+01:00", "end": "2026-03-05T10:00:00+01:00"}
    me.act("move", calendar=away, event=dishes["id"], **times)
    gone = me.token()
    me.act("move_to_calendar", calendar=away, event=dishes["id"], to=ME)
    delta = {item["id"]: item["status"] for item in me.delta(gone)}
    assert delta == {dishes["id"]: "confirmed", lost: "cancelled", kept: "confirmed"}
    assert {item["id"]: item["status"] for item in me.everything()[0]} == delta


def test_a_series_never_lands_on_another_event_of_its_name(me: Caller, dishes: Json) -> None:
    away = "team@group.calendar.google.com"
    me.act("add_calendar", id=away)
    me.insert({"id": dishes["id"], **hours("2026-03-02", 9, 10)}, away)
    path = f"/calendars/{ME}/events/{dishes['id']}/move"
    answer = me.call("events.move", "POST", path, destination=away)
    assert (answer.status, answer.reason) == (409, "duplicate")
