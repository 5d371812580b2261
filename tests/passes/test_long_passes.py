"""A calendar too large for one pass is listed in several; what is recorded is neither written nor read again."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
import urllib3

from sync.apply import Applied, apply
from sync.cursor import Cursor, SyncToken
from sync.event import Event, Items, Unreadable
from sync.ledger import Ledger, Link
from sync.one_pass import one_pass
from sync.ports import Busy, CalendarId, CalendarRecord, Page, Progress
from sync.pull import Pulled
from sync.tenure import Tenure
from tests.passes.conftest import GRACE_S, LEASE_S, ME, Town, conferencing

T = TypeVar("T")

BATCH = 3  # events a transaction, in these tests
COMMIT_S = 45.0  # of a transaction that writes links: four and a last one are the share of a pass
OTHERS = "https://elsewhere.example/j/"


class SlowStore:
    """The store, on a day on which recording takes long; it remembers what was written."""

    def __init__(self, town: Town) -> None:
        self._store = town.store
        self._clock = town.clock
        self.commits = 0
        self.largest = 0  # documents changed in one transaction
        self.written: Counter[str] = Counter()  # links, by event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def change(
        self, hold: Any, body: Callable[[Ledger, float], T], progress: Progress | None = None
    ) -> tuple[T, Any]:
        books: list[Ledger] = []

        def watched(book: Ledger, now: float) -> T:
            books.append(book)
            return body(book, now)

        changed = self._store.change(hold, watched, progress)
        self.commits += 1
        self.largest = max(self.largest, books[-1].changes)
        if books[-1].changed_links:
            self.written.update(list(books[-1].changed_links))
            self._clock.advance(COMMIT_S)
        return changed


class Listed:
    """Google Calendar, with a note of every page that was asked for, and of what happens meanwhile."""

    def __init__(self, town: Town) -> None:
        self._calendar = town.outside.calendar
        self.cursors: list[Cursor] = []
        self.meanwhile: Callable[[], object] = lambda: None  # happens once, while a page is on its way
        self.before_an_answer: Callable[[], object] = lambda: None  # happens whenever an event is asked for
        self.overlooks_all = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calendar, name)

    def get(self, calendar: CalendarId, event_id: str) -> Event | Unreadable:
        self.before_an_answer()
        return self._calendar.get(calendar, event_id)

    def list_page(self, calendar: CalendarId, cursor: Cursor, page_token: str) -> Page:
        self.cursors.append(cursor)
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        page: Page = self._calendar.list_page(calendar, cursor, page_token)
        return replace(page, items=[]) if self.overlooks_all else page


@pytest.fixture
def slow(town: Town, monkeypatch: pytest.MonkeyPatch) -> SlowStore:
    monkeypatch.setattr("sync.pull._BATCH", BATCH)
    store = SlowStore(town)
    town.outside = replace(town.outside, store=store)  # type: ignore[arg-type]
    return store


def fill(town: Town, events: int, carried: Callable[[int], dict[str, Any]] | None = None) -> list[str]:
    """So many meetings at once, each with a conference of ours unless told otherwise; returns their ids."""
    times = {"start": {"dateTime": town.at(24)}, "end": {"dateTime": town.at(25)}}
    ids = []
    with town.simulator.api.lock:
        for n in range(events):
            conference = carried(n) if carried else conferencing(f"c-{n}")
            body = {"summary": f"Meeting {n}", **times, "conferenceData": conference}
            ids.append(town.simulator.world.insert(ME, ME, body, conference_version=bool(conference)).id)
            if not carried:
                town.acme.has[f"c-{n}"] = None
    return ids


def record(town: Town) -> CalendarRecord:
    found = town.store.calendar(town.key)
    assert found is not None
    return found


def looks(town: Town, until: Callable[[], bool], at_most: int) -> int:
    """How many passes it takes. Each is the wake that the one before asked for."""
    for number in range(1, at_most + 1):
        town.look()
        if until():
            return number
        assert not record(town).lease.owner, "the lease is kept"
        wakes = [task.due_at for task in town.queue.tasks if task.due_at >= town.clock.now()]
        assert wakes, "nobody looks again"
        town.clock.advance(min(wakes) - town.clock.now())
    raise AssertionError(f"{at_most} passes were not enough")


def all_told(town: Town, events: int) -> bool:
    return sum(meeting is not None for meeting in town.acme.has.values()) == events


# --- Out of time ---


def test_a_full_listing_of_five_times_what_a_pass_records_ends_and_writes_each_event_once(
    town: Town, slow: SlowStore
) -> None:
    ids = fill(town, 75)
    passes = looks(town, lambda: record(town).bookmark is not None, at_most=7)
    assert passes >= 5
    assert slow.written == dict.fromkeys(ids, 1)


def test_a_changed_calendar_of_five_times_what_a_pass_records_ends_and_writes_each_event_once(
    town: Town, slow: SlowStore
) -> None:
    town.settle()
    before = record(town).bookmark
    ids = fill(town, 75)
    passes = looks(town, lambda: record(town).bookmark != before, at_most=7)
    assert passes >= 5
    assert slow.written == dict.fromkeys(ids, 1)


def test_the_token_is_stored_with_the_last_event_and_not_before(town: Town, slow: SlowStore) -> None:
    ids = fill(town, 75)
    while record(town).bookmark is None:
        written = len(slow.written)
        town.look()
        assert len(slow.written) > written
        town.clock.advance(10)
    assert slow.written.keys() == set(ids)


def test_a_pass_out_of_time_gives_the_lease_back_wakes_the_next_and_says_so(
    town: Town, slow: SlowStore, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(town, 30)
    began = town.clock.now()
    capsys.readouterr()
    town.look()
    after, now = record(town), town.clock.now()
    assert now - began < 300
    assert (after.lease.owner, after.bookmark, after.failures) == ("", None, 0)
    assert after.served == 0
    assert after.due_at <= now
    assert any(now <= task.due_at <= now + 10 for task in town.queue.tasks)
    said = capsys.readouterr().out
    assert '"outcome":"handed_over"' in said
    assert '"severity":"ERROR"' not in said
    assert '"severity":"WARNING"' not in said


def test_a_wake_that_came_during_a_listing_is_not_served_by_a_pass_out_of_time(
    town: Town, slow: SlowStore
) -> None:
    fill(town, 75)
    listed = Listed(town)
    listed.meanwhile = lambda: town.store.claim(town.key, "another")
    town.outside = replace(town.outside, calendar=listed)  # type: ignore[arg-type]
    for _ in range(2):
        town.look()
        assert (record(town).lease.owner, record(town).generation, record(town).served) == ("", 1, 0)
        town.clock.advance(10)


def test_the_pass_that_goes_on_for_one_out_of_time_knows_when_the_notification_came(
    town: Town, slow: SlowStore
) -> None:
    fill(town, 75)
    came_at = town.clock.now() - 3
    one_pass(town.outside, town.policy, town.key, "worker", notified_at=came_at)
    assert [task.notified_at for task in town.queue.tasks] == [came_at]


def test_a_notification_that_came_during_a_pass_is_answered_by_its_next_round(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[float] = []

    def applied(tenure: Tenure, pulled: Pulled) -> Applied:
        answered.append(tenure.notified_at)
        return apply(tenure, pulled)

    monkeypatch.setattr("sync.one_pass.apply", applied)
    came_at = town.clock.now()
    listed = Listed(town)
    listed.meanwhile = lambda: town.store.claim(town.key, "another", notified_at=came_at)
    town.outside = replace(town.outside, calendar=listed)  # type: ignore[arg-type]
    one_pass(town.outside, town.policy, town.key, "worker", notified_at=came_at - 9)
    assert answered == [came_at - 9, came_at]


def test_what_is_recorded_is_applied_before_the_listing_has_ended(town: Town, slow: SlowStore) -> None:
    fill(town, 75)
    town.look()
    assert record(town).bookmark is None
    assert town.calls("update").keys() == {f"c-{n}" for n in range(len(slow.written))}


def test_in_the_end_every_conference_is_told_once(town: Town, slow: SlowStore) -> None:
    fill(town, 75)
    looks(town, lambda: all_told(town, 75), at_most=9)
    town.settle()
    assert town.calls() == {f"c-{n}": 1 for n in range(75)}


def test_a_listing_that_has_not_ended_is_no_listing_to_a_deletion(town: Town, slow: SlowStore) -> None:
    """An event may have been moved to where it did not look."""
    gone = town.meet("dropped")
    town.settle()
    town.act("delete", event=gone)
    town.look()
    fill(town, 75)
    town.clock.advance(GRACE_S + 1)
    town.look()
    assert "dropped" in town.acme.has
    looks(town, lambda: "dropped" not in town.acme.has, at_most=9)


def test_a_wake_during_a_long_listing_does_not_begin_it_again(town: Town) -> None:
    """A busy calendar would never come to the end of it."""
    fill(town, 10)
    town.settle()
    town.fault(expire_tokens=ME)
    listed = Listed(town)
    listed.meanwhile = lambda: town.store.claim(town.key, "another")
    town.outside = replace(town.outside, calendar=listed)  # type: ignore[arg-type]
    town.look()
    # The dead token, the full listing, and from its token on what came meanwhile.
    assert [isinstance(cursor, SyncToken) for cursor in listed.cursors] == [True, False, True]


def test_what_a_full_listing_no_longer_mentions_is_doubted_once_in_however_many_passes(
    town: Town, slow: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.pull._ASKED", 2)
    ids = fill(town, 45)
    looks(town, lambda: record(town).bookmark is not None, at_most=7)
    dead = record(town).bookmark
    slow.written.clear()
    town.fault(expire_tokens=ME)
    with town.simulator.api.lock:
        for event in ids:
            del town.simulator.world.calendars[ME].events[event]
    passes = looks(town, lambda: record(town).bookmark != dead, at_most=7)
    assert passes >= 3
    # Two of each pass answer before they are doubted, and so may a few that the next passes ask first.
    assert set(slow.written) == set(ids)
    assert sum(slow.written.values()) <= len(ids) + 2 * passes
    town.settle(hours=12)
    assert list(town.store.live_links(town.key)) == []


def test_every_doubt_is_asked_about_soon_however_many_there_are(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.pull._ASKED", 2)
    fill(town, 12)
    town.settle()
    town.fault(expire_tokens=ME)
    listed = Listed(town)
    listed.overlooks_all = True
    town.outside = replace(town.outside, calendar=listed)  # type: ignore[arg-type]
    town.look()
    assert len(town.store.doubted_links(town.key, 99)) == 10
    town.settle(hours=0.1)
    assert town.store.doubted_links(town.key, 99) == []


def test_events_that_answer_slowly_by_name_do_not_hold_a_pass(town: Town) -> None:
    """Those it does not come to are doubted, which is a record too: the token need not wait."""
    ids = fill(town, 30)
    town.settle()
    dead = record(town).bookmark
    town.fault(expire_tokens=ME)
    with town.simulator.api.lock:
        for event in ids:
            del town.simulator.world.calendars[ME].events[event]
    listed = Listed(town)
    listed.before_an_answer = lambda: town.clock.advance(20)
    town.outside = replace(town.outside, calendar=listed)  # type: ignore[arg-type]
    began = town.clock.now()
    town.look()
    assert town.clock.now() - began < 300
    assert record(town).bookmark != dead
    town.settle()
    assert list(town.store.live_links(town.key)) == []


def test_the_lease_lasts_while_very_many_links_are_read(town: Town) -> None:
    fill(town, 20)
    town.settle()
    town.fault(expire_tokens=ME)
    store = town.store
    answers: list[object] = []

    class Slow:
        """A tenth of a lease from one link to the next."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def live_links(self, key: str) -> Iterator[Link]:
            for link in store.live_links(key):
                yield link
                town.clock.advance(LEASE_S / 10)
                answers.append(type(store.claim(key, "a thief")))

    town.outside = replace(town.outside, store=Slow())  # type: ignore[arg-type]
    town.look()
    assert answers == [Busy] * 20


# --- What is recorded already ---


def test_a_full_listing_of_an_unchanged_calendar_reads_its_links_and_writes_nothing(town: Town) -> None:
    fill(town, 200)
    town.settle()
    town.fault(expire_tokens=ME)
    town.store.reset_counts()
    town.look()
    assert (town.store.reads, town.store.writes) == (1 + 200, 2)


def test_a_change_that_a_full_listing_finds_among_the_unchanged_is_recorded(town: Town) -> None:
    ids = fill(town, 200)
    town.settle()
    town.fault(expire_tokens=ME)
    town.act("retitle", event=ids[70], title="Moved on")
    town.act("strip_conference", event=ids[90])
    town.act("delete", event=ids[110])
    town.settle()
    meeting = town.acme.has["c-70"]
    assert meeting is not None
    assert meeting.title == "Moved on"
    assert {"c-90", "c-110"}.isdisjoint(town.acme.has)
    assert len(town.acme.has) == 198


def test_what_changes_nothing_is_gone_through_in_longer_and_longer_strides(
    town: Town, slow: SlowStore
) -> None:
    """Conferences of others are in most events of many calendars."""
    fill(town, 1000, lambda n: {"entryPoints": [{"entryPointType": "video", "uri": f"{OTHERS}{n}"}]})
    town.look()
    assert record(town).bookmark is not None
    assert slow.commits <= 10  # and not 334
    assert slow.written == {}


def test_a_long_stride_that_comes_to_changes_is_cut_short(town: Town, slow: SlowStore) -> None:
    """A transaction holds only so many documents."""
    fill(town, 100, lambda n: {"entryPoints": [{"entryPointType": "video", "uri": f"{OTHERS}{n}"}]})
    fill(town, 12)
    town.look()
    assert len(slow.written) == 12
    assert slow.largest <= 2 * BATCH


# --- Counted ---


@pytest.mark.parametrize(("events", "pages"), [(2500, 1), (2501, 2), (5001, 3)])
def test_a_full_listing_asks_for_as_few_pages_as_can_be(town: Town, events: int, pages: int) -> None:
    fill(town, events, lambda _: {})
    town.look()
    assert town.listings() == pages
    assert record(town).bookmark is not None


def test_a_series_that_takes_very_many_conferences_along_goes_in_several_transactions(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.ledger._AT_ONCE", 2)
    store = SlowStore(town)
    town.outside = replace(town.outside, store=store)  # type: ignore[arg-type]
    start = datetime.fromisoformat(town.at(24))
    rule = ["RRULE:FREQ=DAILY;COUNT=9"]
    series = town.meet("", hours=24, recurrence=rule, time_zone="UTC")
    with town.simulator.api.lock:
        for day in range(9):
            there = f"{series}_{start + timedelta(days=day):%Y%m%dT%H%M%SZ}"
            body = {"conferenceData": conferencing(f"c-{day}")}
            town.simulator.world.patch(ME, ME, there, body, conference_version=1)
    town.settle()
    assert len(town.calls("update")) == 9
    store.largest = 0
    town.act("delete", event=series)
    town.look()
    assert store.largest <= 5
    town.settle()
    assert list(town.store.live_links(town.key)) == []


def test_no_page_of_a_listing_outlives_the_next_and_few_events_do(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.pull._KEPT", 2)
    fill(town, 5)
    fill(town, 5001, lambda _: {})
    alive: list[tuple[int, int]] = []
    listed = Listed(town)
    list_page = listed.list_page

    def counted(*asked: Any) -> Any:
        gc.collect()
        kinds = [type(each) for each in gc.get_objects()]
        alive.append((sum(kind in (Page, Items) for kind in kinds), kinds.count(Event)))
        return list_page(*asked)

    listed.list_page = counted  # type: ignore[method-assign]
    town.outside = replace(town.outside, calendar=listed)  # type: ignore[arg-type]
    town.look()
    assert [pages for pages, _ in alive] == [0, 0, 0]
    (_, before), *later = alive  # of other tests' events, some live on
    assert max(events - before for _, events in later) <= 7


def test_no_more_than_so_many_events_of_a_listing_are_kept_and_others_are_asked_for_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.pull._KEPT", 2)
    fill(town, 5)
    town.look()
    journal = urllib3.request("GET", f"{town.simulator.url}/_sim/journal").json()
    assert Counter(each["method"] for each in journal["requests"])["events.get"] == 3
    assert sum(meeting is not None for meeting in town.acme.has.values()) == 5
