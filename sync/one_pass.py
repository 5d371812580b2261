"""One run over one calendar: claim -> pull -> apply -> close. All roads to the calendar end here."""

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from sync import logs, wake
from sync.apply import Applied, apply
from sync.codes import Code
from sync.errors import AccessLost, LeaseLost, SyncError, Transient
from sync.policy import Policy
from sync.ports import Busy, Claimed, Closing, Idle, Outside, Progress
from sync.pull import Pulled, pull
from sync.tenure import Tenure

_FROZEN_S = 60.0  # until a calendar that refused us is looked at again; it doubles with each refusal
_ROUNDS = 5  # times round for changes that came meanwhile, before another worker may have a turn


class PassOutcome(StrEnum):
    """What a pass has come to, in log records and metrics."""

    DONE = "done"
    IDLE = "idle"  # nothing to do: unknown, inactive, or looked at since it was asked for
    BUSY = "busy"  # somebody holds the lease: looked at again when that ends
    HANDED_OVER = "handed_over"  # out of time, or much came meanwhile: goes on in another pass; no failure
    OVERTAKEN = "overtaken"  # left to the new holder of the lease
    FROZEN = "frozen"  # the calendar refused us
    FAILED = "failed"  # tried again
    BROKEN_OFF = "broken_off"  # by an error that nobody expected


_SEVERITIES: dict[PassOutcome, logs.Severity] = {
    PassOutcome.OVERTAKEN: "WARNING",
    PassOutcome.FROZEN: "WARNING",
    PassOutcome.FAILED: "WARNING",
    PassOutcome.BROKEN_OFF: "ERROR",
}


@dataclass(slots=True)
class _Report:
    """All that the one record of a pass tells."""

    calendar: str
    outcome: PassOutcome = PassOutcome.BROKEN_OFF
    why: str = ""
    listing: str = "none"
    rounds: int = 0
    pages: int = 0
    items: int = 0
    provider_calls: int = 0
    codes: Counter[Code] = field(default_factory=Counter)
    took_s: float = 0.0

    def add(self, pulled: Pulled, applied: Applied) -> None:
        self.rounds += 1
        self.listing = "full" if pulled.full or self.listing == "full" else "incremental"
        self.pages += pulled.pages
        self.items += pulled.items
        self.provider_calls += applied.calls
        self.codes += pulled.codes + applied.codes

    def write(self) -> None:
        logs.write(
            logs.Record.PASS,
            _SEVERITIES.get(self.outcome, "INFO"),
            calendar=self.calendar,
            outcome=self.outcome,
            why=self.why,
            listing=self.listing,
            rounds=self.rounds,
            pages=self.pages,
            items=self.items,
            provider_calls=self.provider_calls,
            codes=dict(sorted(self.codes.items())),
            took_s=round(self.took_s, 3),
        )


def one_pass(
    outside: Outside,
    policy: Policy,
    calendar_key: str,
    owner: str,
    generation: int = 0,
    notified_at: float = 0.0,
) -> None:
    """Look at one calendar. Raises Transient when the queue should try again.

    `owner`: a name that no other pass ever has. `notified_at`: when the notification came that asks for it, by the
    webhook's clock; 0: no notification does. Whatever comes of it, one record tells.
    """
    report, began = _Report(calendar_key), outside.clock.monotonic()
    with logs.operation(owner):
        try:
            claim = outside.store.claim(calendar_key, owner, generation, notified_at)
            report.outcome = _claimed(outside, policy, claim, notified_at, report)
        except SyncError as error:
            report.outcome, report.why = PassOutcome.FAILED, str(error)
            raise
        finally:
            report.took_s = outside.clock.monotonic() - began
            report.write()


def _claimed(
    outside: Outside, policy: Policy, claim: Claimed | Busy | Idle, notified_at: float, report: _Report
) -> PassOutcome:
    match claim:
        case Idle():
            return PassOutcome.IDLE
        case Busy():
            key = report.calendar
            later = wake.after_lease(key, claim.fence, claim.generation, claim.ends_at, notified_at)
            outside.queue.create(later)
            return PassOutcome.BUSY
        case Claimed():
            return _under_lease(Tenure(outside, policy, claim, notified_at), report)
        case _:
            assert_never(claim)


def _under_lease(tenure: Tenure, report: _Report) -> PassOutcome:
    key = tenure.record.key
    try:
        return _rounds(tenure, report)
    except LeaseLost:
        return PassOutcome.OVERTAKEN
    except AccessLost as error:
        again_s = min(tenure.policy.sweep_s, _FROZEN_S * 2.0 ** min(tenure.record.failures, 20))
        again_at = tenure.now() + again_s
        _last_word(
            tenure,
            Closing(
                again_at,
                None,
                finished=False,
                failures=tenure.record.failures + 1,
                frozen=str(error),
                skew_s=tenure.skew_s(),
            ),
        )
        _wake(tenure, again_at)
        logs.write(logs.Record.ACCESS_LOST, "ERROR", calendar=key, why=str(error))
        return PassOutcome.FROZEN
    except SyncError as error:
        _give_back(tenure, error)
        raise
    except KeyboardInterrupt:  # a person ends it: whoever is next need not wait for the lease to end
        _hand_over(tenure)
        raise


def _rounds(tenure: Tenure, report: _Report) -> PassOutcome:
    """Until nothing newer has come, or others should have a turn."""
    for _ in range(_ROUNDS):
        pulled = pull(tenure)
        applied = apply(tenure, pulled)
        report.add(pulled, applied)
        if not pulled.complete:
            break
        due_at = _due_at(tenure, applied)
        closing = Closing(due_at, applied.work_at, pulled.progress, skew_s=tenure.skew_s())
        if _close(tenure, closing):
            if applied.work_at is not None:
                _wake(tenure, applied.work_at)
            return PassOutcome.DONE
        if pulled.progress != Progress():  # going round must not lose a listing that took a whole pass
            tenure.note(pulled.progress)
        tenure.go_round(tenure.outside.store.calendar(tenure.record.key) or tenure.record)
    _hand_over(tenure)
    return PassOutcome.HANDED_OVER


def _due_at(tenure: Tenure, applied: Applied) -> float:
    """When the sweep is to look again: for the next piece of work, or anyway.

    Spread, and early: a sweep that fails, and some after it, must not let the interval pass.
    """
    record, policy = tenure.record, tenure.policy
    often = record.unwatchable or (policy.canary and record.label == policy.canary)
    sweep_at = tenure.now() + (policy.poll_s if often else policy.sweep_s) * random.uniform(0.6, 0.9)
    return min(sweep_at, applied.work_at) if applied.work_at is not None else sweep_at


def _close(tenure: Tenure, closing: Closing) -> bool:
    return tenure.outside.store.close(tenure.hold, tenure.record.generation, closing)


def _hand_over(tenure: Tenure) -> None:
    """Release with work left, and ask for another pass at once: nothing has failed."""
    now = tenure.now()
    _last_word(tenure, Closing(now, None, finished=False))
    _wake(tenure, now, tenure.notified_at)


def _give_back(tenure: Tenure, error: SyncError) -> None:
    """Release without having finished: the queue, or else the sweep, comes back to it."""
    record = tenure.record
    wait = tenure.policy.backoff.wait(record.failures + 1, random.random())
    closing = Closing(
        tenure.now() + wait,
        record.work_at,
        finished=False,
        failures=record.failures + 1,
        failed=str(error),
        skew_s=tenure.skew_s(),
    )
    _last_word(tenure, closing)


def _last_word(tenure: Tenure, closing: Closing) -> None:
    with suppress(LeaseLost, Transient):  # then the lease ends by itself
        _close(tenure, closing)


def _wake(tenure: Tenure, at: float, notified_at: float = 0.0) -> None:
    outside = tenure.outside
    wake.wake(outside.queue, outside.clock, tenure.policy.buckets, tenure.record.key, at, notified_at)
