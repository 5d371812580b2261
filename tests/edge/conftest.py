"""Both doors behind functions-framework's own application, with settings of a laptop."""

import base64
import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import functions_framework
import pytest
from flask.testing import FlaskClient

import sync.wiring
from sync.channel import Key

ROOT = Path(__file__).parents[2]
KEY = Key("k1", bytes(range(32)))
_audited: list[str] = []
_listening = 0  # to this thread: servers of other tests may go on in theirs


def _audit(event: str, _: object) -> None:
    if _listening == threading.get_ident() and event.partition(".")[0] in (
        "open",
        "socket",
        "os",
        "sqlite3",
        "subprocess",
        "urllib",
    ):
        _audited.append(event)


sys.addaudithook(_audit)


@pytest.fixture
def io_events() -> Iterator[list[str]]:
    """Every file, socket and database that the test touches while it runs."""
    global _listening
    _audited.clear()
    _listening = threading.get_ident()
    yield _audited
    _listening = 0


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Sound settings in a folder of their own; wiring starts afresh."""
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY.id}:{base64.urlsafe_b64encode(KEY.secret).decode()}\n")
    monkeypatch.setenv("SYNC_STORE", f"sqlite:{tmp_path / 'store.db'}")
    monkeypatch.setenv("SYNC_QUEUE", "local")
    monkeypatch.setenv("SYNC_CHANNEL_KEYS", str(keys))
    monkeypatch.setenv("SYNC_CONFERENCES", "{}")
    monkeypatch.setenv("SYNC_CALENDAR_API", "http://127.0.0.1:9")
    importlib.reload(sync.wiring)
    yield tmp_path
    importlib.reload(sync.wiring)


@pytest.fixture
def webhook(environment: Path) -> FlaskClient:
    return functions_framework.create_app("webhook", str(ROOT / "main.py")).test_client()


@pytest.fixture
def worker(environment: Path) -> FlaskClient:
    return functions_framework.create_app("worker", str(ROOT / "main.py")).test_client()
