"""One process of the deployment: its own clocks, and a guard at each of its doors to the world outside.

A guarded call takes time, so that others overtake it, and meets its fate there: it is refused, its answer is lost,
its process freezes or dies, or what it asked for happens when nobody waits for it any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from sync.errors import AccessLost, AuthFailed, RateLimited, Refused, SyncError, Timeout, Transient
from sync.ports import Outside
from sync.recognise import ConferenceKey
from tests.simulation import provider
from tests.simulation.schedule import Killed, Schedule
from tests.simulation.store import LEASE_S
from tests.simulation.weather import Fate, Weather

LANDS_WITHIN_S = 100.0  # what the horizon of the policy must cover
_LATENCY_S = {"calendar": 0.4, "store": 0.03, "queue": 0.05, "doorbell": 0.05, "provider": 0.4}
_BOUND_S = {"calendar": 20.0, "store": 5.0, "queue": 5.0, "doorbell": 5.0, "provider": 10.0}
_FREEZES_FOR_S = {"provider": LANDS_WITHIN_S, "doorbell": 15.0}  # others: beyond any lease
_REFUSALS: dict[str, tuple[Callable[[Random], SyncError], ...]] = {
    "store": (lambda _: Transient("contention"),),
    "queue": (lambda _: Transient("503"),),
    "doorbell": (lambda _: Transient("503"),),
    "calendar": (
        lambda _: Transient("503"),
        lambda _: RateLimited("429"),
        lambda rng: AccessLost(rng.choice(("401", "403", "404"))),
    ),
    "provider": (
        lambda _: Transient("503"),
        lambda rng: RateLimited("429", rng.choice((None, 30.0, 600.0)), alone=rng.random() < 0.5),
        lambda _: AuthFailed("401, or the day's quota"),
        lambda _: Refused("400"),
    ),
}


@dataclass
class Chronicle:
    """What happened, in words and in numbers."""

    words: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    steps: int = 0


@dataclass
class Nature:
    """What all processes of a story have in common."""

    schedule: Schedule
    rng: Random
    weather: Weather
    chronicle: Chronicle
    slow: str = ""  # a door at which everything takes long
    told_to_wait: Callable[[str, ConferenceKey, float], None] = lambda _worker, _conference, _seconds: None
    asking: Callable[[str, str, ConferenceKey], None] = lambda _worker, _what, _conference: None
    asked: Callable[[ConferenceKey], None] = lambda _conference: None

    def tell(self, text: str) -> None:
        self.chronicle.words.append(f"{self.schedule.now % 86400:9.2f}  {text}")


class Clock:
    """A machine's clocks: the wall clock is a little wrong, the monotonic one has an origin of its own."""

    def __init__(self, schedule: Schedule, skew_s: float, origin: float) -> None:
        self._schedule = schedule
        self._skew_s = skew_s
        self._origin = origin

    def now(self) -> float:
        return self._schedule.now + self._skew_s

    def monotonic(self) -> float:
        return self._schedule.now - self._origin


class Process:
    """A process, and its doors."""

    def __init__(self, nature: Nature, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self._nature = nature

    def outside(self, calendar: object, store: object, acme: object, queue: object) -> Outside:
        """The world outside, behind this process's doors."""
        doors: dict[str, Any] = {
            "calendar": Door(self, "calendar", calendar),
            "store": Door(self, "store", store),
        }
        return Outside(
            doors["calendar"],
            doors["store"],
            Conferences(Door(self, "provider", acme)),
            self.queue(queue),
            self.clock,
        )

    def queue(self, queue: object, name: str = "queue") -> Any:
        return Door(self, name, queue)

    def call(self, door: str, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """One call to the world outside: a point to be overtaken, to freeze, to fail and to die at."""
        nature = self._nature
        nature.chronicle.steps += 1
        if door == "provider":
            nature.asking(self.name, name, args[0].key)
        fate = nature.weather.fate(door, nature.rng)
        pace = 12.0 if door == nature.slow else 1.0
        nature.schedule.sleep(pace * _LATENCY_S[door] * (0.25 + 1.5 * nature.rng.random()))
        if door == "provider":
            nature.asked(args[0].key)
        if fate is None:
            return method(*args, **kwargs)
        nature.chronicle.counts[f"{door} call {fate}"] += 1
        nature.tell(f"{self.name}: {door}.{name} {fate}")
        return self._suffer(fate, door, partial(method, *args, **kwargs))

    def _suffer(self, fate: Fate, door: str, effect: partial[Any]) -> Any:
        nature, rng = self._nature, self._nature.rng
        match fate:
            case Fate.DIES_BEFORE:
                raise Killed
            case Fate.DIES_AFTER:
                _whatever_comes_of_it(effect)
                raise Killed
            case Fate.DIES_LANDING_LATER:
                nature.schedule.after(_lands_in_s(rng), partial(_whatever_comes_of_it, effect))
                raise Killed
            case Fate.FREEZES:
                self._freeze(door)
                return effect()
            case Fate.FREEZES_AFTER:
                answer = effect()
                self._freeze(door)
                return answer
            case Fate.REFUSED:
                refusal = rng.choice(_REFUSALS[door])(rng)
                nature.chronicle.counts[f"{door} says {refusal}"] += 1
                if isinstance(refusal, RateLimited) and refusal.retry_after_s:
                    nature.told_to_wait(self.name, effect.args[0].key, refusal.retry_after_s)
                if isinstance(refusal, AccessLost) and effect.func.__name__ == "replace_url":
                    effect.func.__self__.unwritable.add(effect.args[-1])  # nobody tries that again
                raise refusal
            case Fate.ANSWER_LOST:
                _whatever_comes_of_it(effect)
            case Fate.LANDS_LATER:
                nature.schedule.after(_lands_in_s(rng), partial(_whatever_comes_of_it, effect))
        nature.schedule.sleep(_BOUND_S[door])
        raise Timeout("no answer in time")

    def _freeze(self, door: str) -> None:
        nature = self._nature
        nature.schedule.sleep(nature.rng.uniform(3.0, _FREEZES_FOR_S.get(door, 2.5 * LEASE_S)))


class Door:
    """A port behind a guard: every method of it is a call."""

    def __init__(self, process: Process, name: str, port: object) -> None:
        self._process = process
        self._name = name
        self._port = port

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not callable(method):
            return method
        guarded = partial(self._process.call, self._name, name, method)
        setattr(self, name, guarded)
        return guarded


class Conferences:
    """The one configured provider."""

    def __init__(self, door: Any) -> None:
        self._provider = door

    def provider(self, name: str, _account: str = "") -> Any:
        assert name == provider.NAME
        return self._provider


def _lands_in_s(rng: Random) -> float:
    """Anywhen, or as late as can be: when its worker's lease is over, and another has told something newer."""
    return rng.uniform(rng.choice((0.0, 0.85)) * LANDS_WITHIN_S, LANDS_WITHIN_S)


def _whatever_comes_of_it(effect: Callable[[], Any]) -> None:
    try:
        effect()
    except SyncError:
        return
