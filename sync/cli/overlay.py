"""A store over the real one: what is read comes from there, what is written stays in memory and is thrown away.

It is the store of one machine over a database of its own, into which each record is copied before it is needed: so
a plan is made by the very code that would carry it out, and nothing of it is ever written.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from sync import account
from sync import conference as conferences
from sync.codes import Code
from sync.conference import Conference
from sync.ledger import Link
from sync.local.sqlite import SqliteStore
from sync.ports import CalendarRecord, EnrolledCalendar, Store, Wiring
from sync.recognise import ConferenceKey
from sync.settings import Times


class StoresClock:
    """The real store's time when the plan began, carried on by our own clock."""

    def __init__(self, now: float) -> None:
        self._offset = now - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()

    def monotonic(self) -> float:
        return time.monotonic()


class Overlay(SqliteStore):
    """One calendar's part of a real store, to be changed without consequences. For one thread."""

    def __init__(
        self, real: Store, calendar_key: str, calendars: Iterable[CalendarRecord], times: Times
    ) -> None:
        """`calendars`: all there are, as they stood a moment ago."""
        now = real.now()
        super().__init__(
            ":memory:",
            lease_s=times.lease,
            margin_s=times.lease_margin,
            grace_s=times.grace,
            clock=StoresClock(now),
        )
        self._real = real
        self._copied_links: set[str] = set()
        self._copied_conferences: set[ConferenceKey] = set()
        self._copy(calendar_key, calendars, now)

    def _copy(self, calendar_key: str, calendars: Iterable[CalendarRecord], now: float) -> None:
        """All that a pass over this calendar asks for without a name."""
        for each in self._real.accounts():
            self.change_account(each.name, partial(_as_it_is, each))
        own = self._real.calendar(calendar_key)
        with self._database.writing() as connection:
            for record in (*calendars, *([own] if own else ())):  # the later stands
                self._write_calendar(connection, replace(record, lease=record.lease.released()))
            for link in self._real.live_links(calendar_key):
                self._copied_links.add(link.event_id)
                self._write_link(connection, link, now)
            for conference in self._real.conferences_of(calendar_key):
                self._copied_conferences.add(conference.key)
                self._write_conference(connection, _unobserved(conference, now), now)

    def wired(self) -> Wiring:
        return self._real.wired()

    def enrolled(self) -> Sequence[EnrolledCalendar]:
        return self._real.enrolled()

    def salt(self) -> bytes:
        return self._real.salt()

    def _read_links(
        self, connection: sqlite3.Connection, calendar_key: str, event_ids: Sequence[str]
    ) -> list[Link]:
        for event_id in event_ids:
            if event_id not in self._copied_links:
                self._copied_links.add(event_id)
                for link in self._real.links_of(event_id):
                    if link.calendar_key == calendar_key:
                        self._write_link(connection, link, self.now())
        return super()._read_links(connection, calendar_key, event_ids)

    def _read_conferences(
        self, connection: sqlite3.Connection, keys: Iterable[ConferenceKey]
    ) -> list[Conference]:
        asked = list(keys)
        missing = [key for key in asked if key not in self._copied_conferences]
        self._copied_conferences.update(missing)
        for conference in self._real.conferences(missing):
            self._write_conference(connection, conference, self.now())
        return super()._read_conferences(connection, asked)

    def as_it_was(self, keys: Iterable[ConferenceKey]) -> dict[ConferenceKey, Conference]:
        """These conferences in the real store."""
        return {each.key: each for each in self._real.conferences(keys)}


def _unobserved(conference: Conference, now: float) -> Conference:
    """What waits only because nobody was to act on it is a plan's business first of all."""
    last = conference.decisions[-1:] if conference.pending else ()
    observed = any(each.decision.code is Code.OBSERVED for each in last)
    return conferences.retried(conference, now) if observed else conference


def _as_it_is(real: account.Account, _here: account.Account, _now: float) -> account.Account:
    return real
