"""The SQLite store keeps the store's promises, among threads and among processes."""

import multiprocessing
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sync.conference import Applied, Conference, State, Want
from sync.errors import Transient
from sync.ledger import Link
from sync.local import sqlite
from sync.local.clock import SystemClock
from sync.local.sqlite import SqliteStore
from sync.ports import CalendarId, Claimed, Clock, Closing, EnrolledCalendar, WiredCalendar, Wiring
from sync.recognise import ConferenceKey
from tests.clock import ManualClock
from tests.contract.store_contract import (
    CAL,
    GRACE_S,
    LEASE_S,
    MARGIN_S,
    OTHER_CAL,
    StoreContract,
    claimed,
    know,
    put,
    record_of,
)


def opened(path: Path, clock: Clock) -> SqliteStore:
    return SqliteStore(str(path), lease_s=LEASE_S, margin_s=MARGIN_S, grace_s=GRACE_S, clock=clock)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(path: Path, clock: ManualClock) -> SqliteStore:
    return opened(path, clock)


@pytest.fixture
def pass_time(clock: ManualClock) -> Callable[[float], None]:
    return clock.advance


@pytest.fixture
def bill(store: SqliteStore) -> Callable[[], tuple[int, int]]:
    def since_last_asked() -> tuple[int, int]:
        sums = store.reads, store.writes
        store.reset_counts()
        return sums

    return since_last_asked


class TestSqliteStore(StoreContract):
    """All of the contract."""


def test_what_was_written_is_there_after_opening_again(path: Path, clock: ManualClock) -> None:
    first = opened(path, clock)
    know(first, CAL)
    claim = claimed(first)
    again = opened(path, clock)
    assert record_of(again) == claim.record
    assert again.salt() == first.salt()


def test_nothing_is_opened_before_the_first_use(path: Path, store: SqliteStore) -> None:
    assert not path.exists()
    store.calendars()
    assert path.exists()


def test_a_file_that_others_keep_locked_is_a_transient_failure(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE_S", 0.01)
    know(store, CAL)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Transient, match=r"did not answer: database is locked\.$"):
        store.claim(CAL, "worker")
    assert record_of(store).lease.fence == 0, "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    assert claimed(store).hold.fence == 1


def test_a_file_that_cannot_be_opened_is_a_transient_failure(tmp_path: Path, clock: ManualClock) -> None:
    with pytest.raises(Transient):
        opened(tmp_path / "missing" / "store.sqlite", clock).calendars()


def test_wiring_is_read_as_it_was_last_written(store: SqliteStore) -> None:
    rooms = tuple(
        WiredCalendar(slug, CalendarId(f"{slug}@example.org"), paused=slug == "b") for slug in ("a", "b")
    )
    assert store.wired() == Wiring("", ())
    store.wire("https://example.org", rooms)
    assert store.wired() == Wiring("https://example.org", rooms)
    salt = store.salt()
    store.wire("", rooms[:1])
    assert store.wired() == Wiring("", rooms[:1])
    assert store.salt() == salt


def test_several_may_open_a_new_file_at_once(tmp_path: Path, clock: ManualClock) -> None:
    together = threading.Barrier(4)

    def use(number: int) -> bytes:
        together.wait()
        return opened(tmp_path / f"{number}.sqlite", clock).salt()

    with ThreadPoolExecutor(4) as users:
        for number in range(40):
            assert len(set(users.map(use, [number] * 4))) == 1


def test_two_processes_never_hold_one_fence(path: Path) -> None:
    know(opened(path, SystemClock()), CAL)
    with multiprocessing.get_context("spawn").Pool(2) as processes:
        first, second = processes.starmap(fences_of, [(path, "first"), (path, "second")])
    assert first
    assert second
    assert sorted([*first, *second]) == list(range(1, len(first) + len(second) + 1))


def fences_of(path: Path, owner: str) -> list[int]:
    """Claim and close again and again, and tell with which fences."""
    store = opened(path, SystemClock())
    fences: list[int] = []
    while len(fences) < 40:
        claim = store.claim(CAL, owner)
        if isinstance(claim, Claimed):
            fences.append(claim.hold.fence)
            generation = claim.record.generation
            while not store.close(claim.hold, generation, Closing(due_at=0.0, work_at=None)):
                generation = record_of(store).generation
    return fences


def test_what_may_be_forgotten_is_forgotten_after_its_time_and_nothing_else(
    path: Path, clock: ManualClock
) -> None:
    store = opened(path, clock)
    know(store, CAL)
    dropped = Conference(ConferenceKey("acme", "dropped"), CAL, want=Want(2))
    over = replace(dropped, key=ConferenceKey("acme", "over"), applied=Applied(2), state=State.GONE)
    links = [Link(CAL, "live", None, live=True), Link(CAL, "over", None, live=False)]
    hold = claimed(store).hold
    put(store, hold, dropped, over, *links)
    store.close(hold, 0, Closing(clock.now(), None))
    for days, conferences, live in ((89, 2, 2), (2, 1, 1)):
        clock.advance(days * 86400)
        store.close(claimed(store).hold, 0, Closing(clock.now(), None))
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("SELECT count(*) FROM conferences").fetchone() == (conferences,)
            assert file.execute("SELECT count(*) FROM links").fetchone() == (live,)
    assert [each.key.id for each in store.conferences([dropped.key, over.key])] == ["dropped"]
    assert [link.event_id for link in store.live_links(CAL)] == ["live"]


def test_that_a_calendar_was_withdrawn_is_forgotten_when_nothing_earlier_can_arrive(
    path: Path, clock: ManualClock
) -> None:
    store = opened(path, clock)
    know(store, CAL)
    room = EnrolledCalendar(CalendarId("room@example.org"), clock.now() - 1)
    store.enrol(OTHER_CAL, room)
    store.withdraw(CAL, clock.now())
    for days, stands in ((89, False), (2, True)):
        clock.advance(days * 86400)
        store.close(claimed(store).hold, 0, Closing(clock.now(), None))
        assert store.enrol(CAL, room) is stands
    assert list(store.enrolled()) == [room, room]


def test_finding_what_may_be_forgotten_reads_no_other_record(path: Path, clock: ManualClock) -> None:
    know(opened(path, clock), CAL)
    with closing(sqlite3.connect(path)) as file:
        for table in ("links", "conferences", "enrolled_calendars"):
            query = f"DELETE FROM {table} WHERE json_extract(document, '$.forget_at') < 1"
            (plan,) = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {query}")]
            assert f"USING INDEX {table}_over" in plan
