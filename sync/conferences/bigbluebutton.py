"""BigBlueButton's meetings. It keeps no schedule: whoever opens a room creates it, with its name and its length.

So there is nothing to tell it ahead of time, and an update says so. What can be done is to end a meeting that
runs although its event is gone. Vendor's document: "API Reference" (docs/development/api). Failures come with
status 200: their `messageKey` says what is wrong.
"""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlencode
from xml.etree import ElementTree

from sync.conferences import Context
from sync.conferences.http import Http
from sync.conferences.options import Options
from sync.conferences.own_system import system
from sync.errors import AuthFailed, Gone, Refused, Transient
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target

_CHECKSUMS = ("sha1", "sha256", "sha384", "sha512")
_ID_LENGTHS = range(2, 257)  # API Reference, "create", meetingID: and no comma
_ABSENT = ("notFound", "invalidMeetingIdentifier")


class Bigbluebutton:
    """Options: `url` and `secret`, as `bbb-conf --secret` shows them; `recognise`, what its join links look like;
    `checksum` (sha256).
    """

    name = "bigbluebutton"
    # Not even "read": that the server knows no such meeting means that nobody is in it, not that it is gone.
    capabilities: frozenset[str] = frozenset()

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        told = Options(options, ("url", "secret", "recognise"), ("checksum",))
        url = told.url()
        self._secret = told.secret("secret")
        self._checksum = told.choice("checksum", _CHECKSUMS, "sha256")
        self.system = system(told, self.name)
        told.check()
        self._http = Http(
            f"{url.rstrip('/')}/api",
            connect_s=context.connect_s,
            read_s=context.read_s,
            headers={"Accept": "application/xml"},
        )
        self.call_s = self._http.call_s

    def read(self, target: Target) -> Actual | None:
        """The meeting that runs now, or waits for its first guest; None if there is none. It has no times."""
        try:
            told = self._call("getMeetingInfo", target)
        except Gone:
            return None
        if told.findtext("hasBeenForciblyEnded") == "true":
            return None
        name = told.findtext("meetingName")
        if name is None:
            raise Transient("getMeetingInfo: what came back is no meeting")
        return Actual(title=name)

    def update(self, target: Target, meeting: Meeting) -> Outcome:  # noqa: ARG002
        """Nothing to tell, aloud: title and length are set by whoever opens the room next."""
        ignored = ("title", "time", "recurrence") if meeting.recurrence else ("title", "time")
        return Outcome(
            changed=False, ignored=ignored, note="BigBlueButton keeps no schedule: rooms open whenever joined"
        )

    def delete(self, target: Target) -> Outcome:
        """End it if it runs. The server answers before everybody is out: asking again does no harm."""
        note = "BigBlueButton keeps no schedule: the room can be opened again"
        try:
            self._call("end", target)
        except Gone:
            return Outcome(changed=False, note=note)
        return Outcome(changed=True, note=note)

    def _call(self, call: str, target: Target) -> ElementTree.Element:
        """The answer to a call that succeeded."""
        if len(target.id) not in _ID_LENGTHS or "," in target.id:
            raise Refused("BigBlueButton: this is no meeting's id: 2 to 256 characters, no comma")
        query = {"meetingID": target.id}
        # API Reference, "Usage": the call, its query exactly as it is sent, and the secret.
        signed = f"{call}{urlencode(query)}{self._secret.read()}".encode()
        checksum = hashlib.new(self._checksum, signed).hexdigest()
        answer = self._http.send("GET", call, query={**query, "checksum": checksum})
        self._http.judge(answer)
        told = _parsed(answer.content)
        match told.findtext("returncode", "").upper(), told.findtext("messageKey"):
            case "SUCCESS", _:
                return told
            case "FAILED", key if key in _ABSENT:
                raise Gone(f"{call}: there is no such meeting now")
            case "FAILED", "checksumError":
                raise AuthFailed(
                    f"{call}: BigBlueButton takes neither our secret nor this checksum, or not both"
                )
            case "FAILED", "invalidPassword" | "missingParamPassword":
                raise Refused(f"{call}: this version wants a moderator's password; it is too old for us")
            case "FAILED", _:
                raise Refused(f"{call}: BigBlueButton refuses")
        raise Transient(f"{call}: what came back is no answer of BigBlueButton's")


def _parsed(content: bytes) -> ElementTree.Element:
    """The XML of an answer, which Http has bounded. One that declares entities is none: they can grow for ever."""
    try:
        text = content.decode()
        if "<!DOCTYPE" not in text:
            return ElementTree.fromstring(text)
    except (ValueError, ElementTree.ParseError):
        pass
    raise Transient("what came back is no XML of BigBlueButton's")
