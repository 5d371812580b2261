"""What every verb of `python -m sync` promises, whichever there are: a verb that is added is held to it."""

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sync.cli import verbs
from sync.cli.verbs import VERBS
from tests.cli_page import commands, sections

ROOT = Path(__file__).parents[2]
NEVER_FOR_HELP = {"googleapiclient", "grpc", "google.auth", "google.cloud.firestore", "cryptography", "flask"}
WRONG_IS_ONE = ("plan",)  # its 2 says that there are changes, as Terraform's does

Capture = pytest.CaptureFixture[str]

every_verb = pytest.mark.parametrize("verb", VERBS)


def helped(verb: str, capture: Capture) -> str:
    with pytest.raises(SystemExit) as exit_:
        verbs.main([verb, "--help"])
    assert exit_.value.code == 0
    out, err = capture.readouterr()
    assert err == ""
    return out


@every_verb
def test_help_says_what_it_is_for_what_its_exit_codes_mean_and_how_it_is_used(
    verb: str, capsys: Capture
) -> None:
    usage, purpose, *_ = re.split(r"\n\n", helped(verb, capsys))
    assert usage.startswith(f"usage: python -m sync {verb} ")
    assert len(purpose) > 20
    out = helped(verb, capsys)
    assert re.search(r"\bexit code\b.*\b0\b.*\b2\b", out, re.DOTALL | re.IGNORECASE)
    assert "--json" in out
    assert len(examples(out)) >= 2


def examples(out: str) -> list[list[str]]:
    _, _, told = out.partition("\nexamples:\n")
    lines = [line.strip() for line in told.strip().splitlines()]
    assert all(line.startswith("python -m sync ") for line in lines)
    return [shlex.split(line.partition(" < ")[0])[3:] for line in lines]


class Understood(Exception):
    """Its arguments make sense."""


@every_verb
def test_the_examples_of_its_help_are_understood(
    verb: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = examples(helped(verb, capsys))
    only_parse(monkeypatch)
    for argv in written:
        assert argv[0] == verb
        with pytest.raises(Understood):
            verbs.main(argv)


def only_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(*what: Any, **how: Any) -> NoReturn:
        parse(*what, **how)
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)


PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


def test_every_command_of_ours_on_any_page_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(re.findall(r"`python -m sync ([a-z]+)", text)) - VERBS.keys() == set()
    commands = re.findall(r"^ *\$ .*?python -m sync (.+?)(?:  #.*| [;|<].*|;.*)?$", text, re.MULTILINE)
    assert len(commands) > 40
    only_parse(monkeypatch)
    for command in commands:
        with pytest.raises(Understood):
            verbs.main(shlex.split(command))


@every_verb
def test_a_mistake_is_told_in_one_line_with_a_hint(verb: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exit_:
        verbs.main([verb, "--no-such-option"])
    assert exit_.value.code == (1 if verb in WRONG_IS_ONE else 2)
    out, err = capsys.readouterr()
    problem, hint = err.splitlines()
    assert out == ""
    assert problem.startswith(f"{verb}: ")
    assert hint == f"hint: python -m sync {verb} --help"


def test_an_unknown_verb_is_told_with_the_nearest(capsys: Capture) -> None:
    assert verbs.main(["statsu"]) == 2
    problem, hint = capsys.readouterr().err.splitlines()
    assert "'status'" in problem
    assert hint.startswith("hint: ")


# --- docs/cli.md; its commands are run in tests/system/test_cli_page.py ---


def test_every_verb_is_on_the_page_in_its_order_and_no_other() -> None:
    assert list(sections()) == list(VERBS)
    assert [verb for verb, text in sections().items() if not commands(text)] == []


@every_verb
def test_the_page_and_the_help_say_the_same_exit_codes(verb: str, capsys: Capture) -> None:
    told = re.split("exit code", helped(verb, capsys), maxsplit=1, flags=re.IGNORECASE)[1]
    (listed,) = re.findall(r"^Exit code ((?:.+\n)+)", sections()[verb], re.MULTILINE)
    said = re.split(r"\n\n", told)[0]
    assert set(re.findall(r"\*\*(\d+)\*\*", listed)) == set(re.findall(r"(?<![\w.])\d+(?= |;|\.|,|$)", said))
    assert {str(each.code) for each in commands(sections()[verb])} <= set(re.findall(r"\d+", listed))


# --- What is imported, for which ---

_EACH_BY_ITSELF = """
import contextlib, importlib, io, json, os, sys
from sync.cli import verbs

def told(what):
    read, write = os.pipe()
    if os.fork() == 0:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            what()
        os.write(write, "\\n".join(sys.modules).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        names = answer.read().splitlines()
    os.wait()
    return names

at_first = list(sys.modules)
print(json.dumps({
    "at first": at_first,
    **{f"import {verb}": told(lambda: importlib.import_module(path)) for verb, (path, _) in verbs.VERBS.items()},
    **{f"help {verb}": told(lambda: verbs.main([verb, "--help"])) for verb in verbs.VERBS},
}))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """The modules there are, in a process of its own for each."""
    done = subprocess.run(
        [sys.executable, "-c", _EACH_BY_ITSELF], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return {name: set(modules) for name, modules in json.loads(done.stdout).items()}


def test_nothing_is_imported_before_a_verb_is_asked_for(imported: dict[str, set[str]]) -> None:
    assert {path for path, _ in VERBS.values()} & imported["at first"] == set()


@every_verb
def test_a_verb_imports_no_other(verb: str, imported: dict[str, set[str]]) -> None:
    others = {path for name, (path, _) in VERBS.items() if name != verb}
    assert VERBS[verb][0] in imported[f"import {verb}"]
    assert imported[f"import {verb}"] & others == set()


@every_verb
def test_help_loads_nothing_heavy(verb: str, imported: dict[str, set[str]]) -> None:
    assert imported[f"help {verb}"] & NEVER_FOR_HELP == set()
