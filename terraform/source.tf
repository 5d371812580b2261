# What is deployed: the files that the doors need and no others, so that a test, a page or the command line
# never causes a build.

locals {
  root = abspath("${path.module}/..")

  deployed = setsubtract(
    setunion(["main.py", "requirements.txt"], fileset(local.root, "sync/**/*.py")),
    setunion(
      ["sync/__main__.py", "sync/testing.py"],
      fileset(local.root, "sync/cli/**"),
      fileset(local.root, "sync/simulator/**"),
    ),
  )

  # Names and contents, and nothing of the machine: the same code is the same archive everywhere.
  source_hash = sha256(jsonencode({ for path in local.deployed : path => filesha256("${local.root}/${path}") }))
}

data "archive_file" "source" {
  type        = "zip"
  output_path = "${path.module}/.build/source.zip"

  dynamic "source" {
    for_each = local.deployed
    content {
      filename = source.value
      content  = file("${local.root}/${source.value}")
    }
  }
}

resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_62:It holds archives of our own code, which only the build account reads; Data Access audit logs tell more.
  project                     = var.project_id
  name                        = "${var.project_id}-${var.prefix}-source-${random_id.suffix.hex}"
  location                    = var.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # archives can be built again

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
    }
  }

  depends_on = [time_sleep.services]
}

resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "source-${local.source_hash}.zip" # new content, new name: that is what makes the functions build
  source = data.archive_file.source.output_path
}

resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:The images hold published code and no data; Google encrypts them with keys of its own.
  project       = var.project_id
  location      = var.region
  repository_id = var.prefix
  description   = "Images of ${local.webhook_name} and ${local.worker_name}"
  format        = "DOCKER"
  labels        = local.labels

  cleanup_policies {
    id     = "keep-the-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-the-old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }

  depends_on = [time_sleep.services]
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project_id
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = local.member.build
}
