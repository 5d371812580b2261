"""What becomes of conferences when meetings change: whole passes over the real client, store and wire."""

from dataclasses import replace
from typing import Any

import pytest

from sync.channel import calendar_key
from sync.codes import Code
from sync.conference import State
from sync.cursor import Cursor, PageToken, SyncToken, Window
from sync.errors import SyncTokenGone, Transient
from sync.meeting import Meeting
from sync.ports import CalendarId, EnrolledCalendar, Outcome, Page, Reason, Target, WiredCalendar
from sync.recognise import KNOWN, ConferenceKey
from sync.rules import Rules
from tests.passes.conftest import GRACE_S, ME, SYSTEM, YOU, Town, conferencing

C1 = ConferenceKey("acme", "c-1")


def title(town: Town, conference: str = "c-1") -> str:
    meeting = town.acme.has[conference]
    assert meeting is not None
    return meeting.title


def test_a_new_meeting_gives_its_conference_title_and_times(town: Town) -> None:
    start = town.at(24)
    town.meet(title="Planning", hours=24)
    town.settle()
    meeting = town.acme.has["c-1"]
    assert meeting is not None
    assert (meeting.title, meeting.start.isoformat()) == ("Planning", start)
    assert town.calls() == {"c-1": 1}


def test_a_moved_meeting_moves_its_conference_once(town: Town) -> None:
    event = town.meet()
    town.settle()
    start, end = town.at(48), town.at(49)
    town.act("move", event=event, start=start, end=end)
    town.settle()
    meeting = town.acme.has["c-1"]
    assert meeting is not None
    assert (meeting.start.isoformat(), meeting.end.isoformat()) == (start, end)
    assert town.calls("update") == {"c-1": 2}


def test_answers_of_guests_and_reminders_touch_nothing(town: Town) -> None:
    event = town.meet(attendees=[YOU, *(f"guest{n}@example.com" for n in range(10))])
    town.settle()
    for n in range(10):
        town.act("invite", event=event, attendees=[f"late{n}@example.com"])
    town.act("rsvp", event=event, calendar=YOU, response="accepted")
    town.act("touch", event=event)
    town.settle()
    assert town.calls() == {"c-1": 1}


def test_fifty_edits_between_two_looks_are_one_listing_and_one_call(town: Town) -> None:
    event = town.meet()
    town.settle()
    before = town.listings()
    for n in range(50):
        town.act("retitle", event=event, title=f"Planning {n}")
    town.look()
    assert town.listings() - before == 1
    assert town.calls("update") == {"c-1": 2}
    assert title(town) == "Planning 49"


def test_a_meeting_without_a_conference_is_none_of_our_business(town: Town) -> None:
    event = town.meet(conference="")
    town.settle()
    town.act("retitle", event=event, title="Lunch")
    town.act("delete", event=event)
    town.settle()
    assert town.calls() == {}


def test_a_deleted_meeting_takes_its_conference_with_it_after_the_grace(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.act("delete", event=event)
    town.settle(hours=0.75 * GRACE_S / 3600)
    assert "c-1" in town.acme.has
    town.settle()
    assert "c-1" not in town.acme.has
    assert town.calls("delete") == {"c-1": 1}


def test_a_deletion_that_a_full_listing_no_longer_mentions_is_asked_for_by_name(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.fault(expire_tokens=ME)
    with town.simulator.api.lock:  # its tombstone has been purged meanwhile
        del town.simulator.world.calendars[ME].events[event]
    town.settle()
    assert "c-1" not in town.acme.has


def test_a_meeting_restored_within_the_grace_keeps_its_conference_untouched(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.act("delete", event=event)
    town.look()
    town.act("restore", event=event)
    town.clock.advance(GRACE_S / 2)
    town.settle()
    assert town.calls() == {"c-1": 1}


def test_a_conference_that_was_deleted_and_is_wanted_again_is_told_as_restored(town: Town) -> None:
    reasons, update = list[Reason](), town.acme.update

    def listening(target: Target, meeting: Meeting) -> Outcome:
        reasons.append(target.reason)
        return update(target, meeting)

    town.acme.update = listening  # type: ignore[method-assign]
    event = town.meet()
    town.settle()
    town.act("delete", event=event)
    town.settle()
    assert "c-1" not in town.acme.has
    town.act("restore", event=event)
    town.settle()
    town.act("retitle", event=event, title="After")
    town.settle()
    assert reasons == [Reason.CHANGED, Reason.RESTORED, Reason.CHANGED]


def test_a_deletion_asks_first_and_is_called_off_if_the_restore_was_never_notified(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.act("delete", event=event)
    town.look()
    town.act("restore", event=event)  # nobody looks until the grace is over
    town.settle()
    assert town.calls("delete") == {}
    assert "c-1" in town.acme.has


def test_two_meetings_may_share_a_conference_and_the_first_deletion_leaves_it(town: Town) -> None:
    event = town.meet()
    copy = town.act("copy_event", event=event, start=town.at(72), end=town.at(73))
    town.settle()
    town.act("delete", event=event)
    town.settle()
    assert "c-1" in town.acme.has
    town.act("delete", event=copy["id"])
    town.settle()
    assert "c-1" not in town.acme.has


def test_a_conference_the_user_removed_is_deleted_after_the_grace(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.act("strip_conference", event=event)
    town.settle()
    assert "c-1" not in town.acme.has


def test_a_conference_the_user_replaced_goes_and_the_new_one_follows_the_meeting(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.acme.has["c-2"] = None
    town.act("replace_conference", event=event, conference=conferencing("c-2"))
    town.settle()
    assert "c-1" not in town.acme.has
    assert title(town, "c-2") == "Planning"


def test_a_guests_copy_drives_nothing(town: Town) -> None:
    event = town.meet(calendar=YOU, attendees=[ME])
    town.settle()
    town.act("delete", event=event, calendar=ME)
    town.settle()
    assert town.calls() == {}


def test_a_meeting_moved_to_another_calendar_keeps_its_conference(town: Town) -> None:
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    other = town.enrol(YOU)
    event = town.meet()
    town.settle()
    town.look(other)
    town.act("move_to_calendar", event=event, to=YOU)
    town.settle()  # the other calendar's notification was lost: it is woken before anything is deleted
    assert "c-1" in town.acme.has
    assert town.calls("delete") == {}


def test_a_dead_token_costs_one_full_listing_and_loses_no_change(town: Town) -> None:
    event = town.meet()
    gone = town.meet(conference="c-2")
    town.settle()
    town.fault(expire_tokens=ME)
    town.act("retitle", event=event, title="Moved on")
    town.act("delete", event=gone)
    town.settle()
    assert title(town) == "Moved on"
    assert "c-2" not in town.acme.has
    assert town.calls() == {"c-1": 2, "c-2": 2}


def test_a_full_listing_leaves_alone_what_was_over_before_its_window(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.clock.advance(town.policy.window_s + 3 * 86400)
    town.settle()
    town.fault(expire_tokens=ME)
    with town.simulator.api.lock:  # purged: neither listed nor mentioned as deleted
        del town.simulator.world.calendars[ME].events[event]
    town.settle()
    assert "c-1" in town.acme.has
    assert town.calls("delete") == {}


def test_a_full_listing_that_meets_a_dead_token_again_stops(town: Town) -> None:
    town.meet()
    town.settle()
    real, asked = town.outside.calendar, list[Cursor]()

    class Dead:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def list_page(self, _calendar: Any, cursor: Cursor, _page_token: str) -> Any:
            asked.append(cursor)
            raise SyncTokenGone("410")

    town.outside = replace(town.outside, calendar=Dead())  # type: ignore[arg-type]
    with pytest.raises(SyncTokenGone):
        town.look()
    assert [type(each) for each in asked] == [SyncToken, Window]
    record = town.store.calendar(town.key)
    assert record is not None
    assert (record.failures, record.lease.owner) == (1, "")


def test_a_full_listing_that_is_refused_as_gone_freezes_and_alerts(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    town.meet()
    town.settle()
    before = town.listings()
    town.fault(where="events.list", status=410, reason="fullSyncRequired", times=0)
    capsys.readouterr()
    town.look()
    assert town.listings() - before == 2
    assert '"severity":"ERROR","message":"access_lost"' in capsys.readouterr().out
    record = town.store.calendar(town.key)
    assert record is not None
    assert record.frozen
    assert town.calls("delete") == {}


def test_a_token_google_calls_malformed_is_as_good_as_dead(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.fault(spoil_tokens=ME)
    town.act("retitle", event=event, title="Moved on")
    town.settle()
    assert title(town) == "Moved on"


def test_losing_access_freezes_the_calendar_and_deletes_nothing(town: Town) -> None:
    town.meet()
    town.settle()
    town.act("change_role", user=ME, role="none", calendar=ME)
    town.fault(where="events.list", status=404, times=0)
    town.look()
    record = town.store.calendar(town.key)
    assert record is not None
    assert record.frozen
    for _ in range(3):
        town.sweep()
    assert "c-1" in town.acme.has
    assert town.calls("delete") == {}


def test_a_calendar_that_can_be_read_again_thaws(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.fault(where="events.list", status=404)
    town.look()
    town.act("retitle", event=event, title="Back")
    town.sweep()
    record = town.store.calendar(town.key)
    assert record is not None
    assert not record.frozen
    assert title(town) == "Back"


def test_a_pass_with_nothing_new_costs_one_listing_one_read_and_two_writes(town: Town) -> None:
    town.meet()
    town.settle()
    listed, called = town.listings(), len(town.acme.calls)
    town.store.reset_counts()
    town.look()
    assert (town.store.reads, town.store.writes) == (1, 2)
    assert town.listings() - listed == 1
    assert len(town.acme.calls) == called


def test_more_deletions_than_usual_wait_for_a_person(town: Town) -> None:
    events = [town.meet(conference=f"c-{n}", hours=24 + n) for n in range(10)]
    town.settle()
    for event in events[:8]:
        town.act("delete", event=event)
    town.settle()
    assert sum(f"c-{n}" in town.acme.has for n in range(10)) == 10
    [held] = town.store.conferences([ConferenceKey("acme", "c-0")])
    assert held.state is State.HELD
    assert held.decisions[-1].decision.code is Code.HELD


def test_a_conference_is_not_deleted_while_its_meeting_runs(town: Town) -> None:
    event = town.meet(hours=0)  # since the full hour, until the next
    town.look()
    town.act("delete", event=event)
    town.look()
    town.clock.advance(1 + GRACE_S)
    town.act("touch", event=town.meet(conference="", hours=72))
    town.look()
    assert "c-1" in town.acme.has
    town.settle(hours=3)
    assert "c-1" not in town.acme.has


def test_a_deletion_waits_for_an_event_that_became_a_guest_copy(town: Town) -> None:
    """Its meeting may well live on: we only no longer see it as its organizer."""
    event = town.meet()
    copy = town.act("copy_event", event=event, start=town.at(72), end=town.at(73))
    town.settle()
    with town.simulator.api.lock:  # no act of a person in this calendar makes somebody else its organizer
        town.simulator.world.calendars[ME].events[copy["id"]].shared["organizer"] = {"email": YOU}
    town.act("touch", event=copy["id"])
    town.settle()
    town.act("delete", event=event)
    town.settle()
    assert "c-1" in town.acme.has


def test_rules_that_no_longer_recognise_a_conference_delete_nothing(town: Town) -> None:
    uri = {"entryPointType": "video", "uri": "https://calls.acme.example/j/c-1"}
    only_a_link = {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Acme Call"},
        "entryPoints": [uri],
    }
    event = town.meet(conference="", title="Before")
    town.act("replace_conference", event=event, conference=only_a_link)
    town.acme.has["c-1"] = None
    town.settle()
    assert title(town) == "Before"
    misspelt = replace(SYSTEM, hosts=("calls.acme.exmaple",))
    town.policy = replace(town.policy, rules=Rules((misspelt,), frozenset({"acme"})))
    town.settle()
    town.act("retitle", event=event, title="After")
    for _ in range(3):
        town.sweep()
    assert town.calls("delete") == {}
    town.policy = replace(town.policy, rules=Rules((SYSTEM,), frozenset({"acme"})))
    town.settle()
    assert title(town) == "After"


def test_a_listing_shown_to_several_roles_is_listed_again_in_full(town: Town) -> None:
    town.act("change_role", calendar=YOU, user=ME, role="reader")
    yours = town.enrol(YOU)
    town.meet("c-1", calendar=YOU, visibility="private")
    list_page = town.outside.calendar.list_page

    def promoted_in_between(calendar: CalendarId, cursor: Cursor, page_token: str) -> Page:
        page = list_page(calendar, cursor, page_token)
        if page_token or isinstance(cursor, SyncToken):
            return page
        town.act("change_role", calendar=YOU, user=ME, role="writer")
        return replace(page, end=PageToken("the same again"))

    def page(calendar: CalendarId, cursor: Cursor, page_token: str) -> Page:
        if page_token:
            return replace(list_page(calendar, cursor, ""), items=())
        return promoted_in_between(calendar, cursor, page_token)

    town.outside.calendar.list_page = page  # type: ignore[method-assign]
    town.look(yours)
    assert town.acme.has["c-1"] is None
    town.outside.calendar.list_page = list_page  # type: ignore[method-assign]
    town.look(yours)
    assert town.acme.has["c-1"] is not None


def unrecognisable(name: str) -> dict[str, object]:
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Acme Kall"},
        "entryPoints": [{"entryPointType": "video", "uri": f"https://kall.example/{name}"}],
    }


def test_a_conference_that_no_rule_knows_is_remembered_by_how_it_calls_itself(town: Town) -> None:
    for name in ("a", "b"):
        town.act(
            "create_meeting", title="T", start=town.at(24), end=town.at(25), conference=unrecognisable(name)
        )
    town.settle()
    town.fault(expire_tokens=ME)
    town.settle()
    stranger = town.store.calendar(town.key).stranger  # type: ignore[union-attr]
    assert stranger is not None
    assert (stranger.solution, stranger.number) == ("Acme Kall", 2)


def test_a_conference_of_a_system_that_nobody_configured_is_no_stranger(town: Town) -> None:
    meet = unrecognisable("a") | {
        "entryPoints": [{"entryPointType": "video", "uri": "https://meet.google.com/abc-defg-hij"}]
    }
    town.act("create_meeting", title="T", start=town.at(24), end=town.at(25), conference=meet)
    town.settle()
    assert town.store.calendar(town.key).stranger is None  # type: ignore[union-attr]


def test_why_a_pass_failed_is_remembered_until_one_succeeds(town: Town) -> None:
    town.fault(where="events.list", nth=1, status=503)
    town.look()
    assert "503" in town.store.calendar(town.key).failed  # type: ignore[union-attr]
    town.look()
    assert town.store.calendar(town.key).failed == ""  # type: ignore[union-attr]


# --- Calendars that are new ---


def test_a_deletion_waits_for_a_calendar_that_is_wired_and_was_never_looked_at(town: Town) -> None:
    """The event was moved into it, and of that nothing is known yet."""
    event = town.meet()
    town.settle()
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    town.act("move_to_calendar", event=event, to=YOU)
    town.look()
    town.store.wire("", (*town.store.wired().calendars, WiredCalendar("yours", CalendarId(YOU))))
    town.settle(hours=12)
    assert town.calls("delete") == {}
    town.enrol(YOU)
    town.settle(hours=12)
    assert town.calls("delete") == {}
    assert town.acme.has["c-1"] is not None


def test_one_that_is_enrolled_counts_as_well_and_one_that_is_paused_does_not(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.act("delete", event=event)
    yours = calendar_key(town.store.salt(), YOU)
    town.store.wire("", (*town.store.wired().calendars, WiredCalendar("yours", CalendarId(YOU), paused=True)))
    town.store.enrol(yours, EnrolledCalendar(CalendarId("else@example.com"), 1.0))
    town.settle(hours=12)
    assert town.calls("delete") == {}
    town.store.withdraw(yours, 2.0)
    town.settle(hours=12)
    assert town.calls("delete") == {"c-1": 1}


def test_an_upgrade_that_finds_conferences_by_their_links_learns_them_of_events_that_stay_as_they_are(
    town: Town,
) -> None:
    town.meet()
    town.settle()
    key = ConferenceKey("acme", "c-1")
    [before] = town.store.conferences([key])
    located = replace(SYSTEM, located=True)
    town.policy = replace(town.policy, rules=replace(town.policy.rules, systems=(located, *KNOWN)))
    town.look()
    [after] = town.store.conferences([key])
    assert (before.locator, after.locator) == ("", "https://calls.acme.example/j/c-1")


def test_what_a_shared_conference_waits_for_is_done_by_the_other_calendar_when_its_own_is_unwired(
    town: Town,
) -> None:
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    yours = town.enrol(YOU)
    event = town.meet(title="Before", hours=24)
    town.act("copy_event", event=event, to=YOU, start=town.at(48), end=town.at(49))
    town.look(yours)
    town.settle()
    town.acme.faults = [Transient("503")] * 3
    town.act("retitle", event=event, title="After")
    town.act("move", event=event, start=town.at(72), end=town.at(73))
    town.look()
    town.store.wire("", [each for each in town.store.wired().calendars if each.calendar.id == YOU])
    town.converge()
    town.queue.tasks.clear()
    town.acme.faults = []
    town.sweep()
    meeting = town.acme.has["c-1"]
    assert meeting is not None
    assert meeting.title == "Before", "it is told what the other calendar says of it"
    [conference] = town.store.conferences([C1])
    assert conference.home == yours
    assert not conference.pending
