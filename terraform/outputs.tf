output "webhook_url" {
  description = "Where watch channels notify."
  value       = jsondecode(google_firestore_document.switch.fields).url.stringValue
}

output "worker_url" {
  description = "Where tasks and jobs go. Only the dispatch account gets in."
  value       = local.worker_url
}

output "worker_account" {
  description = "The account that reads calendars: share each calendar with this address, or allow it by delegation."
  value       = google_service_account.this["worker"].email
}
