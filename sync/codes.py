"""The closed set of decision codes: one meaning each, in log records, metrics, `explain` and the docs."""

from enum import StrEnum


class Code(StrEnum):
    """What was decided about one event or one conference."""

    UPDATED = "updated"  # the provider was told the new state
    UNCHANGED = "unchanged"  # nothing that we send has changed
    DELETED = "deleted"  # the conference was deleted at its provider
    DELETED_ALREADY = "deleted_already"  # ... and had been gone before
    HELD = "held"  # too many deletions at once: waiting for a person
    RESTORED = "restored"  # a deletion was called off
    NOT_OURS = "not_ours"  # a conference of a system that no provider is configured for
    NO_CONFERENCE = "no_conference"
    GUEST_COPY = "guest_copy"  # only the organizer's copy drives
    PERSONAL_ROOM = "personal_room"  # a room, not a meeting: never changed
    OUT_OF_WINDOW = "out_of_window"  # over before we first saw it
    SHARED_BY_OTHER_EVENT = (
        "shared_by_other_event"  # another event speaks for this conference, or still uses it
    )
    DETACHED = "detached"  # the user removed or replaced the conference of a living event
    IGNORED_BY_PROVIDER = "ignored_by_provider"  # the provider cannot express (some of) it
    RETRY_LATER = "retry_later"
    RATE_LIMITED = "rate_limited"
    QUARANTINED = "quarantined"  # refused for good; tried again when the event changes, and daily
    ACCESS_LOST = "access_lost"  # the calendar, or details of the event, are hidden from us
    PRECONDITION_FAILED = "precondition_failed"  # a user's edit came first: read again
    MALFORMED = "malformed"  # an item that makes no sense
    DELETION_WAITING = "deletion_waiting"  # for the grace, or for a look at the other calendars
    IN_PROGRESS = "in_progress"  # a deletion waits for the end of the meeting
    OBSERVED = "observed"  # what would have been done; observe mode
    OWN_ECHO = "own_echo"  # our own write came back
    WRITTEN_BACK = "written_back"  # updated, and the provider's join URL was written into the event
    LOST = "lost"  # the conference is gone at its provider while an event uses it
