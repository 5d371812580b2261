"""The local queue keeps the queue's promises, and its dispatcher delivers as Cloud Tasks does."""

import json
import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sync import trace
from sync.errors import Transient
from sync.local.clock import SystemClock
from sync.local.queue import Dispatcher, LocalQueue
from sync.ports import Queue, Task
from tests.clock import ManualClock
from tests.contract.queue_contract import QueueContract, task

TASKS_1 = """
CREATE TABLE tasks (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, generation INTEGER NOT NULL,
    due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, taken INTEGER NOT NULL DEFAULT 0,
    ended_at REAL, outcome TEXT
);
"""


@dataclass
class Delivery:
    """One request as the worker saw it."""

    path: str
    name: str
    retries: str
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def subject(self) -> str:
        return str(self.body["subject"])


class Worker(ThreadingHTTPServer):
    """Answers with the statuses it was given and then with 200; keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers: list[int] = []
        self.deliveries: list[Delivery] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def wait_for(self, deliveries: int) -> None:
        wait_until(lambda: len(self.deliveries) >= deliveries)


class _Handler(BaseHTTPRequestHandler):
    server: Worker

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, retries = (self.headers[f"X-CloudTasks-{field}"] for field in ("TaskName", "TaskRetryCount"))
        status = self.server.answers.pop(0) if self.server.answers else 200
        may_answer = self.server.may_answer
        self.server.deliveries.append(Delivery(self.path, name, retries, body, self.headers))
        may_answer.wait(30)
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen in 20 seconds"
        time.sleep(0.01)


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.may_answer.set()
        server.shutdown()
        serving.join()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pass_time(clock: ManualClock) -> Callable[[float], None]:
    return clock.advance


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "queue.sqlite")


@pytest.fixture
def queue(path: str, clock: ManualClock) -> LocalQueue:
    return LocalQueue(path, clock)


@pytest.fixture
def reopened(path: str, clock: ManualClock) -> Callable[[], Queue]:
    return lambda: LocalQueue(path, clock)


@pytest.fixture
def dispatcher(path: str, worker: Worker, clock: ManualClock) -> Dispatcher:
    return Dispatcher(path, worker.url, clock)


@pytest.fixture
def deliver(dispatcher: Dispatcher, worker: Worker) -> Callable[[], list[str]]:
    def everything_due() -> list[str]:
        worker.deliveries.clear()
        while dispatcher.deliver_one():
            pass
        return [delivery.subject for delivery in worker.deliveries]

    return everything_due


class TestLocalQueue(QueueContract):
    """All of the contract."""


def test_a_task_is_posted_as_cloud_tasks_would(
    queue: LocalQueue, dispatcher: Dispatcher, worker: Worker, clock: ManualClock
) -> None:
    queue.create(Task("name", "sync", "calendar", clock.now(), generation=3, notified_at=1.5))
    assert dispatcher.deliver_one()
    body = {"kind": "sync", "subject": "calendar", "generation": 3, "notified_at": 1.5}
    assert worker.deliveries == [Delivery("/tasks", "name", "0", body)]


def test_a_file_of_a_version_that_did_not_keep_when_a_notification_came_is_read_and_written(
    path: str, clock: ManualClock, worker: Worker
) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(TASKS_1)
        file.execute(
            "INSERT INTO tasks (name, kind, subject, generation, due_at) VALUES ('a', 'sync', 'c', 2, 0)"
        )
    LocalQueue(path, clock).create(Task("b", "sync", "c", clock.now(), notified_at=1.5))
    dispatcher = Dispatcher(path, worker.url, clock)
    assert [dispatcher.deliver_one() for _ in range(3)] == [True, True, False]
    assert [(each.name, each.body["notified_at"]) for each in worker.deliveries] == [("a", 0.0), ("b", 1.5)]


def test_a_task_tells_when_it_was_due_and_which_trace_it_was_created_in(
    queue: LocalQueue, clock: ManualClock, worker: Worker, dispatcher: Dispatcher
) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    with trace.within(f"00-{trace_id}-00f067aa0ba902b7-01"):
        queue.create(task("traced", clock.now() - 3))
    queue.create(task("untraced", clock.now()))
    worker.answers = [503]
    assert dispatcher.deliver_one()
    clock.advance(2)  # the longest wait before a second attempt
    assert [dispatcher.deliver_one() for _ in range(3)] == [True, True, False]
    attempts = [each.headers for each in worker.deliveries if each.name == "traced"]
    first_at, second_at = (float(each["X-CloudTasks-TaskETA"]) for each in attempts)
    assert first_at == clock.now() - 5
    assert first_at < second_at <= clock.now()
    assert {each["traceparent"].rpartition("-")[0][:-16] for each in attempts} == {f"00-{trace_id}-"}
    [untraced] = [each.headers for each in worker.deliveries if each.name == "untraced"]
    assert "traceparent" not in untraced


def test_several_processes_open_a_file_of_an_earlier_version_at_once(path: str, clock: ManualClock) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(TASKS_1)
    together = threading.Barrier(4)

    def create(number: int) -> bool:
        together.wait()
        return LocalQueue(path, clock).create(task(str(number), 0.0))

    with ThreadPoolExecutor(4) as processes:
        assert list(processes.map(create, range(4))) == [True] * 4


def test_what_has_been_due_for_longest_comes_first(
    queue: LocalQueue, clock: ManualClock, deliver: Callable[[], list[str]]
) -> None:
    for subject, wait in (("last", 30), ("first", 10), ("second", 20)):
        queue.create(task(subject, clock.now() + wait, subject))
    clock.advance(30)
    assert deliver() == ["first", "second", "last"]


@pytest.mark.parametrize("refusal", [503, 500, 429, 404, 400, 302])
def test_a_task_that_was_not_accepted_comes_again(
    queue: LocalQueue, dispatcher: Dispatcher, worker: Worker, clock: ManualClock, refusal: int
) -> None:
    worker.answers = [refusal]
    queue.create(task("one", clock.now()))
    assert dispatcher.deliver_one()
    assert not dispatcher.deliver_one(), "not at once"
    clock.advance(2)
    assert dispatcher.deliver_one()
    assert [(delivery.path, delivery.retries) for delivery in worker.deliveries] == [
        ("/tasks", "0"),
        ("/tasks", "1"),
    ]
    clock.advance(3600)
    assert not dispatcher.deliver_one()


def test_the_wait_doubles_up_to_its_limit_and_scatters_by_at_most_half(
    path: str, queue: LocalQueue, worker: Worker, clock: ManualClock
) -> None:
    worker.answers = [503] * 6
    dispatcher = Dispatcher(path, worker.url, clock, first_backoff_s=2.0, most_backoff_s=10.0)
    queue.create(task("one", clock.now()))
    assert dispatcher.deliver_one()
    for longest in (2.0, 4.0, 8.0, 10.0, 10.0):
        clock.advance(longest * 0.49)
        assert not dispatcher.deliver_one()
        clock.advance(longest * 0.51)
        assert dispatcher.deliver_one()


def test_a_worker_that_is_not_there_is_tried_again(
    path: str, queue: LocalQueue, dispatcher: Dispatcher, worker: Worker, clock: ManualClock
) -> None:
    queue.create(task("one", clock.now()))
    nobody = Dispatcher(path, "http://127.0.0.1:9", clock)
    assert nobody.deliver_one()
    clock.advance(2)
    assert dispatcher.deliver_one()
    assert worker.deliveries[0].retries == "1"


def test_a_worker_that_does_not_answer_in_time_is_tried_again(
    path: str, queue: LocalQueue, worker: Worker, clock: ManualClock
) -> None:
    worker.may_answer.clear()
    dispatcher = Dispatcher(path, worker.url, clock, deadline_s=0.05)
    queue.create(task("one", clock.now()))
    assert dispatcher.deliver_one()
    worker.may_answer.set()
    clock.advance(2)
    Dispatcher(path, worker.url, clock).deliver_one()
    assert [delivery.retries for delivery in worker.deliveries] == ["0", "1"]


def test_a_task_that_is_never_accepted_is_given_up_and_told(
    path: str, queue: LocalQueue, worker: Worker, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.answers = [503] * 9
    dispatcher = Dispatcher(path, worker.url, clock, attempts=3)
    queue.create(task("one", clock.now()))
    for _ in range(3):
        assert dispatcher.deliver_one()
        clock.advance(3600)
    assert not dispatcher.deliver_one()
    assert not queue.create(task("one", clock.now())), "its name stays taken"
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["message"], told["severity"]) == ("queue_gave_up", "ERROR")
    assert (told["task"], told["subject"], told["attempts"], told["why"]) == ("one", "a", 3, "503")


def test_a_task_in_one_dispatchers_hands_is_anothers_only_after_its_deadline(
    path: str, queue: LocalQueue, dispatcher: Dispatcher, worker: Worker, clock: ManualClock
) -> None:
    queue.create(task("one", clock.now()))
    worker.answers = [503, 200]
    worker.may_answer.clear()
    frozen = worker.may_answer
    with ThreadPoolExecutor(1) as elsewhere:
        late = elsewhere.submit(dispatcher.deliver_one)
        worker.wait_for(1)
        worker.may_answer = threading.Event()
        worker.may_answer.set()
        second = Dispatcher(path, worker.url, clock)
        clock.advance(600)
        assert not second.deliver_one()
        clock.advance(10)
        assert second.deliver_one()
        frozen.set()
        assert late.result()
    clock.advance(3600)
    assert not second.deliver_one(), "the late answer of the first counts for nothing"
    assert [delivery.retries for delivery in worker.deliveries] == ["0", "1"]


def test_a_dispatcher_runs_until_it_is_told_to_stop(path: str, worker: Worker) -> None:
    queue = LocalQueue(path, SystemClock())
    with running(Dispatcher(path, worker.url, SystemClock(), first_backoff_s=0.01)):
        worker.answers = [503, 503]
        queue.create(task("one", 0.0))
        worker.wait_for(3)
    queue.create(task("two", 0.0))
    assert [delivery.name for delivery in worker.deliveries] == ["one"] * 3


def test_lanes_deliver_side_by_side(path: str, worker: Worker) -> None:
    queue = LocalQueue(path, SystemClock())
    worker.may_answer.clear()
    with running(Dispatcher(path, worker.url, SystemClock(), lanes=2)):
        for name in ("one", "two", "three"):
            queue.create(task(name, 0.0))
        worker.wait_for(2)
        worker.may_answer.set()
        worker.wait_for(3)
    assert sorted(delivery.name for delivery in worker.deliveries) == ["one", "three", "two"]


def test_a_file_that_fails_for_a_while_does_not_end_the_dispatcher(
    path: str, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = LocalQueue(path, SystemClock())
    dispatcher = Dispatcher(path, worker.url, SystemClock(), lanes=1)
    failures = iter([Transient("locked"), Transient("locked")])
    deliver_one = dispatcher.deliver_one

    def failing_at_first() -> bool:
        for failure in failures:
            raise failure
        return deliver_one()

    monkeypatch.setattr(dispatcher, "deliver_one", failing_at_first)
    with running(dispatcher):
        queue.create(task("one", 0.0))
        worker.wait_for(1)


def test_what_a_killed_dispatcher_had_in_its_hands_is_delivered_after_a_restart(
    path: str, worker: Worker
) -> None:
    LocalQueue(path, SystemClock()).create(task("one", 0.0))
    worker.may_answer.clear()
    doomed = multiprocessing.get_context("spawn").Process(target=run_for_ever, args=(path, worker.url))
    doomed.start()
    worker.wait_for(1)
    doomed.kill()
    doomed.join()
    worker.may_answer.set()
    with running(Dispatcher(path, worker.url, SystemClock())):
        worker.wait_for(2)
    assert [(delivery.name, delivery.retries) for delivery in worker.deliveries] == [
        ("one", "0"),
        ("one", "1"),
    ]


@contextmanager
def running(dispatcher: Dispatcher) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def run_for_ever(path: str, url: str) -> None:
    Dispatcher(path, url, SystemClock()).run(threading.Event())
