"""Zoom meetings, by server-to-server OAuth: only what differs is told, and other times are read back.

Zoom answers 204 to a start in the past and ignores it, and lets a host's meetings be changed 100 times a day: so
an update reads first, tells the difference, and believes other times only when it has read them again. What the
times are is in zoom_times.py, how a rule of repetition is told in zoom_recurrence.py. Facts are from Zoom's
Meetings API ("Get", "Update" and "Delete a meeting") and its page on rate limits; guesses are marked.
"""

import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import cast

from sync.conferences import Context
from sync.conferences.calls import Api, Calls
from sync.conferences.http import Answer, Http, retry_after
from sync.conferences.options import Options
from sync.conferences.token import Fetched, SharedToken
from sync.conferences.told import NOT_OURS, Told, address, moment, said
from sync.conferences.zoom_times import ONCE, Occurrence, Once, Repeated, Slot, minutes, times, utc
from sync.errors import AuthFailed, Gone, RateLimited, Refused, SyncError, Transient, Unsupported
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import KNOWN

_HOSTS = ("zoom.us", "zoomgov.com")
_NUMBER = re.compile(r"\d{9,12}", re.ASCII)
_NOBODYS = "99999999999"  # to ask for it proves token and scope, and tells nothing
_PERSONAL = 4  # the type of a meeting that is somebody's own room
_TITLE_LIMIT, _AGENDA_LIMIT = 200, 2000
_PLACED = 8  # occurrences at most, in one update
_NO_MAIL = {"email_notification": False, "alternative_hosts_email_notification": False}
_NO_REMINDER = {"schedule_for_reminder": "false", "cancel_meeting_reminder": "false"}
_SCOPES = {"GET": "meeting:read", "PATCH": "meeting:update", "DELETE": "meeting:delete"}


class Zoom:
    """A server-to-server app. Options: `account_id`, `client_id`, `client_secret` (a Secret); other roots."""

    name = "zoom"
    capabilities = frozenset(
        {"title", "agenda", "time", "recurrence", "occurrence", "invitees", "read", "join_url"}
    )
    system = next(each for each in KNOWN if each.provider == "zoom")

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        told = Options(options, ("account_id", "client_id", "client_secret"), ("oauth_url", "api_url"))
        oauth = told.root("oauth_url", "https://zoom.us", _HOSTS)
        api = told.root("api_url", "https://api.zoom.us", _HOSTS)
        self._account_id, self._client_id = told.text("account_id"), told.text("client_id")
        self._secret = told.secret("client_secret")
        told.check()
        self._oauth = Http(oauth, connect_s=context.connect_s, read_s=context.read_s)
        token = SharedToken(context.shared, self._fetch, fetch_s=self._oauth.call_s)
        http = Http(api, connect_s=context.connect_s, read_s=context.read_s)
        self._api = Api(http, token, _ends_token, _refuse)
        self.call_s = self._api.operation_s

    def read(self, target: Target) -> Actual | None:
        try:
            found = self._meeting(target.id).read()
        except Gone:
            return None
        title, join_url = str(found["topic"]), address(found.get("join_url"))
        if found["type"] != ONCE or "start_time" not in found:
            return Actual(title, join_url=join_url)  # of a series, Zoom lists what is still ahead
        start = moment(found["start_time"])
        end = start + timedelta(minutes=minutes(found))
        return Actual(title, start, end, join_url, said(found.get("timezone")))

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        there = self._meeting(target.id)
        found = there.read()
        _refuse_personal(found)
        wanted = _Wanted(meeting, found, datetime.now(UTC))
        if wanted.body:
            there.patch(wanted.body)
        if wanted.retimed:
            found = there.read()
            wanted.believe(found)
        if isinstance(wanted.times, Repeated):
            _put_in_place(there, found, wanted.times, wanted.told)
        return wanted.told.outcome(changed=there.acted, join_url=address(found.get("join_url")))

    def delete(self, target: Target) -> Outcome:
        there = self._meeting(target.id)
        try:
            _refuse_personal(there.read())
            there.delete()
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=True)

    def check(self) -> str:
        with suppress(Gone):
            self._meeting(_NOBODYS).read()
        return "Zoom gave a token, and lets it read meetings"

    def _meeting(self, number: str) -> "_Meeting":
        if not _NUMBER.fullmatch(number):
            raise Refused("this is not a number that Zoom gives to its meetings")
        return _Meeting(self._api.operation(), number)

    def _fetch(self, _: str) -> Fetched:
        form = {"grant_type": "account_credentials", "account_id": self._account_id}
        basic = b64encode(f"{self._client_id}:{self._secret.read()}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        answer = self._oauth.send("POST", "oauth", "token", form=form, headers=headers)
        if answer.status in (400, 401):
            where = f"POST: {answer.status} from {answer.host}"
            raise AuthFailed(
                f"{where}: check account_id, client_id and client_secret, and that the app is active"
            )
        self._oauth.judge(answer)
        match answer.json():
            case {"access_token": str(token), "expires_in": int(lives_s)}:
                return Fetched(token, float(lives_s))
        raise Transient("POST: what came back is no token")


class _Meeting:
    """One meeting at Zoom, in one operation."""

    def __init__(self, calls: Calls, number: str) -> None:
        self._calls = calls
        self._number = number

    @property
    def acted(self) -> bool:
        return self._calls.acted

    def read(self) -> Mapping[str, object]:
        """What Zoom says of it. Raises Gone."""
        found = self._make("GET").json()
        match found:
            case {"id": int() | str() as number, "topic": str(), "type": int()} if (
                str(number) == self._number
            ):
                return found
        raise Transient(NOT_OURS)

    def patch(self, body: Mapping[str, object], occurrence: str = "") -> None:
        # Among what an occurrence takes, the documents do not name the switch against mails: sent all the same.
        settings = {**cast(Mapping[str, object], body.get("settings", {})), **_NO_MAIL}
        query = {"occurrence_id": occurrence} if occurrence else {}
        self._make("PATCH", query, {**body, "settings": settings}).json()

    def delete(self) -> None:
        self._make("DELETE", _NO_REMINDER).json()

    def place(self, occurrence: Occurrence, slot: Slot | None) -> None:
        """Move one occurrence, or end it. Without its id it would be the whole series: there is always one."""
        if slot:
            self.patch({"start_time": utc(slot.start), "duration": slot.minutes}, occurrence.id)
        else:
            self._make("DELETE", {**_NO_REMINDER, "occurrence_id": occurrence.id}).json()

    def _make(
        self, method: str, query: Mapping[str, str] | None = None, body: Mapping[str, object] | None = None
    ) -> Answer:
        return self._calls.make(method, "v2", "meetings", self._number, query=query, body=body)


def _put_in_place(there: _Meeting, found: Mapping[str, object], series: Repeated, told: Told) -> None:
    """Every listed occurrence where the event has it. What cannot be done is said, and stops no other."""
    changes, stuck = series.misplaced(found)
    for occurrence, slot in changes[:_PLACED]:
        with suppress(Gone, Refused):  # what became of it is read again
            there.place(occurrence, slot)
    if changes:
        left, stuck = series.misplaced(there.read())
        if len(changes) > _PLACED and len(left) < len(changes):
            raise Transient(f"{len(changes) - len(left)} occurrences are in place, and {len(left)} are left")
        stuck = stuck or bool(left)
    if changes or series.elsewhere or stuck:
        told.say("occurrence", "not every occurrence could be put in its place" if stuck else "")


def _refuse_personal(found: Mapping[str, object]) -> None:
    settings = found.get("settings")
    uses_one = isinstance(settings, Mapping) and settings.get("use_pmi") is True
    if found["type"] == _PERSONAL or found.get("pmi") or uses_one:
        raise Refused("this is somebody's personal room, which is never changed")


# --- what is told ---


class _Wanted:
    """What is to be told, and what becomes of each detail. `times`: those that Zoom can have."""

    def __init__(self, meeting: Meeting, found: Mapping[str, object], now: datetime) -> None:
        self.body: dict[str, object] = {}
        self.told = Told()
        self.retimed = False
        self._timed = ["time", "recurrence"] if meeting.recurrence else ["time"]
        self._moved = ["occurrence"] if meeting.moved else []
        self._tell_texts(meeting, found)
        if meeting.invitees is not None:
            self._tell_invitees(meeting.invitees, found)
        self.times = self._tell_times(meeting, found, now)

    def believe(self, found: Mapping[str, object]) -> None:
        """Of times that were told, only what is read again."""
        if self.times and not self.times.are_in(found):
            self._ignore_times("Zoom has answered with success, and has other times all the same")
            self.times = None

    def _ignore_times(self, why: str) -> None:
        for detail in (*self._timed, *self._moved):
            self.told.say(detail, why)

    def _tell_texts(self, meeting: Meeting, found: Mapping[str, object]) -> None:
        title = meeting.title[:_TITLE_LIMIT]
        if title and title != found["topic"]:
            self.body["topic"] = title
        self.told.say("title", "" if title else "Zoom has no meeting without a title")  # guessed
        if len(meeting.title) > _TITLE_LIMIT:
            self.told.note(f"Zoom has titles of {_TITLE_LIMIT} characters: this one was cut")
        if meeting.agenda is not None:
            agenda = meeting.agenda[:_AGENDA_LIMIT]
            if agenda != (found.get("agenda") or ""):
                self.body["agenda"] = agenda
            self.told.say("agenda")

    def _tell_invitees(self, invitees: tuple[str, ...], found: Mapping[str, object]) -> None:
        if {each.lower() for each in invitees} != set(_invitees(found)):
            self.body["settings"] = {"meeting_invitees": [{"email": each} for each in invitees]}
        self.told.say("invitees")

    def _tell_times(
        self, meeting: Meeting, found: Mapping[str, object], now: datetime
    ) -> Once | Repeated | None:
        try:
            wanted = times(meeting, found, now)
            if not wanted.are_in(found) or wanted.may_drift(found):
                self.body |= wanted.told(found)
                self.retimed = True
        except Unsupported as why:
            self._ignore_times(str(why))
            return None
        for detail in self._timed:
            self.told.say(detail)
        return wanted


def _invitees(found: Mapping[str, object]) -> Iterator[str]:
    match found.get("settings"):
        case {"meeting_invitees": list(invitees)}:
            yield from (
                str(each["email"]).lower()
                for each in invitees
                if isinstance(each, Mapping) and "email" in each
            )


# --- what Zoom refuses ---

# Zoom's code in an error tells more than its status. 3002 to 3037 are from its older table of errors.
_CODES: Mapping[int, tuple[type[SyncError], str]] = {
    124: (AuthFailed, "Zoom does not take this access token"),
    300: (Refused, "Zoom does not take these values"),
    3000: (Refused, "this is a webinar, and only meetings are kept in step"),
    3001: (Gone, "no such meeting"),
    3002: (Transient, "the meeting is in progress"),
    3003: (Refused, "the meeting's host is not one of this account's"),
    3007: (Refused, "the meeting has ended"),
    3018: (Refused, "a personal room is never deleted"),
    3037: (Refused, "a personal audio conference is never deleted"),
    3161: (Refused, "the meeting's host has no licence for it"),
}
_MISSING_SCOPE = (4700, 4711)  # the latter guessed


def _ends_token(answer: Answer) -> bool:
    return answer.status == 401 or _code(answer) == 124


def _refuse(answer: Answer) -> None:
    where = f"{answer.method}: {answer.status} from {answer.host}"
    code = _code(answer)
    if code in _MISSING_SCOPE:
        scope = f"{_SCOPES[answer.method]}:meeting:admin"
        raise AuthFailed(f"{where}: give the app the scope {scope} in Zoom's App Marketplace")
    if code == 3007 and answer.method == "DELETE":
        raise Gone(f"{where}: {_CODES[code][1]}")
    if code in _CODES and (answer.status, code) != (404, 300):  # which says "not found or expired"
        error, sentence = _CODES[code]
        raise error(f"{where}: {sentence}")
    # A limit by the day is one of the meeting's host, and only that one tells its end as a date.
    if answer.status == 429 and re.match(r"\d{4}-\d\d-\d\dT", answer.headers.get("Retry-After", "")):
        raise RateLimited(where, retry_after(answer.headers, time.time()), alone=True)


def _code(answer: Answer) -> int:
    """Zoom's own code for what went wrong; 0 if it says none. Some of its errors are XML, and some a proxy's."""
    if not 400 <= answer.status < 500 or answer.status == 429:
        return 0
    code = answer.said("code")
    return code if isinstance(code, int) else 0
