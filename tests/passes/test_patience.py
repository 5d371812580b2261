"""Trouble that lasts costs less and less, stops nothing beside it, and never makes a pass wake itself for ever."""

from dataclasses import replace
from typing import Any

import pytest

from sync.cursor import PageToken
from sync.errors import AuthFailed, LeaseLost, RateLimited, Refused, SyncError, SyncTokenGone, Transient
from sync.ports import Outcome
from sync.recognise import ConferenceKey
from tests.passes.conftest import GRACE_S, ME, YOU, Town


class Always(list[SyncError]):
    """Faults that never run out."""

    def __bool__(self) -> bool:
        return True

    def pop(self, *_: object) -> SyncError:
        return self[0]


def passes(town: Town, capsys: pytest.CaptureFixture[str], hours: float) -> int:
    """How many passes the next hours bring, if nobody touches anything."""
    capsys.readouterr()
    town.settle(hours)
    return capsys.readouterr().out.count('"message":"pass"')


@pytest.mark.parametrize("draw", [0.1, 0.9])
def test_how_long_one_waits_is_drawn_at_random(
    town: Town, monkeypatch: pytest.MonkeyPatch, draw: float
) -> None:
    monkeypatch.setattr("random.random", lambda: draw)
    first_s = town.policy.backoff.first_s
    town.acme.faults = [Transient("503")]
    town.meet()
    town.look()
    [conference] = town.store.conferences([ConferenceKey("acme", "c-1")])
    assert conference.not_before - town.clock.now() == pytest.approx(draw * first_s)
    town.fault(where="events.list", status=503)
    town.look()
    record = town.store.calendar(town.key)
    assert record is not None
    assert record.due_at - town.clock.now() == pytest.approx(draw * first_s)


@pytest.mark.parametrize("fault", [RateLimited("429"), Transient("503"), AuthFailed("401")], ids=repr)
def test_a_provider_in_lasting_trouble_is_asked_less_and_less(town: Town, fault: SyncError) -> None:
    town.acme.faults = Always([fault])
    town.meet()
    town.settle(hours=24)
    assert 5 < len(town.acme.calls) < 200


def test_a_provider_that_cannot_be_read_is_asked_less_and_less(town: Town) -> None:
    town.acme.late = [Transient("lost")]
    town.meet()
    town.look()
    town.clock.advance(10)
    town.look()
    town.acme.read = refuses  # type: ignore[method-assign]
    before = len(town.acme.calls)
    town.settle(hours=24)
    assert len(town.acme.calls) - before < 200


def refuses(*_: Any) -> None:
    raise Refused("no reading here")


def test_an_event_that_does_not_answer_by_name_is_asked_again_after_a_while(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    event = town.meet()
    town.settle()
    town.fault(expire_tokens=ME)
    with town.simulator.api.lock:  # purged: neither listed nor mentioned as deleted
        del town.simulator.world.calendars[ME].events[event]
    town.fault(where="events.get", status=500, times=0)
    town.look()
    assert passes(town, capsys, hours=3) < 20


def test_one_calendar_that_always_fails_does_not_keep_the_others_awake(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    event = town.meet()
    town.settle()
    town.enrol(YOU)
    town.fault(where="events.list", calendar=YOU, status=500, times=0)
    town.act("delete", event=event)
    town.look()
    assert passes(town, capsys, hours=12) < 150
    assert town.calls("delete") == {}


def test_a_calendar_that_refuses_us_is_asked_less_and_less_and_at_least_every_six_hours(town: Town) -> None:
    town.act("change_role", user=ME, role="none", calendar=ME)
    town.fault(where="events.list", status=404, times=0)
    waits = []
    for _ in range(12):
        before = town.listings()
        town.look()
        assert town.listings() == before + 1
        record = town.store.calendar(town.key)
        assert record is not None
        waits.append(record.due_at - town.clock.now())
        town.clock.advance(waits[-1])
    assert waits == pytest.approx([min(60.0 * 2**number, town.policy.sweep_s) for number in range(12)])


def test_a_calendar_that_refused_once_is_asked_again_before_anything_is_deleted(town: Town) -> None:
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    other = town.enrol(YOU)
    event = town.meet()
    town.settle()
    town.look(other)
    town.act("move_to_calendar", event=event, to=YOU)
    town.look()
    town.clock.advance(GRACE_S - 5)
    town.fault(where="events.list", calendar=YOU, status=401)
    town.look(other)  # refused, and so frozen, just before the grace is over
    town.settle(hours=6)
    assert town.calls("delete") == {}
    assert "c-1" in town.acme.has


def test_a_calendar_that_stays_refused_holds_up_no_deletion_for_ever(town: Town) -> None:
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    event = town.meet()
    town.enrol(YOU)
    town.settle()
    town.fault(where="events.list", calendar=YOU, status=404, times=0)
    town.act("delete", event=event)
    town.settle(hours=12)
    assert "c-1" not in town.acme.has


def test_a_token_that_dies_on_a_later_page_forgets_no_work(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [town.meet(conference=f"c-{n}", hours=24 + n) for n in range(2)]
    town.settle()
    for event in events:
        town.act("delete", event=event)
    town.meet(conference="")  # listed last, and so not recorded with the first page
    real = town.outside.calendar

    class DiesOnPageTwo:
        """After 410 on its second page, the real one again."""

        asked = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def list_page(self, calendar: Any, cursor: Any, page_token: str) -> Any:
            DiesOnPageTwo.asked += 1
            if DiesOnPageTwo.asked == 1:
                return replace(real.list_page(calendar, cursor, page_token), end=PageToken("next"))
            if DiesOnPageTwo.asked == 2:
                raise SyncTokenGone("410")
            return real.list_page(calendar, cursor, page_token)

    town.outside = replace(town.outside, calendar=DiesOnPageTwo())  # type: ignore[arg-type]
    monkeypatch.setattr("sync.pull._BATCH", 1)  # so that the first page is recorded by itself
    town.settle()
    assert town.acme.has == {}


def test_a_lease_lost_while_a_calendar_refuses_us_is_no_bug(town: Town) -> None:
    town.fault(where="events.list", status=404)
    store = town.store

    class Overtaken:
        """Somebody else has the lease by the time of the last word."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def close(self, *_: Any) -> bool:
            raise LeaseLost("overtaken")

    town.outside = replace(town.outside, store=Overtaken())  # type: ignore[arg-type]
    town.look()


def test_a_silent_provider_does_not_hold_a_worker_for_an_hour(town: Town) -> None:
    town.acme.faults = Always([Transient("503")])
    begin = town.acme._begin

    def slow(call: str, conference: Any) -> None:
        town.clock.advance(10)
        begin(call, conference)

    town.acme._begin = slow  # type: ignore[method-assign]
    for n in range(60):
        town.meet(conference=f"c-{n}", hours=24 + n)
    before = town.clock.now()
    town.look()
    assert town.clock.now() - before < 300


def test_what_a_provider_cannot_express_is_said(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    town.acme.update = lambda *_: Outcome(True, ("title",), ("time",))  # type: ignore[method-assign]
    town.meet()
    town.look()
    assert '"why":"ignored: time"' in capsys.readouterr().out
