"""The store in Firestore. One document is written if nobody wrote it meanwhile; several, in a transaction.

The store's time is what Firestore tells with every strong read, and no clock of ours. Each request is sent once
and ends in time; what is sent again is only what another writer made impossible, which Firestore says for sure.
What became of a write without an answer is not known: a fence and a condition make it safe to ask again.

| collection       | a document's name             | queries need                                       |
|------------------|-------------------------------|----------------------------------------------------|
| calendars        | calendar key                  | active + due_at, lease.renewed_at                  |
| links            | records.link_name             | calendar_key + live, calendar_key + doubted_at,    |
|                  |                               | event_id, provisional_at, seen_at                  |
| conferences      | records.conference_name       | home + due_at, home + live_until, home + state,    |
|                  |                               | home + waiting, due_at, state, decided_at          |
| accounts         | records.account_name          |                                                    |
| wired_calendars  | slug                          |                                                    |
| enrolled_calendars | calendar key                |                                                    |
| wiring           | webhook, salt                 |                                                    |

Of links, conferences and enrolled calendars, `forget_at` is for a TTL policy: what is over is not kept for ever.
"""

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from google.api_core.exceptions import (
    Aborted,
    AlreadyExists,
    Cancelled,
    Conflict,
    DeadlineExceeded,
    FailedPrecondition,
    Forbidden,
    GoogleAPIError,
    NotFound,
    RetryError,
    ServerError,
    TooManyRequests,
    Unauthorized,
)
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.firestore import (
    Client,
    DocumentReference,
    DocumentSnapshot,
    FieldFilter,
    LastUpdateOption,
    Query,
    Transaction,
)

from sync import decide, lease, records
from sync.account import Account
from sync.conference import Conference, State
from sync.errors import LeaseLost, Misconfigured, RateLimited, SyncError, Timeout, Transient
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
    Recent,
    Stock,
    Tally,
    Wiring,
)
from sync.recognise import ConferenceKey
from sync.records import Document

T = TypeVar("T")

Snapshot = DocumentSnapshot[DocumentReference]

_CALL_S = 8.0  # one request
_ROLLBACK_S = 1.0  # a courtesy: what is not rolled back lapses
_PATIENCE_S = 10.0  # how long to give way to other writers
_MOST_WRITES = 400  # of one change; callers batch
_PAGE = 500  # documents of one request of a long query
_FORGOTTEN_AT_ONCE = 100  # conferences of one change
_REMEMBERED = 64  # calendars: more than one instance has in hand
_COUNTED_FOR_ONE_READ = 1000  # index entries, in a count

# Not None, which the library's own query takes for a policy and trips over.
_ONCE = Retry(predicate=if_exception_type())


@dataclass(frozen=True, slots=True)
class _Seen:
    """A calendar's record, the store's time then, and which version of the document it is."""

    record: CalendarRecord | None
    now: float
    version: datetime | None


class FirestoreStore:
    """Implements ports.Store. Threads may share it; it opens nothing before the first call, so it survives a fork.

    With FIRESTORE_EMULATOR_HOST in the environment, the library speaks to the emulator there.
    """

    def __init__(
        self, project: str, database: str, *, lease_s: float, margin_s: float, grace_s: float, clock: Clock
    ) -> None:
        self.reads = 0
        self.writes = 0
        self._counting = threading.Lock()
        self._project = project
        self._database = database
        self._lease_s = lease_s
        self._margin_s = margin_s
        self._grace_s = grace_s
        self._clock = clock
        self._opening = threading.Lock()
        self._opened: Client | None = None
        self._remembering = threading.Lock()
        self._last_written: dict[str, _Seen] = {}

    # --- One calendar, under its lease ---

    def claim(
        self, calendar_key: str, owner: str, generation: int = 0, notified_at: float = 0.0
    ) -> Claimed | Busy | Idle:
        before = self._clock.monotonic()

        def grant(seen: _Seen) -> tuple[CalendarRecord | None, Claimed | Busy | Idle]:
            record = seen.record
            if record is None or not record.active or 0 < generation <= record.served:
                return record, Idle()
            record = records.notified(record, notified_at, seen.now)
            if not record.lease.is_free(seen.now, self._lease_s):
                knocked = records.knocked(record, self._lease_s)
                ends_at = record.lease.ends_at(self._lease_s)
                return knocked, Busy(record.lease.fence, knocked.generation, ends_at)
            held = records.held(record, record.lease.granted(owner, seen.now), self._lease_s)
            return held, Claimed(self._hold(calendar_key, owner, held.lease.fence, before), held, seen.now)

        return self._revise(calendar_key, grant)

    def renew(self, hold: Hold) -> Hold:
        before = self._clock.monotonic()

        def stay(seen: _Seen) -> tuple[CalendarRecord, Hold]:
            renewed = self._renewed(_own(seen, hold), seen.now)
            return renewed, self._hold(hold.calendar_key, hold.owner, hold.fence, before)

        return self._revise(hold.calendar_key, stay)

    def change(
        self, hold: Hold, body: Callable[[Ledger, float], T], progress: Progress | None = None
    ) -> tuple[T, Hold]:
        before = self._clock.monotonic()

        def in_one(transaction: _Transaction) -> tuple[T, _Seen]:
            seen = self._look(hold.calendar_key, transaction)
            record = _own(seen, hold)
            ledger = self._ledger(hold.calendar_key, transaction)
            result = body(ledger, seen.now)
            for link in ledger.changed_links.values():
                name = records.link_name(link.calendar_key, link.event_id)
                document = records.link_document(link) | {
                    "seen_at": records.seen_at(link),
                    "forget_at": _forget_at(link, seen.now),
                }
                transaction.set(self._document("links", name), document)
            due = [
                self._set_conference(transaction, conference, seen.now)
                for conference in ledger.changed_conferences.values()
            ]
            said = progress or Progress()
            said = replace(said, work_at=records.soonest(said.work_at, *due))
            after = self._renewed(records.advanced(record, said, seen.now), seen.now)
            calendar = self._document("calendars", hold.calendar_key)
            transaction.set(calendar, records.calendar_document(after))
            return result, replace(seen, record=after, version=self._commit(transaction))

        with _speaking_our_errors():
            result, written = self._transact(in_one)
        self._remember(hold.calendar_key, written)
        return result, self._hold(hold.calendar_key, hold.owner, hold.fence, before)

    def close(self, hold: Hold, generation: int, closing: Closing) -> bool:
        def end(seen: _Seen) -> tuple[CalendarRecord | None, bool]:
            record = _own(seen, hold)
            if closing.finished and record.generation > generation:
                return record, False
            return records.closed(record, generation, closing, seen.now), True

        # As this instance last wrote the record it most likely still stands, and need not be read. The time of
        # that writing does too: closing compares it with days.
        return self._revise(hold.calendar_key, end, self._remembered(hold))

    def _ledger(self, calendar_key: str, transaction: "_Transaction") -> Ledger:
        def read_links(event_ids: Iterable[str]) -> dict[str, Link]:
            names = [records.link_name(calendar_key, event_id) for event_id in event_ids]
            links = map(records.link, self._named("links", names, transaction))
            return {link.event_id: link for link in links}

        def read_conferences(keys: Iterable[ConferenceKey]) -> dict[ConferenceKey, Conference]:
            return {conference.key: conference for conference in self._conferences(keys, transaction)}

        return Ledger(calendar_key, read_links, read_conferences)

    def _set_conference(
        self, transaction: "_Transaction", conference: Conference, now: float
    ) -> float | None:
        """Returns when it is due."""
        due_at = decide.due_at(conference, now, self._grace_s)
        document = records.conference_document(conference) | {
            "due_at": due_at,
            "live_until": records.live_until(conference),
            "decided_at": records.decided_at(conference),
            "waiting": records.is_waiting(conference, now),
            "forget_at": _forget_at(conference, now),
        }
        transaction.set(self._document("conferences", records.conference_name(conference.key)), document)
        return due_at

    def _hold(self, calendar_key: str, owner: str, fence: int, monotonic_before: float) -> Hold:
        deadline = lease.deadline(monotonic_before, self._lease_s, self._margin_s)
        return Hold(calendar_key, owner, fence, deadline)

    def _renewed(self, record: CalendarRecord, now: float) -> CalendarRecord:
        return records.held(record, record.lease.renewed(now), self._lease_s)

    # --- What is known ---

    def due_conferences(self, calendar_key: str, now: float, limit: int) -> Sequence[Conference]:
        due = self._due_conferences(calendar_key).where(filter=FieldFilter("due_at", "<=", now))
        return [records.conference(_content(found)) for found in self._query(due.limit(limit))]

    def next_due(self, calendar_key: str) -> float | None:
        soonest = self._query(self._due_conferences(calendar_key).limit(1))
        return _content(soonest[0])["due_at"] if soonest else None

    def doubted_links(self, calendar_key: str, limit: int) -> Sequence[Link]:
        doubted = self._where("links", calendar_key=calendar_key).order_by("doubted_at")
        doubted = doubted.where(filter=FieldFilter("doubted_at", ">=", 0))  # a number at all
        return [records.link(_content(found)) for found in self._query(doubted.limit(limit))]

    def live_links(self, calendar_key: str) -> Iterable[Link]:
        return map(records.link, self._every(self._where("links", calendar_key=calendar_key, live=True)))

    def provisional_links(self, before: float, limit: int) -> Sequence[Link]:
        said = self._where("links").order_by("provisional_at")
        said = said.where(filter=FieldFilter("provisional_at", ">=", 0))  # a number at all
        said = said.where(filter=FieldFilter("provisional_at", "<", before))
        return [records.link(_content(found)) for found in self._query(said.limit(limit))]

    def links_of(self, event_id: str) -> Sequence[Link]:
        return [records.link(found) for found in self._every(self._where("links", event_id=event_id))]

    def conferences_of(self, calendar_key: str) -> Iterable[Conference]:
        return map(records.conference, self._every(self._where("conferences", home=calendar_key)))

    def unsettled(self, calendar_key: str = "") -> Iterable[Conference]:
        home = {"home": calendar_key} if calendar_key else {}
        of_home = self._where("conferences", **home)
        due = of_home.where(filter=FieldFilter("due_at", ">=", 0)).order_by("due_at")
        aside = of_home.where(filter=FieldFilter("state", "in", [state.value for state in records.ASIDE]))
        yield from map(records.conference, self._every(due))
        yield from map(records.conference, self._every(aside))

    def recent(self, since: float) -> Recent:
        def found(collection: str, field: str) -> Iterator[Document]:
            after = self._where(collection).where(filter=FieldFilter(field, ">", since))
            return self._every(after.order_by(field))

        return Recent(
            list(map(records.calendar_record, found("calendars", "lease.renewed_at"))),
            list(map(records.link, found("links", "seen_at"))),
            list(map(records.conference, found("conferences", "decided_at"))),
        )

    def conferences(self, keys: Iterable[ConferenceKey]) -> Sequence[Conference]:
        with _speaking_our_errors():
            return self._conferences(keys)

    def waiting_conferences(self, calendar_key: str, limit: int) -> Sequence[Conference]:
        waiting = self._where("conferences", home=calendar_key, waiting=True)
        return [records.conference(_content(found)) for found in self._query(waiting.limit(limit))]

    def tally(self, calendar_key: str, now: float) -> Tally:
        ours = self._where("conferences", home=calendar_key)
        return Tally(
            live=self._number(ours.where(filter=FieldFilter("live_until", ">", now))),
            waiting=self._number(self._where("conferences", home=calendar_key, waiting=True)),
        )

    def stock(self) -> Stock:
        due = self._where("conferences").where(filter=FieldFilter("due_at", ">=", 0))
        standing = (State.HELD, State.QUARANTINED, State.LOST)
        return Stock(
            self._number(due),
            *(self._number(self._where("conferences", state=state.value)) for state in standing),
        )

    def now(self) -> float:
        """Any document tells it, even one that is not there."""
        with _speaking_our_errors():
            (found,) = self._read([self._document("wiring", "webhook")])
            return float(found.read_time.timestamp())

    def calendar(self, calendar_key: str) -> CalendarRecord | None:
        with _speaking_our_errors():
            return self._look(calendar_key).record

    def calendars(self) -> Sequence[CalendarRecord]:
        return [records.calendar_record(document) for document in self._every(self._where("calendars"))]

    def due_calendars(self, limit: int) -> Sequence[DueCalendar]:
        active = self._where("calendars", active=True)
        due = active.where(filter=FieldFilter("due_at", "<=", self.now())).order_by("due_at")
        return [records.due_calendar(_content(found)) for found in self._query(due.limit(limit))]

    # --- Accounts ---

    def account(self, name: str) -> Account:
        with _speaking_our_errors():
            return self._account(name)[0]

    def accounts(self) -> Sequence[Account]:
        return [records.account(document) for document in self._every(self._where("accounts"))]

    def change_account(self, name: str, body: Callable[[Account, float], Account]) -> Account:
        def in_one(transaction: _Transaction) -> Account:
            account, now = self._account(name, transaction)
            changed = body(account, now)
            if changed != account:
                document = self._document("accounts", records.account_name(name))
                transaction.set(document, records.account_document(changed))
                self._commit(transaction)
            return changed

        with _speaking_our_errors():
            return self._transact(in_one)

    def _account(self, name: str, transaction: "_Transaction | None" = None) -> tuple[Account, float]:
        """It, and the store's time."""
        (found,) = self._read([self._document("accounts", records.account_name(name))], transaction)
        account = records.account(_content(found)) if found.exists else Account(name)
        return account, found.read_time.timestamp()

    # --- What is wanted ---

    def wired(self) -> Wiring:
        calendars = tuple(
            records.wired_calendar(each) for each in self._every(self._where("wired_calendars"))
        )
        return Wiring(self.webhook_url(), calendars)

    def webhook_url(self) -> str:
        with _speaking_our_errors():
            webhook = self._named("wiring", ["webhook"])
        return records.webhook_url(webhook[0]) if webhook else ""

    def enrolled(self) -> Sequence[EnrolledCalendar]:
        known = map(records.enrolled_calendar, self._every(self._where("enrolled_calendars")))
        return [each for each in known if each is not None]

    def enrol(self, calendar_key: str, enrolled: EnrolledCalendar) -> bool:
        return self._write_enrolment(calendar_key, records.enrolled_document(enrolled))

    def withdraw(self, calendar_key: str, asked_at: float) -> bool:
        forget_at = _date(records.withdrawal_forgotten_at(asked_at))
        document = records.withdrawn_document(asked_at) | {"forget_at": forget_at}
        return self._write_enrolment(calendar_key, document)

    def _write_enrolment(self, calendar_key: str, document: Document) -> bool:
        def in_one(transaction: _Transaction) -> bool:
            place = self._document("enrolled_calendars", calendar_key)
            (found,) = self._read([place], transaction)
            earlier = _content(found) if found.exists else None
            stands = records.supersedes(document, earlier)
            if stands and document != earlier:
                transaction.set(place, document)
                self._commit(transaction)
            return stands

        with _speaking_our_errors():
            return self._transact(in_one)

    def tend(
        self, calendar_key: str, body: Callable[[CalendarRecord | None, float], CalendarRecord]
    ) -> CalendarRecord:
        def tended(seen: _Seen) -> tuple[CalendarRecord, CalendarRecord]:
            record = records.tended(seen.record, body(seen.record, seen.now), seen.now)
            return record, record

        return self._revise(calendar_key, tended)

    def hand_over(self, calendar_key: str, heirs: Sequence[str]) -> int:
        def resigned(seen: _Seen) -> tuple[CalendarRecord | None, bool]:
            record = records.resigned(seen.record, seen.now, self._lease_s)
            return record, record is not None

        def inherit(conference: Conference, _now: float) -> Conference:
            return inherited(conference, heirs)

        seen = self._look(calendar_key)
        if records.resigned(seen.record, seen.now, self._lease_s) is None:
            return 0
        there = map(records.conference, self._every(self._due_conferences(calendar_key)))
        moving = [each.key for each in there if inherit(each, seen.now) != each]
        with _speaking_our_errors():
            for at in range(0, len(moving), _FORGOTTEN_AT_ONCE):
                self._transact(
                    partial(self._leave, calendar_key, moving[at : at + _FORGOTTEN_AT_ONCE], inherit)
                )
        self._revise(calendar_key, resigned)
        return len(moving)

    def forget(self, calendar_key: str) -> Forgotten:
        def fence(seen: _Seen) -> tuple[CalendarRecord | None, bool]:
            fenced = records.fenced_off(seen.record, seen.now, self._lease_s)
            return fenced, fenced is not None

        def left(conference: Conference, now: float) -> Conference | None:
            return without_calendar(conference, calendar_key, now)

        known, links, conferences = self._revise(calendar_key, fence), 0, 0
        mentioning: list[ConferenceKey] = []
        for conference in map(records.conference, self._every(self._where("conferences"))):
            if records.mentions(conference, calendar_key):
                mentioning.append(conference.key)
        with _speaking_our_errors():
            for at in range(0, len(mentioning), _FORGOTTEN_AT_ONCE):
                keys = mentioning[at : at + _FORGOTTEN_AT_ONCE]
                self._transact(partial(self._leave, calendar_key, keys, left))
                conferences += len(keys)
            while found := self._query(self._where("links", calendar_key=calendar_key).limit(_MOST_WRITES)):
                batch = self._client().batch()
                for link in found:
                    batch.delete(link.reference)
                links += len(batch.commit(retry=_ONCE, timeout=_CALL_S))
                self._count(writes=len(found))
            if known:
                self._document("calendars", calendar_key).delete(retry=_ONCE, timeout=_CALL_S)
                self._count(writes=1)
        return Forgotten(links, conferences)

    def _leave(
        self,
        calendar_key: str,
        keys: Sequence[ConferenceKey],
        leave: Callable[[Conference, float], Conference | None],
        transaction: "_Transaction",
    ) -> None:
        """What is left of these conferences: nothing, or something that a calendar has to look after."""
        there = self._conferences(keys, transaction)
        now = self._look(calendar_key, transaction).now
        left = [(each.key, leave(each, now)) for each in there]
        homes = {each.home: self._look(each.home, transaction).record for _, each in left if each}
        for key, conference in left:
            if conference is None:
                transaction.delete(self._document("conferences", records.conference_name(key)))
                continue
            due_at = self._set_conference(transaction, conference, now)
            home = homes[conference.home]
            if home is not None:
                homes[home.key] = records.entrusted(home, due_at)
        for record in homes.values():
            if record is not None:
                transaction.set(self._document("calendars", record.key), records.calendar_document(record))
        if len(transaction):
            self._commit(transaction)

    def salt(self) -> bytes:
        with _speaking_our_errors():
            found = self._named("wiring", ["salt"])
            if not found:
                drawn = records.salt_document(secrets.token_bytes(32))
                with suppress(AlreadyExists):
                    self._document("wiring", "salt").create(drawn, retry=_ONCE, timeout=_CALL_S)
                    self._count(writes=1)
                found = self._named("wiring", ["salt"])
            return records.salt(found[0])

    # --- One document: written if nobody wrote it meanwhile ---

    def _revise(
        self,
        calendar_key: str,
        revise: Callable[[_Seen], tuple[CalendarRecord | None, T]],
        seen: _Seen | None = None,
    ) -> T:
        """Read, revise, and write if that changed anything; again, if another writer came in between."""
        contention = _Contention()
        with _speaking_our_errors():
            while True:
                seen = seen or self._look(calendar_key)
                revised, answer = revise(seen)
                if revised is None or revised == seen.record or self._replace(seen, revised):
                    return answer
                seen = None
                contention.give_way()

    def _look(self, calendar_key: str, transaction: "_Transaction | None" = None) -> _Seen:
        (found,) = self._read([self._document("calendars", calendar_key)], transaction)
        record = records.calendar_record(_content(found)) if found.exists else None
        return _Seen(record, found.read_time.timestamp(), found.update_time)

    def _replace(self, seen: _Seen, record: CalendarRecord) -> bool:
        """False, and nothing written, if the document is not as it was seen."""
        calendar, document = self._document("calendars", record.key), records.calendar_document(record)
        try:
            if seen.version is None:
                written = calendar.create(document, retry=_ONCE, timeout=_CALL_S)
            else:
                unchanged = LastUpdateOption(seen.version)
                written = calendar.update(document, option=unchanged, retry=_ONCE, timeout=_CALL_S)
        except (FailedPrecondition, Conflict, NotFound):
            return False
        self._count(writes=1)
        self._remember(record.key, _Seen(record, seen.now, written.update_time))
        return True

    def _remember(self, calendar_key: str, written: _Seen) -> None:
        with self._remembering:
            self._last_written.pop(calendar_key, None)
            self._last_written[calendar_key] = written
            if len(self._last_written) > _REMEMBERED:
                del self._last_written[next(iter(self._last_written))]

    def _remembered(self, hold: Hold) -> _Seen | None:
        with self._remembering:
            written = self._last_written.get(hold.calendar_key)
        return written if written and written.record and hold.is_of(written.record.lease) else None

    # --- Several documents: a transaction ---

    def _transact(self, body: Callable[["_Transaction"], T]) -> T:
        """Run `body` in a transaction; again in another one, if Firestore ended it in favour of other writers."""
        contention = _Contention()
        ended: bytes | None = None
        while True:
            transaction = _Transaction(self._client())
            with suppress(Aborted), transaction:
                ended = transaction.begin(ended)
                return body(transaction)
            contention.give_way()

    def _commit(self, transaction: "_Transaction") -> datetime:
        """Returns the version that its last write made."""
        assert len(transaction) <= _MOST_WRITES, f"a change of {len(transaction)} documents: callers batch"
        versions = transaction.commit_once()
        self._count(writes=len(versions))
        return versions[-1]

    # --- Documents, and what they cost ---

    def _count(self, reads: int = 0, writes: int = 0) -> None:
        with self._counting:
            self.reads += reads
            self.writes += writes

    def reset_counts(self) -> None:
        """Count reads and writes from nought again."""
        with self._counting:
            self.reads = self.writes = 0

    def _client(self) -> Client:
        with self._opening, _speaking_our_errors():
            if self._opened is None:
                self._opened = Client(project=self._project, database=self._database)
            return self._opened

    def _document(self, collection: str, name: str) -> DocumentReference:
        return self._client().collection(collection).document(name)

    def _read(
        self, references: list[DocumentReference], transaction: "_Transaction | None" = None
    ) -> list[Snapshot]:
        """One snapshot for each: of what is not there too, and that costs a read as well."""
        if not references:
            return []
        found = list(
            self._client().get_all(references, transaction=transaction, retry=_ONCE, timeout=_CALL_S)
        )
        self._count(reads=len(found))
        return found

    def _named(
        self, collection: str, names: Iterable[str], transaction: "_Transaction | None" = None
    ) -> list[Document]:
        """The documents of these names that there are."""
        references = [self._document(collection, name) for name in names]
        return [_content(found) for found in self._read(references, transaction) if found.exists]

    def _conferences(
        self, keys: Iterable[ConferenceKey], transaction: "_Transaction | None" = None
    ) -> list[Conference]:
        names = map(records.conference_name, keys)
        return [records.conference(found) for found in self._named("conferences", names, transaction)]

    def _where(self, collection: str, **equal: object) -> Query:
        query = Query(self._client().collection(collection))
        for field, value in equal.items():
            query = query.where(filter=FieldFilter(field, "==", value))
        return query

    def _due_conferences(self, calendar_key: str) -> Query:
        """The longest due first. What is never due has no number there, and is left out."""
        ours = self._where("conferences", home=calendar_key)
        return ours.where(filter=FieldFilter("due_at", ">=", 0)).order_by("due_at")

    def _query(self, query: Query) -> list[Snapshot]:
        """What a query finds. One that finds nothing costs a read too."""
        with _speaking_our_errors():
            found = list(query.stream(retry=_ONCE, timeout=_CALL_S))
        self._count(reads=max(1, len(found)))
        return found

    def _every(self, query: Query) -> Iterator[Document]:
        """All that a query finds, however much, in requests of bounded size."""
        while True:
            page = self._query(query.limit(_PAGE))
            yield from map(_content, page)
            if len(page) < _PAGE:
                return
            query = query.start_after(page[-1])

    def _number(self, query: Query) -> int:
        counting: Any = query.count()  # the library says of its type that it were a class
        with _speaking_our_errors():
            ((counted,),) = counting.get(retry=_ONCE, timeout=_CALL_S)
        number = int(counted.value)
        self._count(reads=1 + number // _COUNTED_FOR_ONE_READ)
        return number


class _Transaction(Transaction):
    """The library's, except that each request is sent once and ends in time: its own would take minutes."""

    _id: Any

    def begin(self, ended: bytes | None) -> bytes:
        """Names the transaction that it is another attempt of, which keeps that one's place in the queue."""
        answer = self._client._firestore_api.begin_transaction(
            request={"database": self._client._database_string, "options": self._options_protobuf(ended)},
            metadata=self._client._rpc_metadata,
            retry=_ONCE,
            timeout=_CALL_S,
        )
        begun: bytes = answer.transaction
        self._id = begun
        return begun

    def commit_once(self) -> list[datetime]:
        """Returns the version of each document written."""
        answer = self._client._firestore_api.commit(
            request={
                "database": self._client._database_string,
                "writes": self._write_pbs,
                "transaction": self._id,
            },
            metadata=self._client._rpc_metadata,
            retry=_ONCE,
            timeout=_CALL_S,
        )
        self._clean_up()
        return [written.update_time for written in answer.write_results]

    def __exit__(self, *_: object) -> None:
        """Lets go of what was read, unless the commit did."""
        if self.in_progress:
            with suppress(GoogleAPIError):
                self._client._firestore_api.rollback(
                    request={"database": self._client._database_string, "transaction": self._id},
                    metadata=self._client._rpc_metadata,
                    retry=_ONCE,
                    timeout=_ROLLBACK_S,
                )


class _Contention:
    """Others write what we want to write. They are quick: the waits are short, and random so that we part."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _PATIENCE_S
        self._longest_s = 0.02

    def give_way(self) -> None:
        """Raises Transient when patience is at its end."""
        if time.monotonic() > self._until:
            raise Transient(f"Others wrote the same documents of Firestore for {_PATIENCE_S:.0f} seconds.")
        time.sleep(random.uniform(0.0, self._longest_s))
        self._longest_s = min(2 * self._longest_s, 0.5)


def _own(seen: _Seen, hold: Hold) -> CalendarRecord:
    """The calendar's record, if this hold is still the one that may change it."""
    if seen.record is None or not hold.is_of(seen.record.lease):
        raise LeaseLost(f"The lease of calendar {hold.calendar_key} with fence {hold.fence} is over.")
    return seen.record


def _forget_at(item: Link | Conference, now: float) -> datetime | None:
    """As Firestore's policies want it: what has lapsed is removed within a day or so of this moment."""
    at = records.forget_at(item, now)
    return None if at is None else _date(at)


def _date(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _content(found: Snapshot) -> Document:
    return found.to_dict() or {}


# --- Errors ---


@contextmanager
def _speaking_our_errors() -> Iterator[None]:
    try:
        yield
    except (GoogleAPIError, GoogleAuthError) as error:
        raise _ours(error) from None


def _ours(error: GoogleAPIError | GoogleAuthError) -> SyncError:
    """Firestore's own words stay here: they quote names. What is our bug stays as it is."""
    kind = type(error).__name__
    match error:
        case DeadlineExceeded() | RetryError():
            return Timeout("Firestore did not answer in time.")
        case TooManyRequests():
            return RateLimited("Firestore asks us to slow down.")
        case ServerError() | Cancelled() | Conflict():
            return Transient(f"Firestore did not do as asked, for now: {kind}.")
        case Unauthorized() | Forbidden() | DefaultCredentialsError():
            return Misconfigured([f"Firestore refuses this account ({kind}): grant it roles/datastore.user."])
        case NotFound():
            return Misconfigured(["There is no such Firestore database in this project."])
        case FailedPrecondition():
            return Misconfigured(["Firestore lacks an index, or has not built it yet: apply Terraform's."])
        case GoogleAuthError():
            return Transient(f"There is no access token for Firestore for now: {kind}.")
    raise error
