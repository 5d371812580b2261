"""Secrets from Secret Manager, kept for minutes: rotation needs no deploy, and an outage of minutes stops nothing.

For the worker: the webhook never asks. No error tells anything of a secret but its name.
"""

import re
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

from sync.errors import Misconfigured, SyncError, Transient
from sync.ports import Clock

if TYPE_CHECKING:
    from google.cloud.secretmanager import SecretManagerServiceClient

_CALL_S = 8.0
_STALE_S = 3600.0  # how old a secret may get while Secret Manager does not answer
_PAUSE_S = 30.0  # ... and for how long that is then left alone: every try keeps somebody waiting
_KEPT = 64  # secrets
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str
    read_at: float
    ask_again_at: float

    def __repr__(self) -> str:
        return "_Kept(…)"


class Secrets:
    """The newest version of each secret of one project. Threads may share it; nothing is opened before it is read.

    `root_url`: another than Google's is a stand-in on this machine, and gets no credentials of ours.
    """

    def __init__(self, project: str, *, clock: Clock, cache_s: float = 300.0, root_url: str = "") -> None:
        self._project = project
        self._clock = clock
        self._cache_s = cache_s
        self._root_url = root_url
        self._lock = threading.Lock()
        self._client: SecretManagerServiceClient | None = None
        self._kept: dict[str, _Kept] = {}

    def read(self, secret_id: str) -> str:
        """The newest version, or the one that was a few minutes ago. Raises Transient, Misconfigured."""
        now = self._clock.monotonic()
        kept = self._kept.get(secret_id)
        if kept is not None and now < kept.ask_again_at:
            return kept.value
        try:
            newest = _Kept(self._ask(secret_id), now, now + self._cache_s)
        except Transient:
            if kept is None or now >= kept.read_at + _STALE_S:
                raise
            newest = replace(kept, ask_again_at=now + _PAUSE_S)
        self._keep(secret_id, newest)
        return newest.value

    def _keep(self, secret_id: str, newest: _Kept) -> None:
        with self._lock:
            self._kept.pop(secret_id, None)
            self._kept[secret_id] = newest
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]

    def _ask(self, secret_id: str) -> str:
        if not _NAME.fullmatch(secret_id):
            raise Misconfigured(["A secret is asked for by something that is not the name of one."])
        version = f"projects/{self._project}/secrets/{secret_id}/versions/latest"
        try:
            answer = self._opened().access_secret_version(name=version, retry=None, timeout=_CALL_S)
        except _FAILURES as error:
            raise _ours(secret_id, error) from None
        try:
            # An end of line is the editor's, not the secret's.
            value = answer.payload.data.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise Misconfigured([f"The secret {secret_id} is not UTF-8 text."]) from None
        if not value:
            raise Misconfigured([f"The secret {secret_id} is empty."])
        return value

    def _opened(self) -> "SecretManagerServiceClient":
        """REST rather than gRPC: a secret is read once in minutes, and no connection need be kept for that."""
        from google.cloud.secretmanager import SecretManagerServiceClient

        with self._lock:
            if self._client is None:
                self._client = SecretManagerServiceClient(
                    transport="rest",
                    credentials=AnonymousCredentials() if self._root_url else None,  # type: ignore[no-untyped-call]
                    client_options={"api_endpoint": self._root_url} if self._root_url else None,
                )
            return self._client


# Over REST also what the connection itself raises, and what reads an answer that is not Secret Manager's.
_FAILURES = (GoogleAPIError, GoogleAuthError, OSError, ParseError, ValueError)


def _ours(secret_id: str, error: Exception) -> SyncError:
    """Secret Manager's own words stay here: an answer that could not be read may be quoted in them."""
    kind = type(error).__name__
    match error:
        case NotFound() | BadRequest():
            return Misconfigured([f"The secret {secret_id} has no version that can be read: add one."])
        case Unauthorized() | Forbidden() | DefaultCredentialsError():
            return Misconfigured([f"This account may not read the secret {secret_id}: grant it access."])
    return Transient(f"Secret Manager did not tell the secret {secret_id}, for now: {kind}.")
