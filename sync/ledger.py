"""The ledger: which event carries which conference. record(event) says what changes in it. No I/O.

| an event is seen                              | its ref                                              |
|-----------------------------------------------|------------------------------------------------------|
| organizer copy with a conference of ours      | is kept, with the event's present shape              |
| ... with another of ours than before          | goes from the old one, is made on the new one        |
| ... without one of ours, seen whole           | goes                                                 |
| ... without one of ours, partly hidden        | stays: absence in a masked event proves nothing      |
| cancelled                                     | goes, and with a series all of its occurrences' refs |
| guest copy                                    | is released, and a series' occurrences with it       |
| masked, so that nobody can say whose it is    | stays                                                |
| organizer copy with one that is ours no more  | is released: settings delete nothing                 |
| occurrence with the conference of its series  | is its series' ref                                   |
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sync import conference as conferences
from sync import meeting
from sync.account import Clients, account_of
from sync.codes import Code
from sync.conference import Conference, Ref
from sync.event import Event, Kind, Times, Unreadable
from sync.recognise import ConferenceKey, System, recognise


@dataclass(frozen=True, slots=True)
class Link:
    """One event of one calendar that carries, or carried, a conference of ours."""

    calendar_key: str
    event_id: str
    conference: ConferenceKey | None  # None: a series that only has occurrences with conferences of their own
    live: bool
    fingerprint: str = ""
    end: float | None = None  # seconds since the epoch; None: without an end that we know of
    exceptions: tuple[str, ...] = ()  # occurrences of this series with a link of their own
    doubted_at: float | None = None  # a full listing did not mention it: ask for it by name
    carried: str = ""  # the trace of the conference data it was made from

    @property
    def ref(self) -> str:
        return ref_of(self.calendar_key, self.event_id)


def ref_of(calendar_key: str, event_id: str) -> str:
    """The name of one event's use of a conference."""
    return f"{calendar_key}.{event_id}"


def event_of(ref: str) -> tuple[str, str]:
    """The calendar key and the event id of a ref."""
    calendar_key, _, event_id = ref.partition(".")
    return calendar_key, event_id


@dataclass(frozen=True, slots=True)
class Rules:
    """How to recognise conferences, and which providers we act on."""

    systems: Sequence[System]
    providers: frozenset[str]
    accounts: Mapping[str, Sequence[Clients]] = field(default_factory=dict)  # of providers with several

    def ours(self, event: Event, link: Link | None) -> ConferenceKey | Code:
        """The conference we may change for this event, or the reason why there is none."""
        seen = recognise(event.carried, self.systems, link.conference if link else None)
        if seen is None:
            return Code.NO_CONFERENCE if event.carried is None else Code.NOT_OURS
        if seen.personal:
            return Code.PERSONAL_ROOM
        ours = seen.key.provider in self.providers and self.account(event, seen.key) is not None
        return seen.key if ours else Code.NOT_OURS

    def account(self, event: Event, key: ConferenceKey) -> str | None:
        """The account that looks after this organizer's conferences. None: nobody's."""
        return account_of(event.organizer, self.accounts.get(key.provider, (Clients(""),)))

    def locator(self, event: Event, key: ConferenceKey) -> str:
        """Where this conference is joined, if that is what its provider finds it by."""
        located = any(system.located for system in self.systems if system.provider == key.provider)
        seen = recognise(event.carried, self.systems, key) if located else None
        return seen.url if seen is not None and seen.key == key else ""

    def carries(self, event: Event, key: ConferenceKey) -> bool:
        """Whether this event carries that very conference."""
        seen = recognise(event.carried, self.systems, key)
        return seen is not None and seen.key == key


ReadLinks = Callable[[Iterable[str]], Mapping[str, Link]]
ReadConferences = Callable[[Iterable[ConferenceKey]], Mapping[ConferenceKey, Conference]]


class Ledger:
    """A working copy of what one transaction reads and changes of one calendar's part of the ledger."""

    def __init__(self, calendar_key: str, read_links: ReadLinks, read_conferences: ReadConferences) -> None:
        self.calendar_key = calendar_key
        self.changed_links: dict[str, Link] = {}
        self.changed_conferences: dict[ConferenceKey, Conference] = {}
        self._read_links = read_links
        self._read_conferences = read_conferences
        self._links: dict[str, Link | None] = {}
        self._conferences: dict[ConferenceKey, Conference | None] = {}

    def prefetch(self, event_ids: Iterable[str]) -> None:
        """Read the links of these events, and the conferences they name, in as few requests as possible."""
        ids = {event_id for event_id in event_ids if event_id not in self._links}
        found = self._read_links(ids) if ids else {}
        self._links.update({event_id: found.get(event_id) for event_id in ids})
        keys = {link.conference for link in found.values() if link.conference}
        missing = {key for key in keys if key not in self._conferences}
        there = self._read_conferences(missing) if missing else {}
        self._conferences.update({key: there.get(key) for key in missing})

    def link(self, event_id: str) -> Link | None:
        self.prefetch([event_id])
        return self._links[event_id]

    def conference(self, key: ConferenceKey) -> Conference | None:
        if key not in self._conferences:
            self._conferences[key] = self._read_conferences([key]).get(key)
        return self._conferences[key]

    def put_link(self, link: Link) -> None:
        if link != self._links.get(link.event_id):
            self._links[link.event_id] = self.changed_links[link.event_id] = link

    def put_conference(self, conference: Conference) -> None:
        if conference != self._conferences.get(conference.key):
            self._conferences[conference.key] = self.changed_conferences[conference.key] = conference


def record(ledger: Ledger, item: Event | Unreadable, rules: Rules, now: float, since: float) -> Code | None:
    """Write one seen item into the ledger. Returns what was decided, or None where a provider is to be told.

    `since`: events that ended before this (seconds since the epoch) and are not known yet are left alone.
    """
    link = ledger.link(item.id)
    if link is not None and link.doubted_at is not None:
        link = replace(link, doubted_at=None)  # it was seen, or has answered: there is no doubt any more
        ledger.put_link(link)
    if isinstance(item, Unreadable):
        return Code.MALFORMED
    if item.kind is Kind.TOMBSTONE or item.times is None:
        return _cancelled(ledger, link, now)
    if item.kind is Kind.GUEST:
        return _guest_copy(ledger, link, now) if item.whole else Code.ACCESS_LOST
    ours = rules.ours(item, link)
    if isinstance(ours, Code):
        return _without(ledger, item, link, rules, ours, now)
    if _speaks_through_its_series(ledger, item, ours):
        return _through_series(ledger, item, item.times, ours, link, now)
    return _carrying(ledger, item, item.times, ours, link, rules, now, since)


def in_order(items: Iterable[Event | Unreadable]) -> list[Event | Unreadable]:
    """Series before their occurrences, so that an occurrence finds what its series carries."""
    return sorted(items, key=lambda item: isinstance(item, Event) and item.occurrence is not None)


def _cancelled(ledger: Ledger, link: Link | None, now: float) -> Code:
    if link is None:
        return Code.NO_CONFERENCE
    ledger.prefetch(link.exceptions)
    for exception in link.exceptions:
        _goes(ledger, ledger.link(exception), now)
    ledger.put_link(replace(link, exceptions=()))
    return _goes(ledger, ledger.link(link.event_id), now)


def _guest_copy(ledger: Ledger, link: Link | None, now: float) -> Code:
    if link is not None:
        ledger.prefetch(link.exceptions)
        for exception in link.exceptions:
            _is_released(ledger, ledger.link(exception), now)
        _is_released(ledger, link, now)
    return Code.GUEST_COPY


def _without(ledger: Ledger, event: Event, link: Link | None, rules: Rules, why: Code, now: float) -> Code:
    if link is None or not link.live or link.conference is None:
        return why
    if rules.carries(event, link.conference) or _carries_the_same(event, link):
        _is_released(ledger, link, now)  # it is the settings that have changed, not the event
        return why
    if not event.whole:
        return Code.ACCESS_LOST
    _goes(ledger, link, now)
    return Code.DETACHED


def _carries_the_same(event: Event, link: Link) -> bool:
    return event.carried is not None and event.carried.trace == link.carried


def _speaks_through_its_series(ledger: Ledger, event: Event, key: ConferenceKey) -> bool:
    if event.occurrence is None:
        return False
    series = ledger.link(event.occurrence.series_id)
    return series is not None and series.live and series.conference == key


def _through_series(
    ledger: Ledger, event: Event, times: Times, key: ConferenceKey, link: Link | None, now: float
) -> Code:
    if link is not None and link.live:
        _goes(ledger, link, now)
    conference = ledger.conference(key)
    if conference is not None:
        # Should its series lose the conference, this occurrence may still have it.
        use = Ref(meeting.fingerprint(event, times), meeting.reach(event, times))
        ref = ref_of(ledger.calendar_key, event.id)
        ledger.put_conference(conferences.remembered(conference, ref, use))
    return Code.SHARED_BY_OTHER_EVENT


def _carrying(
    ledger: Ledger,
    event: Event,
    times: Times,
    key: ConferenceKey,
    link: Link | None,
    rules: Rules,
    now: float,
    since: float,
) -> Code | None:
    reach = meeting.reach(event, times)
    if link is None and reach.is_over(since):
        return Code.OUT_OF_WINDOW
    if link is not None and link.live and link.conference != key:
        _is_released(ledger, link, now) if _carries_the_same(event, link) else _goes(ledger, link, now)
    before = ledger.conference(key) or Conference(key, home=ledger.calendar_key)
    use = Ref(meeting.fingerprint(event, times), reach)
    ref = ref_of(ledger.calendar_key, event.id)
    after = conferences.used(
        before,
        ref,
        use,
        ledger.calendar_key,
        now,
        account=rules.account(event, key) or "",
        locator=rules.locator(event, key),
    )
    ledger.put_link(
        Link(
            ledger.calendar_key,
            event.id,
            key,
            live=True,
            fingerprint=use.fingerprint,
            end=reach.end,
            exceptions=link.exceptions if link else (),
            carried=event.carried.trace if event.carried else "",
        )
    )
    told = (after.want, after.account, after.locator, set(after.refs))
    if told != (before.want, before.account, before.locator, set(before.refs)):
        ledger.put_conference(after)
    _absorb_exceptions(ledger, event.id, key, now)
    _tell_series(ledger, event)
    if before.want.version and not before.wanted:
        return Code.RESTORED
    return None if after.want.version != before.want.version else Code.UNCHANGED


def _absorb_exceptions(ledger: Ledger, series_id: str, key: ConferenceKey, now: float) -> None:
    """A series that now carries what an occurrence of it carries speaks for that occurrence too."""
    series = ledger.link(series_id)
    if series is None or not series.exceptions:
        return
    ledger.prefetch(series.exceptions)
    for exception in series.exceptions:
        link = ledger.link(exception)
        if link is not None and link.live and link.conference == key:
            _goes(ledger, link, now)


def _tell_series(ledger: Ledger, event: Event) -> None:
    """An occurrence with a conference of its own is noted on its series: it ends with it."""
    if event.occurrence is None:
        return
    series_id = event.occurrence.series_id
    series = ledger.link(series_id) or Link(ledger.calendar_key, series_id, None, live=True)
    if event.id not in series.exceptions:
        ledger.put_link(replace(series, exceptions=(*series.exceptions, event.id)))


def _goes(ledger: Ledger, link: Link | None, now: float) -> Code:
    """This event no longer uses its conference. Whether anybody still does decides what comes of that."""
    if link is None or not link.live:
        return Code.UNCHANGED
    ledger.put_link(replace(link, live=False, doubted_at=None))
    conference = ledger.conference(link.conference) if link.conference else None
    if conference is None:
        return Code.UNCHANGED
    after = conferences.unused(conference, link.ref, ledger.calendar_key, now)
    ledger.put_conference(after)
    return Code.SHARED_BY_OTHER_EVENT if after.wanted else Code.DELETION_WAITING


def _is_released(ledger: Ledger, link: Link | None, now: float) -> None:
    """We may no longer speak for this event: nothing comes of that."""
    if link is None or not link.live:
        return
    ledger.put_link(replace(link, live=False, doubted_at=None))
    conference = ledger.conference(link.conference) if link.conference else None
    if conference is not None:
        ledger.put_conference(conferences.released(conference, link.ref, ledger.calendar_key, now))
