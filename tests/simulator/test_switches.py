"""Both positions of every switch: what nobody could prove can be had either way."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from sync.simulator import Simulator, Switches

from .conftest import CONFERENCE, ME, YOU, Caller, Json, Receiver, channel, hours, ids

TEAM = "team@group.calendar.google.com"
NINE, TEN = "2026-03-02T09:00:00+01:00", "2026-03-02T10:00:00+01:00"


def switch(me: Caller, name: str, to: object) -> None:
    me.fault(switch=name, to=to)


def daily(me: Caller, **more: object) -> Json:
    wish = {"title": "Dishes", "start": NINE, "end": TEN, "time_zone": "Europe/Berlin", **more}
    return me.act("create_meeting", recurrence=["RRULE:FREQ=DAILY;COUNT=5"], **wish)


def on(series: Json, day: int) -> str:
    return f"{series['id']}_202603{day:02d}T080000Z"


def test_every_switch_is_tested_in_this_folder() -> None:
    words = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert [one.name for one in fields(Switches) if f'"{one.name}"' not in words] == []


def test_a_seed_sets_switches_and_clearing_the_faults_goes_back_to_it() -> None:
    with Simulator(seed={"switches": {"most_occurrences": 3}}) as simulator:
        me = Caller(simulator)
        switch(me, "most_occurrences", 2)
        assert me.sim("DELETE", "faults")["switches"]["most_occurrences"] == 3


@pytest.mark.parametrize("order", ["written", "shuffled"])
def test_an_unordered_list_holds_everything_once_in_whatever_order(me: Caller, order: str) -> None:
    switch(me, "list_order", order)
    token = me.token()
    made = [me.meeting(f"{number}")["id"] for number in range(12)]
    full, delta = ids(me.everything(maxResults=5)[0]), ids(me.delta(token, maxResults=5))
    assert full == delta
    assert sorted(full) == sorted(made)
    assert (full == made) == (order == "written")


def test_in_a_shuffled_list_too_a_change_during_paging_is_in_the_next_delta(me: Caller) -> None:
    switch(me, "list_order", "shuffled")
    made = [me.meeting(f"{number}")["id"] for number in range(6)]
    first = me.list(maxResults=2).body
    me.patch(first["items"][0]["id"], {"summary": "changed while paging"})
    rest, token = me.everything(maxResults=2, pageToken=first["nextPageToken"])
    assert sorted(ids(first["items"]) + ids(rest)) == sorted(made)
    assert token is not None
    assert [item["summary"] for item in me.delta(token)] == ["changed while paging"]


@pytest.mark.parametrize("earns", [False, True])
@pytest.mark.parametrize("filtered", [{"q": "x"}, {"iCalUID": "x"}, {"privateExtendedProperty": "a=b"}])
def test_filters_may_earn_a_token_but_an_order_never_does(
    me: Caller, earns: bool, filtered: dict[str, str]
) -> None:
    switch(me, "filters_earn_token", earns)
    assert ("nextSyncToken" in me.list(**filtered).body) == earns
    assert "nextSyncToken" not in me.list(orderBy="updated").body


@pytest.mark.parametrize("listed", [False, True])
def test_an_ended_series_may_be_listed_all_the_same(me: Caller, listed: bool) -> None:
    switch(me, "ended_series_listed", listed)
    series = daily(me)
    assert ids(me.everything(timeMin="2026-04-01T00:00:00Z")[0]) == ([series["id"]] if listed else [])


def test_a_series_is_expanded_as_often_as_is_said(me: Caller) -> None:
    switch(me, "most_occurrences", 3)
    series = daily(me)
    assert len(me.everything(singleEvents=True)[0]) == 3
    assert [me.get(on(series, day)).status for day in (4, 5)] == [200, 404]


@pytest.mark.parametrize("follow", [True, False])
def test_exceptions_may_follow_their_series(me: Caller, follow: bool) -> None:
    switch(me, "exceptions_follow", follow)
    series = daily(me)
    me.patch(on(series, 4), {"description": "bring a towel"})
    token = me.token()
    me.act("retitle", event=series["id"], title="Pots")
    seen = {item["id"]: item for item in me.delta(token)}[on(series, 4)]
    assert (seen["summary"], seen["description"]) == ("Pots" if follow else "Dishes", "bring a towel")


@pytest.mark.parametrize(("does", "status"), [("orphans", "cancelled"), ("keeps", "confirmed")])
def test_a_moved_series_may_keep_its_exceptions(me: Caller, does: str, status: str) -> None:
    switch(me, "moved_series", does)
    series = daily(me)
    me.patch(on(series, 4), {"summary": "Party"})
    token = me.token()
    times = {"start": "2026-03-02T11:00:00+01:00", "end": "2026-03-02T12:00:00+01:00"}
    me.act("move", event=series["id"], **times)
    seen = {item["id"]: item for item in me.delta(token)}[on(series, 4)]
    assert (seen["status"], "recurringEventId" in seen) == (status, does == "keeps")


def test_a_cut_orphans_exceptions_even_where_a_moved_series_keeps_them(me: Caller) -> None:
    switch(me, "moved_series", "keeps")
    series = daily(me)
    me.patch(on(series, 5), {"summary": "Party"})
    me.act("delete_following", event=series["id"], at="2026-03-04T09:00:00+01:00")
    assert me.get(on(series, 5)).body["status"] == "cancelled"


@pytest.mark.parametrize("shown", ["itself", "occurrences"])
def test_a_delta_of_single_events_may_show_the_occurrences_of_a_deleted_series(
    me: Caller, shown: str
) -> None:
    switch(me, "deleted_series", shown)
    series = daily(me)
    me.patch(on(series, 4), {"summary": "Party"})
    token = me.token(singleEvents=True)
    me.act("delete", event=series["id"])
    delta = me.delta(token, singleEvents=True)
    assert {item["status"] for item in delta} == {"cancelled"}
    every = [on(series, day) for day in range(2, 7)]
    assert ids(delta) == (every if shown == "occurrences" else [series["id"]])


@pytest.mark.parametrize("copied", [True, False])
def test_a_split_and_a_duplicate_may_carry_the_conference(me: Caller, copied: bool) -> None:
    switch(me, "conference_copied", copied)
    series = daily(me, conference=CONFERENCE)
    following = me.act("split_series", event=series["id"], at="2026-03-04T09:00:00+01:00", title="Pots")
    duplicate = me.act("copy_event", event=series["id"])
    assert ("conferenceData" in following, "conferenceData" in duplicate) == (copied, copied)
    assert me.get(series["id"]).body["conferenceData"] == CONFERENCE


@pytest.mark.parametrize("erases", [True, False])
def test_null_may_erase_a_conference(me: Caller, erases: bool) -> None:
    switch(me, "null_erases_conference", erases)
    event = daily(me, conference=CONFERENCE)
    seen = me.patch(event["id"], {"summary": "x", "conferenceData": None}, conferenceDataVersion=1).body
    assert (seen["summary"], "conferenceData" in seen) == ("x", not erases)
    assert "conferenceData" not in me.act("strip_conference", event=event["id"])  # people always can


@pytest.mark.parametrize("erases", [True, False])
def test_a_put_without_a_conference_may_erase_it(me: Caller, erases: bool) -> None:
    switch(me, "put_erases_conference", erases)
    event = daily(me, conference=CONFERENCE)
    seen = me.update(event["id"], hours("2026-03-02", 9, 10), conferenceDataVersion=1).body
    assert ("conferenceData" in seen) == (not erases)


def test_people_add_conferences_where_clients_may_not(me: Caller) -> None:
    switch(me, "addon_writes", "refuse")
    event = daily(me, conference=CONFERENCE)
    assert event["conferenceData"] == CONFERENCE
    body = {**hours("2026-03-02", 9, 10), "conferenceData": CONFERENCE}
    assert me.insert(body, conferenceDataVersion=1).status == 400
    assert me.insert(body).status == 200


@pytest.mark.parametrize("does", ["refuse", "own copy"])
def test_a_guests_edit_may_stay_on_the_guests_copy(me: Caller, you: Caller, does: str) -> None:
    switch(me, "guest_edits", does)
    event = me.meeting("Ours", attendees=[{"email": YOU}])
    answer = you.patch(event["id"], {"summary": "Mine"}, YOU)
    assert answer.status == (200 if does == "own copy" else 403)
    assert you.get(event["id"], YOU).body["summary"] == ("Mine" if does == "own copy" else "Ours")
    assert me.get(event["id"]).body == event
    shared = {"extendedProperties": {"shared": {"a": "1"}}}
    assert you.patch(event["id"], shared, YOU).reason == "forbiddenForNonOrganizer"


@pytest.mark.parametrize("lags", [True, False])
def test_an_answer_may_leave_the_etag_behind(me: Caller, lags: bool) -> None:
    switch(me, "guest_etag_lags", lags)
    event = me.meeting(attendees=[{"email": YOU}])
    me.act("rsvp", calendar=YOU, event=event["id"], response="accepted")
    assert (me.get(event["id"]).body["etag"] < event["etag"]) == lags


@pytest.mark.parametrize("title", ["", "Busy"])
def test_a_masked_event_may_have_a_title(me: Caller, you: Caller, title: str) -> None:
    switch(me, "masked_title", title)
    me.meeting("Secret", visibility="private")
    me.act("change_role", user=YOU, role="reader")
    assert you.everything(ME)[0][0].get("summary", "") == title


@pytest.mark.parametrize(("status", "reason"), [(410, "deleted"), (404, "notFound")])
def test_a_deleted_calendar_may_be_gone_or_unknown(me: Caller, status: int, reason: str) -> None:
    switch(me, "deleted_calendar", status)
    me.act("add_calendar", id=TEAM)
    me.call("calendars.delete", "DELETE", f"/calendars/{TEAM}")
    answer = me.list(TEAM)
    assert (answer.status, answer.reason) == (status, reason)


@pytest.mark.parametrize(("does", "status"), [("ignore", 200), ("refuse", 400)])
def test_names_the_api_does_not_know_may_be_refused(me: Caller, does: str, status: int) -> None:
    switch(me, "unknown_names", does)
    assert me.insert({**hours("2026-03-02", 9, 10), "colour": "red"}).status == status
    assert me.list(sendMail="no").status == status
    assert me.list(maxResults=1).status == 200


@pytest.mark.parametrize(("takes", "status"), [("narrow", 400), ("any", 200)])
def test_channel_ids_may_be_of_any_letters(me: Caller, receiver: Receiver, takes: str, status: int) -> None:
    switch(me, "channel_ids", takes)
    assert me.watch(channel(receiver, "not allowed!")).status == status
    assert me.watch(channel(receiver, "x" * 65)).status == 400


@pytest.mark.parametrize("status", [400, 409])
def test_a_used_channel_id_is_refused_with_the_status_that_is_said(
    me: Caller, receiver: Receiver, status: int
) -> None:
    switch(me, "reused_channel_status", status)
    me.watch(channel(receiver))
    answer = me.watch(channel(receiver))
    assert (answer.status, answer.reason) == (status, "channelIdNotUnique")


@pytest.mark.parametrize(("do", "states"), [("speak", ["exists", "sync"]), ("mute", ["sync"])])
def test_a_channel_watched_with_types_may_stay_mute(
    me: Caller, receiver: Receiver, do: str, states: list[str]
) -> None:
    switch(me, "typed_channels", do)
    me.watch(channel(receiver), eventTypes="default")
    me.meeting()
    me.settle()
    assert sorted(receiver.states()) == states


def test_notifications_are_tried_as_often_and_as_late_as_is_said(
    frozen: Simulator, receiver: Receiver
) -> None:
    me = Caller(frozen)
    switch(me, "push_tries", 1)
    switch(me, "push_pause_s", 7)
    receiver.answers = [503, 503, 503]
    me.watch(channel(receiver))
    counts = []
    for seconds in (6, 1, 3600):
        me.settle()
        counts.append(len(receiver.got))
        me.sim("POST", "clock", {"advance_s": seconds})
    me.settle()
    assert [*counts, len(receiver.got)] == [1, 1, 2, 2]
    assert me.sim("GET", "metrics")["pushes"] == {"delivered": 0, "failed": 1, "retried": 1, "waiting": 0}


def test_tokens_live_and_bounds_reach_as_long_as_is_said(frozen: Simulator) -> None:
    me = Caller(frozen)
    token = me.token()
    frozen.clock.advance(2 * 24 * 3600)
    assert me.list(syncToken=token).status == 200
    assert me.list(updatedMin="2026-01-05T08:00:00Z").status == 200
    switch(me, "token_days", 1)
    switch(me, "updated_min_days", 1)
    assert me.list(syncToken=token).reason == "fullSyncRequired"
    assert me.list(updatedMin="2026-01-05T08:00:00Z").reason == "updatedMinTooLongAgo"


@pytest.mark.parametrize("kills", [False, True])
def test_a_changed_role_may_kill_tokens(me: Caller, kills: bool) -> None:
    switch(me, "acl_change_kills_tokens", kills)
    token = me.token()
    me.act("change_role", user=YOU, role="reader")
    assert me.list(syncToken=token).status == (410 if kills else 200)
