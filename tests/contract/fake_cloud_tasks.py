"""A stand-in for Cloud Tasks on this machine: its REST API for creating tasks, and their delivery.

It is as strict and as forgetful as the v2 reference says: a queue that is not there is a 404, a wrong token a 401,
a name stays taken for 24 hours after its task has ended, and whatever the worker does not accept comes again.
"""

import base64
import json
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import urllib3

from sync.ports import Clock
from tests.contract.loopback import Answer, Asked, Loopback

NAME_KEPT_S = 86400.0
FIRST_BACKOFF_S = 2.0
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}", re.ASCII)


@dataclass(frozen=True)
class Fault:
    """What the next CreateTask gets instead of its answer. `after_accepting`: the task is kept all the same."""

    answer: Answer
    after_accepting: bool = False


@dataclass
class _Kept:
    """A task, and when it is tried next."""

    task: Mapping[str, Any]
    due_at: float
    attempts: int = 0
    ended_at: float | None = None


@dataclass
class FakeCloudTasks:
    """One queue, whose time a test lets pass."""

    clock: Clock
    token: str = "ya29.token"
    queue: str = "projects/p/locations/l/queues/q"
    faults: deque[Fault] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()
        self._api = Loopback(self._answer)
        self._http = urllib3.PoolManager(retries=False, timeout=10.0)
        self.url = self._api.url

    def __enter__(self) -> Self:
        self._api.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._api.__exit__(*error)

    @property
    def asked(self) -> list[Asked]:
        return self._api.asked

    def deliver(self) -> int:
        """Try everything that is due, once. Tells how many the worker accepted."""
        with self._lock:
            due = [
                kept for kept in self._kept.values() if kept.ended_at is None and kept.due_at <= self._now()
            ]
        return sum(self._try(kept) for kept in sorted(due, key=lambda kept: kept.due_at))

    def _now(self) -> float:
        return self.clock.now()

    # --- CreateTask ---

    def _answer(self, asked: Asked) -> Answer:
        with self._lock:
            fault = self.faults.popleft() if self.faults else None
            if fault and not fault.after_accepting:
                return fault.answer
            answer = self._create(asked)
            return fault.answer if fault else answer

    def _create(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return _error(401, "UNAUTHENTICATED")
        if (asked.method, asked.path) != ("POST", f"/v2/{self.queue}/tasks"):
            return _error(404, "NOT_FOUND")
        task = json.loads(asked.body)["task"]
        queue, _, task_id = task["name"].rpartition("/tasks/")
        due_at = datetime.fromisoformat(task["scheduleTime"]).timestamp()
        if queue != self.queue or not _TASK_ID.fullmatch(task_id) or due_at > self._now() + 30 * 86400:
            return _error(400, "INVALID_ARGUMENT")
        former = self._kept.get(task_id)
        if former and (former.ended_at is None or self._now() < former.ended_at + NAME_KEPT_S):
            return _error(409, "ALREADY_EXISTS")
        self._kept[task_id] = _Kept(task, max(due_at, self._now()))
        return Answer(200, {"name": task["name"], "scheduleTime": task["scheduleTime"], "view": "BASIC"})

    # --- Delivery ---

    def _try(self, kept: _Kept) -> bool:
        accepted = self._post(kept)
        kept.attempts += 1
        if accepted:
            kept.ended_at = self._now()
        else:
            kept.due_at = self._now() + FIRST_BACKOFF_S * 2.0 ** (kept.attempts - 1)
        return accepted

    def _post(self, kept: _Kept) -> bool:
        request = kept.task["httpRequest"]
        oidc = request["oidcToken"]
        headers = {
            **request["headers"],
            "Authorization": f"Bearer {_id_token(oidc['audience'], oidc['serviceAccountEmail'])}",
            "User-Agent": "Google-Cloud-Tasks",
            "X-CloudTasks-QueueName": self.queue.rpartition("/")[2],
            "X-CloudTasks-TaskName": kept.task["name"].rpartition("/")[2],
            "X-CloudTasks-TaskRetryCount": str(kept.attempts),
            "X-CloudTasks-TaskETA": f"{kept.due_at:.6f}",
        }
        body = base64.b64decode(request["body"], validate=True)
        try:
            answer = self._http.request(
                request["httpMethod"], request["url"], body=body, headers=headers, redirect=False
            )
        except urllib3.exceptions.HTTPError:
            return False
        return 200 <= answer.status < 300


def _error(status: int, code: str) -> Answer:
    return Answer(status, {"error": {"code": status, "status": code, "message": "SECRET words of Google's"}})


def _id_token(audience: str, email: str) -> str:
    """With the claims that Cloud Run looks at, and nobody's signature."""
    claims = {"aud": audience, "email": email, "email_verified": True, "iss": "https://accounts.google.com"}
    parts = ({"alg": "none"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts), ""])
