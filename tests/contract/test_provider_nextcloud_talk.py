"""Nextcloud Talk's provider keeps the contract, and what is peculiar to rooms with lobbies."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.conferences import Secret
from sync.conferences.nextcloud_talk import NextcloudTalk
from sync.errors import AuthFailed, Misconfigured, RateLimited, Refused, SyncError, Transient
from sync.ports import Provider, Target
from sync.recognise import ConferenceKey
from sync.testing import MEETING, WEEKLY, Calls, Connect, Fail, Failure, ProviderContract, State, context
from tests.contract.documented import documented
from tests.contract.fake_nextcloud import ROOT, FakeNextcloud
from tests.contract.fake_server import Asked, Told

TOKEN = "abcd2345"
PASSWORD = Secret("a test", lambda: "SECRET-PASSWORD")
WEB = {"url": "https://cloud.example.com", "user": "sync", "app_password": PASSWORD}
PAST = replace(MEETING, start=datetime(2020, 1, 1, 9, tzinfo=UTC), end=datetime(2020, 1, 1, 10, tzinfo=UTC))

# What our requests may say, and nothing else: no password, no state of any other kind.
BODIES = {
    "": {"roomName": {"type": "string", "minLength": 1, "maxLength": 255}},
    "/description": {"description": {"type": "string", "minLength": 1, "maxLength": 500}},
    "/webinar/lobby": {"state": {"enum": [0, 1]}, "timer": {"type": "integer", "minimum": 1}},
}


@pytest.fixture
def cloud() -> Iterator[FakeNextcloud]:
    with FakeNextcloud() as cloud:
        cloud.add(TOKEN)
        cloud.add("other678", name="Somebody else's")
        yield cloud
        for asked in cloud.asked:
            if asked.method == "PUT":
                fields = BODIES["".join(asked.path.removeprefix(ROOT).partition("/")[1:])]
                required = ["state"] if "state" in fields else list(fields)
                schema = {"properties": fields, "required": required, "additionalProperties": False}
                jsonschema.validate(json.loads(asked.body), schema)


@pytest.fixture
def connect(cloud: FakeNextcloud) -> Connect:
    return lambda read_s: NextcloudTalk(
        {"url": cloud.url, "user": "sync", "app_password": PASSWORD}, context(read_s)
    )


@pytest.fixture
def target(cloud: FakeNextcloud) -> Target:
    return Target(ConferenceKey("nextcloud_talk", TOKEN))


@pytest.fixture
def state(cloud: FakeNextcloud) -> State:
    return cloud.state


@pytest.fixture
def calls(cloud: FakeNextcloud) -> Calls:
    return cloud.calls


@pytest.fixture
def fail(cloud: FakeNextcloud) -> Fail:
    return cloud.fail


def _at(uri: str) -> dict[str, object]:
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Anything"},
        "entryPoints": [{"entryPointType": "video", "uri": uri}],
    }


@pytest.fixture
def events(cloud: FakeNextcloud) -> list[dict[str, object]]:
    return [_at(f"{cloud.url}/call/{TOKEN}"), _at(f"{cloud.url}/index.php/call/{TOKEN}")]


@pytest.fixture
def look_alikes(cloud: FakeNextcloud) -> list[dict[str, object]]:
    paths = (
        f"/s/{TOKEN}",
        f"/call/{TOKEN}/x",
        f"/x/call/{TOKEN}",
        f"/call/{TOKEN.upper()}",
        "/call/",
        "/call/..",
    )
    return [_at(f"{cloud.url}{path}") for path in paths] + [_at(f"https://evil.example/call/{TOKEN}")]


class TestNextcloudTalk(ProviderContract):
    """The kit's promises; each read and write is checked for its credentials by the stand-in."""


def _writes(cloud: FakeNextcloud) -> list[str]:
    return [asked.path.removeprefix(f"{ROOT}{TOKEN}") for asked in cloud.asked if asked.method == "PUT"]


@pytest.fixture
def provider(connect: Connect) -> Provider:
    return connect(30.0)


def test_the_lobby_lifts_itself_at_the_start(
    cloud: FakeNextcloud, provider: Provider, target: Target
) -> None:
    outcome = provider.update(target, MEETING)
    room = cloud.rooms[TOKEN]
    assert (room["lobbyState"], room["lobbyTimer"]) == (1, int(MEETING.start.timestamp()))
    assert (outcome.applied, outcome.ignored) == (("title", "time"), ())


def test_nothing_is_written_that_is_so_already(
    cloud: FakeNextcloud, provider: Provider, target: Target
) -> None:
    assert provider.update(target, MEETING).changed
    before = len(_writes(cloud))
    assert not provider.update(target, MEETING).changed
    assert len(_writes(cloud)) == before
    assert provider.update(target, replace(MEETING, title="Another")).changed
    assert _writes(cloud)[before:] == [""]


def test_a_meeting_that_has_begun_finds_its_room_open(
    cloud: FakeNextcloud, provider: Provider, target: Target
) -> None:
    provider.update(target, MEETING)
    provider.update(target, PAST)
    assert cloud.rooms[TOKEN]["lobbyState"] == 0
    cloud.asked.clear()
    assert not provider.update(target, PAST).changed


def test_a_lobby_closed_by_hand_stays_closed(
    cloud: FakeNextcloud, provider: Provider, target: Target
) -> None:
    cloud.add(TOKEN, lobbyState=1)
    for meeting in (MEETING, PAST):
        outcome = provider.update(target, meeting)
        assert "time" in outcome.ignored
        assert "by hand" in outcome.note
    assert (cloud.rooms[TOKEN]["lobbyState"], cloud.rooms[TOKEN]["lobbyTimer"]) == (1, 0)


def test_lobbies_are_left_alone_if_the_options_say_so(cloud: FakeNextcloud, target: Target) -> None:
    options = {"url": cloud.url, "user": "sync", "app_password": PASSWORD, "lobby": False}
    provider = NextcloudTalk(options, context(30.0))
    outcome = provider.update(target, MEETING)
    assert (outcome.applied, outcome.ignored) == (("title",), ("time",))
    assert "time" not in provider.capabilities
    assert cloud.rooms[TOKEN]["lobbyState"] == 0
    actual = provider.read(target)
    assert actual is not None
    assert actual.start is None


def test_of_a_series_the_first_occurrence_is_guarded_and_that_is_said(
    cloud: FakeNextcloud, provider: Provider, target: Target
) -> None:
    outcome = provider.update(target, WEEKLY)
    assert outcome.ignored == ("recurrence",)
    assert "first occurrence only" in outcome.note
    assert cloud.rooms[TOKEN]["lobbyTimer"] == int(WEEKLY.start.timestamp())
    berlin_series_of_last_year = replace(PAST, recurrence=("RRULE:FREQ=WEEKLY",))
    provider.update(target, berlin_series_of_last_year)
    assert cloud.rooms[TOKEN]["lobbyState"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"all_day": True, "end": MEETING.start + timedelta(days=1)},
        {"end": MEETING.start},
        {"end": MEETING.start + timedelta(hours=30)},
        {"time_zone": "Mars/Olympus_Mons"},
        {"time_zone": ""},
    ],
    ids=["all-day", "zero-length", "over a day", "unknown zone", "no zone"],
)
def test_only_the_start_counts(
    cloud: FakeNextcloud, provider: Provider, target: Target, change: dict[str, object]
) -> None:
    provider.update(target, replace(MEETING, **change))  # type: ignore[arg-type]
    assert cloud.rooms[TOKEN]["lobbyTimer"] == int(MEETING.start.timestamp())


def test_a_name_too_long_is_cut_and_none_is_left_alone(
    cloud: FakeNextcloud, provider: Provider, target: Target
) -> None:
    long = replace(MEETING, title="ü" * 300)
    provider.update(target, long)
    assert cloud.rooms[TOKEN]["name"] == "ü" * 255
    actual = provider.read(target)
    assert actual is not None
    assert actual.equals(long)
    outcome = provider.update(target, replace(MEETING, title="  "))
    assert "title" in outcome.ignored
    assert cloud.rooms[TOKEN]["name"] == "ü" * 255


def test_an_agenda_is_told_cut_and_without_one_the_description_is_left_alone(
    cloud: FakeNextcloud, provider: Provider, target: Target
) -> None:
    cloud.add(TOKEN, description="Ours")
    provider.update(target, MEETING)
    assert cloud.rooms[TOKEN]["description"] == "Ours"
    outcome = provider.update(target, replace(MEETING, agenda="a" * 600))
    assert cloud.rooms[TOKEN]["description"] == "a" * 500
    assert "agenda" in outcome.applied


@pytest.mark.parametrize("kind", [1, 4, 5, 6])
def test_rooms_that_belong_to_persons_are_never_changed(
    cloud: FakeNextcloud, provider: Provider, target: Target, state: State, kind: int
) -> None:
    cloud.add(TOKEN, type=kind)
    before = state()
    with pytest.raises(Refused, match="somebody's own"):
        provider.update(target, MEETING)
    with pytest.raises(Refused, match="refuses this: type"):
        provider.delete(target)
    assert state() == before
    assert _writes(cloud) == []


@pytest.mark.parametrize("role", [3, 4, 5])
def test_who_is_no_moderator_is_told_so_before_anything_is_written(
    cloud: FakeNextcloud, provider: Provider, target: Target, role: int
) -> None:
    cloud.add(TOKEN, participantType=role)
    for call in (lambda: provider.update(target, MEETING), lambda: provider.delete(target)):
        with pytest.raises(Refused, match="no moderator"):
            call()
    assert _writes(cloud) == []


def test_a_moderator_who_lost_the_role_between_two_calls_is_told_so(
    cloud: FakeNextcloud, provider: Provider, target: Target, fail: Fail
) -> None:
    refusal = json.dumps({"ocs": {"meta": {"statuscode": 403}, "data": None}})
    fail(Failure(403, body=refusal))
    with pytest.raises(Refused, match="no moderator"):
        provider.update(target, MEETING)


def test_a_password_that_is_wrong_is_a_matter_of_credentials(
    cloud: FakeNextcloud, provider: Provider, target: Target
) -> None:
    cloud.user = "sync:another"
    for call in (lambda: provider.update(target, MEETING), lambda: provider.delete(target)):
        with pytest.raises(AuthFailed):
            call()


def test_a_server_without_talk_does_not_look_like_deleted_rooms(
    cloud: FakeNextcloud, provider: Provider, target: Target
) -> None:
    cloud.has_talk = False
    for call in (provider.read, provider.delete):
        with pytest.raises(Refused, match="is the app enabled"):
            call(target)


def test_maintenance_passes_and_throttling_is_a_limit(provider: Provider, target: Target, fail: Fail) -> None:
    # Developer manual, "General": maintenance is a 503 with this header.
    fail(Failure(503, {"X-Nextcloud-Maintenance-Mode": "1"}))
    with pytest.raises(Transient) as caught:
        provider.delete(target)
    assert not isinstance(caught.value, RateLimited)
    # [K] after many failures from an address: no time is told
    fail(Failure(429, body="Reached maximum delay"))
    with pytest.raises(RateLimited):
        provider.delete(target)


@pytest.mark.parametrize("lost", range(1, 4))
@pytest.mark.parametrize("after_acting", [False, True])
def test_an_update_that_breaks_off_anywhere_is_noticed_and_made_good(
    cloud: FakeNextcloud, provider: Provider, target: Target, lost: int, after_acting: bool
) -> None:
    wanted = replace(MEETING, agenda="Why we meet")
    healthy, seen = cloud.act, []

    def breaks(asked: Asked) -> Told:
        seen.append(asked)
        breaking = len(seen) == lost + 1
        told = Told(502, "text/html", "<html>")
        if after_acting or not breaking:
            acted = healthy(asked)
            told = told if breaking else acted
        return told

    cloud.act = breaks  # type: ignore[method-assign]
    with pytest.raises(Transient):
        provider.update(target, wanted)
    cloud.act = healthy  # type: ignore[method-assign]
    actual = provider.read(target)
    assert actual is not None
    done = cloud.rooms[TOKEN]["lobbyTimer"] == int(wanted.start.timestamp())
    assert actual.equals(wanted) is done
    provider.update(target, wanted)
    assert cloud.rooms[TOKEN]["description"] == "Why we meet"
    actual = provider.read(target)
    assert actual is not None
    assert actual.equals(wanted)


def test_an_event_that_changed_before_the_call_ends_with_its_newest_state(
    cloud: FakeNextcloud, provider: Provider, target: Target
) -> None:
    for days in (1, 2, 1):
        provider.update(target, replace(MEETING, start=MEETING.start + timedelta(days=days)))
    assert cloud.rooms[TOKEN]["lobbyTimer"] == int((MEETING.start + timedelta(days=1)).timestamp())


def test_an_open_room_reads_as_open_now(provider: Provider, target: Target) -> None:
    actual = provider.read(target)
    assert actual is not None
    assert actual.start is not None
    assert abs(actual.start.timestamp() - time.time()) < 60


@given(title=st.text(max_size=300), start=st.integers(1_900_000_000, 7_000_000_000))
def test_whatever_a_meeting_is_called_what_was_set_is_read_back(title: str, start: int) -> None:
    with FakeNextcloud() as cloud:
        cloud.add(TOKEN)
        options = {"url": cloud.url, "user": "sync", "app_password": PASSWORD}
        provider, target = NextcloudTalk(options, context(30.0)), Target(ConferenceKey("t", TOKEN))
        wanted = replace(MEETING, title=title, start=datetime.fromtimestamp(start, UTC))
        outcome = provider.update(target, wanted)
        actual = provider.read(target)
        assert actual is not None
        assert actual.start == wanted.start
        if "title" in outcome.applied:
            assert actual.title in (None, title.strip())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"url": WEB["url"]}, "the option app_password is missing"),
        ({**WEB, "user": "a:b"}, "user is a login name, which has no colon"),
        ({**WEB, "user": 7}, "user is not a text"),
        ({**WEB, "app_password": "plain"}, "app_password must be kept elsewhere"),
        ({**WEB, "url": "http://cloud.example.com"}, "url must begin with https://"),
        ({**WEB, "lobby": "yes"}, "lobby is neither true nor false"),
        ({**WEB, "pasword": 1}, "did you mean app_password?"),
    ],
)
def test_options_that_cannot_work_are_said_at_once(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        NextcloudTalk(options, context(1.0))
    assert sentence in str(caught.value)


def test_the_password_is_asked_for_in_each_call(cloud: FakeNextcloud, target: Target) -> None:
    passwords = iter(["SECRET-PASSWORD", "old"])
    secret = Secret("a test", lambda: next(passwords))
    provider = NextcloudTalk({"url": cloud.url, "user": "sync", "app_password": secret}, context(30.0))
    assert provider.read(target) is not None
    with pytest.raises(SyncError):
        provider.read(target)


def test_the_documented_settings_are_taken_as_they_are_printed() -> None:
    assert documented("nextcloud_talk").providers == {"nextcloud_talk"}
