"""Events, links and conferences with sane defaults, so that a test names only what it is about."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from sync import conference as conferences
from sync.codes import Code
from sync.conference import Applied, Conference, Decision, Ref, Want
from sync.event import Carried, Event, Kind, Occurrence, Times, Unreadable, tombstone
from sync.ledger import Ledger, Link, in_order, record
from sync.meeting import Reach
from sync.recognise import ConferenceKey, System
from sync.rules import Rules

NOW = 1_900_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR

DEMO = System(provider="demo", hosts=("meet.example",), path=r"^/(\w+)$", personal=r"^/my/(\w+)$")
OTHER = System(provider="other", hosts=("other.example",), path=r"^/(\w+)$")
RULES = Rules((DEMO, OTHER), frozenset({"demo"}))


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def times(start: float = NOW + DAY, length: float = HOUR, *, all_day: bool = False) -> Times:
    return Times(at(start), at(start + length), "UTC", all_day)


def carrying(address: str) -> Carried:
    return Carried("addOn", "Demo", "", "", "", (f"https://{address}",))


def event(
    event_id: str = "e1",
    conference: str | None = "c1",
    *,
    start: float = NOW + DAY,
    length: float = HOUR,
    title: str = "Planning",
    recurrence: tuple[str, ...] = (),
    series: str = "",
    guest: bool = False,
    whole: bool = True,
    carried: Carried | None = None,
) -> Event:
    """The organizer's copy of a meeting tomorrow, carrying conference "c1" of ours, unless told otherwise."""
    kind = Kind.OCCURRENCE if series else Kind.SERIES if recurrence else Kind.ORGANIZER
    return Event(
        id=event_id,
        etag='"1"',
        kind=Kind.GUEST if guest else kind,
        title=title,
        times=times(start, length),
        recurrence=recurrence,
        occurrence=Occurrence(series, "2030-01-01T00:00:00Z") if series else None,
        carried=carrying(f"meet.example/{conference}") if conference else carried,
        whole=whole,
    )


def weekly(event_id: str = "s", conference: str | None = "c1", until: str = "", **rest: object) -> Event:
    """A series of ours, without an end unless `until` names a day."""
    rule = "RRULE:FREQ=WEEKLY" + (f";UNTIL={until}" if until else "")
    return event(event_id, conference, recurrence=(rule,), **rest)  # type: ignore[arg-type]


def occurrence(series: str = "s", conference: str | None = "c1", **rest: object) -> Event:
    """A changed occurrence of a series."""
    return event(f"{series}_20300320T120000Z", conference, series=series, **rest)  # type: ignore[arg-type]


def cancelled(event_id: str = "e1") -> Event:
    return tombstone(event_id)


def key(name: str = "c1") -> ConferenceKey:
    return ConferenceKey("demo", name)


def reach(start: float = NOW + DAY, length: float = HOUR, *, repeats: bool = False) -> Reach:
    return Reach(start, None if repeats else start + length, length, repeats)


def ref(fingerprint: str = "f1", **rest: object) -> Ref:
    return Ref(fingerprint, reach(**rest))  # type: ignore[arg-type]


def conference(*, wanted: int = 1, applied: int = 1, **rest: object) -> Conference:
    """A conference used by one event, told all that is wanted of it."""
    fields: dict[str, object] = {
        "refs": {"cal.e1": ref()},
        "want": Want(wanted, "f1", "cal.e1"),
        "applied": Applied(applied, "f1" if applied == wanted else "f0"),
    }
    return Conference(key(), "cal", **{**fields, **rest})  # type: ignore[arg-type]


def dropped(at: float = NOW, **rest: object) -> Conference:
    """A conference whose last event went at this time."""
    fields = {"refs": {}, "former": {"cal.e1": ref()}, "want": Want(2, "", ""), "applied": Applied(1, "f1")}
    return conference(**{**fields, "dropped_at": at, **rest})  # type: ignore[arg-type]


class Books:
    """All that is stored of links and conferences, and one transaction after another over it."""

    def __init__(self) -> None:
        self.links: dict[tuple[str, str], Link] = {}
        self.conferences: dict[ConferenceKey, Conference] = {}

    def record(
        self, *items: Event | Unreadable, calendar: str = "cal", now: float = NOW, rules: Rules = RULES
    ) -> list[Code | None]:
        """Record a batch, as one pass over a calendar does; what was decided of each, in the batch's order."""
        ledger = self.open(calendar)
        decided = {item.id: record(ledger, item, rules, now, now - DAY) for item in in_order(items)}
        self.links.update({(calendar, name): link for name, link in ledger.changed_links.items()})
        self.conferences.update(ledger.changed_conferences)
        return [decided[item.id] for item in items]

    def open(self, calendar: str) -> Ledger:
        def links(ids: Iterable[str]) -> Mapping[str, Link]:
            return {name: self.links[calendar, name] for name in ids if (calendar, name) in self.links}

        def read(keys: Iterable[ConferenceKey]) -> Mapping[ConferenceKey, Conference]:
            return {each: self.conferences[each] for each in keys if each in self.conferences}

        return Ledger(calendar, links, read)

    def settle(self) -> None:
        """Every provider has been told all that is wanted."""
        for name, known in self.conferences.items():
            if known.pending:
                claimed = conferences.intended(known, NOW, NOW + 12, 100)
                assert claimed.intent is not None
                self.conferences[name] = conferences.settled(
                    claimed, claimed.intent, NOW, Decision(Code.UPDATED)
                )

    def __getitem__(self, name: str) -> Conference:
        return self.conferences[key(name)]

    def refs(self, name: str = "c1") -> set[str]:
        return set(self[name].refs)

    def everything(self) -> tuple[dict[tuple[str, str], Link], dict[ConferenceKey, Conference]]:
        return dict(self.links), dict(self.conferences)
