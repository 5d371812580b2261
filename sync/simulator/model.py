"""The nouns of the world: copies, calendars, channels, queries, pages, switches. Frozen wherever they can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]

ROLES = ("none", "freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner")


def at_least(role: str, need: str) -> bool:
    return ROLES.index(role) >= ROLES.index(need)


@dataclass(frozen=True)
class Switches:
    """What nobody could prove about the real service, or what differs there from day to day."""

    addon_writes: Literal["accept", "refuse"] = "accept"
    tombstones: Literal["sparse", "rich"] = "sparse"
    boundary_repeats: bool = False  # a delta shows again what was written last before its token
    acl_change_kills_tokens: bool = False
    guest_etag_lags: bool = True  # an answer to an invitation moves `updated` further than the etag
    token_days: int = 30
    updated_min_days: int = 28
    ttl_cap_s: int = 30 * 24 * 3600
    meet_delay_s: float = 1.0  # until a requested conference exists
    sync_message: Literal["after", "before"] = "after"  # before or after the answer to watch
    straggle_s: float = 0.0  # how long a stopped channel goes on speaking


@dataclass(frozen=True, slots=True)
class Copy:
    """One calendar's copy of one event, as of its last write."""

    id: str
    calendar: str
    shared: Json
    private: Json
    version: int  # order of writes over the whole world
    stamp: int  # µs of the write: what watermarks are compared with
    updated: int  # µs of the last write that people can see
    etag: int
    cancelled: bool = False
    orphan: bool = False  # a cancelled occurrence that no series reaches any more
    before: Copy | None = None  # what a stale read shows

    @property
    def organizer(self) -> str:
        return str(self.shared["organizer"].get("email", ""))

    @property
    def organized_here(self) -> bool:
        return self.organizer == self.calendar

    @property
    def series(self) -> str:
        """The series this is an occurrence of; empty if it is none."""
        return str(self.shared.get("recurringEventId", ""))

    @property
    def recurrence(self) -> list[str]:
        return list(self.shared.get("recurrence", ()))

    @property
    def guests(self) -> set[str]:
        return {guest["email"] for guest in self.shared.get("attendees", ())}


@dataclass
class Calendar:
    id: str
    owner: str
    summary: str
    time_zone: str
    description: str = ""
    primary: bool = False
    deleted: bool = False
    acl: dict[str, str] = field(default_factory=dict)
    events: dict[str, Copy] = field(default_factory=dict)  # in order of writing
    epoch: int = 0  # tokens of an earlier epoch are dead
    spoiled: int = -1  # tokens up to this epoch are malformed
    stamp: int = 0

    @property
    def generated(self) -> bool:
        """Holidays, birthdays, week numbers: nobody writes them, nobody can watch them."""
        return "#" in self.id

    def role(self, principal: str) -> str:
        return max((self.acl.get(who, "none") for who in (principal, "*")), key=ROLES.index)

    def exceptions(self, series_id: str) -> list[Copy]:
        return [copy for copy in self.events.values() if copy.series == series_id]


@dataclass
class Channel:
    id: str
    calendar: str
    resource_id: str
    resource_uri: str
    address: str
    token: str
    expiration_ms: int
    creator: str
    number: int = 0
    stopped_at: int | None = None


@dataclass(frozen=True)
class Message:
    """One notification on its way."""

    channel_id: str
    address: str
    token: str
    expiration_ms: int
    resource_id: str
    resource_uri: str
    state: Literal["sync", "exists"]
    number: int
    delay_us: int = 0


@dataclass(frozen=True)
class Query:
    """A listing as asked for, and how far it has come."""

    since: int | None = None  # watermark of a sync token
    until: int = 0  # watermark when the first page was made
    after: tuple[int, int] = (0, -1)  # the last item shown: version, and place in its expansion
    max_results: int = 250
    single_events: bool = False
    show_deleted: bool = False
    order_by: str = ""
    time_min: str = ""
    time_max: str = ""
    updated_min: str = ""
    q: str = ""
    ical_uid: str = ""
    event_types: tuple[str, ...] = ()
    private_properties: tuple[str, ...] = ()
    shared_properties: tuple[str, ...] = ()
    series: str = ""  # the instances of one series
    original_start: str = ""

    @property
    def earns_token(self) -> bool:
        """orderBy and every filter that a sync token cannot carry suppress nextSyncToken."""
        filters = (self.order_by, self.updated_min, self.q, self.ical_uid, self.series)
        return not any(filters) and not self.private_properties and not self.shared_properties


@dataclass(frozen=True)
class Page:
    items: list[Copy]
    watermark: int
    next_page: Query | None = None
    next_sync: int | None = None
