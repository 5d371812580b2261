"""The webhook provider keeps the contract, signs as Standard Webhooks says, and tells all of a meeting's state."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import standardwebhooks
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sync.conferences import Secret
from sync.conferences.registry import Registry
from sync.conferences.webhook import Webhook
from sync.errors import AuthFailed, Gone, Misconfigured, RateLimited, Refused, Transient, Unsupported
from sync.meeting import Meeting, Moved
from sync.ports import Outcome, Reason, Target
from sync.recognise import ConferenceKey
from sync.settings import ProviderSettings, SecretPlace
from sync.testing import (
    MEETING,
    PATIENT_S,
    WEEKLY,
    Calls,
    Connect,
    Fail,
    Failure,
    ProviderContract,
    State,
    context,
)
from tests.contract.fake_own_system import WebhookReceiver, signs

DOCS = Path(__file__).parents[2] / "docs/providers"
SCHEMA = Draft202012Validator(json.loads((DOCS / "webhook.schema.json").read_text()))
ROOM = "room-41"


def key(letter: str, length: int = 32) -> str:
    return "whsec_" + base64.b64encode(letter.encode() * length).decode()


OLD, NEW = key("o"), key("n")
RECOGNISE = {
    "hosts": ["meet.example.com"],
    "path": "^/r/(room-[0-9]+)$",
    "names": ["Example Meet"],
    "id_pattern": "^room-[0-9]+$",
}


def target(version: int = 0, reason: Reason = Reason.CHANGED, room: str = ROOM) -> Target:
    return Target(ConferenceKey("webhook", room), version, reason)


REMOVED = target(9, Reason.REMOVED)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver([OLD], [ROOM, "room-42"]) as receiver:
        yield receiver


def sender(receiver: WebhookReceiver, read_s: float = PATIENT_S, **others: object) -> Webhook:
    options = {"url": f"{receiver.url}/hooks", "key": OLD, "recognise": RECOGNISE, **others}
    return Webhook(options, context(read_s))


@pytest.fixture
def webhook(receiver: WebhookReceiver) -> Webhook:
    return sender(receiver)


def conference_data(uri: str, name: str = "Another", conference_id: str = "") -> dict[str, object]:
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": name},
        "conferenceId": conference_id,
        "entryPoints": [{"entryPointType": "video", "uri": uri}] if uri else [],
    }


class TestWebhook(ProviderContract):
    @pytest.fixture
    def connect(self, receiver: WebhookReceiver) -> Connect:
        return lambda read_s: sender(receiver, read_s)

    @pytest.fixture
    def target(self) -> Target:
        return target()

    @pytest.fixture
    def state(self, receiver: WebhookReceiver) -> State:
        return lambda: json.dumps(receiver.rooms)

    @pytest.fixture
    def calls(self, receiver: WebhookReceiver) -> Calls:
        return lambda: len(receiver.asked)

    @pytest.fixture
    def fail(self, receiver: WebhookReceiver) -> Fail:
        """A status alone says nothing of a conference here: one that is gone is said to be."""

        def fail(failure: Failure) -> None:
            gone = failure.status in (404, 410)
            receiver.failures.append(
                replace(failure, body='{"error": "conference_gone"}') if gone else failure
            )

        return fail

    @pytest.fixture
    def events(self) -> list[dict[str, object]]:
        url = f"https://meet.example.com/r/{ROOM}"
        return [
            conference_data(url),
            conference_data("", "Example Meet", ROOM),
            conference_data(f"https://www.google.com/url?q={url}"),
            conference_data(f"https://emea.meet.example.com/r/{ROOM}"),
        ]

    @pytest.fixture
    def look_alikes(self) -> list[dict[str, object]]:
        return [
            conference_data(uri, conference_id=ROOM)
            for uri in (
                f"http://meet.example.com/r/{ROOM}",
                f"https://meet.example.com.evil.example/r/{ROOM}",
                f"https://meet.example.com@evil.example/r/{ROOM}",
                f"https://notmeet.example.com/r/{ROOM}",
                f"https://meet.example.com:8443/r/{ROOM}",
                f"https://meet.example.com/x/r/{ROOM}",
                f"https://meet.example.com/r/{ROOM}/more",
                f"https://evil.example/?u=https://meet.example.com/r/{ROOM}",
            )
        ] + [
            conference_data("", "Example Meet", f"{ROOM} and more"),
            conference_data("", "example meet", ROOM),
        ]


def test_a_receiver_is_told_and_never_asked(receiver: WebhookReceiver, webhook: Webhook) -> None:
    assert "read" not in webhook.capabilities
    with pytest.raises(Unsupported):
        webhook.read(target())
    assert receiver.asked == []


# --- what is said ---


def told(receiver: WebhookReceiver) -> dict[str, Any]:
    message = receiver.asked[-1].json
    SCHEMA.validate(message)
    return message


def test_an_update_tells_the_whole_state(receiver: WebhookReceiver, webhook: Webhook) -> None:
    outcome = webhook.update(target(7), WEEKLY)
    message = told(receiver)
    assert message["type"] == "conference.updated"
    assert message["data"] == {
        "conference_id": ROOM,
        "provider": "webhook",
        "version": 7,
        "reason": "changed",
        "title": MEETING.title,
        "start": "2030-03-04T09:30:00Z",
        "end": "2030-03-04T10:15:00Z",
        "time_zone": "Europe/Berlin",
        "all_day": False,
        "recurrence": ["RRULE:FREQ=WEEKLY"],
    }
    assert outcome == Outcome(True, ("title", "time", "recurrence"))
    assert abs(datetime.fromisoformat(message["timestamp"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert receiver.asked[-1].path == "/hooks"
    assert receiver.asked[-1].headers["content-type"] == "application/json"


def test_a_deletion_tells_no_more_than_which(receiver: WebhookReceiver, webhook: Webhook) -> None:
    assert webhook.delete(REMOVED) == Outcome(True)
    message = told(receiver)
    assert message["type"] == "conference.deleted"
    assert message["data"] == {
        "conference_id": ROOM,
        "provider": "webhook",
        "version": 9,
        "reason": "removed",
    }


def test_a_conference_that_is_wanted_again_is_restored(receiver: WebhookReceiver, webhook: Webhook) -> None:
    webhook.delete(REMOVED)
    assert webhook.update(target(10, Reason.RESTORED), MEETING).changed
    assert told(receiver)["type"] == "conference.restored"
    assert not receiver.rooms[ROOM]["deleted"]


def test_all_day_meetings_are_told_as_dates(receiver: WebhookReceiver, webhook: Webhook) -> None:
    day = datetime(2030, 3, 4, tzinfo=UTC)
    webhook.update(target(), replace(MEETING, start=day, end=day + timedelta(days=2), all_day=True))
    data = told(receiver)["data"]
    assert (data["start"], data["end"], data["all_day"]) == ("2030-03-04", "2030-03-06", True)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(hours=30)], ids=["zero", "over a day"])
def test_any_length_is_told_as_it_is(receiver: WebhookReceiver, webhook: Webhook, length: timedelta) -> None:
    webhook.update(target(), replace(MEETING, end=MEETING.start + length))
    data = told(receiver)["data"]
    assert datetime.fromisoformat(data["end"]) - datetime.fromisoformat(data["start"]) == length


def test_a_zone_that_nobody_knows_is_told_by_its_name(receiver: WebhookReceiver, webhook: Webhook) -> None:
    webhook.update(target(), replace(MEETING, time_zone="Mars/Olympus"))
    assert told(receiver)["data"]["time_zone"] == "Mars/Olympus"


def test_a_series_tells_where_its_occurrences_have_gone(receiver: WebhookReceiver, webhook: Webhook) -> None:
    """The clocks of Berlin change between these two: each is told as the moment that it is."""
    later = datetime(2030, 4, 1, 11, 30, tzinfo=UTC)
    moved = (
        Moved("2030-03-25T09:30:00Z", None, None),
        Moved("2030-04-01T08:30:00Z", later.timestamp(), (later + timedelta(minutes=45)).timestamp()),
    )
    outcome = webhook.update(target(), replace(WEEKLY, moved=moved))
    assert told(receiver)["data"]["occurrence"] == [
        {"original_start": "2030-03-25T09:30:00Z", "start": None, "end": None},
        {
            "original_start": "2030-04-01T08:30:00Z",
            "start": "2030-04-01T11:30:00Z",
            "end": "2030-04-01T12:15:00Z",
        },
    ]
    assert outcome.applied == ("title", "time", "recurrence", "occurrence")


def test_an_occurrence_of_an_all_day_series_is_a_date_unless_it_got_a_time(
    receiver: WebhookReceiver, webhook: Webhook
) -> None:
    day = datetime(2030, 3, 4, tzinfo=UTC)
    series = replace(WEEKLY, start=day, end=day + timedelta(days=1), all_day=True)
    moved = (
        Moved("2030-03-11", (day + timedelta(days=8)).timestamp(), (day + timedelta(days=9)).timestamp()),
        Moved("2030-03-18", (day + timedelta(days=14, hours=9)).timestamp(), None),
    )
    webhook.update(target(), replace(series, moved=moved))
    first, second = told(receiver)["data"]["occurrence"]
    assert (first["start"], first["end"]) == ("2030-03-12", "2030-03-13")
    assert second["start"] == "2030-03-18T09:00:00Z"


def test_an_occurrence_of_a_timed_series_is_a_moment_also_at_midnight(
    receiver: WebhookReceiver, webhook: Webhook
) -> None:
    midnight = datetime(2030, 3, 12, tzinfo=UTC).timestamp()
    moved = (Moved("2030-03-11T09:30:00Z", midnight, midnight + 86400),)
    webhook.update(target(), replace(WEEKLY, moved=moved))
    (only,) = told(receiver)["data"]["occurrence"]
    assert (only["start"], only["end"]) == ("2030-03-12T00:00:00Z", "2030-03-13T00:00:00Z")


def test_agenda_and_invitees_are_told_only_where_there_are_any(
    receiver: WebhookReceiver, webhook: Webhook
) -> None:
    webhook.update(target(1), MEETING)
    assert not {"agenda", "invitees"} & told(receiver)["data"].keys()
    outcome = webhook.update(target(2), replace(MEETING, agenda="1. Tea", invitees=("ada@example.com",)))
    data = told(receiver)["data"]
    assert (data["agenda"], data["invitees"]) == ("1. Tea", ["ada@example.com"])
    assert outcome.applied == ("title", "time", "agenda", "invitees")


moments = st.datetimes(timezones=st.just(UTC))
seconds = st.one_of(st.none(), st.integers(0, 4102444800).map(float))
meetings = st.builds(
    Meeting,
    title=st.text(max_size=40),
    start=moments,
    end=moments,
    time_zone=st.text(max_size=20),
    all_day=st.booleans(),
    recurrence=st.lists(st.text(max_size=20), max_size=2).map(tuple),
    agenda=st.text(max_size=20),
    invitees=st.lists(st.text(max_size=20), max_size=2).map(tuple),
    moved=st.lists(
        st.builds(
            Moved,
            original=st.sampled_from(["", "2030-03-04", "2030-03-04T09:00:00Z"]),
            start=seconds,
            end=seconds,
        ),
        max_size=2,
    ).map(tuple),
)


def test_whatever_the_meeting_the_message_is_as_the_schema_says(
    receiver: WebhookReceiver, webhook: Webhook
) -> None:
    @given(meetings)
    def tell(meeting: Meeting) -> None:
        webhook.update(target(), meeting)
        assert told(receiver)["data"]["title"] == meeting.title

    tell()


@pytest.mark.parametrize(
    "wrong",
    [
        {"all_day": True},
        {"start": "2030-03-04"},
        {"title": None},
        {"reason": "removed"},
        {"secret": "x"},
        {"occurrence": []},
    ],
)
def test_the_schema_refuses_what_we_never_send(
    receiver: WebhookReceiver, webhook: Webhook, wrong: dict[str, object]
) -> None:
    webhook.update(target(), MEETING)
    message = told(receiver)
    assert not SCHEMA.is_valid({**message, "data": {**message["data"], **wrong}})


def test_cloud_events_have_the_same_data_under_the_same_signature(receiver: WebhookReceiver) -> None:
    plain, events = sender(receiver), sender(receiver, format="cloudevents")
    plain.update(target(3), MEETING)
    message = told(receiver)
    events.update(target(3), MEETING)
    asked = receiver.asked[-1]
    event = asked.json
    assert signs(OLD, asked)
    assert asked.headers["content-type"] == "application/cloudevents+json"
    assert datetime.fromisoformat(event.pop("time")) >= datetime.fromisoformat(message["timestamp"])
    assert event == {
        "specversion": "1.0",
        "id": asked.headers["webhook-id"],
        "source": "/conferences/webhook",
        "type": "conference.updated",
        "subject": ROOM,
        "datacontenttype": "application/json",
        "data": message["data"],
    }


# --- ids and signatures ---


def ids(receiver: WebhookReceiver) -> list[str]:
    return [asked.headers["webhook-id"] for asked in receiver.asked]


def test_a_repeated_call_has_the_same_id_and_any_other_call_another(
    receiver: WebhookReceiver, webhook: Webhook
) -> None:
    calls = [
        target(1),
        target(2),
        target(2, Reason.RESTORED),
        target(2, room="room-42"),
        target(12, room="room-4"),
        target(2, room="room-41"),
    ]
    for each in calls:
        receiver.rooms[each.id] = {}
        webhook.update(each, MEETING)
    webhook.delete(target(2, Reason.REMOVED))
    assert ids(receiver)[5] == ids(receiver)[1]
    assert len(set(ids(receiver))) == len(calls)
    assert all(re.fullmatch(r"msg_[0-9a-f]{32}", each) for each in ids(receiver))


def test_the_id_is_that_of_the_want_not_of_what_it_says(receiver: WebhookReceiver, webhook: Webhook) -> None:
    """An event changed between intent and call: the version is the intent's, and so is the id."""
    webhook.update(target(1), MEETING)
    webhook.update(target(1), replace(MEETING, title="changed meanwhile"))
    first, second = ids(receiver)
    assert first == second
    assert receiver.rooms[ROOM]["title"] == "changed meanwhile"


def test_two_keys_sign_in_one_header_while_one_takes_over(receiver: WebhookReceiver) -> None:
    webhook = sender(receiver, key=f"{OLD}\n{NEW}")
    for keys in ([OLD], [NEW]):
        receiver.keys = keys
        assert webhook.update(target(), MEETING)
    assert receiver.asked[-1].headers["webhook-signature"].count("v1,") == 2


@pytest.mark.parametrize("format_", ["plain", "cloudevents"])
def test_the_library_of_the_standard_verifies_what_we_send(receiver: WebhookReceiver, format_: str) -> None:
    receiver.keys = [OLD]
    webhook = sender(receiver, key=f"{OLD}\n{NEW}", format=format_)
    webhook.update(target(3), replace(WEEKLY, agenda="1. Tea ☕"))
    webhook.delete(REMOVED)
    for asked in receiver.asked:
        for kept in (OLD, NEW):
            assert standardwebhooks.Webhook(kept).verify(asked.body, dict(asked.headers)) == asked.json
        for wrong in (
            (key("x"), asked.body, asked.headers),
            (OLD, asked.body + b" ", asked.headers),
            (OLD, asked.body, {**asked.headers, "webhook-id": "msg_other"}),
            (OLD, asked.body, {**asked.headers, "webhook-timestamp": str(int(time.time()) - 1)}),
        ):
            kept, body, headers = wrong
            with pytest.raises(standardwebhooks.WebhookVerificationError):
                standardwebhooks.Webhook(kept).verify(body, dict(headers))


def test_a_key_that_the_receiver_does_not_know_is_refused(receiver: WebhookReceiver) -> None:
    with pytest.raises(AuthFailed):
        sender(receiver, key=NEW).update(target(), MEETING)


def test_a_new_key_is_used_at_the_next_call(receiver: WebhookReceiver) -> None:
    kept = [OLD]
    webhook = sender(receiver, key=Secret("a place", lambda: kept[0]))
    webhook.update(target(), MEETING)
    kept[0], receiver.keys = NEW, [NEW]
    webhook.update(target(), MEETING)
    assert signs(NEW, receiver.asked[-1])


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "SECRET",
        "whsec_",
        "whsec_SECRET!",
        key("s", 23),
        key("s", 65),
        key("s").removeprefix("whsec_"),
        f"{OLD}\n{NEW}\n{key('x')}",
        f"{OLD}\nwhsec_short",
    ],
)
def test_a_key_that_is_none_is_told_without_its_text_and_nothing_is_sent(
    receiver: WebhookReceiver, kept: str
) -> None:
    webhook = sender(receiver, key=Secret("a place", lambda: kept))
    with pytest.raises(AuthFailed) as caught:
        webhook.update(target(), MEETING)
    assert "whsec_" in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert receiver.asked == []


@pytest.mark.parametrize("length", [24, 64])
def test_keys_of_24_to_64_bytes_are_good(receiver: WebhookReceiver, length: int) -> None:
    receiver.keys = [key("k", length)]
    assert sender(receiver, key=key("k", length)).update(target(), MEETING).changed


# --- what is answered ---


@pytest.mark.parametrize("status", [404, 410])
def test_a_retired_endpoint_does_not_look_like_deletions(
    receiver: WebhookReceiver, webhook: Webhook, status: int
) -> None:
    for body in ("", "<html>SECRET</html>", '{"error": "not_found"}', "{}"):
        for call in (lambda: webhook.delete(REMOVED), lambda: webhook.update(target(), MEETING)):
            receiver.failures.append(Failure(status, body=body))
            with pytest.raises(AuthFailed, match="there is no receiver at this URL"):
                call()


@pytest.mark.parametrize("status", [404, 410])
def test_a_receiver_that_cannot_say_so_may_tell_by_the_status(receiver: WebhookReceiver, status: int) -> None:
    webhook = sender(receiver, gone_by_status=True)
    receiver.failures += [Failure(status), Failure(status)]
    assert webhook.delete(REMOVED) == Outcome(False)
    with pytest.raises(Gone):
        webhook.update(target(), MEETING)


@pytest.mark.parametrize(
    ("said", "heard"), [('"https://meet.example.com/r/room-41?k=1"', 1), ("7", 0), ("null", 0)]
)
def test_a_receiver_may_say_where_its_conference_is_joined(
    receiver: WebhookReceiver, webhook: Webhook, said: str, heard: int
) -> None:
    receiver.failures.append(Failure(200, body=f'{{"join_url": {said}}}'))
    assert webhook.update(target(), MEETING).join_url == heard * said.strip('"')


def test_whoever_knows_better_already_is_left_alone(receiver: WebhookReceiver, webhook: Webhook) -> None:
    webhook.update(target(5), MEETING)
    before = dict(receiver.rooms)
    for outcome in (webhook.update(target(4), WEEKLY), webhook.delete(target(4, Reason.REMOVED))):
        assert outcome == Outcome(False, note="the receiver has a newer version")
    assert receiver.rooms == before


def test_a_conflict_without_that_word_is_a_refusal(receiver: WebhookReceiver, webhook: Webhook) -> None:
    for body in ("", '{"error": "locked"}', "SECRET"):
        receiver.failures.append(Failure(409, body=body))
        with pytest.raises(Refused):
            webhook.update(target(), MEETING)


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (422, {}, Refused),
        (413, {}, Refused),
        (301, {"Location": "http://127.0.0.1:1/"}, Refused),
        (307, {"Location": "http://169.254.169.254/"}, Refused),
        (429, {"Retry-After": "5"}, RateLimited),
        (503, {"Retry-After": "5"}, RateLimited),
        (502, {"Content-Type": "text/html"}, Transient),
    ],
)
def test_each_other_answer_is_one_error_and_one_request(
    receiver: WebhookReceiver,
    webhook: Webhook,
    status: int,
    headers: dict[str, str],
    error: type[Exception],
) -> None:
    receiver.failures.append(Failure(status, headers, body="<html>SECRET</html>"))
    with pytest.raises(error):
        webhook.update(target(), MEETING)
    assert len(receiver.asked) == 1


def test_no_content_is_success(receiver: WebhookReceiver, webhook: Webhook) -> None:
    receiver.failures += [Failure(204, body=""), Failure(202, body="")]
    assert webhook.update(target(), MEETING) == Outcome(True, ("title", "time"))
    assert webhook.delete(REMOVED) == Outcome(True)


def test_nothing_changed_is_told(receiver: WebhookReceiver, webhook: Webhook) -> None:
    receiver.extra = {"changed": False}
    assert not webhook.update(target(), MEETING).changed
    assert not webhook.delete(REMOVED).changed


def test_what_the_receiver_ignores_is_not_applied(receiver: WebhookReceiver, webhook: Webhook) -> None:
    receiver.extra = {"ignored": ["recurrence", "agenda"]}
    outcome = webhook.update(target(), WEEKLY)
    assert (outcome.applied, outcome.ignored, outcome.note) == (("title", "time"), ("recurrence",), "")


def test_a_receiver_that_ignores_everything_cannot_express_it(
    receiver: WebhookReceiver, webhook: Webhook
) -> None:
    receiver.extra = {"ignored": ["title", "time"]}
    with pytest.raises(Unsupported):
        webhook.update(target(), MEETING)


@pytest.mark.parametrize("said", ["time", ["SECRET"], [5], None, {"time": True}, [["time"]]])
def test_words_that_are_not_ours_stay_out_of_logs(
    receiver: WebhookReceiver, webhook: Webhook, said: object
) -> None:
    receiver.extra = {"ignored": said}
    outcome = webhook.update(target(), MEETING)
    assert outcome.ignored == ()
    assert outcome.note
    assert "SECRET" not in outcome.note


def test_credentials_that_end_in_the_middle_are_told_for_each_call(
    receiver: WebhookReceiver, webhook: Webhook
) -> None:
    webhook.update(target(1), MEETING)
    receiver.keys = [NEW]
    for version in (2, 3):
        with pytest.raises(AuthFailed):
            webhook.update(target(version), MEETING)
    receiver.keys = [OLD]
    assert webhook.update(target(3), MEETING).changed


# --- options ---

GOOD: dict[str, object] = {
    "url": "https://rooms.example.com/hooks",
    "key": Secret("a place", lambda: OLD),
    "recognise": RECOGNISE,
}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"url": "http://rooms.example.com/hooks"}, "url must begin with https://"),
        ({"url": "http://10.0.0.1/hooks"}, "url must begin with https://"),
        ({"url": "https://127.0.0.1.evil.example:x/"}, "url is not of the form"),
        ({"url": "https://me:SECRET@rooms.example.com/hooks"}, "url is not of the form"),
        ({"url": "https://rooms.example.com/hooks?token=SECRET"}, "url is not of the form"),
        ({"url": "https://rooms.example.com/hooks/"}, "a last slash"),
        ({"url": "https://rooms.example.com:99999/hooks"}, "url is not of the form"),
        ({"url": 5}, "url is not of the form"),
        ({"key": OLD}, "key must be kept elsewhere"),
        ({"key": 5}, "key must be kept elsewhere"),
        ({"keys": OLD}, "keys is not an option; did you mean key?"),
        ({"format": "cloudevent"}, "format is none of plain, cloudevents."),
        ({"format": ["plain"]}, "format is none of"),
        ({"gone_by_status": "yes"}, "gone_by_status is neither"),
        ({"recognise": []}, "recognise is not an object."),
        ({"recognise": {}}, "it names neither"),
        ({"recognise": {"host": ["a.example"]}}, "host is not a key of recognise; did you mean hosts?"),
        ({"recognise": {"hosts": "a.example"}}, "recognise: hosts is not a list of texts."),
        ({"recognise": {"hosts": ["a.example"], "path": 5}}, "recognise: path is not a text."),
        ({"recognise": {"hosts": ["a.example"]}}, "hosts and path prove something only together."),
        ({"recognise": {"names": ["A"]}}, "names and id_pattern prove something only together."),
        ({"recognise": {"hosts": ["A.example"], "path": "^/(x)"}}, "hosts are lower-case names"),
        ({"recognise": {"hosts": ["a.example."], "path": "^/(x)"}}, "hosts are lower-case names"),
        ({"recognise": {"hosts": ["a.example"], "path": "/(x)"}}, "path must begin with ^"),
        ({"recognise": {"hosts": ["a.example"], "path": "^/x"}}, "path has no group"),
        ({"recognise": {"hosts": ["a.example"], "path": "^/(x"}}, "path is not a regular expression."),
    ],
)
def test_an_option_that_cannot_work_is_told_in_a_sentence(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Webhook({**GOOD, **wrong}, context(1.0))
    assert len(caught.value.problems) == 1
    assert sentence in caught.value.problems[0]
    assert "SECRET" not in str(caught.value)


def test_every_missing_option_is_told_at_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        Webhook({}, context(1.0))
    assert [p for p in caught.value.problems if "is missing" in p] == [
        f"the option {name} is missing." for name in ("url", "key", "recognise")
    ]


def test_a_private_address_is_the_operators_own_choice() -> None:
    assert Webhook({**GOOD, "url": "https://10.0.0.1:8443/hooks"}, context(1.0)).call_s > 0


# --- receivers and documents ---


@contextmanager
def receiving(command: list[str]) -> Iterator[str]:
    """One of the receivers of the documents as a process of its own; where it is."""
    process = subprocess.Popen(
        [*command, "0", ROOM],
        env={**os.environ, "WEBHOOK_KEY": OLD},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def _python() -> list[str]:
    return [sys.executable, str(DOCS / "receivers/receiver.py")]


def _node() -> list[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    return [node, str(DOCS / "receivers/receiver.mjs")]


@pytest.mark.parametrize("command", [_python, _node])
def test_the_receivers_of_the_documents_take_what_we_send(
    command: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(command()) as url:
        options = {"url": url, "recognise": RECOGNISE}
        ours = Webhook({**options, "key": f"{NEW}\n{OLD}"}, context(PATIENT_S))
        assert ours.update(target(2), MEETING).changed
        assert not ours.update(target(2), MEETING).changed
        assert ours.update(target(1), WEEKLY).note == "the receiver has a newer version"
        assert ours.delete(target(3, Reason.REMOVED)).changed
        assert not ours.delete(target(3, Reason.REMOVED)).changed
        assert ours.update(target(4, Reason.RESTORED), MEETING).changed
        assert not ours.delete(target(5, Reason.REMOVED, room="room-99")).changed
        with pytest.raises(Gone):
            ours.update(target(5, room="room-99"), MEETING)
        with pytest.raises(AuthFailed):
            Webhook({**options, "key": NEW}, context(PATIENT_S)).update(target(5), MEETING)
        monkeypatch.setattr("sync.conferences.webhook.time.time", lambda: 1_900_000_000.0)
        with pytest.raises(AuthFailed):
            ours.update(target(5), MEETING)


def _posted(url: str, told: object, name: str, at: float, signed_with: str = OLD) -> tuple[int, Any]:
    """A message signed by the library of the standard, and the answer to it."""
    body = json.dumps(told)
    moment = datetime.fromtimestamp(int(at), UTC)
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": standardwebhooks.Webhook(signed_with).sign(name, moment, body),
    }
    answer = urllib3.request("POST", url, body=body, headers=headers)
    return answer.status, answer.json()


@pytest.mark.parametrize("command", [_python, _node])
def test_the_receivers_of_the_documents_are_not_deceived(command: Callable[[], list[str]]) -> None:
    def told(title: str, version: int = 1) -> object:
        return {
            "type": "conference.updated",
            "data": {"conference_id": ROOM, "version": version, "title": title},
        }

    now = time.time()
    with receiving(command()) as url:
        assert _posted(url, told("a"), "msg_1", now) == (200, {})
        assert _posted(url, told("a"), "msg_1", now) == (200, {"changed": False}), (
            "the same message, once more"
        )
        assert _posted(url, told("b", 2), "msg_2", now, signed_with=NEW) == (401, {})
        assert _posted(url, told("b", 2), "msg_3", now - 301) == (401, {})
        assert _posted(url, told("b", 2), "msg_4", now + 400) == (401, {})
        bare = urllib3.request(
            "POST", url, body=b"{}", headers={"webhook-signature": "v1,é".encode("latin-1")}
        )  # type: ignore[dict-item]
        assert bare.status == 401
        assert urllib3.request("POST", url, body=b"").status == 401
        assert _posted(url, told("b", 2), "msg_5", now - 290) == (200, {})
        assert _posted(url, told("a", 1), "msg_6", now) == (409, {"error": "older_version"})


@pytest.mark.parametrize("name", ["receiver.py", "receiver.mjs"])
def test_a_receiver_is_some_twenty_lines(name: str) -> None:
    lines = (DOCS / "receivers" / name).read_text().splitlines()
    code = [line for line in lines if line and not line.startswith(("import ", "from ", "//", '"""'))]
    assert len(code) <= 26


def test_the_settings_in_the_document_build_the_provider() -> None:
    page = (DOCS / "webhook.md").read_text()
    documents = [json.loads(each) for each in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    settings = [each["providers"] for each in documents if "providers" in each]
    messages = [each for each in documents if "type" in each]
    assert settings
    assert messages
    for message in messages:
        SCHEMA.validate(message)
    for providers in settings:
        for name, chosen in providers.items():
            options = {**chosen["options"], "key": SecretPlace(**chosen["options"]["key"])}
            provider = ProviderSettings(name, chosen["use"], options, frozenset(chosen.get("tell", ())))
            assert registry(provider).rules().providers == {name}


class NoSecrets:
    call_s = 1.0

    def read(self, name: str) -> str:
        raise AssertionError("no secret is read before the first call")


def registry(chosen: ProviderSettings) -> Registry:
    return Registry([chosen], connect_s=1.0, read_s=1.0, secrets=NoSecrets, accounts=dict)


def test_the_document_tells_each_field_of_the_schema() -> None:
    page = (DOCS / "webhook.md").read_text()
    state = SCHEMA.schema["$defs"]["state"]["properties"]
    assert [name for name in state if f"`{name}`" not in page and f'"{name}"' not in page] == []


def test_hosts_of_the_target_are_the_settings_own(receiver: WebhookReceiver, webhook: Webhook) -> None:
    """A join link in an event leads nowhere: only the URL of the settings is called."""
    webhook.update(replace(target(), locator="https://evil.example/x"), MEETING)
    assert receiver.asked[-1].headers["host"] == urlsplit(receiver.url).netloc
