"""Words that nothing may sing: what people wrote, where they meet, what opens doors; and a world full of them.

Every personal or secret text of an event, of the settings and of an answer is a canary, a word between `zz`.
Google and the conference systems answer as one would wish, or quote what they were asked, in every kind of error.
"""

import base64
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sync.conferences import Context, Secret
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import System
from tests.contract.loopback import Answer, Asked

Json = dict[str, Any]

CANARY = re.compile(r"zz[a-z0-9]{3,30}?zz")
OWNER = "zzownerzz@zzcompanyzz.example"
SYNC_TOKEN, PAGE_TOKEN = "zzsynctokenzz", "zzpagetokenzz"
ROOM = "zzroomzz"  # an id that is as good as the join link
KEY = "whsec_" + base64.b64encode(b"zzwebhookkeyzz" * 2).decode()


def sung(text: str) -> set[str]:
    """The canaries in a text, in whatever disguise."""
    lower = text.lower()
    plain = {word for word in ALL if word in lower or word.encode().hex() in lower}
    return plain | {word for word in ALL if any(disguise in text for disguise in _in_base64(word))}


def _in_base64(word: str) -> Iterator[str]:
    """What base64 makes of a word, wherever in the whole it stands."""
    for before in range(3):
        encoded = base64.urlsafe_b64encode(b"\0" * before + word.encode()).decode()
        yield encoded[4 if before else 0 : -4]


# --- Events ---


def event(number: int, conference: str, **changes: Any) -> Json:
    """An event as rich as Google makes them, every text of it a canary but ids, times and kinds."""
    host = {"bugs": "bugs.example", "own": "own.example"}[conference.partition("-")[0]]
    link = f"https://{host}/j/{conference}?pwd=zzpasswordzz#zzfragmentzz"
    return {
        "kind": "calendar#event",
        "etag": '"zzetagzz"',
        "id": f"event{number}",
        "status": "confirmed",
        "htmlLink": "https://www.google.com/calendar/event?eid=zzhtmllinkzz",
        "updated": "2026-02-10T08:14:59.300Z",
        "summary": f"zztitlezz {number}",
        "description": "zzdescriptionzz",
        "location": "zzlocationzz",
        "creator": {"email": "zzcreatorzz@zzcompanyzz.example", "displayName": "zzcreatornamezz"},
        "organizer": {"email": OWNER, "displayName": "zzorganizernamezz", "self": True},
        "start": {"dateTime": "2999-01-05T08:00:00Z", "timeZone": "Europe/Vienna"},
        "end": {"dateTime": "2999-01-05T09:00:00Z"},
        "iCalUID": "zzicaluidzz@google.com",
        "attendees": [
            {"email": "zzguestzz@example.com", "displayName": "zzguestnamezz", "comment": "zzcommentzz"}
        ],
        "hangoutLink": "https://meet.google.com/zzhangoutzz",
        "conferenceData": {
            "conferenceId": conference,
            "signature": "zzsignaturezz",
            "notes": "zznoteszz",
            "conferenceSolution": {"key": {"type": "addOn"}, "name": "zzsolutionzz", "iconUri": "zziconzz"},
            "entryPoints": [
                {
                    "entryPointType": "video",
                    "uri": link,
                    "label": "zzlabelzz",
                    "pin": "zzpinzz",
                    "passcode": "zzpasscodezz",
                    "password": "zzentrypasswordzz",
                    "accessCode": "zzaccesscodezz",
                    "meetingCode": "zzmeetingcodezz",
                }
            ],
            "parameters": {"addOnParameters": {"parameters": {"hostKey": "zzhostkeyzz"}}},
        },
        "extendedProperties": {"private": {"a": "zzprivatezz"}, "shared": {"b": "zzsharedzz"}},
        "attachments": [{"fileUrl": "https://example.com/zzfilezz", "title": "zzfiletitlezz"}],
        "source": {"url": "https://example.com/zzsourcezz", "title": "zzsourcetitlezz"},
        **changes,
    }


def malformed() -> Iterator[Json]:
    """Events with something in them that makes no sense, and is somebody's all the same."""
    for number, (name, value) in enumerate(
        (
            ("start", "zzstartzz"),
            ("start", {"dateTime": "zzstartzz"}),
            ("end", {"dateTime": "2999-01-05T09:00:00Z", "date": "zzendzz"}),
            ("recurrence", ["RRULE:zzrulezz", 7, {"zzrulezz": 1}]),
            ("recurringEventId", {"zzserieszz": []}),
            ("originalStartTime", "zzoriginalzz"),
            ("organizer", {"email": ["zzorganizerzz"], "self": "zzselfzz"}),
            ("summary", ["zztitlezz"]),
            ("attendees", "zzguestzz"),
            ("conferenceData", "zzconferencezz"),
            ("conferenceData", {"entryPoints": [{"uri": ["zzurizz"]}, "zzurizz"]}),
            ("status", "zzstatuszz"),
        )
    ):
        yield event(100 + number, "own-100") | {name: value}
    yield event(120, "own-120") | {"id": "zz id zz/zzeventidzz"}
    yield event(121, "own-121") | {"id": {"zzeventidzz": 1}}


# --- Those who answer ---


def quoting(asked: Asked, status: int) -> Answer:
    """An error that quotes the whole request, as debug pages do."""
    said = f"zzpagezz {asked.method} {asked.path} {dict(asked.headers)} {asked.body!r}"
    reasons = [{"reason": "zz reason zz zzreasonzz", "message": said, "domain": said}]
    return Answer(status, {"error": {"code": status, "message": said, "errors": reasons, "status": said}})


def page_of(asked: Asked, status: int = 200) -> Answer:
    return Answer(status, f"<html>{asked.path} {dict(asked.headers)} {asked.body!r} zzpagezz</html>".encode())


Weather = Callable[[Asked], Answer | None]

STORMS: Mapping[str, Weather] = {
    "no storm": lambda _: None,
    **{
        f"{status} that quotes": lambda asked, status=status: quoting(asked, status)  # type: ignore[misc]
        for status in (400, 401, 403, 404, 409, 410, 412, 418, 429, 500, 503)
    },
    "a page of HTML": lambda asked: page_of(asked),
    "a page with an error": lambda asked: page_of(asked, 502),
    "JSON that is something else": lambda _: Answer(
        body={"items": "zzitemszz", "nextSyncToken": ["zztokenzz"]}
    ),
    "a list": lambda _: Answer(body=["zzlistzz"]),
    "a redirect": lambda _: Answer(302, location="https://zzelsewherezz.example/zzpathzz"),
    "half an answer": lambda _: Answer(body=b'{"zzkeyzz": "zzvaluez'),
    "no answer": lambda _: Answer(lost=True),
}


class Google:
    """A calendar. `storm` speaks first."""

    def __init__(self) -> None:
        self.storm: Weather = STORMS["no storm"]
        self.events: list[Json] = []
        self.watches: list[Json] = []
        self.answered = 0

    def __call__(self, asked: Asked) -> Answer:
        self.answered += 1
        if asked.path.endswith("/watch?alt=json"):
            self.watches.append(json.loads(asked.body))
        if spoken := self.storm(asked):
            return spoken
        if "/watch" in asked.path:
            return Answer(body={"resourceId": "zzresourcezz", "expiration": "32503680000000"})
        if "/events?" not in asked.path:
            event_id = asked.path.partition("?")[0].rpartition("/")[2]
            found = [each for each in self.events if each["id"] == event_id]
            return Answer(body=found[0]) if found else quoting(asked, 404)
        head = {"accessRole": "owner", "timeZone": "Europe/Vienna", "summary": "zzcalendartitlezz"}
        if "pageToken" not in asked.path:
            return Answer(body={**head, "nextPageToken": PAGE_TOKEN, "items": self.events[:1]})
        return Answer(body={**head, "nextSyncToken": SYNC_TOKEN, "items": self.events[1:]})


class Buggy:
    """A provider of somebody's, with a bug in every call, another one each time."""

    name = "buggy"
    system = System("buggy", hosts=("bugs.example",), path=r"^/j/([a-z0-9-]+)$")
    capabilities = frozenset({"title", "time", "agenda", "invitees", "read"})
    call_s = 1.0

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        assert isinstance(options["password"], Secret)
        self._password = options["password"]
        self._calls = 0

    def read(self, target: Target) -> Actual | None:
        self._stumble(f"{target.id} {target.locator} {target.organizer}")
        return None

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        self._stumble(f"{target.locator} {target.organizer} {meeting}")
        return Outcome(changed=True)

    def delete(self, target: Target) -> Outcome:
        self._stumble(f"{target.locator} {target.organizer}")
        return Outcome(changed=True)

    def _stumble(self, known: str) -> None:
        said = f"{self._password.read()} {known}"
        logging.getLogger("buggy.calls").error("it did not work: %s", said)
        warnings.warn(said, stacklevel=2)
        bugs: list[Callable[[], object]] = [
            lambda: {}[said],
            lambda: int(said),
            lambda: getattr(self, said),
            lambda: (_ for _ in ()).throw(_chained(said)),
            lambda: (_ for _ in ()).throw(ExceptionGroup(said, [ValueError(said)])),
            lambda: (_ for _ in ()).throw(UnicodeDecodeError("utf-8", said.encode(), 0, 1, said)),
        ]
        self._calls += 1
        bugs[self._calls % len(bugs)]()


def _chained(said: str) -> Exception:
    error = RuntimeError(said)
    error.__cause__ = OSError(5, said, said)
    error.add_note(said)
    return error


# There are no others.
ALL = frozenset(
    CANARY.findall("".join(path.read_text().lower() for path in Path(__file__).parent.glob("*canar*.py")))
)
