# One identity for each duty, with rights on single targets. Nothing runs as Compute Engine's default account.
# A right to one thing stands beside that thing; here are those that only the project can grant.

locals {
  identities = {
    build    = "builds the functions"
    webhook  = "takes Google Calendar's notifications"
    worker   = "reads calendars and calls conference systems"
    dispatch = "calls the worker, for the queue and the scheduler"
  }
  member = { for name, account in google_service_account.this : name => "serviceAccount:${account.email}" }
}

resource "google_service_account" "this" {
  for_each = local.identities

  project      = var.project_id
  account_id   = "${var.prefix}-${each.key}"
  display_name = "${var.prefix}: ${each.value}"

  depends_on = [time_sleep.services]
}

resource "google_project_iam_member" "build_logs" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = local.member.build
}

# Cloud Functions copies the source to a bucket of its own, and builds from there.
resource "google_project_iam_member" "build_source" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = local.member.build

  condition {
    title = "sources_of_functions_only"
    expression = join(" || ", [
      "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${google_storage_bucket.source.project_number}-${var.region}\")",
      "resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.source.name}\")",
    ])
  }
}

resource "google_project_iam_member" "worker_database" {
  project = var.project_id
  role    = "roles/datastore.user"
  member  = local.member.worker

  condition {
    title      = "database_${replace(var.prefix, "-", "_")}_only"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.this.name}\""
  }
}

# Tasks carry a token of the dispatch account, so whoever creates them must be allowed to act as it, and as no other.
resource "google_service_account_iam_member" "act_as_dispatch" {
  for_each = toset(["webhook", "worker"])

  service_account_id = google_service_account.this["dispatch"].name
  role               = "roles/iam.serviceAccountUser"
  member             = local.member[each.key]
}

# Delegation without a key file: the worker may sign as itself, and as nobody else.
resource "google_service_account_iam_member" "worker_signs" {
  count = var.delegation ? 1 : 0

  service_account_id = google_service_account.this["worker"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.member.worker
}

# A grant holds after up to a minute. Without the wait, the first build fails every other time.
resource "time_sleep" "grants" {
  create_duration = var.settle.grants

  depends_on = [
    google_artifact_registry_repository_iam_member.build,
    google_project_iam_member.build_logs,
    google_project_iam_member.build_source,
    google_project_iam_member.worker_database,
    google_secret_manager_secret_iam_member.channel_key,
    google_secret_manager_secret_iam_member.conferences,
    google_service_account_iam_member.act_as_dispatch,
    google_service_account_iam_member.worker_signs,
  ]
}
