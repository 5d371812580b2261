# Monitoring: which records become metrics, whom alerts tell, what the log leaves out.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project_id  = "acme-meetings"
  prefix      = "acme-sync"
  region      = "europe-north1"
  conferences = { providers = { zoom = { use = "zoom", options = {} } } }
}

run "metrics_count_records_of_our_two_doors_in_our_region_and_without_anybody_to_tell_there_is_no_alert" {
  command = plan

  assert {
    condition = google_logging_metric.this["passes"].filter == join(" AND ", [
      "resource.type=\"cloud_run_revision\"",
      "resource.labels.location=\"europe-north1\"",
      "resource.labels.service_name=(\"acme-sync-webhook\" OR \"acme-sync-worker\")",
      "jsonPayload.message=(\"pass\")",
    ])
    error_message = "passes of this installation, and no others"
  }
  assert {
    condition = [
      google_logging_metric.this["passes"].name,
      google_logging_metric.this["passes"].metric_descriptor[0].value_type,
      google_logging_metric.this["passes"].label_extractors["outcome"],
    ] == ["acme_sync_passes", "INT64", "EXTRACT(jsonPayload.outcome)"]
    error_message = "a name that PromQL takes as it is; each pass once, by its outcome"
  }
  assert {
    condition     = endswith(google_logging_metric.this["notice_to_applied"].filter, "AND jsonPayload.message=(\"decision\") AND jsonPayload.since_notified_s>=0")
    error_message = "decisions without it are no zeros"
  }
  assert {
    condition     = google_logging_metric.this["notice_to_applied"].value_extractor == "EXTRACT(jsonPayload.since_notified_s)"
    error_message = "the field itself"
  }
  assert {
    condition     = google_logging_metric.this["notice_to_applied"].label_extractors["provider"] == "REGEXP_EXTRACT(jsonPayload.conference, \"^([^:]+):\")"
    error_message = "of a conference only its provider becomes a label"
  }
  assert {
    condition     = alltrue([for metric in google_logging_metric.this : length(setintersection([for label in metric.metric_descriptor[0].labels : label.key], keys(metric.label_extractors))) == length(metric.label_extractors)])
    error_message = "every label that is extracted is declared"
  }
  assert {
    condition     = length(google_monitoring_alert_policy.this) == 0 && length(google_monitoring_notification_channel.email) == 0
    error_message = "conditions cost money"
  }
  assert {
    condition     = length(google_logging_metric.this) > 15
    error_message = "metrics cost none"
  }
  assert {
    condition     = strcontains(google_logging_project_exclusion.refusals.filter, "service_name=\"acme-sync-webhook\"") && endswith(google_logging_project_exclusion.refusals.filter, "log_id(\"run.googleapis.com/requests\") AND httpRequest.status<500")
    error_message = "of the webhook only, of the platform only, and never a failure"
  }
}

run "every_alert_tells_everybody_and_brings_its_playbook_and_the_objective_is_counted_exactly" {
  command = plan

  variables {
    alert_emails          = ["ops@example.com"]
    notification_channels = ["projects/acme-meetings/notificationChannels/1"]
    freshness             = { percent = 99, seconds = 90 }
  }
  assert {
    condition     = contains(google_logging_metric.this["notice_to_applied"].bucket_options[0].explicit_buckets[0].bounds, 90)
    error_message = "it is a bound of the distribution"
  }
  assert {
    condition     = strcontains(local.alerts["not-fresh"].query, "histogram_quantile(0.99, ") && strcontains(local.alerts["not-fresh"].query, " > 90)")
    error_message = "and what the alert asks for"
  }
  assert {
    condition     = toset(keys(google_monitoring_alert_policy.this)) == toset(keys(local.alerts))
    error_message = "all of them"
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.this : length(policy.notification_channels) == 2])
    error_message = "to everybody"
  }
  assert {
    condition     = alltrue([for name, policy in google_monitoring_alert_policy.this : strcontains(policy.documentation[0].content, "## How to mend") && length(policy.documentation[0].content) < 8192])
    error_message = "with the whole playbook, which Cloud Monitoring takes up to 8 KiB of"
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.this : policy.conditions[0].condition_prometheus_query_language[0].disable_metric_validation])
    error_message = "on the first apply there is nothing to ask yet"
  }
}
