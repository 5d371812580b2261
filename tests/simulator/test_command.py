"""The stand-in as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from sync.simulator.command import main


@contextmanager
def running(*options: str) -> Iterator[str]:
    """The first line on stdout of a simulator that runs as long as the block."""
    code = "import sys; from sync.simulator.command import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_the_first_line_is_the_root_url() -> None:
    with running("--control") as url, urlopen(f"{url}/_sim/clock") as answer:
        assert json.load(answer)["mode"] == "real"


def test_with_json_the_first_line_is_an_object_with_the_url(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text('{"random": 4}')
    with running("--json", "--seed", str(seed), "--clock", "frozen") as line:
        ready = json.loads(line)
        assert (ready["seed"], ready["control"], ready["clock"]) == (4, False, "frozen")
        with urlopen(f"{ready['url']}/calendar/v3/calendars/primary") as answer:
            assert json.load(answer)["id"] == "me@example.com"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "cannot use"),
        ("[]", "not a JSON object"),
        ('{"random": "x"}', "random cannot be 'x'"),
        ('{"people": []}', "unknown key 'people'"),
        ('{"acts": [{"do": "dance"}]}', "unknown act 'dance'"),
        ('{"switches": {"gravity": false}}', "unknown key 'gravity'"),
    ],
)
def test_a_seed_that_cannot_be_used_is_one_line_and_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(content)
    assert main(["--seed", str(seed)]) == 1
    problem, hint = capsys.readouterr().err.splitlines()
    assert told in problem
    assert hint.startswith("hint: ")


def test_a_missing_seed_and_an_impossible_port_are_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "no-such-file.json"]) == 1
    assert main(["--port", "99999999"]) == 1
    assert capsys.readouterr().err.count("hint: ") == 2


def test_help_has_examples_and_wrong_arguments_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "examples:" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["--clock", "sundial"])
    assert stopped.value.code == 2
    assert "hint: " in capsys.readouterr().err
