"""What goes wrong, and when: every decision comes from the seed and the order of requests, never from chance.

A fault names the requests it waits for (`where`, `calendar`, `nth`, `times`, `probability`) and what happens then.
Push faults do the same for notifications. Nothing here acts: it answers "does it happen now?".
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fnmatch import fnmatchcase
from random import Random
from typing import Generic, Literal, TypeVar

from . import errors
from .clock import SECOND


@dataclass(frozen=True)
class RequestFault:
    where: str = "*"  # a method name such as events.list, or a pattern such as events.*
    calendar: str = ""  # only requests for this calendar
    nth: int = 1  # counted from now, the first request that is hit
    times: int = 1  # so many requests in all; 0 for every one from then on
    probability: float = 1.0
    status: int = 0
    reason: str = ""
    retry_after_s: int | None = None
    html: bool = False  # with status: an error page instead of JSON
    latency_s: float = 0.0
    hang: bool = False  # no answer until the client gives up
    close: Literal["", "before", "after"] = ""  # hang up without an answer; after = the change is made
    truncate: bool = False  # half the JSON, then the end of the connection
    until: Literal["", "refresh"] = (
        ""  # with status 401: this access token is refused until another one comes
    )
    listing: Literal["", "stale", "empty", "short", "repeat"] = ""  # see listing.py


@dataclass(frozen=True)
class PushFault:
    push: Literal["drop", "duplicate", "delay", "reorder"]
    calendar: str = ""
    times: int = 1  # 0 for every notification
    probability: float = 1.0
    delay_s: float = 5.0  # reorder: at most, if no other notification comes


@dataclass(frozen=True)
class Quota:
    """So many requests in any minute, for each user or for all together."""

    quota: Literal["user", "project"]
    per_minute: int
    status: Literal[403, 429] = 403
    retry_after_s: int | None = None


Fault = TypeVar("Fault", RequestFault, PushFault)


@dataclass
class Armed(Generic[Fault]):
    """A fault in force, and how far it is spent."""

    fault: Fault
    seen: int = 0
    used: int = 0

    @property
    def spent(self) -> bool:
        return bool(self.fault.times) and self.used >= self.fault.times

    def strikes(self, rng: Random) -> bool:
        if self.spent:
            return False
        if self.fault.probability < 1 and rng.random() >= self.fault.probability:
            return False
        self.used += 1
        return True


class Faults:
    def __init__(self, seed: int) -> None:
        self._rng = Random(f"faults:{seed}")
        self.clear()

    def clear(self) -> None:
        self._requests: list[Armed[RequestFault]] = []
        self._pushes: list[Armed[PushFault]] = []
        self._quotas: list[Quota] = []
        self._spent: dict[tuple[str, str], deque[int]] = {}
        self._refused_tokens: set[str] = set()

    def add(self, fault: RequestFault | PushFault | Quota) -> None:
        if isinstance(fault, RequestFault):
            self._requests.append(Armed(fault))
        elif isinstance(fault, PushFault):
            self._pushes.append(Armed(fault))
        else:
            self._quotas.append(fault)

    def in_force(self) -> list[RequestFault | PushFault | Quota]:
        in_force: list[RequestFault | PushFault | Quota] = [one.fault for one in self._requests]
        return in_force + [one.fault for one in self._pushes] + self._quotas

    def take(self, method: str, calendar: str, token: str) -> list[RequestFault]:
        """The faults that hit this request; they are spent by it."""
        if token in self._refused_tokens:
            return [RequestFault(status=401)]
        hits = []
        for armed in self._requests:
            fault = armed.fault
            if not fnmatchcase(method, fault.where) or fault.calendar not in ("", calendar):
                continue
            armed.seen += 1
            if armed.seen >= fault.nth and armed.strikes(self._rng):
                hits.append(fault)
                if fault.until == "refresh":
                    self._refused_tokens.add(token)
        if hits:
            self._requests = [armed for armed in self._requests if not armed.spent]
        return hits

    def take_push(self, calendar: str) -> PushFault | None:
        for armed in self._pushes:
            if armed.fault.calendar in ("", calendar) and armed.strikes(self._rng):
                self._pushes = [one for one in self._pushes if not one.spent]
                return armed.fault
        return None

    def over_quota(self, user: str, now: int) -> tuple[errors.ApiError, int | None] | None:
        """A sliding minute, as the quota page says; a refused request costs nothing."""
        buckets: dict[str, deque[int]] = {}
        for quota in self._quotas:
            who = user if quota.quota == "user" else ""
            spent = buckets[quota.quota] = self._spent.setdefault((quota.quota, who), deque())
            while spent and spent[0] <= now - 60 * SECOND:
                spent.popleft()
            if len(spent) >= quota.per_minute:
                limit = errors.user_rate_limit if quota.quota == "user" else errors.rate_limit
                return limit(quota.status), quota.retry_after_s
        for spent in buckets.values():
            spent.append(now)
        return None

    def pick(self, most: int) -> int:
        """A number from 1 to `most`, from the seed: how short a short page is."""
        return self._rng.randint(1, max(1, most))
