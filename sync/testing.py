"""What every provider promises. One inherits ProviderContract and says, by fixtures, what stands for its system.

`connect` makes a provider that waits for its system so many seconds. `target` is a conference that exists there,
beside another. `fail` makes its next call fail: before it acts, or after. `state` tells what the system has now,
as text, and `calls` how often it was called; neither counts as a call. `events` are conferenceData of its own for
`target`, `look_alikes` are somebody else's. What holds the word SECRET must not come out in an error: give it
to the provider as its credentials; failures, titles and links have it already.
"""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from sync import event as events_
from sync.conferences import Context
from sync.errors import AuthFailed, Gone, RateLimited, Refused, SyncError, Timeout, Transient
from sync.event import Event
from sync.meeting import Meeting
from sync.ports import Provider, Target
from sync.recognise import KNOWN, ConferenceKey, recognise

PATIENT_S = 30.0  # no call takes that long, however busy the machine is
IMPATIENT_S = 0.2
BUSY_S = 10.0  # what a busy machine may add to a bound

START = datetime(2030, 3, 4, 9, 30, tzinfo=UTC)
MEETING = Meeting(
    title='SECRET-TITLE ✓ "quoted" <b>',
    start=START,
    end=START + timedelta(minutes=45),
    time_zone="Europe/Berlin",
    all_day=False,
    recurrence=(),
)
WEEKLY = replace(MEETING, recurrence=("RRULE:FREQ=WEEKLY",))
CAPABILITIES = {"title", "agenda", "time", "recurrence", "occurrence", "invitees", "read", "restore"}


@dataclass(frozen=True)
class Failure:
    """What the system does instead of answering. `after_acting`: it has done what it was asked for."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "SECRET-BODY"
    silent: bool = False
    after_acting: bool = False


Connect = Callable[[float], Provider]


class SharedInMemory:
    """What the workers of an account share, in a test."""

    def __init__(self) -> None:
        self.text = ""

    def change(self, body: Callable[[str, float], str]) -> str:
        self.text = body(self.text, time.time())
        return self.text


def context(read_s: float) -> Context:
    """A provider's surroundings, as patient as said."""
    return Context(connect_s=PATIENT_S, read_s=read_s, shared=SharedInMemory())


Fail = Callable[[Failure], None]
State = Callable[[], str]
Calls = Callable[[], int]

STATUSES: list[tuple[int, type[SyncError]]] = [
    (400, Refused),
    (401, AuthFailed),
    (403, AuthFailed),
    (404, Gone),
    (410, Gone),
    (409, Refused),
    (422, Refused),
    (423, Transient),
    (500, Transient),
    (502, Transient),
    (503, Transient),
]

FAILURES = [
    *(Failure(status) for status, error in STATUSES if error is not Gone),
    Failure(302, {"Location": "http://127.0.0.1/SECRET"}),
    Failure(429, {"X-Note": "SECRET"}),
    Failure(200),
]


def waits() -> list[Mapping[str, str]]:
    at = datetime.now(UTC) + timedelta(seconds=90)
    return [
        {"Retry-After": "90"},
        {"Retry-After": format_datetime(at, usegmt=True)},
        {"Retry-After": at.isoformat(timespec="seconds")},
        {"X-RateLimit-Reset": str(int(at.timestamp()))},
    ]


def _another(target: Target, name: str) -> Target:
    return replace(target, key=ConferenceKey(target.key.provider, name))


class ProviderContract:
    CALLS = ("read", "update", "delete")

    @pytest.fixture
    def provider(self, connect: Connect) -> Provider:
        return connect(PATIENT_S)

    @pytest.fixture
    def impatient(self, connect: Connect) -> Provider:
        return connect(IMPATIENT_S)

    def call(self, name: str, provider: Provider, target: Target) -> object:
        if name == "update":
            return provider.update(target, MEETING)
        return getattr(provider, name)(target)

    # --- what it says of itself ---

    def test_it_says_what_it_can_do_in_words_we_know(self, provider: Provider) -> None:
        assert provider.capabilities <= CAPABILITIES
        assert provider.name
        assert provider.system.provider == provider.name

    def test_its_own_events_are_recognised(
        self, provider: Provider, target: Target, events: Sequence[dict[str, object]]
    ) -> None:
        for conference_data in events:
            recognised = recognise(_carried(conference_data), (provider.system, *KNOWN))
            assert recognised is not None
            assert recognised.key == target.key

    def test_look_alikes_are_not_its_own(
        self, provider: Provider, look_alikes: Sequence[dict[str, object]]
    ) -> None:
        for conference_data in look_alikes:
            assert recognise(_carried(conference_data), (provider.system,)) is None, conference_data

    # --- what it does ---

    def test_an_update_sets_what_it_says_it_applied(self, provider: Provider, target: Target) -> None:
        outcome = provider.update(target, MEETING)
        assert outcome.changed
        assert set(outcome.applied) <= provider.capabilities
        actual = provider.read(target)
        assert actual is not None
        assert actual.equals(MEETING)

    def test_an_update_made_twice_is_an_update_made_once(
        self, provider: Provider, target: Target, state: State
    ) -> None:
        provider.update(target, MEETING)
        once = state()
        provider.update(target, MEETING)
        assert state() == once

    def test_what_it_cannot_express_it_ignores_aloud(self, provider: Provider, target: Target) -> None:
        outcome = provider.update(target, WEEKLY)
        told = "recurrence" in (outcome.applied if "recurrence" in provider.capabilities else outcome.ignored)
        assert told
        assert not set(outcome.ignored) & set(outcome.applied)

    def test_a_deleted_conference_is_gone_and_deleting_it_again_is_success(
        self, provider: Provider, target: Target
    ) -> None:
        assert provider.delete(target).changed
        assert not provider.delete(target).changed
        assert provider.read(target) is None

    def test_a_conference_that_never_was_is_gone(self, provider: Provider, target: Target) -> None:
        never = _another(target, target.id[:-1] + "0")
        assert provider.read(never) is None
        assert not provider.delete(never).changed
        with pytest.raises(Gone):
            provider.update(never, MEETING)

    def test_one_call_leaves_other_conferences_alone(
        self, provider: Provider, target: Target, state: State
    ) -> None:
        before = state()
        never = _another(target, target.id[:-1] + "0")
        provider.delete(never)
        assert state() == before

    def test_an_id_that_is_a_path_does_not_lead_elsewhere(
        self, provider: Provider, target: Target, state: State
    ) -> None:
        before = state()
        for name in (f"x/../{target.id}", "..", ".", "", f"{target.id}?x=", f"{target.id}#x"):
            climbing = _another(target, name)
            for call in self.CALLS:
                try:
                    self.call(call, provider, climbing)
                except (Gone, Refused):
                    continue
        assert state() == before

    # --- what it makes of trouble ---

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize(("status", "error"), STATUSES)
    def test_a_status_is_one_error_and_is_not_tried_again(
        self,
        provider: Provider,
        target: Target,
        fail: Fail,
        calls: Calls,
        call: str,
        status: int,
        error: type[SyncError],
    ) -> None:
        fail(Failure(status))
        before = calls()
        if error is Gone and call != "update":
            assert not getattr(self.call(call, provider, target), "changed", False)
        else:
            with pytest.raises(SyncError) as caught:
                self.call(call, provider, target)
            assert type(caught.value) is error
        assert calls() == before + 1

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("form", range(4))
    def test_a_limit_says_how_long(
        self, provider: Provider, target: Target, fail: Fail, call: str, form: int
    ) -> None:
        fail(Failure(429, waits()[form]))
        with pytest.raises(RateLimited) as caught:
            self.call(call, provider, target)
        assert caught.value.retry_after_s is not None
        assert 80 <= caught.value.retry_after_s <= 90

    @pytest.mark.parametrize("call", CALLS)
    def test_a_limit_may_say_nothing_of_how_long(
        self, provider: Provider, target: Target, fail: Fail, call: str
    ) -> None:
        fail(Failure(429))
        with pytest.raises(RateLimited) as caught:
            self.call(call, provider, target)
        assert caught.value.retry_after_s is None

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("after_acting", [False, True])
    def test_silence_is_a_timeout_and_ends_in_time(
        self, impatient: Provider, target: Target, fail: Fail, call: str, after_acting: bool
    ) -> None:
        fail(Failure(silent=True, after_acting=after_acting))
        started = time.monotonic()
        with pytest.raises(Timeout) as caught:
            self.call(call, impatient, target)
        assert time.monotonic() - started < IMPATIENT_S + BUSY_S
        assert target.id not in str(caught.value)

    def test_a_lost_answer_is_made_good_by_the_same_call(
        self, provider: Provider, impatient: Provider, target: Target, fail: Fail
    ) -> None:
        fail(Failure(silent=True, after_acting=True))
        with pytest.raises(Timeout):
            impatient.update(target, MEETING)
        provider.update(target, MEETING)
        actual = provider.read(target)
        assert actual is not None
        assert actual.equals(MEETING)
        fail(Failure(silent=True, after_acting=True))
        with pytest.raises(Timeout):
            impatient.delete(target)
        assert not provider.delete(target).changed

    @pytest.mark.parametrize("body", ["<html>SECRET</html>", "[]", "SECRET", '{"id": "SECRET"', "\ufffd"])
    def test_an_answer_that_is_none_proves_nothing(
        self, provider: Provider, target: Target, fail: Fail, body: str
    ) -> None:
        for call in self.CALLS:
            fail(Failure(200, body=body))
            with pytest.raises(Transient):
                self.call(call, provider, target)

    @pytest.mark.parametrize("body", ["{}", '{"title": null, "start": 5, "end": []}', '{"error": "SECRET"}'])
    def test_an_answer_about_something_else_is_not_the_conference(
        self, provider: Provider, target: Target, fail: Fail, body: str
    ) -> None:
        fail(Failure(200, body=body))
        with pytest.raises(Transient):
            provider.read(target)

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: str(failure.status))
    def test_an_error_tells_no_secret(
        self, provider: Provider, target: Target, fail: Fail, call: str, failure: Failure
    ) -> None:
        fail(failure)
        with pytest.raises(SyncError) as caught:
            self.call(call, provider, target)
        told = "".join(traceback.format_exception_only(caught.value))
        assert "SECRET" not in told
        assert target.id not in told
        assert caught.value.__cause__ is None


def _carried(conference_data: dict[str, object]) -> events_.Carried | None:
    parsed = events_.parse(
        {
            "id": "e1",
            "organizer": {"self": True},
            "start": {"dateTime": "2030-03-04T09:30:00Z"},
            "end": {"dateTime": "2030-03-04T10:00:00Z"},
            "conferenceData": conference_data,
        }
    )
    assert isinstance(parsed, Event)
    return parsed.carried
