# What both doors are told. docs/settings.md says what each variable means.

locals {
  environment = merge(
    {
      LOG_EXECUTION_ID      = "true" # what Cloud Functions would add by itself, and every plan then take away
      SYNC_PROJECT          = var.project_id
      SYNC_REGION           = var.region
      SYNC_QUEUE            = local.queue_id
      SYNC_WORKER_URL       = local.worker_url
      SYNC_DISPATCH_ACCOUNT = google_service_account.this["dispatch"].email
      SYNC_CHANNEL_KEYS     = join(":", [for path in keys(local.channel_key_volumes) : "${path}/key"])
    },
    var.enrol == null ? {} : { SYNC_ENROL = jsonencode(var.enrol) },
    length(var.times) == 0 ? {} : {
      SYNC_TIMES = join(" ", [for name, seconds in var.times : "${name}=${seconds}"])
    },
  )
}
