"""A stand-in for Microsoft Graph and its sign-in, as far as online meetings of an organization go.

Its sources are Microsoft's pages: "Get onlineMeeting" (both filters, the shape of a meeting, a collection of one),
"Update onlineMeeting" (both times together, the full list of attendees, what a running meeting does not take),
"Delete onlineMeeting" (204), "Configure an application access policy" (its section "Errors"), "Microsoft Graph
error responses and resource types" (the shape of an error), and for signing in RFC 6749, 4.4 and 5.2.
Guessed: an unknown join URL lists nothing, and the code for a user who is not there.
"""

import json
import re
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from werkzeug.wrappers import Request, Response

from tests.contract.fake_service import Asked, FakeService, told

TENANT = "79a788bf-86f1-41af-91ab-0123456789ab"
CLIENT, KEY = "5dc1d9b0-1111-4c4c-9f4f-0123456789ab", "SECRET-key"
ADA, BOB = "d4a060b5-a8fc-450c-837b-0123456789ab", "112f7296-5fa4-42ca-bae8-0123456789ab"
ADDRESSES = {"ada@example.com": ADA, "o'bob@example.com": BOB}
BOTH = {"startDateTime", "endDateTime"}

_MEETINGS = re.compile(r"/v1\.0/users/([^/]+)/onlineMeetings(?:/([^/]+))?")
_FILTER = re.compile(r"(JoinWebUrl|joinMeetingIdSettings/joinMeetingId) eq '((?:[^']|'')*)'")


def join_url(
    thread: str, organizer: str = ADA, tenant: str = TENANT, host: str = "teams.microsoft.com"
) -> str:
    context = quote(json.dumps({"Tid": tenant, "Oid": organizer}, separators=(",", ":")), safe="")
    return f"https://{host}/l/meetup-join/{quote(thread, safe='').lower()}/0?context={context}"


class FakeTeams(FakeService):
    """The meetings of one tenant. `policy`: the users whom an application access policy lets the app act for."""

    def __init__(self) -> None:
        super().__init__()
        self.meetings: dict[str, dict[str, Any]] = {}
        self.policy = {ADA, BOB}
        self.consented = True
        self.running: set[str] = set()
        self.deaf = False  # lists everything, whatever the filter
        self.key = KEY
        self.sign_ins = 0
        self._tokens: set[str] = set()

    def add(self, thread: str, digits: str = "", organizer: str = ADA, **more: object) -> str:
        graph_id = f"MSo{len(self.meetings):04}"
        self.meetings[graph_id] = {
            "id": graph_id,
            "subject": "Old",
            "startDateTime": "2030-01-01T10:00:00.1234567Z",
            "endDateTime": "2030-01-01T11:00:00Z",
            "joinWebUrl": join_url(thread, organizer),
            "joinMeetingIdSettings": {
                "joinMeetingId": digits,
                "isPasscodeRequired": True,
                "passcode": "SECRET",
            },
            "participants": {"organizer": {"identity": {"user": {"id": organizer}}}, "attendees": []},
            "lobbyBypassSettings": {"scope": "organization"},
            **more,
        }
        return graph_id

    def end_tokens(self) -> None:
        """Every token that was given out is over."""
        self._tokens.clear()

    def sign_in(self, request: Request) -> Response | None:
        if not request.path.endswith("/oauth2/v2.0/token"):
            return None
        self.sign_ins += 1
        form = request.form
        if request.path != f"/{TENANT}/oauth2/v2.0/token":
            return told({"error": "invalid_request", "error_description": "AADSTS90002: SECRET"}, 400)
        if form["client_id"] != CLIENT:
            return told({"error": "unauthorized_client", "error_description": "AADSTS700016: SECRET"}, 400)
        if form["client_secret"] != self.key:
            return told({"error": "invalid_client", "error_description": "AADSTS7000215: SECRET"}, 401)
        if form["grant_type"] != "client_credentials" or form["scope"] != f"{self.url}/.default":
            return told({"error": "invalid_scope"}, 400)
        token = f"SECRET-token-{self.sign_ins}"
        self._tokens.add(token)
        return told({"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    def act(self, asked: Asked, token: str) -> Response:
        if token not in self._tokens:
            return _error(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
        if not self.consented:
            return _error(403, "Authorization_RequestDenied", "Insufficient privileges: SECRET")
        path = _MEETINGS.fullmatch(asked.path)
        if path is None:
            return _error(404, "BadRequest", "Resource not found for the segment SECRET.")
        user = ADDRESSES.get(path[1], path[1])
        if user not in ADDRESSES.values():
            return _error(404, "Request_ResourceNotFound", "Resource SECRET does not exist.")
        if user not in self.policy:
            return _error(
                403, "Forbidden", "No application access policy found for this app SECRET on the user"
            )
        if path[2] is None:
            return self._list(asked, user)
        meeting = self.meetings.get(path[2])
        if meeting is None:
            return _error(404, "NotFound", "SECRET: the meeting is not found.")
        if asked.method == "PATCH":
            return self._patch(meeting, asked.body)
        del self.meetings[path[2]]
        return Response(status=204)

    def _list(self, asked: Asked, user: str) -> Response:
        asks = _FILTER.fullmatch(asked.query.get("$filter", ""))
        if asks is None:
            return _error(400, "InvalidArgument", "Filter expression expected - SECRET")
        wanted = asks[2].replace("''", "'")
        own = [each for each in self.meetings.values() if f"{user}%22" in each["joinWebUrl"]]
        return told({"value": [each for each in own if self.deaf or wanted == _known_by(asks[1], each)]})

    def _patch(self, meeting: dict[str, Any], body: dict[str, Any]) -> Response:
        if len(BOTH & body.keys()) == 1:
            return _error(400, "InvalidArgument", "SECRET: both are required.")
        if body.keys() >= BOTH and _moment(body["startDateTime"]) >= _moment(body["endDateTime"]):
            return _error(400, "InvalidArgument", "SECRET: it must end after it starts.")
        if meeting["id"] not in self.running:
            told_ = deepcopy(body)
            meeting["participants"] |= told_.pop("participants", {})
            meeting |= told_
        return told(meeting)


def _known_by(name: str, meeting: dict[str, Any]) -> object:
    if name == "JoinWebUrl":
        return meeting["joinWebUrl"]
    return meeting["joinMeetingIdSettings"]["joinMeetingId"]


def _error(status: int, code: str, message: str) -> Response:
    inner = {"date": "2030-01-01T00:00:00", "request-id": "599d9cb0"}
    return told({"error": {"code": code, "message": message, "innerError": inner}}, status)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
