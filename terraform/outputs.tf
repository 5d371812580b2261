output "webhook_url" {
  description = "Where watch channels notify; with /enrol behind it, where add-ons enrol calendars."
  value       = jsondecode(google_firestore_document.switch.fields).url.stringValue
}

output "worker_url" {
  description = "Where tasks and jobs go. Only the dispatch account gets in, and only from inside the project."
  value       = local.worker_url
}

output "worker_account" {
  description = "The account that reads calendars: share each calendar with this address, or allow it by delegation."
  value       = google_service_account.this["worker"].email
}

output "delegation" {
  description = "What a Workspace administrator allows for delegation: the client ID, and the scope; one that may write only if a provider has write_back."
  value = var.delegation ? {
    client_id = google_service_account.this["worker"].unique_id
    scope = (
      strcontains(local.conferences, "\"write_back\":true")
      ? "https://www.googleapis.com/auth/calendar.events"
      : "https://www.googleapis.com/auth/calendar.events.readonly"
    )
  } : null
}

output "secrets" {
  description = "The containers that wait for a version of yours, by their short names."
  value       = { for name, secret in google_secret_manager_secret.conferences : name => secret.id }
}

output "queue" {
  description = "The queue that wakes wait in, by its full name."
  value       = google_cloud_tasks_queue.this.id
}

output "database" {
  description = "The Firestore database of the ledger."
  value       = google_firestore_database.this.name
}

output "next_steps" {
  description = "What is left to do, as commands."
  value = join("\n", concat(
    [
      var.delegation
      ? "# In the Workspace admin console, allow the client ID and the scope of output delegation (docs/deploy.md)."
      : "# Share each calendar with ${google_service_account.this["worker"].email} (docs/deploy.md).",
    ],
    [
      for name, secret in google_secret_manager_secret.conferences :
      "gcloud secrets versions add ${secret.secret_id} --project=${var.project_id} --data-file=-   # then type it, Ctrl-D"
    ],
    [
      "gcloud scheduler jobs run ${google_cloud_scheduler_job.this["converge"].name} --project=${var.project_id} --location=${var.region}   # now, and not within five minutes",
      "gcloud logging read 'resource.labels.service_name=\"${local.worker_name}\" AND jsonPayload.message:*' --project=${var.project_id} --freshness=10m",
    ],
    var.mode == "observe" ? ["# Nothing is called while mode is observe: look at the decisions, then set it to apply."] : [],
  ))
}
