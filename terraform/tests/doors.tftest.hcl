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

run "only_the_webhook_is_public" {
  command = plan

  assert {
    condition     = [for each in google_cloud_run_v2_service_iam_member.public : "${each.name} ${each.role} ${each.member}"] == ["calsync-webhook roles/run.invoker allUsers"]
    error_message = "exactly the webhook is open to everybody"
  }
  assert {
    condition     = google_cloudfunctions2_function.webhook.service_config[0].ingress_settings == "ALLOW_ALL"
    error_message = "Google Calendar comes from outside"
  }
}

run "only_the_dispatch_account_comes_to_the_worker_and_only_from_inside" {
  command = plan

  assert {
    condition     = google_cloudfunctions2_function.worker.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
    error_message = "the worker is internal"
  }
  assert {
    condition     = "${google_cloud_run_v2_service_iam_member.dispatch.name} ${google_cloud_run_v2_service_iam_member.dispatch.member}" == "calsync-worker serviceAccount:dispatch@acme-meetings.iam.gserviceaccount.com"
    error_message = "the dispatch account calls the worker"
  }
  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.this : job.http_target[0].oidc_token[0].service_account_email == "dispatch@acme-meetings.iam.gserviceaccount.com"])
    error_message = "jobs come as the dispatch account"
  }
}

run "each_duty_has_its_own_identity" {
  command = plan

  assert {
    condition = [
      google_cloudfunctions2_function.webhook.service_config[0].service_account_email,
      google_cloudfunctions2_function.worker.service_config[0].service_account_email,
      google_cloudfunctions2_function.webhook.build_config[0].service_account,
      google_cloudfunctions2_function.worker.build_config[0].service_account,
    ] == ["webhook@acme-meetings.iam.gserviceaccount.com", "worker@acme-meetings.iam.gserviceaccount.com", "projects/acme-meetings/serviceAccounts/build@acme-meetings.iam.gserviceaccount.com", "projects/acme-meetings/serviceAccounts/build@acme-meetings.iam.gserviceaccount.com"]
    error_message = "nothing runs or is built as a default account"
  }
}

run "the_webhook_may_enqueue_act_as_dispatch_and_read_channel_keys_and_nothing_else" {
  command = plan

  assert {
    condition     = google_project_iam_member.worker_database.member == "serviceAccount:worker@acme-meetings.iam.gserviceaccount.com"
    error_message = "the database is the worker's"
  }
  assert {
    condition     = { for key, each in google_cloud_tasks_queue_iam_member.enqueue : key => each.member } == { webhook = "serviceAccount:webhook@acme-meetings.iam.gserviceaccount.com", worker = "serviceAccount:worker@acme-meetings.iam.gserviceaccount.com" }
    error_message = "both doors enqueue, in one queue"
  }
  assert {
    condition     = alltrue([for each in google_service_account_iam_member.act_as_dispatch : each.service_account_id == "projects/acme-meetings/serviceAccounts/dispatch@acme-meetings.iam.gserviceaccount.com" && each.role == "roles/iam.serviceAccountUser"])
    error_message = "both doors act as the dispatch account, and as no other"
  }
  assert {
    condition     = sort([for each in google_secret_manager_secret_iam_member.channel_key : "${each.secret_id} ${each.member}"]) == sort(flatten([for slot in ["even", "odd"] : [for who in ["webhook", "worker"] : "calsync-channel-key-${slot} serviceAccount:${who}@acme-meetings.iam.gserviceaccount.com"]]))
    error_message = "both doors read both channel keys"
  }
}

run "threads_are_as_many_as_requests_at_a_time" {
  command = plan

  variables {
    webhook = { concurrency = 60 }
    worker  = { concurrency = 5 }
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
}

run "both_doors_name_the_worker_by_an_address_that_is_known_before_it_is_made" {
  command = plan

  assert {
    condition = toset([
      for each in [google_cloudfunctions2_function.webhook, google_cloudfunctions2_function.worker] :
      each.service_config[0].environment_variables["SYNC_WORKER_URL"]
    ]) == toset(["https://calsync-worker-123456789012.europe-west1.run.app"])
    error_message = "the worker's own address"
  }
  assert {
    condition     = { for key, job in google_cloud_scheduler_job.this : key => "${job.http_target[0].uri} ${job.http_target[0].oidc_token[0].audience}" } == { for key in ["converge", "sweep"] : key => "https://calsync-worker-123456789012.europe-west1.run.app/jobs/${key} https://calsync-worker-123456789012.europe-west1.run.app" }
    error_message = "jobs go there too, and say so in their token"
  }
}

run "another_address_of_the_worker_is_used_everywhere" {
  command = plan

  variables {
    worker_url = "https://worker.example.com"
  }
  assert {
    condition     = google_cloudfunctions2_function.webhook.service_config[0].environment_variables["SYNC_WORKER_URL"] == "https://worker.example.com"
    error_message = "for tasks"
  }
  assert {
    condition     = google_cloud_scheduler_job.this["sweep"].http_target[0].uri == "https://worker.example.com/jobs/sweep"
    error_message = "and for jobs"
  }
}

run "observe_reaches_the_worker" {
  command = plan

  variables {
    mode = "observe"
  }
  assert {
    condition     = google_cloudfunctions2_function.worker.service_config[0].environment_variables["SYNC_MODE"] == "observe"
    error_message = "the worker only observes"
  }
}

run "without_all_users_nothing_is_granted_and_a_gateway_may_be_named" {
  command = plan

  variables {
    public_webhook = "external"
    webhook_url    = "https://hooks.example.com/calendar"
  }
  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.public) == 0
    error_message = "nobody is let in"
  }
  assert {
    condition     = jsondecode(google_firestore_document.switch.fields).url.stringValue == "https://hooks.example.com/calendar"
    error_message = "channels notify the gateway"
  }
}

run "delegation_lets_the_worker_sign_as_itself" {
  command = plan

  variables {
    delegation = true
    calendars  = { ada = { id = "ada@example.com", subject = "ada@example.com" } }
  }
  assert {
    condition     = [for each in google_service_account_iam_member.worker_signs : "${each.service_account_id} ${each.role} ${each.member}"] == ["projects/acme-meetings/serviceAccounts/worker@acme-meetings.iam.gserviceaccount.com roles/iam.serviceAccountTokenCreator serviceAccount:worker@acme-meetings.iam.gserviceaccount.com"]
    error_message = "as itself, and as nobody else"
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

run "without_delegation_nobody_signs" {
  command = plan

  assert {
    condition     = length(google_service_account_iam_member.worker_signs) == 0 && !contains(keys(google_cloudfunctions2_function.worker.service_config[0].environment_variables), "SYNC_DELEGATION")
    error_message = "no right and no setting"
  }
}
