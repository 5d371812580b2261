"""A durable queue in SQLite that behaves as Cloud Tasks does: named tasks, delivered at least once, in no order.

A task that was taken by a dispatcher is due again when that dispatcher's time for it is over: whoever dies loses
nothing. A name stays taken for a day after its task has ended.
"""

import random
import threading
from dataclasses import dataclass

import urllib3

from sync import logs, trace
from sync.errors import Transient
from sync.local.sqlite import Database
from sync.ports import Clock, Task

_POLL_S = 0.1  # other processes create tasks without telling us
_CONNECT_S = 3.0
_NAMES_KEPT_S = 86400.0

_TABLES = """
CREATE TABLE IF NOT EXISTS tasks (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, generation INTEGER NOT NULL,
    due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, taken INTEGER NOT NULL DEFAULT 0,
    ended_at REAL, outcome TEXT, notified_at REAL NOT NULL DEFAULT 0, traceparent TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS tasks_due ON tasks (due_at) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
"""
_LATER_COLUMNS = {  # in files of earlier versions
    ("tasks", "notified_at"): "REAL NOT NULL DEFAULT 0",
    ("tasks", "traceparent"): "TEXT NOT NULL DEFAULT ''",
}


class LocalQueue:
    """Keeps tasks; a Dispatcher on the same file delivers them."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._database = Database(path, _TABLES, _LATER_COLUMNS)
        self._clock = clock

    def create(self, task: Task) -> bool:
        with self._database.writing() as connection:
            connection.execute("DELETE FROM tasks WHERE ended_at <= ?", (self._clock.now() - _NAMES_KEPT_S,))
            created = connection.execute(
                "INSERT OR IGNORE INTO tasks (name, kind, subject, generation, due_at, notified_at, traceparent) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    task.name,
                    task.kind,
                    task.subject,
                    task.generation,
                    task.due_at,
                    task.notified_at,
                    trace.onward().get("traceparent", ""),
                ),
            )
            return created.rowcount == 1

    def overdue_s(self) -> float:
        """For how long the longest due task has been waiting for a dispatcher; 0: none is."""
        query = "SELECT min(due_at) FROM tasks WHERE ended_at IS NULL AND NOT taken"
        with self._database.reading() as connection:
            (due_at,) = connection.execute(query).fetchone()
        return 0.0 if due_at is None else max(0.0, self._clock.now() - due_at)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A task in our hands; the first attempt is number 1."""

    name: str
    kind: str
    subject: str
    generation: int
    notified_at: float
    traceparent: str  # a header; empty: it was created outside of a trace
    due_at: float  # this attempt
    attempt: int


class Dispatcher:
    """Delivers the tasks of one file, each by a POST to `{target_url}/tasks`. One dispatcher at a time."""

    def __init__(
        self,
        path: str,
        target_url: str,
        clock: Clock,
        *,
        lanes: int = 2,
        attempts: int = 20,
        first_backoff_s: float = 2.0,
        most_backoff_s: float = 300.0,
        deadline_s: float = 600.0,
    ) -> None:
        self._database = Database(path, _TABLES, _LATER_COLUMNS)
        self._url = f"{target_url}/tasks"
        self._clock = clock
        self._attempts = attempts
        self._first_backoff_s = first_backoff_s
        self._most_backoff_s = most_backoff_s
        self._deadline_s = deadline_s
        self._stop = threading.Event()
        self._lanes = [threading.Thread(target=self._lane, daemon=True) for _ in range(lanes)]
        self._http = urllib3.PoolManager(
            maxsize=lanes,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=deadline_s),
        )

    def start(self) -> None:
        """Begin to deliver: first of all what a dispatcher before us took and never ended."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE tasks SET due_at = ?, taken = 0 WHERE taken AND ended_at IS NULL",
                (self._clock.now(),),
            )
        for lane in self._lanes:
            lane.start()

    def stop(self) -> None:
        """Take nothing more, and wait for the answers to what is on its way."""
        self._stop.set()
        for lane in self._lanes:
            lane.join()

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set."""
        self.start()
        stop.wait()
        self.stop()

    def deliver_one(self) -> bool:
        """Deliver the task that has been due for longest. False: none is due."""
        task = self._take()
        if task is None:
            return False
        problem = self._post(task)
        if not problem:
            self._end(task, "done")
        elif task.attempt < self._attempts:
            self._postpone(task)
        else:
            self._end(task, f"given up: {problem}")
            logs.write(
                logs.Record.QUEUE_GAVE_UP,
                "ERROR",
                task=task.name,
                kind=task.kind,
                subject=task.subject
                if task.kind in ("sync", "hello")
                else "",  # of others, it holds addresses
                attempts=task.attempt,
                why=problem,
            )
        return True

    def _lane(self) -> None:
        while not self._stop.is_set():
            try:
                delivered = self.deliver_one()
            except Transient:  # no task is lost; and the worker, on the same file, tells of it
                delivered = False
            if not delivered:
                self._stop.wait(_POLL_S)

    def _take(self) -> _Taken | None:
        due = "SELECT name FROM tasks WHERE ended_at IS NULL AND due_at <= ? ORDER BY due_at, name LIMIT 1"
        with self._database.reading() as connection:
            # Looking first without the lock: an empty queue must not keep other writers waiting.
            if connection.execute(due, (self._clock.now(),)).fetchone() is None:
                return None
        with self._database.writing() as connection:
            now = self._clock.now()
            row = connection.execute(
                "SELECT name, kind, subject, generation, notified_at, traceparent, due_at, attempts + 1 "
                f"FROM tasks WHERE name = ({due})",
                (now,),
            ).fetchone()
            if row is None:
                return None
            taken = _Taken(*row)
            connection.execute(
                "UPDATE tasks SET taken = 1, attempts = ?, due_at = ? WHERE name = ?",
                (taken.attempt, now + _CONNECT_S + self._deadline_s, taken.name),
            )
        return taken

    def _post(self, task: _Taken) -> str:
        """Empty when it was accepted; else the status, or the name of what went wrong."""
        try:
            response = self._http.request(
                "POST",
                self._url,
                json={
                    "kind": task.kind,
                    "subject": task.subject,
                    "generation": task.generation,
                    "notified_at": task.notified_at,
                },
                headers={
                    "X-CloudTasks-TaskName": task.name,
                    "X-CloudTasks-TaskRetryCount": str(task.attempt - 1),
                    "X-CloudTasks-TaskETA": str(task.due_at),
                    **({"traceparent": task.traceparent} if task.traceparent else {}),
                },
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            return type(error).__name__
        return "" if 200 <= response.status < 300 else str(response.status)

    def _end(self, task: _Taken, outcome: str) -> None:
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE tasks SET ended_at = ?, outcome = ? WHERE name = ? AND attempts = ?",
                (self._clock.now(), outcome, task.name, task.attempt),
            )

    def _postpone(self, task: _Taken) -> None:
        backoff_s = min(self._most_backoff_s, self._first_backoff_s * 2.0 ** (task.attempt - 1))
        due_at = self._clock.now() + backoff_s * random.uniform(0.5, 1.0)
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE tasks SET taken = 0, due_at = ? WHERE name = ? AND attempts = ?",
                (due_at, task.name, task.attempt),
            )
