"""A BigBlueButton server: meetings that exist while they are open, signed calls, answers in XML.

Answers are shaped as in the vendor's "API Reference" (docs/development/api): "Usage" (checksum), "Error handling",
"end", "getMeetingInfo". The messages to a missing meeting and to a wrong checksum are those its servers are
known for.
"""

import hashlib
import json
from xml.sax.saxutils import escape

from tests.contract.fake_server import Asked, FakeServer, Told

API = "/bigbluebutton/api/"


class FakeBigBlueButton(FakeServer):
    """`meetings`: names by id. `checksums`: those it takes, `supportedChecksumAlgorithms` of the vendor."""

    def __init__(self) -> None:
        super().__init__()
        self.meetings: dict[str, str] = {}
        self.ending: set[str] = set()
        self.secret = "SECRET-KEY"
        self.checksums = ["sha1", "sha256", "sha384", "sha512"]
        self.ends_slowly = False

    def state(self) -> str:
        return json.dumps(self.meetings, sort_keys=True)

    def act(self, asked: Asked) -> Told:
        call = asked.path.removeprefix(API)
        query, _, checksum = asked.raw_query.partition("&checksum=")
        signed = f"{call}{query}{self.secret}".encode()
        if checksum not in [hashlib.new(name, signed).hexdigest() for name in self.checksums]:
            return _failed("checksumError", "Checksums do not match")
        meeting = asked.query.get("meetingID", "")
        if meeting not in self.meetings:
            return _failed("notFound", "A meeting with that ID does not exist")
        if call == "end":
            return self._end(meeting)
        if call == "getMeetingInfo":
            return _told(
                f"<returncode>SUCCESS</returncode><meetingName>{escape(self.meetings[meeting])}</meetingName>"
                f"<meetingID>{escape(meeting)}</meetingID><moderatorPW>SECRET</moderatorPW><running>true</running>"
                f"<hasBeenForciblyEnded>{str(meeting in self.ending).lower()}</hasBeenForciblyEnded>"
            )
        return _failed("unsupportedRequest", "This request is not supported.")

    def _end(self, meeting: str) -> Told:
        if self.ends_slowly:
            self.ending.add(meeting)
        else:
            del self.meetings[meeting]
        return _told("<returncode>SUCCESS</returncode><messageKey>sentEndMeetingRequest</messageKey>")


def _failed(key: str, message: str) -> Told:
    return _told(f"<returncode>FAILED</returncode><messageKey>{key}</messageKey><message>{message}</message>")


def _told(content: str) -> Told:
    return Told(200, "text/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n<response>{content}</response>')
