"""Nextcloud Talk's rooms: a name, a description, and a lobby that lifts itself when the meeting starts.

Vendor's documents: conversation.md and webinar.md of the Talk app, API v4 (Nextcloud 22 and later). What is marked
[K] is not in them, but how its servers are known to behave.

The state is read first and only what differs is written: each write tells everybody in the room. A lobby that
somebody closed by hand (it has no timer) is left alone. A room has one lobby, so of a series only the first
occurrence is guarded: after it the room stays open.
"""

import re
import time
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sync.conferences import Context
from sync.conferences.http import Answer, Http
from sync.conferences.options import Options
from sync.conferences.told import Told
from sync.errors import Gone, Refused, Transient
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import System

_NAME_LIMIT = 255  # conversation.md, "Rename a conversation"
_DESCRIPTION_LIMIT = 500  # [K] later versions take 2000
_SHARED = (2, 3)  # constants.md, "Conversation types": group and public; the others belong to persons
_MODERATORS = (
    1,
    2,
    6,
)  # constants.md, "Participant types": owner, moderator, guest with moderator permissions
_END_OF_TIME = 2**35  # in seconds since the epoch, some thousand years on
_NO_SUCH_API = 998  # [K] OCS has no such endpoint: with a 404, too, but it says nothing about the room


class NextcloudTalk:
    """Options: `url`, its root; `user` and its `app_password`; `lobby` (true): close rooms until they start."""

    name = "nextcloud_talk"

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        told = Options(options, ("url", "user", "app_password"), ("lobby",))
        url = told.url()
        self._user = told.text("user")
        if ":" in self._user:
            told.problem("user is a login name, which has no colon.")
        self._password = told.secret("app_password")
        self._lobby = told.flag("lobby", usual=True)
        told.check()
        self._http = Http(
            f"{url.rstrip('/')}/ocs/v2.php/apps/spreed/api/v4/room",
            connect_s=context.connect_s,
            read_s=context.read_s,
            headers={"OCS-APIRequest": "true"},
        )
        self.call_s = 4 * self._http.call_s  # an update reads, and writes up to three things
        self.capabilities = frozenset({"title", "agenda", "read"} | ({"time"} if self._lobby else set()))
        parts = urlsplit(url)
        self.system = System(
            provider=self.name,
            hosts=(parts.netloc.lower(),),
            path=rf"^{re.escape(parts.path.rstrip('/'))}/(?:index\.php/)?call/([a-z0-9]{{4,32}})$",
        )

    def read(self, target: Target) -> Actual | None:
        try:
            room = _Room(self._call("GET", target.id))
        except Gone:
            return None
        # What was cut at the limit cannot be compared.
        title = room.name if len(room.name) < _NAME_LIMIT else None
        if not self._lobby or room.is_closed_by_hand:
            return Actual(title=title)
        # A room without a lobby is open now: that is its start, as far as Talk knows.
        return Actual(title=title, start=datetime.fromtimestamp(room.opens_at or time.time(), UTC))

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        room = _Room(self._call("GET", target.id))
        room.check_that_it_may_be_changed()
        told = Told()
        changed = [
            self._name(room, target, meeting, told),
            self._describe(room, target, meeting, told),
            self._guard(room, target, meeting, told),
        ]
        if meeting.recurrence:
            told.say("recurrence", "a lobby guards the first occurrence only")
        return told.outcome(changed=any(changed))

    def delete(self, target: Target) -> Outcome:
        try:
            self._call("DELETE", target.id)
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=True)

    def _name(self, room: "_Room", target: Target, meeting: Meeting, told: Told) -> bool:
        name = meeting.title.strip()[:_NAME_LIMIT]
        told.say("title", "" if name else "a room cannot be without a name")
        return bool(name) and self._set(name != room.name, target, {"roomName": name})

    def _describe(self, room: "_Room", target: Target, meeting: Meeting, told: Told) -> bool:
        if meeting.agenda is None:
            return False
        told.say("agenda")
        description = meeting.agenda.strip()[:_DESCRIPTION_LIMIT]
        differs = description != room.description
        return self._set(differs, target, {"description": description}, "description")

    def _guard(self, room: "_Room", target: Target, meeting: Meeting, told: Told) -> bool:
        """The lobby: closed until the meeting starts, unless somebody closed it by hand."""
        if not self._lobby or room.is_closed_by_hand:
            by_hand = "its lobby was closed by hand and stays closed"
            told.say("time", by_hand if self._lobby else "lobbies are left alone")
            return False
        told.say("time")
        opens_at = int(meeting.start.timestamp()) if meeting.start.timestamp() > time.time() else 0
        lobby: dict[str, object] = {"state": 1, "timer": opens_at} if opens_at else {"state": 0}
        return self._set(opens_at != room.opens_at, target, lobby, "webinar", "lobby")

    def _set(self, differs: bool, target: Target, body: Mapping[str, object], *path: str) -> bool:
        if differs:
            self._call("PUT", target.id, *path, body=body)
        return differs

    def _call(self, method: str, *path: str, body: Mapping[str, object] | None = None) -> object:
        """The data of an answer. Whoever is no moderator is told 403, and so is told apart from a proxy's 403."""
        credentials = b64encode(f"{self._user}:{self._password.read()}".encode()).decode()
        answer = self._http.send(method, *path, headers={"Authorization": f"Basic {credentials}"}, body=body)
        code = answer.said("ocs", "meta", "statuscode")
        if answer.status == 403 and code is not None:
            raise Refused("Talk: our user is no moderator of this room; make it one")
        if answer.status == 400 and code is not None:
            raise Refused(f"Talk: a room refuses this{_reason(answer)}")
        if answer.status == 404 and code == _NO_SUCH_API:
            raise Refused("Talk: there is no Talk at this url; is the app enabled?")
        self._http.judge(answer)
        if code != 200:
            raise Transient(f"{method}: what came back is no answer of Nextcloud's")
        return answer.said("ocs", "data")


class _Room:
    """A room as Talk tells it. An answer that is none proves nothing: not even that it is there."""

    def __init__(self, told: object) -> None:
        match told:
            case {"type": int(kind), "name": str(name), "participantType": int(ours), **rest}:
                self.name = name
                self._kind, self._ours = kind, ours
            case _:
                raise Transient("GET: what came back is no room")
        self.description = rest.get("description")
        closed, timer = rest.get("lobbyState") == 1, rest.get("lobbyTimer")
        self.opens_at = timer if closed and isinstance(timer, int) and 0 <= timer < _END_OF_TIME else 0
        self.is_closed_by_hand = closed and not self.opens_at

    def check_that_it_may_be_changed(self) -> None:
        """Raises Refused: before the first of several writes, for a room is not to be half changed."""
        if self._kind not in _SHARED:
            raise Refused("Talk: this is no group's room but somebody's own")
        if self._ours not in _MODERATORS:
            raise Refused("Talk: our user is no moderator of this room; make it one")


def _reason(answer: Answer) -> str:
    """Talk's own word for it, if it is one we know: anything else might tell more than it should."""
    said = answer.said("ocs", "data", "error")
    return f": {said}" if said in ("type", "name", "description", "value", "object", "event") else ""
