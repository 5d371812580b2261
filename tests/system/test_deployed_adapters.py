"""The demo's day once more, with the adapters that are deployed: Firestore on its emulator, and fakes of the rest.

The conference system wants a key. It is kept in Secret Manager, and so is the document that names it.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sync.cli.demo.day import Day, Report
from sync.cli.demo.patience import Patience
from sync.cli.demo.stage import TIMES, WIRED, Stage
from sync.local.clock import SystemClock
from tests.contract.emulator import emulator, wire_up
from tests.contract.fake_secret_manager import FakeSecretManager
from tests.system.keyed import KeyedService
from tests.system.town_tasks import TownTasks

PROJECT, DATABASE = "demo-town", "sync"
CONFERENCES, KEY = (f"projects/{PROJECT}/secrets/{name}" for name in ("conferences", "conference-key"))


class DeployedStage(Stage):
    """The same town; its records in Firestore, its wakes in Cloud Tasks, its keys in Secret Manager."""

    def __init__(self, folder: Path, firestore: str, tasks: TownTasks, secrets: FakeSecretManager) -> None:
        super().__init__(folder, "demo", Patience())
        self._firestore = firestore
        self._tasks = tasks
        self._secrets = secrets

    def _conference_service(self) -> KeyedService:
        self.service = KeyedService("key-1")
        self._secrets.add_version(KEY, b"key-1")
        return self.service

    def rotate_key(self) -> None:
        """From one moment to the next the old key is refused."""
        self._secrets.add_version(KEY, b"key-2")
        self.service.key = "key-2"

    def _settings(self) -> dict[str, Any]:
        options = {"url": self.service.url, "key": {"secret": KEY}}
        document = {"providers": {"demo": {"use": "tests.system.keyed:Keyed", "options": options}}}
        self._secrets.add_version(CONFERENCES, json.dumps(document).encode())
        return super()._settings() | {
            "SYNC_CONFERENCES": CONFERENCES,
            "SYNC_SECRETS_API": self._secrets.url,
            "FIRESTORE_EMULATOR_HOST": self._firestore,
            "SYNC_PROJECT": PROJECT,
            "SYNC_DATABASE": DATABASE,
            "SYNC_STORE": "firestore",
            "SYNC_QUEUE": self._tasks.queue,
            "SYNC_TASKS_API": self._tasks.url,
            "SYNC_WORKER_URL": "http://worker.invalid",
            "SYNC_DISPATCH_ACCOUNT": "dispatch@demo-town.iam.gserviceaccount.com",
        }

    def _wire(self, webhook_url: str) -> None:
        wire_up(PROJECT, webhook_url, WIRED)

    @contextmanager
    def _dispatching(self) -> Iterator[None]:
        with self._tasks.delivering(self.worker.url):
            yield

    def _tasks_within(self, seconds: float) -> int:
        return self._tasks.due_within(seconds)


class DayWithRotation(Day):
    """While “Planning” is renamed for the first time, the conference system gets another key."""

    _stage: DeployedStage

    def _retitled(self) -> None:
        self._stage.rotate_key()
        super()._retitled()


@dataclass
class Played:
    """A day that is over, and what it left behind."""

    report: Report
    story: str
    service: KeyedService
    secrets: FakeSecretManager
    folder: Path
    logs: str = field(repr=False)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One day for all the tests: most of it is waiting."""
    told: list[str] = []
    folder = tmp_path_factory.mktemp("town")
    with (
        emulator() as host,
        TownTasks(SystemClock(), token="nobody") as tasks,
        FakeSecretManager() as secrets,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("FIRESTORE_EMULATOR_HOST", host)
        with DeployedStage(folder, host, tasks, secrets) as stage:
            report = DayWithRotation(stage, told.append, time.monotonic()).play()
            service = stage.service
    story = "\n".join([*told, *(f"{each}" for each in report.mismatches)])
    logs = "\n".join(path.read_text() for path in folder.glob("*.log"))
    return Played(report, story, service, secrets, folder, logs)


@pytest.mark.timeout(300)
def test_the_day_ends_converged_on_firestore_cloud_tasks_and_secret_manager(day: Played) -> None:
    assert day.report.converged, day.story
    assert day.report.steps == 17
    assert not (day.folder / "store.db").exists()


def test_another_key_in_mid_day_is_taken_up_without_a_restart(day: Played) -> None:
    assert day.report.converged, day.story
    first, second = (day.service.let_in.count(key) for key in ("key-1", "key-2"))
    assert first >= 8  # seven meetings were made, and one was moved
    assert second >= 7  # before the worker was killed at the day's end, and after
    assert day.service.turned_away < 10, "the old key may be tried, but not for long"


def test_secrets_are_asked_for_by_the_worker_and_not_at_every_call(day: Played) -> None:
    asked = [request.path.partition("?")[0] for request in day.secrets.asked]
    assert asked.count(f"/v1/{CONFERENCES}/versions/latest:access") == 2  # it was killed once
    assert 2 < asked.count(f"/v1/{KEY}/versions/latest:access") <= day.report.seconds / TIMES.secrets_reread
    assert len(set(asked)) == 2


def test_no_log_of_either_door_tells_a_key(day: Played) -> None:
    assert "key-1" not in day.logs
    assert "key-2" not in day.logs
    assert '"message":"decision"' in day.logs
