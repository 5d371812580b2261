"""What somebody asks for is read strictly, and comes through a task as it was."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import enrolment
from sync.enrolment import Enrolment
from sync.errors import Rejected
from sync.recognise import ConferenceKey

ADA = "ada@example.com"
NOW = 1_900_000_000.5


def read(body: Any, caller: str = ADA) -> Enrolment:
    return enrolment.read(body if isinstance(body, bytes) else json.dumps(body).encode(), caller, NOW)


@pytest.mark.parametrize("body", [b"", b" \n", b"{}"])
def test_nothing_asks_for_the_callers_own_calendar(body: bytes) -> None:
    asked = read(body, "Ada@Example.com")
    assert asked == Enrolment(ADA, ADA, NOW)
    assert asked.is_callers_own


def test_the_callers_own_calendar_may_be_named_in_any_case() -> None:
    assert read({"calendar_id": "ADA@example.com"}).is_callers_own
    assert not read({"calendar_id": "bob@example.com"}).is_callers_own


def test_an_event_and_its_conference_come_together() -> None:
    asked = read({"event_id": "e1", "conference": {"provider": "zoom", "id": "123"}})
    assert (asked.event_id, asked.conference) == ("e1", ConferenceKey("zoom", "123"))


WRONG: list[Any] = [
    b"{",
    b"[]",
    b"7",
    b"null",
    b"\xff",
    b"[" * 4000,
    b'{"calendar_id": "a", "calendar_id": "b"}',
    {"calendar": "a"},
    {"calendar_id": 7},
    {"calendar_id": None},
    {"calendar_id": ""},
    {"calendar_id": " "},
    {"calendar_id": "primary"},
    {"calendar_id": "a\nb"},
    {"calendar_id": "\ud800"},
    {"calendar_id": "x" * 1025},
    {"calendar_id": ["a"]},
    {"event_id": "e1"},
    {"conference": {"provider": "zoom", "id": "123"}},
    {"event_id": "e1", "conference": "zoom:123"},
    {"event_id": "e1", "conference": {}},
    {"event_id": "e1", "conference": {"provider": "zoom"}},
    {"event_id": "e1", "conference": {"id": "123"}},
    {"event_id": "e1", "conference": {"provider": "zoom", "id": ""}},
    {"event_id": "e1", "conference": {"provider": "zoom", "id": 123}},
    {"event_id": "e1", "conference": {"provider": "zoom", "id": "x" * 1024}},
    {"event_id": "e1", "conference": {"provider": "Zoom!", "id": "123"}},
    {"event_id": "e1", "conference": {"provider": "zoom", "id": "123", "url": "https://x"}},
    {"event_id": "", "conference": {"provider": "zoom", "id": "123"}},
]


@pytest.mark.parametrize("body", WRONG, ids=lambda body: str(body)[:50])
def test_anything_else_is_refused(body: Any) -> None:
    with pytest.raises(Rejected):
        read(body)


@given(st.binary(max_size=200))
def test_whatever_a_body_holds_it_is_read_or_refused(body: bytes) -> None:
    with suppress(Rejected):
        assert read(body).caller == ADA


IDS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20).filter(
    lambda text: text != "primary"
)
ASKED = st.builds(Enrolment, st.just(ADA), IDS, st.floats(0, 4e9)) | st.builds(
    Enrolment,
    st.just(ADA),
    IDS,
    st.floats(0, 4e9),
    event_id=IDS,
    conference=st.builds(ConferenceKey, st.just("zoom"), IDS),
)


@given(ASKED)
def test_a_task_carries_it_as_it_was(asked: Enrolment) -> None:
    assert enrolment.read_again(enrolment.written(asked)) == asked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"caller": "ada@example.com", "calendar_id": "x"}',
        '{"caller": "ada@example.com", "asked_at": NaN}',
        '{"caller": "ada@example.com", "asked_at": "now"}',
        '{"caller": "ada", "asked_at": 1.0}',
        '{"caller": 7, "asked_at": 1.0}',
        "\ud800",
    ],
)
def test_a_task_that_says_not_who_or_when_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        enrolment.read_again(text)


def test_no_address_is_in_what_a_traceback_shows() -> None:
    assert ADA not in repr(read({"calendar_id": "ADA@example.com"}))
