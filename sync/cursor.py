"""Where a calendar's next listing starts, and what each answer makes of it. A table, no I/O.

| we listed with | answer                        | next                                           |
|----------------|-------------------------------|------------------------------------------------|
| either         | a page with a page token      | the next page of the same listing              |
| either         | a last page with a sync token | that sync token                                |
| sync token     | a last page without one       | the same sync token again (and a warning)      |
| window         | a last page without one       | the window again (and a warning)               |
| sync token     | dead or malformed (410, 400)  | one full listing, in the window                |
| nothing stored, or stored by another way of listing | – | one full listing, in the window      |
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SyncToken:
    """An incremental listing: everything that changed since this opaque token was given."""

    value: str


@dataclass(frozen=True, slots=True)
class Window:
    """A full listing: every event that ends after `since` (seconds since the epoch), deleted ones too."""

    since: float


Cursor = SyncToken | Window


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What is stored of a cursor: the token, and the hash of the way of listing that earned it."""

    token: str
    listing: str


@dataclass(frozen=True, slots=True)
class PageToken:
    """There is more of the same listing."""

    value: str


@dataclass(frozen=True, slots=True)
class LastPage:
    """The listing is complete. `sync_token` is empty when Google withheld it."""

    sync_token: str


PageEnd = PageToken | LastPage


def listing_hash(*parts: object) -> str:
    """A hash of all that decides what a token stands for: list parameters, window, rules, parser version."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def start(bookmark: Bookmark | None, listing: str, now: float, window_s: float) -> Cursor:
    """Where to begin: the stored token if it was earned by this very way of listing, else the window."""
    if bookmark is not None and bookmark.listing == listing:
        return SyncToken(bookmark.token)
    return full(now, window_s)


def full(now: float, window_s: float) -> Window:
    """A full listing that looks back `window_s` seconds and ahead without end."""
    return Window(now - window_s)


def finish(bookmark: Bookmark | None, end: LastPage, listing: str) -> Bookmark | None:
    """What to store after the last page. Never an empty token: without a new one, the old one stays."""
    return Bookmark(end.sync_token, listing) if end.sync_token else bookmark
