"""What every store promises. An adapter inherits StoreContract and says, by fixtures, how to reach its store.

`store` is empty, with the leases and the grace below. `clock` is the worker's; `pass_time` lets seconds pass for
it and for the store. `bill` says how many documents were read and written since it was last asked.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sync.account import Account, refused
from sync.channel import Channel, ChannelState
from sync.codes import Code
from sync.conference import Applied, Conference, Decision, Ref, State, Want, decided
from sync.cursor import Bookmark
from sync.errors import LeaseLost, Refused, Transient
from sync.lease import Hold
from sync.ledger import Ledger, Link, Sighting
from sync.meeting import Reach
from sync.ports import (
    Busy,
    CalendarId,
    CalendarRecord,
    Claimed,
    Clock,
    Closing,
    DueCalendar,
    EnrolledCalendar,
    Forgotten,
    Idle,
    Progress,
    Recent,
    Store,
    Tally,
)
from sync.recognise import ConferenceKey, Stranger

LEASE_S = 90.0
MARGIN_S = 20.0
GRACE_S = 3600.0

CAL = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
OTHER_CAL = "bbbbbbbbbbbbbbbbbbbbbbbbbb"
CHANNEL = Channel("id", ChannelState.OPEN, "https://example.org", "k1", "", 1.0)

PassTime = Callable[[float], None]
Bill = Callable[[], tuple[int, int]]


def know(store: Store, *keys: str) -> None:
    for key in keys:
        wish = CalendarRecord(key, CalendarId(f"{key}@example.org"))
        store.tend(key, constantly(wish))


def constantly(wish: CalendarRecord) -> Callable[[CalendarRecord | None, float], CalendarRecord]:
    return lambda *_: wish


def claimed(store: Store, key: str = CAL, owner: str = "worker") -> Claimed:
    answer = store.claim(key, owner)
    assert isinstance(answer, Claimed)
    return answer


def record_of(store: Store, key: str = CAL) -> CalendarRecord:
    record = store.calendar(key)
    assert record is not None
    return record


def due(store: Store, limit: int = 9) -> list[str]:
    return [each.key for each in store.due_calendars(limit)]


def put(store: Store, hold: Hold, *items: Link | Conference, progress: Progress | None = None) -> None:
    def body(ledger: Ledger, _: float) -> None:
        for item in items:
            if isinstance(item, Link):
                ledger.put_link(item)
            else:
                ledger.put_conference(item)

    store.change(hold, body, progress)


def conference(name: str, *, home: str = CAL, pending_until: float | None = None) -> Conference:
    """A conference in use; due at `pending_until`, or else settled."""
    return Conference(
        ConferenceKey("demo", name),
        home,
        refs={f"{home}.{name}": Ref("1:a", Reach(0.0, 1.0, 1.0, repeats=False))},
        want=Want(1, "1:a", f"{home}.{name}"),
        applied=Applied(1, "1:a") if pending_until is None else Applied(),
        not_before=pending_until or 0.0,
    )


def decided_at(item: Conference, at: float) -> Conference:
    return decided(item, at, Decision(Code.UPDATED))


def link(event_id: str, *, live: bool = True, doubted_at: float | None = None) -> Link:
    return Link(CAL, event_id, ConferenceKey("demo", event_id), live, "1:a", doubted_at=doubted_at)


class StoreContract:
    ROUNDS = 20  # of a contest between two workers

    # --- The lease ---

    def test_a_calendar_that_is_not_known_is_idle(self, store: Store) -> None:
        assert store.claim(CAL, "worker") == Idle()
        assert store.calendar(CAL) is None

    def test_a_calendar_that_is_not_active_is_idle(self, store: Store) -> None:
        store.tend(CAL, constantly(CalendarRecord(CAL, CalendarId("room@example.org"), active=False)))
        assert store.claim(CAL, "worker") == Idle()

    def test_a_frozen_calendar_is_looked_at_again(self, store: Store) -> None:
        know(store, CAL)
        store.close(claimed(store).hold, 0, Closing(due_at=0.0, work_at=None, frozen="access lost"))
        assert claimed(store).record.frozen == "access lost"

    def test_a_claim_tells_the_record_as_it_now_stands(self, store: Store) -> None:
        know(store, CAL)
        claim = claimed(store)
        assert claim.record == record_of(store)
        assert claim.hold.is_of(claim.record.lease)
        assert claim.record.lease.renewed_at == claim.now

    def test_every_grant_has_a_greater_fence(self, store: Store, pass_time: PassTime) -> None:
        know(store, CAL)
        first = claimed(store)
        pass_time(LEASE_S)
        second = claimed(store)
        store.close(second.hold, 0, Closing(due_at=0.0, work_at=None))
        third = claimed(store)
        assert first.hold.fence < second.hold.fence < third.hold.fence

    def test_a_lease_ends_by_the_stores_time(self, store: Store, pass_time: PassTime) -> None:
        know(store, CAL)
        first = claimed(store)
        pass_time(LEASE_S - 1)
        busy = store.claim(CAL, "another")
        assert isinstance(busy, Busy)
        assert (busy.fence, busy.ends_at) == (first.hold.fence, first.now + LEASE_S)
        pass_time(1)
        assert isinstance(store.claim(CAL, "another"), Claimed)

    def test_a_holders_share_ends_a_margin_before_its_lease(
        self, store: Store, clock: Clock, pass_time: PassTime
    ) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        assert hold.deadline == pytest.approx(clock.monotonic() + LEASE_S - MARGIN_S)
        for renewed in (store.renew, lambda hold: store.change(hold, lambda *_: None)[1]):
            pass_time(30)
            hold = renewed(hold)
            assert hold.deadline == pytest.approx(clock.monotonic() + LEASE_S - MARGIN_S)

    @pytest.mark.parametrize("way", ["renew", "change"])
    def test_a_renewed_lease_lasts_longer(self, store: Store, pass_time: PassTime, way: str) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        pass_time(LEASE_S - 1)
        store.renew(hold) if way == "renew" else put(store, hold)
        pass_time(LEASE_S - 1)
        assert isinstance(store.claim(CAL, "another"), Busy)

    def test_the_sweep_finds_a_calendar_whose_holder_died_and_none_whose_holder_lives(
        self, store: Store, pass_time: PassTime
    ) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        for stay in (store.renew, lambda hold: store.change(hold, lambda *_: None)[1]):
            pass_time(LEASE_S - 1)
            hold = stay(hold)
        pass_time(LEASE_S - 1)
        assert due(store) == []
        pass_time(LEASE_S)
        assert due(store) == [CAL]

    def test_a_wake_that_finds_the_lease_taken_has_the_sweep_look_when_that_lease_ends(
        self, store: Store, pass_time: PassTime
    ) -> None:
        know(store, CAL)
        claimed(store)
        store.claim(CAL, "another")
        pass_time(LEASE_S - 1)
        assert due(store) == []
        pass_time(1)
        assert due(store) == [CAL]

    def test_a_wake_that_finds_the_lease_taken_is_seen_by_the_closing_write(self, store: Store) -> None:
        know(store, CAL)
        claim = claimed(store)
        for generation in (1, 2):
            busy = store.claim(CAL, "another")
            assert isinstance(busy, Busy)
            assert busy.generation == generation
        before = record_of(store)
        assert not store.close(claim.hold, claim.record.generation, Closing(due_at=0.0, work_at=None))
        assert record_of(store) == before
        assert store.close(claim.hold, 2, Closing(due_at=0.0, work_at=None))
        assert record_of(store).served == 2

    def test_a_wake_whose_generation_was_served_is_idle(self, store: Store) -> None:
        know(store, CAL)
        claim = claimed(store)
        busy = store.claim(CAL, "another")
        assert isinstance(busy, Busy)
        assert isinstance(store.claim(CAL, "another", busy.generation), Busy)
        store.close(claim.hold, busy.generation + 1, Closing(due_at=0.0, work_at=None))
        before = record_of(store)
        assert store.claim(CAL, "another", busy.generation) == Idle()
        assert record_of(store) == before
        assert isinstance(store.claim(CAL, "another", busy.generation + 2), Claimed)

    def test_a_wake_without_a_generation_is_never_served_already(self, store: Store) -> None:
        know(store, CAL)
        store.close(claimed(store).hold, 5, Closing(due_at=0.0, work_at=None))
        assert isinstance(store.claim(CAL, "another"), Claimed)

    # --- When it was last notified ---

    def test_a_claim_keeps_when_the_latest_notification_came(self, store: Store, pass_time: PassTime) -> None:
        know(store, CAL)
        claim = claimed(store)
        assert claim.record.notified_at == 0.0
        first_at = claim.now
        for came_at, latest in ((first_at, first_at), (0.0, first_at), (first_at - 5, first_at)):
            store.close(claim.hold, 0, Closing(due_at=0.0, work_at=None))
            pass_time(1)
            again = store.claim(CAL, "worker", notified_at=came_at)
            assert isinstance(again, Claimed)
            assert again.record.notified_at == record_of(store).notified_at == latest
            claim = again

    def test_a_notification_that_finds_the_lease_taken_is_kept_too(self, store: Store) -> None:
        know(store, CAL)
        claim = claimed(store)
        assert isinstance(store.claim(CAL, "another", notified_at=claim.now), Busy)
        assert record_of(store).notified_at == claim.now
        store.change(claim.hold, lambda *_: None)  # and the holder's writes leave it as it is
        store.close(claim.hold, 1, Closing(due_at=0.0, work_at=None))
        know(store, CAL)
        assert record_of(store).notified_at == claim.now

    def test_no_clock_that_runs_ahead_hides_that_later_notifications_fail(self, store: Store) -> None:
        know(store, CAL)
        claim = store.claim(CAL, "worker", notified_at=4e9)
        assert isinstance(claim, Claimed)
        assert record_of(store).notified_at == claim.now
        assert isinstance(store.claim(CAL, "another", notified_at=4e9), Busy)
        assert record_of(store).notified_at < claim.now + 60

    # --- The fence ---

    @pytest.mark.parametrize("given_back", [False, True])
    @pytest.mark.parametrize(
        "write",
        [
            lambda store, hold: store.renew(hold),
            lambda store, hold: put(
                store, hold, link("e"), conference("e"), progress=Progress(listed_at=1.0)
            ),
            lambda store, hold: store.close(hold, 9, Closing(due_at=1.0, work_at=None)),
        ],
        ids=["renew", "change", "close"],
    )
    def test_who_was_overtaken_writes_nothing(
        self, store: Store, pass_time: PassTime, write: Callable[[Store, Hold], object], given_back: bool
    ) -> None:
        know(store, CAL)
        old = claimed(store).hold
        if given_back:
            store.close(old, 0, Closing(due_at=0.0, work_at=None))
        else:
            pass_time(LEASE_S)
            claimed(store, owner="worker")  # a worker that comes back under the same name is another one
        before = record_of(store)
        with pytest.raises(LeaseLost, match=CAL):
            write(store, old)
        assert record_of(store) == before
        assert list(store.live_links(CAL)) == []
        assert store.conferences([ConferenceKey("demo", "e")]) == []

    def test_a_lease_that_ran_out_but_was_never_granted_again_still_counts(
        self, store: Store, pass_time: PassTime
    ) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        pass_time(LEASE_S + 1)
        put(store, hold, link("e"))
        assert store.close(hold, 0, Closing(due_at=0.0, work_at=None))

    # --- Changes ---

    def test_a_change_writes_links_conferences_and_progress_at_once(self, store: Store) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        progress = Progress(Bookmark("token", "hash"), listed_at=5.0, access_role="owner", deleted_at=None)
        put(store, hold, link("e"), conference("e"), progress=progress)
        record = record_of(store)
        assert (record.bookmark, record.listed_at, record.access_role) == (
            Bookmark("token", "hash"),
            5.0,
            "owner",
        )
        assert list(store.live_links(CAL)) == [link("e")]
        assert store.conferences([ConferenceKey("demo", "e")]) == [conference("e")]

    def test_a_change_that_fails_leaves_no_trace(self, store: Store) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        before = record_of(store)

        def fails(ledger: Ledger, _: float) -> None:
            ledger.put_link(link("e"))
            ledger.put_conference(conference("e"))
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.change(hold, fails, Progress(Bookmark("token", "hash")))
        assert record_of(store) == before
        assert list(store.live_links(CAL)) == []
        assert store.conferences([ConferenceKey("demo", "e")]) == []
        put(store, hold, link("e"))  # and the store goes on as before

    def test_a_change_that_fails_half_way_through_its_writing_leaves_no_trace(self, store: Store) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        cannot_be_stored = replace(conference("e"), state="no such state")  # type: ignore[arg-type]
        with pytest.raises(AttributeError):
            put(store, hold, link("e"), cannot_be_stored)
        assert list(store.live_links(CAL)) == []

    def test_a_change_sees_what_earlier_ones_wrote_and_returns_what_its_body_returns(
        self, store: Store
    ) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        put(store, hold, link("e"), conference("e"))
        seen, hold = store.change(
            hold, lambda ledger, _: (ledger.link("e"), ledger.conference(ConferenceKey("demo", "e")))
        )
        assert seen == (link("e"), conference("e"))
        put(store, hold, replace(link("e"), live=False))
        seen_later, _ = store.change(hold, lambda ledger, _: (ledger.link("e"), ledger.link("unknown")))
        assert seen_later == (link("e", live=False), None)

    def test_a_change_runs_at_the_stores_time(self, store: Store, pass_time: PassTime) -> None:
        know(store, CAL)
        claim = claimed(store)
        pass_time(10)
        now, _ = store.change(claim.hold, lambda _, now: now)
        assert now == pytest.approx(claim.now + 10)

    def test_a_change_sees_the_links_of_its_own_calendar_only(self, store: Store) -> None:
        know(store, CAL, OTHER_CAL)
        put(store, claimed(store).hold, link("e"))
        hold = claimed(store, OTHER_CAL).hold
        assert store.change(hold, lambda ledger, _: ledger.link("e"))[0] is None

    def test_work_is_brought_forward_to_the_soonest_conference_and_never_pushed_back(
        self, store: Store
    ) -> None:
        know(store, CAL)
        claim = claimed(store)
        put(store, claim.hold, conference("late", pending_until=claim.now + 500))
        assert record_of(store).work_at == claim.now + 500
        put(store, claim.hold, conference("settled"), progress=Progress(work_at=claim.now + 300))
        assert record_of(store).work_at == claim.now + 300
        put(
            store,
            claim.hold,
            conference("soon", pending_until=claim.now + 100),
            conference("later", pending_until=claim.now + 400),
            progress=Progress(work_at=claim.now + 200),
        )
        assert record_of(store).work_at == claim.now + 100
        put(store, claim.hold, conference("late", pending_until=claim.now + 900))
        assert record_of(store).work_at == claim.now + 100

    def test_an_unwanted_conference_is_work_when_its_grace_is_over(self, store: Store) -> None:
        know(store, CAL)
        claim = claimed(store)
        dropped = replace(conference("e"), refs={}, want=Want(2, ""), dropped_at=claim.now)
        put(store, claim.hold, dropped)
        assert record_of(store).work_at == claim.now + GRACE_S

    def test_deletions_of_the_last_day_are_remembered(self, store: Store, pass_time: PassTime) -> None:
        know(store, CAL)
        claim = claimed(store)
        put(store, claim.hold, progress=Progress(deleted_at=claim.now))
        pass_time(50_000)
        put(store, claim.hold, progress=Progress(deleted_at=claim.now + 50_000))
        assert record_of(store).deletions == (claim.now, claim.now + 50_000)
        pass_time(50_000)
        put(store, claim.hold)
        assert record_of(store).deletions == (claim.now + 50_000,)

    def test_two_workers_that_change_one_conference_both_count(self, store: Store) -> None:
        know(store, CAL, OTHER_CAL)
        holds = [claimed(store, key).hold for key in (CAL, OTHER_CAL)]
        put(store, holds[0], conference("shared"))
        together = threading.Barrier(2)

        def count(ledger: Ledger, _: float) -> None:
            shared = ledger.conference(ConferenceKey("demo", "shared"))
            assert shared is not None
            ledger.put_conference(replace(shared, attempts=shared.attempts + 1))

        def count_often(hold: Hold) -> None:
            together.wait()
            for _ in range(self.ROUNDS):
                store.change(hold, count)

        with ThreadPoolExecutor(2) as workers:
            list(workers.map(count_often, holds))
        assert store.conferences([ConferenceKey("demo", "shared")])[0].attempts == 2 * self.ROUNDS

    def test_whatever_an_event_id_holds_its_link_is_found_again(self, store: Store) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        odd = [link("a/b"), link("x" * 3000), link("ü" * 1300), link("ends with a dot.")]
        put(store, hold, *odd)
        seen, _ = store.change(hold, lambda ledger, _: [ledger.link(each.event_id) for each in odd])
        assert seen == odd

    def test_whatever_a_conference_id_holds_its_record_is_found_again(self, store: Store) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        odd = [conference(name) for name in (".", "..", "__x__", "a/b", "%2E", "ü✓", "~a", "x" * 1024)]
        put(store, hold, *odd)
        assert [store.conferences([each.key]) for each in odd] == [[each] for each in odd]

    # --- The last word ---

    def test_a_closing_write_says_when_to_look_again_and_gives_the_lease_back(self, store: Store) -> None:
        know(store, CAL)
        claim = claimed(store)
        closing = Closing(
            due_at=claim.now + 700,
            work_at=claim.now + 600,
            progress=Progress(Bookmark("token", "hash"), access_role="reader"),
            failures=2,
            frozen="access lost",
        )
        assert store.close(claim.hold, 0, closing)
        record = record_of(store)
        assert not record.lease.owner
        assert (record.due_at, record.work_at) == (claim.now + 700, claim.now + 600)
        assert (record.failures, record.frozen) == (2, "access lost")
        assert (record.bookmark, record.access_role) == (Bookmark("token", "hash"), "reader")

    def test_an_unfinished_pass_gives_the_lease_back_and_serves_nothing(self, store: Store) -> None:
        know(store, CAL)
        claim = claimed(store)
        busy = store.claim(CAL, "another")
        assert isinstance(busy, Busy)
        put(store, claim.hold, conference("e", pending_until=claim.now + 100))
        assert store.close(claim.hold, 0, Closing(claim.now + 700, None, finished=False, failures=1))
        assert (record_of(store).served, record_of(store).failures) == (0, 1)
        assert record_of(store).work_at == claim.now + 100, "what its changes made due is not forgotten"
        assert isinstance(store.claim(CAL, "another", busy.generation), Claimed)

    # --- What is known ---

    def test_due_conferences_come_longest_due_first_and_only_to_their_home(self, store: Store) -> None:
        know(store, CAL, OTHER_CAL)
        claim = claimed(store)
        later, settled, soon = (
            conference("a", pending_until=claim.now + 200),
            conference("b"),
            conference("c", pending_until=claim.now + 100),
        )
        put(store, claim.hold, later, settled, soon)
        foreign = conference("d", home=OTHER_CAL, pending_until=claim.now + 1)
        put(store, claimed(store, OTHER_CAL).hold, foreign)
        assert store.due_conferences(CAL, claim.now + 99, 9) == []
        assert store.due_conferences(CAL, claim.now + 100, 9) == [soon]
        assert store.due_conferences(CAL, claim.now + 200, 9) == [soon, later]
        assert store.due_conferences(CAL, claim.now + 200, 1) == [soon]
        put(store, claim.hold, replace(soon, applied=Applied(1, "1:a")))
        assert store.due_conferences(CAL, claim.now + 200, 9) == [later]

    def test_the_next_due_conference_is_the_soonest_of_ones_own(self, store: Store) -> None:
        know(store, CAL)
        claim = claimed(store)
        assert store.next_due(CAL) is None
        put(store, claim.hold, conference("a"), conference("b", home=OTHER_CAL, pending_until=claim.now + 1))
        assert store.next_due(CAL) is None
        put(
            store,
            claim.hold,
            conference("c", pending_until=claim.now + 200),
            conference("d", pending_until=claim.now + 100),
        )
        assert store.next_due(CAL) == claim.now + 100

    def test_doubted_links_are_found_until_the_doubt_is_gone(self, store: Store) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        put(store, hold, link("a", doubted_at=20.0), link("b"), link("c", doubted_at=10.0))
        assert store.doubted_links(CAL, 9) == [link("c", doubted_at=10.0), link("a", doubted_at=20.0)]
        assert store.doubted_links(CAL, 1) == [link("c", doubted_at=10.0)]
        assert store.doubted_links(OTHER_CAL, 9) == []
        put(store, hold, link("c"))
        assert store.doubted_links(CAL, 9) == [link("a", doubted_at=20.0)]

    def test_live_links_are_those_of_one_calendar_that_live(self, store: Store) -> None:
        know(store, CAL)
        put(store, claimed(store).hold, link("a"), link("b", live=False), link("c"))
        assert {each.event_id for each in store.live_links(CAL)} == {"a", "c"}
        assert list(store.live_links(OTHER_CAL)) == []

    def test_conferences_are_read_by_key_and_those_not_there_are_left_out(self, store: Store) -> None:
        know(store, CAL)
        put(store, claimed(store).hold, conference("a"), conference("b"))
        keys = [ConferenceKey("demo", name) for name in ("a", "unknown")]
        assert store.conferences(keys) == [conference("a")]
        assert store.conferences([]) == []

    def test_the_tally_counts_what_is_used_and_what_waits_for_its_deletion(self, store: Store) -> None:
        know(store, CAL)
        dropped = replace(conference("c"), refs={}, want=Want(2, ""), dropped_at=1.0)
        over = Ref("1:a", Reach(0.0, 100.0, 100.0, repeats=False))
        for_ever = Ref("1:a", Reach(0.0, None, 1.0, repeats=True))
        put(
            store,
            claimed(store).hold,
            replace(conference("a"), refs={f"{CAL}.a": over, f"{CAL}.b": for_ever}),
            replace(conference("b"), refs={f"{CAL}.b": over}),
            dropped,
            replace(dropped, key=ConferenceKey("demo", "d"), applied=Applied(2), state=State.GONE),
            conference("e", home=OTHER_CAL),
        )
        assert store.tally(CAL, 99.0) == Tally(live=2, waiting=1)
        assert store.tally(CAL, 100.0) == Tally(live=1, waiting=1), "a meeting that is over is not live"
        assert store.tally("unknown", 0.0) == Tally(live=0, waiting=0)

    def test_the_stock_counts_conferences_of_all_calendars_by_how_they_stand(self, store: Store) -> None:
        know(store, CAL, OTHER_CAL)
        states = [State.HELD, State.QUARANTINED, State.QUARANTINED, State.LOST, State.GONE, State.OK]
        standing = [replace(conference(f"c{number}"), state=state) for number, state in enumerate(states)]
        put(store, claimed(store).hold, *standing)
        before = store.stock()
        assert (before.held, before.quarantined, before.lost) == (1, 2, 1)
        elsewhere = replace(conference("d", home=OTHER_CAL), state=State.HELD)
        put(store, claimed(store, OTHER_CAL).hold, elsewhere, conference("due", pending_until=9.0))
        after = store.stock()
        assert (after.held, after.pending) == (2, before.pending + 1)

    def test_due_calendars_are_active_and_come_longest_due_first(
        self, store: Store, pass_time: PassTime
    ) -> None:
        know(store, CAL, OTHER_CAL, "inactive", "future")
        for key, wait in ((CAL, 20.0), (OTHER_CAL, 10.0), ("inactive", 1.0), ("future", 30.0)):
            claim = claimed(store, key)
            store.close(claim.hold, 0, Closing(due_at=claim.now + wait, work_at=None))
        store.tend("inactive", constantly(replace(record_of(store, "inactive"), active=False)))
        assert due(store) == []
        pass_time(20)
        assert due(store) == [OTHER_CAL, CAL]
        assert due(store, 1) == [OTHER_CAL]
        assert {record.key for record in store.calendars()} == {CAL, OTHER_CAL, "inactive", "future"}

    def test_a_due_calendar_says_as_whom_it_is_read_and_when_it_was_last_listed(self, store: Store) -> None:
        store.tend(CAL, constantly(CalendarRecord(CAL, CalendarId("room@example.org", "ada@example.org"))))
        hold = claimed(store).hold
        store.close(hold, 0, Closing(due_at=0.0, work_at=None, progress=Progress(listed_at=7.0)))
        assert store.due_calendars(9) == [DueCalendar(CAL, "ada@example.org", 7.0)]

    # --- Converge ---

    def test_a_calendar_tended_for_the_first_time_is_due_at_once(self, store: Store) -> None:
        def first(record: CalendarRecord | None, _: float) -> CalendarRecord:
            assert record is None
            return CalendarRecord(CAL, CalendarId("room@example.org"), "room", channels=(CHANNEL,))

        store.tend(CAL, first)
        assert due(store) == [CAL]
        assert (record_of(store).label, record_of(store).channels) == ("room", (CHANNEL,))

    def test_a_calendar_that_comes_back_or_is_read_as_somebody_else_is_watched_as_if_nothing_had_failed(
        self, store: Store
    ) -> None:
        failed = CalendarRecord(
            CAL, CalendarId("room@example.org"), unwatchable="400", watch_after=9.0, watch_failures=3
        )
        for wish in (replace(failed, calendar=CalendarId("room@example.org", "ada")), failed):
            store.tend(CAL, constantly(failed))
            before = store.tend(CAL, constantly(failed))
            assert (before.unwatchable, before.watch_after, before.watch_failures) == ("400", 9.0, 3)
            if wish == failed:
                store.tend(CAL, constantly(replace(failed, active=False)))
            after = store.tend(CAL, constantly(wish))
            assert (after.unwatchable, after.watch_after, after.watch_failures) == ("", 0.0, 0)

    def test_tending_and_a_pass_lose_nothing_of_each_other(self, store: Store) -> None:
        know(store, CAL)
        claim = claimed(store)
        put(store, claim.hold, progress=Progress(Bookmark("token", "hash")))
        stale = claim.record

        store.tend(CAL, constantly(replace(stale, label="room", channels=(CHANNEL,))))
        assert record_of(store).bookmark == Bookmark("token", "hash")
        assert store.close(claim.hold, 0, Closing(due_at=0.0, work_at=None))
        record = record_of(store)
        assert (record.label, record.channels) == ("room", (CHANNEL,))
        assert record.bookmark == Bookmark("token", "hash")

    def test_the_salt_is_drawn_once_even_in_a_race(self, store: Store) -> None:
        together = threading.Barrier(4)

        def ask(_: int) -> bytes:
            together.wait()
            return store.salt()

        with ThreadPoolExecutor(4) as workers:
            salts = set(workers.map(ask, range(4)))
        assert salts == {store.salt()}
        assert len(store.salt()) == 32

    # --- What it costs ---

    def test_a_pass_that_finds_nothing_costs_one_read_and_two_writes(self, store: Store, bill: Bill) -> None:
        know(store, CAL)
        bill()
        claim = store.claim(CAL, "worker", notified_at=1.0)
        assert isinstance(claim, Claimed)
        store.close(claim.hold, 0, Closing(due_at=0.0, work_at=None, progress=Progress(listed_at=1.0)))
        assert bill() == (1, 2)

    def test_a_wake_that_was_served_costs_one_read(self, store: Store, bill: Bill) -> None:
        know(store, CAL)
        store.close(claimed(store).hold, 5, Closing(due_at=0.0, work_at=None))
        bill()
        assert store.claim(CAL, "another", 5) == Idle()
        assert bill() == (1, 0)

    def test_a_wake_that_finds_the_lease_taken_costs_one_read_and_one_write(
        self, store: Store, bill: Bill
    ) -> None:
        know(store, CAL)
        claimed(store)
        bill()
        assert isinstance(store.claim(CAL, "another", notified_at=1.0), Busy)
        assert bill() == (1, 1)

    def test_a_change_costs_what_it_reads_and_what_differs(self, store: Store, bill: Bill) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        put(store, hold, link("e"), conference("e"))
        bill()

        def body(ledger: Ledger, _: float) -> None:
            ledger.prefetch(["e", "unknown"])
            ledger.put_link(link("e"))
            ledger.put_conference(replace(conference("e"), attempts=1))

        store.change(hold, body)
        assert bill() == (1 + 3, 1 + 1)

    def test_tending_what_is_as_it_should_be_writes_nothing(self, store: Store, bill: Bill) -> None:
        know(store, CAL)
        bill()
        know(store, CAL)
        assert bill() == (1, 0)

    @pytest.mark.parametrize(("there", "reads"), [(0, 1), (1, 1), (3, 3)])
    def test_a_query_costs_what_it_finds_but_never_nothing(
        self, store: Store, bill: Bill, there: int, reads: int
    ) -> None:
        know(store, CAL)
        put(store, claimed(store).hold, *(link(f"e{number}") for number in range(there)))
        bill()
        assert len(list(store.live_links(CAL))) == there
        assert bill() == (reads, 0)

    def test_sums_cost_as_little_however_much_they_sum_up(self, store: Store, bill: Bill) -> None:
        know(store, CAL)
        put(
            store, claimed(store).hold, *(conference(f"c{number}", pending_until=9.0) for number in range(30))
        )
        bill()
        assert store.tally(CAL, 0.0).live == 30
        assert store.next_due(CAL) is not None
        assert bill() == (2 + 1, 0)
        assert store.stock().pending == 30
        assert bill() == (4, 0)

    def test_who_reads_the_links_may_write_meanwhile(self, store: Store) -> None:
        """Others write too: no reader is held back to the moment at which it began."""
        know(store, CAL, OTHER_CAL)
        hold = claimed(store).hold
        for first in range(0, 1200, 100):
            links = [Link(CAL, f"e{first + number:04}", None, live=True) for number in range(100)]
            put(store, hold, *links)
        seen = 0
        for link in store.live_links(CAL):
            seen += 1
            assert link.live
            if seen % 400 == 1:
                claimed(store, OTHER_CAL, owner=f"worker {seen}")
                hold = store.renew(hold)
                store.tend(OTHER_CAL, constantly(CalendarRecord(OTHER_CAL, CalendarId("x"), label=f"{seen}")))
                record = record_of(store, OTHER_CAL)
                store.close(
                    Hold(OTHER_CAL, record.lease.owner, record.lease.fence, 0.0), 99, Closing(0.0, None)
                )
        assert seen == 1200

    # --- Accounts ---

    def test_an_account_that_was_never_in_trouble_answers(self, store: Store) -> None:
        assert store.account("acme") == Account("acme")

    def test_what_an_account_was_changed_to_stands_for_everybody(self, store: Store) -> None:
        changed = store.change_account("acme", lambda account, now: refused(account, now + 60.0, "acme:c-1"))
        assert changed.refusals == 1
        assert store.account("acme") == changed
        assert store.account("zeta").answers

    def test_changes_of_an_account_at_once_are_all_counted(self, store: Store) -> None:
        def refuse(number: int) -> None:
            store.change_account("acme", lambda account, now: refused(account, now, f"acme:c-{number}"))

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(refuse, range(4)))
        assert store.account("acme").refusals == 4

    def test_an_account_in_order_costs_one_read(self, store: Store, bill: Bill) -> None:
        bill()
        store.account("acme")
        assert bill() == (1, 0)
        store.change_account("acme", lambda account, _: account)
        assert bill() == (1, 0)

    def test_accounts_and_leases_are_of_the_same_time(self, store: Store) -> None:
        know(store, CAL)
        paused = store.change_account("acme", lambda account, now: refused(account, now, "acme:c-1"))
        assert abs(paused.paused_until - claimed(store).now) < 5.0

    def test_an_account_may_have_any_name(self, store: Store) -> None:
        name = "zoom:Übersee / EMEA"
        store.change_account(name, lambda account, now: refused(account, now, "zoom:1"))
        assert store.account(name).refusals == 1
        assert store.account("zoom:Übersee").answers

    # --- Enrolment ---

    def test_no_calendar_is_enrolled_before_one_was(self, store: Store) -> None:
        assert list(store.enrolled()) == []

    def test_an_enrolled_calendar_is_told_until_it_is_withdrawn(self, store: Store) -> None:
        ada = EnrolledCalendar(CalendarId("ada@example.org", "ada@example.org"), 100.0, "a hash")
        room = EnrolledCalendar(CalendarId("room@example.org"), 100.0)
        assert store.enrol(CAL, ada)
        assert store.enrol(OTHER_CAL, room)
        assert list(store.enrolled()) == [ada, room]
        assert store.withdraw(CAL, 101.0)
        assert list(store.enrolled()) == [room]

    def test_an_enrolment_says_anew_what_it_says(self, store: Store) -> None:
        ada = EnrolledCalendar(CalendarId("room@example.org", "ada@example.org"), 100.0, "ada")
        bob = EnrolledCalendar(CalendarId("room@example.org", "bob@example.org"), 200.0, "bob")
        assert store.enrol(CAL, ada)
        assert store.enrol(CAL, bob)
        assert list(store.enrolled()) == [bob]

    def test_what_was_asked_last_stands_however_late_the_rest_arrives(self, store: Store) -> None:
        early = EnrolledCalendar(CalendarId("room@example.org"), 100.0)
        assert store.withdraw(CAL, 200.0)
        assert not store.enrol(CAL, early)
        assert list(store.enrolled()) == []
        late = EnrolledCalendar(CalendarId("room@example.org"), 300.0)
        assert store.enrol(CAL, late)
        assert not store.withdraw(CAL, 200.0)
        assert not store.enrol(CAL, early)
        assert list(store.enrolled()) == [late]

    def test_what_is_said_twice_is_written_once(self, store: Store, bill: Bill) -> None:
        room = EnrolledCalendar(CalendarId("room@example.org"), 100.0)
        bill()
        assert store.enrol(CAL, room)
        assert bill() == (1, 1)
        assert store.enrol(CAL, room)
        assert bill() == (1, 0)
        assert store.withdraw(CAL, 200.0)
        assert store.withdraw(CAL, 200.0)
        assert bill() == (2, 1)

    def test_of_a_race_the_later_word_stands(self, store: Store) -> None:
        def say(number: int) -> None:
            if number % 2:
                store.withdraw(CAL, float(number))
            else:
                store.enrol(CAL, EnrolledCalendar(CalendarId("room@example.org"), float(number)))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(say, (5, 8, 3, 6, 7, 4)))
        assert [each.asked_at for each in store.enrolled()] == [8.0]

    def test_links_that_were_said_and_never_seen_are_told_the_oldest_first(self, store: Store) -> None:
        know(store, CAL, OTHER_CAL)
        late, early = (
            Link(key, "e", ConferenceKey("demo", "e"), live=False, provisional_at=at)
            for key, at in ((CAL, 30.0), (OTHER_CAL, 20.0))
        )
        put(store, claimed(store).hold, late, link("seen"), link("gone", live=False))
        put(store, claimed(store, OTHER_CAL).hold, early)
        assert list(store.provisional_links(31.0, 9)) == [early, late]
        assert list(store.provisional_links(30.0, 9)) == [early]
        assert list(store.provisional_links(31.0, 1)) == [early]

    # --- Deletions that wait ---

    def test_waiting_are_the_unwanted_that_nobody_approved_and_nobody_began_to_delete(
        self, store: Store
    ) -> None:
        know(store, CAL, OTHER_CAL)
        wait = Conference(ConferenceKey("acme", "wait"), CAL, want=Want(2))
        put(
            store,
            claimed(store).hold,
            wait,
            replace(wait, key=ConferenceKey("acme", "held"), state=State.HELD),
            replace(wait, key=ConferenceKey("acme", "approved"), approved=True),
            replace(wait, key=ConferenceKey("acme", "begun"), counted_at=store.now()),
            replace(wait, key=ConferenceKey("acme", "gone"), applied=Applied(2), state=State.GONE),
            replace(wait, key=ConferenceKey("acme", "wanted"), want=Want(2, "1:a", "ref")),
            replace(wait, key=ConferenceKey("acme", "elsewhere"), home=OTHER_CAL),
        )
        found = {each.key.id for each in store.waiting_conferences(CAL, 10)}
        assert found == {"wait", "held"}
        assert store.tally(CAL, 0.0).waiting == 2
        assert len(store.waiting_conferences(CAL, 1)) == 1

    # --- What people ask for ---

    def test_the_stores_time_is_that_of_its_leases(self, store: Store, pass_time: PassTime) -> None:
        know(store, CAL)
        pass_time(10)
        assert store.now() == pytest.approx(claimed(store).now, abs=5.0)

    def test_the_links_of_an_event_are_found_in_every_calendar(self, store: Store) -> None:
        know(store, CAL, OTHER_CAL)
        put(store, claimed(store).hold, link("a", live=False), link("b"))
        elsewhere = replace(link("a"), calendar_key=OTHER_CAL)
        put(store, claimed(store, OTHER_CAL).hold, elsewhere)
        assert {(each.calendar_key, each.live) for each in store.links_of("a")} == {
            (CAL, False),
            (OTHER_CAL, True),
        }
        assert list(store.links_of("unknown")) == []

    def test_the_history_of_a_link_comes_back(self, store: Store) -> None:
        know(store, CAL)
        told = replace(link("a"), rule="own_link", seen=(Sighting(5.0, Code.RESTORED, {"title": "abc123"}),))
        put(store, claimed(store).hold, told)
        [found] = store.links_of("a")
        assert (found.rule, found.seen) == (told.rule, told.seen)

    def test_every_conference_of_a_calendar_is_found(self, store: Store) -> None:
        know(store, CAL)
        put(
            store,
            claimed(store).hold,
            conference("a"),
            conference("b", pending_until=9.0),
            conference("c", home=OTHER_CAL),
        )
        assert {each.key.id for each in store.conferences_of(CAL)} == {"a", "b"}

    def test_unsettled_are_those_that_are_due_some_time_and_those_that_wait_for_a_person(
        self, store: Store
    ) -> None:
        know(store, CAL)
        put(
            store,
            claimed(store).hold,
            conference("settled"),
            conference("pending", pending_until=9.0),
            replace(conference("lost"), state=State.LOST),
            replace(conference("held"), state=State.HELD, refs={}, want=Want(2), dropped_at=1.0),
            replace(conference("quarantined", pending_until=9e9), state=State.QUARANTINED),
            conference("elsewhere", home=OTHER_CAL, pending_until=9.0),
        )
        ours = {"pending", "lost", "held", "quarantined"}
        assert {each.key.id for each in store.unsettled(CAL)} == ours
        assert {each.key.id for each in store.unsettled()} == ours | {"elsewhere"}
        assert {each.key.id for each in store.unsettled("unknown")} == set()

    def test_recent_is_what_was_seen_decided_or_passed_over_after_that_time(
        self, store: Store, pass_time: PassTime
    ) -> None:
        know(store, CAL, OTHER_CAL)
        put(store, claimed(store, OTHER_CAL).hold, conference("never decided"), link("never seen"))
        pass_time(LEASE_S)
        began = store.now()
        claim = claimed(store)
        seen = (Sighting(began - 9, Code.RESTORED), Sighting(began + 1, None))
        told = [decided_at(conference(name), began + s) for name, s in (("early", -1), ("late", 2))]
        put(store, claim.hold, *told, replace(link("seen"), seen=seen), replace(link("old"), seen=seen[:1]))
        recent = store.recent(began)
        assert [each.key for each in recent.calendars] in ([CAL], [])  # to the moment, or a tick later
        assert [(each.event_id, each.seen) for each in recent.links] == [("seen", seen)]
        assert [each.key.id for each in recent.conferences] == ["late"]
        assert [each.key for each in store.recent(began - 5).calendars] == [CAL]
        assert store.recent(began + 9e6) == Recent([], [], [])

    def test_every_account_that_was_in_trouble_is_found(self, store: Store) -> None:
        assert list(store.accounts()) == []
        for name in ("zeta", "acme"):
            store.change_account(name, lambda account, now: refused(account, now, "acme:c-1", "401"))
        assert {each.name: each.why for each in store.accounts()} == {"acme": "401", "zeta": "401"}

    def test_what_a_pass_found_out_about_itself_is_kept(self, store: Store) -> None:
        know(store, CAL)
        seen = Stranger("e", "Acme Kall", 5.0)
        store.close(
            claimed(store).hold,
            0,
            Closing(0.0, None, Progress(stranger=seen), finished=False, failed="no answer", skew_s=7.0),
        )
        record = record_of(store)
        assert (record.failed, record.skew_s, record.stranger) == ("no answer", 7.0, seen)
        store.close(claimed(store).hold, 0, Closing(0.0, None, Progress(stranger=replace(seen, seen_at=6.0))))
        record = record_of(store)
        assert (record.failed, record.skew_s) == ("", 7.0)
        assert record.stranger == replace(seen, seen_at=6.0, number=2)
        store.close(claimed(store).hold, 0, Closing(0.0, None, Progress(starts_over=True)))
        assert record_of(store).stranger is None

    # --- To hand over ---

    def test_what_an_unwired_calendar_has_to_do_goes_to_another_that_uses_it_and_has_a_look_then(
        self, store: Store
    ) -> None:
        know(store, CAL, OTHER_CAL)
        claim = claimed(store)
        use = conference("x").refs[f"{CAL}.x"]
        both = {f"{CAL}.e": use, f"{OTHER_CAL}.e": use}
        due_at = claim.now + 600.0
        owed = replace(conference("owed", pending_until=due_at), refs=both)
        done = replace(conference("done"), refs=both)
        own = conference("own", pending_until=due_at)
        put(store, claim.hold, owed, done, own)
        store.close(claim.hold, 0, Closing(0.0, due_at))
        store.close(claimed(store, OTHER_CAL).hold, 0, Closing(claim.now + 9e4, None))
        unwire(store, CAL)
        assert store.hand_over(CAL, ["nobody"]) == 0
        know(store, CAL)
        store.close(claimed(store).hold, 0, Closing(0.0, due_at))
        unwire(store, CAL)
        generation = record_of(store, OTHER_CAL).generation
        assert store.hand_over(CAL, ["nobody", OTHER_CAL]) == 1
        homes = {each.key.id: each.home for each in store.conferences([owed.key, done.key, own.key])}
        assert homes == {"owed": OTHER_CAL, "done": CAL, "own": CAL}
        heir, left = record_of(store, OTHER_CAL), record_of(store, CAL)
        assert (heir.work_at, heir.due_at) == (due_at, due_at)
        assert heir.generation > generation, "a pass that runs just now goes round again"
        assert (left.work_at, left.lease.owner) == (None, "")
        assert store.hand_over(CAL, [OTHER_CAL]) == 0

    def test_nothing_is_handed_over_while_somebody_looks_after_it(
        self, store: Store, pass_time: PassTime
    ) -> None:
        know(store, CAL, OTHER_CAL)
        use = conference("x").refs[f"{CAL}.x"]
        shared = replace(
            conference("shared", pending_until=5.0), refs={f"{CAL}.e": use, f"{OTHER_CAL}.e": use}
        )
        hold = claimed(store).hold
        put(store, hold, shared)
        assert store.hand_over(CAL, [OTHER_CAL]) == 0, "it is active"
        unwire(store, CAL)
        assert store.hand_over(CAL, [OTHER_CAL]) == 0, "a pass is over it"
        pass_time(LEASE_S)
        assert store.hand_over(CAL, [OTHER_CAL]) == 1
        with pytest.raises(LeaseLost):
            put(store, hold, link("a"))
        assert store.hand_over("unknown", [OTHER_CAL]) == 0

    # --- To forget ---

    def test_a_forgotten_calendar_leaves_nothing(self, store: Store) -> None:
        know(store, CAL)
        claim = claimed(store)
        put(store, claim.hold, link("a"), link("b", live=False), conference("a"), conference("b"))
        store.close(claim.hold, 0, Closing(0.0, None))
        unwire(store, CAL)
        assert store.forget(CAL) == Forgotten(links=2, conferences=2)
        assert store.calendar(CAL) is None
        assert [*store.links_of("a"), *store.links_of("b"), *store.conferences_of(CAL)] == []
        assert store.conferences([ConferenceKey("demo", name) for name in "ab"]) == []
        assert store.forget(CAL) == Forgotten()

    def test_what_another_calendar_uses_or_knows_stays_and_is_looked_after_there(self, store: Store) -> None:
        know(store, CAL, OTHER_CAL)
        use = conference("x").refs[f"{CAL}.x"]
        shared = replace(
            conference("shared", pending_until=0.0), refs={f"{CAL}.e": use, f"{OTHER_CAL}.e": use}
        )
        former = replace(conference("former", home=OTHER_CAL), former={f"{CAL}.e": use})
        alien = conference("alien", home=OTHER_CAL)
        claim = claimed(store)
        put(store, claim.hold, shared, former, alien)
        store.close(claim.hold, 0, Closing(0.0, None))
        store.close(claimed(store, OTHER_CAL).hold, 0, Closing(claim.now + 9e4, None))
        unwire(store, CAL)
        assert store.forget(CAL).conferences == 2
        keys = [each.key for each in (shared, former, alien)]
        left = {each.key.id: each for each in store.conferences(keys)}
        assert all(CAL not in repr(each) for each in left.values())
        assert (left["shared"].home, set(left["shared"].refs)) == (OTHER_CAL, {f"{OTHER_CAL}.e"})
        assert left["alien"] == alien
        work_at = record_of(store, OTHER_CAL).work_at
        assert work_at is not None
        assert work_at <= claim.now + 60, "whoever is given a conference to look after has a look soon"

    def test_a_calendar_that_is_looked_after_is_not_forgotten(self, store: Store) -> None:
        know(store, CAL)
        put(store, claimed(store).hold, link("a"))
        with pytest.raises(Refused, match="unwire it first"):
            store.forget(CAL)
        assert len(store.links_of("a")) == 1

    def test_nothing_is_forgotten_while_a_pass_is_over_it(self, store: Store, pass_time: PassTime) -> None:
        know(store, CAL)
        hold = claimed(store).hold
        unwire(store, CAL)
        with pytest.raises(Transient, match="try again"):
            store.forget(CAL)
        pass_time(LEASE_S)
        store.forget(CAL)
        with pytest.raises(LeaseLost):
            put(store, hold, link("a"))
        assert list(store.links_of("a")) == []


def unwire(store: Store, key: str) -> None:
    store.tend(key, constantly(replace(record_of(store, key), active=False)))
