"""Log records: one line each, readable by Cloud Logging, and silent about what people wrote."""

import json
import logging
import math
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from functions_framework import execution_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync import logs, trace
from sync.codes import Code
from sync.errors import Refused
from sync.logs import Record
from sync.version import VERSION

ROOT = Path(__file__).parent.parent.parent
SPECIAL = "logging.googleapis.com/"
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
    logs.write(Record.PASS, "NOTICE", calendar="abc", codes={Code.HELD: 2}, outcome=Code.UPDATED, items=0)
    line = last_line(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("time"))
    assert re.fullmatch(r"[0-9a-f]{28}", line.pop(f"{SPECIAL}insertId"))
    source = line.pop(f"{SPECIAL}sourceLocation")
    assert source.pop("line").isdigit()
    assert source == {
        "file": "tests/unit/test_logs.py",
        "function": "test_a_line_is_what_cloud_logging_reads",
    }
    assert line == {
        "severity": "NOTICE",
        "message": "pass",
        "calendar": "abc",
        "codes": {"held": 2},
        "outcome": "updated",
        "items": 0,
        f"{SPECIAL}labels": {"version": VERSION},
    }


def test_what_there_is_nothing_to_say_of_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.write(Record.PASS, calendar="", why=None, items=0, codes={})
    assert {"items", "codes"} == last_line(capsys).keys() & {"calendar", "why", "items", "codes"}


def test_no_two_lines_have_the_same_id_and_ids_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(500):
        logs.write(Record.SWEEP, woken=1)
    ids = [json.loads(line)[f"{SPECIAL}insertId"] for line in capsys.readouterr().out.splitlines()]
    assert len(set(ids)) == 500
    assert [each[:16] for each in ids] == sorted(each[:16] for each in ids)


def test_a_field_cannot_pass_for_what_cloud_logging_takes_out_of_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.write(Record.SWEEP, **{"severity": "CRITICAL", "message": "bug", f"{SPECIAL}insertId": "1"})
    line = last_line(capsys)
    assert (line["severity"], line["message"]) == ("INFO", "sweep")
    assert len(line[f"{SPECIAL}insertId"]) == 28


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
        "    for n in range(200): logs.write(logs.Record.PASS, calendar=name * 300, items=n)\n"
        "threads = [threading.Thread(target=talk, args=(name,)) for name in 'abcd']\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
    )
    command = [sys.executable, "-u", "-c", chatter]
    together = '"$@" & "$@" & wait'
    shell = ["sh", "-c", together, "sh", *command]
    heard = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    lines = [json.loads(line) for line in heard.splitlines()]
    assert len(lines) == 2 * 4 * 200
    assert {(line["calendar"], line["items"]) for line in lines} == {
        (c * 300, n) for c in "abcd" for n in range(200)
    }


def test_long_texts_are_cut_at_every_depth(capsys: pytest.CaptureFixture[str]) -> None:
    logs.write(Record.PASS, codes=[{"z" * 600: ["x" * 600]}], why="y" * 600)
    line = last_line(capsys)
    [(name, [text])] = line["codes"][0].items()
    assert (len(name), len(text), len(line["why"])) == (512, 512, 512)


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
    logs.write(Record.PASS, codes=value)
    text = capsys.readouterr().out
    assert text[:-1].isascii()
    assert text[:-1].isprintable() or "\x7f" in text
    json.loads(text)


def test_the_stream_that_functions_framework_puts_over_ours_changes_no_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    over = execution_id.LoggingHandlerAddExecutionId(sys.stdout)
    execution_id.execution_context_var.set(execution_id.ExecutionContext("execution", "7"))
    monkeypatch.setattr(sys, "stdout", over)
    logs.write(Record.SWEEP, woken=1)
    execution_id.execution_context_var.set(None)
    line = last_line(capsys)
    assert line["woken"] == 1
    assert f"{SPECIAL}spanId" not in line


# --- Traces ---


def test_a_line_belongs_to_the_trace_of_its_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_PROJECT", "proj")
    with trace.within(TRACEPARENT):
        logs.write(Record.REQUEST)
    line = last_line(capsys)
    assert line[f"{SPECIAL}trace"] == "projects/proj/traces/4bf92f3577b34da6a3ce929d0e0e4736"
    assert line[f"{SPECIAL}spanId"] == "00f067aa0ba902b7"
    assert line[f"{SPECIAL}trace_sampled"] is True


@pytest.mark.parametrize(("project", "traceparent"), [("", TRACEPARENT), ("proj", ""), ("proj", "garbage")])
def test_without_a_project_or_a_sound_header_there_is_no_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, project: str, traceparent: str
) -> None:
    monkeypatch.setenv("SYNC_PROJECT", project)
    with trace.within(traceparent):
        logs.write(Record.REQUEST)
    assert not {name for name in last_line(capsys) if "trace" in name or "span" in name}


# --- Operations ---


def operation(line: str) -> dict[str, Any]:
    told = json.loads(line)[f"{SPECIAL}operation"]
    assert isinstance(told, dict)
    return told


def test_the_lines_of_a_pass_are_one_operation_from_the_first_to_its_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with logs.operation("pass-1"):
        logs.write(Record.DECISION)
        logs.write(Record.DECISION)
        logs.write(Record.PASS)
    logs.write(Record.REQUEST)
    *lines, outside = capsys.readouterr().out.splitlines()
    told = [operation(line) for line in lines]
    assert {(each["id"], each["producer"]) for each in told} == {("pass-1", "sync")}
    assert [(each["first"], each["last"]) for each in told] == [(True, False), (False, False), (False, True)]
    assert f"{SPECIAL}operation" not in outside


def test_a_verdict_tells_how_many_requests_it_has_cost_and_those_of_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.count(logs.Asked.CALENDAR)  # for nobody
    with logs.operation("pass-1"):
        for _ in range(3):
            logs.count(logs.Asked.CALENDAR)
        thread = threading.Thread(target=logs.count, args=(logs.Asked.CALENDAR,))
        thread.start()
        thread.join()
        logs.write(Record.PASS)
    line = last_line(capsys)
    assert (line["calendar_requests"], line["provider_requests"]) == (3, 0)


# --- Bugs ---


def crash(error: Exception) -> None:
    title = "a local that nobody may read"
    raise error from ValueError(title)


def bug(error: Exception, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """The record of a crash, and all of its text."""
    try:
        crash(error)
    except Exception as caught:
        logs.write_bug(caught, httpRequest={"requestUrl": "/tasks"})
    line = last_line(capsys)
    return line, json.dumps(line)


def test_a_bug_is_told_by_class_and_stack_for_error_reporting(capsys: pytest.CaptureFixture[str]) -> None:
    line, _ = bug(KeyError("x"), capsys)
    assert (line["severity"], line["message"], line["error"]) == ("ERROR", "bug", "KeyError")
    assert line["@type"].endswith("devtools.clouderrorreporting.v1beta1.ReportedErrorEvent")
    assert line["httpRequest"] == {"requestUrl": "/tasks"}
    assert line[f"{SPECIAL}sourceLocation"]["function"] == "crash"
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
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.quiet_libraries()
        yield
    root.handlers = handlers


@pytest.mark.usefixtures("quiet")
def test_a_library_tells_where_it_warns_and_not_what(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("some.library").error("no answer from https://secret.example/%s", "token")
    captured = capsys.readouterr()
    line = json.loads(captured.out)
    assert (line["severity"], line["message"], line["logger"]) == ("ERROR", "library", "some.library")
    place = line[f"{SPECIAL}sourceLocation"]
    assert (place["file"], place["function"]) == (
        "tests/unit/test_logs.py",
        "test_a_library_tells_where_it_warns_and_not_what",
    )
    assert "secret" not in captured.out + captured.err


@pytest.mark.usefixtures("quiet")
def test_a_warning_of_pythons_own_kind_tells_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    warnings.warn("no answer from https://secret.example/", DeprecationWarning, stacklevel=1)
    captured = capsys.readouterr()
    line = json.loads(captured.out)
    assert (line["severity"], line["message"], line["logger"]) == ("WARNING", "library", "DeprecationWarning")
    assert line[f"{SPECIAL}sourceLocation"]["file"] == "tests/unit/test_logs.py"
    assert "secret" not in captured.out + captured.err


@pytest.mark.usefixtures("quiet")
def test_a_library_that_only_chats_is_not_heard(capsys: pytest.CaptureFixture[str]) -> None:
    chatty = logging.getLogger("some.chatty.library")
    chatty.setLevel(logging.DEBUG)
    chatty.info("GET https://secret.example/")
    assert capsys.readouterr() == ("", "")
