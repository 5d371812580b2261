"""What may happen to a process at a call to the world outside, drawn anew for every story.

Not every story has every fault, and none at the same rate: a fault that is everywhere hides those that need quiet.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Fate(StrEnum):
    """What becomes of one call."""

    DIES_BEFORE = "dies before it"
    FREEZES = "freezes before it"
    REFUSED = "is refused"
    ANSWER_LOST = "takes effect, and the answer is lost"
    DIES_AFTER = "dies after it"
    FREEZES_AFTER = "freezes after it"
    DIES_LANDING_LATER = "dies, and it lands later"
    LANDS_LATER = "gives up waiting, and it lands later"


_EVERYWHERE = (Fate.DIES_BEFORE, Fate.FREEZES, Fate.REFUSED, Fate.ANSWER_LOST)
_WRITES = (*_EVERYWHERE, Fate.DIES_AFTER)
FATES: dict[str, tuple[Fate, ...]] = {  # of a story
    "calendar": _EVERYWHERE,
    "store": (*_WRITES, Fate.FREEZES_AFTER),
    "queue": _WRITES,
    "doorbell": _WRITES,  # the queue, as the webhook has it
    "provider": (*_WRITES, Fate.DIES_LANDING_LATER, Fate.LANDS_LATER),
}
_RATES = (0.005, 0.02, 0.06)


@dataclass
class Weather:
    """The rates of one story's faults. It clears up when the story is to heal."""

    rates: dict[tuple[str, Fate], float] = field(default_factory=dict)
    mischief: float = 0.0  # listings that are stale, short, repeated or empty
    overlooked: float = 0.0  # of the events we know, in a full listing
    lost_push: float = 0.0
    late_push: float = 0.0
    twice_push: float = 0.0
    late_task: float = 0.0
    skew_s: float = 0.5  # of every wall clock, either way. Up to half of the wakes' margin nothing is late

    def clear_up(self) -> None:
        self.__init__()  # type: ignore[misc]

    def fate(self, door: str, rng: Random) -> Fate | None:
        draw = rng.random()
        if not self.rates:
            return None
        for fate in Fate:
            draw -= self.rates.get((door, fate), 0.0)
            if draw < 0:
                return fate
        return None


def storm(rng: Random, without: tuple[Fate, ...] = ()) -> Weather:
    """About half of all faults, at rates of their own."""

    def some(rates: tuple[float, ...]) -> float:
        return rng.choice(rates) if rng.random() < 0.5 else 0.0

    return Weather(
        rates={
            (door, fate): some(_RATES) * (3.0 if door == "provider" else 1.0)
            for door, fates in FATES.items()
            for fate in fates
            if fate not in without
        },
        mischief=some((0.1, 0.5)),
        overlooked=some((0.2, 0.6)),
        lost_push=some((0.05, 0.3, 1.0)),
        late_push=some((0.1, 0.5)),
        twice_push=some((0.1, 0.3)),
        late_task=some((0.02, 0.1)),
        skew_s=rng.choice((0.5, 0.5, 8.0, 300.0)),
    )
