# ruff: noqa: ARG005 - a stand-in takes what the real one takes
"""The mistakes that sync programs are known for, planted one by one: what the stories must not let pass.

Each takes one defence out of production, in a line or a few. Where a second defence stands behind it, the pair is
planted: the first alone is not to be seen, and that is what the second is for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import pytest

from sync import (
    apply,
    conference,
    cursor,
    decide,
    event,
    lease,
    ledger,
    meeting,
    one_pass,
    pull,
    records,
    tend,
    wake,
)
from sync import receive as receiving
from sync.codes import Code
from sync.conference import Conference, Decision, State
from sync.cursor import SyncToken
from sync.decide import Brake, Evidence
from sync.errors import AccessLost, Gone, RateLimited, SyncError, Transient
from sync.event import Event, Kind, tombstone
from sync.ledger import Link
from sync.pauses import Pauses
from sync.ports import CalendarRecord, Page, Task
from sync.receive import Receiver, Reception
from sync.tenure import Item, Tenure
from sync.wake import Buckets
from tests.simulation.store import MemoryStore

Plant = pytest.MonkeyPatch
PLANTED: dict[str, Mistake] = {}


@dataclass(frozen=True)
class Mistake:
    """What to plant, in which stories it must be seen, and which promises it may break."""

    plant: Callable[[Plant], None]
    profile: str
    seeds: range
    promises: tuple[str, ...]


def mistake(
    profile: str, seeds: int, *promises: str
) -> Callable[[Callable[[Plant], None]], Callable[[Plant], None]]:
    def planted(plant: Callable[[Plant], None]) -> Callable[[Plant], None]:
        PLANTED[plant.__name__] = Mistake(plant, profile, range(seeds), promises)
        return plant

    return planted


# --- The token ---


@mistake("pure", 5, "S2")
def token_stored_before_recording(patch: Plant) -> None:
    finish = pull._Pull._finish

    def hasty(self: Any, progress: Any) -> None:
        self._tenure.change(lambda _book, _now: None, progress)
        finish(self, progress)

    patch.setattr(pull._Pull, "_finish", hasty)


@mistake("pure", 30, "S2")
def only_the_first_page_is_read(patch: Plant) -> None:
    take = pull._Pull._take

    def first(self: Any, page: Page) -> None:
        if not self._pulled.pages:
            take(self, page)

    patch.setattr(pull._Pull, "_take", first)


@mistake("chaos", 60, "S2")
def token_stored_although_a_page_failed(patch: Plant) -> None:
    list_all = pull._Pull._list

    def shrug(self: Any, start: Any) -> Any:
        try:
            return list_all(self, start)
        except Transient:  # whatever was not read: the next page's token is as good
            self._take = lambda page: None
            return list_all(self, start)

    patch.setattr(pull._Pull, "_list", shrug)


@mistake("pure", 10, "L3", "S2")
def token_of_one_calendar_used_on_another(patch: Plant) -> None:
    start = cursor.start
    first: list[SyncToken] = []

    def any_token(*args: Any) -> Any:
        found = start(*args)
        if isinstance(found, SyncToken):
            first.append(found)
            return first[0]
        return found

    patch.setattr(cursor, "start", any_token)


# --- The lease ---


@mistake("chaos", 10, "S3")
def no_lease(patch: Plant) -> None:
    patch.setattr(lease.Lease, "is_free", lambda self, now, lease_s: True)


@mistake("chaos", 60, "S3")
def no_fence(patch: Plant) -> None:
    patch.setattr(lease.Hold, "is_of", lambda self, lease: True)


@mistake("chaos", 60, "S3")
def lease_by_the_workers_wall_clock(patch: Plant) -> None:
    """Planted in the stories' own store: those of production are held to it by their contract."""
    patch.setattr(MemoryStore, "_now", lambda self: self._clock.now())


@mistake("chaos", 60, "S3")
def no_provider_deadline(patch: Plant) -> None:
    patch.setattr(lease.Hold, "may_start", lambda self, monotonic, takes_s: True)


# --- Wakes ---


@mistake("pure", 150, "L1")
def wake_lost_when_the_lease_is_busy(patch: Plant) -> None:
    patch.setattr(records, "knocked", lambda record, lease_s: record)
    after_lease = wake.after_lease
    patch.setattr(wake, "after_lease", lambda *args: replace(after_lease(*args), due_at=float("inf")))


@mistake("pure", 150, "L1")
def dirty_flag_instead_of_generation(patch: Plant) -> None:
    """The closing write clears it, whatever came meanwhile."""

    def close(tenure: Tenure, closing: Any) -> bool:
        return tenure.outside.store.close(tenure.hold, 10**9, closing)

    patch.setattr(one_pass, "_close", close)


@mistake("channels", 60, "L1")
def acknowledged_before_the_wake_is_stored(patch: Plant) -> None:
    receive = Receiver.receive

    def hasty(self: Receiver, headers: Any) -> Reception:
        try:
            return receive(self, headers)
        except Transient:
            return Reception.WOKEN

    patch.setattr(Receiver, "receive", hasty)


def task_at_the_start_of_its_bucket(patch: Plant) -> None:
    task = Buckets.task

    def at_once(self: Buckets, *asked: Any) -> Task:
        trailing = task(self, *asked)
        return replace(trailing, due_at=trailing.due_at - self.bucket_s - self.margin_s)

    patch.setattr(Buckets, "task", at_once)


def already_exists_always_taken_as_success(patch: Plant) -> None:
    def trusting(
        queue: Any,
        clock: Any,
        buckets: Buckets,
        calendar_key: str,
        at: float | None = None,
        notified_at: float = 0.0,
    ) -> Task:
        task = buckets.task(calendar_key, max(clock.now(), at or 0.0), notified_at)
        queue.create(task)
        return task

    patch.setattr(wake, "wake", trusting)
    for module in (receiving, tend, apply):
        patch.setattr(module, "wake", trusting)


@mistake("pure", 40, "L1")
def task_at_the_start_of_its_bucket_and_already_exists_taken_as_success(patch: Plant) -> None:
    """Each of the two is covered by the other: see COVERED."""
    task_at_the_start_of_its_bucket(patch)
    already_exists_always_taken_as_success(patch)


COVERED = (task_at_the_start_of_its_bucket, already_exists_always_taken_as_success)


@mistake("chaos", 10, "L1")
def no_sweep(patch: Plant) -> None:
    patch.setattr(tend, "sweep", lambda outside, policy: 0)


# --- What an event means ---


@mistake("pure", 10, "S2")
def decision_from_the_event_alone(patch: Plant) -> None:
    """A cancelled event carries no conference: without a link there is nothing to do."""
    patch.setattr(ledger._Recording, "_cancelled", lambda self, item, link: Code.NO_CONFERENCE)


@mistake("pure", 40, "S1", "L1")
def first_deletion_wins(patch: Plant) -> None:
    unused = conference.unused

    def all_go(item: Conference, ref: str, home: str, now: float) -> Conference:
        for each in item.refs:
            item = unused(item, each, home, now)
        return item

    patch.setattr(conference, "unused", all_go)


@mistake("pure", 20, "S2", "L1")
def guest_copies_drive(patch: Plant) -> None:
    kind = event._kind

    def anybodys(*args: Any) -> Kind:
        found = kind(*args)
        return Kind.ORGANIZER if found is Kind.GUEST else found

    patch.setattr(event, "_kind", anybodys)


def masked_event_taken_as_removal(patch: Plant) -> None:
    """And whoever hides it, when asked, as a witness. Rarely seen: a story of its own tells of it."""
    record = ledger._Recording.record

    def removal(self: Any, item: Item) -> Code | None:
        if isinstance(item, Event) and item.kind is Kind.GUEST and not item.whole:
            return self._cancelled(item, self.ledger.link(item.id))
        return record(self, item)

    patch.setattr(ledger._Recording, "record", removal)
    _hidden_is_gone(patch)


def _hidden_is_gone(patch: Plant) -> None:
    evidence = apply._Apply._evidence

    def gone(self: Any, item: Conference, ref: str) -> Evidence:
        found = evidence(self, item, ref)
        return Evidence.GONE if found is Evidence.HIDDEN else found

    patch.setattr(apply._Apply, "_evidence", gone)


@mistake("pure", 20, "L3")
def fingerprint_that_includes_the_etag(patch: Plant) -> None:
    fingerprint = meeting.fingerprint
    patch.setattr(meeting, "fingerprint", lambda item, *rest: fingerprint(item, *rest) + item.etag)


# --- Deletion ---


@mistake("pure", 10, "S6")
def deletion_without_grace(patch: Plant) -> None:
    judged = decide.decide
    patch.setattr(decide, "decide", lambda item, now, grace_s: judged(item, now, 0.0))


def deletion_without_confirmation(patch: Plant) -> None:
    """Rarely seen: the listing before it stands in front. A story of its own tells when it does not."""
    patch.setattr(apply._Apply, "_evidence", lambda self, item, ref: Evidence.GONE)


@mistake("chaos", 40, "S1")
def deletion_before_the_other_calendars_were_listed(patch: Plant) -> None:
    patch.setattr(apply._Apply, "_looked_at", lambda self, record: float("inf"))


@mistake("chaos", 100, "S2", "S1")
def absence_taken_as_deletion(patch: Plant) -> None:
    def gone(self: Any, links: Sequence[Link]) -> None:
        self._waiting.update({link.event_id: tombstone(link.event_id) for link in links})

    patch.setattr(pull._Pull, "_ask_for", gone)


@mistake("chaos", 400, "S2", "S1", "L1")
def access_loss_taken_as_absence(patch: Plant) -> None:
    def ask(self: Tenure, calendar: CalendarRecord, event_id: str) -> Item | None:
        try:
            return self.outside.calendar.get(calendar.calendar, event_id)
        except (Gone, AccessLost):
            return tombstone(event_id)
        except Transient:
            return None

    patch.setattr(Tenure, "ask", ask)


@mistake("pure", 200, "S6")
def deletion_cap_ignored(patch: Plant) -> None:
    patch.setattr(Brake, "holds", lambda self, deleted, waiting, live: False)


@mistake("pure", 60, "S6")
def meeting_in_progress_deleted(patch: Plant) -> None:
    patch.setattr(meeting.Reach, "in_progress", lambda self, at: False)


@mistake("chaos", 100, "L3", "L1")
def deleting_what_is_gone_treated_as_failure(patch: Plant) -> None:
    settled = conference.settled

    def failed(item: Conference, intent: Any, now: float, decision: Decision) -> Conference:
        if decision.code is Code.DELETED_ALREADY:
            refused = Decision(Code.QUARANTINED)
            return conference.set_aside(item, now, State.QUARANTINED, now + 600.0, refused)
        return settled(item, intent, now, decision)

    patch.setattr(conference, "settled", failed)


# --- Effects ---


@mistake("pure", 60, "L1", "L3", "bug")
def a_poisoned_event_blocks(patch: Plant) -> None:
    def fail(self: Any, error: SyncError, *_: Any) -> Any:
        raise error

    patch.setattr(apply._Apply, "_failure", fail)


@mistake("pure", 5, "S3")
def intent_not_written(patch: Plant) -> None:
    """The call is made as before, and known to nobody until it has ended."""

    def intend(self: Any, item: Conference, takes_s: float) -> Any:
        now = self._tenure.now()
        return conference.intended(item, now, now + takes_s, 0.0).intent

    patch.setattr(apply._Apply, "_intend", intend)
    patch.setattr(conference, "is_ours", lambda item, intent: True)


def unknown_outcome_taken_as_failure(patch: Plant) -> None:
    @wraps(conference.unknown)
    def failed(item: Conference, now: float, retry_at: float, *_: object) -> Conference:
        return replace(item, intent=None, attempts=item.attempts + 1, not_before=retry_at)

    patch.setattr(conference, "unknown", failed)


@mistake("noaudit", 120, "L1")
def unknown_outcome_taken_as_success(patch: Plant) -> None:
    def succeeded(item: Conference, now: float, *_: object) -> Conference:
        done = Decision(Code.UPDATED)
        return conference.settled(item, item.intent, now, done) if item.intent else item

    patch.setattr(conference, "unknown", succeeded)


@mistake("noaudit", 100, "L3")
def retry_after_ignored(patch: Plant) -> None:
    """By the account, which pauses for it, and by the conference, which may be the only one that was refused."""

    def deaf(method: Callable[..., Any]) -> Callable[..., Any]:
        def unheard(each: Any) -> Any:
            return RateLimited(str(each), alone=each.alone) if isinstance(each, RateLimited) else each

        return lambda self, *args: method(self, *map(unheard, args))

    patch.setattr(Pauses, "judge", deaf(Pauses.judge))
    patch.setattr(apply._Apply, "_asked_again_at", deaf(apply._Apply._asked_again_at))
