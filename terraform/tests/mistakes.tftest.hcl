# Each mistake is refused before anything is made, by a sentence that names it. Many at a time: each must be found.

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

run "and_these" {
  command = plan
  variables {
    conferences           = { providers = { zoom = { options = {} } } } # no use
    calendars             = { a = { id = "primary" } }
    prefix                = "cal"
    enrol                 = { audiences = ["1234-add-on.apps.googleusercontent.com"], domains = ["@example.com"] }
    channel_key_version   = 0
    webhook               = { max_instances = 0 }
    worker                = { min_instances = 5 } # and at most 4
    notification_channels = ["ops"]
  }
  expect_failures = [
    var.conferences, var.calendars, var.prefix, var.enrol, var.channel_key_version, var.webhook, var.worker,
    var.notification_channels,
  ]
}

run "a_name_that_the_worker_would_refuse_and_a_calendar_twice" {
  command = plan
  variables {
    conferences = { providers = { "Zoom EMEA" = { use = "zoom" } } }
    calendars   = { a = { id = "a@example.com" }, b = { id = "A@example.com" } }
  }
  expect_failures = [var.conferences, var.calendars]
}

run "a_secret_named_like_a_key_of_ours_and_a_subject_without_delegation" {
  command = plan
  variables {
    conferences = { providers = { zoom = { use = "zoom", options = { key = { secret = "channel-key-odd" } } } } }
    calendars   = { a = { id = "a@example.com", subject = "a@example.com" } }
  }
  expect_failures = [var.conferences, var.calendars]
}

run "a_secret_with_a_name_that_is_neither_short_nor_full_and_a_canary_that_is_not_wired" {
  command = plan
  variables {
    canary      = "somewhere"
    conferences = { providers = { zoom = { use = "zoom", options = { key = { secret = "Zoom_Secret" } } } } }
  }
  expect_failures = [var.conferences, var.canary]
}
