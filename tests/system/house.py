"""A whole deployment on one machine, in the environment of this process.

Both doors, the queue's dispatcher and the stand-in for Google are real, and speak over the loopback.
"""

import base64
import importlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import functions_framework
import pytest
import urllib3
from werkzeug.serving import make_server

import sync.wiring
from sync.cli.demo.conference_service import ConferenceService
from sync.google.firestore import FirestoreStore
from sync.local.clock import SystemClock
from sync.local.queue import Dispatcher
from sync.local.sqlite import SqliteStore
from sync.ports import CalendarId, Store, WiredCalendar
from sync.simulator import Simulator
from tests.contract.emulator import DATABASE, emulator, wire_up
from tests.contract.loopback import Answer, Asked, Loopback
from tests.system.town_tasks import TownTasks

ROOT = Path(__file__).parents[2]
ME, YOU = "me@example.com", "you@example.com"
LEASE = {"lease_s": 90.0, "margin_s": 20.0, "grace_s": 60.0}


class Stoppable(Protocol):
    """Whatever delivers tasks."""

    def stop(self) -> None: ...


def keys(number: int = 1) -> str:
    return f"k{number}:{base64.urlsafe_b64encode(bytes([number]) * 32).decode()}\n"


class House:
    """A deployment, in the environment of this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack) -> None:
        self.folder, self.monkeypatch, self._stack = folder, monkeypatch, stack
        self.simulator = stack.enter_context(Simulator(push_backoff_s=0.1))
        conferences = stack.enter_context(ConferenceService())
        self.secret = folder / "secret"
        self.secret.write_text("right")
        (folder / "keys").write_text(keys())
        options = {"url": conferences.url, "key": {"file": str(self.secret)}}
        self.providers = {"rooms": {"use": "tests.checked:Checked", "options": options}}
        for name, value in {
            **self._kept(),
            "SYNC_CHANNEL_KEYS": str(folder / "keys"),
            "SYNC_CONFERENCES": json.dumps({"providers": self.providers}),
            "SYNC_CALENDAR_API": self.simulator.url,
            "SYNC_TIMES": "bucket=0.1 margin=0.1",
        }.items():
            monkeypatch.setenv(name, value)
        importlib.reload(sync.wiring)
        self.webhook, self.worker = self._serve("webhook"), self._serve("worker")
        self.store = self._store()
        self.wire(self.webhook, WiredCalendar("me", CalendarId(ME)))
        self.dispatching = stack.enter_context(self._dispatching())
        assert urllib3.request("GET", f"{self.webhook}status").status == 200  # it has read its settings
        self.converge()

    def _serve(self, door: str) -> str:
        app = functions_framework.create_app(door, str(ROOT / "main.py"))
        server = make_server("127.0.0.1", 0, app, threaded=True)
        serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        self._stack.callback(serving.join)
        self._stack.callback(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}/"

    def _kept(self) -> dict[str, str]:
        """The settings that say where everything is kept."""
        return {"SYNC_STORE": f"sqlite:{self.folder / 'store.db'}", "SYNC_QUEUE": "local"}

    def _store(self) -> Store:
        return self._sqlite()

    def _sqlite(self) -> SqliteStore:
        path = str(self.folder / "store.db")
        return SqliteStore(path, clock=SystemClock(), **LEASE)

    def _dispatching(self) -> AbstractContextManager[Stoppable]:
        return dispatching(self.folder / "store.db", self.worker)

    def wire(self, url: str, *calendars: WiredCalendar) -> None:
        self._sqlite().wire(url, calendars)

    def converge(self) -> None:
        assert urllib3.request("POST", f"{self.worker}jobs/converge").status == 204

    def act(self, do: str, **what: Any) -> None:
        answer = urllib3.request("POST", f"{self.simulator.url}/_sim/act", json={"do": do, **what})
        assert answer.status == 200, answer.data

    def fault(self, **what: Any) -> None:
        answer = urllib3.request("POST", f"{self.simulator.url}/_sim/faults", json=what)
        assert answer.status == 200, answer.data

    def stand_in(self, answer: Callable[[Asked], Answer]) -> str:
        return self._stack.enter_context(Loopback(answer)).url + "/"


class CloudHouse(House):
    """The same, with its records in Firestore and its wakes in Cloud Tasks."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack, firestore: str
    ) -> None:
        self._project = f"house-{uuid.uuid4().hex[:20]}"  # nobody else's
        self._tasks = stack.enter_context(TownTasks(SystemClock(), token="nobody"))
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore)
        super().__init__(folder, monkeypatch, stack)

    def _kept(self) -> dict[str, str]:
        return {
            "SYNC_STORE": "firestore",
            "SYNC_PROJECT": self._project,
            "SYNC_DATABASE": DATABASE,
            "SYNC_REGION": "l",
            "SYNC_QUEUE": self._tasks.queue,
            "SYNC_TASKS_API": self._tasks.url,
            "SYNC_WORKER_URL": "http://worker.invalid",
            "SYNC_DISPATCH_ACCOUNT": "dispatch@house.iam.gserviceaccount.com",
        }

    def _store(self) -> Store:
        return FirestoreStore(self._project, DATABASE, clock=SystemClock(), **LEASE)

    def _dispatching(self) -> AbstractContextManager[Stoppable]:
        return self._tasks.delivering(self.worker.rstrip("/"))

    def wire(self, url: str, *calendars: WiredCalendar) -> None:
        wire_up(self._project, url, calendars)


@contextmanager
def dispatching(path: Path, worker: str) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(str(path), worker.rstrip("/"), SystemClock(), first_backoff_s=0.1)
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()


@pytest.fixture(scope="session")
def firestore() -> Iterator[str]:
    with emulator() as host:
        yield host


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[House]:
    """Over SQLite, or where a test is marked `over_both` over Firestore as well."""
    with ExitStack() as stack:
        if getattr(request, "param", "sqlite") == "firestore":
            yield CloudHouse(tmp_path, monkeypatch, stack, request.getfixturevalue("firestore"))
        else:
            yield House(tmp_path, monkeypatch, stack)
    importlib.reload(sync.wiring)


over_both = pytest.mark.parametrize("house", ["sqlite", "firestore"], indirect=True)
