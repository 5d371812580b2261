"""The shape of everything stored, and how a calendar's record moves. Pure, and the same for every store.

A document holds only what both JSON and Firestore take: text, numbers, booleans, null, maps, and lists of these
but never of lists. It carries its `schema`: an older one is rewritten as it is read, a newer one is refused.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sync import conference as conferences
from sync import decide, meeting
from sync.account import Account
from sync.channel import Channel, ChannelState, calendar_key
from sync.codes import Code
from sync.conference import Applied, Conference, Decided, Decision, Intent, Ref, State, Want
from sync.cursor import Bookmark
from sync.errors import NewerRecord, Refused, Transient
from sync.lease import Lease
from sync.ledger import Link, Sighting, event_of, ref_of
from sync.meeting import Moved, Reach
from sync.ports import (
    CalendarId,
    CalendarRecord,
    Closing,
    DueCalendar,
    EnrolledCalendar,
    Progress,
    WiredCalendar,
)
from sync.recognise import ConferenceKey, Stranger

Document = dict[str, Any]

SCHEMA = 1
ASIDE = (State.HELD, State.LOST)  # never due by themselves
_KEPT_S = 90 * 86400.0
_AGES_S = 100 * 365 * 86400.0  # beyond, an end is no date that every store could write down
_NEVER = 253402300799.0  # the end of the year 9999
_INSURANCE_S = 5.0  # the sweep looks this long after the end of a lease that nobody gave back
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.:@-]{1,1100}", re.ASCII)


def _as_of_today(kind: str, document: Document) -> Document:
    """The document in the present schema. A change of schema adds here the step from the one before."""
    schema = document["schema"]
    if schema > SCHEMA:
        raise NewerRecord(
            f"A {kind} record has schema {schema}, and this version reads none above {SCHEMA}: deploy a later one."
        )
    return document


# --- Names ---


def link_name(calendar_key: str, event_id: str) -> str:
    """What a link's document is called."""
    return _name(ref_of(calendar_key, event_id))


def conference_name(key: ConferenceKey) -> str:
    """What a conference's document is called."""
    return _name(str(key))


def account_name(name: str) -> str:
    """What an account's document is called."""
    return _name(name)


def _name(text: str) -> str:
    """The text itself where it can be a name in every store; else a hash: ids are other people's choice."""
    if _PLAIN_NAME.fullmatch(text):
        return text
    return f"~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


# --- Calendars ---


def calendar_document(record: CalendarRecord) -> Document:
    return {
        "schema": SCHEMA,
        "key": record.key,
        "calendar": _calendar_id_document(record.calendar),
        "label": record.label,
        "active": record.active,
        "frozen": record.frozen,
        "frozen_at": record.frozen_at,
        "bookmark": _bookmark_document(record.bookmark) if record.bookmark else None,
        "lease": {
            "owner": record.lease.owner,
            "fence": record.lease.fence,
            "renewed_at": record.lease.renewed_at,
        },
        "generation": record.generation,
        "served": record.served,
        "due_at": record.due_at,
        "work_at": record.work_at,
        "listed_at": record.listed_at,
        "full_at": record.full_at,
        "access_role": record.access_role,
        "failures": record.failures,
        "failed": record.failed,
        "skew_s": record.skew_s,
        "stranger": _stranger_document(record.stranger) if record.stranger else None,
        "deletions": list(record.deletions),
        "channels": [_channel_document(channel) for channel in record.channels],
        "notified_at": record.notified_at,
        "changed_at": record.changed_at,
        "missed": record.missed,
        "unwatchable": record.unwatchable,
        "watch_after": record.watch_after,
        "watch_failures": record.watch_failures,
    }


def calendar_record(document: Document) -> CalendarRecord:
    stored = _as_of_today("calendar", document)
    return CalendarRecord(
        key=stored["key"],
        calendar=_calendar_id(stored["calendar"]),
        label=stored["label"],
        active=stored["active"],
        frozen=stored["frozen"],
        frozen_at=stored["frozen_at"],
        bookmark=_bookmark(stored["bookmark"]) if stored["bookmark"] else None,
        lease=Lease(stored["lease"]["owner"], stored["lease"]["fence"], stored["lease"]["renewed_at"]),
        generation=stored["generation"],
        served=stored["served"],
        due_at=stored["due_at"],
        work_at=stored["work_at"],
        listed_at=stored["listed_at"],
        full_at=stored.get("full_at", 0.0),
        access_role=stored["access_role"],
        failures=stored["failures"],
        failed=stored.get("failed", ""),
        skew_s=stored.get("skew_s", 0.0),
        stranger=_stranger(stored["stranger"]) if stored.get("stranger") else None,
        deletions=tuple(stored["deletions"]),
        channels=tuple(_channel(channel) for channel in stored["channels"]),
        notified_at=stored.get("notified_at", 0.0),
        changed_at=stored.get("changed_at", 0.0),
        missed=stored.get("missed", 0),
        unwatchable=stored.get("unwatchable", ""),
        watch_after=stored.get("watch_after", 0.0),
        watch_failures=stored.get("watch_failures", 0),
    )


def due_calendar(document: Document) -> DueCalendar:
    return DueCalendar(document["key"], document["calendar"]["subject"], document["listed_at"])


def _calendar_id_document(calendar: CalendarId) -> Document:
    return {"id": calendar.id, "subject": calendar.subject}


def _calendar_id(stored: Document) -> CalendarId:
    return CalendarId(stored["id"], stored["subject"])


def _stranger_document(stranger: Stranger) -> Document:
    return {
        "event_id": stranger.event_id,
        "solution": stranger.solution,
        "seen_at": stranger.seen_at,
        "number": stranger.number,
    }


def _stranger(stored: Document) -> Stranger:
    return Stranger(stored["event_id"], stored["solution"], stored["seen_at"], stored["number"])


def _bookmark_document(bookmark: Bookmark) -> Document:
    return {"token": bookmark.token, "listing": bookmark.listing}


def _bookmark(stored: Document) -> Bookmark:
    return Bookmark(stored["token"], stored["listing"])


def _channel_document(channel: Channel) -> Document:
    return {
        "id": channel.id,
        "state": channel.state.value,
        "address": channel.address,
        "key_id": channel.key_id,
        "subject": channel.subject,
        "opened_at": channel.opened_at,
        "resource_id": channel.resource_id,
        "expires_at": channel.expires_at,
        "greeted_at": channel.greeted_at,
        "lapsing": channel.lapsing,
        "spent": channel.spent,
    }


def _channel(stored: Document) -> Channel:
    return Channel(
        id=stored["id"],
        state=ChannelState(stored["state"]),
        address=stored["address"],
        key_id=stored["key_id"],
        subject=stored["subject"],
        opened_at=stored["opened_at"],
        resource_id=stored["resource_id"],
        expires_at=stored["expires_at"],
        greeted_at=stored.get("greeted_at", 0.0),
        lapsing=stored.get("lapsing", False),
        spent=stored.get("spent", False),
    )


# --- Wiring: Terraform writes the calendars and the webhook's URL, the store itself its salt ---


def wired_calendar_document(wired: WiredCalendar) -> Document:
    return {
        "schema": SCHEMA,
        "slug": wired.slug,
        "calendar": _calendar_id_document(wired.calendar),
        "paused": wired.paused,
    }


def wired_calendar(document: Document) -> WiredCalendar:
    stored = _as_of_today("wired calendar", document)
    return WiredCalendar(stored["slug"], _calendar_id(stored["calendar"]), stored["paused"])


def webhook_document(url: str) -> Document:
    return {"schema": SCHEMA, "url": url}


def webhook_url(document: Document) -> str:
    return str(_as_of_today("webhook", document)["url"])


def salt_document(salt: bytes) -> Document:
    return {"schema": SCHEMA, "salt": salt.hex()}


def salt(document: Document) -> bytes:
    return bytes.fromhex(_as_of_today("salt", document)["salt"])


# --- Enrolment ---


def enrolled_document(enrolled: EnrolledCalendar) -> Document:
    return {
        "schema": SCHEMA,
        "calendar": _calendar_id_document(enrolled.calendar),
        "asked_at": enrolled.asked_at,
        "by": enrolled.by,
    }


def withdrawn_document(asked_at: float) -> Document:
    """That a calendar was taken back, and nothing else: an enrolment asked for earlier may still arrive."""
    return {"schema": SCHEMA, "calendar": None, "asked_at": asked_at, "by": ""}


def enrolled_calendar(document: Document) -> EnrolledCalendar | None:
    """None if it was taken back."""
    stored = _as_of_today("calendar enrolment", document)
    if stored["calendar"] is None:
        return None
    return EnrolledCalendar(_calendar_id(stored["calendar"]), stored["asked_at"], stored["by"])


def supersedes(document: Document, earlier: Document | None) -> bool:
    """Whether what this enrolment or withdrawal asks for stands: what was asked last does, arrive as it may."""
    if earlier is None:
        return True
    return bool(document["asked_at"] >= _as_of_today("calendar enrolment", earlier)["asked_at"])


# --- Links ---


def link_document(link: Link) -> Document:
    return {
        "schema": SCHEMA,
        "calendar_key": link.calendar_key,
        "event_id": link.event_id,
        "conference": _key_document(link.conference) if link.conference else None,
        "live": link.live,
        "fingerprint": link.fingerprint,
        "end": link.end,
        "exceptions": list(link.exceptions),
        "doubted_at": link.doubted_at,
        "carried": link.carried,
        "account": link.account,
        "located": link.located,
        "series": link.series,
        "written": link.written,
        "rule": link.rule,
        "seen": [_sighting_document(sighting) for sighting in link.seen],
        "provisional_at": link.provisional_at,
    }


def link(document: Document) -> Link:
    stored = _as_of_today("link", document)
    return Link(
        calendar_key=stored["calendar_key"],
        event_id=stored["event_id"],
        conference=_key(stored["conference"]) if stored["conference"] else None,
        live=stored["live"],
        fingerprint=stored["fingerprint"],
        end=stored["end"],
        exceptions=tuple(stored["exceptions"]),
        doubted_at=stored["doubted_at"],
        carried=stored["carried"],
        account=stored.get("account", ""),
        located=stored.get("located", False),
        series=stored.get("series", ""),
        written=stored.get("written", ""),
        rule=stored.get("rule", ""),
        seen=tuple(map(_sighting, stored.get("seen", ()))),
        provisional_at=stored.get("provisional_at"),
    )


def _sighting_document(sighting: Sighting) -> Document:
    code = sighting.code.value if sighting.code else None
    return {"at": sighting.at, "code": code, "prints": dict(sighting.prints)}


def _sighting(stored: Document) -> Sighting:
    code = Code(stored["code"]) if stored["code"] else None
    return Sighting(stored["at"], code, stored["prints"])


# --- Conferences ---


def conference_document(conference: Conference) -> Document:
    return {
        "schema": SCHEMA,
        "key": _key_document(conference.key),
        "home": conference.home,
        "refs": _refs_document(conference.refs),
        "former": _refs_document(conference.former),
        "want": _want_document(conference.want),
        "applied": {"version": conference.applied.version, "fingerprint": conference.applied.fingerprint},
        "intent": _intent_document(conference.intent) if conference.intent else None,
        "intents": conference.intents,
        "attempts": conference.attempts,
        "not_before": conference.not_before,
        "dropped_at": conference.dropped_at,
        "verify_at": conference.verify_at,
        "verify_until": conference.verify_until,
        "state": conference.state.value,
        "account": conference.account,
        "locator": conference.locator,
        "approved": conference.approved,
        "counted": conference.counted_at is not None,  # all that an earlier version knows of it
        "counted_at": conference.counted_at,
        "decisions": [_decided_document(decided) for decided in conference.decisions],
    }


def conference(document: Document) -> Conference:
    stored = _as_of_today("conference", document)
    return Conference(
        key=_key(stored["key"]),
        home=stored["home"],
        refs=_refs(stored["refs"]),
        former=_refs(stored["former"]),
        want=_want(stored["want"]),
        applied=Applied(stored["applied"]["version"], stored["applied"]["fingerprint"]),
        intent=_intent(stored["intent"]) if stored["intent"] else None,
        intents=stored["intents"],
        attempts=stored["attempts"],
        not_before=stored["not_before"],
        dropped_at=stored["dropped_at"],
        verify_at=stored["verify_at"],
        verify_until=stored["verify_until"],
        state=State(stored["state"]),
        account=stored.get("account", ""),
        locator=stored.get("locator", ""),
        approved=stored.get("approved", False),
        counted_at=stored.get("counted_at"),
        decisions=tuple(map(_decided, stored["decisions"])),
    )


def live_until(conference: Conference) -> float:
    """Until when an event uses it, for the tally. None does: for ever before; without an end: for ever after."""
    ends = [meeting.end_or_never(use.reach) for use in conference.refs.values()]
    return min(max(ends, default=0.0), _NEVER)


def is_waiting(conference: Conference, now: float) -> bool:
    """Whether its deletion is wanted and is none of today's, for the brake: until a person has looked at it."""
    let_go = conference.approved or conferences.is_counted(conference, now)
    return conference.is_to_go and not let_go


def seen_at(link: Link) -> float | None:
    """When its event was last seen another way than before."""
    return link.seen[-1].at if link.seen else None


def decided_at(conference: Conference) -> float | None:
    """When something was last decided about it."""
    return conference.decisions[-1].at if conference.decisions else None


def withdrawal_forgotten_at(asked_at: float) -> float:
    """By then, no enrolment that was asked for earlier is still on its way."""
    return asked_at + _KEPT_S


def is_unsettled(conference: Conference, due_at: float | None) -> bool:
    """Whether something is still to be done about it, by us or by a person."""
    return due_at is not None or conference.state in ASIDE


def mentions(conference: Conference, calendar_key: str) -> bool:
    """Whether this calendar has anything to do with it."""
    refs = (*conference.refs, *conference.former)
    return conference.home == calendar_key or any(event_of(ref)[0] == calendar_key for ref in refs)


def fenced_off(record: CalendarRecord | None, now: float, lease_s: float) -> CalendarRecord | None:
    """The record of a calendar that is to be forgotten: whoever was overtaken writes nothing of it any more.

    Raises Refused for an active one, Transient while a pass is over it.
    """
    if record is None:
        return None
    if record.active:
        raise Refused(f"calendar {record.key} is looked after: unwire it first")
    if not record.lease.is_free(now, lease_s):
        raise Transient(f"a pass is looking at calendar {record.key} just now: try again in a minute")
    return replace(record, lease=record.lease.granted("", now))


def entrusted(record: CalendarRecord, work_at: float | None) -> CalendarRecord:
    """It is given something to look after, and has a look when that is due: a pass that runs just now as well."""
    if work_at is None:
        return record
    due_at, work_at = min(record.due_at, work_at), soonest(record.work_at, work_at)
    return replace(record, generation=record.generation + 1, due_at=due_at, work_at=work_at)


def has_work_left(record: CalendarRecord) -> bool:
    """Whether a calendar that is not looked after may still have what others could do."""
    return not record.active and (record.work_at is not None or bool(record.lease.owner))


def resigned(record: CalendarRecord | None, now: float, lease_s: float) -> CalendarRecord | None:
    """The record of a calendar that is not looked after, when it has no work left. None: a pass is over it."""
    if record is None or record.active or not record.lease.is_free(now, lease_s):
        return None
    return replace(record, lease=record.lease.granted("", now), work_at=None)


def forget_at(item: Link | Conference, now: float) -> float | None:
    """When this record, written now, may be forgotten: long after nobody could bring its event back.

    Google keeps deleted events for about a month. Most events are never deleted: they are over some time, and
    all the same need not be known for ever. None: nobody knows when.
    """
    if isinstance(item, Link):
        over_at = item.end if item.live else now
    elif item.pending or (item.refs and item.verify_at is not None):
        over_at = None
    else:
        ends = [use.reach.end for use in item.refs.values()]
        over_at = max((end for end in ends if end is not None), default=now) if None not in ends else None
    if over_at is None or over_at > now + _AGES_S:
        return None
    return max(over_at, now) + _KEPT_S


def _key_document(key: ConferenceKey) -> Document:
    return {"provider": key.provider, "id": key.id}


def _key(stored: Document) -> ConferenceKey:
    return ConferenceKey(stored["provider"], stored["id"])


def _refs_document(refs: Mapping[str, Ref]) -> Document:
    return {
        name: {
            "fingerprint": ref.fingerprint,
            "reach": _reach_document(ref.reach),
            "moved": {key: {"start": each.start, "end": each.end} for key, each in ref.moved.items()},
        }
        for name, ref in refs.items()
    }


def _refs(stored: Document) -> dict[str, Ref]:
    return {
        name: Ref(ref["fingerprint"], _reach(ref["reach"]), _moved(ref.get("moved", {})))
        for name, ref in stored.items()
    }


def _moved(stored: Document) -> dict[str, Moved]:
    return {original: Moved(original, each["start"], each["end"]) for original, each in stored.items()}


def _reach_document(reach: Reach) -> Document:
    return {"start": reach.start, "end": reach.end, "length_s": reach.length_s, "repeats": reach.repeats}


def _reach(stored: Document) -> Reach:
    return Reach(stored["start"], stored["end"], stored["length_s"], stored["repeats"])


def _want_document(want: Want) -> Document:
    return {
        "version": want.version,
        "fingerprint": want.fingerprint,
        "leader": want.leader,
        "since": want.since,
    }


def _want(stored: Document) -> Want:
    return Want(stored["version"], stored["fingerprint"], stored["leader"], stored.get("since", 0.0))


def _intent_document(intent: Intent) -> Document:
    return {"number": intent.number, "until": intent.until, "want": _want_document(intent.want)}


def _intent(stored: Document) -> Intent:
    return Intent(stored["number"], stored["until"], _want(stored["want"]))


def _decided_document(decided: Decided) -> Document:
    decision = decided.decision
    return {
        "at": decided.at,
        "code": decision.code.value,
        "why": decision.why,
        "call": decision.call,
        "answer": decision.answer,
        "version": decided.version,
        "since": decided.since,
        "times": decided.times,
    }


def _decided(stored: Document) -> Decided:
    decision = Decision(
        Code(stored["code"]), stored.get("why", ""), stored.get("call", ""), stored.get("answer", "")
    )
    return Decided(
        decision,
        version=stored.get("version", 0),
        since=stored["since"] if "since" in stored else stored["at"],
        at=stored["at"],
        times=stored.get("times", 1),
    )


# --- Accounts ---


def account_document(account: Account) -> Document:
    return {
        "schema": SCHEMA,
        "name": account.name,
        "refusals": account.refusals,
        "paused_until": account.paused_until,
        "probe": account.probe,
        "refused_for": account.refused_for,
        "why": account.why,
        "answer": account.answer,
        "shared": account.shared,
    }


def account(document: Document) -> Account:
    stored = _as_of_today("provider account", document)
    return Account(
        name=stored["name"],
        refusals=stored["refusals"],
        paused_until=stored["paused_until"],
        probe=stored["probe"],
        refused_for=stored["refused_for"],
        why=stored.get("why", ""),
        answer=stored.get("answer", ""),
        shared=stored["shared"],
    )


# --- How a calendar's record moves ---


def wanted(
    wired: Iterable[WiredCalendar], enrolled: Iterable[EnrolledCalendar], salt: bytes
) -> dict[str, WiredCalendar]:
    """Every calendar that is to be looked after, by its key. Where one is both, the wire speaks."""
    both = (*(WiredCalendar("", each.calendar) for each in enrolled), *wired)
    return {calendar_key(salt, each.calendar.id): each for each in both}


def held(record: CalendarRecord, lease: Lease, lease_s: float) -> CalendarRecord:
    """Somebody holds this lease. Should they die, the sweep finds the calendar soon after its end."""
    return replace(record, lease=lease, due_at=lease.ends_at(lease_s) + _INSURANCE_S)


def notified(record: CalendarRecord, at: float, now: float) -> CalendarRecord:
    """A notification came at `at`, or none did (0). A clock that runs ahead must not hide that later ones fail."""
    if not at:
        return record
    return replace(record, notified_at=max(record.notified_at, min(at, now)), missed=0)


def knocked(record: CalendarRecord, lease_s: float) -> CalendarRecord:
    """A wake found the lease taken: whoever holds it must go round again, or the next holder does."""
    due_at = min(record.due_at, record.lease.ends_at(lease_s))
    return replace(record, generation=record.generation + 1, due_at=due_at)


def advanced(record: CalendarRecord, progress: Progress, now: float) -> CalendarRecord:
    """The pass has come this far. What it says nothing about stays."""
    deletions = record.deletions if progress.deleted_at is None else (*record.deletions, progress.deleted_at)
    listed_at = record.listed_at if progress.listed_at is None else progress.listed_at
    return replace(
        record,
        bookmark=progress.bookmark or record.bookmark,
        listed_at=listed_at,
        full_at=listed_at if progress.starts_over else record.full_at,
        access_role=record.access_role if progress.access_role is None else progress.access_role,
        work_at=soonest(record.work_at, progress.work_at),
        deletions=decide.recent(deletions, now),
        changed_at=max(record.changed_at, progress.changed_at),
        missed=record.missed + progress.missed,
        stranger=_latest(None if progress.starts_over else record.stranger, progress.stranger),
    )


def _latest(earlier: Stranger | None, later: Stranger | None) -> Stranger | None:
    if earlier is None or later is None:
        return later or earlier
    return replace(later, number=earlier.number + later.number)


def closed(record: CalendarRecord, generation: int, closing: Closing, now: float) -> CalendarRecord:
    """The pass is over and the lease is free.

    Only a finished pass has served the wakes up to `generation`, and only a finished one knows that no work is
    left: another may not have seen what its own changes made due.
    """
    served, work_at, frozen = generation, closing.work_at, closing.frozen
    if not closing.finished:
        served, work_at = record.served, soonest(record.work_at, closing.work_at)
        frozen = closing.frozen or record.frozen
    last = replace(
        record,
        lease=record.lease.released(),
        served=served,
        due_at=closing.due_at,
        work_at=work_at,
        failures=closing.failures,
        failed=closing.failed,
        skew_s=record.skew_s if closing.skew_s is None else closing.skew_s,
        frozen=frozen,
        frozen_at=record.frozen_at if record.frozen else now,
    )
    return advanced(last, closing.progress, now)


def tended(record: CalendarRecord | None, wish: CalendarRecord, now: float) -> CalendarRecord:
    """What converge looks after, as it wishes; all else stays a pass's business. A new calendar is due now.

    One that comes back, or is read as somebody else, is watched as if nothing had ever failed. One that comes back
    is due as well, and what it had left to do when it went: nobody has kept the time.
    """
    known = record or CalendarRecord(wish.key, wish.calendar, due_at=now)
    back = wish.active and not known.active
    anew = back or wish.calendar != known.calendar
    return replace(
        known,
        due_at=min(known.due_at, now) if back else known.due_at,
        work_at=soonest(known.work_at, now) if back else known.work_at,
        calendar=wish.calendar,
        label=wish.label,
        active=wish.active,
        channels=wish.channels,
        unwatchable="" if anew else wish.unwatchable,
        watch_after=0.0 if anew else wish.watch_after,
        watch_failures=0 if anew else wish.watch_failures,
    )


def soonest(*times: float | None) -> float | None:
    """The earliest of the times there are."""
    return min((time for time in times if time is not None), default=None)
