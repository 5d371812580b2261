"""A stand-in for Zoom's Meetings API and its OAuth.

Its sources are Zoom's Meetings API, "Get", "Update" and "Delete a meeting" (204; a start in the past is ignored;
with occurrence_id only agenda, start_time, duration and some settings; `recurrence` is told whole, and has
end_times up to 60 or end_date_time; a listing has 50 occurrences; codes 300, 3000, 3001, 3161), Zoom's table of
older errors (3002, 3003, 3007, 3018), "Rate limits" (100 updates by day and host, its Retry-After in ISO 8601) and
"Server-to-server OAuth"; error bodies are {code, message}. Its developer forum: a new token ends those before it.
Guessed: that a series which is told anew has its exceptions no more, and what Zoom's week begins with.
"""

import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule
from werkzeug.wrappers import Request, Response

from tests.contract.fake_service import Asked, FakeService, told

ACCOUNT, CLIENT, KEY = "A1234", "C1234", "SECRET-key"
_PATH = re.compile(r"/v2/meetings/(\d+)")
_TIMES = {"start_time", "duration", "timezone", "recurrence", "type"}
_OF_OCCURRENCES = {"agenda", "start_time", "duration", "settings"}
_DAYS = (rrule.SU, rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA)


class FakeZoom(FakeService):
    """The meetings of one host. `exceptions`: by meeting and id, occurrences that are not where the rule says."""

    def __init__(self) -> None:
        super().__init__()
        self.meetings: dict[str, dict[str, Any]] = {}
        self.exceptions: dict[str, dict[str, dict[str, Any] | None]] = {}
        self.deaf: set[str] = set()  # parts of a body that are ignored, with success
        self.shows_ended = True
        self.new_ids = False
        self.left_today = 100
        self.mails = 0
        self.sign_ins = 0
        self.key = KEY
        self._token = ""

    def add(self, number: str, **more: object) -> None:
        self.exceptions[number] = {}
        self.meetings[number] = {
            "id": int(number),
            "topic": "Old",
            "agenda": "",
            "type": 2,
            "start_time": "2030-01-01T10:00:00Z",
            "duration": 60,
            "timezone": "UTC",
            "password": "SECRET",
            "settings": {"waiting_room": True, "join_before_host": False, "meeting_invitees": []},
            **more,
        }

    def end_tokens(self) -> None:
        self._token = ""

    def sign_in(self, request: Request) -> Response | None:
        if request.path != "/oauth/token":
            return None
        basic = b64encode(f"{CLIENT}:{self.key}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {basic}":
            return told(
                {"reason": "Invalid client_id or client_secret SECRET", "error": "invalid_client"}, 400
            )
        if dict(request.form) != {"grant_type": "account_credentials", "account_id": ACCOUNT}:
            return told({"reason": "Bad Request SECRET", "error": "invalid_request"}, 400)
        self.sign_ins += 1
        self._token = f"SECRET-token-{self.sign_ins}"
        return told({"access_token": self._token, "token_type": "bearer", "expires_in": 3599, "scope": "x"})

    def act(self, asked: Asked, token: str) -> Response:
        if token != self._token or not token:
            return error(401, 124, "Invalid access token.")
        path = _PATH.fullmatch(asked.path)
        if path is None or path[1] not in self.meetings:
            return error(404, 3001, f"Meeting does not exist: SECRET {asked.path}.")
        number, meeting = path[1], self.meetings[path[1]]
        occurrence = asked.query.get("occurrence_id", "").removeprefix("new-")
        if asked.method == "GET":
            return told(self._shown(number))
        if occurrence and occurrence not in self._occurrences(number):
            return error(404, 3001, "Meeting does not exist: SECRET.")
        if asked.method == "DELETE":
            return self._delete(number, occurrence, asked.query)
        if not self.left_today:
            midnight = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT00:00:00Z")
            answer = error(429, 429, "You have exceeded the daily rate limit (100) SECRET")
            answer.headers["Retry-After"] = midnight
            return answer
        self.left_today -= 1
        return self._patch(number, meeting, occurrence, asked.body)

    # --- what is there ---

    def _shown(self, number: str) -> dict[str, Any]:
        meeting = self.meetings[number]
        if meeting["type"] != 8:
            return meeting
        now = datetime.now(UTC)
        listed = [each for each in self._occurrences(number).values() if _moment(each["start_time"]) > now]
        if not self.shows_ended:
            listed = [each for each in listed if each["status"] != "deleted"]
        if self.new_ids:
            listed = [{**each, "occurrence_id": f"new-{each['occurrence_id']}"} for each in listed]
        shown = {name: value for name, value in meeting.items() if name not in ("start_time", "duration")}
        return {**shown, "occurrences": listed[:50]}

    def _occurrences(self, number: str) -> dict[str, dict[str, Any]]:
        meeting = self.meetings[number]
        if meeting["type"] != 8:
            return {}
        zone = ZoneInfo(meeting["timezone"])
        start = _moment(meeting["start_time"]).astimezone(zone).replace(tzinfo=None)
        found = {}
        for at in expanded(meeting["recurrence"], start, zone):
            moment = at.replace(tzinfo=zone).astimezone(UTC)
            name = str(int(moment.timestamp() * 1000))
            exception = self.exceptions[number].get(name, {})
            usual = {"start_time": _text(moment), "duration": meeting["duration"]}
            status = "deleted" if exception is None else "available"
            found[name] = {"occurrence_id": name, **usual, "status": status, **(exception or {})}
        return found

    # --- what is done ---

    def _patch(self, number: str, meeting: dict[str, Any], occurrence: str, body: dict[str, Any]) -> Response:
        settings = body.get("settings", {})
        self.mails += settings.get("email_notification") is not False
        if problem := _problem(body, occurrence):
            return error(400, 300, f"Validation Failed. SECRET {problem}")
        change = {name: value for name, value in body.items() if name not in {*self.deaf, "settings"}}
        zone = ZoneInfo(body.get("timezone") or meeting["timezone"])
        if "start_time" in change:
            start = datetime.fromisoformat(change["start_time"])
            moment = (start if start.tzinfo else start.replace(tzinfo=zone)).astimezone(UTC)
            change["start_time"] = _text(moment)
            if moment < datetime.now(UTC) or meeting["type"] == 3:
                del change["start_time"]
        if occurrence:
            self.exceptions[number][occurrence] = {
                **(self.exceptions[number].get(occurrence) or {}),
                **change,
            }
            return Response(status=204)
        if _TIMES & change.keys():
            self.exceptions[number].clear()
        meeting.update(change)
        told_ = {name: value for name, value in settings.items() if "notification" not in name}
        meeting["settings"] = {**meeting["settings"], **told_}
        return Response(status=204)

    def _delete(self, number: str, occurrence: str, query: dict[str, str]) -> Response:
        silent = (query.get("schedule_for_reminder"), query.get("cancel_meeting_reminder")) == (
            "false",
            "false",
        )
        self.mails += not silent
        if self.meetings[number]["type"] == 4:
            return error(400, 3018, "Not allowed to delete PMI. SECRET")
        if occurrence:
            self.exceptions[number][occurrence] = None
        else:
            del self.meetings[number]
        return Response(status=204)


def _problem(body: dict[str, Any], occurrence: str) -> str:
    recurrence = body.get("recurrence", {})
    if occurrence and body.keys() - _OF_OCCURRENCES:
        return "not of an occurrence"
    if len(body.get("topic", "")) > 200 or len(body.get("agenda", "")) > 2000 or body.get("duration", 1) < 1:
        return "too long or short"
    if recurrence and not {"type", "repeat_interval"} <= recurrence.keys():
        return "a part of a recurrence"
    if {"end_times", "end_date_time"} <= recurrence.keys() or recurrence.get("end_times", 0) > 60:
        return "end"
    return ""


def expanded(recurrence: dict[str, Any], start: datetime, zone: ZoneInfo) -> list[datetime]:
    """At most seventy local starts, as dateutil has them."""
    more: dict[str, Any] = {}
    if "weekly_days" in recurrence:
        more["byweekday"] = [_DAYS[int(day) - 1] for day in recurrence["weekly_days"].split(",")]
    if "monthly_day" in recurrence:
        more["bymonthday"] = recurrence["monthly_day"]
    if "monthly_week" in recurrence:
        more["byweekday"] = _DAYS[recurrence["monthly_week_day"] - 1](recurrence["monthly_week"])
    if "end_date_time" in recurrence:
        more["until"] = _moment(recurrence["end_date_time"]).astimezone(zone).replace(tzinfo=None)
    freq = (rrule.DAILY, rrule.WEEKLY, rrule.MONTHLY)[recurrence["type"] - 1]
    times = recurrence.get("end_times") or None
    rule = rrule.rrule(freq, start, recurrence["repeat_interval"], rrule.SU, times, **more)
    return list(rule[:70])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def error(status: int, code: int, message: str) -> Response:
    return told({"code": code, "message": message}, status)
