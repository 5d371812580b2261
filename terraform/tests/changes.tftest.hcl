# What later applies change, from terraform.tfvars.example on. tests/terraform/test_changes.py counts.

mock_provider "google" { source = "./tests/mocks" }
mock_provider "archive" {}
mock_provider "time" {}

run "the_example" {
  assert {
    condition     = google_cloudfunctions2_function.worker.service_config[0].environment_variables["SYNC_MODE"] == "observe"
    error_message = "whoever starts, starts by observing"
  }
}

run "the_same_again" {
  command = plan
}

run "another_calendar" {
  command = plan
  variables {
    calendars = {
      town-hall = { id = "c_1a2b3c@group.calendar.google.com" }
      room      = { id = "c_4d5e@resource.calendar.google.com" }
    }
  }
}

run "switched_on" {
  command = plan
  variables {
    mode = "apply"
  }
}
