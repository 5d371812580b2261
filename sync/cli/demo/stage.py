"""Everything the demo plays on, on the loopback of one machine: built up in order, taken down whatever happens.

The doors are child processes, each behind functions-framework's production server and in a process group of its
own; the calendar, the conference service and the queue's dispatcher run in this process.
"""

import base64
import json
import math
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import urllib3

from sync.cli.demo.conference_service import ConferenceService
from sync.cli.demo.patience import Patience
from sync.local.clock import SystemClock
from sync.local.queue import Dispatcher
from sync.local.sqlite import SqliteStore
from sync.ports import CalendarId, WiredCalendar
from sync.settings import Times
from sync.simulator import Simulator

ROOT = Path(__file__).parents[3]
ME = "me@example.com"
GUESTS = tuple(f"guest{number}@example.com" for number in range(1, 11))
COLLEAGUE = "colleague@example.com"  # a guest whose calendar we watch too
TEAM = "team@example.com"  # another calendar of mine
WIRED = tuple(
    WiredCalendar(slug, CalendarId(address))
    for slug, address in (("me", ME), ("team", TEAM), ("colleague", COLLEAGUE))
)

# The same software, a shorter day: hours become seconds, and nothing else is different.
TIMES = Times(
    bucket=0.3,
    margin=0.1,
    lease=9.0,
    lease_margin=2.0,
    calendar_timeout=5.0,
    connect_timeout=0.5,
    read_timeout=1.5,
    sweep=2.0,
    grace=4.0,
    secrets_reread=1.0,
    horizon=6.5,
    first_backoff=0.3,
    most_backoff=1.0,
)

_READY_S = 30.0
_ANSWER_S = 10.0
_PAUSES_S = (0.1, 0.5)  # before a question that may be repeated is asked again
_LOGS = "--keep keeps the logs of both doors"
# What a person may do once more without doing anything else.
_SETTING_STATE = ("move", "retitle", "rsvp", "restore", "strip_conference", "move_occurrence")
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ")  # nothing that could reach the doors' settings

Json = dict[str, Any]


class Broken(Exception):
    """The stage does not stand: why, and what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


class Stage:
    """The town: its calendar, its conference service, and the sync between them."""

    def __init__(self, folder: Path, provider: str, patience: Patience) -> None:
        self.until = patience.until
        self._folder = folder
        self._store = folder / "store.db"
        self._provider = provider
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.simulator = stack.enter_context(Simulator(seed={"acts": _town()}, push_backoff_s=0.2))
            self.conferences = stack.enter_context(self._conference_service())
            settings = self._settings()
            self.worker = Door("worker", settings, self._folder)
            webhook = Door("webhook", settings, self._folder)
            self._wire(webhook.url)
            stack.enter_context(self._dispatching())
            # The doors come last and so go first: the dispatcher, to end, waits for the worker's answers.
            for door in (self.worker, webhook):
                stack.callback(door.kill)
                door.start()
            for door in (self.worker, webhook):
                if not self.until(door.is_ready, _READY_S):
                    raise Broken(f"the {door.name} does not come up", _LOGS)
            self.converge()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _conference_service(self) -> ConferenceService:
        return ConferenceService()

    def _settings(self) -> Json:
        """The environment of both doors."""
        keys = self._folder / "channel-keys"
        keys.write_text(f"k1:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}\n")
        chosen = {"use": self._provider, "options": {"url": self.conferences.url}}
        return {
            "SYNC_STORE": f"sqlite:{self._store}",
            "SYNC_QUEUE": "local",
            "SYNC_CHANNEL_KEYS": str(keys),
            "SYNC_CONFERENCES": json.dumps({"providers": {"demo": chosen}}),
            "SYNC_CALENDAR_API": self.simulator.url,
            "SYNC_TIMES": " ".join(f"{name}={value}" for name, value in asdict(TIMES).items()),
            "THREADS": "8",
        }

    def _wire(self, webhook_url: str) -> None:
        """What Terraform would write: the calendars to watch, and where Google shall post."""
        store = SqliteStore(
            str(self._store),
            lease_s=TIMES.lease,
            margin_s=TIMES.lease_margin,
            grace_s=TIMES.grace,
            clock=SystemClock(),
        )
        store.wire(webhook_url, WIRED)

    @contextmanager
    def _dispatching(self) -> Iterator[None]:
        dispatcher = Dispatcher(
            str(self._store), self.worker.url, SystemClock(), first_backoff_s=0.2, most_backoff_s=2.0
        )
        dispatcher.start()
        try:
            yield
        finally:
            dispatcher.stop()

    # --- what people, schedulers and misfortune do ---

    def act(self, do: str, **what: Any) -> Json:
        """A person does something in the calendar."""
        return self._ask_calendar("POST", "act", {"do": do, **what}, repeatable=do in _SETTING_STATE)

    def calendar_fault(self, **fault: Any) -> None:
        self._ask_calendar("POST", "faults", fault)

    def create_conference(self, **state: str) -> Json:
        """What a conference add-on does while somebody writes an invitation."""
        return self._ask_conferences("POST", "conferences", state)

    def conference_fault(self, **fault: Any) -> None:
        self._ask_conferences("POST", "faults", fault)

    def clear_conference_faults(self) -> None:
        self._ask_conferences("DELETE", "faults", repeatable=True)

    def converge(self) -> None:
        self._schedule("converge")

    def sweep(self) -> None:
        self._schedule("sweep")

    # --- what there is to be seen ---

    def provider_calls(self) -> list[Json]:
        return list(self._ask_conferences("GET", "calls", repeatable=True)["calls"])

    def list_calls(self) -> int:
        journal = self._ask_calendar("GET", "journal", repeatable=True)["requests"]
        return sum(request["method"] == "events.list" for request in journal)

    def is_quiet(self) -> bool:
        """Whether every notification was delivered, and every wake that it made was worked off."""
        return not self._notifications() and not self._tasks_within(TIMES.bucket + TIMES.margin)

    def is_at_rest(self) -> bool:
        """Whether nothing more will happen by itself, however long one waits."""
        return not self._notifications() and not self._tasks_within(math.inf)

    def _notifications(self) -> int:
        return int(self._ask_calendar("GET", "metrics", repeatable=True)["pushes"]["waiting"])

    def _tasks_within(self, seconds: float) -> int:
        """Tasks that are being delivered, or will be so soon."""
        query = "SELECT count(*) FROM tasks WHERE ended_at IS NULL AND (taken OR due_at <= ?)"
        with closing(sqlite3.connect(f"{self._store.as_uri()}?mode=ro", uri=True)) as store:
            return int(store.execute(query, (time.time() + seconds,)).fetchone()[0])

    # --- how they are all spoken to ---

    def _ask_calendar(
        self, method: str, door: str, body: Json | None = None, *, repeatable: bool = False
    ) -> Json:
        url = f"{self.simulator.url}/_sim/{door}"
        return ask("the calendar's stand-in", method, url, body, repeatable=repeatable)

    def _ask_conferences(
        self, method: str, what: str, body: Json | None = None, *, repeatable: bool = False
    ) -> Json:
        url = f"{self.conferences.url}/api/{what}"
        return ask("the conference service", method, url, body, repeatable=repeatable)

    def _schedule(self, job: str) -> None:
        ask("the worker", "POST", f"{self.worker.url}/jobs/{job}", repeatable=True)


def _town() -> list[Json]:
    """Who lives there, and which calendars are shared with us."""
    return [
        *({"do": "add_user", "email": email} for email in (ME, COLLEAGUE, *GUESTS)),
        {"do": "add_calendar", "id": TEAM, "owner": ME, "title": "Team"},
        {"do": "change_role", "calendar": COLLEAGUE, "user": ME, "role": "reader"},
    ]


class Door:
    """One door of main.py as it is deployed: functions-framework's production server, told by the environment."""

    def __init__(self, name: str, settings: Mapping[str, str], folder: Path) -> None:
        self.name = name
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [
            *(sys.executable, "-m", "functions_framework", "--source", str(ROOT / "main.py")),
            *("--target", name, "--host", "127.0.0.1", "--port", str(port)),
        ]
        inherited = {each: os.environ[each] for each in _INHERITED if each in os.environ}
        self._environment = {**inherited, **settings}
        self._log = folder / f"{name}.log"
        self._running = False
        self.records: list[Json] = []  # what it has logged, oldest first

    def start(self) -> None:
        # Leads the door's process group, and ends it when this process does, however that comes about.
        self._guard = subprocess.Popen(
            ["sh", "-c", "cat; kill -KILL 0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            process_group=0,
        )
        self._running = True
        with self._log.open("a") as log:
            self._server = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                process_group=self._guard.pid,
            )
        self._reader = threading.Thread(target=self._read, args=(self._server,), daemon=True)
        self._reader.start()

    def kill(self) -> None:
        """At once and without a word, as an instance may end: the server and all that it has forked."""
        if not self._running:
            return
        os.killpg(self._guard.pid, signal.SIGKILL)
        self._running = False
        self._server.wait()
        self._guard.communicate()
        self._reader.join()

    def is_ready(self) -> bool:
        """Whether it answers. Raises Broken when it never will."""
        if self._server.poll() is not None:
            raise Broken(f"the {self.name} ended with code {self._server.returncode}", _LOGS)
        try:
            status = urllib3.request("GET", f"{self.url}/status", retries=False, timeout=_ANSWER_S).status
        except urllib3.exceptions.HTTPError:
            return False  # it is not listening yet
        if status == 500:
            raise Broken(f"the {self.name} does not work with its settings", _LOGS)
        return status == 200

    def _read(self, server: subprocess.Popen[str]) -> None:
        assert server.stdout is not None
        with self._log.open("a") as log, server.stdout as lines:
            for line in lines:
                log.write(line)
                with suppress(ValueError):
                    self.records.append(json.loads(line))


def ask(whom: str, method: str, url: str, body: Json | None = None, *, repeatable: bool) -> Json:
    """One call within the town; whatever is not a success is a mistake in the demo itself.

    `repeatable`: made twice it does what it does once, so a connection that breaks is no reason to give up.
    """
    what = f"{method} {urlsplit(url).path}"
    for pause_s in (*_PAUSES_S, None) if repeatable else (None,):
        try:
            with urllib3.PoolManager() as line:  # no kept connection, which a killed worker would break
                answer = line.request(method, url, json=body, timeout=_ANSWER_S, retries=False)
            break
        except urllib3.exceptions.HTTPError as error:
            if pause_s is None:
                raise Broken(f"{whom} left {what} unanswered: {type(error).__name__}", _LOGS) from None
            time.sleep(pause_s)
    if answer.status >= 300:
        raise Broken(f"{whom} answered {what} with {answer.status}", _LOGS)
    return dict(answer.json()) if answer.data else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
