"""The one composition root: settings -> adapters -> use cases, once for each process and door.

Built at a door's first request, so after the server has forked. Heavy imports stand inside the functions: the
webhook must not load what only the worker needs.
"""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from sync import logs, settings
from sync.errors import Misconfigured
from sync.keyfile import KeyFile
from sync.local.clock import SystemClock
from sync.receive import Receiver
from sync.settings import Settings, Times
from sync.wake import Buckets

if TYPE_CHECKING:
    from sync.conferences import Registry
    from sync.policy import Policy
    from sync.work import Work

T = TypeVar("T")


class _Once(Generic[T]):
    """Builds a thing at first use and keeps it; keeps the refusal too, so that no request reads settings again."""

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._built: T | None = None
        self._problems: tuple[str, ...] = ()

    def __call__(self) -> T:
        if self._built is not None:
            return self._built
        with self._lock:
            if self._built is None and not self._problems:
                try:
                    self._built = self._build()
                except Misconfigured as error:
                    self._problems = error.problems
        if self._built is None:
            raise Misconfigured(self._problems)
        return self._built


def _receiver() -> Receiver:
    from sync.local.queue import LocalQueue

    logs.quiet_libraries()
    chosen = settings.read(os.environ, "webhook")
    clock = SystemClock()
    return Receiver(_keys(chosen), LocalQueue(str(chosen.sqlite), clock), clock, _buckets(chosen.times))


def _work() -> "Work":
    from sync.conferences import Registry
    from sync.google.calendar import GoogleCalendar
    from sync.google.identity import OwnIdentity, nobody
    from sync.local.queue import LocalQueue
    from sync.local.sqlite import SqliteStore
    from sync.ports import Outside
    from sync.work import Work

    logs.quiet_libraries()
    chosen = settings.read(os.environ, "worker")
    times, clock = chosen.times, SystemClock()
    store = SqliteStore(
        str(chosen.sqlite),
        lease_s=times.lease,
        margin_s=times.lease_margin,
        grace_s=times.grace,
        clock=clock,
    )
    conferences = Registry(chosen.providers, connect_s=times.connect_timeout, read_s=times.read_timeout)
    # Another root than Google's is a stand-in on this machine: it gets no credentials of ours.
    credentials = nobody if chosen.calendar_api else OwnIdentity()
    calendar = GoogleCalendar(
        credentials=credentials, root_url=chosen.calendar_api, call_s=times.calendar_timeout
    )
    queue = LocalQueue(str(chosen.sqlite), clock)
    outside = Outside(calendar, store, conferences, queue, clock)
    return Work(outside, _policy(chosen, conferences), _keys(chosen))


def _policy(chosen: Settings, conferences: "Registry") -> "Policy":
    from sync.decide import Brake
    from sync.ledger import Rules
    from sync.policy import Backoff, Policy
    from sync.recognise import KNOWN

    times = chosen.times
    rules = Rules(
        systems=(*chosen.systems, *conferences.systems(), *KNOWN),
        providers=frozenset(provider.name for provider in chosen.providers),
    )
    return Policy(
        rules=rules,
        buckets=_buckets(times),
        backoff=Backoff(times.first_backoff, times.most_backoff),
        brake=Brake(),
        window_s=times.window,
        grace_s=times.grace,
        sweep_s=times.sweep,
        horizon_s=times.horizon,
        quarantine_s=times.quarantine,
        channel_life_s=times.channel_life,
    )


def _buckets(times: Times) -> Buckets:
    return Buckets(times.bucket, times.margin)


def _keys(chosen: Settings) -> KeyFile:
    clock = SystemClock()
    keys = KeyFile(chosen.channel_keys, chosen.times.keys_reread, clock.monotonic)
    keys.keep_fresh()
    return keys


receiver = _Once(_receiver)
work = _Once(_work)
