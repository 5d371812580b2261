"""What a pass would do, found out by the pass itself: over a copy of the store, with providers that take note.

And a plan carried out: the same pass for real, for the conferences of the plan alone, and only where their events
want what they wanted when it was made.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sync import by_hand
from sync import conference as conferences
from sync.apply import apply
from sync.cli import health
from sync.cli.desk import Desk, Wrong, owner, quietly
from sync.cli.overlay import Overlay
from sync.codes import Code
from sync.conference import Conference, State
from sync.errors import Transient
from sync.ledger import event_of
from sync.meeting import FIELDS, Meeting
from sync.ports import (
    Actual,
    CalendarRecord,
    Claimed,
    Conferences,
    Outcome,
    Outside,
    Progress,
    Provider,
    Target,
    Task,
)
from sync.pull import pull
from sync.recognise import ConferenceKey
from sync.tenure import Tenure, borrowed
from sync.wake import wake

UPDATE, DELETE, KEEP, UNSURE = "~", "-", "=", "?"
_AT_HAND_S = 0.5  # what a clock that is a little behind has not seen to be time
_READING = ("list_page", "get", "call_s", "listing")


@dataclass(frozen=True, slots=True)
class Step:
    """One conference, and what a pass would do about it."""

    mark: str
    conference: ConferenceKey
    what: str  # in words
    fingerprint: str = ""  # of the want that this is about; empty: that it is gone
    dropped_at: float | None = None
    at: float | None = None  # when it is done, if not now; None: now, or nobody knows

    @property
    def is_change(self) -> bool:
        return self.mark in (UPDATE, DELETE)

    @property
    def is_due(self) -> bool:
        return self.is_change and self.at is None


@dataclass(slots=True)
class Plan:
    """What a pass over one calendar would do now."""

    calendar: CalendarRecord
    steps: list[Step] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)  # what was decided of events and conferences
    complete: bool = True  # the listing came to its end


class _Notes(Conferences):
    """The configured providers, of which none is called: what they would be told is noted."""

    def __init__(self, real: Conferences) -> None:
        self._real = real
        self.calls: dict[ConferenceKey, str] = {}

    def provider(self, name: str, account: str = "") -> Provider:
        taking: Any = _Taking(self._real.provider(name, account), self.calls)
        found: Provider = taking
        return found


class _Taking:
    """A provider that takes everything and does nothing. What it is asked to read is as wanted."""

    def __init__(self, real: Provider, calls: dict[ConferenceKey, str]) -> None:
        self._real = real
        self._calls = calls
        self.name, self.system = real.name, real.system
        self.capabilities, self.call_s = real.capabilities, real.call_s

    def read(self, target: Target) -> Actual | None:
        self._calls.setdefault(target.key, "read")
        return Actual()

    def update(self, target: Target, _meeting: Meeting) -> Outcome:
        self._calls[target.key] = "update"
        return Outcome(changed=True)

    def delete(self, target: Target) -> Outcome:
        self._calls[target.key] = "delete"
        return Outcome(changed=True)


class _Reading:
    """A calendar of which nothing but reading is left."""

    def __init__(self, real: object) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        assert name in _READING, f"a plan reads the calendar and does not {name}"
        return getattr(self._real, name)


class _NoQueue:
    """Wakes of a plan wake nobody."""

    def create(self, _task: Task) -> bool:
        return True


def plan(desk: Desk, record: CalendarRecord) -> Plan:
    """What a pass over this calendar would do. Raises AccessLost, Transient."""
    outside, policy = desk.workplace
    overlay = Overlay(desk.store, record.key, desk.calendars, desk.settings.times)
    notes, calendar = _Notes(outside.conferences), _Reading(outside.calendar)
    reading: Any = calendar
    copied = Outside(reading, overlay, notes, _NoQueue(), outside.clock)
    with quietly():
        claim = overlay.claim(record.key, owner())
        assert isinstance(claim, Claimed), "nobody else is at a copy of our own"
        tenure = Tenure(copied, replace(policy, observing=False), claim)
        pulled = pull(tenure)
        pulled.recorded = True  # everything is to be looked at, whenever it was thought to be due
        applied = apply(tenure, pulled)
        if applied.work_at is not None and applied.work_at <= overlay.now() + _AT_HAND_S:
            applied.codes += apply(tenure, pulled).codes
    made = Plan(record, complete=pulled.complete)
    made.codes.update({code.value: number for code, number in (pulled.codes + applied.codes).items()})
    made.steps += _steps(desk, overlay, record, notes.calls)
    return made


def _steps(
    desk: Desk, overlay: Overlay, record: CalendarRecord, calls: Mapping[ConferenceKey, str]
) -> Sequence[Step]:
    keys = {*calls, *(each.key for each in overlay.unsettled(record.key))}
    after = {each.key: each for each in overlay.conferences(keys)}
    before = overlay.as_it_was(keys)
    steps = [_step(desk, overlay, after[key], before.get(key), calls.get(key, "")) for key in after]
    order = {UPDATE: 0, DELETE: 1, UNSURE: 2, KEEP: 3}
    return sorted(steps, key=lambda step: (order[step.mark], str(step.conference)))


def _step(desk: Desk, overlay: Overlay, after: Conference, before: Conference | None, call: str) -> Step:
    want, last = after.want, after.decisions[-1].decision if after.decisions else None
    match call:
        case "update":
            what = f"tell {', '.join(_changed(overlay, after, before)) or 'it again'}"
            return Step(UPDATE, after.key, what, want.fingerprint)
        case "delete":
            return Step(DELETE, after.key, "delete", dropped_at=after.dropped_at)
        case "read":
            return Step(UNSURE, after.key, "read it back, and tell it again if it is not as wanted")
    step, at = health.next_step(after, overlay.now(), desk.settings.times.grace)
    if after.state is State.HELD:
        return Step(UNSURE, after.key, "its deletion waits for a person: holds")
    if after.is_to_go:
        why = f"delete: {last.why}" if last and last.why else "delete, when its grace is over"
        return Step(DELETE, after.key, why, dropped_at=after.dropped_at, at=at)
    why = f": {last.why}" if last and last.why else ""
    return Step(UNSURE, after.key, f"{step}{why}", at=at)


def _changed(overlay: Overlay, after: Conference, before: Conference | None) -> list[str]:
    """Which fields of its events its provider has not been told like this."""
    told_at = (
        max((each.at for each in before.decisions if each.decision.code is Code.UPDATED), default=0.0)
        if before
        else 0.0
    )
    changed: set[str] = set()
    for ref in after.refs:
        calendar_key, event_id = event_of(ref)
        for link in overlay.links_of(event_id):
            if link.calendar_key != calendar_key:
                continue
            told = [each for each in link.seen if each.at <= told_at and each.prints]
            if not told or not link.seen[-1].prints:
                return ["all of it"]
            now = link.seen[-1].prints
            changed |= {name for name in now if now[name] != told[-1].prints.get(name)}
    return sorted(changed, key=FIELDS.index)


# --- Carrying it out ---


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one step."""

    conference: ConferenceKey
    outcome: str  # done, moved (refused: something changed since), or failed
    why: str = ""


def carry_out(desk: Desk, record: CalendarRecord, steps: Sequence[Step]) -> list[Done]:
    """These steps and no others, each only if its conference is still wanted as it was. Also while observing.

    Raises AccessLost, Transient.
    """
    outside, policy = desk.workplace
    acting = replace(policy, observing=False)
    with quietly(), borrowed(outside, acting, record.key, owner()) as tenure:
        pulled = pull(tenure)
        if not pulled.complete:
            raise Transient("the listing did not come to its end: pull the calendar first, and plan again")
        if pulled.progress != Progress():
            tenure.note(pulled.progress)
        standing = {each.key: each for each in outside.store.conferences(step.conference for step in steps)}
        moved = {
            step.conference: why for step in steps if (why := _has_moved(step, standing.get(step.conference)))
        }
        keys = [step.conference for step in steps if step.conference not in moved]
        by_hand.apply_to(tenure, keys, conferences.retried)
        apply(tenure, pulled, keys)
    wake(outside.queue, outside.clock, acting.buckets, record.key)  # the rest is another pass's business
    after = {each.key: each for each in outside.store.conferences(keys)}
    return [
        _done(step.conference, moved.get(step.conference, ""), after.get(step.conference)) for step in steps
    ]


def _has_moved(step: Step, now: Conference | None) -> str:
    """Why a step is not to be done any more; empty if it is."""
    if now is None:
        return "it is not known any more"
    if now.want.fingerprint != step.fingerprint:
        return "its events want something else by now" if now.wanted else "no event uses it any more"
    if not step.fingerprint and now.dropped_at != step.dropped_at:
        return "an event used it again meanwhile"
    return "" if now.pending else "it was done meanwhile"


def _done(key: ConferenceKey, moved: str, after: Conference | None) -> Done:
    if moved:
        return Done(key, "moved", moved)
    if after is None:
        return Done(key, "failed", "it is not known any more")
    if not after.pending:
        return Done(key, "done")
    last = after.decisions[-1].decision if after.decisions else None
    return Done(key, "failed", (last.why or last.code.value) if last else "")


def read(document: Any) -> list[tuple[str, list[Step]]]:
    """The plan in a file, by calendar key. Raises Wrong."""
    try:
        if document["plan"] != 1:
            raise KeyError
        return [
            (
                each["key"],
                [
                    Step(
                        str(step["mark"]),
                        ConferenceKey.parse(step["conference"]),
                        str(step["what"]),
                        str(step["fingerprint"]),
                        step["dropped_at"],
                    )
                    for step in each["steps"]
                    if step["due"]
                ],
            )
            for each in document["calendars"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Wrong(
            "that file holds no plan of this version", "make one: python -m sync plan --out FILE"
        ) from None
