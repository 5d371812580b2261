"""Kill a pass at every call it makes to the world, before and after its effect: the next ones make it right."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sync.simulator import Simulator
from tests.passes.conftest import ME, Town


class Killed(BaseException):
    """Not an error that anything would handle: the process is gone."""


class Mortal:
    """A port whose n-th call, counted over all ports, kills the process."""

    def __init__(self, port: Any, life: "Life") -> None:
        self._port = port
        self._life = life

    def __getattr__(self, name: str) -> Any:
        thing = getattr(self._port, name)
        return self._life.guard(thing) if callable(thing) else thing


class Life:
    """Counts calls, and ends at one of them."""

    def __init__(self, dies_at: int, after: bool) -> None:
        self.calls = 0
        self._dies_at = dies_at
        self._after = after

    def guard(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self._dies_at and not self._after:
                raise Killed
            answer = call(*args, **kwargs)
            if self.calls == self._dies_at:
                raise Killed
            return answer

        return guarded


@dataclass
class Registry:
    """One provider, whatever its name."""

    only: Any

    def provider(self, _: str, _account: str = "") -> Any:
        return self.only


def play(town: Town, life: Life) -> None:
    """A day of changes, looked at by a process that dies once; its successors then finish."""
    keep = town.meet("c-1", title="Keep")
    drop = town.meet("c-2", title="Drop")
    town.settle()
    town.act("retitle", event=keep, title="Kept")
    town.act("delete", event=drop)
    town.meet("c-3", title="New")
    town.fault(expire_tokens=ME)
    whole = town.outside
    town.outside = replace(
        whole,
        calendar=Mortal(whole.calendar, life),
        store=Mortal(whole.store, life),
        queue=Mortal(whole.queue, life),
        conferences=Registry(Mortal(town.acme, life)),
    )
    with suppress(Killed):
        town.settle(hours=0.001)
        town.clock.advance(70)  # the grace is over
        town.settle(hours=0.001)
    town.outside = whole
    town.clock.advance(100)  # its lease ends


def finish(town: Town) -> None:
    for _ in range(3):
        town.sweep()


def calls_of_a_whole_day(folder: Path) -> int:
    with Simulator(clock="frozen") as simulator:
        town = Town(simulator, folder / "count.db")
        life = Life(dies_at=0, after=False)
        play(town, life)
        return life.calls


def assert_right(town: Town) -> None:
    titles = {name: meeting and meeting.title for name, meeting in town.acme.has.items()}
    assert titles == {"c-1": "Kept", "c-3": "New"}
    assert town.calls("delete").keys() == {"c-2"}
    again = len(town.acme.calls)
    town.settle()
    assert len(town.acme.calls) == again


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(clock="frozen") as simulator:
        yield simulator


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
def test_a_process_killed_at_any_call_leaves_nothing_undone(
    tmp_path: Path, simulator: Simulator, after: bool
) -> None:
    total = calls_of_a_whole_day(tmp_path)
    assert total > 20
    for number in range(1, total + 1):
        urllib3.request("POST", f"{simulator.url}/_sim/reset", json={})
        town = Town(simulator, tmp_path / f"{number}.db")
        play(town, Life(number, after))
        finish(town)
        try:
            assert_right(town)
        except AssertionError as error:
            raise AssertionError(f"killed at call {number} of {total}") from error
