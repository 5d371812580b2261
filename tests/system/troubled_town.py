"""A town that played its story in the last hours and has come to a trouble, for the command line to find.

Google's stand-in and the conference service over HTTP, the real client and providers, and either store. Time in
it is past time, and ends now: the command line, a process of its own, has no other clock than the machine's.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import urllib3

from sync import tend, wiring
from sync.channel import Key, Keys, calendar_key
from sync.cli.demo.conference_service import ConferenceService
from sync.errors import Transient
from sync.google.calendar import GoogleCalendar
from sync.local.sqlite import SqliteStore
from sync.one_pass import one_pass
from sync.ports import CalendarId, Outside, Store, WiredCalendar
from sync.simulator import Simulator
from tests.clock import ManualClock
from tests.passes.conftest import KEY, LEASE_S, ME, MemoryQueue, Town

ROOT = Path(__file__).parents[2]
HOUR = 3600.0
BEGAN_S = 20 * HOUR  # before now
WEBHOOK = "http://127.0.0.1:9/"  # nobody is there

Wire = Callable[[str, tuple[WiredCalendar, ...]], None]


class TroubledTown(Town):
    """As Town, over any store, with a conference service and settings such as the command line is given."""

    def __init__(
        self,
        simulator: Simulator,
        service: ConferenceService,
        environ: dict[str, str],
        build: Callable[[ManualClock], tuple[Store, Wire]],
    ) -> None:
        self.simulator = simulator
        self.service = service
        self.clock = ManualClock(time.time() - BEGAN_S)
        simulator.clock.advance(self.clock.now() - simulator.clock.now() / 1e6)
        self.store, self._wire = build(self.clock)
        self.queue = MemoryQueue()
        document = {"providers": {"demo": {"use": "demo", "options": {"url": service.url}}}}
        self.environ = {
            **environ,
            "SYNC_CONFERENCES": json.dumps(document),
            "SYNC_CALENDAR_API": simulator.url,
            "SYNC_TIMES": "grace=60",
        }
        chosen, registry, rules = wiring.worker_settings(self.environ, "person")
        calendar = GoogleCalendar(credentials=lambda _: None, root_url=simulator.url, call_s=5.0)
        self.outside = Outside(calendar, self.store, registry, self.queue, self.clock)
        self.policy = wiring.policy(chosen, rules)
        self.key = self.enrol(ME)
        self.webhook("")

    def enrol(self, calendar_id: str) -> str:
        slug = calendar_id.partition("@")[0]
        self.wire((*getattr(self, "_calendars", ()), WiredCalendar(slug, CalendarId(calendar_id))))
        return calendar_key(self.store.salt(), calendar_id)

    def unwire(self) -> tuple[WiredCalendar, ...]:
        """Nothing is wired any more. Returns what was."""
        wired = self._calendars
        self.wire(())
        return wired

    def wire(self, calendars: tuple[WiredCalendar, ...]) -> None:
        self._calendars = calendars
        self._wire("", calendars)
        self.converge()

    def webhook(self, url: str) -> None:
        self._wire(url, self._calendars)

    def converge(self) -> None:
        key: Key = KEY
        tend.converge(self.outside, self.policy, key, Keys((key,)))

    def meet(self, conference: Any = None, title: str = "Planning", hours: float = 48, **more: Any) -> str:
        """A meeting with a conference of the service, unless it carries another; returns the event's id."""
        times = {"start": self.at(hours), "end": self.at(hours + 1)}
        told = self._ask("POST", "conferences", {"title": title, **times})
        carried = conference or {
            "conferenceId": told["id"],
            "conferenceSolution": {"key": {"type": "addOn"}, "name": "Demo Conference"},
            "entryPoints": [{"entryPointType": "video", "uri": told["join_url"]}],
        }
        event = self.act("create_meeting", title=title, conference=carried, **times, **more)
        return str(event["id"])

    def break_service(self, **fault: Any) -> None:
        self._ask("POST", "faults", fault)

    def _ask(self, method: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = urllib3.request(method, f"{self.service.url}/api/{what}", json=body)
        assert answer.status < 300, answer.data
        return dict(answer.json()) if answer.data else {}

    def service_calls(self) -> list[dict[str, Any]]:
        return list(urllib3.request("GET", f"{self.service.url}/api/calls").json()["calls"])

    def observe(self) -> None:
        """From now on no provider is called."""
        self.policy = replace(self.policy, observing=True)
        self.environ["SYNC_MODE"] = "observe"

    def look(self, key: str = "") -> None:
        with suppress(Transient):
            one_pass(self.outside, self.policy, key or self.key, owner=f"w{time.monotonic_ns()}")

    def until_now(self) -> None:
        """Nothing happens any more until now."""
        self.clock.advance(time.time() - self.clock.now())

    def sweep(self) -> None:
        """Nothing more happens until now, when the sweep comes by."""
        self.until_now()
        self.look()

    def run(self, *argv: str, columns: int = 100) -> subprocess.CompletedProcess[str]:
        """The command line, as a process."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return subprocess.run(
            [sys.executable, "-m", "sync", *argv],
            cwd=ROOT,
            env={**inherited, **self.environ, "COLUMNS": str(columns)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )


@contextmanager
def town_in(folder: Path) -> Iterator[TroubledTown]:
    """One over SQLite, whose file is there."""
    path = folder / "store.db"
    environ = {"SYNC_STORE": f"sqlite:{path}", "SYNC_QUEUE": "local"}

    def build(clock: ManualClock) -> tuple[Store, Wire]:
        store = SqliteStore(str(path), lease_s=LEASE_S, margin_s=20.0, grace_s=60.0, clock=clock)
        return store, store.wire

    with Simulator(clock="frozen") as simulator, ConferenceService() as service:
        yield TroubledTown(simulator, service, environ, build)
