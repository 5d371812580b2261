"""The pure world: calendars and one copy of every event per attendee. No I/O, no threads, no clock of its own.

Laws, each seen in recorded answers (docs/simulator.md says where):
- One action of a person or a client has one stamp, in µs, later than every stamp and watermark before it.
- An etag is twice the µs of its copy's last write; `updated` is the last write that people can see.
- A sync token is a watermark over time and nothing else: a delta is every copy written after it.
- The organizer's copy is the original. What is shared spreads to the guests' copies; what is private stays.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any

from . import documents, errors, listing, occurrences, series
from .channels import Channels
from .clock import DAY, SECOND
from .faults import Faults
from .model import ROLES, Calendar, Channel, Copy, Page, Query, Switches, at_least

Json = dict[str, Any]

MEET_LETTERS = "abcdefghijkmnopqrstuvwxyz"


class World:
    def __init__(self, clock: Callable[[], int], seed: int = 0, switches: Switches | None = None) -> None:
        self._clock = clock
        self.seed = seed
        self.switches = switches or Switches()
        self.faults = Faults(seed)
        self.channels = Channels(seed, self.faults)
        self.users: list[str] = []
        self.suspended: set[str] = set()
        self.delegations: dict[str, frozenset[str]] = {}  # what a service account may do as any user: scopes
        self.calendars: dict[str, Calendar] = {}
        self._pending: list[tuple[int, str, str]] = []  # (due, calendar, event): conferences being made
        self._ids = Random(f"ids:{seed}")
        self._lags = Random(f"lags:{seed}")
        self._version = 0
        self._last = 0  # the latest stamp or watermark given out
        self._touched: dict[str, None] = {}

    # -- people and calendars --

    def add_user(self, email: str, time_zone: str = "UTC") -> Calendar:
        email = email.lower()
        calendar = self.add_calendar(email, owner=email, time_zone=time_zone, primary=True)
        self.users.append(email)
        return calendar

    def add_calendar(
        self,
        calendar_id: str = "",
        *,
        owner: str,
        summary: str = "",
        time_zone: str = "UTC",
        primary: bool = False,
    ) -> Calendar:
        calendar_id = calendar_id.lower() or f"c_{self._new_id()}@group.calendar.google.com"
        if calendar_id in self.calendars:
            raise errors.duplicate()
        series.zone(time_zone)
        calendar = Calendar(calendar_id, owner, summary or calendar_id, time_zone, primary=primary)
        calendar.acl = {"*": "reader"} if calendar.generated else {owner: "owner"}
        calendar.stamp = self._tick()
        self.calendars[calendar_id] = calendar
        return calendar

    def delete_calendar(self, principal: str, calendar_id: str) -> None:
        calendar = self.open(principal, calendar_id, "owner")
        if calendar.primary:
            raise errors.invalid("Cannot delete a primary calendar.")
        calendar.deleted = True

    def open(self, principal: str, calendar_id: str, need: str = "freeBusyReader") -> Calendar:
        """The calendar, if the principal may do what they are about to do."""
        calendar = self.calendars.get(self.resolve(principal, calendar_id))
        if calendar is None or calendar.role(principal) == "none":
            raise errors.not_found()
        if calendar.deleted:
            raise errors.deleted() if self.switches.deleted_calendar == 410 else errors.not_found()
        if not at_least(calendar.role(principal), need):
            raise errors.required_access_level(need)
        return calendar

    @staticmethod
    def resolve(principal: str, calendar_id: str) -> str:
        return principal if calendar_id == "primary" else calendar_id.lower()

    def change_role(self, calendar_id: str, who: str, role: str) -> Calendar:
        if role not in ROLES:
            raise errors.invalid()
        calendar = self.calendars[calendar_id]
        calendar.acl.pop(who, None)
        if role != "none":
            calendar.acl[who] = role
        calendar.stamp = self._tick()
        if self.switches.acl_change_kills_tokens:
            calendar.epoch += 1
        return calendar

    # -- time --

    def now(self) -> int:
        """Never behind what has been given out, whatever the clock says."""
        return max(self._clock(), self._last)

    def watermark(self) -> int:
        self._last = self.now()
        return self._last

    def _tick(self) -> int:
        self._last = max(self._clock(), self._last + 1)
        return self._last

    def next_due(self) -> int | None:
        """When something will happen by itself, if anything will."""
        held = self.channels.due()
        dues = [due for due, _, _ in self._pending]
        return min(dues if held is None else [*dues, held], default=None)

    def settle(self) -> None:
        """What was due by now has happened: conferences that were being made exist, nothing is held back."""
        self.channels.release(self._clock())
        due = [entry for entry in self._pending if entry[0] <= self._clock()]
        self._pending = [entry for entry in self._pending if entry not in due]
        for _, calendar_id, event_id in due:
            self._finish_conference(self.calendars[calendar_id].events[event_id])

    # -- reading --

    def get(self, principal: str, calendar_id: str, event_id: str) -> Copy:
        copy = self._find(self.open(principal, calendar_id), event_id)
        if copy is None:
            raise errors.not_found()
        return copy

    def page(self, principal: str, calendar_id: str, query: Query, mischief: str = "") -> Page:
        calendar = self.open(principal, calendar_id)
        return listing.page(
            calendar, query, self.watermark(), self._clock(), self.switches, mischief, self.faults
        )

    def instances(self, principal: str, calendar_id: str, query: Query, mischief: str = "") -> Page:
        series_id = self.get(principal, calendar_id, query.series).id
        return self.page(
            principal, calendar_id, replace(query, series=series_id, single_events=True), mischief
        )

    def check_token(self, calendar: Calendar, epoch: int, watermark: int) -> None:
        if epoch <= calendar.spoiled:
            raise errors.invalid_sync_token()
        if epoch < calendar.epoch or watermark < self._clock() - self.switches.token_days * DAY:
            raise errors.full_sync_required()

    # -- writing --

    def insert(self, principal: str, calendar_id: str, body: Json, *, conference_version: int = 0) -> Copy:
        """A new event, with a copy for every guest who has a calendar here."""
        calendar = self.open(principal, calendar_id, "writerWithoutPrivateAccess")
        event_id = body.get("id") or self._new_id()
        documents.check_id(event_id)
        if event_id in calendar.events:
            raise errors.duplicate()
        shared, private = self._new_event(calendar, body, conference_version)
        with self._action() as stamp:
            shared |= self._birth(stamp, principal, calendar.id, event_id)
            copy = self._put(calendar, event_id, shared, private, stamp)
            self._spread(copy, stamp)
        self._expect_conference(copy)
        return copy

    def import_event(
        self, principal: str, calendar_id: str, body: Json, *, conference_version: int = 0
    ) -> Copy:
        """A private copy of somebody's event: one calendar, no guests told."""
        calendar = self.open(principal, calendar_id, "writerWithoutPrivateAccess")
        if not body.get("iCalUID"):
            raise errors.required("Missing iCal UID.")
        event_id = documents.import_id(body["iCalUID"])
        shared, private = self._new_event(calendar, body, conference_version)
        with self._action() as stamp:
            organizer = body.get("organizer", {}).get("email", calendar.id)
            shared |= self._birth(stamp, principal, organizer, event_id)
            shared |= {"iCalUID": body["iCalUID"], "sequence": body.get("sequence", 0)}
            return self._put(calendar, event_id, shared, private, stamp)

    def patch(
        self,
        principal: str,
        calendar_id: str,
        event_id: str,
        body: Json,
        *,
        if_match: str = "",
        conference_version: int = 0,
        whole: bool = False,
    ) -> Copy:
        """Changes some fields; with `whole` every writable one, as PUT does."""
        calendar, copy = self._to_write(principal, calendar_id, event_id, if_match)
        if body.get("status") == "cancelled":
            return self.delete(principal, calendar_id, event_id)
        document = self._wanted(copy, body, conference_version, whole)
        revives = whole or "status" in body
        changed = self._change(
            calendar, copy, documents.complete(calendar, document), cancelled=copy.cancelled and not revives
        )
        self._expect_conference(changed)
        return changed

    def delete(self, principal: str, calendar_id: str, event_id: str, *, if_match: str = "") -> Copy:
        """The organizer's deletion is everybody's; a guest's is a refusal."""
        calendar, copy = self._to_write(principal, calendar_id, event_id, if_match)
        if copy.cancelled:
            raise errors.deleted()
        with self._action() as stamp:
            if copy.organized_here:
                return self._publish(copy, copy.shared, stamp, cancelled=True)
            self._put(calendar, copy.id, copy.shared, copy.private, stamp, cancelled=True)
            self._answer(copy, "declined", stamp)
            return calendar.events[copy.id]

    def restore(self, principal: str, calendar_id: str, event_id: str) -> Copy:
        """Out of the bin: the same id is confirmed again, on every calendar it was on."""
        calendar, copy = self._to_write(principal, calendar_id, event_id)
        with self._action() as stamp:
            if copy.organized_here:
                return self._publish(copy, copy.shared, stamp)
            self._put(calendar, copy.id, copy.shared, copy.private, stamp)
            self._answer(copy, "needsAction", stamp)
            return calendar.events[copy.id]

    def rsvp(self, principal: str, calendar_id: str, event_id: str, response: str) -> Copy:
        if response not in documents.ANSWERS:
            raise errors.invalid()
        calendar, copy = self._to_write(principal, calendar_id, event_id)
        with self._action() as stamp:
            self._answer(copy, response, stamp)
            return calendar.events[copy.id]

    def move(self, principal: str, calendar_id: str, event_id: str, destination: str) -> Copy:
        """Another calendar becomes the organizer; the old one keeps a tombstone, unless it is invited."""
        source, copy = self._to_write(principal, calendar_id, event_id)
        target = self.open(principal, destination, "writer")
        if copy.cancelled or copy.series or copy.shared["eventType"] != "default":
            raise errors.invalid("Cannot change the organizer of this event.")
        if not copy.organized_here:
            raise errors.forbidden_for_non_organizer()
        there = target.events.get(copy.id)
        if there is not None and not _same_event(there, copy):
            raise errors.duplicate()
        with self._action() as stamp:
            for one in (*source.exceptions(copy.id), copy):
                shared = {**one.shared, "organizer": self._organizer(target.id)}
                arrived = self._put(target, one.id, shared, one.private, stamp, cancelled=one.cancelled)
                self._spread(arrived, stamp)
        return target.events[copy.id]

    def split(self, principal: str, calendar_id: str, occurrence_id: str, body: Json | None) -> Copy:
        """This and following: the series is cut, and another goes on with the change; without a body, none.

        A change of title keeps the id with `_R` and the start added; a change of time gets an id of its own.
        """
        calendar, occurrence = self._to_write(principal, calendar_id, occurrence_id)
        calendar, master = self._to_write(principal, calendar_id, occurrence.series)
        at = occurrences.original_start(calendar, occurrence)
        if body is None and at == series.start_of(master.shared["start"], calendar.time_zone):
            return self.delete(principal, calendar_id, master.id)
        heir = None if body is None else self._heir(calendar, master, at, body)
        with self._action() as stamp:
            shared = {**master.shared, "recurrence": series.cut(master.recurrence, at)}
            trimmed = self._put(calendar, master.id, shared, master.private, stamp)
            self._spread(trimmed, stamp)
            following = trimmed
            if heir is not None:
                following = self._put(calendar, *heir, master.private, stamp)
                self._spread(following, stamp)
            self._follow(master, trimmed, stamp, heir=following)
        return following

    def touch(self, calendar_id: str, event_id: str) -> Copy:
        """A write that changes nothing anybody can see: only the etag moves."""
        copy = self.calendars[calendar_id].events.get(event_id)
        if copy is None:
            raise errors.not_found()
        with self._action() as stamp:
            return self._rewrite(copy, stamp, updated=copy.updated)

    # -- what a write is made of --

    def _find(self, calendar: Calendar, event_id: str) -> Copy | None:
        return occurrences.find(calendar, event_id, self.switches.most_occurrences)

    def _to_write(
        self, principal: str, calendar_id: str, event_id: str, if_match: str = ""
    ) -> tuple[Calendar, Copy]:
        calendar = self.open(principal, calendar_id, "writerWithoutPrivateAccess")
        copy = self._find(calendar, event_id)
        if copy is None:
            raise errors.not_found()
        if copy.private.get("visibility") in ("private", "confidential"):
            self.open(principal, calendar_id, "writer")
        if if_match and not {"*", f'"{copy.etag}"'} & {one.strip() for one in if_match.split(",")}:
            raise errors.condition_not_met()
        return calendar, copy

    def _new_event(self, calendar: Calendar, body: Json, conference_version: int) -> tuple[Json, Json]:
        document = documents.complete(calendar, body)
        wanted = document.pop("conferenceData", None)
        if wanted and conference_version == 1:
            document["conferenceData"] = documents.conference(wanted, None)
        return documents.divide(document)

    def _birth(self, stamp: int, creator: str, organizer: str, event_id: str) -> Json:
        return {
            "created": stamp,
            "creator": {"email": creator},
            "organizer": self._organizer(organizer),
            "iCalUID": f"{event_id}@google.com",
            "sequence": 0,
        }

    def _organizer(self, calendar_id: str) -> Json:
        calendar = self.calendars.get(calendar_id)
        if calendar is None or calendar.primary:
            return {"email": calendar_id}
        return {"email": calendar_id, "displayName": calendar.summary}

    def _wanted(self, copy: Copy, body: Json, conference_version: int, whole: bool) -> Json:
        """The document a write leads to. Without version 1 a body cannot touch the conference."""
        old = documents.document_of(copy)
        change = documents.writable(body)
        if conference_version != 1:
            change.pop("conferenceData", None)
        if whole:
            erases = conference_version == 1 and self.switches.put_erases_conference
            kept = ("eventType",) if erases else ("eventType", "conferenceData")
            new = {**{name: old[name] for name in kept if name in old}, **change}
        else:
            new = documents.merged(old, change)
        if new.get("eventType") != old["eventType"]:
            raise errors.invalid("Event type cannot be changed.")
        if "conferenceData" in change and new.get("conferenceData"):
            new["conferenceData"] = documents.conference(new["conferenceData"], old.get("conferenceData"))
        return new

    def _heir(self, calendar: Calendar, master: Copy, at: series.Start, body: Json) -> tuple[str, Json]:
        """Id and content of the series that goes on after a split. It inherits the conference."""
        start = series.start_of(master.shared["start"], calendar.time_zone)
        ends = f"_R{series.stamp(at).removesuffix('Z')}"
        retimed = "start" in body or "end" in body
        new_id = self._new_id() if retimed else occurrences.base_of(master.id) + ends
        first = documents.writable(occurrences.by_rule(calendar, master, at).shared)
        lines = series.rest(master.recurrence, start, at)
        document = documents.complete(calendar, {**first, "recurrence": lines, **documents.writable(body)})
        shared, _ = documents.divide(document)
        if not self.switches.conference_copied:
            shared.pop("conferenceData", None)
        own = {"iCalUID": f"{new_id}@google.com", "sequence": 0}
        return new_id, {**shared, **documents.fixed(master), **own}

    # -- how a change spreads --

    def _change(self, calendar: Calendar, copy: Copy, document: Json, *, cancelled: bool) -> Copy:
        """Gives a copy a new content; what is shared goes to the original first, wherever that is."""
        shared, private = documents.divide(document)
        shared |= documents.fixed(copy)
        names = {*shared, *copy.shared}
        differs = {name for name in names if shared.get(name) != copy.shared.get(name)}
        origin = self._original(copy)
        if origin is not None and not copy.organized_here and documents.meddles(copy, shared, differs):
            if self.switches.guest_edits == "refuse" or "extendedProperties" in differs:
                raise errors.forbidden_for_non_organizer()
            origin = None  # nobody else sees it
        if "start" in differs:
            shared["sequence"] += 1
        with self._action() as stamp:
            silent = not differs and _only_reminders(private, copy.private)
            updated = copy.updated if silent else stamp
            if origin is None or (not differs and cancelled == copy.cancelled):
                self._put(calendar, copy.id, shared, private, stamp, cancelled=cancelled, updated=updated)
            elif copy.organized_here:
                self._publish(replace(copy, private=private), shared, stamp, cancelled=cancelled)
            else:
                self._put(calendar, copy.id, shared, private, stamp, cancelled=cancelled)
                self._publish(origin, shared, stamp, cancelled=origin.cancelled)
        return calendar.events[copy.id]

    def _publish(self, old: Copy, shared: Json, stamp: int, *, cancelled: bool = False, lag: int = 0) -> Copy:
        """Writes an original and all that follows from it: its guests' copies, its series, its exceptions."""
        home = self.calendars[old.calendar]
        new = self._put(home, old.id, shared, old.private, stamp, cancelled=cancelled, lag=lag)
        self._spread(new, stamp, lag)
        master = home.events.get(new.series)
        if master is not None:
            self._spread(self._rewrite(master, stamp), stamp)  # an edited occurrence lists its series again
        elif new.recurrence and not cancelled:
            self._follow(old, new, stamp)
        return home.events[new.id]

    def _follow(self, old: Copy, new: Copy, stamp: int, heir: Copy | None = None) -> None:
        """Exceptions take on what their series changed; those that no series reaches become orphans."""
        home = self.calendars[new.calendar]
        moved = old.shared["start"] != new.shared["start"]
        for exception in home.exceptions(old.id):
            at = occurrences.original_start(home, exception)
            reaching = (one for one in (new, heir) if one is not None and occurrences.reaches(home, one, at))
            master = next(reaching, new if moved and self.switches.moved_series == "keeps" else None)
            if master is None:
                ties = ("recurringEventId", "originalStartTime")
                shared = {name: value for name, value in exception.shared.items() if name not in ties}
                bare = self._rewrite(exception, stamp, shared=shared, cancelled=True, orphan=True)
                self._spread(bare, stamp)
                continue
            follows = self.switches.exceptions_follow
            kept = _following(exception.shared, old.shared, master.shared) if follows else exception.shared
            shared = {**kept, "recurringEventId": master.id}
            self._spread(self._rewrite(exception, stamp, shared=shared), stamp)

    def _spread(self, original: Copy, stamp: int, lag: int = 0) -> None:
        """Guests who have a calendar here get the shared part; those no longer invited lose theirs."""
        guests = original.guests - {original.calendar}
        for guest in sorted(guests & self.calendars.keys()):
            calendar = self.calendars[guest]
            mine = calendar.events.get(original.id)
            if mine is not None and not _same_event(mine, original):
                continue  # an event of their own that happens to have this id
            private = mine.private if mine else {"reminders": {"useDefault": True}}
            refused = mine is not None and mine.cancelled
            declined = refused and documents.response_of(original.shared, guest) == "declined"
            self._put(
                calendar,
                original.id,
                original.shared,
                private,
                stamp,
                cancelled=original.cancelled or declined,
                orphan=original.orphan,
                lag=lag,
            )
        for calendar in self.calendars.values():
            other = calendar.events.get(original.id)
            uninvited = calendar.id not in guests and calendar.id != original.calendar
            if other and uninvited and not other.cancelled and _same_event(other, original):
                self._rewrite(other, stamp, cancelled=True)

    def _answer(self, copy: Copy, response: str, stamp: int) -> None:
        """An answer to an invitation changes the guest list on every copy."""
        origin = self._original(copy)
        shared = documents.answered((origin or copy).shared, copy.calendar, response)
        if origin is None:
            self._rewrite(copy, stamp, shared=shared)
            return
        lag = self._lags.randrange(60 * SECOND, 108 * SECOND) if self.switches.guest_etag_lags else 0
        self._publish(origin, shared, stamp, cancelled=origin.cancelled, lag=lag)

    def _original(self, copy: Copy) -> Copy | None:
        """The organizer's copy, if the organizer's calendar is in this world and knows the event."""
        if copy.organized_here:
            return copy
        home = self.calendars.get(copy.organizer)
        found = self._find(home, copy.id) if home else None
        return found if found is not None and _same_event(found, copy) else None

    def _put(
        self,
        calendar: Calendar,
        event_id: str,
        shared: Json,
        private: Json,
        stamp: int,
        *,
        cancelled: bool = False,
        orphan: bool = False,
        updated: int | None = None,
        lag: int = 0,
    ) -> Copy:
        """The one place where a copy changes."""
        self._version += 1
        before = calendar.events.pop(event_id, None)  # the last written comes last
        etag = 2 * (stamp - lag)
        copy = Copy(
            id=event_id,
            calendar=calendar.id,
            shared=shared,
            private=private,
            version=self._version,
            stamp=stamp,
            updated=stamp if updated is None else updated,
            etag=etag + 1 if before and before.etag == etag and before.stamp != stamp else etag,
            cancelled=cancelled,
            orphan=orphan,
            before=_before(before, stamp),
        )
        calendar.events[event_id] = copy
        self._touched[calendar.id] = None
        if before is not None and before.cancelled and not cancelled and copy.recurrence:
            self._show_again(calendar, copy)
        return copy

    def _show_again(self, calendar: Calendar, master: Copy) -> None:
        """With a series that comes back come the exceptions that its tombstone had hidden."""
        for exception in calendar.exceptions(master.id):
            if exception.stamp != master.stamp:
                self._rewrite(exception, master.stamp)

    def _rewrite(
        self,
        copy: Copy,
        stamp: int,
        *,
        shared: Json | None = None,
        cancelled: bool | None = None,
        orphan: bool = False,
        updated: int | None = None,
    ) -> Copy:
        """A copy written again where it is, changed or not."""
        return self._put(
            self.calendars[copy.calendar],
            copy.id,
            copy.shared if shared is None else shared,
            copy.private,
            stamp,
            cancelled=copy.cancelled if cancelled is None else cancelled,
            orphan=copy.orphan or orphan,
            updated=updated,
        )

    @contextmanager
    def _action(self) -> Iterator[int]:
        """One action: one stamp for all it writes, one notification per channel of each calendar it touched."""
        stamp = self._tick()
        yield stamp
        touched, self._touched = self._touched, {}
        for calendar_id in touched:
            self.channels.notify(calendar_id, self._clock(), self.switches)

    # -- conferences --

    def _expect_conference(self, copy: Copy) -> None:
        if documents.is_pending(copy):
            due = self._clock() + round(self.switches.meet_delay_s * SECOND)
            self._pending.append((due, copy.calendar, copy.id))

    def _finish_conference(self, copy: Copy) -> None:
        if copy.cancelled or not documents.is_pending(copy):
            return
        letters = "".join(self._ids.choices(MEET_LETTERS, k=10))
        code = f"{letters[:3]}-{letters[3:7]}-{letters[7:]}"
        request = copy.shared["conferenceData"]["createRequest"]
        with self._action() as stamp:
            origin = self._original(copy) or copy
            shared = {**origin.shared, "conferenceData": documents.meet(request, code)}
            self._publish(origin, shared, stamp)

    # -- channels --

    def watch(self, principal: str, calendar_id: str, body: Json, *, typed: bool = False) -> Channel:
        calendar = self.open(principal, calendar_id, "reader")
        return self.channels.watch(
            calendar, calendar_id, principal, body, self._clock(), self.switches, typed=typed
        )

    def stop(self, body: Json) -> None:
        self.channels.stop(body, self._clock())

    # -- the whole --

    def snapshot(self) -> bytes:
        return pickle.dumps({name: value for name, value in vars(self).items() if name != "_clock"})

    def resume(self, snapshot: bytes) -> None:
        vars(self).update(pickle.loads(snapshot))

    def _new_id(self) -> str:
        return "".join(self._ids.choices(documents.BASE32HEX, k=26))


def _same_event(one: Copy, other: Copy) -> bool:
    """Copies of one event were created by one action."""
    return bool(one.id == other.id and one.shared["created"] == other.shared["created"])


def _before(before: Copy | None, stamp: int) -> Copy | None:
    """What a stale read shows: the copy before this action, which may write it several times."""
    if before is not None and before.stamp == stamp:
        return before.before
    return replace(before, before=None) if before else None


def _following(exception: Json, old: Json, new: Json) -> Json:
    """An exception keeps what was made different in it and follows its series in everything else."""
    times = ("start", "end", "recurrence", *documents.FIXED)
    names = {*old, *new} - {*times}
    follows = {
        name for name in names if old.get(name) != new.get(name) and exception.get(name) == old.get(name)
    }
    kept = {name: value for name, value in exception.items() if name not in follows}
    return {**kept, **{name: new[name] for name in follows if name in new}}


def _only_reminders(one: Json, other: Json) -> bool:
    names = {name for name in {*one, *other} if one.get(name) != other.get(name)}
    return names == {"reminders"}
