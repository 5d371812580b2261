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

from sync.conferences import Context, Secret
from sync.conferences.http import Answer, Http
from sync.conferences.own_system import Options
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
_NO_SUCH_API = 998  # [K] OCS has no such endpoint: with a 404, too, but it says nothing about the room


class NextcloudTalk:
    """Options: `url`, its root; `user` and its `app_password`; `lobby` (true): close rooms until they start."""

    name = "nextcloud_talk"

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        given = Options(options, ("url", "user", "app_password"), ("lobby",))
        url, user, password = given.url(), options.get("user", "-"), options.get("app_password", "-")
        lobby = options.get("lobby", True)
        if not (isinstance(user, str) and user and ":" not in user):
            given.problem("user is not a login name: a text without a colon.")
        if not isinstance(password, Secret) and "app_password" in options and not given.on_loopback:
            given.problem('app_password must be kept elsewhere: {"secret": …} or {"file": …}.')
        if not isinstance(lobby, bool):
            given.problem("lobby is neither true nor false.")
        given.check()
        self._user, self._password, self._lobby = user, password, lobby
        self._http = Http(
            f"{url.rstrip('/')}/ocs/v2.php/apps/spreed/api/v4/room",
            connect_s=context.connect_s,
            read_s=context.read_s,
            headers={"OCS-APIRequest": "true"},
        )
        self.call_s = 4 * self._http.call_s  # an update reads, and writes up to three things
        self.capabilities = frozenset({"title", "agenda", "read"} | ({"time"} if lobby else set()))
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
        changed: list[bool] = []
        applied, ignored, notes = [], [], []
        name = meeting.title.strip()[:_NAME_LIMIT]
        if name:
            changed.append(self._set(name != room.name, target, {"roomName": name}))
            applied.append("title")
        else:
            ignored.append("title")
            notes.append("a room cannot be without a name")
        if meeting.agenda is not None:
            description = meeting.agenda.strip()[:_DESCRIPTION_LIMIT]
            changed.append(
                self._set(
                    description != room.description, target, {"description": description}, "description"
                )
            )
            applied.append("agenda")
        if not self._lobby or room.is_closed_by_hand:
            ignored.append("time")
            notes.append(
                "its lobby was closed by hand and stays closed" if self._lobby else "lobbies are left alone"
            )
        else:
            opens_at = int(meeting.start.timestamp()) if meeting.start.timestamp() > time.time() else 0
            lobby: dict[str, object] = {"state": 1, "timer": opens_at} if opens_at else {"state": 0}
            changed.append(self._set(opens_at != room.opens_at, target, lobby, "webinar", "lobby"))
            applied.append("time")
        if meeting.recurrence:
            ignored.append("recurrence")
            notes.append("a lobby guards the first occurrence only")
        return Outcome(any(changed), tuple(applied), tuple(ignored), "; ".join(notes))

    def delete(self, target: Target) -> Outcome:
        try:
            self._call("DELETE", target.id)
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=True)

    def _set(self, differs: bool, target: Target, body: Mapping[str, object], *path: str) -> bool:
        if differs:
            self._call("PUT", target.id, *path, body=body)
        return differs

    def _call(self, method: str, *path: str, body: Mapping[str, object] | None = None) -> object:
        """The data of an answer. Whoever is no moderator is told 403, and so is told apart from a proxy's 403."""
        password = self._password.read() if isinstance(self._password, Secret) else self._password
        credentials = b64encode(f"{self._user}:{password}".encode()).decode()
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
        self.opens_at = timer if closed and isinstance(timer, int) else 0
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
