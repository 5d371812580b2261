variable "project_id" {
  description = "The Google Cloud project that everything is made in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is the ID of a project, like acme-meetings: neither its name nor its number."
  }
}

variable "conferences" {
  description = "The conference systems, as SYNC_CONFERENCES of docs/settings.md has them. A secret is named in short, as { secret = \"zoom\" }: a container is made for it."
  type = object({
    providers = any
    systems   = optional(any)
  })
  nullable = false

  validation {
    condition     = length(var.conferences.providers) > 0
    error_message = "conferences.providers is empty: name at least one, as { zoom = { use = \"zoom\", options = {} } }."
  }
  validation {
    condition     = alltrue([for name in keys(var.conferences.providers) : can(regex("^[a-z][a-z0-9_-]{0,31}$", name))])
    error_message = "conferences.providers has a name that is not lower-case letters, digits, - and _, at most 32."
  }
  validation {
    condition     = alltrue([for provider in values(var.conferences.providers) : can(regex(".", provider.use))])
    error_message = "conferences.providers has one without use: the name of a provider, or module:Class."
  }
  validation {
    condition = alltrue([
      for name in flatten(regexall("{\"secret\":\"([^\"/]+)\"}", jsonencode(var.conferences))) :
      can(regex("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", name)) && !startswith(name, "channel-key-")
    ])
    error_message = "conferences names a secret that is not 1 to 40 lower-case letters, digits and dashes, nor projects/…/secrets/…; or that begins with channel-key-, as ours do."
  }
}

variable "calendars" {
  description = "Calendars to keep in step. The key is a short name for logs; id is the calendar's address; subject is the Workspace user to act for, with delegation (without one, the calendar is shared with the worker's account); paused stops its channel and its passes, and deletes nothing."
  type = map(object({
    id      = string
    subject = optional(string, "")
    paused  = optional(bool, false)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for slug in keys(var.calendars) : can(regex("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", slug))])
    error_message = "calendars has a key that is not 1 to 40 lower-case letters, digits and dashes."
  }
  validation {
    condition     = alltrue([for each in values(var.calendars) : can(regex("^[^@\\s/]+@[^@\\s/]+\\.[^@\\s/]+$", each.id))])
    error_message = "calendars has an id that is no address, like ada@example.com or c_1a2b@group.calendar.google.com. \"primary\" says nothing here."
  }
  validation {
    condition     = length(distinct([for each in values(var.calendars) : lower(each.id)])) == length(var.calendars)
    error_message = "calendars has the same id twice."
  }
  validation {
    condition     = var.delegation || alltrue([for each in values(var.calendars) : each.subject == ""])
    error_message = "calendars has a subject, and that needs delegation = true."
  }
}

variable "mode" {
  description = "apply; or observe: list, record, decide and log what would be done, but call no conference system."
  type        = string
  default     = "apply"
  nullable    = false

  validation {
    condition     = contains(["apply", "observe"], var.mode)
    error_message = "mode is apply or observe."
  }
}

variable "region" {
  description = "Region of the functions, the queue, the jobs, the secrets and the source bucket."
  type        = string
  default     = "europe-west1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is a region, like europe-west1: neither a zone nor a multi-region."
  }
}

variable "firestore_location" {
  description = "Location of the database, if not the region: it cannot be changed later."
  type        = string
  default     = null
}

variable "prefix" {
  description = "What the name of everything begins with. With another one, a second installation fits into the project."
  type        = string
  default     = "calsync"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,16}[a-z0-9]$", var.prefix))
    error_message = "prefix is 4 to 18 lower-case letters, digits and dashes, begins with a letter and ends with none of the dashes."
  }
}

variable "labels" {
  description = "Labels for everything that takes labels, beside app and managed-by."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "delegation" {
  description = "Whether calendars may be read for their owners (Workspace domain-wide delegation), without a key file. An administrator must allow the client ID of output delegation."
  type        = bool
  default     = false
  nullable    = false
}

variable "enrol" {
  description = "Who may add calendars at run time (docs/enrol.md): users of these domains, by tokens that were issued to these OAuth client IDs. Without it, nobody."
  type = object({
    audiences = list(string)
    domains   = list(string)
  })
  default = null

  validation {
    condition     = var.enrol == null || try(min(length(var.enrol.audiences), length(var.enrol.domains)) > 0, false)
    error_message = "enrol needs at least one of audiences, and one of domains."
  }
  validation {
    condition     = var.enrol == null || try(alltrue([for domain in var.enrol.domains : can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", domain))]), false)
    error_message = "enrol.domains has something that is no lower-case domain name, like example.com."
  }
}

variable "canary" {
  description = "The key of one of calendars in which something is changed every hour: it is looked at every 15 minutes, so that silence is noticed soon (docs/channels.md)."
  type        = string
  default     = null

  validation {
    condition     = var.canary == null || try(contains(keys(var.calendars), var.canary), false)
    error_message = "canary is no key of calendars."
  }
}

variable "channel_key_version" {
  description = "Raise it by one to rotate the channel keys: the older of the two is replaced. Raise it by two to replace both at once."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.channel_key_version >= 1 && floor(var.channel_key_version) == var.channel_key_version
    error_message = "channel_key_version is a whole number, 1 or more."
  }
}

variable "public_webhook" {
  description = "How Google Calendar gets in: all_users lets everybody call the webhook, which then checks each token; external grants nothing, and you open it in a way that your organization allows (docs/deploy.md)."
  type        = string
  default     = "all_users"
  nullable    = false

  validation {
    condition     = contains(["all_users", "external"], var.public_webhook)
    error_message = "public_webhook is all_users or external."
  }
}

variable "webhook_url" {
  description = "Where channels notify, if that is not the webhook's own address: a gateway in front of it."
  type        = string
  default     = null

  validation {
    condition     = var.webhook_url == null || can(regex("^https://[^/]+", var.webhook_url))
    error_message = "webhook_url is an https URL: Google Calendar notifies no other."
  }
}

variable "worker_url" {
  description = "The worker's address, if Cloud Run has not given it the usual one, https://NAME-PROJECT_NUMBER.REGION.run.app."
  type        = string
  default     = null

  validation {
    condition     = var.worker_url == null || can(regex("^https://[^/]+$", var.worker_url))
    error_message = "worker_url is https:// and a host, without a path."
  }
}

variable "webhook" {
  description = "Size of the webhook. One instance takes several hundred notifications a second; max_instances bounds what a flood may cost."
  type = object({
    cpu           = optional(string, "1")
    memory        = optional(string, "512Mi")
    concurrency   = optional(number, 80)
    min_instances = optional(number, 0)
    max_instances = optional(number, 2)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.webhook.concurrency == 1 || try(tonumber(var.webhook.cpu) >= 1, false)
    error_message = "webhook.concurrency above 1 needs a cpu of 1 or more."
  }
  validation {
    condition     = var.webhook.max_instances >= max(1, var.webhook.min_instances)
    error_message = "webhook.max_instances is less than 1, or than min_instances."
  }
}

variable "worker" {
  description = "Size of the worker. At most max_instances times concurrency calendars are looked at at once."
  type = object({
    cpu             = optional(string, "1")
    memory          = optional(string, "512Mi")
    concurrency     = optional(number, 8)
    min_instances   = optional(number, 0)
    max_instances   = optional(number, 4)
    timeout_seconds = optional(number, 540)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.worker.concurrency == 1 || try(tonumber(var.worker.cpu) >= 1, false)
    error_message = "worker.concurrency above 1 needs a cpu of 1 or more."
  }
  validation {
    condition     = var.worker.max_instances >= max(1, var.worker.min_instances)
    error_message = "worker.max_instances is less than 1, or than min_instances."
  }
  validation {
    condition     = var.worker.timeout_seconds >= 120 && var.worker.timeout_seconds <= 590
    error_message = "worker.timeout_seconds is 120 to 590: Cloud Tasks waits for 600 and then sends the task again."
  }
}

variable "queue" {
  description = "How fast tasks go out, and how long they are tried. Every task is at least one call of the Calendar API, which allows 600 a minute for each user; calendars that are shared with the worker's account all count as one."
  type = object({
    max_dispatches_per_second = optional(number, 5)
    max_attempts              = optional(number, 20)
    min_backoff               = optional(string, "2s")
    max_backoff               = optional(string, "300s")
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.queue.max_dispatches_per_second > 0 && var.queue.max_dispatches_per_second <= 500
    error_message = "queue.max_dispatches_per_second is more than 0, and at most 500."
  }
  validation {
    condition     = var.queue.max_attempts == -1 || (var.queue.max_attempts >= 1 && floor(var.queue.max_attempts) == var.queue.max_attempts)
    error_message = "queue.max_attempts is a whole number from 1, or -1 for no end."
  }
  validation {
    condition     = alltrue([for each in [var.queue.min_backoff, var.queue.max_backoff] : can(regex("^[0-9]+s$", each))])
    error_message = "queue has a backoff that is not a number of seconds, like 2s."
  }
}

variable "schedule" {
  description = "When converge and sweep run, as cron expressions in UTC. Both are cheap when there is nothing to do."
  type = object({
    converge = optional(string, "*/5 * * * *")
    sweep    = optional(string, "*/5 * * * *")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for each in values(var.schedule) : can(regex("^[^ ]+( [^ ]+){4}$", each))])
    error_message = "schedule has something that is no cron expression of five fields, like */5 * * * *."
  }
}

variable "times" {
  description = "Waits other than the defaults, in seconds, by the names of docs/settings.md (SYNC_TIMES)."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([for name in keys(var.times) : contains([
      "bucket", "margin", "lease", "lease_margin", "calendar_timeout", "connect_timeout", "read_timeout",
      "sweep", "poll", "grace", "window", "channel_life", "keys_reread", "secrets_reread", "horizon",
      "first_backoff", "most_backoff", "quarantine",
    ], name)])
    error_message = "times has a name that SYNC_TIMES does not know: docs/settings.md lists them."
  }
}

variable "alert_emails" {
  description = "Addresses that are told when something needs a person. Without any, and without notification_channels, no alerts are made: each costs money every month."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "alert_emails has something that is no address."
  }
}

variable "notification_channels" {
  description = "Notification channels of yours that are told too, as projects/…/notificationChannels/…."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", id))])
    error_message = "notification_channels has something that is not projects/…/notificationChannels/…."
  }
}

variable "freshness" {
  description = "The objective: of a hundred changes, percent are with the conference system so many seconds after Google's notification, over any hour with five changes or more. The dashboard shows it, an alert keeps it."
  type = object({
    percent = optional(number, 95)
    seconds = optional(number, 60)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.freshness.percent > 0 && var.freshness.percent < 100
    error_message = "freshness.percent is more than 0 and less than 100."
  }
  validation {
    condition     = contains([10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1800, 3600], var.freshness.seconds)
    error_message = "freshness.seconds is one of 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1800, 3600: where the metric counts exactly."
  }
}

variable "deletion_protection" {
  description = "Whether destroy is refused. To leave: set it to false, apply, destroy."
  type        = bool
  default     = true
  nullable    = false
}

variable "settle" {
  description = "Waits: after APIs were enabled, after roles were granted, and on destroy between the switch and the rest, so that converge can stop the channels (0s: they run out by themselves, within a week)."
  type = object({
    services = optional(string, "30s")
    grants   = optional(string, "60s")
    unwire   = optional(string, "360s")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for each in values(var.settle) : can(regex("^[0-9]+[sm]$", each))])
    error_message = "settle has a wait that is not a number of seconds or minutes, like 90s or 2m."
  }
}
