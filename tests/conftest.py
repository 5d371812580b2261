"""What holds for every test."""

import logging
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from sync import logs
from tests.logs_page import undocumented

# How fast a machine is tells nothing about whether a law holds.
settings.register_profile("laws", deadline=None)
settings.load_profile("laws")

# Who is started in the background ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A server in a thread outlives the test that started it, and pytest closes what its log is written to.
logging.getLogger("werkzeug").disabled = True

# Whatever record any test makes the code write: docs/logs.md lists its fields.
_not_on_the_page: list[str] = []
_entry = logs._entry


def _entry_held_to_the_page(*told: Any) -> dict[str, object]:
    entry = _entry(*told)
    _not_on_the_page.extend(f"{entry['message']}: {field}" for field in undocumented(entry))
    return entry


logs._entry = _entry_held_to_the_page


@pytest.fixture(autouse=True)
def _every_field_is_on_the_page() -> Iterator[None]:
    _not_on_the_page.clear()
    yield
    assert _not_on_the_page == [], "docs/logs.md lists every field of every record"
