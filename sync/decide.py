"""What to do about a conference now. Pure: (record, now) -> Action, as a table.

| the record says                                   | action                                     |
|---------------------------------------------------|--------------------------------------------|
| gone, lost, held; a room with more than 100 refs  | Nothing                                    |
| an intent whose time is not over                  | Nothing until then: somebody is at it      |
| pending or in debt, before `not_before`           | Nothing until then                         |
| pending, wanted                                   | Update                                     |
| pending, unwanted, within the grace               | Nothing until its end                      |
| pending, unwanted, the meeting in progress        | Nothing until its end                      |
| pending, unwanted                                 | Confirm, and only then Delete              |
| a debt whose time has come                        | Verify                                     |
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from sync.codes import Code
from sync.conference import DAY_S, Conference, State
from sync.meeting import Reach

ROOM_REFS = 100  # a conference with more refs than this is a room: never changed or deleted
SMALL = 50  # up to so many calendars, an event may have moved to any of them
_PROGRESS_POLL_S = 900.0


@dataclass(frozen=True, slots=True)
class Update:
    """Tell the provider the present want."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask for positive evidence that nobody uses it; with it, delete."""


@dataclass(frozen=True, slots=True)
class Verify:
    """Read it back: a call of ours with an unknown outcome can no longer land."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing now. `until`: when to decide again, in seconds since the epoch; None: when an event changes."""

    until: float | None
    code: Code = Code.UNCHANGED


Action = Update | Confirm | Verify | Nothing


def decide(conference: Conference, now: float, grace_s: float) -> Action:
    """The one next step for this conference."""
    if conference.state in (State.GONE, State.LOST, State.HELD):
        return Nothing(None, Code.HELD if conference.state is State.HELD else Code.UNCHANGED)
    if len(conference.refs) > ROOM_REFS:
        return Nothing(None, Code.PERSONAL_ROOM)
    if conference.intent is not None and now < conference.intent.until:
        return Nothing(conference.intent.until)
    verify_at = conference.verify_at if conference.refs else None
    if (conference.pending or verify_at is not None) and now < conference.not_before:
        return Nothing(conference.not_before)
    if conference.pending:
        return Update() if conference.wanted else _ending(conference, now, grace_s)
    if verify_at is not None and now >= verify_at:
        return Verify()
    return Nothing(verify_at)


def _ending(conference: Conference, now: float, grace_s: float) -> Action:
    """Deletions come late: after the grace, and never during the meeting."""
    dropped_at = conference.dropped_at or now
    if now < dropped_at + grace_s:
        return Nothing(dropped_at + grace_s, Code.DELETION_WAITING)
    running = [ref.reach for ref in conference.former.values() if _may_still_run(ref.reach, dropped_at, now)]
    if running:
        return Nothing(max(_over_at(reach, now) for reach in running), Code.IN_PROGRESS)
    return Confirm()


def _over_at(reach: Reach, now: float) -> float:
    """When to look whether it is over: of a series, nobody has worked out which occurrence is running."""
    return now + _PROGRESS_POLL_S if reach.repeats or reach.end is None else reach.end


def _may_still_run(reach: Reach, dropped_at: float, now: float) -> bool:
    """Of a series, only what had begun when it was dropped: an all-day one would be running for ever."""
    begun = not reach.repeats or now < dropped_at + reach.length_s + 7200
    return begun and reach.in_progress(now)


def due_at(conference: Conference, now: float, grace_s: float) -> float | None:
    """When this conference next needs a look; None: only when one of its events changes."""
    step = decide(conference, now, grace_s)
    return step.until if isinstance(step, Nothing) else now


class Evidence(Enum):
    """What asking for an event that once carried the conference showed."""

    GONE = auto()  # cancelled, unknown, or seen whole without this conference
    LIVE = auto()  # the organizer's copy carries it: it is used
    HIDDEN = auto()  # not to be seen, or not by us


@dataclass(frozen=True, slots=True)
class Brake:
    """How many deletions one calendar may make in 24 hours before a person is asked."""

    most: int = 20
    unquestioned: int = 5
    share: float = 0.3

    def holds(self, deleted: int, waiting: int, live: int) -> bool:
        """Whether `waiting` more deletions, after `deleted` in the last day, are implausibly many."""
        total = deleted + waiting
        everything = total + live
        return total > self.most or (total > self.unquestioned and total > self.share * everything)


def recent(deletions: Iterable[float], now: float) -> tuple[float, ...]:
    """The deletions of the last 24 hours."""
    return tuple(at for at in deletions if at > now - DAY_S)
