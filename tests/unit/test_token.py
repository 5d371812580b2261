"""One worker at a time fetches the token that all share, and nobody uses one that ended."""

import threading
from collections.abc import Callable

import pytest

from sync.conferences.token import Fetched, SharedToken
from sync.errors import AuthFailed, Timeout, Transient
from tests.clock import ManualClock


class Text:
    """The text of an account, kept by a store with a clock of its own."""

    def __init__(self, clock: ManualClock) -> None:
        self.text = ""
        self.changes = 0
        self._clock = clock
        self._lock = threading.Lock()

    def change(self, body: Callable[[str, float], str]) -> str:
        with self._lock:
            self.changes += 1
            self.text = body(self.text, self._clock.now() + 1e6)
            return self.text


class Office:
    """A system that ends the token before when it gives out another."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.renewals: list[str] = []
        self.fails: list[Exception] = []

    def fetch(self, renewal: str) -> Fetched:
        self.renewals.append(renewal)
        if self.fails:
            raise self.fails.pop(0)
        self.given.append(f"token-{len(self.given) + 1}")
        return Fetched(self.given[-1], 3600.0, f"renewal-{len(self.given)}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def text(clock: ManualClock) -> Text:
    return Text(clock)


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def worker(text: Text, office: Office, clock: ManualClock) -> Callable[[], SharedToken]:
    return lambda: SharedToken(text, office.fetch, fetch_s=30.0, monotonic=clock.monotonic)


Worker = Callable[[], SharedToken]


def test_the_first_worker_fetches_it_and_the_others_use_it(worker: Worker, office: Office) -> None:
    assert {worker().read() for _ in range(5)} == {"token-1"}
    assert office.given == ["token-1"]


def test_a_worker_that_has_it_asks_nobody(worker: Worker, text: Text) -> None:
    one = worker()
    one.read()
    before = text.changes
    assert one.read() == "token-1"
    assert text.changes == before


def test_it_is_fetched_again_shortly_before_its_end_and_with_the_last_renewal(
    worker: Worker, office: Office, clock: ManualClock
) -> None:
    one = worker()
    one.read()
    clock.advance(3600 - 50)
    assert one.read() == "token-2"
    assert office.renewals == ["", "renewal-1"]


def test_a_token_that_is_refused_is_replaced_once_for_all(worker: Worker, office: Office) -> None:
    one, two = worker(), worker()
    used = one.read(), two.read()
    assert one.read(refused=used[0]) == "token-2"
    assert two.read(refused=used[1]) == "token-2"  # another has replaced it already
    assert office.given == ["token-1", "token-2"]


def test_while_one_fetches_the_others_come_again(worker: Worker, office: Office) -> None:
    other = worker()

    def ask(_renewal: str) -> Fetched:
        with pytest.raises(Transient, match="another worker"):
            other.read()
        return Fetched("token", 3600.0)

    one = worker()
    one._fetch = ask
    assert one.read() == "token"
    assert other.read() == "token"


def test_a_worker_that_died_while_it_fetched_is_followed_by_another(
    worker: Worker, clock: ManualClock, office: Office, text: Text
) -> None:
    dead = worker()

    class Died(BaseException):
        pass

    def die(_renewal: str) -> Fetched:
        raise Died

    dead._fetch = die
    with pytest.raises(Died):
        dead.read()
    with pytest.raises(Transient):
        worker().read()
    clock.advance(30.0)
    assert worker().read() == "token-1"


@pytest.mark.parametrize("error", [AuthFailed("401"), Timeout("no answer")], ids=repr)
def test_a_failed_fetch_is_said_and_blocks_nobody(worker: Worker, office: Office, error: Exception) -> None:
    office.fails = [error]
    with pytest.raises(type(error)):
        worker().read()
    assert worker().read() == "token-1"


def test_what_came_too_late_does_not_replace_what_another_has_fetched(
    worker: Worker, office: Office, clock: ManualClock, text: Text
) -> None:
    slow = worker()

    def fetch_slowly(renewal: str) -> Fetched:
        fetched = office.fetch(renewal)
        clock.advance(31.0)
        assert worker().read() == "token-2"
        return fetched

    slow._fetch = fetch_slowly
    slow.read()
    assert worker().read() == "token-2"


def test_no_token_is_told_by_what_holds_it(worker: Worker) -> None:
    one = worker()
    one.read()
    assert "token-1" not in f"{one!r}{Fetched('token-1', 1.0, 'renewal-1')!r}"
