"""As whom we speak to Google: for now as ourselves, with calendars shared to us."""

import threading

import google.auth
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError

from sync.errors import AccessLost

SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"  # least: list, get, watch and stop


class OwnIdentity:
    """The credentials of the account this process runs as, found once. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Credentials | None = None

    def __call__(self, subject: str) -> Credentials:
        """Raises AccessLost for a subject: speaking as somebody else needs delegation, which is not built yet."""
        if subject:
            raise AccessLost("a calendar with a subject needs delegation, which is not built in this version")
        with self._lock:
            if self._found is None:
                self._found = _default()
            return self._found


def nobody(_: str) -> None:
    """No credentials at all: for a stand-in on this machine."""


def _default() -> Credentials:
    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
    except DefaultCredentialsError:
        raise AccessLost("there are no application-default credentials on this machine") from None
    assert isinstance(credentials, Credentials)
    return credentials
