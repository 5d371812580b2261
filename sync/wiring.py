"""The one composition root: settings -> adapters -> use cases, once for each process and door.

Built at a door's first request, so after the server has forked. Heavy imports stand inside the functions: the
webhook must not load what only the worker needs.
"""

import gc
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, cast

from sync import logs, settings
from sync.errors import Misconfigured
from sync.keyfile import KeyFile
from sync.local.clock import SystemClock
from sync.receive import Receiver
from sync.settings import Door, Settings, Times
from sync.wake import Buckets

if TYPE_CHECKING:
    from sync.admit import Admission
    from sync.conferences.jitsi import Jitsi
    from sync.conferences.registry import Registry
    from sync.google.identity import Identity
    from sync.google.secrets import Secrets
    from sync.policy import Policy
    from sync.ports import Outside, Queue, Store, Task
    from sync.reservation import Reservations
    from sync.rules import Rules
    from sync.work import Work

T = TypeVar("T")

_OBJECTS = 50_000  # new ones, after which garbage is looked for among them: a few pages of a listing
_REFUSAL_S = 30.0  # the environment stays as it is, but a file or a secret that it names may be mended


class _Once(Generic[T]):
    """Builds a thing at first use and keeps it; keeps a refusal for a while, so that requests read no settings."""

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._built: tuple[T] | None = None
        self._problems: tuple[str, ...] = ()
        self._refuses_until = 0.0

    def __call__(self) -> T:
        if self._built is not None:
            return self._built[0]
        with self._lock:
            if self._built is None and time.monotonic() >= self._refuses_until:
                try:
                    self._built = (self._build(),)
                except Misconfigured as error:
                    self._problems = error.problems
                    self._refuses_until = time.monotonic() + _REFUSAL_S
        if self._built is None:
            raise Misconfigured(self._problems)
        return self._built[0]


def check(environ: Mapping[str, str], door: Door) -> Settings:
    """Judge the settings as this door does, but open nothing: a document that is a secret stays unread.

    Raises Misconfigured with every problem.
    """
    if door == "webhook":
        return settings.read(environ, door)
    chosen, problems = settings.draft(environ, door)
    _judge(chosen, _registry(chosen, _secrets(chosen)), problems)
    return chosen


def _receiver() -> Receiver:
    logs.quiet_libraries()
    chosen = settings.read(os.environ, "webhook")
    clock = SystemClock()
    return Receiver(_keys(chosen), _queue(chosen, clock), clock, _buckets(chosen.times))


def _admission() -> "Admission | None":
    """None: the settings let nobody enrol anything."""
    chosen = settings.read(os.environ, "webhook")
    if chosen.enrol is None:
        return None
    from sync.admit import Admission
    from sync.google.id_token import GoogleTokens

    clock = SystemClock()
    tokens = GoogleTokens(
        chosen.enrol.audiences, clock, connect_s=chosen.times.connect_timeout, root_url=chosen.certs_api
    )
    return Admission(tokens, chosen.enrol.domains, _queue(chosen, clock), clock)


@dataclass(frozen=True, slots=True)
class Hands:
    """All that the worker works with, as whoever tries the deployment at a command line has it."""

    settings: Settings
    outside: "Outside"
    policy: "Policy"
    keys: KeyFile | None  # None: they are not on this machine
    conferences: "Registry"
    identity: "Identity | None"  # None: a stand-in for Google asks nobody who they are


def hands(environ: Mapping[str, str]) -> Hands:
    """Raises Misconfigured with every problem that the worker would have here."""
    chosen, conferences, rules = worker_settings(environ, "doctor")
    identity = _identity(chosen)
    outside = _outside(chosen, conferences, rules, identity, of_a_person=True)
    keys = _keys(chosen) if chosen.channel_keys else None
    return Hands(chosen, outside, policy(chosen, rules), keys, conferences, identity)


def _work() -> "Work":
    from sync.work import Work

    logs.quiet_libraries()
    chosen, conferences, rules = worker_settings(os.environ)
    outside = _outside(chosen, conferences, rules, _identity(chosen))
    reservations = _reservations(outside, conferences, chosen)
    work = Work(outside, policy(chosen, rules), _keys(chosen), reservations)
    spare_the_loaded()
    return work


def _outside(
    chosen: Settings,
    conferences: "Registry",
    rules: "Rules",
    identity: "Identity | None",
    *,
    of_a_person: bool = False,
) -> "Outside":
    from sync.google.calendar import GoogleCalendar
    from sync.google.identity import nobody
    from sync.ports import Outside

    clock = SystemClock()
    calendar = GoogleCalendar(
        credentials=identity or nobody,
        root_url=chosen.calendar_api,
        call_s=chosen.times.calendar_timeout,
        details=frozenset().union(*rules.details.values()),
    )
    return Outside(
        calendar, _store(chosen, clock), conferences, _queue(chosen, clock, of_a_person=of_a_person), clock
    )


def _identity(chosen: Settings) -> "Identity | None":
    """Another root than Google's is a stand-in: it gets no credentials but those of a stand-in."""
    from sync.google.identity import READING, WRITING, Identity

    if chosen.calendar_api and not chosen.identity_api:
        return None
    return Identity(
        WRITING if any(each.write_back for each in chosen.providers) else READING,
        delegation=chosen.delegation,
        client_id=chosen.delegation_client,
        stand_in=chosen.identity_api,
    )


def spare_the_loaded() -> None:
    """Look for garbage where there may be some: not in what is loaded, and not in every part of a page again.

    A listing makes so many objects that Python would otherwise spend a quarter of its time on that, in vain.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])


def _reservations(outside: "Outside", conferences: "Registry", chosen: Settings) -> "Reservations | None":
    """The answers to Jitsi, if one asks us. A question names a room and no server, so there can be one server."""
    asking = [each.name for each in chosen.providers if each.use == "jitsi"]
    if not asking:
        return None
    if len(asking) > 1 or any(each.accounts for each in chosen.providers if each.use == "jitsi"):
        raise Misconfigured(["SYNC_CONFERENCES: only one provider may use jitsi, and it has no accounts."])
    from sync.reservation import Reservations, Rooms

    jitsi = cast("Jitsi", conferences.provider(asking[0]))
    rooms = Rooms(asking[0], jitsi.early_s, jitsi.late_s, jitsi.allows_unknown)
    return Reservations(outside.store, outside.clock, rooms)


def store(environ: Mapping[str, str]) -> "tuple[Settings, Store]":
    """The settings as a person at the command line needs them, and their store. Raises Misconfigured."""
    chosen, problems = settings.draft(environ, "person")
    if problems:
        raise Misconfigured(problems)
    return chosen, _store(chosen, SystemClock())


def queue(chosen: Settings) -> "Queue":
    """Their queue, spoken to with application-default credentials."""
    return _queue(chosen, SystemClock(), of_a_person=True)


def workplace(chosen: Settings, conferences: "Registry", rules: "Rules") -> "tuple[Outside, Policy]":
    """All that a worker works with, for a person who does its work."""
    outside = _outside(chosen, conferences, rules, _identity(chosen), of_a_person=True)
    return outside, policy(chosen, rules)


def worker_settings(
    environ: Mapping[str, str], reader: Literal["worker", "person", "doctor"] = "worker"
) -> "tuple[Settings, Registry, Rules]":
    """The settings, their providers, and what both make of events. Raises Misconfigured with every problem."""
    chosen, problems = settings.draft(environ, reader)
    secrets = _secrets(chosen)
    if chosen.conferences_secret:
        try:
            document = secrets().read(chosen.conferences_secret)
        except Misconfigured as error:
            problems += error.problems
        else:
            chosen, wrong = settings.with_conferences(chosen, document)
            problems += wrong
    conferences = _registry(chosen, secrets)
    return chosen, conferences, _judge(chosen, conferences, problems)


def _judge(chosen: Settings, conferences: "Registry", problems: tuple[str, ...]) -> "Rules":
    """What the providers make of events. Raises Misconfigured with these problems and all of theirs."""
    try:
        rules = conferences.rules(chosen.systems)
    except Misconfigured as error:
        raise Misconfigured([*problems, *error.problems]) from None
    if problems := (*problems, *settings.too_long(conferences.longest_call_s(), chosen.times)):
        raise Misconfigured(problems)
    return rules


def _registry(chosen: Settings, secrets: "Callable[[], Secrets]") -> "Registry":
    from sync.conferences.registry import Registry

    times = chosen.times
    return Registry(
        chosen.providers,
        connect_s=times.connect_timeout,
        read_s=times.read_timeout,
        secrets=secrets,
        accounts=_Once(lambda: _store(chosen, SystemClock())),
    )


def _secrets(chosen: Settings) -> "_Once[Secrets]":
    """Secret Manager, loaded only if something is kept there."""

    def build() -> "Secrets":
        from sync.google.secrets import Secrets

        times = chosen.times
        return Secrets(
            clock=SystemClock(),
            cache_s=times.secrets_reread,
            wait_s=times.connect_timeout,
            root_url=chosen.secrets_api,
        )

    return _Once(build)


def _store(chosen: Settings, clock: SystemClock) -> "Store":
    times = chosen.times
    if chosen.sqlite is None:
        from sync.google.firestore import FirestoreStore

        return FirestoreStore(
            chosen.project,
            chosen.database,
            lease_s=times.lease,
            margin_s=times.lease_margin,
            grace_s=times.grace,
            clock=clock,
        )
    from sync.local.sqlite import SqliteStore

    return SqliteStore(
        str(chosen.sqlite),
        lease_s=times.lease,
        margin_s=times.lease_margin,
        grace_s=times.grace,
        clock=clock,
    )


class _NoQueue:
    """A person who only looks needs no queue."""

    def create(self, task: "Task") -> bool:
        raise Misconfigured([f"SYNC_QUEUE is missing: nobody can be asked for a {task.kind} task."])


def _queue(chosen: Settings, clock: SystemClock, *, of_a_person: bool = False) -> "Queue":
    if not chosen.queue and chosen.sqlite is None:
        return _NoQueue()
    if not chosen.queue:
        from sync.local.queue import LocalQueue

        return LocalQueue(str(chosen.sqlite), clock)
    from sync.google.tasks import ROOT_URL, CloudTasks

    return CloudTasks(
        chosen.queue,
        chosen.worker_url,
        chosen.dispatch_account,
        token=_token(chosen, clock, of_a_person=of_a_person),
        clock=clock,
        root_url=chosen.tasks_api or ROOT_URL,
    )


def _token(chosen: Settings, clock: SystemClock, *, of_a_person: bool) -> "Callable[[], str]":
    """Who asks Cloud Tasks. A stand-in gets no credentials of ours."""
    if chosen.tasks_api:
        return lambda: "nobody"
    if of_a_person:
        from sync.google.console import own_token

        return own_token
    from sync.google.tasks import MetadataToken

    return MetadataToken(clock)


def policy(chosen: Settings, rules: "Rules") -> "Policy":
    from sync.decide import Brake
    from sync.policy import Backoff, Policy

    times = chosen.times
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
        poll_s=times.poll,
        canary=chosen.canary,
        observing=chosen.observing,
        delegates=bool(chosen.delegation),
    )


def _buckets(times: Times) -> Buckets:
    return Buckets(times.bucket, times.margin)


def _keys(chosen: Settings) -> KeyFile:
    clock = SystemClock()
    keys = KeyFile(chosen.channel_keys, chosen.times.keys_reread, clock.monotonic)
    keys.keep_fresh()
    return keys


receiver = _Once(_receiver)
admission = _Once(_admission)
work = _Once(_work)
