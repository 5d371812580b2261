"""Cloud Tasks, as far as we use it, keeps the queue's promises; and every answer of its is one of ours."""

import base64
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest

from sync.errors import Misconfigured, RateLimited, SyncError, Timeout, Transient
from sync.google.tasks import CloudTasks, MetadataToken
from sync.ports import Queue, Task
from sync.wake import Buckets, wake
from tests.clock import ManualClock
from tests.contract.fake_cloud_tasks import FIRST_BACKOFF_S, FakeCloudTasks, Fault
from tests.contract.loopback import Answer, Asked, Loopback
from tests.contract.queue_contract import DAY_S, QueueContract, task

DISPATCH = "dispatch@p.iam.gserviceaccount.com"
WAIT_S = 0.3


class Worker(Loopback):
    """Answers with the statuses it was given, and then with 200."""

    def __init__(self) -> None:
        super().__init__(lambda _: Answer(self.statuses.pop(0) if self.statuses else 200))
        self.statuses: list[int] = []

    def subjects(self) -> list[str]:
        """What it was asked since this was last asked."""
        bodies = [json.loads(asked.body) for asked in self.asked]
        self.asked.clear()
        return [body["subject"] for body in bodies]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pass_time(clock: ManualClock) -> Callable[[float], None]:
    return clock.advance


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


@pytest.fixture
def cloud(clock: ManualClock) -> Iterator[FakeCloudTasks]:
    with FakeCloudTasks(clock) as cloud:
        yield cloud


@pytest.fixture
def reopened(cloud: FakeCloudTasks, worker: Worker, clock: ManualClock) -> Callable[[], CloudTasks]:
    def another() -> CloudTasks:
        return CloudTasks(
            cloud.queue,
            worker.url,
            DISPATCH,
            token=lambda: cloud.token,
            clock=clock,
            root_url=cloud.url,
            connect_s=WAIT_S,
            read_s=WAIT_S,
        )

    return another


@pytest.fixture
def queue(reopened: Callable[[], CloudTasks]) -> CloudTasks:
    return reopened()


@pytest.fixture
def deliver(cloud: FakeCloudTasks, worker: Worker) -> Callable[[], list[str]]:
    def everything_due() -> list[str]:
        cloud.deliver()
        return worker.subjects()

    return everything_due


class TestCloudTasks(QueueContract):
    """All of the contract."""


# --- What is asked of it ---


def test_a_request_is_what_the_discovery_document_says(
    queue: CloudTasks, cloud: FakeCloudTasks, clock: ManualClock
) -> None:
    queue.create(Task("name", "sync", "calendar", clock.now() + 0.25, generation=3))
    (asked,) = cloud.asked
    api = json.loads(
        files("googleapiclient").joinpath("discovery_cache/documents/cloudtasks.v2.json").read_text()
    )
    tasks = api["resources"]["projects"]["resources"]["locations"]["resources"]["queues"]["resources"][
        "tasks"
    ]
    create = tasks["methods"]["create"]
    assert CloudTasks.__init__.__kwdefaults__["root_url"] == api["rootUrl"].rstrip("/")
    assert asked.method == create["httpMethod"]
    assert asked.path == f"/{create['path'].replace('{+parent}', cloud.queue)}"
    assert_fits(json.loads(asked.body), create["request"]["$ref"], api["schemas"])


def assert_fits(value: Any, name: str, schemas: dict[str, Any]) -> None:
    """Every field is one that the schema has, and of its type."""
    fields = schemas[name]["properties"]
    for key, found in value.items():
        assert key in fields, f"{name} has no {key}"
        if "$ref" in fields[key]:
            assert_fits(found, fields[key]["$ref"], schemas)
        elif fields[key]["type"] == "object":
            assert all(isinstance(each, str) for each in found.values())
        else:
            assert fields[key]["type"] == "string"
            assert isinstance(found, str)
            assert found in fields[key].get("enum", [found])


def test_the_worker_is_asked_as_the_dispatch_account_for_what_the_task_says(
    queue: CloudTasks, cloud: FakeCloudTasks, worker: Worker, clock: ManualClock
) -> None:
    queue.create(Task("name", "sync", "calendar", clock.now(), generation=3, notified_at=1.5))
    cloud.deliver()
    (asked,) = worker.asked
    assert (asked.method, asked.path) == ("POST", "/tasks")
    assert json.loads(asked.body) == {
        "kind": "sync",
        "subject": "calendar",
        "generation": 3,
        "notified_at": 1.5,
    }
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["x-cloudtasks-taskname"] == "name"
    claims = json.loads(base64.urlsafe_b64decode(asked.headers["authorization"].split(".")[1]))
    assert (claims["aud"], claims["email"]) == (worker.url, DISPATCH)


def test_a_task_is_due_to_the_fraction_of_a_second(
    queue: CloudTasks, cloud: FakeCloudTasks, clock: ManualClock
) -> None:
    queue.create(task("one", 1_900_000_012.25))
    assert json.loads(cloud.asked[0].body)["task"]["scheduleTime"] == "2030-03-17T17:46:52.250000Z"


def test_what_is_due_later_than_cloud_tasks_takes_comes_early(
    queue: CloudTasks, clock: ManualClock, deliver: Callable[[], list[str]]
) -> None:
    assert queue.create(task("one", clock.now() + 90 * DAY_S))
    clock.advance(29 * DAY_S)
    assert deliver() == []
    clock.advance(DAY_S)
    assert deliver() == ["a"]


@pytest.mark.parametrize("refusal", [503, 500, 429, 404, 302])
def test_a_task_that_the_worker_does_not_accept_comes_again(
    queue: CloudTasks,
    worker: Worker,
    clock: ManualClock,
    deliver: Callable[[], list[str]],
    refusal: int,
) -> None:
    worker.statuses = [refusal]
    queue.create(task("one", clock.now()))
    assert deliver() == ["a"]
    assert deliver() == []
    clock.advance(FIRST_BACKOFF_S)
    assert deliver() == ["a"]
    assert not queue.create(task("one", clock.now()))


# --- What it answers ---

NAMED = {"error": {"status": "ALREADY_EXISTS", "message": "SECRET"}}
ABORTED = {"error": {"status": "ABORTED", "message": "SECRET"}}
FAILURES: list[tuple[Answer, type[SyncError]]] = [
    (Answer(429, ABORTED), RateLimited),
    (Answer(408, b"SECRET"), Transient),
    (Answer(409, ABORTED), Transient),
    (Answer(409, b"SECRET"), Transient),
    (Answer(409, ["SECRET"]), Transient),
    (Answer(500, b"SECRET"), Transient),
    (Answer(502, b"SECRET"), Transient),
    (Answer(503, ABORTED), Transient),
    (Answer(504, ABORTED), Transient),
    (Answer(lost=True), Transient),
    (Answer(silent=True), Timeout),
    (Answer(302, b"SECRET", location="/v2/elsewhere"), Misconfigured),
    (Answer(400, ABORTED), Misconfigured),
    (Answer(401, ABORTED), Misconfigured),
    (Answer(403, ABORTED), Misconfigured),
    (Answer(404, ABORTED), Misconfigured),
]


@pytest.mark.parametrize(("answer", "error"), FAILURES, ids=lambda value: getattr(value, "status", None))
def test_an_answer_that_is_not_sure_is_one_error_tells_nothing_and_is_not_asked_for_again(
    queue: CloudTasks, cloud: FakeCloudTasks, clock: ManualClock, answer: Answer, error: type[SyncError]
) -> None:
    cloud.faults.append(Fault(answer))
    started = time.monotonic()
    with pytest.raises(SyncError) as caught:
        queue.create(task("one", clock.now()))
    assert time.monotonic() - started < 10 * WAIT_S
    assert type(caught.value) is error
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))
    assert len(cloud.asked) == 1
    assert queue.create(task("one", clock.now())), "and the next call is answered again"


def test_a_queue_that_cannot_be_reached_is_a_transient_failure(clock: ManualClock) -> None:
    nowhere = CloudTasks(
        "q", "http://w", DISPATCH, token=lambda: "t", clock=clock, root_url="http://127.0.0.1:9"
    )
    with pytest.raises(Transient):
        nowhere.create(task("one", clock.now()))


@pytest.mark.parametrize("answer", [Answer(lost=True), Answer(silent=True), Answer(503)])
def test_a_task_whose_acceptance_was_not_heard_of_is_there_when_it_is_created_again(
    queue: CloudTasks,
    cloud: FakeCloudTasks,
    clock: ManualClock,
    deliver: Callable[[], list[str]],
    answer: Answer,
) -> None:
    cloud.faults.append(Fault(answer, after_accepting=True))
    with pytest.raises(Transient):
        queue.create(task("one", clock.now()))
    assert not queue.create(task("one", clock.now()))
    assert deliver() == ["a"]


def test_a_wake_that_exists_and_is_not_due_yet_stands_for_us(
    queue: CloudTasks, cloud: FakeCloudTasks, clock: ManualClock
) -> None:
    wake(queue, clock, Buckets(), "calendar")
    clock.advance(1)
    wake(queue, clock, Buckets(), "calendar")
    names = [json.loads(asked.body)["task"]["name"] for asked in cloud.asked]
    assert names == [names[0]] * 2


def test_a_wake_that_exists_but_was_due_before_it_was_said_is_asked_for_anew(
    queue: CloudTasks, cloud: FakeCloudTasks, clock: ManualClock, deliver: Callable[[], list[str]]
) -> None:
    wake(queue, clock, Buckets(), "calendar")
    clock.advance(1)
    late = LateAnswers(queue, clock, [10.0])
    wake(late, clock, Buckets(), "calendar")
    names = [json.loads(asked.body)["task"]["name"] for asked in cloud.asked]
    assert len(set(names)) == 2
    clock.advance(10)
    assert deliver() == ["calendar"] * 2


class LateAnswers:
    """A queue whose answers come after so many seconds."""

    def __init__(self, queue: Queue, clock: ManualClock, waits: list[float]) -> None:
        self._queue = queue
        self._clock = clock
        self._waits = waits

    def create(self, task: Task) -> bool:
        created = self._queue.create(task)
        self._clock.advance(self._waits.pop(0) if self._waits else 0.0)
        return created


# --- What it costs to import ---


def test_the_public_door_imports_neither_grpc_nor_googles_libraries_for_it() -> None:
    code = "import sys, sync.google.tasks; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "urllib3" in modules
    assert not modules & {"grpc", "google.auth", "google.api_core", "googleapiclient", "requests"}


# --- The token ---


class Metadata(Loopback):
    """A metadata server that gives token after token, each for an hour; `down` says that it does not."""

    def __init__(self) -> None:
        super().__init__(self._tell)
        self.instead: Answer | None = None

    def _tell(self, asked: Asked) -> Answer:
        if asked.headers.get("metadata-flavor") != "Google":
            return Answer(403)
        token = {"access_token": f"token-{len(self.asked)}", "expires_in": 3600, "token_type": "Bearer"}
        return self.instead or Answer(200, token)


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with Metadata() as metadata:
        yield metadata


@pytest.fixture
def token(metadata: Metadata, clock: ManualClock) -> MetadataToken:
    return MetadataToken(clock, root_url=metadata.url, connect_s=WAIT_S, read_s=WAIT_S)


def test_a_token_is_kept_until_shortly_before_its_end(
    token: MetadataToken, metadata: Metadata, clock: ManualClock
) -> None:
    assert token() == "token-1"
    clock.advance(3600 - 226)
    assert token() == "token-1"
    clock.advance(2)
    assert token() == "token-2"
    assert {asked.path for asked in metadata.asked} == {
        "/computeMetadata/v1/instance/service-accounts/default/token"
    }


def test_a_token_lasts_to_its_end_while_no_other_is_to_be_had(
    token: MetadataToken, metadata: Metadata, clock: ManualClock
) -> None:
    token()
    metadata.instead = Answer(503)
    clock.advance(3599)
    assert token() == "token-1"
    clock.advance(1)
    with pytest.raises(Transient):
        token()
    metadata.instead = None
    assert token() == f"token-{len(metadata.asked)}"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(503), Transient),
        (Answer(200, b"SECRET"), Transient),
        (Answer(200, ["SECRET"]), Transient),
        (Answer(200, {"access_token": "SECRET"}), Transient),
        (Answer(200, {"access_token": "SECRET", "expires_in": "SECRET"}), Transient),
        (Answer(lost=True), Transient),
        (Answer(silent=True), Timeout),
        (Answer(404, b"SECRET"), Misconfigured),
        (Answer(403, b"SECRET"), Misconfigured),
    ],
)
def test_without_a_token_there_is_an_error_that_tells_nothing(
    token: MetadataToken, metadata: Metadata, answer: Answer, error: type[SyncError]
) -> None:
    metadata.instead = answer
    with pytest.raises(SyncError) as caught:
        token()
    assert type(caught.value) is error
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_a_task_is_not_sent_without_a_token(
    cloud: FakeCloudTasks, metadata: Metadata, token: MetadataToken, clock: ManualClock
) -> None:
    queue = CloudTasks(cloud.queue, "http://w", DISPATCH, token=token, clock=clock, root_url=cloud.url)
    metadata.instead = Answer(503)
    with pytest.raises(Transient):
        queue.create(task("one", clock.now()))
    assert cloud.asked == []
