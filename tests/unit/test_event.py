"""Reading events: every recorded shape becomes what it means, and nothing whatever becomes an exception."""

import copy
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.event import Carried, Event, Kind, Occurrence, Unreadable, parse

SAMPLES = Path(__file__).parent.parent / "samples"
SERIES = "7hq2k4m6o8q0s2u4w6y8a0c2e4"


def sample(name: str) -> Any:
    body = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return body.get("body", body)


def read_all(name: str) -> list[Event | Unreadable]:
    listing = sample(name)
    items = listing.get("items", [listing])
    zone, role = listing.get("timeZone", "UTC"), listing.get("accessRole", "owner")
    return [parse(item, time_zone=zone, access_role=role) for item in items]


def meeting(**changes: Any) -> dict[str, Any]:
    """An organizer's plain meeting, with fields changed, or removed by None."""
    raw = {**sample("life_2_created")["items"][0], **changes}
    return {name: value for name, value in raw.items() if value is not None}


def read(raw: object, **listing: str) -> Event:
    event = parse(raw, **listing)
    assert isinstance(event, Event)
    return event


def carried(conference_data: object) -> Carried | None:
    return read(meeting(conferenceData=conference_data)).carried


# --- What kind of item it is ---


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("life_1_empty", []),
        ("life_2_created", ["organizer"]),
        ("life_3_start_moved", ["organizer"]),
        ("life_4_end_moved", ["organizer"]),
        ("life_5_cancelled", ["tombstone"]),
        ("series_1_created", ["series"]),
        ("series_2_one_edited", ["series", "occurrence"]),
        ("series_3_all_edited", ["series", "occurrence", "series"]),
        ("series_4_split", ["series", "series"]),
        ("series_5_one_deleted", ["series", "tombstone"]),
        ("series_6_all_deleted", ["tombstone"]),
        ("occurrence_cancelled", ["tombstone"]),
        ("tombstone_orphan", ["tombstone"]),
        ("zoom_guest_copy", ["guest"]),
        ("meet_1_pending", ["organizer"]),
        ("private_masked", ["organizer"]),
        ("all_day", ["organizer"]),
    ],
)
def test_every_recorded_shape_is_the_kind_it_is(name: str, kinds: list[str]) -> None:
    assert [event.kind for event in read_all(name) if isinstance(event, Event)] == kinds


@pytest.mark.parametrize(
    "organizer",
    [
        None,
        {},
        {"email": "ada@example.com"},
        {"self": False},
        {"self": "true"},
        {"self": 1},
        "ada@example.com",
    ],
)
def test_only_a_copy_that_google_marks_as_the_organizers_own_drives(organizer: object) -> None:
    assert read(meeting(organizer=organizer)).kind is Kind.GUEST


@pytest.mark.parametrize("more", [{"recurrence": ["RRULE:FREQ=DAILY"]}, {"recurringEventId": SERIES}])
def test_a_guests_copy_stays_a_guests_copy_when_it_recurs(more: dict[str, Any]) -> None:
    assert read(meeting(organizer={"email": "grace@example.net"}, **more)).kind is Kind.GUEST


@pytest.mark.parametrize("event_type", ["focusTime", "fromGmail", "madeUpTomorrow", 7])
def test_an_event_of_another_type_is_read_like_the_rest(event_type: object) -> None:
    assert read(meeting(eventType=event_type)).kind is Kind.ORGANIZER


# --- Tombstones and occurrences ---


def test_a_bare_tombstone_is_readable_by_its_id_alone() -> None:
    event = read({"id": "gone", "status": "cancelled"})
    assert event == Event("gone", "", Kind.TOMBSTONE, "", None, (), None, None, whole=False)


def test_a_tombstone_that_still_tells_its_details_is_a_tombstone_all_the_same() -> None:
    rich = read(meeting(status="cancelled", start={"date": "never"}, conferenceData={"conferenceId": "x"}))
    assert rich == Event(rich.id, rich.etag, Kind.TOMBSTONE, "", None, (), None, None, whole=False)


@pytest.mark.parametrize(
    ("name", "occurrence"),
    [
        ("series_2_one_edited", Occurrence(SERIES, "2026-03-03T08:30:00Z")),
        ("series_5_one_deleted", Occurrence(SERIES, "2026-03-04T08:30:00Z")),
        ("occurrence_cancelled", Occurrence(f"{SERIES}_R20260309T083000", "2026-03-10T08:30:00Z")),
        ("occurrence_cancelled_all_day", Occurrence("5k7m9o1q3s5u", "2026-03-11")),
        ("tombstone_orphan", None),
    ],
)
def test_an_occurrence_is_known_by_its_series_and_the_start_it_had(
    name: str, occurrence: Occurrence | None
) -> None:
    event = read_all(name)[-1]
    assert isinstance(event, Event)
    assert event.occurrence == occurrence


@pytest.mark.parametrize("start", [None, {}, {"dateTime": "2026-03-03T09:30:00"}, "2026-03-03", {"date": 3}])
def test_an_occurrence_may_not_tell_the_start_it_had(start: object) -> None:
    event = read(meeting(recurringEventId=SERIES, originalStartTime=start))
    assert event.occurrence == Occurrence(SERIES, "")


def test_both_halves_of_a_split_series_are_series_of_their_own() -> None:
    old, new = read_all("series_4_split")
    assert isinstance(old, Event)
    assert isinstance(new, Event)
    assert (old.id, new.id) == (SERIES, f"{SERIES}_R20260309T083000")
    assert (old.recurrence, new.recurrence) == (
        ("RRULE:FREQ=DAILY;UNTIL=20260308T225959Z",),
        ("RRULE:FREQ=DAILY",),
    )


@pytest.mark.parametrize(
    ("recurrence", "lines"),
    [
        (
            ["RRULE:FREQ=DAILY", 7, None, "EXDATE:2026\n0304", "RDATE:20260401"],
            ("RRULE:FREQ=DAILY", "RDATE:20260401"),
        ),
        ("RRULE:FREQ=DAILY", ()),
        ({"RRULE": "FREQ=DAILY"}, ()),
        (7, ()),
        ([], ()),
    ],
)
def test_a_recurrence_is_its_readable_lines(recurrence: object, lines: tuple[str, ...]) -> None:
    event = read(meeting(recurrence=recurrence))
    assert event.recurrence == lines
    assert event.kind is (Kind.SERIES if lines else Kind.ORGANIZER)


# --- Times ---


def test_a_time_becomes_an_instant_in_utc_and_keeps_the_name_of_its_own_zone() -> None:
    event = read_all("meet_2_success")[0]  # its offset is the calendar's, its zone its own
    assert isinstance(event, Event)
    assert event.times is not None
    assert event.times.start == datetime(2026, 2, 21, 19, 30, tzinfo=UTC)
    assert event.times.end - event.times.start == timedelta(minutes=30)
    assert event.times.start.tzinfo is UTC
    assert event.times.time_zone == "Europe/Lisbon"
    assert not event.times.all_day


def test_an_all_day_meeting_runs_from_midnight_to_midnight_utc_in_the_calendars_zone() -> None:
    event = read_all("all_day")[0]
    assert isinstance(event, Event)
    assert event.times is not None
    assert event.times.start == datetime(2026, 2, 24, tzinfo=UTC)
    assert event.times.end == datetime(2026, 2, 26, tzinfo=UTC)
    assert event.times.all_day
    assert event.times.time_zone == "Europe/Vienna"


@pytest.mark.parametrize(
    ("own", "calendars", "expected"),
    [
        ("Asia/Tokyo", "Europe/Vienna", "Asia/Tokyo"),
        ("America/Argentina/Buenos_Aires", "UTC", "America/Argentina/Buenos_Aires"),
        ("Etc/GMT+7", "UTC", "Etc/GMT+7"),
        ("GMT-07:00", "Europe/Vienna", "Europe/Vienna"),
        ("GMT-7", "Europe/Vienna", "Europe/Vienna"),
        ("UTC+2", "Europe/Vienna", "Europe/Vienna"),
        ("Pacific Standard Time", "Europe/Vienna", "Europe/Vienna"),
        ("Europe/Vienna\n", "Asia/Tokyo", "Asia/Tokyo"),
        ("Europe/Wı̇en", "Asia/Tokyo", "Asia/Tokyo"),
        ("../../etc/passwd", "Asia/Tokyo", "Asia/Tokyo"),
        (None, "Europe/Vienna", "Europe/Vienna"),
        (42, "Europe/Vienna", "Europe/Vienna"),
        ("GMT-07:00", "GMT-07:00", "UTC"),
        ("", "", "UTC"),
    ],
)
def test_the_zone_is_the_events_if_it_looks_like_one_else_the_calendars(
    own: object, calendars: str, expected: str
) -> None:
    start = {"dateTime": "2026-02-12T10:00:00-07:00", "timeZone": own}
    event = read(meeting(start=start, end=start), time_zone=calendars)
    assert event.times is not None
    assert event.times.time_zone == expected
    assert event.times.start == datetime(2026, 2, 12, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"end": None},
        {"endTimeUnspecified": True},
        {"end": {"dateTime": "2026-02-12T10:00:00+01:00"}},
        {"end": {"dateTime": "2026-02-12T09:59:00+01:00"}},
    ],
    ids=["no end", "end unspecified", "zero length", "ends before it starts"],
)
def test_a_meeting_without_a_later_end_ends_when_it_starts(changes: dict[str, Any]) -> None:
    times = read(meeting(**changes)).times
    assert times is not None
    assert times.start == times.end == datetime(2026, 2, 12, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"start": None}, "start is missing"),
        ({"start": {}}, "start is missing"),
        ({"start": "2026-02-12"}, "start is missing"),
        ({"start": {"dateTime": 5}}, "start is missing"),
        ({"start": {"dateTime": "2026-02-12T10:00:00"}}, "start has no offset"),
        ({"start": {"dateTime": "2026-02-12T10:00:00", "timeZone": "Europe/Vienna"}}, "start has no offset"),
        ({"start": {"dateTime": "tomorrow"}}, "start is not a time"),
        ({"start": {"dateTime": "0001-01-01T00:00:00+14:00"}}, "start is not a time"),
        ({"start": {"date": "2026-02-30"}}, "start is not a time"),
        ({"end": {}}, "end is missing"),
        ({"end": {"dateTime": "later"}}, "end is not a time"),
        ({"end": {"date": "2026-02-13"}}, "start and end are not both dates or both times"),
    ],
)
def test_an_event_without_readable_times_says_so_without_quoting(
    changes: dict[str, Any], problem: str
) -> None:
    raw = meeting(**changes)
    assert parse(raw) == Unreadable(raw["id"], problem)


@pytest.mark.parametrize("raw", [None, 7, "event", [], [{"id": "x"}], True])
def test_what_is_not_an_object_has_no_id(raw: object) -> None:
    assert parse(raw) == Unreadable("", "it is not an object")


@pytest.mark.parametrize("event_id", [None, "", 5, {}, "line\nbreak", "\ud800", "x" * 1301])
def test_an_event_without_a_usable_id_is_unreadable(event_id: object) -> None:
    assert parse(meeting(id=event_id)) == Unreadable("", "it has no id")


# --- Title and what was hidden ---


@pytest.mark.parametrize(
    ("summary", "title"),
    [
        ("Plan\u0007ning\r\n", "Planning"),
        ("half \ud83c a pair", "half  a pair"),
        ("👩‍💻 pairing", "👩‍💻 pairing"),
        ("\u0000" * 5 + "x" * 2000, "x" * 1024),
        (None, ""),
        (12, ""),
    ],
)
def test_a_title_is_short_and_free_of_control_characters(summary: object, title: str) -> None:
    assert read(meeting(summary=summary)).title == title


@pytest.mark.parametrize(
    ("role", "changes", "whole"),
    [
        ("owner", {}, True),
        ("owner", {"summary": None}, True),
        ("writer", {"visibility": "private"}, True),
        ("owner", {"organizer": None}, False),
        ("reader", {}, True),
        ("reader", {"visibility": "public"}, True),
        ("reader", {"summary": None}, False),
        ("reader", {"visibility": "private"}, False),
        ("reader", {"visibility": "confidential"}, False),
        ("reader", {"organizer": None}, False),
        ("writerWithoutPrivateAccess", {}, True),
        ("writerWithoutPrivateAccess", {"visibility": "private"}, False),
        ("freeBusyReader", {"summary": "busy"}, False),
        ("none", {}, False),
        ("madeUpTomorrow", {}, False),
    ],
)
def test_an_event_is_whole_only_if_nothing_can_have_been_hidden(
    role: str, changes: dict[str, Any], whole: bool
) -> None:
    assert read(meeting(**changes), access_role=role).whole is whole


def test_a_masked_private_event_is_not_whole() -> None:
    event = read_all("private_masked")[0]
    assert isinstance(event, Event)
    assert not event.whole


# --- The conference it carries ---


def test_an_add_on_conference_is_reduced_to_what_recognition_reads() -> None:
    event = read_all("zoom_guest_copy")[0]
    assert isinstance(event, Event)
    assert event.carried is not None
    assert event.carried.uris[0] == "https://northwind.zoom.us/j/84411223344?pwd=ZmFrZQ.1&jst=2"
    assert event.carried.uris[1].startswith("https://www.google.com/url?q=")
    assert event.carried == Carried(
        solution_type="addOn",
        solution_name="Zoom Meeting",
        conference_id="84411223344",
        script_id="1O_9DeEljSH2vrECr8XeFYYRxFFiowFKOivqSDz316BlBcDXrF00BXrkO",
        real_id="84411223355",
        uris=event.carried.uris[:2],
    )


@pytest.mark.parametrize(
    "conference_data",
    [
        None,
        {},
        [],
        "https://zoom.us/j/123456789",
        sample("meet_1_pending")["conferenceData"],
        {"createRequest": {"status": {"statusCode": "failure"}}, "conferenceId": "abc"},
        {"entryPoints": [{"entryPointType": "phone", "uri": "tel:+12025550143"}], "notes": "call in"},
        {"conferenceSolution": {"key": "addOn", "name": ["Zoom Meeting"]}, "conferenceId": 5},
    ],
)
def test_unusable_conference_data_is_no_conference(conference_data: object) -> None:
    assert carried(conference_data) is None


def test_a_granted_request_carries_its_conference() -> None:
    granted = carried(sample("meet_2_success")["conferenceData"])
    assert granted is not None
    assert (granted.solution_type, granted.conference_id) == ("hangoutsMeet", "abc-defg-hij")


def test_a_bare_conference_id_is_kept_because_we_may_have_written_it() -> None:
    assert carried({"conferenceId": "84411223344"}) == Carried("", "", "84411223344", "", "", ())


def test_wrong_types_inside_conference_data_become_empty() -> None:
    odd = {
        "conferenceSolution": {"key": {"type": 1}, "name": "Zoom Meeting"},
        "conferenceId": {"x": 1},
        "parameters": {"addOnParameters": {"parameters": {"scriptId": [], "realMeetingId": 99}}},
        "entryPoints": {"uri": "https://zoom.us/j/123456789"},
    }
    assert carried(odd) == Carried("", "Zoom Meeting", "", "", "", ())


def test_video_comes_first_and_only_web_addresses_come_at_all() -> None:
    points = [
        {"entryPointType": "more", "uri": "https://example.com/more"},
        {"entryPointType": "phone", "uri": "tel:+12025550143"},
        {"entryPointType": "video", "uri": "https://example.com/first"},
        {"entryPointType": "video", "uri": "javascript:alert(1)"},
        {"entryPointType": "video", "uri": "HTTP://example.com/second"},
        {"entryPointType": "video", "uri": "https://example.com/" + "x" * 1281},
        {"entryPointType": "video"},
        "https://example.com/bare",
    ]
    found = carried({"entryPoints": points})
    assert found is not None
    assert found.uris == (
        "https://example.com/first",
        "HTTP://example.com/second",
        "https://example.com/more",
    )


def test_at_most_ten_addresses_are_kept_each_of_at_most_1300_characters() -> None:
    longest = "https://example.com/" + "x" * 1280
    found = carried({"entryPoints": [{"entryPointType": "video", "uri": longest}] * 11})
    assert found is not None
    assert found.uris == (longest,) * 10


# --- Whatever comes ---

# Half of the names and texts are ones that the parser looks for, so that it gets deep into its branches.
EVENT_WORDS = st.sampled_from(
    [
        *("id", "status", "cancelled", "organizer", "self", "start", "end", "date", "dateTime", "timeZone"),
        *("recurrence", "recurringEventId", "originalStartTime", "summary", "visibility", "conferenceData"),
        *(
            "entryPoints",
            "entryPointType",
            "uri",
            "video",
            "conferenceSolution",
            "key",
            "type",
            "createRequest",
        ),
        *(
            "parameters",
            "addOnParameters",
            "conferenceId",
            "2026-02-12",
            "2026-02-12T10:00:00Z",
            "9999-12-31",
        ),
        *("9999-12-31T23:00:00-23:00", "0001-01-01T00:00:00+23:59", "https://zoom.us/j/123456789", "\ud800"),
    ]
)
TEXTS = EVENT_WORDS | st.text(st.characters())  # any code point, halves of surrogate pairs too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=40,
)


def places(raw: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value inside a JSON object."""
    steps = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    return [path, *(place for step, inner in steps for place in places(inner, (*path, step)))]


def mutated(raw: Any, place: tuple[Any, ...], value: object) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(raw)
    target = changed
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    return changed


def assert_says_something(found: Event | Unreadable) -> None:
    """What is read can be stored and printed, and only a tombstone is without times."""
    if isinstance(found, Unreadable):
        assert found.problem
        return
    json.dumps(asdict(found), ensure_ascii=False, default=str).encode()
    assert found.id
    assert found.id.isprintable()
    assert len(found.title) <= 1024
    if found.times is None:
        assert found.kind is Kind.TOMBSTONE
    else:
        assert found.times.start <= found.times.end
        assert found.times.start.tzinfo is found.times.end.tzinfo is UTC


@given(raw=JSON, time_zone=TEXTS, access_role=TEXTS)
def test_any_json_is_an_event_or_unreadable_and_never_an_exception(
    raw: object, time_zone: str, access_role: str
) -> None:
    assert_says_something(parse(raw, time_zone=time_zone, access_role=access_role))


@given(
    data=st.data(),
    value=JSON,
    name=st.sampled_from(["zoom_guest_copy", "occurrence_cancelled", "meet_2_success"]),
)
def test_a_valid_event_with_anything_anywhere_is_never_an_exception(
    data: st.DataObject, value: object, name: str
) -> None:
    raw = sample(name)
    place = data.draw(st.sampled_from(places(raw)))
    assert_says_something(parse(mutated(raw, place, value)))


# --- When it was changed ---


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2026-02-10T08:14:59.300Z", 1770711299.3),
        ("2026-02-10T08:14:59", 0.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("yesterday", 0.0),
        (None, 0.0),
        ({"zz": 1}, 0.0),
    ],
)
def test_when_an_event_was_changed_measures_and_makes_no_other_event_of_it(told: object, at: float) -> None:
    raw = {"id": "event0", "start": {"date": "2026-01-01"}, "updated": told}
    event = parse(raw)
    assert isinstance(event, Event)
    assert event.updated_at == pytest.approx(at)
    assert (event, hash(event)) == (parse(raw | {"updated": "1999-01-01T00:00:00Z"}), hash(event))
