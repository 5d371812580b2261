"""The provider for Teams keeps the contract, against a stand-in for Graph, and in the corners that Graph has."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import validate

from sync.conferences import Context, Secret
from sync.conferences.teams import Teams, _quoted
from sync.errors import AuthFailed, Gone, Misconfigured, RateLimited, Refused, Timeout, Transient, Unsupported
from sync.ports import Provider, Target
from sync.recognise import ConferenceKey
from sync.settings import SecretPlace
from sync.testing import (
    MEETING,
    PATIENT_S,
    WEEKLY,
    Calls,
    Connect,
    Fail,
    Failure,
    ProviderContract,
    SharedInMemory,
    State,
    context,
)
from tests.contract.fake_teams import ADA, BOB, CLIENT, KEY, TENANT, FakeTeams, join_url

THREAD, OTHER = "19:meeting_njk4@thread.v2", "19:meeting_zzz@thread.v2"
DIGITS = "3721456789012"
DOCS = Path(__file__).parents[2] / "docs/providers/teams.md"

PATCH = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "dependentRequired": {"startDateTime": ["endDateTime"], "endDateTime": ["startDateTime"]},
    "properties": {
        "subject": {"type": "string"},
        "startDateTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
        "endDateTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
        "participants": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"attendees": {"type": "array", "items": {"type": "object", "required": ["upn"]}}},
        },
    },
}


@pytest.fixture
def teams() -> Iterator[FakeTeams]:
    with FakeTeams() as teams:
        teams.add(OTHER)
        teams.add(THREAD, DIGITS)
        yield teams
    for asked in teams.asked:
        if asked.method == "PATCH":
            validate(asked.body, PATCH)


@pytest.fixture
def shared() -> SharedInMemory:
    return SharedInMemory()


def _options(teams: FakeTeams, **more: object) -> dict[str, object]:
    urls = {"login_url": teams.url, "graph_url": teams.url}
    return {"tenant": TENANT, "client_id": CLIENT, "client_secret": KEY, **urls, **more}


@pytest.fixture
def connect(teams: FakeTeams, shared: SharedInMemory) -> Connect:
    return lambda read_s: Teams(_options(teams), Context(read_s, read_s, shared))


@pytest.fixture
def target() -> Target:
    return Target(ConferenceKey("teams", THREAD), locator=join_url(THREAD), organizer="ada@example.com")


@pytest.fixture
def short(target: Target) -> Target:
    url = f"https://teams.microsoft.com/meet/{DIGITS}?p=SECRET"
    return replace(target, key=ConferenceKey("teams", DIGITS), locator=url)


@pytest.fixture
def state(teams: FakeTeams) -> State:
    return lambda: json.dumps(teams.meetings)


@pytest.fixture
def calls(teams: FakeTeams) -> Calls:
    return lambda: len(teams.asked)


@pytest.fixture
def fail(teams: FakeTeams, request: pytest.FixtureRequest) -> Fail:
    """After acting: what is asked to find the meeting acts only when the meeting is read."""
    reads = "callspec" in dir(request.node) and request.node.callspec.params.get("call") == "read"

    def fail(failure: Failure) -> None:
        acting = failure.after_acting and not reads
        teams.fail(failure, (lambda asked: asked.acts) if acting else (lambda _: True))

    return fail


def _data(uri: str, name: str = "Microsoft Teams Meeting") -> dict[str, object]:
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": name},
        "entryPoints": [{"entryPointType": "video", "uri": uri}],
    }


@pytest.fixture
def events() -> list[dict[str, object]]:
    url = join_url(THREAD)
    return [
        _data(url),
        _data(url, "Anything"),
        _data(f"https://www.google.com/url?q={quote(url, safe='')}"),
        _data(join_url(THREAD, host="teams.microsoft.us")),
    ]


@pytest.fixture
def look_alikes() -> list[dict[str, object]]:
    path = join_url(THREAD).removeprefix("https://teams.microsoft.com")
    return [
        _data(uri)
        for uri in (
            f"https://teams.microsoft.com.evil.example{path}",
            f"https://evil.example/?x=https://teams.microsoft.com{path}",
            f"https://teams.microsoft.com@evil.example{path}",
            f"https://evil.example\\@teams.microsoft.com{path}",
            f"http://teams.microsoft.com{path}",
            f"https://teams.microsoft.com:444{path}",
            f"https://teams.microsoft.com/x{path}",
            "https://teams.microsoft.com/meet/digits",
        )
    ]


def _patched(teams: FakeTeams) -> list[dict[str, object]]:
    return [asked.body for asked in teams.asked if asked.method == "PATCH"]


class TestTeams(ProviderContract):
    def test_it_is_found_by_its_join_url_under_its_organizer(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        assert provider.system.located
        provider.read(target)
        assert teams.asked[-1].path == f"/v1.0/users/{ADA}/onlineMeetings"
        assert teams.asked[-1].query == {"$filter": f"JoinWebUrl eq '{target.locator}'"}

    def test_a_short_link_is_found_by_its_digits_under_the_organizers_address(
        self, provider: Provider, short: Target, teams: FakeTeams
    ) -> None:
        assert provider.update(short, MEETING).changed
        assert provider.read(short) is not None
        assert provider.delete(short).changed
        assert not provider.delete(short).changed
        assert len(teams.meetings) == 1

    def test_a_quote_in_an_address_or_a_link_stays_inside_its_text(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        teams.add(OTHER, "55555", BOB)
        bobs = replace(target, key=ConferenceKey("teams", "55555"), locator="", organizer="o'bob@example.com")
        assert provider.read(bobs) is not None
        odd = join_url(THREAD) + "&x=' or 1 eq 1 or '"
        assert provider.read(replace(target, locator=odd.replace(" ", "%20"))) is None

    @given(st.text())
    def test_no_text_ends_its_own_quotes(self, text: str) -> None:
        quoted = _quoted(text)
        assert re.fullmatch(r"'((?:[^']|'')*)'", quoted, re.DOTALL)
        assert quoted[1:-1].replace("''", "'") == text

    def test_a_meeting_of_another_tenant_is_refused_and_nobody_is_asked(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        foreign = replace(target, locator=join_url(THREAD, tenant="0" * 8 + TENANT[8:]))
        for call in self.CALLS:
            with pytest.raises(Refused, match="another tenant"):
                self.call(call, provider, foreign)
        assert not teams.asked

    @pytest.mark.parametrize(
        ("locator", "says"),
        [
            ("", "does not tell the join URL"),
            (join_url(THREAD).partition("?")[0], "whose meeting"),
            (join_url(THREAD).partition("?")[0] + "?context=%7b", "whose meeting"),
            (join_url(THREAD, host="teams.live.com"), "personal use"),
        ],
    )
    def test_a_link_that_cannot_lead_to_a_meeting_is_refused_with_a_sentence(
        self, provider: Provider, target: Target, locator: str, says: str
    ) -> None:
        with pytest.raises(Refused, match=says):
            provider.update(replace(target, locator=locator), MEETING)

    def test_a_short_link_of_somebody_who_is_no_user_is_refused_and_not_taken_for_gone(
        self, provider: Provider, short: Target
    ) -> None:
        for organizer, says in (("team@group.calendar.google.com", "no user"), ("", "without the organizer")):
            for call in self.CALLS:
                with pytest.raises(Refused, match=says):
                    self.call(call, provider, replace(short, organizer=organizer))

    def test_a_list_of_others_changes_nobody(
        self, provider: Provider, target: Target, short: Target, teams: FakeTeams, state: State
    ) -> None:
        teams.deaf = True
        before = state()
        for _ in range(2):
            for call in self.CALLS:
                for each in (target, short):
                    with pytest.raises(Transient):
                        self.call(call, provider, each)
            teams.meetings.pop("MSo0001", None)
            before = before if "MSo0001" in state() else state()
        assert state() == before
        assert "MSo0000" in teams.meetings

    # --- what is told ---

    def test_both_times_go_together_and_what_is_as_wanted_is_not_told_again(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        provider.update(target, MEETING)
        provider.update(target, replace(MEETING, end=MEETING.end + timedelta(hours=1)))
        provider.update(target, replace(MEETING, end=MEETING.end + timedelta(hours=1), title="New"))
        assert [sorted(body) for body in _patched(teams)] == [
            ["endDateTime", "startDateTime", "subject"],
            ["endDateTime", "startDateTime"],
            ["subject"],
        ]
        assert not provider.update(
            target, replace(MEETING, end=MEETING.end + timedelta(hours=1), title="New")
        ).changed
        assert len(_patched(teams)) == 3

    def test_passcode_and_lobby_stay_as_they_are(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        before = dict(teams.meetings["MSo0001"])
        provider.update(target, MEETING)
        for name in ("joinMeetingIdSettings", "lobbyBypassSettings"):
            assert teams.meetings["MSo0001"][name] == before[name]

    def test_a_series_is_told_as_its_first_occurrence_and_that_is_said(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        start = datetime(2030, 3, 25, 8, 30, tzinfo=UTC)  # a week before the clocks change in Berlin
        outcome = provider.update(target, replace(WEEKLY, start=start, end=start + timedelta(hours=1)))
        assert outcome.applied == ("title", "time")
        assert outcome.ignored == ("recurrence",)
        assert "first occurrence" in outcome.note
        assert teams.meetings["MSo0001"]["startDateTime"] == "2030-03-25T08:30:00Z"

    @pytest.mark.parametrize(
        "untimed",
        [replace(MEETING, all_day=True), replace(MEETING, end=MEETING.start)],
        ids=["all-day", "empty"],
    )
    def test_all_day_and_zero_length_keep_their_times_aloud(
        self, provider: Provider, target: Target, teams: FakeTeams, untimed: object
    ) -> None:
        outcome = provider.update(target, untimed)  # type: ignore[arg-type]
        assert (outcome.applied, outcome.ignored) == (("title",), ("time",))
        assert outcome.note
        assert [sorted(body) for body in _patched(teams)] == [["subject"]]

    def test_over_24_hours_and_in_an_unknown_zone_is_a_time_like_any_other(
        self, provider: Provider, target: Target
    ) -> None:
        long = replace(MEETING, end=MEETING.start + timedelta(hours=49), time_zone="Moon/Tranquillity")
        assert provider.update(target, long).ignored == ()
        actual = provider.read(target)
        assert actual is not None
        assert actual.equals(long)

    def test_invitees_are_the_full_list_and_keep_their_roles(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        presenter = {"upn": "Eve@example.com", "role": "presenter"}
        teams.meetings["MSo0001"]["participants"]["attendees"] = [presenter, {"upn": "x@example.com"}]
        invited = replace(MEETING, invitees=("eve@example.com", "joe@example.com"))
        assert "invitees" in provider.update(target, invited).applied
        attendees = teams.meetings["MSo0001"]["participants"]["attendees"]
        assert attendees == [presenter, {"upn": "joe@example.com", "role": "attendee"}]
        assert not provider.update(target, invited).changed

    def test_who_is_not_told_of_invitees_tells_nobody(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        provider.update(target, MEETING)
        assert "participants" not in _patched(teams)[0]

    def test_what_a_running_meeting_does_not_take_is_said(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        teams.running.add("MSo0001")
        with pytest.raises(Unsupported, match="running"):  # and so told again another day
            provider.update(target, MEETING)
        teams.running.clear()
        provider.update(target, MEETING)
        teams.running.add("MSo0001")
        outcome = provider.update(target, replace(MEETING, end=MEETING.end + timedelta(hours=1)))
        assert (outcome.changed, outcome.applied, outcome.ignored) == (False, ("title",), ("time",))
        assert "running" in outcome.note

    def test_an_update_may_be_answered_without_a_body(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        teams.fail(Failure(204, body="", after_acting=True), lambda asked: asked.acts)
        assert provider.update(target, MEETING).applied == ("title", "time")

    # --- what goes wrong ---

    def test_a_missing_access_policy_and_a_missing_consent_say_what_to_grant(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        teams.policy.clear()
        with pytest.raises(AuthFailed, match="application access policy") as caught:
            provider.update(target, MEETING)
        assert "SECRET" not in str(caught.value)
        teams.consented = False
        with pytest.raises(AuthFailed, match=r"OnlineMeetings\.ReadWrite\.All"):
            provider.update(target, MEETING)

    def test_a_token_that_ended_before_its_time_is_renewed_once_for_all_workers(
        self, connect: Connect, target: Target, teams: FakeTeams
    ) -> None:
        here, there = connect(PATIENT_S), connect(PATIENT_S)
        here.read(target)
        there.read(target)
        assert teams.sign_ins == 1
        teams.end_tokens()
        assert here.update(target, MEETING).changed
        assert there.read(target) is not None
        assert teams.sign_ins == 2

    def test_a_token_that_ends_between_two_calls_of_an_update_is_no_failure(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        body = json.dumps({"error": {"code": "InvalidAuthenticationToken", "message": "SECRET"}})
        teams.fail(Failure(401, body=body), lambda asked: asked.acts)
        assert provider.update(target, MEETING).changed
        assert teams.sign_ins == 2

    def test_its_check_signs_in_and_asks_for_no_meeting(self, teams: FakeTeams) -> None:
        assert "signs the app in" in Teams(_options(teams), context(PATIENT_S)).check()
        assert (teams.sign_ins, teams.asked) == (1, [])
        with pytest.raises(AuthFailed, match="a new client secret"):
            Teams(_options(teams, client_secret="SECRET-other"), context(PATIENT_S)).check()

    def test_a_token_refused_twice_is_a_refusal(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        body = json.dumps({"error": {"code": "InvalidAuthenticationToken", "message": "SECRET"}})
        for _ in range(2):
            teams.fail(Failure(401, body=body))
        with pytest.raises(AuthFailed):
            provider.read(target)
        assert len(teams.asked) == 2

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"client_secret": "SECRET-other"}, "a new client secret"),
            ({"client_id": "another"}, "check tenant and client_id"),
            ({"tenant": "another"}, "check tenant and client_id"),
        ],
    )
    def test_credentials_that_are_refused_say_what_to_renew(
        self, teams: FakeTeams, target: Target, wrong: dict[str, object], says: str
    ) -> None:
        provider = Teams(_options(teams, **wrong), context(PATIENT_S))
        own = target if "tenant" not in wrong else replace(target, locator=join_url(THREAD, tenant="another"))
        with pytest.raises(AuthFailed, match=says) as caught:
            provider.read(own)
        assert "SECRET" not in str(caught.value)

    def test_a_new_client_secret_is_used_without_a_new_start(self, teams: FakeTeams, target: Target) -> None:
        kept = ["SECRET-old"]
        provider = Teams(_options(teams, client_secret=Secret("place", lambda: kept[0])), context(PATIENT_S))
        with pytest.raises(AuthFailed):
            provider.read(target)
        kept[0] = KEY
        assert provider.read(target) is not None

    @pytest.mark.parametrize(
        ("failure", "error"),
        [
            (Failure(429, {"Retry-After": "17"}), RateLimited),
            (Failure(502, body="<html>SECRET</html>"), Transient),
            (Failure(200, body="<html>SECRET</html>", after_acting=True), Transient),
            (Failure(400), Refused),
            (Failure(404), Gone),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_what_goes_wrong_after_it_was_found_is_made_good_by_the_same_call(
        self,
        provider: Provider,
        target: Target,
        teams: FakeTeams,
        failure: Failure,
        error: type[Exception],
    ) -> None:
        teams.fail(failure, lambda asked: asked.acts)
        with pytest.raises(error) as caught:
            provider.update(target, MEETING)
        assert "SECRET" not in str(caught.value)
        assert not isinstance(caught.value, RateLimited) or caught.value.retry_after_s == 17
        provider.update(target, MEETING)
        actual = provider.read(target)
        assert actual is not None
        assert actual.equals(MEETING)

    def test_an_operation_begins_no_call_when_its_time_is_over(
        self, provider: Provider, target: Target, teams: FakeTeams, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.read(target)  # signs in
        moments = iter([0.0, 0.0, 0.0, provider.call_s])
        monkeypatch.setattr("sync.conferences.calls.time", SimpleNamespace(monotonic=lambda: next(moments)))
        with pytest.raises(Transient, match="all the time"):
            provider.update(target, MEETING)
        assert not _patched(teams)

    @pytest.mark.parametrize("after_acting", [False, True])
    def test_silence_before_and_after_an_update_acted(
        self, connect: Connect, target: Target, teams: FakeTeams, after_acting: bool
    ) -> None:
        connect(PATIENT_S).read(target)  # signs in
        teams.fail(Failure(silent=True, after_acting=after_acting), lambda asked: asked.acts)
        with pytest.raises(Timeout):
            connect(1.0).update(target, MEETING)
        assert connect(PATIENT_S).update(target, MEETING).changed is not after_acting

    def test_what_others_deleted_in_mid_call_is_gone(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        teams.fail(Failure(404), lambda asked: asked.acts)
        assert not provider.delete(target).changed

    def test_what_changed_between_two_calls_ends_as_told_last(
        self, provider: Provider, target: Target, teams: FakeTeams
    ) -> None:
        provider.update(target, MEETING)
        teams.meetings["MSo0001"]["subject"] = "changed by hand"
        provider.update(target, replace(MEETING, title="Newer"))
        assert teams.meetings["MSo0001"]["subject"] == "Newer"

    def test_an_answer_that_is_half_a_meeting_is_not_the_conference(
        self, provider: Provider, target: Target, fail: Fail
    ) -> None:
        for start in (None, 5, "soon", "2030-01-01T10:00:00"):
            meeting = {"id": "x", "joinWebUrl": target.locator, "startDateTime": start, "endDateTime": start}
            fail(Failure(200, body=json.dumps({"value": [meeting]})))
            with pytest.raises(Transient):
                provider.read(target)

    def test_an_operation_ends_within_its_bound_however_many_calls_it_takes(
        self, connect: Connect, target: Target
    ) -> None:
        provider = connect(PATIENT_S)
        assert provider.call_s == 2 * (PATIENT_S + PATIENT_S)


# --- options ---

GOOD: dict[str, object] = {"tenant": TENANT, "client_id": CLIENT, "client_secret": Secret("p", lambda: KEY)}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"tennant": TENANT}, "tennant is not an option; did you mean tenant?"),
        ({"client_secret": "in the open"}, "client_secret must be kept elsewhere"),
        ({"client_secret": 5}, "client_secret must be kept elsewhere"),
        ({"client_id": ""}, "client_id is not a text"),
        ({"cloud": "china"}, "cloud is none of global, us, us_dod"),
        (
            {"graph_url": "http://graph.microsoft.com"},
            "graph_url is https:// and a host of graph.microsoft.com",
        ),
        ({"login_url": "https://user@login.microsoftonline.com"}, "login_url is https:// and a host of"),
        (
            {"login_url": "https://login.microsoftonline.com.evil.example"},
            "login_url is https:// and a host of",
        ),
        (
            {"graph_url": "http://127.0.0.1:1", "client_secret": "open"},
            "client_secret must be kept elsewhere",
        ),
    ],
)
def test_options_that_cannot_work_are_said_at_once(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Teams({**GOOD, **wrong}, context(1.0))
    assert says in str(caught.value)
    assert "in the open" not in str(caught.value)


def test_every_missing_option_is_named() -> None:
    with pytest.raises(Misconfigured) as caught:
        Teams({}, context(1.0))
    assert len([each for each in caught.value.problems if "is missing" in each]) == 3


@pytest.mark.parametrize("cloud", ["global", "us", "us_dod"])
def test_each_cloud_has_its_own_hosts(cloud: str) -> None:
    Teams({**GOOD, "cloud": cloud}, context(1.0))


# --- the page ---


def test_the_settings_on_its_page_are_settings_it_takes() -> None:
    blocks = re.findall(r"```json\n(.+?)```", DOCS.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        chosen = json.loads(block)["providers"]["teams"]
        accounts = [each.get("options", {}) for each in chosen.get("accounts", {}).values()] or [{}]
        for account in accounts:
            told = {**chosen["options"], **account}
            Teams({name: _opened(value) for name, value in told.items()}, context(1.0))


def _opened(value: object) -> object:
    place = SecretPlace(**value) if isinstance(value, dict) else None
    return Secret(place.secret or place.file, lambda: KEY) if place else value


def test_its_page_does_not_claim_more_than_was_done() -> None:
    page = DOCS.read_text()
    assert "verified against: unit / fake / schema" in page.lower()
    assert "live" not in page.lower().partition("verified against:")[2].splitlines()[0]
