"""The settings that a provider's page prints, taken as they are printed."""

import re
from pathlib import Path

from sync import settings
from sync.conferences.registry import Registry
from sync.rules import Rules

PAGES = Path(__file__).parents[2] / "docs/providers"


class NoSecrets:
    call_s = 1.0

    def read(self, name: str) -> str:
        raise AssertionError("a constructor asks for no secret")


def documented(provider: str) -> Rules:
    """What the one JSON document on the page of a provider makes of events. Every problem in it is a failure."""
    [document] = re.findall(r"```json\n(.+?)```", (PAGES / f"{provider}.md").read_text(), re.DOTALL)
    chosen, problems = settings.draft({"SYNC_CONFERENCES": document}, "worker")
    assert [problem for problem in problems if "SYNC_CONFERENCES" in problem] == []
    registry = Registry(chosen.providers, connect_s=1, read_s=1, secrets=NoSecrets, accounts=lambda: None)  # type: ignore[arg-type, return-value]
    return registry.rules(chosen.systems)
