"""Scenes: what stories have shown by chance, told on purpose from then on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync.conference import Intent
from sync.ports import CalendarId, CalendarRecord, WiredCalendar, Wiring
from sync.recognise import ConferenceKey
from tests.simulation import provider
from tests.simulation.google import BROKEN, SYNC, WorldCalendar
from tests.simulation.judge import DAY_S
from tests.simulation.people import ME, YOU, conferencing
from tests.simulation.store import MemoryStore
from tests.simulation.story import Story, play
from tests.simulation.weather import Fate


def wait(story: Story, seconds: float = 60.0) -> None:
    story.nature.schedule.sleep(seconds)


def act(story: Story, **what: Any) -> str:
    """Somebody does this, all is told, and here is the event that came of it, if a new one did."""
    events = story.world.calendars[what.pop("at_calendar", ME)].events
    known = set(events)
    story.act(lambda: story.people.do({"calendar": ME, **what}))
    wait(story)
    return next(iter(events.keys() - known), "")


def is_wanted(story: Story, conference: str) -> bool:
    return story.kept.conferences[ConferenceKey(provider.NAME, conference)].wanted


def test_who_sleeps_on_an_intent_does_not_call_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody took its lease meanwhile, and still it is too late: another calendar's pass has told newer."""
    asleep: list[Story] = []
    change = MemoryStore.change

    def change_and_sleep(self: MemoryStore, *args: Any) -> Any:
        answer = change(self, *args)
        if asleep and isinstance(answer[0], Intent):
            wait(asleep.pop(), 200.0)
        return answer

    def scene(story: Story) -> None:
        story.deploy()
        wait(story)
        first = story.meet()
        wait(story)
        times = {"start": "2026-02-05T10:00:00+00:00", "end": "2026-02-05T11:00:00+00:00"}
        second = act(story, do="copy_event", event=first, to=YOU, at_calendar=YOU, **times)
        asleep.append(story)
        act(story, do="move", event=first, start="2026-01-07T10:00:00+00:00", end="2026-01-07T11:00:00+00:00")
        act(story, do="retitle", calendar=YOU, event=second, title="Newer")
        wait(story, 3600.0)
        story.judge.all_is_told(0.0)

    monkeypatch.setattr(MemoryStore, "change", change_and_sleep)
    assert play(0, "pure", scene).violation == ""


def test_an_occurrence_that_a_split_gave_to_another_series_does_not_go_with_the_old_one() -> None:
    wanted: list[bool] = []

    def scene(story: Story) -> None:
        story.deploy()
        wait(story)
        series = act(
            story,
            do="create_meeting",
            title="Daily",
            start="2026-01-06T09:00:00+00:00",
            end="2026-01-06T10:00:00+00:00",
            time_zone="UTC",
            recurrence=["RRULE:FREQ=DAILY"],
            conference=conferencing(f"{provider.HOST}/j/c-1"),
        )
        moved = {"start": "2026-01-10T12:00:00+00:00", "end": "2026-01-10T13:00:00+00:00"}
        occurrence = act(story, do="move_occurrence", event=series, at="2026-01-10T09:00:00+00:00", **moved)
        own = conferencing(f"{provider.HOST}/j/c-2")
        act(story, do="replace_conference", event=occurrence, conference=own)
        act(story, do="split_series", event=series, at="2026-01-09T09:00:00+00:00", title="Later")
        act(story, do="delete", event=series)
        wanted.append(is_wanted(story, "c-2"))

    assert play(0, "pure", scene).violation == ""
    assert wanted == [True]


def test_a_calendar_unshared_in_the_middle_of_a_pass_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """To Google, a calendar that is not shared with us and an event that is not there are the same."""
    wanted: list[bool] = []
    leaving: list[Story] = []
    list_page = WorldCalendar.list_page

    def list_and_leave(self: WorldCalendar, *args: Any) -> Any:
        page = list_page(self, *args)
        if leaving:
            leaving.pop().world.change_role(ME, SYNC, "none")
        return page

    def scene(story: Story) -> None:
        story.deploy()
        wait(story)
        story.nature.weather.rates["provider", Fate.LANDS_LATER] = 1.0
        story.meet()
        wait(story, 12.0)
        story.nature.weather.clear_up()
        leaving.append(story)
        wait(story, 400.0)
        wanted.append(is_wanted(story, "c-1"))

    monkeypatch.setattr(WorldCalendar, "list_page", list_and_leave)
    assert play(0, "pure", scene).violation == ""
    assert not leaving
    assert wanted == [True]


def repeated(story: Story, start_s: float, length_s: float, rule: str) -> dict[str, Any]:
    """A series with a conference, from `start_s` seconds from now on."""
    start = datetime.fromtimestamp(story.nature.schedule.now + start_s, UTC).replace(microsecond=0)
    return {
        "do": "create_meeting",
        "title": "Daily",
        "start": start.isoformat(),
        "end": (start + timedelta(seconds=length_s)).isoformat(),
        "time_zone": "UTC",
        "recurrence": [f"RRULE:FREQ=DAILY{rule}"],
        "conference": conferencing(f"{provider.HOST}/j/c-1"),
    }


def test_a_counted_series_that_is_over_is_not_missed_where_nobody_is_shown_it() -> None:
    def scene(story: Story) -> None:
        story.act(
            lambda: story.people.do({"calendar": ME, **repeated(story, -4 * DAY_S, 1800.0, ";COUNT=3")})
        )
        story.deploy()
        wait(story)

    assert play(0, "pure", scene).violation == ""


def test_what_an_event_says_that_could_not_be_read_is_told_when_it_can() -> None:
    def scene(story: Story) -> None:
        story.deploy()
        wait(story)
        first = story.meet()
        earlier = {"start": "2026-01-05T10:00:00+00:00", "end": "2026-01-05T11:00:00+00:00"}
        act(story, do="copy_event", event=first, to=YOU, at_calendar=YOU, **earlier)
        act(story, do="retitle", event=first, title=BROKEN)
        act(story, do="strip_conference", event=first)
        wait(story, 300.0)
        story.act(lambda: story.do("retitle", first, title="Mended"))
        story.judge.all_is_told(150.0)
        wait(story, 150.0)
        story.judge.all_is_told(150.0)

    assert play(0, "pure", scene).violation == ""


def test_what_only_unreadable_events_use_may_go_when_its_meeting_is_over() -> None:
    deleted: list[bool] = []

    def scene(story: Story) -> None:
        story.deploy()
        wait(story)
        event = act(story, **repeated(story, -3600.0, 4700.0, ""))
        copied = {"start": "2026-01-05T19:00:00+00:00", "end": "2026-01-05T20:00:00+00:00"}
        known = set(story.world.calendars[YOU].events)
        story.act(lambda: story.do("copy_event", event, to=YOU, **copied))
        [copy] = story.world.calendars[YOU].events.keys() - known
        story.act(lambda: story.people.do({"do": "retitle", "calendar": YOU, "event": copy, "title": BROKEN}))
        act(story, do="delete", event=event)
        story._heal()
        deleted.append("c-1" not in story.acme.has)

    assert play(0, "pure", scene).violation == ""
    assert deleted == [True]


def test_a_calendar_that_comes_while_a_deletion_is_confirmed_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coming: list[Story] = []
    tally = MemoryStore.tally

    def tally_and_come(self: MemoryStore, calendar_key: str, now: float) -> Any:
        if coming:
            key = coming.pop().judge.keys[YOU]
            self.tend(key, lambda _, now: CalendarRecord(key, CalendarId(YOU), due_at=now))
        return tally(self, calendar_key, now)

    def scene(story: Story) -> None:
        story.deploy()
        wait(story)
        event = story.meet()
        wait(story)
        story.act(lambda: story.do("delete", event))
        del story.kept.calendars[story.judge.keys[YOU]]
        others = (each for each in story.kept.wiring.calendars if each.calendar.id != YOU)
        story.kept.wiring = replace(story.kept.wiring, calendars=tuple(others))
        coming.append(story)
        wait(story, 450.0)

    monkeypatch.setattr(MemoryStore, "tally", tally_and_come)
    assert play(0, "pure", scene).violation == ""
    assert not coming


# --- Calendars that come and go ---


def record(story: Story, calendar: str) -> CalendarRecord:
    return story.kept.calendars[story.judge.keys[calendar]]


def test_who_enrols_twice_is_watched_once() -> None:
    channels: list[int] = []

    def scene(story: Story) -> None:
        story.deploy()
        story.come(YOU)
        story.come(YOU)
        wait(story, 120.0)
        story.come(YOU)
        wait(story, 120.0)
        channels.append(len(record(story, YOU).channels))
        event = act(story, do="create_meeting", calendar=YOU, at_calendar=YOU, **tomorrow(story))
        act(story, do="retitle", calendar=YOU, event=event, title="Told")
        story.judge.all_is_told(0.0)

    assert play(0, "comers", calm(scene)).violation == ""
    assert channels == [1]


def test_who_withdraws_while_a_pass_runs_is_left_alone_after_it() -> None:
    live: list[int] = []

    def scene(story: Story) -> None:
        story.deploy()
        story.come(YOU)
        event = act(story, do="create_meeting", calendar=YOU, at_calendar=YOU, **tomorrow(story))
        story.nature.slow = "calendar"  # the pass takes long
        story.act(
            lambda: story.people.do({"do": "retitle", "calendar": YOU, "event": event, "title": "Later"})
        )
        wait(story, 8.5)
        assert record(story, YOU).lease.owner
        story.go(YOU)
        wait(story, 300.0)
        links = story.kept.links[story.judge.keys[YOU]].values()
        live.append(sum(link.live for link in links))
        act(story, do="delete", calendar=YOU, event=event)
        wait(story, 2000.0)
        live.append(int("c-1" in story.acme.has))
        live.append(int(record(story, YOU).active))

    assert play(0, "comers", calm(scene)).violation == ""
    assert live == [0, 1, 0]


def test_what_was_only_said_of_an_event_that_nobody_saved_moves_nothing() -> None:
    said: list[int] = []

    def scene(story: Story) -> None:
        story.deploy()
        story.meet()
        wait(story)
        before = story.acme.calls.total()
        story.come(YOU, "never-saved", "c-1")
        wait(story, 4000.0)
        links = story.kept.links[story.judge.keys[YOU]]
        said.append(sum(link.provisional_at is not None for link in links.values()))
        said.append(story.acme.calls.total() - before)
        said.append(int(is_wanted(story, "c-1")))

    assert play(0, "comers", calm(scene)).violation == ""
    assert said == [1, 0, 1]


def test_who_is_enrolled_and_then_wired_goes_on_without_a_break() -> None:
    seen: list[object] = []

    def scene(story: Story) -> None:
        story.deploy()
        story.come(YOU)
        event = act(story, do="create_meeting", calendar=YOU, at_calendar=YOU, **tomorrow(story))
        wired = (*story.kept.wiring.calendars, WiredCalendar("wired", CalendarId(YOU)))
        story.kept.wiring = Wiring(story.kept.wiring.webhook_url, wired)
        before = story.calendar.full_listings
        wait(story, 700.0)
        act(story, do="retitle", calendar=YOU, event=event, title="Wired")
        story.judge.all_is_told(0.0)
        story.go(YOU)  # the wire speaks
        wait(story, 700.0)
        seen.extend(
            (record(story, YOU).label, record(story, YOU).active, story.calendar.full_listings - before)
        )

    assert play(0, "comers", calm(scene)).violation == ""
    assert seen == ["wired", True, 0]


def calm(scene: Callable[[Story], None]) -> Callable[[Story], None]:
    """A scene in fair weather."""

    def in_fair_weather(story: Story) -> None:
        story.nature.weather.clear_up()
        story.nature.slow = ""
        scene(story)

    return in_fair_weather


def tomorrow(story: Story) -> dict[str, Any]:
    """A meeting with the conference c-1, which its provider has."""
    story.acme.has["c-1"] = None
    return {
        "title": "Meeting",
        "start": "2026-01-06T09:00:00+00:00",
        "end": "2026-01-06T10:00:00+00:00",
        "conference": conferencing(f"{provider.HOST}/j/c-1"),
    }
