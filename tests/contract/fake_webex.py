"""A stand-in for the Webex Meetings API and its token endpoint.

Its source is Cisco's OpenAPI description of the meetings API: "Patch a Meeting" (what is checked of start and end,
seconds are cut off, changed times of a series end its exceptions, mails by default), "List Meetings" (webLink,
current, meetingSeriesId; times in UTC), "Delete a Meeting" (204, mails by default), and the shape of its errors,
{message, errors, trackingId}. Token pairs: WebexSamples, simple_service_app.
Guessed: the words and the status for a connector's meeting, and that ended exceptions are where the rule has them.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from werkzeug.wrappers import Request, Response

from tests.contract.fake_service import Asked, FakeService, told

CLIENT, KEY, FIRST = "C1234", "SECRET-key", "SECRET-refresh-0"
HOST = "ada@example.com"
_PATH = re.compile(r"/v1/meetings(?:/([^/]+))?")
_SERIES_TIMES = {"start", "end", "recurrence"}


def web_link(number: str) -> str:
    return f"https://site4.webex.com/site4/j.php?MTID={number}"


class FakeWebex(FakeService):
    """The meetings of one site. `exceptions`: of each series, its occurrences that are not where the rule says."""

    def __init__(self) -> None:
        super().__init__()
        self.meetings: dict[str, dict[str, Any]] = {}
        self.exceptions: dict[str, dict[str, dict[str, Any] | None]] = {}
        self.connected: set[str] = set()
        self.hosts = {HOST}
        self.mails = 0
        self.refresh_tokens = {FIRST}
        self.used: list[str] = []
        self._tokens: set[str] = set()

    def add(self, number: str, **more: object) -> str:
        meeting_id = f"870f51ff287b41be{len(self.meetings):04}"
        self.exceptions[meeting_id] = {}
        self.meetings[meeting_id] = {
            "id": meeting_id,
            "title": "Old",
            "password": "SECRET",
            "meetingType": "meetingSeries",
            "timezone": "UTC",
            "start": "2030-01-01T10:00:00Z",
            "end": "2030-01-01T11:00:00Z",
            "hostEmail": HOST,
            "webLink": web_link(number),
            **more,
        }
        return meeting_id

    def end_tokens(self) -> None:
        self._tokens.clear()

    def sign_in(self, request: Request) -> Response | None:
        if request.path != "/v1/access_token":
            return None
        form = request.form
        if (form["client_id"], form["client_secret"]) != (CLIENT, KEY):
            return _error(401, "invalid_client SECRET")
        if form["grant_type"] != "refresh_token" or form["refresh_token"] not in self.refresh_tokens:
            return _error(400, "invalid_grant SECRET")
        self.used.append(form["refresh_token"])
        newer = f"SECRET-refresh-{len(self.used)}"
        self.refresh_tokens = {newer}
        token = f"SECRET-token-{len(self.used)}"
        self._tokens.add(token)
        pair = {"access_token": token, "expires_in": 1209599, "refresh_token": newer}
        return told({**pair, "refresh_token_expires_in": 7775999, "token_type": "Bearer"})

    def act(self, asked: Asked, token: str) -> Response:
        path = _PATH.fullmatch(asked.path)
        if token not in self._tokens:
            return _error(401, "The request requires a valid access token set in the Authorization header.")
        if path is None:
            return _error(404, "SECRET: nothing here")
        if asked.method == "GET":
            return self._list(asked.query)
        if (asked.body.get("hostEmail") or asked.query.get("hostEmail")) not in self.hosts:
            return _error(404, "SECRET: no such host")
        meeting_id, _, original = path[1].partition("_")
        if meeting_id not in self.meetings or (original and original not in self._occurrences(meeting_id)):
            return _error(404, "The requested resource could not be found.")
        if meeting_id in self.connected:
            return _error(403, "A meeting created by a calendar connector SECRET cannot be changed.")
        silent = asked.body.get("sendEmail") is False or asked.query.get("sendEmail") == "false"
        self.mails += not silent
        if asked.method == "DELETE":
            return self._delete(meeting_id, original)
        return self._patch(meeting_id, original, asked.body)

    def _list(self, query: dict[str, str]) -> Response:
        if "meetingSeriesId" in query:
            since = datetime.fromisoformat(query["from"])
            until = datetime.fromisoformat(query["to"])
            each = self._occurrences(query["meetingSeriesId"]).values()
            within = [one for one in each if since <= datetime.fromisoformat(one["start"]) < until]
            return told({"items": within[: int(query["max"])]})
        own = [each for each in self.meetings.values() if each["webLink"] == query["webLink"]]
        assert query["current"] == "false"
        return told({"items": own if query.get("hostEmail") in self.hosts else []})

    def _occurrences(self, meeting_id: str) -> dict[str, dict[str, Any]]:
        """Every occurrence by where the rule has it: at most a hundred and one."""
        meeting = self.meetings[meeting_id]
        if not meeting.get("recurrence"):
            return {}
        zone = ZoneInfo(meeting["timezone"])
        start, end = (datetime.fromisoformat(meeting[name]) for name in ("start", "end"))
        rule = re.sub(r"UNTIL=(\d{8}T\d{6})Z", _local_until(zone), meeting["recurrence"])
        local = rrulestr(rule, dtstart=start.astimezone(zone).replace(tzinfo=None))
        found: dict[str, dict[str, Any]] = {}
        for at in local[:101]:
            moment = at.replace(tzinfo=zone).astimezone(UTC)
            original = moment.strftime("%Y%m%dT%H%M%SZ")
            times = {"start": _text(moment), "end": _text(moment + (end - start))}
            exception = self.exceptions[meeting_id].get(original, {})
            if exception is not None:
                named = {"id": f"{meeting_id}_{original}", "meetingType": "scheduledMeeting"}
                found[original] = {**named, **times, **exception}
        return found

    def _patch(self, meeting_id: str, original: str, body: dict[str, Any]) -> Response:
        now = self.meetings[meeting_id] if not original else self._occurrences(meeting_id)[original]
        change = {name: value for name, value in body.items() if name not in ("sendEmail", "hostEmail")}
        if "start" in change or "end" in change:
            start, end = (_minute(change.get(name, now[name])) for name in ("start", "end"))
            if start < datetime.now(UTC) or not timedelta(minutes=10) <= end - start <= timedelta(
                hours=23, minutes=59
            ):
                return _error(400, "SECRET: start or end")
            change |= {"start": _text(start), "end": _text(end)}
        if original:
            self.exceptions[meeting_id][original] = {
                **(self.exceptions[meeting_id].get(original) or {}),
                **change,
            }
            return told({**now, **change})
        if any(name in change and change[name] != now.get(name) for name in _SERIES_TIMES):
            self.exceptions[meeting_id].clear()
        now.update(change)
        if now.get("recurrence", "") is None:
            del now["recurrence"]
        return told(now)

    def _delete(self, meeting_id: str, original: str) -> Response:
        if original:
            self.exceptions[meeting_id][original] = None
        else:
            del self.meetings[meeting_id]
        return Response(status=204)


def _local_until(zone: ZoneInfo) -> Any:
    def local(found: re.Match[str]) -> str:
        moment = datetime.strptime(f"{found[1]}+0000", "%Y%m%dT%H%M%S%z").astimezone(zone)
        return moment.strftime("UNTIL=%Y%m%dT%H%M%S")

    return local


def _minute(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(second=0, microsecond=0)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _error(status: int, message: str) -> Response:
    return told({"message": message, "errors": [{"description": message}], "trackingId": "ROUTER_1"}, status)
