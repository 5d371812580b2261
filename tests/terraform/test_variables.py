"""Each mistake in a variable is refused, before anything is made, by a sentence that names it.

Of the configuration only variables.tf is taken: what is judged there needs no provider.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.conftest import ROOT

VARIABLES = ROOT / "terraform/variables.tf"
RIGHT: Mapping[str, object] = {
    "project_id": "acme-meetings",
    "conferences": {"providers": {"zoom": {"use": "zoom", "options": {"client_secret": {"secret": "zoom"}}}}},
}


def provided(**providers: object) -> Mapping[str, object]:
    return {"conferences": {"providers": providers}}


def wired(**calendars: object) -> Mapping[str, object]:
    return {"calendars": calendars}


def with_secret(name: str) -> Mapping[str, object]:
    return provided(zoom={"use": "zoom", "options": {"key": {"secret": name}}})


CHANNELS = "notification_channels has something that is not projects/…/notificationChannels/…."
DOMAINS = "enrol.domains has something that is no lower-case domain name"
KEY_VERSION = "channel_key_version is a whole number"
PREFIX = "prefix is 4 to 18 lower-case letters"
PROJECT = "project_id is the ID of a project, like acme-meetings: neither its name nor its number."
SECRET = "conferences names a secret that is not 1 to 40 lower-case letters"
SLUG = "calendars has a key that is not 1 to 40 lower-case letters"
NO_ADDRESS = "calendars has an id that is no address"
TWICE = "calendars has the same id twice."
TIMEOUT = "worker.timeout_seconds is 120 to 590"
URL = "webhook_url is an https URL"
WORKER_URL = "worker_url is https:// and a host, without a path."

MISTAKES: list[tuple[Mapping[str, object], str]] = [
    ({"project_id": "123456789012"}, PROJECT),
    ({"project_id": "Acme meetings"}, PROJECT),
    (provided(), "conferences.providers is empty"),
    (provided(**{"Zoom EMEA": {"use": "zoom"}}), "conferences.providers has a name that is not lower-case"),
    (provided(zoom={"options": {}}), "conferences.providers has one without use"),
    (with_secret("Zoom_Secret"), SECRET),
    (with_secret("channel-key-odd"), SECRET),
    (wired(**{"Town hall": {"id": "a@example.com"}}), SLUG),
    (wired(a={"id": "primary"}), NO_ADDRESS),
    (wired(a={"id": "a@example.com"}, b={"id": "A@example.com"}), TWICE),
    (wired(a={"id": "a@example.com", "subject": "a@example.com"}), "calendars has a subject, and that needs"),
    ({"mode": "dry-run"}, "mode is apply or observe."),
    ({"region": "eur3"}, "region is a region"),
    ({"region": "europe-west1-b"}, "region is a region"),
    ({"prefix": "cal"}, PREFIX),
    ({"prefix": "calendar-conference-sync"}, PREFIX),
    (
        {"enrol": {"audiences": ["1234.apps.googleusercontent.com"], "domains": []}},
        "enrol needs at least one",
    ),
    ({"enrol": {"audiences": ["1234.apps.googleusercontent.com"], "domains": ["@example.com"]}}, DOMAINS),
    ({"canary": "somewhere"}, "canary is no key of calendars."),
    ({"channel_key_version": 0}, KEY_VERSION),
    ({"channel_key_version": 1.5}, KEY_VERSION),
    ({"public_webhook": "everybody"}, "public_webhook is all_users or external."),
    ({"webhook_url": "http://hooks.example.com"}, URL),
    ({"worker_url": "https://worker.example.com/tasks"}, WORKER_URL),
    ({"webhook": {"cpu": "0.5"}}, "webhook.concurrency above 1 needs a cpu of 1 or more."),
    ({"webhook": {"max_instances": 0}}, "webhook.max_instances is less than 1, or than min_instances."),
    ({"worker": {"cpu": "0.5"}}, "worker.concurrency above 1 needs a cpu of 1 or more."),
    ({"worker": {"min_instances": 5}}, "worker.max_instances is less than 1, or than min_instances."),
    ({"worker": {"timeout_seconds": 600}}, TIMEOUT),
    ({"worker": {"timeout_seconds": 60}}, TIMEOUT),
    ({"alert_emails": ["ops"]}, "alert_emails has something that is no address."),
    ({"notification_channels": ["ops"]}, CHANNELS),
    ({"freshness": {"percent": 100}}, "freshness.percent is more than 0 and less than 100."),
    ({"freshness": {"seconds": 61}}, "freshness.seconds is one of 10, 15, 20"),
    ({"queue": {"max_dispatches_per_second": 0}}, "queue.max_dispatches_per_second is more than 0"),
    ({"queue": {"max_attempts": 0}}, "queue.max_attempts is a whole number from 1, or -1"),
    ({"queue": {"max_backoff": "5m"}}, "queue has a backoff that is not a number of seconds, like 2s."),
    ({"schedule": {"sweep": "@hourly"}}, "schedule has something that is no cron expression"),
    ({"times": {"swep": 900}}, "times has a name that SYNC_TIMES does not know"),
    ({"settle": {"unwire": "360"}}, "settle has a wait that is not a number of seconds or minutes"),
]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    folder = tmp_path_factory.mktemp("variables")
    shutil.copy(VARIABLES, folder)
    return folder


def refusals(judge: Path, variables: Mapping[str, object]) -> list[str]:
    (judge / "terraform.tfvars.json").write_text(json.dumps({**RIGHT, **variables}))
    done = subprocess.run(
        ["terraform", f"-chdir={judge}", "plan", "-json", "-lock=false"],
        env=os.environ | {"TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
    )
    said: list[dict[str, Any]] = [
        json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")
    ]
    found = [str(each["diagnostic"]["detail"]).split("\n\n")[0] for each in said if "diagnostic" in each]
    assert (done.returncode == 0) == (found == []), done.stdout + done.stderr
    return found


def test_what_is_right_is_taken(judge: Path) -> None:
    assert refusals(judge, {}) == []


@pytest.mark.parametrize(("variables", "sentence"), MISTAKES)
def test_a_mistake_is_refused_by_the_sentence_that_names_it_and_by_no_other(
    judge: Path, variables: Mapping[str, object], sentence: str
) -> None:
    (refusal,) = refusals(judge, variables)
    assert refusal.startswith(sentence)


def test_every_sentence_of_every_variable_was_heard() -> None:
    sentences = re.findall(r'^    error_message = "(.+)"$', VARIABLES.read_text(), re.MULTILINE)
    heard = [sentence for _, sentence in MISTAKES]
    assert len(sentences) >= 25
    assert [text for text in sentences if not any(text.startswith(each) for each in heard)] == []
