# One whole apply. Of what it leaves in the state, tests/terraform/test_applied.py asks the code itself whether it
# would do: the doors' environment, the documents, the jobs.

mock_provider "google" { source = "./tests/mocks" }
mock_provider "archive" {}
mock_provider "time" {}

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
