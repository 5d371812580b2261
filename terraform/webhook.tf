# The public door: it checks a token, stores a task, and may do nothing else.

resource "google_cloudfunctions2_function" "webhook" {
  #checkov:skip=CKV_GCP_124:Google Calendar comes from the internet; each request must carry the token of its channel.
  project     = var.project_id
  location    = var.region
  name        = local.webhook_name
  description = "Takes Google Calendar's notifications and keeps a wake for each"
  labels      = local.labels

  build_config {
    runtime           = "python313"
    entry_point       = "webhook"
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
    service_account_email            = google_service_account.this["webhook"].email
    ingress_settings                 = "ALLOW_ALL"
    available_cpu                    = var.webhook.cpu
    available_memory                 = var.webhook.memory
    max_instance_request_concurrency = var.webhook.concurrency
    min_instance_count               = var.webhook.min_instances
    max_instance_count               = var.webhook.max_instances
    timeout_seconds                  = 20

    environment_variables = merge(local.environment, {
      THREADS = tostring(var.webhook.concurrency) # else functions-framework serves four at a time for each CPU
    })

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

# Google Calendar shows no identity. Who may come in is said by the token of each channel, which the door checks.
resource "google_cloud_run_v2_service_iam_member" "public" {
  count = var.public_webhook == "all_users" ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.webhook.name
  role     = "roles/run.invoker"
  member   = "allUsers"

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.webhook.id]
  }
}
