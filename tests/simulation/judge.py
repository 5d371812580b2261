"""What must be true, said by looking at the world and at the provider alone: no code of the ledger judges itself.

S1  a conference that a live organizer event uses, and that we knew or listed, is never about to be deleted
S2  a stored sync token never passes a change that is not recorded
S3  an overtaken worker changes nothing, and no lease is taken from a worker that may still start calls
S6  deletions wait for the grace and for the end of the meeting, and stay under the cap
L1  when all is quiet, every conference equals its events; L2  except those that are poisoned, and only those
L3  no more work than changes; and none at all when nothing happens
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property

from sync.channel import calendar_key
from sync.conference import Conference
from sync.decide import Brake
from sync.lease import Hold
from sync.ledger import Ledger, Link
from sync.meeting import Meeting
from sync.policy import Policy
from sync.ports import CalendarRecord
from sync.recognise import ConferenceKey
from sync.simulator import series
from sync.simulator.model import Copy
from sync.simulator.world import World
from tests.simulation import provider
from tests.simulation.google import BROKEN, SYNC, Mark
from tests.simulation.people import WATCHED
from tests.simulation.process import Nature
from tests.simulation.store import LEASE_S, MARGIN_S, SALT, Records

OURS = f"https://{provider.HOST}/j/"
HIDDEN = (BROKEN,)
REFUSED = (provider.POISON, provider.WEIRD)
DAY_S = 86400.0
ALL_SEEING = ("writer", "owner")


class Violation(AssertionError):
    """A promise that was broken."""


@dataclass(frozen=True)
class Use:
    """One live organizer event that carries a conference."""

    calendar: str
    event: str
    conference: str
    title: str
    start: datetime
    end: datetime
    recurrence: tuple[str, ...]
    zone: str
    stamp: int  # µs: since when it is as it is
    private: bool
    occurrence: bool

    @cached_property
    def ends_between(self) -> tuple[float, float]:
        """When it is over: of a series only roughly known, as nobody has to expand it."""
        if not _happens(self.recurrence, self.start):
            return 0.0, 0.0
        if not self.recurrence:
            return self.end.timestamp(), self.end.timestamp()
        rule = self.recurrence[0]
        if "UNTIL=" not in rule:
            return float("inf"), float("inf")
        day = datetime.strptime(rule.split("UNTIL=")[1][:8] + "+0000", "%Y%m%d%z")
        length = self.end - self.start
        return (day - timedelta(days=1)).timestamp(), (day + timedelta(days=3) + length).timestamp()

    @cached_property
    def over_at(self) -> float:
        """When it is over to those who expand its rule: Google does, before it shows what is in a window."""
        if not any("COUNT=" in line for line in self.recurrence) or not _happens(self.recurrence, self.start):
            return self.ends_between[0]
        *_, last = series.occurrences(self.recurrence, self.start)
        return (last + (self.end - self.start)).timestamp()

    @property
    def said(self) -> tuple[object, ...]:
        return self.title, self.start, self.end, self.recurrence, self.zone


class Judge:
    """Watches one story."""

    def __init__(
        self, nature: Nature, world: World, acme: provider.Acme, kept: Records, policy: Policy, brake: Brake
    ) -> None:
        self._nature = nature
        self._world = world
        self._acme = acme
        self._kept = kept
        self._policy = policy
        self._brake = brake
        self.keys = {name: calendar_key(SALT, name) for name in WATCHED}
        self._names = {key: name for name, key in self.keys.items()}
        self._uses: list[Use] = []  # as of the last act: nothing else changes the world
        self._started: dict[str, float] = {}  # the pass that holds the lease, by calendar key
        self._appeared: dict[str, float] = {}  # since when a calendar is looked after, by its key
        self._fingerprints: dict[str, tuple[object, str]] = {}
        self._deletions: dict[str, dict[str, float]] = {}
        self._wishes: dict[str, frozenset[Use]] = {}
        self._changed_at: dict[str, float] = {}
        self._poisoned: set[str] = set()  # at some time
        self._told: dict[tuple[str, ConferenceKey], float] = {}
        self._waits: dict[ConferenceKey, tuple[int, float]] = {}
        self.changes: Counter[str] = Counter()  # of what a conference should be
        self.unused_since: dict[str, float] = {}
        self._carries: dict[tuple[str, str], tuple[Copy, str]] = {}
        self._seen: dict[tuple[str, str], Copy] = {}
        self._url_since: dict[tuple[str, str], float] = {}
        self._carried: dict[tuple[str, str], set[str]] = {}  # what an event has ever carried
        self.left: set[str] = set()  # by an event that became a guest's copy, or is too long over

    # --- The world as it is ---

    def _look_around(self) -> Iterator[Use]:
        """Every use of a conference of ours in the watched calendars."""
        for name in WATCHED:
            events = self._world.calendars[name].events
            for copy in events.values():
                if copy.cancelled or not self._conference(copy):
                    continue
                master = events.get(copy.series) if copy.series else None
                if self._is_live(copy, master):
                    if master is not None and self._conference(master) == self._conference(copy):
                        continue  # its series speaks for it
                    yield self._use(copy, master)

    def look(self) -> None:
        """After every act: what has changed for which conference."""
        now = self._nature.schedule.now
        present: dict[str, set[Use]] = {}
        self._uses = list(self._look_around())
        for use in self._uses:
            present.setdefault(use.conference, set()).add(use)
            if use.over_at < now - self._policy.window_s + 4 * 3600:
                self.left.add(use.conference)
        for conference in {*present, *self._wishes}:
            wish = frozenset(present.get(conference, ()))
            before = self._wishes.get(conference, frozenset())
            if {(use.event, use.calendar, use.said) for use in wish} != {
                (use.event, use.calendar, use.said) for use in before
            }:
                self._changed_at[conference] = now
                self.changes[conference] += 1
            if wish:
                self.unused_since.pop(conference, None)
            elif before:
                self.unused_since[conference] = now
            self._wishes[conference] = wish
            if self.is_poisoned(conference):
                self._poisoned.add(conference)
        for name in WATCHED:
            for copy in self._world.calendars[name].events.values():
                self._remember_what_it_carries(copy)

    def _remember_what_it_carries(self, copy: Copy) -> None:
        place = copy.calendar, copy.id
        before = self._seen.get(place)
        if before is copy:
            return
        self._seen[place] = copy
        if before is None or before.cancelled or _urls(before) != _urls(copy):
            self._url_since[place] = self._nature.schedule.now
        carried = self._carried.setdefault(place, set())
        if before is not None and _is_hidden(before) and not _is_hidden(copy):
            self._is_back_in_sight(carried)
        if self._conference(copy) and copy.organized_here:
            carried.add(self._conference(copy))
        elif not copy.organized_here:
            self.left |= carried

    def _is_back_in_sight(self, conferences: set[str]) -> None:
        """Only now does this event say what has become of them: whoever could not read it has yet to be told."""
        for conference in conferences:
            self._changed_at[conference] = self._nature.schedule.now

    def lost_sight_of(self, calendar: str) -> None:
        """It comes or goes: whatever its events have used may stay for ever, and nobody need be told of it."""
        for (name, _), carried in self._carried.items():
            if name == calendar:
                self.left |= carried

    def _conference(self, copy: Copy) -> str:
        """What this copy carries; every write makes a new one."""
        place = copy.calendar, copy.id
        known = self._carries.get(place)
        if known is None or known[0] is not copy:
            known = self._carries[place] = copy, _carried(copy)
        return known[1]

    @staticmethod
    def _is_live(copy: Copy, master: Copy | None) -> bool:
        whole = not copy.series or (master is not None and not master.cancelled)
        return not copy.cancelled and copy.organized_here and whole

    @staticmethod
    def _use(copy: Copy, master: Copy | None) -> Use:
        shared = copy.shared
        return Use(
            calendar=copy.calendar,
            event=copy.id,
            conference=_carried(copy),
            title=shared.get("summary", ""),
            start=_moment(shared["start"]),
            end=_moment(shared["end"]),
            recurrence=tuple(copy.recurrence),
            zone=shared["start"].get("timeZone", ""),
            stamp=max(copy.stamp, master.stamp if master else 0),
            private=copy.private.get("visibility") == "private",
            occurrence=bool(copy.series),
        )

    # --- What the provider is asked ---

    def told_to_wait(self, worker: str, conference: ConferenceKey, seconds: float) -> None:
        self._told[worker, conference] = self._nature.schedule.now + seconds

    def asking(self, worker: str, what: str, conference: ConferenceKey) -> None:
        """S3: a call to a provider begins only where it must end within its worker's lease, and its intent."""
        leases = (record.lease for record in self._kept.calendars.values() if record.lease.owner == worker)
        lease_ends_at = next((lease.renewed_at + LEASE_S for lease in leases), 0.0)
        ends_at = self._nature.schedule.now + self._acme.call_s
        if ends_at > lease_ends_at:
            self._fail("S3", f"{worker} may still {what} {conference.id} when its lease is over")
        intent = self._kept.conferences[conference].intent
        if what != "read" and (intent is None or ends_at > intent.until):
            self._fail("S3", f"{worker} may still {what} {conference.id} when its intent is over")

    def asked(self, conference: ConferenceKey) -> None:
        """L3: a provider that asks for time gets it, as long as it is asked for the same."""
        version, until = self._waits.get(conference, (0, 0.0))
        if version == self._kept.conferences[conference].want.version and self._nature.schedule.now < until:
            self._fail("L3", f"{conference.id} is asked again before its Retry-After is over")

    # --- What the store commits ---

    def claimed(self, before: CalendarRecord, hold: Hold) -> None:
        now, lease = self._nature.schedule.now, before.lease
        if lease.owner:
            self._nature.chronicle.counts["lease taken over"] += 1
            if now < lease.renewed_at + LEASE_S - MARGIN_S:
                self._fail(
                    "S3", f"the lease of {self._names[before.key]} is taken while its holder may start calls"
                )
        self._started[before.key] = now

    def appeared(self, calendar_key: str) -> None:
        self._appeared[calendar_key] = self._nature.schedule.now

    def committing(self, before: CalendarRecord, after: CalendarRecord, hold: Hold, ledger: Ledger) -> None:
        if (hold.fence, hold.owner) != (before.lease.fence, before.lease.owner):
            self._fail("S3", f"an overtaken worker writes to {self._names[before.key]}")
        for conference in ledger.changed_conferences.values():
            self._committing(before, conference, hold.owner)
        if after.bookmark is not None and after.bookmark != before.bookmark:
            mark = Mark.read(after.bookmark.token)
            if mark.calendar == self._names[after.key]:
                links = {**self._kept.links.get(after.key, {}), **ledger.changed_links}
                self._passes_nothing(mark, after.access_role, links)

    def _committing(self, calendar: CalendarRecord, new: Conference, worker: str) -> None:
        old = self._kept.conferences.get(new.key)
        if (worker, new.key) in self._told:  # who was told has lived to write it down
            self._waits[new.key] = new.want.version, self._told.pop((worker, new.key))
        if new.decisions and (old is None or new.decisions != old.decisions):
            self._nature.chronicle.counts[f"code {new.decisions[-1].decision.code}"] += 1
        if old is not None and old.verify_at is not None and new.verify_at is None:
            self._nature.chronicle.counts["debt paid"] += 1
        if old is not None and old.intent is not None and new.intents > old.intents:
            self._nature.chronicle.counts["intent of a predecessor"] += 1
        if new.intents > (old.intents if old else 0) and new.intent and not new.intent.want.fingerprint:
            self._may_be_deleted(calendar, old or new)

    def _passes_nothing(self, mark: Mark, role: str, links: dict[str, Link]) -> None:
        """S2: all that was written up to the watermark, and has not changed since, is in the ledger."""
        calendar = self._world.calendars[mark.calendar]
        since = self._nature.schedule.now - self._policy.window_s + 3600
        uses = {use.event: use for use in self._uses if use.calendar == mark.calendar}
        for use in uses.values():
            known = links.get(use.event)
            if use.occurrence and known is not None and not known.live:
                # It left a series that then ended, and went with it: it is asked before anything comes of that.
                self._nature.chronicle.counts["occurrence gone with a series it had left"] += 1
                continue
            hidden = use.title in HIDDEN or self._is_masked(use, role or "shown to several roles")
            doubted = known is not None and known.doubted_at is not None  # which is a record too
            if use.stamp > mark.watermark or hidden or doubted or use.over_at < since:
                continue
            if (
                known is None
                or not known.live
                or known.conference is None
                or known.conference.id != use.conference
            ):
                self._fail(
                    "S2", f"the token passes {use.event}, which uses {use.conference}; recorded is {known}"
                )
            self._is_as_recorded(use, known)
        for known in links.values():
            copy = calendar.events.get(known.event_id)
            if copy is None or not known.live or known.conference is None or copy.id in uses:
                continue
            master = calendar.events.get(copy.series) if copy.series else None
            if self._is_live(copy, master) and self._conference(copy) == known.conference.id:
                continue  # it may speak for itself: its series can be out of the window
            stamp = max(copy.stamp, master.stamp if master else 0)
            hidden = copy.shared.get("summary") in HIDDEN or role not in ALL_SEEING
            over = known.end is not None and known.end < since
            if stamp <= mark.watermark and known.doubted_at is None and not hidden and not over:
                self._fail(
                    "S2", f"the token passes {copy.id}, which uses nothing any more; recorded is {known}"
                )

    def _is_as_recorded(self, use: Use, known: Link) -> None:
        said, fingerprint = self._fingerprints.get(known.ref, (None, ""))
        if said is not None and said != use.said and fingerprint == known.fingerprint:
            self._fail("S2", f"the token passes a change of {use.event} that is not recorded")
        if said == use.said and fingerprint != known.fingerprint:
            self._fail("L3", f"{use.event} has another fingerprint although nothing was changed that we send")
        self._fingerprints[known.ref] = use.said, known.fingerprint

    def _may_be_deleted(self, calendar: CalendarRecord, known: Conference) -> None:
        """S1 and S6: the intent to delete is on its way into the store."""
        now, name = self._nature.schedule.now, known.key.id
        refs = {*known.refs, *known.former}
        in_use = [use for use in self._uses if use.conference == name]
        for use in in_use:
            record = self._kept.calendars.get(self.keys[use.calendar])
            since = now - self._policy.window_s + 3600
            if use.title in HIDDEN or use.ends_between[0] < since:
                continue
            readable = record is not None and self._is_readable(record) and not self._is_masked(use)
            shown = readable and not self._is_masked(use, record.access_role)  # and was when it was listed
            listed = shown and use.over_at >= since and use.stamp <= self._listed_to(record)
            asked = (
                f"{self.keys[use.calendar]}.{use.event}" in refs
                and use.stamp <= self._started[calendar.key] * 1e6
            )
            if listed or asked:
                self._fail("S1", f"{name} is to be deleted, and {use.event} in {use.calendar} uses it")
        for key, record in self._kept.calendars.items():
            if (
                key != calendar.key
                and self._is_readable(record)
                and self._was_there_to_ask(key, calendar)
                and record.listed_at <= (known.dropped_at or now)
            ):
                self._fail(
                    "S1",
                    f"{name} is to be deleted, and {self._names[key]} was not listed since it was dropped",
                )
        if in_use:
            self._nature.chronicle.counts["deleted although an event unseen so far uses it"] += 1
        if now < (known.dropped_at or now) + self._policy.grace_s:
            self._fail("S6", f"{name} is to be deleted within the grace")
        for ref in known.former.values():
            if not ref.reach.repeats and ref.reach.start <= now < (ref.reach.end or now):
                self._fail("S6", f"{name} is to be deleted while its meeting runs")
        self._stays_under_the_cap(calendar.key, name)

    def _was_there_to_ask(self, key: str, asking: CalendarRecord) -> bool:
        """Not what began to be looked after while a pass over the other was on: its question may have been put."""
        return self._appeared[key] <= self._started[asking.key]

    def _is_masked(self, use: Use, role: str = "") -> bool:
        """From somebody with this role; else from us, now."""
        return use.private and (role or self._world.calendars[use.calendar].role(SYNC)) not in ALL_SEEING

    @staticmethod
    def _listed_to(record: CalendarRecord) -> float:
        """How far the last committed listing went, in µs: a stale one not as far as its time says."""
        mark = Mark.read(record.bookmark.token) if record.bookmark else None
        return min(record.listed_at * 1e6, mark.watermark) if mark else 0.0

    @staticmethod
    def _is_readable(record: CalendarRecord) -> bool:
        return record.active and not record.frozen

    def _stays_under_the_cap(self, calendar_key: str, name: str) -> None:
        now, brake = self._nature.schedule.now, self._brake
        recent = {each for each, at in self._deletions.get(calendar_key, {}).items() if at > now - DAY_S}
        total, everything = len({*recent, name}), len(self._acme.told) + len(self._acme.has)
        if total > brake.most or (total > brake.unquestioned and total > brake.share * everything):
            self._fail("S6", f"{name} would be deletion {total} of a day in one calendar")

    def deleted(self, conference: str) -> None:
        """A conference is gone at the provider: whose doing was it?"""
        known = self._kept.conferences.get(ConferenceKey(provider.NAME, conference))
        if known is not None:
            self._deletions.setdefault(known.home, {})[conference] = self._nature.schedule.now

    # --- When all is quiet ---

    def all_is_told(self, quiet_s: float) -> None:
        """L1, while others still change: what has not changed for so long is as it should be."""
        for conference, wish in self._wishes.items():
            if wish and self._nature.schedule.now >= self._changed_at[conference] + quiet_s:
                self._equals(conference, wish)

    def no_work_was_vain(self, full_listings: int) -> None:
        """L3, where nothing fails: nothing is read back, told twice, or listed anew."""
        if full_listings > 2 * len(WATCHED):
            self._fail("L3", f"{full_listings} full listings, and nobody's token died")
        for call, times in self._acme.calls.items():
            kind, _, conference = call.partition(" ")
            changes = self.changes[conference]
            if kind == "read" or (times > 2 * changes + 1 and conference not in self._poisoned):
                self._fail("L3", f"{times} times {call} after {changes} changes")

    def all_is_done(self) -> None:
        """L1 and L2, after healing: all conferences equal their events, and what nobody uses is gone."""
        self.all_is_told(0.0)
        self._all_is_written()
        for conference in self.unused_since:
            known = self._kept.conferences.get(ConferenceKey(provider.NAME, conference))
            held = known is not None and known.state == "held"
            self._nature.chronicle.counts["held for a person"] += held
            seen = known is not None or conference in self._acme.told
            exempt = held or self._is_out_of_sight(conference) or self._may_run(known)
            if seen and conference in self._acme.has and not exempt:
                self._fail("L1", f"{conference} is still there, and nobody uses it; recorded is {known}")
        for name, key in self.keys.items():
            record = self._kept.calendars[key]
            if record.frozen:
                self._fail("L1", f"{name} is still frozen: {record.frozen}")
            if record.lease.owner and record.lease.renewed_at < self._nature.schedule.now - 2 * LEASE_S:
                self._fail("L3", f"the lease of {name} was never given back")

    def _all_is_written(self) -> None:
        """L1: an event says the URL that its conference's provider has told since anybody put one there."""
        for use in self._uses:
            said, said_at = self._acme.said.get(use.conference, ("", 0.0))
            exempt = (
                said != self._acme.url(use.conference)
                or said in self.unwritable
                or said_at < self._url_since[use.calendar, use.event]
                or use.conference not in self._acme.has
                or self.is_poisoned(use.conference)
                or self._is_out_of_sight(use.conference)
            )
            if not exempt and said not in _urls(self._world.calendars[use.calendar].events[use.event]):
                self._fail("L1", f"{use.event} in {use.calendar} does not say {said}")

    def something_is_due(self) -> bool:
        """Whether time alone would bring more. What is refused or hidden is asked for ever, always in vain."""
        kept = self._kept
        if any(each.frozen or each.lease.owner for each in kept.calendars.values()):
            return True
        if any(link.doubted_at for links in kept.links.values() for link in links.values()):
            return True
        due = (kept.conferences[key] for key, at in kept.due.items() if at is not None)
        return not all(self.is_poisoned(each.key.id) or self._asks_in_vain(each) for each in due)

    def _asks_in_vain(self, known: Conference) -> bool:
        last = known.decisions[-1].decision.code if known.decisions else ""
        return last == "access_lost" and self._is_out_of_sight(known.key.id)

    def is_poisoned(self, conference: str) -> bool:
        return any(use.title in REFUSED for use in self._wishes.get(conference, ()))

    def _equals(self, conference: str, wish: frozenset[Use]) -> None:
        if self.is_poisoned(conference) or self._is_out_of_sight(conference):
            return
        if conference not in self._acme.has:
            if conference not in self._lost():
                self._fail("L1", f"{conference} is used and not there")
            return
        actual = self._acme.has[conference]
        if actual is None or not any(_says(use, wish, actual) for use in _leaders(wish)):
            known = self._kept.conferences.get(ConferenceKey(provider.NAME, conference))
            self._fail(
                "L1",
                f"{conference} is {actual} and should be as {sorted(map(str, wish))}; recorded is {known}",
            )

    def waiting_for_their_end(self) -> Iterator[str]:
        """Conferences that nobody uses, as far as anybody can see, and whose meeting may be running."""
        for known in self._kept.conferences.values():
            name, dropped = known.key.id, known.pending and not known.wanted
            unused = name in self.unused_since or self._is_out_of_sight(name)
            if dropped and unused and self._may_run(known):
                yield name

    def _may_run(self, known: Conference | None) -> bool:
        """A deletion that waits for the end of its meeting."""
        now = self._nature.schedule.now
        reaches = [ref.reach for ref in known.former.values()] if known else []
        dropped_at = (known and known.dropped_at) or now
        return any(
            now < dropped_at + each.length_s + 9000
            if each.repeats
            else each.start < now < (each.end or now) + 1800
            for each in reaches
        )

    def _lost(self) -> set[str]:
        """What is gone for good: ended by somebody, or by us before its event was to be seen."""
        return {*self.ended, *self._acme.deleted}

    ended: frozenset[str] | set[str] = frozenset()
    unwritable: frozenset[str] | set[str] = frozenset()  # join URLs

    def _is_out_of_sight(self, conference: str) -> bool:
        """An event that says nothing any more, or cannot be read, carries it, or did when it could be."""
        if conference in self.left:
            return True
        for (name, event_id), carried in self._carried.items():
            copy = self._world.calendars[name].events[event_id]
            if conference in carried and _is_hidden(copy):
                return True
        return False

    def _fail(self, promise: str, what: str) -> None:
        raise Violation(f"{promise}: {what}")


def _is_hidden(copy: Copy) -> bool:
    return copy.shared.get("summary") in HIDDEN and not copy.cancelled


def _urls(copy: Copy) -> list[str]:
    points = copy.shared.get("conferenceData", {}).get("entryPoints", ())
    return [point["uri"] for point in points if point["uri"].startswith(OURS)]


def _carried(copy: Copy) -> str:
    links = _urls(copy)
    return links[0].removeprefix(OURS).partition("?")[0] if links else ""


@cache
def _happens(recurrence: tuple[str, ...], start: datetime) -> bool:
    """A series that was cut before its first occurrence never does."""
    return next(series.occurrences(recurrence, start), None) is not None


def _moment(when: dict[str, str]) -> datetime:
    if "date" in when:
        return datetime.fromisoformat(when["date"]).replace(tzinfo=UTC)
    return datetime.fromisoformat(when["dateTime"]).astimezone(UTC)


def _leaders(wish: frozenset[Use]) -> list[Use]:
    """Whoever may end last."""
    latest = max(use.ends_between[0] for use in wish)
    return [use for use in wish if use.ends_between[1] >= latest]


def _says(leader: Use, wish: frozenset[Use], actual: Meeting) -> bool:
    """The leader's title, and the union of all times; a series keeps its own."""
    shared = [leader] if leader.recurrence else [use for use in wish if not use.recurrence]
    start, end = min(use.start for use in shared), max(use.end for use in shared)
    return (actual.title, actual.start, actual.end, actual.recurrence) == (
        leader.title,
        start,
        end,
        leader.recurrence,
    )
