"""One account that refuses us pauses as a whole: one probe asks again, and nothing else waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from sync import logs
from sync.codes import Code
from sync.conference import State
from sync.errors import AuthFailed, RateLimited, SyncError, Transient
from sync.ports import Target
from sync.recognise import KNOWN, ConferenceKey, System
from sync.rules import Rules
from tests.passes.conftest import ME, YOU, Acme, Town

OTHER = System("zeta", names=("Zeta",), hosts=("zeta.example",), path=r"^/j/([a-z0-9-]+)$")


def all_told(town: Town, *conferences: str) -> bool:
    return all(town.acme.has[each] is not None for each in conferences)


@contextmanager
def refusing(town: Town, error: SyncError) -> Iterator[None]:
    """The account refuses whatever it is asked."""
    town.acme.faults = [error] * 10_000
    yield
    town.acme.faults = []


@pytest.mark.parametrize(
    "error", [AuthFailed("401"), RateLimited("429"), RateLimited("429", 900.0)], ids=repr
)
def test_a_refusal_pauses_all_conferences_of_its_account(town: Town, error: SyncError) -> None:
    names = [f"c-{number}" for number in range(8)]
    for name in names:
        town.meet(name)
    with refusing(town, error):
        town.look()
        assert sum(town.calls().values()) == 1
    town.settle()
    assert all_told(town, *names)


@pytest.mark.parametrize("error", [AuthFailed("401"), RateLimited("429", 600.0)], ids=repr)
def test_an_account_that_refuses_for_days_is_asked_by_one_probe_at_a_time(
    town: Town, error: SyncError
) -> None:
    names = [f"c-{number}" for number in range(8)]
    for name in names:
        town.meet(name, hours=100)
    with refusing(town, error):
        town.settle(hours=24)
        assert sum(town.calls().values()) < 24 * 8  # at most one probe in some seven minutes, for all eight
    town.settle(hours=2)
    assert all_told(town, *names)


def test_what_waits_for_its_account_has_not_failed(town: Town) -> None:
    town.meet("c-1")
    town.meet("c-2")
    with refusing(town, AuthFailed("401")):
        town.settle(hours=3)
    conferences = town.store.conferences([ConferenceKey("acme", "c-1"), ConferenceKey("acme", "c-2")])
    assert all(each.state is State.OK for each in conferences)
    assert sum(each.attempts for each in conferences) == sum(town.calls().values())


def test_accounts_of_other_providers_and_other_calendars_go_on(town: Town) -> None:
    zeta = Acme(name="zeta", system=OTHER)

    class Both:
        def provider(self, name: str, _account: str = "") -> Acme:
            return {"acme": town.acme, "zeta": zeta}[name]

    town.outside = replace(town.outside, conferences=Both())
    town.policy = replace(
        town.policy, rules=Rules((town.acme.system, OTHER, *KNOWN), frozenset({"acme", "zeta"}))
    )
    town.meet("c-1")
    start, end = town.at(24), town.at(25)
    town.act("create_meeting", title="Zeta", start=start, end=end, conference=zeta_conference("z-1"))
    zeta.has["z-1"] = None
    with refusing(town, AuthFailed("401")):
        town.settle(hours=1)
        assert zeta.has["z-1"] is not None
        assert not all_told(town, "c-1")


def zeta_conference(name: str) -> dict[str, Any]:
    return {
        "conferenceId": name,
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Zeta"},
        "entryPoints": [{"entryPointType": "video", "uri": f"https://zeta.example/j/{name}"}],
    }


def test_the_pause_is_shared_by_the_passes_of_other_calendars(town: Town) -> None:
    yours = town.enrol(YOU)
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    town.meet("c-1")
    town.meet("c-2", calendar=YOU)
    with refusing(town, RateLimited("429", 900.0)):
        town.look()
        town.look(yours)
        assert sum(town.calls().values()) == 1
    town.settle()
    town.look(yours)
    assert all_told(town, "c-1", "c-2")


def test_one_conference_that_is_always_refused_does_not_stop_the_others_for_ever(town: Town) -> None:
    refuse_c1 = town.acme.update

    def update(target: Target, meeting: Any) -> Any:
        if target.id == "c-1":
            town.acme.calls.append(("update", "c-1"))
            raise AuthFailed("403 for this one only")
        return refuse_c1(target, meeting)

    town.acme.update = update  # type: ignore[method-assign]
    town.meet("c-1")
    moved = town.meet("c-2")
    town.settle(hours=30)
    assert all_told(town, "c-2")
    town.act("retitle", event=moved, title="Later")
    before = town.clock.now()
    town.settle(hours=0.05)
    meeting = town.acme.has["c-2"]
    assert meeting is not None
    assert meeting.title == "Later"
    assert town.clock.now() - before < 300


@pytest.mark.parametrize(
    "error", [RateLimited("429", 3600.0, alone=True), AuthFailed("403 for this one", alone=True)], ids=repr
)
def test_a_refusal_of_one_conference_alone_pauses_nothing_else(town: Town, error: SyncError) -> None:
    town.acme.faults = [error]
    town.meet("c-1")
    town.meet("c-2")
    town.look()
    assert sum(town.calls().values()) == 2
    assert sum(meeting is not None for meeting in town.acme.has.values()) == 1


def test_a_probe_that_comes_to_nothing_is_not_followed_by_a_rush(town: Town) -> None:
    names = [f"c-{number}" for number in range(6)]
    for name in names:
        town.meet(name)
    town.acme.faults = [AuthFailed("401"), Transient("503")]
    town.settle(hours=3)
    asked = [conference for _, conference in town.acme.calls]
    assert asked[0] not in asked[1:2]  # the probe is another than who was refused
    assert all_told(town, *names)


def test_a_paused_account_is_said_with_its_wait_and_so_is_its_return(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    town.meet("c-1")
    with refusing(town, AuthFailed("update: 401 from acme")):
        town.look()
    town.settle(hours=2)
    told = capsys.readouterr().out
    assert f'"message":"{logs.Record.ACCOUNT_PAUSED}"' in told
    assert '"account":"acme","refusals":1' in told
    assert f'"message":"{logs.Record.ACCOUNT_ANSWERS}"' in told


def test_an_account_in_order_costs_one_read_a_pass_and_no_write(town: Town) -> None:
    for number in range(4):
        town.meet(f"c-{number}")
    read: list[str] = []
    whole, changed = town.store.account, town.store.change_account

    def account(name: str) -> Any:
        read.append(name)
        return whole(name)

    def change(*_: Any) -> Any:
        raise AssertionError("nothing to write")

    town.store.account = account  # type: ignore[method-assign]
    town.store.change_account = change  # type: ignore[method-assign]
    town.settle()
    assert read == ["acme"]
    town.store.change_account = changed  # type: ignore[method-assign]


def test_those_that_wait_for_an_account_come_one_after_the_other_when_it_answers(town: Town) -> None:
    names = [f"c-{number}" for number in range(8)]
    for name in names:
        town.meet(name, hours=100)
    with refusing(town, RateLimited("429", 1200.0)):
        town.look()
    found = town.store.conferences([ConferenceKey("acme", name) for name in names])
    waits = sorted(each.not_before - town.clock.now() for each in found)
    assert len(set(waits)) == 8
    assert waits[0] >= 1199
    assert waits[-1] < 1200 + 120 + 10
    assert waits[-1] - waits[0] > 30


def without_acme(town: Town) -> Rules:
    return replace(town.policy.rules, providers=frozenset())


def test_what_is_to_be_deleted_at_an_account_that_is_gone_is_seen_and_done_when_it_comes_back(
    town: Town,
) -> None:
    event, ours = town.meet(), town.policy
    town.settle()
    town.act("delete", event=event)
    town.look()
    town.policy = replace(ours, rules=without_acme(town))
    town.settle(hours=6)
    [left] = town.store.unsettled(town.key)
    assert (left.state, left.decisions[-1].decision.code) == (State.QUARANTINED, Code.NOT_OURS)
    town.policy = ours
    town.settle(hours=30)
    assert town.calls("delete") == {"c-1": 1}


def test_what_is_to_be_deleted_at_an_account_that_stays_gone_is_given_up_after_a_month(town: Town) -> None:
    event, ours = town.meet(), town.policy
    town.settle()
    town.act("delete", event=event)
    town.look()
    town.policy = replace(ours, rules=without_acme(town))
    town.settle(hours=29 * 24)
    assert list(town.store.unsettled(town.key))
    town.settle(hours=3 * 24)
    assert list(town.store.unsettled(town.key)) == []
    town.policy = ours
    town.settle(hours=48)
    assert town.calls("delete") == {}
