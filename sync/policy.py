"""Every figure and rule the use cases go by, in one frozen value. Waits are in seconds."""

from dataclasses import dataclass

from sync import cursor
from sync.decide import Brake
from sync.rules import Rules
from sync.wake import Buckets


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double with each failure, drawn at random from nothing to the full wait (full jitter)."""

    first_s: float
    most_s: float

    def wait(self, failures: int, draw: float) -> float:
        """The wait after the n-th failure in a row; `draw` is from [0, 1). Never less than a fifth of a second."""
        full = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return max(0.2, full * draw)


@dataclass(frozen=True, slots=True)
class Policy:
    """How this deployment goes about its work."""

    rules: Rules
    buckets: Buckets
    backoff: Backoff
    brake: Brake
    window_s: float  # how far a full listing looks back
    grace_s: float  # how long a dropped conference lives on
    sweep_s: float  # a calendar is looked at this often even if nobody asks
    horizon_s: float  # how long an abandoned provider call may still land
    quarantine_s: float  # how long until a refused conference is tried again
    channel_life_s: float  # asked for; Google may grant less
    poll_s: float = 900.0  # a calendar that Google does not watch, and the canary, are looked at this often
    canary: str = ""  # the slug of a wired calendar that something changes all the time
    observing: bool = False  # decide and say, but call no provider
    delegates: bool = False  # may read a calendar as its owner, and so ask what that person may do

    def listing(self, calendar_listing: str) -> str:
        """What a sync token stands for: another value means that one full listing is due."""
        return cursor.listing_hash(calendar_listing, self.window_s, self.rules.signature)
