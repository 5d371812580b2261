"""A look that finds what nobody told of is remembered as such; calendars that are polled are looked at often."""

from dataclasses import replace

import pytest
import urllib3

from sync import tend, watching
from sync.channel import Keys
from sync.errors import Unsupported
from sync.one_pass import one_pass
from sync.ports import CalendarId, CalendarRecord, Watch, WiredCalendar
from tests.passes.conftest import KEY, ME, Town

HOUR = 3600.0
MINUTE = 60.0


class Office(Town):
    """The town, with a webhook, and one time for everybody."""

    def open(self) -> None:
        self.store.wire("http://127.0.0.1:9/", [WiredCalendar("mine", CalendarId(ME))])
        self.converge()
        began = self.clock.now()
        self.settle(hours=0.1)
        self._move_simulator(self.clock.now() - began)
        watching.greeted(self.store, self.key, self.record.channels[0].id)

    def converge(self) -> tend.Verdict:
        return tend.converge(self.outside, self.policy, KEY, Keys((KEY,)))

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self._move_simulator(seconds)

    def _move_simulator(self, seconds: float) -> None:
        urllib3.request("POST", f"{self.simulator.url}/_sim/clock", json={"advance_s": seconds})

    @property
    def record(self) -> CalendarRecord:
        found = self.store.calendar(self.key)
        assert found is not None
        return found


@pytest.fixture
def office(town: Town) -> Office:
    town.__class__ = Office
    assert isinstance(town, Office)
    town.open()
    town.pass_time(HOUR)
    return town


def test_a_change_that_a_look_of_ours_finds_late_was_missed(office: Office) -> None:
    office.meet()
    made_at = office.clock.now()
    office.pass_time(HOUR)
    office.look()
    assert office.record.missed == 1
    assert office.record.changed_at == pytest.approx(made_at, abs=MINUTE)
    office.look()
    assert office.record.missed == 1, "and is not found again"


def test_a_change_that_was_told_of_was_not_missed_however_late_the_look_and_takes_back_what_was(
    office: Office,
) -> None:
    event = office.meet()
    office.pass_time(HOUR)
    office.look()
    office.act("retitle", event=event, title="Later")
    told_at = office.clock.now() + 2
    office.pass_time(HOUR)
    one_pass(office.outside, office.policy, office.key, "worker", notified_at=told_at)
    assert (office.record.missed, office.record.notified_at) == (0, told_at)


def test_a_change_that_is_found_soon_was_not_missed_its_notification_may_be_on_its_way(
    office: Office,
) -> None:
    office.meet()
    office.pass_time(5 * MINUTE)
    office.look()
    assert office.record.missed == 0


def test_a_first_look_misses_nothing(town: Town) -> None:
    town.meet()
    town.clock.advance(HOUR)
    town.look()
    record = town.store.calendar(town.key)
    assert record is not None
    assert (record.missed, record.changed_at) == (0, 0.0)


def test_three_changes_that_nobody_told_of_are_silence(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    for title in ("One", "Two", "Three"):
        office.converge()
        assert "push_silent" not in capsys.readouterr().out
        office.pass_time(MINUTE)
        office.meet(conference="", title=title)
        office.pass_time(HOUR)
        office.look()
    office.converge()
    assert '"push_silent"' in capsys.readouterr().out


def test_a_quiet_look_costs_no_more_for_it(office: Office) -> None:
    office.look()
    office.store.reads = office.store.writes = 0
    office.look()
    assert (office.store.reads, office.store.writes) == (1, 2)


# --- How often it is looked at ---


def due_in(office: Office) -> float:
    office.look()
    return office.record.due_at - office.clock.now()


def test_a_watched_calendar_is_looked_at_within_the_sweep_interval_with_time_for_sweeps_that_fail(
    office: Office,
) -> None:
    waits = [due_in(office) for _ in range(50)]
    assert 0.6 * 6 * HOUR <= min(waits) < 0.7 * 6 * HOUR
    assert 0.8 * 6 * HOUR < max(waits) <= 0.9 * 6 * HOUR


def test_a_calendar_that_google_does_not_watch_is_polled(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> Watch:
        raise Unsupported("events.watch: 400 pushNotSupportedForRequestedResource")

    monkeypatch.setattr(office.outside.calendar, "watch", refuses)
    office.pass_time(7 * 24 * HOUR)
    assert office.converge().polled == 1
    assert max(due_in(office) for _ in range(20)) <= 15 * MINUTE


def test_a_canary_is_looked_at_as_often(office: Office) -> None:
    office.policy = replace(office.policy, canary="mine")
    assert max(due_in(office) for _ in range(20)) <= 15 * MINUTE
    office.policy = replace(office.policy, canary="another")
    assert min(due_in(office) for _ in range(20)) > HOUR
