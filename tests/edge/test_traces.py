"""One trace from a notification to the provider: through both doors, the queue, Google and back into the logs."""

import importlib
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from werkzeug.serving import make_server

import sync.wiring
from sync.channel import calendar_key, mint
from sync.local.clock import SystemClock
from sync.local.sqlite import SqliteStore
from sync.ports import CalendarId, WiredCalendar
from tests.contract.fake_cloud_tasks import FakeCloudTasks
from tests.contract.loopback import Answer, Asked, Loopback
from tests.edge.conftest import KEY, ROOT
from tests.edge.test_webhook_door import CHANNEL, lines, push

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NOTIFIED = f"00-{TRACE}-00f067aa0ba902b7-01"
ME = "me@example.com"
MEETING = {
    "id": "event0",
    "status": "confirmed",
    "summary": "Planning",
    "organizer": {"email": ME, "self": True},
    "start": {"dateTime": "2999-01-05T08:00:00Z"},
    "end": {"dateTime": "2999-01-05T09:00:00Z"},
    "conferenceData": {
        "conferenceId": "c-1",
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Own Calls"},
        "entryPoints": [{"entryPointType": "video", "uri": "https://calls.own.example/j/c-1"}],
    },
}


def google(asked: Asked) -> Answer:
    """A calendar of one meeting."""
    return Answer(body={"accessRole": "owner", "nextSyncToken": "token", "items": [MEETING]})


class Town:
    """Both doors, and everybody they speak to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calendar = Loopback(google)
        self.provider = Loopback(lambda _: Answer())
        self.tasks = FakeCloudTasks(SystemClock(), token="nobody")
        own = {
            "use": "webhook",
            "options": {
                "url": self.provider.url,
                "key": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "recognise": {"hosts": ["calls.own.example"], "path": "^/j/([a-z0-9-]+)$"},
            },
        }
        monkeypatch.setenv("SYNC_PROJECT", "proj")
        monkeypatch.setenv("SYNC_QUEUE", self.tasks.queue)
        monkeypatch.setenv("SYNC_TASKS_API", self.tasks.url)
        monkeypatch.setenv("SYNC_DISPATCH_ACCOUNT", "dispatch@proj.iam.gserviceaccount.com")
        monkeypatch.setenv("SYNC_CALENDAR_API", self.calendar.url)
        monkeypatch.setenv("SYNC_CONFERENCES", json.dumps({"providers": {"own": own}}))
        monkeypatch.setenv("SYNC_TIMES", "bucket=0.01 margin=0.01")
        self._server = make_server(
            "127.0.0.1", 0, functions_framework.create_app("worker", str(ROOT / "main.py")), threaded=True
        )
        monkeypatch.setenv("SYNC_WORKER_URL", f"http://127.0.0.1:{self._server.server_port}")
        importlib.reload(sync.wiring)
        self.webhook = functions_framework.create_app("webhook", str(ROOT / "main.py")).test_client()
        store = SqliteStore(
            str(folder / "store.db"), lease_s=90.0, margin_s=20.0, grace_s=60.0, clock=SystemClock()
        )
        store.wire("", [WiredCalendar("me", CalendarId(ME))])
        self.key = calendar_key(store.salt(), ME)
        self._serving = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "Town":
        for each in (self.calendar, self.provider, self.tasks):
            each.__enter__()
        self._serving.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()
        for each in (self.tasks, self.provider, self.calendar):
            each.__exit__(*error)

    def notify(self, traceparent: str) -> None:
        token = mint(KEY, CHANNEL, self.key, int(time.time() + 3600))
        headers = push(X_Goog_Channel_Token=token) | {"traceparent": traceparent}
        assert self.webhook.post("/", headers=headers).status_code == 204
        while not self.tasks.deliver():  # not due yet: a hundredth of a second
            pass


@pytest.fixture
def town(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    with Town(environment, monkeypatch) as town:
        sync.wiring.work().converge()
        yield town


def spans(asked: list[Asked]) -> list[str]:
    """The span of each request, all of them being of our trace."""
    headers = [each.headers.get("traceparent", "") for each in asked]
    found = [re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-01", header) for header in headers]
    assert None not in found, headers
    return [each[1] for each in found if each]


def test_a_trace_goes_from_the_notification_through_the_queue_to_google_and_to_the_provider(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    town.notify(NOTIFIED)
    [task] = [json.loads(each.body)["task"] for each in town.tasks.asked]
    in_task = task["httpRequest"]["headers"]["traceparent"]
    assert in_task.startswith(f"00-{TRACE}-")
    all_spans = [*spans(town.calendar.asked), *spans(town.provider.asked), in_task.split("-")[2]]
    assert len(town.provider.asked) == 1
    assert len(set(all_spans)) == len(all_spans), "each request is a span of its own"

    records: list[dict[str, Any]] = lines(capsys)
    assert [each["message"] for each in records] == ["request", "decision", "pass", "request"]
    assert {each["logging.googleapis.com/trace"] for each in records} == {f"projects/proj/traces/{TRACE}"}
    at_webhook, *at_worker = (each["logging.googleapis.com/spanId"] for each in records)
    assert at_webhook == "00f067aa0ba902b7"
    assert set(at_worker) == {in_task.split("-")[2]}, "the worker was asked by the task"
    verdict = records[2]
    assert (verdict["calendar_requests"], verdict["provider_requests"], verdict["provider_calls"]) == (
        1,
        1,
        1,
    )


@pytest.mark.parametrize("hostile", ["", "00-evil", f"00-{TRACE}-00f067aa0ba902b7-01 evil: yes"])
def test_of_a_header_that_is_no_trace_nothing_goes_on(
    town: Town, hostile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    town.notify(hostile)
    for each in (*town.calendar.asked, *town.provider.asked):
        assert "traceparent" not in each.headers
    assert "evil" not in repr(town.tasks.asked) + repr(town.provider.asked) + capsys.readouterr().out
