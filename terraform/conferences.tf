# What the worker is told of conference systems. Their secrets are containers here: you add the versions, and the
# worker reads them while it runs. No value passes through Terraform.

locals {
  # In var.conferences a secret is named in short, as { secret = "zoom" }. One that is named in full is yours to grant.
  conferences_in_short = jsonencode({ for key, part in var.conferences : key => part if part != null })
  short_secret         = "{\"secret\":\"([^\"/]+)\"}"
  conference_secrets   = toset(flatten(regexall(local.short_secret, local.conferences_in_short)))
  conferences = replace(
    local.conferences_in_short,
    "/${local.short_secret}/",
    "{\"secret\":\"projects/${var.project_id}/secrets/${var.prefix}-$1\"}",
  )
}

resource "google_secret_manager_secret" "conferences" {
  for_each = local.conference_secrets

  project             = var.project_id
  secret_id           = "${var.prefix}-${each.value}"
  labels              = local.labels
  version_destroy_ttl = "86400s"
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [time_sleep.services]
}

resource "google_secret_manager_secret_iam_member" "conferences" {
  for_each = local.conference_secrets

  project   = var.project_id
  secret_id = google_secret_manager_secret.conferences[each.value].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.member.worker
}
