"""What a verb speaks to: the store, and where it must the queue, Google and the providers, as the worker does.

Each is opened when it is first asked for: `status` needs no provider, `version` nothing at all.
"""

import json
import os
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from functools import cached_property
from io import StringIO
from typing import TYPE_CHECKING, Any

from sync import wiring
from sync.channel import calendar_key
from sync.cli.verbs import complain
from sync.conference import Conference
from sync.errors import Misconfigured, SyncError, nearest
from sync.local.clock import SystemClock
from sync.ports import CalendarRecord, Outside, Queue, Store
from sync.recognise import KNOWN, ConferenceKey, joined_at
from sync.rules import Rules
from sync.settings import Settings

if TYPE_CHECKING:
    from sync.conferences.registry import Registry
    from sync.policy import Policy


class Wrong(Exception):
    """What was asked for makes no sense: why, and what to do. The exit code is 2."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


class _Nobody:
    """Stands where Google or a provider would."""

    def __getattr__(self, name: str) -> object:
        raise Misconfigured([f"nobody is asked for {name} here"])


class Desk:
    """This environment's deployment, as a person works on it."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    @cached_property
    def _opened(self) -> tuple[Settings, Store]:
        return wiring.store(self._environ)

    @property
    def settings(self) -> Settings:
        return self._opened[0]

    @property
    def store(self) -> Store:
        return self._opened[1]

    @cached_property
    def now(self) -> float:
        """The store's time when it was first asked: every age on one screen is of the same moment."""
        return self.store.now()

    @cached_property
    def queue(self) -> Queue:
        return wiring.queue(self.settings)

    @cached_property
    def workplace(self) -> "tuple[Outside, Policy]":
        """All that a worker works with: it needs SYNC_CONFERENCES and rights on Google and the providers."""
        return wiring.workplace(*self._worker)

    @cached_property
    def rules(self) -> Rules:
        """What the settings make of events; without SYNC_CONFERENCES, all that is known anyway."""
        if not self._environ.get("SYNC_CONFERENCES", "").strip():
            return Rules(KNOWN, frozenset())
        return self._worker[2]

    @cached_property
    def _worker(self) -> "tuple[Settings, Registry, Rules]":
        return wiring.worker_settings(self._environ, "person")

    @cached_property
    def clock(self) -> SystemClock:
        return SystemClock()

    @cached_property
    def errands(self) -> "tuple[Outside, Policy]":
        """For what is only written down, and done by whoever looks next: Google and providers are not asked."""
        nobody: Any = _Nobody()
        outside = Outside(nobody, self.store, nobody, self.queue, self.clock)
        return outside, wiring.policy(self.settings, Rules(KNOWN, frozenset()))

    @property
    def works_here(self) -> bool:
        """Whether this machine does the worker's work: its wakes are in a file beside the store."""
        return not self.settings.queue

    # --- Calendars ---

    @cached_property
    def calendars(self) -> Sequence[CalendarRecord]:
        """Every calendar there is a record of, by what people call it."""
        return sorted(self.store.calendars(), key=lambda each: (each.label or "~", each.key))

    def chosen(self, names: Collection[str]) -> Sequence[CalendarRecord]:
        """These calendars, or else all that are looked after. Raises Wrong for one that is not."""
        named = [self.named(name) for name in names]
        for record in named:
            if not record.active:
                told = f"{self.label(record.key)} is paused or unwired: no pass looks at it"
                raise Wrong(told, "python -m sync status")
        keys = {each.key for each in named}
        return [each for each in self.calendars if each.active and (not names or each.key in keys)]

    def named(self, name: str) -> CalendarRecord:
        """The calendar of this label, key or id. Raises Wrong."""
        hashed = calendar_key(self.store.salt(), name) if "@" in name else ""
        found = [each for each in self.calendars if name in (each.label, each.key) or each.key == hashed]
        if found:
            return found[0]
        known = [each.label or each.key for each in self.calendars]
        raise Wrong(
            f"there is no calendar {name!r}{nearest(name, known)}", _one_of(known, "python -m sync status")
        )

    def label(self, key: str) -> str:
        """What people call a calendar: the label it was wired under, else its key."""
        return self.labels.get(key, key)

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """What people call each calendar, by its key."""
        return {each.key: each.label or each.key for each in self.calendars}

    # --- Conferences ---

    def conference(self, name: str) -> Conference | None:
        """The conference of this key, id or join URL; None if we know nothing of it."""
        known = self.store.conferences(self._keys(name))
        return known[0] if known else None

    def _keys(self, name: str) -> Collection[ConferenceKey]:
        if "://" in name:
            seen = joined_at(name, self.rules.systems)
            return [seen.key] if seen is not None else []
        provider, _, conference_id = name.partition(":")
        bare = [ConferenceKey(each, name) for each in sorted(self.rules.providers)]
        return [ConferenceKey(provider, conference_id), *bare] if conference_id else bare


def quietly() -> AbstractContextManager[object]:
    """What the use cases tell a log is no answer to a person: that is told by the verb itself."""
    return redirect_stdout(StringIO())


def _one_of(known: Sequence[str], otherwise: str) -> str:
    return f"one of: {', '.join(known[:8])}" if 0 < len(known) <= 8 else f"{otherwise} lists them"


def answer(ask: Callable[[], int], wrong: int = 2) -> int:
    """Run a verb; what goes wrong is one line, and a hint what to do. 1: it failed, 2: it was asked wrongly."""
    try:
        return ask()
    except Wrong as problem:
        complain(str(problem), problem.hint)
        return wrong
    except Misconfigured as error:
        complain(
            "\n".join(error.problems),
            "docs/settings.md explains each variable; python -m sync config lists all",
        )
        return 1
    except SyncError as error:
        complain(str(error), "try again; python -m sync status says how everything stands")
        return 1


def owner() -> str:
    """A name for one errand of a person: unlike that of any other."""
    return f"command line {uuid.uuid4().hex[:12]}"


@contextmanager
def recorded() -> Iterator[list[dict[str, Any]]]:
    """The log records of what is done here; they are no answer to a person."""
    told: list[dict[str, Any]] = []
    lines = StringIO()
    try:
        with redirect_stdout(lines):
            yield told
    finally:
        told += map(json.loads, filter(None, lines.getvalue().splitlines()))
