"""As whom we speak to Google: real google-auth, against the simulator's token endpoints."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from sync.cursor import Window
from sync.errors import AccessLost, Misconfigured, RateLimited, SyncError, Transient
from sync.google.calendar import GoogleCalendar
from sync.google.identity import READING, WRITING, Identity, nobody
from sync.ports import CalendarId
from sync.simulator import Simulator
from sync.simulator.oauth import WORKER

ADA, BOB = "ada@example.com", "bob@example.com"
SINCE = Window(0.0)
CLIENT = "101234567890123456789"


class Office:
    """A simulator that gives tokens to nobody but whom it knows, and what was asked of it."""

    def __init__(self, simulator: Simulator) -> None:
        self.url = simulator.url
        self._accounts = simulator.accounts

    def act(self, do: str, **what: Any) -> None:
        self._post("act", {"do": do, **what})

    def fault(self, where: str, **what: Any) -> None:
        self._post("faults", {"where": where, "times": 0, **what})

    def heal(self) -> None:
        assert urllib3.request("DELETE", f"{self.url}/_sim/faults").status == 200

    def delegate(self, *scopes: str) -> None:
        self.act("delegate", account=WORKER, scopes=list(scopes))

    def _post(self, door: str, body: Any) -> None:
        answer = urllib3.request("POST", f"{self.url}/_sim/{door}", json=body)
        assert answer.status == 200, answer.data

    def asked(self, method: str = "") -> list[dict[str, Any]]:
        journal = json.loads(urllib3.request("GET", f"{self.url}/_sim/journal").data)
        return [each for each in journal["requests"] if method in ("", each["method"])]

    def times(self, method: str) -> int:
        return len(self.asked(method))

    def forget_tokens(self) -> None:
        """Every token that was given out is refused from now on."""
        self._accounts._grants.clear()


@pytest.fixture
def office() -> Iterator[Office]:
    acts = [{"do": "add_user", "email": email} for email in (ADA, BOB, WORKER)]
    with Simulator(seed={"acts": acts}, strict_auth=True) as simulator:
        office = Office(simulator)
        office.delegate(READING)
        yield office


def identity(office: Office, scope: str = READING) -> Identity:
    return Identity(scope, delegation=WORKER, client_id=CLIENT, stand_in=office.url)


def calendar(office: Office, scope: str = READING, who: Identity | None = None) -> GoogleCalendar:
    return GoogleCalendar(root_url=office.url, call_s=5.0, credentials=who or identity(office, scope))


def listed(calendar: GoogleCalendar, subject: str = ADA, of: str = "") -> str:
    """The access role that the listing tells."""
    return calendar.list_page(CalendarId(of or subject, subject), SINCE, "").access_role


# --- Who speaks ---


def test_a_subject_is_spoken_for_with_a_signature_of_iam_and_no_key(office: Office) -> None:
    assert listed(calendar(office)) == "owner"
    assert [each["method"] for each in office.asked()] == [
        "metadata.account",
        "metadata.token",
        "iam.signJwt",
        "oauth.token",
        "events.list",
    ]
    assert office.asked("events.list")[0]["principal"] == ADA


def test_a_calendar_without_a_subject_is_read_as_the_account_it_is_shared_with(office: Office) -> None:
    office.act("change_role", calendar=ADA, user=WORKER, role="reader")
    assert listed(calendar(office), subject="", of=ADA) == "reader"
    assert office.asked("events.list")[0]["principal"] == WORKER
    assert office.times("iam.signJwt") == 0


def test_a_token_serves_every_thread_until_it_ends(office: Office) -> None:
    asking = calendar(office)
    listed(asking)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: listed(asking), range(12)))
    listed(asking, subject=BOB)
    assert (office.times("oauth.token"), office.times("events.list")) == (2, 14)


def test_a_token_that_is_refused_is_replaced_once_and_the_same_page_asked_again(office: Office) -> None:
    asking = calendar(office)
    listed(asking)
    office.forget_tokens()
    with pytest.raises(Misconfigured):  # so is the signer's own token, and IAM says so
        listed(asking)
    who = identity(office)
    asking = calendar(office, who=who)
    listed(asking)
    office.fault("events.list", status=401, reason="authError", until="refresh", times=1)
    assert listed(asking) == "owner"


def test_the_tokens_of_very_many_subjects_are_not_kept(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.google.identity._SUBJECTS", 2)
    who = identity(office)
    first = who(ADA)
    assert who(ADA) is first
    who(BOB)
    assert who(ADA) is first
    who("carl@example.com")
    assert who(ADA) is first
    assert len(who._kept) == 2


def test_delegated_calls_are_charged_to_their_subject_without_naming_them(office: Office) -> None:
    asking = calendar(office)
    for subject in (ADA, BOB):
        listed(asking, subject)
    watched = asking.watch(CalendarId(ADA, ADA), "a-channel", "token", "http://127.0.0.1:9/", 60.0)
    assert watched.resource_id
    office.act("change_role", calendar=ADA, user=WORKER, role="reader")
    listed(asking, subject="", of=ADA)
    users = [each["params"].get("quotaUser") for each in office.asked() if "events." in each["method"]]
    ada, bob, again, nobody_else = users
    assert ada == again != bob
    assert nobody_else is None
    assert len(ada[0]) <= 40
    assert "ada" not in str(users)


# --- The least scope ---


def test_reading_is_all_that_is_asked_for(office: Office) -> None:
    asking = calendar(office)
    listed(asking)
    token = asking._credentials(ADA).token
    events = f"{office.url}/calendar/v3/calendars/{ADA}/events"
    answer = urllib3.request("POST", events, json={}, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.json()["error"]["errors"][0]["reason"]) == (403, "insufficientPermissions")


def test_writing_needs_another_grant_and_says_so(office: Office) -> None:
    with pytest.raises(AccessLost, match=f"add the client id {CLIENT} with the scope {WRITING}$"):
        listed(calendar(office, WRITING))
    office.delegate(READING, WRITING)
    assert listed(calendar(office, WRITING)) == "owner"


# --- Whoever refuses us ---

SIGNS, TELLS, GIVES = "iam.signJwt", "oauth.token", "metadata.token"


@pytest.mark.parametrize(
    ("where", "fault", "kind", "says"),
    [
        (TELLS, {"status": 400, "reason": "invalid_grant"}, AccessLost, "no such user"),
        (TELLS, {"status": 401, "reason": "unauthorized_client"}, AccessLost, f"add the client id {CLIENT}"),
        (TELLS, {"status": 403, "reason": "access_denied"}, AccessLost, f"with the scope {READING}"),
        (TELLS, {"status": 400, "html": True}, AccessLost, "delegation"),
        (TELLS, {"status": 503}, Transient, "oauth2.googleapis.com gives no token for now: 503"),
        (TELLS, {"status": 429}, RateLimited, "slow down"),
        (TELLS, {"close": "before"}, Transient, "oauth2.googleapis.com does not answer"),
        (TELLS, {"truncate": True}, Transient, ""),
        (
            SIGNS,
            {"status": 403, "reason": "forbidden"},
            Misconfigured,
            "roles/iam.serviceAccountTokenCreator",
        ),
        (SIGNS, {"status": 404}, Misconfigured, "enable iamcredentials.googleapis.com"),
        (SIGNS, {"status": 500}, Transient, "iamcredentials.googleapis.com gives no token for now"),
        (SIGNS, {"status": 429}, RateLimited, "slow down"),
        (SIGNS, {"hang": True}, Transient, "iamcredentials.googleapis.com does not answer"),
        (GIVES, {"status": 404, "html": True}, Misconfigured, "metadata.google.internal: 404"),
        (GIVES, {"status": 503}, Transient, "metadata.google.internal gives no token for now"),
        (GIVES, {"close": "before"}, Transient, "does not answer"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_refusal_is_told_by_who_must_act_at_once_and_without_an_address(
    office: Office, where: str, fault: dict[str, Any], kind: type[SyncError], says: str
) -> None:
    office.fault(where, **fault)
    asking = GoogleCalendar(root_url=office.url, call_s=0.5, credentials=identity(office))
    with pytest.raises(SyncError) as raised:
        listed(asking)
    assert type(raised.value) is kind or (kind is Transient and isinstance(raised.value, Transient))
    assert says in str(raised.value)
    assert "@" not in str(raised.value)
    assert office.times(where) == 1, "asked once: waiting and trying again is our own retry layer's"
    office.heal()
    assert listed(asking) == "owner", "it goes on by itself"


def test_a_user_who_is_suspended_stops_no_other(office: Office) -> None:
    asking = calendar(office)
    listed(asking)
    office.act("suspend_user", user=ADA)
    with pytest.raises(AccessLost, match="invalid_grant"):
        listed(asking)
    assert listed(asking, BOB) == "owner"
    office.act("restore_user", user=ADA)
    assert listed(asking) == "owner"


def test_a_delegation_that_is_taken_back_says_what_to_grant_without_a_client_id_too(office: Office) -> None:
    office.delegate()
    asking = calendar(office, who=Identity(delegation=WORKER, stand_in=office.url))
    with pytest.raises(AccessLost, match="uniqueId") as raised:
        listed(asking)
    assert "Domain-wide delegation" in str(raised.value)
    assert READING in str(raised.value)


def test_a_subject_without_delegation_says_what_to_set(office: Office) -> None:
    with pytest.raises(AccessLost, match="SYNC_DELEGATION"):
        listed(calendar(office, who=Identity(stand_in=office.url)))


def test_the_credentials_of_this_machine_are_not_even_looked_for_with_a_stand_in(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(**_: object) -> None:
        raise AssertionError("our own credentials")

    monkeypatch.setattr("google.auth.default", found)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    before = threading.active_count()
    office.act("change_role", calendar=ADA, user=WORKER, role="reader")
    assert listed(calendar(office)) == "owner"
    assert listed(calendar(office), subject="", of=ADA) == "reader"
    assert threading.active_count() <= before + 2, "google-auth looks nothing up behind our back"
    assert nobody(ADA) is None


def test_a_machine_without_credentials_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    with pytest.raises(Misconfigured, match="gcloud auth application-default login"):
        Identity()("")
