"""Webex meetings: title, times and rule of repetition, by PATCH and without mails.

A meeting's id is in no event, so each call finds it anew by its join URL. A series that gets other times loses its
exceptions (Cisco's "Patch a Meeting"): so times are told only where they differ, and then every moved occurrence
is put in its place again. Facts are from that page, "List Meetings" and "Delete a Meeting"; guesses are marked.
"""

import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sync.conferences import Context, Secret
from sync.conferences.http import Answer, Http
from sync.conferences.token import Fetched, SharedToken, bearer
from sync.errors import AuthFailed, Gone, Misconfigured, RateLimited, Refused, Transient, Unsupported, nearest
from sync.event import Carried
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import KNOWN, LOOPBACK, recognise

_NEEDED = ("client_id", "client_secret", "refresh_token")
_SECRETS = ("client_secret", "refresh_token")
_OPTIONS = (*_NEEDED, "url", "as_host")
_URL = "https://webexapis.com"
_TITLE_LIMIT, _AGENDA_LIMIT = 128, 1300
_SHORTEST, _LONGEST = timedelta(minutes=10), timedelta(hours=23, minutes=59)
_MOST = {"YEARLY": 5, "MONTHLY": 60, "WEEKLY": 261, "DAILY": 1826}  # occurrences of a rule that ends
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "WKST"}
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_OCCURRENCE = re.compile(r"_(\d{8}T\d{6}Z)$", re.ASCII)  # of an occurrence's id: where the rule has it
_AHEAD, _PAGE = timedelta(days=400), 100
_NOT_OURS = "GET: what came back is not the conference that was asked for"


class Webex:
    """A service app. Options: `client_id`, `client_secret`, `refresh_token` (Secrets); `url`, `as_host`."""

    name = "webex"
    capabilities = frozenset({"title", "agenda", "time", "recurrence", "occurrence", "read"})
    system = replace(next(each for each in KNOWN if each.provider == "webex"), located=True)

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        url = _checked(options)
        self._client_id = str(options["client_id"])
        self._secret, self._first = (cast(Secret | str, options[name]) for name in _SECRETS)
        # A service app acts for a host whom it names; an integration is somebody, and names nobody.
        self._as_host = options.get("as_host", True)
        self._http = Http(url, connect_s=context.connect_s, read_s=context.read_s)
        self._token = SharedToken(context.shared, self._fetch, fetch_s=self._http.call_s)
        self.call_s = 2 * self._http.call_s

    def read(self, target: Target) -> Actual | None:
        try:
            found = self._find(self._calls(target), target)
        except Gone:
            return None
        return Actual(str(found["title"]), _moment(found["start"]), _moment(found["end"]))

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        calls = self._calls(target)
        found = self._find(calls, target)
        wanted = _Wanted(meeting, found)
        if wanted.body:
            body = {**wanted.body, "sendEmail": False, **calls.host}
            calls.make("PATCH", "v1", "meetings", str(found["id"]), body=body).json()
        if meeting.recurrence and "time" in wanted.applied:
            self._put_in_place(calls, str(found["id"]), meeting, wanted)
        if not wanted.applied:
            raise Unsupported("; ".join(wanted.notes))
        changed = bool(wanted.body) or calls.acted
        return Outcome(changed, tuple(wanted.applied), tuple(wanted.ignored), "; ".join(wanted.notes))

    def delete(self, target: Target) -> Outcome:
        calls = self._calls(target)
        try:
            found = self._find(calls, target)
            calls.make(
                "DELETE", "v1", "meetings", str(found["id"]), query={"sendEmail": "false", **calls.host}
            )
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=True)

    # --- finding it ---

    def _find(self, calls: "_Calls", target: Target) -> Mapping[str, object]:
        """What Webex says of the conference. Raises Gone."""
        if not target.locator:
            raise Refused("the event does not tell the join URL, and without it the meeting cannot be found")
        if self._id_in(target.locator) != target.id:
            raise Gone("the join URL is another conference's")
        # `current`: else the times were those of the next occurrence.
        query = {"webLink": target.locator, "current": "false", **calls.host}
        listed = _items(calls.make("GET", "v1", "meetings", query=query))
        if not listed:
            raise Gone("GET: no such meeting of this host")
        for found in listed:
            match found:
                case {"id": str(), "title": str(), "start": str(start), "end": str(end), "webLink": link}:
                    if self._id_in(link) == target.id and found.get("meetingType") == "meetingSeries":
                        _moment(start), _moment(end)
                        return found
        raise Transient(_NOT_OURS)

    def _id_in(self, url: object) -> str:
        seen = recognise(Carried("", "", "", "", "", (str(url),)), (self.system,))
        return seen.key.id if seen else ""

    # --- a series' occurrences ---

    def _put_in_place(self, calls: "_Calls", series: str, meeting: Meeting, wanted: "_Wanted") -> None:
        """Every listed occurrence where the event has it. What cannot be done is said, and stops no other."""
        now = datetime.now(UTC)
        query = {
            "meetingSeriesId": series,
            "meetingType": "scheduledMeeting",
            "from": _text(now),
            "to": _text(now + _AHEAD),
            "max": str(_PAGE),
        }
        listed = _items(calls.make("GET", "v1", "meetings", query={**query, **calls.host}))
        places = _places(meeting)
        done = True
        for found in listed:
            if original := _OCCURRENCE.search(str(found.get("id"))):
                start = _moment(original[1])
                place = places.pop(original[1], (start, start + (meeting.end - meeting.start)))
                done = self._move(calls, found, place) and done
        seen_until = now + _AHEAD if len(listed) < _PAGE else _moment(listed[-1].get("start"))
        later = {original: _moment(original) for original in places if _moment(original) > now}
        left = [original for original, at in later.items() if places[original] or at > seen_until]
        wanted.say(
            "occurrence", "" if done and not left else "not every moved occurrence could be put in its place"
        )

    def _move(
        self, calls: "_Calls", found: Mapping[str, object], place: tuple[datetime, datetime] | None
    ) -> bool:
        path = ("v1", "meetings", str(found["id"]))
        try:
            if place is None:
                calls.make("DELETE", *path, query={"sendEmail": "false", **calls.host})
            elif place != (_moment(found.get("start")), _moment(found.get("end"))):
                times: dict[str, object] = {
                    "start": _text(place[0]),
                    "end": _text(place[1]),
                    "sendEmail": False,
                }
                calls.make("PATCH", *path, body={**times, **calls.host})
        except (Gone, Refused):
            return place is None
        return True

    # --- calls ---

    def _calls(self, target: Target) -> "_Calls":
        if self._as_host and not target.organizer:
            raise Refused("nobody knows the organizer's address, and Webex asks for the host's")
        host = {"hostEmail": target.organizer} if self._as_host else {}
        return _Calls(self._http, self._token, host)

    def _fetch(self, renewal: str) -> Fetched:
        """A token for the newest refresh token: the one kept with the last, unless the secret is new."""
        first, secret = (
            each.read() if isinstance(each, Secret) else each for each in (self._first, self._secret)
        )
        mark = hashlib.sha256(first.encode()).hexdigest()[:16]
        seen, _, kept = renewal.partition(":")
        form = {
            "grant_type": "refresh_token",
            "client_id": self._client_id,
            "client_secret": secret,
            "refresh_token": kept if seen == mark else first,
        }
        answer = self._http.send("POST", "v1", "access_token", form=form)
        if answer.status in (400, 401):  # its words for a refused refresh token are not known
            where = f"POST: {answer.status} from {answer.host}"
            raise AuthFailed(f"{where}: renew the secret refresh_token, or check client_id and client_secret")
        self._http.judge(answer)
        match answer.json():
            case {"access_token": str(token), "refresh_token": str(newer), "expires_in": int(lives_s)}:
                return Fetched(token, float(lives_s), f"{mark}:{newer}")
        raise Transient("POST: what came back is no pair of tokens")


class _Calls:
    """The HTTP calls of one operation. They begin within the time of one, so all end within that of two."""

    def __init__(self, http: Http, token: SharedToken, host: Mapping[str, str]) -> None:
        self.host = host
        self.acted = False
        self._http = http
        self._token = token
        self._until = time.monotonic() + http.call_s

    def make(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        """One call; once more with another token if Webex says, in its own words, that this one has ended."""
        token = self._token.read()
        answer = self._send(token, method, *path, query=query, body=body)
        if answer.status == 401 and answer.said("trackingId"):
            answer = self._send(self._token.read(refused=token), method, *path, query=query, body=body)
        self._judge(answer)
        self.acted = self.acted or method != "GET"
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

    def _judge(self, answer: Answer) -> None:
        where = f"{answer.method}: {answer.status} from {answer.host}"
        said = str(answer.said("message")).lower()
        # That it blocks this is documented, the words and the status are not: guessed.
        if answer.status in (400, 403, 409) and "connector" in said:
            raise Refused(
                f"{where}: a calendar connector made this meeting, and Webex lets nobody else change it"
            )
        # What could be read with the same token is not ours to change, unless it is the rights that are missing.
        if answer.status == 403 and answer.method != "GET" and not re.search("scope|role|license", said):
            raise Refused(f"{where}: Webex lets us read this meeting, and not change it")
        try:
            self._http.judge(answer)
        except RateLimited:
            if self.acted:  # it would promise that nothing was done
                raise Transient(where) from None
            raise


class _Wanted:
    """What is to be told, and what becomes of each detail."""

    def __init__(self, meeting: Meeting, found: Mapping[str, object]) -> None:
        self.body: dict[str, object] = {}
        self.applied: list[str] = []
        self.ignored: list[str] = []
        self.notes: list[str] = []
        self._tell("title", meeting.title[:_TITLE_LIMIT], found)
        if len(meeting.title) > _TITLE_LIMIT:
            self.notes.append(f"Webex has titles of {_TITLE_LIMIT} characters: this one was cut")
        if meeting.agenda is not None:
            self._tell("agenda", meeting.agenda[:_AGENDA_LIMIT], found)
        why = _why_untimed(meeting)
        if not why and not _has_times(meeting, found):
            why = "Webex takes no start in the past" if meeting.start < datetime.now(UTC) else ""
            if not why:
                self.body |= _times(meeting)
        self.say("time", why)
        if meeting.recurrence:
            self.say("recurrence", why)

    def say(self, detail: str, why_not: str) -> None:
        (self.ignored if why_not else self.applied).append(detail)
        if why_not and why_not not in self.notes:
            self.notes.append(why_not)

    def _tell(self, detail: str, value: str, found: Mapping[str, object]) -> None:
        if value and value != found.get(detail):
            self.body[detail] = value
        self.say(detail, "" if value else f"Webex has no meeting without a {detail}")


# --- times ---


def _why_untimed(meeting: Meeting) -> str:
    if meeting.all_day:
        return "an all-day meeting is longer than Webex has them"
    if not _SHORTEST <= meeting.end - meeting.start <= _LONGEST:
        return "Webex has meetings of 10 minutes to 23 hours and 59 minutes"
    if meeting.recurrence and _zone(meeting) is None:
        return "in an unknown time zone a series would drift"
    return _why_no_rule(meeting)


def _why_no_rule(meeting: Meeting) -> str:
    rules = [line for line in meeting.recurrence if not line.startswith("EXDATE")]
    if not rules:
        return ""
    if len(rules) > 1 or not rules[0].startswith("RRULE:"):
        return "Webex has one rule for a series, and no dates besides"
    parts = _parts(rules[0].removeprefix("RRULE:"))
    freq, many = parts.get("FREQ", ""), {name for name, value in parts.items() if "," in value}
    if (
        parts.keys() - _PARTS
        or freq not in _MOST
        or (many and (freq in ("MONTHLY", "YEARLY") or many != {"BYDAY"}))
    ):
        return "Webex has no such rule"
    count = parts.get("COUNT", "0")
    return f"Webex has series of {_MOST[freq]} occurrences" if int(count) > _MOST[freq] else ""


def _rule(meeting: Meeting) -> str:
    return next((line[6:] for line in meeting.recurrence if line.startswith("RRULE:")), "")


def _times(meeting: Meeting) -> dict[str, object]:
    zone = meeting.time_zone if _zone(meeting) else "UTC"
    times = {"start": _text(meeting.start), "end": _text(meeting.end), "timezone": zone}
    return {**times, "recurrence": _rule(meeting) or None}


def _has_times(meeting: Meeting, found: Mapping[str, object]) -> bool:
    """Whether Webex has these very times, to the minute: it keeps no seconds."""
    there = (_moment(found["start"]), _moment(found["end"]))
    if there != (meeting.start.replace(second=0), meeting.end.replace(second=0)):
        return False
    rule = found.get("recurrence") or ""
    if not (rule and meeting.recurrence):
        return not rule and not meeting.recurrence
    return found.get("timezone") == meeting.time_zone and _plain(str(rule), meeting) == _plain(
        _rule(meeting), meeting
    )


def _plain(rule: str, meeting: Meeting) -> dict[str, object]:
    """A rule with what goes without saying, said: however it is written, it is one."""
    parts = _parts(rule)
    start = meeting.start.astimezone(_zone(meeting))
    plain: dict[str, object] = {"INTERVAL": "1", "WKST": "MO", **parts}
    if parts.get("FREQ") == "WEEKLY":
        plain["BYDAY"] = set(parts.get("BYDAY", _DAYS[start.weekday()]).split(","))
    elif parts.get("FREQ") == "MONTHLY" and not {"BYDAY", "BYMONTHDAY"} & parts.keys():
        plain["BYMONTHDAY"] = str(start.day)
    return plain


def _parts(rule: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in rule.upper().split(";") if "=" in part)


def _zone(meeting: Meeting) -> ZoneInfo | None:
    try:
        return ZoneInfo(meeting.time_zone)
    except (OSError, ValueError, LookupError):
        return None


def _places(meeting: Meeting) -> dict[str, tuple[datetime, datetime] | None]:
    """Where the event has its moved occurrences, by where the rule has them; None: nowhere."""
    places: dict[str, tuple[datetime, datetime] | None] = dict.fromkeys(_excluded(meeting))
    for moved in meeting.moved:
        original = re.sub("[-:]", "", moved.original)
        places[original] = None
        if moved.start is not None and moved.end is not None:
            places[original] = (
                datetime.fromtimestamp(moved.start, UTC),
                datetime.fromtimestamp(moved.end, UTC),
            )
    return places


def _excluded(meeting: Meeting) -> Iterator[str]:
    for line in meeting.recurrence:
        head, _, dates = line.partition(":")
        if head.startswith("EXDATE") and "VALUE=DATE" not in head:
            zone = UTC if "TZID=" not in head else _zone(meeting)
            for text in dates.split(","):
                moment = datetime.fromisoformat(text)
                moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
                yield moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _items(answer: Answer) -> list[Mapping[str, object]]:
    items = answer.json().get("items")
    if isinstance(items, list) and all(isinstance(each, dict) for each in items):
        return items
    raise Transient(_NOT_OURS)


def _moment(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(cast(str, text))
    except (TypeError, ValueError):
        raise Transient(_NOT_OURS) from None
    if moment.tzinfo is None:
        raise Transient(_NOT_OURS)
    return moment.astimezone(UTC)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:00Z")


# --- options ---


def _checked(options: Mapping[str, object]) -> str:
    """The root URL. Raises Misconfigured with every problem."""
    problems = [f"the option {name} is missing." for name in _NEEDED if name not in options]
    for name in options.keys() - set(_OPTIONS):
        problems.append(f"{name} is not an option{nearest(name, _OPTIONS)}")
    url = str(options.get("url", _URL))
    place = _place(url)
    if not place:
        problems.append("url is https://host, or on this very machine.")
    if "client_id" in options and not (options["client_id"] and isinstance(options["client_id"], str)):
        problems.append("client_id is not a text.")
    if not isinstance(options.get("as_host", True), bool):
        problems.append("as_host is neither true nor false.")
    for name in _SECRETS:
        secret = options.get(name, "")
        if (
            name in options
            and not isinstance(secret, Secret)
            and not (isinstance(secret, str) and place == "loopback")
        ):
            problems.append(f"{name} must be a secret or a file, not stand in the settings.")
    if problems:
        raise Misconfigured(problems)
    return url


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
