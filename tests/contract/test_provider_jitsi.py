"""Jitsi's provider calls nobody: of the contract it keeps recognition, and that nothing is hidden.

What Jitsi is answered when it asks is tested in tests/edge/test_reservation_door.py.
"""

import pytest

from sync.conferences.jitsi import Jitsi
from sync.errors import Misconfigured
from sync.ports import Outcome, Provider, Target
from sync.recognise import ConferenceKey
from sync.testing import CAPABILITIES, MEETING, WEEKLY, ProviderContract, context
from tests.contract.documented import documented

OPTIONS = {"hosts": ["meet.example.com"]}
TARGET = Target(ConferenceKey("jitsi", "standup"))


@pytest.fixture
def provider() -> Provider:
    return Jitsi(OPTIONS, context(1.0))


@pytest.fixture
def target() -> Target:
    return TARGET


def _at(uri: str) -> dict[str, object]:
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Jitsi Meeting"},
        "entryPoints": [{"entryPointType": "video", "uri": uri}],
    }


@pytest.fixture
def events() -> list[dict[str, object]]:
    paths = ("/standup", "/standup#config.x=1", "/StandUp")
    return [_at(f"https://meet.example.com{path}") for path in paths]


@pytest.fixture
def look_alikes() -> list[dict[str, object]]:
    paths = ("/tenant/standup", "/", "/stand%75p", "/stand%2Fup")
    return [_at(f"https://meet.example.com{path}") for path in paths] + [
        _at("https://evil.example/standup"),
        _at("http://meet.example.com/standup"),
        _at("https://meet.example.com.evil.example/standup"),
        _at("https://meet.jit.si/standup"),
    ]


class TestJitsi:
    """The promises that need no system to call."""

    test_its_own_events_are_recognised = ProviderContract.test_its_own_events_are_recognised
    test_look_alikes_are_not_its_own = ProviderContract.test_look_alikes_are_not_its_own
    test_what_it_cannot_express_it_ignores_aloud = (
        ProviderContract.test_what_it_cannot_express_it_ignores_aloud
    )

    def test_it_says_what_it_can_do_in_words_we_know(self, provider: Provider) -> None:
        assert provider.capabilities <= CAPABILITIES
        assert provider.system.provider == provider.name
        assert provider.call_s > 0


def test_a_time_is_told_by_being_in_the_ledger_and_the_rest_is_ignored_aloud(provider: Provider) -> None:
    note = "Jitsi asks us: the ledger is the answer"
    assert provider.update(TARGET, MEETING) == Outcome(False, ("time",), ("title",), note)
    assert provider.update(TARGET, WEEKLY) == Outcome(False, ("time",), ("title", "recurrence"), note)
    assert provider.delete(TARGET) == Outcome(False, note=note)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "the option hosts is missing"),
        ({"hosts": []}, "hosts is not a list"),
        ({"hosts": "meet.example.com"}, "hosts is not a list"),
        ({"hosts": ["https://meet.example.com"]}, "hosts is not a list"),
        ({"hosts": ["Meet.example.com"]}, "hosts is not a list"),
        ({**OPTIONS, "early_s": -1}, "early_s is not a number of seconds"),
        ({**OPTIONS, "early_s": True}, "early_s is not a number of seconds"),
        ({**OPTIONS, "late_s": 86401}, "late_s is not a number of seconds"),
        ({**OPTIONS, "unknown": "deny"}, "unknown is none of allow, refuse"),
        ({**OPTIONS, "early": 5}, "did you mean early_s?"),
    ],
)
def test_options_that_cannot_work_are_said_at_once(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Jitsi(options, context(1.0))
    assert sentence in str(caught.value)


def test_the_documented_settings_are_taken_as_they_are_printed() -> None:
    rules = documented("jitsi")
    assert rules.providers == {"meetings"}
