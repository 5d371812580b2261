"""`python -m sync doctor` on a whole deployment: each fault that is planted is named, and no other."""

import json
import os
import re
import time
from datetime import UTC, datetime

import grpc
import pytest
import urllib3

import sync.wiring
from sync.cli import verbs
from sync.local.clock import SystemClock
from sync.ports import CalendarId, Claimed, Closing, WiredCalendar
from sync.simulator.oauth import WORKER
from tests.contract.emulator import Fault, Wire
from tests.contract.loopback import Answer, Asked
from tests.system.house import ME, YOU, CloudHouse, House, firestore, house, keys, over_both

__all__ = ["firestore", "house"]

Capture = pytest.CaptureFixture[str]


def run(capture: Capture, wait_s: float = 30.0) -> dict[str, dict[str, str]]:
    """What each check came to; every failure says what to do."""
    capture.readouterr()
    code = verbs.main(["doctor", "--json", "--wait", str(wait_s)])
    written = capture.readouterr()
    told = json.loads(written.out.splitlines()[-1])
    assert "Traceback" not in written.err
    assert told["ok"] is (code == 0)
    assert all(bool(check["fix"]) is (check["result"] == "failed") for check in told["checks"])
    return {check["name"]: check for check in told["checks"]}


def failed(checks: dict[str, dict[str, str]]) -> list[str]:
    return [name for name, check in checks.items() if check["result"] == "failed"]


@over_both
def test_a_deployment_that_works_is_well_and_is_left_as_it_was(house: House, capsys: Capture) -> None:
    [before] = house.store.calendars()
    checks = run(capsys)
    assert failed(checks) == []
    assert [name for name, check in checks.items() if check["result"] == "ok"] == [
        "settings",
        "store",
        "indexes",
        "wiring",
        "webhook",
        "clock",
        "keys",
        "calendar me",
        "channel me",
        "push",
        "queue",
        "sweep",
        *(["job converge", "job sweep"] if isinstance(house, CloudHouse) else []),
        "provider rooms",
        "secret rooms",
    ]
    assert "came through webhook, queue and worker" in checks["push"]["told"]
    [after] = house.store.calendars()
    assert [each.id for each in after.channels] == [each.id for each in before.channels]
    assert house.store.enrolled() == []
    journal = urllib3.request("GET", f"{house.simulator.url}/_sim/journal").json()["requests"]
    assert sum(entry["method"] == "channels.stop" for entry in journal) == 1


# --- One fault, one name ---


def test_settings_that_cannot_work(house: House, capsys: Capture) -> None:
    house.monkeypatch.setenv("SYNC_QUEU", "local")
    checks = run(capsys)
    assert failed(checks) == ["settings"]
    assert "did you mean SYNC_QUEUE" in checks["settings"]["told"]


def test_a_store_that_cannot_be_written(house: House, capsys: Capture) -> None:
    house.monkeypatch.setenv("SYNC_STORE", f"sqlite:{house.folder / 'nowhere' / 'store.db'}")
    assert failed(run(capsys)) == ["store"]


REFUSES: dict[str, tuple[Fault, str, str]] = {
    "no right to write": (
        Fault("Commit", grpc.StatusCode.PERMISSION_DENIED),
        "store",
        "roles/datastore.user",
    ),
    "no database": (Fault("BatchGetDocuments", grpc.StatusCode.NOT_FOUND), "store", "roles/datastore.user"),
    "no answer": (Fault("Commit", grpc.StatusCode.UNAVAILABLE), "store", ""),
    "an index that is missing": (
        Fault("RunQuery", grpc.StatusCode.FAILED_PRECONDITION),
        "indexes",
        "terraform apply",
    ),
}


@pytest.mark.parametrize("house", ["firestore"], indirect=True)
@pytest.mark.parametrize(("fault", "named", "fix"), REFUSES.values(), ids=REFUSES.keys())
def test_a_firestore_that_refuses(
    house: House, firestore: str, capsys: Capture, fault: Fault, named: str, fix: str
) -> None:
    with Wire(firestore).open() as wire:
        house.monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", wire.host)
        wire.faults.extend([fault] * 50)
        checks = run(capsys)
    assert failed(checks) == [named]
    assert fix in checks[named]["fix"]
    assert "SECRET" not in str(checks)


@over_both
def test_a_switch_that_is_off(house: House, capsys: Capture) -> None:
    house.wire("", WiredCalendar("me", CalendarId(ME)))
    checks = run(capsys)
    assert failed(checks) == ["wiring"]
    assert "the switch is off" in checks["wiring"]["told"]
    assert "webhook" not in checks


@over_both
def test_nothing_to_look_after(house: House, capsys: Capture) -> None:
    house.wire(house.webhook)
    assert failed(run(capsys)) == ["wiring"]


def test_a_webhook_that_is_not_there(house: House, capsys: Capture) -> None:
    house.wire("http://127.0.0.1:9/", WiredCalendar("me", CalendarId(ME)))
    house.converge()
    checks = run(capsys, wait_s=0.3)
    assert failed(checks) == ["webhook", "push"]
    assert "no answer" in checks["webhook"]["told"]


@pytest.mark.parametrize(
    ("status", "fix"), [(403, "allUsers"), (503, "misconfigured"), (404, "not our webhook")]
)
def test_a_webhook_that_answers_something_else(house: House, capsys: Capture, status: int, fix: str) -> None:
    url = house.stand_in(lambda _: Answer(status))
    house.wire(url, WiredCalendar("me", CalendarId(ME)))
    house.converge()
    checks = run(capsys, wait_s=0.3)
    assert failed(checks) == ["webhook", "push"]
    assert fix in checks["webhook"]["fix"]


def test_a_webhook_that_takes_what_is_not_genuine(house: House, capsys: Capture) -> None:
    url = house.stand_in(lambda asked: Answer(200, {"version": "1"} if asked.method == "GET" else {}))
    house.wire(url, WiredCalendar("me", CalendarId(ME)))
    house.converge()
    checks = run(capsys, wait_s=0.3)
    assert failed(checks) == ["webhook", "push"]
    assert "200 instead of 204" in checks["webhook"]["told"]


def test_a_clock_that_is_wrong(house: House, capsys: Capture) -> None:
    class Slow(SystemClock):
        def now(self) -> float:
            return time.time() - 60.0

    house.monkeypatch.setattr(sync.wiring, "SystemClock", Slow)
    checks = run(capsys)
    assert "clock" in failed(checks)
    assert re.search("by -(59|60) s", checks["clock"]["told"])


@over_both
def test_a_calendar_that_is_not_shared(house: House, capsys: Capture) -> None:
    house.wire(house.webhook, WiredCalendar("me", CalendarId(ME)), WiredCalendar("you", CalendarId(YOU)))
    house.converge()
    checks = run(capsys)
    assert failed(checks) == ["calendar you"]
    assert "share the calendar" in checks["calendar you"]["fix"]


CLIENT = "1157920892"
SYNC = "sync@project.iam.gserviceaccount.com"
READING = "https://www.googleapis.com/auth/calendar.events.readonly"


def delegated(house: House, *scopes: str) -> None:
    """Both calendars are read as their users, by an account that the domain has delegated this to."""
    house.wire(
        house.webhook,
        *(WiredCalendar(slug, CalendarId(name, name)) for slug, name in (("me", ME), ("you", YOU))),
    )
    house.monkeypatch.setenv("SYNC_DELEGATION", SYNC)
    house.monkeypatch.setenv("SYNC_DELEGATION_CLIENT", CLIENT)
    house.monkeypatch.setenv("SYNC_IDENTITY_API", house.simulator.url)
    house.act("delegate", account=SYNC, scopes=list(scopes))
    house.act("change_role", calendar=YOU, user=ME, role="writer")  # the worker here has no delegation
    house.converge()


def test_a_delegation_that_works(house: House, capsys: Capture) -> None:
    delegated(house, READING)
    checks = run(capsys)
    assert failed(checks) == []
    assert checks["identity"]["told"] == f"got an access token of our own: we are {WORKER}"
    for said in (YOU, SYNC, CLIENT, READING):
        assert said in checks[f"delegation {YOU}"]["told"]
    assert checks["calendar you"]["told"] == f"read it as {YOU}: we are owner"


def test_a_delegation_without_the_scope_names_client_and_scope(house: House, capsys: Capture) -> None:
    delegated(house, "https://www.googleapis.com/auth/calendar")
    checks = run(capsys)
    assert failed(checks) == [f"delegation {ME}", f"delegation {YOU}"]
    assert CLIENT in checks[f"delegation {YOU}"]["told"]
    console = "https://admin.google.com/ac/owl/domainwidedelegation"
    assert checks[f"delegation {YOU}"]["fix"] == f"{console} : client id {CLIENT}, scope {READING}"
    assert checks["calendar you"]["result"] == "skipped"


def test_a_user_who_is_suspended(house: House, capsys: Capture) -> None:
    delegated(house, READING)
    house.act("suspend_user", user=YOU)
    checks = run(capsys)
    assert failed(checks) == [f"delegation {YOU}"]
    assert "suspended" in checks[f"delegation {YOU}"]["told"]
    assert "https://admin.google.com/ac/users" in checks[f"delegation {YOU}"]["fix"]


def test_a_subject_without_delegation(house: House, capsys: Capture) -> None:
    delegated(house, READING)
    house.monkeypatch.delenv("SYNC_DELEGATION")
    checks = run(capsys)
    assert failed(checks) == [f"delegation {ME}", f"delegation {YOU}"]
    assert "SYNC_DELEGATION" in checks[f"delegation {ME}"]["fix"]


def test_an_account_that_gets_no_token(house: House, capsys: Capture) -> None:
    delegated(house, READING)
    house.fault(where="metadata.token", status=403, times=0)
    checks = run(capsys)
    assert failed(checks) == ["identity"]
    assert "gcloud auth application-default login" in checks["identity"]["fix"]
    assert [checks[name]["result"] for name in ("calendar me", "calendar you", "push")] == ["skipped"] * 3


def test_an_iam_that_does_not_sign(house: House, capsys: Capture) -> None:
    delegated(house, READING)
    house.fault(where="iam.signJwt", status=403, times=0)
    checks = run(capsys)
    assert failed(checks) == [f"delegation {ME}"], "it would sign for nobody else either"
    assert "serviceAccountTokenCreator" in checks[f"delegation {ME}"]["fix"]
    assert checks["calendar you"]["result"] == "skipped"


@over_both
def test_a_calendar_that_nobody_watches(house: House, capsys: Capture) -> None:
    house.act("change_role", calendar=YOU, user=ME, role="reader")
    house.wire(house.webhook, WiredCalendar("me", CalendarId(ME)), WiredCalendar("you", CalendarId(YOU)))
    checks = run(capsys)
    assert failed(checks) == ["channel you"]
    assert "converge" in checks["channel you"]["fix"]


@over_both
def test_a_paused_calendar_is_no_fault(house: House, capsys: Capture) -> None:
    house.wire(
        house.webhook, WiredCalendar("me", CalendarId(ME)), WiredCalendar("you", CalendarId(YOU), paused=True)
    )
    checks = run(capsys)
    assert failed(checks) == []
    assert checks["calendar you"]["result"] == "skipped"


def test_notifications_that_google_cannot_deliver(house: House, capsys: Capture) -> None:
    def gate(asked: Asked) -> Answer:
        """A firewall: what comes from Google is dropped, all else goes on."""
        if asked.headers.get("user-agent", "").startswith("APIs-Google"):
            return Answer(lost=True)
        onward = {name: value for name, value in asked.headers.items() if name.startswith("x-goog")}
        url = house.webhook.rstrip("/") + asked.path
        answer = urllib3.request(asked.method, url, headers=onward)
        return Answer(answer.status, answer.data)

    house.wire(house.stand_in(gate), WiredCalendar("me", CalendarId(ME)))
    house.converge()
    checks = run(capsys, wait_s=3.0)
    assert failed(checks) == ["push"]
    assert "one of our own did" in checks["push"]["told"]
    assert "from outside" in checks["push"]["fix"]


@over_both
def test_a_webhook_with_other_keys(house: House, capsys: Capture) -> None:
    other = house.folder / "other-keys"
    other.write_text(keys(2))
    house.monkeypatch.setenv("SYNC_CHANNEL_KEYS", str(other))
    checks = run(capsys, wait_s=1.0)
    assert failed(checks) == ["channel me", "push"]
    assert "same channel keys" in checks["push"]["fix"]


def test_without_channel_keys_all_is_tried_but_the_keys_and_a_test_channel(
    house: House, capsys: Capture
) -> None:
    house.monkeypatch.delenv("SYNC_CHANNEL_KEYS")
    checks = run(capsys)
    assert failed(checks) == []
    assert [checks[name]["result"] for name in ("keys", "push", "channel me")] == ["skipped", "skipped", "ok"]
    assert "docs/deploy.md" in checks["push"]["told"]
    house.monkeypatch.setenv("SYNC_CHANNEL_KEYS", "/nowhere/key")
    assert failed(run(capsys)) == ["settings"]


def test_a_queue_that_nobody_delivers(house: House, capsys: Capture) -> None:
    house.dispatching.stop()
    house.monkeypatch.setattr("sync.cli.doctor.deployment._TASK_LATE_S", 0.5)
    checks = run(capsys, wait_s=1.0)
    assert failed(checks) == ["push", "queue"]
    assert "dispatcher" in checks["queue"]["fix"]


@over_both
def test_a_sweep_that_does_not_run(house: House, capsys: Capture) -> None:
    house.dispatching.stop()  # no pass that follows the new channel comes in between
    [record] = house.store.calendars()
    claim = house.store.claim(record.key, "test")
    assert isinstance(claim, Claimed)
    house.store.close(claim.hold, 99, Closing(due_at=time.time() - 7200, work_at=None))
    house.wire(house.webhook)  # a pass would bring it up to date
    checks = run(capsys)
    assert failed(checks) == ["wiring", "sweep"]
    assert "the oldest for 2.0 hours" in checks["sweep"]["told"]


def test_a_provider_that_refuses_its_credentials(house: House, capsys: Capture) -> None:
    house.secret.write_text("wrong")
    checks = run(capsys)
    assert failed(checks) == ["provider rooms"]
    assert "401" in checks["provider rooms"]["told"]


def test_a_secret_that_is_not_there(house: House, capsys: Capture) -> None:
    house.secret.unlink()
    checks = run(capsys)
    assert failed(checks) == ["provider rooms"]
    assert str(house.secret) in checks["provider rooms"]["told"]


def test_an_old_secret(house: House, capsys: Capture) -> None:
    long_ago = time.time() - 500 * 86400
    os.utime(house.secret, (long_ago, long_ago))
    checks = run(capsys)
    assert failed(checks) == ["secret rooms"]
    assert "500 days" in checks["secret rooms"]["told"]


def test_an_old_channel_key(house: House, capsys: Capture) -> None:
    long_ago = datetime.fromtimestamp(time.time() - 500 * 86400, UTC)
    (house.folder / "keys").write_text(f"{keys().strip()} {long_ago.isoformat()}\n")
    checks = run(capsys)
    assert failed(checks) == ["keys"]
    assert "500 days" in checks["keys"]["told"]
    assert "channel_key_version" in checks["keys"]["fix"]


def test_people_are_told_in_lines(house: House, capsys: Capture) -> None:
    house.secret.write_text("wrong")
    capsys.readouterr()
    assert verbs.main(["doctor"]) == 1
    written = capsys.readouterr()
    lines = [line for line in written.out.splitlines() if not line.startswith("{")]
    assert any(line.startswith("ok       webhook") for line in lines)
    assert any(line.startswith("failed   provider rooms") for line in lines)
    assert any("fix: renew the credentials" in line for line in lines)
    assert "doctor: provider rooms failed" in written.err


QUEUE = "projects/p/locations/europe-west1/queues/calsync"


def job(name: str, state: str = "ENABLED", code: int = 0) -> dict[str, object]:
    target = {"uri": f"https://worker.example/jobs/{name}"}
    return {"name": f"x/calsync-{name}", "state": state, "status": {"code": code}, "httpTarget": target}


@pytest.mark.parametrize(
    ("state", "jobs", "named", "fix"),
    [
        ("RUNNING", [job("converge"), job("sweep")], [], ""),
        ("PAUSED", [job("converge"), job("sweep")], ["queue"], "gcloud tasks queues resume calsync"),
        ("RUNNING", [job("converge")], ["job sweep"], "terraform apply"),
        (
            "RUNNING",
            [job("converge", "PAUSED"), job("sweep")],
            ["job converge"],
            "jobs resume calsync-converge",
        ),
        ("RUNNING", [job("converge"), job("sweep", code=7)], ["job sweep"], "jobs run calsync-sweep"),
        ("", None, ["queue", "jobs"], "terraform apply"),
    ],
    ids=[
        "all well",
        "a queue that is paused",
        "no job",
        "a job that is paused",
        "a job that fails",
        "not there",
    ],
)
def test_in_the_cloud_the_queue_and_the_jobs_tell_of_themselves(
    house: House, capsys: Capture, state: str, jobs: list[object] | None, named: list[str], fix: str
) -> None:
    def cloud(asked: Asked) -> Answer:
        if asked.method == "POST":
            return Answer()
        if jobs is None:
            return Answer(404)
        return Answer(body={"jobs": jobs} if "/jobs" in asked.path else {"state": state})

    for name, value in {
        "SYNC_QUEUE": QUEUE,
        "SYNC_PROJECT": "p",
        "SYNC_REGION": "europe-west1",
        "SYNC_WORKER_URL": "https://worker.example",
        "SYNC_DISPATCH_ACCOUNT": "dispatch@p.iam.gserviceaccount.com",
        "SYNC_TASKS_API": house.stand_in(cloud).rstrip("/"),
    }.items():
        house.monkeypatch.setenv(name, value)
    checks = run(capsys)
    assert failed(checks) == named
    assert not named or fix in checks[named[-1]]["fix"]
