"""The Firestore store keeps the store's promises on the real emulator, among threads and among processes."""

import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.api_core.exceptions import InvalidArgument
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError
from google.cloud.firestore import Client
from google.cloud.firestore_v1.types import StructuredQuery

from sync import records
from sync.account import refused
from sync.conference import Applied, Conference, State, Want
from sync.errors import LeaseLost, Misconfigured, RateLimited, SyncError, Timeout, Transient
from sync.google import firestore
from sync.google.firestore import FirestoreStore
from sync.ledger import Link
from sync.ports import (
    Busy,
    CalendarId,
    CalendarRecord,
    Claimed,
    Clock,
    Closing,
    Progress,
    WiredCalendar,
    Wiring,
)
from sync.recognise import ConferenceKey
from tests.clock import ManualClock
from tests.contract.emulator import Fault, Wire, emulator, wire_up
from tests.contract.store_contract import (
    CAL,
    GRACE_S,
    LEASE_S,
    MARGIN_S,
    OTHER_CAL,
    StoreContract,
    claimed,
    conference,
    constantly,
    know,
    link,
    put,
    record_of,
    unwire,
)

CLOSING = Closing(due_at=0.0, work_at=None)
KEY = ConferenceKey("demo", "e")


def opened(project: str, clock: Clock) -> FirestoreStore:
    return FirestoreStore(project, "sync", lease_s=LEASE_S, margin_s=MARGIN_S, grace_s=GRACE_S, clock=clock)


@pytest.fixture(scope="session")
def host() -> Iterator[str]:
    with emulator() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store_clock() -> ManualClock:
    """The store's time: another than the worker's, so that a test sees them mixed up."""
    return ManualClock(now=1_700_000_000.0)


@pytest.fixture
def pass_time(clock: ManualClock, store_clock: ManualClock) -> Callable[[float], None]:
    def both(seconds: float) -> None:
        clock.advance(seconds)
        store_clock.advance(seconds)

    return both


@pytest.fixture
def wire(host: str, store_clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    with Wire(host, store_clock.now).open() as wire:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", wire.host)
        yield wire


@pytest.fixture
def project() -> str:
    """Nobody else's: to the emulator, every project is an empty database."""
    return f"test-{uuid.uuid4().hex[:20]}"


@pytest.fixture
def store(wire: Wire, project: str, clock: ManualClock) -> FirestoreStore:
    return opened(project, clock)


@pytest.fixture
def another(store: FirestoreStore, project: str) -> FirestoreStore:
    """The same store as another instance sees it."""
    return opened(project, ManualClock())


@pytest.fixture
def bill(store: FirestoreStore, wire: Wire) -> Callable[[], tuple[int, int]]:
    def since_last_asked() -> tuple[int, int]:
        sums = store.reads, store.writes
        assert sums == (wire.reads, wire.writes), "what it counts is what it is billed"
        store.reset_counts()
        wire.reads = wire.writes = 0
        return sums

    return since_last_asked


class TestFirestoreStore(StoreContract):
    """All of the contract."""

    ROUNDS = 4  # the emulator takes two seconds to see that two transactions wait for each other


# --- What is sent ---


def test_nothing_is_opened_before_the_first_use(
    project: str, clock: ManualClock, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[Client] = []

    def counted(**options: str) -> Client:
        clients.append(Client(**options))
        return clients[-1]

    monkeypatch.setattr(firestore, "Client", counted)
    store = opened(project, clock)
    assert not clients
    store.calendar(CAL)
    store.calendar(CAL)
    assert len(clients) == 1


def test_a_pass_that_finds_nothing_is_three_requests(store: FirestoreStore, wire: Wire) -> None:
    know(store, CAL)
    wire.requests.clear()
    assert store.close(claimed(store).hold, 0, CLOSING)
    assert wire.requests == ["BatchGetDocuments", "Commit", "Commit"]


def test_a_change_is_one_transaction_with_a_request_for_each_kind_of_document(
    store: FirestoreStore, wire: Wire
) -> None:
    know(store, CAL)
    hold = claimed(store).hold
    put(store, hold, link("e"), link("f"), conference("e"), conference("f"))
    wire.requests.clear()
    store.change(hold, lambda ledger, _: ledger.prefetch(["e", "f"]))
    assert wire.requests == ["BeginTransaction", *["BatchGetDocuments"] * 3, "Commit"]


def test_every_request_ends_in_time(store: FirestoreStore, wire: Wire) -> None:
    use_everything(store)
    assert set(wire.requests) == {
        "BatchGetDocuments",
        "BeginTransaction",
        "Commit",
        "Rollback",
        "RunAggregationQuery",
        "RunQuery",
    }
    assert max(wire.timeouts) < 9.0


def use_everything(store: FirestoreStore) -> None:
    store.salt()
    store.wired()
    know(store, CAL)
    hold = store.renew(claimed(store).hold)
    put(store, hold, link("e"), conference("e"))
    with pytest.raises(ZeroDivisionError):
        store.change(hold, lambda *_: 1 // 0)
    store.close(hold, 0, CLOSING)
    store.due_conferences(CAL, 0.0, 1)
    store.next_due(CAL)
    store.doubted_links(CAL, 1)
    list(store.live_links(CAL))
    store.conferences([KEY])
    store.tally(CAL, 0.0)
    store.waiting_conferences(CAL, 1)
    store.recent(0.0)
    store.account("demo")
    store.change_account("demo", lambda account, now: refused(account, now, "demo:e"))
    store.calendars()
    store.due_calendars(1)


def test_all_that_is_billed_is_counted(store: FirestoreStore, bill: Callable[[], tuple[int, int]]) -> None:
    use_everything(store)
    assert bill() == (25, 8)


def test_queries_need_these_indexes_and_no_others(store: FirestoreStore, wire: Wire) -> None:
    use_everything(store)
    needed = {index for query in wire.queries if (index := index_of(query))}
    assert needed == {
        "calendars: active, due_at",
        "links: calendar_key, doubted_at",
        "links: calendar_key, live",
        "conferences: home, due_at",
        "conferences: home, live_until",
        "conferences: home, waiting",
    }


def index_of(query: StructuredQuery) -> str:
    """The composite index that serves a query; none for one that looks at a single field or at none."""
    where = query.where
    filters = where.composite_filter.filters if "composite_filter" in where else [where] if where else []
    equal = StructuredQuery.FieldFilter.Operator.EQUAL
    fields = sorted({each.field_filter.field.field_path for each in filters if each.field_filter.op == equal})
    compared = {each.field_filter.field.field_path for each in filters if each.field_filter.op != equal}
    fields += [order.field.field_path for order in query.order_by] or sorted(compared)
    (collection,) = query.from_
    return f"{collection.collection_id}: {', '.join(fields)}" if len(fields) > 1 else ""


def test_what_is_stored_is_where_terraform_and_people_look_for_it(
    store: FirestoreStore, project: str
) -> None:
    use_everything(store)
    client = Client(project=project, database="sync")
    stored = {
        f"{each.id}/{document.id}" for each in client.collections() for document in each.list_documents()
    }
    assert stored == {
        f"calendars/{CAL}",
        f"links/{CAL}.e",
        "conferences/demo:e",
        "accounts/demo",
        "wiring/salt",
    }
    document = client.document(f"calendars/{CAL}").get().to_dict()
    assert document == records.calendar_document(record_of(store))


def test_what_is_over_carries_the_time_by_which_a_policy_may_remove_it(
    store: FirestoreStore, project: str
) -> None:
    know(store, CAL)
    claim = claimed(store)
    over = Conference(ConferenceKey("demo", "over"), CAL, want=Want(2), applied=Applied(2), state=State.GONE)
    live, gone = (Link(CAL, name, None, live=name == "live") for name in ("live", "gone"))
    put(store, claim.hold, over, replace(over, key=ConferenceKey("demo", "owed"), want=Want(3)), live, gone)
    client = Client(project=project, database="sync")
    in_90_days = datetime.fromtimestamp(claim.now, UTC) + timedelta(days=90)
    for name, due in {
        "conferences/demo:over": True,
        "conferences/demo:owed": False,
        f"links/{CAL}.gone": True,
        f"links/{CAL}.live": False,
    }.items():
        at = client.document(name).get().get("forget_at")
        assert (abs(at - in_90_days) < timedelta(minutes=1)) if due else at is None


def test_that_a_calendar_was_withdrawn_is_kept_for_as_long_as_an_earlier_enrolment_may_arrive(
    store: FirestoreStore, project: str
) -> None:
    store.withdraw(CAL, 1000.0)
    kept = Client(project=project, database="sync").document(f"enrolled_calendars/{CAL}").get()
    assert kept.get("forget_at") == datetime.fromtimestamp(1000.0, UTC) + timedelta(days=90)


@pytest.mark.parametrize("after_acting", [False, True])
def test_who_is_killed_while_it_forgets_a_calendar_forgets_the_rest_when_it_is_asked_again(
    store: FirestoreStore, wire: Wire, monkeypatch: pytest.MonkeyPatch, after_acting: bool
) -> None:
    """At each of its writes, before and after the effect."""
    monkeypatch.setattr(firestore, "_FORGOTTEN_AT_ONCE", 1)
    monkeypatch.setattr(firestore, "_MOST_WRITES", 9)
    know(store, CAL, OTHER_CAL)
    use = conference("x").refs[f"{CAL}.x"]
    shared = replace(conference("shared"), refs={f"{CAL}.e": use, f"{OTHER_CAL}.e": use})
    own = conference("own")
    for cut in range(9):
        store.tend(CAL, lambda _, __: CalendarRecord(CAL, CalendarId("a@example.com")))
        claim = claimed(store)
        put(store, claim.hold, link("a"), own, shared)
        store.close(claim.hold, 0, Closing(0.0, None))
        unwire(store, CAL)
        fail_at_commit(wire, cut, after_acting=after_acting)
        try:
            store.forget(CAL)
            assert cut == 5, "the fence, each conference, the links, the record"
            wire.before.clear()
            break
        except Transient:
            assert store.calendar(CAL) is not None or (cut == 4 and after_acting), "else who could name it?"
        store.forget(CAL)
        assert store.calendar(CAL) is None
        assert [*store.links_of("a"), *store.conferences_of(CAL), *store.conferences([own.key])] == []
        [left] = store.conferences([shared.key])
        assert (left.home, set(left.refs)) == (OTHER_CAL, {f"{OTHER_CAL}.e"})


def fail_at_commit(wire: Wire, number: int, *, after_acting: bool) -> None:
    def next_commit() -> None:
        nonlocal number
        if number:
            number -= 1
            wire.before["Commit"] = next_commit
        else:
            wire.faults.append(Fault("Commit", after_acting=after_acting))

    wire.before["Commit"] = next_commit


def test_wiring_is_read_as_terraform_writes_it(store: FirestoreStore, project: str) -> None:
    rooms = tuple(
        WiredCalendar(slug, CalendarId(f"{slug}@example.org"), paused=slug == "b") for slug in ("a", "b")
    )
    assert store.wired() == Wiring("", ())
    wire_up(project, "https://example.org", rooms)
    assert store.wired() == Wiring("https://example.org", rooms)


def test_a_long_query_comes_in_pages_that_miss_nothing_and_repeat_nothing(
    store: FirestoreStore, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firestore, "_PAGE", 2)
    know(store, CAL)
    put(store, claimed(store).hold, *(link(f"e{number}") for number in range(5)))
    wire.requests.clear()
    assert [each.event_id for each in store.live_links(CAL)] == [f"e{number}" for number in range(5)]
    assert wire.requests == ["RunQuery"] * 3


def test_a_change_of_too_many_documents_is_refused_before_it_is_sent(
    store: FirestoreStore, wire: Wire
) -> None:
    know(store, CAL)
    hold = claimed(store).hold
    wire.requests.clear()
    with pytest.raises(AssertionError, match="401 documents"):
        put(store, hold, *(link(f"e{number}") for number in range(400)))
    assert "Commit" not in wire.requests
    put(store, hold, *(link(f"e{number}") for number in range(399)))


# --- Whose time ---


def test_the_stores_time_is_the_servers(store: FirestoreStore, wire: Wire) -> None:
    wire.now = None
    know(store, CAL)
    assert claimed(store).now == pytest.approx(time.time(), abs=60)


# --- The last word without a read ---


def test_a_record_that_another_instance_changed_meanwhile_is_read_again_before_the_last_word(
    store: FirestoreStore, another: FirestoreStore
) -> None:
    know(store, CAL)
    claim = claimed(store)
    another.tend(CAL, constantly(replace(claim.record, label="room")))
    store.reset_counts()
    assert store.close(claim.hold, 0, CLOSING)
    assert (store.reads, store.writes) == (1, 1)
    assert record_of(store).label == "room"


def test_a_wake_at_another_instance_is_seen_by_the_last_word(
    store: FirestoreStore, another: FirestoreStore
) -> None:
    know(store, CAL)
    hold = claimed(store).hold
    assert isinstance(another.claim(CAL, "another"), Busy)
    assert not store.close(hold, 0, CLOSING)
    assert store.close(hold, 1, CLOSING)


@pytest.mark.parametrize("way", ["change", "renew"])
def test_the_last_word_follows_a_change_without_a_read(
    store: FirestoreStore, bill: Callable[[], tuple[int, int]], way: str
) -> None:
    know(store, CAL)
    hold = claimed(store).hold
    store.renew(hold) if way == "renew" else put(store, hold, progress=Progress(access_role="owner"))
    bill()
    assert store.close(hold, 0, CLOSING)
    assert bill() == (0, 1)


def test_what_is_remembered_of_an_earlier_tenure_does_not_end_a_later_one(
    store: FirestoreStore, another: FirestoreStore
) -> None:
    know(store, CAL)
    assert another.close(claimed(store).hold, 0, CLOSING)
    assert (another.reads, another.writes) == (1, 1)
    assert store.close(claimed(another).hold, 0, CLOSING)


def test_an_overtaken_instance_has_no_last_word(
    store: FirestoreStore, another: FirestoreStore, pass_time: Callable[[float], None]
) -> None:
    know(store, CAL)
    hold = claimed(store).hold
    pass_time(LEASE_S)
    before = claimed(another).record
    with pytest.raises(LeaseLost):
        store.close(hold, 0, CLOSING)
    assert record_of(store) == before


def test_what_it_remembers_is_bounded(
    store: FirestoreStore, bill: Callable[[], tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firestore, "_REMEMBERED", 1)
    know(store, CAL, OTHER_CAL)
    first, second = claimed(store, CAL).hold, claimed(store, OTHER_CAL).hold
    bill()
    store.close(second, 0, CLOSING)
    assert bill() == (0, 1)
    store.close(first, 0, CLOSING)
    assert bill() == (1, 1)


# --- Others come in between ---


def test_of_two_that_claim_at_once_one_is_told_that_the_other_has_it(
    store: FirestoreStore, another: FirestoreStore, wire: Wire
) -> None:
    know(store, CAL)
    winner: list[object] = []
    wire.before["Commit"] = lambda: winner.append(another.claim(CAL, "another"))
    loser = store.claim(CAL, "worker")
    assert isinstance(winner[0], Claimed)
    assert isinstance(loser, Busy)
    assert (loser.fence, record_of(store).lease.owner) == (1, "another")


def test_two_that_tend_a_new_calendar_at_once_both_count(
    store: FirestoreStore, another: FirestoreStore, wire: Wire
) -> None:
    def paused(record: CalendarRecord | None, _: float) -> CalendarRecord:
        return replace(record or CalendarRecord(CAL, CalendarId("room@example.org")), active=False)

    def named(record: CalendarRecord | None, _: float) -> CalendarRecord:
        return replace(record or CalendarRecord(CAL, CalendarId("room@example.org")), label="room")

    wire.before["Commit"] = lambda: another.tend(CAL, paused)
    store.tend(CAL, named)
    assert (record_of(store).label, record_of(store).active) == ("room", False)


def test_a_change_that_firestore_ends_in_favour_of_another_is_made_again(
    store: FirestoreStore, wire: Wire
) -> None:
    know(store, CAL)
    hold = claimed(store).hold
    wire.faults += [
        Fault("BatchGetDocuments", grpc.StatusCode.ABORTED),
        Fault("Commit", grpc.StatusCode.ABORTED),
    ]
    runs: list[float] = []
    store.change(hold, lambda ledger, now: (runs.append(now), ledger.put_link(link("e"))))
    assert len(runs) == 2
    assert list(store.live_links(CAL)) == [link("e")]
    first, second, third = wire.begun_after
    assert not first
    assert second, "and keeps its place in the queue"
    assert third not in (first, second)


@pytest.mark.parametrize("way", ["claim", "change"])
def test_who_never_gets_through_gives_up_for_now(
    store: FirestoreStore, wire: Wire, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(firestore, "_PATIENCE_S", 0.5)
    know(store, CAL)
    hold = claimed(store).hold
    wire.faults += [Fault("Commit", grpc.StatusCode.ABORTED)] * 100
    with pytest.raises(Transient, match="Others wrote"):
        store.claim(CAL, "another") if way == "claim" else put(store, hold, link("e"))
    assert wire.requests.count("Commit") > 2, "of which one was the first claim"


# --- What becomes of trouble ---

CODES: list[tuple[grpc.StatusCode, type[SyncError]]] = [
    (grpc.StatusCode.UNAVAILABLE, Transient),
    (grpc.StatusCode.INTERNAL, Transient),
    (grpc.StatusCode.UNKNOWN, Transient),
    (grpc.StatusCode.CANCELLED, Transient),
    (grpc.StatusCode.DEADLINE_EXCEEDED, Timeout),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, RateLimited),
    (grpc.StatusCode.PERMISSION_DENIED, Misconfigured),
    (grpc.StatusCode.UNAUTHENTICATED, Misconfigured),
]
USES: dict[str, tuple[str, Callable[[FirestoreStore, Claimed], object]]] = {
    "reading": ("BatchGetDocuments", lambda store, _: store.calendar(CAL)),
    "reading by key": ("BatchGetDocuments", lambda store, _: store.conferences([KEY])),
    "reading the time": ("BatchGetDocuments", lambda store, _: store.due_calendars(1)),
    "reading the wiring": ("BatchGetDocuments", lambda store, _: store.wired()),
    "enrolling": ("BatchGetDocuments", lambda store, _: store.withdraw(CAL, 1.0)),
    "what it enrols": ("Commit", lambda store, _: store.withdraw(CAL, 1.0)),
    "a query": ("RunQuery", lambda store, _: list(store.live_links(CAL))),
    "a sum": ("RunAggregationQuery", lambda store, _: store.tally(CAL, 0.0)),
    "a claim": ("Commit", lambda store, _: store.claim(CAL, "another")),
    "the last word": ("Commit", lambda store, claim: store.close(claim.hold, 0, CLOSING)),
    "the salt": ("Commit", lambda store, _: store.salt()),
    "beginning": ("BeginTransaction", lambda store, claim: put(store, claim.hold)),
    "reading in a transaction": ("BatchGetDocuments", lambda store, claim: put(store, claim.hold)),
    "a change": ("Commit", lambda store, claim: put(store, claim.hold, link("e"))),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(("code", "error"), CODES, ids=lambda value: getattr(value, "name", None))
def test_a_failure_is_one_error_that_tells_nothing_and_is_not_tried_again(
    store: FirestoreStore, wire: Wire, use: str, code: grpc.StatusCode, error: type[SyncError]
) -> None:
    know(store, CAL)
    claim = claimed(store)
    method, call = USES[use]
    wire.requests.clear()
    wire.faults.append(Fault(method, code))
    with pytest.raises(SyncError) as caught:
        call(store, claim)
    assert type(caught.value) is error
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))
    assert wire.requests.count(method) == 1


@pytest.mark.parametrize("use", USES)
def test_silence_is_a_timeout_and_ends_in_time(
    store: FirestoreStore, wire: Wire, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    know(store, CAL)
    claim = claimed(store)
    method, call = USES[use]
    monkeypatch.setattr(firestore, "_CALL_S", 0.3)
    wire.faults.append(Fault(method, silent=True))
    started = time.monotonic()
    with pytest.raises(Timeout):
        call(store, claim)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("code", "error"),
    [(grpc.StatusCode.NOT_FOUND, Misconfigured), (grpc.StatusCode.FAILED_PRECONDITION, Misconfigured)],
)
def test_a_database_or_an_index_that_is_not_there_is_told(
    store: FirestoreStore, wire: Wire, code: grpc.StatusCode, error: type[SyncError]
) -> None:
    wire.faults.append(Fault("RunQuery", code))
    with pytest.raises(error, match=r"database|index"):
        store.calendars()


def test_what_firestore_does_not_understand_is_a_bug_of_ours(store: FirestoreStore, wire: Wire) -> None:
    wire.faults.append(Fault("RunQuery", grpc.StatusCode.INVALID_ARGUMENT))
    with pytest.raises(InvalidArgument):
        store.calendars()


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (DefaultCredentialsError("SECRET"), Misconfigured),
        (RefreshError("SECRET"), Transient),
        (TransportError("SECRET"), Transient),
    ],
)
def test_an_account_that_cannot_speak_for_itself_is_told(
    store: FirestoreStore, monkeypatch: pytest.MonkeyPatch, failure: Exception, error: type[SyncError]
) -> None:
    def fails(**_: str) -> Client:
        raise failure

    monkeypatch.setattr(firestore, "Client", fails)
    for use in (store.calendars, lambda: store.calendar(CAL), lambda: store.claim(CAL, "worker")):
        with pytest.raises(SyncError) as caught:
            use()
        assert type(caught.value) is error
        assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_a_claim_whose_answer_was_lost_is_held_by_nobody_until_it_ends(
    store: FirestoreStore, wire: Wire, pass_time: Callable[[float], None]
) -> None:
    know(store, CAL)
    wire.faults.append(Fault("Commit", after_acting=True))
    with pytest.raises(Transient):
        store.claim(CAL, "worker")
    assert isinstance(store.claim(CAL, "worker"), Busy)
    pass_time(LEASE_S)
    assert claimed(store).hold.fence == 2


@pytest.mark.parametrize("after_acting", [False, True])
def test_a_change_whose_answer_was_lost_can_be_made_again_and_closed(
    store: FirestoreStore, wire: Wire, after_acting: bool
) -> None:
    know(store, CAL)
    hold = claimed(store).hold
    put(store, hold, conference("e"))
    wire.faults.append(Fault("Commit", after_acting=after_acting))
    with pytest.raises(Transient):
        put(store, hold, replace(conference("e"), attempts=1))
    (found,) = store.conferences([KEY])
    assert found.attempts == after_acting
    put(store, hold, replace(found, attempts=7))
    assert store.close(hold, 0, CLOSING)
    assert store.conferences([KEY])[0].attempts == 7


def test_a_last_word_whose_answer_was_lost_was_said(store: FirestoreStore, wire: Wire) -> None:
    know(store, CAL)
    hold = claimed(store).hold
    wire.faults.append(Fault("Commit", after_acting=True))
    with pytest.raises(Transient):
        store.close(hold, 0, CLOSING)
    with pytest.raises(LeaseLost):
        store.close(hold, 0, CLOSING)
    assert claimed(store).hold.fence == 2
