"""The demo's day once more, with the adapters that are deployed: Firestore on its emulator, a fake Cloud Tasks."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore import Client

from sync import records
from sync.cli.demo.day import Day
from sync.cli.demo.patience import Patience
from sync.cli.demo.stage import ME, Stage
from sync.local.clock import SystemClock
from sync.ports import CalendarId, WiredCalendar
from tests.contract.emulator import emulator
from tests.contract.fake_cloud_tasks import FakeCloudTasks

PROJECT, DATABASE = "demo-town", "sync"


class TownTasks(FakeCloudTasks):
    """Delivers to wherever the worker is: its port is not known yet when the doors are told their settings."""

    worker_url = ""

    def _post(self, kept: Any) -> bool:
        kept.task["httpRequest"]["url"] = f"{self.worker_url}/tasks"
        return super()._post(kept)

    def due_within(self, seconds: float) -> int:
        end = time.time() + seconds
        with self._lock:
            return sum(kept.ended_at is None and kept.due_at <= end for kept in self._kept.values())


class DeployedStage(Stage):
    """The same town; its records in Firestore, its wakes in Cloud Tasks."""

    def __init__(self, folder: Path, patience: Patience, firestore: str, tasks: TownTasks) -> None:
        super().__init__(folder, "demo", patience)
        self._firestore = firestore
        self._tasks = tasks

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {
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
        client = Client(PROJECT, database=DATABASE)
        wired = WiredCalendar("me", CalendarId(ME))
        client.collection("wired_calendars").document("me").set(records.wired_calendar_document(wired))
        client.collection("wiring").document("webhook").set(records.webhook_document(webhook_url))
        client.close()

    @contextmanager
    def _dispatching(self) -> Iterator[None]:
        self._tasks.worker_url = self.worker.url
        over = threading.Event()

        def deliver() -> None:
            while not over.wait(0.05):
                self._tasks.deliver()

        thread = threading.Thread(target=deliver)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _tasks_within(self, seconds: float) -> int:
        return self._tasks.due_within(seconds)


@pytest.mark.timeout(300)
def test_the_day_ends_converged_on_firestore_and_cloud_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with emulator() as host, TownTasks(SystemClock(), token="nobody") as tasks:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", host)
        with DeployedStage(tmp_path, Patience(), host, tasks) as stage:
            report = Day(stage, told.append, time.monotonic()).play()
    assert report.converged, "\n".join([*told, *(f"{each}" for each in report.mismatches)])
    assert report.steps == 13
    assert not (tmp_path / "store.db").exists()
