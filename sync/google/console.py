"""What Google Cloud says of a deployment's own queue, jobs and secrets, to whoever runs it. Over REST, asked once.

| it answers with               | becomes                                              |
|-------------------------------|------------------------------------------------------|
| 401, 403, 404                 | Misconfigured: it is not there, or not to be seen    |
| anything else but a 200       | Transient                                            |
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import google.auth
import google_auth_httplib2
import httplib2
import urllib3
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from urllib3.exceptions import HTTPError

from sync.errors import Misconfigured, Transient

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_WAIT_S = 10.0

Token = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Job:
    """One job of Cloud Scheduler. `code`: how its last attempt ended (google.rpc.Code); 0: well, or not begun."""

    name: str
    path: str  # that it posts to
    state: str
    code: int


class Console:
    """Reads, and changes nothing. `tasks_root` and the other roots stand for Google's own if they are empty."""

    def __init__(
        self, token: Token, *, tasks_root: str = "", scheduler_root: str = "", secrets_root: str = ""
    ) -> None:
        self._token = token
        self._tasks = tasks_root.rstrip("/") or "https://cloudtasks.googleapis.com"
        self._scheduler = scheduler_root.rstrip("/") or "https://cloudscheduler.googleapis.com"
        self._secrets = secrets_root.rstrip("/") or "https://secretmanager.googleapis.com"
        self._pool = urllib3.PoolManager(timeout=_WAIT_S, retries=False)

    def queue_state(self, queue: str) -> str:
        """RUNNING, PAUSED or DISABLED."""
        return str(self._get("the queue", f"{self._tasks}/v2/{queue}").get("state", ""))

    def jobs(self, project: str, region: str) -> list[Job]:
        """Those that post somewhere."""
        where = f"{self._scheduler}/v1/projects/{project}/locations/{region}/jobs?pageSize=500"
        return [
            Job(
                name=str(each.get("name", "")).rpartition("/")[2],
                path=urlsplit(str(each["httpTarget"].get("uri", ""))).path,
                state=str(each.get("state", "")),
                code=int(each.get("status", {}).get("code", 0)),
            )
            for each in self._get("the scheduler", where).get("jobs", [])
            if "httpTarget" in each
        ]

    def secret_made_at(self, secret: str) -> float:
        """When its newest version was added, in seconds since the epoch."""
        newest = self._get("the secret", f"{self._secrets}/v1/{secret}/versions/latest")
        try:
            return datetime.fromisoformat(newest["createTime"]).timestamp()
        except (ValueError, LookupError, TypeError):
            raise Transient("The secret's version does not say when it was made.") from None

    def _get(self, what: str, url: str) -> Mapping[str, Any]:
        try:
            answer = self._pool.request("GET", url, headers={"Authorization": f"Bearer {self._token()}"})
        except HTTPError as error:
            raise Transient(f"Google did not tell of {what}: {type(error).__name__}.") from None
        if answer.status in (401, 403, 404):
            raise Misconfigured(
                [f"Google does not tell of {what} ({answer.status}): it is not there, or not yours."]
            )
        try:
            told = json.loads(answer.data) if answer.status == 200 else None
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise Transient(f"Google did not tell of {what}: {answer.status}.")
        return told


@cache
def _own_credentials() -> Credentials:
    found: Credentials = google.auth.default(scopes=[_SCOPE])[0]
    return found


def own_token() -> str:
    """An access token of the application-default credentials: of whoever is at the command line."""
    try:
        credentials = _own_credentials()
        if not credentials.valid:
            credentials.refresh(google_auth_httplib2.Request(httplib2.Http(timeout=_WAIT_S)))  # type: ignore[no-untyped-call]
    except DefaultCredentialsError:
        raise Misconfigured(
            ["There are no application-default credentials: gcloud auth application-default login."]
        ) from None
    except GoogleAuthError as error:
        raise Transient(f"Google gives no access token for now: {type(error).__name__}.") from None
    return str(credentials.token)
