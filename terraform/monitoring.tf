# What an operator wants to know: are conferences fresh, do channels live, does anything wait for a person?
#
# The code judges and writes records; metrics.json makes metrics of their fields (docs/metrics.md). Each alert is one
# question to these metrics, and brings its playbook along.

locals {
  metrics = {
    for name, metric in jsondecode(file("${path.module}/metrics.json")) : name => {
      records     = metric.records
      value       = try(metric.value, null)
      unit        = try(metric.unit, "1")
      labels      = tomap(metric.labels)
      description = metric.description
    }
  }

  our_records = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.location=\"${var.region}\"",
    "resource.labels.service_name=(\"${local.webhook_name}\" OR \"${local.worker_name}\")",
  ])

  # Most labels are fields as they stand. Of a conference its provider is taken, and no more.
  label_extractors = {
    conference = "REGEXP_EXTRACT(jsonPayload.conference, \"^([^:]+):\")"
    severity   = "EXTRACT(severity)"
  }

  bounds = {
    "1" = [0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000]
    "s" = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1800, 3600, 10800, 21600, 86400]
    "d" = [0, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 14, 30]
  }

  metric_prefix = replace(var.prefix, "-", "_")

  # What a metric is called in PromQL, up to the {} of its selector.
  series = {
    for name, metric in local.metrics : name => "logging_googleapis_com:user_${local.metric_prefix}_${name}"
  }
  of_ours = "monitored_resource=\"cloud_run_revision\""

  # A metric whose every value says how things stand now: their mean over the last runs.
  level = {
    for name, metric in local.metrics : name =>
    "sum(increase(${local.series[name]}_sum{${local.of_ours}}[20m])) / sum(increase(${local.series[name]}_count{${local.of_ours}}[20m]))"
    if metric.value != null
  }
  counted = {
    for name, metric in local.metrics : name => "sum(increase(${local.series[name]}{${local.of_ours}}[%s]))"
    if metric.value == null
  }
  quantile = "histogram_quantile(%s, sum by (le) (increase(%s_bucket{${local.of_ours}}[%s])))"

  run_requests  = "sum(increase(run_googleapis_com:request_count{${local.of_ours},service_name=~\"${local.webhook_name}|${local.worker_name}\"%s}[15m]))"
  failed_shares = "${format(local.run_requests, ",response_code_class=\"5xx\"")} / ${format(local.run_requests, "")}"

  # By the name of the playbook. Severity: CRITICAL if meetings and conferences drift apart meanwhile.
  alerts = {
    not-fresh = {
      title    = "conferences follow their events too slowly"
      severity = "WARNING"
      lasts    = "0s"
      query    = "(${format(local.quantile, var.freshness.percent / 100, local.series.notice_to_applied, "1h")} > ${var.freshness.seconds}) and (sum(increase(${local.series.notice_to_applied}_count{${local.of_ours}}[1h])) >= 5)"
    }
    stale-calendar = {
      title    = "a calendar has not been listed for too long"
      severity = "CRITICAL"
      lasts    = "900s"
      query    = "${local.level.stale_calendars} > 0"
    }
    channel-ending = {
      title    = "a calendar is about to go dark, or is"
      severity = "ERROR"
      lasts    = "900s"
      query    = "(${local.level.channel_days_left} < 1) or ((${local.level.dark_calendars}) > (${local.level.polled_calendars}))"
    }
    push-silent = {
      title    = "notifications do not arrive"
      severity = "ERROR"
      lasts    = "0s"
      query    = "${format(local.counted.push_silent, "15m")} > 0"
    }
    converge-silent = {
      title    = "converge or the sweep has stopped running"
      severity = "CRITICAL"
      lasts    = "900s"
      query    = "absent(${format(local.counted.converge_runs, "30m")} > 0) or absent(${format(local.counted.sweep_runs, "30m")} > 0)"
    }
    holds-waiting = {
      title    = "deletions wait for a person"
      severity = "WARNING"
      lasts    = "0s"
      query    = "${local.level.held_conferences} > 0"
    }
    quarantine = {
      title    = "a conference was refused and set aside"
      severity = "WARNING"
      lasts    = "0s"
      query    = "${local.level.quarantined_conferences} > 0"
    }
    server-errors = {
      title    = "more than 5 % of requests fail"
      severity = "ERROR"
      lasts    = "300s"
      query    = "${local.failed_shares} > 0.05"
    }
    queue-age = {
      title    = "tasks wait in the queue"
      severity = "ERROR"
      lasts    = "600s"
      query    = "${format(local.quantile, 0.95, local.series.queue_lag, "15m")} > 120"
    }
    dead-grant = {
      title    = "a calendar or a conference system refuses us"
      severity = "CRITICAL"
      lasts    = "0s"
      query    = "(${local.level.frozen_calendars} > 0) or (sum(increase(${local.series.account_paused}{${local.of_ours},severity=\"ERROR\"}[2h])) > 0)"
    }
  }

  recipients = concat(var.notification_channels, [for each in google_monitoring_notification_channel.email : each.id])
}

resource "google_logging_metric" "this" {
  for_each = local.metrics

  project         = var.project_id
  name            = "${local.metric_prefix}_${each.key}"
  description     = each.value.description
  value_extractor = each.value.value == null ? null : "EXTRACT(jsonPayload.${each.value.value})"
  filter = join(" AND ", concat(
    [local.our_records, "jsonPayload.message=(${join(" OR ", formatlist("\"%s\"", each.value.records))})"],
    each.value.value == null ? [] : ["jsonPayload.${each.value.value}>=0"],
  ))
  label_extractors = {
    for label, field in each.value.labels :
    label => lookup(local.label_extractors, field, "EXTRACT(jsonPayload.${field})")
  }

  metric_descriptor {
    display_name = each.value.description
    metric_kind  = "DELTA"
    value_type   = each.value.value == null ? "INT64" : "DISTRIBUTION"
    unit         = each.value.unit

    dynamic "labels" {
      for_each = each.value.labels
      content {
        key = labels.key
      }
    }
  }

  dynamic "bucket_options" {
    for_each = each.value.value == null ? [] : [local.bounds[each.value.unit]]
    content {
      explicit_buckets {
        bounds = bucket_options.value
      }
    }
  }

  depends_on = [time_sleep.services]
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  project      = var.project_id
  display_name = "${var.prefix}: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }

  depends_on = [time_sleep.services]
}

# Conditions cost money each month: none without someone to tell.
resource "google_monitoring_alert_policy" "this" {
  for_each = length(var.alert_emails) + length(var.notification_channels) > 0 ? local.alerts : {}

  project               = var.project_id
  display_name          = "${var.prefix}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  user_labels           = merge(local.labels, { playbook = each.key })
  notification_channels = local.recipients

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = each.value.lasts
      evaluation_interval       = "60s"
      disable_metric_validation = true # a metric that is made of records exists only some minutes after it was made
    }
  }

  alert_strategy {
    auto_close = "3600s"
  }

  documentation {
    subject   = "${var.prefix}: ${each.value.title}"
    content   = file("${path.module}/../docs/playbooks/${each.key}.md")
    mime_type = "text/markdown"
  }

  depends_on = [google_logging_metric.this]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project_id
  dashboard_json = templatefile("${path.module}/templates/dashboard.json.tftpl", {
    prefix        = var.prefix
    project_id    = var.project_id
    series        = local.series
    of_ours       = local.of_ours
    level         = local.level
    quantile      = local.quantile
    failed_shares = local.failed_shares
    freshness     = var.freshness
  })

  depends_on = [google_logging_metric.this]
}

# The platform's own records of the public door: one for each refusal would let anybody fill the log, and one for each
# notification would cost as much as the request. Ours tell of every genuine notification, and count what was refused.
resource "google_logging_project_exclusion" "refusals" {
  project     = var.project_id
  name        = "${var.prefix}-refusals"
  description = "Requests of the webhook that ended well, or were refused"
  filter = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=\"${local.webhook_name}\"",
    "log_id(\"run.googleapis.com/requests\")",
    "httpRequest.status<500",
  ])

  depends_on = [time_sleep.services]
}
