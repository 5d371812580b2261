"""docs/cli.md: every verb is on it, and every command on it is run here, by one process, with the output it shows.

A story is played in a town, a chapter before each verb's commands; once as a person at a terminal reads them, and
once more, with --json, as programs do. Times, ids and hashes differ from those on the page, and nothing else.
"""

import base64
import builtins
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from sync.channel import calendar_key
from sync.cli import verbs
from sync.cli.verbs import VERBS
from sync.one_pass import one_pass
from sync.ports import CalendarId, CalendarRecord
from tests.cli_page import Shown, commands, sections
from tests.passes.conftest import KEY, ME
from tests.system.troubled_town import WEBHOOK, TroubledTown, town_in

ROOT = Path(__file__).parents[2]

# They last: they are run there.
ELSEWHERE = {"demo": "tests/system/test_demo.py", "simulator": "tests/simulator/test_command.py"}
LINE_BY_LINE = ("tail",)


# --- The story ---


def a_day_with_two_troubles(town: TroubledTown) -> None:
    """A title that is refused, and a whole series of meetings that somebody deletes."""
    town.webhook(WEBHOOK)
    town.converge()
    planning, review = (town.meet(title=title) for title in ("Planning", "Review"))
    others = [town.meet(hours=200) for _ in range(7)]
    town.settle()
    for event in others:
        town.act("delete", event=event)
    town.settle()
    town.break_service(refuse=422, times=1)
    town.act("retitle", event=planning, title="Another title")
    notified(town)
    town.settle()
    town.sweep()
    town.review = review  # type: ignore[attr-defined]


def notified(town: TroubledTown) -> None:
    one_pass(town.outside, town.policy, town.key, "worker", 0, town.clock.now())


def a_meeting_moves(town: TroubledTown) -> None:
    town.act("move", event=town.review, start=town.at(72), end=town.at(73))  # type: ignore[attr-defined]


def a_room_was_unwired(town: TroubledTown) -> None:
    calendar = CalendarId("old-room@example.com")
    key = calendar_key(town.store.salt(), calendar.id)
    town.store.tend(key, lambda _, __: CalendarRecord(key, calendar, "old-room", active=False))


CHAPTERS = {"status": a_day_with_two_troubles, "plan": a_meeting_moves, "forget": a_room_was_unwired}


class Terminal(io.StringIO):
    """Where a person reads."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Ran:
    """One command, and what came of it."""

    verb: str
    shown: Shown
    code: int
    out: str
    err: str


def played(town: TroubledTown, folder: Path, screen: type[io.StringIO], *more: str) -> Iterator[Ran]:
    """Every command of the page, in its order."""
    for verb, text in sections().items():
        if verb in CHAPTERS:
            CHAPTERS[verb](town)
        for shown in commands(text) if verb not in ELSEWHERE else ():
            argv = [str(folder / each) if each == "plan.json" else each for each in shown.argv]
            out, err = screen(), screen()
            with redirect_stdout(out), redirect_stderr(err):
                code = verbs.main([*argv, *more])
            yield Ran(verb, shown, code, out.getvalue(), err.getvalue())


def play(tmp_path_factory: pytest.TempPathFactory, screen: type[io.StringIO], *more: str) -> list[Ran]:
    folder = tmp_path_factory.mktemp("town")
    (folder / "keys").write_text(f"{KEY.id}:{base64.urlsafe_b64encode(KEY.secret).decode()}\n")
    with pytest.MonkeyPatch.context() as patch, town_in(folder) as town:
        settings = {**town.environ, "SYNC_CHANNEL_KEYS": str(folder / "keys"), "COLUMNS": "100"}
        for name, value in {**settings, "NO_COLOR": "1"}.items():
            patch.setenv(name, value)
        patch.setattr(builtins, "input", asked)
        patch.setattr(sys, "stdin", Nobody())
        patch.chdir(ROOT)
        capture = io.StringIO()
        with redirect_stdout(capture):  # what the town's own passes log
            return list(played(town, folder, screen, *more))


def asked(*_: object) -> NoReturn:
    raise AssertionError("a person was asked where nobody is")


class Nobody(io.StringIO):
    """A standard input that is no terminal, and that nobody may read."""

    def read(self, *_: object) -> NoReturn:
        asked()

    readline = read


@pytest.fixture(scope="module")
def at_a_terminal(tmp_path_factory: pytest.TempPathFactory) -> list[Ran]:
    return play(tmp_path_factory, Terminal)


@pytest.fixture(scope="module")
def by_a_program(tmp_path_factory: pytest.TempPathFactory) -> list[Ran]:
    return play(tmp_path_factory, io.StringIO, "--json")


# --- What is chance, and what is not ---

_CHANCE = (
    (r"20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)?", "TIME"),
    (r"\b[a-z2-7]{26}\b", "ID"),
    (r"\b[a-v0-9]{26}\b", "ID"),
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"\b\d+ (s|min|h|d)\b", "SPAN"),
    (r"\b[0-9a-f]{6}\b", "HASH"),
    (r"127\.0\.0\.1:\d+", "HOST"),
    (r"/\S*/(store\.db|keys|plan\.json)", r"\1"),
    (r"\d+\.\d+\.\d+\S*", "VERSION"),
)


def words(text: str) -> str:
    """However it is wrapped, and whatever is chance in it."""
    for pattern, word in _CHANCE:
        text = re.sub(pattern, word, text)
    return " ".join(text.split())


# --- The page ---


def test_every_command_of_the_page_answers_as_it_shows(at_a_terminal: list[Ran]) -> None:
    assert {ran.verb for ran in at_a_terminal} | ELSEWHERE.keys() == VERBS.keys()
    for ran in at_a_terminal:
        expected = re.escape(words(ran.shown.output)).replace("…", ".*")
        told = words(ran.out)
        assert ran.code == ran.shown.code, (ran.shown.argv, ran.out, ran.err)
        assert re.fullmatch(expected, told), f"{ran.shown.argv} says:\n{ran.out}{ran.err}"


def test_who_wants_no_colour_gets_no_escape_codes(at_a_terminal: list[Ran]) -> None:
    assert [ran.shown.argv for ran in at_a_terminal if "\x1b" in ran.out + ran.err] == []


def test_programs_get_one_object_and_nothing_else(by_a_program: list[Ran]) -> None:
    for ran in by_a_program:
        assert ran.code == ran.shown.code, (ran.shown.argv, ran.out, ran.err)
        lines = ran.out.splitlines()
        assert len(lines) == 1 or ran.verb in LINE_BY_LINE, ran.out
        assert all(isinstance(json.loads(line), dict) for line in lines)
        assert "\x1b" not in ran.out + ran.err


def test_no_verb_tells_what_somebody_wrote_or_where_people_meet(
    at_a_terminal: list[Ran], by_a_program: list[Ran]
) -> None:
    for ran in at_a_terminal + by_a_program:
        for private in ("Planning", "Review", "Another title", ME, "/j/conf-"):
            assert private not in ran.out + ran.err, ran.shown.argv


def test_what_is_not_run_here_is_run_elsewhere() -> None:
    for verb, test in ELSEWHERE.items():
        text = (ROOT / test).read_text(encoding="utf-8")
        assert "--json" in text
        assert commands(sections()[verb])[0].argv[0] == verb
