"""The module is in shape, valid, refuses mistakes, and is destroyed in an order in which nothing is lost."""

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.terraform.conftest import ROOT, Terraform

pytestmark = pytest.mark.timeout(900)  # each run looks at the providers' schemas, which takes seconds

RUNS = {
    path.name: re.findall(r'^run "(\w+)"', path.read_text(), re.MULTILINE)
    for path in sorted((ROOT / "terraform/tests").glob("*.tftest.hcl"))
}
COUNTED = {"applied.tftest.hcl", "changes.tftest.hcl"}  # by test_applied.py and test_changes.py


def test_it_is_in_shape(terraform: Terraform) -> None:
    assert replace(terraform, wrapper=())("fmt", "-check", "-diff", "-recursive").stdout == ""


def test_it_is_valid(terraform: Terraform) -> None:
    terraform("validate")


def test_every_run_passes(terraform: Terraform) -> None:
    names = RUNS.keys() - COUNTED
    done = terraform("test", *(f"-filter=tests/{name}" for name in names), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r'run "(\w+)"\.\.\. pass', done.stdout)
    assert sorted(passed) == sorted(run for name in names for run in RUNS[name])


def test_there_are_many_runs() -> None:
    assert sum(len(runs) for runs in RUNS.values()) >= 12


# --- The order of things ---


@pytest.fixture(scope="module")
def needs(terraform: Terraform) -> Mapping[str, set[str]]:
    """What each resource needs."""
    dot = terraform("graph").stdout
    needs: dict[str, set[str]] = {node: set() for node in re.findall(r'"([^"]+)" \[label=', dot)}
    for node, needed in re.findall(r'"([^"]+)" -> "([^"]+)"', dot):
        needs[node].add(needed)
    return needs


def test_the_switch_depends_on_everything_so_that_it_is_made_last_and_removed_first(
    needs: Mapping[str, set[str]],
) -> None:
    reached: set[str] = set()
    open_ends = ["google_firestore_document.switch"]
    while open_ends:
        node = open_ends.pop()
        if node not in reached:
            reached.add(node)
            open_ends += needs.get(node, ())
    resources = {node for node in needs if not node.startswith(("data.", "ephemeral."))}
    assert len(resources) > 30
    assert resources - reached == set(), "name these in depends_on of time_sleep.unwire"


def test_the_webhook_and_the_worker_do_not_wait_for_each_other(needs: Mapping[str, set[str]]) -> None:
    """The worker creates tasks for itself: its address is known before it is made."""
    worker, webhook = (f"google_cloudfunctions2_function.{door}" for door in ("worker", "webhook"))
    assert webhook not in needs[worker]
    assert worker not in needs[webhook]


# --- As a part of somebody else's configuration ---

CALLING = """
module "calsync" {
  source      = "../terraform"
  project_id  = "acme-meetings"
  conferences = { providers = { jitsi = { use = "jitsi", options = {} } } }
}

output "share_with" {
  value = module.calsync.worker_account
}
"""


def test_it_can_be_called_as_a_module(terraform: Terraform) -> None:
    folder = terraform.project / "calling"
    folder.mkdir()
    (folder / "main.tf").write_text(CALLING)
    calling = replace(terraform, place="calling")
    calling("init", "-backend=false")
    calling("validate")


def test_no_data_source_of_google_is_read(terraform: Terraform) -> None:
    """One that is read late makes every plan differ; one that is read early needs rights."""
    texts = "".join(path.read_text() for path in terraform.folder.glob("*.tf"))
    assert re.findall(r'^data "(\w+)"', texts, re.MULTILINE) == ["archive_file"]
