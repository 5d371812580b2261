"""Deletions that wait for a person, and what the person says of them.

The brake holds a deletion when a calendar makes implausibly many. A person approves it, and it is done by the
next pass, on fresh evidence all the same; or rejects it, and the conference is left alone until an event uses it.
"""

from collections.abc import Collection, Sequence

from sync import by_hand
from sync import conference as conferences
from sync.conference import Conference, State
from sync.ledger import Ledger
from sync.policy import Policy
from sync.ports import Outside, Store
from sync.recognise import ConferenceKey
from sync.tenure import Tenure, borrowed
from sync.wake import wake

_MOST = 1000  # held deletions of one calendar that are looked at at a time
_BATCH = 100  # changed in one transaction


def held(store: Store, calendar_key: str) -> Sequence[Conference]:
    """The held deletions of one calendar."""
    return [item for item in store.waiting_conferences(calendar_key, _MOST) if item.state is State.HELD]


def answer(
    outside: Outside,
    policy: Policy,
    calendar_key: str,
    *,
    owner: str,
    approve: bool,
    only: Collection[ConferenceKey] | None = None,
) -> list[ConferenceKey]:
    """Approve or reject what this calendar holds, or `only` those of it, and have it looked at again.

    Returns which were answered. Raises Refused for a calendar that is not looked after, and Transient when a pass
    is over it just now.
    """
    by_hand.refuse_unless_active(outside.store, calendar_key)
    with borrowed(outside, policy, calendar_key, owner) as tenure:
        keys = [item.key for item in held(outside.store, calendar_key) if only is None or item.key in only]
        answered = [
            key
            for at in range(0, len(keys), _BATCH)
            for key in _change(tenure, keys[at : at + _BATCH], approve)
        ]
    wake(outside.queue, outside.clock, policy.buckets, calendar_key)
    return answered


def _change(tenure: Tenure, keys: Sequence[ConferenceKey], approve: bool) -> list[ConferenceKey]:
    """Of these, those that were still held: an event may use them again meanwhile."""

    def body(book: Ledger, now: float) -> list[ConferenceKey]:
        answered = []
        for key in keys:
            item = book.conference(key)
            if item is not None and item.state is State.HELD:
                book.put_conference(
                    conferences.approved(item, now) if approve else conferences.rejected(item, now)
                )
                answered.append(key)
        return answered

    return tenure.change(body)
