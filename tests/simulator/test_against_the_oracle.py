"""Two worlds with one fate: HTTP answers what the pure world says, and a client that follows deltas is right.

Invariants: every answer of the simulator equals the oracle's, byte for byte as JSON; and whoever replaces and
removes what each delta names holds, after every sync, exactly what a full listing holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sync.simulator import Simulator, World, shapes
from sync.simulator.clock import Clock
from sync.simulator.errors import ApiError
from sync.simulator.model import Copy, Query

from .conftest import ME, YOU, Answer, Caller, Json, hours

SEED = 11
TEAM = "team@group.calendar.google.com"
READERS = {ME: ME, YOU: YOU, TEAM: ME}  # who follows each calendar
DAYS = st.integers(2, 27).map(lambda day: f"2026-03-{day:02d}")
TITLES = st.sampled_from(["Plans", "Dishes", "Party"])
PICKS = st.integers(0, 1_000)
SPEAKERS = st.sampled_from([ME, YOU])
BODIES = st.fixed_dictionaries(
    {"summary": TITLES, "day": DAYS},
    optional={
        "attendees": st.sampled_from(
            [
                [],
                [{"email": YOU}],
                [{"email": ME}],
                [{"email": YOU}, {"email": "x@y.example"}],
            ]
        ),
        "recurrence": st.sampled_from([["RRULE:FREQ=DAILY"], ["RRULE:FREQ=WEEKLY;COUNT=3"]]),
        "reminders": st.sampled_from([{"useDefault": False}, {"useDefault": True}]),
        "guestsCanModify": st.booleans(),
        "colorId": st.sampled_from(["1", "2"]),
    },
)


def body_of(wish: Json) -> Json:
    return {**{name: value for name, value in wish.items() if name != "day"}, **hours(wish["day"], 9, 10)}


class Twins(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.simulator = Simulator(seed=SEED, clock="frozen").start()
        self.clock = Clock("frozen")
        self.world = World(self.clock.now, SEED)
        for email in (ME, YOU):
            self.world.add_user(email)
        self.world.add_calendar(TEAM, owner=ME)
        Caller(self.simulator).act("add_calendar", id=TEAM)
        self.callers = {
            email: Caller(self.simulator, self.simulator.accounts.issue(email, 10**18)) for email in (ME, YOU)
        }
        self.known: list[str] = []
        self.series: list[str] = []
        self.etags: list[str] = []
        self.mirrors: dict[str, dict[str, Json]] = {calendar: {} for calendar in READERS}
        self.tokens: dict[str, tuple[str, int]] = {}

    def teardown(self) -> None:
        if hasattr(self, "simulator"):
            self.simulator.stop()

    def same(self, speaker: str, answer: Answer, ask: Callable[[], Copy]) -> None:
        """What came over HTTP is what the oracle says."""
        expected = self.outcome(speaker, ask)
        assert answer.status in (expected[0], 204)
        assert answer.body in (expected[1], None)
        if answer.status == 200:
            self.known.append(answer.body["id"])
            self.etags.append(answer.body["etag"])
            self.series += [answer.body["id"]] if "recurrence" in answer.body else []

    def outcome(self, speaker: str, ask: Callable[[], Copy]) -> tuple[int, Json]:
        try:
            return 200, shapes.event(self.world, speaker, ask())
        except ApiError as refusal:
            return refusal.status, refusal.body()

    def event(self, pick: int) -> str:
        return self.known[pick % len(self.known)]

    def occurrence(self, pick: int, day: str) -> str:
        """An occurrence of a series, if that happens on the day."""
        series = self.series[pick % len(self.series)]
        return f"{series.split('_R')[0]}_{day.replace('-', '')}T080000Z"

    @rule(speaker=SPEAKERS, wish=BODIES)
    def insert(self, speaker: str, wish: Json) -> None:
        body = body_of(wish)
        answer = self.callers[speaker].insert(body, speaker)
        self.same(speaker, answer, lambda: self.world.insert(speaker, speaker, body))

    @precondition(lambda self: self.known)
    @rule(speaker=SPEAKERS, pick=PICKS, wish=BODIES, whole=st.booleans(), stale=st.booleans())
    def write(self, speaker: str, pick: int, wish: Json, whole: bool, stale: bool) -> None:
        event, body = self.event(pick), body_of(wish)
        if_match = self.etags[pick % len(self.etags)] if stale else ""
        caller = self.callers[speaker]
        answer = (caller.update if whole else caller.patch)(event, body, speaker, if_match=if_match)
        self.same(
            speaker,
            answer,
            lambda: self.world.patch(speaker, speaker, event, body, if_match=if_match, whole=whole),
        )

    @precondition(lambda self: self.series)
    @rule(speaker=SPEAKERS, pick=PICKS, day=DAYS)
    def edit_an_occurrence(self, speaker: str, pick: int, day: str) -> None:
        event, body = self.occurrence(pick, day), {"summary": "Exception"}
        answer = self.callers[speaker].patch(event, body, speaker)
        self.same(speaker, answer, lambda: self.world.patch(speaker, speaker, event, body))

    @precondition(lambda self: self.series)
    @rule(speaker=SPEAKERS, pick=PICKS, day=DAYS)
    def cancel_an_occurrence(self, speaker: str, pick: int, day: str) -> None:
        event = self.occurrence(pick, day)
        answer = self.callers[speaker].delete(event, speaker)
        self.same(speaker, answer, lambda: self.world.delete(speaker, speaker, event))

    @precondition(lambda self: self.known)
    @rule(speaker=SPEAKERS, pick=PICKS)
    def delete(self, speaker: str, pick: int) -> None:
        event = self.event(pick)
        answer = self.callers[speaker].delete(event, speaker)
        self.same(speaker, answer, lambda: self.world.delete(speaker, speaker, event))

    @precondition(lambda self: self.series)
    @rule(pick=PICKS, day=DAYS, title=TITLES)
    def split(self, pick: int, day: str, title: str) -> None:
        event = self.occurrence(pick, day)
        answer = self.acted("split_series", {"event": event, "title": title})
        self.same(ME, answer, lambda: self.world.split(ME, ME, event, {"summary": title}))

    @precondition(lambda self: self.known)
    @rule(pick=PICKS, back=st.booleans())
    def move(self, pick: int, back: bool) -> None:
        event, source, target = self.event(pick), *((TEAM, ME) if back else (ME, TEAM))
        path = f"/calendars/{source}/events/{event}/move"
        answer = self.callers[ME].call("events.move", "POST", path, destination=target)
        self.same(ME, answer, lambda: self.world.move(ME, source, event, target))

    @precondition(lambda self: self.series)
    @rule(pick=PICKS, day=DAYS, calendar=st.sampled_from([ME, TEAM]))
    def move_a_series_in_time(self, pick: int, day: str, calendar: str) -> None:
        event, body = self.series[pick % len(self.series)], hours(day, 9, 10)
        answer = self.callers[ME].patch(event, body, calendar)
        self.same(ME, answer, lambda: self.world.patch(ME, calendar, event, body))

    @precondition(lambda self: self.known)
    @rule(speaker=SPEAKERS, pick=PICKS)
    def restore(self, speaker: str, pick: int) -> None:
        event = self.event(pick)
        answer = self.acted("restore", {"event": event, "calendar": speaker})
        self.same(speaker, answer, lambda: self.world.restore(speaker, speaker, event))

    @precondition(lambda self: self.known)
    @rule(speaker=SPEAKERS, pick=PICKS, response=st.sampled_from(["accepted", "declined", "tentative"]))
    def rsvp(self, speaker: str, pick: int, response: str) -> None:
        event = self.event(pick)
        answer = self.acted("rsvp", {"event": event, "calendar": speaker, "response": response})
        self.same(speaker, answer, lambda: self.world.rsvp(speaker, speaker, event, response))

    def acted(self, do: str, wish: Json) -> Answer:
        response, content = self.callers[ME].send("POST", "/_sim/act", {"do": do, **wish})
        return Answer(response.status, json.loads(content), {})

    @rule(seconds=st.sampled_from([0.0005, 1, 3600]))
    def time_passes(self, seconds: float) -> None:
        for clock in (self.simulator.clock, self.clock):
            clock.advance(seconds)

    @rule(calendar=st.sampled_from(list(READERS)), size=st.sampled_from([1, 2, 250]))
    def sync(self, calendar: str, size: int) -> None:
        """One client follows deltas page by page, from its last token or from nothing."""
        speaker = READERS[calendar]
        token, since = self.tokens.get(calendar, ("", None))
        first: Json = {"syncToken": token} if token else {}
        query = Query(since=since, max_results=size)
        page: Json = {}
        while True:
            page = self.callers[speaker].list(calendar, maxResults=size, **first, **_next(page)).body
            expected = self.world.page(speaker, calendar, query)
            assert page["items"] == [shapes.listed(self.world, speaker, copy) for copy in expected.items]
            for item in page["items"]:
                self.mirrors[calendar][item["id"]] = item
            if expected.next_page is None:
                break
            query = expected.next_page
        assert expected.next_sync is not None
        self.tokens[calendar] = page["nextSyncToken"], expected.next_sync
        self.holds_what_a_full_listing_holds(speaker, calendar)

    def holds_what_a_full_listing_holds(self, speaker: str, calendar: str) -> None:
        full = {copy.id: copy for copy in self.world.page(speaker, calendar, Query(max_results=10**6)).items}
        self.simulator.world.watermark()  # the oracle gave one out just now: keep the twins alike
        mirror = self.mirrors[calendar]
        gone = {name for name, item in mirror.items() if item["status"] == "cancelled"}
        orphaned = {
            name
            for name, item in mirror.items()
            if mirror.get(item.get("recurringEventId", ""), {}).get("status") == "cancelled"
        }
        live = {name for name, copy in full.items() if not copy.cancelled}
        assert mirror.keys() - gone - orphaned == live
        for name in live:
            assert mirror[name] == shapes.listed(self.world, speaker, full[name])


def _next(page: Json) -> Json:
    return {"pageToken": page["nextPageToken"]} if "nextPageToken" in page else {}


TestTwins: Any = Twins.TestCase
TestTwins.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
