"""Secrets from Secret Manager, kept for minutes: rotation needs no deploy, and an outage of minutes stops nothing.

For the worker: the webhook never asks. No error tells anything of a secret but its name.

| Secret Manager answers with                          | becomes                                             |
|------------------------------------------------------|-----------------------------------------------------|
| 200 with text                                        | that text                                           |
| 404; 400: its newest version is not enabled; no text | Misconfigured: a version is to be added             |
| 401, 403; no credentials                             | Misconfigured: a role is to be granted              |
| anything else; nothing                               | Transient, unless the last one read is good enough  |
"""

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from google.api_core.exceptions import (
    BadRequest,
    Forbidden,
    GoogleAPIError,
    NotFound,
    Unauthorized,
)
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]

from sync import in_time
from sync.errors import Misconfigured, SyncError, Transient
from sync.ports import Clock

if TYPE_CHECKING:
    from google.cloud.secretmanager import SecretManagerServiceClient

_ROLE = "roles/secretmanager.secretAccessor"
_STALE_S = 3600.0  # how old a secret may get while Secret Manager does not answer
_PAUSE_S = 30.0  # ... and for how long that is then left alone: every try keeps somebody waiting
_KEPT = 64  # secrets


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str
    read_at: float
    ask_again_at: float

    def __repr__(self) -> str:
        return "_Kept(…)"


class Secrets:
    """The newest version of each secret. Threads may share it; nothing is opened before the first is read.

    `cache_s`: how long it is then kept. `wait_s`: how long we wait for a connection, and again for the answer: a
    reading ends within both, whoever holds it up.
    `root_url`: another than Google's is a stand-in on this machine, and gets no credentials of ours.
    """

    def __init__(self, *, clock: Clock, cache_s: float, wait_s: float, root_url: str = "") -> None:
        self.call_s = 2 * wait_s
        self._clock = clock
        self._cache_s = cache_s
        self._wait_s = wait_s
        self._root_url = root_url
        self._lock = threading.Lock()
        self._client: SecretManagerServiceClient | None = None
        self._kept: dict[str, _Kept] = {}

    def read(self, name: str) -> str:
        """What `projects/…/secrets/…` is now, or was `cache_s` ago. Raises Transient, Misconfigured."""
        now = self._clock.monotonic()
        kept = self._kept.get(name)
        if kept is not None and now < kept.ask_again_at:
            return kept.value
        try:
            newest = _Kept(self._ask(name), now, now + self._cache_s)
        except Transient:
            if kept is None or now >= kept.read_at + _STALE_S:
                raise
            newest = replace(kept, ask_again_at=now + _PAUSE_S)
        self._keep(name, newest)
        return newest.value

    def _keep(self, name: str, newest: _Kept) -> None:
        with self._lock:
            self._kept.pop(name, None)
            self._kept[name] = newest
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]

    def _ask(self, name: str) -> str:
        # Not in a thread that may be left alone: in the middle of an import it would be in everybody's way.
        from google.cloud.secretmanager import SecretManagerServiceClient

        version = f"{name}/versions/latest"
        try:
            with in_time.within(self.call_s):
                answer = in_time.awaited(
                    lambda: self._opened(SecretManagerServiceClient).access_secret_version(
                        name=version, retry=None, timeout=self._wait_s
                    )
                )
        except _FAILURES as error:
            raise _ours(name, error) from None
        try:
            # An end of line is the editor's, not the secret's.
            value = answer.payload.data.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise Misconfigured([f"The secret {name} is not UTF-8 text."]) from None
        if not value:
            raise Misconfigured([f"The secret {name} is empty."])
        return value

    def _opened(self, client: "type[SecretManagerServiceClient]") -> "SecretManagerServiceClient":
        """REST rather than gRPC: a secret is read once in minutes, and no connection need be kept for that."""
        with self._lock:
            if self._client is None:
                self._client = client(
                    transport="rest",
                    credentials=AnonymousCredentials() if self._root_url else None,  # type: ignore[no-untyped-call]
                    client_options={"api_endpoint": self._root_url} if self._root_url else None,
                )
            return self._client


# Over REST also what the connection itself raises, and what reads an answer that is not Secret Manager's.
_FAILURES = (GoogleAPIError, GoogleAuthError, OSError, ParseError, ValueError)


def _ours(name: str, error: Exception) -> SyncError:
    """Secret Manager's own words stay here: an answer that could not be read may be quoted in them."""
    kind = type(error).__name__
    match error:
        case NotFound() | BadRequest():
            return Misconfigured([f"The secret {name} has no version that can be read: add one."])
        case Unauthorized() | Forbidden() | DefaultCredentialsError():
            return Misconfigured([f"This account may not read the secret {name}: grant it {_ROLE}."])
    return Transient(f"Secret Manager did not tell the secret {name}, for now: {kind}.")
