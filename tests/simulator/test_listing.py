"""Lists, pages and sync tokens: what a client may build on, and what it must not."""

from __future__ import annotations

import base64

import pytest

from sync.simulator import Simulator

from .conftest import ME, YOU, Caller, hours, ids


def test_a_list_has_the_recorded_keys_in_the_recorded_order(me: Caller) -> None:
    me.meeting()
    assert list(me.list().body) == [
        "kind", "etag", "summary", "description", "updated", "timeZone", "accessRole", "defaultReminders",
        "nextSyncToken", "items",
    ]  # fmt: skip


def test_only_the_last_page_has_a_sync_token(me: Caller) -> None:
    for number in range(5):
        me.meeting(f"{number}")
    first = me.list(maxResults=2).body
    second = me.list(maxResults=2, pageToken=first["nextPageToken"]).body
    last = me.list(maxResults=2, pageToken=second["nextPageToken"]).body
    assert [len(page["items"]) for page in (first, second, last)] == [2, 2, 1]
    assert [("nextSyncToken" in page) for page in (first, second, last)] == [False, False, True]
    assert "nextPageToken" not in last


def test_a_delta_holds_each_changed_event_once_and_nothing_else(me: Caller) -> None:
    first, second, _ = me.meeting("a"), me.meeting("b"), me.meeting("c")
    token = me.token()
    for title in ("b1", "b2"):
        me.patch(second["id"], {"summary": title})
    me.patch(first["id"], {"summary": "a1"})
    assert [item["summary"] for item in me.delta(token)] == ["b2", "a1"]


def test_an_empty_delta_still_moves_the_token(frozen: Simulator) -> None:
    me = Caller(frozen)
    before = me.token()
    frozen.clock.advance(60)
    items, after = me.everything(syncToken=before)
    assert items == []
    assert after not in (before, None)


def test_a_deleted_event_leaves_a_bare_tombstone(me: Caller) -> None:
    event = me.meeting()
    token = me.token()
    me.delete(event["id"])
    (tombstone,) = me.delta(token)
    assert list(tombstone) == ["kind", "etag", "id", "status"]
    assert tombstone["status"] == "cancelled"


def test_an_event_made_and_deleted_between_two_pulls_is_only_a_tombstone(me: Caller) -> None:
    token = me.token()
    event = me.meeting()
    me.delete(event["id"])
    assert [(item["id"], item["status"]) for item in me.delta(token)] == [(event["id"], "cancelled")]


def test_get_still_shows_what_was_deleted(me: Caller) -> None:
    event = me.meeting("Farewell")
    me.delete(event["id"])
    shown = me.get(event["id"]).body
    assert (shown["status"], shown["summary"]) == ("cancelled", "Farewell")


def test_a_full_listing_hides_deleted_events_unless_asked(me: Caller) -> None:
    event = me.meeting()
    me.delete(event["id"])
    assert me.everything()[0] == []
    assert ids(me.everything(showDeleted=True)[0]) == [event["id"]]


def test_rich_tombstones_keep_their_details(me: Caller) -> None:
    me.fault(switch="tombstones", to="rich")
    event = me.meeting("Farewell")
    token = me.token()
    me.delete(event["id"])
    assert me.delta(token)[0]["summary"] == "Farewell"


def test_a_change_during_paging_is_in_the_next_delta(me: Caller) -> None:
    for number in range(4):
        me.meeting(f"{number}")
    first = me.list(maxResults=2).body
    me.patch(first["items"][0]["id"], {"summary": "changed while paging"})
    rest, token = me.everything(maxResults=2, pageToken=first["nextPageToken"])
    assert "changed while paging" in [item["summary"] for item in rest]
    assert token is not None
    assert [item["summary"] for item in me.delta(token)] == ["changed while paging"]


@pytest.mark.parametrize(
    "parameter",
    [
        {"orderBy": "updated"},
        {"q": "Plans"},
        {"iCalUID": "x@google.com"},
        {"updatedMin": "2026-11-20T00:00:00Z"},
        {"privateExtendedProperty": "a=b"},
        {"sharedExtendedProperty": "a=b"},
    ],
)
def test_a_filter_that_a_token_cannot_carry_suppresses_it(
    frozen: Simulator, parameter: dict[str, str]
) -> None:
    parameter = {name: value.replace("2026-11-20", "2026-01-04") for name, value in parameter.items()}
    assert "nextSyncToken" not in Caller(frozen).list(**parameter).body


def test_a_window_does_not_suppress_the_token_and_is_not_remembered_by_it(me: Caller) -> None:
    token = me.token(timeMin="2026-03-01T00:00:00Z", timeMax="2026-04-01T00:00:00Z")
    far = me.insert({"summary": "2031", **hours("2031-01-01", 9, 10)}).body
    assert ids(me.delta(token)) == [far["id"]]


@pytest.mark.parametrize(
    "parameter",
    [
        "orderBy",
        "q",
        "iCalUID",
        "timeMin",
        "timeMax",
        "updatedMin",
        "privateExtendedProperty",
        "sharedExtendedProperty",
    ],
)
def test_a_parameter_forbidden_with_a_token_is_refused(me: Caller, parameter: str) -> None:
    answer = me.list(syncToken=me.token(), **{parameter: "2026-03-01T00:00:00Z"})
    assert (answer.status, answer.reason) == (400, "invalid")


def test_hiding_deleted_events_is_forbidden_with_a_token(me: Caller) -> None:
    assert me.list(syncToken=me.token(), showDeleted=False).status == 400


def test_an_expired_token_asks_for_a_full_sync(me: Caller) -> None:
    token = me.token()
    me.fault(expire_tokens=ME)
    answer = me.list(syncToken=token)
    assert (answer.status, answer.reason) == (410, "fullSyncRequired")
    assert answer.body["error"]["errors"][0]["location"] == "syncToken"
    assert me.list(syncToken=me.token()).status == 200


def test_a_token_expires_by_itself_when_nobody_uses_it(frozen: Simulator) -> None:
    me = Caller(frozen)
    token = me.token()
    frozen.clock.advance(31 * 24 * 3600)
    assert me.list(syncToken=token).reason == "fullSyncRequired"


def test_a_token_can_expire_in_the_middle_of_a_listing(me: Caller) -> None:
    token = me.token()
    for number in range(3):
        me.meeting(f"{number}")
    page = me.list(syncToken=token, maxResults=1).body["nextPageToken"]
    me.fault(expire_tokens=ME)
    assert me.list(syncToken=token, maxResults=1, pageToken=page).reason == "fullSyncRequired"


def test_a_malformed_token_is_invalid(me: Caller) -> None:
    for token in ("x", "CPDAlvWDx70CEPDAlvWDx70CGAU=", me.token()[:-4] + "AAA="):
        answer = me.list(syncToken=token)
        assert (answer.status, answer.reason) == (400, "invalid")
        assert answer.body["error"]["message"] == "Invalid sync token value."


def test_a_spoiled_token_is_invalid_too(me: Caller) -> None:
    token = me.token()
    me.fault(spoil_tokens=ME)
    assert me.list(syncToken=token).reason == "invalid"


def test_a_token_of_another_calendar_is_invalid(me: Caller) -> None:
    me.act("change_role", calendar=YOU, user=ME, role="reader")
    assert me.list(YOU, syncToken=me.token(ME)).reason == "invalid"


def test_every_run_has_another_alphabet() -> None:
    tokens = []
    for _ in range(2):
        with Simulator() as simulator:
            tokens.append(Caller(simulator).token())
            simulator.clock.advance(1)
    assert tokens[0] != tokens[1]
    assert not base64.urlsafe_b64decode(tokens[0] + "==").startswith(b"\x08")


def test_the_same_seed_on_a_frozen_clock_is_the_same_run() -> None:
    def run() -> list[object]:
        with Simulator(seed=3, clock="frozen") as simulator:
            me = Caller(simulator)
            return [me.meeting(), me.everything()]

    assert run() == run()


def test_a_page_token_serves_only_the_listing_it_came_from(me: Caller) -> None:
    for number in range(3):
        me.meeting(f"{number}")
    page = me.list(maxResults=1, showDeleted=True).body["nextPageToken"]
    assert me.list(pageToken=page).status == 200
    assert me.list(pageToken=page, showDeleted=True).status == 200
    answer = me.list(pageToken=page, singleEvents=True)
    assert (answer.status, answer.body["error"]["message"]) == (400, "Invalid page token value.")
    assert me.list(pageToken="nonsense").status == 400


def test_time_min_counts_the_end_and_time_max_the_start(me: Caller) -> None:
    event = me.meeting()
    inside = {"timeMin": "2026-03-02T08:59:00Z", "timeMax": "2026-03-02T08:01:00Z"}
    assert ids(me.everything(timeMin=inside["timeMin"])[0]) == [event["id"]]
    assert me.everything(timeMin="2026-03-02T09:00:00Z")[0] == []
    assert ids(me.everything(timeMax=inside["timeMax"])[0]) == [event["id"]]
    assert me.everything(timeMax="2026-03-02T08:00:00Z")[0] == []


def test_an_empty_window_is_refused(me: Caller) -> None:
    answer = me.list(timeMin="2026-03-02T09:00:00Z", timeMax="2026-03-02T09:00:00Z")
    assert (answer.status, answer.reason) == (400, "timeRangeEmpty")


def test_an_updated_min_too_long_ago_is_gone(me: Caller) -> None:
    answer = me.list(updatedMin="2020-01-01T00:00:00Z")
    assert (answer.status, answer.reason) == (410, "updatedMinTooLongAgo")


def test_order_by_start_time_needs_single_events(me: Caller) -> None:
    assert me.list(orderBy="startTime").status == 400
    late, early = (
        me.insert({**hours("2026-03-05", 9, 10)}).body,
        me.insert({**hours("2026-03-04", 9, 10)}).body,
    )
    pages, token = me.everything(orderBy="startTime", singleEvents=True, maxResults=1)
    assert (ids(pages), token) == ([early["id"], late["id"]], None)


def test_words_types_and_properties_filter(me: Caller) -> None:
    plan = me.meeting("Plan the garden", extendedProperties={"private": {"a": "1"}, "shared": {"b": "2"}})
    focus = me.meeting("Quiet", eventType="focusTime")
    assert ids(me.everything(q="garden plan")[0]) == [plan["id"]]
    assert ids(me.everything(eventTypes="focusTime")[0]) == [focus["id"]]
    assert ids(me.everything(privateExtendedProperty="a=1")[0]) == [plan["id"]]
    assert ids(me.everything(sharedExtendedProperty="b=2")[0]) == [plan["id"]]
    assert me.everything(sharedExtendedProperty="b=3")[0] == []
    assert ids(me.everything(iCalUID=plan["iCalUID"])[0]) == [plan["id"]]


def test_a_boundary_repeat_shows_the_last_write_again(me: Caller) -> None:
    me.meeting("old")
    event = me.meeting("last before the token")
    me.fault(switch="boundary_repeats", to=True)
    assert ids(me.delta(me.token())) == [event["id"]]


def test_the_watermark_of_the_list_is_later_than_its_items(frozen: Simulator) -> None:
    me = Caller(frozen)
    event = me.meeting()
    frozen.clock.advance(1)
    assert me.list().body["updated"] > event["updated"]


def test_a_malformed_parameter_is_refused(me: Caller) -> None:
    for wrong in (
        {"singleEvents": "yes"},
        {"maxResults": "many"},
        {"orderBy": "title"},
        {"timeMin": "2026-03-02"},
    ):
        assert me.list(**wrong).status == 400
