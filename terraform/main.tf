# The names that everything else uses, and the APIs that everything else needs.

locals {
  labels = merge({ app = var.prefix, managed-by = "terraform" }, var.labels)

  webhook_name  = "${var.prefix}-webhook"
  worker_name   = "${var.prefix}-worker"
  database_name = var.prefix
  queue_name    = "${var.prefix}-${random_id.suffix.hex}"
  queue_id      = "projects/${var.project_id}/locations/${var.region}/queues/${local.queue_name}"

  # Cloud Run gives every service an address that is known before the service is made. The worker needs its own:
  # it creates tasks too. https://cloud.google.com/run/docs/triggering/https-request#deterministic
  worker_url = coalesce(
    var.worker_url,
    "https://${local.worker_name}-${google_storage_bucket.source.project_number}.${var.region}.run.app",
  )

  services = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "calendar-json.googleapis.com",
      "cloudbuild.googleapis.com",
      "cloudfunctions.googleapis.com",
      "cloudscheduler.googleapis.com",
      "cloudtasks.googleapis.com",
      "firestore.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
      "storage.googleapis.com",
    ],
    var.delegation ? ["iamcredentials.googleapis.com"] : [],
  ))
}

resource "google_project_service" "this" {
  for_each = local.services

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false # others in the project may use it
}

# An API that was enabled a moment ago may still refuse calls.
resource "time_sleep" "services" {
  create_duration = var.settle.services
  triggers        = { services = join(" ", sort([for each in google_project_service.this : each.service])) }
}

# For names that cannot be used again for days after they were deleted: the queue's and the bucket's.
resource "random_id" "suffix" {
  byte_length = 3
}
