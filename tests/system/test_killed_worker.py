"""The worker is killed with SIGKILL in mid-pass, at six points: whoever comes after it ends converged."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sync.cli.demo.conference_service import ConferenceService
from sync.local.clock import SystemClock
from sync.local.queue import Dispatcher
from sync.local.sqlite import SqliteStore
from sync.ports import CalendarId, WiredCalendar
from sync.simulator import Simulator

ME = "me@example.com"
ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
TIMES = {
    "bucket": 0.3, "margin": 0.1, "lease": 5, "lease_margin": 0.5, "calendar_timeout": 2, "connect_timeout": 0.3,
    "read_timeout": 0.8, "horizon": 4, "first_backoff": 0.2, "most_backoff": 2, "grace": 0.5, "sweep": 2,
}  # fmt: skip


def until(true: Callable[[], Any], what: str) -> None:
    """Wait for something that must come, within bounds."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"{what} did not come within {PATIENCE_S} seconds"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def post(url: str, body: object | None = None) -> Any:
    answer = urllib3.request("POST", url, json=body, timeout=10)
    assert answer.status < 300, answer.data
    return json.loads(answer.data or b"null")


def job(url: str) -> None:
    """As the scheduler does: whom it asks may be dying just then; it will ask again."""
    with suppress(urllib3.exceptions.HTTPError):
        urllib3.request("POST", url, retries=False, timeout=10)


def get(url: str) -> Any:
    return urllib3.request("GET", url, timeout=10).json()


@contextmanager
def served(environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """The worker behind functions-framework's production server: its URL and process group."""
    port = free_port()
    command = [sys.executable, "-m", "functions_framework", "--target", "worker", "--host", "127.0.0.1"]
    source = str(ROOT / "tests/system/mortal_worker.py")
    process = subprocess.Popen(
        [*command, "--port", str(port), "--source", source],
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return urllib3.request("GET", f"{url}/status", retries=False, timeout=1).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    try:
        until(answers, "the worker")
        yield url, process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def meeting(service: ConferenceService, title: str) -> dict[str, Any]:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    times = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
    made = post(f"{service.url}/api/conferences", {"title": "New", **times})
    conference = {
        "conferenceId": made["id"],
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Demo Conference"},
        "entryPoints": [{"entryPointType": "video", "uri": made["join_url"]}],
    }
    return {"do": "create_meeting", "title": title, "conference": conference, **times}


POINTS = ["after claim", "mid-listing", "after record", "after intent", "provider acted", "before close"]


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_in_mid_pass_is_made_good(tmp_path: Path, point: str) -> None:
    database, clock = str(tmp_path / "store.db"), SystemClock()
    death = tmp_path / "death"
    keys = tmp_path / "keys"
    keys.write_text(f"k1:{base64.urlsafe_b64encode(bytes(32)).decode()}\n")
    with Simulator() as simulator, ConferenceService() as service:
        environment = {
            "SYNC_STORE": f"sqlite:{database}",
            "SYNC_QUEUE": "local",
            "SYNC_CHANNEL_KEYS": str(keys),
            "SYNC_CALENDAR_API": simulator.url,
            "SYNC_CONFERENCES": json.dumps(
                {"providers": {"demo": {"use": "demo", "options": {"url": service.url}}}}
            ),
            "SYNC_TIMES": " ".join(f"{name}={seconds}" for name, seconds in TIMES.items()),
            "DEATH": str(death),
        }
        SqliteStore(database, lease_s=1, margin_s=0, grace_s=0, clock=clock).wire(
            "", [WiredCalendar("me", CalendarId(ME))]
        )
        act = f"{simulator.url}/_sim/act"
        kept, doomed = (post(act, meeting(service, title)) for title in ("Kept", "Doomed"))
        with served(environment) as (url, group), dispatched(database, url, clock):
            job(f"{url}/jobs/converge")
            until(lambda: swept(url) and titles(service) == ["Doomed", "Kept"], "the first state")
            death.write_text(point)
            if point == "mid-listing":
                post(f"{simulator.url}/_sim/faults", {"where": "events.list", "listing": "empty"})
            if point == "provider acted":
                post(f"{service.url}/api/faults", {"stall_after_acting": 5})
            post(act, {"do": "retitle", "event": kept["id"], "title": "Retitled"})
            post(act, {"do": "delete", "event": doomed["id"]})
            if point == "provider acted":
                until(lambda: swept(url) and titles(service) != ["Doomed", "Kept"], "the act")
                kill_server_of(group)
                death.unlink()
            until(lambda: swept(url) and not death.exists(), "the kill")
            until(lambda: swept(url) and titles(service) == ["Retitled"], "convergence")


def swept(url: str) -> bool:
    job(f"{url}/jobs/sweep")
    return True


def titles(service: ConferenceService) -> list[str]:
    """Of the conferences that there are."""
    found = get(f"{service.url}/api/conferences")["conferences"]
    return sorted(each["title"] for each in found if not each["deleted"])


@contextmanager
def dispatched(database: str, url: str, clock: SystemClock) -> Iterator[None]:
    dispatcher = Dispatcher(database, url, clock, first_backoff_s=0.3, most_backoff_s=1)
    dispatcher.start()
    try:
        yield
    finally:
        dispatcher.stop()


def kill_server_of(group: int) -> None:
    """Kill the serving process; its parent, gunicorn's arbiter, starts another."""
    children = subprocess.run(["pgrep", "-P", str(group)], capture_output=True, text=True, check=True)
    for child in children.stdout.split():
        os.kill(int(child), signal.SIGKILL)
