"""Calendars come and go at run time: only their people's, without a gap, and nothing is deleted when they go."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3
from google.oauth2.credentials import Credentials

from sync import enrol, holds, tend
from sync.channel import Keys, calendar_key
from sync.decide import Brake
from sync.enrolment import Enrolment
from sync.errors import Transient
from sync.google.calendar import GoogleCalendar
from sync.ports import CalendarId, CalendarRecord, Claimed, Closing, WiredCalendar
from sync.recognise import ConferenceKey
from sync.simulator import Simulator
from tests.passes.conftest import KEY, ME, YOU, Town

HOOK = "https://hook.example/"
KEYS = Keys((KEY,))
ROOM = "c_room@group.calendar.google.com"


class Office(Town):
    """A town with a webhook, where we may speak as everybody, and nothing is wired."""

    def __init__(self, simulator: Simulator, path: Path) -> None:
        super().__init__(simulator, path)
        self.wire()
        self.delegating(True)
        self.mine, self.yours = (calendar_key(self.store.salt(), name) for name in (ME, YOU))

    def wire(self, *calendars: WiredCalendar) -> None:
        self.store.wire(HOOK, calendars)
        self.converge()
        self.queue.tasks.clear()

    def converge(self) -> None:
        tend.converge(self.outside, self.policy, KEY, KEYS)

    def delegating(self, may: bool) -> None:
        calendar = GoogleCalendar(
            credentials=self.speaking_as if may else lambda _: None, root_url=self.simulator.url, call_s=5.0
        )
        self.outside = replace(self.outside, calendar=calendar)
        self.policy = replace(self.policy, delegates=may)

    def speaking_as(self, subject: str) -> Credentials | None:
        if not subject:
            return None
        form = urlencode({"refresh_token": subject})
        answer = urllib3.request("POST", f"{self.simulator.url}/token", body=form)
        return Credentials(answer.json()["access_token"])

    def ask(self, caller: str, calendar: str = "", at: float | None = None, **more: Any) -> Enrolment:
        return Enrolment(caller, calendar or caller, self.clock.now() if at is None else at, **more)

    def come(self, asked: Enrolment) -> None:
        enrol.enrol(self.outside, self.policy, KEY, KEYS, asked, "come")

    def go(self, asked: Enrolment) -> None:
        enrol.withdraw(self.outside, self.policy, asked, "go")

    def record(self, key: str) -> CalendarRecord:
        record = self.store.calendar(key)
        assert record is not None
        return record

    def watched(self, key: str) -> bool:
        record = self.store.calendar(key)
        return record is not None and record.active and len(record.channels) == 1

    def asked(self) -> list[str]:
        """The methods that Google was called for."""
        journal = urllib3.request("GET", f"{self.simulator.url}/_sim/journal").json()
        return [entry["method"] for entry in journal["requests"]]

    def title(self, conference: str = "c-1") -> str:
        meeting = self.acme.has[conference]
        return meeting.title if meeting else ""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Simulator(clock="frozen") as simulator:
        yield Office(simulator, tmp_path / "store.db")


# --- Coming ---


def test_who_enrols_is_looked_after_from_then_on(office: Office) -> None:
    event = office.meet(calendar=YOU)
    office.come(office.ask(YOU))
    office.settle()
    assert office.title() == "Planning"
    office.act("retitle", calendar=YOU, event=event, title="Later")
    office.look(office.yours)
    office.settle()
    assert office.title() == "Later"
    record = office.record(office.yours)
    assert record.calendar == CalendarId(YOU, YOU)
    [enrolled] = office.store.enrolled()
    assert enrolled.calendar == CalendarId(YOU, YOU)
    assert enrolled.by
    assert YOU not in enrolled.by
    assert enrolled.by != hashlib.sha256(YOU.encode()).hexdigest()[:26], "anybody could make that"


def test_the_channel_is_open_before_the_first_listing_is_asked_for(office: Office) -> None:
    before = len(office.asked())
    office.come(office.ask(YOU))
    assert office.record(office.yours).bookmark is None
    office.settle()
    asked = office.asked()[before:]
    assert asked.index("events.watch") < asked.index("events.list")
    assert office.record(office.yours).bookmark is not None


@pytest.mark.parametrize("moment", ["before the listing", "after the listing"])
def test_what_changes_between_the_watch_and_the_token_is_not_missed(
    office: Office, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Whoever changes it then, Google either lists it, or notifies of it: a channel is open."""
    event = office.meet(calendar=YOU)
    list_page, changed = office.outside.calendar.list_page, []

    def change_and_list(*args: Any) -> Any:
        page = list_page(*args) if moment == "after the listing" else None
        if not changed:
            changed.append(office.watched(office.yours))
            office.act("retitle", calendar=YOU, event=event, title="Changed")
        return page or list_page(*args)

    monkeypatch.setattr(office.outside.calendar, "list_page", change_and_list)
    office.come(office.ask(YOU))
    office.settle(hours=0.1)
    assert changed == [True]
    office.look(office.yours)  # as the notification would have it
    assert office.title() == "Changed"


def test_who_enrols_twice_is_enrolled_once(office: Office) -> None:
    office.come(office.ask(YOU))
    office.settle()
    before = office.record(office.yours)
    called = len(office.asked())
    office.clock.advance(60)
    office.come(office.ask(YOU))
    assert office.record(office.yours) == before
    assert len(office.asked()) == called
    assert office.queue.tasks == []
    assert len(office.store.enrolled()) == 1


@pytest.mark.parametrize(
    ("role", "may"),
    [("owner", True), ("writer", True), ("reader", False), ("freeBusyReader", False), ("none", False)],
)
def test_another_calendar_may_be_enrolled_by_who_may_write_to_it(
    office: Office, role: str, may: bool
) -> None:
    office.act("add_calendar", id=ROOM, owner=ME)
    office.act("change_role", calendar=ROOM, user=YOU, role=role)
    office.come(office.ask(YOU, ROOM))
    assert bool(office.store.enrolled()) is may
    assert office.watched(calendar_key(office.store.salt(), ROOM)) is may
    if may:
        assert office.store.enrolled()[0].calendar == CalendarId(ROOM, YOU)


def test_a_calendar_that_is_not_there_is_nobodys(office: Office) -> None:
    office.come(office.ask(YOU, "nobody@example.com"))
    assert office.store.enrolled() == []
    assert len(office.store.calendars()) == 1


def test_without_delegation_only_ones_own_calendar_can_be_enrolled_shared_with_us(office: Office) -> None:
    office.delegating(False)
    office.act("change_role", calendar=YOU, user=ME, role="writer")
    office.come(office.ask("eve@example.com", YOU))
    assert office.store.enrolled() == []
    office.come(office.ask(YOU))
    assert [each.calendar for each in office.store.enrolled()] == [CalendarId(YOU)]
    assert office.watched(office.yours)


def test_a_calendar_that_is_read_well_is_not_read_as_somebody_else(office: Office) -> None:
    """Two people who own it may both enrol it, again and again: its channel stays."""
    office.act("add_calendar", id=ROOM, owner=ME)
    office.act("change_role", calendar=ROOM, user=YOU, role="writer")
    key = calendar_key(office.store.salt(), ROOM)
    for caller in (ME, YOU, ME):
        office.come(office.ask(caller, ROOM))
        office.clock.advance(1)
        assert office.record(key).calendar == CalendarId(ROOM, ME)
    assert office.asked().count("events.watch") == 1


def test_a_calendar_that_is_lost_is_read_as_who_enrols_it_anew(office: Office) -> None:
    office.act("add_calendar", id=ROOM, owner=ME)
    office.act("change_role", calendar=ROOM, user=YOU, role="writer")
    key = calendar_key(office.store.salt(), ROOM)
    office.come(office.ask(YOU, ROOM))
    office.act("change_role", calendar=ROOM, user=YOU, role="none")
    office.look(key)
    assert office.record(key).frozen
    office.clock.advance(1)
    office.come(office.ask(ME, ROOM))
    assert office.record(key).calendar == CalendarId(ROOM, ME)
    office.settle(hours=0.01)
    assert not office.record(key).frozen, "it is looked at at once"


# --- The wire speaks ---


def test_a_calendar_that_is_enrolled_and_then_wired_is_as_the_wire_says(office: Office) -> None:
    office.come(office.ask(YOU))
    office.wire(WiredCalendar("you", CalendarId(YOU), paused=True))
    record = office.record(office.yours)
    assert (record.label, record.active, record.calendar) == ("you", False, CalendarId(YOU))
    office.clock.advance(1)
    office.come(office.ask(YOU))
    assert office.record(office.yours) == record
    office.go(office.ask(YOU))
    assert office.record(office.yours) == record


def test_a_calendar_that_is_wired_no_longer_but_enrolled_goes_on(office: Office) -> None:
    office.wire(WiredCalendar("you", CalendarId(YOU), paused=True))
    office.come(office.ask(YOU))
    office.wire()
    record = office.record(office.yours)
    assert (record.label, record.active, record.calendar) == ("", True, CalendarId(YOU, YOU))
    assert office.watched(office.yours)


def test_without_a_webhook_an_enrolled_calendar_is_not_watched(office: Office) -> None:
    office.store.wire("", ())
    office.come(office.ask(YOU))
    assert office.record(office.yours).channels == ()
    office.settle()
    assert office.record(office.yours).bookmark is not None, "but looked at all the same"


# --- Going ---


@pytest.fixture
def enrolled(office: Office) -> Office:
    """You are enrolled, with a meeting that its provider knows."""
    office.event = office.meet(calendar=YOU)  # type: ignore[attr-defined]
    office.come(office.ask(YOU))
    office.settle()
    office.clock.advance(60)
    return office


def test_who_withdraws_is_left_alone_and_loses_nothing(enrolled: Office) -> None:
    enrolled.go(enrolled.ask(YOU))
    record = enrolled.record(enrolled.yours)
    assert (record.active, record.channels) == (False, ())
    assert enrolled.asked()[-1] == "channels.stop"
    assert enrolled.store.enrolled() == []
    assert list(enrolled.store.live_links(enrolled.yours)) == []
    enrolled.act("delete", calendar=YOU, event=enrolled.event)  # type: ignore[attr-defined]
    enrolled.converge()
    enrolled.look(enrolled.yours)
    enrolled.sweep()
    assert enrolled.calls("delete") == {}
    assert enrolled.title() == "Planning"


def test_who_comes_back_finds_what_its_deleted_events_used(enrolled: Office) -> None:
    """Nobody saw how they went: whether that was meant for their conferences too, nobody can say."""
    enrolled.go(enrolled.ask(YOU))
    enrolled.act("delete", calendar=YOU, event=enrolled.event)  # type: ignore[attr-defined]
    enrolled.clock.advance(60)
    enrolled.come(enrolled.ask(YOU))
    enrolled.settle()
    enrolled.sweep()
    assert enrolled.calls("delete") == {}


def test_who_withdraws_twice_has_withdrawn_once(enrolled: Office) -> None:
    enrolled.go(enrolled.ask(YOU))
    before, called = enrolled.record(enrolled.yours), len(enrolled.asked())
    enrolled.go(enrolled.ask(YOU))
    assert enrolled.record(enrolled.yours) == before
    assert len(enrolled.asked()) == called


def test_who_was_never_enrolled_may_withdraw(office: Office) -> None:
    office.go(office.ask(YOU))
    assert office.store.enrolled() == []
    assert office.store.calendar(office.yours) is None


def test_nobody_withdraws_anothers_calendar(enrolled: Office) -> None:
    enrolled.act("add_user", email="eve@example.com")
    enrolled.go(enrolled.ask("eve@example.com", YOU))
    assert len(enrolled.store.enrolled()) == 1
    assert enrolled.watched(enrolled.yours)


def test_a_withdrawal_waits_until_no_pass_is_over_the_calendar(enrolled: Office) -> None:
    claim = enrolled.store.claim(enrolled.yours, "a pass")
    assert isinstance(claim, Claimed)
    with pytest.raises(Transient, match="a pass is looking"):
        enrolled.go(enrolled.ask(YOU))
    assert len(list(enrolled.store.live_links(enrolled.yours))) == 1
    generation = enrolled.record(enrolled.yours).generation
    enrolled.store.close(claim.hold, generation, Closing(enrolled.clock.now(), None))
    enrolled.go(enrolled.ask(YOU))
    assert list(enrolled.store.live_links(enrolled.yours)) == []
    assert not enrolled.record(enrolled.yours).active


def test_who_comes_back_is_looked_after_as_before(enrolled: Office) -> None:
    enrolled.go(enrolled.ask(YOU))
    enrolled.act("retitle", calendar=YOU, event=enrolled.event, title="Meanwhile")  # type: ignore[attr-defined]
    quiet = enrolled.meet("c-2", title="Quiet", calendar=YOU)
    enrolled.clock.advance(60)
    enrolled.come(enrolled.ask(YOU))
    enrolled.settle()
    assert (enrolled.title(), enrolled.title("c-2")) == ("Meanwhile", "Quiet")
    assert len(list(enrolled.store.live_links(enrolled.yours))) == 2
    enrolled.act("delete", calendar=YOU, event=quiet)
    enrolled.look(enrolled.yours)
    enrolled.settle()
    assert enrolled.calls("delete") == {"c-2": 1}


def test_what_did_not_change_while_it_was_away_is_looked_after_too(enrolled: Office) -> None:
    enrolled.go(enrolled.ask(YOU))
    enrolled.clock.advance(60)
    enrolled.come(enrolled.ask(YOU))
    enrolled.settle()
    enrolled.act("delete", calendar=YOU, event=enrolled.event)  # type: ignore[attr-defined]
    enrolled.look(enrolled.yours)
    enrolled.settle()
    assert enrolled.calls("delete") == {"c-1": 1}


def test_a_conference_that_others_use_too_is_theirs_from_then_on(office: Office) -> None:
    """It shows at once what is left of its events, though the calendar that goes was the last to change it."""
    office.wire(WiredCalendar("me", CalendarId(ME)))
    office.meet(title="Ours", hours=24)
    office.look(office.mine)
    office.meet(title="Yours", hours=48, calendar=YOU)
    office.come(office.ask(YOU))
    office.settle()
    assert office.title() == "Yours", "the one that ends last gives the title"
    office.clock.advance(60)
    office.go(office.ask(YOU))
    office.settle(hours=0.1)
    assert office.title() == "Ours"


def test_debts_that_were_a_calendars_are_paid_by_others_when_it_goes(office: Office) -> None:
    office.wire(WiredCalendar("me", CalendarId(ME)))
    office.meet(title="Ours", hours=48)
    office.look(office.mine)
    yours = office.meet(title="Yours", hours=24, calendar=YOU)
    office.come(office.ask(YOU))
    office.settle()
    office.act("delete", calendar=YOU, event=yours)
    office.acme.faults = [Transient("503")] * 3
    office.look(office.yours)
    assert len(office.store.due_conferences(office.yours, office.clock.now() + 1e6, 9)) == 1
    office.acme.faults = []
    office.clock.advance(60)
    office.go(office.ask(YOU))
    office.settle(hours=1)
    assert office.store.due_conferences(office.yours, office.clock.now() + 1e6, 9) == []
    assert office.store.due_conferences(office.mine, office.clock.now() + 1e6, 9) == []


@pytest.mark.parametrize("state", ["within the grace", "held", "approved"])
def test_a_deletion_that_waits_when_its_calendar_goes_is_called_off_and_told_of(
    enrolled: Office, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    """Whether it is right, only the events of that calendar could say, and we ask them no more."""
    office = enrolled
    if state != "within the grace":
        office.policy = replace(office.policy, brake=Brake(most=0, unquestioned=0))
    office.act("delete", calendar=YOU, event=office.event)  # type: ignore[attr-defined]
    office.look(office.yours)
    if state != "within the grace":
        office.settle()
        assert len(holds.held(office.store, office.yours)) == 1
    if state == "approved":
        holds.answer(office.outside, office.policy, office.yours, owner="a person", approve=True)
    capsys.readouterr()
    office.go(office.ask(YOU))
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [said] = [each for each in told if each["message"] == "decision"]
    assert (said["calendar"], said["conference"], said["code"]) == (
        office.yours,
        office.policy.rules.shown(ConferenceKey("acme", "c-1")),
        "access_lost",
    )
    assert "withdrawn" in said["why"]
    assert list(office.store.unsettled()) == []
    office.clock.advance(60)
    office.come(office.ask(YOU))
    office.settle()
    assert office.calls("delete") == {}
    office.act("restore", calendar=YOU, event=office.event)  # type: ignore[attr-defined]
    office.act("retitle", calendar=YOU, event=office.event, title="Back")  # type: ignore[attr-defined]
    office.look(office.yours)
    office.settle()
    assert office.title() == "Back", "an event uses it again"


def test_a_withdrawal_that_something_later_has_overtaken_calls_off_nothing(enrolled: Office) -> None:
    enrolled.act("delete", calendar=YOU, event=enrolled.event)  # type: ignore[attr-defined]
    enrolled.look(enrolled.yours)
    earlier = enrolled.ask(YOU)
    enrolled.clock.advance(60)
    enrolled.come(enrolled.ask(YOU))
    enrolled.go(earlier)
    enrolled.settle(hours=3)
    assert enrolled.calls("delete") == {"c-1": 1}


def test_a_large_calendar_is_let_go_in_several_transactions(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrol, "_BATCH", 2)
    for number in range(5):
        office.meet(f"c-{number}", calendar=YOU)
    office.come(office.ask(YOU))
    office.settle()
    office.clock.advance(60)
    office.go(office.ask(YOU))
    assert list(office.store.live_links(office.yours)) == []
    assert not office.record(office.yours).active


# --- In any order, and interrupted anywhere ---


def test_what_was_asked_last_stands_however_late_the_rest_arrives(office: Office) -> None:
    first, second, third = (office.ask(YOU, at=office.clock.now() + number) for number in range(3))
    office.go(second)
    office.come(first)
    assert office.store.enrolled() == []
    assert not office.watched(office.yours)
    office.come(third)
    office.go(second)
    assert len(office.store.enrolled()) == 1
    assert office.watched(office.yours)


class Faulty:
    """A store, calendar or queue whose n-th call fails, before or after its effect."""

    def __init__(self, real: Any, due: list[int], late: bool) -> None:
        self._real, self._due, self._late = real, due, late

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if not callable(value):
            return value

        def call(*args: Any, **more: Any) -> Any:
            self._due[0] -= 1
            fails = self._due[0] == 0
            if fails and not self._late:
                raise Transient(f"{name} fails")
            answer = value(*args, **more)
            if fails:
                raise Transient(f"{name} fails after its effect")
            return answer

        return call


def interrupted(office: Office, number: int, late: bool, does: Callable[[], None]) -> bool:
    """Whether the n-th call outside was interrupted; then it is done again, as the queue would."""
    due, real = [number], office.outside
    office.outside = replace(
        real,
        store=Faulty(real.store, due, late),
        calendar=Faulty(real.calendar, due, late),
        queue=Faulty(real.queue, due, late),
    )
    try:
        does()
    except Transient:
        pass
    finally:
        office.outside = real
    if due[0] <= 0:
        office.clock.advance(100)  # a lease that nobody gave back is over
        does()
    return due[0] <= 0


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_coming_and_going_may_be_interrupted_anywhere(office: Office, late: bool) -> None:
    office.event = office.meet(calendar=YOU)  # type: ignore[attr-defined]
    come = go = True
    number = 0
    while come or go:
        number += 1
        assert number < 60
        asked = office.ask(YOU, event_id="e", conference=ConferenceKey("acme", "c-9"))
        come = interrupted(office, number, late, lambda asked=asked: office.come(asked))  # type: ignore[misc]
        office.clock.advance(300)
        office.converge()
        office.settle(hours=0.1)
        assert office.watched(office.yours) or len(office.record(office.yours).channels) == 2, number
        assert len(list(office.store.live_links(office.yours))) == 1, number
        office.clock.advance(10)
        asked = office.ask(YOU)
        go = interrupted(office, number, late, lambda asked=asked: office.go(asked))  # type: ignore[misc]
        office.converge()
        office.queue.tasks.clear()
        assert office.store.enrolled() == [], number
        record = office.record(office.yours)
        assert not record.active, number
        assert all(not each.resource_id for each in record.channels), number
        assert list(office.store.live_links(office.yours)) == [], number
        office.clock.advance(3700)
    assert number > 8, "there was something to interrupt"
    assert office.calls("delete") == {}


# --- Links that are only said ---


def seeded(office: Office, event: str, conference: str = "c-1", provider: str = "acme") -> Enrolment:
    return office.ask(YOU, event_id=event, conference=ConferenceKey(provider, conference))


def test_a_link_that_is_only_said_moves_nothing(office: Office) -> None:
    office.acme.has["c-1"] = None
    office.come(seeded(office, "never-saved"))
    assert list(office.store.live_links(office.yours)) == []
    office.settle()
    office.sweep()
    assert office.calls() == {}
    [link] = office.store.provisional_links(office.clock.now(), 9)
    assert (link.calendar_key, link.event_id, link.live) == (office.yours, "never-saved", False)
    assert office.store.conferences([ConferenceKey("acme", "c-1")]) == []


def test_a_link_that_is_only_said_deletes_nothing_when_its_event_goes_unseen(office: Office) -> None:
    """Whoever says that an event carries somebody's conference, and deletes the event, deletes no conference."""
    event = office.meet("", calendar=YOU)
    office.acme.has["c-1"] = None
    office.come(seeded(office, event))
    office.act("delete", calendar=YOU, event=event)
    office.settle()
    office.sweep()
    assert office.calls() == {}
    assert len(office.store.provisional_links(office.clock.now(), 9)) == 1


def test_a_link_that_is_said_of_an_event_without_a_conference_deletes_nothing(office: Office) -> None:
    event = office.meet("", calendar=YOU)
    office.acme.has["c-1"] = None
    office.come(seeded(office, event))
    office.settle()
    office.act("delete", calendar=YOU, event=event)
    office.look(office.yours)
    office.settle()
    assert office.calls() == {}


def test_a_link_that_was_seen_is_a_link_like_any_other(office: Office) -> None:
    event = office.meet(calendar=YOU)
    office.come(seeded(office, event))
    office.settle()
    assert office.title() == "Planning"
    assert office.store.provisional_links(office.clock.now(), 9) == []
    office.act("delete", calendar=YOU, event=event)
    office.look(office.yours)
    office.settle()
    assert office.calls("delete") == {"c-1": 1}


def test_what_is_said_helps_to_recognise_a_conference_that_only_its_id_tells(office: Office) -> None:
    bare = {
        "conferenceId": "c-1",
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Some Call"},
        "entryPoints": [{"entryPointType": "video", "uri": "https://elsewhere.example/x", "label": "x"}],
    }
    event = office.meet("", calendar=YOU)
    office.act("replace_conference", calendar=YOU, event=event, conference=bare)
    office.acme.has["c-1"] = None
    office.come(office.ask(YOU))
    office.settle()
    assert office.calls() == {}
    office.clock.advance(60)
    office.come(seeded(office, event))
    office.act("retitle", calendar=YOU, event=event, title="Told")
    office.look(office.yours)
    office.settle()
    assert office.title() == "Told"


def test_what_is_known_of_an_event_is_not_overwritten_by_what_is_said(enrolled: Office) -> None:
    enrolled.come(seeded(enrolled, enrolled.event, "c-2"))  # type: ignore[attr-defined]
    [link] = enrolled.store.live_links(enrolled.yours)
    assert link.conference == ConferenceKey("acme", "c-1")
    assert enrolled.store.provisional_links(enrolled.clock.now() + 1, 9) == []


def test_what_is_said_of_a_provider_that_is_not_ours_is_left_alone(office: Office) -> None:
    office.come(seeded(office, "e", provider="zoom"))
    assert office.store.provisional_links(office.clock.now() + 1, 9) == []
    assert len(office.store.enrolled()) == 1


def test_what_is_said_while_a_pass_is_over_the_calendar_waits(enrolled: Office) -> None:
    enrolled.store.claim(enrolled.yours, "a pass")
    asked = seeded(enrolled, "e", "c-2")
    with pytest.raises(Transient):
        enrolled.come(asked)
    enrolled.clock.advance(100)
    enrolled.come(asked)
    assert len(enrolled.store.provisional_links(enrolled.clock.now() + 1, 9)) == 1
