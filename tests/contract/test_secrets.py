"""Secrets are new within minutes, outlast an outage of minutes, and come out by no other way than their value."""

import base64
import time
import traceback
from collections.abc import Iterator

import pytest

from sync.errors import Misconfigured, SyncError, Transient
from sync.google import secrets
from sync.google.secrets import Secrets
from tests.clock import ManualClock
from tests.contract.loopback import Answer, Asked, Loopback

CACHE_S = 300.0
HOUR_S = 3600.0


class FakeSecretManager(Loopback):
    """The one method we use of its REST API, v1. `instead`: what every request gets, whatever it asks for."""

    def __init__(self) -> None:
        super().__init__(self._tell)
        self.newest: dict[str, bytes] = {}
        self.instead: Answer | None = None

    def _tell(self, asked: Asked) -> Answer:
        path, _, _ = asked.path.partition("?")
        versions = {
            f"/v1/projects/p/secrets/{name}/versions/latest:access": value
            for name, value in self.newest.items()
        }
        if self.instead:
            return self.instead
        if path not in versions:
            return refusal(404, "NOT_FOUND")
        name = path.removeprefix("/v1/").replace("latest:access", "1")
        return Answer(200, {"name": name, "payload": {"data": base64.b64encode(versions[path]).decode()}})


def refusal(status: int, code: str) -> Answer:
    return Answer(status, {"error": {"code": status, "status": code, "message": "SECRET words of Google's"}})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def manager() -> Iterator[FakeSecretManager]:
    with FakeSecretManager() as manager:
        manager.newest["zoom"] = b"SECRET-1"
        yield manager


@pytest.fixture
def kept(manager: FakeSecretManager, clock: ManualClock) -> Secrets:
    return Secrets("p", clock=clock, cache_s=CACHE_S, root_url=manager.url)


def test_a_secret_is_its_newest_version_and_asked_for_once_in_minutes(
    kept: Secrets, manager: FakeSecretManager, clock: ManualClock
) -> None:
    assert manager.asked == [], "nothing is opened before the first read"
    assert kept.read("zoom") == "SECRET-1"
    manager.newest["zoom"] = b"SECRET-2"
    clock.advance(CACHE_S - 1)
    assert kept.read("zoom") == "SECRET-1"
    assert len(manager.asked) == 1
    clock.advance(1)
    assert kept.read("zoom") == "SECRET-2"


def test_one_secret_is_not_another(kept: Secrets, manager: FakeSecretManager) -> None:
    manager.newest["webex"] = b"SECRET-W"
    assert [kept.read(name) for name in ("zoom", "webex", "zoom")] == ["SECRET-1", "SECRET-W", "SECRET-1"]


@pytest.mark.parametrize(
    "down", [refusal(503, "UNAVAILABLE"), refusal(429, "RESOURCE_EXHAUSTED"), Answer(lost=True)]
)
def test_an_outage_of_less_than_an_hour_goes_unnoticed(
    kept: Secrets, manager: FakeSecretManager, clock: ManualClock, down: Answer
) -> None:
    kept.read("zoom")
    manager.instead = down
    clock.advance(HOUR_S - 1)
    assert kept.read("zoom") == "SECRET-1"
    manager.instead = None
    manager.newest["zoom"] = b"SECRET-2"
    clock.advance(30)
    assert kept.read("zoom") == "SECRET-2", "and is over when it is over"


def test_an_outage_of_an_hour_is_noticed(
    kept: Secrets, manager: FakeSecretManager, clock: ManualClock
) -> None:
    kept.read("zoom")
    manager.instead = Answer(503)
    clock.advance(HOUR_S)
    with pytest.raises(Transient):
        kept.read("zoom")


def test_an_outage_is_not_felt_at_every_read(
    kept: Secrets, manager: FakeSecretManager, clock: ManualClock
) -> None:
    kept.read("zoom")
    manager.instead = Answer(503)
    clock.advance(CACHE_S)
    for _ in range(9):
        kept.read("zoom")
    assert len(manager.asked) == 2


def test_what_was_taken_back_is_not_served_any_longer(
    kept: Secrets, manager: FakeSecretManager, clock: ManualClock
) -> None:
    kept.read("zoom")
    manager.instead = refusal(403, "PERMISSION_DENIED")
    clock.advance(CACHE_S)
    with pytest.raises(Misconfigured):
        kept.read("zoom")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(400, "FAILED_PRECONDITION"), Misconfigured),
        (refusal(401, "UNAUTHENTICATED"), Misconfigured),
        (refusal(403, "PERMISSION_DENIED"), Misconfigured),
        (refusal(404, "NOT_FOUND"), Misconfigured),
        (refusal(429, "RESOURCE_EXHAUSTED"), Transient),
        (refusal(500, "INTERNAL"), Transient),
        (refusal(503, "UNAVAILABLE"), Transient),
        (refusal(504, "DEADLINE_EXCEEDED"), Transient),
        (Answer(502, b"SECRET"), Transient),
        (Answer(200, b"SECRET"), Transient),
        (Answer(200, {"payload": {"data": "SECRET!"}}), Transient),
        (Answer(200, {}), Misconfigured),
        (Answer(lost=True), Transient),
        (Answer(silent=True), Transient),
        (Answer(200, {"payload": {"data": base64.b64encode(b"SECRET\xff").decode()}}), Misconfigured),
    ],
)
def test_a_secret_that_cannot_be_read_is_one_error_names_it_and_tells_no_more(
    kept: Secrets,
    manager: FakeSecretManager,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    error: type[SyncError],
) -> None:
    monkeypatch.setattr(secrets, "_CALL_S", 0.3)
    manager.instead = answer
    started = time.monotonic()
    with pytest.raises(SyncError, match="zoom") as caught:
        kept.read("zoom")
    assert time.monotonic() - started < 3
    assert type(caught.value) is error
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))
    assert len(manager.asked) == 1, "nothing is tried again"


@pytest.mark.parametrize("name", ["", "a/b", "../zoom", "zoom/versions/1", "SECRET VALUE", "x" * 256])
def test_what_is_no_name_is_not_asked_for_and_not_told(
    kept: Secrets, manager: FakeSecretManager, name: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        kept.read(name)
    assert name == "" or name not in str(caught.value)
    assert manager.asked == []


def test_the_end_of_line_that_an_editor_left_is_not_part_of_it(
    kept: Secrets, manager: FakeSecretManager
) -> None:
    manager.newest["zoom"] = b" SECRET \r\n"
    assert kept.read("zoom") == " SECRET "


def test_only_so_many_are_kept(
    kept: Secrets, manager: FakeSecretManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_KEPT", 2)
    manager.newest |= {"b": b"SECRET-B", "c": b"SECRET-C"}
    for name in ("zoom", "b", "c", "c", "b"):
        kept.read(name)
    assert len(manager.asked) == 3
    kept.read("zoom")
    assert len(manager.asked) == 4


def test_neither_it_nor_what_it_keeps_tells_a_secret_when_shown(kept: Secrets) -> None:
    kept.read("zoom")
    assert "SECRET" not in repr(vars(kept))
