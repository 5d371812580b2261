"""The conformance kit bites: for each promise there is a provider that breaks it, and the test that says so."""

import pytest

from sync.conferences import Context
from sync.testing import RestContract
from tests.unit import broken_providers
from tests.unit.broken_providers import Sound, Unread

pytest_plugins = ["pytester"]

BROKEN = {
    "CannotDeleteTwice": "a_deleted_conference_is_gone",
    "AddsInsteadOfSetting": "an_update_made_twice",
    "ForgetsTheEnd": "an_update_sets_what_it_says",
    "SaysNothingOfWhatItIgnores": "what_it_cannot_express",
    "MakesWhatIsGone": "a_conference_that_never_was",
    "TriesAgain": "a_status_is_one_error",
    "WaitsForTheLimit": "a_storm_of_limits",
    "TakesALimitForARefusal": "a_limit_may_say_nothing",
    "HearsNoRetryAfter": "a_limit_says_how_long",
    "BelievesAnyAnswer": "an_answer_that_is_none",
    "BelievesWhatItDeleted": "a_page_that_says_200",
    "TakesAnOutageForGone": "a_page_of_a_proxy",
    "TakesAnyMeetingForTheConference": "an_answer_about_something_else",
    "IsSpoiltByOneRefusal": "credentials_that_are_set_right",
    "RemembersConferences": "it_remembers_no_conference",
    "TakesSilenceForAnOutage": "silence_is_a_timeout",
    "TellsTheAnswer": "an_error_tells_no_secret",
    "LogsTheTitle": "nothing_secret_is_logged",
    "ClimbsOutOfItsPath": "an_id_that_is_a_path",
    "PromisesTheMoon": "it_says_what_it_can_do",
    "IsNeverDone": "it_says_what_it_can_do",
    "IsEverywhere": "an_address_that_only_resembles",
    "KnowsNoneOfItsOwn": "its_own_events",
    "TakesForEverToRecognise": "recognition_is_quick",
    "CallsWhileRecognising": "recognition_depends_on_nothing",
    "SleepsOverALimit": "a_storm_of_limits",
}

INHERITED = """
from sync.testing import RestContract
from tests.unit.broken_providers import {name}


class TestIt(RestContract):
    path = "/m/{{id}}"
    link = "https://small.example/join/{{id}}"

    def build(self, url, context):
        return {name}({{"url": url}}, context)
"""


class TestSound(RestContract):
    path = "/m/{id}"
    link = "https://small.example/join/{id}"

    def build(self, url: str, context: Context) -> Sound:
        return Sound({"url": url}, context)


class TestUnread(RestContract):
    """Where a system cannot be read, nothing is asked of reading it."""

    path = "/m/{id}"
    link = "https://small.example/join/{id}"

    def build(self, url: str, context: Context) -> Unread:
        return Unread({"url": url}, context)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_seen_by_the_test_of_that_promise(pytester: pytest.Pytester, name: str) -> None:
    pytester.makepyfile(INHERITED.format(name=name))
    ran = pytester.inline_run("-q", "-p", "no:cacheprovider", "-k", BROKEN[name])
    _, _, failed = ran.countoutcomes()
    assert failed, f"{name} passed {BROKEN[name]}"
    assert all(report.when == "call" for report in ran.getfailures())


def test_every_broken_provider_is_tried() -> None:
    kept = {"Sound", "Unread"}
    made = {
        name
        for name, each in vars(broken_providers).items()
        if isinstance(each, type) and issubclass(each, Sound)
    }
    assert made - kept == set(BROKEN)


def test_every_inherited_promise_is_broken_by_somebody_or_follows_from_one_that_is() -> None:
    promises = {name for name in dir(RestContract) if name.startswith("test_")}
    seen = {name for name in promises for part in BROKEN.values() if part in name}
    assert promises - seen == {
        "test_look_alikes_are_not_its_own",  # as addresses that only resemble
        "test_one_call_leaves_other_conferences_alone",  # as ids that are paths
        "test_a_lost_answer_is_made_good_by_the_same_call",  # as silence
    }
