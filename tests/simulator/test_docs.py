"""The page for strangers holds what it says."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from sync.simulator import Switches
from sync.simulator.acts import ACTS
from sync.simulator.command import main
from sync.simulator.control import TROUBLES, schema
from sync.simulator.faults import RequestFault

PAGE = (Path(__file__).resolve().parents[2] / "docs/simulator.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_runs_as_it_stands() -> None:
    (example,) = blocks("python")
    exec(compile(example, "docs/simulator.md", "exec"), {})


def test_the_schema_on_the_page_is_the_one_that_is_served() -> None:
    (written,) = blocks("json")
    assert json.loads(written) == schema()
    Draft202012Validator.check_schema(schema())


def test_the_examples_fit_the_schema() -> None:
    for door, body in re.findall(r"_sim/(\w+) -d '(.*?)'", PAGE, re.DOTALL):
        Draft202012Validator({**schema(), "$ref": f"#/$defs/{door}"}).validate(json.loads(body))


@pytest.mark.parametrize(
    "name", [*ACTS, *TROUBLES, *(one.name for kind in (RequestFault, Switches) for one in fields(kind))]
)
def test_every_act_fault_and_switch_is_on_the_page(name: str) -> None:
    prose = PAGE.partition("## Schema")[0]
    assert f"`{name}`" in prose


def rows() -> list[list[str]]:
    """The fidelity table: behaviour, source, confidence, switch."""
    table = PAGE.partition("| behaviour |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()[2:]]


def test_what_is_a_guess_has_a_switch() -> None:
    assert len(rows()) > 40
    known = {one.name for one in fields(Switches)} | {*TROUBLES}
    for behaviour, _, confidence, switch in rows():
        named = set(re.findall(r"`(\w+)`", switch))
        assert named <= known, behaviour
        assert named or "guess" not in confidence, behaviour


def test_every_switch_is_on_the_page_as_it_is_set() -> None:
    table = PAGE.partition("| switch | default |")[2].partition("\n\n")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]*?)`? \|", table, re.MULTILINE))
    values = {one.name: one.default for one in fields(Switches)}
    assert told == {
        name: (value if isinstance(value, str) else json.dumps(value)) or "empty"
        for name, value in values.items()
    }


def test_every_flag_is_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert not {flag for flag in flags if f"`{flag}" not in PAGE}
