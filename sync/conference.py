"""What we know of one conference, what we want of it, and how either changes. Pure: values in, values out.

A conference is used by refs: one for each event that carries it. The refs make the want; the want is versioned;
a version is applied under an intent, and an intent ends settled, or unknown. Whatever is unknown is a debt that
a later read of the conference pays.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from sync import meeting
from sync.codes import Code
from sync.meeting import Moved, Reach
from sync.recognise import ConferenceKey

DECISIONS_KEPT = 10
_WHY_KEPT = 200  # characters
MOVED_KEPT = 100  # occurrences of one series
_BEHIND_S = 60.0
_UNLIKE_ANY = "?"  # a fingerprint of what its provider has, which is not what we know of
REFS_KEPT = 200  # far more than a room has to have: more would outgrow a document, and stop the calendar
DAY_S = 86400.0
FORMER_KEPT = 100  # asked before a deletion: those that end last


class State(StrEnum):
    """Why a conference is, or is not, looked after."""

    OK = "ok"
    QUARANTINED = "quarantined"  # refused for good: tried again when its events change, and daily
    HELD = "held"  # its deletion waits for a person
    LOST = "lost"  # gone at its provider while an event uses it
    GONE = "gone"  # deleted, as wanted


@dataclass(frozen=True, slots=True)
class Ref:
    """One event's use of a conference."""

    fingerprint: str
    reach: Reach
    moved: Mapping[str, Moved] = field(default_factory=dict)  # of a series: by original start

    @property
    def shape(self) -> str:
        """The fingerprint of all that this use makes of the conference."""
        return meeting.with_moved(self.fingerprint, self.moved.values())


@dataclass(frozen=True, slots=True)
class Want:
    """The state its events want a conference to have. No fingerprint: no event wants it any more."""

    version: int = 0
    fingerprint: str = ""
    leader: str = ""  # the ref that speaks for all
    since: float = field(default=0.0, compare=False)  # when it came to be wanted


@dataclass(frozen=True, slots=True)
class Applied:
    """The newest want that the provider has confirmed."""

    version: int = 0
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Intent:
    """A want about to be applied: the claim on the provider call. The call must have ended by `until`."""

    number: int
    until: float
    want: Want


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and what the provider call for it came to: words for people, and nothing personal."""

    code: Code
    why: str = ""
    call: str = ""  # of its provider: update, delete or read; empty: none was made
    answer: str = ""  # to that call: done, or the kind of error


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, and when it was made; the same one made again and again is one, counted."""

    decision: Decision
    version: int  # of the want
    since: float
    at: float  # the last time
    times: int = 1


@dataclass(frozen=True, slots=True)
class Conference:
    """Everything stored of one conference. Times are seconds since the epoch, the store's."""

    key: ConferenceKey
    home: str  # the calendar whose passes look after it: the last that changed it
    refs: Mapping[str, Ref] = field(default_factory=dict)  # by "calendar key.event id"
    former: Mapping[str, Ref] = field(default_factory=dict)  # no refs, or no more: asked before a deletion
    want: Want = Want()
    applied: Applied = Applied()
    intent: Intent | None = None
    intents: int = 0  # how many there were: the next number is one more
    attempts: int = 0
    not_before: float = 0.0
    dropped_at: float | None = None  # when the last ref went
    verify_at: float | None = None  # when to read it back
    verify_until: float = 0.0  # a call of ours may still land before this: read back once more after it
    state: State = State.OK
    account: str = ""  # of the provider's, whose conferences it is among
    locator: str = ""  # its join URL, of systems whose id alone does not lead to it
    approved: bool = False  # a person has looked at its deletion: no brake stops it any more
    counted_at: float | None = None  # when its deletion began, as one of that day: no brake stops it that day
    decisions: tuple[Decided, ...] = ()  # the last few, newest last

    @property
    def is_full(self) -> bool:
        """Whether so many events use it that it is a room for good: nobody counts its refs any more."""
        return len(self.refs) >= REFS_KEPT

    @property
    def pending(self) -> bool:
        """Whether the provider has yet to be told. Not once it is released: nobody speaks for it then."""
        released = self.wanted and not self.refs
        return self.want.version != self.applied.version and not released

    @property
    def is_to_go(self) -> bool:
        """Whether its deletion is wanted, and its provider has yet to be told."""
        return self.pending and not self.wanted

    @property
    def was_deleted(self) -> bool:
        """Whether its provider has confirmed a deletion, and nothing since."""
        return self.applied.version > 0 and not self.applied.fingerprint

    @property
    def wanted(self) -> bool:
        return bool(self.want.fingerprint)


def used(
    conference: Conference,
    ref: str,
    use: Ref,
    home: str,
    now: float,
    *,
    account: str = "",
    locator: str = "",
) -> Conference:
    """An event uses this conference, in this shape. What finds it is kept for when no event tells any more."""
    if conference.is_full:
        return conference
    before = conference.refs.get(ref) or conference.former.get(ref)
    found = replace(
        conference,
        home=home,
        refs={**conference.refs, ref: _with_what_moved(use, before)},
        former={key: value for key, value in conference.former.items() if key != ref},
        account=account,
        locator=locator or conference.locator,
    )
    return _wanting(found, now)


def _with_what_moved(use: Ref, before: Ref | None) -> Ref:
    """A series keeps its moved occurrences, unless it has itself moved: then Google tells them anew."""
    if before is None or not use.reach.repeats or use.reach.start != before.reach.start:
        return use
    return replace(use, moved=before.moved)


def moved(
    conference: Conference, ref: str, occurrence: Moved, home: str, since: float, now: float
) -> Conference:
    """An occurrence of a series that uses this conference has moved, or is back."""
    if conference.is_full:
        return conference
    use = conference.refs[ref]
    kept = {key: each for key, each in use.moved.items() if key != occurrence.original}
    if occurrence.original and not _is_where_the_rule_says(occurrence, use.reach):
        kept[occurrence.original] = occurrence
    ahead = {key: each for key, each in kept.items() if _is_ahead(each, since)}
    nearest = dict(sorted(ahead.items())[:MOVED_KEPT])  # what is far away may still come to be told
    after = _wanting(replace(conference, refs={**conference.refs, ref: replace(use, moved=nearest)}), now)
    return replace(after, home=home) if after.want != conference.want else after


def _is_ahead(occurrence: Moved, since: float) -> bool:
    """Whether it, or the place that it has left, is not over: one that was missed may be made up for later."""
    moved_ahead = occurrence.end is not None and occurrence.end > since
    return moved_ahead or occurrence.original >= _text_of(since)


def _is_where_the_rule_says(occurrence: Moved, series: Reach) -> bool:
    start, end = occurrence.start, occurrence.end
    if start is None or end is None:
        return False
    return start == _moment(occurrence.original) and end - start == series.length_s


def _moment(original: str) -> float | None:
    """The original start of an occurrence, in seconds since the epoch; None if it was not told."""
    try:
        at = datetime.fromisoformat(original)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _text_of(at: float) -> str:
    """The day of a moment: sorts before the original starts of that day, which are written the same way."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def unused(conference: Conference, ref: str, home: str, now: float) -> Conference:
    """A ref went: its event is cancelled, or was seen whole without this conference."""
    if ref not in conference.refs or conference.is_full:
        return conference
    refs = {key: value for key, value in conference.refs.items() if key != ref}
    rest = replace(remembered(conference, ref, conference.refs[ref]), refs=refs, home=home)
    return _wanting(rest, now)


def released(conference: Conference, ref: str, home: str, now: float) -> Conference:
    """We may no longer speak for this event. If it was the last, nobody does: nothing is changed or deleted.

    It is remembered, and so asked before others' going leads to a deletion: it may still use the conference.
    """
    if ref not in conference.refs or conference.is_full:
        return conference
    refs = {key: value for key, value in conference.refs.items() if key != ref}
    rest = replace(remembered(conference, ref, conference.refs[ref]), refs=refs, home=home)
    return _wanting(rest, now) if refs else rest


def remembered(conference: Conference, ref: str, use: Ref) -> Conference:
    """An event carries it too, but another speaks for it: it is asked before a deletion."""
    if conference.is_full:
        return conference
    former = {key: value for key, value in conference.former.items() if key != ref}
    by_end = sorted([*former.items(), (ref, use)], key=lambda named: meeting.end_or_never(named[1].reach))
    return replace(conference, former=dict(by_end[-FORMER_KEPT:]))


def forgetting(conference: Conference, refs: Collection[str], home: str, now: float) -> Conference:
    """These refs are to be known no more, and nothing is to come of it. Another calendar looks after the rest."""
    kept = {ref: use for ref, use in conference.refs.items() if ref not in refs}
    former = {ref: use for ref, use in conference.former.items() if ref not in refs}
    rest = replace(conference, refs=kept, former=former, home=home)
    return _wanting(rest, now) if kept else replace(rest, want=replace(rest.want, leader=""))


def _wanting(conference: Conference, now: float) -> Conference:
    """Derive the want from the refs; a new version if it differs.

    Versions grow also over what is forgotten: one that is known anew begins at the present second.
    """
    refs = conference.refs
    lead = meeting.leader({key: ref.reach for key, ref in refs.items()}) if refs else ""
    prints = {key: ref.shape for key, ref in refs.items()}
    fingerprint = meeting.joint_fingerprint(prints, lead) if refs else ""
    if fingerprint == conference.want.fingerprint:
        return replace(conference, want=replace(conference.want, leader=lead))
    want = Want((conference.want.version or int(now)) + 1, fingerprint, lead, since=now)
    certain = conference.intent is None and conference.verify_at is None
    back = bool(refs) and certain and fingerprint == conference.applied.fingerprint
    return replace(
        conference,
        want=want,
        applied=replace(conference.applied, version=want.version) if back else conference.applied,
        attempts=0,
        not_before=now,
        dropped_at=None if refs else now,
        state=State.OK,
        approved=False,
        counted_at=None,
    )


def intended(conference: Conference, now: float, until: float, horizon_s: float) -> Conference:
    """Claim the provider call for the present want.

    An intent that is still open belongs to a predecessor that died or froze: its call may land until its end
    and a while after (`horizon_s`), which is a debt.
    """
    if conference.intent is not None:
        conference = suspected(conference, now, conference.intent.until + horizon_s)
    number = conference.intents + 1
    return replace(
        conference,
        intents=number,
        intent=Intent(number, until, conference.want),
        counted_at=_counted_at(conference, now),
    )


def _counted_at(conference: Conference, now: float) -> float | None:
    if conference.wanted:
        return None
    return conference.counted_at if is_counted(conference, now) else now


def is_counted(conference: Conference, now: float) -> bool:
    """Whether its deletion has begun, as one of the last day: it is judged once, and again if it takes longer."""
    return conference.counted_at is not None and conference.counted_at > now - DAY_S


def is_ours(conference: Conference, intent: Intent) -> bool:
    """Whether this intent is still the open one; if not, its outcome is another's business."""
    return conference.intent is not None and conference.intent.number == intent.number


def settled(conference: Conference, intent: Intent, now: float, decision: Decision) -> Conference:
    """The provider has confirmed the intended want."""
    gone = not intent.want.fingerprint
    known = gone and intent.want.version == conference.want.version
    done = replace(
        conference,
        intent=None,
        applied=Applied(intent.want.version, intent.want.fingerprint),
        attempts=0,
        state=State.GONE if known else State.OK,
        verify_at=None if known else conference.verify_at,
    )
    return decided(done, now, decision)


def unknown(
    conference: Conference, now: float, retry_at: float, horizon_s: float, decision: Decision
) -> Conference:
    """The call may have taken effect, or may still: try again, and read back when it can no longer land."""
    again = replace(conference, intent=None, attempts=conference.attempts + 1, not_before=retry_at)
    return decided(suspected(again, now, now + horizon_s), now, decision)


def postponed(conference: Conference, now: float, retry_at: float, decision: Decision) -> Conference:
    """The call certainly had no effect, or the time for it has not come. Counted: waits grow with attempts."""
    later = replace(
        conference,
        intent=_overdue(conference, now),
        attempts=conference.attempts + 1,
        not_before=retry_at,
    )
    return decided(later, now, decision)


def half_done(conference: Conference, now: float, retry_at: float, decision: Decision) -> Conference:
    """The provider has done its part, and there was more to do: it is told again, whatever is wanted by then."""
    again = replace(
        conference,
        intent=None,
        applied=_none_of_ours(conference),
        attempts=conference.attempts + 1,
        not_before=retry_at,
    )
    return decided(again, now, decision)


def _none_of_ours(conference: Conference) -> Applied:
    """What its provider has equals no want, now or later: so it must be told."""
    return Applied(conference.want.version - 1, _UNLIKE_ANY)


def waiting(conference: Conference, now: float, until: float, decision: Decision) -> Conference:
    """Nobody asked its provider, and nobody is to before `until`. It has not failed."""
    return decided(replace(conference, intent=_overdue(conference, now), not_before=until), now, decision)


def approved(conference: Conference, now: float) -> Conference:
    """A person has looked at its deletion and wants it."""
    wanted = replace(conference, state=State.OK, approved=True, not_before=now)
    return decided(wanted, now, Decision(Code.DELETION_WAITING, "a person approved it"))


def rejected(conference: Conference, now: float) -> Conference:
    """A person has looked at its deletion and wants it left alone: until an event uses it again, we do."""
    return left_alone(conference, now, Decision(Code.HELD, "a person rejected it: it is left alone"))


def left_alone(conference: Conference, now: float, decision: Decision) -> Conference:
    """Its deletion is not done, and nobody tries it again: until an event uses it, it is nobody's business."""
    left = replace(conference, state=State.OK, applied=Applied(conference.want.version, _UNLIKE_ANY))
    return decided(left, now, decision)


def retried(conference: Conference, now: float) -> Conference:
    """A person wants it tried now, whatever it waits for; what is held, gone or settled stays as it is."""
    if conference.state in (State.HELD, State.GONE):
        return conference
    found = conference
    if conference.state is State.LOST and conference.refs:
        found = replace(conference, applied=_none_of_ours(conference))
    at_once = now - _BEHIND_S  # also by the clock of a pass that is a little behind
    waits = found.not_before > at_once or found.attempts or found.state is not State.OK
    if not (found.pending and waits):
        return conference
    hurried = replace(found, state=State.OK, not_before=min(found.not_before, at_once), attempts=0)
    return decided(hurried, now, Decision(Code.RETRY_LATER, "a person asked for it now"))


def doubted(conference: Conference, now: float) -> Conference:
    """Its provider may have lost what it confirmed: it is read back, and told again if it is not as wanted."""
    if conference.pending or not conference.refs or conference.state is not State.OK:
        return conference
    return decided(
        suspected(conference, now, now), now, Decision(Code.RETRY_LATER, "a person wants it read back")
    )


def set_aside(
    conference: Conference, now: float, state: State, retry_at: float, decision: Decision
) -> Conference:
    """Nothing that we could repeat would help."""
    intent = _overdue(conference, now)
    aside = replace(conference, intent=intent, state=state, not_before=retry_at, attempts=0)
    return decided(aside, now, decision)


def _overdue(conference: Conference, now: float) -> Intent | None:
    """An intent whose time is over may be a predecessor's: it stays, for the next intent to make it a debt."""
    intent = conference.intent
    return intent if intent is not None and now >= intent.until else None


def suspected(conference: Conference, now: float, until: float) -> Conference:
    """Something of ours may yet hit the provider before `until`: read back when it no longer can.

    The latest horizon counts: an early read must not stand in for a later, conclusive one.
    """
    horizon = max(conference.verify_until, until)
    return replace(conference, verify_until=horizon, verify_at=max(now, horizon))


def verified(
    conference: Conference, now: float, read_at: float, decision: Decision, *, equal: bool
) -> Conference:
    """The conference was read back at `read_at`. Unequal: it must be told again."""
    paid = read_at >= conference.verify_until
    read = replace(conference, verify_at=None if paid else conference.verify_until, attempts=0)
    seen = decided(read, now, decision)
    if equal:
        return seen
    return replace(seen, applied=_none_of_ours(conference), not_before=now)


def reread(conference: Conference, now: float, at: float, decision: Decision) -> Conference:
    """Reading it back failed: the debt stays, and is paid later."""
    later = replace(conference, verify_at=at, attempts=conference.attempts + 1)
    return decided(later, now, decision)


def decided(conference: Conference, now: float, decision: Decision) -> Conference:
    """Remember a decision, for `explain`. One made again and again, as in an outage, displaces no other."""
    told, version = replace(decision, why=decision.why[:_WHY_KEPT]), conference.want.version
    again = [each for each in conference.decisions if (each.decision, each.version) == (told, version)]
    others = [each for each in conference.decisions if each not in again]
    made = Decided(told, version, since=now, at=now)
    if again:
        made = replace(again[0], at=now, times=again[0].times + 1)
    return replace(conference, decisions=(*others, made)[-DECISIONS_KEPT:])
