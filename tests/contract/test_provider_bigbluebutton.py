"""BigBlueButton's provider keeps what it can of the contract: it ends meetings, and says that it tells nothing."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.conferences import Secret
from sync.conferences.bigbluebutton import Bigbluebutton
from sync.errors import AuthFailed, Misconfigured, Refused, Timeout, Transient
from sync.ports import Actual, Outcome, Provider, Target
from sync.recognise import ConferenceKey
from sync.testing import (
    MEETING,
    WEEKLY,
    Calls,
    Connect,
    Fail,
    Failure,
    ProviderContract,
    State,
    context,
)
from tests.contract.documented import documented
from tests.contract.fake_bigbluebutton import API, FakeBigBlueButton

ID = "class-7b"
SECRET = Secret("a test", lambda: "SECRET-KEY")
RECOGNISE = {"hosts": ["rooms.example.com"], "path": r"^/join/([\w-]{2,100})$"}
OPTIONS = {"url": "https://bbb.example.com/bigbluebutton", "secret": SECRET, "recognise": RECOGNISE}
QUERY = {
    "properties": {
        "meetingID": {"minLength": 2, "maxLength": 256},
        "checksum": {"pattern": "^[0-9a-f]{40,128}$"},
    },
    "required": ["meetingID", "checksum"],
    "additionalProperties": False,
}


@pytest.fixture
def server() -> Iterator[FakeBigBlueButton]:
    with FakeBigBlueButton() as server:
        server.meetings = {ID: "Ours", "another": "Somebody else's"}
        yield server
        for asked in server.asked:
            jsonschema.validate(asked.query, QUERY)
            assert (asked.method, asked.body) == ("GET", b"")


@pytest.fixture
def connect(server: FakeBigBlueButton) -> Connect:
    options = {**OPTIONS, "url": f"{server.url}/bigbluebutton"}
    return lambda read_s: Bigbluebutton(options, context(read_s))


@pytest.fixture
def provider(connect: Connect) -> Provider:
    return connect(30.0)


@pytest.fixture
def target() -> Target:
    return Target(ConferenceKey("bigbluebutton", ID))


@pytest.fixture
def state(server: FakeBigBlueButton) -> State:
    return server.state


@pytest.fixture
def calls(server: FakeBigBlueButton) -> Calls:
    return server.calls


@pytest.fixture
def fail(server: FakeBigBlueButton) -> Fail:
    return server.fail


def _at(uri: str) -> dict[str, object]:
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Anything"},
        "entryPoints": [{"entryPointType": "video", "uri": uri}],
    }


@pytest.fixture
def events() -> list[dict[str, object]]:
    return [_at(f"https://rooms.example.com/join/{ID}")]


@pytest.fixture
def look_alikes() -> list[dict[str, object]]:
    return [
        _at(f"https://bbb.example.com/bigbluebutton/api/join?meetingID={ID}"),
        _at(f"https://rooms.example.com/join/{ID}/more"),
        _at(f"https://rooms.example.com/b/{ID}"),
    ]


class TestBigBlueButton(ProviderContract):
    """An update makes no call, so it cannot fail, or notice that a room is gone."""

    CALLS = ("delete",)

    def call(self, name: str, provider: Provider, target: Target) -> object:
        if name == "update":
            pytest.skip("it tells its system nothing")
        return super().call(name, provider, target)

    def test_an_update_sets_what_it_says_it_applied(self, provider: Provider, target: Target) -> None:
        outcome = provider.update(target, MEETING)
        assert (outcome.changed, outcome.applied, outcome.ignored) == (False, (), ("title", "time"))
        assert "keeps no schedule" in outcome.note

    def test_a_conference_that_never_was_is_gone(self, provider: Provider, target: Target) -> None:
        never = replace(target, key=ConferenceKey("bigbluebutton", "never"))
        assert not provider.delete(never).changed
        assert provider.read(never) is None

    def test_it_remembers_no_conference_between_calls(
        self, connect: Connect, provider: Provider, target: Target
    ) -> None:
        assert connect(30.0).delete(target).changed
        assert not provider.delete(target).changed

    def test_a_lost_answer_is_made_good_by_the_same_call(
        self, provider: Provider, impatient: Provider, target: Target, fail: Fail
    ) -> None:
        fail(Failure(silent=True, after_acting=True))
        with pytest.raises(Timeout):
            impatient.delete(target)
        assert not provider.delete(target).changed

    def test_a_storm_of_limits_is_each_time_a_limit_and_nothing_else(
        self, provider: Provider, target: Target, fail: Fail, calls: Calls
    ) -> None:
        provider.update(target, MEETING)
        assert calls() == 0


def test_the_checksum_is_that_of_the_vendors_example() -> None:
    """API Reference, "Usage": the call, the query and the secret, hashed."""
    query = "name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444"
    signed = f"create{query}639259d4-9dd8-4b25-bf01-95f9567eaf4b"
    assert hashlib.sha1(signed.encode()).hexdigest() == "1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17"


@pytest.mark.parametrize("checksum", ["sha1", "sha256", "sha384", "sha512"])
def test_a_server_that_takes_one_checksum_only_is_served(
    server: FakeBigBlueButton, target: Target, checksum: str
) -> None:
    server.checksums = [checksum]
    options = {**OPTIONS, "url": f"{server.url}/bigbluebutton", "checksum": checksum}
    assert Bigbluebutton(options, context(30.0)).delete(target).changed
    others = {**options, "checksum": "sha256" if checksum != "sha256" else "sha1"}
    with pytest.raises(AuthFailed):
        Bigbluebutton(others, context(30.0)).delete(target)


@given(
    st.text(
        min_size=2, max_size=60, alphabet=st.characters(exclude_categories=["C", "Z"], exclude_characters=",")
    )
)
def test_an_id_of_any_characters_is_signed_as_it_is_sent(meeting: str) -> None:
    with FakeBigBlueButton() as server:
        server.meetings = {meeting: "Ours", "another": "Theirs"}
        provider = Bigbluebutton({**OPTIONS, "url": f"{server.url}/bigbluebutton"}, context(30.0))
        provider.delete(Target(ConferenceKey("b", meeting)))
        assert meeting not in server.meetings
        assert set(server.meetings) == {"another"} - {meeting}


@pytest.mark.parametrize("meeting", ["x", "y" * 257, "a,b"])
def test_what_no_meeting_is_called_is_not_asked_for(provider: Provider, calls: Calls, meeting: str) -> None:
    with pytest.raises(Refused):
        provider.delete(Target(ConferenceKey("bigbluebutton", meeting)))
    assert calls() == 0


def test_a_wrong_secret_is_a_matter_of_credentials(
    server: FakeBigBlueButton, provider: Provider, target: Target, state: State
) -> None:
    server.secret = "another"
    with pytest.raises(AuthFailed):
        provider.delete(target)
    assert ID in state()


def test_a_meeting_that_takes_its_time_to_end_can_be_ended_again(
    server: FakeBigBlueButton, provider: Provider, target: Target
) -> None:
    server.ends_slowly = True
    assert provider.delete(target).changed
    assert provider.delete(target).changed
    assert provider.read(target) is None
    del server.meetings[ID]
    assert not provider.delete(target).changed


def test_a_meeting_that_runs_tells_its_name_and_no_times(provider: Provider, target: Target) -> None:
    assert provider.read(target) == Actual(title="Ours")
    assert "read" not in provider.capabilities


def test_that_a_room_can_be_opened_again_is_said(provider: Provider, target: Target) -> None:
    for _ in range(2):
        assert "can be opened again" in provider.delete(target).note


def _failed(key: str) -> str:
    return f"<response><returncode>FAILED</returncode><messageKey>{key}</messageKey></response>"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (_failed("missingParamPassword"), Refused),
        (_failed("SECRET"), Refused),
        ("<response><returncode>PERHAPS</returncode></response>", Transient),
        ("<response/>", Transient),
        ("", Transient),
        ("<html><body>SECRET", Transient),
        ("\ufeff\ufffd", Transient),
    ],
)
def test_an_answer_means_what_its_words_say_and_tells_no_more(
    provider: Provider, target: Target, fail: Fail, body: str, error: type[Exception]
) -> None:
    fail(Failure(200, body=body))
    with pytest.raises(error) as caught:
        provider.delete(target)
    assert type(caught.value) is error
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE r [<!ENTITY a "x">]><response><returncode>SUCCESS</returncode></response>',
        '<!DOCTYPE r SYSTEM "http://127.0.0.1/x"><response><returncode>SUCCESS</returncode></response>',
        '<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/hostname">]>'
        "<response><returncode>SUCCESS</returncode><meetingName>&f;</meetingName></response>",
    ],
    ids=["an entity", "a DTD elsewhere", "a file"],
)
def test_xml_that_declares_anything_is_not_read(
    provider: Provider, target: Target, fail: Fail, declared: str
) -> None:
    for call in (provider.read, provider.delete):
        fail(Failure(200, body=declared))
        with pytest.raises(Transient):
            call(target)


def test_xml_of_a_great_depth_or_length_is_survived(provider: Provider, target: Target, fail: Fail) -> None:
    for body in ("<a>" * 100_000, f"<response>{'x' * 2_000_000}</response>"):
        fail(Failure(200, body=body))
        with pytest.raises(Transient):
            provider.delete(target)


@pytest.mark.parametrize(
    "change",
    [
        {"all_day": True},
        {"end": MEETING.start},
        {"end": MEETING.start + timedelta(days=3)},
        {"time_zone": "Mars/Olympus_Mons"},
        {"title": "", "agenda": "x" * 10_000},
    ],
)
def test_no_meeting_is_too_strange_to_be_ignored_aloud(
    provider: Provider, target: Target, calls: Calls, change: dict[str, object]
) -> None:
    outcome: Outcome = provider.update(target, replace(WEEKLY, **change))  # type: ignore[arg-type]
    assert outcome.ignored == ("title", "time", "recurrence")
    assert calls() == 0


def test_only_ever_the_api_below_the_url_is_called(
    server: FakeBigBlueButton, provider: Provider, target: Target
) -> None:
    provider.read(target)
    provider.delete(target)
    assert [asked.path for asked in server.asked] == [f"{API}getMeetingInfo", f"{API}end"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "the option url is missing"),
        ({**OPTIONS, "secret": "plain"}, "secret must be kept elsewhere"),
        ({**OPTIONS, "url": "http://bbb.example.com/bigbluebutton"}, "url must begin with https://"),
        ({**OPTIONS, "checksum": "md5"}, "checksum is none of sha1, sha256"),
        ({**OPTIONS, "checksums": "sha1"}, "did you mean checksum?"),
        ({**OPTIONS, "recognise": {"hosts": ["h"], "path": "("}}, "path is not a regular expression"),
    ],
)
def test_options_that_cannot_work_are_said_at_once(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Bigbluebutton(options, context(1.0))
    assert sentence in str(caught.value)


def test_the_documented_settings_are_taken_as_they_are_printed() -> None:
    assert documented("bigbluebutton").providers == {"bigbluebutton"}
