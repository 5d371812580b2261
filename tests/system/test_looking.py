"""What `explain` and `status` tell besides troubles, in this process: every version, every retry, every figure."""

import base64
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import urllib3

from sync.cli import verbs
from sync.ledger import SIGHTINGS_KEPT
from sync.one_pass import one_pass
from tests.passes.conftest import ME
from tests.system.troubled_town import HOUR, WEBHOOK, TroubledTown

Ask = Callable[..., Any]


@pytest.fixture
def town(troubled_town: TroubledTown, monkeypatch: pytest.MonkeyPatch) -> TroubledTown:
    for name, value in {**troubled_town.environ, "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    return troubled_town


@pytest.fixture
def said(town: TroubledTown, capsys: pytest.CaptureFixture[str]) -> Ask:
    """What people are told."""

    def ask(*argv: str, code: int = 0) -> str:
        capsys.readouterr()
        assert verbs.main(list(argv)) == code
        out, err = capsys.readouterr()
        return " ".join((out + err).split())

    return ask


@pytest.fixture
def told(town: TroubledTown, capsys: pytest.CaptureFixture[str]) -> Ask:
    """What programs are told."""

    def ask(*argv: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert verbs.main([*argv, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return ask


# --- explain ---


def test_a_meeting_is_found_by_whatever_somebody_has_of_it(town: TroubledTown, told: Ask) -> None:
    event = town.meet()
    town.settle(hours=1)
    town.sweep()
    eid = base64.urlsafe_b64encode(f"{event} {ME}".encode()).decode().rstrip("=")
    names = [
        event,
        f"https://www.google.com/calendar/event?eid={eid}",
        "demo:conf-001",
        "conf-001",
        f"{town.service.url}/j/conf-001",
    ]
    answers = [told("explain", name) for name in names]
    assert [each["events"][0]["id"] for each in answers] == [event] * 5
    assert [each["conference"]["key"] for each in answers] == ["demo:conf-001"] * 5
    assert told("explain", event, "--calendar", "me")["events"] == answers[0]["events"]


def test_every_version_that_is_remembered_is_told_with_what_differed(
    town: TroubledTown, told: Ask, said: Ask
) -> None:
    event = town.meet(title="0")
    town.look()
    for number in range(1, SIGHTINGS_KEPT):
        town.clock.advance(600)
        if number % 2:
            town.act("retitle", event=event, title=f"{number}")
        else:
            town.act("move", event=event, start=town.at(50 + number), end=town.at(51 + number))
        town.look()
    town.sweep()
    [explained] = told("explain", event)["events"]
    assert explained["rule"] == "entry_point"
    seen = explained["seen"]
    changed = [list(each["changed"]) for each in seen]
    assert changed == [[], ["title"], ["start", "end"], ["title"], ["start", "end"]]
    for earlier, later in pairwise(seen):
        for name, (old, new) in later["changed"].items():
            assert (old, new) == (earlier["prints"][name], later["prints"][name])
            assert old != new
    (old, new) = seen[1]["changed"]["title"]
    assert f"title {old}→{new}" in said("explain", event)
    assert "recognised by its entry point's URL" in said("explain", event)


def test_every_retry_is_counted_and_the_next_one_is_told(town: TroubledTown, told: Ask, said: Ask) -> None:
    event = town.meet()
    town.settle(hours=19)
    town.break_service(outage=True)
    town.act("retitle", event=event, title="another")
    town.settle(hours=0.5)
    conference = told("explain", event, code=1)["conference"]
    last = conference["decisions"][-1]
    asked = [call for call in town.service_calls() if call["verb"] == "PUT"]
    assert (last["code"], last["call"], last["answer"]) == ("retry_later", "update", "transient")
    assert last["times"] == len(asked) - 1 > 3
    assert conference["attempts"] == last["times"]
    assert conference["next"]["step"].startswith("it is told")
    words = said("explain", event, code=1)
    assert f"retry_later: update → transient, PUT: 503 from 127.0.0.1, {last['times']} times since" in words
    assert "earlier version: updated: update → done" in words


def test_what_was_never_recorded_is_asked_for(town: TroubledTown, said: Ask) -> None:
    event = town.act("create_meeting", title="Lunch", start=town.at(3), end=town.at(4))["id"]
    assert "now the organizer's copy, without a conference" in said("explain", event)
    assert "hint: name an event's id" in said("explain", event, "--offline", code=2)


def test_what_nobody_knows_is_one_line_and_a_hint(
    town: TroubledTown, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("nothing", "demo:nothing", "https://elsewhere.example/j/1"):
        capsys.readouterr()
        assert verbs.main(["explain", name]) == 2
        out, err = capsys.readouterr()
        problem, hint = err.splitlines()
        assert (out, hint[:6]) == ("", "hint: ")
        assert name in problem


def test_offline_google_is_asked_nothing(town: TroubledTown, told: Ask) -> None:
    event = town.meet()
    town.settle(hours=1)
    town.sweep()

    def requests() -> int:
        return len(urllib3.request("GET", f"{town.simulator.url}/_sim/journal").json()["requests"])

    before = requests()
    assert told("explain", event, "--offline")["events"][0]["now"] is None
    assert requests() == before
    assert told("explain", event)["events"][0]["now"]["differs"] == []
    assert requests() > before


# --- status ---


def test_every_figure_of_a_calendar_is_told(town: TroubledTown, told: Ask, said: Ask) -> None:
    town.webhook(WEBHOOK)
    town.converge()
    events = [town.meet() for _ in range(3)]
    town.clock.advance(60)
    one_pass(town.outside, town.policy, town.key, "worker", 0, town.clock.now())
    town.until_now()
    town.break_service(refuse=422, times=1)
    town.act("retitle", event=events[0], title="another")
    town.clock.advance(-10 * 60)
    town.look()
    town.clock.advance(10 * 60)
    [calendar] = told("status", code=1)["calendars"]
    days_left = calendar["channel_left_s"] / (24 * HOUR)
    assert 6 < days_left < 6.2
    assert calendar["channel"] == "6 d left"
    assert abs(calendar["notified_s_ago"] - 20 * HOUR) < 120
    assert abs(calendar["passed_s_ago"] - 600) < 60
    assert abs(calendar["token_age_s"] - 600) < 60
    figures = {name: calendar[name] for name in ("pending", "quarantined", "held", "lost", "failures")}
    assert figures == {"pending": 0, "quarantined": 1, "held": 0, "lost": 0, "failures": 0}
    assert "✗ me 6 d left 20 h 10 min 10 min – 1 – –" in said("status", code=1)


def test_a_calendar_that_was_never_looked_at_has_no_figures(town: TroubledTown, told: Ask, said: Ask) -> None:
    [calendar] = told("status")["calendars"]
    assert (calendar["token_age_s"], calendar["passed_s_ago"], calendar["notified_s_ago"]) == (
        None,
        None,
        None,
    )
    assert "✓ me polled – – – – – – –" in said("status")
