"""The times of a Zoom meeting: what they should be, whether Zoom has them, and what to tell it. Pure.

Zoom lists the occurrences of a series that are ahead, 50 at most. A series is its rule, and each occurrence that
is elsewhere is put there by itself. Facts are from Zoom's Meetings API, "Get" and "Update a meeting"; guesses are
marked.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from sync.conferences import zoom_recurrence
from sync.conferences.recurrence import Place, Series, series
from sync.conferences.told import NOT_OURS, moment
from sync.errors import Transient, Unsupported
from sync.meeting import Meeting

ONCE, SERIES = 2, 8  # of the types of a meeting, those that have times
_LONGEST = timedelta(hours=24)  # a guess: what Zoom's own clients offer
_LISTED = 50
_PAST = "Zoom takes no start in the past"


def times(meeting: Meeting, found: Mapping[str, object], now: datetime) -> "Once | Repeated":
    """The times of a meeting in Zoom. Raises Unsupported for what it cannot have, and says why."""
    if found["type"] not in (ONCE, SERIES):
        raise Unsupported("in Zoom this meeting has no fixed time, and it gets none")
    if meeting.all_day:
        raise Unsupported("an all-day meeting has no times in Zoom")
    if not timedelta() < meeting.end - meeting.start <= _LONGEST:
        raise Unsupported("Zoom has meetings of one minute to 24 hours")
    return Repeated(series(meeting), now) if meeting.recurrence else Once(meeting, now)


class Once:
    """The times of a meeting that does not repeat."""

    def __init__(self, meeting: Meeting, now: datetime) -> None:
        self._start, self._minutes = meeting.start, _in_minutes(meeting.end - meeting.start)
        self._zone = meeting.zone
        self._now = now

    def are_in(self, found: Mapping[str, object]) -> bool:
        if found["type"] != ONCE or "start_time" not in found:
            return False
        return (moment(found["start_time"]), minutes(found)) == (self._start, self._minutes)

    def may_drift(self, _: Mapping[str, object]) -> bool:
        return False

    def told(self, found: Mapping[str, object]) -> dict[str, object]:
        """Raises Unsupported."""
        if self._start <= self._now:
            raise Unsupported(_PAST)
        told: dict[str, object] = {"start_time": utc(self._start), "duration": self._minutes}
        if self._zone:
            local = self._start.astimezone(self._zone)
            told["timezone"] = self._zone.key
            if not local.fold:  # else it is the second of two such hours, which only UTC can tell apart
                told["start_time"] = _local(local)
        # That a series becomes a single meeting by its type no document says: what is read again decides.
        return told if found["type"] == ONCE else {"type": ONCE, **told}


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an occurrence is, as Zoom has it: to the minute."""

    start: datetime
    minutes: int

    @classmethod
    def of(cls, place: Place) -> "Slot":
        return cls(place.start, _in_minutes(place.end - place.start))


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One of those that Zoom lists; `named` is what its id says: where the rule has it."""

    id: str
    named: datetime | None
    slot: Slot
    ended: bool


class Repeated:
    """The times of a series, as far as they are ahead: Zoom takes no start in the past."""

    def __init__(self, whole: Series, now: datetime) -> None:
        """Raises Unsupported."""
        rest = whole.ahead(now)
        if rest is None:
            raise Unsupported(_PAST)
        self._series = rest
        self._recurrence = zoom_recurrence.told(rest)
        self._minutes = _in_minutes(rest.length)
        self._now = now
        self.elsewhere = {
            at: Slot.of(place) if place else None
            for at, place in rest.elsewhere.items()
            if max(at, place.start if place else at) > now
        }
        # Those that are no more may not be listed: then the listing reaches farther.
        self._starts = list(islice(rest.starts(), _LISTED + len(self.elsewhere)))

    def told(self, found: Mapping[str, object]) -> dict[str, object]:
        zone: ZoneInfo = self._series.zone
        told = {"start_time": _local(self._series.first), "duration": self._minutes, "timezone": zone.key}
        told["recurrence"] = self._recurrence
        return told if found["type"] == SERIES else {"type": SERIES, **told}

    def are_in(self, found: Mapping[str, object]) -> bool:
        """Whether Zoom has the occurrences that the rule has, as far as it lists them."""
        listed = self._listed(found)
        if found["type"] != SERIES or None in listed:
            return False
        reach = self._reach(found)
        due = {at for at in self._starts if reach is None or at <= reach}
        missing = [at for at in due - listed.keys() if self.elsewhere.get(at, True)]
        usual = [each.slot.minutes for at, each in listed.items() if at and each.slot.start == at]
        return (
            not missing and (not usual or self._minutes in usual) and (reach is None or self._goes_on(found))
        )

    def may_drift(self, found: Mapping[str, object]) -> bool:
        """Whether it has another zone, and it may be behind the end of the listing that the clocks change."""
        full = self._reach(found) is not None
        return full and found.get("timezone") != self._series.zone.key

    def misplaced(self, found: Mapping[str, object]) -> tuple[Sequence[tuple[Occurrence, Slot | None]], bool]:
        """The occurrences to put elsewhere (None: to end), and whether there are others that cannot be."""
        listed = self._listed(found)
        reach = self._reach(found)
        changes: list[tuple[Occurrence, Slot | None]] = []
        stuck = any(slot or (reach and at > reach) for at, slot in self.elsewhere.items() if at not in listed)
        for at, each in listed.items():
            if at is None:
                continue
            slot = self.elsewhere.get(at, Slot(at, self._minutes))
            if (None if each.ended else each.slot) == slot:
                continue
            if each.ended or (slot and slot.start <= self._now):
                stuck = True
            else:
                changes.append((each, slot))
        return changes, stuck

    def _listed(self, found: Mapping[str, object]) -> dict[datetime | None, Occurrence]:
        """What Zoom lists, by where the rule has it; None: where no rule has anything."""
        ahead = [
            each for each in _occurrences(found) if max(each.slot.start, each.named or self._now) > self._now
        ]
        return {self._original(each): each for each in ahead if self._is_known(each)}

    def _is_known(self, each: Occurrence) -> bool:
        """One that was put off from the past is of no rule that is ahead."""
        return self._original(each) is not None or not (
            each.ended or (each.named and each.named <= self._now)
        )

    def _original(self, each: Occurrence) -> datetime | None:
        known = {*self._starts, *self.elsewhere}
        if each.named in known:
            return each.named
        if each.slot.start in known:  # a guess: ids may be given anew when a series changes
            return each.slot.start
        return next(
            (at for at, slot in self.elsewhere.items() if slot and slot.start == each.slot.start), None
        )

    def _reach(self, found: Mapping[str, object]) -> datetime | None:
        """How far a full listing reaches; None if it has all there is."""
        if len(list(_occurrences(found))) < _LISTED:
            return None
        return max((at for at in self._listed(found) if at), default=self._now)

    def _goes_on(self, found: Mapping[str, object]) -> bool:
        """Whether the rule is as wanted, and so goes on behind the end of a full listing."""
        there = found.get("recurrence")
        if not isinstance(there, Mapping):
            return False
        return all(_plain(there.get(name, 0)) == _plain(value) for name, value in self._recurrence.items())


def _plain(value: object) -> list[str]:
    return sorted(str(value).split(","))


def _occurrences(found: Mapping[str, object]) -> Iterator[Occurrence]:
    listed = found.get("occurrences", [])
    for each in listed if isinstance(listed, list) else []:
        match each:
            case {"occurrence_id": str(name), "start_time": start} if name:
                # "Update a meeting" shows ids that are the moment of the start, in milliseconds.
                is_moment = re.fullmatch(r"\d{12,13}", name, re.ASCII)
                named = datetime.fromtimestamp(int(name) / 1000, UTC) if is_moment else None
                yield Occurrence(
                    name, named, Slot(moment(start), minutes(each)), each.get("status") == "deleted"
                )
            case _:
                raise Transient(NOT_OURS)


def minutes(found: Mapping[str, object]) -> int:
    """The length of a meeting, or of an occurrence, that Zoom tells."""
    told = found.get("duration")
    if isinstance(told, int):
        return told
    raise Transient(NOT_OURS)


def _in_minutes(length: timedelta) -> int:
    return -(-length // timedelta(minutes=1))


def _local(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def utc(moment: datetime) -> str:
    return f"{_local(moment)}Z"
