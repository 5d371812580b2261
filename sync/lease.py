"""Who may change a calendar's records: pure arithmetic of lease and fence, used by every store.

A lease is efficiency, a fence is correctness: two workers that both believe they hold a lease can waste work,
but only the one with the newest fence can write. Times of the lease are the store's, and only the store's; a
worker measures its own share on its own monotonic clock, read before the call that granted or renewed it.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Lease:
    """What the store remembers of the last grant. An empty owner means that nobody holds it."""

    owner: str = ""
    fence: int = 0
    renewed_at: float = 0.0  # seconds since the epoch, the store's time

    def ends_at(self, lease_s: float) -> float:
        return self.renewed_at + lease_s

    def is_free(self, now: float, lease_s: float) -> bool:
        return not self.owner or now >= self.ends_at(lease_s)

    def granted(self, owner: str, now: float) -> "Lease":
        """The next holder's lease. The fence grows with every grant, also of a lease that was given back."""
        return Lease(owner, self.fence + 1, now)

    def renewed(self, now: float) -> "Lease":
        return replace(self, renewed_at=now)

    def released(self) -> "Lease":
        return replace(self, owner="")


@dataclass(frozen=True, slots=True)
class Hold:
    """What the holder knows: its fence, and until when (on its own monotonic clock) it may start calls."""

    calendar_key: str
    owner: str
    fence: int
    deadline: float

    def may_start(self, monotonic: float, takes_s: float) -> bool:
        """Whether a call of at most `takes_s` seconds would end before our share of the lease does."""
        return monotonic + takes_s < self.deadline

    def is_of(self, lease: Lease) -> bool:
        """Whether the store's lease is still the one we were granted."""
        return lease.fence == self.fence and lease.owner == self.owner


def deadline(monotonic_before: float, lease_s: float, margin_s: float) -> float:
    """The end of our share: `monotonic_before` was read before the call that granted or renewed the lease."""
    return monotonic_before + lease_s - margin_s
