"""The private door: which tasks and jobs it takes, and what it answers when something is wrong."""

import json
import sqlite3
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import sync.wiring
from sync import enrolment
from sync.enrolment import Enrolment
from sync.errors import AccessLost, LeaseLost, NewerRecord, SyncError, Transient


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_wake_for_a_calendar_nobody_knows_is_done_at_once(worker: FlaskClient) -> None:
    answer = worker.post("/tasks", json={"kind": "sync", "subject": "nobody", "generation": 0})
    assert (answer.status_code, answer.data) == (204, b"")


@pytest.mark.parametrize(
    ("told", "understood"),
    [
        ("1767600000.5", 1767600000.5),
        ("0.0", 0.0),
        ("-1.5", 0.0),
        ("NaN", 0.0),
        ("1e999", 0.0),
        ("true", 0.0),
        ("null", 0.0),
        ('"soon"', 0.0),
        ("[1.5]", 0.0),
        ("1" + "0" * 400, 0.0),
    ],
)
def test_a_wake_is_kept_whatever_it_says_about_its_notification(
    worker: FlaskClient, monkeypatch: pytest.MonkeyPatch, told: str, understood: float
) -> None:
    served: list[object] = []
    monkeypatch.setattr("sync.work.one_pass", lambda *said: served.append(said[-1]))
    body = f'{{"kind": "sync", "subject": "room", "notified_at": {told}}}'
    assert worker.post("/tasks", data=body).status_code == 204
    assert served == [understood]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"kind": "sync"}',
        b'{"kind": "dance", "subject": "x"}',
        b'{"kind": "sync", "subject": "x", "generation": 1e999}',
        b'{"kind": "sync", "subject": "\\ud800"}',
        b'{"kind": "sync", "subject": ["x"]}',
        b'{"kind": "hello", "subject": "aaaa"}',
        b'{"kind": "enrol", "subject": ["x"]}',
        b'{"kind": "sync", "subject": "../calendars"}',
        b"\xff",
        b"[" * 100_000,
    ],
    ids=[
        "nothing",
        "half",
        "a list",
        "a number",
        "no subject",
        "unknown kind",
        "no end of generations",
        "no character",
        "a list for a key",
        "a hello of no channel",
        "a list for an enrolment",
        "a path for a key",
        "not UTF-8",
        "a deep nest",
    ],
)
def test_a_task_that_says_nothing_is_refused(
    worker: FlaskClient, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert worker.post("/tasks", data=body).status_code == 400
    [record] = lines(capsys)
    assert record["message"] == "request"
    assert "task" in str(record["why"])


@pytest.mark.parametrize("job", ["/jobs/converge", "/jobs/sweep"])
def test_a_job_answers_when_it_is_done_with_one_verdict(
    worker: FlaskClient, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert worker.post(job).status_code == 204
    verdict, *stock, request = lines(capsys)
    assert [each["message"] for each in stock] == (["stock"] if job == "/jobs/sweep" else [])
    assert verdict["message"] == job.rpartition("/")[2]
    assert request["message"] == "request"
    assert request["httpRequest"] == {"requestMethod": "POST", "requestUrl": job, "status": 204}


@pytest.mark.parametrize("path", ["/", "/tasks/", "/jobs", "/jobs/other", "/enrol"])
def test_other_paths_are_refused(worker: FlaskClient, path: str) -> None:
    assert worker.post(path).status_code == 404


@pytest.mark.parametrize("path", ["/tasks", "/jobs/converge", "/jobs/sweep"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_other_methods_are_refused(worker: FlaskClient, path: str, method: str) -> None:
    answer = worker.open(path, method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Transient("the store does not answer"), 503),
        (LeaseLost("overtaken"), 500),
        (AccessLost("events.list: 404 notFound"), 500),
        (NewerRecord("a record of schema 2"), 500),
        (ValueError("secret"), 500),
    ],
    ids=["passing", "overtaken", "refused", "newer", "a bug"],
)
def test_what_goes_wrong_is_told_once_and_sent_again(
    worker: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
) -> None:
    class Failing:
        def sweep(self) -> None:
            raise error

    monkeypatch.setattr(sync.wiring, "work", Failing)
    answer = worker.post("/jobs/sweep")
    assert (answer.status_code, answer.data) == (status, b"")
    [record] = lines(capsys)
    assert record["severity"] == ("WARNING" if status == 503 else "ERROR")
    assert record["message"] == ("request" if isinstance(error, SyncError) else "bug")
    assert record.get("why") == (str(error) if isinstance(error, SyncError) else None)
    assert "secret" not in json.dumps(record)


def test_a_misconfigured_worker_answers_500_and_names_every_problem(
    worker: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNC_CONFERENCES", '{"providers": {"demo": {"use": "dmo"}}}')
    monkeypatch.delenv("SYNC_STORE")
    assert worker.post("/jobs/sweep").status_code == 500
    [record] = lines(capsys)
    assert "SYNC_STORE" in str(record["problems"])
    assert "did you mean demo?" in str(record["problems"])


def test_the_status_says_that_it_is_ready_and_which_version(worker: FlaskClient, environment: Path) -> None:
    assert worker.get("/status").json == {"version": "0.1.0", "ready": True}


def test_a_file_that_is_no_store_is_said_to_be_none(
    worker: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Ada, " * 100)
    monkeypatch.setenv("SYNC_STORE", f"sqlite:{letter}")
    monkeypatch.setattr(sync.wiring, "work", sync.wiring._Once(sync.wiring._work))
    assert worker.post("/jobs/sweep").status_code == 500
    [record] = lines(capsys)
    assert record["message"] == "misconfigured"
    assert "SYNC_STORE does not name a file of ours" in str(record["problems"])


def test_a_hello_of_a_calendar_nobody_knows_is_done_at_once(worker: FlaskClient) -> None:
    assert worker.post("/tasks", json={"kind": "hello", "subject": "aaaa.b"}).status_code == 204


def test_who_enrols_and_withdraws_is_in_the_store_and_then_not(
    worker: FlaskClient, environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From what the public door keeps; Google does not answer here, which is left to converge."""

    def enrolled() -> int:
        with sqlite3.connect(environment / "store.db") as connection:
            query = (
                "SELECT count(*) FROM enrolled_calendars WHERE json_extract(document, '$.calendar') NOT NULL"
            )
            (number,) = connection.execute(query).fetchone()
        connection.close()
        return int(number)

    for at, (kind, number) in enumerate((("enrol", 1), ("withdraw", 0), ("enrol", 1))):
        asked = Enrolment("ada@example.com", "ada@example.com", asked_at=100.0 + at)
        task = {"kind": kind, "subject": enrolment.written(asked)}
        assert worker.post("/tasks", json=task).status_code == 204
        assert enrolled() == number
    outcomes = [line["outcome"] for line in lines(capsys) if line["message"] == "enrolment"]
    assert outcomes == ["enrolled", "withdrawn", "enrolled"]


def test_an_enrolment_that_makes_no_sense_is_refused(worker: FlaskClient) -> None:
    assert worker.post("/tasks", json={"kind": "enrol", "subject": "{}"}).status_code == 400
