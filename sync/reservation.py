"""Jitsi's reservation API, answered from the ledger: a room opens only in its slot. One read for each question.

Vendor's document: "Reservation System setup" of the Jitsi handbook, and mod_reservations of Prosody. Prosody asks
when the first guest comes, and ends the room when the answered time is over. It escapes nothing in the URLs it
makes of our ids, so an id is the room's name in hexadecimal digits: nothing needs to be remembered for it.

What the ledger has of a meeting is when it starts and ends, and of a series that it repeats, but not on which
days. So the room of a series is open every day around its time of day, an hour early and late (summer time may
begin in between), but not at an occurrence that was cancelled or moved away, and at the one it was moved to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sync.conference import Conference, Ref, State
from sync.errors import Rejected
from sync.ports import Clock, Store
from sync.recognise import ConferenceKey

_DAY_S = 86400.0
_DRIFT_S = 3600.0  # by which a series may be off its time of day


@dataclass(frozen=True, slots=True)
class Rooms:
    """Whose rooms these are, and how they open."""

    provider: str
    early_s: float  # before the meeting
    late_s: float  # after it
    allows_unknown: bool  # whether a room without a meeting opens


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and a JSON object."""

    status: int
    body: dict[str, object]


class Reservations:
    """Whether a room may be opened now, and for how long."""

    def __init__(self, store: Store, clock: Clock, rooms: Rooms) -> None:
        self._store = store
        self._clock = clock
        self._rooms = rooms

    def reserve(self, name: str, owner: str) -> Reply:
        """Somebody wants to open this room. Raises Rejected for a question without a name, Transient."""
        if not name:
            raise Rejected("a reservation must have a name")
        now = self._clock.now()
        found = self._conference(name)
        if found is None or _nobody_speaks_for(found):
            if not self._rooms.allows_unknown:
                return _refused("There is no meeting for this room in any calendar.")
            return _granted(name, owner, now, now + _DAY_S)
        if not found.wanted:
            return _refused("The meeting of this room was cancelled.")
        until = max(self._ends(found, now), default=None)
        if until is None:
            return _refused("The meeting of this room is at another time.")
        return _granted(name, owner, now, until)

    def look_up(self, room_id: str) -> Reply:
        """The reservation of this id, as it would be answered now."""
        try:
            name = bytes.fromhex(room_id).decode()
        except ValueError:
            name = ""
        reply = self.reserve(name, "") if name else None
        if reply is None or reply.status != 200:
            return Reply(404, {"message": "There is no such reservation now."})
        return reply

    def _conference(self, name: str) -> Conference | None:
        key = ConferenceKey(self._rooms.provider, name.lower())
        return next(iter(self._store.conferences([key])), None) if key.is_sound() else None

    def _ends(self, conference: Conference, now: float) -> Iterator[float]:
        """When the slots end that are open now."""
        for ref in conference.refs.values():
            for start, end in _slots(ref, now):
                if start - self._rooms.early_s <= now < end + self._rooms.late_s:
                    yield end + self._rooms.late_s


def _nobody_speaks_for(conference: Conference) -> bool:
    """Whether no event wants it open or closed: released, left alone by a person, or never wanted."""
    left_alone = not conference.pending and conference.state is not State.GONE
    return not conference.refs and (conference.wanted or left_alone)


def _slots(ref: Ref, now: float) -> Iterator[tuple[float, float]]:
    """What may be a slot around this time: start and end."""
    reach = ref.reach
    if not reach.repeats:
        yield reach.start, reach.start + reach.length_s
        return
    for moved in ref.moved.values():
        if moved.start is not None and moved.end is not None:
            yield moved.start, moved.end
    elsewhere = [_moment(moved.original) for moved in ref.moved.values()]
    days = int((now - reach.start) // _DAY_S)
    # Yesterday's may still run, tomorrow's may be about to open; of longer ones the latest ends last.
    for day in range(max(days - 1, 0), max(days, -1) + 3):
        start = reach.start + day * _DAY_S
        if reach.is_over(start) or any(abs(start - at) <= _DRIFT_S for at in elsewhere):
            continue
        drift_s = _DRIFT_S if day else 0.0
        yield start - drift_s, start + reach.length_s + _DRIFT_S


def _moment(original: str) -> float:
    """The original start of an occurrence: of an all-day one, midnight in UTC; never, if it was not told."""
    try:
        at = datetime.fromisoformat(original)
    except ValueError:
        return float("-inf")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _granted(name: str, owner: str, now: float, until: float) -> Reply:
    """Prosody counts from the start it is told: from now, in whole seconds. It insists on all five fields."""
    start = datetime.fromtimestamp(int(now), UTC)
    return Reply(
        200,
        {
            "id": name.lower().encode().hex(),
            "name": name,
            "mail_owner": owner,
            "start_time": start.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "duration": max(int(until - int(now)), 1),
        },
    )


def _refused(message: str) -> Reply:
    return Reply(403, {"message": message})
