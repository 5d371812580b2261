"""The story that every crash is tried in: some thirty steps, an hour, and how it must end whatever happens."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from sync import logs
from sync.errors import RateLimited, Refused, SyncError, Timeout, Transient
from tests.passes.crash_town import CONVERGE_EVERY_S, GUEST, ME, MORNING, TEAM, Death, Point, Town, Wrong
from tests.simulation.google import SYNC

SEEN_BY_ALL_MEANS_S = 450.0  # what comes and goes before anybody looks is known to nobody
HEALED_AFTER_S = 1500.0
QUIET_S = 3600.0
SALT = b"the same salt in every telling.."

Json = dict[str, Any]
Deed = Callable[[Town], object]


def times(day: int, hour: int = 10) -> dict[str, str]:
    """An hour, so many days after the story."""
    start = MORNING.replace(hour=hour) + timedelta(days=day)
    return {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}


def conferencing(conference: str) -> Json:
    """conferenceData as an add-on writes it."""
    uri = f"https://calls.acme.example/j/{conference}"
    return {
        "conferenceId": conference,
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Acme Call"},
        "entryPoints": [{"entryPointType": "video", "uri": uri, "label": uri.removeprefix("https://")}],
    }


# --- Deeds ---


def meet(name: str, day: int, calendar: str = ME, conference: str = "", **more: Any) -> Deed:
    """A meeting, its conference and its title are of one name, unless others are told."""
    carried = conferencing(conference or name)
    wish = {"id": name, "title": name.title(), "conference": carried, **times(day), **more}

    def plan(town: Town) -> None:
        town.acme.has.setdefault(conference or name, None)
        town.act({"do": "create_meeting", "calendar": calendar, **wish})

    return plan


def do(what: str, event: str, calendar: str = ME, **more: Any) -> Deed:
    return lambda town: town.act({"do": what, "event": event, "calendar": calendar, **more})


def swap(event: str, conference: str) -> Deed:
    """The user replaces the conference of an event."""

    def replace(town: Town) -> None:
        town.acme.has[conference] = None
        do("replace_conference", event, conference=conferencing(conference))(town)

    return replace


def share(role: str, calendar: str) -> Deed:
    return lambda town: town.act({"do": "change_role", "calendar": calendar, "user": SYNC, "role": role})


def fails(conference: str, error: SyncError) -> Deed:
    """The next call for this conference is answered with this, and not done."""
    return lambda town: town.acme.faults.update({conference: error})


def loses_its_answer(conference: str) -> Deed:
    """The next call for this conference is done, and nobody hears of it."""
    return lambda town: town.acme.late.update({conference: Timeout("no answer")})


def tokens_die(town: Town) -> None:
    town.world.calendars[ME].epoch += 1


def purged(event: str) -> Deed:
    """Deleted so long ago that no listing tells of it."""

    def vanish(town: Town) -> None:
        calendar = town.world.calendars[ME]
        (name,) = (each for each in calendar.events if each == event)
        del calendar.events[name]

    return vanish


# --- The story ---

Step = tuple[str, float, tuple[Deed, ...]]  # in words, how long nothing happens then, and in deeds

STORY: tuple[Step, ...] = (
    ("a meeting is planned", 30, (meet("planning", 1, attendees=[GUEST]),)),
    ("and two others", 30, (meet("retro", 2), meet("budget", 4))),
    ("one gets another title", 30, (do("retitle", "planning", title="Plan"),)),
    ("and other times", 30, (do("move", "planning", **times(3)),)),
    ("a guest answers", 30, (do("rsvp", "planning", GUEST, response="accepted"),)),
    ("one is deleted", 30, (do("delete", "retro"),)),
    ("and restored within the grace", 40, (do("restore", "retro"),)),
    ("a title is changed", 30, (do("retitle", "budget", title="Draft"),)),
    ("and changed back", 60, (do("retitle", "budget", title="Budget"),)),
    ("a weekly series", 30, (meet("standup", 1, recurrence=["RRULE:FREQ=WEEKLY"], time_zone="UTC"),)),
    (
        "one occurrence is moved",
        30,
        (do("move_occurrence", "standup", at=times(8)["start"], **times(8, hour=12)),),
    ),
    (
        "another gets a conference of its own",
        SEEN_BY_ALL_MEANS_S,
        (swap("standup_20260120T100000Z", "special"),),
    ),
    (
        "this and following get another title",
        40,
        (do("split_series", "standup", at=times(22)["start"], title="Daily"),),
    ),
    ("the first half of the series is deleted", 120, (do("delete", "standup"),)),
    ("a meeting moves to another calendar", 30, (do("move_to_calendar", "planning", to=TEAM),)),
    ("whose own meeting", 30, (meet("offsite", 5, TEAM),)),
    (
        "meets a provider out of order",
        40,
        (fails("offsite", Transient("503")), do("retitle", "offsite", TEAM, title="Trip")),
    ),
    (
        "and then one that does as asked and does not say so",
        40,
        (loses_its_answer("offsite"), do("move", "offsite", TEAM, **times(6))),
    ),
    ("two meetings share a conference", 30, (meet("retro2", 9, conference="retro"),)),
    ("of which the first is deleted", 100, (do("delete", "retro"),)),
    (
        "four more meetings",
        SEEN_BY_ALL_MEANS_S,
        (meet("panel", 1), meet("board", 2), meet("lunch", 3), meet("drill", 4)),
    ),
    ("a conference is replaced", SEEN_BY_ALL_MEANS_S, (swap("panel", "stage"),)),
    ("a conference is removed", 90, (do("strip_conference", "board"),)),
    (
        "the token dies, a deletion and a new title meanwhile",
        40,
        (tokens_die, do("delete", "drill"), do("retitle", "lunch", title="Dinner")),
    ),
    (
        "and again, and of this deletion no trace is left",
        120,
        (tokens_die, do("delete", "retro2"), purged("retro2"), do("retitle", "lunch", title="Supper")),
    ),
    (
        "a title that is refused for good",
        40,
        (fails("lunch", Refused("400")), do("retitle", "lunch", title="??")),
    ),
    ("is mended", 40, (do("retitle", "lunch", title="Lunch"),)),
    (
        "the provider asks for patience",
        60,
        (fails("planning", RateLimited("429", 45.0)), do("retitle", "planning", TEAM, title="Vision")),
    ),
    ("a calendar is shared with us no more", 90, (share("none", TEAM),)),
    (
        "and again, after a change that nobody saw",
        90,
        (do("move", "offsite", TEAM, **times(7)), share("writer", TEAM)),
    ),
    ("five titles in a row", 40, tuple(do("retitle", "lunch", title=f"Lunch {n}") for n in range(5))),
    ("a deletion is not answered", 120, (loses_its_answer("stage"), do("delete", "panel"))),
)

END = {
    "planning": ("Vision", times(3)),
    "budget": ("Budget", times(4)),
    "standup": ("Daily", times(22)),
    "offsite": ("Trip", times(7)),
    "lunch": ("Lunch 4", times(3)),
}


def play(fate: Callable[[Point], Death | None] = lambda _: None) -> Town:
    """Tell the story, and let all heal. Raises Wrong when a promise is broken on the way or at the end.

    `fate` is asked before every call of the story; once it has named a death, nobody else dies.
    """
    with _the_same_every_time():
        town = _tell(Town(fate))
        town.points = town.doors.spare()
        town.wait(HEALED_AFTER_S)
        _judge(town)
    return town


def _tell(town: Town) -> Town:
    town.settle_in()
    town.wait(CONVERGE_EVERY_S + 60)
    for _, then_s, deeds in STORY:
        for deed in deeds:
            deed(town)
        town.wait(then_s)
    return town


@contextmanager
def _the_same_every_time() -> Iterator[None]:
    before = random.getstate()
    random.seed(0)
    with patch.object(logs, "write"), patch("secrets.token_bytes", return_value=SALT):
        yield
    random.setstate(before)


def _judge(town: Town) -> None:
    has = {
        name: meeting
        and (meeting.title, {"start": meeting.start.isoformat(), "end": meeting.end.isoformat()})
        for name, meeting in town.acme.has.items()
    }
    if has != END:
        raise Wrong(f"the conferences are {has}")
    if town.held():
        raise Wrong(f"a lease is still held of {town.held()}")
    before = town.acme.calls.copy()
    town.wait(QUIET_S)
    if town.acme.calls != before:
        raise Wrong(f"nothing happens, and still: {town.acme.calls - before}")
