"""A town to be worked on from the command line, over SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.cli.demo.conference_service import ConferenceService
from sync.local.sqlite import SqliteStore
from sync.simulator import Simulator
from tests.passes.conftest import LEASE_S
from tests.system.troubled_town import TroubledTown


@pytest.fixture
def troubled_town(tmp_path: Path) -> Iterator[TroubledTown]:
    path = tmp_path / "store.db"
    environ = {"SYNC_STORE": f"sqlite:{path}", "SYNC_QUEUE": "local"}

    def build(clock: object) -> object:
        store = SqliteStore(str(path), lease_s=LEASE_S, margin_s=20.0, grace_s=60.0, clock=clock)  # type: ignore[arg-type]
        return store, store.wire

    with Simulator(clock="frozen") as simulator, ConferenceService() as service:
        yield TroubledTown(simulator, service, environ, build)  # type: ignore[arg-type]
