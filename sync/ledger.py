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
| occurrence with the conference of its series  | is its series' ref, which notes where it has moved   |
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sync import conference as conferences
from sync.codes import Code
from sync.conference import Conference, Ref
from sync.event import Event, Kind, Times, Unreadable
from sync.meeting import Moved
from sync.recognise import ConferenceKey
from sync.rules import Rules


@dataclass(frozen=True, slots=True)
class Sighting:
    """One version of an event, as it was recorded: when, what was decided, and a short hash of each field.

    No code: its provider was to be told. No hashes: it did not carry its conference any more.
    """

    at: float  # seconds since the epoch, the store's
    code: Code | None
    prints: Mapping[str, str] = field(default_factory=dict)


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
    account: str = ""  # of the provider's, that looks after this organizer
    located: bool = False  # the conference knows where it is joined, as its provider finds it by that
    series: str = ""  # of an occurrence: the series it was last seen in
    written: str = ""  # the etag of a version that we wrote ourselves, until the event is seen again
    # For `explain`. It takes no part in comparisons: history alone is no reason to write.
    rule: str = field(default="", compare=False)  # by which its conference was recognised at first
    seen: tuple[Sighting, ...] = field(default=(), compare=False)  # its last few versions, newest last
    provisional_at: float | None = (
        None  # since when they are only said, and were not seen, to belong together
    )

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


ReadLinks = Callable[[Iterable[str]], Mapping[str, Link]]
ReadConferences = Callable[[Iterable[ConferenceKey]], Mapping[ConferenceKey, Conference]]


_AT_ONCE = 60  # occurrences that go with their series in one transaction
SIGHTINGS_KEPT = 5  # of an event


class Ledger:
    """A working copy of what one transaction reads and changes of one calendar's part of the ledger."""

    def __init__(self, calendar_key: str, read_links: ReadLinks, read_conferences: ReadConferences) -> None:
        self.calendar_key = calendar_key
        self.changed_links: dict[str, Link] = {}
        self.changed_conferences: dict[ConferenceKey, Conference] = {}
        self.unfinished: set[str] = (
            set()
        )  # events that are too much for one transaction: to be recorded again
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

    @property
    def changes(self) -> int:
        """How many documents are to be written."""
        return len(self.changed_links) + len(self.changed_conferences)

    def put_link(self, link: Link) -> None:
        if link != self._links.get(link.event_id):
            self._links[link.event_id] = self.changed_links[link.event_id] = link

    def remember(self, event_id: str, sighting: Sighting, rule: str = "") -> None:
        """Add to the history of a link that is written anyway."""
        link = self.changed_links.get(event_id)
        if link is not None:
            seen = (*link.seen, sighting)[-SIGHTINGS_KEPT:]
            told = replace(link, rule=link.rule or rule, seen=seen)
            self._links[event_id] = self.changed_links[event_id] = told

    def put_conference(self, conference: Conference) -> None:
        if conference != self._conferences.get(conference.key):
            self._conferences[conference.key] = self.changed_conferences[conference.key] = conference


def record(ledger: Ledger, item: Event | Unreadable, rules: Rules, now: float, since: float) -> Code | None:
    """Write one seen item into the ledger. Returns what was decided, or None where a provider is to be told.

    `since`: events that ended before this (seconds since the epoch) and are not known yet are left alone.
    """
    return _Recording(ledger, rules, now, since).record(item)


def link_of(calendar_key: str, event: Event, rules: Rules) -> Link | None:
    """The link that an event makes by itself; None if it makes none, or if more than itself has a say in it.

    An event whose link is just this one has been recorded as it is: recording it again would change nothing.
    """
    if event.times is None or event.kind not in (Kind.ORGANIZER, Kind.SERIES):
        return None
    ours = rules.ours(event, None)
    if isinstance(ours, Code):
        return None
    return _link(calendar_key, event, ours, rules, rules.use(event, event.times, ours))


def expect(ledger: Ledger, event_id: str, key: ConferenceKey, now: float) -> None:
    """Somebody says that this event is to carry this conference, unless more is known of the event already.

    It helps to recognise the conference in the event. Until it was seen there nothing follows: no want, and so
    no change and no deletion.
    """
    if ledger.link(event_id) is None:
        ledger.put_link(Link(ledger.calendar_key, event_id, key, live=False, provisional_at=now))


def let_go(ledger: Ledger, event_ids: Iterable[str], now: float) -> None:
    """This calendar is ours to look after no longer: what these events use is released."""
    ids = list(event_ids)
    ledger.prefetch(ids)
    for event_id in ids:
        _release(ledger, ledger.link(event_id), now)


def take_over(ledger: Ledger, keys: Iterable[ConferenceKey]) -> None:
    """From now on this calendar looks after these conferences, if it uses them."""
    for key in keys:
        conference = ledger.conference(key)
        if conference is not None and ledger.calendar_key in (event_of(ref)[0] for ref in conference.refs):
            ledger.put_conference(replace(conference, home=ledger.calendar_key))


def in_order(items: Iterable[Event | Unreadable]) -> list[Event | Unreadable]:
    """Series before their occurrences, so that an occurrence finds what its series carries."""
    return sorted(items, key=lambda item: isinstance(item, Event) and item.occurrence is not None)


def without_calendar(conference: Conference, calendar_key: str, now: float) -> Conference | None:
    """What is left of a conference when a calendar is forgotten; None if nothing is. Nothing comes of it."""
    theirs = {ref for ref in (*conference.refs, *conference.former) if event_of(ref)[0] == calendar_key}
    others = [event_of(ref)[0] for ref in conference.refs if ref not in theirs]
    if conference.home != calendar_key:
        return conferences.forgetting(conference, theirs, conference.home, now)
    return conferences.forgetting(conference, theirs, others[0], now) if others else None


def inherited(conference: Conference, heirs: Iterable[str]) -> Conference:
    """Looked after by the first of these calendars that uses it; by the same as before if none does."""
    users = {event_of(ref)[0] for ref in conference.refs}
    return replace(conference, home=next((key for key in heirs if key in users), conference.home))


@dataclass(frozen=True, slots=True)
class _Recording:
    """One transaction's recording of what was seen."""

    ledger: Ledger
    rules: Rules
    now: float
    since: float

    def record(self, item: Event | Unreadable) -> Code | None:
        before = self.ledger.link(item.id)
        code = self._record(item, before)
        after = self.ledger.link(item.id)
        if after is not None and after != before and code not in (Code.UNCHANGED, Code.OWN_ECHO):
            self._remember(item, after, code)
        return code

    def _remember(self, item: Event | Unreadable, link: Link, code: Code | None) -> None:
        if isinstance(item, Event) and link.live and link.conference is not None:
            sighting = Sighting(self.now, code, self.rules.prints(item, link.conference))
            self.ledger.remember(item.id, sighting, self.rules.rule(item, link.conference))
        else:
            self.ledger.remember(item.id, Sighting(self.now, code))

    def _record(self, item: Event | Unreadable, link: Link | None) -> Code | None:
        if link is not None and link.doubted_at is not None:
            link = replace(link, doubted_at=None)  # it was seen, or has answered: there is no doubt any more
            self.ledger.put_link(link)
        if isinstance(item, Unreadable):
            return Code.MALFORMED
        if item.kind is Kind.TOMBSTONE or item.times is None:
            return self._cancelled(item, link)
        if item.kind is Kind.GUEST:
            return self._guest_copy(link) if item.whole else Code.ACCESS_LOST
        ours = self.rules.ours(item, link.conference if link else None)
        if isinstance(ours, Code):
            return self._without(item, link, ours)
        if self._series_with(item, ours) is not None:
            return self._through_series(item, item.times, ours, link)
        return self._carrying(item, item.times, ours, link)

    def _cancelled(self, event: Event, link: Link | None) -> Code | None:
        if link is None:
            return self._cancelled_occurrence(event)
        if not self._each_exception(link, self._goes):
            return Code.UNCHANGED
        self.ledger.put_link(replace(link, exceptions=()))
        if (
            not link.live and event.occurrence is not None
        ):  # it had one of its own once; since, its series speaks
            return self._cancelled_occurrence(event)
        return self._goes(self.ledger.link(link.event_id))

    def _cancelled_occurrence(self, event: Event) -> Code | None:
        """One that has no conference of its own: its series goes on without it."""
        series = self._series(event)
        if series is None or not series.live or series.conference is None:
            return Code.NO_CONFERENCE
        return self._moves(event, series.conference, Moved(_original(event), None, None))

    def _guest_copy(self, link: Link | None) -> Code:
        if link is not None and self._each_exception(link, self._is_released):
            self._is_released(link)
        return Code.GUEST_COPY

    def _each_exception(self, series: Link, go: Callable[[Link], object]) -> bool:
        """Have the occurrences of a series go along. False: there are more, and the series itself is to wait."""
        own = self._own_exceptions(series)
        for exception in own[:_AT_ONCE]:
            go(exception)
        if len(own) > _AT_ONCE:
            self.ledger.unfinished.add(series.event_id)
        return len(own) <= _AT_ONCE

    def _own_exceptions(self, series: Link) -> list[Link]:
        """The live occurrences that go with this series: not those that a split has given to another one since."""
        self.ledger.prefetch(series.exceptions)
        links = [self.ledger.link(exception) for exception in series.exceptions]
        return [
            link for link in links if link is not None and link.live and link.series in ("", series.event_id)
        ]

    def _without(self, event: Event, link: Link | None, why: Code) -> Code:
        if link is None or not link.live or link.conference is None:
            return why
        if self.rules.carries(event, link.conference) or _carries_the_same(event, link):
            self._is_released(link)  # it is the settings that have changed, not the event
            return why
        if not event.whole:
            return Code.ACCESS_LOST
        self._goes(link)
        return Code.DETACHED

    def _series(self, event: Event) -> Link | None:
        return self.ledger.link(event.occurrence.series_id) if event.occurrence else None

    def _series_with(self, event: Event, key: ConferenceKey) -> Link | None:
        """The series that speaks for this occurrence: it carries the same."""
        series = self._series(event)
        return series if series is not None and series.live and series.conference == key else None

    def _through_series(
        self, event: Event, times: Times, key: ConferenceKey, link: Link | None
    ) -> Code | None:
        if link is not None and link.live:
            self._goes(link)
        conference = self.ledger.conference(key)
        if conference is not None:
            # Should its series lose the conference, this occurrence may still have it.
            use = self.rules.use(event, times, key)
            remembered = conferences.remembered(conference, self._ref(event.id), use)
            self.ledger.put_conference(remembered)
        start, end = times.start.timestamp(), times.end.timestamp()
        return self._moves(event, key, Moved(_original(event), start, end))

    def _moves(self, event: Event, key: ConferenceKey, moved: Moved) -> Code | None:
        """An occurrence is, or is not any more, where its series' rule says. Some providers are told."""
        conference = self.ledger.conference(key)
        series_ref = self._ref(event.occurrence.series_id) if event.occurrence else ""
        if (
            conference is None
            or series_ref not in conference.refs
            or key.provider not in self.rules.occurrences
        ):
            return Code.SHARED_BY_OTHER_EVENT
        after = conferences.moved(
            conference, series_ref, moved, self.ledger.calendar_key, self.since, self.now
        )
        self.ledger.put_conference(after)
        return Code.SHARED_BY_OTHER_EVENT if after.want == conference.want else None

    def _carrying(self, event: Event, times: Times, key: ConferenceKey, link: Link | None) -> Code | None:
        use = self.rules.use(event, times, key)
        if link is None and use.reach.is_over(self.since):
            return Code.OUT_OF_WINDOW
        if link is not None and link.live and link.conference != key:
            self._is_released(link) if _carries_the_same(event, link) else self._goes(link)
        made = _link(self.ledger.calendar_key, event, key, self.rules, use)
        if link is not None:
            rule = link.rule if link.conference == key else ""
            made = replace(made, exceptions=link.exceptions, rule=rule, seen=link.seen)
        self.ledger.put_link(made)
        before = self.ledger.conference(key) or Conference(key, home=self.ledger.calendar_key)
        after = conferences.used(
            before,
            made.ref,
            use,
            made.calendar_key,
            self.now,
            account=made.account,
            locator=self.rules.locator(event, key),
        )
        if _told_apart(after) != _told_apart(before):
            self.ledger.put_conference(after)
        self._absorb_exceptions(event.id, key)
        self._tell_series(event)
        if before.want.version and not before.wanted:
            return Code.RESTORED
        if after.want.version != before.want.version:
            return None
        echoes = link is not None and link.written and link.written == event.etag
        return Code.OWN_ECHO if echoes else Code.UNCHANGED

    def _absorb_exceptions(self, series_id: str, key: ConferenceKey) -> None:
        """A series that now carries what an occurrence of it carries speaks for that occurrence too."""
        series = self.ledger.link(series_id)
        if series is None or not series.exceptions:
            return
        self.ledger.prefetch(series.exceptions)
        for exception in series.exceptions:
            link = self.ledger.link(exception)
            if link is not None and link.live and link.conference == key:
                self._goes(link)

    def _tell_series(self, event: Event) -> None:
        """An occurrence with a conference of its own is noted on its series: it ends with it."""
        if event.occurrence is None:
            return
        series = self._series(event) or Link(
            self.ledger.calendar_key, event.occurrence.series_id, None, live=True
        )
        if event.id not in series.exceptions:
            self.ledger.put_link(replace(series, exceptions=(*series.exceptions, event.id)))

    def _goes(self, link: Link | None) -> Code:
        """This event no longer uses its conference. Whether anybody still does decides what comes of that."""
        if link is None or not link.live:
            return Code.UNCHANGED
        self.ledger.put_link(replace(link, live=False, doubted_at=None))
        conference = self.ledger.conference(link.conference) if link.conference else None
        if conference is None:
            return Code.UNCHANGED
        after = conferences.unused(conference, link.ref, self.ledger.calendar_key, self.now)
        self.ledger.put_conference(after)
        return Code.SHARED_BY_OTHER_EVENT if after.wanted else Code.DELETION_WAITING

    def _is_released(self, link: Link | None) -> None:
        _release(self.ledger, link, self.now)

    def _ref(self, event_id: str) -> str:
        return ref_of(self.ledger.calendar_key, event_id)


def _release(ledger: Ledger, link: Link | None, now: float) -> None:
    """We may no longer speak for this event: nothing comes of that."""
    if link is None or not link.live:
        return
    ledger.put_link(replace(link, live=False, doubted_at=None))
    conference = ledger.conference(link.conference) if link.conference else None
    if conference is not None:
        ledger.put_conference(conferences.released(conference, link.ref, ledger.calendar_key, now))


def _link(calendar_key: str, event: Event, key: ConferenceKey, rules: Rules, use: Ref) -> Link:
    return Link(
        calendar_key,
        event.id,
        key,
        live=True,
        fingerprint=use.fingerprint,
        end=use.reach.end,
        carried=event.carried.trace if event.carried else "",
        account=rules.account(event, key) or "",
        located=bool(rules.locator(event, key)),
        series=event.occurrence.series_id if event.occurrence else "",
    )


def _told_apart(conference: Conference) -> tuple[object, ...]:
    """What must be written down if it differs: more than the want, less than every reach."""
    return (conference.want, conference.account, conference.locator, set(conference.refs))


def _carries_the_same(event: Event, link: Link) -> bool:
    return event.carried is not None and event.carried.trace == link.carried


def _original(event: Event) -> str:
    return event.occurrence.original_start if event.occurrence else ""
