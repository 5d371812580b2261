"""docs/logs.md as data: which fields every record has, and which an event."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/logs.md"


def _fields(section: str) -> dict[str, tuple[str, str]]:
    """Each with its meaning and its unit."""
    rows = re.findall(r"^\| `([\w@./]+)` \| (.+?) \| (.*?) ?\|$", section, re.MULTILINE)
    return {name: (meaning, unit) for name, meaning, unit in rows}


_, _common, *_events = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)

IN_EVERY_RECORD = _fields(_common)
OF_AN_EVENT = {re.findall(r"`(\w+)`", each)[0]: _fields(each) for each in _events}


def undocumented(entry: dict[str, object]) -> set[str]:
    """The fields of a record that the page does not list for its event."""
    event = str(entry["message"])
    return entry.keys() - IN_EVERY_RECORD.keys() - OF_AN_EVENT.get(event, {}).keys()
