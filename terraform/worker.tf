# The private door: only the dispatch account comes in, and only from inside the project.

resource "google_cloudfunctions2_function" "worker" {
  project     = var.project_id
  location    = var.region
  name        = local.worker_name
  description = "Brings conferences into step with one calendar for each call, and keeps calendars watched"
  labels      = local.labels

  build_config {
    runtime           = "python313"
    entry_point       = "worker"
    service_account   = google_service_account.this["build"].id
    docker_repository = google_artifact_registry_repository.images.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }
    automatic_update_policy {}
  }

  service_config {
    service_account_email            = google_service_account.this["worker"].email
    ingress_settings                 = "ALLOW_INTERNAL_ONLY" # as are Cloud Tasks and Cloud Scheduler of this project
    available_cpu                    = var.worker.cpu
    available_memory                 = var.worker.memory
    max_instance_request_concurrency = var.worker.concurrency
    min_instance_count               = var.worker.min_instances
    max_instance_count               = var.worker.max_instances
    timeout_seconds                  = var.worker.timeout_seconds

    environment_variables = merge(
      local.environment,
      {
        THREADS          = tostring(var.worker.concurrency) # else functions-framework serves four at a time for each CPU
        SYNC_STORE       = "firestore"
        SYNC_DATABASE    = google_firestore_database.this.name
        SYNC_CONFERENCES = local.conferences
        SYNC_MODE        = var.mode
      },
      var.canary == null ? {} : { SYNC_CANARY = var.canary },
      var.delegation ? {
        SYNC_DELEGATION        = google_service_account.this["worker"].email
        SYNC_DELEGATION_CLIENT = google_service_account.this["worker"].unique_id
      } : {},
    )

    dynamic "secret_volumes" {
      for_each = local.channel_key_volumes
      content {
        mount_path = secret_volumes.key
        project_id = var.project_id
        secret     = secret_volumes.value
        versions {
          version = "latest"
          path    = "key"
        }
      }
    }
  }

  depends_on = [
    google_secret_manager_secret_version.channel_key,
    time_sleep.grants,
  ]
}

# A right to invoke a function is a right to its Cloud Run service. A service that is made anew has lost it.
resource "google_cloud_run_v2_service_iam_member" "dispatch" {
  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.worker.name
  role     = "roles/run.invoker"
  member   = local.member.dispatch

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.worker.id]
  }
}
