"""One scripted day: seventeen things that happen to meetings, each told in one line and judged when it is over.

A step is over when its conference is as its events say and all is quiet; if that does not come in time, what the
judge then finds is kept, even if a later step mends it.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sync.cli.demo.judge import Mismatch, Unseen, judge
from sync.cli.demo.stage import COLLEAGUE, GUESTS, ME, TEAM, Broken, Stage

_DAY_S = 80.0  # a day that takes longer has failed

# What is decided of events beside those that a step is about; told if nothing else was.
_QUIET = ("no_conference", "guest_copy", "shared_by_other_event")

Json = dict[str, Any]


@dataclass
class Meeting:
    """One event of the story; `conference` is empty for a meeting without one."""

    event: str
    conference: str
    start: datetime


@dataclass(frozen=True)
class Report:
    """What a day has come to."""

    converged: bool
    steps: int
    provider_calls: int
    list_calls: int
    seconds: float
    mismatches: list[Mismatch]


class Day:
    """The story, told line by line through `tell`."""

    def __init__(self, stage: Stage, tell: Callable[[str], None], began: float) -> None:
        self._stage = stage
        self._tell = tell
        self._began = began  # by the monotonic clock: when its stage began to be built
        self._wait(stage.is_quiet)
        today = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0)
        self._tomorrow = today + timedelta(days=1)
        self._touches: Counter[str] = Counter()  # how often the story needs each conference to be changed
        self._mismatches: dict[str, Mismatch] = {}  # by conference

    def play(self) -> Report:
        """From morning to night."""
        story: list[tuple[str, Callable[[], None]]] = [
            ("seven meetings are made, each with a conference", self._made),
            ("“Planning” moves to another hour", self._moved),
            ("“Planning” gets another title", self._retitled),
            ("its ten guests answer", self._answered),
            ("“Workshop” gets a guest, who deletes their copy", self._guest_copy_deleted),
            ("“Lunch” is made without a conference", self._made_without),
            ("“Review” is deleted, and restored", self._deleted_and_restored),
            ("“Farewell” goes, “A talk” loses its conference", self._deleted_and_stripped),
            ("one day of the weekly “Standup” moves", self._occurrence_moved),
            ("“Standup” is split: this and following", self._split),
            ("the first part of “Standup” is deleted", self._first_part_deleted),
            ("our token dies; “Workshop” goes, “Retreat” moves", self._token_died),
            ("a notification comes twice", self._notified_twice),
            ("a notification is lost, and a sweep comes by", self._notification_lost),
            ("“Review” goes to a calendar that is told nothing", self._moved_unheard),
            ("the conference system is out of order for a while", self._outage),
            ("the worker is killed in the middle of a call", self._worker_killed),
        ]
        self._tell(_line("", "what changed", "what was decided", "what was called"))
        steps = 0
        for what, step in story:
            if not self._left_s():
                break
            self._start_step()
            try:
                step()
            except Broken as broken:
                raise Broken(f"step {steps + 1}, {what}: {broken}", broken.hint) from None
            steps += 1
            self._tell(_line(str(steps), what, self._decided(), self._called()))
        self._keep(self._judge())
        return Report(
            converged=steps == len(story) and not self._mismatches,
            steps=steps,
            provider_calls=len(self._stage.provider_calls()),
            list_calls=self._stage.list_calls(),
            seconds=round(time.monotonic() - self._began, 1),
            mismatches=list(self._mismatches.values()),
        )

    # --- the story ---

    def _made(self) -> None:
        self._planning = self._meet("Planning", guests=GUESTS)
        self._review = self._meet("Review")
        self._farewell = self._meet("Farewell")
        self._talk = self._meet("A talk")
        self._standup = self._meet("Standup", recurrence=["RRULE:FREQ=WEEKLY"])
        self._workshop = self._meet("Workshop")
        self._retreat = self._meet("Retreat")
        solo = (self._planning, self._review, self._farewell, self._talk, self._workshop, self._retreat)
        for meeting in (*solo, self._standup):
            self._await(meeting, "updated")

    def _moved(self) -> None:
        self._move(self._planning)
        self._await(self._planning, "updated")

    def _retitled(self) -> None:
        self._retitle(self._planning, "Planning the spring")
        self._await(self._planning, "updated")

    def _answered(self) -> None:
        for guest in GUESTS:
            self._stage.act("rsvp", calendar=guest, event=self._planning.event, response="accepted")
        self._await(self._planning, "unchanged")
        self._expect_no_call()

    def _guest_copy_deleted(self) -> None:
        """The guest's calendar is watched too; their copy says nothing of the meeting."""
        self._stage.act("invite", event=self._workshop.event, attendees=[COLLEAGUE])
        self._await(self._workshop, "guest_copy")
        self._stage.act("delete", calendar=COLLEAGUE, event=self._workshop.event)
        self._await(self._workshop, "no_conference")
        self._expect_no_call()

    def _made_without(self) -> None:
        self._await(self._meet("Lunch", has_conference=False), "no_conference")
        self._expect_no_call()

    def _deleted_and_restored(self) -> None:
        self._stage.act("delete", event=self._review.event)
        self._wait(lambda: "deletion_waiting" in self._codes())
        self._stage.act("restore", event=self._review.event)
        self._await(self._review, "restored")

    def _deleted_and_stripped(self) -> None:
        self._touches[self._talk.conference] += 1
        self._stage.act("strip_conference", event=self._talk.event)
        self._delete(self._farewell)
        for meeting in (self._talk, self._farewell):
            self._await(meeting, "deleted")

    def _occurrence_moved(self) -> None:
        """Only the series speaks for the conference."""
        second = self._standup.start + timedelta(weeks=1)
        times = _times(second + timedelta(hours=3))
        self._stage.act("move_occurrence", event=self._standup.event, at=second.isoformat(), **times)
        self._await(self._standup, "shared_by_other_event")
        self._expect_no_call()

    def _split(self) -> None:
        """What follows is a series of its own with the same conference; the one that ends last speaks for it."""
        self._touches[self._standup.conference] += 1
        third = self._standup.start + timedelta(weeks=2)
        self._stage.act("split_series", event=self._standup.event, at=third.isoformat(), title="Stand-up")
        self._await(self._standup, "updated")

    def _first_part_deleted(self) -> None:
        """The conference belongs to the rest now, which says the same as before."""
        self._delete(self._standup)
        self._await(self._standup, "updated")

    def _token_died(self) -> None:
        """Nobody tells of the deletion. “Retreat” turns out to be long past: a full listing does not show it."""
        self._stage.calendar_fault(expire_tokens=ME)
        self._stage.calendar_fault(push="drop", calendar=ME)
        self._delete(self._workshop)
        self._move(self._retreat, -timedelta(weeks=4))
        for meeting, code in ((self._retreat, "updated"), (self._workshop, "deleted")):
            self._await(meeting, code)

    def _notified_twice(self) -> None:
        self._stage.calendar_fault(push="duplicate")
        self._retitle(self._planning, "Planning the autumn")
        self._await(self._planning, "updated")

    def _notification_lost(self) -> None:
        self._stage.calendar_fault(push="drop", calendar=ME)
        self._move(self._review)
        self._wait(self._stage.is_quiet)
        self._wait(self._swept)
        self._await(self._review, "updated")

    def _moved_unheard(self) -> None:
        """The old calendar says that it is gone. Before that counts, the others are looked at."""
        self._stage.calendar_fault(push="drop", calendar=TEAM)
        self._stage.act("move_to_calendar", event=self._review.event, to=TEAM)
        self._await(self._review, "restored")
        self._expect_no_call()

    def _outage(self) -> None:
        self._stage.conference_fault(outage=True)
        self._retitle(self._planning, "Planning the summer")
        self._wait(lambda: "retry_later" in self._codes())
        self._stage.clear_conference_faults()
        self._await(self._planning, "updated")

    def _worker_killed(self) -> None:
        self._stage.conference_fault(stall=_DAY_S)
        self._retitle(self._planning, "Planning the winter")
        self._wait(self._in_mid_call)
        self._stage.worker.kill()
        self._stage.clear_conference_faults()  # what the dead worker asked for is done now, and again by the next
        self._touches[self._planning.conference] += 1
        self._stage.worker.start()
        self._await(self._planning, "updated", read_back=True)

    # --- what people do ---

    def _meet(
        self,
        title: str,
        *,
        guests: tuple[str, ...] = (),
        recurrence: Sequence[str] = (),
        has_conference: bool = True,
    ) -> Meeting:
        """Somebody writes an invitation. The add-on makes the conference before there is a title."""
        times = _times(self._tomorrow)
        made = self._stage.create_conference(title="Untitled", **times) if has_conference else {}
        event = self._stage.act(
            "create_meeting",
            title=title,
            **times,
            attendees=list(guests),
            recurrence=list(recurrence),
            conference=_conference_data(made),
        )
        meeting = Meeting(event["id"], made.get("id", ""), self._tomorrow)
        self._touches[meeting.conference] += has_conference
        return meeting

    def _move(self, meeting: Meeting, by: timedelta = timedelta(hours=5)) -> None:
        self._touches[meeting.conference] += 1
        meeting.start += by
        self._stage.act("move", event=meeting.event, **_times(meeting.start))

    def _retitle(self, meeting: Meeting, title: str) -> None:
        self._touches[meeting.conference] += 1
        self._stage.act("retitle", event=meeting.event, title=title)

    def _delete(self, meeting: Meeting) -> None:
        self._touches[meeting.conference] += 1
        self._stage.act("delete", event=meeting.event)

    def _swept(self) -> bool:
        """The scheduler sweeps; whether a sweep has come by the calendar that nobody told of."""
        self._stage.sweep()
        return "updated" in self._codes()

    def _in_mid_call(self) -> bool:
        return any(call["status"] is None for call in self._calls())

    # --- waiting and judging ---

    def _start_step(self) -> None:
        self._calls_before = len(self._stage.provider_calls())
        self._lists_before = self._stage.list_calls()
        self._records_before = len(self._stage.worker.records)

    def _await(self, meeting: Meeting, code: str, *, read_back: bool = False) -> None:
        """Until it was decided so and all is quiet; then, or when no more will come, the judge has the word."""

        def over() -> bool:
            told = code in self._codes() and (not read_back or "GET" in self._called())
            return told and self._stage.is_quiet() and (self._stage.is_at_rest() or not self._judge(meeting))

        late = Mismatch(meeting.conference, f"not settled in time: {code}")
        self._keep(self._judge(meeting) if self._wait(over) else self._judge(meeting) or [late])

    def _expect_no_call(self) -> None:
        called = dict.fromkeys(call["conference"] for call in self._calls())
        self._keep([Mismatch(each, "it was called although nothing had changed") for each in called])

    def _wait(self, condition: Callable[[], bool]) -> bool:
        return self._stage.until(condition, self._left_s())

    def _left_s(self) -> float:
        return max(0.0, self._began + _DAY_S - time.monotonic())

    def _judge(self, meeting: Meeting | None = None) -> list[Mismatch]:
        try:
            found = judge(self._stage.simulator.url, self._stage.conferences.url, self._touches)
        except Unseen as unseen:
            raise Broken(str(unseen), "") from None
        return [each for each in found if meeting is None or each.conference == meeting.conference]

    def _keep(self, found: list[Mismatch]) -> None:
        """What was found first of a conference tells most: all that comes later may come of it."""
        for each in found:
            self._mismatches.setdefault(each.conference, each)

    # --- telling ---

    def _records(self) -> list[Json]:
        return self._stage.worker.records[self._records_before :]

    def _calls(self) -> list[Json]:
        return self._stage.provider_calls()[self._calls_before :]

    def _codes(self) -> list[str]:
        """What the worker says it has decided since the step began."""
        records = self._records()
        decided = [record["code"] for record in records if record["message"] == "decision"]
        counted = [
            code for record in records if record["message"] == "pass" for code in record.get("codes", ())
        ]
        return list(dict.fromkeys(decided + counted))

    def _decided(self) -> str:
        codes = [code for code in self._codes() if code != "unchanged"] or ["unchanged"]
        quiet = {*_QUIET, "deletion_waiting"} if "deleted" in codes else {*_QUIET}
        told = [code for code in codes if code not in quiet] or codes
        full = any(record.get("listing") == "full" for record in self._records())
        return ", ".join((["full listing"] if full else []) + told)

    def _called(self) -> str:
        lists = self._stage.list_calls() - self._lists_before
        calls = Counter({"list": lists} if lists else {})
        calls.update(_call(call["verb"], call["status"]) for call in self._calls())
        return ", ".join(name if count == 1 else f"{name} ×{count}" for name, count in calls.items())


def _line(number: str, changed: str, decided: str, called: str) -> str:
    return f"{number:>2}  {changed:<49}  → {decided:<30}  → {called}"


def _call(verb: str, status: int | None) -> str:
    if status is None:
        return f"{verb} unanswered"
    return verb if status < 300 else f"{verb} {status}"


def _times(start: datetime) -> dict[str, str]:
    return {"start": start.isoformat(), "end": (start + timedelta(minutes=45)).isoformat()}


def _conference_data(made: Json) -> Json:
    """What the add-on writes into the event."""
    if not made:
        return {}
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Demo Conference"},
        "conferenceId": made["id"],
        "entryPoints": [{"entryPointType": "video", "uri": made["join_url"]}],
    }
