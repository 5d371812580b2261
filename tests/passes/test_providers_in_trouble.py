"""What becomes of a conference whose provider fails: it waits, is read back or set aside; nothing else stops."""

from dataclasses import replace
from typing import Any

import pytest

from sync.conference import State
from sync.errors import Gone, RateLimited, Refused, SyncError, Timeout, Transient, Unsupported
from sync.ports import Target
from sync.recognise import ConferenceKey
from tests.passes.conftest import Town

C1 = ConferenceKey("acme", "c-1")


def state(town: Town) -> State:
    [conference] = town.store.conferences([C1])
    return conference.state


@pytest.mark.parametrize(
    "fault",
    [Transient("503"), Timeout("no answer"), RateLimited("429", 30.0, alone=True)],
    ids=lambda fault: f"{fault!r}",
)
def test_a_fault_that_passes_delays_its_conference_and_nothing_else(town: Town, fault: SyncError) -> None:
    town.acme.faults = [fault]
    town.meet("c-1", title="First")
    town.meet("c-2", title="Second")
    town.look()
    record = town.store.calendar(town.key)
    assert record is not None
    assert record.bookmark is not None  # the token moved on
    assert sum(bool(meeting) for meeting in town.acme.has.values()) == 1
    town.settle()
    assert all(town.acme.has.values())


@pytest.mark.parametrize("fault", [RateLimited("429", 1800.0), Transient("502", 1800.0)], ids=repr)
def test_retry_after_is_honoured(town: Town, fault: SyncError) -> None:
    town.acme.faults = [fault]
    town.meet()
    town.settle(hours=0.4)
    assert town.calls() == {"c-1": 1}
    town.settle(hours=0.2)
    assert town.calls("update") == {"c-1": 2}


@pytest.mark.parametrize("call", ["update", "read"])
def test_retry_after_is_honoured_by_a_worker_that_froze_after_its_claim(
    town: Town, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    town.meet()
    if call == "read":
        town.acme.late = [Timeout("no answer")]  # a debt, which is paid by reading
        town.settle(hours=0.02)
    claim, begin, asked = town.store.claim, town.acme._begin, list[tuple[str, float]]()

    def frozen(*who: Any) -> Any:
        claimed = claim(*who)
        town.clock.advance(0.0 if asked else 60.0)
        return claimed

    def noted(what: str, target: Target) -> None:
        asked.append((what, town.clock.now()))
        begin(what, target)

    monkeypatch.setattr(town.store, "claim", frozen)
    monkeypatch.setattr(town.acme, "_begin", noted)
    town.acme.faults = [RateLimited("429", 90.0, alone=True)]
    town.settle(hours=0.5)
    (first, refused_at), (_, again_at), *_ = asked
    assert first == call
    assert again_at - refused_at >= 90.0


@pytest.mark.parametrize("fault", [Refused("400"), Unsupported("no times")], ids=repr)
def test_what_a_provider_refuses_is_set_aside_until_the_event_changes(town: Town, fault: SyncError) -> None:
    town.acme.faults = [fault]
    event = town.meet()
    town.settle()
    assert state(town) is State.QUARANTINED
    assert town.calls() == {"c-1": 1}
    town.act("retitle", event=event, title="Another title")
    town.settle()
    assert state(town) is State.OK
    assert town.calls() == {"c-1": 2}


def test_what_was_refused_is_tried_again_every_day(town: Town) -> None:
    town.acme.faults = [Refused("400")]
    town.meet()
    town.settle(hours=25)
    assert state(town) is State.OK


def test_a_conference_its_provider_does_not_have_is_lost_and_said_so(town: Town) -> None:
    town.acme.faults = [Gone("404")]
    town.meet()
    town.settle()
    assert state(town) is State.LOST
    assert town.calls() == {"c-1": 1}


def test_an_answer_that_was_lost_is_told_again_and_read_back_when_nothing_can_land_any_more(
    town: Town,
) -> None:
    town.acme.late = [Timeout("no answer")]
    town.meet()
    town.settle()
    assert [call for call, _ in town.acme.calls] == ["update", "update", "read"]
    [conference] = town.store.conferences([C1])
    assert conference.verify_at is None


def test_a_late_call_that_landed_after_a_newer_one_is_found_and_repaired(town: Town) -> None:
    town.acme.late = [Timeout("no answer")]
    event = town.meet(title="Old")
    town.look()
    old = town.acme.has["c-1"]
    town.act("retitle", event=event, title="New")
    town.look()
    town.acme.has["c-1"] = old  # the abandoned call lands now
    town.settle()
    meeting = town.acme.has["c-1"]
    assert meeting is not None
    assert meeting.title == "New"


def test_deleting_what_is_gone_is_success(town: Town) -> None:
    event = town.meet()
    town.settle()
    del town.acme.has["c-1"]
    town.act("delete", event=event)
    town.settle()
    assert state(town) is State.GONE
    assert town.calls("delete") == {"c-1": 1}


def test_a_deletion_whose_answer_was_lost_is_repeated_and_then_known(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.acme.late = [Timeout("no answer")]
    town.act("delete", event=event)
    town.settle()
    assert state(town) is State.GONE
    assert town.calls("delete") == {"c-1": 2}


def test_work_that_waits_for_a_provider_survives_a_calendar_that_cannot_be_read(town: Town) -> None:
    town.acme.faults = [Transient("503")]
    town.meet()
    town.look()
    town.queue.tasks.clear()
    town.fault(where="events.list", status=404)
    town.look()
    town.sweep()
    assert town.acme.has["c-1"]


def test_work_that_waits_survives_a_pass_that_the_store_cut_short(town: Town) -> None:
    class Fails:
        """A store that does not answer the question what is due."""

        def __getattr__(self, name: str) -> object:
            return getattr(town.store, name)

        def due_conferences(self, *_: object) -> None:
            raise Transient("no answer")

    whole = town.outside
    town.outside = replace(whole, store=Fails())  # type: ignore[arg-type]
    town.meet()
    town.look()
    town.outside = whole
    town.settle()
    assert town.acme.has["c-1"]
