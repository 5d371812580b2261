"""The public door: what it lets in, what it refuses, and what neither costs."""

import io
import json
import os
import sqlite3
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask.testing import FlaskClient

from sync.channel import Key, calendar_key, mint
from sync.settings import Times
from tests.edge.conftest import KEY, ROOT

CALENDAR = calendar_key(b"salt", "me@example.com")
OTHER_CALENDAR = calendar_key(b"salt", "you@example.com")
CHANNEL = "0123456789abcdef0123456789abcdef"
if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer


def token(key: Key = KEY, calendar: str = CALENDAR, channel: str = CHANNEL, life_s: float = 3600) -> str:
    return mint(key, channel, calendar, int(time.time() + life_s))


def later(token: str) -> str:
    """The same, made to last for another year."""
    *before, expires_at, mac = token.split(".")
    return ".".join([*before, str(int(expires_at) + 365 * 86400), mac])


def push(state: str = "exists", **changes: str | None) -> dict[str, str]:
    """The headers Google sends, with some of them changed, or left out by None."""
    headers: dict[str, str | None] = {
        "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        "X-Goog-Channel-ID": CHANNEL,
        "X-Goog-Channel-Token": token(),
        "X-Goog-Channel-Expiration": "Tue, 19 Nov 2030 01:13:52 GMT",
        "X-Goog-Message-Number": "10",
        "X-Goog-Resource-ID": "resource-1",
        "X-Goog-Resource-State": state,
        "X-Goog-Resource-URI": "https://www.googleapis.com/calendar/v3/calendars/x/events?alt=json",
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return {name: value for name, value in headers.items() if value is not None}


def tasks(folder: Path) -> list[tuple[str, float]]:
    database = folder / "store.db"
    if not database.exists():
        return []
    with sqlite3.connect(database) as connection:
        found = connection.execute("SELECT subject, due_at FROM tasks").fetchall()
    connection.close()
    return found


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_genuine_notification_becomes_one_durable_wake_at_the_end_of_its_bucket(
    webhook: FlaskClient, environment: Path
) -> None:
    answer = webhook.post("/", headers=push())
    assert (answer.status_code, answer.data) == (204, b"")
    [(subject, due_at)] = tasks(environment)
    assert subject == CALENDAR
    assert time.time() < due_at <= time.time() + Times().bucket + Times().margin


def test_a_burst_of_notifications_is_one_wake_for_each_bucket(
    webhook: FlaskClient, environment: Path
) -> None:
    for _ in range(50):
        assert webhook.post("/", headers=push()).status_code == 204
    assert 1 <= len(tasks(environment)) <= 2  # two only if a bucket ended meanwhile


def test_the_first_message_of_a_channel_is_noted_and_wakes_nobody(
    webhook: FlaskClient, environment: Path
) -> None:
    for _ in range(3):
        assert webhook.post("/", headers=push("sync")).status_code == 204
    [(subject, _)] = tasks(environment)
    assert subject == f"{CALENDAR}.{CHANNEL}"


@pytest.mark.parametrize("state", ["exists", "not_exists", "whatever comes next"])
def test_every_other_state_wakes(webhook: FlaskClient, environment: Path, state: str) -> None:
    assert webhook.post("/", headers=push(state)).status_code == 204
    assert len(tasks(environment)) == 1


REFUSED = {
    "no token": {"X_Goog_Channel_Token": None},
    "an empty token": {"X_Goog_Channel_Token": ""},
    "somebody's token": {"X_Goog_Channel_Token": "token-of-another-watcher"},
    "a token of 257 characters": {"X_Goog_Channel_Token": "1" * 257},
    "a forged token": {"X_Goog_Channel_Token": token(Key("k1", bytes(32)))},
    "an expired token": {"X_Goog_Channel_Token": token(life_s=-1)},
    "a token of another channel": {"X_Goog_Channel_Token": token(channel="f" * 32)},
    "a token with another calendar put in": {
        "X_Goog_Channel_Token": token().replace(CALENDAR, OTHER_CALENDAR)
    },
    "a token with a later end put in": {"X_Goog_Channel_Token": later(token(life_s=-1))},
    "another channel id": {"X_Goog_Channel_ID": "f" * 32},
    "no channel id": {"X_Goog_Channel_ID": None},
    "a channel id of 65 characters": {"X_Goog_Channel_ID": "f" * 65},
    "no state": {"X_Goog_Resource_State": None},
    "a token of Unicode digits": {"X_Goog_Channel_Token": token().replace("1.", "\u0661.", 1)},
}


@pytest.mark.parametrize("fault", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_genuine_is_refused_without_io_and_without_saying_why(
    webhook: FlaskClient,
    environment: Path,
    capsys: pytest.CaptureFixture[str],
    fault: dict[str, str | None],
    io_events: list[str],
) -> None:
    webhook.get("/status")
    capsys.readouterr()
    headers = push(**{name: value and value.encode().decode("latin-1") for name, value in fault.items()})
    io_events.clear()
    answer = webhook.post("/", headers=headers)
    assert list(io_events) == []
    assert tasks(environment) == []
    genuine = webhook.post("/", headers=push("sync"))
    assert answer.status_code == genuine.status_code == 204
    assert answer.data == b""
    assert dict(answer.headers) == dict(genuine.headers)
    [record] = [line for line in lines(capsys) if line["message"] == "request"]
    assert record["refused_before"] == 1


def test_a_token_with_a_key_that_may_come_is_asked_for_again(webhook: FlaskClient, environment: Path) -> None:
    young = push(X_Goog_Channel_Token=token(Key("k2", bytes(32))))
    assert webhook.post("/", headers=young).status_code == 503
    assert tasks(environment) == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_other_methods_are_refused_without_io(
    webhook: FlaskClient, io_events: list[str], method: str
) -> None:
    io_events.clear()
    answer = webhook.open("/", method=method, headers=push())
    assert list(io_events) == []
    assert (answer.status_code, answer.data, answer.headers["Allow"]) == (405, b"", "POST")


@pytest.mark.parametrize("path", ["/tasks", "/jobs/sweep", "/push", "/status/", "/%2e%2e", "/index.php"])
def test_other_paths_are_refused_without_io(webhook: FlaskClient, io_events: list[str], path: str) -> None:
    io_events.clear()
    answer = webhook.post(path, headers=push())
    assert list(io_events) == []
    assert (answer.status_code, answer.data) == (404, b"")


class Watched(io.RawIOBase):
    """A body that tells who reads it. The framework drains it once our door has answered."""

    drained = False
    read_by_our_door = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        self.drained = True
        self.read_by_our_door |= any(frame.name == "webhook" for frame in traceback.extract_stack())
        memoryview(buffer)[:] = b" " * len(memoryview(buffer))
        return len(memoryview(buffer))


@pytest.mark.parametrize("headers", [push(), push("sync"), push(X_Goog_Channel_Token=None)])
def test_the_body_is_never_read(webhook: FlaskClient, headers: dict[str, str]) -> None:
    body = Watched()
    environ = {"wsgi.input": body, "CONTENT_LENGTH": "9", "CONTENT_TYPE": "application/json; utf-8"}
    assert webhook.post("/", headers=headers, environ_overrides=environ).status_code == 204
    assert body.drained
    assert not body.read_by_our_door


def test_a_wake_that_is_not_stored_is_asked_for_again(
    webhook: FlaskClient, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (environment / "store.db").mkdir()
    assert webhook.post("/", headers=push()).status_code == 503


def test_a_misconfigured_webhook_keeps_the_hint_and_names_every_problem(
    webhook: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNC_QEUE", "local")
    monkeypatch.delenv("SYNC_CHANNEL_KEYS")
    answer = webhook.post("/", headers=push())
    assert (answer.status_code, answer.data) == (503, b"")
    [record] = lines(capsys)
    assert record["message"] == "misconfigured"
    assert "SYNC_CHANNEL_KEYS" in str(record["problems"])
    assert "did you mean SYNC_QUEUE" in str(record["problems"])


def test_a_misconfigured_webhook_reads_its_settings_once(
    webhook: FlaskClient, monkeypatch: pytest.MonkeyPatch, io_events: list[str]
) -> None:
    monkeypatch.setenv("SYNC_STORE", "nowhere")
    webhook.post("/", headers=push())
    io_events.clear()
    webhook.post("/", headers=push())
    assert list(io_events) == []


def test_the_status_says_that_it_is_ready_and_which_version(webhook: FlaskClient) -> None:
    answer = webhook.get("/status")
    assert answer.json == {"version": "0.1.0", "ready": True}


def test_the_public_door_loads_neither_grpc_nor_the_calendar_client() -> None:
    """Counted in a process of its own: what the webhook imports decides its cold start."""
    script = (
        "import sys, main\n"
        "from sync.wiring import receiver\n"
        "heavy = ['grpc', 'googleapiclient', 'cryptography', 'httplib2', 'sync.apply', 'sync.simulator']\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


HEAVY = ("grpc", "googleapiclient", "cryptography", "google.auth", "httplib2")


def test_a_deployed_webhook_loads_little_more_than_a_bare_function(environment: Path) -> None:
    """In processes of their own, after one genuine notification: what is loaded decides a cold start."""
    bare = environment / "bare.py"
    bare.write_text("def webhook(request):\n    return '', 204\n")
    deployed = {
        **{name: value for name, value in os.environ.items() if name != "SYNC_STORE"},
        "SYNC_QUEUE": "projects/p/locations/l/queues/q",
        "SYNC_TASKS_API": "http://127.0.0.1:9",  # nobody listens: Google is asked to come again
        "SYNC_WORKER_URL": "https://worker.example/",
        "SYNC_DISPATCH_ACCOUNT": "dispatch@p.iam.gserviceaccount.com",
    }
    plain, _ = loaded_by(bare, {}, 204)
    ours, heavy = loaded_by(ROOT / "main.py", deployed, 503)
    assert heavy == []
    assert ours <= 1.15 * plain


def loaded_by(source: Path, environ: dict[str, str], status: int) -> tuple[int, list[str]]:
    """How many modules a function has loaded once it has answered, and which heavy ones are among them."""
    script = (
        "import sys, functions_framework\n"
        f"door = functions_framework.create_app('webhook', {str(source)!r}).test_client()\n"
        f"assert door.post('/', headers={push()!r}).status_code == {status}\n"
        f"print(len(sys.modules), *({{*{HEAVY!r}}} & {{*sys.modules}}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    count, *heavy = run.stdout.splitlines()[-1].split()
    return int(count), heavy
