"""Converge: every wired calendar keeps one good channel, and no calendar's trouble leaves records behind."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from sync import tend, watching
from sync.channel import Channel, ChannelState, Key, Keys, calendar_key
from sync.errors import AccessLost, RateLimited, Refused, SyncError, Timeout, Transient, Unsupported
from sync.ledger import Link
from sync.policy import Policy
from sync.ports import (
    CalendarId,
    CalendarRecord,
    DueCalendar,
    EnrolledCalendar,
    Outside,
    Store,
    Task,
    Watch,
    WiredCalendar,
    Wiring,
)
from sync.wake import Buckets
from tests.clock import ManualClock

OLD, NEW = Key("k1", bytes(32)), Key("k2", bytes(32))
HERE = "https://hook.example/"
DAY = 86400.0
ME = CalendarId("me@example.com")
MINE = calendar_key(b"salt", ME.id)


class Google:
    """Opens channels for a week, unless it is told what to raise."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.opened: list[str] = []
        self.stopped: list[str] = []
        self.refuses_to_watch: SyncError | None = None
        self.refuses_to_stop: SyncError | None = None
        self.meanwhile: Callable[[], object] = lambda: None  # while a watch call is on its way

    def watch(self, calendar: CalendarId, channel_id: str, token: str, address: str, life_s: float) -> Watch:
        self.opened.append(channel_id)
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        if self.refuses_to_watch:
            raise self.refuses_to_watch
        return Watch(f"resource of {channel_id}", self.clock.now() + life_s)

    def stop(self, channel: Channel) -> None:
        self.stopped.append(channel.id)
        if self.refuses_to_stop:
            raise self.refuses_to_stop


class Shelf:
    """The records of wired calendars, in memory; and a queue that takes everything."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.wiring = Wiring(HERE, (WiredCalendar("mine", ME),))
        self.records: dict[str, CalendarRecord] = {}
        self.enrolments: list[EnrolledCalendar] = []
        self.tasks: list[Task] = []
        self.refuses_wakes = 0
        self.due: list[DueCalendar] = []
        self.provisional: list[Link] = []

    def wired(self) -> Wiring:
        return self.wiring

    def enrolled(self) -> list[EnrolledCalendar]:
        return self.enrolments

    def due_calendars(self, limit: int) -> list[DueCalendar]:
        return self.due[:limit]

    def provisional_links(self, before: float, limit: int) -> list[Link]:
        return [link for link in self.provisional if (link.end or 0.0) < before][:limit]

    def salt(self) -> bytes:
        return b"salt"

    def calendar(self, key: str) -> CalendarRecord | None:
        return self.records.get(key)

    def calendars(self) -> list[CalendarRecord]:
        return list(self.records.values())

    def tend(
        self, key: str, body: Callable[[CalendarRecord | None, float], CalendarRecord]
    ) -> CalendarRecord:
        self.records[key] = body(self.records.get(key), self.clock.now())
        return self.records[key]

    def create(self, task: Task) -> bool:
        if self.refuses_wakes:
            self.refuses_wakes -= 1
            raise Transient("the queue does not answer")
        self.tasks.append(task)
        return True


class Town:
    """All that converge needs, and one wired calendar."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.google, self.store = Google(self.clock), Shelf(self.clock)
        self.policy = cast(Policy, _Policy())

    @property
    def outside(self) -> Outside:
        return Outside(*cast(Any, (self.google, self.store, None, self.store, self.clock)))

    def converge(self, key: Key = OLD, *known: Key) -> tend.Verdict:
        return tend.converge(self.outside, self.policy, key, Keys(known or (key,)))

    def wire(self, *calendars: CalendarId, paused: bool = False) -> list[str]:
        """These and no others; returns their keys."""
        wired = tuple(WiredCalendar(f"slug-{n}", each, paused) for n, each in enumerate(calendars))
        self.store.wiring = replace(self.store.wiring, calendars=wired)
        return [calendar_key(b"salt", each.id) for each in calendars]

    @property
    def channels(self) -> tuple[Channel, ...]:
        return self.store.records[MINE].channels

    def become(self, **fields: Any) -> None:
        self.store.records[MINE] = replace(self.store.records[MINE], **fields)


class _Policy:
    channel_life_s = 7 * DAY
    buckets = Buckets()
    sweep_s = 6 * 3600.0


@pytest.fixture
def town() -> Town:
    return Town()


def test_a_wired_calendar_gets_one_channel_and_keeps_it(town: Town) -> None:
    assert (town.converge().opened, town.converge().opened) == (1, 0)
    assert [each.state for each in town.channels] == [ChannelState.OPEN]


def test_a_channel_signed_with_a_key_that_is_gone_is_replaced(town: Town) -> None:
    town.converge(OLD)
    assert town.converge(OLD, OLD, NEW).opened == 0
    assert town.converge(NEW, NEW).opened == 1
    assert town.converge(NEW, NEW).dark == 0
    town.converge(NEW, NEW)
    assert [each.key_id for each in town.channels] == [NEW.id]


def test_a_newer_key_has_channels_replaced_in_their_turn_and_a_process_that_is_behind_does_not_undo_it(
    town: Town,
) -> None:
    town.converge(OLD)
    assert town.converge(NEW, OLD, NEW).opened == 1
    town.converge(NEW, OLD, NEW)
    assert [each.key_id for each in town.channels] == [NEW.id]
    assert town.converge(OLD, OLD, NEW).opened == 0


@pytest.mark.parametrize("refusal", [Unsupported, Refused, AccessLost, RateLimited])
def test_a_watch_that_is_refused_leaves_no_record(town: Town, refusal: type[SyncError]) -> None:
    town.google.refuses_to_watch = refusal("no")
    assert town.converge().failed == 1
    assert len(town.google.opened) == 1
    assert town.channels == ()


@pytest.mark.parametrize("doubt", [Transient, Timeout])
def test_a_watch_of_unknown_outcome_is_stopped_once_a_later_one_tells_what_google_calls_the_calendar(
    town: Town, doubt: type[SyncError]
) -> None:
    town.google.refuses_to_watch = doubt("no answer")
    town.converge()
    [lost] = town.channels
    assert lost.state is ChannelState.OPENING
    town.google.refuses_to_watch = None
    town.clock.advance(300)
    town.converge()
    assert {each.state for each in town.channels} == {ChannelState.OPENING, ChannelState.OPEN}
    town.clock.advance(3600 - 301)
    town.converge()
    assert town.google.stopped == []
    town.clock.advance(1)
    assert town.converge().stopped == 1
    assert town.google.stopped == [lost.id]
    assert [each.state for each in town.channels] == [ChannelState.OPEN]


def test_a_watch_of_unknown_outcome_is_forgotten_when_it_cannot_run_any_more(town: Town) -> None:
    town.google.refuses_to_watch = Transient("no answer")
    town.converge()
    [lost] = town.channels
    town.google.refuses_to_watch = RateLimited("no, and that is sure")
    town.clock.advance(7 * DAY - 1)
    town.converge()
    assert town.channels == (lost,)
    town.clock.advance(1)
    town.converge()
    assert town.channels == ()


def test_a_week_without_answers_leaves_no_heap_and_no_storm(town: Town) -> None:
    town.google.refuses_to_watch = Transient("no answer")
    for _ in range(7 * 24 * 12):
        town.converge()
        town.clock.advance(300)
    assert len(town.channels) <= 30
    assert len(town.google.opened) <= 7 * 24 + 10


def test_a_channel_counts_only_when_the_look_is_sure_that_finds_what_changed_before_it(town: Town) -> None:
    town.store.refuses_wakes = 1
    assert town.converge().failed == 1
    assert [each.state for each in town.channels] == [ChannelState.OPENING]
    town.clock.advance(300)
    assert town.converge().opened == 1
    assert [task.subject for task in town.store.tasks] == [MINE]


# --- Several runs at once ---


def test_two_runs_at_once_open_one_channel(town: Town) -> None:
    town.google.meanwhile = town.converge
    verdict = town.converge()
    assert (verdict.opened, len(town.google.opened)) == (1, 1)
    assert [each.state for each in town.channels] == [ChannelState.OPEN]


def test_a_run_that_was_overtaken_opens_nothing_for_a_calendar_that_another_run_has_seen_to(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the records before the other one opened a channel, and comes to this calendar after it."""
    town.converge()
    town.become(channels=())
    stale = [town.store.records[MINE]]
    town.converge()
    monkeypatch.setattr(town.store, "calendars", lambda: stale)
    assert town.converge().opened == 0
    assert len(town.channels) == 1


# --- Bounded, and the most urgent first ---


def office(town: Town, size: int) -> list[str]:
    return town.wire(*(CalendarId(f"{number}@example.com") for number in range(size)))


def test_a_run_takes_so_many_steps_and_leaves_the_rest_to_the_next(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tend, "_STEPS", 40)
    office(town, 100)
    runs = [town.converge() for _ in range(4)]
    assert [(each.opened, each.left, each.dark) for each in runs] == [
        (40, 60, 60),
        (40, 20, 20),
        (20, 0, 0),
        (0, 0, 0),
    ]


def test_a_run_takes_so_long_and_no_longer(town: Town) -> None:
    office(town, 100)
    watch = town.google.watch

    def slow(*asked: Any) -> Watch:
        town.clock.advance(20.0)
        return watch(*asked)

    town.google.watch = slow  # type: ignore[method-assign]
    verdict = town.converge()
    assert (verdict.opened, verdict.left) == (12, 88)


def test_calendars_that_nobody_watches_come_first_then_the_channels_that_end_first(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = office(town, 6)
    town.converge()
    for number, key in enumerate(keys):
        record = town.store.records[key]
        [channel] = record.channels
        ends_at = town.clock.now() + (10 - number) * 3600
        old = replace(channel, opened_at=ends_at - 7 * DAY, expires_at=ends_at)
        town.store.records[key] = replace(record, channels=(old,))
    for number, listed_at in ((2, 50.0), (4, 10.0)):
        record = replace(town.store.records[keys[number]], channels=(), listed_at=listed_at)
        town.store.records[keys[number]] = record
    town.google.opened.clear()
    town.converge()
    calendar_of = {each.id: key for key in keys for each in town.store.records[key].channels}
    assert len(town.google.opened) == 6
    order = [keys.index(calendar_of[channel_id]) for channel_id in town.google.opened]
    assert order == [4, 2, 5, 3, 1, 0]


def test_calendars_that_fail_do_not_keep_the_others_waiting(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each that fails waits for longer and longer: a budget is not spent on them alone."""
    monkeypatch.setattr(tend, "_STEPS", 5)
    office(town, 20)
    watch, bad = town.google.watch, {f"{number}@example.com" for number in range(10)}

    def fails_for_some(calendar: CalendarId, *asked: Any) -> Watch:
        if calendar.id in bad:
            raise RateLimited("not now")
        return watch(calendar, *asked)

    town.google.watch = fails_for_some  # type: ignore[method-assign]
    for _ in range(12):
        verdict = town.converge()
        town.clock.advance(300)
    assert verdict.dark == len(bad)


# --- Calendars that Google does not watch ---


def test_a_calendar_that_google_does_not_watch_is_polled_and_tried_again_after_a_week(town: Town) -> None:
    town.google.refuses_to_watch = Unsupported("events.watch: 400 pushNotSupportedForRequestedResource")
    for _ in range(24 * 7 * 2):
        verdict = town.converge()
        town.clock.advance(1800)
    assert len(town.google.opened) == 1
    assert (verdict.polled, verdict.dark, verdict.failed) == (1, 1, 0)
    assert "pushNotSupported" in town.store.records[MINE].unwatchable
    town.google.refuses_to_watch = None
    assert town.converge().opened == 1
    assert town.store.records[MINE].unwatchable == ""


# --- Stop, or let lapse ---


@pytest.mark.parametrize("opener", ["", "ada@example.com"])
def test_a_channel_is_stopped_as_whoever_opened_it(town: Town, opener: str) -> None:
    town.wire(CalendarId(ME.id, opener))
    town.converge()
    town.wire(CalendarId(ME.id, "bob@example.com"))
    stopped: list[Channel] = []
    stop = town.google.stop
    town.google.stop = lambda each: (stopped.append(each), stop(each))  # type: ignore[assignment,method-assign,func-returns-value]
    town.converge()
    town.converge()
    assert [each.subject for each in stopped] == [opener]
    assert [each.subject for each in town.channels] == ["bob@example.com"]


def test_a_channel_that_cannot_be_stopped_is_not_asked_to_again_and_serves_if_it_is_wanted_again(
    town: Town,
) -> None:
    town.converge()
    town.wire()
    town.google.refuses_to_stop = AccessLost("channels.stop: 403 forbidden")
    verdicts = [town.converge() for _ in range(3)]
    assert [(each.stopped, each.unstoppable, each.failed) for each in verdicts] == [(0, 1, 0)] * 3
    assert len(town.google.stopped) == 1
    town.wire(ME)
    assert town.converge().opened == 0
    assert [each.lapsing for each in town.channels] == [True]


# --- What a run says ---


def test_a_verdict_says_how_the_calendars_stand(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    keys = office(town, 3)
    town.store.enrolments = [EnrolledCalendar(CalendarId("enrolled@example.com"), 1.0)]
    town.converge()
    town.store.records[keys[0]] = replace(town.store.records[keys[0]], frozen="404", channels=())
    town.clock.advance(2 * DAY)
    capsys.readouterr()
    town.converge()
    [said] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said["message"] == "converge"
    figures = ("calendars", "opened", "stopped", "failed", "left", "dark", "polled", "frozen", "unstoppable")
    assert [said[name] for name in figures] == [4, 0, 0, 0, 0, 1, 0, 1, 0]
    assert said["shortest_life_days"] == 5.0
    assert not {"notified_ago_s", "changed_ago_s"} & said.keys()


def test_silence_is_an_alert_of_its_own(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    office(town, 3)
    town.converge()
    town.clock.advance(300)
    town.converge()
    assert "push_silent" not in capsys.readouterr().out
    town.clock.advance(301)
    town.converge()
    silent = [line for line in capsys.readouterr().out.splitlines() if '"push_silent"' in line]
    assert [json.loads(line)["missing_notifications"] for line in silent] == [3]
    key, record = next(iter(town.store.records.items()))
    watching.greeted(cast(Store, town.store), key, record.channels[0].id)
    town.converge()
    assert "push_silent" not in capsys.readouterr().out


# --- The sweep ---


def test_the_least_recently_listed_are_looked_at_first_and_no_user_too_often(town: Town) -> None:
    town.store.due = [DueCalendar(f"cal{n}", "", float(100 - n)) for n in range(100)]
    assert tend.sweep(town.outside, town.policy) == 100
    assert [task.subject for task in town.store.tasks] == [f"cal{n}" for n in range(99, -1, -1)]
    wait = town.store.tasks[-1].due_at - town.store.tasks[0].due_at
    assert wait == pytest.approx(100 * 60 / 300, abs=5.0)


def test_a_wake_that_the_queue_does_not_take_keeps_no_other_from_being_made(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    town.store.due = [DueCalendar(f"cal{n}", "", 0.0) for n in range(5)]
    town.store.refuses_wakes = 2
    assert tend.sweep(town.outside, town.policy) == 3
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["woken"], said["failed"], said["left"], said["severity"]) == (3, 2, 0, "WARNING")


def test_a_queue_that_is_slow_does_not_hold_a_sweep_for_ever(
    town: Town, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    town.store.due = [DueCalendar(f"cal{n}", "", 0.0) for n in range(1000)]
    create = town.store.create

    def slow(task: Task) -> bool:
        town.clock.advance(3.0)
        return create(task)

    monkeypatch.setattr(town.store, "create", slow)
    assert tend.sweep(town.outside, town.policy) == 80
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["left"] == 920


def test_what_an_add_on_told_and_no_event_ever_carried_is_reported_after_a_week(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    said_at = (town.clock.now() - 8 * DAY, town.clock.now() - 6 * DAY)
    town.store.provisional = [Link(MINE, f"e{n}", None, True, "", end=at) for n, at in enumerate(said_at)]
    tend.sweep(town.outside, town.policy)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["provisional_links"] == 1


def test_a_frozen_calendar_is_not_watched_until_it_can_be_read_again(town: Town) -> None:
    town.converge()
    town.become(frozen="events.list: 404 notFound", channels=())
    verdict = town.converge()
    assert (verdict.opened, verdict.failed, town.channels) == (0, 0, ())
    town.become(frozen="")
    assert town.converge().opened == 1


def test_a_channel_that_google_will_not_stop_is_forgotten_once_it_has_lapsed(town: Town) -> None:
    town.converge()
    town.store.wiring = replace(town.store.wiring, webhook_url="")
    town.google.refuses_to_stop = AccessLost("channels.stop: 403 forbidden")
    assert town.converge().unstoppable == 1
    assert len(town.channels) == 1
    town.clock.advance(7 * DAY)
    calls = len(town.google.stopped)
    assert town.converge().failed == 0
    assert (town.channels, len(town.google.stopped)) == ((), calls)


def test_one_channel_that_cannot_be_stopped_does_not_keep_the_others_open(town: Town) -> None:
    town.converge()
    town.become(channels=tuple(replace(town.channels[0], id=name) for name in "ab"))
    town.store.wiring = replace(town.store.wiring, webhook_url="")
    town.google.refuses_to_stop = AccessLost("channels.stop: 403 forbidden")
    assert town.converge().unstoppable == 2
    assert sorted(town.google.stopped) == ["a", "b"]


def test_a_calendar_that_cannot_be_unwired_for_now_does_not_stop_the_next(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    you = CalendarId("you@example.com")
    town.store.wiring = Wiring(HERE, (*town.store.wiring.calendars, WiredCalendar("yours", you)))
    town.converge()
    town.store.wiring = Wiring(HERE, ())
    tends = town.store.tend
    first, second = town.store.records

    def stubborn(key: str, body: Callable[[CalendarRecord | None, float], CalendarRecord]) -> CalendarRecord:
        if key == first:
            raise Transient("not now")
        return tends(key, body)

    monkeypatch.setattr(town.store, "tend", stubborn)
    assert town.converge().failed == 1
    assert not town.store.records[second].active


# --- A channel says hello ---


def test_a_hello_is_noted_even_before_the_answer_to_its_watch(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google may send a channel's first message before it answers (push guide)."""
    watch = town.google.watch

    def hello_and_watch(calendar: CalendarId, channel_id: str, *more: Any) -> Watch:
        watching.greeted(cast(Store, town.store), MINE, channel_id)
        return watch(calendar, channel_id, *more)

    monkeypatch.setattr(town.google, "watch", hello_and_watch)
    town.converge()
    [channel] = town.channels
    assert (channel.state, channel.greeted_at) == (ChannelState.OPEN, town.clock.now())


def test_only_the_first_hello_of_a_channel_counts_and_only_for_itself(town: Town) -> None:
    town.converge()
    [channel] = town.channels
    assert channel.greeted_at == 0.0
    at = town.clock.now()
    for channel_id in ("another", channel.id, channel.id):
        watching.greeted(cast(Store, town.store), MINE, channel_id)
        town.clock.advance(1)
    assert town.channels == (replace(channel, greeted_at=at + 1),)


def test_a_hello_makes_no_calendar(town: Town) -> None:
    watching.greeted(cast(Store, town.store), MINE, "channel")
    assert town.store.records == {}


# --- Somebody enrols while converge runs ---


@pytest.mark.parametrize("moment", ["enrolled", "wired", "calendars", "salt"])
def test_a_calendar_that_is_enrolled_meanwhile_is_not_taken_for_unwanted(
    town: Town, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    ada = CalendarId("ada@example.com", "ada@example.com")
    key = calendar_key(b"salt", ada.id)
    read = getattr(town.store, moment)

    def read_and_enrol() -> Any:
        answer = read()
        town.store.records.setdefault(key, CalendarRecord(key, ada))
        return answer

    monkeypatch.setattr(town.store, moment, read_and_enrol)
    town.converge()
    assert town.store.records[key].active
