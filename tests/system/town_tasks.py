"""Cloud Tasks' stand-in beside a deployment on this machine, whose worker's port is not known from the start."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.contract.fake_cloud_tasks import FakeCloudTasks
from tests.contract.loopback import Answer, Asked


class TownTasks(FakeCloudTasks):
    """Delivers to wherever the worker is. The queue, and the scheduler's jobs, are as they should be."""

    worker_url = ""

    def _answer(self, asked: Asked) -> Answer:
        if asked.method != "GET":
            return super()._answer(asked)
        jobs = [
            {
                "name": f"x/calsync-{job}",
                "state": "ENABLED",
                "httpTarget": {"uri": f"https://worker.example/jobs/{job}"},
            }
            for job in ("converge", "sweep")
        ]
        return Answer(body={"state": "RUNNING", "jobs": jobs})

    def _post(self, kept: Any) -> bool:
        kept.task["httpRequest"]["url"] = f"{self.worker_url}/tasks"
        return super()._post(kept)

    def due_within(self, seconds: float) -> int:
        end = time.time() + seconds
        with self._lock:
            return sum(kept.ended_at is None and kept.due_at <= end for kept in self._kept.values())

    @contextmanager
    def delivering(self, worker_url: str) -> Iterator["Delivering"]:
        self.worker_url = worker_url
        delivering = Delivering(self)
        try:
            yield delivering
        finally:
            delivering.stop()


class Delivering:
    """Whatever is due is delivered, until it is stopped."""

    def __init__(self, tasks: TownTasks) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._deliver, args=(tasks,))
        self._thread.start()

    def _deliver(self, tasks: TownTasks) -> None:
        while not self._over.wait(0.05):
            tasks.deliver()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
