"""Token endpoints: a delegation counts as soon as there is one, and nothing is signed for a stranger."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from sync.simulator import Simulator
from sync.simulator.clock import SECOND
from sync.simulator.oauth import WORKER

ADA = "ada@example.com"
READING = "https://www.googleapis.com/auth/calendar.events.readonly"
SIGN = f"/v1/projects/-/serviceAccounts/{WORKER}:signJwt"
ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default/"
FLAVOR = {"Metadata-Flavor": "Google"}


class Google:
    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def ask(self, verb: str, path: str, **how: Any) -> tuple[int, Any]:
        answer = urllib3.request(verb, self.simulator.url + path, **how)
        return answer.status, json.loads(answer.data) if answer.data.startswith(b"{") else answer.data

    def delegate(self, *scopes: str) -> None:
        body = {"do": "delegate", "account": WORKER, "scopes": list(scopes)}
        assert self.ask("POST", "/_sim/act", json=body)[0] == 200

    def claims(self, **other: Any) -> dict[str, Any]:
        now = self.simulator.clock.now() // SECOND
        return {"iss": WORKER, "sub": ADA, "scope": READING, "iat": now, "exp": now + 3600} | other

    def signed(self, **other: Any) -> str:
        token = self.ask("GET", f"{ACCOUNT}token", headers=FLAVOR)[1]["access_token"]
        speaks = {"Authorization": f"Bearer {token}"}
        body = {"delegates": [], "payload": json.dumps(self.claims(**other))}
        status, answer = self.ask("POST", SIGN, json=body, headers=speaks)
        assert status == 200, answer
        return str(answer["signedJwt"])

    def exchanged(self, assertion: str) -> tuple[int, str]:
        """The status, and the error or the token."""
        kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        form = urlencode({"grant_type": kind, "assertion": assertion})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, answer = self.ask("POST", "/token", body=form, headers=headers)
        return status, str(answer.get("error") or answer["access_token"])

    def listed(self, token: str) -> int:
        path = f"/calendar/v3/calendars/{ADA}/events"
        return self.ask("GET", path, headers={"Authorization": f"Bearer {token}"})[0]


@pytest.fixture
def google() -> Iterator[Google]:
    acts = [{"do": "add_user", "email": email} for email in (ADA, WORKER)]
    with Simulator(seed={"acts": acts}, strict_auth=True) as simulator:
        yield Google(simulator)


def test_a_delegated_user_is_spoken_for(google: Google) -> None:
    google.delegate(READING)
    status, token = google.exchanged(google.signed())
    assert (status, google.listed(token)) == (200, 200)


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"scope": f"{READING} https://www.googleapis.com/auth/calendar"}, (401, "unauthorized_client")),
        ({"scope": ""}, (401, "unauthorized_client")),
        ({"sub": "eve@example.com"}, (400, "invalid_grant")),
        ({"iat": 0}, (400, "invalid_grant")),
        ({"exp": 10**12}, (400, "invalid_grant")),
        ({"exp": "soon"}, (400, "invalid_grant")),
    ],
)
def test_what_was_not_delegated_is_refused(
    google: Google, claims: dict[str, Any], refusal: tuple[int, str]
) -> None:
    google.delegate(READING)
    assert google.exchanged(google.signed(**claims)) == refusal


def test_a_delegation_that_is_taken_back_gives_no_token_any_more(google: Google) -> None:
    google.delegate(READING)
    assertion = google.signed()
    google.delegate()
    assert google.exchanged(assertion) == (401, "unauthorized_client")


def test_an_assertion_that_was_changed_after_it_was_signed_is_refused(google: Google) -> None:
    head, body, mac = google.signed().split(".")
    claims = json.loads(urlsafe_b64decode(body + "=="))
    forged = urlsafe_b64encode(json.dumps(claims | {"sub": WORKER}).encode()).decode().rstrip("=")
    assert google.exchanged(f"{head}.{forged}.{mac}") == (400, "invalid_grant")
    assert google.exchanged(f"{head}.{body}") == (400, "invalid_grant")


def test_a_suspended_user_is_refused_with_a_new_token_and_an_old_one(google: Google) -> None:
    token = google.exchanged(google.signed())[1]
    google.ask("POST", "/_sim/act", json={"do": "suspend_user", "user": ADA})
    assert google.exchanged(google.signed()) == (400, "invalid_grant")
    assert google.listed(token) == 401
    google.ask("POST", "/_sim/act", json={"do": "restore_user", "user": ADA})
    assert google.listed(token) == 200


def test_nothing_is_signed_for_a_stranger_nor_for_another_account(google: Google) -> None:
    body = {"payload": json.dumps(google.claims())}
    assert google.ask("POST", SIGN, json=body)[0] == 401
    with pytest.raises(AssertionError, match="iss claim"):
        google.signed(iss="another@simulator.iam.gserviceaccount.com")


def test_the_metadata_server_speaks_only_to_those_who_know_it(google: Google) -> None:
    assert google.ask("GET", f"{ACCOUNT}token")[0] == 403
    assert google.ask("GET", f"{ACCOUNT}?recursive=true", headers=FLAVOR)[1]["email"] == WORKER


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"payload": 7}', b'{"payload": "[]"}'])
def test_what_cannot_be_signed_is_a_bad_request(google: Google, body: bytes) -> None:
    token = google.ask("GET", f"{ACCOUNT}token", headers=FLAVOR)[1]["access_token"]
    assert google.ask("POST", SIGN, body=body, headers={"Authorization": f"Bearer {token}"})[0] == 400


def test_token_endpoints_fail_as_they_are_told_and_are_journalled(google: Google) -> None:
    fault = {"where": "oauth.token", "status": 400, "reason": "invalid_grant"}
    google.ask("POST", "/_sim/faults", json=fault)
    assertion = google.signed()
    assert google.exchanged(assertion) == (400, "invalid_grant")
    assert google.exchanged(assertion)[0] == 200
    journal = google.ask("GET", "/_sim/journal")[1]["requests"]
    assert [(each["method"], each["status"]) for each in journal] == [
        ("metadata.token", 200),
        ("iam.signJwt", 200),
        ("oauth.token", 400),
        ("oauth.token", 200),
    ]
