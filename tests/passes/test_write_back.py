"""What we write into calendars: one URL, where the settings want it, and never over anybody's edit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import urllib3

from sync.errors import SyncError, Timeout, Transient
from sync.meeting import Meeting
from sync.ports import Actual, CalendarId, Outcome, Target, Version
from sync.recognise import ConferenceKey
from sync.rules import Rules
from tests.passes.conftest import GRACE_S, ME, SYSTEM, YOU, Town

OLD = "https://calls.acme.example/j/c-1"
NEW = "https://calls.acme.example/j/c-1?pwd=2"


@pytest.fixture
def talkative(town: Town) -> Town:
    """A provider that tells where its conferences are joined, and settings that want it in the events."""
    update, read = town.acme.update, town.acme.read

    def updated(target: Target, meeting: Meeting) -> Outcome:
        return replace(update(target, meeting), join_url=NEW)

    def seen(target: Target) -> Actual | None:
        actual = read(target)
        return replace(actual, join_url=NEW) if actual else None

    town.acme.update, town.acme.read = updated, seen  # type: ignore[method-assign]
    town.policy = replace(town.policy, rules=wanting_urls(town.policy.rules))
    return town


def wanting_urls(rules: Rules) -> Rules:
    return replace(rules, written_back=frozenset({SYSTEM.provider}))


def url(town: Town, event: str, calendar: str = ME) -> str:
    copy = town.simulator.world.calendars[calendar].events[event]
    return str(copy.shared["conferenceData"]["entryPoints"][0]["uri"])


def writes(town: Town) -> list[dict[str, Any]]:
    journal = urllib3.request("GET", f"{town.simulator.url}/_sim/journal").json()
    return [entry for entry in journal["requests"] if entry["method"] == "events.patch"]


def before_writing(town: Town, act: Callable[[], object], times: int = 1) -> None:
    """Something happens between our look at an event and our write."""
    real, left = town.outside.calendar, [act] * times

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def replace_url(self, calendar: CalendarId, version: Version, old: str, new: str) -> str:
            if left:
                left.pop()()
            return real.replace_url(calendar, version, old, new)

    town.outside = replace(town.outside, calendar=Watched())  # type: ignore[arg-type]


def test_a_new_join_url_is_written_into_its_event_once(
    talkative: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    event = talkative.meet()
    talkative.settle()
    assert url(talkative, event) == NEW
    assert len(writes(talkative)) == 1
    assert '"code":"written_back"' in capsys.readouterr().out


def test_our_own_write_comes_back_as_an_echo_and_causes_no_call(
    talkative: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    talkative.meet()
    talkative.look()
    capsys.readouterr()
    talkative.settle()
    assert '"code":"own_echo"' in capsys.readouterr().out
    assert talkative.calls() == {"c-1": 1}
    talkative.sweep()
    assert talkative.calls() == {"c-1": 1}
    assert len(writes(talkative)) == 1


def test_without_the_setting_nothing_is_written(talkative: Town) -> None:
    talkative.policy = replace(
        talkative.policy, rules=replace(talkative.policy.rules, written_back=frozenset())
    )
    event = talkative.meet()
    talkative.settle()
    assert url(talkative, event) == OLD
    assert writes(talkative) == []


def test_the_guests_and_all_else_stay_as_they_are(talkative: Town) -> None:
    event = talkative.meet(attendees=[YOU, "guest@example.com"])
    before = talkative.simulator.world.calendars[ME].events[event]
    talkative.settle()
    after = talkative.simulator.world.calendars[ME].events[event]
    kept = {name: value for name, value in after.shared.items() if name not in ("conferenceData", "updated")}
    assert kept.items() <= before.shared.items()
    assert url(talkative, event, YOU) == NEW


def test_an_edit_between_look_and_write_comes_first_and_the_url_follows(
    talkative: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    event = talkative.meet()
    before_writing(talkative, lambda: talkative.act("retitle", event=event, title="Mine"))
    talkative.settle()
    copy = talkative.simulator.world.calendars[ME].events[event]
    assert copy.shared["summary"] == "Mine"
    assert url(talkative, event) == NEW
    assert '"code":"precondition_failed"' in capsys.readouterr().out
    meeting = talkative.acme.has["c-1"]
    assert meeting is not None
    assert meeting.title == "Mine"


def test_a_conference_that_is_replaced_meanwhile_is_not_brought_back(talkative: Town) -> None:
    event = talkative.meet()
    other = {"conferenceSolution": {"key": {"type": "addOn"}, "name": "Zoom Meeting"}}
    other |= {"entryPoints": [{"entryPointType": "video", "uri": "https://zoom.us/j/12345678901"}]}
    before_writing(talkative, lambda: talkative.act("replace_conference", event=event, conference=other))
    talkative.settle()
    assert url(talkative, event) == "https://zoom.us/j/12345678901"


def test_an_event_that_never_comes_to_rest_is_not_fought_over(talkative: Town) -> None:
    event = talkative.meet()
    before_writing(talkative, lambda: talkative.act("touch", event=event), times=10_000)
    talkative.settle(hours=24)
    assert len(talkative.acme.calls) < 100


@pytest.mark.parametrize(
    "fault",
    [
        {"where": "events.patch", "status": 503},
        {"where": "events.patch", "status": 429},
        {"where": "events.get", "status": 500},
    ],
    ids=lambda fault: f"{fault['where']} {fault['status']}",
)
def test_a_write_that_fails_for_now_is_made_good(talkative: Town, fault: dict[str, Any]) -> None:
    event = talkative.meet()
    talkative.fault(**fault)
    talkative.settle()
    assert url(talkative, event) == NEW


def test_a_calendar_that_we_may_only_read_is_left_alone_and_that_is_said(
    talkative: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    event = talkative.meet()
    talkative.fault(where="events.patch", status=403, reason="forbidden", times=0)
    talkative.settle(hours=24)
    assert url(talkative, event) == OLD
    assert talkative.calls() == {"c-1": 1}
    assert "its URL is not written into an event: events.patch: 403" in capsys.readouterr().out
    record = talkative.store.calendar(talkative.key)
    assert record is not None
    assert not record.frozen


def test_where_google_takes_no_conference_of_an_add_on_from_us_the_update_counts_all_the_same(
    talkative: Town,
) -> None:
    talkative.simulator.world.switches = replace(talkative.simulator.world.switches, addon_writes="refuse")
    event = talkative.meet()
    talkative.settle()
    assert url(talkative, event) == OLD
    assert talkative.calls() == {"c-1": 1}
    (conference,) = talkative.store.conferences([ConferenceKey("acme", "c-1")])
    assert not conference.pending


@pytest.mark.parametrize(
    "strange",
    [
        "https://calls.acme.example/j/c-2",  # another conference
        "https://calls.acme.example.evil.example/j/c-1",
        "http://calls.acme.example/j/c-1",
        "javascript:alert(1)",
        f"https://calls.acme.example/j/c-1?pwd={'x' * 1300}",
        "",
    ],
)
def test_a_url_that_does_not_lead_to_the_very_same_conference_is_never_written(
    talkative: Town, strange: str
) -> None:
    update = talkative.acme.update
    talkative.acme.update = lambda *told: replace(update(*told), join_url=strange)  # type: ignore[method-assign]
    event = talkative.meet()
    talkative.settle()
    assert url(talkative, event) == OLD
    assert writes(talkative) == []


def test_every_event_that_uses_the_conference_says_the_new_url(talkative: Town) -> None:
    event = talkative.meet()
    copy = talkative.act("copy_event", event=event, to=ME, start=talkative.at(48), end=talkative.at(49))["id"]
    talkative.settle()
    assert (url(talkative, event), url(talkative, copy)) == (NEW, NEW)


@pytest.mark.parametrize("lost", [Timeout("no answer"), Transient("503")], ids=repr)
def test_what_a_lost_answer_would_have_told_is_read_back_and_written(
    talkative: Town, lost: SyncError
) -> None:
    event = talkative.meet()
    talkative.acme.late = [lost]
    talkative.settle()
    assert url(talkative, event) == NEW


def test_a_worker_that_dies_before_it_writes_leaves_a_debt(talkative: Town) -> None:
    event = talkative.meet()

    class Died(BaseException):
        pass

    def dies() -> None:
        raise Died

    before_writing(talkative, dies)
    with pytest.raises(Died):
        talkative.look()
    talkative.clock.advance(600.0)
    talkative.settle()
    assert url(talkative, event) == NEW


def test_an_event_that_was_out_of_sight_is_written_to_when_it_is_back(talkative: Town) -> None:
    talkative.act("change_role", calendar=YOU, user=ME, role="writer")
    event = talkative.meet()
    copy = talkative.act("copy_event", event=event, to=YOU, start=talkative.at(24), end=talkative.at(25))[
        "id"
    ]
    other = talkative.enrol(YOU)
    talkative.acme.faults = [Transient("503")]
    talkative.look(other)  # it is recorded, and nobody is told of it
    talkative.act("change_role", calendar=YOU, user=ME, role="none")
    talkative.look(other)
    talkative.settle()
    assert (url(talkative, event), url(talkative, copy, YOU)) == (NEW, OLD)
    talkative.act("change_role", calendar=YOU, user=ME, role="writer")
    for _ in range(3):
        talkative.sweep()
    assert (url(talkative, event), url(talkative, copy, YOU)) == (NEW, NEW)


def test_a_deleted_event_is_not_written_to(talkative: Town) -> None:
    event = talkative.meet()
    before_writing(talkative, lambda: talkative.act("delete", event=event))
    talkative.settle(hours=GRACE_S / 3600 + 2)
    assert "c-1" not in talkative.acme.has
    assert talkative.simulator.world.calendars[ME].events[event].cancelled
