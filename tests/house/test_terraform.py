"""Terraform and the code have one contract, and its pages say what is there. Read as text, without terraform."""

import inspect
import re
from dataclasses import fields
from pathlib import Path

from sync.google import firestore, identity
from sync.settings import VARIABLES, Times
from tests.terraform import tables

ROOT = Path(__file__).parents[2]
FILES = {path.name: path.read_text() for path in (ROOT / "terraform").glob("*.tf")}
EVERYTHING = "".join(FILES.values())
PAGE = (ROOT / "docs/deploy.md").read_text()

# What only a laptop or a test needs.
NOT_DEPLOYED = {
    "SYNC_CALENDAR_API",
    "SYNC_CERTS_API",
    "SYNC_IDENTITY_API",
    "SYNC_SECRETS_API",
    "SYNC_TASKS_API",
}


# --- One contract ---


def test_the_environment_is_that_which_the_code_reads() -> None:
    told = re.findall(r"^\s*(?:\S.*[{,(] )?(SYNC_\w+)\s+=", EVERYTHING, re.MULTILINE)
    assert set(told) == set(VARIABLES) - NOT_DEPLOYED


def test_the_indexes_are_those_that_the_queries_need() -> None:
    (made,) = re.findall(r"indexes = \{(.+?)\n  \}", FILES["firestore.tf"], re.DOTALL)
    listed = {
        (collection, *re.findall(r'"(\w+)"', fields))
        for collection, lists in re.findall(r"(\w+)\s+= \[(\[.+\])\]", made)
        for fields in re.findall(r"\[(.+?)\]", lists)
    }
    needed = {
        (collection, *fields)
        for collection, queries in queries_of_the_store().items()
        for fields in re.findall(r"(\w+) \+ (\w+)", queries)
    }
    assert len(needed) >= 6
    assert listed == needed


def queries_of_the_store() -> dict[str, str]:
    """By collection, from the table at the head of the Firestore store; a row may be several lines long."""
    queries: dict[str, str] = {}
    collection = ""
    table = re.findall(r"^\| (.+?) \| .*? \|(.*)\|$", firestore.__doc__ or "", re.MULTILINE)
    for name, needed in table[1:]:
        collection = name.strip() or collection
        queries[collection] = f"{queries.get(collection, '')} {needed}"
    return queries


def test_what_is_forgotten_is_what_carries_the_time_by_which_it_may_go() -> None:
    said = " ".join((firestore.__doc__ or "").split())
    (found,) = re.findall(r"Of ([\w, ]+), `(\w+)` is for a TTL policy", said)
    kinds = {kind.replace(" ", "_") for kind in re.split(r", | and ", found[0])}
    (forgotten,) = re.findall(r"forgotten = toset\(\[(.+?)\]\)", FILES["firestore.tf"])
    assert set(re.findall(r'"(\w+)"', forgotten)) == kinds
    assert re.search(rf'field\s+= "{found[1]}"', FILES["firestore.tf"])


def test_what_is_not_indexed_is_no_part_of_a_query() -> None:
    for collection, field in re.findall(r'collection = "(\w+)", field = "(\w+)"', FILES["firestore.tf"]):
        assert field not in queries_of_the_store()[collection].split()


def test_every_collection_is_one_of_the_store() -> None:
    named = set(re.findall(r'collection\s+= "(\w+)"', EVERYTHING))
    assert {"wired_calendars", "wiring"} <= named <= queries_of_the_store().keys()


def test_an_administrator_is_told_a_scope_that_the_worker_asks_for() -> None:
    asked = set(
        re.findall(r'"(https://www.googleapis.com/auth/calendar[\w.]*)"', inspect.getsource(identity))
    )
    told = set(re.findall(r'"(https://www.googleapis.com/auth/calendar[\w.]*)"', FILES["outputs.tf"]))
    assert asked
    assert asked <= told


# --- Pages ---


def test_the_tables_of_variables_and_outputs_are_those_of_the_code() -> None:
    page = (ROOT / "terraform/README.md").read_text()
    assert tables.renewed(page) == page, "python -m tests.terraform.tables writes them anew"


def test_every_variable_and_output_says_what_it_means() -> None:
    rows = tables.variables() + tables.outputs()
    assert len(rows) > 20
    assert [name for name, *_, description in rows if len(description) < 15] == []


def test_the_page_and_the_example_name_only_variables_that_there_are() -> None:
    known = {name for name, *_ in tables.variables()}
    example = (ROOT / "terraform/terraform.tfvars.example").read_text()
    assert set(re.findall(r"^(?:# )?(\w+)\s+= ", example, re.MULTILINE)) - known == set()
    named = {a or b for a, b in re.findall(r"-var=(\w+)=|`(\w+) = [\"{t0-9]", PAGE)}
    assert {"mode", "delegation", "public_webhook", "settle"} <= named
    assert named - known - {"min_instances"} == set()


def test_the_page_names_only_outputs_that_there_are() -> None:
    named = set(re.findall(r"terraform(?: -chdir=terraform)? output (?:-raw )?(\w+)", PAGE))
    assert len(named) >= 4
    assert named - {name for name, _ in tables.outputs()} == set()


def test_the_jobs_and_services_that_the_page_names_are_made() -> None:
    names = set(re.findall(r"\bcalsync-(\w+)", PAGE)) - {
        "deploy",
        "zoom",
        "channel",
    }  # a name of the reader's, and secrets
    jobs = re.findall(r"^    (\w+)\s+= \"", FILES["schedule.tf"], re.MULTILINE)
    doors = re.findall(r'^  \w+_name\s+= "\$\{var\.prefix\}-(\w+)"', FILES["main.tf"], re.MULTILINE)
    assert {"converge", "worker"} <= names
    assert names - {*jobs, *doors} == set()


def test_a_user_starts_by_observing() -> None:
    example = (ROOT / "terraform/terraform.tfvars.example").read_text()
    assert re.search(r'^mode\s+= "observe"', example, re.MULTILINE)


def test_times_are_refused_by_their_names_as_the_doors_refuse_them() -> None:
    """What only a door refuses, it refuses when everything is built."""
    [known] = re.findall(r"keys\(var\.times\) : contains\(\[(.+?)\]", FILES["variables.tf"], re.DOTALL)
    assert re.findall(r'"(\w+)"', known) == [each.name for each in fields(Times)]


def test_it_has_no_provider_of_its_own_and_says_which_versions_it_needs() -> None:
    assert re.findall(r"^provider ", EVERYTHING, re.MULTILINE) == []
    assert 'required_version = ">= 1.11"' in FILES["versions.tf"]
    assert 'source = "hashicorp/google", version = ">= 7.40, < 8.0"' in FILES["versions.tf"]
