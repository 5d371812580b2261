# The doors: who may open them, as whom they run, what they are told.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}
mock_provider "archive" {}
mock_provider "time" {}

override_resource {
  override_during = plan
  target          = google_service_account.this["build"]
  values          = { id = "projects/acme-meetings/serviceAccounts/build@acme-meetings.iam.gserviceaccount.com", name = "projects/acme-meetings/serviceAccounts/build@acme-meetings.iam.gserviceaccount.com", email = "build@acme-meetings.iam.gserviceaccount.com" }
}
override_resource {
  override_during = plan
  target          = google_service_account.this["webhook"]
  values          = { id = "projects/acme-meetings/serviceAccounts/webhook@acme-meetings.iam.gserviceaccount.com", name = "projects/acme-meetings/serviceAccounts/webhook@acme-meetings.iam.gserviceaccount.com", email = "webhook@acme-meetings.iam.gserviceaccount.com" }
}
override_resource {
  override_during = plan
  target          = google_service_account.this["worker"]
  values          = { id = "projects/acme-meetings/serviceAccounts/worker@acme-meetings.iam.gserviceaccount.com", name = "projects/acme-meetings/serviceAccounts/worker@acme-meetings.iam.gserviceaccount.com", email = "worker@acme-meetings.iam.gserviceaccount.com", unique_id = "117000000000000000001" }
}
override_resource {
  override_during = plan
  target          = google_service_account.this["dispatch"]
  values          = { id = "projects/acme-meetings/serviceAccounts/dispatch@acme-meetings.iam.gserviceaccount.com", name = "projects/acme-meetings/serviceAccounts/dispatch@acme-meetings.iam.gserviceaccount.com", email = "dispatch@acme-meetings.iam.gserviceaccount.com" }
}

variables {
  project_id  = "acme-meetings"
  conferences = { providers = { zoom = { use = "zoom", options = {} } } }
}

run "only_the_webhook_is_public_and_each_duty_has_its_own_identity" {
  command = plan

  assert {
    condition     = [for each in google_cloud_run_v2_service_iam_member.public : "${each.name} ${each.role} ${each.member}"] == ["calsync-webhook roles/run.invoker allUsers"]
    error_message = "exactly the webhook is open to everybody"
  }
  assert {
    condition     = google_cloudfunctions2_function.webhook.service_config[0].ingress_settings == "ALLOW_ALL"
    error_message = "Google Calendar comes from outside"
  }
  assert {
    condition     = google_cloudfunctions2_function.worker.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
    error_message = "the worker is called from inside only"
  }
  assert {
    condition     = "${google_cloud_run_v2_service_iam_member.dispatch.name} ${google_cloud_run_v2_service_iam_member.dispatch.member}" == "calsync-worker serviceAccount:dispatch@acme-meetings.iam.gserviceaccount.com"
    error_message = "the dispatch account calls the worker"
  }
  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.this : job.http_target[0].oidc_token[0].service_account_email == "dispatch@acme-meetings.iam.gserviceaccount.com"])
    error_message = "jobs come as the dispatch account"
  }
  assert {
    condition = [
      google_cloudfunctions2_function.webhook.service_config[0].service_account_email,
      google_cloudfunctions2_function.worker.service_config[0].service_account_email,
      google_cloudfunctions2_function.webhook.build_config[0].service_account,
      google_cloudfunctions2_function.worker.build_config[0].service_account,
    ] == ["webhook@acme-meetings.iam.gserviceaccount.com", "worker@acme-meetings.iam.gserviceaccount.com", "projects/acme-meetings/serviceAccounts/build@acme-meetings.iam.gserviceaccount.com", "projects/acme-meetings/serviceAccounts/build@acme-meetings.iam.gserviceaccount.com"]
    error_message = "nothing runs or is built as a default account"
  }
  assert {
    condition = toset([
      for each in [google_cloudfunctions2_function.webhook, google_cloudfunctions2_function.worker] :
      each.service_config[0].environment_variables["SYNC_WORKER_URL"]
    ]) == toset(["https://calsync-worker-123456789012.europe-west1.run.app"])
    error_message = "both doors name the worker by an address that is known before it is made"
  }
  assert {
    condition     = { for key, job in google_cloud_scheduler_job.this : key => "${job.http_target[0].uri} ${job.http_target[0].oidc_token[0].audience}" } == { for key in ["converge", "sweep"] : key => "https://calsync-worker-123456789012.europe-west1.run.app/jobs/${key} https://calsync-worker-123456789012.europe-west1.run.app" }
    error_message = "jobs go there too, and say so in their token"
  }
  assert {
    condition     = length(google_service_account_iam_member.worker_signs) == 0 && !contains(keys(google_cloudfunctions2_function.worker.service_config[0].environment_variables), "SYNC_DELEGATION")
    error_message = "without delegation nobody signs"
  }
}

run "what_is_said_of_the_doors_is_used" {
  command = plan

  variables {
    webhook        = { concurrency = 60 }
    worker         = { concurrency = 5 }
    worker_url     = "https://worker.example.com"
    mode           = "observe"
    public_webhook = "external"
    webhook_url    = "https://hooks.example.com/calendar"
    delegation     = true
    calendars      = { ada = { id = "ada@example.com", subject = "ada@example.com" } }
  }
  assert {
    condition = [
      for each in [google_cloudfunctions2_function.webhook, google_cloudfunctions2_function.worker] :
      [each.service_config[0].environment_variables["THREADS"], each.service_config[0].max_instance_request_concurrency]
    ] == [["60", 60], ["5", 5]]
    error_message = "functions-framework serves four requests at a time for each CPU, unless THREADS says otherwise"
  }
  assert {
    condition     = google_cloud_tasks_queue.this.rate_limits[0].max_concurrent_dispatches == 20
    error_message = "no more tasks at a time than the worker has threads"
  }
  assert {
    condition     = google_cloudfunctions2_function.webhook.service_config[0].environment_variables["SYNC_WORKER_URL"] == "https://worker.example.com"
    error_message = "tasks go to another address of the worker"
  }
  assert {
    condition     = google_cloud_scheduler_job.this["sweep"].http_target[0].uri == "https://worker.example.com/jobs/sweep"
    error_message = "and jobs go there"
  }
  assert {
    condition     = google_cloudfunctions2_function.worker.service_config[0].environment_variables["SYNC_MODE"] == "observe"
    error_message = "the worker only observes"
  }
  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.public) == 0
    error_message = "without all_users nobody is let in"
  }
  assert {
    condition     = jsondecode(google_firestore_document.switch.fields).url.stringValue == "https://hooks.example.com/calendar"
    error_message = "channels notify the gateway"
  }
  assert {
    condition     = google_cloudfunctions2_function.worker.service_config[0].environment_variables["SYNC_DELEGATION"] == "worker@acme-meetings.iam.gserviceaccount.com"
    error_message = "the worker knows as whom to sign"
  }
  assert {
    condition     = contains(keys(google_project_service.this), "iamcredentials.googleapis.com")
    error_message = "signing needs an API"
  }
}
