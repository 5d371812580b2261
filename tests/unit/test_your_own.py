"""docs/providers: what your-own.md prints runs as printed, outside of this repository; README.md lists all."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/providers/your-own.md").read_text(encoding="utf-8")

PROGRAM = """
import json, sys
from sync.conferences.registry import Registry
from sync.settings import draft
settings, problems = draft({"SYNC_CONFERENCES": sys.argv[1]}, "worker")
assert not [problem for problem in problems if "SYNC_CONFERENCES" in problem], problems
provider = Registry(settings.providers, connect_s=1, read_s=1, secrets=list, accounts=list).provider("acme")
print(provider.name, provider.system.hosts[0], "sync.conferences.demo" in sys.modules)
"""


def block(language: str, at: int = 0) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[at]


def lines_of_code(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith(("from ", "import "))]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """This package as it is when installed, and theirs beside it: nothing else of this repository."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "sync", site / "sync", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "acme_calls.py").write_text(block("python"), encoding="utf-8")
    return site


def run(site: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, *argv],
        cwd=site.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_provider_has_thirty_lines_and_its_test_ten() -> None:
    assert len(lines_of_code(block("python"))[1:]) <= 30  # beneath its class line
    assert len(lines_of_code(block("python", 1))) <= 10


def test_the_provider_as_printed_passes_its_contract_test_as_printed(site: Path) -> None:
    test = site.parent / "test_acme_calls.py"
    test.write_text(block("python", 1), encoding="utf-8")
    ran = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(test))
    assert ran.returncode == 0, ran.stdout
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None
    assert int(passed[1]) > 100


def test_the_settings_as_printed_find_it_in_its_module(site: Path) -> None:
    ran = run(site, "-c", PROGRAM, block("json"))
    assert ran.stdout == "acme_calls acme.example False\n", ran.stderr


def test_the_entry_point_as_printed_is_found_in_an_installed_package(site: Path) -> None:
    points = tomllib.loads(block("toml"))["project"]["entry-points"]["sync.providers"]
    installed = site / "acme_calls-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-calls\nVersion: 1.0\n")
    told = "\n".join(f"{name} = {value}" for name, value in points.items())
    (installed / "entry_points.txt").write_text(f"[sync.providers]\n{told}\n")
    document = json.loads(block("json"))
    document["providers"]["acme"]["use"] = "acme_calls"
    ran = run(site, "-c", PROGRAM, json.dumps(document))
    assert ran.stdout == "acme_calls acme.example False\n", ran.stderr


def test_every_page_is_in_the_table_and_none_claims_what_nobody_tried() -> None:
    folder = ROOT / "docs/providers"
    rows = re.findall(
        r"^\| \[(\w+)\]\((\w+)\.md\) \|.*\| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE
    )
    assert all(name == page for name, page, _ in rows)
    assert {page.stem for page in folder.glob("*.md")} - {"README", "your-own"} <= {
        name for name, _, _ in rows
    }
    assert not any("live" in verified for _, _, verified in rows)
