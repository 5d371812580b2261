# One whole apply. Of what it leaves in the state, tests/terraform/test_applied.py asks the code itself whether it
# would do: the doors' environment, rights, the documents, the jobs.

mock_provider "google" { source = "./tests/mocks" }
mock_provider "archive" {}
mock_provider "time" {}

override_resource {
  target = google_service_account.this["build"]
  values = { name = "projects/acme-meetings/serviceAccounts/build@acme-meetings.iam.gserviceaccount.com", email = "build@acme-meetings.iam.gserviceaccount.com" }
}
override_resource {
  target = google_service_account.this["webhook"]
  values = { name = "projects/acme-meetings/serviceAccounts/webhook@acme-meetings.iam.gserviceaccount.com", email = "webhook@acme-meetings.iam.gserviceaccount.com" }
}
override_resource {
  target = google_service_account.this["worker"]
  values = { name = "projects/acme-meetings/serviceAccounts/worker@acme-meetings.iam.gserviceaccount.com", email = "worker@acme-meetings.iam.gserviceaccount.com", unique_id = "117000000000000000001" }
}
override_resource {
  target = google_service_account.this["dispatch"]
  values = { name = "projects/acme-meetings/serviceAccounts/dispatch@acme-meetings.iam.gserviceaccount.com", email = "dispatch@acme-meetings.iam.gserviceaccount.com" }
}
override_resource {
  target = google_artifact_registry_repository.images
  values = { name = "calsync" }
}

variables {
  project_id = "acme-meetings"
  conferences = {
    providers = {
      zoom = {
        use = "zoom"
        options = {
          account_id    = "acme"
          client_id     = "acme-client"
          client_secret = { secret = "zoom" }
        }
      }
    }
  }
  mode       = "observe"
  canary     = "town-hall"
  delegation = true
  enrol      = { audiences = ["1234-add-on.apps.googleusercontent.com"], domains = ["example.com"] }
  times      = { bucket = 10, grace = 7200 }
  queue      = { max_dispatches_per_second = 7, max_attempts = 9, min_backoff = "3s", max_backoff = "200s" }
  calendars = {
    town-hall = { id = "c_1a2b@group.calendar.google.com" }
    ada       = { id = "ada@example.com", subject = "ada@example.com", paused = true }
  }
}

run "everything_is_made" {
  assert {
    condition     = output.webhook_url == "https://a-function-abc123-ew.a.run.app"
    error_message = "channels notify the webhook"
  }
  assert {
    condition     = alltrue([for each in google_secret_manager_secret_version.channel_key : each.secret_data_wo == null && each.secret_data == null])
    error_message = "a channel key is in the state"
  }
  assert {
    condition     = strcontains(output.next_steps, "gcloud secrets versions add calsync-zoom --project=acme-meetings") && strcontains(output.next_steps, "gcloud scheduler jobs run calsync-converge")
    error_message = "the next steps, with the names of this installation"
  }
  assert {
    condition     = output.delegation.scope == "https://www.googleapis.com/auth/calendar.events.readonly"
    error_message = "the least scope"
  }
}
