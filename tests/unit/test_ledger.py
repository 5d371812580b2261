"""The ledger: whatever is seen of events, in whatever order, each conference is wanted as its events want it."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sync.codes import Code
from sync.conference import State
from sync.event import Carried, Event, Occurrence, Unreadable
from sync.ledger import Link, Sighting, event_of, in_order, link_of, record, ref_of
from sync.meeting import fingerprint
from sync.recognise import ConferenceKey
from sync.rules import Rules
from tests.unit.builders import (
    DAY,
    DEMO,
    HOUR,
    NOW,
    OTHER,
    RULES,
    Books,
    at,
    cancelled,
    carrying,
    event,
    key,
    occurrence,
    weekly,
)

OCCURRENCE = occurrence().id


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def known() -> Books:
    """Event e1 carries c1, and the provider has been told."""
    books = Books()
    books.record(event())
    books.settle()
    return books


def gist(books: Books) -> dict[str, object]:
    """What a ledger comes to, however it came about: who uses each conference, who leads, what is wanted."""
    return {
        str(each.key): (sorted(each.refs), each.want.fingerprint, each.want.leader)
        for each in books.conferences.values()
    }


# --- Events that carry a conference ---


def test_the_first_event_makes_a_link_and_a_conference(books: Books) -> None:
    assert books.record(event()) == [None]
    link = books.links["cal", "e1"]
    assert (link.conference, link.live, link.end) == (key(), True, NOW + DAY + HOUR)
    assert (books.refs(), books["c1"].home, books["c1"].pending) == ({"cal.e1"}, "cal", True)


def test_a_changed_event_is_told(known: Books) -> None:
    assert known.record(event(start=NOW + 2 * DAY)) == [None]
    assert known["c1"].pending
    assert known.links["cal", "e1"].end == NOW + 2 * DAY + HOUR


def test_an_event_seen_again_unchanged_is_not_told(known: Books) -> None:
    assert known.record(replace(event(), etag='"2"')) == [Code.UNCHANGED]
    assert not known["c1"].pending


def test_ten_replies_of_guests_change_nothing_at_all(known: Books) -> None:
    before = known.everything()
    for reply in range(10):
        known.record(replace(event(), etag=f'"{reply}"'), now=NOW + reply)
    assert known.everything() == before


def test_an_event_that_was_over_when_first_seen_is_left_alone(books: Books) -> None:
    assert books.record(event(start=NOW - DAY - 2 * HOUR)) == [Code.OUT_OF_WINDOW]
    assert books.everything() == ({}, {})


def test_an_event_that_was_just_over_when_first_seen_is_ours(books: Books) -> None:
    assert books.record(event(start=NOW - DAY - HOUR + 1)) == [None]


def test_an_event_that_is_moved_into_the_past_is_told(known: Books) -> None:
    assert known.record(event(start=NOW - 30 * DAY)) == [None]
    assert known.refs() == {"cal.e1"}


def test_a_replaced_conference_goes_and_the_new_one_is_used(known: Books) -> None:
    known.record(event(conference="c2"))
    assert (known["c1"].wanted, known["c1"].dropped_at, set(known["c1"].former)) == (False, NOW, {"cal.e1"})
    assert known.refs("c2") == {"cal.e1"}
    assert known.links["cal", "e1"].conference == key("c2")


# --- Events that do not ---


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (event(conference=None), Code.NO_CONFERENCE),
        (event(conference=None, carried=carrying("other.example/x")), Code.NOT_OURS),
        (event(conference=None, carried=carrying("elsewhere.example/x")), Code.NOT_OURS),
        (event(conference="my/ada"), Code.PERSONAL_ROOM),
        (event(guest=True), Code.GUEST_COPY),
        (cancelled(), Code.NO_CONFERENCE),
        (Unreadable("e1", "start is missing"), Code.MALFORMED),
        (Unreadable("", "it has no id"), Code.MALFORMED),
    ],
)
def test_what_is_none_of_ours_leaves_no_trace(books: Books, seen: Event | Unreadable, why: Code) -> None:
    assert books.record(seen) == [why]
    assert books.everything() == ({}, {})


@pytest.mark.parametrize("replacement", [None, carrying("other.example/x"), carrying("elsewhere.example/x")])
def test_an_event_seen_whole_without_its_conference_lets_it_go(known: Books, replacement: object) -> None:
    assert known.record(event(conference=None, carried=replacement)) == [Code.DETACHED]  # type: ignore[arg-type]
    assert (known["c1"].wanted, known["c1"].dropped_at) == (False, NOW)
    assert not known.links["cal", "e1"].live


def test_an_event_that_is_partly_hidden_keeps_its_conference(known: Books) -> None:
    before = known.everything()
    assert known.record(event(conference=None, title="", whole=False)) == [Code.ACCESS_LOST]
    assert known.everything() == before


def test_an_event_that_makes_no_sense_keeps_its_conference(known: Books) -> None:
    before = known.everything()
    assert known.record(Unreadable("e1", "start is not a time")) == [Code.MALFORMED]
    assert known.everything() == before


def test_a_conference_that_returns_to_its_event_within_the_grace_needs_no_call(known: Books) -> None:
    known.record(event(conference=None))
    assert known.record(event(), now=NOW + 60) == [Code.RESTORED]
    assert (known["c1"].pending, known["c1"].dropped_at) == (False, None)


@pytest.mark.parametrize(
    "rules",
    [
        Rules((DEMO, OTHER), frozenset()),
        Rules((replace(DEMO, personal=r"^/(\w+)$"), OTHER), frozenset({"demo"})),
    ],
    ids=["its provider is configured no more", "it is called a personal room now"],
)
def test_settings_that_disown_a_conference_release_it_and_delete_nothing(known: Books, rules: Rules) -> None:
    known.record(event(), rules=rules)
    assert known.refs() == set()
    assert (known["c1"].dropped_at, known["c1"].pending) == (None, False)


# --- Cancelled events ---


def test_a_cancelled_event_lets_its_conference_go(known: Books) -> None:
    assert known.record(cancelled()) == [Code.DELETION_WAITING]
    assert (known["c1"].wanted, known["c1"].dropped_at) == (False, NOW)


def test_an_event_restored_within_the_grace_with_nothing_changed_needs_no_call(known: Books) -> None:
    known.record(cancelled())
    assert known.record(event(), now=NOW + 60) == [Code.RESTORED]
    assert (known["c1"].wanted, known["c1"].pending, known["c1"].dropped_at) == (True, False, None)


def test_an_event_restored_with_changes_is_told(known: Books) -> None:
    known.record(cancelled())
    assert known.record(event(title="Planning, again"), now=NOW + 60) == [Code.RESTORED]
    assert known["c1"].pending


def test_an_event_deleted_before_its_provider_was_told_still_leaves_a_conference_to_delete(
    books: Books,
) -> None:
    books.record(event())
    books.record(cancelled())
    assert (books["c1"].pending, books["c1"].state) == (True, State.OK)


def test_an_unchanged_event_takes_no_conference_from_the_calendar_that_looks_after_it(books: Books) -> None:
    books.record(event(), calendar="a")
    books.record(event(), calendar="b")
    before = books.everything()
    books.record(event(), calendar="a")
    assert books["c1"].home == "b"
    assert books.everything() == before


def test_of_two_events_with_one_conference_the_first_deletion_drops_nothing(known: Books) -> None:
    known.record(event("e2", start=NOW + 2 * DAY))
    assert known.record(cancelled()) == [Code.SHARED_BY_OTHER_EVENT]
    assert (known.refs(), known["c1"].wanted, known["c1"].dropped_at) == ({"cal.e2"}, True, None)
    assert known.record(cancelled("e2")) == [Code.DELETION_WAITING]


def test_a_copy_shares_the_conference_and_the_later_one_leads(known: Books) -> None:
    assert known.record(event("e2", start=NOW + 2 * DAY)) == [None]
    assert (known.refs(), known["c1"].want.leader) == ({"cal.e1", "cal.e2"}, "cal.e2")


@pytest.mark.parametrize("order", list(permutations(["gone from a", "seen in b"])))
def test_an_event_moved_to_another_calendar_takes_its_conference_along(order: tuple[str, ...]) -> None:
    books = Books()
    books.record(event(), calendar="a")
    for step in order:
        if step == "gone from a":
            books.record(cancelled(), calendar="a")
        else:
            books.record(event(), calendar="b")
    assert (books.refs(), books["c1"].wanted, books["c1"].home) == ({"b.e1"}, True, order[-1][-1])


# --- Guest copies ---


def test_becoming_a_guest_copy_releases_the_conference_and_deletes_nothing(known: Books) -> None:
    assert known.record(event(guest=True)) == [Code.GUEST_COPY]
    assert (known.refs(), known["c1"].pending, known["c1"].dropped_at) == (set(), False, None)


def test_a_guest_deleting_the_copy_that_was_once_ours_deletes_nothing(known: Books) -> None:
    known.record(event(guest=True))
    known.record(cancelled())
    assert (known["c1"].pending, known["c1"].dropped_at) == (False, None)


def test_with_others_using_it_a_released_event_only_stops_counting(known: Books) -> None:
    known.record(event("e2", start=NOW + 2 * DAY))
    known.record(event("e2", start=NOW + 2 * DAY, guest=True))
    assert (known.refs(), known["c1"].want.leader) == ({"cal.e1"}, "cal.e1")


def test_a_series_that_becomes_a_guest_copy_releases_its_occurrences_too(books: Books) -> None:
    books.record(weekly(), occurrence(conference="c2"))
    books.record(weekly(guest=True))
    books.record(cancelled("s"))
    assert (books.refs("c2"), books["c2"].dropped_at) == (set(), None)


def test_an_event_that_is_ours_again_is_told_what_was_missed(known: Books) -> None:
    known.record(event(guest=True))
    known.record(event(title="Renamed meanwhile"))
    assert known["c1"].pending


# --- Series ---


def test_this_and_following_makes_two_series_of_one_conference(books: Books) -> None:
    books.record(weekly("s"))
    books.record(weekly("s", until="20300401"), weekly("s_R20300408T100000", start=NOW + 22 * DAY))
    assert books.refs() == {"cal.s", "cal.s_R20300408T100000"}
    assert books["c1"].want.leader == "cal.s_R20300408T100000"


@pytest.mark.parametrize("order", list(permutations(["s", "s_R1"])))
@pytest.mark.parametrize("at_once", [False, True])
def test_only_the_end_of_both_halves_of_a_split_series_drops_its_conference(
    books: Books, order: tuple[str, str], at_once: bool
) -> None:
    books.record(weekly("s", until="20300401"), weekly("s_R1", start=NOW + 22 * DAY))
    if at_once:
        books.record(*map(cancelled, order))
    else:
        books.record(cancelled(order[0]))
        assert books["c1"].wanted
        books.record(cancelled(order[1]))
    assert not books["c1"].wanted


def test_an_occurrence_with_its_series_conference_speaks_through_its_series(books: Books) -> None:
    assert books.record(occurrence(), weekly()) == [Code.SHARED_BY_OTHER_EVENT, None]
    assert books.refs() == {"cal.s"}


def test_an_occurrence_with_a_conference_of_its_own_is_tracked_apart(books: Books) -> None:
    books.record(weekly(), occurrence(conference="c2"))
    assert (books.refs("c1"), books.refs("c2")) == ({"cal.s"}, {f"cal.{OCCURRENCE}"})
    books.record(cancelled(OCCURRENCE))
    assert (books["c1"].wanted, books["c2"].wanted) == (True, False)


def test_a_cancelled_occurrence_leaves_its_series_its_conference(books: Books) -> None:
    books.record(weekly(), occurrence())
    assert books.record(cancelled(OCCURRENCE)) == [Code.NO_CONFERENCE]
    assert books.refs() == {"cal.s"}


def test_an_occurrence_without_a_conference_leaves_its_series_its_own(books: Books) -> None:
    books.record(weekly(), occurrence(conference=None))
    assert books.refs() == {"cal.s"}


def test_an_occurrence_that_goes_back_to_its_series_conference_lets_its_own_go(books: Books) -> None:
    books.record(weekly(), occurrence(conference="c2"))
    books.record(occurrence())
    assert (books.refs("c1"), books["c2"].wanted) == ({"cal.s"}, False)


@pytest.mark.parametrize("own", ["c1", "c2"], ids=["its series' conference", "one of its own"])
@pytest.mark.parametrize(
    "deliver",
    [
        lambda books, *items: books.record(*items),
        lambda books, *items: books.record(*reversed(items)),
        lambda books, *items: [books.record(item) for item in items],
        lambda books, *items: [books.record(item) for item in reversed(items)],
    ],
    ids=["one batch", "one batch, backwards", "series first", "occurrence first"],
)
def test_a_series_and_its_occurrence_end_the_same_in_whatever_order(
    books: Books, own: str, deliver: Callable[..., object]
) -> None:
    other = Books()
    other.record(weekly(), occurrence(conference=own))
    deliver(books, weekly(), occurrence(conference=own))
    assert gist(books) == gist(other)
    assert books.refs() == {"cal.s"}
    deliver(books, cancelled("s"))
    assert not any(each.wanted for each in books.conferences.values())


def test_a_cancelled_series_drops_all_of_its_occurrences(books: Books) -> None:
    books.record(weekly(), occurrence(conference="c2"))
    books.record(cancelled("s"))
    assert (books["c1"].wanted, books["c2"].wanted) == (False, False)


def test_a_series_of_ours_only_by_its_occurrence_drops_it_when_cancelled(books: Books) -> None:
    books.record(weekly(conference=None), occurrence(conference="c2"))
    assert books.links["cal", "s"].conference is None
    books.record(cancelled("s"))
    assert not books["c2"].wanted


def test_a_cancelled_series_that_is_restored_with_its_occurrences_is_as_before(books: Books) -> None:
    books.record(weekly(), occurrence(conference="c2"))
    books.settle()
    books.record(cancelled("s"))
    books.record(weekly(), occurrence(conference="c2"), now=NOW + 60)
    assert not any(each.pending for each in books.conferences.values())


def test_a_series_that_loses_its_conference_leaves_it_to_an_occurrence_that_kept_it(books: Books) -> None:
    books.record(weekly(), occurrence())
    books.record(weekly(conference=None), occurrence())
    assert books.refs() == {f"cal.{OCCURRENCE}"}


def test_an_occurrence_that_may_have_kept_what_its_series_lost_is_asked_before_a_deletion(
    books: Books,
) -> None:
    books.record(weekly(), occurrence())
    books.record(weekly(conference=None))
    assert set(books["c1"].former) == {"cal.s", f"cal.{OCCURRENCE}"}
    assert books.record(occurrence()) == [Code.RESTORED]


def test_a_series_takes_over_the_conference_of_its_occurrence(books: Books) -> None:
    books.record(weekly(), occurrence(conference="c2"))
    books.record(weekly(conference="c2"))
    assert (books.refs("c2"), books["c1"].wanted) == ({"cal.s"}, False)


def test_series_come_before_their_occurrences() -> None:
    items: list[Event | Unreadable] = [occurrence(), Unreadable("x", "why"), weekly(), cancelled()]
    assert [item.id for item in in_order(items)] == ["x", "s", "e1", OCCURRENCE]


# --- Doubts ---


@pytest.mark.parametrize(
    "seen", [event(), event(guest=True), event(conference=None), cancelled(), Unreadable("e1", "why")]
)
def test_an_event_that_was_seen_is_doubted_no_more(known: Books, seen: Event | Unreadable) -> None:
    known.links["cal", "e1"] = replace(known.links["cal", "e1"], doubted_at=NOW - 5)
    known.record(seen)
    assert known.links["cal", "e1"].doubted_at is None


# --- What is recorded already ---


@pytest.mark.parametrize("seen", [event(), weekly(), weekly(until="20300401"), event(whole=False)])
def test_an_event_that_was_recorded_is_known_by_its_link(books: Books, seen: Event) -> None:
    books.record(seen)
    assert link_of("cal", seen, RULES) == books.links["cal", seen.id]


@pytest.mark.parametrize(
    "seen",
    [
        event(title="Renamed"),
        event(start=NOW + 2 * DAY),
        event(conference="c2"),
        event(conference=None),
        event(conference="my/ada"),
        event(conference=None, carried=replace(carrying("meet.example/c1"), solution_name="Another")),
        event(guest=True),
        weekly("e1"),
        cancelled(),
    ],
)
def test_an_event_that_has_changed_is_not_known_by_its_link(known: Books, seen: Event) -> None:
    assert link_of("cal", seen, RULES) != known.links["cal", "e1"]


@pytest.mark.parametrize(
    "rules", [Rules((DEMO, OTHER), frozenset()), Rules((OTHER,), frozenset({"demo"}))], ids=str
)
def test_an_event_that_other_rules_would_record_otherwise_is_not_known_by_its_link(
    known: Books, rules: Rules
) -> None:
    assert link_of("cal", event(), rules) != known.links["cal", "e1"]


def test_a_series_that_speaks_for_its_occurrences_and_they_themselves_are_not_known_by_their_links(
    books: Books,
) -> None:
    books.record(weekly(), occurrence(conference="c2"))
    assert link_of("cal", weekly(), RULES) != books.links["cal", "s"]
    assert link_of("cal", occurrence(conference="c2"), RULES) is None


def test_an_event_in_doubt_is_not_known_by_its_link(known: Books) -> None:
    doubted = replace(known.links["cal", "e1"], doubted_at=NOW)
    assert link_of("cal", event(), RULES) != doubted


# --- Names ---


@given(st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=1), st.text(min_size=1))
def test_a_ref_names_one_event_of_one_calendar(calendar_key: str, event_id: str) -> None:
    assert event_of(ref_of(calendar_key, event_id)) == (calendar_key, event_id)
    assert Link(calendar_key, event_id, None, live=True).ref == ref_of(calendar_key, event_id)


# --- Reading ---


def test_a_batch_is_read_in_two_requests(known: Books) -> None:
    known.record(event("e2", "c2"))
    ledger, asked = known.open("cal"), []
    inner_links, inner_conferences = ledger._read_links, ledger._read_conferences
    ledger._read_links = lambda ids: asked.append("links") or inner_links(ids)  # type: ignore[func-returns-value]
    ledger._read_conferences = lambda keys: asked.append("conferences") or inner_conferences(keys)  # type: ignore[func-returns-value]
    ledger.prefetch(["e1", "e2", "e3"])
    assert [ledger.link(name) is not None for name in ("e1", "e2", "e3")] == [True, True, False]
    assert ledger.conference(key("c2")) is not None
    assert asked == ["links", "conferences"]


# --- Laws ---

IDS = ("e1", "e2", "e3")
items = st.one_of(
    st.builds(
        event,
        st.sampled_from(IDS),
        st.sampled_from(["c1", "c2", "c3", None]),
        start=st.sampled_from([NOW - 9 * DAY, NOW, NOW + DAY]),
        title=st.sampled_from(["Planning", "Retro"]),
        guest=st.booleans(),
        whole=st.booleans(),
    ),
    st.builds(
        weekly, st.just("s"), st.sampled_from(["c1", "c2", None]), until=st.sampled_from(["", "20300401"])
    ),
    st.builds(occurrence, conference=st.sampled_from(["c1", "c2", None])),
    st.sampled_from([*IDS, "s", OCCURRENCE]).map(cancelled),
    st.builds(Unreadable, st.sampled_from(IDS), st.just("why")),
)
histories = st.lists(items, max_size=6)


@given(histories, items)
def test_an_event_recorded_twice_changes_nothing_the_second_time(history: list[Event], seen: Event) -> None:
    books = Books()
    for item in [*history, seen]:
        books.record(item)
    before = books.everything()
    books.record(seen, now=NOW + HOUR)
    assert books.everything() == before


@given(histories, items, histories, st.sampled_from([RULES, Rules((DEMO, OTHER), frozenset({"other"}))]))
def test_an_event_known_by_its_link_changes_nothing_at_all(
    before: list[Event], seen: Event, after: list[Event], rules: Rules
) -> None:
    """So a full listing need not even read it."""
    books = Books()
    for item in [*before, seen, *after]:
        books.record(item)
    link = link_of("cal", seen, rules) if isinstance(seen, Event) else None
    recorded = books.everything()
    if link is not None and link == books.links.get(("cal", seen.id)):
        assert books.record(seen, now=NOW + HOUR, rules=rules) == [Code.UNCHANGED]
        assert books.everything() == recorded


@given(st.lists(items, max_size=5, unique_by=lambda item: item.id), st.randoms(use_true_random=False))
def test_the_order_of_a_batch_does_not_matter(batch: list[Event], random: object) -> None:
    one, other = Books(), Books()
    shuffled = list(batch)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one.record(*batch)
    other.record(*shuffled)
    assert gist(one) == gist(other)


@given(histories, histories, st.lists(st.booleans(), max_size=12))
def test_calendars_do_not_care_which_of_them_is_recorded_first(
    ours: list[Event], theirs: list[Event], turns: list[bool]
) -> None:
    """With conferences of their own, nothing of two calendars depends on how their passes interleave."""
    apart, mixed = Books(), Books()
    others = [
        replace(item, carried=carrying(f"meet.example/x{item.id[-1]}"))
        if isinstance(item, Event) and item.carried
        else item
        for item in theirs
    ]
    for item in ours:
        apart.record(item, calendar="a")
    for item in others:
        apart.record(item, calendar="b")
    queues = {"a": list(ours), "b": list(others)}
    for calendar in ["ab"[turn] for turn in turns] + ["a"] * len(ours) + ["b"] * len(others):
        if queues[calendar]:
            mixed.record(queues[calendar].pop(0), calendar=calendar)
    assert mixed.everything() == apart.everything()


@given(histories)
def test_no_history_of_refs_outgrows_the_links_that_made_them(history: list[Event]) -> None:
    """Every ref has a live link to its conference, and every live link its ref."""
    books = Books()
    for item in history:
        books.record(item)
    live = {(link.ref, link.conference) for link in books.links.values() if link.live and link.conference}
    assert live == {(name, each.key) for each in books.conferences.values() for name in each.refs}


class AgainstAModel(RuleBasedStateMachine):
    """Three events in each of two calendars share three conferences; a dictionary says who uses what."""

    CALENDARS = st.sampled_from(["a", "b"])
    EVENTS = st.sampled_from(IDS)
    CONFERENCES = st.sampled_from(["c1", "c2", "c3"])
    STARTS = st.sampled_from([NOW - 9 * DAY, NOW, NOW + DAY])

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.seen: dict[str, Event] = {}  # every event that was ever ours, as last seen
        self.uses: dict[str, str] = {}  # ref -> conference: the live whole organizer events
        self.told: dict[str, str] = {}  # what each provider was told last
        self.released: set[str] = set()
        self.versions: dict[ConferenceKey, int] = {}

    def record(self, calendar: str, item: Event) -> None:
        self.books.record(item, calendar=calendar)

    def use(self, calendar: str, item: Event, conference: str) -> None:
        ref = ref_of(calendar, item.id)
        if ref not in self.seen and item.times and item.times.end <= at(NOW - DAY):
            return  # over before it was first seen
        self.seen[ref], self.uses[ref] = item, conference
        self.released.discard(conference)

    @rule(calendar=CALENDARS, name=EVENTS, conference=CONFERENCES, start=STARTS)
    def an_event_is_created_moved_swapped_or_restored(
        self, calendar: str, name: str, conference: str, start: float
    ) -> None:
        item = event(name, conference, start=start)
        self.record(calendar, item)
        self.use(calendar, item, conference)

    @rule(calendar=CALENDARS, name=EVENTS)
    def an_event_is_restored_as_it_was(self, calendar: str, name: str) -> None:
        item = self.seen.get(ref_of(calendar, name))
        if item is not None:
            self.record(calendar, item)
            self.use(calendar, item, item.carried.uris[0].rpartition("/")[2])  # type: ignore[union-attr]

    @rule(calendar=CALENDARS, name=EVENTS)
    def an_event_is_deleted(self, calendar: str, name: str) -> None:
        self.record(calendar, cancelled(name))
        self.uses.pop(ref_of(calendar, name), None)

    @rule(calendar=CALENDARS, name=EVENTS)
    def an_event_loses_its_conference(self, calendar: str, name: str) -> None:
        self.record(calendar, event(name, None))
        self.uses.pop(ref_of(calendar, name), None)

    @rule(calendar=CALENDARS, name=EVENTS, masked=st.booleans())
    def an_event_is_hidden_or_garbled(self, calendar: str, name: str, masked: bool) -> None:
        hidden = event(name, None, title="", whole=False)
        self.books.record(hidden if masked else Unreadable(name, "why"), calendar=calendar)

    @rule(calendar=CALENDARS, name=EVENTS)
    def an_event_becomes_a_guest_copy(self, calendar: str, name: str) -> None:
        self.record(calendar, event(name, guest=True))
        conference = self.uses.pop(ref_of(calendar, name), None)
        if conference is not None and conference not in self.uses.values():
            self.released.add(conference)

    @rule()
    def every_provider_is_told(self) -> None:
        self.books.settle()
        for each in self.books.conferences.values():
            if each.key.id not in self.released:
                self.told[each.key.id] = each.want.fingerprint

    @invariant()
    def refs_are_the_models(self) -> None:
        refs = {name: each.key.id for each in self.books.conferences.values() for name in each.refs}
        assert refs == self.uses

    @invariant()
    def a_conference_is_wanted_exactly_while_an_event_uses_it_or_it_is_released(self) -> None:
        for each in self.books.conferences.values():
            assert each.wanted is (each.key.id in {*self.uses.values(), *self.released})
            assert (each.dropped_at is not None) is not each.wanted

    @invariant()
    def versions_only_grow(self) -> None:
        for each in self.books.conferences.values():
            assert each.want.version >= self.versions.get(each.key, 0)
            self.versions[each.key] = each.want.version

    @invariant()
    def pending_is_what_the_provider_was_not_told(self) -> None:
        for each in self.books.conferences.values():
            told = self.told.get(each.key.id)
            if each.key.id in self.released:
                assert not each.pending
            elif each.wanted:
                assert each.pending is (told != each.want.fingerprint)
            elif told == "":
                assert not each.pending or each.want.version > each.applied.version
            else:
                assert each.pending

    @invariant()
    def a_single_users_shape_is_the_want(self) -> None:
        for each in self.books.conferences.values():
            if len(each.refs) == 1:
                item = self.seen[next(iter(each.refs))]
                assert item.times is not None
                assert each.want.fingerprint == fingerprint(item, item.times)


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


# --- Moved occurrences, for a provider that is told of them ---

TOLD = replace(RULES, occurrences=frozenset({"demo"}))


def changed_occurrence(start: float, original: float = NOW + 8 * DAY) -> Event:
    told = Occurrence("s", f"{at(original):%Y-%m-%dT%H:%M:%SZ}")
    return replace(occurrence(start=start), occurrence=told)


def told_starts(books: Books) -> list[float | None]:
    return [each.start for each in books["c1"].refs["cal.s"].moved.values()]


def test_a_moved_occurrence_brings_a_shared_conference_home(books: Books) -> None:
    books.record(weekly(), rules=TOLD)
    books.record(event(), rules=TOLD, calendar="other")
    books.settle()
    assert books["c1"].home == "other"
    books.record(changed_occurrence(NOW + 3 * DAY), rules=TOLD)
    assert books["c1"].pending
    assert books["c1"].home == "cal"  # whose pass is to tell it: nobody wakes the other


def test_an_occurrence_of_the_past_that_is_made_up_for_later_is_told(books: Books) -> None:
    books.record(weekly(start=NOW - 30 * DAY), rules=TOLD)
    books.record(changed_occurrence(NOW + 2 * DAY, NOW - 3 * DAY), rules=TOLD)
    assert told_starts(books) == [NOW + 2 * DAY]
    books.record(changed_occurrence(NOW + 9 * DAY), rules=TOLD)
    assert told_starts(books) == [NOW + 2 * DAY, NOW + 9 * DAY]


def test_of_very_many_moved_occurrences_the_next_are_told(books: Books) -> None:
    books.record(weekly(), rules=TOLD)
    for week in range(1, 121):
        there = NOW + (1 + 7 * week) * DAY
        books.record(changed_occurrence(there + 2 * HOUR, there), rules=TOLD)
    starts = told_starts(books)
    assert (len(starts), starts[0]) == (100, NOW + 8 * DAY + 2 * HOUR)


def test_a_cancelled_occurrence_that_once_had_a_conference_of_its_own_is_told(books: Books) -> None:
    books.record(weekly(), rules=TOLD)
    there = changed_occurrence(NOW + 3 * DAY)
    books.record(replace(there, carried=carrying("meet.example/c2")), rules=TOLD)
    books.record(there, rules=TOLD)
    assert told_starts(books) == [NOW + 3 * DAY]
    books.record(replace(cancelled(there.id), occurrence=there.occurrence), rules=TOLD)
    assert told_starts(books) == [None]


def test_a_series_that_is_restored_still_knows_its_moved_occurrences(books: Books) -> None:
    books.record(weekly(), rules=TOLD)
    books.record(changed_occurrence(NOW + 3 * DAY), rules=TOLD)
    books.settle()
    books.record(cancelled("s"), rules=TOLD)
    assert books.record(weekly(), rules=TOLD) == [Code.RESTORED]
    assert told_starts(books) == [NOW + 3 * DAY]
    assert not books["c1"].pending


@pytest.mark.parametrize("end", [cancelled("s"), weekly(conference=None, guest=True)])
def test_a_series_with_very_many_occurrences_goes_in_several_transactions(books: Books, end: Event) -> None:
    books.record(weekly())
    for number in range(150):
        books.record(event(f"s_{number}", f"x{number}", series="s"))
    changes: list[int] = []
    while not changes or changes[-1] > 100:
        ledger = books.open("cal")
        record(ledger, end, RULES, NOW, NOW - DAY)
        books.links.update({("cal", name): link for name, link in ledger.changed_links.items()})
        books.conferences.update(ledger.changed_conferences)
        changes.append(ledger.changes)
    assert changes == [120, 120, 62]
    assert not any(link.live for link in books.links.values())


# --- What is remembered for `explain` ---


def seen(books: Books, event_id: str = "e1", calendar: str = "cal") -> tuple[Sighting, ...]:
    return books.links[calendar, event_id].seen


def changed(earlier: Sighting, later: Sighting) -> set[str]:
    return {name for name in later.prints if later.prints[name] != earlier.prints[name]}


def test_each_version_of_an_event_is_remembered_with_what_differs(known: Books) -> None:
    known.record(event(title="Another"), now=NOW + 1)
    known.record(event(title="Another", start=NOW + 2 * DAY), now=NOW + 2)
    first, second, third = seen(known)
    assert [each.at for each in (first, second, third)] == [NOW, NOW + 1, NOW + 2]
    assert changed(first, second) == {"title"}
    assert changed(second, third) == {"start", "end"}


def test_nothing_that_people_wrote_is_remembered(known: Books) -> None:
    assert set(seen(known)[0].prints) == {"title", "start", "end", "time_zone", "all_day", "recurrence"}
    assert all(len(each) == 6 for each in seen(known)[0].prints.values())
    assert "Planning" not in repr(known.everything())


def test_what_a_provider_is_told_beyond_title_and_times_is_remembered_as_well() -> None:
    books, rules = Books(), replace(RULES, details={"demo": frozenset({"agenda"})})
    books.record(replace(event(), agenda="one"), rules=rules)
    books.record(replace(event(), agenda="two"), rules=rules)
    assert changed(*seen(books)) == {"agenda"}


def test_the_rule_that_recognised_a_conference_at_first_is_remembered(known: Books) -> None:
    assert known.links["cal", "e1"].rule == "entry_point"
    known.record(event(title="Another"))
    assert known.links["cal", "e1"].rule == "entry_point"
    known.record(
        event(conference=None, carried=Carried("addOn", "Demo", "c2", "", "", ("https://meet.example/c2",)))
    )
    assert known.links["cal", "e1"].conference == key("c2")
    assert known.links["cal", "e1"].rule == "entry_point"


def test_how_an_event_went_and_came_back_is_remembered(known: Books) -> None:
    known.record(cancelled(), now=NOW + 1)
    known.record(event(), now=NOW + 2)
    assert [each.code for each in seen(known)] == [None, Code.DELETION_WAITING, Code.RESTORED]
    assert seen(known)[1].prints == {}


def test_only_the_last_five_versions_are_remembered(known: Books) -> None:
    for number in range(9):
        known.record(event(title=f"{number}"), now=NOW + number)
    assert [each.at - NOW for each in seen(known)] == [4, 5, 6, 7, 8]


def test_history_alone_is_no_reason_to_write(known: Books) -> None:
    ledger = known.open("cal")
    assert record(ledger, event(), RULES, NOW + 5, NOW - DAY) is Code.UNCHANGED
    assert ledger.changes == 0
    assert hash(known.links["cal", "e1"]) == hash(link_of("cal", event(), RULES))


def test_what_is_known_by_its_id_by_now_keeps_the_rule_of_the_first_time() -> None:
    known = Books()
    known.record(event())
    known.record(event(title="Another", conference=None, carried=Carried("addOn", "Demo", "c1", "", "", ())))
    link = known.links["cal", "e1"]
    assert (link.conference, link.live, len(link.seen)) == (key("c1"), True, 2)
    assert link.rule == "entry_point"
