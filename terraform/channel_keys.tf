# The keys that sign the token of each watch channel. They are made here, and stand in no plan and no state.
#
# There are always two, in two secrets. Raising var.channel_key_version replaces the older one, so that the other
# goes on verifying what it has signed: docs/decisions/7-channel-keys.md.

locals {
  channel_key_generations = {
    even = 2 * floor(var.channel_key_version / 2)
    odd  = 2 * floor((var.channel_key_version - 1) / 2) + 1
  }
  channel_key_volumes = {
    for slot, secret in google_secret_manager_secret.channel_key : "/channel-keys/${slot}" => secret.secret_id
  }
}

resource "google_secret_manager_secret" "channel_key" {
  for_each = local.channel_key_generations

  project             = var.project_id
  secret_id           = "${var.prefix}-channel-key-${each.key}"
  labels              = local.labels
  version_destroy_ttl = "86400s"
  deletion_protection = false # a lost key is made anew, and converge then opens every channel anew

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [time_sleep.services]
}

# 43 characters of base64url are 32 bytes.
ephemeral "random_password" "channel_key" {
  for_each = local.channel_key_generations

  length           = 43
  override_special = "-_"
}

resource "google_secret_manager_secret_version" "channel_key" {
  for_each = local.channel_key_generations

  secret = google_secret_manager_secret.channel_key[each.key].id
  secret_data_wo = format(
    "k%d:%s %s\n",
    each.value,
    ephemeral.random_password.channel_key[each.key].result,
    timeadd(timestamp(), each.value == var.channel_key_version ? "0s" : "-1h"), # two of one apply are told apart
  )
  secret_data_wo_version = each.value + 1 # 0 could be taken for none, and the key then be read into the state
  deletion_policy        = "DELETE"

  lifecycle {
    create_before_destroy = true # there is a latest version at any time
  }
}

resource "google_secret_manager_secret_iam_member" "channel_key" {
  for_each = {
    for pair in setproduct(["webhook", "worker"], keys(local.channel_key_generations)) :
    join(".", pair) => { who = pair[0], slot = pair[1] }
  }

  project   = var.project_id
  secret_id = google_secret_manager_secret.channel_key[each.value.slot].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.member[each.value.who]
}
