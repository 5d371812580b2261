"""Deletions that wait for a person, and what the person says of them.

The brake holds a deletion when a calendar makes implausibly many. A person approves it, and it is done by the
next pass, on fresh evidence all the same; or rejects it, and the conference is left alone until an event uses it.
"""

from collections.abc import Collection, Sequence

from sync import by_hand
from sync import conference as conferences
from sync.conference import Conference, State
from sync.policy import Policy
from sync.ports import Outside, Store
from sync.recognise import ConferenceKey

_MOST = 1000  # held deletions of one calendar that are looked at at a time


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
    keys = (item.key for item in held(outside.store, calendar_key) if only is None or item.key in only)
    said = _approved if approve else _rejected
    return by_hand.change(outside, policy, calendar_key, owner, keys, said)


def _approved(item: Conference, now: float) -> Conference:
    """An event may use it again meanwhile: then it is not held any more."""
    return conferences.approved(item, now) if item.state is State.HELD else item


def _rejected(item: Conference, now: float) -> Conference:
    return conferences.rejected(item, now) if item.state is State.HELD else item
