"""The provider for Webex keeps the contract, against a stand-in whose series lose exceptions as Webex's do."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from jsonschema import validate

from sync.conferences import Context, Secret
from sync.conferences.webex import Webex
from sync.errors import AuthFailed, Misconfigured, RateLimited, Refused, Timeout, Transient, Unsupported
from sync.meeting import Meeting, Moved
from sync.ports import Provider, Target
from sync.recognise import ConferenceKey
from sync.settings import SecretPlace
from sync.testing import (
    MEETING,
    PATIENT_S,
    START,
    WEEKLY,
    Calls,
    Connect,
    Fail,
    Failure,
    ProviderContract,
    SharedInMemory,
    State,
    context,
)
from tests.contract.fake_webex import CLIENT, FIRST, HOST, KEY, FakeWebex, web_link

NUMBER, OTHER = f"m{'5' * 32}", f"m{'7' * 32}"
DOCS = Path(__file__).parents[2] / "docs/providers/webex.md"
# As the vendor's clock goes by: near enough that a listing of a year has it.
SOON = datetime.now(UTC).replace(hour=9, minute=30, second=0, microsecond=0) + timedelta(days=10)
SERIES = replace(WEEKLY, start=SOON, end=SOON + timedelta(minutes=45), time_zone="UTC")
WEEK = timedelta(days=7)

_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:00Z$"}
PATCH = {
    "type": "object",
    "additionalProperties": False,
    "required": ["sendEmail"],
    "dependentRequired": {"start": ["end"], "end": ["start"]},
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 128},
        "agenda": {"type": ["string", "null"], "maxLength": 1300},
        "start": _TIME,
        "end": _TIME,
        "timezone": {"type": "string"},
        "recurrence": {"type": ["string", "null"], "pattern": "^FREQ="},
        "sendEmail": {"const": False},
        "hostEmail": {"const": HOST},
    },
}


@pytest.fixture
def webex() -> Iterator[FakeWebex]:
    with FakeWebex() as webex:
        webex.add(OTHER)
        webex.add(NUMBER)
        yield webex
    assert not webex.mails
    for asked in webex.asked:
        assert asked.method in ("GET", "PATCH", "DELETE")
        if asked.method == "PATCH":
            validate(asked.body, PATCH)


@pytest.fixture
def meeting_id(webex: FakeWebex) -> str:
    return list(webex.meetings)[1]


@pytest.fixture
def shared() -> SharedInMemory:
    return SharedInMemory()


def _options(webex: FakeWebex, **more: object) -> dict[str, object]:
    return {"client_id": CLIENT, "client_secret": KEY, "refresh_token": FIRST, "url": webex.url, **more}


@pytest.fixture
def connect(webex: FakeWebex, shared: SharedInMemory) -> Connect:
    return lambda read_s: Webex(_options(webex), Context(read_s, read_s, shared))


@pytest.fixture
def target() -> Target:
    return Target(ConferenceKey("webex", NUMBER), locator=web_link(NUMBER), organizer=HOST)


@pytest.fixture
def state(webex: FakeWebex) -> State:
    return lambda: json.dumps([webex.meetings, webex.exceptions])


@pytest.fixture
def calls(webex: FakeWebex) -> Calls:
    return lambda: len(webex.asked)


@pytest.fixture
def fail(webex: FakeWebex, request: pytest.FixtureRequest) -> Fail:
    """After acting: what is asked to find the meeting acts only when the meeting is read."""
    reads = "callspec" in dir(request.node) and request.node.callspec.params.get("call") == "read"

    def fail(failure: Failure) -> None:
        acting = failure.after_acting and not reads
        webex.fail(failure, (lambda asked: asked.acts) if acting else (lambda _: True))

    return fail


def _data(uri: str, conference_id: str = "") -> dict[str, object]:
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Webex"},
        "conferenceId": conference_id,
        "entryPoints": [{"entryPointType": "video", "uri": uri}] if uri else [],
    }


@pytest.fixture
def events() -> list[dict[str, object]]:
    url = web_link(NUMBER)
    return [_data(url), _data(f"https://www.google.com/url?q={quote(url, safe='')}"), _data("", NUMBER)]


@pytest.fixture
def look_alikes() -> list[dict[str, object]]:
    path = f"/site4/j.php?MTID={NUMBER}"
    return [
        _data(uri)
        for uri in (
            f"https://webex.com.evil.example{path}",
            f"https://evil.example/?x=https://webex.com{path}",
            f"https://webex.com@evil.example{path}",
            f"http://site4.webex.com{path}",
            f"https://site4.webex.com{path}&MTID={OTHER}",
            "https://site4.webex.com/site4/j.php",
        )
    ] + [_data("", f"{NUMBER}0")]


def _patched(webex: FakeWebex) -> list[dict[str, object]]:
    return [asked.body for asked in webex.asked if asked.method == "PATCH"]


def _moved(original: datetime, start: datetime | None) -> Moved:
    text = original.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Moved(text, start and start.timestamp(), start and (start + timedelta(minutes=30)).timestamp())


def _name(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


class TestWebex(ProviderContract):
    def test_it_is_found_by_its_join_url_as_its_host_and_as_a_whole_series(
        self, provider: Provider, target: Target, webex: FakeWebex
    ) -> None:
        assert provider.system.located
        provider.read(target)
        query = {"webLink": target.locator, "current": "false", "hostEmail": HOST}
        assert webex.asked[-1].query == query

    def test_without_a_join_url_or_an_organizer_it_is_refused_with_a_sentence(
        self, provider: Provider, target: Target, webex: FakeWebex
    ) -> None:
        for call in self.CALLS:
            with pytest.raises(Refused, match="does not tell the join URL"):
                self.call(call, provider, replace(target, locator=""))
            with pytest.raises(Refused, match="organizer's address"):
                self.call(call, provider, replace(target, organizer=""))
        assert not webex.asked

    def test_an_integration_names_no_host(self, webex: FakeWebex, target: Target) -> None:
        provider = Webex(_options(webex, as_host=False), context(PATIENT_S))
        provider.read(replace(target, organizer=""))
        assert "hostEmail" not in webex.asked[-1].query

    def test_what_is_listed_instead_is_not_touched(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str, state: State
    ) -> None:
        before = state()
        mine = webex.meetings[meeting_id]
        for wrong in ({"webLink": web_link(OTHER)}, {"meetingType": "scheduledMeeting"}, {"start": "soon"}):
            for call in self.CALLS:
                webex.fail(Failure(200, body=json.dumps({"items": [{**mine, **wrong}]})))
                with pytest.raises(Transient):
                    self.call(call, provider, target)
        assert state() == before

    def test_a_personal_room_is_never_touched(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str, state: State
    ) -> None:
        webex.meetings[meeting_id]["scheduledType"] = "personalRoomMeeting"
        before = state()
        for call in ("update", "delete"):
            with pytest.raises(Refused, match="personal room"):
                self.call(call, provider, target)
        assert state() == before

    def test_a_connectors_meeting_is_refused_visibly(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        webex.connected.add(meeting_id)
        for call in ("update", "delete"):
            with pytest.raises(Refused, match="calendar connector made this meeting") as caught:
                self.call(call, provider, target)
            assert "SECRET" not in str(caught.value)

    def test_a_meeting_that_is_not_ours_is_refused_and_missing_rights_are_credentials(
        self, provider: Provider, target: Target, webex: FakeWebex
    ) -> None:
        webex.fail(Failure(403, body='{"message": "SECRET no"}'), lambda asked: asked.acts)
        with pytest.raises(Refused, match="not change it"):
            provider.update(target, MEETING)
        webex.fail(Failure(403, body='{"message": "missing required scopes"}'), lambda asked: asked.acts)
        with pytest.raises(AuthFailed):
            provider.update(target, MEETING)

    # --- series ---

    def test_a_new_title_of_a_series_leaves_its_exceptions_alone(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        moved = replace(SERIES, moved=(_moved(SOON + WEEK, SOON + WEEK + timedelta(hours=2)),))
        assert "occurrence" in provider.update(target, moved).applied
        webex.meetings[meeting_id]["recurrence"] = "INTERVAL=1;FREQ=WEEKLY"  # written in another way
        webex.asked.clear()
        assert provider.update(target, replace(moved, title="New")).changed
        assert [sorted(body) for body in _patched(webex)] == [["hostEmail", "sendEmail", "title"]]
        assert _name(SOON + WEEK) in webex.exceptions[meeting_id]

    def test_a_series_that_gets_other_times_gets_its_exceptions_again(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        moved = (_moved(SOON + WEEK, SOON + WEEK + timedelta(hours=2)), _moved(SOON + 2 * WEEK, None))
        provider.update(target, replace(SERIES, moved=moved))
        longer = replace(SERIES, end=SERIES.end + timedelta(minutes=15), moved=moved)
        outcome = provider.update(target, longer)
        assert set(outcome.applied) == {"title", "time", "recurrence", "occurrence"}
        exceptions = webex.exceptions[meeting_id]
        assert exceptions[_name(SOON + 2 * WEEK)] is None
        first = exceptions[_name(SOON + WEEK)]
        assert first is not None
        assert first["start"] == (SOON + WEEK + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert not provider.update(target, longer).changed

    def test_an_occurrence_that_is_moved_back_is_back(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        provider.update(
            target, replace(SERIES, moved=(_moved(SOON + WEEK, SOON + WEEK + timedelta(hours=2)),))
        )
        assert provider.update(target, SERIES).changed
        back = webex.exceptions[meeting_id][_name(SOON + WEEK)]
        assert back is not None
        assert back["start"] == (SOON + WEEK).strftime("%Y-%m-%dT%H:%M:%SZ")

    def test_an_excluded_date_is_no_occurrence(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        at = SOON + WEEK
        for line in (f"EXDATE:{_name(at)}", f"EXDATE;TZID=UTC:{_name(at)[:-1]}"):
            webex.exceptions[meeting_id].clear()
            provider.update(target, replace(SERIES, recurrence=(*SERIES.recurrence, line)))
            assert webex.exceptions[meeting_id] == {_name(at): None}

    def test_an_occurrence_that_is_nowhere_is_said_and_stops_no_other(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        lost = _moved(SOON + timedelta(days=1), SOON + timedelta(days=2))
        there = _moved(SOON + WEEK, SOON + WEEK + timedelta(hours=2))
        outcome = provider.update(target, replace(SERIES, moved=(lost, there)))
        assert outcome.ignored == ("occurrence",)
        assert outcome.note
        assert list(webex.exceptions[meeting_id]) == [_name(SOON + WEEK)]

    @pytest.mark.parametrize("status", [400, 404])
    def test_an_occurrence_that_is_refused_or_gone_is_said_and_does_not_stand_for_the_series(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str, status: int
    ) -> None:
        moved = tuple(_moved(SOON + n * WEEK, SOON + n * WEEK + timedelta(hours=2)) for n in (1, 2))
        webex.fail(Failure(status), lambda asked: "_" in asked.path)
        outcome = provider.update(target, replace(SERIES, moved=moved))
        assert outcome.ignored == ("occurrence",)
        assert list(webex.exceptions[meeting_id]) == [_name(SOON + 2 * WEEK)]

    def test_an_excluded_date_is_told_in_the_zone_of_its_event(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        local = (SOON + WEEK).astimezone(ZoneInfo("Asia/Kolkata")).strftime("%Y%m%dT%H%M%S")
        lines = (*SERIES.recurrence, f"EXDATE;TZID=Asia/Kolkata:{local}")
        provider.update(target, replace(SERIES, recurrence=lines, time_zone="Asia/Kolkata"))
        assert webex.exceptions[meeting_id] == {_name(SOON + WEEK): None}

    def test_a_cancelled_occurrence_that_is_too_far_away_to_be_seen_is_said(
        self, provider: Provider, target: Target
    ) -> None:
        daily = replace(SERIES, recurrence=("RRULE:FREQ=DAILY",))
        far = _moved(SOON + timedelta(days=150), None)
        assert provider.update(target, replace(daily, moved=(far,))).ignored == ("occurrence",)
        near = _moved(SOON + timedelta(days=50), None)
        assert provider.update(target, replace(daily, moved=(near,))).ignored == ()

    def test_an_event_that_repeats_no_more_is_one_meeting(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        provider.update(target, SERIES)
        provider.update(target, replace(SERIES, recurrence=()))
        assert "recurrence" not in webex.meetings[meeting_id]

    def test_a_series_keeps_its_local_time_when_the_clocks_change(
        self, provider: Provider, target: Target, webex: FakeWebex
    ) -> None:
        start = datetime(2030, 3, 25, 8, 30, tzinfo=UTC)
        provider.update(target, replace(WEEKLY, start=start, end=start + timedelta(hours=1)))
        body = _patched(webex)[0]
        assert (body["start"], body["timezone"]) == ("2030-03-25T08:30:00Z", "Europe/Berlin")
        assert body["recurrence"] == "FREQ=WEEKLY"

    @pytest.mark.parametrize(
        "recurrence",
        [
            ("RRULE:FREQ=MONTHLY;BYMONTHDAY=1,15",),
            ("RRULE:FREQ=YEARLY;BYDAY=1MO,2MO",),
            ("RRULE:FREQ=HOURLY",),
            ("RRULE:FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-1",),
            ("RRULE:FREQ=DAILY;COUNT=2000",),
            ("RRULE:FREQ=DAILY", "RDATE:20300401T100000Z"),
        ],
    )
    def test_a_rule_that_webex_would_take_in_part_is_not_told(
        self, provider: Provider, target: Target, webex: FakeWebex, recurrence: tuple[str, ...]
    ) -> None:
        outcome = provider.update(target, replace(MEETING, recurrence=recurrence))
        assert (outcome.applied, outcome.ignored) == (("title",), ("time", "recurrence"))
        assert outcome.note
        assert [sorted(body) for body in _patched(webex)] == [["hostEmail", "sendEmail", "title"]]

    # --- times ---

    @pytest.mark.parametrize(
        ("meeting", "says"),
        [
            (replace(MEETING, all_day=True, end=START + timedelta(days=1)), "all-day"),
            (replace(MEETING, end=START), "10 minutes"),
            (replace(MEETING, end=START + timedelta(minutes=9)), "10 minutes"),
            (replace(MEETING, end=START + timedelta(hours=24)), "23 hours"),
            (
                replace(
                    MEETING, start=START - timedelta(days=9999), end=START - timedelta(days=9999, hours=-1)
                ),
                "past",
            ),
            (
                replace(
                    MEETING, start=START + timedelta(days=9999), end=START + timedelta(days=9999, hours=1)
                ),
                "ten years ahead",
            ),
        ],
    )
    def test_times_that_webex_does_not_have_stay_aloud(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting: Meeting, says: str
    ) -> None:
        outcome = provider.update(target, meeting)
        assert (outcome.applied, outcome.ignored) == (("title",), ("time",))
        assert says in outcome.note

    @pytest.mark.parametrize("length", [timedelta(minutes=10), timedelta(hours=23, minutes=59)])
    def test_the_shortest_and_the_longest_are_told(
        self, provider: Provider, target: Target, length: timedelta
    ) -> None:
        assert provider.update(target, replace(MEETING, end=START + length)).ignored == ()

    def test_seconds_are_cut_and_do_not_make_it_another_meeting(
        self, provider: Provider, target: Target
    ) -> None:
        odd = replace(MEETING, start=START + timedelta(seconds=27))
        assert provider.update(target, odd).changed
        assert not provider.update(target, odd).changed

    def test_an_unknown_zone_is_utc_for_a_meeting_and_too_little_for_a_series(
        self, provider: Provider, target: Target, webex: FakeWebex
    ) -> None:
        assert provider.update(target, replace(MEETING, time_zone="Moon/Base")).ignored == ()
        assert _patched(webex)[0]["timezone"] == "UTC"
        assert provider.update(target, replace(WEEKLY, time_zone="Moon/Base")).ignored == (
            "time",
            "recurrence",
        )

    # --- title and agenda ---

    def test_a_long_title_is_cut_aloud_and_none_at_all_is_not_told(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        outcome = provider.update(target, replace(MEETING, title="x" * 129))
        assert "was cut" in outcome.note
        assert webex.meetings[meeting_id]["title"] == "x" * 128
        assert provider.update(target, replace(MEETING, title="")).ignored == ("title",)
        with pytest.raises(Unsupported):
            provider.update(target, replace(MEETING, title="", all_day=True))

    def test_an_agenda_is_told_only_to_who_is_to_be_told(
        self, provider: Provider, target: Target, webex: FakeWebex
    ) -> None:
        provider.update(target, MEETING)
        assert "agenda" not in _patched(webex)[0]
        assert "agenda" in provider.update(target, replace(MEETING, agenda="a" * 2000)).applied

    def test_passwords_stay_as_they_are(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        provider.update(target, MEETING)
        assert webex.meetings[meeting_id]["password"] == "SECRET"

    # --- tokens ---

    def test_a_pair_is_used_once_and_kept_for_all_workers(
        self, connect: Connect, target: Target, webex: FakeWebex
    ) -> None:
        here, there = connect(PATIENT_S), connect(PATIENT_S)
        here.read(target)
        there.read(target)
        assert webex.used == [FIRST]
        webex.end_tokens()
        there.read(target)
        here.update(target, MEETING)
        assert webex.used == [FIRST, "SECRET-refresh-1"]

    def test_its_check_fetches_a_token_and_asks_for_no_meeting(self, webex: FakeWebex) -> None:
        assert "gives tokens" in Webex(_options(webex), context(PATIENT_S)).check()
        assert (webex.used, webex.asked) == ([FIRST], [])
        with pytest.raises(AuthFailed, match="renew the secret refresh_token"):
            Webex(_options(webex), context(PATIENT_S)).check()  # it was used, and nothing is kept here

    def test_a_token_that_ends_between_two_calls_is_no_failure_and_twice_is_one(
        self, provider: Provider, target: Target, webex: FakeWebex
    ) -> None:
        ended = Failure(401, body='{"message": "SECRET", "trackingId": "x"}')
        webex.fail(ended, lambda asked: asked.acts)
        assert provider.update(target, MEETING).changed
        for _ in range(2):
            webex.fail(ended)
        with pytest.raises(AuthFailed):
            provider.read(target)

    def test_a_refused_refresh_token_says_what_to_renew_and_a_new_one_is_used_at_once(
        self, webex: FakeWebex, target: Target, shared: SharedInMemory
    ) -> None:
        kept = [FIRST]
        options = _options(webex, refresh_token=Secret("place", lambda: kept[0]))
        provider = Webex(options, Context(PATIENT_S, PATIENT_S, shared))
        provider.read(target)
        webex.end_tokens()
        webex.refresh_tokens = {"SECRET-renewed"}
        with pytest.raises(AuthFailed, match="renew the secret refresh_token") as caught:
            provider.read(target)
        assert "SECRET" not in str(caught.value)
        kept[0] = "SECRET-renewed"
        assert provider.read(target) is not None
        assert KEY not in shared.text
        assert FIRST not in shared.text

    # --- what goes wrong ---

    @pytest.mark.parametrize(
        ("failure", "error"),
        [
            (Failure(429, {"Retry-After": "17"}), RateLimited),
            (Failure(423, {"Retry-After": "17"}), RateLimited),
            (Failure(409), Refused),
            (Failure(502, body="<html>SECRET</html>"), Transient),
            (Failure(200, body="<html>SECRET</html>", after_acting=True), Transient),
        ],
    )
    def test_what_goes_wrong_after_it_was_found_is_made_good_by_the_same_call(
        self, provider: Provider, target: Target, webex: FakeWebex, failure: Failure, error: type[Exception]
    ) -> None:
        webex.fail(failure, lambda asked: asked.acts)
        with pytest.raises(error) as caught:
            provider.update(target, MEETING)
        assert "SECRET" not in str(caught.value)
        assert not isinstance(caught.value, RateLimited) or caught.value.retry_after_s == 17
        provider.update(target, MEETING)
        actual = provider.read(target)
        assert actual is not None
        assert actual.equals(MEETING)

    def test_a_limit_in_the_middle_does_not_promise_that_nothing_was_done(
        self, provider: Provider, target: Target, webex: FakeWebex, meeting_id: str
    ) -> None:
        moved = replace(SERIES, moved=(_moved(SOON + WEEK, SOON + WEEK + timedelta(hours=2)),))
        webex.fail(Failure(429, {"Retry-After": "17"}), lambda asked: "_" in asked.path)
        with pytest.raises(Transient) as caught:
            provider.update(target, moved)
        assert not isinstance(caught.value, RateLimited)
        provider.update(target, moved)
        assert _name(SOON + WEEK) in webex.exceptions[meeting_id]

    def test_an_operation_begins_no_call_when_its_time_is_over(
        self, provider: Provider, target: Target, webex: FakeWebex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.read(target)  # signs in
        moments = iter([0.0, 0.0, 0.0, provider.call_s])
        monkeypatch.setattr("sync.conferences.calls.time", SimpleNamespace(monotonic=lambda: next(moments)))
        with pytest.raises(Transient, match="all the time"):
            provider.update(target, MEETING)
        assert not _patched(webex)

    @pytest.mark.parametrize("after_acting", [False, True])
    def test_silence_before_and_after_an_update_acted(
        self, connect: Connect, target: Target, webex: FakeWebex, after_acting: bool
    ) -> None:
        connect(PATIENT_S).read(target)
        webex.fail(Failure(silent=True, after_acting=after_acting), lambda asked: asked.acts)
        with pytest.raises(Timeout):
            connect(1.0).update(target, MEETING)
        assert connect(PATIENT_S).update(target, MEETING).changed is not after_acting


GOOD: dict[str, object] = {
    "client_id": CLIENT,
    "client_secret": Secret("p", lambda: KEY),
    "refresh_token": Secret("p", lambda: FIRST),
}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"refresh_tokn": 1}, "refresh_tokn is not an option; did you mean refresh_token?"),
        ({"client_secret": "in the open"}, "client_secret must be kept elsewhere"),
        ({"refresh_token": "in the open"}, "refresh_token must be kept elsewhere"),
        ({"client_id": 5}, "client_id is not a text"),
        ({"as_host": "yes"}, "as_host is neither true nor false"),
        ({"url": "http://webexapis.com"}, "url is https:// and a host of webexapis.com"),
        ({"url": "https://webexapis.com.evil.example"}, "url is https:// and a host of webexapis.com"),
    ],
)
def test_options_that_cannot_work_are_said_at_once(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Webex({**GOOD, **wrong}, context(1.0))
    assert says in str(caught.value)
    assert "in the open" not in str(caught.value)


def test_every_missing_option_is_named() -> None:
    with pytest.raises(Misconfigured) as caught:
        Webex({}, context(1.0))
    assert len([each for each in caught.value.problems if "is missing" in each]) == 3


def test_the_settings_on_its_page_are_settings_it_takes() -> None:
    blocks = re.findall(r"```json\n(.+?)```", DOCS.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        told = json.loads(block)["providers"]["webex"]["options"]
        Webex({name: _opened(value) for name, value in told.items()}, context(1.0))


def _opened(value: object) -> object:
    place = SecretPlace(**value) if isinstance(value, dict) else None
    return Secret(place.secret or place.file, lambda: KEY) if place else value


def test_its_page_does_not_claim_more_than_was_done() -> None:
    page = DOCS.read_text()
    assert "verified against: unit / fake / schema" in page.lower()
    assert "live" not in page.lower().partition("verified against:")[2].splitlines()[0]
