"""Converge: every wired calendar keeps one good channel, and no calendar's trouble leaves records behind."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from sync import tend
from sync.channel import Channel, ChannelState, Key, Keys, calendar_key
from sync.errors import AccessLost, RateLimited, Refused, SyncError, Timeout, Transient, Unsupported
from sync.policy import Policy
from sync.ports import (
    CalendarId,
    CalendarRecord,
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

    def watch(self, calendar: CalendarId, channel_id: str, token: str, address: str, life_s: float) -> Watch:
        self.opened.append(channel_id)
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

    def wired(self) -> Wiring:
        return self.wiring

    def enrolled(self) -> list[EnrolledCalendar]:
        return []

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
        return True


class Town:
    """All that converge needs, and one wired calendar."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.google, self.store = Google(self.clock), Shelf(self.clock)
        self.policy = cast(Policy, _Policy())

    def converge(self, key: Key = OLD, *known: Key) -> tend.Verdict:
        outside = Outside(*cast(Any, (self.google, self.store, None, self.store, self.clock)))
        return tend.converge(outside, self.policy, key, Keys(known or (key,)))

    @property
    def channels(self) -> tuple[Channel, ...]:
        return self.store.records[MINE].channels

    def become(self, **fields: Any) -> None:
        self.store.records[MINE] = replace(self.store.records[MINE], **fields)


class _Policy:
    channel_life_s = 7 * DAY
    buckets = Buckets()


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
    town.converge(NEW, NEW)
    assert [each.key_id for each in town.channels] == [NEW.id]


@pytest.mark.parametrize("refusal", [Unsupported, Refused, AccessLost, RateLimited])
def test_a_watch_that_is_refused_leaves_no_record(town: Town, refusal: type[SyncError]) -> None:
    town.google.refuses_to_watch = refusal("no")
    assert town.converge().failed == 1
    assert len(town.google.opened) == 1
    assert town.channels == ()


@pytest.mark.parametrize("doubt", [Transient, Timeout])
def test_a_watch_of_unknown_outcome_is_remembered_for_an_hour(town: Town, doubt: type[SyncError]) -> None:
    town.google.refuses_to_watch = doubt("no answer")
    town.converge()
    lost = town.channels[0]
    town.clock.advance(3599)
    town.converge()
    assert lost in town.channels
    town.clock.advance(1)
    town.converge()
    assert lost not in town.channels


def test_a_week_without_answers_leaves_no_heap(town: Town) -> None:
    town.google.refuses_to_watch = Transient("no answer")
    for _ in range(7 * 24 * 4):
        town.converge()
        town.clock.advance(900)
    assert len(town.channels) <= 5


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
    assert town.converge().failed == 1
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
    assert town.converge().failed == 2
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
        tend.greeted(cast(Store, town.store), MINE, channel_id)
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
        tend.greeted(cast(Store, town.store), MINE, channel_id)
        town.clock.advance(1)
    assert town.channels == (replace(channel, greeted_at=at + 1),)


def test_a_hello_makes_no_calendar(town: Town) -> None:
    tend.greeted(cast(Store, town.store), MINE, "channel")
    assert town.store.records == {}
