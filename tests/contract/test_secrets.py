"""Secrets are new within minutes, outlast an outage of minutes, and come out by no other way than their value."""

import base64
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sync import wiring
from sync.errors import Misconfigured, SyncError, Transient
from sync.google import secrets
from sync.google.secrets import Secrets
from sync.settings import Settings
from tests.clock import ManualClock
from tests.contract.fake_secret_manager import (
    DISABLED,
    NOT_FOUND,
    PERMISSION_DENIED,
    TOO_MANY,
    UNAVAILABLE,
    FakeSecretManager,
    refusal,
)
from tests.contract.loopback import Answer

ZOOM, WEBEX = "projects/p/secrets/zoom", "projects/p/secrets/webex"
CONFERENCES = "projects/p/secrets/conferences"
ROOT = Path(__file__).parents[2]
CACHE_S = 300.0
HOUR_S = 3600.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def manager() -> Iterator[FakeSecretManager]:
    with FakeSecretManager() as manager:
        manager.add_version(ZOOM, b"SECRET-1")
        yield manager


@pytest.fixture
def kept(manager: FakeSecretManager, clock: ManualClock) -> Secrets:
    return Secrets(clock=clock, cache_s=CACHE_S, wait_s=5.0, root_url=manager.url)


def test_a_secret_is_its_newest_version_and_asked_for_once_in_minutes(
    kept: Secrets, manager: FakeSecretManager, clock: ManualClock
) -> None:
    assert manager.asked == [], "nothing is opened before the first read"
    assert kept.read(ZOOM) == "SECRET-1"
    manager.add_version(ZOOM, b"SECRET-2")
    clock.advance(CACHE_S - 1)
    assert kept.read(ZOOM) == "SECRET-1"
    assert len(manager.asked) == 1
    clock.advance(1)
    assert kept.read(ZOOM) == "SECRET-2"


def test_one_secret_is_not_another(kept: Secrets, manager: FakeSecretManager) -> None:
    manager.add_version(WEBEX, b"SECRET-W")
    assert [kept.read(name) for name in (ZOOM, WEBEX, ZOOM)] == ["SECRET-1", "SECRET-W", "SECRET-1"]


@pytest.mark.parametrize("down", [UNAVAILABLE, TOO_MANY, Answer(lost=True), Answer(200, b"SECRET")])
def test_an_outage_of_less_than_an_hour_goes_unnoticed(
    kept: Secrets, manager: FakeSecretManager, clock: ManualClock, down: Answer
) -> None:
    kept.read(ZOOM)
    manager.instead = down
    clock.advance(HOUR_S - 1)
    assert kept.read(ZOOM) == "SECRET-1"
    manager.instead = None
    manager.add_version(ZOOM, b"SECRET-2")
    clock.advance(30)
    assert kept.read(ZOOM) == "SECRET-2", "and is over when it is over"


def test_an_outage_of_an_hour_is_noticed(
    kept: Secrets, manager: FakeSecretManager, clock: ManualClock
) -> None:
    kept.read(ZOOM)
    manager.instead = UNAVAILABLE
    clock.advance(HOUR_S)
    with pytest.raises(Transient):
        kept.read(ZOOM)


def test_an_outage_is_not_felt_at_every_read(
    kept: Secrets, manager: FakeSecretManager, clock: ManualClock
) -> None:
    kept.read(ZOOM)
    manager.instead = UNAVAILABLE
    clock.advance(CACHE_S)
    for _ in range(9):
        kept.read(ZOOM)
    assert len(manager.asked) == 2


@pytest.mark.parametrize(
    "take_back", [lambda manager: manager.deny(ZOOM), lambda manager: manager.disable_newest(ZOOM)]
)
def test_what_was_taken_back_is_not_served_any_longer(
    kept: Secrets,
    manager: FakeSecretManager,
    clock: ManualClock,
    take_back: Callable[[FakeSecretManager], None],
) -> None:
    kept.read(ZOOM)
    take_back(manager)
    clock.advance(CACHE_S)
    with pytest.raises(Misconfigured):
        kept.read(ZOOM)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (DISABLED, Misconfigured),
        (refusal(401, "UNAUTHENTICATED"), Misconfigured),
        (PERMISSION_DENIED, Misconfigured),
        (NOT_FOUND, Misconfigured),
        (TOO_MANY, Transient),
        (refusal(500, "INTERNAL"), Transient),
        (UNAVAILABLE, Transient),
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
    manager: FakeSecretManager, clock: ManualClock, answer: Answer, error: type[SyncError]
) -> None:
    hasty = Secrets(clock=clock, cache_s=CACHE_S, wait_s=0.3, root_url=manager.url)
    manager.instead = answer
    started = time.monotonic()
    with pytest.raises(SyncError, match=ZOOM) as caught:
        hasty.read(ZOOM)
    assert time.monotonic() - started < 3
    assert type(caught.value) is error
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))
    assert len(manager.asked) == 1, "nothing is tried again"


def test_who_may_not_read_a_secret_is_told_which_role_is_missing(
    kept: Secrets, manager: FakeSecretManager
) -> None:
    manager.deny(ZOOM)
    with pytest.raises(Misconfigured) as caught:
        kept.read(ZOOM)
    assert caught.value.problems == (
        f"This account may not read the secret {ZOOM}: grant it roles/secretmanager.secretAccessor.",
    )


def test_a_reading_ends_within_the_time_it_states(manager: FakeSecretManager, clock: ManualClock) -> None:
    hasty = Secrets(clock=clock, cache_s=CACHE_S, wait_s=0.3, root_url=manager.url)
    hasty.read(ZOOM)  # what is imported at the first reading counts once, and not here
    manager.instead = Answer(silent=True)
    clock.advance(HOUR_S)
    started = time.monotonic()
    with pytest.raises(Transient):
        hasty.read(ZOOM)
    assert time.monotonic() - started < hasty.call_s + 0.5


def test_the_end_of_line_that_an_editor_left_is_not_part_of_it(
    kept: Secrets, manager: FakeSecretManager
) -> None:
    manager.add_version(ZOOM, b" SECRET \r\n")
    assert kept.read(ZOOM) == " SECRET "


def test_only_so_many_are_kept(
    kept: Secrets, manager: FakeSecretManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_KEPT", 2)
    other = "projects/p/secrets/other"
    for name in (WEBEX, other):
        manager.add_version(name, b"SECRET")
    for name in (ZOOM, WEBEX, other, other, WEBEX):
        kept.read(name)
    assert len(manager.asked) == 3
    kept.read(ZOOM)
    assert len(manager.asked) == 4


def test_neither_it_nor_what_it_keeps_tells_a_secret_when_shown(kept: Secrets) -> None:
    kept.read(ZOOM)
    assert "SECRET" not in repr(vars(kept))


# --- The worker reads its document there, and the webhook never asks ---


@pytest.fixture
def environ(tmp_path: Path, manager: FakeSecretManager) -> dict[str, str]:
    (tmp_path / "keys").write_text("k1:" + base64.urlsafe_b64encode(bytes(32)).decode())
    return {
        "SYNC_STORE": f"sqlite:{tmp_path}/store.db",
        "SYNC_QUEUE": "local",
        "SYNC_CHANNEL_KEYS": f"{tmp_path}/keys",
        "SYNC_CONFERENCES": CONFERENCES,
        "SYNC_SECRETS_API": manager.url,
    }


def worker_settings(environ: dict[str, str]) -> Settings:
    return wiring.worker_settings(environ)[0]


def test_a_worker_reads_its_providers_from_a_secret(
    environ: dict[str, str], manager: FakeSecretManager
) -> None:
    document = {"providers": {"mine": {"use": "demo", "options": {"url": "http://127.0.0.1:1"}}}}
    manager.add_version(CONFERENCES, json.dumps(document).encode())
    chosen, _conferences, rules = wiring.worker_settings(environ)
    assert [provider.name for provider in chosen.providers] == ["mine"]
    assert rules.systems[0].provider == "mine"


def test_what_is_wrong_in_a_secret_document_is_told_with_all_the_rest(
    environ: dict[str, str], manager: FakeSecretManager
) -> None:
    manager.add_version(CONFERENCES, b'{"providers": {"mine": {"use": "dmo"}}, "systms": 1, "systems": 1}')
    with pytest.raises(Misconfigured) as caught:
        worker_settings(environ | {"SYNC_TIMES": "lease=1"})
    told = "\n".join(caught.value.problems)
    for part in ("SYNC_TIMES", "did you mean systems?", "did you mean demo?", "systems that are not a list"):
        assert part in told


def test_a_worker_whose_document_may_not_be_read_says_so_with_all_the_rest(
    environ: dict[str, str], manager: FakeSecretManager
) -> None:
    manager.add_version(CONFERENCES, b"SECRET")
    manager.deny(CONFERENCES)
    with pytest.raises(Misconfigured) as caught:
        worker_settings(environ | {"SYNC_TYPO": "1"})
    typo, denied = caught.value.problems
    assert "SYNC_TYPO" in typo
    assert denied.endswith(f"{CONFERENCES}: grant it roles/secretmanager.secretAccessor.")


def test_a_worker_that_cannot_reach_its_document_is_tried_again(
    environ: dict[str, str], manager: FakeSecretManager
) -> None:
    manager.instead = UNAVAILABLE
    with pytest.raises(Transient, match=CONFERENCES):
        worker_settings(environ)


HEAVY = (
    "grpc",
    "google.auth",
    "google.api_core",
    "google.cloud.secretmanager",
    "sync.google.secrets",
    "sync.conferences",
)


def test_the_webhook_neither_asks_secret_manager_nor_loads_its_client(
    environ: dict[str, str], manager: FakeSecretManager
) -> None:
    script = (
        "import sys, main\n"
        "from sync.wiring import receiver\n"
        "receiver()\n"
        f"print(*({{*{HEAVY!r}}} & {{*sys.modules}}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout.split() == []
    assert manager.asked == []


def test_a_worker_without_secrets_does_not_load_their_client(environ: dict[str, str]) -> None:
    script = (
        "import os, sys\n"
        "from sync.wiring import check\n"
        "check(os.environ, 'worker')\n"
        "print('sync.google.secrets' in sys.modules)"
    )
    document = {"providers": {"mine": {"use": "demo", "options": {"url": "http://127.0.0.1:1"}}}}
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **environ, "SYNC_CONFERENCES": json.dumps(document)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout.strip() == "False"
