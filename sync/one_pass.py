"""One run over one calendar: claim -> pull -> apply -> close. All roads to the calendar end here."""

import random
from contextlib import suppress
from typing import assert_never

from sync import logs, wake
from sync.apply import Applied, apply
from sync.errors import AccessLost, LeaseLost, SyncError, Transient
from sync.ledger import Ledger
from sync.policy import Policy
from sync.ports import Busy, Claimed, Closing, Idle, Outside, Progress
from sync.pull import Pulled, pull
from sync.tenure import Tenure

_FROZEN_S = 60.0  # until a calendar that refused us is looked at again; it doubles with each refusal
_ROUNDS = 5  # times round for changes that came meanwhile, before another worker may have a turn


def one_pass(outside: Outside, policy: Policy, calendar_key: str, owner: str, generation: int = 0) -> None:
    """Look at one calendar. Raises Transient when the queue should try again."""
    claim = outside.store.claim(calendar_key, owner, generation)
    match claim:
        case Idle():
            logs.write(logs.Record.PASS, calendar=calendar_key, outcome="nothing to do")
        case Busy():
            outside.queue.create(wake.after_lease(calendar_key, claim.fence, claim.generation, claim.ends_at))
            logs.write(
                logs.Record.PASS, calendar=calendar_key, outcome="busy: looked at again after the lease"
            )
        case Claimed():
            _under_lease(Tenure(outside, policy, claim))
        case _:
            assert_never(claim)


def _under_lease(tenure: Tenure) -> None:
    key = tenure.record.key
    try:
        _rounds(tenure)
    except LeaseLost:
        logs.write(logs.Record.PASS, "WARNING", calendar=key, outcome="overtaken: left to the new holder")
    except AccessLost as error:
        again_s = min(tenure.policy.sweep_s, _FROZEN_S * 2.0 ** min(tenure.record.failures, 20))
        again_at = tenure.now() + again_s
        _last_word(
            tenure,
            Closing(again_at, None, finished=False, failures=tenure.record.failures + 1, frozen=str(error)),
        )
        _wake(tenure, again_at)
        logs.write(logs.Record.ACCESS_LOST, "ERROR", calendar=key, why=str(error))
    except SyncError as error:
        _give_back(tenure)
        logs.write(logs.Record.PASS, "WARNING", calendar=key, outcome="failed: tried again", why=str(error))
        raise


def _rounds(tenure: Tenure) -> None:
    """Until nothing newer has come, or others should have a turn."""
    for _ in range(_ROUNDS):
        pulled = pull(tenure)
        applied = apply(tenure, pulled)
        _log(tenure, pulled, applied)
        if not pulled.complete:
            break
        due_at = _due_at(tenure, applied)
        if _close(tenure, Closing(due_at, applied.work_at, pulled.progress)):
            if applied.work_at is not None:
                _wake(tenure, applied.work_at)
            return
        if pulled.progress != Progress():  # going round must not lose a listing that took a whole pass
            tenure.change(_nothing, pulled.progress)
        tenure.record = tenure.outside.store.calendar(tenure.record.key) or tenure.record
    _hand_over(tenure)


def _nothing(_book: Ledger, _now: float) -> None:
    """What is to be stored is beside the ledger."""


def _due_at(tenure: Tenure, applied: Applied) -> float:
    """When the sweep is to look again: for the next piece of work, or anyway, spread by a quarter."""
    sweep_at = tenure.now() + tenure.policy.sweep_s * random.uniform(0.75, 1.0)
    return min(sweep_at, applied.work_at) if applied.work_at is not None else sweep_at


def _close(tenure: Tenure, closing: Closing) -> bool:
    return tenure.outside.store.close(tenure.hold, tenure.record.generation, closing)


def _hand_over(tenure: Tenure) -> None:
    """Release with work left, and ask for another pass at once: nothing has failed."""
    now = tenure.now()
    _last_word(tenure, Closing(now, None, finished=False))
    _wake(tenure, now)


def _give_back(tenure: Tenure) -> None:
    """Release without having finished: the queue, or else the sweep, comes back to it."""
    record = tenure.record
    wait = tenure.policy.backoff.wait(record.failures + 1, random.random())
    closing = Closing(
        tenure.now() + wait,
        record.work_at,
        finished=False,
        failures=record.failures + 1,
    )
    _last_word(tenure, closing)


def _last_word(tenure: Tenure, closing: Closing) -> None:
    with suppress(LeaseLost, Transient):  # then the lease ends by itself
        _close(tenure, closing)


def _wake(tenure: Tenure, at: float) -> None:
    outside = tenure.outside
    wake.wake(outside.queue, outside.clock, tenure.policy.buckets, tenure.record.key, at)


def _log(tenure: Tenure, pulled: Pulled, applied: Applied) -> None:
    logs.write(
        logs.Record.PASS,
        calendar=tenure.record.key,
        outcome="done" if pulled.complete else "out of time: goes on in another pass",
        listing="full" if pulled.full else "incremental",
        pages=pulled.pages,
        items=pulled.items,
        provider_calls=applied.calls,
        codes=dict(sorted((pulled.codes + applied.codes).items())),
    )
