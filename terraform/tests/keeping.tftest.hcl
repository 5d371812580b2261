# What is kept: the ledger, keys and secrets, the wish; and what guards it.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}
mock_provider "archive" {}
mock_provider "time" {}

variables {
  project_id = "acme-meetings"
  conferences = {
    providers = {
      zoom = { use = "zoom", options = { account_id = { secret = "zoom-account" }, client_secret = { secret = "zoom" } } }
      own  = { use = "rest", options = { url = "https://meet.example.com", headers = { Authorization = { secret = "own" } } }, tell = ["agenda"] }
      else = { use = "webhook", options = { key = { secret = "projects/other/secrets/theirs" }, note = "{\"secret\":\"text\"}" } }
    }
    systems = [{ provider = "own", hosts = ["meet.example.com"] }]
  }
}

run "what_is_kept_is_protected_secrets_have_their_containers_and_there_are_two_channel_keys" {
  command = plan

  assert {
    condition = [
      google_firestore_document.switch.deletion_policy,
      google_firestore_database.this.deletion_policy,
      google_firestore_database.this.delete_protection_state,
    ] == ["PREVENT", "PREVENT", "DELETE_PROTECTION_ENABLED"]
    error_message = "protected"
  }
  assert {
    condition     = alltrue([for each in google_secret_manager_secret.conferences : each.deletion_protection])
    error_message = "what you have put into the secrets, nobody can make again"
  }
  assert {
    condition     = google_firestore_database.this.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED" && google_firestore_database.this.name == "calsync"
    error_message = "a database of its own, with recovery"
  }
  assert {
    condition     = toset([for each in google_secret_manager_secret.conferences : each.secret_id]) == toset(["calsync-own", "calsync-zoom", "calsync-zoom-account"])
    error_message = "a container for each, however deep it is named"
  }
  assert {
    condition = jsondecode(google_cloudfunctions2_function.worker.service_config[0].environment_variables["SYNC_CONFERENCES"]) == {
      providers = {
        zoom = { use = "zoom", options = { account_id = { secret = "projects/acme-meetings/secrets/calsync-zoom-account" }, client_secret = { secret = "projects/acme-meetings/secrets/calsync-zoom" } } }
        own  = { use = "rest", options = { url = "https://meet.example.com", headers = { Authorization = { secret = "projects/acme-meetings/secrets/calsync-own" } } }, tell = ["agenda"] }
        else = { use = "webhook", options = { key = { secret = "projects/other/secrets/theirs" }, note = "{\"secret\":\"text\"}" } }
      }
      systems = [{ provider = "own", hosts = ["meet.example.com"] }]
    }
    error_message = "the worker is told full names, and all else as it stands"
  }
  assert {
    condition     = toset([for each in google_secret_manager_secret_iam_member.conferences : each.secret_id]) == toset(["calsync-own", "calsync-zoom", "calsync-zoom-account"])
    error_message = "the worker may read each of them"
  }
  assert {
    condition     = { for slot, each in google_secret_manager_secret_version.channel_key : slot => tostring(each.secret_data_wo_version) } == { even = "1", odd = "2" }
    error_message = "generations 0 and 1"
  }
  assert {
    condition = toset(flatten([
      for door in [google_cloudfunctions2_function.webhook, google_cloudfunctions2_function.worker] : [
        for volume in door.service_config[0].secret_volumes :
        "${door.name} ${volume.mount_path}/${volume.versions[0].path} ${volume.secret} ${volume.versions[0].version}"
      ]
    ])) == toset(flatten([for door in ["webhook", "worker"] : [for slot in ["even", "odd"] : "calsync-${door} /channel-keys/${slot}/key calsync-channel-key-${slot} latest"]]))
    error_message = "rotation needs no deploy"
  }
  assert {
    condition     = toset([for door in [google_cloudfunctions2_function.webhook, google_cloudfunctions2_function.worker] : door.service_config[0].environment_variables["SYNC_CHANNEL_KEYS"]]) == toset(["/channel-keys/even/key:/channel-keys/odd/key"])
    error_message = "and both are read"
  }
  assert {
    condition     = "${google_firestore_document.switch.collection}/${google_firestore_document.switch.document_id} ${google_firestore_document.switch.fields}" == "wiring/webhook ${jsonencode({ schema = { integerValue = "1" }, url = { stringValue = "https://a-function-abc123-ew.a.run.app" } })}"
    error_message = "where channels notify"
  }
}

run "when_it_was_allowed_everything_goes" {
  command = plan

  variables {
    deletion_protection = false
  }
  assert {
    condition = [
      google_firestore_document.switch.deletion_policy,
      google_firestore_database.this.deletion_policy,
      google_firestore_database.this.delete_protection_state,
    ] == ["DELETE", "DELETE", "DELETE_PROTECTION_DISABLED"]
    error_message = "nothing stays behind"
  }
  assert {
    condition     = alltrue([for each in google_secret_manager_secret.conferences : !each.deletion_protection])
    error_message = "no secret either"
  }
}

run "a_rotation_replaces_the_older_key_only" {
  command = plan

  variables {
    channel_key_version = 2
  }
  assert {
    condition     = { for slot, each in google_secret_manager_secret_version.channel_key : slot => tostring(each.secret_data_wo_version) } == { even = "3", odd = "2" }
    error_message = "generations 2 and 1"
  }
}

run "the_next_rotation_replaces_the_other" {
  command = plan

  variables {
    channel_key_version = 3
  }
  assert {
    condition     = { for slot, each in google_secret_manager_secret_version.channel_key : slot => tostring(each.secret_data_wo_version) } == { even = "3", odd = "4" }
    error_message = "generations 2 and 3"
  }
}

run "two_at_once_replace_both_and_calendars_become_documents" {
  command = plan

  variables {
    channel_key_version = 5
    delegation          = true
    calendars = {
      town-hall = { id = "c_1a2b@group.calendar.google.com" }
      ada       = { id = "Ada@example.com", subject = "ada@example.com", paused = true }
    }
  }
  assert {
    condition     = { for slot, each in google_secret_manager_secret_version.channel_key : slot => tostring(each.secret_data_wo_version) } == { even = "5", odd = "6" }
    error_message = "generations 4 and 5"
  }
  assert {
    condition = { for key, each in google_firestore_document.calendar : "${each.collection}/${each.document_id}" => jsondecode(each.fields) } == {
      "wired_calendars/town-hall" = { schema = { integerValue = "1" }, slug = { stringValue = "town-hall" }, paused = { booleanValue = false }, calendar = { mapValue = { fields = { id = { stringValue = "c_1a2b@group.calendar.google.com" }, subject = { stringValue = "" } } } } }
      "wired_calendars/ada"       = { schema = { integerValue = "1" }, slug = { stringValue = "ada" }, paused = { booleanValue = true }, calendar = { mapValue = { fields = { id = { stringValue = "Ada@example.com" }, subject = { stringValue = "ada@example.com" } } } } }
    }
    error_message = "one document for each, in the database of its own"
  }
}
