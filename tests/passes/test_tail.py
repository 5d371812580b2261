"""Whoever follows is told each thing once, in its order, and in words without anything that people wrote."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sync import conference
from sync.cli import tail, verbs
from sync.cli.tail import Follower
from sync.codes import Code
from sync.conference import Decision
from sync.errors import Transient
from sync.ports import Claimed, Closing, Recent
from sync.recognise import ConferenceKey
from tests.passes.conftest import GRACE_S, LEASE_S, ME, YOU, Town

Capture = pytest.CaptureFixture[str]
KEY = ConferenceKey("acme", "c-1")


def following(town: Town, since_s: float = 0.0) -> Follower:
    follower = Follower(town.store, town.clock.now() - since_s, LEASE_S)
    if not since_s:
        assert follower.news() == []
    return follower


def said(follower: Follower) -> list[str]:
    return [line.said for line in follower.news()]


def test_each_thing_is_told_once_and_in_its_order(town: Town) -> None:
    follower = following(town)
    event = town.meet(title="Secret plans")
    town.clock.advance(1)
    town.look()
    assert said(follower) == [
        f"event {event}  first seen",
        "acme:c-1  updated: update → done",
        "pass ended",
    ]
    assert said(follower) == []
    town.act("move", event=event, start=town.at(30), end=town.at(31))
    town.clock.advance(60)
    town.look()
    assert said(follower) == [
        f"event {event}  changed: start, end",
        "acme:c-1  updated: update → done",
        "pass ended",
    ]


def test_who_begins_now_is_not_told_what_was(town: Town) -> None:
    town.meet()
    town.look()
    town.clock.advance(1)
    assert said(following(town)) == []


def test_who_begins_earlier_is_told_what_is_remembered(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.act("delete", event=event)
    town.settle()
    told = said(following(town, since_s=86400))
    assert told[-1] == "pass ended"
    assert f"event {event}  went: the conference is to be deleted" in told
    assert told.index("acme:c-1  updated: update → done") < told.index("acme:c-1  deleted: delete → done")


def test_a_pass_that_runs_already_is_told_when_it_ends(town: Town) -> None:
    claim = town.store.claim(town.key, "worker")
    assert isinstance(claim, Claimed)
    town.clock.advance(1)
    follower = following(town)
    town.clock.advance(GRACE_S)
    assert said(follower) == []
    town.store.close(claim.hold, 0, Closing(town.clock.now() + 3600, None))
    assert said(follower) == ["pass ended"]
    assert said(follower) == []


def test_what_is_stored_late_is_told_then_and_what_was_told_is_not_told_again(town: Town) -> None:
    town.meet()
    town.look()
    follower = following(town)
    town.clock.advance(40)
    decide(town, "now", town.clock.now())
    assert said(follower) == ["acme:c-1  updated: now"]
    town.clock.advance(5)
    decide(town, "late", town.clock.now() - 20)
    assert said(follower) == ["acme:c-1  updated: late"]
    town.clock.advance(86400)
    assert said(follower) == []
    decide(town, "a day later", town.clock.now())
    assert said(follower) == ["acme:c-1  updated: a day later"]


def decide(town: Town, why: str, at: float) -> None:
    """As a worker whose write comes through at last."""
    claim = town.store.claim(town.key, why)
    assert isinstance(claim, Claimed)

    def body(ledger: object, _: float) -> None:
        known = ledger.conference(KEY)  # type: ignore[attr-defined]
        ledger.put_conference(conference.decided(known, at, Decision(Code.UPDATED, why)))  # type: ignore[attr-defined]

    town.store.change(claim.hold, body)
    # The worker dies: its pass is never said to have ended.
    town.clock.advance(LEASE_S)


def test_the_same_decision_made_again_is_told_again_with_how_often(town: Town) -> None:
    event = town.meet()
    town.look()
    follower = following(town)
    town.acme.faults += [Transient("PUT: 503")] * 2
    town.act("retitle", event=event, title="Another")
    town.clock.advance(30)
    town.look()
    assert [line for line in said(follower) if "acme" in line] == [
        "acme:c-1  retry_later: update → transient, PUT: 503"
    ]
    town.clock.advance(30)
    town.look()
    [again] = [line for line in said(follower) if "acme" in line]
    assert again.startswith("acme:c-1  retry_later: update → transient, PUT: 503, 2 times since ")


# --- The verb ---


@pytest.fixture
def told(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> Callable[..., list[str]]:
    """Runs it over the town's day, until it would wait."""
    monkeypatch.setenv("SYNC_STORE", f"sqlite:{tmp_path / 'store.db'}")

    def run(*argv: str) -> list[str]:
        capsys.readouterr()  # what the passes have logged
        assert verbs.main(["tail", "--since", "2026-01-05", "--no-follow", *argv]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_it_is_told_of_one_calendar_or_one_conference(town: Town, told: Callable[..., list[str]]) -> None:
    yours = town.enrol(YOU)
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    town.meet()
    town.meet("c-2", calendar=YOU)
    for key in (town.key, yours):
        town.look(key)
    every, mine, theirs, one = (told(*argv) for argv in ([], [ME], [YOU], ["acme:c-1"]))
    assert len(every) == 6
    assert [line for line in every if line in mine] == mine
    assert {*mine} | {*theirs} == {*every}
    assert [line.split("  ", 2)[2].split()[0] for line in one] == ["event", "acme:c-1"]


def test_programs_are_told_one_object_a_line(town: Town, told: Callable[..., list[str]]) -> None:
    event = town.meet()
    town.look()
    seen, decided, ended = map(json.loads, told("--json"))
    assert (seen["record"], seen["event"], seen["conference"]) == ("event", event, "acme:c-1")
    assert (decided["record"], decided["code"], decided["answer"]) == ("decision", "updated", "done")
    assert (ended["record"], ended["outcome"], ended["fence"]) == ("pass", "done", 1)


def test_a_calendar_that_cannot_be_read_says_why(town: Town, told: Callable[..., list[str]]) -> None:
    town.fault(where="events.list", status=403, reason="forbidden", times=1)
    town.look()
    [ended] = told("--json")
    assert json.loads(ended)["outcome"] == "frozen"
    assert "403" in json.loads(ended)["why"]


def test_ctrl_c_ends_it_without_a_word(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SYNC_STORE", f"sqlite:{tmp_path / 'store.db'}")

    def interrupted(seconds: float) -> None:
        assert seconds > 0
        raise KeyboardInterrupt

    monkeypatch.setattr(tail.main, "__defaults__", (interrupted,))
    capsys.readouterr()
    assert verbs.main(["tail"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_store_that_does_not_answer_for_a_while_is_asked_until_it_does(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SYNC_STORE", f"sqlite:{tmp_path / 'store.db'}")
    town.meet()
    town.look()
    recent, asked = type(town.store).recent, []

    def refuses_at_first(store: object, since: float) -> Recent:
        asked.append(since)
        if len(asked) < 3:
            raise Transient("the store does not answer")
        return recent(store, since)  # type: ignore[arg-type]

    monkeypatch.setattr(type(town.store), "recent", refuses_at_first)

    def wait(_: float) -> None:
        if len(asked) == 4:
            raise KeyboardInterrupt

    capsys.readouterr()
    with pytest.raises(KeyboardInterrupt):
        tail.main(["--since", "2026-01-05"], wait)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert err.count("the store does not answer") == 1
    assert err.splitlines()[1].startswith("hint: ")


def test_a_time_that_is_none_is_a_usage_error(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exit_:
        verbs.main(["tail", "--since", "yesterday"])
    assert exit_.value.code == 2
    assert "10min, 2h, 3d" in capsys.readouterr().err
