"""Webex meetings: title, times and rule of repetition, by PATCH and without mails.

A meeting's id is in no event, so each call finds it anew by its join URL. A series that gets other times loses its
exceptions (Cisco's "Patch a Meeting"): so times are told only where they differ, and then every moved occurrence
is put in its place again. Facts are from that page, "List Meetings" and "Delete a Meeting"; guesses are marked.
What the times are is in webex_times.py.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sync.conferences import Context
from sync.conferences.calls import Api, Calls
from sync.conferences.http import Answer, Http
from sync.conferences.options import Options
from sync.conferences.recurrence import Place, Series
from sync.conferences.token import Fetched, SharedToken
from sync.conferences.told import NOT_OURS, Told, moment, said
from sync.conferences.webex_times import Times, text, times
from sync.errors import AuthFailed, Gone, Refused, Transient, Unsupported
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import KNOWN, joined_at

_HOSTS = ("webexapis.com", "webex.com")
_TITLE_LIMIT, _AGENDA_LIMIT = 128, 1300
_OCCURRENCE = re.compile(r"_(\d{8}T\d{6}Z)$", re.ASCII)  # of an occurrence's id: where the rule has it
_AHEAD, _PAGE = timedelta(days=400), 100


class Webex:
    """A service app. Options: `client_id`, `client_secret`, `refresh_token` (Secrets); `url`, `as_host`."""

    name = "webex"
    capabilities = frozenset({"title", "agenda", "time", "recurrence", "occurrence", "read"})
    system = replace(next(each for each in KNOWN if each.provider == "webex"), located=True)

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        told = Options(options, ("client_id", "client_secret", "refresh_token"), ("url", "as_host"))
        url = told.root("url", "https://webexapis.com", _HOSTS)
        self._client_id = told.text("client_id")
        self._secret, self._first = told.secret("client_secret"), told.secret("refresh_token")
        # A service app acts for a host whom it names; an integration is somebody, and names nobody.
        self._as_host = told.flag("as_host", usual=True)
        told.check()
        self._http = Http(url, connect_s=context.connect_s, read_s=context.read_s)
        token = SharedToken(context.shared, self._fetch, fetch_s=self._http.call_s)
        self._api = Api(self._http, token, _ends_token, _refuse)
        self.call_s = self._api.operation_s

    def read(self, target: Target) -> Actual | None:
        try:
            found = self._site(target).find(target)
        except Gone:
            return None
        if found.get("recurrence"):
            return Actual(str(found["title"]))  # it may have been told from a later occurrence on
        start, end = moment(found["start"]), moment(found["end"])
        return Actual(str(found["title"]), start, end, time_zone=said(found.get("timezone")))

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        site = self._site(target)
        found = site.find(target)
        _refuse_personal(found)
        name, wanted = str(found["id"]), _Wanted(meeting, found, datetime.now(UTC))
        _tell(site, name, wanted)
        if wanted.times and wanted.times.series:
            done = _put_in_place(site, name, wanted.times, wanted.times.series)
            misplaced = "not every moved occurrence could be put in its place"
            wanted.told.say("occurrence", "" if done else misplaced)
        return wanted.told.outcome(changed=site.acted)

    def delete(self, target: Target) -> Outcome:
        site = self._site(target)
        try:
            found = site.find(target)
            _refuse_personal(found)
            site.delete(str(found["id"]))
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=True)

    def check(self) -> str:
        self._api.token.read()
        return "Webex gives tokens for the refresh token; what they allow, reading a meeting tells"

    def _site(self, target: Target) -> "_Site":
        if self._as_host and not target.organizer:
            raise Refused("nobody knows the organizer's address, and Webex asks for the host's")
        return _Site(self._api.operation(), {"hostEmail": target.organizer} if self._as_host else {})

    def _fetch(self, renewal: str) -> Fetched:
        """A token for the newest refresh token: the one kept with the last, unless the secret is new."""
        first, secret = self._first.read(), self._secret.read()
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


class _Site:
    """The meetings of one host, in one operation."""

    def __init__(self, calls: Calls, host: Mapping[str, str]) -> None:
        self._calls = calls
        self._host = host

    @property
    def acted(self) -> bool:
        return self._calls.acted

    def find(self, target: Target) -> Mapping[str, object]:
        """What Webex says of the conference. Raises Gone."""
        if not target.locator:
            raise Refused("the event does not tell the join URL, and without it the meeting cannot be found")
        if _id_in(target.locator) != target.id:
            raise Gone("the join URL is another conference's")
        # `current`: else the times were those of the next occurrence.
        listed = self._list({"webLink": target.locator, "current": "false"})
        if not listed:
            raise Gone("GET: no such meeting of this host")
        for found in listed:
            match found:
                case {"id": str(), "title": str(), "start": str(start), "end": str(end), "webLink": link}:
                    if _id_in(link) == target.id and found.get("meetingType") == "meetingSeries":
                        moment(start), moment(end)
                        return found
        raise Transient(NOT_OURS)

    def occurrences(self, series: str, since: datetime) -> list[Mapping[str, object]]:
        """Those of a series that are ahead, a page of them."""
        until = {"from": text(since), "to": text(since + _AHEAD), "max": str(_PAGE)}
        return self._list({"meetingSeriesId": series, "meetingType": "scheduledMeeting", **until})

    def patch(self, name: str, body: Mapping[str, object]) -> None:
        told = {**body, "sendEmail": False, **self._host}
        self._calls.make("PATCH", "v1", "meetings", name, body=told).json()

    def delete(self, name: str) -> None:
        query = {"sendEmail": "false", **self._host}
        self._calls.make("DELETE", "v1", "meetings", name, query=query).json()

    def _list(self, query: Mapping[str, str]) -> list[Mapping[str, object]]:
        items = self._calls.make("GET", "v1", "meetings", query={**query, **self._host}).json().get("items")
        if isinstance(items, list) and all(isinstance(each, dict) for each in items):
            return items
        raise Transient(NOT_OURS)


def _refuse_personal(found: Mapping[str, object]) -> None:
    if found.get("scheduledType") == "personalRoomMeeting":  # "List Meetings", scheduledType
        raise Refused("this is held in somebody's personal room, which is never changed")


def _id_in(url: object) -> str:
    seen = joined_at(str(url), (Webex.system,))
    return seen.key.id if seen else ""


# --- what is told ---


class _Wanted:
    """What is to be told, and what becomes of each detail. `times`: those that Webex can have."""

    def __init__(self, meeting: Meeting, found: Mapping[str, object], now: datetime) -> None:
        self.texts: dict[str, object] = {}
        self.new_times: Mapping[str, object] = {}
        self.told = Told()
        self._timed = ["time", "recurrence"] if meeting.recurrence else ["time"]
        self._moved = ["occurrence"] if meeting.moved else []
        self._tell_texts(meeting, found)
        self.times = self._tell_times(meeting, found, now)

    def ignore_times(self, why: str) -> None:
        self.times = None
        for detail in (*self._timed, *self._moved):
            self.told.say(detail, why)

    def _tell_texts(self, meeting: Meeting, found: Mapping[str, object]) -> None:
        title = meeting.title[:_TITLE_LIMIT]
        if title and title != found["title"]:
            self.texts["title"] = title
        self.told.say("title", "" if title else "Webex has no meeting without a title")
        if len(meeting.title) > _TITLE_LIMIT:
            self.told.note(f"Webex has titles of {_TITLE_LIMIT} characters: this one was cut")
        if meeting.agenda is not None:
            agenda = meeting.agenda[:_AGENDA_LIMIT]
            if agenda != (found.get("agenda") or ""):
                self.texts["agenda"] = agenda or None  # "Patch a Meeting": null for none
            self.told.say("agenda")

    def _tell_times(self, meeting: Meeting, found: Mapping[str, object], now: datetime) -> Times | None:
        try:
            wanted = times(meeting, now)
            if not wanted.are_in(found):
                self.new_times = wanted.told()
        except Unsupported as why:
            self.ignore_times(str(why))
            return None
        for detail in self._timed:
            self.told.say(detail)
        return wanted


def _tell(site: _Site, name: str, wanted: _Wanted) -> None:
    """One call. That a series may be told anew in its midst is guessed: refused, the texts are told alone."""
    if not wanted.texts and not wanted.new_times:
        return
    try:
        site.patch(name, {**wanted.texts, **wanted.new_times})
    except Refused:
        if not (wanted.new_times and wanted.times and wanted.times.has_begun):
            raise
        wanted.ignore_times("Webex did not take what is ahead of a series that has begun")
        if wanted.texts:
            site.patch(name, wanted.texts)


# --- a series' occurrences ---


def _put_in_place(site: _Site, name: str, times: Times, series: Series) -> bool:
    """Every listed occurrence where the event has it. What cannot be done is said, and stops no other."""
    listed = site.occurrences(name, times.now)
    left = dict(series.elsewhere)
    done = True
    for found in listed:
        if original := _OCCURRENCE.search(str(found.get("id"))):
            at = moment(original[1])
            done = _place(site, found, left.pop(at, series.place(at))) and done
    seen_until = times.now + _AHEAD if len(listed) < _PAGE else moment(listed[-1].get("start"))
    return done and not any(
        place.start > times.now if place else at > seen_until for at, place in left.items()
    )


def _place(site: _Site, found: Mapping[str, object], place: Place | None) -> bool:
    """Put one occurrence there, or end it."""
    name = str(found["id"])
    try:
        if place is None:
            site.delete(name)
        elif place != Place(moment(found.get("start")), moment(found.get("end"))):
            site.patch(name, {"start": text(place.start), "end": text(place.end)})
    except (Gone, Refused):
        return place is None
    return True


# --- what Webex refuses ---


def _ends_token(answer: Answer) -> bool:
    return answer.status == 401 and bool(answer.said("trackingId"))


def _refuse(answer: Answer) -> None:
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
