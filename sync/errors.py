"""Every error raised on purpose, named by who must act on it.

    SyncError
    ├── Rejected                  the caller is not who it claims to be    nobody retries
    ├── Transient                 it may pass, after `retry_after_s`       the queue, or the ledger
    │   ├── RateLimited           ... and it took no effect
    │   └── Timeout               ... and it may have taken effect
    ├── LeaseLost                 another worker has overtaken us          that worker
    ├── SyncTokenGone             an answer of `events.list`: list in full pull, once
    ├── Overtaken                 an event has changed since it was read   we: read it again
    ├── AccessLost                the calendar itself refuses us           a person shares it again
    ├── AuthFailed                a provider refuses our credentials       a person renews them
    ├── Refused                   a provider will never accept this        again when the event changes
    ├── Gone                      the conference is not there              nobody
    ├── Unsupported               the provider cannot express this         nobody; it is said
    ├── NewerRecord               the store speaks a later version         deploy that version
    └── Misconfigured             settings or grants                       deploy

Messages name what went wrong and, where there is one, the calendar key or conference concerned; never a
title, an address or a secret.
"""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches


def nearest(name: str, known: Collection[str]) -> str:
    """The end of a sentence about an unknown name."""
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else "."


class SyncError(Exception):
    """Base of every error this package raises on purpose."""


def kind_of(error: SyncError) -> str:
    """What an error is called where people read of it: `rate_limited`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


class Rejected(SyncError):
    """A request that is not authentic, or not for a door that exists."""


class Transient(SyncError):
    """The other side failed in a way that may pass. Whether the call took effect is not known.

    `retry_after_s`: how long it asks to be left alone, if it says so.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(Transient):
    """The other side asks us to slow down; the call took no effect.

    `alone`: a limit of this one conference, which says nothing about the others of its account.
    """

    def __init__(self, message: str, retry_after_s: float | None = None, *, alone: bool = False) -> None:
        super().__init__(message, retry_after_s)
        self.alone = alone


class Timeout(Transient):
    """No answer in time; the call may have taken effect, or may still."""


class LeaseLost(SyncError):
    """The fence has grown since our claim: another worker has taken over."""


class SyncTokenGone(SyncError):
    """`events.list` no longer accepts this sync token (410, or 400 on the token)."""


class Overtaken(SyncError):
    """An event that was to be written into has changed since it was read: a user's edit comes first."""


class AccessLost(SyncError):
    """The calendar cannot be read with the access we have (401, 403, 404, or a role that hides events)."""


class AuthFailed(SyncError):
    """A provider refuses our credentials, or an account is exhausted for the day.

    `alone`: it refuses them for this one conference, which says nothing about the others of its account.
    """

    def __init__(self, message: str, *, alone: bool = False) -> None:
        super().__init__(message)
        self.alone = alone


class Refused(SyncError):
    """A provider refuses this request for good."""


class Gone(SyncError):
    """The conference, or the event asked for, does not exist."""


class Unsupported(SyncError):
    """The provider has no way to express this."""


class NewerRecord(SyncError):
    """A stored record has a schema later than this code knows."""


class Misconfigured(SyncError):
    """Settings that cannot work. `problems` names every one of them, a sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)
