"""The store in one SQLite file: documents as Firestore has them, counted as Firestore would bill them.

Every change is one transaction that excludes all other writers from its first statement on, so what it read is
still true when it writes. The store's time is this machine's clock, read inside the transaction.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, replace
from typing import Any, TypeVar

from sync import decide, lease, records
from sync.account import Account
from sync.conference import Conference, State
from sync.errors import LeaseLost, Misconfigured, Transient
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
    WiredCalendar,
    Wiring,
)
from sync.recognise import ConferenceKey
from sync.records import Document

T = TypeVar("T")

_PATIENCE_S = 5.0  # how long to wait for another writer
_PAGE = 500  # documents of a long query
_COUNTED_FOR_ONE_READ = 1000  # index entries, in a count

_TABLES = """
CREATE TABLE IF NOT EXISTS calendars (
    key TEXT PRIMARY KEY, active INTEGER NOT NULL, due_at REAL NOT NULL, document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS calendars_due ON calendars (due_at) WHERE active;
CREATE TABLE IF NOT EXISTS links (
    name TEXT PRIMARY KEY, calendar_key TEXT NOT NULL, live INTEGER NOT NULL, doubted_at REAL,
    document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS links_in_order ON links (calendar_key, name) WHERE live;
CREATE INDEX IF NOT EXISTS links_doubted ON links (calendar_key, doubted_at) WHERE doubted_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS conferences (
    name TEXT PRIMARY KEY, home TEXT NOT NULL, due_at REAL, live INTEGER NOT NULL, waiting INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS conferences_due ON conferences (home, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS conferences_standing ON conferences (home, live, waiting);
CREATE INDEX IF NOT EXISTS links_of_events ON links (json_extract(document, '$.event_id'));
CREATE INDEX IF NOT EXISTS links_over ON links (json_extract(document, '$.forget_at'))
    WHERE json_extract(document, '$.forget_at') IS NOT NULL;
CREATE INDEX IF NOT EXISTS links_provisional ON links (json_extract(document, '$.provisional_at'))
    WHERE json_extract(document, '$.provisional_at') IS NOT NULL;
CREATE INDEX IF NOT EXISTS conferences_over ON conferences (json_extract(document, '$.forget_at'))
    WHERE json_extract(document, '$.forget_at') IS NOT NULL;
CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS wired_calendars (slug TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS enrolled_calendars (key TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS enrolled_calendars_over ON enrolled_calendars (json_extract(document, '$.forget_at'))
    WHERE json_extract(document, '$.forget_at') IS NOT NULL;
CREATE TABLE IF NOT EXISTS wiring (name TEXT PRIMARY KEY, document TEXT NOT NULL);
"""


class Database:
    """One SQLite file, for several threads and processes: a connection for each thread, opened at first use.

    `later_columns`, by table and name, are added to a file that was made before they were known.
    """

    def __init__(
        self, path: str, tables: str, later_columns: Mapping[tuple[str, str], str] | None = None
    ) -> None:
        self._path = path
        self._tables = tables
        self._later_columns = later_columns or {}
        self._of_this_thread = threading.local()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For single statements, each of which sees one moment."""
        try:
            yield self._connection()
        except sqlite3.OperationalError as error:
            raise Transient(f"The SQLite file did not answer: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise Misconfigured([f"SYNC_STORE does not name a file of ours: {error}."]) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, and no other writer beside it. An exception undoes it."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        # Not before the first use: a connection must not cross a fork, and servers fork after the import.
        if not hasattr(self._of_this_thread, "connection"):
            self._of_this_thread.connection = self._open()
        connection: sqlite3.Connection = self._of_this_thread.connection
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=_PATIENCE_S,
            isolation_level=None,
            check_same_thread=False,  # whoever collects a thread's garbage may close its connection
            factory=_Connection,
        )
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(self._tables)
        for (table, column), kind in self._later_columns.items():
            if (column,) not in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)):
                _add_column(connection, table, column, kind)
        return connection


def _add_column(connection: sqlite3.Connection, table: str, column: str, kind: str) -> None:
    try:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    except sqlite3.OperationalError as error:
        if "duplicate column" not in str(error):  # another process was first
            raise


class _Connection(sqlite3.Connection):
    """Ends with the thread that opened it."""

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # one that could not be opened cannot be closed either
            self.close()


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Of several that switch a new file over at once, SQLite refuses all but one without waiting: wait here."""
    patient_until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > patient_until:
                raise
            time.sleep(0.01)


class SqliteStore:
    """The store of one machine."""

    def __init__(self, path: str, *, lease_s: float, margin_s: float, grace_s: float, clock: Clock) -> None:
        self.reads = 0
        self.writes = 0
        self._counting = threading.Lock()
        self._database = Database(path, _TABLES)
        self._lease_s = lease_s
        self._margin_s = margin_s
        self._grace_s = grace_s
        self._clock = clock

    # --- One calendar, under its lease ---

    def claim(
        self, calendar_key: str, owner: str, generation: int = 0, notified_at: float = 0.0
    ) -> Claimed | Busy | Idle:
        before = self._clock.monotonic()
        with self._database.writing() as connection:
            record = self._read_calendar(connection, calendar_key)
            self._count(reads=1)
            if record is None or not record.active or 0 < generation <= record.served:
                return Idle()
            now = self._clock.now()
            record = records.notified(record, notified_at, now)
            if not record.lease.is_free(now, self._lease_s):
                knocked = records.knocked(record, self._lease_s)
                self._write_calendar(connection, knocked)
                return Busy(record.lease.fence, knocked.generation, record.lease.ends_at(self._lease_s))
            held = records.held(record, record.lease.granted(owner, now), self._lease_s)
            self._write_calendar(connection, held)
            return Claimed(self._hold(calendar_key, owner, held.lease.fence, before), held, now)

    def renew(self, hold: Hold) -> Hold:
        before = self._clock.monotonic()
        with self._database.writing() as connection:
            record = self._read_own(connection, hold)
            self._count(reads=1)
            self._write_calendar(connection, self._renewed(record, self._clock.now()))
        return self._hold(hold.calendar_key, hold.owner, hold.fence, before)

    def change(
        self, hold: Hold, body: Callable[[Ledger, float], T], progress: Progress | None = None
    ) -> tuple[T, Hold]:
        before = self._clock.monotonic()
        with self._database.writing() as connection:
            record = self._read_own(connection, hold)
            self._count(reads=1)
            now = self._clock.now()
            ledger = self._ledger(connection, hold.calendar_key)
            result = body(ledger, now)
            for link in ledger.changed_links.values():
                self._write_link(connection, link, now)
            due = [
                self._write_conference(connection, conference, now)
                for conference in ledger.changed_conferences.values()
            ]
            said = progress or Progress()
            said = replace(said, work_at=records.soonest(said.work_at, *due))
            self._write_calendar(connection, self._renewed(records.advanced(record, said, now), now))
        return result, self._hold(hold.calendar_key, hold.owner, hold.fence, before)

    def close(self, hold: Hold, generation: int, closing: Closing) -> bool:
        with self._database.writing() as connection:
            # Not counted as a read: it is the condition of the write, as Firestore's preconditions are.
            record = self._read_own(connection, hold)
            if closing.finished and record.generation > generation:
                return False
            now = self._clock.now()
            self._write_calendar(connection, records.closed(record, generation, closing, now))
            _forget(connection, now)
            return True

    def _ledger(self, connection: sqlite3.Connection, calendar_key: str) -> Ledger:
        def read_links(event_ids: Iterable[str]) -> dict[str, Link]:
            links = self._read_links(connection, calendar_key, list(event_ids))
            return {link.event_id: link for link in links}

        def read_conferences(keys: Iterable[ConferenceKey]) -> dict[ConferenceKey, Conference]:
            return {conference.key: conference for conference in self._read_conferences(connection, keys)}

        return Ledger(calendar_key, read_links, read_conferences)

    def _hold(self, calendar_key: str, owner: str, fence: int, monotonic_before: float) -> Hold:
        deadline = lease.deadline(monotonic_before, self._lease_s, self._margin_s)
        return Hold(calendar_key, owner, fence, deadline)

    def _renewed(self, record: CalendarRecord, now: float) -> CalendarRecord:
        return records.held(record, record.lease.renewed(now), self._lease_s)

    # --- What is known ---

    def due_conferences(self, calendar_key: str, now: float, limit: int) -> Sequence[Conference]:
        query = (
            "SELECT document FROM conferences WHERE home = ? AND due_at <= ? ORDER BY due_at, name LIMIT ?"
        )
        return [records.conference(document) for document in self._query(query, calendar_key, now, limit)]

    def next_due(self, calendar_key: str) -> float | None:
        with self._database.reading() as connection:
            self._count(reads=1)
            due_at: float | None
            query = "SELECT min(due_at) FROM conferences WHERE home = ?"
            (due_at,) = connection.execute(query, (calendar_key,)).fetchone()
            return due_at

    def doubted_links(self, calendar_key: str, limit: int) -> Sequence[Link]:
        query = (
            "SELECT document FROM links WHERE calendar_key = ? AND doubted_at IS NOT NULL "
            "ORDER BY doubted_at, name LIMIT ?"
        )
        return [records.link(document) for document in self._query(query, calendar_key, limit)]

    def live_links(self, calendar_key: str) -> Iterable[Link]:
        """Page by page: a statement left open would hold on to one moment, and forbid to write in a later one."""
        query = (
            "SELECT document FROM links WHERE calendar_key = ? AND live AND name > ? ORDER BY name LIMIT ?"
        )
        after = ""
        while True:
            page = [records.link(document) for document in self._query(query, calendar_key, after, _PAGE)]
            yield from page
            if len(page) < _PAGE:
                return
            after = records.link_name(calendar_key, page[-1].event_id)

    def provisional_links(self, before: float, limit: int) -> Sequence[Link]:
        said_at = "json_extract(document, '$.provisional_at')"
        query = f"SELECT document FROM links WHERE {said_at} < ? ORDER BY {said_at}, name LIMIT ?"
        return [records.link(document) for document in self._query(query, before, limit)]

    def links_of(self, event_id: str) -> Sequence[Link]:
        query = "SELECT document FROM links WHERE json_extract(document, '$.event_id') = ? ORDER BY name"
        return [records.link(document) for document in self._query(query, event_id)]

    def conferences_of(self, calendar_key: str) -> Iterable[Conference]:
        return map(records.conference, self._every_conference("home = ?", calendar_key))

    def unsettled(self, calendar_key: str = "") -> Iterable[Conference]:
        aside = ", ".join(f"'{state}'" for state in records.ASIDE)
        unsettled = f"(due_at IS NOT NULL OR json_extract(document, '$.state') IN ({aside}))"
        found = self._every_conference(f"? IN ('', home) AND {unsettled}", calendar_key)
        return map(records.conference, found)

    def _every_conference(self, condition: str, value: str) -> Iterator[Document]:
        """Page by page, as `live_links`."""
        query = f"SELECT document FROM conferences WHERE {condition} AND name > ? ORDER BY name LIMIT {_PAGE}"
        after = ""
        while page := self._query(query, value, after):
            yield from page
            if len(page) < _PAGE:
                return
            after = records.conference_name(records.conference(page[-1]).key)

    def recent(self, since: float) -> Recent:
        def found(table: str, field: str) -> list[Document]:
            return self._query(
                f"SELECT document FROM {table} WHERE json_extract(document, ?) > ?", field, since
            )

        return Recent(
            list(map(records.calendar_record, found("calendars", "$.lease.renewed_at"))),
            list(map(records.link, found("links", "$.seen_at"))),
            list(map(records.conference, found("conferences", "$.decided_at"))),
        )

    def conferences(self, keys: Iterable[ConferenceKey]) -> Sequence[Conference]:
        with self._database.reading() as connection:
            return self._read_conferences(connection, keys)

    def waiting_conferences(self, calendar_key: str, limit: int) -> Sequence[Conference]:
        query = "SELECT document FROM conferences WHERE home = ? AND waiting ORDER BY name LIMIT ?"
        return [records.conference(document) for document in self._query(query, calendar_key, limit)]

    def tally(self, calendar_key: str, now: float) -> Tally:
        is_live = "live AND json_extract(document, '$.live_until') > ?"
        query = f"SELECT total({is_live}), total(waiting) FROM conferences WHERE home = ?"
        with self._database.reading() as connection:
            live, waiting = map(int, connection.execute(query, (now, calendar_key)).fetchone())
        self._count(reads=2 + live // _COUNTED_FOR_ONE_READ + waiting // _COUNTED_FOR_ONE_READ)
        return Tally(live, waiting)

    def stock(self) -> Stock:
        states = "SELECT json_extract(document, '$.state'), count(*) FROM conferences GROUP BY 1"
        with self._database.reading() as connection:
            due = "SELECT count(*) FROM conferences WHERE due_at IS NOT NULL"
            (pending,) = connection.execute(due).fetchone()
            standing = Counter(dict(connection.execute(states).fetchall()))
        stock = Stock(pending, *(standing[each] for each in (State.HELD, State.QUARANTINED, State.LOST)))
        self._count(reads=sum(1 + number // _COUNTED_FOR_ONE_READ for number in astuple(stock)))
        return stock

    def now(self) -> float:
        return self._clock.now()

    def calendar(self, calendar_key: str) -> CalendarRecord | None:
        with self._database.reading() as connection:
            self._count(reads=1)
            return self._read_calendar(connection, calendar_key)

    def calendars(self) -> Sequence[CalendarRecord]:
        query = "SELECT document FROM calendars ORDER BY key"
        return [records.calendar_record(document) for document in self._query(query)]

    def due_calendars(self, limit: int) -> Sequence[DueCalendar]:
        query = "SELECT document FROM calendars WHERE active AND due_at <= ? ORDER BY due_at, key LIMIT ?"
        return [records.due_calendar(each) for each in self._query(query, self._clock.now(), limit)]

    # --- Accounts ---

    def account(self, name: str) -> Account:
        with self._database.reading() as connection:
            return self._read_account(connection, name)

    def accounts(self) -> Sequence[Account]:
        return [records.account(each) for each in self._query("SELECT document FROM accounts ORDER BY name")]

    def change_account(self, name: str, body: Callable[[Account, float], Account]) -> Account:
        with self._database.writing() as connection:
            account = self._read_account(connection, name)
            changed = body(account, self._clock.now())
            if changed != account:
                self._count(writes=1)
                document = _text(records.account_document(changed))
                connection.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", (name, document))
            return changed

    # --- What is wanted ---

    def wired(self) -> Wiring:
        calendars = self._query("SELECT document FROM wired_calendars ORDER BY slug")
        return Wiring(self.webhook_url(), tuple(map(records.wired_calendar, calendars)))

    def webhook_url(self) -> str:
        webhook = self._query("SELECT document FROM wiring WHERE name = 'webhook'")
        return records.webhook_url(webhook[0]) if webhook else ""

    def wire(self, webhook_url: str, calendars: Iterable[WiredCalendar]) -> None:
        """Write what Terraform would: these calendars and no others, and the switch, absent without a URL."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM wired_calendars")
            for wired in calendars:
                document = _text(records.wired_calendar_document(wired))
                connection.execute("INSERT INTO wired_calendars VALUES (?, ?)", (wired.slug, document))
            connection.execute("DELETE FROM wiring WHERE name = 'webhook'")
            if webhook_url:
                document = _text(records.webhook_document(webhook_url))
                connection.execute("INSERT INTO wiring VALUES ('webhook', ?)", (document,))

    def enrolled(self) -> Sequence[EnrolledCalendar]:
        known = self._query("SELECT document FROM enrolled_calendars ORDER BY key")
        return [each for each in map(records.enrolled_calendar, known) if each is not None]

    def enrol(self, calendar_key: str, enrolled: EnrolledCalendar) -> bool:
        return self._write_enrolment(calendar_key, records.enrolled_document(enrolled))

    def withdraw(self, calendar_key: str, asked_at: float) -> bool:
        forget_at = records.withdrawal_forgotten_at(asked_at)
        document = records.withdrawn_document(asked_at) | {"forget_at": forget_at}
        return self._write_enrolment(calendar_key, document)

    def _write_enrolment(self, calendar_key: str, document: Document) -> bool:
        with self._database.writing() as connection:
            query = "SELECT document FROM enrolled_calendars WHERE key = ?"
            earlier = next(iter(_documents(connection, query, calendar_key)), None)
            self._count(reads=1)
            stands = records.supersedes(document, earlier)
            if stands and document != earlier:
                self._count(writes=1)
                values = calendar_key, _text(document)
                connection.execute("INSERT OR REPLACE INTO enrolled_calendars VALUES (?, ?)", values)
            return stands

    def tend(
        self, calendar_key: str, body: Callable[[CalendarRecord | None, float], CalendarRecord]
    ) -> CalendarRecord:
        with self._database.writing() as connection:
            record = self._read_calendar(connection, calendar_key)
            self._count(reads=1)
            now = self._clock.now()
            tended = records.tended(record, body(record, now), now)
            if tended != record:
                self._write_calendar(connection, tended)
            return tended

    def hand_over(self, calendar_key: str, heirs: Sequence[str]) -> int:
        to_do = "SELECT document FROM conferences WHERE home = ? AND due_at IS NOT NULL"
        with self._database.writing() as connection:
            now = self._clock.now()
            resigned = records.resigned(self._read_calendar(connection, calendar_key), now, self._lease_s)
            if resigned is None:
                return 0
            found = map(records.conference, _documents(connection, to_do, calendar_key))
            moved = [after for each in found if (after := inherited(each, heirs)) != each]
            for conference in moved:
                self._entrust(connection, conference, now)
            self._write_calendar(connection, resigned)
        return len(moved)

    def forget(self, calendar_key: str) -> Forgotten:
        mentioning = "SELECT document FROM conferences WHERE home = ? OR instr(document, ?)"
        with self._database.writing() as connection:
            now = self._clock.now()
            records.fenced_off(self._read_calendar(connection, calendar_key), now, self._lease_s)
            found = _documents(connection, mentioning, calendar_key, f'"{calendar_key}.')
            for conference in map(records.conference, found):
                self._forget_in(connection, conference, calendar_key, now)
            links = connection.execute("DELETE FROM links WHERE calendar_key = ?", (calendar_key,)).rowcount
            connection.execute("DELETE FROM calendars WHERE key = ?", (calendar_key,))
        return Forgotten(links, len(found))

    def _forget_in(
        self, connection: sqlite3.Connection, conference: Conference, calendar_key: str, now: float
    ) -> None:
        left = without_calendar(conference, calendar_key, now)
        if left is None:
            name = records.conference_name(conference.key)
            connection.execute("DELETE FROM conferences WHERE name = ?", (name,))
            return
        self._entrust(connection, left, now)

    def _entrust(self, connection: sqlite3.Connection, conference: Conference, now: float) -> None:
        due_at = self._write_conference(connection, conference, now)
        home = self._read_calendar(connection, conference.home)
        if home is not None:
            self._write_calendar(connection, records.entrusted(home, due_at))

    def salt(self) -> bytes:
        drawn = _text(records.salt_document(secrets.token_bytes(32)))
        with self._database.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO wiring VALUES ('salt', ?)", (drawn,))
        return records.salt(self._query("SELECT document FROM wiring WHERE name = 'salt'")[0])

    # --- Documents, and what they would cost ---

    def reset_counts(self) -> None:
        """Count reads and writes from nought again."""
        with self._counting:
            self.reads = self.writes = 0

    def _count(self, reads: int = 0, writes: int = 0) -> None:
        with self._counting:
            self.reads += reads
            self.writes += writes

    def _query(self, query: str, *values: Any) -> list[Document]:
        """The documents that a query finds. One that finds none costs a read too."""
        with self._database.reading() as connection:
            found = _documents(connection, query, *values)
        self._count(reads=max(1, len(found)))
        return found

    def _read_named(self, connection: sqlite3.Connection, table: str, names: list[str]) -> list[Document]:
        """The documents of these names that there are. One that is not there costs a read too."""
        self._count(reads=len(names))
        query = f"SELECT document FROM {table} WHERE name IN (SELECT value FROM json_each(?))"
        return _documents(connection, query, json.dumps(names))

    def _read_links(
        self, connection: sqlite3.Connection, calendar_key: str, event_ids: Sequence[str]
    ) -> list[Link]:
        names = [records.link_name(calendar_key, event_id) for event_id in event_ids]
        return [records.link(found) for found in self._read_named(connection, "links", names)]

    def _read_conferences(
        self, connection: sqlite3.Connection, keys: Iterable[ConferenceKey]
    ) -> list[Conference]:
        names = [records.conference_name(key) for key in keys]
        return [records.conference(found) for found in self._read_named(connection, "conferences", names)]

    def _read_calendar(self, connection: sqlite3.Connection, key: str) -> CalendarRecord | None:
        found = _documents(connection, "SELECT document FROM calendars WHERE key = ?", key)
        return records.calendar_record(found[0]) if found else None

    def _read_account(self, connection: sqlite3.Connection, name: str) -> Account:
        self._count(reads=1)
        found = _documents(connection, "SELECT document FROM accounts WHERE name = ?", name)
        return records.account(found[0]) if found else Account(name)

    def _read_own(self, connection: sqlite3.Connection, hold: Hold) -> CalendarRecord:
        """The calendar's record, if this hold is still the one that may change it."""
        record = self._read_calendar(connection, hold.calendar_key)
        if record is None or not hold.is_of(record.lease):
            raise LeaseLost(f"The lease of calendar {hold.calendar_key} with fence {hold.fence} is over.")
        return record

    def _write_calendar(self, connection: sqlite3.Connection, record: CalendarRecord) -> None:
        self._count(writes=1)
        connection.execute(
            "INSERT OR REPLACE INTO calendars (key, active, due_at, document) VALUES (?, ?, ?, ?)",
            (record.key, record.active, record.due_at, _text(records.calendar_document(record))),
        )

    def _write_link(self, connection: sqlite3.Connection, link: Link, now: float) -> None:
        self._count(writes=1)
        dates = {"seen_at": records.seen_at(link), "forget_at": records.forget_at(link, now)}
        connection.execute(
            "INSERT OR REPLACE INTO links (name, calendar_key, live, doubted_at, document) "
            "VALUES (?, ?, ?, ?, ?)",
            (
                records.link_name(link.calendar_key, link.event_id),
                link.calendar_key,
                link.live,
                link.doubted_at,
                _text(records.link_document(link) | dates),
            ),
        )

    def _write_conference(
        self, connection: sqlite3.Connection, conference: Conference, now: float
    ) -> float | None:
        """Returns when it is due."""
        self._count(writes=1)
        due_at = decide.due_at(conference, now, self._grace_s)
        dates = {
            "forget_at": records.forget_at(conference, now),
            "live_until": records.live_until(conference),
            "decided_at": records.decided_at(conference),
        }
        connection.execute(
            "INSERT OR REPLACE INTO conferences (name, home, due_at, live, waiting, document) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                records.conference_name(conference.key),
                conference.home,
                due_at,
                bool(conference.refs),
                records.is_waiting(conference, now),
                _text(records.conference_document(conference) | dates),
            ),
        )
        return due_at


def _forget(connection: sqlite3.Connection, now: float) -> None:
    """What Firestore does by a policy."""
    for table in ("links", "conferences", "enrolled_calendars"):
        connection.execute(f"DELETE FROM {table} WHERE json_extract(document, '$.forget_at') < ?", (now,))


def _documents(connection: sqlite3.Connection, query: str, *values: Any) -> list[Document]:
    return [json.loads(text) for (text,) in connection.execute(query, values)]


def _text(document: Document) -> str:
    return json.dumps(document, separators=(",", ":"))
