"""The fifteen things that a calendar does to conferences: each ends right, at a price counted to the call.

Given a calendar that was listed once and is watched, a conference system, and Google's notifications.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3

from sync.errors import Transient
from sync.meeting import Meeting
from sync.one_pass import one_pass
from sync.ports import Outcome
from sync.recognise import ConferenceKey
from sync.wake import wake
from tests.passes.conftest import GRACE_S, ME, YOU, Town

DAY_S = 86400.0


@dataclass(frozen=True)
class Price:
    """What a scenario costs: requests to Google, calls of the provider, and documents where they are few."""

    lists: int
    gets: int = 0
    updates: int = 0
    deletes: int = 0
    read_backs: int = 0
    store: tuple[int, int] | None = None  # read, written


@dataclass(frozen=True)
class Scenario:
    """What happens, until the end is right, and what it costs. `given` is not counted."""

    words: str
    price: Price
    play: Callable[[Town, Any], None]
    given: Callable[[Town], Any]


SCENARIOS: list[Scenario] = []

Play = Callable[[Town, Any], None]


def nothing(_: Town) -> None:
    """Nothing but the watched calendar."""


def ours(town: Town) -> str:
    """A meeting with a conference, which is as the meeting says."""
    event = town.meet(title="Before", hours=7 * 24)
    notified(town)
    return event


def scenario(words: str, price: Price, given: Callable[[Town], Any] = ours) -> Callable[[Play], Play]:
    def told(play: Play) -> Play:
        SCENARIOS.append(Scenario(words, price, play, given))
        return play

    return told


# --- What happens in all of them ---


def notified(town: Town, times: int = 1, key: str = "", hours: float = 2.0) -> None:
    """Google tells of a change so many times at once; then all is done that the next hours bring."""
    rung(town, times, key)
    served(town, hours)


def rung(town: Town, times: int = 1, key: str = "") -> None:
    for _ in range(times):
        wake(town.outside.queue, town.clock, town.policy.buckets, key or town.key)


def served(town: Town, hours: float = 2.0) -> None:
    end = town.clock.now() + hours * 3600
    tasks = town.queue.tasks
    while due := [task for task in tasks if task.due_at <= end]:
        task = min(due, key=lambda each: each.due_at)
        tasks.remove(task)
        town.clock.advance(max(0.0, task.due_at - town.clock.now()))
        worker = f"worker of {task.name}"
        one_pass(town.outside, town.policy, task.subject, worker, task.generation, task.notified_at)
    town.clock.advance(end - town.clock.now())


def has(town: Town, conference: str = "c-1") -> Meeting:
    meeting = town.acme.has[conference]
    assert meeting is not None
    return meeting


def spent(town: Town) -> Counter[str]:
    journal = urllib3.request("GET", f"{town.simulator.url}/_sim/journal").json()
    asked = Counter(entry["method"] for entry in journal["requests"])
    return asked + Counter(call for call, _ in town.acme.calls)


# --- The fifteen ---


@scenario("create ours", Price(lists=1, updates=1), nothing)
def _(town: Town, _: Any) -> None:
    town.meet(title="Planning", hours=24)
    notified(town)
    meeting = has(town)
    assert (meeting.title, meeting.start.isoformat()) == ("Planning", town.at(22))


@scenario("move ours", Price(lists=1, updates=1))
def _(town: Town, event: str) -> None:
    start, end = town.at(48), town.at(49)
    town.act("move", event=event, start=start, end=end)
    notified(town)
    assert (has(town).start.isoformat(), has(town).end.isoformat()) == (start, end)


@scenario("delete ours", Price(lists=2, gets=1, deletes=1))
def _(town: Town, event: str) -> None:
    town.act("delete", event=event)
    notified(town, hours=0.75 * GRACE_S / 3600)
    assert "c-1" in town.acme.has
    served(town)
    assert "c-1" not in town.acme.has


@scenario("plain event changed, then ours", Price(lists=2, updates=1))
def _(town: Town, event: str) -> None:
    plain = town.meet(conference="")
    town.act("retitle", event=plain, title="Lunch")
    notified(town)
    town.act("retitle", event=event, title="After")
    notified(town)
    assert has(town).title == "After"


@scenario("user removes the conference", Price(lists=2, gets=1, deletes=1))
def _(town: Town, event: str) -> None:
    town.act("strip_conference", event=event)
    notified(town)
    assert "c-1" not in town.acme.has


@scenario("burst of 50 edits, 50 notifications in step", Price(lists=2, updates=2))
def _(town: Town, event: str) -> None:
    """Over eight seconds, and so two windows: a listing and a call for each."""
    for number in range(50):
        town.act("retitle", event=event, title=f"Edit {number}")
        rung(town)
        served(town, hours=8 / 50 / 3600)
    served(town)
    assert has(town).title == "Edit 49"


@scenario("the same, notifications late", Price(lists=1, updates=1))
def _(town: Town, event: str) -> None:
    for number in range(50):
        town.act("retitle", event=event, title=f"Edit {number}")
    town.clock.advance(300)
    notified(town, times=50)
    assert has(town).title == "Edit 49"


@scenario("20 duplicate notifications, no change", Price(lists=1, store=(1, 2)))
def _(town: Town, _: str) -> None:
    notified(town, times=20)
    assert has(town).title == "Before"


@scenario("10 RSVPs on ours", Price(lists=1), lambda town: invited(town))
def _(town: Town, event: str) -> None:
    for number in range(10):
        town.act("rsvp", event=event, calendar=guest(number), response="accepted")
        rung(town)
    served(town)
    assert has(town).title == "Before"


def guest(number: int) -> str:
    return f"guest{number}@example.com"


def invited(town: Town) -> str:
    """Ours, with ten guests who have calendars of their own."""
    for number in range(10):
        town.act("add_user", email=guest(number))
    event = town.meet(title="Before", attendees=[guest(number) for number in range(10)])
    notified(town)
    return event


@scenario("1,000 plain events and 1 of ours", Price(lists=1, updates=1), nothing)
def _(town: Town, _: Any) -> None:
    town.act("fill", count=1000)
    town.meet()
    notified(town)
    assert has(town).title == "Planning"


@scenario("dead token, change three days ago", Price(lists=2, updates=1))
def _(town: Town, event: str) -> None:
    """The token's refusal is a listing too."""
    town.act("retitle", event=event, title="After")
    town.clock.advance(3 * DAY_S)
    town.fault(expire_tokens=ME)
    notified(town)
    assert has(town).title == "After"


@scenario("dead token, deletion meanwhile", Price(lists=5, gets=2, deletes=1))
def _(town: Town, event: str) -> None:
    """Asked for by name as no listing tells of it, and once more before the conference goes.

    Each time the answer is "not found", one more call tells whether that is the event or the whole calendar.
    """
    town.act("delete", event=event)
    with town.simulator.api.lock:  # its tombstone is not kept for ever
        del town.simulator.world.calendars[ME].events[event]
    town.fault(expire_tokens=ME)
    notified(town, hours=0.75 * GRACE_S / 3600)
    assert "c-1" in town.acme.has
    served(town)
    assert "c-1" not in town.acme.has


def two_calendars(town: Town) -> tuple[str, str]:
    """A meeting in each of two calendars of one user; the events' ids."""
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    town.enrol(YOU)
    events = town.meet("c-1", title="Before"), town.meet("c-2", title="Before", calendar=YOU)
    for record in town.store.calendars():
        notified(town, key=record.key)
    return events


@scenario("two calendars of one user", Price(lists=2, updates=2), two_calendars)
def _(town: Town, events: tuple[str, str]) -> None:
    for event, calendar in zip(events, (ME, YOU), strict=True):
        town.act("retitle", event=event, calendar=calendar, title=f"After, {calendar}")
    for record in town.store.calendars():
        notified(town, key=record.key)
    assert (has(town, "c-1").title, has(town, "c-2").title) == (f"After, {ME}", f"After, {YOU}")


def two_meetings(town: Town) -> tuple[str, str]:
    events = town.meet("c-1", title="Before"), town.meet("c-2", title="Before")
    notified(town)
    return events


@scenario("provider fails on one of two", Price(lists=3, gets=2, updates=3, read_backs=1), two_meetings)
def _(town: Town, events: tuple[str, str]) -> None:
    """The one that failed is told again, and read back when nothing of the failure can come any more."""
    update = town.acme.update

    def once(conference: ConferenceKey, meeting: Meeting) -> Outcome:
        if conference.id == "c-1" and not town.calls("update")["c-1"] > told:
            town.acme.calls.append(("update", "c-1"))
            raise Transient("503")
        return update(conference, meeting)

    told = town.calls("update")["c-1"]
    town.acme.update = once  # type: ignore[method-assign]
    for event in events:
        town.act("retitle", event=event, title="After")
    rung(town)
    served(town, hours=10 / 3600)
    assert (has(town, "c-1").title, has(town, "c-2").title) == ("Before", "After")
    served(town)
    assert has(town, "c-1").title == "After"


@scenario("first full listing, 10,000 events, 500 ours", Price(lists=4, updates=500), nothing)
def _(town: Town, _: Any) -> None:
    town.act("add_user", email="new@example.com")
    town.act("change_role", calendar="new@example.com", user=ME, role="writer")
    town.act("fill", calendar="new@example.com", count=9500)
    for number in range(500):
        town.meet(f"c-{number}", title=f"Meeting {number}", calendar="new@example.com")
    notified(town, key=town.enrol("new@example.com"))
    assert {name: has(town, name).title for name in town.acme.has} == {
        f"c-{number}": f"Meeting {number}" for number in range(500)
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("told", SCENARIOS, ids=lambda each: each.words)
def test_a_scenario_ends_right_at_its_price(town: Town, told: Scenario) -> None:
    town.look()
    given = told.given(town)
    before = spent(town)
    town.store.reset_counts()
    told.play(town, given)
    cost = spent(town) - before
    documents = (town.store.reads, town.store.writes)
    price = Price(
        lists=cost["events.list"],
        gets=cost["events.get"],
        updates=cost["update"],
        deletes=cost["delete"],
        read_backs=cost["read"],
        store=documents if told.price.store else None,
    )
    assert price == told.price


def test_there_are_fifteen_of_them() -> None:
    assert len({each.words for each in SCENARIOS}) == 15
