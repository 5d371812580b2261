"""What the settings make of an event: whose conference it carries, who looks after it, what is told. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sync import meeting
from sync.account import Clients, account_of
from sync.codes import Code
from sync.conference import Ref
from sync.event import TEXT_LIMIT, Event, Kind, Times
from sync.recognise import ConferenceKey, Rule, Stranger, System, leads_to, recognise

_EVERYBODYS = (Clients(""),)
_NAME_KEPT = 60  # characters


@dataclass(frozen=True, slots=True)
class Rules:
    """How to recognise conferences, which providers we act on, and what these want to know."""

    systems: Sequence[System]
    providers: frozenset[str]
    accounts: Mapping[str, Sequence[Clients]] = field(default_factory=dict)  # of providers with several
    details: Mapping[str, frozenset[str]] = field(
        default_factory=dict
    )  # "agenda", "invitees": who is told them
    occurrences: frozenset[str] = frozenset()  # providers that are told of single occurrences
    written_back: frozenset[str] = frozenset()  # providers whose join URLs are written into events

    def ours(self, event: Event, known: ConferenceKey | None) -> ConferenceKey | Code:
        """The conference we may change for this event, or the reason why there is none."""
        seen = recognise(event.carried, self.systems, known)
        if seen is None:
            return Code.NO_CONFERENCE if event.carried is None else Code.NOT_OURS
        if seen.personal:
            return Code.PERSONAL_ROOM
        ours = seen.key.provider in self.providers and self.account(event, seen.key) is not None
        return seen.key if ours else Code.NOT_OURS

    def rule(self, event: Event, key: ConferenceKey) -> str:
        """By which rule this event shows that it carries that conference, seen for the first time."""
        seen = recognise(event.carried, self.systems)
        return str(seen.rule if seen is not None and seen.key == key else Rule.OWN_LINK)

    def why_not(self, event: Event) -> str:
        """Why the conference that an event carries is none of ours."""
        seen = recognise(event.carried, self.systems)
        if seen is None:
            return "no rule knows it"
        if seen.key.provider not in self.providers:
            return f"no provider {seen.key.provider} is configured"
        return f"no account of {seen.key.provider} looks after its organizer"

    def stranger(self, event: Event, now: float) -> Stranger | None:
        """The conference of an organizer's copy that no rule knows, as it calls itself."""
        ours = event.kind not in (Kind.GUEST, Kind.TOMBSTONE)
        if not ours or event.carried is None or recognise(event.carried, self.systems) is not None:
            return None
        return Stranger(event.id, event.carried.solution_name[:_NAME_KEPT], now)

    def prints(self, event: Event, key: ConferenceKey) -> dict[str, str]:
        """Of each field that its provider is told of this event, a short hash."""
        return {} if event.times is None else meeting.prints(event, event.times, self.told(key))

    def carries(self, event: Event, key: ConferenceKey) -> bool:
        """Whether this event carries that very conference."""
        seen = recognise(event.carried, self.systems, key)
        return seen is not None and seen.key == key

    def account(self, event: Event, key: ConferenceKey) -> str | None:
        """The account that looks after this organizer's conferences. None: nobody's."""
        return account_of(event.organizer, self.accounts.get(key.provider, _EVERYBODYS))

    def knows(self, provider: str, account: str) -> bool:
        """Whether the settings still have this account."""
        clients = self.accounts.get(provider, _EVERYBODYS)
        return provider in self.providers and any(each.account == account for each in clients)

    def locator(self, event: Event, key: ConferenceKey) -> str:
        """Where this conference is joined, if that is what its provider finds it by."""
        located = any(system.located for system in self.systems if system.provider == key.provider)
        seen = recognise(event.carried, self.systems, key) if located else None
        return seen.url if seen is not None and seen.key == key else ""

    def outdated_url(self, event: Event, key: ConferenceKey, join_url: str) -> str:
        """The URL in this event that `join_url`, as its provider tells it, is to replace; empty: none.

        Only one that leads to the very same conference may take another's place, so that what an event carries
        is never changed: neither for its guests, nor in our ledger.
        """
        if event.carried is None or key.provider not in self.written_back or len(join_url) > TEXT_LIMIT:
            return ""
        written = [uri for uri in event.carried.uris if leads_to(uri, key, self.systems)]
        fits = join_url not in written and leads_to(join_url, key, self.systems)
        return written[0] if written and fits else ""

    def shown(self, key: ConferenceKey) -> str:
        """What a log calls it. Of most systems an id is as good as the join link, or words of somebody's."""
        plain = {system.plain_ids for system in self.systems if system.provider == key.provider}
        return str(key) if plain == {True} else key.veiled

    def told(self, key: ConferenceKey) -> frozenset[str]:
        """Which details of a meeting its provider is told, beside title and times."""
        return self.details.get(key.provider, frozenset())

    def fingerprint(self, event: Event, times: Times, key: ConferenceKey) -> str:
        """Of all that the provider of this conference would be told of this event."""
        return meeting.fingerprint(event, times, self.told(key))

    def use(self, event: Event, times: Times, key: ConferenceKey) -> Ref:
        """What this event makes of a conference, by itself."""
        return Ref(self.fingerprint(event, times, key), meeting.reach(event, times))

    @property
    def signature(self) -> str:
        """The same for rules that make the same of every event."""
        accounts = {
            name: [(each.account, sorted(each.organizers)) for each in clients]
            for name, clients in sorted(self.accounts.items())
        }
        details = {name: sorted(told) for name, told in sorted(self.details.items())}
        parts = (self.systems, sorted(self.providers), accounts, details, sorted(self.occurrences))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
