"""Records: what is stored comes back as it was, from documents that every store can hold."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync import conference as conferences
from sync import ledger, records
from sync.channel import Channel, ChannelState
from sync.codes import Code
from sync.conference import Applied, Conference, Decided, Decision, Intent, Ref, State, Want
from sync.cursor import Bookmark
from sync.errors import NewerRecord
from sync.lease import Lease
from sync.ledger import Link, Sighting
from sync.meeting import Moved, Reach
from sync.ports import CalendarId, CalendarRecord, Closing, EnrolledCalendar, Progress, WiredCalendar
from sync.recognise import ConferenceKey, Stranger
from sync.records import Document

TEXTS = st.text(max_size=8)
TIMES = st.floats(0, 4e9)
COUNTS = st.integers(0, 2**53)
MAYBE_TIMES = st.none() | TIMES

CALENDAR_IDS = st.builds(CalendarId, TEXTS, TEXTS)
KEYS = st.builds(ConferenceKey, st.sampled_from(["zoom", "demo"]), st.text(min_size=1, max_size=8))
CHANNELS = st.builds(
    Channel,
    TEXTS,
    st.sampled_from(ChannelState),
    TEXTS,
    TEXTS,
    TEXTS,
    TIMES,
    resource_id=TEXTS,
    expires_at=TIMES,
)
CALENDARS = st.builds(
    CalendarRecord,
    key=TEXTS,
    calendar=CALENDAR_IDS,
    label=TEXTS,
    active=st.booleans(),
    frozen=TEXTS,
    bookmark=st.none() | st.builds(Bookmark, TEXTS, TEXTS),
    lease=st.builds(Lease, TEXTS, COUNTS, TIMES),
    generation=COUNTS,
    served=COUNTS,
    due_at=TIMES,
    work_at=MAYBE_TIMES,
    listed_at=TIMES,
    full_at=TIMES,
    access_role=TEXTS,
    failures=COUNTS,
    failed=TEXTS,
    skew_s=st.floats(-9e4, 9e4),
    stranger=st.none() | st.builds(Stranger, TEXTS, TEXTS, TIMES, COUNTS),
    deletions=st.lists(TIMES, max_size=3).map(tuple),
    channels=st.lists(CHANNELS, max_size=3).map(tuple),
)
SIGHTINGS = st.builds(
    Sighting, TIMES, st.none() | st.sampled_from(Code), st.dictionaries(TEXTS, TEXTS, max_size=3)
)
LINKS = st.builds(
    Link,
    calendar_key=TEXTS,
    event_id=TEXTS,
    conference=st.none() | KEYS,
    live=st.booleans(),
    fingerprint=TEXTS,
    end=MAYBE_TIMES,
    exceptions=st.lists(TEXTS, max_size=3).map(tuple),
    doubted_at=MAYBE_TIMES,
    rule=TEXTS,
    seen=st.lists(SIGHTINGS, max_size=3).map(tuple),
)
WANTS = st.builds(Want, COUNTS, TEXTS, TEXTS, TIMES)
DECISIONS = st.builds(Decision, st.sampled_from(Code), TEXTS, TEXTS, TEXTS)
DECIDED = st.builds(Decided, DECISIONS, COUNTS, TIMES, TIMES, COUNTS)
REFS = st.dictionaries(
    TEXTS, st.builds(Ref, TEXTS, st.builds(Reach, TIMES, MAYBE_TIMES, TIMES, st.booleans())), max_size=3
)
CONFERENCES = st.builds(
    Conference,
    key=KEYS,
    home=TEXTS,
    refs=REFS,
    former=REFS,
    want=WANTS,
    applied=st.builds(Applied, COUNTS, TEXTS),
    intent=st.none() | st.builds(Intent, COUNTS, TIMES, WANTS),
    intents=COUNTS,
    attempts=COUNTS,
    not_before=TIMES,
    dropped_at=MAYBE_TIMES,
    verify_at=MAYBE_TIMES,
    verify_until=TIMES,
    state=st.sampled_from(State),
    decisions=st.lists(DECIDED, max_size=5).map(tuple),
)
WIRED = st.builds(WiredCalendar, TEXTS, CALENDAR_IDS, st.booleans())
ENROLLED = st.builds(EnrolledCalendar, CALENDAR_IDS, TIMES, TEXTS)

CALENDAR = CalendarRecord("cal", CalendarId("room@example.org"))
ENROLLED_CALENDAR = EnrolledCalendar(CALENDAR.calendar, 2.0)
CONFERENCE = Conference(ConferenceKey("demo", "1"), home="cal")
LINK = Link("cal", "event", None, live=True)


def stored(document: Document) -> Document:
    """A document as a store gives it back."""
    assert document["schema"] == 1
    assert_every_store_takes(document)
    back: Document = json.loads(json.dumps(document, allow_nan=False))
    return back


def assert_every_store_takes(value: Any) -> None:
    """Firestore: no lists in lists, and nothing that is not plain."""
    match value:
        case dict():
            assert all(type(name) is str for name in value)
            for inner in value.values():
                assert_every_store_takes(inner)
        case list():
            for inner in value:
                assert not isinstance(inner, list)
                assert_every_store_takes(inner)
        case _:
            assert type(value) in (str, int, float, bool, type(None))


@given(CALENDARS)
def test_a_calendar_comes_back_as_it_was(record: CalendarRecord) -> None:
    assert records.calendar_record(stored(records.calendar_document(record))) == record


@given(LINKS)
def test_a_link_comes_back_as_it_was(link: Link) -> None:
    back = records.link(stored(records.link_document(link)))
    assert (back, back.rule, back.seen) == (link, link.rule, link.seen)


@given(CONFERENCES)
def test_a_conference_comes_back_as_it_was(conference: Conference) -> None:
    back = records.conference(stored(records.conference_document(conference)))
    assert (back, back.want.since) == (conference, conference.want.since)


@given(WIRED)
def test_a_wired_calendar_comes_back_as_it_was(wired: WiredCalendar) -> None:
    assert records.wired_calendar(stored(records.wired_calendar_document(wired))) == wired


@given(ENROLLED)
def test_an_enrolled_calendar_comes_back_as_it_was(enrolled: EnrolledCalendar) -> None:
    assert records.enrolled_calendar(stored(records.enrolled_document(enrolled))) == enrolled


@given(TIMES)
def test_of_a_withdrawn_calendar_nothing_is_known_but_when(asked_at: float) -> None:
    document = stored(records.withdrawn_document(asked_at))
    assert records.enrolled_calendar(document) is None
    assert [value for value in document.values() if value] == [1, *([asked_at] if asked_at else [])]


def test_what_was_asked_last_stands() -> None:
    early, late = records.withdrawn_document(1.0), records.enrolled_document(ENROLLED_CALENDAR)
    assert records.supersedes(late, early)
    assert not records.supersedes(early, late)
    assert records.supersedes(late, late)
    assert records.supersedes(early, None)


@given(TEXTS)
def test_the_webhooks_url_comes_back_as_it_was(url: str) -> None:
    assert records.webhook_url(stored(records.webhook_document(url))) == url


@given(st.binary(min_size=32, max_size=32))
def test_the_salt_comes_back_as_it_was(salt: bytes) -> None:
    assert records.salt(stored(records.salt_document(salt))) == salt


@pytest.mark.parametrize(
    ("kind", "read", "document"),
    [
        ("calendar", records.calendar_record, records.calendar_document(CALENDAR)),
        ("link", records.link, records.link_document(Link("cal", "event", None, live=True))),
        ("conference", records.conference, records.conference_document(CONFERENCE)),
        (
            "wired calendar",
            records.wired_calendar,
            records.wired_calendar_document(WiredCalendar("room", CALENDAR.calendar)),
        ),
        ("calendar enrolment", records.enrolled_calendar, records.enrolled_document(ENROLLED_CALENDAR)),
        (
            "calendar enrolment",
            lambda later: records.supersedes(records.withdrawn_document(9.0), later),
            records.enrolled_document(ENROLLED_CALENDAR),
        ),
        ("webhook", records.webhook_url, records.webhook_document("https://example.org")),
        ("salt", records.salt, records.salt_document(bytes(32))),
    ],
)
def test_a_record_of_a_later_version_is_refused_by_name_and_version(
    kind: str, read: Callable[[Document], object], document: Document
) -> None:
    with pytest.raises(
        NewerRecord, match=f"^A {kind} record has schema 7, .* none above 1: deploy a later one"
    ):
        read({**document, "schema": 7})


def test_the_fullest_record_fits_into_a_document_of_every_store() -> None:
    """Firestore takes a mebibyte (quotas: maximum size for a document); ids are as long as Google makes them."""
    decided = Decided(Decision(Code.QUARANTINED, "é" * 200, "update", "unsupported"), 2**40, 4e9, 4e9, 10**6)
    many = conferences.MOVED_KEPT
    moved = {f"2026-01-05T08:{each:02}:00Z": Moved("", 1767600000.0, 1767603600.0) for each in range(many)}
    refs = {
        f"{'k' * 26}.{number:026}": Ref("1:" + "f" * 32, Reach(4e9, 4e9, 3600.0, repeats=True), moved)
        for number in range(max(conferences.REFS_KEPT, conferences.FORMER_KEPT))
    }
    one = dict([next(iter(refs.items()))])
    plain = {name: replace(ref, moved={}) for name, ref in refs.items()}
    fullest = replace(
        CONFERENCE,
        refs=plain | one,
        former=dict([*plain.items()][: conferences.FORMER_KEPT]),
        decisions=(decided,) * conferences.DECISIONS_KEPT,
        locator="l" * 1300,
    )
    assert len(json.dumps(records.conference_document(fullest), ensure_ascii=False).encode()) < 200_000
    prints = dict.fromkeys(("title", "start", "end", "time_zone", "all_day", "recurrence"), "abcdef")
    sighting = Sighting(4e9, Code.SHARED_BY_OTHER_EVENT, prints | {"agenda": "abcdef", "invitees": "abcdef"})
    history = replace(LINK, seen=(sighting,) * ledger.SIGHTINGS_KEPT)
    assert len(json.dumps(records.link_document(history))) < 3_000


# --- Names ---


def test_a_document_is_named_by_what_it_is_about() -> None:
    assert records.link_name("cal", "event_20250324T123000Z") == "cal.event_20250324T123000Z"
    assert records.conference_name(ConferenceKey("zoom", "94812345678")) == "zoom:94812345678"


@pytest.mark.parametrize("event_id", ["a/b", "é", "\ud800", "", " ", "x" * 5000, "~"])
def test_whatever_an_id_holds_its_name_fits_every_store(event_id: str) -> None:
    for name in (
        records.link_name("cal", event_id),
        records.conference_name(ConferenceKey("zoom", event_id)),
    ):
        assert name.isascii()
        assert name.isprintable()
        assert "/" not in name
        assert 0 < len(name) <= 1500


@given(st.text(), st.text())
@example("é", "è")
@example("\ud800", "\ud801")
def test_two_events_never_share_a_name(one: str, other: str) -> None:
    assert (records.link_name("cal", one) == records.link_name("cal", other)) == (one == other)


# --- How a calendar's record moves ---


def test_a_held_calendar_is_due_soon_after_its_lease() -> None:
    record = records.held(replace(CALENDAR, due_at=1.0), Lease("me", 4, renewed_at=100.0), lease_s=90.0)
    assert record.lease.fence == 4
    assert 190.0 < record.due_at <= 200.0


@pytest.mark.parametrize(("due_at", "expected"), [(500.0, 190.0), (150.0, 150.0)])
def test_a_knock_brings_the_next_look_forward_to_the_end_of_the_lease(due_at: float, expected: float) -> None:
    record = replace(CALENDAR, lease=Lease("me", 4, renewed_at=100.0), due_at=due_at, generation=2)
    knocked = records.knocked(record, lease_s=90.0)
    assert (knocked.generation, knocked.due_at) == (3, expected)


def test_what_progress_does_not_mention_stays() -> None:
    record = replace(
        CALENDAR,
        bookmark=Bookmark("t", "h"),
        listed_at=5.0,
        access_role="owner",
        work_at=9.0,
        deletions=(7.0,),
    )
    assert records.advanced(record, Progress(), now=10.0) == record


def test_what_progress_mentions_is_taken_even_when_it_is_empty() -> None:
    record = replace(CALENDAR, listed_at=5.0, access_role="owner")
    moved = records.advanced(record, Progress(Bookmark("t", "h"), listed_at=0.0, access_role=""), now=10.0)
    assert moved == replace(record, bookmark=Bookmark("t", "h"), listed_at=0.0, access_role="")


@pytest.mark.parametrize(
    ("before", "said", "after"), [(None, 7.0, 7.0), (5.0, 7.0, 5.0), (9.0, 7.0, 7.0), (9.0, None, 9.0)]
)
def test_work_is_brought_forward_and_never_pushed_back(
    before: float | None, said: float | None, after: float | None
) -> None:
    moved = records.advanced(replace(CALENDAR, work_at=before), Progress(work_at=said), now=0.0)
    assert moved.work_at == after


def test_deletions_are_remembered_for_a_day() -> None:
    record = replace(CALENDAR, deletions=(1000.0, 50_000.0))
    moved = records.advanced(record, Progress(deleted_at=90_000.0), now=90_000.0)
    assert moved.deletions == (50_000.0, 90_000.0)


def test_a_closing_is_the_last_word_and_gives_the_lease_back() -> None:
    record = replace(
        CALENDAR, lease=Lease("me", 4, 100.0), generation=3, work_at=5.0, frozen="lost", failures=1
    )
    closing = Closing(due_at=700.0, work_at=None, progress=Progress(access_role="reader"), failures=2)
    assert records.closed(record, 3, closing, now=120.0) == replace(
        record,
        lease=Lease("", 4, 100.0),
        served=3,
        due_at=700.0,
        work_at=None,
        failures=2,
        frozen="",
        access_role="reader",
    )


def test_only_a_full_listing_counts_as_one() -> None:
    full = records.advanced(CALENDAR, Progress(listed_at=5.0, starts_over=True), now=10.0)
    changes = records.advanced(full, Progress(listed_at=7.0), now=10.0)
    assert [(each.listed_at, each.full_at) for each in (full, changes)] == [(5.0, 5.0), (7.0, 5.0)]


def test_a_pass_that_did_not_finish_has_served_nothing_and_forgets_no_work() -> None:
    record = replace(CALENDAR, lease=Lease("me", 4, 100.0), generation=3, served=1, work_at=5.0)
    closed = records.closed(record, 3, Closing(due_at=700.0, work_at=None, finished=False), now=120.0)
    assert (closed.lease.owner, closed.served, closed.due_at, closed.work_at) == ("", 1, 700.0, 5.0)


def test_tending_changes_what_converge_looks_after_and_nothing_else() -> None:
    channel = Channel("id", ChannelState.OPEN, "https://example.org", "k1", "", 1.0)
    record = replace(CALENDAR, bookmark=Bookmark("t", "h"), generation=3, due_at=500.0)
    wish = CalendarRecord("cal", CalendarId("other@example.org"), "room", active=False, channels=(channel,))
    assert records.tended(record, wish, now=100.0) == replace(
        record, calendar=wish.calendar, label="room", active=False, channels=(channel,)
    )


def test_a_calendar_tended_for_the_first_time_is_due_at_once() -> None:
    assert records.tended(None, CALENDAR, now=100.0) == replace(CALENDAR, due_at=100.0)


@pytest.mark.parametrize("work_at", [None, 90.0, 700.0])
def test_a_calendar_that_comes_back_is_looked_at_at_once_and_so_is_what_it_had_left_to_do(
    work_at: float | None,
) -> None:
    gone = replace(CALENDAR, active=False, due_at=500.0, work_at=work_at)
    back = records.tended(gone, CALENDAR, now=100.0)
    assert (back.due_at, back.work_at) == (100.0, 90.0 if work_at == 90.0 else 100.0)


# --- How a conference stands ---

NOW = 1_000_000.0
USE = {"cal.event": Ref("1:a", Reach(0.0, 1.0, 1.0, repeats=False))}
ENDLESS = {"cal.series": Ref("1:b", Reach(0.0, None, 1.0, repeats=True))}


@pytest.mark.parametrize(
    ("conference", "live", "waiting"),
    [
        (replace(CONFERENCE, refs=USE, want=Want(1, "1:a", "cal.event")), 1.0, False),
        (replace(CONFERENCE, refs=USE | ENDLESS, want=Want(1, "1:a", "cal.event")), 253402300799.0, False),
        (replace(CONFERENCE, former=USE, want=Want(2, "")), 0, True),
        (replace(CONFERENCE, former=USE, want=Want(2, ""), state=State.HELD), 0, True),
        (replace(CONFERENCE, former=USE, want=Want(2, ""), approved=True), 0, False),
        (replace(CONFERENCE, former=USE, want=Want(2, ""), counted_at=NOW - 86399), 0, False),
        (replace(CONFERENCE, former=USE, want=Want(2, ""), counted_at=NOW - 86400), 0, True),
        (replace(CONFERENCE, want=Want(2, ""), applied=Applied(2), state=State.GONE), 0, False),
        (replace(CONFERENCE, want=Want(1, "1:a", "cal.event")), 0, False),  # released
    ],
)
def test_a_conference_is_live_while_used_and_waiting_while_its_deletion_is_owed(
    conference: Conference, live: float, waiting: bool
) -> None:
    assert (records.live_until(conference), records.is_waiting(conference, NOW)) == (live, waiting)


# --- What may be forgotten ---


@pytest.mark.parametrize(
    ("item", "needed"),
    [
        (LINK, True),
        (replace(LINK, live=False), False),
        (replace(CONFERENCE, refs=USE, want=Want(1, "1:a", "cal.event"), applied=Applied(1, "1:a")), False),
        (replace(CONFERENCE, refs=USE, want=Want(1, "1:a", "cal.event")), True),  # to be told
        (replace(CONFERENCE, refs={}, want=Want(2)), True),  # to be deleted
        (replace(CONFERENCE, refs={}, want=Want(2), state=State.HELD), True),
        (replace(CONFERENCE, refs={}, want=Want(2), applied=Applied(2), state=State.GONE), False),
        (replace(CONFERENCE, refs={}, want=Want(1, "1:a", "cal.event")), False),  # released
    ],
)
def test_only_what_is_over_is_forgotten_and_only_long_after(item: Link | Conference, needed: bool) -> None:
    at = records.forget_at(item, now=1000.0)
    assert at is None if needed else at is not None and at > 1000.0 + 60 * 86400


@pytest.mark.parametrize("end", [500.0, 1000.0 + 30 * 86400.0, 253402300799.0, None])
def test_what_was_never_deleted_is_forgotten_long_after_it_is_over(end: float | None) -> None:
    use = {"cal.event": Ref("1:a", Reach(0.0, end, 500.0, repeats=end is None))}
    told = replace(CONFERENCE, refs=use, want=Want(1, "1:a", "cal.event"), applied=Applied(1, "1:a"))
    expected = None if end is None or end > 1e11 else max(end, 1000.0) + 90 * 86400.0
    told = replace(told, verify_at=None)
    assert records.forget_at(replace(LINK, end=end), now=1000.0) == expected
    assert records.forget_at(told, now=1000.0) == expected
    assert records.forget_at(replace(told, verify_at=2000.0), now=1000.0) is None
