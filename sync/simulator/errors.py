"""Every refusal the Calendar API is known to give, as an exception that knows its body.

Bodies keep the order Google keeps: the list of errors first, then code and message. Wordings come from the API's
error guide or from recorded answers; docs/simulator.md says which of them are guesses.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """One refusal: status, domain, reason, message and, where Google names it, the place that is to blame."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location_type: str = "",
        location: str = "",
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.domain = domain
        self.location_type = location_type
        self.location = location

    def body(self) -> Json:
        error: Json = {"domain": self.domain, "reason": self.reason, "message": self.message}
        if self.location_type:
            error |= {"locationType": self.location_type, "location": self.location}
        return {"error": {"errors": [error], "code": self.status, "message": self.message}}


def invalid(message: str = "Invalid Value", *, parameter: str = "") -> ApiError:
    place = {"location_type": "parameter", "location": parameter} if parameter else {}
    return ApiError(400, "invalid", message, **place)


def required(message: str) -> ApiError:
    return ApiError(400, "required", message)


def parse_error() -> ApiError:
    return ApiError(400, "parseError", "Parse Error")


def bad_request(what: str, status: int = 400) -> ApiError:
    """What is no request at all."""
    return ApiError(status, "badRequest", f"Bad Request: {what}" if what else "Bad Request")


def request_timeout() -> ApiError:
    return ApiError(408, "requestTimeout", "Request Timeout")


def too_large() -> ApiError:
    return ApiError(413, "requestTooLarge", "Request Entity Too Large")


def invalid_sync_token() -> ApiError:
    return invalid("Invalid sync token value.")


def invalid_page_token() -> ApiError:
    return invalid("Invalid page token value.")


def token_with_restrictions() -> ApiError:
    return invalid("Sync token cannot be used with other request restrictions.")


def time_range_empty() -> ApiError:
    message = "The specified time range is empty."
    return ApiError(
        400, "timeRangeEmpty", message, domain="calendar", location_type="parameter", location="timeMax"
    )


def push_not_supported() -> ApiError:
    message = "Push notifications are not supported by this resource."
    return ApiError(400, "pushNotSupportedForRequestedResource", message, domain="calendar")


def channel_id_not_unique(channel_id: str, status: int) -> ApiError:
    return ApiError(status, "channelIdNotUnique", f"Channel id {channel_id} not unique")


def webhook_not_https(address: str) -> ApiError:
    return ApiError(400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}")


def invalid_credentials() -> ApiError:
    return ApiError(401, "authError", "Invalid Credentials", location_type="header", location="Authorization")


def insufficient_scope() -> ApiError:
    return ApiError(403, "insufficientPermissions", "Request had insufficient authentication scopes.")


def required_access_level(role: str) -> ApiError:
    message = f"You need to have {role} access to this calendar."
    return ApiError(403, "requiredAccessLevel", message, domain="calendar")


def forbidden_for_non_organizer() -> ApiError:
    message = "Shared properties can only be changed by the organizer of the event."
    return ApiError(403, "forbiddenForNonOrganizer", message, domain="calendar")


def user_rate_limit(status: int = 403) -> ApiError:
    return ApiError(status, "userRateLimitExceeded", "User Rate Limit Exceeded", domain="usageLimits")


def rate_limit(status: int = 403) -> ApiError:
    return ApiError(status, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits")


def quota_exceeded() -> ApiError:
    return ApiError(403, "quotaExceeded", "Calendar usage limits exceeded.", domain="usageLimits")


def not_found(message: str = "Not Found") -> ApiError:
    return ApiError(404, "notFound", message)


def duplicate() -> ApiError:
    return ApiError(409, "duplicate", "The requested identifier already exists.")


def conflict() -> ApiError:
    return ApiError(409, "conflict", "Conflict")


def deleted() -> ApiError:
    return ApiError(410, "deleted", "Resource has been deleted")


def full_sync_required() -> ApiError:
    message = "Sync token is no longer valid, a full sync is required."
    return ApiError(
        410, "fullSyncRequired", message, domain="calendar", location_type="parameter", location="syncToken"
    )


def updated_min_too_long_ago() -> ApiError:
    message = "The requested minimum modification time lies too far in the past."
    return ApiError(
        410,
        "updatedMinTooLongAgo",
        message,
        domain="calendar",
        location_type="parameter",
        location="updatedMin",
    )


def condition_not_met() -> ApiError:
    return ApiError(
        412, "conditionNotMet", "Precondition Failed", location_type="header", location="If-Match"
    )


def backend_error(status: int = 500) -> ApiError:
    return ApiError(status, "backendError", "Backend Error")


def not_implemented(what: str) -> ApiError:
    return ApiError(501, "notImplemented", f"The simulator does not serve {what}.")


def by_status(status: int, reason: str = "") -> ApiError:
    """The refusal that a fault asks for by its numbers alone."""
    usual = {
        (401, "authError"): invalid_credentials(),
        (403, "rateLimitExceeded"): rate_limit(),
        (403, "userRateLimitExceeded"): user_rate_limit(),
        (403, "quotaExceeded"): quota_exceeded(),
        (403, "forbiddenForNonOrganizer"): forbidden_for_non_organizer(),
        (403, "requiredAccessLevel"): required_access_level("writer"),
        (404, "notFound"): not_found(),
        (409, "conflict"): conflict(),
        (409, "duplicate"): duplicate(),
        (410, "fullSyncRequired"): full_sync_required(),
        (410, "deleted"): deleted(),
        (410, "updatedMinTooLongAgo"): updated_min_too_long_ago(),
        (412, "conditionNotMet"): condition_not_met(),
        (429, "rateLimitExceeded"): rate_limit(429),
    }
    for (known_status, known_reason), error in usual.items():
        if known_status == status and reason in ("", known_reason):
            return error
    if status >= 500 and not reason:
        return backend_error(status)
    return ApiError(status, reason or "invalid", reason or "Invalid Value")
