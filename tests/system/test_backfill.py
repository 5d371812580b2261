"""A backfill lists every calendar in full once, whatever interrupts it, and tells nothing that stands."""

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import Any
from unittest.mock import patch

import pytest

from sync import by_hand
from sync.cli import backfill, verbs
from sync.cli.desk import Desk
from sync.cursor import Cursor, Window
from sync.google import calendar as google
from sync.google.calendar import GoogleCalendar
from sync.ports import CalendarId, CalendarRecord, Claimed, Closing, Page, Task
from tests.passes.conftest import ME, YOU
from tests.system.troubled_town import TroubledTown

Town = TroubledTown
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def town(troubled_town: Town, monkeypatch: pytest.MonkeyPatch) -> Town:
    for name, value in troubled_town.environ.items():
        monkeypatch.setenv(name, value)
    troubled_town.act("change_role", calendar=YOU, user=ME, role="writer")
    troubled_town.yours = troubled_town.enrol(YOU)  # type: ignore[attr-defined]
    troubled_town.meet()
    for key in (troubled_town.key, yours(troubled_town)):
        troubled_town.look(key)
    troubled_town.until_now()
    return troubled_town


def yours(town: Town) -> str:
    return str(town.yours)  # type: ignore[attr-defined]


def record(town: Town, key: str = "") -> CalendarRecord:
    found = town.store.calendar(key or town.key)
    assert found is not None
    return found


def run(*argv: str) -> int:
    return verbs._quietly(backfill.main, [*argv, "--since", "1h"])


class Listings:
    """Counts the full listings, by calendar, and lets something happen when one is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full: Counter[str] = Counter()
        self.at: Callable[[str], object] = lambda _: None
        real = GoogleCalendar.list_page

        def list_page(calendar: Any, of: CalendarId, cursor: Cursor, page_token: str) -> Page:
            if isinstance(cursor, Window):
                self.full[of.id] += 1
                self.at(of.id)
            return real(calendar, of, cursor, page_token)

        monkeypatch.setattr(GoogleCalendar, "list_page", list_page)


@pytest.fixture
def listings(town: Town, monkeypatch: pytest.MonkeyPatch) -> Listings:
    return Listings(monkeypatch)


def test_what_is_not_in_step_is_told_and_no_other_and_what_was_listed_is_left_out(
    town: Town, listings: Listings, capsys: Capture
) -> None:
    town.meet()
    town.break_service(refuse=422)
    town.look()
    town.meet()
    town.pass_over()
    called = len(town.service_calls())
    assert run("--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["listed"], told["left_out"], told["codes"]) == (2, 0, {"unchanged": 2, "updated": 2})
    made = [(each["verb"], each["conference"]) for each in town.service_calls()[called:]]
    assert sorted(made) == [("PUT", "conf-002"), ("PUT", "conf-003")]
    assert listings.full == {ME: 1, YOU: 1}
    assert run() == 0
    assert listings.full == {ME: 1, YOU: 1}
    assert "2 calendars were listed in full since" in capsys.readouterr().err
    assert backfill.main(["you", "--since", "now"]) == 0
    assert listings.full == {ME: 1, YOU: 2}
    assert len(town.service_calls()) == called + 2


def test_one_that_is_interrupted_goes_on_with_what_is_left_and_gives_the_calendar_back(
    town: Town, listings: Listings, capsys: Capture
) -> None:
    def interrupt(calendar: str) -> None:
        if calendar == YOU:
            raise KeyboardInterrupt

    listings.at = interrupt
    assert run() == 130
    said = capsys.readouterr().err
    assert "interrupted: 1 of 2 calendars listed in full" in said
    [again] = [line for line in said.splitlines() if line.startswith("hint: ")]
    assert record(town, yours(town)).lease.owner == ""
    listings.at = lambda _: None
    assert backfill.main(again.split("`")[1].split()[4:], wait=_never) == 0
    assert listings.full == {ME: 1, YOU: 2}


def _never(seconds: float) -> None:
    assert seconds < 1, "there is nothing to wait for"


def test_one_that_was_killed_goes_on_when_the_lease_of_the_dead_has_ended(
    town: Town, listings: Listings
) -> None:
    """It dies as a process does: its lease stays, and nobody wakes anybody."""

    class Killed(BaseException):
        pass

    def kill(calendar: str) -> None:
        if calendar == YOU:
            raise Killed

    listings.at = kill
    with pytest.raises(Killed):
        run()
    dead = record(town, yours(town))
    assert dead.lease.owner
    listings.at = lambda _: None
    waits: list[float] = []

    def until_the_lease_ends(seconds: float) -> None:
        if seconds > 1 and not waits:
            town.clock.advance(100)
            claim = town.store.claim(yours(town), "whoever is next")
            assert isinstance(claim, Claimed)
            town.store.close(claim.hold, 0, Closing(town.clock.now(), None, finished=False))
            waits.append(seconds)

    assert backfill.main(["--since", "1h"], wait=until_the_lease_ends) == 0
    assert waits
    assert listings.full == {ME: 1, YOU: 2}


def test_a_calendar_that_cannot_be_listed_stops_no_other(town: Town, capsys: Capture) -> None:
    town.fault(where="events.list", calendar=ME, status=403, reason="forbidden", times=0)
    assert run("--json") == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["listed"], [each["calendar"] for each in told["not_done"]]) == (1, ["me"])


def test_no_more_is_asked_of_google_than_its_budget_allows(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.budget._USERS_PACE_S", 100.0)
    monkeypatch.setitem(google._LISTING, "maxResults", 1)  # type: ignore[index]
    town.meet()
    waits: list[float] = []
    assert backfill.main(["--since", "1h"], wait=waits.append) == 0
    assert waits[0] == 0
    assert waits[1] == pytest.approx(200, abs=10), "two pages were asked for"


# --- Where a worker does it ---


class Worker:
    """A queue whose tasks are done at once, each by a thread of its own."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def create(self, task: Task) -> bool:
        threading.Thread(target=self._work, args=(task,)).start()
        return True

    def _work(self, task: Task) -> None:
        self.town.look(task.subject)


@pytest.fixture
def elsewhere(town: Town, monkeypatch: pytest.MonkeyPatch) -> Worker:
    worker = Worker(town)
    monkeypatch.setattr(Desk, "works_here", property(lambda _: False))
    queue = cached_property(lambda _: worker)
    queue.__set_name__(Desk, "queue")
    monkeypatch.setattr(Desk, "queue", queue)
    monkeypatch.setattr("sync.cli.passes._POLL_S", 0.05)
    return worker


def test_a_worker_lists_them_and_is_waited_for(
    town: Town, listings: Listings, elsewhere: Worker, capsys: Capture
) -> None:
    town.clock.advance(2)
    assert run() == 0
    assert listings.full == {ME: 1, YOU: 1}
    assert "2 calendars listed in full" in capsys.readouterr().out
    assert run() == 0
    assert listings.full == {ME: 1, YOU: 1}


def test_standard_output_is_put_aside_once_as_it_is_one_for_all_threads(
    town: Town, elsewhere: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it put aside in each, the last to put it back might put back another one's, and the answer be lost."""
    seen, ask = list[object](), by_hand.do_again

    def do_again(*what: Any, **how: Any) -> None:
        seen.append(sys.stdout)
        ask(*what, **how)

    monkeypatch.setattr(by_hand, "do_again", do_again)
    monkeypatch.setattr("sync.cli.backfill._AT_ONCE", 1)
    town.clock.advance(2)
    assert run() == 0
    assert len(seen) == 2
    assert seen[0] is seen[1]
    assert seen[0] is not sys.stdout


def test_a_worker_that_does_not_come_is_said(
    town: Town, elsewhere: Worker, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("sync.cli.backfill._WAIT_S", 0.2)
    with patch.object(elsewhere, "_work"):
        assert run() == 1
    said = capsys.readouterr().err
    assert "me: not yet: the worker has not looked" in said
    assert "hint: run it again" in said


def test_who_does_not_want_to_wait_for_the_worker_need_not(
    town: Town, elsewhere: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sync.cli.backfill.until_one_of", interrupt)
    with patch.object(elsewhere, "_work"):
        assert run() == 130
    bookmark = record(town).bookmark
    assert bookmark is not None
    assert bookmark.listing == "", "it is listed in full whenever the worker comes"
