"""A town to be worked on from the command line, over SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.troubled_town import TroubledTown, town_in


@pytest.fixture
def troubled_town(tmp_path: Path) -> Iterator[TroubledTown]:
    with town_in(tmp_path) as town:
        yield town
