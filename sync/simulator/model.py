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

    # listings and tokens
    tombstones: Literal["sparse", "rich"] = "sparse"
    list_order: Literal["written", "shuffled"] = "written"  # of a listing that asks for none
    boundary_repeats: bool = False  # a delta shows again what was written last before its token
    filters_earn_token: bool = False  # q, iCalUID, properties and updatedMin leave nextSyncToken where it is
    ended_series_listed: bool = False  # by timeMin, a series none of whose occurrences ends after it
    acl_change_kills_tokens: bool = False
    token_days: int = 30
    updated_min_days: int = 28
    # series
    most_occurrences: int = 730  # an endless series is expanded no further
    exceptions_follow: bool = True  # what changes in a series changes in exceptions that had it alike
    moved_series: Literal["orphans", "keeps"] = "orphans"  # its exceptions, when its own times change
    deleted_series: Literal["itself", "occurrences"] = "itself"  # what a delta of single events shows of it
    # writing
    addon_writes: Literal["accept", "refuse"] = "accept"
    conference_copied: bool = True  # to the series that follows a split, and to a duplicate
    null_erases_conference: bool = True
    put_erases_conference: bool = True  # a PUT with version 1 and without one
    meet_delay_s: float = 1.0  # until a requested conference exists
    guest_edits: Literal["refuse", "own copy"] = "refuse"  # of what is the organizer's to change
    guest_etag_lags: bool = True  # an answer to an invitation moves `updated` further than the etag
    masked_title: str = ""  # of an event whose details the reader may not see
    deleted_calendar: Literal[410, 404] = 410
    unknown_names: Literal["ignore", "refuse"] = "ignore"  # in a body or a query
    # channels
    ttl_cap_s: int = 30 * 24 * 3600
    channel_ids: Literal["narrow", "any"] = "narrow"  # letters, digits, - _ + / =, or whatever is given
    reused_channel_status: Literal[400, 409] = 400
    typed_channels: Literal["speak", "mute"] = "speak"  # those watched with eventTypes
    sync_message: Literal["after", "before"] = "after"  # before or after the answer to watch
    straggle_s: float = 0.0  # how long a stopped channel goes on speaking
    push_pause_s: float = 1.0  # before a notification is tried again; doubles every time
    push_tries: int = 10  # after the first


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
    typed: bool = False  # watched with eventTypes
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
    def filtered(self) -> bool:
        """By what a sync token cannot carry."""
        filters = (self.updated_min, self.q, self.ical_uid, self.private_properties, self.shared_properties)
        return any(filters)


@dataclass(frozen=True)
class Page:
    items: list[Copy]
    watermark: int
    next_page: Query | None = None
    next_sync: int | None = None
