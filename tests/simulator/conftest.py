"""A simulator, a caller that checks each answer against the discovery document, a receiver of pushes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from sync.simulator import Simulator

from .discovery_schema import check_answer

Json = dict[str, Any]

ME, YOU = "me@example.com", "you@example.com"
PATIENCE_S = 10.0
CONFERENCE = {
    "conferenceId": "731",
    "conferenceSolution": {
        "key": {"type": "addOn"},
        "name": "Round Table",
        "iconUri": "https://table.example/i.png",
    },
    "entryPoints": [
        {"entryPointType": "video", "uri": "https://table.example/j/731", "label": "table.example/j/731"}
    ],
    "parameters": {"addOnParameters": {"parameters": {"scriptId": "1Round_Table"}}},
}


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def reason(self) -> str:
        return str(self.body["error"]["errors"][0]["reason"])


class Caller:
    """Calls methods by name, as one user; what is not an error must fit the API's own description."""

    def __init__(self, simulator: Simulator, token: str = "") -> None:
        self.simulator = simulator
        self._token = token

    def send(
        self, verb: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        place = urlsplit(self.simulator.url)
        speaks = {"authorization": f"Bearer {self._token}"} if self._token else {}
        content = None if body is None else json.dumps(body).encode()
        with closing(HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE_S)) as connection:
            connection.request(verb, path, content, {**speaks, **(headers or {})})
            response = connection.getresponse()
            return response, response.read()

    def call(
        self, method: str, verb: str, path: str, body: Any = None, *, if_match: str = "", **params: Any
    ) -> Answer:
        query = urlencode({name: _text(value) for name, value in params.items()}, doseq=True)
        headers = {"if-match": if_match} if if_match else {}
        response, content = self.send(verb, f"/calendar/v3{path}?{query}", body, headers)
        answer = Answer(response.status, json.loads(content or b"null"), dict(response.headers))
        if answer.status == 200 and "fields" not in params:
            check_answer(method, answer.body)
        return answer

    def list(self, calendar: str = ME, **params: Any) -> Answer:
        return self.call("events.list", "GET", f"/calendars/{quote(calendar)}/events", **params)

    def get(self, event: str, calendar: str = ME, **params: Any) -> Answer:
        return self.call("events.get", "GET", f"/calendars/{quote(calendar)}/events/{event}", **params)

    def insert(self, body: Json, calendar: str = ME, **params: Any) -> Answer:
        return self.call("events.insert", "POST", f"/calendars/{quote(calendar)}/events", body, **params)

    def patch(self, event: str, body: Json, calendar: str = ME, **params: Any) -> Answer:
        return self.call(
            "events.patch", "PATCH", f"/calendars/{quote(calendar)}/events/{event}", body, **params
        )

    def update(self, event: str, body: Json, calendar: str = ME, **params: Any) -> Answer:
        return self.call(
            "events.update", "PUT", f"/calendars/{quote(calendar)}/events/{event}", body, **params
        )

    def delete(self, event: str, calendar: str = ME, **params: Any) -> Answer:
        return self.call("events.delete", "DELETE", f"/calendars/{quote(calendar)}/events/{event}", **params)

    def watch(self, channel: Json, calendar: str = ME, **params: Any) -> Answer:
        return self.call(
            "events.watch", "POST", f"/calendars/{quote(calendar)}/events/watch", channel, **params
        )

    def stop(self, channel: Json) -> Answer:
        return self.call("channels.stop", "POST", "/channels/stop", channel)

    # -- habits of every client --

    def meeting(self, title: str = "Plans", calendar: str = ME, **more: Any) -> Json:
        body = {"summary": title, **hours("2026-03-02", 9, 10), **more}
        return dict(self.insert(body, calendar).body)

    def token(self, calendar: str = ME, **params: Any) -> str:
        """A sync token for everything so far."""
        return str(self.everything(calendar, **params)[1])

    def everything(self, calendar: str = ME, **params: Any) -> tuple[list[Json], str | None]:
        """All pages of a listing, and the token of the last one."""
        items: list[Json] = []
        page: dict[str, str] = {}
        while True:
            answer = self.list(calendar, **{**params, **page})
            assert answer.status == 200, answer.body
            items += answer.body["items"]
            if "nextPageToken" not in answer.body:
                return items, answer.body.get("nextSyncToken")
            page = {"pageToken": answer.body["nextPageToken"]}

    def delta(self, token: str, calendar: str = ME, **params: Any) -> list[Json]:
        return self.everything(calendar, syncToken=token, **params)[0]

    # -- the back stage --

    def sim(self, verb: str, name: str, body: Any = None) -> Any:
        response, content = self.send(verb, f"/_sim/{name}", body)
        assert response.status == 200, content
        return json.loads(content)

    def act(self, do: str, **wish: Any) -> Json:
        return dict(self.sim("POST", "act", {"do": do, **wish}))

    def fault(self, **fault: Any) -> None:
        self.sim("POST", "faults", fault)

    def settle(self) -> None:
        assert self.sim("POST", "settle", {"timeout_s": PATIENCE_S})["settled"]


class Receiver:
    """A loopback webhook that keeps what it is told and answers as it was asked to."""

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        self.answers: list[int] = []  # statuses to give, then 200
        self._changed = Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(receiver.take({k.lower(): v for k, v in self.headers.items()}))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def take(self, headers: dict[str, str]) -> int:
        with self._changed:
            self.got.append(headers)
            self._changed.notify_all()
            return self.answers.pop(0) if self.answers else 200

    def wait_for(self, count: int) -> list[dict[str, str]]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.got) >= count, PATIENCE_S), self.got
            return list(self.got)

    def states(self) -> list[str]:
        return [headers["x-goog-resource-state"] for headers in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(push_backoff_s=0.01) as running:
        yield running


@pytest.fixture
def frozen() -> Iterator[Simulator]:
    with Simulator(seed=7, clock="frozen", push_backoff_s=1.0) as running:
        yield running


@pytest.fixture
def me(simulator: Simulator) -> Caller:
    return Caller(simulator)


@pytest.fixture
def you(simulator: Simulator) -> Caller:
    return Caller(simulator, simulator.accounts.issue(YOU, simulator.clock.now()))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()


def hours(day: str, first: int, last: int, zone: str = "Europe/Berlin") -> Json:
    """start and end of a meeting on one day."""
    return {
        "start": {"dateTime": f"{day}T{first:02d}:00:00", "timeZone": zone},
        "end": {"dateTime": f"{day}T{last:02d}:00:00", "timeZone": zone},
    }


def channel(receiver: Receiver, channel_id: str = "first", **more: Any) -> Json:
    return {"id": channel_id, "type": "web_hook", "address": receiver.address, **more}


def ids(items: list[Json]) -> list[str]:
    return [item["id"] for item in items]


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
