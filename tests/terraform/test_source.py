"""What is deployed: enough for both doors, nothing besides, and the same archive from the same code everywhere."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sync.settings import Door
from tests.terraform.conftest import ROOT, Applied, Terraform, copy_of_the_project
from tests.terraform.test_applied import mounted
from tests.terraform.test_changes import CHECK

pytestmark = pytest.mark.timeout(600)

PATIENCE_S = 120.0


# --- Which files ---


@pytest.fixture(scope="module")
def deployed(terraform: Terraform) -> set[str]:
    return set(evaluated(terraform.project, "local.deployed"))


def evaluated(project: Path, expression: str) -> Any:
    """By the locals of source.tf alone: what is deployed is said by files, and needs no provider."""
    (locals_,) = re.findall(
        r"^locals \{\n.+?^\}\n", (project / "terraform/source.tf").read_text(), re.M | re.S
    )
    folder = project / "locals"
    folder.mkdir(exist_ok=True)
    (folder / "locals.tf").write_text(locals_)
    said = Terraform(project, place="locals")("console", told=f"jsonencode({expression})\n").stdout
    return json.loads(json.loads(said.strip().splitlines()[-1]))


def test_nothing_is_deployed_that_only_a_laptop_needs(deployed: set[str]) -> None:
    beside = {path.split("/")[1] for path in deployed if path.startswith("sync/")}
    assert {path for path in deployed if not path.startswith("sync/")} == {"main.py", "requirements.txt"}
    assert {"google", "conferences", "wiring.py"} <= beside
    assert beside & {"simulator", "cli", "__main__.py", "testing.py"} == set()


def test_no_file_that_git_does_not_know_is_deployed(deployed: set[str]) -> None:
    known = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert deployed - set(known.splitlines()) == set()


# --- The same from the same ---


def source_hash(project: Path) -> Any:
    return evaluated(project, "local.source_hash")


def test_the_name_of_the_archive_follows_the_deployed_code_and_nothing_else(
    terraform: Terraform, tmp_path: Path
) -> None:
    before = source_hash(terraform.project)
    copy = copy_of_the_project(tmp_path)
    for number, path in enumerate(copy.rglob("*.py")):
        os.utime(path, (number, number))
    (copy / "sync/cli/config.py").write_text("# another command line")
    (copy / "sync/wiring.pyc").write_text("left behind")
    (copy / "README.md").write_text("another page")
    assert source_hash(copy) == before
    with (copy / "sync/version.py").open("a") as code:
        code.write("# touched\n")
    assert source_hash(copy) != before


def test_new_code_is_a_new_object_and_that_is_what_both_functions_are_built_from(
    terraform: Terraform, applied: Applied
) -> None:
    made = applied["google_storage_bucket_object.source"]["name"]
    assert made == f"source-{source_hash(terraform.project)}.zip"
    for door in ("webhook", "worker"):
        (build,) = applied[f"google_cloudfunctions2_function.{door}"]["build_config"]
        assert build["source"][0]["storage_source"][0]["object"] == made


def archived(terraform: Terraform) -> Path:
    """The archive as the real provider packs it: for that alone, nothing of Google is asked."""
    packed = ["-target=data.archive_file.source", "-auto-approve"]
    variables = [
        "-var=project_id=acme-meetings",
        '-var=conferences={providers={jitsi={use="jitsi",options={}}}}',
    ]
    terraform("apply", *packed, *variables)
    return terraform.folder / ".build/source.zip"


def test_the_archive_built_twice_has_the_same_bytes(terraform: Terraform, tmp_path: Path) -> None:
    if not terraform.has_real_providers:
        pytest.skip("packing takes the real archive provider: TERRAFORM_WRAPPER serves schemas alone")
    other = Terraform(copy_of_the_project(tmp_path))
    other("init", "-backend=false")
    for number, path in enumerate(other.project.rglob("*.py")):
        os.utime(path, (number, number))
    assert archived(terraform).read_bytes() == archived(other).read_bytes()


# --- Enough for both doors ---


@pytest.fixture(scope="module")
def unpacked(terraform: Terraform, deployed: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with what was deployed; without the real archive provider, the files that it would pack."""
    folder = tmp_path_factory.mktemp("deployed")
    if terraform.has_real_providers:
        with zipfile.ZipFile(archived(terraform)) as packed:
            packed.extractall(folder)
    else:
        for path in deployed:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes((terraform.project / path).read_bytes())
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == deployed
    return folder


@pytest.mark.parametrize("door", ["webhook", "worker"])
def test_the_archive_alone_opens_each_door_with_the_environment_that_terraform_gives(
    unpacked: Path, applied: Applied, door: Door, tmp_path: Path
) -> None:
    environment = mounted(applied, door, tmp_path)
    with served(unpacked, door, environment) as url:
        answer = urllib3.request("GET", f"{url}/status", retries=False, timeout=30)
        assert (answer.status, answer.json()["ready"]) == (200, True)
        assert answer.data.decode().strip() in CHECK
        unasked = urllib3.request("POST", url, retries=False, timeout=30)
        assert unasked.status == (204 if door == "webhook" else 404)


@contextmanager
def served(folder: Path, door: Door, environment: dict[str, str]) -> Iterator[str]:
    """As the buildpack starts it: functions-framework in the folder of the source, with nothing of ours beside."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "functions_framework", "--target", door, "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_for(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        problems = [line for line in said.decode().splitlines() if json.dumps("CRITICAL") in line]
        assert problems == []


def wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the door did not open: {process.poll()}")
