# The ledger. Queries, indexes and what is forgotten: the table at the head of sync/google/firestore.py.

locals {
  indexes = {
    calendars   = [["active", "due_at"]]
    conferences = [["home", "due_at"], ["home", "live_until"], ["home", "state"], ["home", "waiting"]]
    links       = [["calendar_key", "doubted_at"], ["calendar_key", "live"]]
  }
  composites = merge([
    for collection, lists in local.indexes : {
      for fields in lists : "${collection}.${join(".", fields)}" => { collection = collection, fields = fields }
    }
  ]...)

  forgotten = toset(["conferences", "enrolled_calendars", "links"])

  # Maps and lists that no query asks for, and whose every entry would be indexed.
  not_indexed = {
    conference_decisions = { collection = "conferences", field = "decisions" }
    conference_former    = { collection = "conferences", field = "former" }
    conference_refs      = { collection = "conferences", field = "refs" }
    link_seen            = { collection = "links", field = "seen" }
  }
}

resource "google_firestore_database" "this" {
  project                           = var.project_id
  name                              = local.database_name
  location_id                       = coalesce(var.firestore_location, var.region)
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "PESSIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "PREVENT" : "DELETE"

  depends_on = [time_sleep.services]
}

resource "google_firestore_index" "this" {
  for_each = local.composites

  project    = var.project_id
  database   = google_firestore_database.this.name
  collection = each.value.collection

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path = fields.value
      order      = "ASCENDING"
    }
  }
}

resource "google_firestore_field" "forget_at" {
  for_each = local.forgotten

  project    = var.project_id
  database   = google_firestore_database.this.name
  collection = each.value
  field      = "forget_at"
  skip_wait  = true # a policy takes ten minutes and more to become active, and nothing waits for it

  ttl_config {}
  index_config {} # none: times that only grow make hot spots
}

resource "google_firestore_field" "not_indexed" {
  for_each = local.not_indexed

  project    = var.project_id
  database   = google_firestore_database.this.name
  collection = each.value.collection
  field      = each.value.field
  skip_wait  = true

  index_config {}
}
