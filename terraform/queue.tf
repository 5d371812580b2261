# The durable hand-over from the webhook to the worker. Each task says where it goes and as whom: sync/google/tasks.py.

resource "google_cloud_tasks_queue" "this" {
  project  = var.project_id
  location = var.region
  name     = local.queue_name

  rate_limits {
    max_dispatches_per_second = var.queue.max_dispatches_per_second
    max_concurrent_dispatches = var.worker.max_instances * var.worker.concurrency
  }

  # After the last attempt, about an hour later, the sweep takes over: Cloud Tasks keeps no dead letters.
  retry_config {
    max_attempts  = var.queue.max_attempts
    min_backoff   = var.queue.min_backoff
    max_backoff   = var.queue.max_backoff
    max_doublings = 7
  }

  stackdriver_logging_config {
    sampling_ratio = 1.0
  }

  depends_on = [time_sleep.services]
}

resource "google_cloud_tasks_queue_iam_member" "enqueue" {
  for_each = toset(["webhook", "worker"])

  project  = var.project_id
  location = google_cloud_tasks_queue.this.location
  name     = google_cloud_tasks_queue.this.name
  role     = "roles/cloudtasks.enqueuer"
  member   = local.member[each.key]
}
