"""What an apply changes, counted; and the same figures in docs/deploy.md, for whoever checks their own."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.conftest import ROOT, Applied, Terraform
from tests.terraform.test_applied import judged

pytestmark = pytest.mark.timeout(900)

PAGE = (ROOT / "docs/deploy.md").read_text()
CHECK = PAGE[PAGE.index("\n## check") :]


@pytest.fixture(scope="module")
def runs(terraform: Terraform) -> dict[str, Mapping[str, Any]]:
    """By run: the state that it left, or the plan that it made."""
    example = "-var-file=terraform.tfvars.example"
    done = terraform("test", "-verbose", "-json", example, "-filter=tests/changes.tftest.hcl", check=False)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, [each["diagnostic"] for each in said if "diagnostic" in each] or done.stderr
    kinds = ("test_state", "test_plan")
    return {each["@testrun"]: each[each["type"]] for each in said if each["type"] in kinds}


def planned(plan: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is done to what, beside nothing."""
    changed = [
        (action, each["address"])
        for each in plan["resource_changes"]
        for action in each["change"]["actions"]
        if action not in ("no-op", "read")
    ]
    return {action: [address for each, address in changed if each == action] for action, _ in changed}


def test_the_page_says_how_many_resources_the_example_makes(runs: dict[str, Mapping[str, Any]]) -> None:
    made = [each for each in runs["the_example"]["root_module"]["resources"] if each["mode"] == "managed"]
    assert set(re.findall(r"Resources: (\d+) added", CHECK)) == {str(len(made))}, Counter(
        each["type"] for each in made
    )
    assert set(re.findall(r"Resources: (\d+) destroyed", CHECK)) == {str(len(made))}


def test_the_example_is_what_the_worker_understands(
    runs: dict[str, Mapping[str, Any]], tmp_path: Path
) -> None:
    chosen = judged(Applied(runs["the_example"]["root_module"]["resources"]), "worker", tmp_path)
    assert chosen.observing
    assert [provider.name for provider in chosen.providers] == ["zoom"]


def test_a_second_apply_changes_nothing(runs: dict[str, Mapping[str, Any]]) -> None:
    assert planned(runs["the_same_again"]) == {}


def test_another_calendar_is_one_document(runs: dict[str, Mapping[str, Any]]) -> None:
    assert planned(runs["another_calendar"]) == {"create": ['google_firestore_document.calendar["room"]']}
    assert '"c_4d5e@resource.calendar.google.com"' in CHECK


def test_switching_on_updates_the_worker_alone(runs: dict[str, Mapping[str, Any]]) -> None:
    assert planned(runs["switched_on"]) == {"update": ["google_cloudfunctions2_function.worker"]}


def figures(plan: Mapping[str, Any]) -> str:
    done = planned(plan)
    add, change, destroy = (len(done.get(action, ())) for action in ("create", "update", "delete"))
    return f"Plan: {add} to add, {change} to change, {destroy} to destroy."


def test_the_page_says_what_another_calendar_changes(runs: dict[str, Mapping[str, Any]]) -> None:
    (said, *_) = re.findall(r"Plan: .+", CHECK[CHECK.index("**Another calendar**") :])
    assert said == figures(runs["another_calendar"])
