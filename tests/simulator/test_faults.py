"""Hostile on demand: each fault does what it says, when it says, and then no more."""

from __future__ import annotations

from http.client import BadStatusLine, HTTPConnection, IncompleteRead, RemoteDisconnected
from urllib.parse import urlsplit

import pytest

from sync.simulator import Simulator

from .conftest import ME, Caller, Receiver, channel, hours, ids

BODY = hours("2026-03-02", 9, 10)


def test_the_nth_request_fails_and_the_others_do_not(me: Caller) -> None:
    me.fault(where="events.list", nth=2, status=503)
    assert [me.list().status for _ in range(3)] == [200, 503, 200]


def test_a_fault_can_last(me: Caller) -> None:
    me.fault(where="events.*", times=0, status=500)
    assert {me.list().status, me.insert(BODY).status} == {500}
    me.sim("DELETE", "faults")
    assert me.list().status == 200


def test_a_fault_may_concern_one_calendar(me: Caller) -> None:
    me.act("add_calendar", id="team@group.calendar.google.com")
    me.fault(calendar=ME, times=0, status=500)
    assert (me.list("primary").status, me.list("team@group.calendar.google.com").status) == (500, 200)


def test_chance_comes_from_the_seed() -> None:
    def run() -> list[int]:
        with Simulator(seed=5, clock="frozen") as simulator:
            me = Caller(simulator)
            me.fault(times=0, probability=0.5, status=503)
            return [me.list().status for _ in range(20)]

    first = run()
    assert {200, 503} == set(first)
    assert first == run()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "authError"),
        (403, "rateLimitExceeded"),
        (403, "userRateLimitExceeded"),
        (403, "quotaExceeded"),
        (404, "notFound"),
        (409, "conflict"),
        (410, "updatedMinTooLongAgo"),
        (412, "conditionNotMet"),
        (429, "rateLimitExceeded"),
        (503, "backendError"),
    ],
)
def test_refusals_have_the_recorded_bodies(me: Caller, status: int, reason: str) -> None:
    me.fault(status=status, reason=reason)
    answer = me.list()
    error = answer.body["error"]
    assert (answer.status, answer.reason, error["code"]) == (status, reason, status)
    assert list(error) == ["errors", "code", "message"]
    assert list(error["errors"][0])[:3] == ["domain", "reason", "message"]


def test_a_limit_says_when_to_come_back(me: Caller) -> None:
    me.fault(status=429, retry_after_s=7)
    assert me.list().headers["retry-after"] == "7"


def test_an_error_may_be_a_web_page(me: Caller) -> None:
    me.fault(status=502, html=True)
    response, content = me.send("GET", f"/calendar/v3/calendars/{ME}/events")
    assert (response.status, content[:15]) == (502, b"<!DOCTYPE html>")


def test_hanging_up_before_changes_nothing(me: Caller) -> None:
    me.fault(where="events.insert", close="before")
    with pytest.raises((RemoteDisconnected, BadStatusLine, ConnectionError)):
        me.insert(BODY)
    assert me.everything()[0] == []


def test_hanging_up_after_has_changed_everything(me: Caller) -> None:
    me.fault(where="events.insert", close="after")
    with pytest.raises((RemoteDisconnected, BadStatusLine, ConnectionError)):
        me.insert(BODY)
    assert len(me.everything()[0]) == 1


def test_half_an_answer_is_cut_off(me: Caller) -> None:
    me.meeting()
    me.fault(where="events.list", truncate=True)
    with pytest.raises(IncompleteRead):
        me.list()


def test_a_hanging_request_never_ends_and_holds_up_nobody(me: Caller) -> None:
    me.fault(where="events.get", hang=True)
    place = urlsplit(me.simulator.url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=0.05)
    connection.request("GET", f"/calendar/v3/calendars/{ME}/events/x")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    assert me.list().status == 200
    connection.close()


def test_a_slow_answer_is_slow_for_its_own_client_only(me: Caller) -> None:
    me.fault(where="events.get", latency_s=30.0)
    place = urlsplit(me.simulator.url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=0.05)
    connection.request("GET", f"/calendar/v3/calendars/{ME}/events/x")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    assert me.list().status == 200
    connection.close()


def test_a_token_is_refused_until_it_is_refreshed(simulator: Simulator) -> None:
    old, new = (Caller(simulator, simulator.accounts.issue(ME, simulator.clock.now())) for _ in range(2))
    old.fault(status=401, until="refresh")
    assert [old.list().status, old.list().status, new.list().status] == [401, 401, 200]


def test_quotas_slide_over_a_minute(frozen: Simulator) -> None:
    me = Caller(frozen)
    me.fault(quota="user", per_minute=2, status=403, retry_after_s=3)
    assert [me.list().status, me.list().status] == [200, 200]
    refused = me.list()
    assert (refused.status, refused.reason) == (403, "userRateLimitExceeded")
    assert refused.headers["retry-after"] == "3"
    assert me.list(quotaUser="somebody").status == 200
    frozen.clock.advance(61)
    assert me.list().status == 200


def test_a_project_has_a_quota_of_its_own(me: Caller) -> None:
    me.fault(quota="project", per_minute=1, status=429)
    me.list(quotaUser="one")
    answer = me.list(quotaUser="two")
    assert (answer.status, answer.reason) == (429, "rateLimitExceeded")


def test_a_stale_read_has_not_seen_the_latest_change_and_loses_nothing(me: Caller) -> None:
    event = me.meeting("old")
    token = me.token()
    me.patch(event["id"], {"summary": "new"})
    me.fault(where="events.list", listing="stale")
    stale, later = me.everything(syncToken=token)
    assert stale == []
    assert later is not None
    assert [item["summary"] for item in me.delta(later)] == ["new"]


def test_a_stale_full_listing_shows_what_was(me: Caller) -> None:
    event = me.meeting("old")
    me.patch(event["id"], {"summary": "new"})
    me.fault(where="events.list", listing="stale")
    assert [item["summary"] for item in me.everything()[0]] == ["old"]


def test_an_empty_page_is_not_the_end(me: Caller) -> None:
    event = me.meeting()
    me.fault(where="events.list", listing="empty")
    page = me.list().body
    assert page["items"] == []
    assert ids(me.everything(pageToken=page["nextPageToken"])[0]) == [event["id"]]


def test_short_pages_hold_everything_in_the_end(me: Caller) -> None:
    expected = [me.meeting(f"{number}")["id"] for number in range(9)]
    me.fault(where="events.list", listing="short", times=0)
    first = me.list(maxResults=5).body
    assert 1 <= len(first["items"]) <= 5
    assert ids(me.everything(maxResults=5)[0]) == expected


def test_an_item_can_be_on_two_pages(me: Caller) -> None:
    expected = [me.meeting(f"{number}")["id"] for number in range(3)]
    me.fault(where="events.list", listing="repeat", nth=2)
    assert ids(me.everything(maxResults=2)[0]) == [*expected[:2], *expected[1:]]


def test_etags_can_move_without_any_change(me: Caller) -> None:
    event = me.meeting()
    token = me.token()
    me.fault(touch_all=ME)
    (seen,) = me.delta(token)
    assert seen["etag"] != event["etag"]
    assert {**seen, "etag": event["etag"]} == event


def test_the_servers_clock_can_be_wrong(frozen: Simulator) -> None:
    me = Caller(frozen)
    right = me.list().headers["date"]
    me.fault(skew_s=600)
    assert me.list().headers["date"] != right
    assert me.meeting()["updated"].startswith("2026-01-05T08:10")
    me.fault(skew_s=-600)
    assert me.meeting()["updated"] >= "2026-01-05T08:10"  # stamps never run backwards


def test_a_dropped_notification_never_comes(me: Caller, receiver: Receiver) -> None:
    me.watch(channel(receiver))
    me.fault(push="drop")
    me.meeting()
    me.meeting()
    me.settle()
    assert sorted(receiver.states()) == ["exists", "sync"]


def test_a_duplicated_notification_comes_twice(me: Caller, receiver: Receiver) -> None:
    me.watch(channel(receiver))
    me.fault(push="duplicate", calendar=ME)
    me.meeting()
    me.settle()
    numbers = [headers["x-goog-message-number"] for headers in receiver.got]
    assert len(numbers) == 3
    assert len(set(numbers)) == 2


def test_a_delayed_notification_comes_when_its_time_has_come(frozen: Simulator, receiver: Receiver) -> None:
    me = Caller(frozen)
    me.watch(channel(receiver))
    me.fault(push="delay", delay_s=30)
    me.meeting()
    me.settle()
    assert receiver.states() == ["sync"]
    me.sim("POST", "clock", {"advance_s": 30})
    me.settle()
    assert receiver.states() == ["sync", "exists"]


def test_a_reordered_notification_comes_behind_the_next_one(me: Caller, receiver: Receiver) -> None:
    me.watch(channel(receiver))
    me.settle()
    me.fault(push="reorder")
    me.meeting()
    me.settle()
    assert receiver.states() == ["sync"]
    with me.simulator.api.lock:
        me.simulator.world.insert(ME, ME, BODY)
        numbers = [message.number for message in me.simulator.world.channels.outbox]
    assert numbers == sorted(numbers, reverse=True)


def test_a_reordered_notification_that_nothing_follows_comes_after_a_while(
    frozen: Simulator, receiver: Receiver
) -> None:
    me = Caller(frozen)
    me.watch(channel(receiver))
    me.fault(push="reorder", delay_s=30)
    me.meeting()
    me.sim("POST", "clock", {"advance_s": 29})
    me.settle()
    assert receiver.states() == ["sync"]
    me.sim("POST", "clock", {"advance_s": 1})
    me.settle()
    assert receiver.states() == ["sync", "exists"]


def test_on_a_real_clock_it_comes_by_itself(me: Caller, receiver: Receiver) -> None:
    me.watch(channel(receiver))
    me.fault(push="reorder", delay_s=0.01)
    me.meeting()
    assert [headers["x-goog-resource-state"] for headers in receiver.wait_for(2)].count("exists") == 1


def test_a_reset_forgets_what_is_on_its_way(frozen: Simulator, receiver: Receiver) -> None:
    me = Caller(frozen)
    me.watch(channel(receiver))
    me.settle()
    me.fault(push="delay", delay_s=30)
    me.meeting()
    me.sim("POST", "reset")
    me.sim("POST", "clock", {"advance_s": 60})
    me.settle()
    assert receiver.states() == ["sync"]


def test_a_request_that_one_quota_refuses_costs_the_other_nothing(frozen: Simulator) -> None:
    me = Caller(frozen)
    me.fault(quota="user", per_minute=2)
    me.fault(quota="project", per_minute=1)
    assert [me.list(quotaUser=who).status for who in ("one", "two", "two", "two")] == [200, 403, 403, 403]
    me.sim("DELETE", "faults")
    me.fault(quota="user", per_minute=2)
    me.fault(quota="user", per_minute=3)
    assert [me.list().status for _ in range(3)] == [200, 200, 403]
