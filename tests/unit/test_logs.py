"""Log records: one line each, readable by Cloud Logging, and silent about what people wrote."""

import ast
import json
import logging
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync import logs
from sync.codes import Code
from sync.errors import Refused
from sync.logs import Record

ROOT = Path(__file__).parent.parent.parent
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one line written since the last look."""
    text = capsys.readouterr().out
    assert text.endswith("\n")
    assert text.count("\n") == 1
    line = json.loads(text)
    assert isinstance(line, dict)
    return line


# --- Lines ---


def test_a_line_is_what_cloud_logging_reads(capsys: pytest.CaptureFixture[str]) -> None:
    logs.write(Record.DECISION, "NOTICE", calendar="abc", code=Code.UPDATED, codes={Code.HELD: 2}, done=True)
    line = last_line(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "severity": "NOTICE",
        "message": "decision",
        "calendar": "abc",
        "code": "updated",
        "codes": {"held": 2},
        "done": True,
    }


def test_a_line_is_a_single_write(monkeypatch: pytest.MonkeyPatch) -> None:
    class Out:
        texts: list[str] = []  # noqa: RUF012

        def write(self, text: str) -> None:
            self.texts.append(text)

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "stdout", Out())
    logs.write(Record.SWEEP, woken=1)
    assert len(Out.texts) == 1
    assert Out.texts[0].endswith("}\n")


def test_lines_of_many_threads_and_processes_do_not_mix() -> None:
    chatter = (
        "import threading; from sync import logs\n"
        "def talk(name):\n"
        "    for n in range(200): logs.write(logs.Record.PASS, calendar=name * 300, n=n)\n"
        "threads = [threading.Thread(target=talk, args=(name,)) for name in 'abcd']\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
    )
    command = [sys.executable, "-u", "-c", chatter]
    together = '"$@" & "$@" & wait'
    shell = ["sh", "-c", together, "sh", *command]
    heard = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    lines = [json.loads(line) for line in heard.splitlines()]
    assert len(lines) == 2 * 4 * 200
    assert {(line["calendar"], line["n"]) for line in lines} == {
        (c * 300, n) for c in "abcd" for n in range(200)
    }


def test_long_texts_are_cut_at_every_depth(capsys: pytest.CaptureFixture[str]) -> None:
    logs.write(Record.MISCONFIGURED, problems=["x" * 600], why="y" * 600, codes={"z" * 600: 1})
    line = last_line(capsys)
    assert (len(line["problems"][0]), len(line["why"]), len(*line["codes"])) == (512, 512, 512)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_say_is_told_as_a_text(
    capsys: pytest.CaptureFixture[str], number: float
) -> None:
    logs.write(Record.PASS, items=number)
    assert last_line(capsys)["items"] == str(number)


texts = st.text() | st.sampled_from(["\u2028", "\x1b[31m", "\r\n", "\ud800", "\x00", "\x85"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_whatever_it_is_told_it_is_one_line_of_plain_json(
    capsys: pytest.CaptureFixture[str], value: logs.Value
) -> None:
    logs.write(Record.PASS, value=value)
    text = capsys.readouterr().out
    assert text[:-1].isascii()
    assert text[:-1].isprintable() or "\x7f" in text
    json.loads(text)


# --- Traces ---


def test_a_line_belongs_to_the_trace_of_its_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_PROJECT", "proj")
    logs.write(Record.REQUEST, trace=TRACEPARENT)
    line = last_line(capsys)
    assert line["logging.googleapis.com/trace"] == "projects/proj/traces/4bf92f3577b34da6a3ce929d0e0e4736"
    assert line["logging.googleapis.com/spanId"] == "00f067aa0ba902b7"
    assert "trace" not in line


@pytest.mark.parametrize(
    ("project", "traceparent"),
    [
        ("", TRACEPARENT),
        ("proj", ""),
        ("proj", "garbage"),
        ("proj", TRACEPARENT + "\n"),
        ("proj", TRACEPARENT.upper()),
        ("proj", f"00-{'0' * 32}-00f067aa0ba902b7-01"),
        ("proj", f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01"),
    ],
)
def test_without_a_project_or_a_sound_header_there_is_no_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, project: str, traceparent: str
) -> None:
    monkeypatch.setenv("SYNC_PROJECT", project)
    logs.write(Record.REQUEST, status=200, trace=traceparent)
    assert last_line(capsys).keys() == {"severity", "message", "time", "status"}


# --- Bugs ---


def crash(error: Exception) -> None:
    title = "a local that nobody may read"
    raise error from ValueError(title)


def bug(error: Exception, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """The record of a crash, and all of its text."""
    try:
        crash(error)
    except Exception as caught:
        logs.write_bug(caught, path="/tasks")
    line = last_line(capsys)
    return line, json.dumps(line)


def test_a_bug_is_told_by_class_and_stack_for_error_reporting(capsys: pytest.CaptureFixture[str]) -> None:
    line, _ = bug(KeyError("x"), capsys)
    assert (line["severity"], line["message"], line["error"]) == ("ERROR", "bug", "KeyError")
    assert line["@type"].endswith("devtools.clouderrorreporting.v1beta1.ReportedErrorEvent")
    assert line["path"] == "/tasks"
    first, *frames, last = line["stack_trace"].splitlines()
    assert (first, last) == ("Traceback (most recent call last):", "KeyError")
    assert re.fullmatch(r'  File "[^"]*test_logs\.py", line \d+, in crash', frames[-1])


def test_a_bug_tells_neither_its_message_nor_locals_nor_where_this_machine_keeps_files(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, text = bug(KeyError("Anna's secret meeting"), capsys)
    assert "secret" not in text
    assert "nobody may read" not in text
    assert str(ROOT) not in text
    assert sys.prefix not in text


def test_an_error_of_ours_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    line, _ = bug(Refused("events.list: 400 invalid"), capsys)
    assert (line["error"], line["why"]) == ("sync.errors.Refused", "events.list: 400 invalid")


def test_a_runaway_recursion_is_still_one_readable_record(capsys: pytest.CaptureFixture[str]) -> None:
    def down() -> None:
        down()

    try:
        down()
    except RecursionError as error:
        logs.write_bug(error)
    assert len(last_line(capsys)["stack_trace"].splitlines()) == 42


# --- Libraries ---


@pytest.fixture
def quiet() -> Iterator[None]:
    root = logging.getLogger()
    handlers = root.handlers
    logs.quiet_libraries()
    yield
    root.handlers = handlers


@pytest.mark.usefixtures("quiet")
def test_a_library_tells_where_it_warns_and_not_what(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("some.library").error("no answer from https://secret.example/%s", "token")
    captured = capsys.readouterr()
    line = json.loads(captured.out)
    assert (line["severity"], line["message"], line["logger"]) == ("ERROR", "library", "some.library")
    assert re.fullmatch(r"test_logs:\d+", line["at"])
    assert "secret" not in captured.out + captured.err


@pytest.mark.usefixtures("quiet")
def test_a_library_that_only_chats_is_not_heard(capsys: pytest.CaptureFixture[str]) -> None:
    chatty = logging.getLogger("some.chatty.library")
    chatty.setLevel(logging.DEBUG)
    chatty.info("GET https://secret.example/")
    assert capsys.readouterr() == ("", "")


# --- The documentation ---


def documented() -> dict[str, set[str]]:
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", page, re.MULTILINE)
    return {name: set(re.findall(r"`([\w@]+)`", listed)) for name, listed in rows}


def written() -> dict[str, set[str]]:
    """Every event name, with the fields that some call in the code gives it by name."""
    found: dict[str, set[str]] = {record.value: set() for record in Record}
    found[Record.BUG] |= {"@type", "error", "stack_trace", "why"}
    for source in (ROOT / "main.py", *(ROOT / "sync").rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).removeprefix("logs.")
                fields = {word.arg for word in node.keywords if word.arg not in (None, "trace")}
                if name == "write_bug":
                    found[Record.BUG] |= {str(field) for field in fields}
                elif name == "write" and node.args and "Record." in ast.unparse(node.args[0]):
                    found[Record[ast.unparse(node.args[0]).rpartition(".")[2]]] |= {str(f) for f in fields}
    return found


def test_the_page_lists_every_event_and_no_other() -> None:
    assert documented().keys() == {record.value for record in Record}


@pytest.mark.parametrize("event", [record.value for record in Record])
def test_the_page_lists_every_field_of_an_event(event: str) -> None:
    assert written()[event] <= documented()[event]
