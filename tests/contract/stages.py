"""Every provider that is shipped on a stage of its own: its system on this machine, and the hands to play on it.

What is said of all of them (test_every_provider.py here and in tests/passes) is said by way of this table, and a
provider that is missing in it is missed.
"""

import base64
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import urllib3
from dateutil.rrule import rrulestr

from sync.cli.demo.conference_service import ConferenceService
from sync.settings import ProviderSettings, SecretPlace
from sync.testing import Failure
from tests.contract import fake_teams, fake_webex, fake_zoom
from tests.contract.fake_bigbluebutton import FakeBigBlueButton
from tests.contract.fake_nextcloud import FakeNextcloud
from tests.contract.fake_own_system import PlainApi, WebhookReceiver
from tests.contract.fake_server import Asked
from tests.contract.fake_teams import FakeTeams
from tests.contract.fake_webex import FakeWebex
from tests.contract.fake_zoom import FakeZoom

CONFERENCES = range(3)
HOSTS = ("me@example.com", "you@example.com", "third@example.com")
OLD = "Old"
RECOGNISE = {"hosts": ["meet.example.com"], "path": "^/r/(room-[0-9]+)$"}


class Stage:
    """Three conferences in one provider's system."""

    use = ""
    calls = True  # its updates are calls
    again_after_401 = False  # it fetches a token and asks again

    def __init__(self, folder: Path) -> None:
        self._key = folder / "key"
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def settings(self) -> ProviderSettings:
        return ProviderSettings(self.use, self.use, self.options())

    def kept(self, text: str) -> SecretPlace:
        self._key.write_text(text)
        return SecretPlace(file=str(self._key))

    def conference_data(self, n: int) -> dict[str, Any]:
        """What the event carries of its conference."""
        return {
            "conferenceId": self.id(n),
            "conferenceSolution": {"key": {"type": "addOn"}, "name": self.use},
            "entryPoints": [{"entryPointType": "video", "uri": self.link(n)}],
        }

    # --- each its own ---

    def begin(self) -> None:
        raise NotImplementedError

    def options(self) -> dict[str, object]:
        raise NotImplementedError

    def id(self, n: int) -> str:
        return f"room-4{n}"

    def link(self, n: int) -> str:
        """Where the conference is joined."""
        return f"https://meet.example.com/r/{self.id(n)}"

    def fail(self, failure: Failure, *, acting: bool = False) -> None:
        """The next call fails; `acting`: the next that is to change something."""
        raise NotImplementedError

    def calm(self) -> None:
        """Nothing fails any more."""
        raise NotImplementedError

    def change_credentials(self) -> None:
        """Somebody else has: the system takes others now, and they are where the old ones were."""

    def title(self, n: int) -> str | None:
        """As the system has it; None: it is gone."""
        raise NotImplementedError

    def span(self, n: int) -> tuple[datetime, datetime] | None:
        """From when to when, as the system has it; None: it has no such thing."""
        return None

    def starts(self, n: int) -> list[datetime]:
        """The first occurrences of a series, as the system has them; local."""
        return []


def _local(starts: Sequence[datetime], zone: str) -> list[datetime]:
    return [start.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for start in starts][:8]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class _Vendor(Stage):
    """Its system is a fake that fails when it is told to, and gives out tokens."""

    system: Any

    def fail(self, failure: Failure, *, acting: bool = False) -> None:
        self.system.fail(failure, lambda asked: self.acts(asked) or not acting)

    def acts(self, asked: Any) -> bool:
        """Whether a call is to change something."""
        return bool(asked.acts)

    def calm(self) -> None:
        self.system.calm()

    def change_credentials(self) -> None:
        self.system.end_tokens()


class _Zoom(_Vendor):
    use = "zoom"
    again_after_401 = True

    def begin(self) -> None:
        self.system = self._open.enter_context(FakeZoom())
        for n in CONFERENCES:
            self.system.add(self.id(n), topic=OLD)

    def options(self) -> dict[str, object]:
        own = {"account_id": fake_zoom.ACCOUNT, "client_id": fake_zoom.CLIENT, "client_secret": fake_zoom.KEY}
        return {**own, "oauth_url": self.system.url, "api_url": self.system.url}

    def id(self, n: int) -> str:
        return f"9415304009{n}"

    def link(self, n: int) -> str:
        return f"https://acme.zoom.us/j/{self.id(n)}"

    def fail(self, failure: Failure, *, acting: bool = False) -> None:
        for _ in range(2 if failure.status == 401 else 1):
            super().fail(failure, acting=acting)

    def title(self, n: int) -> str | None:
        meeting = self.system.meetings.get(self.id(n))
        return None if meeting is None else str(meeting["topic"])

    def span(self, n: int) -> tuple[datetime, datetime] | None:
        meeting = self.system.meetings[self.id(n)]
        start = _moment(meeting["start_time"])
        return start, start + timedelta(minutes=meeting["duration"])

    def starts(self, n: int) -> list[datetime]:
        found = self.system._occurrences(self.id(n)).values()
        return _local(
            [_moment(each["start_time"]) for each in found], self.system.meetings[self.id(n)]["timezone"]
        )


class _Webex(_Vendor):
    use = "webex"

    def begin(self) -> None:
        self.system = self._open.enter_context(FakeWebex())
        self.system.hosts = set(HOSTS)
        self._ids = [self.system.add(self.id(n)) for n in CONFERENCES]

    def options(self) -> dict[str, object]:
        own = {"client_id": fake_webex.CLIENT, "client_secret": fake_webex.KEY}
        return {**own, "refresh_token": fake_webex.FIRST, "url": self.system.url}

    def id(self, n: int) -> str:
        return f"m{str(n) * 32}"

    def link(self, n: int) -> str:
        return fake_webex.web_link(self.id(n))

    def title(self, n: int) -> str | None:
        meeting = self.system.meetings.get(self._ids[n])
        return None if meeting is None else str(meeting["title"])

    def span(self, n: int) -> tuple[datetime, datetime] | None:
        meeting = self.system.meetings[self._ids[n]]
        return _moment(meeting["start"]), _moment(meeting["end"])

    def starts(self, n: int) -> list[datetime]:
        found = self.system._occurrences(self._ids[n]).values()
        return _local(
            [_moment(each["start"]) for each in found], self.system.meetings[self._ids[n]]["timezone"]
        )


class _Teams(_Vendor):
    use = "teams"

    def begin(self) -> None:
        self.system = self._open.enter_context(FakeTeams())
        self._ids = [self.system.add(self.id(n)) for n in CONFERENCES]

    def options(self) -> dict[str, object]:
        own = {"tenant": fake_teams.TENANT, "client_id": fake_teams.CLIENT, "client_secret": fake_teams.KEY}
        return {**own, "login_url": self.system.url, "graph_url": self.system.url}

    def id(self, n: int) -> str:
        return f"19:meeting_{n}@thread.v2"

    def link(self, n: int) -> str:
        return fake_teams.join_url(self.id(n))

    def title(self, n: int) -> str | None:
        meeting = self.system.meetings.get(self._ids[n])
        return None if meeting is None else str(meeting["subject"])

    def span(self, n: int) -> tuple[datetime, datetime] | None:
        meeting = self.system.meetings[self._ids[n]]
        return _moment(meeting["startDateTime"]), _moment(meeting["endDateTime"])


class _OwnSystem(Stage):
    system: Any

    def fail(self, failure: Failure, *, acting: bool = False) -> None:
        self.system.failures.append(failure)

    def calm(self) -> None:
        self.system.failures.clear()


def _key(letter: str) -> str:
    return "whsec_" + base64.b64encode(letter.encode() * 32).decode()


class _Webhook(_OwnSystem):
    use = "webhook"

    def begin(self) -> None:
        rooms = [self.id(n) for n in CONFERENCES]
        self.system = self._open.enter_context(WebhookReceiver([_key("o")], rooms))

    def options(self) -> dict[str, object]:
        return {"url": self.system.url, "key": self.kept(_key("o")), "recognise": RECOGNISE}

    def change_credentials(self) -> None:
        self.system.keys = [_key("n")]
        self.kept(_key("n"))

    def title(self, n: int) -> str | None:
        room = self.system.rooms[self.id(n)]
        return None if room.get("deleted") else room.get("title", OLD)

    def span(self, n: int) -> tuple[datetime, datetime] | None:
        room = self.system.rooms[self.id(n)]
        if "start" not in room:
            return None
        start, end = (datetime.fromisoformat(room[name]) for name in ("start", "end"))
        return (start, end) if start.tzinfo else (start.replace(tzinfo=UTC), end.replace(tzinfo=UTC))

    def starts(self, n: int) -> list[datetime]:
        room = self.system.rooms[self.id(n)]
        [rule] = room["recurrence"]
        first = _local([datetime.fromisoformat(room["start"])], room["time_zone"])[0]
        return list(islice(rrulestr(rule, dtstart=first), 8))


class _Rest(_OwnSystem):
    use = "rest"

    def begin(self) -> None:
        self.system = self._open.enter_context(PlainApi("SECRET-1", [self.id(n) for n in CONFERENCES]))

    def options(self) -> dict[str, object]:
        path = {"path": "/meetings/{conference_id}"}
        when = {
            "start": "{start_local}",
            "zone": "{time_zone}",
            "until": "{end_utc}",
            "minutes": "{duration_minutes}",
        }
        return {
            "url": f"{self.system.url}/api",
            "headers": {"Authorization": ["Bearer ", self.kept("SECRET-1")]},
            "recognise": RECOGNISE,
            "update": {**path, "body": {"topic": "{title}", "when": when, "rule": "{rrule}"}},
            "delete": path,
            "read": {**path, "title": "meeting.topic", "end": "meeting.when.until"},
        }

    def change_credentials(self) -> None:
        self.system.token = "SECRET-2"
        self.kept("SECRET-2")

    def title(self, n: int) -> str | None:
        meeting = self.system.meetings.get(self.id(n))
        return None if meeting is None else {"old": OLD}.get(meeting["topic"], meeting["topic"])

    def span(self, n: int) -> tuple[datetime, datetime] | None:
        when = self.system.meetings[self.id(n)]["when"]
        if not when:
            return None
        start = datetime.fromisoformat(when["start"]).replace(tzinfo=ZoneInfo(when["zone"]))
        return start.astimezone(UTC), datetime.fromisoformat(when["until"])

    def starts(self, n: int) -> list[datetime]:
        meeting = self.system.meetings[self.id(n)]
        return list(
            islice(rrulestr(meeting["rule"], dtstart=datetime.fromisoformat(meeting["when"]["start"])), 8)
        )


class _BigBlueButton(_Vendor):
    use = "bigbluebutton"
    calls = False

    def begin(self) -> None:
        self.system = self._open.enter_context(FakeBigBlueButton())
        self.system.meetings = {self.id(n): OLD for n in CONFERENCES}

    def options(self) -> dict[str, object]:
        url = f"{self.system.url}/bigbluebutton"
        return {"url": url, "secret": self.kept(self.system.secret), "recognise": RECOGNISE}

    def acts(self, asked: Asked) -> bool:
        return True

    def change_credentials(self) -> None:
        self.system.secret = "SECRET-2"
        self.kept("SECRET-2")

    def title(self, n: int) -> str | None:
        return self.system.meetings.get(self.id(n))


class _Jitsi(Stage):
    """It is asked, and calls nobody: what could go wrong there is what may go wrong with our store."""

    use = "jitsi"
    calls = False

    def begin(self) -> None:
        """There is nothing to begin."""

    def options(self) -> dict[str, object]:
        return {"hosts": ["meet.example.com"]}

    def link(self, n: int) -> str:
        return f"https://meet.example.com/{self.id(n)}"

    def fail(self, failure: Failure, *, acting: bool = False) -> None:
        """Nobody is called who could."""

    def calm(self) -> None:
        """It is."""

    def title(self, n: int) -> str | None:
        return OLD


class _NextcloudTalk(_Vendor):
    use = "nextcloud_talk"

    def begin(self) -> None:
        self.system = self._open.enter_context(FakeNextcloud())
        for n in CONFERENCES:
            self.system.add(self.id(n), name=OLD)

    def options(self) -> dict[str, object]:
        return {"url": self.system.url, "user": "sync", "app_password": self.kept("SECRET-PASSWORD")}

    def id(self, n: int) -> str:
        return f"abcd234{n}"

    def link(self, n: int) -> str:
        return f"{self.system.url}/call/{self.id(n)}"

    def acts(self, asked: Asked) -> bool:
        return asked.method != "GET"

    def change_credentials(self) -> None:
        self.system.user = "sync:SECRET-2"
        self.kept("SECRET-2")

    def title(self, n: int) -> str | None:
        room = self.system.rooms.get(self.id(n))
        return None if room is None else str(room["name"])

    def span(self, n: int) -> tuple[datetime, datetime] | None:
        timer = self.system.rooms[self.id(n)]["lobbyTimer"]
        opens = datetime.fromtimestamp(int(str(timer)), UTC)
        return (opens, opens) if timer else None  # rooms have no end


class _Demo(Stage):
    use = "demo"

    def begin(self) -> None:
        self.system = self._open.enter_context(ConferenceService())
        asked = {"title": OLD, "start": "2030-01-01T10:00:00Z", "end": "2030-01-01T11:00:00Z"}
        url = f"{self.system.url}/api/conferences"
        self._ids = [str(urllib3.request("POST", url, json=asked).json()["id"]) for _ in CONFERENCES]

    def options(self) -> dict[str, object]:
        return {"url": self.system.url}

    def id(self, n: int) -> str:
        return self._ids[n]

    def link(self, n: int) -> str:
        return f"{self.system.url}/j/{self.id(n)}"

    def fail(self, failure: Failure, *, acting: bool = False) -> None:
        wish: dict[str, object] = {"refuse": failure.status, "headers": dict(failure.headers)}
        if failure.silent:
            wish = {"stall_after_acting" if failure.after_acting else "stall": 30}
        urllib3.request("POST", f"{self.system.url}/api/faults", json={"body": failure.body, **wish})

    def calm(self) -> None:
        urllib3.request("DELETE", f"{self.system.url}/api/faults")

    def _told(self, n: int) -> dict[str, Any]:
        listed = urllib3.request("GET", f"{self.system.url}/api/conferences").json()["conferences"]
        return next(dict(each) for each in listed if each["id"] == self.id(n))

    def title(self, n: int) -> str | None:
        told = self._told(n)
        return None if told["deleted"] else str(told["title"])

    def span(self, n: int) -> tuple[datetime, datetime] | None:
        told = self._told(n)
        return _moment(told["start"]), _moment(told["end"])


STAGES: dict[str, type[Stage]] = {
    each.use: each
    for each in (
        _Webhook,
        _Rest,
        _Zoom,
        _Teams,
        _Webex,
        _BigBlueButton,
        _Jitsi,
        _NextcloudTalk,
        _Demo,
    )
}
