"""The public door to enrolment: who is let in, what is refused, and what neither costs."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from sync import enrolment
from sync.admit import MOST_AN_HOUR
from tests.contract.google_keys import ADA, ADDON, GoogleKeys, Signer, claims

K1, STRANGER = Signer(), Signer()


@pytest.fixture
def google() -> Iterator[GoogleKeys]:
    with GoogleKeys(K1) as google:
        yield google


@pytest.fixture
def open_to_us(google: GoogleKeys, environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_ENROL", json.dumps({"audiences": [ADDON], "domains": ["example.com"]}))
    monkeypatch.setenv("SYNC_CERTS_API", google.url)


def ask(door: FlaskClient, method: str = "POST", signer: Signer = K1, **more: Any) -> TestResponse:
    token = signer.token(claims(**more.pop("claims", {})))
    headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
    return door.open("/enrol", method=method, headers=headers, **more)


def tasks(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    if not (folder / "store.db").exists():
        return []
    with sqlite3.connect(folder / "store.db") as connection:
        found = connection.execute("SELECT kind, subject FROM tasks").fetchall()
    connection.close()
    return [(kind, json.loads(subject)) for kind, subject in found]


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(("method", "kind"), [("POST", "enrol"), ("DELETE", "withdraw")])
def test_what_is_asked_is_kept_and_acknowledged(
    webhook: FlaskClient,
    open_to_us: None,
    environment: Path,
    capsys: pytest.CaptureFixture[str],
    method: str,
    kind: str,
) -> None:
    answer = ask(webhook, method, json={"calendar_id": "room@example.com"})
    assert (answer.status_code, answer.json) == (202, {"accepted": kind})
    [(kept, asked)] = tasks(environment)
    assert (kept, asked["caller"], asked["calendar_id"]) == (kind, ADA, "room@example.com")
    [record] = [line for line in lines(capsys) if line["message"] == "request"]
    asked_for: Any = record["httpRequest"]
    assert (asked_for["requestUrl"], asked_for["status"]) == ("/enrol", 202)
    assert ADA not in json.dumps(record)


def test_without_a_body_it_is_the_callers_own_calendar(
    webhook: FlaskClient, open_to_us: None, environment: Path
) -> None:
    assert ask(webhook).status_code == 202
    [(_, asked)] = tasks(environment)
    assert asked["calendar_id"] == ADA


def test_where_nobody_may_enrol_there_is_no_such_door(webhook: FlaskClient, io_events: list[str]) -> None:
    assert webhook.post("/enrol").status_code == 404
    io_events.clear()
    answer = webhook.post("/enrol", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.data) == (404, b"")
    assert list(io_events) == []


REFUSED: dict[str, dict[str, Any]] = {
    "forged": {"signer": STRANGER},
    "issued to another": {"claims": {"aud": "x"}},
    "no scheme": {"headers": {"Authorization": K1.token(claims())}},
    "nothing": {"headers": {"Authorization": ""}},
}


@pytest.mark.parametrize("fault", REFUSED.values(), ids=REFUSED.keys())
def test_who_proves_nothing_gets_the_same_answer_whatever_is_wrong_and_costs_no_io(
    webhook: FlaskClient,
    open_to_us: None,
    environment: Path,
    capsys: pytest.CaptureFixture[str],
    fault: dict[str, Any],
    io_events: list[str],
) -> None:
    ask(webhook, signer=STRANGER)  # the keys have been read
    webhook.get("/status")
    capsys.readouterr()
    io_events.clear()
    answer = ask(webhook, data=b"{", **fault)
    assert list(io_events) == []
    assert (answer.status_code, answer.json) == (401, {"refused": "token"})
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert tasks(environment) == []
    assert lines(capsys) == [], "a line costs something too"


def test_a_flood_of_unknown_keys_asks_google_once(
    webhook: FlaskClient, open_to_us: None, google: GoogleKeys
) -> None:
    for number in range(200):
        assert ask(webhook, signer=STRANGER, headers={}).status_code == 401
        token = STRANGER.token(claims(), kid=f"k{number}")
        refused = webhook.post("/enrol", headers={"Authorization": f"Bearer {token}"})
        assert refused.status_code == 401
    assert len(google.asked) == 1


@pytest.mark.parametrize(
    ("more", "status", "word"),
    [
        ({"claims": {"hd": "example.net", "email": "eve@example.net"}}, 403, "domain"),
        ({"claims": {"hd": None}}, 403, "domain"),
        ({"data": b"{"}, 400, "body"),
        ({"data": b" " * (enrolment.MOST_BYTES + 1)}, 413, "size"),
        ({"headers": {"Transfer-Encoding": "chunked"}, "data": b"{}"}, 413, "size"),
    ],
)
def test_who_is_known_is_told_in_a_word_what_is_wrong(
    webhook: FlaskClient, open_to_us: None, environment: Path, more: dict[str, Any], status: int, word: str
) -> None:
    answer = ask(webhook, **more)
    assert (answer.status_code, answer.json) == (status, {"refused": word})
    assert tasks(environment) == []


def test_who_asks_too_often_is_told_when_to_come_again(
    webhook: FlaskClient, open_to_us: None, environment: Path
) -> None:
    answers = [ask(webhook) for _ in range(2 * MOST_AN_HOUR + 1)]  # an hour may end meanwhile
    last = answers[-1]
    assert (last.status_code, last.json) == (429, {"refused": "later"})
    assert 0 < int(last.headers["Retry-After"]) <= 3600


def test_while_google_tells_no_keys_nobody_is_refused(
    webhook: FlaskClient, open_to_us: None, google: GoogleKeys
) -> None:
    google.signers.clear()
    assert ask(webhook).status_code == 503


def test_what_cannot_be_kept_is_not_acknowledged(
    webhook: FlaskClient, open_to_us: None, environment: Path
) -> None:
    (environment / "store.db").mkdir()
    assert ask(webhook).status_code == 503


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "HEAD", "OPTIONS"])
def test_other_methods_are_refused(webhook: FlaskClient, open_to_us: None, method: str) -> None:
    answer = webhook.open("/enrol", method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, DELETE")


def test_whatever_is_sent_the_door_answers_and_never_breaks(webhook: FlaskClient, open_to_us: None) -> None:
    """Neither a token nor a body that somebody made up is ever a bug of ours."""
    genuine = K1.token(claims())
    header = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
    forged = st.builds(
        lambda at, to: genuine[:at] + to + genuine[at + 1 :], st.integers(0, len(genuine) - 1), header
    )

    methods = st.sampled_from(["POST", "DELETE"])

    @settings(max_examples=300, deadline=None)
    @given(st.one_of(header, forged, st.just(genuine)), st.binary(max_size=60), methods)
    def send(token: str, body: bytes, method: str) -> None:
        answer = webhook.open(
            "/enrol", method=method, headers={"Authorization": f"Bearer {token}"}, data=body
        )
        assert answer.status_code in (202, 400, 401, 429)

    send()
