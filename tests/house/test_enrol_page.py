"""What docs/enrol.md tells add-on authors is what the door does."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sync import enrolment
from sync.admit import MOST_AN_HOUR
from sync.cli import enrol
from sync.enrolment import Enrolment
from sync.recognise import ConferenceKey

PAGE = (Path(__file__).parents[2] / "docs/enrol.md").read_text()
SCRIPT = """
const ScriptApp = { getIdentityToken: () => 'token' };
let asked;
const UrlFetchApp = { fetch: (url, how) => { asked = { url, ...how }; return { getResponseCode: () => 202 }; } };
SNIPPET
initializeSyncing('room@example.com', 'event-1', 'conference-1');
console.log(JSON.stringify(asked));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_the_snippet_for_apps_script_asks_for_what_the_door_understands() -> None:
    (snippet,) = re.findall(r"```javascript\n(.*?)```", PAGE, re.DOTALL)
    assert len(snippet.splitlines()) <= 15
    run = subprocess.run(
        ["node", "-e", SCRIPT.replace("SNIPPET", snippet)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    asked = json.loads(run.stdout)
    assert asked["url"].endswith("/enrol")
    assert asked["method"].upper() == "POST"
    assert asked["headers"]["Authorization"] == "Bearer token"
    assert enrolment.read(asked["payload"].encode(), "ada@example.com", 1.0) == Enrolment(
        "ada@example.com",
        "room@example.com",
        1.0,
        event_id="event-1",
        conference=ConferenceKey("my-system", "conference-1"),
    )


def test_the_page_names_every_answer_of_the_door() -> None:
    source = (Path(__file__).parents[2] / "sync/admit.py").read_text()
    told = set(re.findall(r"^\| (\d{3}) \| (?:`(\w+)`)?", PAGE, re.MULTILINE))
    answers = set(re.findall(r'Answer\((4\d\d), "(\w+)"', source))
    assert answers <= told
    assert {status for status, _ in told} == {"202", "404", "503"} | {status for status, _ in answers}
    assert f"more than {MOST_AN_HOUR} requests" in PAGE
    assert f"{enrolment.MOST_BYTES:,} bytes" in PAGE


def test_the_commands_of_the_page_are_understood() -> None:
    commands = re.findall(r"^\$ python -m sync enrol (.+)$", PAGE, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        assert enrol._arguments(command.split()).calendar
