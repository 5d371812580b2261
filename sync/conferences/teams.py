"""Teams meetings, by way of Microsoft Graph: a subject and times; they cannot repeat, and that is said.

A meeting's id at Graph is in no event, so each call finds it anew: by the join URL, which tells the organizer's
tenant and object id, or, for short links, by the digits in them and the organizer's address. Facts are from
Microsoft's pages "Update onlineMeeting", "Get onlineMeeting" and "Configure an application access policy"; what
they do not tell is marked as a guess.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import cast
from urllib.parse import parse_qs, urlsplit

from sync.conferences import Context, Secret
from sync.conferences.http import Answer, Http
from sync.conferences.token import Fetched, SharedToken, bearer
from sync.errors import AuthFailed, Gone, Misconfigured, Refused, Transient, nearest
from sync.event import Carried
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import KNOWN, LOOPBACK, recognise

# "National cloud deployments": where each cloud signs in, and its Graph. Online meetings are not in China's.
_CLOUDS = {
    "global": ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    "us": ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    "us_dod": ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
}
_NEEDED = ("tenant", "client_id", "client_secret")
_OPTIONS = (*_NEEDED, "cloud", "login_url", "graph_url")
_TOKEN_LIVES_S = 3600.0  # where the answer does not say
_NO_SUCH_USER = ("Request_ResourceNotFound", "UserNotFound")  # guessed for this path
_NOT_OURS = "GET: what came back is not the conference that was asked for"


class Teams:
    """An app of one tenant. Options: `tenant`, `client_id`, `client_secret` (a Secret); `cloud` or its URLs."""

    name = "teams"
    capabilities = frozenset({"title", "time", "invitees", "read"})
    system = replace(next(each for each in KNOWN if each.provider == "teams"), located=True)

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        login, graph = _checked(options)
        self._tenant = str(options["tenant"]).lower()
        self._client_id = str(options["client_id"])
        self._secret = cast(Secret | str, options["client_secret"])
        self._scope = f"{graph}/.default"
        self._login = Http(login, connect_s=context.connect_s, read_s=context.read_s)
        self._graph = Http(graph, connect_s=context.connect_s, read_s=context.read_s)
        self._token = SharedToken(context.shared, self._fetch, fetch_s=self._login.call_s)
        self.call_s = 2 * self._graph.call_s

    def read(self, target: Target) -> Actual | None:
        try:
            _, found = self._find(self._calls(), target)
        except Gone:
            return None
        return Actual(
            str(found["subject"]), _moment(found.get("startDateTime")), _moment(found.get("endDateTime"))
        )

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        calls = self._calls()
        path, found = self._find(calls, target)
        wanted = _wanted(meeting, found)
        told = {name: value for name, value in wanted.items() if not _is_same(name, value, found)}
        if (
            "startDateTime" in told or "endDateTime" in told
        ):  # always both: "Update onlineMeeting", Request body
            told |= {name: wanted[name] for name in ("startDateTime", "endDateTime")}
        if told:
            found = calls.make("PATCH", *path, body=told).json()
        # Subject and times of a running meeting stay: "Applies to in-progress meetings: No". A 204 says nothing.
        left = {name for name in told if name in found and not _is_same(name, told[name], found)}
        return _outcome(meeting, wanted, left, changed=bool(told.keys() - left))

    def delete(self, target: Target) -> Outcome:
        calls = self._calls()
        try:
            path, _ = self._find(calls, target)
            calls.make("DELETE", *path)
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=True)

    # --- finding it ---

    def _find(self, calls: "_Calls", target: Target) -> tuple[tuple[str, ...], Mapping[str, object]]:
        """Where Graph has the conference, and what it says of it. Raises Gone."""
        user, filter_ = self._whereabouts(target)
        meetings = ("v1.0", "users", user, "onlineMeetings")
        answer = calls.send("GET", *meetings, query={"$filter": filter_})
        if (
            answer.status == 404
            and answer.said("error", "code") in _NO_SUCH_USER
            and user == target.organizer
        ):
            raise Refused(
                "GET: the organizer's address is no user of this tenant, so a short link leads nowhere"
            )
        listed = calls.judged(answer).json().get("value")
        if listed == []:
            raise Gone("GET: no such meeting of this organizer")
        if not (isinstance(listed, list) and len(listed) == 1 and isinstance(listed[0], dict)):
            raise Transient(_NOT_OURS)
        found: dict[str, object] = {"subject": "", **listed[0]}
        # A filter that was not understood might list anything.
        if target.id not in (self._id_in(found.get("joinWebUrl")), _digits(found)):
            raise Transient(_NOT_OURS)
        return (*meetings, str(found.get("id"))), found | {"subject": found["subject"] or ""}

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
        if self._id_in(target.locator) != target.id:
            raise Gone("the join URL is another conference's")
        match _context(target.locator):
            case {"Tid": str(tenant), "Oid": str(organizer)} if tenant.lower() == self._tenant:
                return organizer, f"JoinWebUrl eq {_quoted(target.locator)}"
            case {"Tid": str(), "Oid": str()}:
                raise Refused("a meeting of another tenant than the configured one")
        raise Refused("the join URL does not tell whose meeting it is")

    def _id_in(self, url: object) -> str:
        seen = recognise(Carried("", "", "", "", "", (str(url),)), (self.system,))
        return seen.key.id if seen else ""

    # --- calls ---

    def _calls(self) -> "_Calls":
        return _Calls(self._graph, self._token)

    def _fetch(self, _: str) -> Fetched:
        secret = self._secret.read() if isinstance(self._secret, Secret) else self._secret
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": secret,
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


class _Calls:
    """The HTTP calls of one operation. They begin within the time of one, so all end within that of two."""

    def __init__(self, http: Http, token: SharedToken) -> None:
        self._http = http
        self._token = token
        self._until = time.monotonic() + http.call_s

    def make(self, method: str, *path: str, body: Mapping[str, object] | None = None) -> Answer:
        return self.judged(self.send(method, *path, body=body))

    def send(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        """One call; once more with another token if Graph says that this one has ended."""
        token = self._token.read()
        answer = self._send(token, method, *path, query=query, body=body)
        if answer.status == 401 and answer.said("error", "code") == "InvalidAuthenticationToken":
            answer = self._send(self._token.read(refused=token), method, *path, query=query, body=body)
        return answer

    def _send(
        self,
        token: str,
        method: str,
        *path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, object] | None,
    ) -> Answer:
        if time.monotonic() > self._until:
            raise Transient(f"{method}: the calls before it took all the time there is")
        return self._http.send(method, *path, query=query, body=body, headers=bearer(token))

    def judged(self, answer: Answer) -> Answer:
        """The answer, if it is a success; raises what http.py says, and what to grant where Graph tells."""
        where = f"{answer.method}: {answer.status} from {answer.host}"
        said = str(answer.said("error", "message")).lower()
        if answer.status == 403 and "application access policy" in said:  # its page, "Errors"
            raise AuthFailed(f"{where}: grant the organizer an application access policy that names this app")
        if answer.status == 403 and answer.said("error", "code") == "Authorization_RequestDenied":
            raise AuthFailed(f"{where}: grant the app OnlineMeetings.ReadWrite.All, with admin consent")
        self._http.judge(answer)
        return answer


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


def _outcome(meeting: Meeting, wanted: Mapping[str, object], left: set[str], *, changed: bool) -> Outcome:
    words = {"subject": "title", "startDateTime": "time", "participants": "invitees"}
    applied = tuple(word for name, word in words.items() if name in wanted and name not in left)
    ignored = [word for name, word in words.items() if name in left]
    notes = ["Teams did not take all of it: the meeting may be running"] if left else []
    if why := _why_untimed(meeting):
        ignored.append("time")
        notes.append(why)
    if meeting.recurrence:
        ignored.append("recurrence")
        notes.append("Teams is told the first occurrence of a series")
    return Outcome(changed, applied, tuple(ignored), "; ".join(notes))


def _is_same(name: str, value: object, found: Mapping[str, object]) -> bool:
    if name == "participants":
        wanted = cast(Mapping[str, list[Mapping[str, str]]], value)["attendees"]
        return {str(each["upn"]).lower() for each in wanted} == set(_attendees(found))
    if name == "subject":
        return found[name] == value
    return _moment(found.get(name)) == _moment(value)


def _attendees(found: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    match found.get("participants"):
        case {"attendees": list(attendees)}:
            return {each["upn"].lower(): each for each in attendees if isinstance(each.get("upn"), str)}
    return {}


def _moment(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(cast(str, text))
    except (TypeError, ValueError):
        raise Transient(_NOT_OURS) from None
    if moment.tzinfo is None:
        raise Transient(_NOT_OURS)
    return moment


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- what a join URL tells ---


def _context(url: str) -> object:
    try:
        return json.loads(parse_qs(urlsplit(url).query).get("context", [""])[0])
    except ValueError:
        return None


def _digits(found: Mapping[str, object]) -> str:
    match found.get("joinMeetingIdSettings"):
        case {"joinMeetingId": str(digits)}:
            return digits.replace(" ", "")
    return ""


def _quoted(text: str) -> str:
    """A text in a filter: OData 4.01, URL Conventions, 5.1.1.14.1 doubles the quotes in it."""
    return "'" + text.replace("'", "''") + "'"


# --- options ---


def _checked(options: Mapping[str, object]) -> tuple[str, str]:
    """The URLs to sign in at, and of Graph. Raises Misconfigured with every problem."""
    problems = [f"the option {name} is missing." for name in _NEEDED if name not in options]
    for name in options.keys() - set(_OPTIONS):
        problems.append(f"{name} is not an option{nearest(name, _OPTIONS)}")
    texts = {name: value for name, value in options.items() if name in _OPTIONS and name != "client_secret"}
    problems += [
        f"{name} is not a text." for name, value in texts.items() if not value or not isinstance(value, str)
    ]
    cloud = str(texts.get("cloud", "global"))
    if cloud not in _CLOUDS:
        problems.append(f"cloud is none of {', '.join(_CLOUDS)}.")
    defaults = _CLOUDS.get(cloud, _CLOUDS["global"])
    urls = [str(texts.get(name, url)) for name, url in zip(("login_url", "graph_url"), defaults, strict=True)]
    places = [_place(url) for url in urls]
    if not all(places):
        problems.append("login_url and graph_url are https://host, or on this very machine.")
    secret = options.get("client_secret", "")
    if not isinstance(secret, Secret) and not (isinstance(secret, str) and places == ["loopback"] * 2):
        problems.append("client_secret must be a secret or a file, not stand in the settings.")
    if problems:
        raise Misconfigured(problems)
    return urls[0].rstrip("/"), urls[1].rstrip("/")


def _place(url: str) -> str:
    """The host of a URL that may be called, `loopback` if that is this machine; else nothing."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if LOOPBACK.fullmatch(host):
        return "loopback"
    return host if parts.scheme == "https" and "@" not in parts.netloc and not parts.query else ""
