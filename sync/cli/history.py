"""What the store remembers of events and conferences, in words: alike for whoever asks and whoever watches."""

from collections.abc import Iterator, Mapping, Sequence

from sync.cli import say
from sync.codes import Code
from sync.conference import Decided
from sync.ledger import Sighting
from sync.meeting import FIELDS

_SEEN = {
    Code.DELETION_WAITING: "went: the conference is to be deleted",
    Code.SHARED_BY_OTHER_EVENT: "another event speaks for the conference",
    Code.RESTORED: "restored",
    Code.DETACHED: "its conference was removed or replaced",
    Code.GUEST_COPY: "became a guest's copy",
    Code.NOT_OURS: "its conference is ours no more",
}


def versions(seen: Sequence[Sighting]) -> Iterator[tuple[Sighting | None, Sighting]]:
    """Each version with the last one before it that was told of."""
    before: Sighting | None = None
    for sighting in seen:
        yield before, sighting
        before = sighting if sighting.prints else before


def in_order(prints: Mapping[str, str]) -> list[str]:
    """As people read them, whatever order the store gave them back in."""
    return sorted(prints, key=lambda name: FIELDS.index(name) if name in FIELDS else len(FIELDS))


def changes(before: Sighting | None, sighting: Sighting) -> dict[str, tuple[str, str]]:
    """The fields that differ, each with its old and its new hash."""
    if before is None:
        return {}
    return {
        name: (before.prints.get(name, ""), sighting.prints[name])
        for name in in_order(sighting.prints)
        if before.prints.get(name) != sighting.prints[name]
    }


def verdict(sighting: Sighting) -> str:
    """What was made of a version."""
    return _SEEN.get(sighting.code, f"{sighting.code}") if sighting.code else "to be told"


def decision(each: Decided) -> str:
    """What was decided, the provider's call and its answer, and how often."""
    made = each.decision
    call = f"{made.call} → {made.answer}" if made.call else ""
    often = f"{each.times} times since {say.moment(each.since)}" if each.times > 1 else ""
    rest = ", ".join(filter(None, (call, made.why, often)))
    return f"{made.code}{': ' if rest else ''}{rest}"
