"""As whom we speak to Google: as ourselves, or as a user whose domain has delegated that to a service account.

Delegation needs no key file. IAM signs the assertion (signJwt), the token endpoint takes it for an access token of
one hour; google-auth does both. It is asked in our own way: no wait and no retry inside it, and whoever refuses us
is told in our own words, by who must act:

| who refuses                                 | becomes                                                 |
|---------------------------------------------|---------------------------------------------------------|
| the token endpoint: this user, or our grant | AccessLost: for this calendar alone, with what to grant |
| IAM, the metadata server; or us ourselves   | Misconfigured: no calendar can be read like that        |
| anybody, for now: 429, 5xx, no answer       | RateLimited, Transient                                  |
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import google.auth
import google_auth_httplib2
import httplib2
from google.auth import compute_engine, impersonated_credentials
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError

from sync.errors import AccessLost, Misconfigured, RateLimited, SyncError, Transient

# The least that serves: list, get, watch and stop. The other one also writes, and only write-back needs it.
READING = "https://www.googleapis.com/auth/calendar.events.readonly"
WRITING = "https://www.googleapis.com/auth/calendar.events"

_SIGNING = "https://www.googleapis.com/auth/iam"
_WAIT_S = 10.0  # for a token, when one is asked for by itself
_SUBJECTS = 2000  # whose tokens one instance keeps
_NAME = re.compile(r"[a-z_]{1,40}", re.ASCII)
_IAM = "iamcredentials.googleapis.com"


class Identity:
    """The credentials of each subject, kept while they are in use. Threads may share it.

    `delegation`: the service account that signs for subjects. `client_id`: the number by which the Admin console
    knows it. `stand_in`: the root URL of a stand-in for Google's token endpoints, which gets nothing of ours.
    """

    def __init__(
        self, scope: str = READING, *, delegation: str = "", client_id: str = "", stand_in: str = ""
    ) -> None:
        self._scope = scope
        self._delegation = delegation
        self._client_id = client_id
        self._stand_in = stand_in.rstrip("/")
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Asked] = OrderedDict()
        self._signer: Credentials | None = None

    def __call__(self, subject: str) -> _Asked:
        """Those of a subject; our own, if it is empty. Raises AccessLost, Misconfigured."""
        with self._lock:
            found = self._kept.pop(subject, None) or self._made(subject)
            self._kept[subject] = found
            if len(self._kept) > _SUBJECTS:
                self._kept.popitem(last=False)
            return found

    @property
    def scope(self) -> str:
        """What every token is asked for."""
        return self._scope

    def prove(self, subject: str) -> str:
        """Get a token now, for whoever tries the deployment. Returns our own account's address, if that is known.

        Raises AccessLost, Misconfigured, RateLimited, Transient.
        """
        credentials = self(subject)
        with closing(httplib2.Http(timeout=_WAIT_S)) as http:
            credentials.refresh(google_auth_httplib2.Request(http))
        return "" if subject else str(getattr(credentials.inner, "service_account_email", ""))

    def _made(self, subject: str) -> _Asked:
        if not subject:
            return self._own(self._scope)
        if not self._delegation:
            raise AccessLost(
                "a calendar with a subject needs delegation: set SYNC_DELEGATION, or share the calendar with the "
                "worker's account and leave the subject out"
            )
        if self._signer is None:
            self._signer = self._own(_SIGNING)
        delegated = impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
            source_credentials=self._signer,
            target_principal=self._delegation,
            target_scopes=[self._scope],
            subject=subject,
        )
        return _Asked(delegated, self._stand_in, self._subject_is_refused)

    def _own(self, scope: str) -> _Asked:
        """Those of the account this process runs as; a stand-in's metadata server has others."""
        if self._stand_in:
            found: Any = compute_engine.Credentials(  # type: ignore[no-untyped-call]
                scopes=[scope], universe_domain="googleapis.com"
            )
        else:
            try:
                found, _ = google.auth.default(scopes=[scope])
            except DefaultCredentialsError:
                raise Misconfigured(
                    [
                        "This process has no Google credentials: run it as a service account, or on a laptop say "
                        "gcloud auth application-default login."
                    ]
                ) from None
        return _Asked(found, self._stand_in, _we_are_refused)

    def _subject_is_refused(self, reason: str) -> SyncError:
        """What is to be granted. Of whom it is, only the calendar's record tells."""
        if reason == "invalid_grant":
            return AccessLost(
                "delegation: invalid_grant: Google knows no such user, or has suspended them: correct the "
                "calendar's subject, or restore the user"
            )
        client = self._client_id or "of the account in SYNC_DELEGATION (its uniqueId, as gcloud tells it)"
        return AccessLost(
            f"delegation: {reason}: in the Admin console, Security > API controls > Domain-wide delegation, "
            f"add the client id {client} with the scope {self._scope}"
        )


def nobody(_: str) -> None:
    """No credentials at all: for a stand-in on this machine."""


def _we_are_refused(reason: str) -> SyncError:
    return Misconfigured(
        [
            f"Google refuses this process's own credentials ({reason}): renew them, or enable its account again."
        ]
    )


class _Asked(Credentials):
    """Credentials of google-auth, whose every request to get a token is an errand of ours."""

    def __init__(self, inner: Credentials, stand_in: str, refused: Callable[[str], SyncError]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.inner = inner
        self._stand_in = stand_in
        self._refused = refused

    def refresh(self, request: Callable[..., Any]) -> None:
        """Raises AccessLost, Misconfigured, RateLimited, Transient."""
        if isinstance(request, _Errand):  # the signer's token, on the way to a subject's: another matter
            request = request.request
        try:
            self.inner.refresh(_Errand(request, self._stand_in, self._refused))  # type: ignore[no-untyped-call]
        except GoogleAuthError:
            raise Transient("Google's token endpoint gives an answer that cannot be read") from None
        self.token, self.expiry = self.inner.token, self.inner.expiry

    def apply(self, headers: MutableMapping[str, str], token: str | None = None) -> None:
        self.inner.apply(headers, token)  # type: ignore[no-untyped-call]


class _Errand:
    """google.auth.transport.Request: asks once, and turns every refusal into an error of ours."""

    def __init__(
        self, request: Callable[..., Any], stand_in: str, refused: Callable[[str], SyncError]
    ) -> None:
        self.request = request
        self._stand_in = stand_in
        self._refused = refused

    def __call__(self, url: str, **how: Any) -> Any:
        place = urlsplit(url)
        if self._stand_in:
            url = self._stand_in + place._replace(scheme="", netloc="").geturl()
        try:
            answer = self.request(url=url, **how)
        except (TransportError, OSError):
            raise Transient(f"{place.hostname} does not answer") from None
        status = int(answer.status)
        if status == 429:
            raise RateLimited(f"{place.hostname} asks us to slow down")
        if status == 408 or status >= 500:
            raise Transient(f"{place.hostname} gives no token for now: {status}")
        if status >= 400:
            raise self._refusal(str(place.hostname), status, answer.data)
        return answer

    def _refusal(self, host: str, status: int, body: bytes) -> SyncError:
        if host == _IAM:
            return Misconfigured(
                [
                    f"IAM does not sign for us ({status}): enable iamcredentials.googleapis.com, and grant the "
                    "worker's account roles/iam.serviceAccountTokenCreator on the account in SYNC_DELEGATION."
                ]
            )
        return self._refused(_reason(body) or f"{host}: {status}")


def _reason(body: bytes) -> str:
    """The error's name (RFC 6749, section 5.2). What else a body says may hold an address."""
    try:
        told = json.loads(body)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return told if isinstance(told, str) and _NAME.fullmatch(told) else ""
