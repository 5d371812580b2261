# No provider block: this folder is a root module of its own, and a child module of yours.

terraform {
  required_version = ">= 1.11" # write-only arguments: no secret reaches a plan or the state

  required_providers {
    archive = { source = "hashicorp/archive", version = "~> 2.7" }
    google  = { source = "hashicorp/google", version = ">= 7.40, < 8.0" }
    random  = { source = "hashicorp/random", version = "~> 3.7" }
    time    = { source = "hashicorp/time", version = "~> 0.12" }
  }
}
