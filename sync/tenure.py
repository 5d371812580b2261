"""One worker's time on one calendar: everything that is done under its lease goes through here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from sync.errors import AccessLost, Gone, LeaseLost, Transient
from sync.event import Event, Kind, Unreadable, tombstone
from sync.ledger import Ledger
from sync.policy import Policy
from sync.ports import CalendarRecord, Claimed, Closing, Outside, Progress

T = TypeVar("T")

_LONGEST_S = 240.0  # well within what a queue waits for an answer
_LISTING_S = 180.0  # of that: what is recorded is to be applied as well, however long the listing

Item = Event | Unreadable


class Tenure:
    """A granted lease, kept alive while it is used."""

    def __init__(self, outside: Outside, policy: Policy, claimed: Claimed, notified_at: float = 0.0) -> None:
        self.outside = outside
        self.policy = policy
        self.record = claimed.record
        self.hold = claimed.hold
        # Read after the claim, so that `now` may lag behind the store's clock but never runs ahead of it.
        self._offset = claimed.now - outside.clock.monotonic()
        self._heard = claimed.now  # the store's latest word on its time
        self._began = self.now()
        self.notified_at = min(notified_at, claimed.now)  # the notification this round answers; 0: none

    def go_round(self, record: CalendarRecord) -> None:
        """Once more, from the record as it stands: for what came meanwhile, perhaps by a notification."""
        newer = record.notified_at > self.record.notified_at
        self.notified_at = record.notified_at if newer else 0.0
        self.record = record

    def now(self) -> float:
        """The store's time (seconds since the epoch): as told at the claim, carried on by our own clock.

        Never before what it has told since: what a change of ours made due is due for us, too.
        """
        return max(self._heard, self._offset + self.outside.clock.monotonic())

    def skew_s(self) -> float:
        """How far this machine's clock is ahead of the store's."""
        return self.outside.clock.now() - self.now()

    def is_over(self) -> bool:
        """Whether this pass has taken so long that others should have a turn."""
        return self.now() > self._began + _LONGEST_S

    def has_listed_long(self) -> bool:
        """Whether the rest of this pass belongs to applying what is recorded."""
        return self.now() > self._began + _LISTING_S

    def stay(self, takes_s: float) -> None:
        """No call may outlast our share of the lease: renew it first where it might. Raises LeaseLost."""
        if not self.hold.may_start(self.outside.clock.monotonic(), takes_s):
            self.hold = self.outside.store.renew(self.hold)
            if not self.hold.may_start(self.outside.clock.monotonic(), takes_s):
                raise LeaseLost("renewed, and as good as over already: the answer came late")

    def change(self, body: Callable[[Ledger, float], T], progress: Progress | None = None) -> T:
        """Change the ledger in one transaction, which also renews the lease. Raises LeaseLost."""

        def hearing(book: Ledger, now: float) -> T:
            self._heard = max(self._heard, now)
            return body(book, now)

        result, self.hold = self.outside.store.change(self.hold, hearing, progress)
        return result

    def note(self, progress: Progress) -> None:
        """Store how far this has come, beside the ledger. Raises LeaseLost."""
        self.change(lambda _book, _now: None, progress)

    def ask(self, calendar: CalendarRecord, event_id: str) -> Item | None:
        """One event by name, as a tombstone if it is not there. None: the calendar cannot say now.

        An occurrence goes with its series, whatever it still says itself.
        """
        seen = self._get(calendar, event_id)
        if not isinstance(seen, Event) or seen.occurrence is None:
            return seen
        series = self._get(calendar, seen.occurrence.series_id)
        if isinstance(series, Event) and series.kind is Kind.TOMBSTONE:
            return tombstone(event_id)
        return seen if series is not None else None

    def _get(self, calendar: CalendarRecord, event_id: str) -> Item | None:
        self.stay(self.outside.calendar.call_s)
        try:
            return self.outside.calendar.get(calendar.calendar, event_id)
        except Gone:
            return tombstone(event_id)
        except (AccessLost, Transient):
            return None


@contextmanager
def borrowed(outside: Outside, policy: Policy, calendar_key: str, owner: str) -> Iterator[Tenure]:
    """The lease for something other than a pass: given back at the end, with nothing served.

    Raises Transient while a pass holds it, or when one has overtaken us.
    """
    claim = outside.store.claim(calendar_key, owner)
    if not isinstance(claim, Claimed):
        raise Transient(f"a pass is looking at calendar {calendar_key} just now: try again in a minute")
    tenure = Tenure(outside, policy, claim)
    try:
        yield tenure
    except LeaseLost:
        raise Transient(f"a pass has overtaken us at calendar {calendar_key}") from None
    finally:
        last = Closing(
            tenure.now(),
            None,
            finished=False,
            failures=tenure.record.failures,
            failed=tenure.record.failed,
        )
        with suppress(LeaseLost, Transient):  # then the lease ends by itself
            outside.store.close(tenure.hold, tenure.record.generation, last)
