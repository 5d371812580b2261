"""Provider accounts as one pass meets them: who is paused is not asked, and who refuses us pauses.

An account is read once in a pass, and only when one of its conferences is due.
"""

import random

from sync import account, logs
from sync.account import Account
from sync.conference import Conference
from sync.errors import AuthFailed, RateLimited, SyncError, Transient, kind_of
from sync.tenure import Tenure

_SUSPECTS = 3  # refusals of one conference, after which an account that answers others is not to blame
_AUTH_SHARE = 10  # of the longest backoff: the least pause after refused credentials


class Pauses:
    """The accounts this pass has met."""

    def __init__(self, tenure: Tenure) -> None:
        self._tenure = tenure
        self._met: dict[str, Account] = {}

    def closed_until(self, item: Conference, takes_s: float) -> float | None:
        """When this conference's account may be asked again; None: now. After a pause, only its probe may."""
        name, who = _name(item), self._tenure.hold.owner
        met = self._met.get(name) or self._meet(name)
        if not met.may_be_asked_by(who) and met.paused_until <= self._tenure.now():
            met = self._met[name] = self._tenure.outside.store.change_account(
                name, lambda current, now: account.approached(current, now, who, takes_s)
            )
        return None if met.may_be_asked_by(who) else met.paused_until

    def judge(self, item: Conference, error: SyncError | None) -> float | None:
        """What a call's outcome says about its account. Returns until when the account pauses, if it does."""
        name = _name(item)
        met = self._met.get(name) or self._meet(name)
        if self._is_to_blame(item, error, met):
            return self._pause(item, met, error)
        if not met.answers and not isinstance(error, Transient):
            self._met[name] = self._tenure.outside.store.change_account(
                name, lambda current, _: account.answered(current)
            )
            logs.write(logs.Record.ACCOUNT_ANSWERS, "NOTICE", account=name, refusals=met.refusals)
        return None

    def _meet(self, name: str) -> Account:
        met = self._met[name] = self._tenure.outside.store.account(name)
        return met

    def _is_to_blame(self, item: Conference, error: SyncError | None, met: Account) -> bool:
        """A conference that alone is refused again and again must not stop the others for ever."""
        match error:
            case RateLimited(alone=True) | AuthFailed(alone=True):
                return False
            case RateLimited() | AuthFailed():
                return not met.answers or item.attempts < _SUSPECTS
            case Transient():
                return not met.answers  # a probe that came to nothing
            case _:
                return False

    def _pause(self, item: Conference, met: Account, error: SyncError | None) -> float:
        wait_s, conference = self._wait_s(met, error), str(item.key)
        answer = kind_of(error) if error is not None else ""
        paused = self._met[met.name] = self._tenure.outside.store.change_account(
            met.name,
            lambda current, now: account.refused(current, now + wait_s, conference, str(error), answer),
        )
        severity: logs.Severity = "ERROR" if isinstance(error, AuthFailed) else "WARNING"
        logs.write(
            logs.Record.ACCOUNT_PAUSED,
            severity,
            account=met.name,
            refusals=paused.refusals,
            wait_s=round(max(0.0, paused.paused_until - self._tenure.now())),
            why=str(error),
        )
        return paused.paused_until

    def _wait_s(self, met: Account, error: SyncError | None) -> float:
        backoff = self._tenure.policy.backoff
        wait_s = backoff.wait(met.refusals + 1, random.random())
        match error:
            case RateLimited(retry_after_s=after):
                return max(after or 0.0, wait_s)
            case AuthFailed():
                return max(wait_s, backoff.most_s / _AUTH_SHARE)
            case _:
                return wait_s


def _name(item: Conference) -> str:
    return account.account_name(item.key.provider, item.account)
