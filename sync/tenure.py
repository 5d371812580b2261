"""One worker's time on one calendar: everything that is done under its lease goes through here."""

from collections.abc import Callable
from typing import TypeVar

from sync.errors import AccessLost, Gone, Transient
from sync.event import Event, Unreadable, tombstone
from sync.ledger import Ledger
from sync.policy import Policy
from sync.ports import CalendarRecord, Claimed, Outside, Progress

T = TypeVar("T")

Item = Event | Unreadable


class Tenure:
    """A granted lease, kept alive while it is used."""

    def __init__(self, outside: Outside, policy: Policy, claimed: Claimed) -> None:
        self.outside = outside
        self.policy = policy
        self.record = claimed.record
        self.hold = claimed.hold
        # Read after the claim, so that `now` may lag behind the store's clock but never runs ahead of it.
        self._offset = claimed.now - outside.clock.monotonic()

    def now(self) -> float:
        """The store's time (seconds since the epoch): as told at the claim, carried on by our own clock."""
        return self._offset + self.outside.clock.monotonic()

    def stay(self, takes_s: float) -> None:
        """No call may outlast our share of the lease: renew it first where it might. Raises LeaseLost."""
        if not self.hold.may_start(self.outside.clock.monotonic(), takes_s):
            self.hold = self.outside.store.renew(self.hold)

    def change(self, body: Callable[[Ledger, float], T], progress: Progress | None = None) -> T:
        """Change the ledger in one transaction, which also renews the lease. Raises LeaseLost."""
        result, self.hold = self.outside.store.change(self.hold, body, progress)
        return result

    def ask(self, calendar: CalendarRecord, event_id: str) -> Item | None:
        """One event by name, as a tombstone if it is not there. None: the calendar cannot say now."""
        self.stay(self.outside.calendar.call_s)
        try:
            return self.outside.calendar.get(calendar.calendar, event_id)
        except Gone:
            return tombstone(event_id)
        except (AccessLost, Transient):
            return None
