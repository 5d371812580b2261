# Mistakes are refused before anything is made, all of them at once. What each is told: tests/terraform/test_variables.py.

mock_provider "google" { source = "./tests/mocks" }
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project_id  = "acme-meetings"
  conferences = { providers = { zoom = { use = "zoom", options = {} } } }
}

run "each_of_these_is_refused" {
  command = plan
  variables {
    project_id          = "123456789012" # a number
    conferences         = { providers = {} }
    calendars           = { "Town hall" = { id = "a@example.com" } } # no slug
    mode                = "dry-run"
    region              = "eur3"                                                                   # a multi-region
    prefix              = "calendar-conference-sync"                                               # too long for an account's name
    enrol               = { audiences = ["1234-add-on.apps.googleusercontent.com"], domains = [] } # anybody
    channel_key_version = 1.5
    public_webhook      = "everybody"
    webhook_url         = "http://hooks.example.com"         # Google notifies https only
    worker_url          = "https://worker.example.com/tasks" # with a path
    webhook             = { cpu = "0.5" }                    # and 80 requests at a time
    worker              = { timeout_seconds = 600 }          # longer than the queue's patience
    alert_emails        = ["ops"]
    settle              = { unwire = "360" } # no unit
  }
  expect_failures = [
    var.project_id, var.conferences, var.calendars, var.mode, var.region, var.prefix, var.enrol,
    var.channel_key_version, var.public_webhook, var.webhook_url, var.worker_url, var.webhook, var.worker,
    var.alert_emails, var.settle,
  ]
}
