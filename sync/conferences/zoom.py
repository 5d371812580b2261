"""Zoom meetings, by server-to-server OAuth: only what differs is told, and other times are read back.

Zoom answers 204 to a start in the past and ignores it, and lets a host's meetings be changed 100 times a day: so
an update reads first, tells the difference, and believes other times only when it has read them again. A series
is its rule, and each occurrence that is elsewhere is put there by itself. Facts are from Zoom's Meetings API
("Get", "Update" and "Delete a meeting") and its page on rate limits; what no document says is marked as a guess.
"""

import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import cast
from zoneinfo import ZoneInfo

from sync.conferences import Context, Secret
from sync.conferences.http import Answer, Http
from sync.conferences.own_system import Options, shown
from sync.conferences.token import Fetched, SharedToken, bearer
from sync.conferences.zoom_recurrence import Series, mapped
from sync.errors import AuthFailed, Gone, RateLimited, Refused, SyncError, Transient, Unsupported
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import KNOWN, LOOPBACK

_NEEDED = ("account_id", "client_id", "client_secret")
_ROOTS = {"oauth_url": "https://zoom.us", "api_url": "https://api.zoom.us"}
_ZOOMS_OWN = re.compile(r"https://(?:[a-z0-9-]+\.)*(?:zoom\.us|zoomgov\.com)/?")
_HERE = re.compile(rf"https?://(?:{LOOPBACK.pattern})(?::\d+)?/?")
_NUMBER = re.compile(r"\d{9,12}", re.ASCII)
_NOBODYS = "99999999999"  # to ask for it proves token and scope, and tells nothing
_ONCE, _PERSONAL, _SERIES = 2, 4, 8  # of the types of a meeting, those that matter here
_TITLE_LIMIT, _AGENDA_LIMIT = 200, 2000
_LONGEST = timedelta(hours=24)  # a guess: what Zoom's own clients offer
_LISTED = 50  # occurrences at most, in what is read of a series
_PLACED = 8  # occurrences at most, in one update
_NO_MAIL = {"email_notification": False, "alternative_hosts_email_notification": False}
_NO_REMINDER = {"schedule_for_reminder": "false", "cancel_meeting_reminder": "false"}
_NOT_OURS = "GET: what came back is not the conference that was asked for"
_SCOPES = {"GET": "meeting:read", "PATCH": "meeting:update", "DELETE": "meeting:delete"}
_PAST = "Zoom takes no start in the past"

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


class Zoom:
    """A server-to-server app. Options: `account_id`, `client_id`, `client_secret` (a Secret); other roots."""

    name = "zoom"
    capabilities = frozenset({"title", "agenda", "time", "recurrence", "occurrence", "invitees", "read"})
    system = next(each for each in KNOWN if each.provider == "zoom")

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        oauth, api = _checked(options)
        self._account_id, self._client_id = str(options["account_id"]), str(options["client_id"])
        self._secret = cast(Secret | str, options["client_secret"])
        self._oauth = Http(oauth, connect_s=context.connect_s, read_s=context.read_s)
        self._api = Http(api, connect_s=context.connect_s, read_s=context.read_s)
        self._token = SharedToken(context.shared, self._fetch, fetch_s=self._oauth.call_s)
        self.call_s = 2 * self._api.call_s

    def read(self, target: Target) -> Actual | None:
        try:
            found = self._calls(target.id).read()
        except Gone:
            return None
        if found["type"] != _ONCE or "start_time" not in found:
            return Actual(str(found["topic"]))  # of a series, Zoom lists what is still ahead
        start = _moment(found["start_time"])
        return Actual(str(found["topic"]), start, start + timedelta(minutes=_minutes(found)))

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        calls = self._calls(target.id)
        found = calls.read()
        _refuse_personal(found)
        wanted = _Wanted(meeting, found, datetime.now(UTC))
        if wanted.body:
            calls.patch(wanted.body)
        if wanted.retimed:
            found = calls.read()
            wanted.believe(found)
        if isinstance(wanted.times, _Repeated):
            _put_in_place(calls, found, wanted.times, wanted)
        if not wanted.applied:
            raise Unsupported("; ".join(wanted.notes))
        return Outcome(calls.acted, tuple(wanted.applied), tuple(wanted.ignored), "; ".join(wanted.notes))

    def delete(self, target: Target) -> Outcome:
        calls = self._calls(target.id)
        try:
            _refuse_personal(calls.read())
            calls.delete()
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=True)

    def check(self) -> str:
        calls = self._calls(_NOBODYS)
        with suppress(Gone):
            calls.read()
        return "Zoom gave a token, and lets it read meetings"

    def _calls(self, number: str) -> "_Calls":
        if not _NUMBER.fullmatch(number):
            raise Refused("this is not a number that Zoom gives to its meetings")
        return _Calls(self._api, self._token, number)

    def _fetch(self, _: str) -> Fetched:
        form = {"grant_type": "account_credentials", "account_id": self._account_id}
        basic = b64encode(f"{self._client_id}:{shown(self._secret)}".encode()).decode()
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


class _Calls:
    """The HTTP calls of one operation. They begin within the time of one, so all end within that of two."""

    def __init__(self, http: Http, token: SharedToken, number: str) -> None:
        self.acted = False
        self._http = http
        self._token = token
        self._number = number
        self._until = time.monotonic() + http.call_s

    def read(self) -> Mapping[str, object]:
        """What Zoom says of the meeting. Raises Gone."""
        found = self._make("GET").json()
        match found:
            case {"id": int() | str() as number, "topic": str(), "type": int()} if (
                str(number) == self._number
            ):
                return found
        raise Transient(_NOT_OURS)

    def patch(self, body: Mapping[str, object], occurrence: str = "") -> None:
        # Among what an occurrence takes, the documents do not name the switch against mails: sent all the same.
        settings = {**cast(Mapping[str, object], body.get("settings", {})), **_NO_MAIL}
        query = {"occurrence_id": occurrence} if occurrence else {}
        self._make("PATCH", query, {**body, "settings": settings}).json()

    def delete(self) -> None:
        self._make("DELETE", _NO_REMINDER).json()

    def place(self, there: "_Occurrence", place: "_Place | None") -> None:
        """Move one occurrence, or end it. Without its id it would be the whole series: there is always one."""
        if place:
            self.patch({"start_time": _utc(place.start), "duration": place.minutes}, there.id)
        else:
            self._make("DELETE", {**_NO_REMINDER, "occurrence_id": there.id}).json()

    def _make(
        self, method: str, query: Mapping[str, str] | None = None, body: Mapping[str, object] | None = None
    ) -> Answer:
        """One call; once more with another token if Zoom no longer takes this one."""
        token = self._token_in_time(method)
        answer = self._send(token, method, query, body)
        if answer.status == 401 or _code(answer) == 124:
            answer = self._send(self._token_in_time(method, token), method, query, body)
        self._judge(answer)
        self.acted = self.acted or method != "GET"
        return answer

    def _token_in_time(self, method: str, refused: str = "") -> str:
        self._check_time(method)
        return self._token.read(refused)

    def _send(
        self, token: str, method: str, query: Mapping[str, str] | None, body: Mapping[str, object] | None
    ) -> Answer:
        self._check_time(method)
        path = ("v2", "meetings", self._number)
        return self._http.send(method, *path, query=query, body=body, headers=bearer(token))

    def _check_time(self, method: str) -> None:
        if time.monotonic() > self._until:
            raise Transient(f"{method}: the calls before it took all the time there is")

    def _judge(self, answer: Answer) -> None:
        where = f"{answer.method}: {answer.status} from {answer.host}"
        code = _code(answer)
        if code in (4700, 4711):  # the latter guessed
            scope = f"{_SCOPES[answer.method]}:meeting:admin"
            raise AuthFailed(f"{where}: give the app the scope {scope} in Zoom's App Marketplace")
        if code == 3007 and answer.method == "DELETE":
            raise Gone(f"{where}: {_CODES[code][1]}")
        if code in _CODES:
            error, sentence = _CODES[code]
            raise error(f"{where}: {sentence}")
        try:
            self._http.judge(answer)
        except RateLimited as limited:
            if self.acted:  # it would promise that nothing was done
                raise Transient(where) from None
            # A limit by the day is one of the meeting's host, and only that one tells its end as a date.
            alone = re.match(r"\d{4}-\d\d-\d\dT", answer.headers.get("Retry-After", "")) is not None
            raise RateLimited(where, limited.retry_after_s, alone=alone) from None


def _code(answer: Answer) -> int:
    """Zoom's own code for what went wrong; 0 if it says none. Some of its errors are XML, and some a proxy's."""
    code = answer.said("code")
    return code if isinstance(code, int) and 400 <= answer.status < 500 and answer.status != 429 else 0


def _refuse_personal(found: Mapping[str, object]) -> None:
    settings = found.get("settings")
    uses_one = isinstance(settings, Mapping) and settings.get("use_pmi") is True
    if found["type"] == _PERSONAL or found.get("pmi") or uses_one:
        raise Refused("this is somebody's personal room, which is never changed")


# --- what is told ---


class _Wanted:
    """What is to be told, and what becomes of each detail."""

    def __init__(self, meeting: Meeting, found: Mapping[str, object], now: datetime) -> None:
        self.body: dict[str, object] = {}
        self.applied: list[str] = []
        self.ignored: list[str] = []
        self.notes: list[str] = []
        self.retimed = False
        self._timed = ["time", "recurrence"] if meeting.recurrence else ["time"]
        self._moved = ["occurrence"] if meeting.moved else []
        self._tell_texts(meeting, found)
        if meeting.invitees is not None:
            self._tell_invitees(meeting.invitees, found)
        self.times = self._tell_times(meeting, found, now)

    def say(self, detail: str, why_not: str = "") -> None:
        (self.ignored if why_not else self.applied).append(detail)
        if why_not and why_not not in self.notes:
            self.notes.append(why_not)

    def believe(self, found: Mapping[str, object]) -> None:
        """Of times that were told, only what is read again."""
        if self.times and not self.times.are_in(found):
            self.applied = [each for each in self.applied if each not in self._timed]
            self._ignore_times("Zoom has answered with success, and has other times all the same")
            self.times = None

    def _ignore_times(self, why: str) -> None:
        for detail in (*self._timed, *self._moved):
            self.say(detail, why)

    def _tell_texts(self, meeting: Meeting, found: Mapping[str, object]) -> None:
        title = meeting.title[:_TITLE_LIMIT]
        if title and title != found["topic"]:
            self.body["topic"] = title
        self.say("title", "" if title else "Zoom has no meeting without a title")  # guessed
        if len(meeting.title) > _TITLE_LIMIT:
            self.notes.append(f"Zoom has titles of {_TITLE_LIMIT} characters: this one was cut")
        if meeting.agenda is not None:
            agenda = meeting.agenda[:_AGENDA_LIMIT]
            if agenda != (found.get("agenda") or ""):
                self.body["agenda"] = agenda
            self.say("agenda")

    def _tell_invitees(self, invitees: tuple[str, ...], found: Mapping[str, object]) -> None:
        if {each.lower() for each in invitees} != set(_invitees(found)):
            self.body["settings"] = {"meeting_invitees": [{"email": each} for each in invitees]}
        self.say("invitees")

    def _tell_times(
        self, meeting: Meeting, found: Mapping[str, object], now: datetime
    ) -> "_Once | _Repeated | None":
        try:
            times = _times(meeting, found, now)
            if not times.are_in(found) or times.may_drift(found):
                self.body |= times.told(found)
                self.retimed = True
        except Unsupported as why:
            self._ignore_times(str(why))
            return None
        for detail in self._timed:
            self.say(detail)
        return times


def _invitees(found: Mapping[str, object]) -> Iterator[str]:
    match found.get("settings"):
        case {"meeting_invitees": list(invitees)}:
            yield from (
                str(each["email"]).lower()
                for each in invitees
                if isinstance(each, Mapping) and "email" in each
            )


# --- times ---


def _times(meeting: Meeting, found: Mapping[str, object], now: datetime) -> "_Once | _Repeated":
    """The times of a meeting in Zoom. Raises Unsupported for what it cannot have, and says why."""
    if found["type"] not in (_ONCE, _SERIES):
        raise Unsupported("in Zoom this meeting has no fixed time, and it gets none")
    if meeting.all_day:
        raise Unsupported("an all-day meeting has no times in Zoom")
    if not timedelta() < meeting.end - meeting.start <= _LONGEST:
        raise Unsupported("Zoom has meetings of one minute to 24 hours")
    zone = _zone(meeting.time_zone)
    if not meeting.recurrence:
        return _Once(meeting, zone, now)
    if zone is None:
        raise Unsupported("in an unknown time zone a series would drift")
    return _Repeated(meeting, zone, now)


class _Once:
    """The times of a meeting that does not repeat."""

    def __init__(self, meeting: Meeting, zone: ZoneInfo | None, now: datetime) -> None:
        self._start, self._minutes = meeting.start, _length(meeting)
        self._zone = zone
        self._now = now

    def are_in(self, found: Mapping[str, object]) -> bool:
        if found["type"] != _ONCE or "start_time" not in found:
            return False
        return (_moment(found["start_time"]), _minutes(found)) == (self._start, self._minutes)

    def may_drift(self, _: Mapping[str, object]) -> bool:
        return False

    def told(self, found: Mapping[str, object]) -> dict[str, object]:
        """Raises Unsupported."""
        if self._start <= self._now:
            raise Unsupported(_PAST)
        told: dict[str, object] = {"start_time": _utc(self._start), "duration": self._minutes}
        if self._zone:
            local = self._start.astimezone(self._zone)
            told["timezone"] = self._zone.key
            if not local.fold:  # else it is the second of two such hours, which only UTC can tell apart
                told["start_time"] = _local(local)
        # That a series becomes a single meeting by its type no document says: what is read again decides.
        return told if found["type"] == _ONCE else {"type": _ONCE, **told}


@dataclass(frozen=True, slots=True)
class _Place:
    start: datetime
    minutes: int


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """One of those that Zoom lists; `named` is what its id says: where the rule has it."""

    id: str
    named: datetime | None
    place: _Place
    ended: bool


class _Repeated:
    """The times of a series, as far as they are ahead."""

    def __init__(self, meeting: Meeting, zone: ZoneInfo, now: datetime) -> None:
        whole = mapped(meeting.recurrence, meeting.start, zone)
        self._series = _ahead(whole, now)
        self._minutes = _length(meeting)
        self._now = now
        excluded: dict[datetime, _Place | None] = dict.fromkeys(whole.excluded)
        every = excluded | dict(_moved(meeting))
        self.special = {
            at: place for at, place in every.items() if max(at, place.start if place else at) > now
        }
        # Those that are no more may not be listed: then the listing reaches farther.
        self._starts = list(islice(self._series.starts(), _LISTED + len(self.special)))

    def told(self, found: Mapping[str, object]) -> dict[str, object]:
        series = self._series
        told = {"start_time": _local(series.first), "duration": self._minutes, "timezone": series.zone.key}
        told["recurrence"] = dict(series.recurrence)  # always whole: Zoom refuses a part of it
        return told if found["type"] == _SERIES else {"type": _SERIES, **told}

    def are_in(self, found: Mapping[str, object]) -> bool:
        """Whether Zoom has the occurrences that the rule has, as far as it lists them."""
        listed = self._listed(found)
        if found["type"] != _SERIES or None in listed:
            return False
        reach = self._reach(found)
        due = {at for at in self._starts if reach is None or at <= reach}
        missing = [at for at in due - listed.keys() if self.special.get(at, True)]
        usual = [each.place.minutes for at, each in listed.items() if at and each.place.start == at]
        return (
            not missing and (not usual or self._minutes in usual) and (reach is None or self._goes_on(found))
        )

    def may_drift(self, found: Mapping[str, object]) -> bool:
        """Whether it has another zone, and it may be behind the end of the listing that the clocks change."""
        full = self._reach(found) is not None
        return full and found.get("timezone") != self._series.zone.key

    def misplaced(self, found: Mapping[str, object]) -> tuple[list[tuple[_Occurrence, _Place | None]], bool]:
        """The occurrences to put elsewhere, and whether there are others that cannot be."""
        listed = self._listed(found)
        reach = self._reach(found)
        changes: list[tuple[_Occurrence, _Place | None]] = []
        stuck = any(place or (reach and at > reach) for at, place in self.special.items() if at not in listed)
        for at, each in listed.items():
            if at is None:
                continue
            place = self.special.get(at, _Place(at, self._minutes))
            if (None if each.ended else each.place) == place:
                continue
            if each.ended or (place and place.start <= self._now):
                stuck = True
            else:
                changes.append((each, place))
        return changes, stuck

    def _listed(self, found: Mapping[str, object]) -> dict[datetime | None, _Occurrence]:
        """What Zoom lists, by where the rule has it; None: where no rule has anything."""
        ahead = [
            each for each in _occurrences(found) if max(each.place.start, each.named or self._now) > self._now
        ]
        return {self._original(each): each for each in ahead if self._is_known(each)}

    def _is_known(self, each: _Occurrence) -> bool:
        """One that was put off from the past is of no rule that is ahead."""
        return self._original(each) is not None or not (
            each.ended or (each.named and each.named <= self._now)
        )

    def _original(self, each: _Occurrence) -> datetime | None:
        known = {*self._starts, *self.special}
        if each.named in known:
            return each.named
        if each.place.start in known:  # a guess: ids may be given anew when a series changes
            return each.place.start
        return next(
            (at for at, place in self.special.items() if place and place.start == each.place.start), None
        )

    def _reach(self, found: Mapping[str, object]) -> datetime | None:
        """How far a full listing reaches; None if it has all there is."""
        if len(list(_occurrences(found))) < _LISTED:
            return None
        return max((at for at in self._listed(found) if at), default=self._now)

    def _goes_on(self, found: Mapping[str, object]) -> bool:
        """Whether the rule is as wanted, and so goes on behind the end of a full listing."""
        there = found.get("recurrence")
        if not isinstance(there, Mapping):
            return False
        wanted = self._series.recurrence.items()
        return all(_plain(there.get(name, 0)) == _plain(value) for name, value in wanted)


def _put_in_place(calls: _Calls, found: Mapping[str, object], times: _Repeated, wanted: _Wanted) -> None:
    """Every listed occurrence where the event has it. What cannot be done is said, and stops no other."""
    changes, stuck = times.misplaced(found)
    for there, place in changes[:_PLACED]:
        with suppress(Gone, Refused):  # what became of it is read again
            calls.place(there, place)
    if changes:
        left, stuck = times.misplaced(calls.read())
        if len(changes) > _PLACED and len(left) < len(changes):
            raise Transient(f"{len(changes) - len(left)} occurrences are in place, and {len(left)} are left")
        stuck = stuck or bool(left)
    if changes or times.special or stuck:
        wanted.say("occurrence", "not every occurrence could be put in its place" if stuck else "")


def _plain(value: object) -> list[str]:
    return sorted(str(value).split(","))


def _ahead(series: Series, now: datetime) -> Series:
    """What is left of a series that has begun: Zoom takes no start in the past. Raises Unsupported."""
    left = ((passed, start) for passed, start in enumerate(series.starts()) if start > now)
    passed, first = next(left, (0, None))
    if first is None:
        raise Unsupported(_PAST)
    recurrence = dict(series.recurrence)
    if times := int(str(recurrence.get("end_times", 0))):
        recurrence["end_times"] = times - passed
    # The time of day is the rule's: on the day when the clocks go forward it may be another.
    day = first.astimezone(series.zone).date()
    return replace(series, recurrence=recurrence, first=datetime.combine(day, series.first.time()))


def _moved(meeting: Meeting) -> Iterator[tuple[datetime, _Place | None]]:
    for moved in meeting.moved:
        place = None
        if moved.start is not None and moved.end is not None:
            start = datetime.fromtimestamp(moved.start, UTC)
            place = _Place(start, -int(-(moved.end - moved.start) // 60))
        yield datetime.fromisoformat(moved.original).astimezone(UTC), place


def _occurrences(found: Mapping[str, object]) -> Iterator[_Occurrence]:
    listed = found.get("occurrences", [])
    for each in listed if isinstance(listed, list) else []:
        match each:
            case {"occurrence_id": str(name), "start_time": start} if name:
                # "Update a meeting" shows ids that are the moment of the start, in milliseconds.
                is_moment = re.fullmatch(r"\d{12,13}", name, re.ASCII)
                named = datetime.fromtimestamp(int(name) / 1000, UTC) if is_moment else None
                place = _Place(_moment(start), _minutes(each))
                yield _Occurrence(name, named, place, each.get("status") == "deleted")
            case _:
                raise Transient(_NOT_OURS)


def _length(meeting: Meeting) -> int:
    return -(-(meeting.end - meeting.start) // timedelta(minutes=1))


def _minutes(found: Mapping[str, object]) -> int:
    minutes = found.get("duration")
    if isinstance(minutes, int):
        return minutes
    raise Transient(_NOT_OURS)


def _moment(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(cast(str, text))
    except (TypeError, ValueError):
        raise Transient(_NOT_OURS) from None
    if moment.tzinfo is None:
        raise Transient(_NOT_OURS)
    return moment.astimezone(UTC)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return None


def _local(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def _utc(moment: datetime) -> str:
    return f"{_local(moment)}Z"


# --- options ---


def _checked(raw: Mapping[str, object]) -> tuple[str, str]:
    """The roots to sign in at, and of the API. Raises Misconfigured with every problem."""
    options = Options(raw, _NEEDED, tuple(_ROOTS))
    roots = {name: raw.get(name, usual) for name, usual in _ROOTS.items()}
    for name in ("account_id", "client_id"):
        if name in raw and not (raw[name] and isinstance(raw[name], str)):
            options.problem(f"{name} is not a text.")
    for name, root in roots.items():
        if not isinstance(root, str) or not (_ZOOMS_OWN.fullmatch(root) or _HERE.fullmatch(root)):
            options.problem(f"{name} is https:// and a host of zoom.us or zoomgov.com, without a path.")
    secret = raw.get("client_secret", "")
    here = all(isinstance(root, str) and _HERE.fullmatch(root) for root in roots.values())
    if not isinstance(secret, Secret) and not (isinstance(secret, str) and (here or not secret)):
        options.problem("client_secret must be a secret or a file, not stand in the settings.")
    options.check()
    return str(roots["oauth_url"]), str(roots["api_url"])
