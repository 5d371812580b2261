"""How late a conference followed its event is told with the decision, and only where it can be known."""

import json
from collections import Counter
from typing import Any

import pytest

from sync import tend
from sync.channel import Keys
from sync.errors import Refused, Transient
from sync.one_pass import one_pass
from tests.passes.conftest import KEY, Town


class Told:
    """What was logged since the last look."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        return [line for line in lines if line["message"] == event]

    def ages(self) -> list[tuple[float | None, float | None]]:
        """Of each update that its provider confirmed: since the change, and since the notification."""
        updates = [each for each in self("decision") if each["code"] == "updated"]
        return [(each.get("since_change_s"), each.get("since_notified_s")) for each in updates]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(capsys)


def notified(town: Town, seconds_ago: float) -> None:
    """A pass for a notification that came a while ago."""
    at = town.clock.now() - seconds_ago
    one_pass(town.outside, town.policy, town.key, f"w{at}", notified_at=at)


@pytest.fixture
def event(town: Town, told: Told) -> str:
    """A meeting that is known and in step."""
    event = town.meet()
    town.settle()
    told.ages()
    town.clock.advance(-2 * 3600)  # back to when the simulator's clock stands still
    return event


def test_an_update_tells_how_long_after_the_change_and_its_notification_it_was_confirmed(
    town: Town, event: str, told: Told
) -> None:
    town.act("retitle", event=event, title="Another")
    town.clock.advance(9)
    notified(town, 7)
    [(change_s, notified_s)] = told.ages()
    assert change_s == pytest.approx(9, abs=0.1)
    assert notified_s == 7


def test_without_a_notification_only_the_change_counts(town: Town, event: str, told: Told) -> None:
    town.act("retitle", event=event, title="Another")
    town.clock.advance(600)
    town.look()
    [(change_s, notified_s)] = told.ages()
    assert change_s == pytest.approx(600, abs=0.1)
    assert notified_s is None


def test_what_was_tried_again_tells_how_late_it_was_in_the_end(town: Town, event: str, told: Told) -> None:
    town.act("retitle", event=event, title="Another")
    town.acme.faults = [Transient("503")] * 3
    town.settle()
    [(change_s, notified_s), *_] = told.ages()
    assert change_s
    assert change_s > 1
    assert notified_s is None


def test_a_first_full_listing_tells_no_age_of_what_is_long_past(town: Town, told: Told) -> None:
    town.meet()
    town.clock.advance(30)
    notified(town, 5)
    assert told.ages() == [(None, None)]


def test_another_events_notification_is_not_taken_for_ones_own(town: Town, event: str, told: Told) -> None:
    town.act("retitle", event=event, title="Another")
    town.acme.faults = [Refused("400")]
    town.look()
    other = town.meet("c-2", title="Other")
    town.clock.advance(25 * 3600)  # the first is tried again, too
    town.acme.calls.clear()
    notified(town, 3)
    assert town.calls() == {"c-1": 1, "c-2": 1}, other
    assert sorted(told.ages(), key=str) == [
        (pytest.approx(25 * 3600, abs=1), 3),
        (pytest.approx(25 * 3600, abs=1), None),
    ]


def test_a_deletion_is_late_on_purpose_and_tells_no_age(town: Town, event: str, told: Told) -> None:
    town.act("delete", event=event)
    town.settle()
    deletions = [each for each in told("decision") if each["code"] == "deleted"]
    assert deletions
    assert [each.keys() & {"since_change_s", "since_notified_s"} for each in deletions] == [set()]


# --- A pass, and how everything stands ---


def test_one_record_tells_what_a_pass_has_cost_however_often_it_went_round(
    town: Town, event: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.act("retitle", event=event, title="Another")
    update, once = town.acme.update, iter([None])

    def knocked_meanwhile(*about: Any) -> Any:
        town.clock.advance(3)
        for _ in once:
            town.act("retitle", event=event, title="And another")
            town.look()  # finds the lease taken
        return update(*about)

    monkeypatch.setattr(town.acme, "update", knocked_meanwhile)
    town.look()
    busy, verdict = told("pass")
    assert busy["outcome"] == "busy"
    assert (verdict["outcome"], verdict["rounds"], verdict["listing"]) == ("done", 2, "incremental")
    assert (verdict["items"], verdict["provider_calls"], verdict["took_s"]) == (2, 2, 6.0)
    assert verdict["calendar_requests"] == 2
    assert verdict["codes"]["updated"] == 2
    assert verdict["logging.googleapis.com/operation"]["last"]


def test_every_decision_has_a_record_but_those_that_say_nothing_and_the_pass_counts_them_all(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    moved, gone = town.meet("c-1"), town.meet("c-2")
    town.settle(hours=0.1)
    town.meet("", title="Lunch")
    town.act("move", event=moved, start=town.at(30), end=town.at(31))
    town.act("delete", event=gone)
    town.settle()
    town.act("retitle", event=moved, title="Another")
    town.acme.faults.append(Refused("422"))
    town.look()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told: dict[str, Counter[str]] = {}
    for line in lines:
        if line["message"] == "decision":
            told.setdefault(line["logging.googleapis.com/operation"]["id"], Counter())[line["code"]] += 1
    passes = {
        line["logging.googleapis.com/operation"]["id"]: Counter(line["codes"])
        for line in lines
        if line["message"] == "pass" and line.get("codes")
    }
    quiet = {"unchanged", "no_conference", "out_of_window"}
    loud = {
        operation: Counter({code: number for code, number in codes.items() if code not in quiet})
        for operation, codes in passes.items()
    }
    assert {operation: codes for operation, codes in loud.items() if codes} == told
    every = sum(passes.values(), Counter())
    assert every.keys() >= {"updated", "no_conference", "deletion_waiting", "deleted", "quarantined"}


def test_a_bug_ends_a_pass_with_a_record_too(town: Town, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(town.outside.calendar, "list_page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        town.look()
    [verdict] = told("pass")
    assert (verdict["outcome"], verdict["severity"]) == ("broken_off", "ERROR")


def test_a_stock_tells_how_the_conferences_stand(town: Town, event: str, told: Told) -> None:
    town.acme.faults = [Refused("400")]
    town.act("retitle", event=event, title="Another")
    town.look()
    told("stock")
    tend.take_stock(town.outside)
    [stock] = told("stock")
    counts = {name: stock[name] for name in ("pending", "held", "quarantined", "lost")}
    assert counts == {"pending": 1, "held": 0, "quarantined": 1, "lost": 0}


def test_converge_tells_of_calendars_that_nobody_has_listed_for_nine_hours(town: Town, told: Told) -> None:
    def stale() -> int:
        told("converge")
        tend.converge(town.outside, town.policy, KEY, Keys((KEY,)))
        return int(told("converge")[0]["stale"])

    town.look()
    town.clock.advance(8.9 * 3600)
    assert stale() == 0
    town.clock.advance(0.2 * 3600)
    assert stale() == 1
    town.look()
    assert stale() == 0


# --- What is recorded now is done now ---


def test_a_change_is_told_in_the_pass_that_finds_it_however_long_the_claim_took(
    town: Town, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's time, as told at the claim, is of before that was written: we lag behind it by as much."""
    claim = town.store.claim

    def slow(*about: Any) -> Any:
        claimed = claim(*about)
        town.clock.advance(0.05)
        return claimed

    monkeypatch.setattr(town.store, "claim", slow)
    town.acme.calls.clear()
    town.act("retitle", event=event, title="Another")
    town.look()
    assert town.calls() == {"c-1": 1}
