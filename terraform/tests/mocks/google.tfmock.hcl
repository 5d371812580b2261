# What Google would answer: only what other resources are made of.

mock_resource "google_cloudfunctions2_function" {
  defaults = {
    id             = "projects/acme-meetings/locations/europe-west1/functions/a-function"
    service_config = { uri = "https://a-function-abc123-ew.a.run.app" }
  }
}

mock_resource "google_storage_bucket" {
  defaults = { project_number = 123456789012 }
}

mock_resource "google_service_account" {
  defaults = {
    unique_id = "117000000000000000001"
    id        = "projects/acme-meetings/serviceAccounts/somebody@acme-meetings.iam.gserviceaccount.com"
    name      = "projects/acme-meetings/serviceAccounts/somebody@acme-meetings.iam.gserviceaccount.com"
    email     = "somebody@acme-meetings.iam.gserviceaccount.com"
  }
}

mock_resource "google_secret_manager_secret" {
  defaults = { id = "projects/acme-meetings/secrets/a-secret" }
}
