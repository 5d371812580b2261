"""Wants -> intents -> provider -> settled: bring the conferences of one calendar to what their events want.

Intent before effect; the effect is a state, never a delta; an unknown outcome is a debt that a later read pays;
a deletion comes last and on evidence. Nothing here holds up the token, another conference or another calendar.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from sync import conference as conferences
from sync import decide, ledger, logs, meeting, records
from sync.codes import Code
from sync.conference import Conference, Decision, Intent, State
from sync.decide import Action, Confirm, Evidence, Nothing, Update, Verify
from sync.errors import (
    AuthFailed,
    Gone,
    NewerRecord,
    RateLimited,
    Refused,
    SyncError,
    Transient,
    Unsupported,
    kind_of,
)
from sync.event import Event, Kind
from sync.ledger import Ledger
from sync.meeting import Meeting
from sync.pauses import Pauses
from sync.ports import CalendarRecord, Outcome, Progress, Provider, Reason, Target
from sync.pull import Pulled
from sync.recognise import ConferenceKey
from sync.tenure import Item, Tenure
from sync.wake import wake
from sync.write_back import Copies, Written, is_outdated, write_back

_BATCH = 50  # conferences read at a time
_CALLS = 500  # provider calls of one pass
_LOOKS = 3  # at one conference in one pass
_SPREAD, _SPREAD_S = 0.25, 120.0  # of a pause, and at most: not all that wait for its end come at once
_ABANDONED_S = 30 * 86400.0  # nobody brings an event back then: Google keeps deleted ones for about a month
_SLACK_S = 2.0  # beyond a provider call's own bound: for the write that settles it

Change = Callable[[Conference, float], Conference]


@dataclass(slots=True)
class Applied:
    """What applying has come to."""

    work_at: float | None  # when the next conference needs a look
    calls: int = 0
    codes: Counter[Code] = field(default_factory=Counter)


def apply(tenure: Tenure, pulled: Pulled, only: Collection[ConferenceKey] | None = None) -> Applied:
    """Do what is due for every conference this calendar looks after, or for `only` those.

    What a provider raises ends in the ledger. Raises LeaseLost, and Transient when the store does not answer.
    """
    return _Apply(tenure, pulled, only).run()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the events of a conference make of it, and these events."""

    meeting: Meeting
    copies: Copies


class _Apply:
    """The due conferences of one calendar in one pass."""

    def __init__(self, tenure: Tenure, pulled: Pulled, only: Collection[ConferenceKey] | None = None) -> None:
        self._tenure = tenure
        self._outside = tenure.outside
        self._policy = tenure.policy
        self._pulled = pulled
        self._only = only
        self._applied = Applied(tenure.record.work_at)
        self._looks: Counter[ConferenceKey] = Counter()
        self._pauses = Pauses(tenure)
        self._half_seen: set[ConferenceKey] = set()  # what an event out of sight adds is a debt

    def run(self) -> Applied:
        work_at, now = self._applied.work_at, self._tenure.now()
        asked = self._pulled.recorded or self._only is not None
        if not asked and (work_at is None or work_at > now):
            return self._applied
        while due := self._due():
            for item in due:
                if self._tenure.is_over():
                    break
                self._looks[item.key] += 1
                self._look_at(item)
        times = (self._pulled.doubts_at, self._next_due())
        self._applied.work_at = min((at for at in times if at is not None), default=None)
        return self._applied

    def _due(self) -> list[Conference]:
        if self._applied.calls >= _CALLS or self._tenure.is_over():
            return []
        store, key, now = self._outside.store, self._tenure.record.key, self._tenure.now()
        if self._only is None:
            due = store.due_conferences(key, now, _BATCH)
        else:
            due = [each for each in store.conferences(self._only) if self._is_due(each, now)]
        return [item for item in due if self._looks[item.key] <= _LOOKS]

    def _is_due(self, item: Conference, now: float) -> bool:
        due_at = decide.due_at(item, now, self._policy.grace_s)
        return due_at is not None and due_at <= now

    def _next_due(self) -> float | None:
        return self._outside.store.next_due(self._tenure.record.key)

    # --- one conference ---------------------------------------------------------------------------------

    def _look_at(self, item: Conference) -> None:
        if not self._policy.rules.knows(item.key.provider, item.account):
            return self._leave(item)
        if self._looks[item.key] > _LOOKS:
            return self._postpone(item, self._patience(item), Code.RETRY_LATER, "looked at often enough")
        match decide.decide(item, self._tenure.now(), self._policy.grace_s):
            case Nothing(code=code):  # stored as due too early: storing it again corrects that
                self._change(item, lambda current, now: conferences.decided(current, now, Decision(code)))
            case step if self._policy.observing:
                self._observe(item, step)
            case step:
                self._take(item, step)
        return None

    def _leave(self, item: Conference) -> None:
        """Nobody can be told. One that is to be deleted is shown to people, until it is given up."""
        if item.wanted:
            return self._postpone(item, self._policy.sweep_s, Code.NOT_OURS, "the settings lack its provider")
        if self._tenure.now() < (item.dropped_at or 0.0) + _ABANDONED_S:
            gone = Decision(Code.NOT_OURS, "it is to be deleted, and the settings lack its provider")
            again_s = self._policy.quarantine_s
            self._change(
                item,
                lambda c, now: conferences.set_aside(c, now, State.QUARANTINED, now + again_s, gone),
            )
            return self._note(item.key, gone)
        given_up = Decision(Code.NOT_OURS, "the settings lack its provider: it is left alone")
        self._change(item, lambda c, now: conferences.left_alone(c, now, given_up))
        return self._note(item.key, given_up)

    def _take(self, item: Conference, step: Action) -> None:
        provider = self._provider(item)
        closed_until = self._pauses.closed_until(item, provider.call_s + _SLACK_S)
        if closed_until is not None:
            after_s = random.random() * _spread_s(closed_until - self._tenure.now())
            return self._wait(item, closed_until + after_s, Code.RETRY_LATER, "its account pauses")
        match step:
            case Update():
                self._update(item)
            case Confirm():
                self._confirm(item)
            case Verify():
                self._verify(item)
        return None

    def _observe(self, item: Conference, step: Action) -> None:
        """Say what would be done, and look again with the next sweep."""
        match step:
            case Confirm():
                if not self._is_unused(item):
                    return
                told = "would be held" if self._is_held_back(item) else "would be deleted"
            case Verify():
                told = "would be read back"
            case _:
                told = "would be updated"
        self._wait(item, self._tenure.now() + self._policy.sweep_s, Code.OBSERVED, told)

    def _update(self, item: Conference) -> None:
        seen = self._seen_of(item)
        if seen is not None:
            provider, wanted = self._provider(item), seen.meeting
            target = self._target(item, wanted.organizer)
            call = partial(provider.update, target, wanted)
            self._perform(item, "update", provider.call_s, call, seen.copies)

    def _delete(self, item: Conference) -> None:
        provider, target = self._provider(item), self._target(item)
        self._perform(item, "delete", provider.call_s, partial(provider.delete, target), {})

    def _provider(self, item: Conference) -> Provider:
        return self._outside.conferences.provider(item.key.provider, item.account)

    def _target(self, item: Conference, organizer: str = "") -> Target:
        """A deletion has no event left to name its organizer: most calendars are called as their owners."""
        reason = Reason.CHANGED if not item.was_deleted else Reason.RESTORED
        return Target(
            key=item.key,
            version=item.want.version,
            reason=reason if item.wanted else Reason.REMOVED,
            locator=item.locator,
            organizer=organizer or self._tenure.record.calendar.id,
        )

    def _perform(
        self, item: Conference, verb: str, call_s: float, call: Callable[[], Outcome], copies: Copies
    ) -> None:
        """Intent, the one provider call, and what it came to: in this order, whatever happens in between."""
        clock = self._outside.clock
        at_latest = clock.monotonic() + _SLACK_S  # read before: the intent's time counts from then or later
        intent = self._intend(item, call_s + _SLACK_S)
        if intent is None:
            return None
        self._tenure.stay(call_s + _SLACK_S)
        if clock.monotonic() > at_latest:  # before the call ended, others could take it for a predecessor's
            again_s, late = self._patience(item), Decision(Code.RETRY_LATER, "its intent was as good as over")
            self._settle(
                item.key, intent, lambda c, now: conferences.postponed(c, now, now + again_s, late), {}
            )
            return self._note(item.key, late)
        self._applied.calls += 1
        deleting, written = not intent.want.fingerprint, Written()
        try:
            outcome = call()
        except SyncError as error:
            pause = self._pauses.judge(item, error)
            decision = Decision(_code_of(error, deleting), str(error), verb, kind_of(error))
            settle = self._failure(error, deleting, pause, decision)
        else:
            self._pauses.judge(item, None)
            written = write_back(self._tenure, item.key, copies, outcome.join_url)
            code = written.code or _success(outcome, deleting)
            decision = Decision(code, _told(outcome, written.why), verb, "done")
            again = written.is_half_done
            settle = self._unwritten(item, decision) if again else self._confirmed(item, intent, decision)
        self._settle(item.key, intent, settle, written.etags)
        return self._note(item.key, decision, copies)

    def _intend(self, item: Conference, takes_s: float) -> Intent | None:
        """Claim the call for the very want we decided on.

        None: it changed, somebody else is at it, or it is not the time for it any more: a meeting has begun.
        """

        def body(book: Ledger, now: float) -> Intent | None:
            current = book.conference(item.key)
            if current is None or current.want != item.want:
                return None
            if isinstance(decide.decide(current, now, self._policy.grace_s), Nothing):
                return None
            claimed = conferences.intended(current, now, now + takes_s, self._policy.horizon_s)
            book.put_conference(claimed)
            return claimed.intent

        return self._tenure.change(body, self._braking(item))

    def _braking(self, item: Conference) -> Progress | None:
        """A deletion counts from its intent on: only this calendar is sure to know of it, whatever it comes to."""
        now = self._tenure.now()
        begins = not (item.wanted or item.approved or conferences.is_counted(item, now))
        return Progress(deleted_at=now) if begins else None

    def _settle(self, key: ConferenceKey, intent: Intent, settle: Change, etags: Mapping[str, str]) -> None:
        """What became of an intent; `etags`: of the versions we have written, by ref."""

        def body(book: Ledger, now: float) -> None:
            for ref, etag in etags.items():
                calendar_key, event_id = ledger.event_of(ref)
                link = book.link(event_id) if calendar_key == book.calendar_key else None
                if link is not None:
                    book.put_link(replace(link, written=etag))
            current = book.conference(key)
            if current is not None and conferences.is_ours(current, intent):
                book.put_conference(settle(current, now))

        self._tenure.change(body)

    def _confirmed(self, item: Conference, intent: Intent, decision: Decision) -> Change:
        """What a call that succeeded makes of its conference."""
        half_seen, sweep_s = item.key in self._half_seen, self._policy.sweep_s

        def settle(current: Conference, now: float) -> Conference:
            done = conferences.settled(current, intent, now, decision)
            return conferences.suspected(done, now, now + sweep_s) if half_seen else done

        return settle

    def _unwritten(self, item: Conference, decision: Decision) -> Change:
        """It is told once more, and then compared and written again."""
        wait_s = self._patience(item)
        return lambda current, now: conferences.half_done(current, now, now + wait_s, decision)

    def _failure(self, error: SyncError, deleting: bool, pause: float | None, decision: Decision) -> Change:
        """What a failed call makes of its conference. After a pause of its account, others ask first."""
        policy = self._policy
        match error:
            case RateLimited() | AuthFailed():
                return lambda item, now: conferences.postponed(
                    item, now, self._asked_again_at(item, error, now, pause), decision
                )
            case Transient():
                asked_for_s = error.retry_after_s or 0.0
                return lambda item, now: conferences.unknown(
                    item, now, now + max(asked_for_s, self._patience(item)), policy.horizon_s, decision
                )
            case Gone() if not deleting:
                return lambda item, now: conferences.set_aside(item, now, State.LOST, now, decision)
            case _:
                return lambda item, now: conferences.set_aside(
                    item, now, State.QUARANTINED, now + policy.quarantine_s, decision
                )

    def _asked_again_at(self, item: Conference, error: SyncError, now: float, pause: float | None) -> float:
        """When a conference that was refused for now may be tried again: after others of its account.

        `now` is the store's, as a worker that was frozen since its claim is behind it.
        """
        asked_for_s = error.retry_after_s if isinstance(error, Transient) else None
        after_others = pause + _spread_s(pause - now) if pause else 0.0
        return max(now + (asked_for_s or 0.0), after_others) + self._patience(item)

    def _verify(self, item: Conference) -> None:
        """Pay a debt: read the conference back, and tell it again if it is not as wanted."""
        provider = self._provider(item)
        seen = self._seen_of(item)
        if seen is None:
            return None
        wanted = seen.meeting
        if item not in self._outside.store.conferences([item.key]):
            return None  # somebody else has seen to it meanwhile, and may have been asked to wait
        self._tenure.stay(provider.call_s + _SLACK_S)
        read_at = self._tenure.now()
        if "read" not in provider.capabilities:
            told = Decision(Code.RETRY_LATER, "it cannot be read back: it is told once more")
            return self._change(item, lambda c, now: conferences.verified(c, now, read_at, told, equal=False))
        self._applied.calls += 1
        try:
            actual = provider.read(self._target(item, wanted.organizer))
        except SyncError as error:
            failed, pause = error, self._pauses.judge(item, error)
            decision = Decision(_code_of(error, deleting=False), str(error), "read", kind_of(error))
            self._change(
                item,
                lambda c, now: conferences.reread(
                    c, now, self._asked_again_at(item, failed, now, pause), decision
                ),
            )
            return self._note(item.key, decision)
        self._pauses.judge(item, None)
        if actual is None:
            lost = Decision(Code.LOST, "not found when read back", "read", "gone")
            self._change(item, lambda c, now: conferences.set_aside(c, now, State.LOST, now, lost))
            return self._note(item.key, lost)
        # A provider's answer does not tell its recurrence: a series that was told one is told again.
        tells_all = not (wanted.recurrence and "recurrence" in provider.capabilities)
        outdated = is_outdated(self._tenure, item.key, seen.copies, actual.join_url)
        equal = tells_all and not outdated and actual.equals(wanted)
        found = "as wanted" if equal else "not sure to be as wanted: told again"
        read = Decision(Code.UNCHANGED, f"read back: {found}", "read", "done")
        if equal and item.key in self._half_seen:
            again_s = self._policy.sweep_s
            return self._change(item, lambda c, now: conferences.reread(c, now, now + again_s, read))
        return self._change(item, lambda c, now: conferences.verified(c, now, read_at, read, equal=equal))

    # --- what its events say ----------------------------------------------------------------------------

    def _seen_of(self, item: Conference) -> _Seen | None:
        """The events of a conference, as seen in this pass or asked for now.

        None when an event has moved on and is to be recorded first, or when none can be read: that was seen to.
        """
        copies: dict[str, tuple[CalendarRecord, Event]] = {}
        self._half_seen.discard(item.key)
        for ref, use in item.refs.items():
            calendar = self._readable(ref)
            if calendar is None:
                self._half_seen.add(item.key)
                continue  # frozen or paused: it counts as live, and says nothing
            seen = self._event(calendar, ref)
            if seen is None:
                self._postpone(
                    item, self._patience(item), Code.RETRY_LATER, "one of its events does not answer"
                )
                return None
            if not isinstance(seen, Event) or not self._is_as_recorded(seen, item.key, use.fingerprint):
                self._bring_up_to_date(item, calendar, ref, seen)
                return None
            copies[ref] = calendar, seen
        if not copies:
            self._postpone(item, self._policy.sweep_s, Code.ACCESS_LOST, "none of its calendars can be read")
            return None
        lead = meeting.leader({ref: item.refs[ref].reach for ref in copies})
        events = {ref: event for ref, (_, event) in copies.items()}
        told = self._policy.rules.told(item.key)
        return _Seen(meeting.meeting(events, lead, item.refs[lead].moved.values(), told), copies)

    def _is_as_recorded(self, event: Event, key: ConferenceKey, fingerprint: str) -> bool:
        times = event.times
        return times is not None and self._policy.rules.fingerprint(event, times, key) == fingerprint

    def _readable(self, ref: str) -> CalendarRecord | None:
        """The calendar a ref is in, if it can be read."""
        key, _ = ledger.event_of(ref)
        ours = self._tenure.record
        record = ours if key == ours.key else self._outside.store.calendar(key)
        return (
            record if record is not None and record.active and (record is ours or not record.frozen) else None
        )

    def _event(self, calendar: CalendarRecord, ref: str) -> Item | None:
        if ref in self._pulled.events:
            return self._pulled.events[ref]
        return self._tenure.ask(calendar, ledger.event_of(ref)[1])

    def _bring_up_to_date(self, item: Conference, calendar: CalendarRecord, ref: str, seen: Item) -> None:
        """An event has moved on since it was recorded: record it; another calendar's is for its own pass."""
        self._pulled.events.pop(ref, None)
        if calendar.key != self._tenure.record.key:
            self._wake(calendar.key)
            moved_on = "its event has moved on in another calendar, which looks first"
            return self._postpone(item, self._settling(item), Code.RETRY_LATER, moved_on)

        def body(book: Ledger, now: float) -> bool:
            ledger.record(book, seen, self._policy.rules, now, now - self._policy.window_s)
            return bool(book.changed_conferences)

        if not self._tenure.change(body):  # it shows us nothing to go by
            hidden = "its event shows us nothing to go by"
            self._postpone(item, self._policy.backoff.most_s, Code.ACCESS_LOST, hidden)
        return None

    # --- deletion ---------------------------------------------------------------------------------------

    def _confirm(self, item: Conference) -> None:
        """Positive evidence that nobody uses it, and not implausibly many at once; with both, delete."""
        if not self._is_unused(item):
            return None
        if self._is_held_back(item):
            held = Decision(Code.HELD, "more than can be judged: a person must look")
            self._change(item, lambda c, now: conferences.set_aside(c, now, State.HELD, now, held))
            return self._note(item.key, held)
        return self._delete(item)

    def _is_unused(self, item: Conference) -> bool:
        """Whether every calendar and every event concerned has said so. If not, it was seen to."""
        try:
            group = self._group()
        except NewerRecord:  # where the event may have moved: a calendar that a later version looks after
            later = "a calendar that it may have moved to is a later version's"
            self._postpone(item, self._policy.sweep_s, Code.DELETION_WAITING, later)
            return False
        if self._is_another_wanted(group):  # converge has not come to it yet: there is nothing to be woken
            new = "a calendar that it may have moved to is new"
            self._postpone(item, self._settling(item), Code.DELETION_WAITING, new)
            return False
        unlisted = [each.key for each in group if self._looked_at(each) <= (item.dropped_at or 0)]
        if unlisted:
            for key in unlisted:
                self._wake(key)
            elsewhere = "calendars that it may have moved to are looked at first"
            self._postpone(item, self._settling(item), Code.DELETION_WAITING, elsewhere)
            return False
        for ref in item.former:
            match self._evidence(item, ref):
                case Evidence.LIVE:
                    return False  # and recorded again, or left to its own calendar's pass
                case Evidence.HIDDEN:
                    hidden = "an event that carried it is hidden from us"
                    self._postpone(item, self._policy.sweep_s, Code.ACCESS_LOST, hidden)
                    return False
        return True

    def _group(self) -> Sequence[CalendarRecord]:
        """The calendars an event may have moved to: all active ones, or with many those of our subject."""
        active = [record for record in self._outside.store.calendars() if record.active]
        if len(active) <= decide.SMALL:
            return active
        subject = self._tenure.record.calendar.subject
        return [record for record in active if record.calendar.subject == subject]

    def _is_another_wanted(self, group: Sequence[CalendarRecord]) -> bool:
        """Whether a calendar is wired or enrolled that would be in the group, and is not yet."""
        store, subject = self._outside.store, self._tenure.record.calendar.subject
        wanted = records.wanted(store.wired().calendars, store.enrolled(), store.salt())
        missing = wanted.keys() - {record.key for record in group}
        return any(
            not wanted[key].paused
            and (len(wanted) <= decide.SMALL or wanted[key].calendar.subject == subject)
            for key in missing
        )

    def _looked_at(self, record: CalendarRecord) -> float:
        """When it was last listed. One that has refused us for a whole grace is as good as listed now."""
        if record.key == self._tenure.record.key:
            return self._pulled.listed_at
        now = self._tenure.now()
        return now if record.frozen and record.frozen_at + self._policy.grace_s <= now else record.listed_at

    def _evidence(self, item: Conference, ref: str) -> Evidence:
        """What an event that once carried the conference says when asked now."""
        calendar = self._readable(ref)
        seen = self._event(calendar, ref) if calendar else None
        if calendar is None or not isinstance(seen, Event):
            return Evidence.HIDDEN
        if seen.kind is Kind.TOMBSTONE:
            return Evidence.GONE
        if seen.kind is Kind.GUEST or not seen.whole:
            return Evidence.HIDDEN
        if not self._policy.rules.carries(seen, item.key):
            return Evidence.GONE
        self._bring_up_to_date(item, calendar, ref, seen)
        return Evidence.LIVE

    def _is_held_back(self, item: Conference) -> bool:
        """Whether a person must look first: they have not, and it is one of too many, or was used by too many."""
        now = self._tenure.now()
        if item.approved or conferences.is_counted(item, now):
            return False
        ahead = sum(not use.reach.is_over(now) for use in item.former.values())
        if ahead >= conferences.FORMER_KEPT:  # others, that we do not remember, may carry it too
            return True
        tally = self._outside.store.tally(self._tenure.record.key, now)
        deleted = len(decide.recent(self._tenure.record.deletions, now))
        return self._policy.brake.holds(deleted, tally.waiting, tally.live)

    # --- writing ----------------------------------------------------------------------------------------

    def _postpone(self, item: Conference, wait_s: float, code: Code, why: str) -> None:
        decision = Decision(code, why)
        self._change(item, lambda current, now: conferences.postponed(current, now, now + wait_s, decision))
        self._note(item.key, decision)

    def _wait(self, item: Conference, until: float, code: Code, why: str) -> None:
        decision = Decision(code, why)
        self._change(item, lambda current, now: conferences.waiting(current, now, until, decision))
        self._note(item.key, decision)

    def _change(self, item: Conference, change: Change) -> None:
        """Change one conference, if its want is still the one we looked at and nobody is at it."""

        def body(book: Ledger, now: float) -> None:
            current = book.conference(item.key)
            if current is not None and current.want == item.want and not _is_claimed(current, now):
                book.put_conference(change(current, now))

        self._tenure.change(body)

    def _note(self, key: ConferenceKey, decision: Decision, copies: Copies | None = None) -> None:
        """Tell of a decision; of one that a provider has confirmed also how late that was, by these events."""
        self._applied.codes[decision.code] += 1
        confirmed = copies if copies and decision.answer == "done" else {}
        logs.write(
            logs.Record.DECISION,
            calendar=self._tenure.record.key,
            conference=self._policy.rules.shown(key),
            code=decision.code,
            why=decision.why,
            call=decision.call,
            answer=decision.answer,
            since_change_s=self._since(self._changed_at(confirmed)),
            since_notified_s=self._since(self._notified_at(confirmed)),
        )

    def _changed_at(self, copies: Copies) -> float:
        """When one of these events was changed last; 0: a full listing also finds what is long past."""
        at = max((event.updated_at for _, event in copies.values()), default=0.0)
        return 0.0 if self._pulled.full else at

    def _notified_at(self, copies: Copies) -> float:
        """When the notification came that told of these events; 0: another one did, or none."""
        told = any(ref in self._pulled.events for ref in copies)
        return self._tenure.notified_at if told and not self._pulled.full else 0.0

    def _since(self, at: float) -> float | None:
        return round(max(0.0, self._tenure.now() - at), 3) if at else None

    def _wake(self, calendar_key: str) -> None:
        wake(self._outside.queue, self._outside.clock, self._policy.buckets, calendar_key)

    def _patience(self, item: Conference) -> float:
        """The wait after one more failure."""
        return self._policy.backoff.wait(item.attempts + 1, random.random())

    def _settling(self, item: Conference) -> float:
        """The wait for another calendar's pass, longer each time."""
        return max(self._policy.buckets.settle_s, self._patience(item))


def _spread_s(pause_s: float) -> float:
    """How long after a pause the last of those that wait for its end may come."""
    return min(max(0.0, _SPREAD * pause_s), _SPREAD_S)


def _is_claimed(item: Conference, now: float) -> bool:
    return item.intent is not None and now < item.intent.until


def _success(outcome: Outcome, deleting: bool) -> Code:
    if deleting:
        return Code.DELETED if outcome.changed else Code.DELETED_ALREADY
    return Code.IGNORED_BY_PROVIDER if outcome.ignored and not outcome.applied else Code.UPDATED


def _told(outcome: Outcome, unwritten: str) -> str:
    """What a provider could not express, and we could not write, is said, and not taken for a success."""
    ignored = f"ignored: {', '.join(outcome.ignored)}" if outcome.ignored else ""
    return "; ".join(filter(None, (ignored, outcome.note, unwritten)))


def _code_of(error: SyncError, deleting: bool) -> Code:
    match error:
        case RateLimited():
            return Code.RATE_LIMITED
        case Gone() if not deleting:
            return Code.LOST
        case Unsupported():
            return Code.IGNORED_BY_PROVIDER
        case Refused() | Gone():
            return Code.QUARANTINED
        case _:
            return Code.RETRY_LATER
