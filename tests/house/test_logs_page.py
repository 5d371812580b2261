"""docs/logs.md is what the code writes: no event more or less, no field more or less.

tests/conftest.py holds every record that any test makes the code write to the same page.
"""

import ast
import re
from pathlib import Path

from sync import logs
from tests.logs_page import IN_EVERY_RECORD, OF_AN_EVENT, PAGE

ROOT = Path(__file__).parents[2]


def written() -> dict[str, set[str]]:
    """Every event, with the fields that the code gives it by name."""
    found: dict[str, set[str]] = {record.value: set() for record in logs.Record}
    found["library"] = {"logger"}
    found["bug"] = {"@type", "error", "stack_trace", "why"}
    for record, counted in logs._VERDICTS.items():
        found[record.value] |= {asked.value for asked in counted}
    for source in (ROOT / "main.py", *(ROOT / "sync").rglob("*.py")):
        for call in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            fields = {word.arg for word in call.keywords if word.arg}
            match ast.unparse(call.func):
                case "logs.write_bug":
                    found["bug"] |= fields
                case "logs.write":
                    record = ast.unparse(call.args[0]).removeprefix("logs.Record.")
                    found[logs.Record[record].value] |= fields
                case "_record":  # in main.py: what a door tells
                    found["request"] |= fields
                case "_delivery":
                    found["request"] |= {"waited_s", "attempt"}
    return found


def test_the_page_lists_every_event_in_order_and_no_other() -> None:
    assert list(OF_AN_EVENT) == [record.value for record in logs.Record]


def test_the_page_lists_every_field_of_every_event_and_no_other() -> None:
    assert {event: set(fields) for event, fields in OF_AN_EVENT.items()} == written()


def test_every_field_has_a_meaning() -> None:
    rows = [row for fields in (IN_EVERY_RECORD, *OF_AN_EVENT.values()) for row in fields.values()]
    assert [meaning for meaning, _ in rows if len(meaning) < 5] == []


def test_a_field_in_seconds_says_so() -> None:
    for fields in OF_AN_EVENT.values():
        for name, (_, unit) in fields.items():
            assert name.endswith("_s") == (unit == "s"), name


def test_the_page_says_what_every_outcome_of_a_pass_means() -> None:
    from sync.one_pass import PassOutcome

    (table,) = re.findall(r"^\| `outcome` \| meaning \|\n.+\n((?:\| .+\n)+)", PAGE.read_text(), re.MULTILINE)
    assert re.findall(r"^\| `(\w+)` ", table, re.MULTILINE) == [outcome.value for outcome in PassOutcome]
