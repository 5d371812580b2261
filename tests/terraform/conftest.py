"""Terraform, with what providers there are: the real ones, or their schemas behind TERRAFORM_WRAPPER.

`terraform init` is tried first as a user would say it. Where it finds no providers, TERRAFORM_WRAPPER may name a
command that runs terraform with schemas alone. Without either, these tests are skipped and say so; but where a
wrapper is named, nothing is skipped.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("main.py", "requirements.txt", "sync", "terraform", "docs")
WRAPPER = shlex.split(os.environ.get("TERRAFORM_WRAPPER", ""))


@dataclass(frozen=True)
class Terraform:
    """Terraform in a copy of this repository, so that it leaves nothing behind in the real one."""

    project: Path
    wrapper: Sequence[str] = ()
    place: str = "terraform"

    @property
    def folder(self) -> Path:
        return self.project / self.place

    @property
    def has_real_providers(self) -> bool:
        return not self.wrapper

    def __call__(
        self, *arguments: str, check: bool = True, told: str = ""
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.wrapper, "terraform", f"-chdir={self.folder}", *arguments],
            env=_ENVIRONMENT,
            text=True,
            capture_output=True,
            input=told,
        )
        assert not check or done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
        return done


_ENVIRONMENT = os.environ | {
    "TF_IN_AUTOMATION": "1",
    "TF_INPUT": "0",
    "TF_CLI_ARGS": "-no-color",
    "TF_REGISTRY_DISCOVERY_RETRY": "0",
    "TF_REGISTRY_CLIENT_TIMEOUT": "5",
    "CHECKPOINT_DISABLE": "1",
}


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    if shutil.which("terraform") is None:
        _without("terraform is not installed")
    project = copy_of_the_project(tmp_path_factory.mktemp("project"))
    plain = Terraform(project)
    init = plain("init", "-backend=false", check=False)
    if init.returncode == 0:
        return plain
    if not WRAPPER:
        _without(f"terraform init gets no providers, and TERRAFORM_WRAPPER names none: {init.stderr[-500:]}")
    wrapped = Terraform(project, WRAPPER)
    wrapped("init", "-backend=false")
    return wrapped


def copy_of_the_project(folder: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            unwanted = shutil.ignore_patterns(
                "__pycache__", ".terraform*", ".build", "*.tfstate*", "*.tfvars"
            )
            shutil.copytree(source, folder / name, ignore=unwanted)
        else:
            shutil.copy(source, folder / name)
    return folder


def _without(why: str) -> NoReturn:
    if WRAPPER:
        pytest.fail(why)
    pytest.skip(why)


@dataclass(frozen=True)
class Applied:
    """What a whole apply leaves in the state (terraform/tests/applied.tftest.hcl), with a made-up Google."""

    resources: Sequence[Mapping[str, Any]]

    def __getitem__(self, address: str) -> Mapping[str, Any]:
        (found,) = (each["values"] for each in self.resources if each["address"] == address)
        return dict(found)

    def of(self, kind: str, name: str) -> list[Mapping[str, Any]]:
        return [each["values"] for each in self.resources if (each["type"], each["name"]) == (kind, name)]


@pytest.fixture(scope="session")
def applied(terraform: Terraform) -> Applied:
    done = terraform("test", "-verbose", "-json", "-filter=tests/applied.tftest.hcl", check=False)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    problems = [each["diagnostic"] for each in said if "diagnostic" in each]
    assert done.returncode == 0, problems or done.stderr
    (state,) = (each["test_state"] for each in said if each["type"] == "test_state")
    return Applied(state["root_module"]["resources"])
