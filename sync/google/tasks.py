"""The queue in Cloud Tasks, over its REST API: every request is sent once, and what is not sure is an error.

| Cloud Tasks answers with                | becomes                                                             |
|-----------------------------------------|---------------------------------------------------------------------|
| 200                                     | True: the task is durable                                           |
| 409 ALREADY_EXISTS                      | False: what that is worth, the caller judges by the task's due time |
| 429                                     | RateLimited                                                         |
| any other 409, 408, 5xx, no connection  | Transient                                                           |
| silence                                 | Timeout: it may have been accepted                                  |
| anything else: grants, names            | Misconfigured                                                       |

Behind the public door all but the first two are a 503, so that Google sends the notification again. That door
imports this module: hence no grpc, no google.auth.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from urllib3.exceptions import HTTPError

from sync import connections, in_time, trace
from sync.errors import Misconfigured, RateLimited, Timeout, Transient
from sync.ports import Clock, Task

_CONNECTIONS = 80  # kept for reuse, as many as an instance has threads
_FURTHEST_S = 29.9 * 86400.0  # Cloud Tasks refuses what is due in more than 30 days (quotas and limits)
_REFRESH_S = 225.0  # the metadata server has a new token some minutes before the old one ends

ROOT_URL = "https://cloudtasks.googleapis.com"

Token = Callable[[], str]


class CloudTasks:
    """Implements ports.Queue. Threads may share it; it opens no connection before the first task.

    `token` gives an access token that may create tasks, and may act as `dispatch_account`. Creating a
    task ends within `connect_s` and `read_s` seconds.
    """

    def __init__(
        self,
        queue_name: str,
        worker_url: str,
        dispatch_account: str,
        *,
        token: Token,
        clock: Clock,
        root_url: str = ROOT_URL,
        connect_s: float = 3.0,
        read_s: float = 7.0,
    ) -> None:
        self._queue = queue_name
        self._worker_url = worker_url.rstrip("/")
        self._dispatch_account = dispatch_account
        self._token = token
        self._clock = clock
        self._url = f"{root_url.rstrip('/')}/v2/{queue_name}/tasks"
        self._call_s = connect_s + read_s
        self._pool = connections.pool(_CONNECTIONS, connect_s)

    def create(self, task: Task) -> bool:
        body = json.dumps({"task": self._document(task)}).encode()
        with _in_time("Cloud Tasks", self._call_s):
            headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
            answer = self._pool.request("POST", self._url, headers=headers, body=body)
        match answer.status:
            case 200:
                return True
            case 409 if _says_already_exists(answer.data):
                return False
            case 429:
                raise RateLimited("Cloud Tasks asks us to slow down.")
            case 408 | 409 | 500 | 502 | 503 | 504:
                raise Transient(f"Cloud Tasks did not take the task: {answer.status}.")
        raise Misconfigured(
            [
                f"Cloud Tasks refuses to create a task ({answer.status}): check that the queue exists, and that "
                "this account may enqueue there and act as the dispatch account."
            ]
        )

    def _document(self, task: Task) -> Mapping[str, object]:
        """The task as Cloud Tasks v2 has it (REST reference: projects.locations.queues.tasks)."""
        due_at = min(task.due_at, self._clock.now() + _FURTHEST_S)  # early is harmless: it is looked at again
        body = {
            "kind": task.kind,
            "subject": task.subject,
            "generation": task.generation,
            "notified_at": task.notified_at,
        }
        return {
            "name": f"{self._queue}/tasks/{task.name}",
            "scheduleTime": datetime.fromtimestamp(due_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "httpRequest": {
                "httpMethod": "POST",
                "url": f"{self._worker_url}/tasks",
                "headers": {"Content-Type": "application/json", **trace.onward()},
                "body": base64.b64encode(json.dumps(body).encode()).decode(),
                "oidcToken": {
                    "serviceAccountEmail": self._dispatch_account,
                    "audience": self._worker_url,
                },
            },
        }


class MetadataToken:
    """The access token of the account this process runs as, from its metadata server. Threads may share it."""

    def __init__(
        self,
        clock: Clock,
        *,
        root_url: str = "http://metadata.google.internal",
        connect_s: float = 1.0,
        read_s: float = 3.0,
    ) -> None:
        self._clock = clock
        self._url = f"{root_url}/computeMetadata/v1/instance/service-accounts/default/token"
        self._call_s = connect_s + read_s
        self._pool = connections.pool(_CONNECTIONS, connect_s)
        self._lock = threading.Lock()
        self._token = ""
        self._ends_at = 0.0

    def __call__(self) -> str:
        """Raises Transient, Misconfigured."""
        with _in_time("The metadata server", self._call_s):
            if not self._lock.acquire(timeout=in_time.left_s() or 0.0):
                raise TimeoutError
            try:
                left_s = self._ends_at - self._clock.now()
                if left_s < _REFRESH_S:
                    self._refresh(in_need=left_s <= 0)
                return self._token
            finally:
                self._lock.release()

    def _refresh(self, in_need: bool) -> None:
        """A token that lasts a little longer makes good for a metadata server that fails."""
        try:
            self._token, self._ends_at = self._told()
        except Transient:
            if in_need:
                raise

    def _told(self) -> tuple[str, float]:
        asked_at = self._clock.now()
        with _in_time("The metadata server", self._call_s):
            answer = self._pool.request("GET", self._url, headers={"Metadata-Flavor": "Google"})
        if answer.status in (403, 404):
            raise Misconfigured(
                ["The metadata server knows no service account: this process runs without one."]
            )
        try:
            told = json.loads(answer.data)
            return str(told["access_token"]), asked_at + float(told["expires_in"])
        except (ValueError, LookupError, TypeError):
            raise Transient(f"The metadata server told no token: {answer.status}.") from None


@contextmanager
def _in_time(whom: str, call_s: float) -> Iterator[None]:
    """What is asked of them inside of it ends within `call_s` seconds, and fails in our words."""
    try:
        with connections.within(call_s):
            yield
    except TimeoutError:
        raise Timeout(f"{whom} did not answer in time.") from None
    except HTTPError as error:
        raise Transient(f"The connection to {whom.lower()} failed: {type(error).__name__}.") from None


def _says_already_exists(body: bytes) -> bool:
    """Of the two errors that are a 409 (google.rpc.Code), whether it is this one; the other is ABORTED."""
    try:
        return bool(json.loads(body)["error"]["status"] == "ALREADY_EXISTS")
    except (ValueError, LookupError, TypeError):
        return False
