"""checkov, a scanner of others, finds nothing; or is told at the resource why that stands as it does.

It brings a hundred packages along, so it has an environment of its own, set up when it is first needed.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.conftest import ROOT

pytestmark = pytest.mark.timeout(900)

PINNED = ROOT / "tests/terraform/checkov.txt"


@pytest.fixture(scope="module")
def checkov() -> Path:
    """The Python that has it."""
    place = ROOT / ".venv/checkov"
    stamp, wanted = place / ".pinned", hashlib.sha256(PINNED.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        uv = [sys.executable, "-m", "uv"]
        for command in (
            [*uv, "venv", "-q", "--clear", "--python", sys.executable, str(place)],
            [*uv, "pip", "install", "-q", "--python", str(place), "--require-hashes", "-r", str(PINNED)],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                why = f"checkov cannot be installed: {done.stderr[-500:]}"
                pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
        stamp.write_text(wanted)
    return place / "bin/python"


@pytest.fixture(scope="module")
def found(checkov: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What it says of the configuration; of the tests, it does not know the language."""
    folder = tmp_path_factory.mktemp("scanned")
    for path in (ROOT / "terraform").glob("*.tf"):
        shutil.copy(path, folder)
    asked = ["-d", str(folder), "--framework", "terraform", "--skip-download", "-o", "json", "--soft-fail"]
    done = subprocess.run(
        [str(checkov), "-m", "checkov.main", *asked], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout)["results"])


def test_checkov_reads_every_file_and_has_much_to_judge(found: dict[str, Any]) -> None:
    assert found["parsing_errors"] == []
    assert len(found["passed_checks"]) >= 15


def test_checkov_finds_nothing_that_was_not_explained(found: dict[str, Any]) -> None:
    assert [
        f"{each['check_id']} {each['resource']}: {each['check_name']}" for each in found["failed_checks"]
    ] == []


def test_each_finding_that_stands_has_its_reason(found: dict[str, Any]) -> None:
    reasons = [each["check_result"]["suppress_comment"] for each in found["skipped_checks"]]
    assert reasons
    assert [reason for reason in reasons if len(reason) < 40] == []
