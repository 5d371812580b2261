"""The provider for Zoom keeps the contract, against a stand-in that ignores and limits as Zoom does."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from jsonschema import validate

from sync.conferences import Context, Secret
from sync.conferences.zoom import Zoom
from sync.errors import (
    AuthFailed,
    Misconfigured,
    RateLimited,
    Refused,
    SyncError,
    Timeout,
    Transient,
    Unsupported,
)
from sync.meeting import Meeting, Moved
from sync.ports import Provider, Target
from sync.recognise import ConferenceKey
from sync.testing import (
    MEETING,
    PATIENT_S,
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
from tests.contract.documented import documented
from tests.contract.fake_zoom import ACCOUNT, CLIENT, KEY, FakeZoom

NUMBER, OTHER = "94153040095", "94153040096"
DOCS = Path(__file__).parents[2] / "docs/providers/zoom.md"
# As the vendor's clock goes by: a listing has what is ahead.
SOON = datetime.now(UTC).replace(hour=9, minute=30, second=0, microsecond=0) + timedelta(days=10)
SERIES = replace(WEEKLY, start=SOON, end=SOON + timedelta(minutes=45), time_zone="UTC")
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)

_QUIET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["email_notification", "alternative_hosts_email_notification"],
    "properties": {
        "email_notification": {"const": False},
        "alternative_hosts_email_notification": {"const": False},
        "meeting_invitees": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"email": {"type": "string"}},
            },
        },
    },
}
PATCH = {
    "type": "object",
    "additionalProperties": False,
    "required": ["settings"],
    "minProperties": 1,
    "dependentRequired": {"recurrence": ["start_time", "timezone", "duration"], "start_time": ["duration"]},
    "properties": {
        "topic": {"type": "string", "minLength": 1, "maxLength": 200},
        "agenda": {"type": "string", "maxLength": 2000},
        "type": {"enum": [2, 8]},
        "start_time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?$"},
        "timezone": {"type": "string", "minLength": 1},
        "duration": {"type": "integer", "minimum": 1, "maximum": 1440},
        "settings": _QUIET,
        "recurrence": {
            "type": "object",
            "additionalProperties": False,
            "required": ["type", "repeat_interval"],
            "oneOf": [{"required": ["end_times"]}, {"required": ["end_date_time"]}],
            "properties": {
                "type": {"enum": [1, 2, 3]},
                "repeat_interval": {"type": "integer", "minimum": 1, "maximum": 99},
                "weekly_days": {"type": "string", "pattern": "^[1-7](,[1-7])*$"},
                "monthly_day": {"type": "integer", "minimum": 1, "maximum": 31},
                "monthly_week": {"enum": [-1, 1, 2, 3, 4]},
                "monthly_week_day": {"type": "integer", "minimum": 1, "maximum": 7},
                "end_times": {"type": "integer", "minimum": 0, "maximum": 60},
                "end_date_time": {"type": "string", "pattern": "Z$"},
            },
        },
    },
}


@pytest.fixture
def zoom() -> Iterator[FakeZoom]:
    with FakeZoom() as zoom:
        zoom.add(OTHER)
        zoom.add(NUMBER)
        yield zoom
    assert not zoom.mails
    for asked in zoom.asked:
        assert asked.method in ("GET", "PATCH", "DELETE")
        if asked.method == "PATCH":
            validate(asked.body, PATCH)


@pytest.fixture
def shared() -> SharedInMemory:
    return SharedInMemory()


def _options(zoom: FakeZoom, **more: object) -> dict[str, object]:
    own = {"account_id": ACCOUNT, "client_id": CLIENT, "client_secret": KEY}
    return {**own, "oauth_url": zoom.url, "api_url": zoom.url, **more}


@pytest.fixture
def connect(zoom: FakeZoom, shared: SharedInMemory) -> Connect:
    return lambda read_s: Zoom(_options(zoom), Context(read_s, read_s, shared))


@pytest.fixture
def target() -> Target:
    return Target(ConferenceKey("zoom", NUMBER))


@pytest.fixture
def state(zoom: FakeZoom) -> State:
    return lambda: json.dumps([zoom.meetings, zoom.exceptions])


@pytest.fixture
def calls(zoom: FakeZoom) -> Calls:
    return lambda: len(zoom.asked)


@pytest.fixture
def fail(zoom: FakeZoom, request: pytest.FixtureRequest) -> Fail:
    """After acting: what is asked before acts only when the meeting is read. After a 401 it is asked again."""
    reads = "callspec" in dir(request.node) and request.node.callspec.params.get("call") == "read"

    def fail(failure: Failure) -> None:
        acting = failure.after_acting and not reads
        for _ in range(2 if failure.status == 401 else 1):
            zoom.fail(failure, (lambda asked: asked.acts) if acting else (lambda _: True))

    return fail


def _data(uri: str, name: str = "Zoom Meeting", conference_id: str = "") -> dict[str, object]:
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": name},
        "conferenceId": conference_id,
        "entryPoints": [{"entryPointType": "video", "uri": uri}] if uri else [],
    }


@pytest.fixture
def events() -> list[dict[str, object]]:
    url = f"https://acme.zoom.us/j/{NUMBER}?pwd=SECRET"
    return [
        _data(url),
        _data(url, "Anything"),
        _data(f"https://www.google.com/url?q={quote(url, safe='')}"),
        _data("", conference_id=NUMBER),
    ]


@pytest.fixture
def look_alikes() -> list[dict[str, object]]:
    path = f"/j/{NUMBER}"
    return [
        _data(uri)
        for uri in (
            f"https://zoom.us.evil.example{path}",
            f"https://evil.example/?x=https://zoom.us{path}",
            f"https://zoom.us@evil.example{path}",
            f"http://zoom.us{path}",
            f"https://evilzoom.us{path}",
            "https://zoom.us/j/12345",
        )
    ] + [_data("", "Zoom Meeting", f"{NUMBER}99")]


def _patched(zoom: FakeZoom) -> list[dict[str, Any]]:
    return [asked.body for asked in zoom.asked if asked.method == "PATCH"]


def _moved(original: datetime, start: datetime | None) -> Moved:
    text = original.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Moved(text, start and start.timestamp(), start and (start + timedelta(minutes=30)).timestamp())


def _id(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class TestZoom(ProviderContract):
    tries: ClassVar[Mapping[int, int]] = {401: 2}

    # --- one meeting ---

    def test_only_what_differs_is_told_and_nothing_if_nothing_does(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        provider.update(target, MEETING)
        zoom.asked.clear()
        assert provider.update(target, replace(MEETING, title="New")).changed
        assert not provider.update(target, replace(MEETING, title="New")).changed
        [body] = _patched(zoom)
        assert (sorted(body), body["topic"]) == (["settings", "topic"], "New")
        assert zoom.left_today == 98

    def test_where_a_meeting_is_joined_is_told_with_its_passcode(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        url = f"https://us02web.zoom.us/j/{target.id}?pwd=abc"
        zoom.meetings[target.id]["join_url"] = url
        assert provider.update(target, MEETING).join_url == url
        actual = provider.read(target)
        assert actual is not None
        assert actual.join_url == url
        assert url not in f"{actual} {provider.update(target, MEETING)}"

    def test_a_meeting_that_only_gets_longer_is_told_so(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        provider.update(target, MEETING)
        assert provider.update(target, replace(MEETING, end=MEETING.end + timedelta(seconds=61))).changed
        assert zoom.meetings[NUMBER]["duration"] == 47

    def test_times_are_told_in_the_zone_of_the_event(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        provider.update(target, MEETING)
        [body] = _patched(zoom)
        told = (body["start_time"], body["timezone"], body["duration"])
        assert told == ("2030-03-04T10:30:00", "Europe/Berlin", 45)

    @pytest.mark.parametrize("hour", [0, 1])
    def test_the_hour_that_is_there_twice_is_told_without_doubt(
        self, provider: Provider, target: Target, hour: int
    ) -> None:
        start = datetime(2030, 10, 27, hour, 30, tzinfo=UTC)  # 02:30 in Berlin, both times
        outcome = provider.update(target, replace(MEETING, start=start, end=start + HOUR))
        assert "time" in outcome.applied
        actual = provider.read(target)
        assert actual is not None
        assert actual.start == start

    def test_in_an_unknown_zone_a_single_meeting_is_told_in_utc(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        assert "time" in provider.update(target, replace(MEETING, time_zone="Nowhere/At_All")).applied
        [body] = _patched(zoom)
        assert body["start_time"] == "2030-03-04T09:30:00Z"
        assert "timezone" not in body

    @pytest.mark.parametrize(
        "untimed",
        [
            replace(MEETING, all_day=True),
            replace(MEETING, end=MEETING.start),
            replace(MEETING, end=MEETING.start + timedelta(hours=25)),
            replace(MEETING, start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2020, 1, 1, 1, tzinfo=UTC)),
        ],
        ids=["all day", "zero length", "over 24 hours", "past"],
    )
    def test_times_that_zoom_cannot_have_are_ignored_aloud_and_the_title_is_told(
        self, provider: Provider, target: Target, zoom: FakeZoom, untimed: Meeting
    ) -> None:
        outcome = provider.update(target, untimed)
        assert (outcome.applied, outcome.ignored) == (("title",), ("time",))
        assert outcome.note
        assert [sorted(body) for body in _patched(zoom)] == [["settings", "topic"]]

    def test_where_nothing_at_all_can_be_told_that_is_unsupported(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        with pytest.raises(Unsupported, match="all-day"):
            provider.update(target, replace(MEETING, title="", all_day=True))
        assert not _patched(zoom)

    def test_a_past_meeting_that_has_its_times_already_has_them(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        start = datetime(2020, 1, 1, tzinfo=UTC)
        zoom.meetings[NUMBER] |= {"start_time": _text(start), "duration": 60}
        assert "time" in provider.update(target, replace(MEETING, start=start, end=start + HOUR)).applied

    @pytest.mark.parametrize("meeting", [MEETING, SERIES])
    def test_times_that_zoom_ignores_with_success_are_no_success(
        self, provider: Provider, target: Target, zoom: FakeZoom, meeting: Meeting
    ) -> None:
        zoom.deaf = {"start_time", "type"}
        outcome = provider.update(target, meeting)
        assert outcome.applied == ("title",)
        assert "time" in outcome.ignored
        assert "all the same" in outcome.note

    @pytest.mark.parametrize("meeting", [MEETING, SERIES])
    def test_a_meeting_without_a_fixed_time_gets_none(
        self, provider: Provider, target: Target, zoom: FakeZoom, meeting: Meeting
    ) -> None:
        zoom.meetings[NUMBER]["type"] = 3
        outcome = provider.update(target, meeting)
        assert outcome.applied == ("title",)
        assert outcome.ignored == (("time", "recurrence") if meeting.recurrence else ("time",))
        assert "no fixed time" in outcome.note
        assert [sorted(body) for body in _patched(zoom)] == [["settings", "topic"]]

    @pytest.mark.parametrize("personal", [{"type": 4}, {"pmi": NUMBER}, {"settings": {"use_pmi": True}}])
    def test_a_personal_room_is_never_touched(
        self, provider: Provider, target: Target, zoom: FakeZoom, personal: dict[str, object]
    ) -> None:
        zoom.meetings[NUMBER] |= personal
        for call in ("update", "delete"):
            with pytest.raises(Refused, match="personal room"):
                self.call(call, provider, target)
        assert {asked.method for asked in zoom.asked} == {"GET"}

    def test_agenda_and_invitees_are_told_only_where_they_are_wanted(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        assert set(provider.update(target, MEETING).applied) == {"title", "time"}
        told = replace(MEETING, agenda="a" * 3000, invitees=("ada@example.com", "Bob@example.com"))
        assert {"agenda", "invitees"} <= set(provider.update(target, told).applied)
        assert len(zoom.meetings[NUMBER]["agenda"]) == 2000
        invitees = zoom.meetings[NUMBER]["settings"]["meeting_invitees"]
        assert [each["email"] for each in invitees] == ["ada@example.com", "Bob@example.com"]
        assert not provider.update(
            target, replace(told, invitees=("bob@example.com", "ada@example.com"))
        ).changed
        provider.update(target, replace(MEETING, agenda="", invitees=()))
        assert zoom.meetings[NUMBER]["settings"]["meeting_invitees"] == []
        assert zoom.meetings[NUMBER]["agenda"] == ""

    def test_a_long_title_is_cut_and_that_is_said(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        outcome = provider.update(target, replace(MEETING, title="t" * 300))
        assert len(zoom.meetings[NUMBER]["topic"]) == 200
        assert "cut" in outcome.note

    def test_passwords_and_waiting_rooms_stay_as_they_are(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        provider.update(target, replace(MEETING, invitees=("ada@example.com",)))
        meeting = zoom.meetings[NUMBER]
        assert (meeting["password"], meeting["settings"]["waiting_room"]) == ("SECRET", True)
        assert meeting["settings"]["join_before_host"] is False

    def test_what_is_not_a_number_of_zoom_is_refused_and_nobody_is_asked(
        self, provider: Provider, zoom: FakeZoom
    ) -> None:
        for name in ("123", "9415304009x", f"{NUMBER}?occurrence_id=1", "٩٤١٥٣٠٤٠٠٩٥"):
            with pytest.raises(Refused, match="not a number"):
                provider.delete(Target(ConferenceKey("zoom", name)))
        assert not zoom.asked

    def test_another_meeting_than_was_asked_for_is_not_touched(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        for call in self.CALLS:
            zoom.fail(Failure(200, body=json.dumps(zoom.meetings[OTHER])))
            with pytest.raises(Transient):
                self.call(call, provider, target)
        assert {asked.method for asked in zoom.asked} == {"GET"}

    # --- series ---

    def test_a_series_is_told_whole_and_believed_when_it_is_read(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        outcome = provider.update(target, SERIES)
        assert outcome.applied == ("title", "time", "recurrence")
        assert [asked.method for asked in zoom.asked] == ["GET", "PATCH", "GET"]
        assert zoom.meetings[NUMBER]["type"] == 8
        assert not provider.update(target, SERIES).changed
        assert len(_patched(zoom)) == 1

    def test_a_series_keeps_its_local_time_when_the_clocks_change(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        start = datetime(2030, 3, 25, 8, 30, tzinfo=UTC)
        provider.update(target, replace(WEEKLY, start=start, end=start + HOUR))
        [body] = _patched(zoom)
        assert (body["start_time"], body["timezone"]) == ("2030-03-25T09:30:00", "Europe/Berlin")
        occurrences = zoom._shown(NUMBER)["occurrences"]
        assert [each["start_time"][11:16] for each in occurrences[:2]] == ["08:30", "07:30"]

    @pytest.mark.parametrize(
        "change",
        [
            {"start": SOON + HOUR, "end": SOON + 2 * HOUR},
            {"end": SERIES.end + timedelta(minutes=15)},
            {"recurrence": ("RRULE:FREQ=WEEKLY;INTERVAL=2",)},
            {"recurrence": ("RRULE:FREQ=WEEKLY;COUNT=60",)},
            {"recurrence": ("RRULE:FREQ=WEEKLY;COUNT=5",)},
            {"recurrence": ()},
            {"time_zone": "Europe/Berlin"},
            {
                "time_zone": "Africa/Abidjan"
            },  # the same moments as far as one sees, and another rule for what comes
        ],
        ids=str,
    )
    def test_each_change_of_a_series_is_seen_and_told(
        self, provider: Provider, target: Target, zoom: FakeZoom, change: dict[str, Any]
    ) -> None:
        provider.update(target, SERIES)
        outcome = provider.update(target, replace(SERIES, **change))
        assert outcome.changed
        assert not outcome.ignored
        assert not provider.update(target, replace(SERIES, **change)).changed

    @pytest.mark.parametrize(
        "lines",
        [
            ("RRULE:FREQ=YEARLY",),
            ("RRULE:FREQ=DAILY;COUNT=100",),
            ("RRULE:FREQ=DAILY", "RDATE:20300401T100000Z"),
        ],
    )
    def test_a_rule_that_zoom_cannot_have_is_ignored_with_its_reason(
        self, provider: Provider, target: Target, zoom: FakeZoom, lines: tuple[str, ...]
    ) -> None:
        outcome = provider.update(target, replace(SERIES, recurrence=lines, moved=(_moved(SOON, None),)))
        assert (outcome.applied, outcome.ignored) == (("title",), ("time", "recurrence", "occurrence"))
        assert outcome.note
        assert [sorted(body) for body in _patched(zoom)] == [["settings", "topic"]]

    def test_in_an_unknown_zone_a_series_is_not_told(self, provider: Provider, target: Target) -> None:
        outcome = provider.update(target, replace(SERIES, time_zone="Nowhere/At_All"))
        assert outcome.ignored == ("time", "recurrence")
        assert "drift" in outcome.note

    def test_of_a_series_that_has_begun_the_rest_is_told(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        began = SOON - 4 * WEEK
        lines = ("RRULE:FREQ=WEEKLY;COUNT=6",)
        running = replace(SERIES, start=began, end=began + HOUR, recurrence=lines)
        assert not provider.update(target, running).ignored
        [body] = _patched(zoom)
        ahead = [began + each * WEEK for each in range(6) if began + each * WEEK > datetime.now(UTC)]
        assert body["start_time"] == _text(ahead[0])[:-1]
        assert body["recurrence"]["end_times"] == len(ahead)
        assert not provider.update(target, running).changed

    def test_a_series_that_gets_more_occurrences_is_told_so(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        for times in (5, 8):
            provider.update(target, replace(SERIES, recurrence=(f"RRULE:FREQ=WEEKLY;COUNT={times}",)))
            assert zoom.meetings[NUMBER]["recurrence"]["end_times"] == times

    def test_a_series_that_is_over_is_not_told(self, provider: Provider, target: Target) -> None:
        start = datetime(2020, 1, 1, tzinfo=UTC)
        over = replace(SERIES, start=start, end=start + HOUR, recurrence=("RRULE:FREQ=DAILY;COUNT=3",))
        assert provider.update(target, over).ignored == ("time", "recurrence")

    # --- occurrences ---

    def test_occurrences_are_moved_and_ended_by_their_ids(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        moved = (_moved(SOON + WEEK, SOON + WEEK + 2 * HOUR), _moved(SOON + 2 * WEEK, None))
        outcome = provider.update(target, replace(SERIES, moved=moved))
        assert outcome.applied == ("title", "time", "recurrence", "occurrence")
        assert zoom.exceptions[NUMBER][_id(SOON + 2 * WEEK)] is None
        there = zoom.exceptions[NUMBER][_id(SOON + WEEK)]
        assert there is not None
        assert (there["start_time"], there["duration"]) == (_text(SOON + WEEK + 2 * HOUR), 30)
        assert all("occurrence_id" in asked.query for asked in zoom.asked if asked.method == "DELETE")
        assert not provider.update(target, replace(SERIES, moved=moved)).changed

    @pytest.mark.parametrize(("shows_ended", "new_ids"), [(True, True), (False, True), (False, False)])
    def test_ids_that_are_new_and_ended_occurrences_that_are_not_shown_are_no_hindrance(
        self, provider: Provider, target: Target, zoom: FakeZoom, shows_ended: bool, new_ids: bool
    ) -> None:
        zoom.shows_ended, zoom.new_ids = shows_ended, new_ids
        moved = (_moved(SOON + WEEK, SOON + WEEK + 2 * HOUR), _moved(SOON + 2 * WEEK, None))
        assert not provider.update(target, replace(SERIES, moved=moved)).ignored
        assert not provider.update(target, replace(SERIES, moved=moved)).changed
        assert len(zoom.exceptions[NUMBER]) == 2

    @pytest.mark.parametrize("line", ["EXDATE:{utc}", "EXDATE;TZID=Asia/Kolkata:{local}"])
    def test_an_excluded_date_is_no_occurrence(
        self, provider: Provider, target: Target, zoom: FakeZoom, line: str
    ) -> None:
        at = SOON + WEEK
        local = at.astimezone(ZoneInfo("Asia/Kolkata"))
        told = line.format(utc=f"{at:%Y%m%dT%H%M%SZ}", local=f"{local:%Y%m%dT%H%M%S}")
        provider.update(target, replace(SERIES, recurrence=(*SERIES.recurrence, told)))
        assert zoom.exceptions[NUMBER] == {_id(at): None}

    def test_a_new_title_leaves_occurrences_alone(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        moved = replace(SERIES, moved=(_moved(SOON + WEEK, SOON + WEEK + 2 * HOUR),))
        provider.update(target, moved)
        zoom.asked.clear()
        provider.update(target, replace(moved, title="New"))
        assert [sorted(body) for body in _patched(zoom)] == [["settings", "topic"]]

    def test_an_occurrence_that_is_moved_back_is_back(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        provider.update(target, replace(SERIES, moved=(_moved(SOON + WEEK, SOON + WEEK + 2 * HOUR),)))
        assert provider.update(target, SERIES).changed
        back = zoom.exceptions[NUMBER][_id(SOON + WEEK)]
        assert back is not None
        assert (back["start_time"], back["duration"]) == (_text(SOON + WEEK), 45)

    def test_an_ended_occurrence_that_is_wanted_again_is_said(
        self, provider: Provider, target: Target
    ) -> None:
        provider.update(target, replace(SERIES, moved=(_moved(SOON + WEEK, None),)))
        assert provider.update(target, SERIES).ignored == ("occurrence",)

    def test_an_occurrence_that_is_nowhere_is_said_and_stops_no_other(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        nowhere = _moved(SOON + timedelta(days=1), SOON + timedelta(days=2))
        there = _moved(SOON + WEEK, SOON + WEEK + 2 * HOUR)
        outcome = provider.update(target, replace(SERIES, moved=(nowhere, there)))
        assert outcome.ignored == ("occurrence",)
        assert list(zoom.exceptions[NUMBER]) == [_id(SOON + WEEK)]

    def test_an_occurrence_that_is_moved_into_the_past_is_said(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        past = datetime.now(UTC) - timedelta(days=1)
        assert provider.update(target, replace(SERIES, moved=(_moved(SOON, past),))).ignored == (
            "occurrence",
        )
        assert not zoom.exceptions[NUMBER]

    def test_a_cancelled_occurrence_that_is_too_far_away_to_be_listed_is_said(
        self, provider: Provider, target: Target
    ) -> None:
        daily = replace(SERIES, recurrence=("RRULE:FREQ=DAILY",))
        far, near = (_moved(SOON + timedelta(days=each), None) for each in (60, 40))
        assert provider.update(target, replace(daily, moved=(far,))).ignored == ("occurrence",)
        assert provider.update(target, replace(daily, moved=(near,))).ignored == ()

    @pytest.mark.parametrize("status", [400, 404])
    def test_an_occurrence_that_is_refused_or_gone_is_said_and_does_not_stand_for_the_series(
        self, provider: Provider, target: Target, zoom: FakeZoom, status: int
    ) -> None:
        moved = tuple(_moved(SOON + n * WEEK, SOON + n * WEEK + 2 * HOUR) for n in (1, 2))
        zoom.fail(Failure(status), lambda asked: "occurrence_id" in asked.query)
        assert provider.update(target, replace(SERIES, moved=moved)).ignored == ("occurrence",)
        assert list(zoom.exceptions[NUMBER]) == [_id(SOON + 2 * WEEK)]

    def test_an_occurrence_without_an_id_is_never_deleted_as_it_would_be_the_series(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        provider.update(target, SERIES)
        shown = zoom._shown(NUMBER)
        listed = [{**each, "occurrence_id": ""} for each in shown["occurrences"]]
        zoom.fail(Failure(200, body=json.dumps({**shown, "occurrences": listed})))
        with pytest.raises(Transient):
            provider.update(target, replace(SERIES, moved=(_moved(SOON + WEEK, None),)))
        assert not any(asked.method == "DELETE" for asked in zoom.asked)

    def test_where_the_series_is_not_as_told_no_occurrence_is_put_anywhere(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        provider.update(target, SERIES)
        zoom.deaf = {"duration"}
        longer = replace(SERIES, end=SERIES.end + HOUR, moved=(_moved(SOON + WEEK, SOON + WEEK + HOUR),))
        assert provider.update(target, longer).ignored == ("time", "recurrence", "occurrence")
        assert not any("occurrence_id" in asked.query for asked in zoom.asked)

    def test_an_occurrence_that_was_put_off_from_the_past_is_no_reason_to_tell_the_series_anew(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        began = SOON - 4 * WEEK
        running = replace(SERIES, start=began, end=began + timedelta(minutes=45))
        provider.update(target, running)
        zoom.meetings[NUMBER]["start_time"] = _text(began)  # as it was made, before it began
        past = began + 2 * WEEK
        zoom.exceptions[NUMBER][_id(past)] = {"start_time": _text(SOON + timedelta(days=1))}
        assert not provider.update(target, running).changed
        there = replace(running, moved=(_moved(past, SOON + timedelta(days=2)),))
        assert "occurrence" in provider.update(target, there).applied
        moved = zoom.exceptions[NUMBER][_id(past)]
        assert moved is not None
        assert moved["start_time"] == _text(SOON + timedelta(days=2))

    def test_many_occurrences_are_placed_a_few_in_each_call(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        moved = tuple(_moved(SOON + n * WEEK, SOON + n * WEEK + 2 * HOUR) for n in range(20))
        wanted = replace(SERIES, moved=moved)
        for _ in range(2):
            with pytest.raises(Transient, match="8 occurrences are in place"):
                provider.update(target, wanted)
        assert not provider.update(target, wanted).ignored
        assert len(zoom.exceptions[NUMBER]) == 20

    def test_many_occurrences_that_zoom_does_not_take_are_said_and_not_tried_for_ever(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        provider.update(target, SERIES)
        zoom.deaf = {"start_time", "duration"}
        moved = tuple(_moved(SOON + n * WEEK, SOON + n * WEEK + 2 * HOUR) for n in range(20))
        assert provider.update(target, replace(SERIES, moved=moved)).ignored == ("occurrence",)

    # --- tokens ---

    def test_a_token_is_fetched_once_for_all_workers_and_again_when_another_ended_it(
        self, connect: Connect, target: Target, zoom: FakeZoom
    ) -> None:
        here, there = connect(PATIENT_S), connect(PATIENT_S)
        here.read(target)
        there.read(target)
        assert zoom.sign_ins == 1
        zoom.end_tokens()
        there.read(target)
        here.update(target, MEETING)
        assert zoom.sign_ins == 2

    @pytest.mark.parametrize("status", [400, 401])
    def test_a_token_that_ends_between_two_calls_is_no_failure_and_twice_is_one(
        self, provider: Provider, target: Target, zoom: FakeZoom, status: int
    ) -> None:
        ended = Failure(status, body='{"code": 124, "message": "SECRET"}')
        zoom.fail(ended, lambda asked: asked.acts)
        assert provider.update(target, MEETING).changed
        for _ in range(2):
            zoom.fail(ended)
        with pytest.raises(AuthFailed):
            provider.read(target)

    def test_refused_credentials_are_said_and_new_ones_are_used_at_once(
        self, zoom: FakeZoom, target: Target
    ) -> None:
        kept = ["SECRET-old"]
        provider = Zoom(_options(zoom, client_secret=Secret("p", lambda: kept[0])), context(PATIENT_S))
        with pytest.raises(AuthFailed, match="check account_id, client_id and client_secret") as caught:
            provider.read(target)
        assert "SECRET" not in str(caught.value)
        kept[0] = KEY
        assert provider.read(target) is not None

    def test_its_check_needs_no_meeting_and_no_scope_beyond_reading(
        self, provider: Provider, zoom: FakeZoom
    ) -> None:
        check = getattr(provider, "check")  # noqa: B009
        assert "lets it read" in check()
        assert [asked.method for asked in zoom.asked] == ["GET"]
        zoom.fail(Failure(400, body='{"code": 4711, "message": "SECRET"}'))
        with pytest.raises(AuthFailed, match="meeting:read:meeting:admin"):
            check()

    # --- what goes wrong ---

    @pytest.mark.parametrize(
        ("status", "code", "error", "says"),
        [
            (400, 300, Refused, "values"),
            (400, 3000, Refused, "webinar"),
            (400, 3003, Refused, "host"),
            (400, 3161, Refused, "licence"),
            (400, 3002, Transient, "in progress"),
            (400, 3018, Refused, "personal room"),
            (400, 3037, Refused, "personal audio"),
            (400, 4700, AuthFailed, "meeting:{verb}:meeting:admin"),
            (400, 4711, AuthFailed, "meeting:{verb}:meeting:admin"),
        ],
    )
    def test_zooms_codes_are_sentences_of_ours(
        self,
        provider: Provider,
        target: Target,
        zoom: FakeZoom,
        status: int,
        code: int,
        error: type[SyncError],
        says: str,
    ) -> None:
        for call in ("update", "delete"):
            body = json.dumps({"code": code, "message": f"SECRET ada@example.com {NUMBER}"})
            zoom.fail(Failure(status, body=body), lambda asked: asked.acts)
            with pytest.raises(SyncError, match=says.format(verb=call)) as caught:
                self.call(call, provider, target)
            assert type(caught.value) is error
            assert not {"SECRET", NUMBER} & set(str(caught.value).split())

    @pytest.mark.parametrize(
        ("status", "code"),
        [*((status, code) for status in (400, 403, 404) for code in (3001, 3007)), (404, 300)],
    )
    def test_what_is_gone_or_has_ended_is_deleted(
        self, provider: Provider, target: Target, zoom: FakeZoom, status: int, code: int
    ) -> None:
        zoom.fail(Failure(status, body=json.dumps({"code": code})), lambda asked: asked.acts)
        assert not provider.delete(target).changed

    def test_an_error_in_xml_is_read_by_its_status(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        zoom.fail(Failure(404, body="<error><code>3001</code>SECRET</error>"))
        assert provider.read(target) is None

    def test_a_limit_by_the_day_is_one_hosts_and_any_other_the_accounts(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        zoom.left_today = 0
        with pytest.raises(RateLimited) as caught:
            provider.update(target, MEETING)
        assert caught.value.alone
        assert caught.value.retry_after_s is not None
        assert 0 < caught.value.retry_after_s <= 86400
        assert provider.read(target) is not None  # reading is beside that limit
        for headers in ({"Retry-After": "5"}, {"X-RateLimit-Reset": "9999999999"}, {}):
            zoom.fail(Failure(429, headers))
            with pytest.raises(RateLimited) as caught:
                provider.update(target, MEETING)
            assert not caught.value.alone

    def test_a_limit_in_the_middle_does_not_promise_that_nothing_was_done(
        self, provider: Provider, target: Target, zoom: FakeZoom
    ) -> None:
        moved = replace(SERIES, moved=(_moved(SOON + WEEK, SOON + WEEK + 2 * HOUR),))
        zoom.left_today = 1
        with pytest.raises(Transient) as caught:
            provider.update(target, moved)
        assert not isinstance(caught.value, RateLimited)
        zoom.left_today = 100
        assert not provider.update(target, moved).ignored

    @pytest.mark.parametrize(
        ("failure", "error"),
        [
            (Failure(429, {"Retry-After": "17"}), RateLimited),
            (Failure(409), Refused),
            (Failure(502, body="<html>SECRET</html>"), Transient),
            (Failure(200, body="<html>SECRET</html>", after_acting=True), Transient),
        ],
    )
    def test_what_goes_wrong_after_it_was_read_is_made_good_by_the_same_call(
        self, provider: Provider, target: Target, zoom: FakeZoom, failure: Failure, error: type[Exception]
    ) -> None:
        zoom.fail(failure, lambda asked: asked.acts)
        with pytest.raises(error) as caught:
            provider.update(target, MEETING)
        assert "SECRET" not in str(caught.value)
        provider.update(target, MEETING)
        actual = provider.read(target)
        assert actual is not None
        assert actual.equals(MEETING)

    @pytest.mark.parametrize("after_acting", [False, True])
    def test_silence_before_and_after_an_update_acted(
        self, connect: Connect, target: Target, zoom: FakeZoom, after_acting: bool
    ) -> None:
        connect(PATIENT_S).read(target)
        zoom.fail(Failure(silent=True, after_acting=after_acting), lambda asked: asked.acts)
        with pytest.raises(Timeout):
            connect(1.0).update(target, MEETING)
        assert connect(PATIENT_S).update(target, MEETING).changed is not after_acting

    def test_an_operation_begins_no_call_when_its_time_is_over(
        self, provider: Provider, target: Target, zoom: FakeZoom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.read(target)  # signs in
        moments = iter([0.0, 0.0, 0.0, provider.call_s])
        monkeypatch.setattr("sync.conferences.calls.time", SimpleNamespace(monotonic=lambda: next(moments)))
        with pytest.raises(Transient, match="all the time"):
            provider.update(target, MEETING)
        assert not _patched(zoom)


GOOD: dict[str, object] = {
    "account_id": ACCOUNT,
    "client_id": CLIENT,
    "client_secret": Secret("p", lambda: KEY),
}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"acount_id": 1}, "acount_id is not an option; did you mean account_id?"),
        ({"client_secret": "in the open"}, "client_secret must be kept elsewhere"),
        (
            {"client_secret": "in the open", "api_url": "http://127.0.0.1:1"},
            "client_secret must be kept elsewhere",
        ),
        ({"client_id": 5}, "client_id is not a text"),
        ({"api_url": "https://api.zoom.us.evil.example"}, "api_url is https:// and a host of zoom.us"),
        ({"api_url": "https://evilzoom.us"}, "api_url is https://"),
        ({"api_url": "http://api.zoom.us"}, "api_url is https://"),
        ({"oauth_url": "https://user@zoom.us"}, "oauth_url is https://"),
        ({"oauth_url": 5}, "oauth_url is https://"),
    ],
)
def test_options_that_cannot_work_are_said_at_once(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Zoom({**GOOD, **wrong}, context(1.0))
    assert says in str(caught.value)
    assert "in the open" not in str(caught.value)


def test_every_missing_option_is_named_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        Zoom({}, context(1.0))
    assert len(caught.value.problems) == 3


def test_the_roots_of_zooms_regions_are_taken() -> None:
    Zoom({**GOOD, "api_url": "https://api-eu.zoom.us", "oauth_url": "https://zoomgov.com"}, context(1.0))


def test_the_settings_on_its_page_are_settings_it_takes() -> None:
    assert documented("zoom").providers == {"zoom"}


def test_its_page_does_not_claim_more_than_was_done() -> None:
    page = DOCS.read_text()
    assert "verified against: unit / fake / schema" in page.lower()
    assert "live" not in page.lower().partition("verified against:")[2].splitlines()[0]
