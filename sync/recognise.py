"""Which conference an event carries: the strongest evidence wins, and an address is parsed, never searched.

In order of strength, over all systems: our own link, the add-on's script id, an entry point's URL, and the
name of the solution. Anybody can write anything into an event: a look-alike must end as "none of ours", never
as somebody else's conference.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from sync.event import Carried

ID_LIMIT = 256


@dataclass(frozen=True, slots=True)
class ConferenceKey:
    """One conference among all systems: who hosts it, and what it is called there."""

    provider: str
    id: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str(key)` wrote; ValueError for anything else."""
        provider, _, conference_id = text.partition(":")
        key = cls(provider, conference_id)
        if not (provider and key.is_sound()):
            raise ValueError("not a conference key: a key is provider:id")
        return key

    @property
    def veiled(self) -> str:
        """The key for who must not learn the id from it: whoever knows the id can tell that this is it."""
        return f"{self.provider}:~{hashlib.sha256(str(self).encode(errors='surrogatepass')).hexdigest()[:16]}"

    def is_sound(self) -> bool:
        return 0 < len(self.id) <= ID_LIMIT and self.id.isprintable()


@dataclass(frozen=True, slots=True)
class System:
    """One conference system: how its conferences look in an event. Patterns are searched, so anchor them."""

    provider: str
    names: tuple[str, ...] = ()  # conferenceSolution.name, when the solution is an add-on
    script_ids: tuple[str, ...] = ()  # Apps Script ids of its add-on
    hosts: tuple[str, ...] = ()  # each stands for itself and all below it; "host:port" for a local system
    path: str = ""  # of a join URL; the first group that matched is the conference's id
    query_id: str = ""  # the id is not in the path but in this query parameter
    personal: str = ""  # path of somebody's standing room; the first group names it
    id_pattern: str = ""  # what a conferenceId looks like: without it a solution's name proves nothing
    solution_types: tuple[str, ...] = ()  # conferenceSolution.key.type, for solutions of Google's own
    located: bool = False  # its conferences are found by their join URL, not by the id alone
    folded: bool = False  # in upper or lower case, an id in its URLs is the same
    plain_ids: bool = False  # an id opens nothing by itself, and is no words of somebody's: logs may tell it


class Rule(StrEnum):
    """What a conference was recognised by, strongest first."""

    OWN_LINK = "own_link"
    SCRIPT_ID = "script_id"
    ENTRY_POINT = "entry_point"
    SOLUTION_NAME = "solution_name"


@dataclass(frozen=True, slots=True)
class Recognised:
    key: ConferenceKey
    rule: Rule
    personal: bool  # a standing room: recognised, and never to be changed or deleted
    url: str = field(default="", compare=False)  # where it is joined, if the event says so


@dataclass(frozen=True, slots=True)
class Stranger:
    """The last conference that was seen and that no rule knows."""

    event_id: str
    solution: str  # what its system calls itself; empty if it does not say
    seen_at: float  # seconds since the epoch
    number: int = 1  # of such sightings since the last full listing


# Names marked "seen" were read in recorded events; all others are guesses from what other tools write, and
# count only together with an id of the right shape. Nextcloud Talk and BigBlueButton are missing on purpose:
# they live on hosts of their owners, which only the settings can name.
KNOWN: tuple[System, ...] = (
    System(
        provider="zoom",
        names=("Zoom Meeting",),  # seen
        script_ids=(
            "1O_9DeEljSH2vrECr8XeFYYRxFFiowFKOivqSDz316BlBcDXrF00BXrkO",
        ),  # seen, in unrelated events
        hosts=("zoom.us", "zoom.com", "zoomgov.com", "zoom-x.de", "zoom.com.cn"),
        path=r"^/(?:j|s|w|wc/join|wc)/(\d{9,12})(?:/|$)",
        personal=r"^/my/([\w.-]+)",
        id_pattern=r"^\d{9,12}$",
        plain_ids=True,  # a passcode or a waiting room is asked for, too
    ),
    System(
        provider="webex",
        names=("Webex", "Cisco Webex"),  # guessed
        hosts=("webex.com",),
        path=r"^/(?:[^/]+/)?(?:j|ldr)\.php$",
        query_id="MTID",
        personal=r"^/(?:meet|join)/([\w.-]+)",  # may go on with @domain: a key holds no mail address
        id_pattern=r"^m[0-9a-f]{32}$",  # guessed: the shape of an MTID
    ),
    System(
        provider="teams",
        names=(
            "Microsoft Teams",
            "Microsoft Teams meeting",
        ),  # guessed, and without an id pattern never enough
        hosts=("teams.microsoft.com", "teams.live.com", "teams.microsoft.us", "teams.cloud.microsoft"),
        path=r"^/(?:l/meetup-join/([^/]+)|meet/(\d+))",
        plain_ids=True,  # its links need a passcode, or the tenant and the organizer, as well
    ),
    System(
        provider="goto",
        names=("GoTo Meeting", "GoToMeeting"),  # guessed
        hosts=("meet.goto.com", "gotomeeting.com", "gotomeet.me"),
        path=r"^/(?:join/)?(\d{9})(?:/|$)",
        id_pattern=r"^\d{9}$",
    ),
    System(
        provider="ringcentral",
        names=("RingCentral Video",),  # guessed, and without an id pattern never enough
        hosts=("v.ringcentral.com", "video.ringcentral.com", "meetings.ringcentral.com"),
        path=r"^/(?:join|j)/(\d+)",
    ),
    System(
        provider="zoho",
        names=("Zoho Meeting",),  # guessed, and without an id pattern never enough
        hosts=tuple(
            f"{door}.zoho.{domain}"
            for door in ("meeting", "meet")
            for domain in ("com", "eu", "in", "com.au", "jp", "com.cn", "sa", "ca")
        ),
        path=r"^/(?:join|meeting/join|\w{6,})$",
        query_id="key",
    ),
    System(provider="daily", hosts=("daily.co",), path=r"^/([\w-]{1,128})$"),
    System(
        provider="whereby",
        names=("Whereby",),  # guessed, and without an id pattern never enough
        hosts=("whereby.com",),
        path=r"^/([\w-]+)$",
    ),
    System(
        provider="jitsi",
        names=("Jitsi Meeting",),  # guessed, and without an id pattern never enough
        hosts=("meet.jit.si", "8x8.vc"),
        path=r"^/((?:vpaas-magic-cookie-[0-9a-f]{32}/)?[^/]+)$",
    ),
    System(provider="livekit", hosts=("meet.livekit.io",), path=r"^/rooms/([\w-]+)"),
    System(
        provider="meet",
        solution_types=("hangoutsMeet",),  # seen, named "Google Meet"
        hosts=("meet.google.com",),
        path=r"^/([a-z]{3}-[a-z]{4}-[a-z]{3})$",
        id_pattern=r"^[a-z]{3}-[a-z]{4}-[a-z]{3}$",
    ),
)


def recognise(
    carried: Carried | None, systems: Sequence[System], link: ConferenceKey | None = None
) -> Recognised | None:
    """The conference that an event carries; `link` is the one we know it to have carried before."""
    if carried is None:
        return None
    doors = [door for uri in carried.uris for door in _doors(uri, systems)]
    evidence: tuple[tuple[Rule, Iterator[ConferenceKey]], ...] = (
        (Rule.OWN_LINK, _by_link(carried, link, doors)),
        (Rule.SCRIPT_ID, _by_script_id(carried, systems)),
        (Rule.ENTRY_POINT, (door.key for door in doors)),
        (Rule.SOLUTION_NAME, _by_solution(carried, systems)),
    )
    for rule, keys in evidence:
        for key in keys:
            if key.is_sound():
                personal = any(door.personal and door.key.provider == key.provider for door in doors)
                url = next((door.url for door in doors if door.key == key), "")
                return Recognised(key, rule, personal, url)
    return None


def joined_at(url: str, systems: Sequence[System]) -> Recognised | None:
    """The conference that is joined at this URL."""
    return recognise(Carried("", "", "", "", "", (url,)), systems)


def leads_to(uri: str, key: ConferenceKey, systems: Sequence[System]) -> bool:
    """Whether that very conference, and no standing room, is joined at this URL."""
    return any(door.key == key and not door.personal for door in _doors(uri, systems))


@dataclass(frozen=True, slots=True)
class _Door:
    """A URL that leads into a conference of one of the systems."""

    key: ConferenceKey
    personal: bool
    url: str


def _by_link(carried: Carried, link: ConferenceKey | None, doors: Sequence[_Door]) -> Iterator[ConferenceKey]:
    if link and (
        link.id in (carried.conference_id, carried.real_id) or any(link == door.key for door in doors)
    ):
        yield link


def _by_script_id(carried: Carried, systems: Sequence[System]) -> Iterator[ConferenceKey]:
    for system in systems:
        if carried.script_id in system.script_ids:
            yield ConferenceKey(system.provider, carried.real_id or carried.conference_id)


def _by_solution(carried: Carried, systems: Sequence[System]) -> Iterator[ConferenceKey]:
    for system in systems:
        named = carried.solution_type == "addOn" and carried.solution_name in system.names
        if (named or carried.solution_type in system.solution_types) and (
            system.id_pattern and re.search(system.id_pattern, carried.conference_id, re.ASCII)
        ):
            yield ConferenceKey(system.provider, carried.conference_id)


def _doors(uri: str, systems: Sequence[System]) -> Iterator[_Door]:
    address = _unwrapped(uri)
    if address is None:
        return
    for system in systems:
        if not any(address.is_at(host) for host in system.hosts):
            continue
        if system.personal and (room := _first_group(system.personal, address.path)):
            yield _Door(ConferenceKey(system.provider, room), personal=True, url=address.text)
        elif system.path and (conference_id := _id_in(address, system)):
            yield _Door(ConferenceKey(system.provider, conference_id), personal=False, url=address.text)


def _id_in(address: "_Address", system: System) -> str:
    if not system.query_id:
        found = _first_group(system.path, address.path)
        return found.lower() if system.folded else found
    return address.parameter(system.query_id) if re.search(system.path, address.path, re.ASCII) else ""


def _first_group(pattern: str, path: str) -> str:
    found = re.search(pattern, path, re.ASCII)
    return unquote(next(filter(None, found.groups()), "")) if found else ""


# --- Addresses ---

# No user, no IPv6, and nothing but ASCII, not even letters that become ASCII in lower case (the Kelvin sign).
AUTHORITY = re.compile(
    r"(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*)\.?(?::(?P<port>\d{1,5}))?", re.ASCII | re.IGNORECASE
)
LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}")
DEFAULT_PORT = {"https": 443, "http": 80}

# What mail and calendar programs put around links: host, path, and the parameter that holds the real one.
WRAPPERS = (
    ("www.google.com", "/url", "q"),
    ("safelinks.protection.outlook.com", "/", "url"),
)
WRAPPINGS_LIMIT = 3


@dataclass(frozen=True, slots=True)
class _Address:
    """A URL whose every part that matters is beyond doubt."""

    scheme: str
    host: str
    port: int
    path: str
    query: str
    text: str  # the whole of it, as it was written

    def is_at(self, place: str) -> bool:
        """Is this the host `place`, or one below it, at the port that `place` names or else the usual one?"""
        host, _, port = place.partition(":")
        return (
            (self.host == host or self.host.endswith(f".{host}"))
            and self.port == int(port or DEFAULT_PORT[self.scheme])
            # Plain http could be anybody's answer, except on this very machine.
            and (self.scheme == "https" or LOOPBACK.fullmatch(self.host) is not None)
        )

    def parameter(self, name: str) -> str:
        """The one value of a query parameter; empty when it is told twice."""
        values = parse_qs(self.query).get(name, [])
        return values[0] if len(values) == 1 else ""


def _unwrapped(uri: str) -> _Address | None:
    """The address that a URL leads to in the end, or None when there is any doubt about it."""
    for _ in range(WRAPPINGS_LIMIT + 1):
        address = _address(uri)
        if address is None:
            return None
        inner = [
            address.parameter(parameter)
            for host, path, parameter in WRAPPERS
            if address.is_at(host) and address.path == path
        ]
        if not inner:
            return address
        uri = inner[0]
    return None


def _address(uri: str) -> _Address | None:
    # Browsers read a backslash as a slash, and urlsplit drops tabs and newlines: both hide the real host.
    if not uri.isprintable() or " " in uri or "\\" in uri:
        return None
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    authority = AUTHORITY.fullmatch(parts.netloc)
    if authority is None or parts.scheme not in DEFAULT_PORT:
        return None
    port = int(authority["port"] or DEFAULT_PORT[parts.scheme])
    return _Address(parts.scheme, authority["host"].lower(), port, parts.path, parts.query, uri)
