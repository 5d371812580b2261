"""Google Calendar over google-api-python-client: every request is sent once, every error becomes one of ours.

What ours say is the call, the status and Google's reason: never a calendar, an address, a token or a body.
"""

import hashlib
import http.client
import json
import logging
import re
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Collection, Mapping, Set
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import httplib2
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from urllib3.util import wait_for_read

from sync import event, in_time, logs, trace
from sync.channel import Channel
from sync.cursor import Cursor, LastPage, PageToken, SyncToken, listing_hash
from sync.errors import (
    AccessLost,
    Gone,
    Overtaken,
    RateLimited,
    Refused,
    SyncError,
    SyncTokenGone,
    Timeout,
    Transient,
    Unsupported,
)
from sync.event import Event, Unreadable
from sync.ports import CalendarId, Page, Version, Watch

# What event.parse reads, and no more: what is not asked for can neither be stored nor leak.
EVENT_FIELDS = (
    "id,status,etag,updated,summary,start,end,endTimeUnspecified,recurrence,recurringEventId,originalStartTime,"
    "visibility,organizer(email,self),conferenceData(conferenceId,conferenceSolution(key,name),createRequest,"
    "entryPoints(entryPointType,uri),parameters/addOnParameters)"
)
_DETAIL_FIELDS = {"agenda": "description", "invitees": "attendees(email,resource)"}
# Without both tokens among the fields there would be neither a second page nor ever an incremental listing.
LIST_FIELDS = f"accessRole,timeZone,nextPageToken,nextSyncToken,items({EVENT_FIELDS})"

# The same with a sync token as without one (sync guide; Events: list, `syncToken`). orderBy withholds the sync
# token; updatedMin, q and the property filters may not go with one; eventTypes mutes watches.
_LISTING: Mapping[str, Any] = {
    "singleEvents": False,
    "showDeleted": True,
    "maxResults": 2500,
}
_PARSER = 1  # raise it when event.parse comes to read an event in another way: one full listing follows

# It logs the URL of every request, which holds the calendar's address, and bodies that it cannot read.
logging.getLogger("googleapiclient").setLevel(logging.CRITICAL)
logging.getLogger("google_auth_httplib2").setLevel(logging.CRITICAL)

_REASON = re.compile(r"[\w.]{1,64}", re.ASCII)
_SECONDS = re.compile(r"\d{1,6}", re.ASCII)
_HIDING_ROLES = ("none", "freeBusyReader")


class GoogleCalendar:
    """Implements ports.Calendar. Threads may share it.

    `credentials` gives those of a subject, and caches them; None stands for none at all, as with the simulator.
    Each call ends within `call_s` seconds, however many requests it makes. `details` are asked for beside what is
    always read: "agenda", "invitees".
    """

    def __init__(
        self,
        *,
        root_url: str = "",
        call_s: float = 20.0,
        credentials: Callable[[str], Credentials | None] = lambda _: None,
        details: Collection[str] = (),
    ) -> None:
        self.call_s = call_s
        self._fields = ",".join((EVENT_FIELDS, *(_DETAIL_FIELDS[each] for each in sorted(details))))
        self.listing = listing_hash(*sorted(_LISTING.items()), self._fields, _PARSER)
        self._credentials = credentials
        self._local = threading.local()
        self._seen: dict[CalendarId, tuple[str, str]] = {}  # access role and time zone, by the last listing
        service = build(
            "calendar",
            "v3",
            http=_Http(
                call_s
            ),  # never used: each call brings its own; but without one, build looks for credentials
            client_options={"api_endpoint": f"{root_url.rstrip('/')}/calendar/v3/"} if root_url else None,
            static_discovery=True,
            cache_discovery=False,
        )
        # Kept, because making a resource object costs more than making all of its requests.
        self._events = service.events()
        self._channels = service.channels()

    def list_page(self, calendar: CalendarId, cursor: Cursor, page_token: str) -> Page:
        if isinstance(cursor, SyncToken):
            start, call = {"syncToken": cursor.value}, _Call.LIST_SINCE
        else:
            start, call = {"timeMin": _rfc3339(cursor.since)}, _Call.LIST
        if page_token:
            start, call = {**start, "pageToken": page_token}, _FURTHER_PAGE[call]
        listed = LIST_FIELDS.replace(EVENT_FIELDS, self._fields)
        request = self._events.list(fields=listed, **_of(calendar), **_LISTING, **start)
        return self._page(calendar, call, self._answer(call, calendar.subject, request))

    def get(self, calendar: CalendarId, event_id: str) -> Event | Unreadable:
        with in_time.within(self.call_s):  # it may take up to three requests
            return self._get(calendar, event_id)

    def _get(self, calendar: CalendarId, event_id: str) -> Event | Unreadable:
        role, time_zone = self._seen.get(calendar) or self._regard(calendar)
        request = self._events.get(**_of(calendar), eventId=event_id, fields=self._fields)
        try:
            raw = self._answer(_Call.GET, calendar.subject, request)
        except Refused as error:
            return Unreadable(event_id, str(error))  # no evidence of anything, and no reason to stop a pass
        except Gone:
            self._regard(calendar)  # a calendar that is not shared any more answers alike: raises AccessLost
            raise
        item = event.parse(raw, time_zone=time_zone, access_role=role)
        if item.id != event_id:
            raise Transient(f"{_Call.GET}: an answer that is not the event asked for")
        return item

    def replace_url(self, calendar: CalendarId, version: Version, old: str, new: str) -> str:
        address = _of(calendar) | {"eventId": version.event_id}
        # As Google has it: what is not sent back with the entry points would be lost to the event.
        request = self._events.get(**address, fields="etag,conferenceData")
        present = self._answer(_Call.GET, calendar.subject, request)
        request = self._events.patch(
            **address,
            body={"conferenceData": _with_url(present, version.etag, old, new)},
            conferenceDataVersion=1,  # without it, conference data is not even looked at
            sendUpdates="none",
            fields="etag",
        )
        request.headers["If-Match"] = version.etag
        answer = self._answer(_Call.PATCH, calendar.subject, request)
        if not isinstance(etag := answer.get("etag") if isinstance(answer, dict) else None, str):
            raise Transient(f"{_Call.PATCH}: an answer without an etag")
        return etag

    def access_role(self, calendar: CalendarId) -> str:
        role, _ = self._regard(calendar)
        return role

    def watch(self, calendar: CalendarId, channel_id: str, token: str, address: str, life_s: float) -> Watch:
        body = {
            "id": channel_id,
            "type": "web_hook",
            "address": address,
            "token": token,
            "params": {"ttl": str(int(life_s))},
        }
        request = self._events.watch(**_of(calendar), body=body)
        answer = self._answer(_Call.WATCH, calendar.subject, request)
        try:
            # Milliseconds, as a text. Google may grant less than was asked for: only this counts.
            return Watch(str(answer["resourceId"]), int(answer["expiration"]) / 1000)
        except (KeyError, ValueError, TypeError):
            raise Transient(f"{_Call.WATCH}: an answer without resource or expiration") from None

    def stop(self, channel: Channel) -> None:
        body = {"id": channel.id, "resourceId": channel.resource_id}
        request = self._channels.stop(**_charged_to(channel.subject), body=body)
        try:
            self._answer(_Call.STOP, channel.subject, request)
        except Gone:
            return

    def _regard(self, calendar: CalendarId) -> tuple[str, str]:
        """What a listing says of its calendar, without its events: an event read by name does not tell it."""
        request = self._events.list(**_of(calendar), maxResults=1, fields="accessRole,timeZone")
        self._page(calendar, _Call.LIST, self._answer(_Call.LIST, calendar.subject, request))
        return self._seen[calendar]

    def _page(self, calendar: CalendarId, call: "_Call", answer: object) -> Page:
        page = answer if isinstance(answer, dict) else {}
        role, time_zone, items = page.get("accessRole"), page.get("timeZone"), page.get("items", [])
        further, since = page.get("nextPageToken", ""), page.get("nextSyncToken", "")
        tokens = isinstance(further, str) and isinstance(since, str)
        if not (isinstance(role, str) and isinstance(items, list) and tokens):
            raise Transient(f"{call}: an answer that is no page")
        if role in _HIDING_ROLES:
            raise AccessLost(f"{call}: the access role is {role}, which hides the events")
        zone = time_zone if isinstance(time_zone, str) else "UTC"
        self._seen[calendar] = role, zone
        end = PageToken(further) if further else LastPage(since)
        return Page(event.Items(items, time_zone=zone, access_role=role), end, role)

    def _answer(self, call: "_Call", subject: str, request: Any) -> Any:
        """Send one request, once."""
        request.headers.update(trace.onward())
        logs.count(logs.Asked.CALENDAR)
        http = self._http()
        try:
            with in_time.within(self.call_s):
                credentials = in_time.awaited(lambda: self._credentials(subject))
                authorized = AuthorizedHttp(credentials, http) if credentials else http
                return request.execute(http=authorized, num_retries=0)
        except HttpError as error:
            raise _refusal(call, error) from None
        except SyncError:  # from the way to a token
            http.close()
            raise
        except _FAILURES as error:
            http.close()  # in the midst of an answer it can be asked nothing else
            raise _failure(call, error) from None

    def _http(self) -> "_Http":
        """This thread's connection: httplib2 is not thread-safe. Subjects share it, as they differ by a header."""
        found: _Http | None = getattr(self._local, "http", None)
        if found is None:
            found = self._local.http = _Http(self.call_s)
        return found


def _with_url(present: object, etag: str, old: str, new: str) -> dict[str, Any]:
    """The conference data of an event, with another URL in it. Raises Overtaken if it is not that version's."""
    match present:
        case {"etag": found, "conferenceData": {"entryPoints": list(points)} as carried} if found == etag:
            renewed = [_renewed(point, old, new) for point in points]
            if renewed != points:
                return {**carried, "entryPoints": renewed}
    raise Overtaken(f"{_Call.PATCH}: the event has changed since it was read")


def _renewed(point: object, old: str, new: str) -> object:
    return {**point, "uri": new} if isinstance(point, dict) and point.get("uri") == old else point


# --- One request, sent once ---
#
# httplib2 sends a request a second time, whatever its method, when the connection ends without an answer; there
# is no switch for that. For a watch it means two channels, one of them unknown to us. The reason for it is a
# kept connection that the server has closed meanwhile, and that can be seen before anything is sent.


class _Once:
    """Mixed into a connection of httplib2: replaces a dead connection before sending, and never sends again.

    Its sockets are ours, so that they end in time. Closed, it leaves none open: nobody else closes the answer to
    a request whose connection is not kept, and which broke off.
    """

    _answer: http.client.HTTPResponse | None = None

    def connect(self) -> None:
        here: Any = self
        here.sock = in_time.connected(here.host, here.port, here.timeout)

    def request(self, *args: Any, **kwargs: Any) -> None:
        sock: socket.socket | None = self.sock  # type: ignore[attr-defined]
        if sock is not None and wait_for_read(sock, timeout=0):  # nothing is owed to us: so it is the end
            self.close()
        super().request(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        if self._answer:
            self._answer.close()

    def getresponse(self) -> http.client.HTTPResponse:
        try:
            self._answer = super().getresponse()  # type: ignore[misc]
            return self._answer
        except (http.client.BadStatusLine, http.client.ResponseNotReady):
            raise ConnectionResetError from None  # the two that httplib2 would take as a reason to send again


class _HTTPConnection(_Once, httplib2.HTTPConnectionWithTimeout):
    pass


class _HTTPSConnection(_Once, httplib2.HTTPSConnectionWithTimeout):
    def connect(self) -> None:
        super().connect()
        here: Any = self
        context: ssl.SSLContext = in_time.bounded(here._context)
        here.sock = context.wrap_socket(here.sock, server_hostname=here.host)


class _Http(httplib2.Http):
    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout=timeout_s)
        self.follow_redirects = False  # the Calendar API has none
        # Not __del__: of a cycle, the garbage collector may find the open socket before it finds us.
        weakref.finalize(self, _close, self.connections)  # when its thread ends

    def request(self, uri: str, *args: Any, **kwargs: Any) -> Any:
        plain = uri.startswith("http:")
        kwargs["connection_type"] = _HTTPConnection if plain else _HTTPSConnection
        return super().request(uri, *args, **kwargs)

    def close(self) -> None:
        _close(self.connections)


def _close(connections: dict[str, Any]) -> None:
    while connections:
        connections.popitem()[1].close()


# --- Errors ---


class _Call(StrEnum):
    LIST = "events.list"
    LIST_SINCE = "events.list with a sync token"
    LIST_FURTHER = "events.list, further page"
    LIST_SINCE_FURTHER = "events.list with a sync token, further page"
    GET = "events.get"
    PATCH = "events.patch"
    WATCH = "events.watch"
    STOP = "channels.stop"


_FURTHER_PAGE = {_Call.LIST: _Call.LIST_FURTHER, _Call.LIST_SINCE: _Call.LIST_SINCE_FURTHER}


_LISTS_SINCE = frozenset({_Call.LIST_SINCE, _Call.LIST_SINCE_FURTHER})
_FURTHER_PAGES = frozenset(_FURTHER_PAGE.values())
_LISTS = frozenset(_FURTHER_PAGE) | _FURTHER_PAGES
_EVERY_CALL = frozenset(_Call)
_ANY = None  # any reason, or none told: bodies may be HTML, or empty
_RATE = frozenset(
    {
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "quotaExceeded",
        "dailyLimitExceeded",  # over at midnight; nobody's access is lost
        "RATE_LIMIT_EXCEEDED",  # in details[], where reasons are spelt like this
    }
)

# What a refusal means ("Handle API errors"; push and sync guides). The first row that fits counts.
_REFUSALS: tuple[tuple[Set[_Call], Set[int], Set[str] | None, type[SyncError]], ...] = (
    (_EVERY_CALL, {429}, _ANY, RateLimited),
    (_EVERY_CALL, {403}, _RATE, RateLimited),
    (_LISTS_SINCE, {410}, _ANY, SyncTokenGone),
    (_FURTHER_PAGES, {400, 410}, _ANY, Transient),  # the page token: begin again at the first page
    ({_Call.LIST_SINCE}, {400}, {"invalid", "badRequest"}, SyncTokenGone),  # malformed, or another calendar's
    # Only Google's own word is evidence that an event is gone: a proxy knows 404 as well.
    ({_Call.GET, _Call.PATCH}, {404, 410}, {"notFound", "deleted"}, Gone),
    ({_Call.PATCH}, {412}, _ANY, Overtaken),
    ({_Call.PATCH}, {400, 403}, _ANY, Refused),  # we may read this calendar, and not write this event
    ({_Call.WATCH}, {400, 403}, {"pushNotSupportedForRequestedResource"}, Unsupported),
    ({_Call.STOP}, {400, 404, 410}, _ANY, Gone),  # what it cannot find by these ids it never will
    (_EVERY_CALL, {401, 403, 404, 410}, _ANY, AccessLost),  # a 401 after the client's own refresh
    (_LISTS, {400}, _ANY, Transient),  # our own words, so nothing of the calendar: a later version has others
    (_EVERY_CALL, {400}, _ANY, Refused),
)

# What a call fails with when there is no answer, or none that the client can read. From TypeError on they are its
# trips over bodies that are JSON but nothing it has foreseen.
_FAILURES = (
    OSError,
    httplib2.HttpLib2Error,
    http.client.HTTPException,
    GoogleAuthError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
)


def _refusal(call: _Call, error: HttpError) -> SyncError:
    status, reasons = int(error.status_code), _reasons(error.content)
    message = f"{call}: {status} {reasons[0] if reasons else 'without a reason'}"
    for calls, statuses, meant, kind in _REFUSALS:
        if call in calls and status in statuses and (meant is _ANY or not meant.isdisjoint(reasons)):
            return RateLimited(message, _retry_after_s(error.resp)) if kind is RateLimited else kind(message)
    return Transient(message)


def _failure(call: _Call, error: Exception) -> SyncError:
    match error:
        case TimeoutError():
            return Timeout(f"{call}: no answer in time")
        case GoogleAuthError() if not (error.retryable or isinstance(error, TransportError)):
            return AccessLost(f"{call}: Google refuses our credentials for this subject: grant them again")
        case GoogleAuthError():
            return Transient(f"{call}: no access token for now")
        case OSError() | http.client.HTTPException() | httplib2.HttpLib2Error():
            return Transient(f"{call}: the connection failed ({type(error).__name__})")
    return Transient(f"{call}: an answer that cannot be read")


def _reasons(body: bytes) -> list[str]:
    """Every reason that an error body gives, in errors[] and in details[]; none of it is to be trusted."""
    try:
        error = json.loads(body)["error"]
        entries = [*error.get("errors", ()), *error.get("details", ())]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []
    reasons = [entry.get("reason") for entry in entries if isinstance(entry, dict)]
    return [reason for reason in reasons if isinstance(reason, str) and _REASON.fullmatch(reason)]


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Retry-After is a number of seconds, or a date by the clock of the answer's own Date header (RFC 9110)."""
    told = headers.get("retry-after", "")
    if _SECONDS.fullmatch(told):
        return float(told)
    try:
        wait = parsedate_to_datetime(told) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())


def _of(calendar: CalendarId) -> dict[str, str]:
    return {"calendarId": calendar.id, **_charged_to(calendar.subject)}


def _charged_to(subject: str) -> dict[str, str]:
    """Whose quota a delegated call is charged to: without it, all of them are one service account's (quota page).

    At most 40 characters.
    """
    return {"quotaUser": hashlib.sha256(subject.encode()).hexdigest()[:40]} if subject else {}


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
