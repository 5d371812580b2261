"""The rest provider keeps the contract, and its templates say of a meeting what they mean and nothing else."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sync.conferences import Context, Secret
from sync.conferences.registry import Registry
from sync.conferences.rest import Rest
from sync.conferences.rest_template import FIELDS
from sync.errors import AuthFailed, Gone, Misconfigured, Refused, Transient, Unsupported
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Provider, Target
from sync.recognise import ConferenceKey
from sync.settings import ProviderSettings, SecretPlace
from sync.testing import MEETING, PATIENT_S, WEEKLY, Failure, RestContract, context
from tests.contract.fake_own_system import PlainApi

PAGE = (Path(__file__).parents[2] / "docs/providers/rest.md").read_text()
ID = "314159265"
TARGET = Target(ConferenceKey("rest", ID), version=7)
RECOGNISE = {"hosts": ["meet.example.com"], "path": "^/r/([0-9]+)$"}
UPDATE = {
    "method": "PATCH",
    "path": "/meetings/{conference_id}",
    "body": {
        "topic": "{title}",
        "when": {
            "start": "{start_local}",
            "zone": "{time_zone}",
            "minutes": "{duration_minutes}",
            "until": "{end_utc}",
        },
        "rule": "RRULE:{rrule}",
        "flags": ["{all_day}", True, 3, None],
        "revision": "v{version}",
    },
}
DELETE = {"path": "/meetings/{conference_id}"}
READ = {"path": "/meetings/{conference_id}", "title": "meeting.topic", "end": "meeting.when.until"}
BODY = Draft202012Validator(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["topic", "when", "rule", "flags", "revision"],
        "properties": {
            "topic": {"type": "string"},
            "when": {
                "type": "object",
                "additionalProperties": False,
                "required": ["start", "zone", "minutes", "until"],
                "properties": {
                    "start": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$"},
                    "zone": {"type": "string"},
                    "minutes": {"type": "integer"},
                    "until": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
                },
            },
            "rule": {"type": ["string", "null"], "pattern": "^RRULE:FREQ="},
            "flags": {"const": [False, True, 3, None]},
            "revision": {"const": "v7"},
        },
    }
)


class TestRest(RestContract):
    """As whoever copies the first example would have it."""

    path = "/api/meetings/{id}"
    link = "https://meet.example.com/r/{id}"

    def build(self, url: str, context: Context) -> Provider:
        state = {"title": "{title}", "start": "{start_utc}", "end": "{end_utc}"}
        return Rest(
            {
                "url": f"{url}/api",
                "recognise": RECOGNISE,
                "headers": {"Authorization": ["Bearer ", Secret("a place", lambda: "SECRET")]},
                "update": {"path": "/meetings/{conference_id}", "body": state},
                "delete": DELETE,
                "read": {**DELETE, "title": "title", "start": "start", "end": "end"},
            },
            context,
        )


class TestRestWithoutReading(TestRest):
    """As long as nothing says how a conference is read, it is told and never asked."""

    def build(self, url: str, context: Context) -> Provider:
        return Rest(
            {
                "url": f"{url}/api",
                "recognise": RECOGNISE,
                "update": {
                    "path": "/meetings/{conference_id}",
                    "body": {"rules": "{recurrence}", "t": "{title}"},
                },
                "delete": DELETE,
            },
            context,
        )


@pytest.fixture
def api() -> Iterator[PlainApi]:
    with PlainApi("SECRET-TOKEN", [ID, "271828182"]) as api:
        yield api


def client(api: PlainApi, **others: object) -> Rest:
    options: dict[str, object] = {
        "url": f"{api.url}/api",
        "recognise": RECOGNISE,
        "headers": {"Authorization": ["Bearer ", Secret("a place", lambda: "SECRET-TOKEN")], "X-From": "us"},
        "update": UPDATE,
        "delete": DELETE,
        "read": READ,
    }
    return Rest({**options, **others}, context(PATIENT_S))


def sent(api: PlainApi, meeting: Meeting = MEETING, **others: object) -> Any:
    client(api, **others).update(TARGET, meeting)
    return api.asked[-1].json


# --- templates ---


def test_a_template_is_filled_leaf_by_leaf_and_values_keep_their_type(api: PlainApi) -> None:
    body = sent(api)
    BODY.validate(body)
    assert body == {
        "topic": MEETING.title,
        "when": {
            "start": "2030-03-04T10:30:00",
            "zone": "Europe/Berlin",
            "minutes": 45,
            "until": "2030-03-04T10:15:00Z",
        },
        "rule": None,
        "flags": [False, True, 3, None],
        "revision": "v7",
    }
    assert api.asked[-1].headers["x-from"] == "us"
    assert api.asked[-1].method == "PATCH"


def test_what_holds_a_detail_that_is_not_to_be_told_is_left_out(api: PlainApi) -> None:
    """What a meeting does not have is left alone: else each update, and a doctor's, would empty it."""
    body = {"topic": "{title}", "notes": "Agenda: {agenda}", "people": ["{invitees}", "{title}"]}
    template = {**UPDATE, "body": body, "query": {"notes": "{agenda}", "v": "{version}"}}
    assert sent(api, update=template) == {"topic": MEETING.title, "people": [MEETING.title]}
    assert api.asked[-1].query == {"v": ["7"]}
    told = replace(MEETING, agenda="", invitees=())
    assert sent(api, told, update=template) == {
        "topic": MEETING.title,
        "notes": "Agenda: ",
        "people": [[], MEETING.title],
    }


def test_every_field_stands_for_what_the_document_says(api: PlainApi) -> None:
    rows = dict(re.findall(r"^\| `\{(\w+)\}` \| .+ \| (.+) \|$", PAGE, re.MULTILINE))
    meeting = replace(WEEKLY, title="Weekly", agenda="1. Tea", invitees=("ada@example.com",))
    template = {"path": DELETE["path"], "body": {name: f"{{{name}}}" for name in rows}}
    body = sent(api, meeting, update=template)
    assert body == {name: json.loads(example.strip("`")) for name, example in rows.items()}
    assert set(rows) == FIELDS


def test_a_title_is_only_ever_the_text_it_is(api: PlainApi) -> None:
    """JSON is never put together as text, and what a title looks like is not looked at again."""

    @given(st.text())
    def tell(title: str) -> None:
        body = sent(api, replace(MEETING, title=title))
        assert body["topic"] == title
        BODY.validate(body)

    tell()
    for title in ('", "admin": true, "x": "', "{agenda}", "{{", "\\", "\u2028", "null"):
        assert sent(api, replace(MEETING, title=title))["topic"] == title


def test_a_query_tells_values_as_text_and_leaves_out_what_has_none(api: PlainApi) -> None:
    query = {
        "t": "{title}",
        "m": "{duration_minutes}",
        "d": "{all_day}",
        "r": "{rrule}",
        "k": Secret("a place", lambda: "SECRET"),
        "n": 5,
    }
    client(api, update={**UPDATE, "query": query}).update(TARGET, replace(MEETING, title="a&b=c#d e"))
    assert api.asked[-1].query == {
        "t": ["a&b=c#d e"],
        "m": ["45"],
        "d": ["false"],
        "k": ["SECRET"],
        "n": ["5"],
    }


def test_braces_that_are_no_field_are_written_twice(api: PlainApi) -> None:
    assert sent(api, update={**DELETE, "body": {"topic": "{{{title}}}"}})["topic"] == f"{{{MEETING.title}}}"


def test_an_id_is_one_segment_whatever_it_holds(api: PlainApi) -> None:
    with pytest.raises(Gone):
        client(api).update(replace(TARGET, key=ConferenceKey("rest", f"x/../{ID}?a#b")), MEETING)
    assert api.asked[-1].path == f"/api/meetings/x%2F..%2F{ID}%3Fa%23b"


# --- meetings ---


def test_an_all_day_meeting_begins_when_its_day_does_in_its_zone(api: PlainApi) -> None:
    day = datetime(2030, 3, 4, tzinfo=UTC)
    update = {
        **DELETE,
        "body": {
            "a": "{start_local}",
            "b": "{start_utc}",
            "c": "{end_local}",
            "z": "{time_zone}",
            "d": "{all_day}",
        },
    }
    assert sent(
        api, replace(MEETING, start=day, end=day + timedelta(days=1), all_day=True), update=update
    ) == {
        "a": "2030-03-04T00:00:00",
        "b": "2030-03-03T23:00:00Z",
        "c": "2030-03-05T00:00:00",
        "z": "Europe/Berlin",
        "d": True,
    }


@pytest.mark.parametrize(
    ("length", "minutes"),
    [(timedelta(0), 0), (timedelta(seconds=1), 1), (timedelta(seconds=61), 2), (timedelta(hours=49), 2940)],
)
def test_a_duration_is_whole_minutes_and_never_too_short(
    api: PlainApi, length: timedelta, minutes: int
) -> None:
    assert sent(api, replace(MEETING, end=MEETING.start + length))["when"]["minutes"] == minutes


def test_a_meeting_over_a_change_of_clocks_lasts_as_long_as_it_lasts(api: PlainApi) -> None:
    """In Berlin 2030-03-31 has 23 hours: an all-day meeting of that day has 1380 minutes."""
    day = datetime(2030, 3, 31, tzinfo=UTC)
    body = sent(
        api,
        replace(MEETING, start=day, end=day + timedelta(days=1), all_day=True, recurrence=()),
        update={**DELETE, "body": {"m": "{duration_minutes}", "t": "{title}"}},
    )
    assert body["m"] == 1380


def test_a_series_is_told_in_local_time_so_that_it_keeps_its_hour(api: PlainApi) -> None:
    winter = sent(api, WEEKLY)
    summer = sent(api, replace(WEEKLY, start=MEETING.start + timedelta(days=28, hours=-1)))
    assert winter["when"]["start"][11:] == summer["when"]["start"][11:] == "10:30:00"
    assert winter["rule"] == "RRULE:FREQ=WEEKLY"
    BODY.validate(summer)


def test_a_zone_that_is_not_known_here_makes_it_utc_aloud(api: PlainApi) -> None:
    outcome = client(api).update(TARGET, replace(MEETING, time_zone="Mars/Olympus"))
    when = api.asked[-1].json["when"]
    assert (when["start"], when["zone"]) == ("2030-03-04T09:30:00", "UTC")
    assert "told in UTC" in outcome.note


def test_a_date_that_no_calendar_has_is_not_told(api: PlainApi) -> None:
    last = datetime(9999, 12, 31, 23, 30, tzinfo=UTC)
    with pytest.raises(Unsupported):
        sent(api, replace(MEETING, start=last, end=last, time_zone="Asia/Tokyo"))
    assert api.asked == []


zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "UTC"])
moments = st.integers(631152000, 3786912000).map(lambda second: datetime.fromtimestamp(second, UTC))


def test_every_way_to_tell_a_time_tells_the_same_moment(api: PlainApi) -> None:
    update = {
        **DELETE,
        "body": {n: f"{{{n}}}" for n in ("start_utc", "start_local", "start_unix", "time_zone")},
    }

    @given(moments, zones)
    def tell(start: datetime, zone: str) -> None:
        body = sent(
            api,
            replace(MEETING, start=start, end=start, time_zone=zone),
            update={**update, "body": {**update["body"], "e": "{end_utc}"}},
        )
        local = datetime.fromisoformat(body["start_local"])
        assert datetime.fromisoformat(body["start_utc"]) == start
        assert body["start_unix"] == start.timestamp()
        assert local == start.astimezone(ZoneInfo(zone)).replace(tzinfo=None)

    tell()


# --- what can be told ---


@pytest.mark.parametrize(
    ("body", "applied", "ignored"),
    [
        ({"t": "{title}"}, ("title",), ("time", "recurrence", "agenda")),
        ({"t": "{title}", "s": "{start_utc}"}, ("title",), ("time", "recurrence", "agenda")),
        ({"s": "{start_unix}", "e": "{duration_minutes}"}, ("time",), ("title", "recurrence", "agenda")),
        ({"t": "{title}", "r": "{rrule}"}, ("title", "recurrence"), ("time", "agenda")),
        ({"t": "{title}", "a": "{agenda}"}, ("title", "agenda"), ("time", "recurrence")),
    ],
)
def test_what_is_in_no_template_is_ignored_aloud(
    api: PlainApi, body: Mapping[str, object], applied: tuple[str, ...], ignored: tuple[str, ...]
) -> None:
    rest = client(api, update={**DELETE, "body": body})
    outcome = rest.update(TARGET, replace(WEEKLY, agenda="1. Tea"))
    assert (outcome.applied, outcome.ignored) == (applied, ignored)
    assert rest.capabilities == {*applied, "read"}


@pytest.mark.parametrize(
    "lines", [("RRULE:FREQ=DAILY", "EXDATE:20300305T093000Z"), ("RDATE:20300305T093000Z",)]
)
def test_a_recurrence_that_is_more_than_its_rule_is_ignored_unless_it_is_told_whole(
    api: PlainApi, lines: tuple[str, ...]
) -> None:
    meeting = replace(MEETING, recurrence=lines)
    assert "recurrence" in client(api).update(TARGET, meeting).ignored
    whole = {**DELETE, "body": {"t": "{title}", "rules": "{recurrence}"}}
    assert "recurrence" in client(api, update=whole).update(TARGET, meeting).applied
    assert api.asked[-1].json["rules"] == list(lines)


# --- reading, and what is gone ---


def test_reading_looks_where_the_settings_say(api: PlainApi) -> None:
    rest = client(api)
    rest.update(TARGET, MEETING)
    assert rest.read(TARGET) == Actual(MEETING.title, None, MEETING.end)
    rest.delete(TARGET)
    assert rest.read(TARGET) is None


def test_where_a_conference_is_joined_is_told_if_the_settings_say_where_that_is(api: PlainApi) -> None:
    url = "https://meet.example.com/r/314159265?k=1"
    said = json.dumps(
        {"link": {"url": url}, "meeting": {"topic": "x", "when": {"until": "2030-03-04T10:15:00Z"}}}
    )
    rest = client(api, update={**UPDATE, "join_url": "link.url"}, read={**READ, "join_url": "link.url"})
    assert "join_url" in rest.capabilities
    assert "join_url" not in client(api).capabilities
    api.failures += [Failure(200, body=said), Failure(200, body=said)]
    assert rest.update(TARGET, MEETING).join_url == url
    assert rest.read(TARGET) == Actual("x", None, datetime(2030, 3, 4, 10, 15, tzinfo=UTC), url)
    api.failures.append(Failure(200, body="{}"))
    assert rest.update(TARGET, MEETING).join_url == ""


@pytest.mark.parametrize(
    "told", [{}, {"meeting": []}, {"meeting": {"topic": 5}}, {"meeting": {"topic": "x"}}]
)
def test_what_is_not_where_it_should_be_proves_nothing(api: PlainApi, told: object) -> None:
    api.failures.append(Failure(200, body=json.dumps(told)))
    with pytest.raises(Transient):
        client(api).read(TARGET)


def test_a_time_without_an_offset_proves_nothing(api: PlainApi) -> None:
    api.meetings[ID] = {"topic": "x", "when": {"until": "2030-03-04T10:15:00"}}
    with pytest.raises(Transient):
        client(api).read(TARGET)


def test_without_a_way_to_read_nobody_is_asked(api: PlainApi) -> None:
    rest = Rest(
        {"url": api.url, "recognise": RECOGNISE, "update": UPDATE, "delete": DELETE}, context(PATIENT_S)
    )
    assert "read" not in rest.capabilities
    with pytest.raises(Unsupported):
        rest.read(TARGET)
    assert api.asked == []


def test_the_settings_say_which_statuses_mean_gone(api: PlainApi) -> None:
    rest = client(api, gone=[410, 422])
    api.failures += [Failure(422), Failure(410), Failure(404), Failure(404)]
    assert rest.delete(TARGET) == Outcome(False)
    with pytest.raises(Gone):
        rest.update(TARGET, MEETING)
    for call in (lambda: rest.delete(TARGET), lambda: rest.update(TARGET, MEETING)):
        with pytest.raises(Refused, match="does not mean gone"):
            call()


# --- credentials and host ---


def test_a_new_credential_is_used_at_the_next_call(api: PlainApi) -> None:
    kept = ["SECRET-OLD"]
    rest = client(api, headers={"Authorization": ["Bearer ", Secret("a place", lambda: kept[0])]})
    with pytest.raises(AuthFailed):
        rest.update(TARGET, MEETING)
    kept[0] = "SECRET-TOKEN"
    assert rest.update(TARGET, MEETING).changed


@pytest.mark.parametrize("kept", ["SECRET\r\nX-Evil: 1", "SECRET\n", "SECRÉT", "SECRET\x00"])
def test_a_credential_that_no_header_can_hold_is_told_without_its_text(api: PlainApi, kept: str) -> None:
    rest = client(api, headers={"Authorization": Secret("a place", lambda: kept)})
    with pytest.raises(AuthFailed) as caught:
        rest.update(TARGET, MEETING)
    assert "a place" in str(caught.value)
    assert "SECR" not in str(caught.value)
    assert api.asked == []


def test_no_request_leaves_for_a_host_that_the_settings_do_not_name(api: PlainApi) -> None:
    client(api).update(replace(TARGET, locator="https://evil.example/x"), MEETING)
    api.failures.append(Failure(307, {"Location": "http://169.254.169.254/"}))
    with pytest.raises(Refused):
        client(api).update(TARGET, MEETING)
    assert {asked.headers["host"] for asked in api.asked} == {urlsplit(api.url).netloc}
    assert len(api.asked) == 2


# --- options ---

GOOD: dict[str, object] = {
    "url": "https://rooms.example.com/api",
    "recognise": RECOGNISE,
    "update": UPDATE,
    "delete": DELETE,
}


def body(**leaves: object) -> dict[str, object]:
    return {"update": {**DELETE, "body": {"t": "{title}", **leaves}}}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"url": "http://rooms.example.com"}, "url must begin with https://"),
        ({"updates": {}}, "updates is not an option; did you mean update?"),
        ({"update": []}, "update is not an object."),
        ({"update": {**UPDATE, "bodies": {}}}, "bodies is not a key of update; did you mean body?"),
        ({"update": {**UPDATE, "method": "GET"}}, "update: method is none of PATCH, PUT, POST."),
        ({"delete": {**DELETE, "method": ["X"]}}, "delete: method is none of DELETE, POST"),
        (body(x="{titel}"), "update: {titel} is not a field; did you mean title?"),
        (body(x="{start_time}"), "update: {start_time} is not a field; did you mean start_"),
        (body(x="{title.x}"), "update: {title.x} is not a field; did you mean title?"),
        (body(x="{title!r}"), "update: {title!r} is not a field; did you mean title?"),
        (body(x="{title:>9}"), "update: {title:>9} is not a field"),
        (body(x="{}"), "update: {} is not a field."),
        (body(x="{title"), "update: a text has a brace"),
        (body(x={"deep": ["}"]}), "update: a text has a brace"),
        (body(x="with {invitees}"), "update: {invitees} is a list, and stands alone"),
        (body(x="{start_local}"), "update: local times say nothing without {time_zone}."),
        ({"update": {**UPDATE, "body": []}}, "update: body is not an object."),
        (
            {"update": {**UPDATE, "query": {"x": ["{title}"]}}},
            "update: query is not an object of single values.",
        ),
        (
            {"update": {**UPDATE, "query": {"x": "{invitees}"}}},
            "update: {invitees} is a list, which no query",
        ),
        ({"update": {**UPDATE, "path": "/{conference_id}/{title}"}}, "update: {title} may be in no path"),
        ({"delete": {"path": "/meetings"}}, "delete: it does not say which"),
        ({"delete": {"path": "meetings/{conference_id}"}}, "delete: path is not of the form"),
        ({"delete": {"path": "/../{conference_id}"}}, "delete: path is not of the form"),
        ({"delete": {"path": "/x//{conference_id}"}}, "delete: path is not of the form"),
        ({"delete": {"path": "/x?id={conference_id}"}}, "delete: path is not of the form"),
        (
            {"delete": {**DELETE, "body": {"t": "{title}"}}},
            "delete: {title} is not known when there is no meeting",
        ),
        ({"read": DELETE}, "read: it names none of title, start, end, join_url, time_zone"),
        ({"read": {**DELETE, "title": "a..b"}}, "read: title, start, end, join_url, time_zone are names"),
        ({"read": {**DELETE, "title": 5}}, "read: title, start, end, join_url, time_zone are names"),
        ({"read": {**DELETE, "title": "t", "body": {}}}, "body is not a key of read"),
        ({"update": {**DELETE, "body": {"z": "{time_zone}"}}}, "update: it tells nothing of a meeting"),
        ({"headers": []}, "headers is not an object."),
        ({"headers": {"X": 5}}, "headers: X is not a text, a secret, or a list of them."),
        ({"headers": {"X": []}}, "headers: X is not a text, a secret, or a list of them."),
        ({"headers": {"X": "a\nSECRET"}}, "headers: X is not a text, a secret, or a list of them."),
        ({"headers": {"X Y:": "a"}}, "headers: a name is letters"),
        ({"headers": {"Authorization": "Bearer SECRET"}}, "headers: Authorization must be kept elsewhere"),
        ({"headers": {"X-Api-Key": "SECRET"}}, "headers: X-Api-Key must be kept elsewhere"),
        ({"gone": 404}, "gone is not a list of statuses"),
        ({"gone": [401]}, "gone is not a list of statuses"),
        ({"gone": [True]}, "gone is not a list of statuses"),
        ({"gone": [500]}, "gone is not a list of statuses"),
    ],
)
def test_an_option_that_cannot_work_is_told_in_a_sentence(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Rest({**GOOD, **wrong}, context(1.0))
    assert len(caught.value.problems) == 1, caught.value.problems
    assert sentence in caught.value.problems[0]
    assert "SECRET" not in str(caught.value)


def test_every_missing_option_is_told_at_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        Rest({}, context(1.0))
    assert [p for p in caught.value.problems if "is missing" in p] == [
        f"the option {name} is missing." for name in ("url", "recognise", "update", "delete")
    ]


class NoSecrets:
    call_s = 1.0

    def read(self, name: str) -> str:
        raise AssertionError("no secret is read before the first call")


def test_the_settings_in_the_document_build_the_provider() -> None:
    documents = [json.loads(each) for each in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert documents
    for document in documents:
        for name, chosen in document["providers"].items():
            told = frozenset(chosen.get("tell", ()))
            settings = ProviderSettings(name, chosen["use"], _places(chosen["options"]), told)
            made = Registry([settings], connect_s=1.0, read_s=1.0, secrets=NoSecrets, accounts=dict)
            assert made.rules().providers == {name}


def _places(option: Any) -> Any:
    match option:
        case {"secret": str(name)}:
            return SecretPlace(secret=name)
        case dict():
            return {key: _places(value) for key, value in option.items()}
        case list():
            return [_places(value) for value in option]
    return option
