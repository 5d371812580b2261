"""Passes that a person asks for: done here where this machine does the worker's work, else by the worker.

Whose wakes are in Cloud Tasks has a worker with the rights on calendars and providers: it is woken, and the store
tells when it has looked. Whose wakes are in a file beside the store may have no other process than this one.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sync import wake
from sync.cli.desk import Desk, owner, recorded
from sync.errors import SyncError
from sync.one_pass import one_pass
from sync.ports import CalendarRecord

_POLL_S = 2.0
_AT_HAND_S = 0.5
_MOST = 100  # passes for one calendar: each comes further than the one before

Waiting = Callable[[], object]


@dataclass(slots=True)
class Looked:
    """What came of it. No `outcome` of its own: the store tells."""

    outcome: str  # done, frozen, failed, asked (nobody waited), or not yet
    why: str = ""
    items: int = 0
    requests: int = 0  # to the Calendar API, where this machine has made them
    codes: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> Mapping[str, object]:
        return {"outcome": self.outcome, "why": self.why, "items": self.items, "codes": dict(self.codes)}


def look(desk: Desk, record: CalendarRecord, wait_s: float, waiting: Waiting) -> Looked:
    """Have this calendar looked at now, and wait for it, so long after each sign of a worker."""
    asked_at = desk.store.now()
    if desk.works_here:
        return _here(desk, record, asked_at, waiting)
    outside, policy = desk.errands
    wake.wake(outside.queue, outside.clock, policy.buckets, record.key)
    return _elsewhere(desk, record, asked_at, wait_s, waiting)


def _here(desk: Desk, record: CalendarRecord, asked_at: float, waiting: Waiting) -> Looked:
    outside, policy = desk.workplace
    looked = Looked("not yet")
    for _ in range(_MOST):
        waiting()
        problem = ""
        with recorded() as told:
            try:
                one_pass(outside, policy, record.key, owner())
            except SyncError as error:
                problem = str(error)
        for each in told:
            if each["message"] == "pass":
                looked.items += each.get("items", 0)
                looked.requests += each.get("calendar_requests", 0)
                looked.codes.update(each.get("codes", {}))
        now = desk.store.calendar(record.key)
        _judge(looked, now, asked_at, problem)
        handed_over = "handed_over" in {each.get("outcome") for each in told}
        if not (handed_over or (looked.outcome == "done" and _is_at_hand(now, desk.store.now()))):
            break
    if looked.outcome == "not yet":
        looked.why = "a pass of another process is over it: try again in a minute"
    return looked


def _is_at_hand(record: CalendarRecord | None, now: float) -> bool:
    """Whether there is more to do at once: a pass whose clock is a little behind has not seen that it is time."""
    return record is not None and record.work_at is not None and record.work_at <= now + _AT_HAND_S


def _elsewhere(
    desk: Desk, record: CalendarRecord, asked_at: float, wait_s: float, waiting: Waiting
) -> Looked:
    looked, until = Looked("asked" if not wait_s else "not yet"), time.monotonic() + wait_s
    seen_at = record.lease.renewed_at
    while looked.outcome == "not yet" and time.monotonic() < until:
        waiting()
        time.sleep(min(_POLL_S, max(0.0, until - time.monotonic())))
        now = desk.store.calendar(record.key)
        _judge(looked, now, asked_at, "")
        if now is not None and now.lease.renewed_at > seen_at:
            seen_at, until = now.lease.renewed_at, time.monotonic() + wait_s
    if looked.outcome == "not yet":
        looked.why = "the worker has not looked within that time: python -m sync status says why, or wait"
    return looked


def _judge(looked: Looked, record: CalendarRecord | None, asked_at: float, problem: str) -> None:
    """What the record says of a pass that began after we asked."""
    if record is None or record.lease.renewed_at < asked_at:
        if problem:
            looked.outcome, looked.why = "failed", problem
    elif record.frozen:
        looked.outcome, looked.why = "frozen", record.frozen
    elif record.failed or problem:
        looked.outcome, looked.why = "failed", record.failed or problem
    elif record.listed_at >= asked_at and not record.lease.owner:
        looked.outcome, looked.why = "done", ""
