"""Teams meetings, by way of Microsoft Graph: a subject and times; they cannot repeat, and that is said.

A meeting's id at Graph is in no event, so each call finds it anew: by the join URL, which tells the organizer's
tenant and object id, or, for short links, by the digits in them and the organizer's address. Facts are from
Microsoft's pages "Update onlineMeeting", "Get onlineMeeting" and "Configure an application access policy"; what
they do not tell is marked as a guess.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import cast
from urllib.parse import parse_qs, urlsplit

from sync.conferences import Context
from sync.conferences.calls import Api, Calls
from sync.conferences.http import Answer, Http
from sync.conferences.options import Options
from sync.conferences.token import Fetched, SharedToken
from sync.conferences.told import NOT_OURS, Told, moment
from sync.errors import AuthFailed, Gone, Refused, Transient
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import KNOWN, joined_at

# "National cloud deployments": where each cloud signs in, and its Graph. Online meetings are not in China's.
_CLOUDS = {
    "global": ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    "us": ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    "us_dod": ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
}
_LOGIN_HOSTS = ("microsoftonline.com", "microsoftonline.us")
_GRAPH_HOSTS = ("graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us")
_TIMES = {"startDateTime", "endDateTime"}
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TOKEN_LIVES_S = 3600.0  # where the answer does not say
_NO_SUCH_USER = ("Request_ResourceNotFound", "UserNotFound")  # guessed for this path


class Teams:
    """An app of one tenant. Options: `tenant`, `client_id`, `client_secret` (a Secret); `cloud` or its URLs."""

    name = "teams"
    capabilities = frozenset({"title", "time", "invitees", "read"})
    system = replace(next(each for each in KNOWN if each.provider == "teams"), located=True)

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        told = Options(options, ("tenant", "client_id", "client_secret"), ("cloud", "login_url", "graph_url"))
        usual_login, usual_graph = _CLOUDS[told.choice("cloud", _CLOUDS, "global")]
        login = told.root("login_url", usual_login, _LOGIN_HOSTS)
        graph = told.root("graph_url", usual_graph, _GRAPH_HOSTS)
        self._tenant = told.text("tenant").lower()
        self._client_id = told.text("client_id")
        self._secret = told.secret("client_secret")
        told.check()
        self._scope = f"{graph}/.default"
        self._login = Http(login, connect_s=context.connect_s, read_s=context.read_s)
        token = SharedToken(context.shared, self._fetch, fetch_s=self._login.call_s)
        http = Http(graph, connect_s=context.connect_s, read_s=context.read_s)
        self._api = Api(http, token, _ends_token, _refuse)
        self.call_s = self._api.operation_s

    def read(self, target: Target) -> Actual | None:
        try:
            _, found = self._find(self._api.operation(), target)
        except Gone:
            return None
        start, end = (moment(found.get(name)) for name in ("startDateTime", "endDateTime"))
        return Actual(str(found["subject"]), start, end)

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        calls = self._api.operation()
        path, found = self._find(calls, target)
        wanted = _wanted(meeting, found)
        new = {name: value for name, value in wanted.items() if not _is_same(name, value, found)}
        if _TIMES & new.keys():  # always both: "Update onlineMeeting", Request body
            new |= {name: wanted[name] for name in _TIMES}
        if new:
            found = calls.make("PATCH", *path, body=new).json()
        # Subject and times of a running meeting stay: "Applies to in-progress meetings: No". A 204 says nothing.
        left = {name for name in new if name in found and not _is_same(name, new[name], found)}
        left |= _TIMES & new.keys() if _TIMES & left else set()
        return _told(meeting, wanted, left).outcome(changed=bool(new.keys() - left))

    def delete(self, target: Target) -> Outcome:
        calls = self._api.operation()
        try:
            path, _ = self._find(calls, target)
            calls.make("DELETE", *path).json()
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=True)

    def check(self) -> str:
        self._api.token.read()
        return "Microsoft signs the app in; what it may do, reading a meeting tells"

    # --- finding it ---

    def _find(self, calls: Calls, target: Target) -> tuple[tuple[str, ...], Mapping[str, object]]:
        """Where Graph has the conference, and what it says of it. Raises Gone."""
        user, filter_ = self._whereabouts(target)
        meetings = ("v1.0", "users", user, "onlineMeetings")
        answer = calls.ask("GET", *meetings, query={"$filter": filter_})
        if user == target.organizer and answer.status == 404 and _graphs_code(answer) in _NO_SUCH_USER:
            raise Refused(
                "GET: the organizer's address is no user of this tenant, so a short link leads nowhere"
            )
        calls.judge(answer)
        match answer.json().get("value"):
            case []:
                raise Gone("GET: no such meeting of this organizer")
            case [{"id": str(name), **rest}] if name:
                found = {"subject": "", **cast(Mapping[str, object], rest)}
                # A filter that was not understood might list anything.
                if target.id in (_id_in(found.get("joinWebUrl")), _digits(found)):
                    return (*meetings, name), found | {"subject": found["subject"] or ""}
        raise Transient(NOT_OURS)

    def _whereabouts(self, target: Target) -> tuple[str, str]:
        """The user whose meeting it is, and the filter that finds it."""
        if urlsplit(target.locator).hostname == "teams.live.com":
            raise Refused("a meeting of Teams for personal use: no tenant's app can change it")
        if target.id.isascii() and target.id.isdigit():
            if not target.organizer:
                raise Refused("a short link leads nowhere without the organizer's address")
            return target.organizer, f"joinMeetingIdSettings/joinMeetingId eq {_quoted(target.id)}"
        if not target.locator:
            raise Refused("the event does not tell the join URL, and without it the meeting cannot be found")
        if _id_in(target.locator) != target.id:
            raise Gone("the join URL is another conference's")
        match _context(target.locator):
            case {"Tid": str(tenant), "Oid": str(organizer)} if not _OBJECT_ID.fullmatch(organizer):
                raise Refused("the join URL does not tell whose meeting it is")
            case {"Tid": str(tenant), "Oid": str(organizer)} if tenant.lower() == self._tenant:
                return organizer, f"JoinWebUrl eq {_quoted(target.locator)}"
            case {"Tid": str(), "Oid": str()}:
                raise Refused("a meeting of another tenant than the configured one")
        raise Refused("the join URL does not tell whose meeting it is")

    # --- signing in ---

    def _fetch(self, _: str) -> Fetched:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._secret.read(),
            "scope": self._scope,
        }
        answer = self._login.send("POST", self._tenant, "oauth2", "v2.0", "token", form=form)
        # OAuth (RFC 6749, 5.2) refuses with 400 or 401 and a word; Microsoft's numbers (AADSTS...) say no more.
        if answer.status in (400, 401) and isinstance(word := answer.said("error"), str):
            renew = "a new client secret" if word == "invalid_client" else "to check tenant and client_id"
            raise AuthFailed(f"POST: {answer.status} from {answer.host}: signing in needs {renew}")
        self._login.judge(answer)
        match answer.json():
            case {"access_token": str(token), **more}:
                lives_s = more.get("expires_in")
                return Fetched(token, float(lives_s) if isinstance(lives_s, int) else _TOKEN_LIVES_S)
        raise Transient("POST: what came back is no token")


# --- what is told ---


def _wanted(meeting: Meeting, found: Mapping[str, object]) -> dict[str, object]:
    """The state to have, in Graph's words. A series is told as its first occurrence."""
    wanted: dict[str, object] = {"subject": meeting.title}
    if not _why_untimed(meeting):
        wanted |= {"startDateTime": _text(meeting.start), "endDateTime": _text(meeting.end)}
    if meeting.invitees is not None:
        known = _attendees(found)  # as they are: a presenter stays one
        attendees = [known.get(who, {"upn": who, "role": "attendee"}) for who in meeting.invitees]
        wanted["participants"] = {"attendees": attendees}  # the full list, or the others would go
    return wanted


def _why_untimed(meeting: Meeting) -> str:
    if meeting.all_day:
        return "an all-day meeting has no times in Teams"
    return (
        "" if meeting.start < meeting.end else "Teams has no meetings without a length"
    )  # the latter guessed


def _told(meeting: Meeting, wanted: Mapping[str, object], left: set[str]) -> Told:
    """What becomes of each detail; `left`: those of `wanted` that Teams did not take."""
    told, running = Told(), "Teams did not take all of it: the meeting may be running"
    for name, detail in (("subject", "title"), ("startDateTime", "time"), ("participants", "invitees")):
        if name in wanted:
            told.say(detail, running if name in left else "")
    if why := _why_untimed(meeting):
        told.say("time", why)
    if meeting.recurrence:
        told.say("recurrence", "Teams is told the first occurrence of a series")
    return told


def _is_same(name: str, value: object, found: Mapping[str, object]) -> bool:
    if name == "participants":
        wanted = cast(Mapping[str, list[Mapping[str, str]]], value)["attendees"]
        return {str(each["upn"]).lower() for each in wanted} == set(_attendees(found))
    if name == "subject":
        return found[name] == value
    return moment(found.get(name)) == moment(value)


def _attendees(found: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    match found.get("participants"):
        case {"attendees": list(attendees)}:
            return {
                each["upn"].lower(): each
                for each in attendees
                if isinstance(each, Mapping) and isinstance(each.get("upn"), str)
            }
    return {}


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- what a join URL tells ---


def _id_in(url: object) -> str:
    seen = joined_at(str(url), (Teams.system,))
    return seen.key.id if seen else ""


def _context(url: str) -> object:
    try:
        return json.loads(parse_qs(urlsplit(url).query).get("context", [""])[0])
    except (ValueError, RecursionError):
        return None


def _digits(found: Mapping[str, object]) -> str:
    match found.get("joinMeetingIdSettings"):
        case {"joinMeetingId": str(digits)}:
            return digits.replace(" ", "")
    return ""


def _quoted(text: str) -> str:
    """A text in a filter: OData 4.01, URL Conventions, 5.1.1.14.1 doubles the quotes in it."""
    return "'" + text.replace("'", "''") + "'"


# --- what Graph refuses ---


def _graphs_code(answer: Answer) -> object:
    return answer.said("error", "code")


def _ends_token(answer: Answer) -> bool:
    return answer.status == 401 and _graphs_code(answer) == "InvalidAuthenticationToken"


def _refuse(answer: Answer) -> None:
    """What to grant, where Graph tells."""
    where = f"{answer.method}: {answer.status} from {answer.host}"
    said = str(answer.said("error", "message")).lower()
    if answer.status == 403 and "application access policy" in said:  # its page, "Errors"
        raise AuthFailed(f"{where}: grant the organizer an application access policy that names this app")
    if answer.status == 403 and _graphs_code(answer) == "Authorization_RequestDenied":
        raise AuthFailed(f"{where}: grant the app OnlineMeetings.ReadWrite.All, with admin consent")
