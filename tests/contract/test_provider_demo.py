"""The demo's provider keeps the contract, against the demo's conference service and all its faults."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import urllib3

from sync.cli.demo.conference_service import ConferenceService
from sync.conferences.demo import Demo
from sync.errors import Misconfigured, Transient
from sync.ports import Provider, Target
from sync.recognise import ConferenceKey
from sync.testing import (
    MEETING,
    Calls,
    Connect,
    Fail,
    Failure,
    ProviderContract,
    State,
    context,
)


@pytest.fixture
def service() -> Iterator[ConferenceService]:
    with ConferenceService() as service:
        yield service


@pytest.fixture
def connect(service: ConferenceService) -> Connect:
    return lambda read_s: Demo({"url": service.url}, context(read_s))


@pytest.fixture
def target(service: ConferenceService) -> Target:
    for title in ("Somebody else's", "Ours"):
        asked = {"title": title, "start": "2030-01-01T10:00:00Z", "end": "2030-01-01T11:00:00Z"}
        made = urllib3.request("POST", f"{service.url}/api/conferences", json=asked).json()
    return Target(ConferenceKey("demo", made["id"]))


@pytest.fixture
def state(service: ConferenceService) -> State:
    def state() -> str:
        listed = urllib3.request("GET", f"{service.url}/api/conferences").json()["conferences"]
        return json.dumps([{**each, "calls": None} for each in listed])

    return state


@pytest.fixture
def calls(service: ConferenceService) -> Calls:
    return lambda: len(urllib3.request("GET", f"{service.url}/api/calls").json()["calls"])


@pytest.fixture
def fail(service: ConferenceService) -> Fail:
    def fail(failure: Failure) -> None:
        wish: dict[str, object] = {
            "refuse": failure.status,
            "headers": dict(failure.headers),
            "body": failure.body,
        }
        if failure.silent:
            wish = {"stall_after_acting" if failure.after_acting else "stall": 30}
        answer = urllib3.request("POST", f"{service.url}/api/faults", json=wish)
        assert answer.status == 204

    return fail


def _conference_data(uri: str, name: str = "Demo Conference", conference_id: str = "") -> dict[str, object]:
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": name},
        "conferenceId": conference_id,
        "entryPoints": [{"entryPointType": "video", "uri": uri}] if uri else [],
    }


@pytest.fixture
def events(service: ConferenceService, target: Target) -> list[dict[str, object]]:
    url = f"{service.url}/j/{target.id}"
    return [
        _conference_data(url),
        _conference_data(url, name="Anything"),
        _conference_data("", conference_id=target.id),
        _conference_data(f"https://www.google.com/url?q={url}"),
    ]


@pytest.fixture
def look_alikes(service: ConferenceService, target: Target) -> list[dict[str, object]]:
    place = urlsplit(service.url).netloc
    host, port = place.split(":")
    return [
        _conference_data(uri, name="Another Conference", conference_id=target.id)
        for uri in (
            f"http://{host}.evil.example:{port}/j/{target.id}",
            f"http://{place}@evil.example/j/{target.id}",
            f"http://user@{place}/j/{target.id}",
            f"http://evil.example/?x=http://{place}/j/{target.id}",
            f"http://{host}:{int(port) ^ 1}/j/{target.id}",
            f"http://{host}/j/{target.id}",
            f"http://{place}/x/j/{target.id}",
            f"http://{place}/j/{target.id}/more",
            f"http://{place}/j/{target.id.upper()}",
            f"http://{place}/j/..",
            f"http://evil.example\\@{place}/j/{target.id}",
        )
    ] + [
        _conference_data("", conference_id=f"{target.id} and more"),
        _conference_data("", name="demo conference", conference_id=target.id),
    ]


class TestDemo(ProviderContract):
    def test_an_update_that_changes_nothing_says_so(self, provider: Provider, target: Target) -> None:
        assert provider.update(target, MEETING).changed
        assert not provider.update(target, MEETING).changed

    def test_what_the_service_forgets_is_gone_and_an_outage_passes(
        self, service: ConferenceService, provider: Provider, target: Target
    ) -> None:
        faults = f"{service.url}/api/faults"
        urllib3.request("POST", faults, json={"outage": True})
        with pytest.raises(Transient):
            provider.read(target)
        urllib3.request("POST", faults, json={"outage": False})
        assert provider.read(target) is not None
        urllib3.request("POST", faults, json={"forget": target.id})
        assert provider.read(target) is None

    @pytest.mark.parametrize(
        "wrong", [{"title": None}, {"start": "soon"}, {"end": "2030-01-01T10:00:00"}, {"start": 5}]
    )
    def test_a_conference_that_cannot_be_read_is_not_half_read(
        self, provider: Provider, target: Target, fail: Fail, wrong: dict[str, object]
    ) -> None:
        told = {"title": "Ours", "start": "2030-01-01T10:00:00Z", "end": "2030-01-01T11:00:00Z", **wrong}
        fail(Failure(200, body=json.dumps(told)))
        with pytest.raises(Transient):
            provider.read(target)


@pytest.mark.parametrize(
    "options", [{}, {"url": ""}, {"url": 5}, {"url": "http://h", "other": 1}, {"url": "h"}]
)
def test_options_that_cannot_work_are_said_at_once(options: dict[str, object]) -> None:
    with pytest.raises(Misconfigured):
        Demo(options, context(1.0))
