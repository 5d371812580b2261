"""The walls: the stand-in knows nothing of this project, and nothing that is deployed knows the stand-in."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR = ROOT / "sync/simulator"
NOT_DEPLOYED = ("sync/simulator/", "sync/cli/")
PURE = ("channels", "documents", "errors", "faults", "listing", "model", "occurrences", "series", "world")
DOORS = {"http", "socket", "threading", "time", "urllib.request", "subprocess", "os", "pathlib"}


def imported(file: Path) -> Iterator[str]:
    """Every module a file imports, relative ones as if they were written out."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(file.relative_to(ROOT).parent.parts) if node.level else ""
            base = ".".join(part for part in (package, node.module) if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def test_the_simulator_needs_only_itself_and_the_standard_library() -> None:
    for file in SIMULATOR.glob("*.py"):
        for name in imported(file):
            ours = name == "sync.simulator" or name.startswith("sync.simulator.")
            assert ours or name.split(".")[0] in sys.stdlib_module_names, f"{file.name} imports {name}"


def test_nothing_deployed_imports_the_simulator() -> None:
    files = [*ROOT.glob("sync/**/*.py"), *ROOT.glob("main.py")]
    for file in files:
        if not str(file.relative_to(ROOT)).startswith(NOT_DEPLOYED):
            assert not [name for name in imported(file) if name.startswith("sync.simulator")], file


def test_the_world_opens_no_doors_and_knows_no_time() -> None:
    for name in PURE:
        assert not {*imported(SIMULATOR / f"{name}.py")} & DOORS, name
