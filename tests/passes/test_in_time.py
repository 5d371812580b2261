"""No call begins that might outlast our share of the lease, or its own intent, however slow the store is."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sync.errors import Timeout
from sync.recognise import ConferenceKey
from tests.passes.conftest import LEASE_S, MARGIN_S, Town

ROUNDS = 80
CALL_S = 40.0  # with its slack well over half of our share: two calls do not fit into one grant


class Slow:
    """Stands before somebody and has something happen before and after these calls of theirs."""

    def __init__(
        self, whom: Any, calls: Mapping[str, Callable[[], None]], before: Callable[[], None] = lambda: None
    ) -> None:
        self.call_s = CALL_S
        self._whom = whom
        self._calls = calls
        self._before = before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whom, name)
        return self._slowed(found, self._calls[name]) if name in self._calls else found

    def _slowed(self, call: Callable[..., Any], after: Callable[[], None]) -> Callable[..., Any]:
        def slowed(*args: Any) -> Any:
            self._before()
            try:
                return call(*args)
            finally:
                after()

        return slowed


class Watch:
    """What was left of our share of the lease, and of the intent, when a call ended that took all of its time."""

    def __init__(self, town: Town) -> None:
        self.share_s: list[float] = []
        self.intent_s: list[float] = []
        self._town = town

    def ended(self) -> None:
        self._town.clock.advance(CALL_S)
        record = self._town.store.calendar(self._town.key)
        assert record is not None
        self.share_s.append(record.lease.renewed_at + LEASE_S - MARGIN_S - self._town.clock.now())

    def acted(self) -> None:
        self.ended()
        [conference] = self._town.store.conferences([ConferenceKey("acme", "c-1")])
        assert conference.intent is not None
        self.intent_s.append(conference.intent.until - self._town.clock.now())


def test_every_call_ends_within_our_share_and_within_its_intent(town: Town) -> None:
    draw, slow = random.Random(5), [True]

    def lag() -> None:
        if slow[0]:
            town.clock.advance(draw.choice((0.0, 0.3, 0.9, 3.0, 25.0, 31.0)))

    watch = Watch(town)
    provider = Slow(town.acme, {"read": watch.ended, "update": watch.acted, "delete": watch.acted})
    town.outside = replace(
        town.outside,
        store=Slow(town.store, dict.fromkeys(("claim", "renew", "change", "close"), lag), lag),  # type: ignore[arg-type]
        calendar=Slow(town.outside.calendar, {"list_page": watch.ended, "get": watch.ended}),  # type: ignore[arg-type]
        conferences=Slow(town.acme, {}),  # type: ignore[arg-type]
    )
    town.outside.conferences.provider = lambda *_: provider  # type: ignore[method-assign,assignment,return-value]
    event = town.meet()
    for number in range(ROUNDS):
        town.act("retitle", event=event, title=f"Title {number}")
        if draw.random() < 0.3:
            town.acme.late.append(Timeout("and yet it has acted"))
        slow[0] = True
        town.look()
        slow[0] = False
        town.settle()
    assert len(watch.intent_s) > ROUNDS
    assert min(watch.share_s) >= 0
    assert min(watch.intent_s) >= 0
    assert min(watch.intent_s) < 1.5, "none was a near thing: this shows nothing"
    assert min(watch.share_s) < 10
