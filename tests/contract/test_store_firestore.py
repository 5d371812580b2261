"""The Firestore store keeps the store's promises on the real emulator, among threads and among processes."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from sync.google.firestore import FirestoreStore
from sync.ports import Clock
from tests.clock import ManualClock
from tests.contract.emulator import Wire, emulator
from tests.contract.store_contract import GRACE_S, LEASE_S, MARGIN_S, StoreContract


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
