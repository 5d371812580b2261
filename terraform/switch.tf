# The switch: where channels notify. Made last, so that channels are opened when everything else is there. Removed
# first: while there is no such document, converge stops every channel; only then goes what it needs for that.
# With var.deletion_protection, destroy is refused here, before anything is gone.

resource "time_sleep" "unwire" {
  destroy_duration = var.settle.unwire

  # Every resource that nothing else needs: whatever is missing here would be destroyed before the switch.
  depends_on = [
    google_cloud_run_v2_service_iam_member.public,
    google_cloud_scheduler_job.this,
    google_cloud_tasks_queue_iam_member.enqueue,
    google_firestore_document.calendar,
    google_firestore_field.forget_at,
    google_firestore_field.not_indexed,
    google_firestore_index.this,
    google_logging_project_exclusion.refusals,
    google_monitoring_alert_policy.this,
    google_monitoring_dashboard.this,
  ]
}

resource "google_firestore_document" "switch" {
  project         = var.project_id
  database        = google_firestore_database.this.name
  collection      = "wiring"
  document_id     = "webhook"
  deletion_policy = var.deletion_protection ? "PREVENT" : "DELETE"

  fields = jsonencode({
    schema = { integerValue = "1" }
    url    = { stringValue = coalesce(var.webhook_url, google_cloudfunctions2_function.webhook.service_config[0].uri) }
  })

  depends_on = [time_sleep.unwire]
}
