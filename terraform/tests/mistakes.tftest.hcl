# Each mistake is refused before anything is made, by a sentence that names it.

mock_provider "google" { source = "./tests/mocks" }
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project_id  = "acme-meetings"
  conferences = { providers = { zoom = { use = "zoom", options = {} } } }
}

run "a_project_number" {
  command = plan
  variables { project_id = "123456789012" }
  expect_failures = [var.project_id]
}

run "no_conference_system" {
  command = plan
  variables { conferences = { providers = {} } }
  expect_failures = [var.conferences]
}

run "a_conference_system_without_use" {
  command = plan
  variables { conferences = { providers = { zoom = { options = {} } } } }
  expect_failures = [var.conferences]
}

run "a_name_of_a_conference_system_that_the_worker_would_refuse" {
  command = plan
  variables { conferences = { providers = { "Zoom EMEA" = { use = "zoom" } } } }
  expect_failures = [var.conferences]
}

run "a_secret_that_would_be_named_like_a_key_of_ours" {
  command = plan
  variables {
    conferences = { providers = { zoom = { use = "zoom", options = { key = { secret = "channel-key-odd" } } } } }
  }
  expect_failures = [var.conferences]
}

run "a_secret_with_a_name_that_is_neither_short_nor_full" {
  command = plan
  variables {
    conferences = { providers = { zoom = { use = "zoom", options = { key = { secret = "Zoom_Secret" } } } } }
  }
  expect_failures = [var.conferences]
}

run "a_key_of_a_calendar_that_is_no_slug" {
  command = plan
  variables { calendars = { "Town hall" = { id = "a@example.com" } } }
  expect_failures = [var.calendars]
}

run "a_calendar_called_primary" {
  command = plan
  variables { calendars = { a = { id = "primary" } } }
  expect_failures = [var.calendars]
}

run "the_same_calendar_twice" {
  command = plan
  variables { calendars = { a = { id = "a@example.com" }, b = { id = "A@example.com" } } }
  expect_failures = [var.calendars]
}

run "a_subject_without_delegation" {
  command = plan
  variables { calendars = { a = { id = "a@example.com", subject = "a@example.com" } } }
  expect_failures = [var.calendars]
}

run "enrolment_for_anybody" {
  command = plan
  variables {
    enrol = { audiences = ["1234-add-on.apps.googleusercontent.com"], domains = [] }
  }
  expect_failures = [var.enrol]
}

run "a_mode_that_there_is_not" {
  command = plan
  variables { mode = "dry-run" }
  expect_failures = [var.mode]
}

run "a_multi_region" {
  command = plan
  variables { region = "eur3" }
  expect_failures = [var.region]
}

run "a_prefix_that_is_too_long_for_an_account" {
  command = plan
  variables { prefix = "calendar-conference-sync" }
  expect_failures = [var.prefix]
}

run "a_rotation_by_half" {
  command = plan
  variables { channel_key_version = 1.5 }
  expect_failures = [var.channel_key_version]
}

run "another_way_to_open_the_webhook" {
  command = plan
  variables { public_webhook = "everybody" }
  expect_failures = [var.public_webhook]
}

run "an_address_that_google_does_not_notify" {
  command = plan
  variables { webhook_url = "http://hooks.example.com" }
  expect_failures = [var.webhook_url]
}

run "an_address_of_the_worker_with_a_path" {
  command = plan
  variables { worker_url = "https://worker.example.com/tasks" }
  expect_failures = [var.worker_url]
}

run "more_requests_at_a_time_than_half_a_cpu_may_take" {
  command = plan
  variables { webhook = { cpu = "0.5" } }
  expect_failures = [var.webhook]
}

run "a_worker_that_is_slower_than_the_patience_of_the_queue" {
  command = plan
  variables { worker = { timeout_seconds = 600 } }
  expect_failures = [var.worker]
}

run "an_alert_for_nobody" {
  command = plan
  variables { alert_emails = ["ops"] }
  expect_failures = [var.alert_emails]
}

run "a_wait_without_a_unit" {
  command = plan
  variables { settle = { unwire = "360" } }
  expect_failures = [var.settle]
}
