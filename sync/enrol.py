"""Calendars that come and go at run time. Whose a calendar is, the worker judges:

| the calendar                                | with delegation          | with calendars shared to us        |
|---------------------------------------------|--------------------------|------------------------------------|
| the caller's own: its id is their address   | theirs, read as them     | theirs, read as ourselves          |
| another, that they own or may write to      | theirs, read as them     | not theirs: we cannot ask as them  |
| any other                                   | not theirs               | not theirs                         |

First the channel, then the full listing, then its token: whatever changes meanwhile is listed, or notified of.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from sync import ledger, logs, watching
from sync.by_hand import apply_to, in_batches, list_anew
from sync.channel import Key, Keys, calendar_key
from sync.codes import Code
from sync.conference import Conference, Decision, left_alone
from sync.enrolment import Ask, Enrolment
from sync.errors import AccessLost, Transient
from sync.ledger import Ledger
from sync.policy import Policy
from sync.ports import CalendarId, CalendarRecord, EnrolledCalendar, Outside
from sync.recognise import ConferenceKey
from sync.tenure import Tenure, borrowed
from sync.wake import wake

_OWNING = ("owner", "writer")
_BATCH = 60  # links or conferences of one transaction: with what they name, at most 200 documents
_DUE = 1000  # conferences handed over at most: more than a calendar has to be told of
_EVER = 1e11  # seconds since the epoch: nothing is due later
_REFUSED = "refused"
_OVERTAKEN = "overtaken"
_LEFT_OVER = Decision(Code.ACCESS_LOST, "its calendar was withdrawn before it was deleted: it is left alone")


def enrol(outside: Outside, policy: Policy, key: Key, known: Keys, asked: Enrolment, owner: str) -> None:
    """Judge, remember, watch and wake. Safe to repeat. Raises Transient when the queue should try again."""
    store, salt = outside.store, outside.store.salt()
    name = calendar_key(salt, asked.calendar_id)
    before = store.calendar(name)
    calendar = _judged(outside, policy, asked)
    if calendar is None:
        _log(Ask.ENROL, name, _REFUSED)
        return
    well = before is not None and before.active and not before.frozen
    if before is not None and well:
        calendar = before.calendar  # nothing is gained by reading it as somebody else
    if not store.enrol(name, EnrolledCalendar(calendar, asked.asked_at, _hashed(salt, asked.caller))):
        _log(Ask.ENROL, name, _OVERTAKEN)
        return
    record = store.tend(name, _as_enrolled(name, calendar))
    if not record.label:
        watching.look_after(outside, policy, key, known, record, store.webhook_url())
    if asked.conference is not None and record.active:
        _expect(outside, policy, name, asked.event_id, asked.conference, owner)
    if not well:
        wake(outside.queue, outside.clock, policy.buckets, name)
    _log(Ask.ENROL, name, "wired" if record.label else "enrolled")


def withdraw(outside: Outside, policy: Policy, asked: Enrolment, owner: str) -> None:
    """Judge, let go and stop the channels. Safe to repeat. Raises Transient when the queue should try again."""
    store = outside.store
    name = calendar_key(store.salt(), asked.calendar_id)
    if _judged(outside, policy, asked) is None:
        _log(Ask.WITHDRAW, name, _REFUSED)
        return
    remove(outside, policy, name, asked.asked_at, owner)
    record = store.calendar(name)
    if record is not None and not record.active:
        watching.stop_all(outside, policy, record)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it in a word, and the conferences that were to be deleted and are not."""

    word: str
    left_over: Sequence[ConferenceKey] = ()


def remove(outside: Outside, policy: Policy, calendar_key: str, asked_at: float, owner: str) -> Outcome:
    """Look after this calendar no longer: nothing of it is deleted. Its channels are left to converge.

    It is withdrawn, wired or overtaken. Safe to repeat. Raises Transient while a pass is over it, and where it
    goes on in another go.
    """
    store, left_over = outside.store, list[ConferenceKey]()
    record = store.calendar(calendar_key)
    if record is None or record.label or not record.active:
        stands = store.withdraw(calendar_key, asked_at)
    else:
        with borrowed(outside, policy, calendar_key, owner) as tenure:
            _let_all_go(tenure)
            stands = store.withdraw(calendar_key, asked_at)
            if stands:
                left_over = _call_off(tenure)
                store.tend(calendar_key, _at_rest(tenure.record))
    wired = record is not None and bool(record.label)
    if stands and record is not None and not wired:
        _hand_over(outside, policy, calendar_key, owner)
    word = _OVERTAKEN if not stands else "wired" if wired else "withdrawn"
    _log(Ask.WITHDRAW, calendar_key, word)
    return Outcome(word, left_over)


def _let_all_go(tenure: Tenure) -> None:
    """Under the lease until the calendar is at rest: no pass comes in between, and makes these links anew."""
    key, outside = tenure.record.key, tenure.outside
    list_anew(tenure)  # should it come back, everything is to be seen again
    links = iter(outside.store.live_links(key))
    while batch := [link.event_id for link in islice(links, _BATCH)]:
        if tenure.is_over():
            raise Transient(f"the withdrawal of calendar {key} goes on in another go")
        tenure.stay(outside.calendar.call_s)
        tenure.change(partial(_let_go, batch))


def _call_off(tenure: Tenure) -> list[ConferenceKey]:
    """No deletion that still waits is made: whether it is right, only the events could say that we ask no more.

    Each is told of, as its conference is left over: nobody uses it, and nobody deletes it.
    """
    key, outside, called_off = tenure.record.key, tenure.outside, list[ConferenceKey]()
    waiting = (each.key for each in outside.store.unsettled(key) if each.is_to_go)
    for batch in in_batches(waiting):
        tenure.stay(outside.calendar.call_s)
        called_off += apply_to(tenure, batch, _left_over)
    for conference in called_off:
        shown = tenure.policy.rules.shown(conference)
        logs.write(
            logs.Record.DECISION, calendar=key, conference=shown, code=_LEFT_OVER.code, why=_LEFT_OVER.why
        )
    return called_off


def _left_over(conference: Conference, now: float) -> Conference:
    return left_alone(conference, now, _LEFT_OVER) if conference.is_to_go else conference


def _hand_over(outside: Outside, policy: Policy, calendar_key: str, owner: str) -> None:
    """What is still to be told of conferences that others use too, is theirs to tell.

    Each takes it over under its own lease: whatever comes in between, it is found here until somebody has.
    """
    heirs: dict[str, list[ConferenceKey]] = {}
    for conference in outside.store.due_conferences(calendar_key, _EVER, _DUE):
        for heir in dict.fromkeys(ledger.event_of(ref)[0] for ref in conference.refs):
            record = outside.store.calendar(heir)
            if record is not None and record.active:
                heirs.setdefault(heir, []).append(conference.key)
                break
    for heir, keys in heirs.items():
        with borrowed(outside, policy, heir, owner) as tenure:
            for at in range(0, len(keys), _BATCH):
                tenure.change(partial(_take_over, keys[at : at + _BATCH]))
        wake(outside.queue, outside.clock, policy.buckets, heir)


def _let_go(event_ids: Sequence[str], book: Ledger, now: float) -> None:
    ledger.let_go(book, event_ids, now)


def _take_over(keys: Sequence[ConferenceKey], book: Ledger, _now: float) -> None:
    ledger.take_over(book, keys)


def _judged(outside: Outside, policy: Policy, asked: Enrolment) -> CalendarId | None:
    """The calendar, and as whom it is read; None if it is not the caller's."""
    if asked.is_callers_own:
        return CalendarId(asked.caller, asked.caller if policy.delegates else "")
    if not policy.delegates:
        return None
    calendar = CalendarId(asked.calendar_id, asked.caller)
    try:
        role = outside.calendar.access_role(calendar)
    except AccessLost:
        return None
    return calendar if role in _OWNING else None


def _as_enrolled(
    calendar_key: str, calendar: CalendarId
) -> Callable[[CalendarRecord | None, float], CalendarRecord]:
    def body(record: CalendarRecord | None, now: float) -> CalendarRecord:
        if record is not None and record.label:  # wired meanwhile
            return record
        known = record or CalendarRecord(calendar_key, calendar, due_at=now)
        return replace(known, calendar=calendar, active=True)

    return body


def _at_rest(gone: CalendarRecord) -> Callable[[CalendarRecord | None, float], CalendarRecord]:
    def body(record: CalendarRecord | None, _now: float) -> CalendarRecord:
        known = record or gone
        return replace(known, active=bool(known.label))

    return body


def _expect(
    outside: Outside, policy: Policy, calendar_key: str, event_id: str, key: ConferenceKey, owner: str
) -> None:
    """Note what an event is said to carry, if that is a conference of a provider of ours."""
    if key.provider in policy.rules.providers:
        with borrowed(outside, policy, calendar_key, owner) as tenure:
            tenure.change(lambda book, now: ledger.expect(book, event_id, key, now))


def _hashed(salt: bytes, address: str) -> str:
    """Who asked, so that the same person is known again and nobody else can say who it was."""
    return hmac.digest(salt, b"caller\0" + address.encode(), hashlib.sha256).hex()[:26]


def _log(ask: Ask, calendar_key: str, outcome: str) -> None:
    logs.write(logs.Record.ENROLMENT, calendar=calendar_key, ask=ask, outcome=outcome)
