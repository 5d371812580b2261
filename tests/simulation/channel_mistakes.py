# ruff: noqa: ARG005 - a stand-in takes what the real one takes
"""The mistakes that programs with watch channels are known for: what no vigil must let pass.

Each takes one defence out of production, and names the promise that is broken without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from sync import channel, one_pass
from sync.channel import Channel, ChannelState, Due
from sync.keyfile import KeyFile
from sync.ports import Watch
from sync.watching import Watching
from tests.simulation.watching import Google

Plant = pytest.MonkeyPatch
PLANTED: dict[str, Mistake] = {}


@dataclass(frozen=True)
class Mistake:
    """What to plant, and how the judge's sentence about it begins."""

    plant: Callable[[Plant], None]
    breaks: str


def breaks(promise: str) -> Callable[[Callable[[Plant], None]], Callable[[Plant], None]]:
    def listed(plant: Callable[[Plant], None]) -> Callable[[Plant], None]:
        PLANTED[plant.__name__] = Mistake(plant, promise)
        return plant

    return listed


@breaks("L1: the last channel of")
def renewal_that_closes_the_old_channel_first(monkeypatch: Plant) -> None:
    opens = Watching.open_if_due

    def closes_first(watching: Watching) -> bool:
        for each in watching.record.channels:
            if each.state is ChannelState.OPEN and not each.lapsing:
                watching.stop(each)
        return opens(watching)

    monkeypatch.setattr(Watching, "open_if_due", closes_first)


@breaks("L1: the last channel of")
def renewal_that_waits_for_the_expiry(monkeypatch: Plant) -> None:
    monkeypatch.setattr(channel, "share_left", lambda _: 0.0)


@breaks("L1: the last channel of")
def expiration_read_as_seconds(monkeypatch: Plant) -> None:
    watches = Google.watch

    def watch(google: Google, *asked: Any) -> Watch:
        opened = watches(google, *asked)
        return replace(opened, expires_at=opened.expires_at * 1000)

    monkeypatch.setattr(Google, "watch", watch)


@breaks("L1: a webhook did not know the key")
def new_key_signs_before_every_verifier_has_read_it(monkeypatch: Plant) -> None:
    monkeypatch.setattr(KeyFile, "signing_key", lambda ring: ring.keys.newest)


@breaks("L3: a channel of")
def channel_written_down_after_the_watch_call(monkeypatch: Plant) -> None:
    """The opening is not stored ahead; all that is stored is what the answer told."""
    ahead = Watching._written_ahead

    def not_stored(watching: Watching, key_id: str, **how: Any) -> Channel | None:
        opening = ahead(watching, key_id, **how)
        if opening is not None:
            kept = watching._outside.store._port._kept
            record = kept.calendars[watching.record.key]
            others = tuple(each for each in record.channels if each.id != opening.id)
            kept.calendars[record.key] = replace(record, channels=others)
        return opening

    monkeypatch.setattr(Watching, "_written_ahead", not_stored)


@breaks("L3: a channel of")
def channel_forgotten_when_its_answer_is_lost(monkeypatch: Plant) -> None:
    due = channel.due

    def forgets(channels: Any, now: float, wish: Any) -> Due:
        decided = due(channels, now, wish)
        lost = tuple(each for each in channels if each.state is ChannelState.OPENING)
        return replace(
            decided,
            stop=tuple(each for each in decided.stop if each.state is ChannelState.OPEN),
            forget=(*decided.forget, *lost),
        )

    monkeypatch.setattr(channel, "due", forgets)


@breaks("L1: ")
def calendar_that_is_not_looked_at_unless_it_is_notified(monkeypatch: Plant) -> None:
    monkeypatch.setattr(one_pass, "_due_at", lambda tenure, applied: tenure.now() + 30 * 86400.0)


@breaks("L3: ")
def superfluous_channel_left_to_lapse(monkeypatch: Plant) -> None:
    monkeypatch.setattr(Watching, "stop", lambda watching, superfluous: False)
