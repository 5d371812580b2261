"""What the use cases ask of the world outside: five contracts. Adapters implement them; only wiring knows which.

Calendar      lists and reads events, opens and stops channels. Speaks our nouns, raises our errors.
Store         remembers calendars, links and conferences. Every change of a calendar's records names the hold it
              is made under and is refused (LeaseLost) when the fence has grown. Only its time is compared.
Conferences   the providers, by name: read, update and delete one conference.
Queue         keeps a task until the worker has answered it with success, at least once, in no order.
Clock         the time of day and a monotonic clock.

Every call may raise Transient: whether it took effect is then not known, and the caller must be right either way.

The public door comes here for its queue, so the nouns of all others are named for their types alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar

from sync.lease import Lease

if TYPE_CHECKING:
    from sync.account import Account
    from sync.channel import Channel
    from sync.conference import Conference
    from sync.cursor import Bookmark, Cursor, PageEnd
    from sync.event import Event, Unreadable
    from sync.lease import Hold
    from sync.ledger import Ledger, Link
    from sync.meeting import Meeting
    from sync.recognise import ConferenceKey, Stranger, System

T = TypeVar("T")

# --- Calendar -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CalendarId:
    """Which calendar, and as whom we read it. An empty subject: as ourselves, the calendar being shared."""

    id: str
    subject: str = ""

    def __repr__(self) -> str:
        return "CalendarId(…)"  # an address must not reach a log by way of a traceback


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing."""

    items: Collection[Event | Unreadable]
    end: PageEnd
    access_role: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one event."""

    event_id: str
    etag: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Google's answer to a watch call: its name for the resource, and when the channel ends (epoch seconds)."""

    resource_id: str
    expires_at: float


class Calendar(Protocol):
    """Google Calendar. Calls end within `call_s` seconds."""

    call_s: float
    listing: str  # a hash of the list parameters and the parser's version

    def list_page(self, calendar: CalendarId, cursor: Cursor, page_token: str) -> Page:
        """One page; `page_token` is empty for the first.

        Raises SyncTokenGone (only with a sync token), AccessLost, Transient.
        """

    def get(self, calendar: CalendarId, event_id: str) -> Event | Unreadable:
        """One event; a cancelled one as a tombstone. Raises Gone, AccessLost, Transient."""

    def replace_url(self, calendar: CalendarId, version: Version, old: str, new: str) -> str:
        """Write another join URL into this version of an event, and nothing else; returns its new etag.

        Nobody is sent a mail. Raises Overtaken if there is a newer version, Refused, Gone, AccessLost, Transient.
        """

    def access_role(self, calendar: CalendarId) -> str:
        """What its subject, or we, may do there: "reader", "writer" or "owner". Raises AccessLost, Transient."""

    def watch(self, calendar: CalendarId, channel_id: str, token: str, address: str, life_s: float) -> Watch:
        """Open a channel. Raises Unsupported (not watchable), Refused, AccessLost, Transient."""

    def stop(self, channel: Channel) -> None:
        """Close a channel; one that is unknown is closed. Raises AccessLost, Transient."""


# --- Store --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CalendarRecord:
    """All that is stored of one calendar. Times are seconds since the epoch, the store's."""

    key: str
    calendar: CalendarId
    label: str = ""  # the slug it was wired under: for people
    active: bool = True  # wired or enrolled, and not paused
    frozen: str = ""  # why it cannot be read; empty while it can
    frozen_at: float = 0.0  # since when it cannot
    bookmark: Bookmark | None = None
    lease: Lease = Lease()
    generation: int = 0  # grows with every wake that found the lease taken
    served: int = 0  # the newest generation that a whole pass has covered
    due_at: float = 0.0  # when to look again, at the latest
    work_at: float | None = None  # when the next of its conferences or doubted links needs a look
    listed_at: float = 0.0  # the start of the last listing that was recorded
    full_at: float = 0.0  # ... and of the last one that was a full one
    access_role: str = ""
    failures: int = 0  # passes failed in a row
    failed: str = ""  # why the last of them failed
    skew_s: float = 0.0  # how far the clock of the last pass's worker was ahead of the store's
    stranger: Stranger | None = None  # carried by an event, and of no system that we know
    deletions: tuple[float, ...] = ()  # of the last day: for the brake
    channels: tuple[Channel, ...] = ()
    notified_at: float = 0.0  # the last genuine notification, by the webhook's clock; 0: none yet
    changed_at: float = 0.0  # the last change that was found, by Google's clock
    missed: int = 0  # looks in a row that found what a notification should have told of (sync.push)
    unwatchable: str = ""  # why Google opens no channel: the calendar is polled
    watch_after: float = 0.0  # when to try to open a channel again, at the earliest
    watch_failures: int = 0  # openings in a row that came to nothing


@dataclass(frozen=True, slots=True)
class Claimed:
    """The lease is ours. `now` is the store's time at the claim."""

    hold: Hold
    record: CalendarRecord
    now: float


@dataclass(frozen=True, slots=True)
class Busy:
    """Another worker holds the lease. The generation was raised for its closing write to see."""

    fence: int
    generation: int
    ends_at: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to do: the calendar is unknown, inactive, or this generation was served meanwhile."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a pass has come to, beside the ledger. Absent fields stay as they are."""

    bookmark: Bookmark | None = None
    listed_at: float | None = None
    access_role: str | None = None
    work_at: float | None = None  # brought forward to this, never pushed back
    deleted_at: float | None = None
    changed_at: float = 0.0  # of the newest change found; 0: none was
    missed: bool = False  # a notification should have told of it
    stranger: Stranger | None = None
    starts_over: bool = False  # by a full listing: earlier strangers count no more


@dataclass(frozen=True, slots=True)
class Closing:
    """The last word of a pass. Not `finished`: no generation was served, and the lease is given back anyway.

    `frozen`: the calendar refused us, and why. A pass that failed otherwise leaves it as it was.
    `failed`: why a pass failed otherwise. `skew_s`: how far its worker's clock is ahead; None: not known.
    """

    due_at: float
    work_at: float | None
    progress: Progress = field(default_factory=Progress)
    finished: bool = True
    failures: int = 0
    frozen: str = ""
    failed: str = ""
    skew_s: float | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was erased."""

    links: int = 0
    conferences: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """How a calendar's conferences stand: for the brake."""

    live: int  # used by events that are not over
    waiting: int  # unwanted, not yet deleted


@dataclass(frozen=True, slots=True)
class Stock:
    """How many conferences there are of those that are not as their events want: for metrics."""

    pending: int  # something is left to do, now or at a time that is known
    held: int
    quarantined: int
    lost: int


@dataclass(frozen=True, slots=True)
class DueCalendar:
    """What a sweep needs to know of a calendar, even of one whose record is of a later version."""

    key: str
    subject: str
    listed_at: float


@dataclass(frozen=True, slots=True)
class Recent:
    """What was written since some time, each with the history that it keeps."""

    calendars: Sequence[CalendarRecord]  # whose lease was granted or renewed
    links: Sequence[Link]  # whose event was seen another way than before
    conferences: Sequence[Conference]  # about which something was decided


class Store(Protocol):
    """Where everything durable lives."""

    def claim(
        self, calendar_key: str, owner: str, generation: int = 0, notified_at: float = 0.0
    ) -> Claimed | Busy | Idle:
        """Take the lease, or raise the generation because it is taken. One read and one write.

        That write also keeps `notified_at` (0: no notification), if it is the calendar's latest.
        """

    def renew(self, hold: Hold) -> Hold:
        """A longer hold. Raises LeaseLost."""

    def change(
        self, hold: Hold, body: Callable[[Ledger, float], T], progress: Progress | None = None
    ) -> tuple[T, Hold]:
        """Run `body` over the ledger at the store's time, and write all it changed, and `progress`, at once.

        `body` may run more than once. Renews the lease. Raises LeaseLost, and then nothing was written.
        """

    def close(self, hold: Hold, generation: int, closing: Closing) -> bool:
        """Write the last word, count `generation` as served and give the lease back.

        False, and nothing written, if the pass is finished but a newer generation came meanwhile: then go
        round again. Raises LeaseLost.
        """

    def due_conferences(self, calendar_key: str, now: float, limit: int) -> Sequence[Conference]:
        """Of the conferences this calendar looks after, those stored as due by `now`, the longest due first."""

    def next_due(self, calendar_key: str) -> float | None:
        """When the next of the conferences this calendar looks after is stored as due."""

    def doubted_links(self, calendar_key: str, limit: int) -> Sequence[Link]:
        """Links that a full listing did not mention."""

    def live_links(self, calendar_key: str) -> Iterable[Link]:
        """Every live link of a calendar."""

    def provisional_links(self, before: float, limit: int) -> Sequence[Link]:
        """Links of any calendar that were said before then and never seen, the oldest first."""

    def links_of(self, event_id: str) -> Sequence[Link]:
        """The links of an event, in every calendar that has one, live or not."""

    def recent(self, since: float) -> Recent:
        """What has happened after this time, the store's: for a person who looks on."""

    def conferences(self, keys: Iterable[ConferenceKey]) -> Sequence[Conference]:
        """Conferences as they stand."""

    def conferences_of(self, calendar_key: str) -> Iterable[Conference]:
        """Every conference that this calendar looks after."""

    def unsettled(self, calendar_key: str = "") -> Iterable[Conference]:
        """The conferences that are stored as due some time, held, or lost: of one calendar, or of all."""

    def waiting_conferences(self, calendar_key: str, limit: int) -> Sequence[Conference]:
        """Of the conferences this calendar looks after, those whose deletion is wanted and not yet done."""

    def tally(self, calendar_key: str, now: float) -> Tally:
        """How the conferences it looks after stand."""

    def stock(self) -> Stock:
        """How the conferences of all calendars stand."""

    def account(self, name: str) -> Account:
        """How a provider's account stands; one that was never in trouble answers."""

    def accounts(self) -> Sequence[Account]:
        """Every account that ever was in trouble, or that shares something."""

    def change_account(self, name: str, body: Callable[[Account, float], Account]) -> Account:
        """Change it at the store's time, and return what stands now. `body` may run more than once."""

    def now(self) -> float:
        """The store's time."""

    def calendar(self, calendar_key: str) -> CalendarRecord | None:
        """One calendar's record."""

    def calendars(self) -> Sequence[CalendarRecord]:
        """Every calendar's record."""

    def due_calendars(self, limit: int) -> Sequence[DueCalendar]:
        """Active calendars whose `due_at` has passed, the longest due first."""

    def wired(self) -> Wiring:
        """What Terraform wants."""

    def webhook_url(self) -> str:
        """The switch, without the calendars: where channels post; empty if there are to be none."""

    def enrolled(self) -> Sequence[EnrolledCalendar]:
        """The calendars that were added at run time. Where one is wired too, the wire speaks."""

    def enrol(self, calendar_key: str, enrolled: EnrolledCalendar) -> bool:
        """Add it, or say it anew. False, and nothing written, if something later was asked for this calendar."""

    def withdraw(self, calendar_key: str, asked_at: float) -> bool:
        """Take it back; neither its address nor who asked is kept. False as `enrol`."""

    def tend(
        self, calendar_key: str, body: Callable[[CalendarRecord | None, float], CalendarRecord]
    ) -> CalendarRecord:
        """Change what converge looks after (calendar, label, active, channels and all about opening them),
        whoever holds the lease.

        Returns the record as it stands then.
        """

    def hand_over(self, calendar_key: str, heirs: Sequence[str]) -> int:
        """What a calendar that is not looked after has still to do goes to the first heir that uses it too.

        Returns how many conferences did; none while a pass is over it.
        """

    def forget(self, calendar_key: str) -> Forgotten:
        """Erase all that is known of a calendar that is not active: its part in conferences, links, its record.

        A conference that another calendar uses stays, and is looked after there. In several steps, the record
        last: after a failure it is called again. Raises Refused for an active one, Transient while a pass is over
        it.
        """

    def salt(self) -> bytes:
        """The secret that calendar keys are made with: drawn once for each store."""


@dataclass(frozen=True, slots=True)
class WiredCalendar:
    """One calendar that Terraform wired."""

    slug: str
    calendar: CalendarId
    paused: bool = False


@dataclass(frozen=True, slots=True)
class EnrolledCalendar:
    """One calendar that was added at run time."""

    calendar: CalendarId
    asked_at: float  # seconds since the epoch, by the door that was asked: what was asked last stands
    by: str = ""  # a keyed hash of the address that asked; empty: whoever runs the deployment


@dataclass(frozen=True, slots=True)
class Wiring:
    """The wired calendars, and the URL of the webhook: the switch. An empty URL stops every channel."""

    webhook_url: str
    calendars: tuple[WiredCalendar, ...]


# --- Conferences --------------------------------------------------------------------------------------------


class Reason(StrEnum):
    """Why a provider is called."""

    CHANGED = (
        "changed"  # its events want another state than the one last confirmed, or we cannot be sure of it
    )
    RESTORED = "restored"  # it was deleted, and is wanted again
    REMOVED = "removed"  # no event wants it any more


@dataclass(frozen=True, slots=True)
class Target:
    """The conference that a call is about, and what may help to find it."""

    key: ConferenceKey
    version: int = 0  # of what is wanted: higher is newer, always; a call that is repeated has the same again
    reason: Reason = Reason.CHANGED
    locator: str = ""  # its join URL, of systems whose id alone does not lead to it (System.located)
    organizer: str = ""  # an address: the organizer's, or the id of the calendar that looks after it

    @property
    def id(self) -> str:
        return self.key.id

    def __repr__(self) -> str:
        return f"Target({self.key})"  # neither a link nor an address must reach a log


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a provider made of a call. `ignored`: fields it cannot express, by name; never a silent success.

    `join_url`: where it is joined now, if the provider says so; the settings may want it in the events.
    """

    changed: bool
    applied: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    note: str = ""
    join_url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Actual:
    """A conference as its provider has it. None: the provider does not say."""

    title: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    join_url: str = field(default="", repr=False)  # as in Outcome
    time_zone: str | None = (
        None  # to set it again as it is; nothing is compared with it: zones have several names
    )

    def equals(self, meeting: Meeting) -> bool:
        """Whether all that the provider says is as wanted."""
        said = ((self.title, meeting.title), (self.start, meeting.start), (self.end, meeting.end))
        return all(actual is None or actual == wanted for actual, wanted in said)


class Provider(Protocol):
    """One conference system. Calls end within `call_s` seconds and are made once: retries are the ledger's."""

    name: str
    system: System  # how its conferences look in an event: recognition is declared, and so pure
    capabilities: frozenset[str]  # of: title agenda time recurrence occurrence invitees read restore join_url
    call_s: float

    def read(self, target: Target) -> Actual | None:
        """The conference as it is; None if it is gone. Raises as `update`."""

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        """Make it so: sets state, safe to repeat.

        Raises Transient, RateLimited, AuthFailed, Refused, Gone, Unsupported.
        """

    def delete(self, target: Target) -> Outcome:
        """End it. Deleting what is gone succeeds, unchanged. Raises as `update`, but never Gone."""


class Conferences(Protocol):
    """The configured providers."""

    def provider(self, name: str, account: str = "") -> Provider:
        """One of its accounts; without a name the only one. Raises Misconfigured if the settings lack it."""


# --- Queue and clock ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """Work for the worker: POST /tasks, not before `due_at` (seconds since the epoch)."""

    name: str
    kind: str  # "sync"; "hello"; "enrol", "withdraw"
    subject: (
        str  # a calendar key; with "." and a channel id; or what was asked for, as sync.enrolment writes it
    )
    due_at: float
    generation: int = 0  # for sync: not needed once this generation was served
    notified_at: float = 0.0  # for sync: when the first notification came that it stands for; 0: our own wish


class Queue(Protocol):
    """A durable queue of named tasks."""

    def create(self, task: Task) -> bool:
        """Keep the task. False: a task of this name exists, or did a short while ago. Raises Transient."""


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Seconds since the epoch, by this machine: never compared with another machine's."""

    def monotonic(self) -> float:
        """Seconds that only grow."""


@dataclass(frozen=True, slots=True)
class Outside:
    """All five, for the use cases."""

    calendar: Calendar
    store: Store
    conferences: Conferences
    queue: Queue
    clock: Clock
