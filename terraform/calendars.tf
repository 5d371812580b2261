# What ought to be watched. Channels live for days and are renewed, so they are no resources: Terraform writes the
# wish, and the worker's converge makes it so. Documents as sync/records.py reads them.

resource "google_firestore_document" "calendar" {
  for_each = var.calendars

  project         = var.project_id
  database        = google_firestore_database.this.name
  collection      = "wired_calendars"
  document_id     = each.key
  deletion_policy = "DELETE"

  fields = jsonencode({
    schema = { integerValue = "1" }
    slug   = { stringValue = each.key }
    paused = { booleanValue = each.value.paused }
    calendar = {
      mapValue = {
        fields = {
          id      = { stringValue = each.value.id }
          subject = { stringValue = each.value.subject }
        }
      }
    }
  })
}
