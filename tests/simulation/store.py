"""A store in memory: every call is one instant, so every transaction is serialisable. What moves is records.py's.

It keeps values, not documents, and tells the judge of every commit before it happens.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from sync import decide, lease, records
from sync.account import Account
from sync.conference import Conference
from sync.errors import LeaseLost
from sync.lease import Hold
from sync.ledger import Ledger, Link, inherited, without_calendar
from sync.ports import (
    Busy,
    CalendarRecord,
    Claimed,
    Clock,
    Closing,
    DueCalendar,
    EnrolledCalendar,
    Forgotten,
    Idle,
    Progress,
    Tally,
    WiredCalendar,
    Wiring,
)
from sync.recognise import ConferenceKey
from sync.records import Document

T = TypeVar("T")

LEASE_S = 90.0
MARGIN_S = 20.0
SALT = b"the salt of all stories, 32 long"


class Witness(Protocol):
    """Who sees every commit just before it happens."""

    def appeared(self, calendar_key: str) -> None: ...

    def claimed(self, before: CalendarRecord, hold: Hold) -> None: ...

    def committing(
        self, before: CalendarRecord, after: CalendarRecord, hold: Hold, ledger: Ledger
    ) -> None: ...


class Records:
    """What is durable."""

    def __init__(self, now: Callable[[], float], grace_s: float, wiring: Wiring) -> None:
        self.now = now
        self.grace_s = grace_s
        self.wiring = wiring
        self.calendars: dict[str, CalendarRecord] = {}
        self.links: dict[str, dict[str, Link]] = {}
        self.conferences: dict[ConferenceKey, Conference] = {}
        self.due: dict[ConferenceKey, float | None] = {}
        self.accounts: dict[str, Account] = {}
        self.enrolled: dict[str, Document] = {}
        self.witness: Witness

    def of(self, hold: Hold) -> CalendarRecord:
        record = self.calendars.get(hold.calendar_key)
        if record is None or not hold.is_of(record.lease):
            raise LeaseLost("overtaken")
        return record

    def ledger(self, calendar_key: str) -> Ledger:
        links = self.links.setdefault(calendar_key, {})
        return Ledger(
            calendar_key,
            lambda ids: {event_id: links[event_id] for event_id in ids if event_id in links},
            lambda keys: {key: self.conferences[key] for key in keys if key in self.conferences},
        )

    def write(self, record: CalendarRecord, ledger: Ledger) -> None:
        self.calendars[record.key] = record
        self.links.setdefault(record.key, {}).update(ledger.changed_links)
        self.conferences.update(ledger.changed_conferences)


class MemoryStore:
    """One process's door to the records."""

    def __init__(self, kept: Records, clock: Clock) -> None:
        self._kept = kept
        self._clock = clock

    # --- One calendar, under its lease ---

    def claim(
        self, calendar_key: str, owner: str, generation: int = 0, notified_at: float = 0.0
    ) -> Claimed | Busy | Idle:
        kept, now = self._kept, self._now()
        record = kept.calendars.get(calendar_key)
        if record is None or not record.active or 0 < generation <= record.served:
            return Idle()
        record = records.notified(record, notified_at, now)
        if not record.lease.is_free(now, LEASE_S):
            knocked = records.knocked(record, LEASE_S)
            kept.calendars[calendar_key] = knocked
            return Busy(record.lease.fence, knocked.generation, record.lease.ends_at(LEASE_S))
        held = records.held(record, record.lease.granted(owner, now), LEASE_S)
        hold = self._hold(calendar_key, owner, held.lease.fence)
        kept.witness.claimed(record, hold)
        kept.calendars[calendar_key] = held
        return Claimed(hold, held, now)

    def renew(self, hold: Hold) -> Hold:
        record = self._kept.of(hold)
        self._commit(record, records.held(record, record.lease.renewed(self._kept.now()), LEASE_S), hold)
        return self._hold(hold.calendar_key, hold.owner, hold.fence)

    def change(
        self, hold: Hold, body: Callable[[Ledger, float], T], progress: Progress | None = None
    ) -> tuple[T, Hold]:
        kept, now = self._kept, self._kept.now()
        record = kept.of(hold)
        ledger = kept.ledger(hold.calendar_key)
        result = body(ledger, now)
        changed = ledger.changed_conferences.values()
        due = {each.key: decide.due_at(each, now, kept.grace_s) for each in changed}
        said = progress or Progress()
        said = replace(said, work_at=records.soonest(said.work_at, *due.values()))
        after = records.held(records.advanced(record, said, now), record.lease.renewed(now), LEASE_S)
        self._commit(record, after, hold, ledger)
        kept.due.update(due)
        return result, self._hold(hold.calendar_key, hold.owner, hold.fence)

    def close(self, hold: Hold, generation: int, closing: Closing) -> bool:
        record = self._kept.of(hold)
        if closing.finished and record.generation > generation:
            return False
        self._commit(record, records.closed(record, generation, closing, self._kept.now()), hold)
        return True

    def _commit(
        self, before: CalendarRecord, after: CalendarRecord, hold: Hold, ledger: Ledger | None = None
    ) -> None:
        ledger = ledger or self._kept.ledger(hold.calendar_key)
        self._kept.witness.committing(before, after, hold, ledger)
        self._kept.write(after, ledger)

    def _now(self) -> float:
        """The time that leases are judged by: ours, never a worker's."""
        return self._kept.now()

    def _hold(self, calendar_key: str, owner: str, fence: int) -> Hold:
        # A call is one instant: the monotonic time before it is the time now.
        return Hold(calendar_key, owner, fence, lease.deadline(self._clock.monotonic(), LEASE_S, MARGIN_S))

    # --- What is known ---

    def due_conferences(self, calendar_key: str, now: float, limit: int) -> Sequence[Conference]:
        due = [
            (at, str(key), key)
            for key, at in self._kept.due.items()
            if at is not None and at <= now and self._kept.conferences[key].home == calendar_key
        ]
        return [self._kept.conferences[key] for _, _, key in sorted(due)[:limit]]

    def next_due(self, calendar_key: str) -> float | None:
        return records.soonest(
            *(at for key, at in self._kept.due.items() if self._kept.conferences[key].home == calendar_key)
        )

    def doubted_links(self, calendar_key: str, limit: int) -> Sequence[Link]:
        links = self._kept.links.get(calendar_key, {}).values()
        doubted = [(link.doubted_at, link.event_id, link) for link in links if link.doubted_at is not None]
        return [link for _, _, link in sorted(doubted, key=lambda each: each[:2])[:limit]]

    def live_links(self, calendar_key: str) -> Iterable[Link]:
        return [link for link in self._kept.links.get(calendar_key, {}).values() if link.live]

    def provisional_links(self, before: float, limit: int) -> Sequence[Link]:
        links = (link for of_one in self._kept.links.values() for link in of_one.values())
        said = [(link.provisional_at, link.ref, link) for link in links if link.provisional_at is not None]
        return [link for at, _, link in sorted(said, key=lambda each: each[:2]) if at < before][:limit]

    def links_of(self, event_id: str) -> Sequence[Link]:
        return [links[event_id] for links in self._kept.links.values() if event_id in links]

    def conferences_of(self, calendar_key: str) -> Iterable[Conference]:
        return [each for each in self._kept.conferences.values() if each.home == calendar_key]

    def unsettled(self, calendar_key: str = "") -> Iterable[Conference]:
        every = self.conferences_of(calendar_key) if calendar_key else self._kept.conferences.values()
        return [each for each in every if records.is_unsettled(each, self._kept.due[each.key])]

    def conferences(self, keys: Iterable[ConferenceKey]) -> Sequence[Conference]:
        return [self._kept.conferences[key] for key in keys if key in self._kept.conferences]

    def waiting_conferences(self, calendar_key: str, limit: int) -> Sequence[Conference]:
        home = [each for each in self._kept.conferences.values() if each.home == calendar_key]
        return [each for each in home if records.is_waiting(each, self._now())][:limit]

    def tally(self, calendar_key: str, now: float) -> Tally:
        home = [each for each in self._kept.conferences.values() if each.home == calendar_key]
        live = sum(records.live_until(each) > now for each in home)
        return Tally(live, sum(records.is_waiting(each, self._now()) for each in home))

    def now(self) -> float:
        return self._now()

    def calendar(self, calendar_key: str) -> CalendarRecord | None:
        return self._kept.calendars.get(calendar_key)

    def calendars(self) -> Sequence[CalendarRecord]:
        return [self._kept.calendars[key] for key in sorted(self._kept.calendars)]

    def due_calendars(self, limit: int) -> Sequence[DueCalendar]:
        now = self._kept.now()
        due = [each for each in self._kept.calendars.values() if each.active and each.due_at <= now]
        due.sort(key=lambda each: (each.due_at, each.key))
        return [DueCalendar(each.key, each.calendar.subject, each.listed_at) for each in due[:limit]]

    # --- Accounts ---

    def account(self, name: str) -> Account:
        return self._kept.accounts.get(name, Account(name))

    def accounts(self) -> Sequence[Account]:
        return [self._kept.accounts[name] for name in sorted(self._kept.accounts)]

    def change_account(self, name: str, body: Callable[[Account, float], Account]) -> Account:
        changed = self._kept.accounts[name] = body(self.account(name), self._kept.now())
        return changed

    # --- What is wanted ---

    def wired(self) -> Wiring:
        return self._kept.wiring

    def webhook_url(self) -> str:
        return self._kept.wiring.webhook_url

    def wire(self, webhook_url: str, calendars: Iterable[WiredCalendar]) -> None:
        self._kept.wiring = Wiring(webhook_url, tuple(calendars))

    def enrolled(self) -> Sequence[EnrolledCalendar]:
        known = (records.enrolled_calendar(self._kept.enrolled[key]) for key in sorted(self._kept.enrolled))
        return [each for each in known if each is not None]

    def enrol(self, calendar_key: str, enrolled: EnrolledCalendar) -> bool:
        return self._write_enrolment(calendar_key, records.enrolled_document(enrolled))

    def withdraw(self, calendar_key: str, asked_at: float) -> bool:
        return self._write_enrolment(calendar_key, records.withdrawn_document(asked_at))

    def _write_enrolment(self, calendar_key: str, document: Document) -> bool:
        stands = records.supersedes(document, self._kept.enrolled.get(calendar_key))
        if stands:
            self._kept.enrolled[calendar_key] = document
        return stands

    def tend(
        self, calendar_key: str, body: Callable[[CalendarRecord | None, float], CalendarRecord]
    ) -> CalendarRecord:
        now, record = self._kept.now(), self._kept.calendars.get(calendar_key)
        tended = self._kept.calendars[calendar_key] = records.tended(record, body(record, now), now)
        if record is None or (tended.active and not record.active):
            self._kept.witness.appeared(calendar_key)
        return tended

    def hand_over(self, calendar_key: str, heirs: Sequence[str]) -> int:
        kept = self._kept
        resigned = records.resigned(kept.calendars.get(calendar_key), kept.now(), LEASE_S)
        if resigned is None:
            return 0
        to_do = [each for each in self.conferences_of(calendar_key) if kept.due[each.key] is not None]
        moved = [after for each in to_do if (after := inherited(each, heirs)) != each]
        for each in moved:
            self._entrust(each)
        kept.calendars[calendar_key] = resigned
        return len(moved)

    def _entrust(self, conference: Conference) -> None:
        kept = self._kept
        due_at = decide.due_at(conference, kept.now(), kept.grace_s)
        kept.conferences[conference.key], kept.due[conference.key] = conference, due_at
        home = kept.calendars.get(conference.home)
        if home is not None:
            kept.calendars[home.key] = records.entrusted(home, due_at)

    def forget(self, calendar_key: str) -> Forgotten:
        kept, now = self._kept, self._kept.now()
        records.fenced_off(kept.calendars.get(calendar_key), now, LEASE_S)
        mentioning = [each for each in kept.conferences.values() if records.mentions(each, calendar_key)]
        for each in mentioning:
            left = without_calendar(each, calendar_key, now)
            if left is None:
                del kept.conferences[each.key], kept.due[each.key]
                continue
            self._entrust(left)
        kept.calendars.pop(calendar_key, None)
        return Forgotten(len(kept.links.pop(calendar_key, {})), len(mentioning))

    def salt(self) -> bytes:
        return SALT
