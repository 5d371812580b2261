"""The real Firestore emulator, and a wire to it on which a test sets the time, cuts answers and counts.

Of what the emulator says the wire alters one thing: the read time, where a test has set it.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import grpc
import pytest
from google.cloud.firestore import Client
from google.cloud.firestore_v1 import types

from sync import records
from sync.ports import WiredCalendar

DATABASE = "sync"
READY_S = 90.0
_SERVICE = "/google.firestore.v1.Firestore/"
_STREAMING = ("BatchGetDocuments", "RunQuery", "RunAggregationQuery")
_COUNTED_FOR_ONE_READ = 1000


@contextmanager
def emulator() -> Iterator[str]:
    """Runs the emulator, and tells its host and port. Without one the test is skipped, but in CI it fails."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        _without("gcloud is not installed")
    with tempfile.TemporaryDirectory() as own, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        said = Path(own, "said")
        with said.open("wb") as output:
            process = subprocess.Popen(
                [gcloud, "emulators", "firestore", "start", f"--host-port={host}"],
                env=os.environ | {"CLOUDSDK_CONFIG": own, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            if not _is_ready(process, host):
                _without(f"gcloud did not start it: {said.read_text()[-1000:]}")
            _warm_up(host)
            yield host
        finally:
            _stop(process)


def _is_ready(process: subprocess.Popen[bytes], host: str) -> bool:
    end = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://{host}/", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.05)
    return False


def _warm_up(host: str) -> None:
    """The first request waits for Java to load itself, which is no test's concern."""
    database = "projects/warm/databases/up"
    request = types.BatchGetDocumentsRequest(
        database=database, documents=[f"{database}/documents/a/b"], new_transaction=types.TransactionOptions()
    )
    with grpc.insecure_channel(host) as channel:
        ask = channel.unary_stream(f"{_SERVICE}BatchGetDocuments")
        owner = [("authorization", "Bearer owner")]
        list(ask(types.BatchGetDocumentsRequest.serialize(request), metadata=owner, timeout=READY_S))


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The whole group: gcloud is a script that runs a script that runs Java."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _without(reason: str) -> NoReturn:
    told = f"the Firestore store was NOT tested against the emulator: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(told)
    pytest.skip(told)


def wire_up(project: str, webhook_url: str, calendars: Iterable[WiredCalendar]) -> None:
    """As Terraform does it: these calendars, and no other."""
    client = Client(project=project, database=DATABASE)
    client.document("wiring/webhook").set(records.webhook_document(webhook_url))
    wired = {each.slug: records.wired_calendar_document(each) for each in calendars}
    for former in client.collection("wired_calendars").list_documents():
        if former.id not in wired:
            former.delete()
    for slug, document in wired.items():
        client.document(f"wired_calendars/{slug}").set(document)
    client.close()


@dataclass(frozen=True)
class Fault:
    """What becomes of one request. `after_acting`: the emulator has done what it was asked for."""

    method: str
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    after_acting: bool = False
    silent: bool = False


@dataclass
class Wire(grpc.GenericRpcHandler):
    """Stands between a store and the emulator. `now`: the store's time, where a test sets it."""

    emulator: str
    now: Callable[[], float] | None = None
    faults: deque[Fault] = field(default_factory=deque)
    before: dict[str, Callable[[], object]] = field(default_factory=dict)  # somebody else, coming in between
    requests: list[str] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    queries: list[types.StructuredQuery] = field(default_factory=list)
    begun_after: list[bytes] = field(
        default_factory=list
    )  # of each transaction, the one it is tried again for
    reads: int = 0
    writes: int = 0
    host: str = ""

    @contextmanager
    def open(self) -> Iterator["Wire"]:
        self._over = threading.Event()
        self._channel = grpc.insecure_channel(self.emulator)
        server = grpc.server(ThreadPoolExecutor(16), handlers=[self])
        self.host = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield self
        finally:
            self._over.set()
            server.stop(None).wait()
            self._channel.close()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method.removeprefix(_SERVICE)
        if method in _STREAMING:
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: self._pass(method, request, context)
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: next(self._pass(method, request, context))
        )

    def _pass(self, method: str, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self.requests.append(method)
        self.timeouts.append(context.time_remaining())
        self.before.pop(method, lambda: None)()
        fault = self.faults.popleft() if self.faults and self.faults[0].method == method else None
        if fault is None or fault.after_acting:
            answers = [self._timed(method, answer) for answer in self._forward(method, request, context)]
            self._count(method, request, answers)
        if fault is None:
            yield from answers
        else:
            if fault.silent:
                self._over.wait(30)
            context.abort(fault.code, "SECRET words of Firestore's")

    def _forward(self, method: str, request: bytes, context: grpc.ServicerContext) -> list[bytes]:
        kept = [
            (key, value)
            for key, value in context.invocation_metadata()
            if key in ("authorization", "google-cloud-resource-prefix")
        ]
        try:
            if method in _STREAMING:
                return list(self._channel.unary_stream(_SERVICE + method)(request, metadata=kept))
            return [self._channel.unary_unary(_SERVICE + method)(request, metadata=kept)]
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())

    def _timed(self, method: str, answer: bytes) -> bytes:
        if method != "BatchGetDocuments" or self.now is None:
            return answer
        response = types.BatchGetDocumentsResponse.deserialize(answer)
        response.read_time = datetime.fromtimestamp(self.now(), UTC)
        return types.BatchGetDocumentsResponse.serialize(response)

    def _count(self, method: str, request: bytes, answers: list[bytes]) -> None:
        """As Firestore's pricing page bills it."""
        if method == "BatchGetDocuments":
            self.reads += len(answers)
        elif method == "RunQuery":
            query = types.RunQueryRequest.deserialize(request).structured_query
            self.queries.append(query)
            found = [types.RunQueryResponse.deserialize(answer).document.name for answer in answers]
            self.reads += max(1, len(list(filter(None, found))))
        elif method == "RunAggregationQuery":
            query = types.RunAggregationQueryRequest.deserialize(request).structured_aggregation_query
            self.queries.append(query.structured_query)
            response = types.RunAggregationQueryResponse.deserialize(answers[0])
            (counted,) = response.result.aggregate_fields.values()
            self.reads += 1 + counted.integer_value // _COUNTED_FOR_ONE_READ
        elif method == "BeginTransaction":
            options = types.BeginTransactionRequest.deserialize(request).options
            self.begun_after.append(options.read_write.retry_transaction)
        elif method == "Commit":
            self.writes += len(types.CommitRequest.deserialize(request).writes)
