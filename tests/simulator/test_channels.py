"""Watching a calendar: what the channel says, what its notifications look like, which of them arrive."""

from __future__ import annotations

import itertools
import re

import pytest

from sync.simulator import Simulator

from .conftest import ME, YOU, Caller, Receiver, channel


def test_a_channel_has_the_recorded_shape(me: Caller, receiver: Receiver) -> None:
    answer = me.watch(channel(receiver, token="secret"), "primary").body
    assert list(answer) == ["kind", "id", "resourceId", "resourceUri", "token", "expiration"]
    assert re.fullmatch(r"[\w-]{27}", answer["resourceId"])
    assert answer["resourceUri"].endswith("/calendars/primary/events?alt=json")
    assert "token" not in me.watch(channel(receiver, "second")).body
    assert "%40" in me.watch(channel(receiver, "third")).body["resourceUri"]


def test_a_notification_has_the_recorded_headers_and_no_body(me: Caller, receiver: Receiver) -> None:
    answer = me.watch(channel(receiver, token="secret")).body
    (sync,) = receiver.wait_for(1)
    assert {name: sync[name] for name in sync if name.startswith(("x-goog", "content"))} == {
        "content-length": "0",
        "x-goog-channel-id": "first",
        "x-goog-channel-token": "secret",
        "x-goog-channel-expiration": sync["x-goog-channel-expiration"],
        "x-goog-message-number": "1",
        "x-goog-resource-id": answer["resourceId"],
        "x-goog-resource-state": "sync",
        "x-goog-resource-uri": answer["resourceUri"],
    }
    assert sync["user-agent"].startswith("APIs-Google;")
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", sync["x-goog-channel-expiration"])


def test_every_change_is_told_with_growing_numbers_that_have_gaps(me: Caller, receiver: Receiver) -> None:
    me.watch(channel(receiver))
    event = me.meeting()
    me.patch(event["id"], {"summary": "own writes notify too"})
    me.act("delete", event=event["id"])
    me.settle()
    numbers = sorted(int(headers["x-goog-message-number"]) for headers in receiver.wait_for(4))
    assert numbers[0] == 1
    assert all(later - earlier > 1 for earlier, later in itertools.pairwise(numbers))
    assert receiver.states().count("exists") == 3


def test_one_action_tells_each_calendar_it_touches_once(me: Caller, you: Caller, receiver: Receiver) -> None:
    me.watch(channel(receiver, "mine"))
    you.watch(channel(receiver, "yours"), YOU)
    me.meeting(attendees=[{"email": YOU}])
    me.settle()
    told = [headers["x-goog-channel-id"] for headers in receiver.got]
    assert sorted(told) == ["mine", "mine", "yours", "yours"]


def test_every_live_channel_delivers_and_they_share_a_resource(me: Caller, receiver: Receiver) -> None:
    first, second = me.watch(channel(receiver)).body, me.watch(channel(receiver, "second")).body
    assert first["resourceId"] == second["resourceId"]
    me.meeting()
    me.settle()
    assert receiver.states().count("exists") == 2


def test_a_stopped_channel_is_silent_and_unknown(me: Caller, receiver: Receiver) -> None:
    answer = me.watch(channel(receiver)).body
    me.settle()
    stop = {"id": answer["id"], "resourceId": answer["resourceId"]}
    assert me.stop({**stop, "resourceId": "other"}).status == 404
    assert me.stop(stop).status == 204
    me.meeting()
    me.settle()
    assert receiver.states() == ["sync"]
    again = me.stop(stop)
    assert (again.status, again.reason) == (404, "notFound")


def test_stragglers_come_after_the_stop(me: Caller, receiver: Receiver) -> None:
    me.fault(switch="straggle_s", to=60)
    answer = me.watch(channel(receiver)).body
    me.stop({"id": answer["id"], "resourceId": answer["resourceId"]})
    me.meeting()
    me.settle()
    assert sorted(receiver.states()) == ["exists", "sync"]


def test_a_channel_id_serves_once_for_ever(me: Caller, receiver: Receiver) -> None:
    answer = me.watch(channel(receiver)).body
    again = me.watch(channel(receiver), "primary")
    assert (again.status, again.reason) == (400, "channelIdNotUnique")
    me.stop({"id": answer["id"], "resourceId": answer["resourceId"]})
    assert me.watch(channel(receiver)).reason == "channelIdNotUnique"


def test_lifetimes_are_granted_up_to_the_cap(frozen: Simulator, receiver: Receiver) -> None:
    me = Caller(frozen)
    now_ms = frozen.clock.now() // 1000

    def granted(channel_id: str, **wish: object) -> float:
        answer = me.watch(channel(receiver, channel_id, **wish)).body
        return float(int(answer["expiration"]) - now_ms) / 86_400_000

    assert granted("a") == pytest.approx(7)
    assert granted("b", params={"ttl": "86400"}) == pytest.approx(1)
    assert granted("c", expiration=str(now_ms + 2 * 86_400_000)) == pytest.approx(2)
    assert granted("d", params={"ttl": "9999999"}) == pytest.approx(30)
    me.fault(switch="ttl_cap_s", to=3600)
    assert granted("e") == pytest.approx(1 / 24)


def test_a_channel_expires_in_silence(frozen: Simulator, receiver: Receiver) -> None:
    me = Caller(frozen)
    me.watch(channel(receiver, params={"ttl": "60"}))
    me.settle()
    me.sim("POST", "clock", {"advance_s": 60})
    me.meeting()
    me.settle()
    assert receiver.states() == ["sync"]
    assert me.sim("GET", "state")["channels"][0]["live"] is False


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"address": "http://hooks.example/x"}, "push.webhookUrlNotHttps"),
        ({"address": "ftp://127.0.0.1/x"}, "push.webhookUrlNotHttps"),
        ({"address": ""}, "push.webhookUrlNotHttps"),
        ({"id": ""}, "required"),
        ({"id": "x" * 65}, "invalid"),
        ({"id": "not allowed!"}, "invalid"),
        ({"token": "x" * 257}, "invalid"),
        ({"type": "carrier_pigeon"}, "invalid"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(
    me: Caller, receiver: Receiver, wrong: dict[str, str], reason: str
) -> None:
    answer = me.watch({**channel(receiver), **wrong})
    assert (answer.status, answer.reason) == (400, reason)


def test_generated_calendars_cannot_be_watched(me: Caller, receiver: Receiver) -> None:
    holidays = "en.german#holiday@group.v.calendar.google.com"
    me.act("add_calendar", id=holidays)
    assert me.list(holidays).body["accessRole"] == "reader"
    answer = me.watch(channel(receiver), holidays)
    assert (answer.status, answer.reason) == (400, "pushNotSupportedForRequestedResource")


def test_watch_looks_at_a_sync_token(me: Caller, receiver: Receiver) -> None:
    answer = me.watch(channel(receiver), syncToken="x")
    assert (answer.status, answer.body["error"]["message"]) == (400, "Invalid Value")
    token = me.token()
    me.fault(expire_tokens=ME)
    assert me.watch(channel(receiver), syncToken=token).reason == "fullSyncRequired"


def test_the_sync_message_may_come_before_the_answer(me: Caller, receiver: Receiver) -> None:
    me.fault(switch="sync_message", to="before")
    me.watch(channel(receiver))
    assert receiver.states() == ["sync"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_is_tried_again(me: Caller, receiver: Receiver, status: int) -> None:
    receiver.answers = [status, status]
    me.watch(channel(receiver))
    got = receiver.wait_for(3)
    assert {headers["x-goog-message-number"] for headers in got} == {"1"}
    me.settle()
    assert me.sim("GET", "metrics")["pushes"] == {"delivered": 1, "failed": 0, "retried": 2, "waiting": 0}


@pytest.mark.parametrize("status", [400, 401, 404, 429, 301])
def test_whatever_else_is_answered_loses_the_notification(
    me: Caller, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status]
    me.watch(channel(receiver))
    receiver.wait_for(1)
    me.settle()
    assert me.sim("GET", "metrics")["pushes"] == {"delivered": 0, "failed": 1, "retried": 0, "waiting": 0}
    assert me.sim("GET", "journal")["pushes"][0]["status"] == status


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success_is_one_of_a_few(me: Caller, receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    me.watch(channel(receiver))
    me.settle()
    assert me.sim("GET", "metrics")["pushes"]["delivered"] == 1


def test_pauses_between_tries_double(frozen: Simulator, receiver: Receiver) -> None:
    me = Caller(frozen)
    receiver.answers = [503, 503]
    me.watch(channel(receiver))
    me.settle()
    assert len(receiver.got) == 1
    me.sim("POST", "clock", {"advance_s": 1})
    me.settle()
    assert len(receiver.got) == 2
    me.sim("POST", "clock", {"advance_s": 1})
    me.settle()
    assert len(receiver.got) == 2
    me.sim("POST", "clock", {"advance_s": 1})
    me.settle()
    assert len(receiver.got) == 3


def test_a_receiver_that_is_not_there_loses_the_notification(me: Caller, receiver: Receiver) -> None:
    receiver.close()
    me.watch(channel(receiver))
    me.settle()
    assert me.sim("GET", "journal")["pushes"][0]["status"] == 0
