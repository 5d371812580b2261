"""Every provider that is shipped, in every kind of trouble, through the ledger: it ends as its events say.

Each with its own system behind real HTTP, the real registry, store, queue and Google's stand-in.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sync.codes import Code
from sync.conference import Conference, State
from sync.conferences.registry import Registry
from sync.ports import Provider, Target
from sync.recognise import ConferenceKey
from sync.simulator import Simulator
from sync.testing import MEETING, Failure
from tests.contract.documented import NoSecrets
from tests.contract.stages import CONFERENCES, HOSTS, STAGES, Stage
from tests.passes.conftest import ME, SYSTEM, Town

READ_S = 1.0  # how long the other side may be silent
FAR = 5 * 365 * 24.0  # hours from the town's morning: ahead also by the clock on the wall
CALLING = [name for name, stage in STAGES.items() if stage.calls]


class Lanes:
    """The provider on its stage, and Acme beside it. `before`: done once, just before the next update."""

    def __init__(self, town: Town, registry: Registry) -> None:
        self._acme = town.acme
        self._registry = registry
        self.before: Callable[[], None] | None = None

    def provider(self, name: str, account: str = "") -> Any:
        return self._acme if name == "acme" else _Interrupted(self, self._registry.provider(name, account))


class _Interrupted:
    def __init__(self, lanes: Lanes, provider: Provider) -> None:
        self._lanes, self._provider = lanes, provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def update(self, *call: Any) -> Any:
        before, self._lanes.before = self._lanes.before, None
        if before:
            before()
        return self._provider.update(*call)


class Played(Town):
    """A town whose meetings are held at the provider on the stage. Each calendar has its owner's meetings."""

    def __init__(self, simulator: Simulator, path: Path, stage: Stage) -> None:
        super().__init__(simulator, path)
        self.stage = stage
        self.lanes = Lanes(self, self.instance())
        self.outside = replace(self.outside, conferences=self.lanes)
        rules = self.instance().rules()
        self.policy = replace(
            self.policy,
            rules=replace(
                rules, systems=(SYSTEM, *rules.systems), providers=frozenset({"acme", *rules.providers})
            ),
        )

    def instance(self) -> Registry:
        """What one instance of the worker has of its providers; they share the store."""
        return Registry(
            [self.stage.settings],
            connect_s=READ_S,
            read_s=READ_S,
            secrets=NoSecrets,
            accounts=lambda: self.store,
        )

    def hold(self, n: int = 0, calendar: str = ME) -> str:
        """A meeting with the n-th conference; returns the event's id."""
        conference = self.stage.conference_data(n)
        where = {} if calendar == ME else {"calendar": calendar}
        start, end = self.at(FAR), self.at(FAR + 1)
        made = self.act(
            "create_meeting", title=f"New {n}", start=start, end=end, conference=conference, **where
        )
        return str(made["id"])

    def move_in(self, owner: str) -> str:
        """Somebody else whose calendar is looked after; returns its key."""
        if owner not in ("me@example.com", "you@example.com"):
            self.act("add_user", email=owner)
        self.act("change_role", calendar=owner, user=ME, role="writer")
        return self.enrol(owner)

    def known(self, n: int = 0) -> Conference:
        [conference] = self.store.conferences([ConferenceKey(self.stage.use, self.stage.id(n))])
        return conference

    def codes(self, n: int = 0) -> set[Code]:
        return {each.decision.code for each in self.known(n).decisions}


@pytest.fixture
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with STAGES[request.param](tmp_path) as stage:
        yield stage


@pytest.fixture
def town(stage: Stage, tmp_path: Path) -> Iterator[Played]:
    with Simulator(clock="frozen") as simulator:
        yield Played(simulator, tmp_path / "store.db", stage)


every = pytest.mark.parametrize("stage", STAGES, indirect=True)
calling = pytest.mark.parametrize("stage", CALLING, indirect=True)
BEFORE_AND_AFTER = pytest.mark.parametrize("after_acting", [False, True], ids=["before", "after"])


def is_as_wanted(town: Played, n: int = 0) -> bool:
    known = town.known(n)
    told = town.stage.title(n) == f"New {n}" or not town.stage.calls
    return told and known.state is State.OK and not known.pending and known.verify_at is None


@every
def test_in_no_trouble_it_is_told_and_ended(town: Played) -> None:
    event = town.hold()
    town.settle()
    assert is_as_wanted(town)
    town.act("delete", event=event)
    town.settle()
    assert town.known().state is State.GONE
    assert town.stage.title(0) is None or town.stage.use == "jitsi"


@calling
@BEFORE_AND_AFTER
def test_silence_before_or_after_an_update_acted(town: Played, after_acting: bool) -> None:
    town.hold()
    town.stage.fail(Failure(silent=True, after_acting=after_acting), acting=True)
    town.look()
    assert Code.RETRY_LATER in town.codes()
    town.settle()
    assert is_as_wanted(town)


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "jitsi"], indirect=True)
@BEFORE_AND_AFTER
def test_silence_before_or_after_a_deletion_acted(town: Played, after_acting: bool) -> None:
    event = town.hold()
    town.settle()
    town.act("delete", event=event)
    town.stage.fail(Failure(silent=True, after_acting=after_acting), acting=True)
    town.settle()
    assert (town.known().state, town.stage.title(0)) == (State.GONE, None)
    assert (Code.DELETED_ALREADY if after_acting else Code.DELETED) in town.codes()
    assert all(town.stage.title(n) for n in CONFERENCES[1:]), "nobody else's is ended"


@calling
def test_a_401_in_the_middle_of_a_batch_pauses_the_account_and_spoils_nothing(town: Played) -> None:
    for n in CONFERENCES:
        town.hold(n)
    town.lanes.before = lambda: town.stage.fail(Failure(401))
    town.look()
    told = [n for n in CONFERENCES if town.stage.title(n) == f"New {n}"]
    assert told == [], "the account was refused, and nobody else of it is asked"
    town.settle()
    assert all(is_as_wanted(town, n) for n in CONFERENCES)
    assert Code.RETRY_LATER in set().union(*(town.codes(n) for n in CONFERENCES))


@calling
def test_a_401_in_the_midst_of_one_operation_is_made_good(town: Played) -> None:
    town.hold()
    town.stage.fail(Failure(401), acting=True)
    town.look()
    assert town.stage.title(0) == "Old"
    town.settle()
    assert is_as_wanted(town)


@calling
def test_a_storm_of_limits_over_three_workers_pauses_one_lane_and_no_other(town: Played) -> None:
    keys = [town.key, *map(town.move_in, HOSTS[1:])]
    for n, owner in enumerate(HOSTS):
        town.hold(n, owner)
        town.meet(f"c-{n}", **({} if owner == ME else {"calendar": owner}))
    for _ in range(30):
        town.stage.fail(Failure(429, {"Retry-After": "900"}))
    workers = [threading.Thread(target=town.look, args=(key,)) for key in keys]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for key in keys:
        town.look(key)
    assert all(town.acme.has[f"c-{n}"] for n in CONFERENCES), "the other lane goes on"
    assert [town.stage.title(n) for n in CONFERENCES] == ["Old"] * 3
    assert town.store.account(town.stage.use).paused_until >= town.clock.now() + 890
    refused = sum(town.known(n).attempts for n in CONFERENCES)
    assert 1 <= refused <= len(keys), "each worker asks once at most"
    town.stage.calm()
    town.settle(hours=3)
    for key in keys:
        town.look(key)
    town.settle(hours=3)
    assert all(is_as_wanted(town, n) for n in CONFERENCES)


@calling
@pytest.mark.parametrize("after_acting", [False, True], ids=["before", "after"])
def test_a_page_of_a_proxy_is_no_answer_to_an_update(town: Played, after_acting: bool) -> None:
    town.hold()
    failure = Failure(502, body="<html><h1>502 Bad Gateway</h1></html>", after_acting=after_acting)
    town.stage.fail(failure, acting=True)
    town.settle()
    assert is_as_wanted(town)
    assert Code.RETRY_LATER in town.codes()


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "jitsi"], indirect=True)
@pytest.mark.parametrize("status", [502, 200])
def test_a_page_of_a_proxy_is_no_answer_to_a_deletion(town: Played, status: int) -> None:
    """Above all not one that says 200: a deletion that never was would be taken for done."""
    event = town.hold()
    town.settle()
    town.act("delete", event=event)
    town.stage.fail(Failure(status, body="<html><h1>Welcome</h1></html>"), acting=True)
    town.settle()
    assert (town.known().state, town.stage.title(0)) == (State.GONE, None)


@calling
def test_credentials_that_another_instance_has_changed_are_no_trouble(town: Played) -> None:
    """A token that another one ended, or a key that was replaced: the next call has the new one."""
    event = town.hold()
    town.settle()
    other = town.instance().provider(town.stage.use)
    town.stage.change_credentials()
    key = ConferenceKey(town.stage.use, town.stage.id(1))
    other.update(Target(key, 1, locator=town.stage.link(1), organizer=ME), MEETING)
    town.act("retitle", event=event, title="Again")
    town.settle(hours=0.01)
    assert town.stage.title(0) == "Again"
    assert town.store.account(town.stage.use).answers


@every
def test_an_event_that_changes_between_intent_and_call_is_told_as_it_is_last(town: Played) -> None:
    event = town.hold()
    town.lanes.before = lambda: town.act("retitle", event=event, title="Newer")
    town.look()
    town.settle()  # Google tells of the change: this is the look for it
    known = town.known()
    assert town.stage.title(0) == "Newer" or not town.stage.calls
    assert not known.pending
    assert known.applied.version == known.want.version


@every
def test_an_event_that_goes_between_intent_and_call_takes_its_conference_along(town: Played) -> None:
    event = town.hold()
    town.lanes.before = lambda: town.act("delete", event=event)
    town.look()
    town.settle()
    assert town.known().state is State.GONE
    assert town.stage.title(0) is None or town.stage.use == "jitsi"
