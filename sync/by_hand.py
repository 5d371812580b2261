"""What a person asks of a calendar, beside answering its holds: try now, read back, list in full, do again.

Each is written down under the calendar's lease, and done by its next pass, which is asked for at once.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from sync import conference as conferences
from sync.conference import Conference
from sync.errors import Refused
from sync.ledger import Ledger
from sync.policy import Policy
from sync.ports import CalendarRecord, Outside, Progress, Store
from sync.recognise import ConferenceKey
from sync.tenure import Tenure, borrowed
from sync.wake import wake

_BATCH = 100  # conferences of one transaction
_NO_LISTING = ""  # earned by no way of listing: the next one is full

Change = Callable[[Conference, float], Conference]


def refuse_unless_active(store: Store, calendar_key: str) -> None:
    """Raises Refused for a calendar that is not looked after."""
    record = store.calendar(calendar_key)
    if record is None or not record.active:
        raise Refused(f"calendar {calendar_key} is not looked after: nothing is done for it")


def retry(
    outside: Outside,
    policy: Policy,
    calendar_key: str,
    *,
    owner: str,
    only: Collection[ConferenceKey] | None = None,
) -> list[ConferenceKey]:
    """Have all that waits in this calendar, or `only` those, tried now. Returns which.

    Raises Refused for a calendar that is not looked after, Transient while a pass is over it.
    """
    keys = [each.key for each in outside.store.unsettled(calendar_key) if only is None or each.key in only]
    return change(outside, policy, calendar_key, owner, keys, conferences.retried)


def read_back(
    outside: Outside, policy: Policy, calendar_key: str, *, owner: str, since: float
) -> list[ConferenceKey]:
    """Have all that was told since then read back, and told again where it is not as wanted. Returns which."""
    told = (each.key for each in outside.store.conferences_of(calendar_key) if _was_told(each, since))
    return change(outside, policy, calendar_key, owner, told, conferences.doubted)


def _was_told(conference: Conference, since: float) -> bool:
    calls = (each for each in conference.decisions if each.decision.call == "update")
    return any(each.at >= since and each.decision.answer == "done" for each in calls)


@dataclass(frozen=True, slots=True)
class Again:
    """What is to be done again for a calendar, beside looking at what has changed."""

    in_full: bool = False  # list it in full: its token may have passed something over
    tries: tuple[ConferenceKey, ...] = ()  # that failed, are quarantined or lost


def due_since(record: CalendarRecord, unsettled: Iterable[Conference], since: float, now: float) -> Again:
    """What was due since then. A listing from before it has a token that tells all that came later."""
    ours = (each for each in unsettled if each.home == record.key and _was_decided(each, since))
    tries = [each.key for each in ours if conferences.retried(each, now) != each]
    return Again(record.listed_at >= since, tuple(dict.fromkeys(tries)))


def _was_decided(conference: Conference, since: float) -> bool:
    return any(each.at >= since for each in conference.decisions)


def do_again(
    outside: Outside,
    policy: Policy,
    calendar_key: str,
    again: Again,
    *,
    owner: str,
    at: float | None = None,
) -> list[ConferenceKey]:
    """Have it looked at, now or at `at`, and this done with that. Returns which conferences are tried.

    Whatever stands is left as it is: its token until a full listing has earned another, and a conference that is
    as wanted. Raises as `retry`.
    """
    refuse_unless_active(outside.store, calendar_key)
    tried: list[ConferenceKey] = []
    if again.in_full or again.tries:
        with borrowed(outside, policy, calendar_key, owner) as tenure:
            if again.in_full:
                list_anew(tenure)
            for batch in in_batches(again.tries):
                tried += apply_to(tenure, batch, conferences.retried)
    wake(outside.queue, outside.clock, policy.buckets, calendar_key, at)
    return tried


def list_anew(tenure: Tenure) -> None:
    """The next listing is a full one."""
    bookmark = tenure.record.bookmark
    if bookmark is not None:
        tenure.note(Progress(bookmark=replace(bookmark, listing=_NO_LISTING)))


def change(
    outside: Outside,
    policy: Policy,
    calendar_key: str,
    owner: str,
    keys: Iterable[ConferenceKey],
    change: Change,
) -> list[ConferenceKey]:
    refuse_unless_active(outside.store, calendar_key)
    with borrowed(outside, policy, calendar_key, owner) as tenure:
        changed = [key for batch in in_batches(keys) for key in apply_to(tenure, batch, change)]
    if changed:
        wake(outside.queue, outside.clock, policy.buckets, calendar_key)
    return changed


def in_batches(keys: Iterable[ConferenceKey]) -> Iterator[list[ConferenceKey]]:
    """As many at a time as one transaction changes."""
    left = iter(keys)
    while batch := list(islice(left, _BATCH)):
        yield batch


def apply_to(tenure: Tenure, keys: Collection[ConferenceKey], change: Change) -> list[ConferenceKey]:
    """Change these in one transaction. Returns those that are not as they were."""

    def body(book: Ledger, now: float) -> list[ConferenceKey]:
        changed = []
        for key in keys:
            item = book.conference(key)
            after = item and change(item, now)
            if item is not None and after is not None and after != item:
                book.put_conference(after)
                changed.append(key)
        return changed

    return tenure.change(body)
