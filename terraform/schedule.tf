# What happens without anybody asking.

locals {
  jobs = {
    converge = "Opens, renews and stops watch channels, until they are as wired"
    sweep    = "Wakes the calendars that nobody has looked at lately"
  }
}

resource "google_cloud_scheduler_job" "this" {
  for_each = local.jobs

  project          = var.project_id
  region           = var.region
  name             = "${var.prefix}-${each.key}"
  description      = each.value
  schedule         = var.schedule[each.key]
  time_zone        = "Etc/UTC"
  attempt_deadline = "${var.worker.timeout_seconds}s"

  retry_config {
    retry_count          = 3
    min_backoff_duration = "10s"
    max_backoff_duration = "60s"
    max_doublings        = 3
  }

  http_target {
    http_method = "POST"
    uri         = "${local.worker_url}/jobs/${each.key}"

    oidc_token {
      service_account_email = google_service_account.this["dispatch"].email
      audience              = local.worker_url
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.dispatch]
}
