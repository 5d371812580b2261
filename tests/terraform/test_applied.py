"""What Terraform makes is what the code reads: asked of the code itself."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import main
from sync import records, wiring
from sync.channel import Keys, parse_keys
from sync.google.firestore import FirestoreStore
from sync.ports import CalendarId, WiredCalendar
from sync.settings import Door, Settings
from tests.terraform.conftest import Applied

pytestmark = pytest.mark.timeout(600)

KEY = "k{}:" + "A" * 43 + " 2026-01-31T12:00:0{}Z\n"


def environment(applied: Applied, door: Door) -> dict[str, str]:
    (service,) = applied[f"google_cloudfunctions2_function.{door}"]["service_config"]
    return dict(service["environment_variables"])


@pytest.mark.parametrize("door", ["webhook", "worker"])
def test_each_door_takes_its_environment(applied: Applied, door: Door, tmp_path: Path) -> None:
    assert judged(applied, door, tmp_path).queue.startswith(
        "projects/acme-meetings/locations/europe-west1/queues/"
    )


def judged(applied: Applied, door: Door, mounts: Path) -> Settings:
    """What the door makes of it."""
    return wiring.check(mounted(applied, door, mounts), door)


def mounted(applied: Applied, door: Door, mounts: Path) -> dict[str, str]:
    """Its environment, with the secrets mounted as Cloud Run would, but below this folder."""
    told = environment(applied, door)
    (service,) = applied[f"google_cloudfunctions2_function.{door}"]["service_config"]
    for number, volume in enumerate(service["secret_volumes"]):
        (version,) = volume["versions"]
        file = mounts / volume["mount_path"].lstrip("/") / version["path"]
        file.parent.mkdir(parents=True)
        file.write_text(KEY.format(number, number))
    told["SYNC_CHANNEL_KEYS"] = re.sub(r"(?:^|(?<=:))/", f"{mounts}/", told["SYNC_CHANNEL_KEYS"])
    return told


def test_the_worker_understands_what_it_was_told(applied: Applied, tmp_path: Path) -> None:
    chosen = judged(applied, "worker", tmp_path)
    assert chosen.observing
    assert chosen.sqlite is None
    assert chosen.database == applied["google_firestore_database.this"]["name"]
    worker = applied['google_service_account.this["worker"]']
    assert (chosen.delegation, chosen.delegation_client) == (worker["email"], worker["unique_id"])
    assert (chosen.times.bucket, chosen.times.grace) == (10, 7200)
    assert chosen.enrol is not None
    assert chosen.canary == "town-hall"
    (zoom,) = chosen.providers
    assert "projects/acme-meetings/secrets/calsync-zoom" in repr(zoom.options["client_secret"])


def test_both_doors_have_the_same_keys_queue_worker_and_times(applied: Applied) -> None:
    webhook, worker = (environment(applied, door) for door in ("webhook", "worker"))
    assert webhook.items() - worker.items() == {("THREADS", webhook["THREADS"])}
    assert worker.keys() - webhook.keys() == {
        "SYNC_CANARY",
        "SYNC_CONFERENCES",
        "SYNC_DATABASE",
        "SYNC_DELEGATION",
        "SYNC_DELEGATION_CLIENT",
        "SYNC_MODE",
        "SYNC_STORE",
    }


def test_keys_as_terraform_writes_them_are_read_with_the_newest_last(applied: Applied) -> None:
    """The values are in no state: so as format() in channel_keys.tf would write them, and timestamp()."""
    even = f"k2:{'A' * 43} 2026-01-31T11:00:00Z\n"
    odd = f"k3:{'_-' * 21}A 2026-01-31T12:00:00Z\n"
    keys: Keys = parse_keys(even, odd)
    assert [key.id for key in keys.oldest_first] == ["k2", "k3"]
    versions = applied.of("google_secret_manager_secret_version", "channel_key")
    assert len(versions) == 2
    assert all(each["secret_data"] is None and each["secret_data_wo"] is None for each in versions)


# --- Rights ---


def test_each_account_has_rights_on_single_targets_and_no_others(applied: Applied) -> None:
    """The whole of what is granted. The webhook may enqueue, and what enqueueing takes; nothing else."""
    channel_keys = {
        "secretmanager.secretAccessor: calsync-channel-key-even",
        "secretmanager.secretAccessor: calsync-channel-key-odd",
    }
    enqueue = {"cloudtasks.enqueuer: calsync-SUFFIX", "iam.serviceAccountUser: dispatch"}
    sources = (
        "gcf-v2-sources-123456789012-europe-west1",  # where Cloud Functions copies the archive to
        "acme-meetings-calsync-source-SUFFIX",
    )
    assert granted(applied) == {
        "allUsers": {"run.invoker: calsync-webhook"},
        "dispatch": {"run.invoker: calsync-worker"},
        "webhook": enqueue | channel_keys,
        "worker": enqueue
        | channel_keys
        | {
            'datastore.user: project, if resource.name == "projects/acme-meetings/databases/calsync"',
            "iam.serviceAccountTokenCreator: worker",
            "secretmanager.secretAccessor: calsync-zoom",
        },
        "build": {
            "artifactregistry.writer: calsync",
            "logging.logWriter: project",
            "storage.objectViewer: project, if "
            + " || ".join(f'resource.name.startsWith("projects/_/buckets/{bucket}")' for bucket in sources),
        },
    }


def granted(applied: Applied) -> dict[str, set[str]]:
    """By member: each role and what it is for. A grant of another kind names no member, and fails here."""
    targets = ("service_account_id", "repository", "secret_id", "name")
    rights: dict[str, set[str]] = {}
    for grant in (each["values"] for each in applied.resources if "_iam_" in each["type"]):
        right = f"{grant['role']}: " + next((short(grant[key]) for key in targets if key in grant), "project")
        for condition in grant.get("condition") or ():
            right += f", if {condition['expression']}"
        rights.setdefault(short(grant["member"]), set()).add(
            re.sub(r"-[0-9a-f]{6}\b", "-SUFFIX", right.removeprefix("roles/"))
        )
    return rights


def short(account: str) -> str:
    return account.rpartition("/")[2].removeprefix("serviceAccount:").partition("@")[0]


# --- Documents ---


def test_the_code_reads_calendars_as_terraform_writes_them(applied: Applied) -> None:
    documents = applied.of("google_firestore_document", "calendar")
    assert {each["collection"] for each in documents} == {"wired_calendars"}
    assert sorted(
        (records.wired_calendar(plain(each["fields"])) for each in documents), key=lambda c: c.slug
    ) == [
        WiredCalendar("ada", CalendarId("ada@example.com", "ada@example.com"), paused=True),
        WiredCalendar("town-hall", CalendarId("c_1a2b@group.calendar.google.com", ""), paused=False),
    ]


def test_the_code_reads_the_switch_as_terraform_writes_it(applied: Applied) -> None:
    switch = applied["google_firestore_document.switch"]
    assert f"{switch['collection']}/{switch['document_id']}" == "wiring/webhook"
    assert records.webhook_url(plain(switch["fields"])) == "https://a-function-abc123-ew.a.run.app"


@pytest.mark.parametrize(
    "written",
    [records.wired_calendar_document(WiredCalendar("a", CalendarId("a", ""))), records.webhook_document("")],
)
def test_terraform_writes_every_field_that_the_code_would(
    applied: Applied, written: Mapping[str, Any]
) -> None:
    documents = applied.of("google_firestore_document", "calendar" if "slug" in written else "switch")
    for each in documents:
        assert plain(each["fields"]).keys() == written.keys()


def plain(fields: str) -> dict[str, Any]:
    """Firestore's typed JSON as its client gives it (REST reference: Value)."""

    def value(typed: Mapping[str, Any]) -> Any:
        ((kind, held),) = typed.items()
        match kind:
            case "integerValue":
                return int(held)
            case "mapValue":
                return {name: value(each) for name, each in held["fields"].items()}
            case "stringValue" | "booleanValue":
                return held
        raise AssertionError(f"no record of ours has a {kind}")

    return {name: value(each) for name, each in json.loads(fields).items()}


# --- Doors, jobs and tasks ---


def test_each_function_has_a_door_of_main(applied: Applied) -> None:
    for door in ("webhook", "worker"):
        (build,) = applied[f"google_cloudfunctions2_function.{door}"]["build_config"]
        assert build["entry_point"] == door
        assert callable(getattr(main, build["entry_point"]))


def test_each_job_calls_a_path_of_the_worker(applied: Applied) -> None:
    url = environment(applied, "worker")["SYNC_WORKER_URL"]
    for job in applied.of("google_cloud_scheduler_job", "this"):
        (target,) = job["http_target"]
        assert target["http_method"] in main._WORKER[target["uri"].removeprefix(url)]


def test_every_path_below_jobs_has_a_job(applied: Applied) -> None:
    called = {
        job["http_target"][0]["uri"].rpartition("/")[2]
        for job in applied.of("google_cloud_scheduler_job", "this")
    }
    assert called == {path.removeprefix("/jobs/") for path in main._WORKER if path.startswith("/jobs/")}


def test_a_worker_ends_before_the_queue_loses_patience_and_a_job_waits_for_it(applied: Applied) -> None:
    (service,) = applied["google_cloudfunctions2_function.worker"]["service_config"]
    assert service["timeout_seconds"] < 600  # a task without a dispatch deadline has ten minutes
    for job in applied.of("google_cloud_scheduler_job", "this"):
        assert job["attempt_deadline"] == f"{service['timeout_seconds']}s"


# --- The ledger ---


def test_the_store_and_its_indexes_are_in_the_same_database(applied: Applied) -> None:
    assert FirestoreStore.__doc__
    name = applied["google_firestore_database.this"]["name"]
    kinds = ("google_firestore_index", "google_firestore_field", "google_firestore_document")
    places = {each["values"]["database"] for each in applied.resources if each["type"] in kinds}
    assert places == {name}


def test_tasks_go_to_the_queue_that_is_made_as_the_account_that_may_call_the_worker(
    applied: Applied, tmp_path: Path
) -> None:
    queue = applied["google_cloud_tasks_queue.this"]
    chosen = judged(applied, "webhook", tmp_path)
    assert chosen.queue == f"projects/{queue['project']}/locations/{queue['location']}/queues/{queue['name']}"
    caller = applied["google_cloud_run_v2_service_iam_member.dispatch"]["member"]
    assert f"serviceAccount:{chosen.dispatch_account}" == caller


def test_the_region_is_where_the_doors_stand(applied: Applied, tmp_path: Path) -> None:
    worker = applied["google_cloudfunctions2_function.worker"]
    chosen = judged(applied, "worker", tmp_path)
    assert (chosen.project, chosen.region) == (worker["project"], worker["location"])


def test_the_queue_is_as_fast_and_as_patient_as_was_said(applied: Applied) -> None:
    queue = applied["google_cloud_tasks_queue.this"]
    (limits,), (retries,) = queue["rate_limits"], queue["retry_config"]
    assert limits["max_dispatches_per_second"] == 7
    assert (retries["max_attempts"], retries["min_backoff"], retries["max_backoff"]) == (9, "3s", "200s")


def test_records_are_forgotten_and_indexes_run_as_the_queries_do(applied: Applied) -> None:
    fields = applied.of("google_firestore_field", "forget_at")
    assert [each["collection"] for each in fields if len(each["ttl_config"]) != 1] == []
    indexes = applied.of("google_firestore_index", "this")
    assert {field["order"] for each in indexes for field in each["fields"]} == {"ASCENDING"}


def test_old_images_go(applied: Applied) -> None:
    policies = applied["google_artifact_registry_repository.images"]["cleanup_policies"]
    assert {each["action"] for each in policies} == {"KEEP", "DELETE"}


def test_the_archive_holds_what_is_deployed_and_nothing_that_changes_by_itself(applied: Applied) -> None:
    packed = {each["filename"]: each["content"] for each in applied["data.archive_file.source"]["source"]}
    assert {"main.py", "sync/wiring.py"} <= packed.keys()
    assert [path for path in packed if path.startswith("sync/cli/")] == []
    assert packed == {path: (Path(__file__).parents[2] / path).read_text() for path in packed}
