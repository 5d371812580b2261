"""The verbs that act, as processes, over the real store, calendar and conference service."""

import io
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sync import by_hand
from sync.channel import calendar_key
from sync.cli import forget
from sync.ports import CalendarId, EnrolledCalendar, WiredCalendar
from sync.recognise import ConferenceKey
from tests.passes.conftest import ME, YOU
from tests.system.troubled_town import HOUR, WEBHOOK, TroubledTown

Town = TroubledTown


@pytest.fixture
def town(troubled_town: Town) -> Town:
    return troubled_town


def key(number: int) -> ConferenceKey:
    return ConferenceKey("demo", f"conf-{number:03}")


def told(town: Town, *argv: str, code: int = 0) -> Any:
    """The one JSON object that a verb ends with; nothing else stands on standard output."""
    answer = town.run(*argv, "--json")
    assert answer.returncode == code, (answer.stdout, answer.stderr)
    [line] = answer.stdout.splitlines()
    return json.loads(line)


def calls(town: Town) -> list[tuple[str, str]]:
    return [(call["verb"], call["conference"]) for call in town.service_calls()]


def stored(town: Town) -> dict[str, list[Any]]:
    """All that is durable, to the letter."""
    path = town.environ["SYNC_STORE"].removeprefix("sqlite:")
    with closing(sqlite3.connect(path)) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: file.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables}


# --- plan and apply ---


@pytest.fixture
def changed(town: Town) -> Town:
    """One moved, one renamed, one deleted, one new, one as it was."""
    town.events = [town.meet(title=title) for title in ("a", "b", "c", "d")]  # type: ignore[attr-defined]
    town.settle()
    moved, renamed, deleted, _ = town.events  # type: ignore[attr-defined]
    town.act("move", event=moved, start=town.at(72), end=town.at(73))
    town.act("retitle", event=renamed, title="another")
    town.act("delete", event=deleted)
    town.meet(title="new")
    town.until_now()
    return town


def test_a_plan_says_what_a_pass_would_do_and_exits_with_2(changed: Town) -> None:
    steps = told(changed, "plan", code=2)["calendars"][0]["steps"]
    assert [(each["mark"], each["conference"], each["what"]) for each in steps] == [
        ("~", "demo:conf-001", "tell start, end"),
        ("~", "demo:conf-002", "tell title"),
        ("~", "demo:conf-005", "tell all of it"),
        ("-", "demo:conf-003", "delete, when its grace is over"),
    ]
    assert [each["due"] for each in steps] == [True, True, True, False]


def test_a_plan_waits_for_a_calendar_that_is_wired_and_was_never_looked_at_as_a_pass_does(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.act("delete", event=event)
    town.look()
    town._wire("", (*town._calendars, WiredCalendar("yours", CalendarId(YOU))))
    town.until_now()
    [step] = told(town, "plan", code=2)["calendars"][0]["steps"]
    assert (step["what"], step["due"]) == ("delete: a calendar that it may have moved to is new", False)


def test_a_plan_changes_nothing_and_calls_no_provider(changed: Town) -> None:
    before, called = stored(changed), calls(changed)
    told(changed, "plan", "me", code=2)
    assert stored(changed) == before
    assert calls(changed) == called


def test_a_pass_does_what_was_planned(changed: Town) -> None:
    planned = told(changed, "plan", code=2)["calendars"][0]["steps"]
    called = len(calls(changed))
    changed.look()
    due = {("PUT", each["conference"].partition(":")[2]) for each in planned if each["due"]}
    assert set(calls(changed)[called:]) == due


def test_where_all_is_as_it_should_be_a_plan_exits_with_0(town: Town) -> None:
    town.meet()
    town.settle()
    answer = town.run("plan")
    assert answer.returncode == 0
    assert "nothing to do" in answer.stdout


def test_a_plan_that_was_kept_is_carried_out_and_nothing_else(changed: Town, tmp_path: Path) -> None:
    file = str(tmp_path / "plan.json")
    told(changed, "plan", "--out", file, code=2)
    called = len(calls(changed))
    changed.meet(title="after the plan")
    done = told(changed, "apply", file)["steps"]
    assert {each["outcome"] for each in done} == {"done"}
    assert {name for _, name in calls(changed)[called:]} == {"conf-001", "conf-002", "conf-005"}


def test_what_moved_since_the_plan_is_refused_and_said(changed: Town, tmp_path: Path) -> None:
    file = str(tmp_path / "plan.json")
    told(changed, "plan", "--out", file, code=2)
    changed.act("retitle", event=changed.events[1], title="yet another")  # type: ignore[attr-defined]
    called = len(calls(changed))
    done = told(changed, "apply", file, code=1)["steps"]
    outcomes = {each["conference"]: each["outcome"] for each in done}
    assert outcomes["demo:conf-002"] == "moved"
    assert set(outcomes.values()) == {"done", "moved"}
    assert "conf-002" not in {name for _, name in calls(changed)[called:]}
    again = told(changed, "apply", file, code=1)["steps"]
    assert {each["outcome"] for each in again} == {"moved"}


def test_a_plan_tells_and_does_what_observe_mode_holds_back(changed: Town, tmp_path: Path) -> None:
    file = str(tmp_path / "plan.json")
    changed.observe()
    changed.settle(hours=0.1)
    changed.until_now()
    called = len(calls(changed))
    steps = told(changed, "plan", "--out", file, code=2)["calendars"][0]["steps"]
    assert [each["conference"] for each in steps if each["mark"] == "~"] == [
        "demo:conf-001",
        "demo:conf-002",
        "demo:conf-005",
    ]
    assert calls(changed)[called:] == []
    told(changed, "apply", file)
    assert len(calls(changed)[called:]) >= 3


def test_what_is_no_plan_is_refused(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    for text in ("", "[]", '{"plan": 2, "calendars": []}', '{"plan": 1, "calendars": [{"key": 1}]}'):
        file.write_text(text)
        answer = town.run("apply", str(file))
        assert (answer.returncode, answer.stdout) == (2, "")
        assert "hint: make one" in answer.stderr


# --- pull, retry, holds ---


def test_a_pull_looks_now_and_says_what_came_of_it(changed: Town) -> None:
    answer = told(changed, "pull", "me")
    assert (answer["outcome"], answer["codes"]["updated"]) == ("done", 3)
    assert told(changed, "pull", "me")["codes"] == {}


def test_a_full_pull_lists_everything_again_and_deletes_nothing(changed: Town) -> None:
    changed.settle()
    called = len(calls(changed))
    answer = told(changed, "pull", ME, "--full")
    assert (answer["outcome"], answer["items"]) == ("done", 5)
    assert calls(changed)[called:] == []


def test_a_pull_of_a_calendar_that_refuses_us_says_so(town: Town) -> None:
    town.fault(where="events.list", status=403, reason="forbidden", times=0)
    answer = told(town, "pull", "me", code=1)
    assert answer["outcome"] == "frozen"
    assert "403" in answer["why"]


def test_what_was_quarantined_is_tried_now(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.break_service(refuse=422)
    town.act("retitle", event=event, title="another")
    town.settle(hours=0.1)
    town.until_now()
    assert told(town, "retry", "demo:conf-001")["retried"] == ["demo:conf-001"]
    assert told(town, "pull", "me")["codes"] == {"updated": 1}
    assert told(town, "retry")["retried"] == []


def test_a_lost_conference_that_is_there_again_is_told(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.break_service(refuse=404)
    town.act("retitle", event=event, title="another")
    town.settle(hours=0.1)
    town.until_now()
    assert town.run("status").returncode == 1
    told(town, "retry", "me")
    assert told(town, "pull", "me")["codes"] == {"updated": 1}
    assert town.run("status").returncode == 0


def test_an_account_that_pauses_is_asked_by_a_probe_at_once(town: Town) -> None:
    events = [town.meet(), town.meet()]
    town.settle()
    town.sweep()
    town.break_service(refuse=401)
    for event in events:
        town.act("retitle", event=event, title="another")
    town.look()
    assert told(town, "retry")["accounts"] == ["demo"]
    assert told(town, "pull", "me")["codes"] == {"updated": 2}


def test_a_replay_says_what_it_would_do_and_what_is_done_once_is_not_done_twice(town: Town) -> None:
    events = [town.meet(), town.meet()]
    town.settle()
    notified = f"{time.time_ns() - int(19 * HOUR) * 10**9:016x}{'0' * 12}"  # as an insertId begins
    town.break_service(refuse=422)
    town.act("retitle", event=events[0], title="another")
    town.settle(hours=0.1)
    town.until_now()
    before, called = stored(town), len(calls(town))
    planned = told(town, "replay", "me", "--since", notified, "--dry-run")["calendars"]
    assert stored(town) == before
    assert [(each["listed"], each["tried"]) for each in planned] == [("in full", ["demo:conf-001"])]
    assert told(town, "replay", "--since", notified)["calendars"] == planned
    assert (told(town, "pull", "me")["items"], calls(town)[called:]) == (2, [("PUT", "conf-001")])
    again = told(town, "replay", "me", "--since", "21h", "--read-back")["calendars"][0]
    assert (again["tried"], again["read_back"]) == ([], ["demo:conf-001", "demo:conf-002"])
    told(town, "pull", "me")
    assert sorted(calls(town)[called + 1 :]) == [("GET", "conf-001"), ("GET", "conf-002")]


def test_a_replay_since_a_moment_to_come_or_of_a_calendar_that_is_paused_is_refused(town: Town) -> None:
    assert town.run("replay", "--since", "3000-01-01").returncode == 2
    town.unwire()
    answer = town.run("replay", "me", "--since", "2h")
    assert answer.returncode == 2
    assert "hint:" in answer.stderr


@pytest.fixture
def held(town: Town) -> Town:
    events = [town.meet(hours=200) for _ in range(7)]
    town.settle()
    for event in events:
        town.act("delete", event=event)
    town.settle()
    town.until_now()
    return town


def test_held_deletions_are_listed_approved_and_rejected(held: Town) -> None:
    assert len(told(held, "holds", "list")["held"]) == 7
    assert told(held, "holds", "reject", "me", "conf-001")["answered"] == ["demo:conf-001"]
    assert len(told(held, "holds", "approve", "me", "--all")["answered"]) == 6
    assert told(held, "pull", "me")["codes"] == {"deleted": 6}
    assert ("DELETE", "conf-001") not in calls(held)
    assert told(held, "holds", "list")["held"] == []


def test_retry_leaves_what_is_held_to_a_person(held: Town) -> None:
    assert told(held, "retry")["retried"] == []
    answer = held.run("retry", "demo:conf-001")
    assert answer.returncode == 2
    assert "waits for a person" in answer.stderr


def test_an_answer_needs_to_know_what_it_is_about(held: Town) -> None:
    for argv in (["holds", "approve"], ["holds", "approve", "me"], ["holds", "reject", "me", "conf-999"]):
        answer = held.run(*argv)
        assert answer.returncode == 2
        assert "hint:" in answer.stderr
    assert len(told(held, "holds", "list", "me")["held"]) == 7


def test_an_unknown_calendar_is_told_with_the_nearest_known(town: Town) -> None:
    for argv in (["pull", "mee"], ["status", "mee"], ["holds", "list", "mee"]):
        answer = town.run(*argv)
        assert answer.returncode == 2
        assert "did you mean me?" in answer.stderr
        assert "Traceback" not in answer.stderr


def test_what_was_told_is_read_back_where_a_person_doubts_it(town: Town) -> None:
    town.meet()
    town.settle()
    outside, policy = town.outside, town.policy
    doubted = by_hand.read_back(outside, policy, town.key, owner="p", since=town.clock.now() - 3 * HOUR)
    assert doubted == [key(1)]
    called = len(calls(town))
    town.look()
    assert calls(town)[called:] == [("GET", "conf-001")]


# --- forget ---


def refused(town: Town, *words: str) -> None:
    """It says what is to end first, and changes nothing."""
    before = stored(town)
    answer = town.run("forget", "me", "--yes")
    assert (answer.returncode, answer.stdout, stored(town)) == (2, "", before)
    problem, hint = answer.stderr.splitlines()
    assert all(word in each for word, each in zip(words, (problem, hint), strict=True)), answer.stderr


def test_a_calendar_that_is_looked_after_or_has_a_channel_is_not_forgotten(town: Town) -> None:
    town.webhook(WEBHOOK)
    town.converge()
    refused(town, "me is wired", "terraform apply")
    key = calendar_key(town.store.salt(), ME)
    town.store.enrol(key, EnrolledCalendar(CalendarId(ME), town.clock.now()))
    town._wire("", ())
    refused(town, "me is enrolled", "python -m sync enrol")
    town.store.withdraw(key, town.clock.now() + 1)
    refused(town, "converge has not yet noticed", "try again in five minutes")
    town.fault(where="channels.stop", status=503, times=1)
    town.converge()
    refused(town, "1 channel that may be open", "python -m sync watch stop me")
    town.converge()
    assert told(town, "forget", "me", "--yes")["calendar"] == "me"


def test_nothing_is_left_of_a_forgotten_calendar_and_what_others_use_is_theirs(town: Town) -> None:
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    yours = town.enrol(YOU)
    carried = town.meet(), town.meet()
    video = {"entryPointType": "video", "uri": f"{town.service.url}/j/conf-001"}
    theirs = town.meet(calendar=YOU, conference={"conferenceId": "conf-001", "entryPoints": [video]})
    town.settle()
    town.look(yours)
    town.act("delete", event=carried[1])
    town.look()
    town.wire(tuple(each for each in town.unwire() if each.calendar.id == YOU))
    called = calls(town)
    answer = told(town, "forget", "me", "--yes")
    assert (answer["forgotten"]["links"], answer["left_over"]) == (2, ["demo:conf-002"])
    assert all(town.key not in repr(rows) and ME not in repr(rows) for rows in stored(town).values())
    assert calls(town) == called
    assert town.run("forget", "me", "--yes").returncode == 2
    town.act("retitle", calendar=YOU, event=theirs, title="another")
    town.look(yours)
    assert ("PUT", "conf-001") in calls(town)[len(called) :]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_person_is_asked_and_where_there_is_none_it_takes_yes(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    town.meet()
    town.settle()
    town.unwire()
    before = stored(town)
    answer = town.run("forget", "me")
    assert (answer.returncode, "hint: --yes" in answer.stderr) == (2, True)
    for name, value in town.environ.items():
        monkeypatch.setenv(name, value)
    for said in ("n\n", "\n", ""):
        monkeypatch.setattr("sys.stdin", Terminal(said))
        assert forget.main(["me"]) == 1
    assert "me looks after 1 conference. Forget it for good? [y/N]" in capsys.readouterr().err
    assert stored(town) == before
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    assert forget.main(["me"]) == 0
    assert stored(town)["calendars"] == []


# --- Calendars that go while a deletion waits ---


def test_deletions_of_a_calendar_that_is_unwired_wait_for_it_and_status_says_so(town: Town) -> None:
    event = town.meet()
    town.settle()
    town.act("delete", event=event)
    town.look()
    wired = town.unwire()
    town.settle()
    town.until_now()
    assert [(each["code"], each["grave"]) for each in told(town, "status")["troubles"]] == [
        ("resting", False)
    ]
    assert "demo:conf-001" in town.run("status").stdout
    town.wire(wired)
    town.settle()
    assert ("DELETE", "conf-001") in calls(town)
    assert told(town, "status")["troubles"] == []


def test_whoever_removes_a_calendar_is_told_which_deletions_are_not_made(town: Town) -> None:
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    assert told(town, "enrol", YOU)["outcome"] == "enrolled"
    town.converge()
    event = town.meet(calendar=YOU)
    yours = calendar_key(town.store.salt(), YOU)
    town.look(yours)
    town.act("delete", calendar=YOU, event=event)
    town.look(yours)
    said = town.run("enrol", YOU, "--remove").stdout
    assert "demo:conf-001 was to be deleted, and is left over" in said
    town.settle()
    assert ("DELETE", "conf-001") not in calls(town)
