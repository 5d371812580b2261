"""`python -m sync doctor` tries a provider as the worker would use it, says what to do, and deletes nothing."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sync.cli import doctor, verbs
from sync.cli.demo.conference_service import ConferenceService
from sync.conferences.demo import Demo
from tests.checked import Checked
from tests.contract.fake_own_system import PlainApi

KEY_LINE = "k1:" + base64.urlsafe_b64encode(b"hush----" * 4).decode()
TITLE = "hush: a title"

Capture = pytest.CaptureFixture[str]


class Serial(Checked):
    """What it is told may be a series."""

    capabilities = Demo.capabilities | {"recurrence"}


class Buggy(Demo):
    def check(self) -> str:
        raise KeyError("hush")

    def read(self, target: Any) -> Any:
        raise KeyError("hush")


class Unread(Demo):
    capabilities = frozenset({"title", "time"})


@pytest.fixture
def service() -> Iterator[ConferenceService]:
    with ConferenceService() as service:
        yield service


@pytest.fixture
def conference(service: ConferenceService) -> str:
    asked = {"title": TITLE, "start": "2030-01-01T10:00:00Z", "end": "2030-01-01T11:00:00Z"}
    made: dict[str, str] = urllib3.request("POST", f"{service.url}/api/conferences", json=asked).json()
    return made["id"]


@pytest.fixture(autouse=True)
def environment(service: ConferenceService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the worker runs with; returns where the key is kept."""
    keys, key = tmp_path / "keys", tmp_path / "key"
    keys.write_text(KEY_LINE)
    key.write_text("right")
    url = {"url": service.url}
    providers = {
        "rooms": {"use": "demo", "options": url},
        "checked": {"use": f"{__name__}:Serial", "options": {**url, "key": {"file": str(key)}}},
        "buggy": {"use": f"{__name__}:Buggy", "options": url},
        "unread": {"use": f"{__name__}:Unread", "options": url},
        "several": {"use": "demo", "options": url, "accounts": {"emea": {"organizers": ["*"]}}},
    }
    monkeypatch.setenv("SYNC_STORE", f"sqlite:{tmp_path / 'sync.db'}")
    monkeypatch.setenv("SYNC_QUEUE", "local")
    monkeypatch.setenv("SYNC_CHANNEL_KEYS", str(keys))
    monkeypatch.setenv("SYNC_CONFERENCES", json.dumps({"providers": providers}))
    return key


def run(capture: Capture, *argv: str) -> tuple[int, dict[str, tuple[str, str, str]], str]:
    """The exit code, what each check came to, and what went to stderr."""
    code = verbs.main(["doctor", *argv, "--json"])
    written = capture.readouterr()
    assert "hush" not in written.out + written.err
    assert "Traceback" not in written.err
    told = json.loads(written.out)
    assert told["ok"] is (code == 0)
    return (
        code,
        {each["name"]: (each["result"], each["told"], each["fix"]) for each in told["checks"]},
        written.err,
    )


def verbs_used(service: ConferenceService) -> list[str]:
    return [call["verb"] for call in urllib3.request("GET", f"{service.url}/api/calls").json()["calls"]]


def test_a_provider_that_works_is_read_and_updated_with_what_was_read_and_never_deleted(
    capsys: Capture, service: ConferenceService, conference: str
) -> None:
    before = urllib3.request("GET", f"{service.url}/api/conferences").json()["conferences"]
    code, checks, err = run(capsys, "--provider", "rooms", "--conference", conference)
    assert (code, err) == (0, "")
    assert {name: result for name, (result, _, _) in checks.items()} == {
        "settings": "ok",
        "secrets": "ok",
        "token": "skipped",
        "read": "ok",
        "update": "ok",
    }
    assert verbs_used(service) == ["GET", "PUT", "GET"]
    after = urllib3.request("GET", f"{service.url}/api/conferences").json()["conferences"]
    assert [{**each, "calls": None} for each in after] == [{**each, "calls": None} for each in before]


@pytest.mark.parametrize("provider", ["rooms", "checked", "buggy", "unread"])
@pytest.mark.parametrize("status", [0, 401, 404, 429, 500, 502])
def test_whatever_the_system_answers_no_deletion_leaves(
    capsys: Capture, service: ConferenceService, conference: str, provider: str, status: int
) -> None:
    if status:
        urllib3.request("POST", f"{service.url}/api/faults", json={"refuse": status, "body": "hush"})
    run(capsys, "--provider", provider, "--conference", conference, "--single")
    assert "DELETE" not in verbs_used(service)
    listed = urllib3.request("GET", f"{service.url}/api/conferences").json()["conferences"]
    assert [each["deleted"] for each in listed] == [False]


def test_without_a_conference_nothing_of_it_is_touched_and_that_is_said(
    capsys: Capture, service: ConferenceService
) -> None:
    code, checks, _ = run(capsys, "--provider", "checked")
    assert code == 0
    assert checks["token"] == ("ok", "asked for the scopes: all are granted", "")
    assert checks["read"][:2] == ("skipped", "name a conference with --conference")
    assert verbs_used(service) == []


def test_credentials_that_are_refused_are_said_with_what_to_do(capsys: Capture, environment: Path) -> None:
    environment.write_text("hush, wrong")
    code, checks, err = run(capsys, "--provider", "checked")
    assert code == 1
    result, told, fix = checks["token"]
    assert (result, told) == ("failed", "tried its credentials: GET: 401 from 127.0.0.1")
    assert "renew the credentials" in fix
    assert err.splitlines() == ["doctor: token failed", "hint: do what stands behind fix: and try again"]


def test_a_secret_that_cannot_be_read_is_said_before_any_call(
    capsys: Capture, environment: Path, service: ConferenceService, conference: str
) -> None:
    environment.unlink()
    code, checks, _ = run(capsys, "--provider", "checked", "--conference", conference)
    assert code == 1
    assert checks["secrets"][0] == "failed"
    assert str(environment) in checks["secrets"][1]
    assert "add a version or the file" in checks["secrets"][2]
    assert verbs_used(service) == []


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (401, "renew the credentials"),
        (404, "check the id"),
        (429, "wait"),
        (500, "try again"),
        (400, "refuses"),
    ],
)
def test_each_kind_of_failure_has_its_own_advice(
    capsys: Capture, service: ConferenceService, conference: str, status: int, fix: str
) -> None:
    urllib3.request("POST", f"{service.url}/api/faults", json={"refuse": status, "body": "hush"})
    code, checks, _ = run(capsys, "--provider", "rooms", "--conference", conference)
    assert (code, checks["read"][0]) == (1, "failed")
    assert fix in checks["read"][2]
    assert checks["update"][:2] == ("skipped", "what cannot be read cannot be set to what it was")


def test_what_might_be_a_series_is_updated_only_if_it_is_said_that_it_is_none(
    capsys: Capture, service: ConferenceService, conference: str
) -> None:
    code, checks, _ = run(capsys, "--provider", "checked", "--conference", conference)
    assert (code, checks["update"][0]) == (0, "skipped")
    assert verbs_used(service) == ["GET"]
    code, checks, _ = run(capsys, "--provider", "checked", "--conference", conference, "--single")
    assert (code, checks["update"][0]) == (0, "ok")


def test_a_provider_that_cannot_read_is_not_updated_blindly(
    capsys: Capture, service: ConferenceService, conference: str
) -> None:
    code, checks, _ = run(capsys, "--provider", "unread", "--conference", conference)
    assert code == 0
    assert (checks["read"][0], checks["update"][0]) == ("skipped", "skipped")
    assert verbs_used(service) == []


def test_a_worker_that_only_observes_updates_nothing(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, service: ConferenceService, conference: str
) -> None:
    monkeypatch.setenv("SYNC_MODE", "observe")
    _, checks, _ = run(capsys, "--provider", "rooms", "--conference", conference)
    assert checks["update"][:2] == ("skipped", "SYNC_MODE is observe")
    assert "PUT" not in verbs_used(service)


def test_a_provider_with_a_bug_is_no_traceback(capsys: Capture, conference: str) -> None:
    code, checks, _ = run(capsys, "--provider", "buggy", "--conference", conference)
    assert (code, checks["read"][0]) == (1, "failed")
    assert "KeyError" in checks["read"][1]
    failed = "the provider failed in a way it should not: KeyError"
    assert checks["token"][1] == f"tried its credentials: {failed}"


def test_settings_that_do_not_work_are_the_first_and_only_check(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_QEUE", "local")
    code, checks, _ = run(capsys, "--provider", "rooms")
    assert (code, list(checks)) == (1, ["settings"])
    assert "did you mean SYNC_QUEUE?" in checks["settings"][1]


def test_a_conference_may_be_named_by_the_url_it_is_joined_at(
    capsys: Capture, service: ConferenceService, conference: str
) -> None:
    code, checks, _ = run(capsys, "--provider", "rooms", "--conference", f"{service.url}/j/{conference}")
    assert (code, checks["read"][0]) == (0, "ok")


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["--provider", "roms"], "--provider rooms"),
        (["--provider", "rooms", "--account", "emea"], "leave --account out"),
        (["--provider", "several", "--account", "emae"], "--account emea"),
        (["--provider", "several"], "--account is one of: emea"),
        (["--provider", "rooms", "--conference", "https://evil.example/j/conf-001"], "by its id"),
    ],
)
def test_arguments_that_fit_no_settings_are_a_usage_error_with_a_hint(
    capsys: Capture, argv: list[str], hint: str
) -> None:
    assert verbs.main(["doctor", *argv]) == 2
    said, hinted = capsys.readouterr().err.splitlines()
    assert said.startswith("doctor: ")
    assert hinted.startswith("hint: ")
    assert hint in hinted


def test_without_a_terminal_it_is_plain_text(capsys: Capture, conference: str) -> None:
    assert verbs.main(["doctor", "--provider", "rooms", "--conference", conference]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok       settings  read the worker's settings: rooms is demo",
        "ok       secrets   no option is kept elsewhere",
        "skipped  token     this provider has no check of its own; reading says it",
        "ok       read      read the conference: it tells title, start, end",
        "ok       update    set title and times to what was read, in UTC as it tells no zone: it reads as before",
    ]


@pytest.mark.parametrize(("no_color", "mark"), [("", "✓"), ("1", "ok  ")])
def test_a_terminal_gets_marks_unless_it_wants_none(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, no_color: str, mark: str
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)
    verbs.main(["doctor", "--provider", "rooms"])
    assert mark in capsys.readouterr().out.splitlines()[0]


def test_each_failure_has_its_line_of_advice(capsys: Capture, environment: Path) -> None:
    environment.write_text("hush, wrong")
    assert doctor.main(["--provider", "checked"]) == 1
    out = capsys.readouterr().out.splitlines()
    at = next(index for index, line in enumerate(out) if line.startswith("failed"))
    assert out[at + 1].strip().startswith("fix: ")


def test_an_update_with_what_was_read_changes_neither_notes_nor_zone(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that is set whole: what was not read must not be set to nothing, nor its zone to ours."""
    when = {"start": "{start_local}", "zone": "{time_zone}", "until": "{end_utc}", "from": "{start_utc}"}
    path = {"path": "/meetings/{conference_id}"}
    places = {"title": "topic", "start": "when.from", "end": "when.until", "time_zone": "when.zone"}
    with PlainApi("hush", ["4711"]) as api:
        api.meetings["4711"] = {
            "topic": "Weekly",
            "notes": "1. Tea",
            "when": {
                "start": "2030-03-04T10:30:00",
                "zone": "Europe/Berlin",
                "until": "2030-03-04T10:15:00Z",
                "from": "2030-03-04T09:30:00Z",
            },
        }
        before = json.dumps(api.meetings)
        (tmp_path / "token").write_text("hush")
        options = {
            "url": f"{api.url}/api",
            "headers": {"Authorization": ["Bearer ", {"file": str(tmp_path / "token")}]},
            "recognise": {"hosts": ["meet.example.com"], "path": "^/r/([0-9]+)$"},
            "update": {**path, "body": {"topic": "{title}", "notes": "{agenda}", "when": when}},
            "delete": path,
            "read": {**path, **{name: f"meeting.{place}" for name, place in places.items()}},
        }
        monkeypatch.setenv(
            "SYNC_CONFERENCES", json.dumps({"providers": {"own": {"use": "rest", "options": options}}})
        )
        code, checks, _ = run(capsys, "--provider", "own", "--conference", "4711")
        assert (code, checks["update"][0]) == (0, "ok")
        assert [asked.method for asked in api.asked] == ["GET", "PATCH", "GET"]
        assert json.dumps(api.meetings) == before
