"""Systems of somebody's own on this machine: one that is told by webhook, one with a plain REST API.

Both are ours: what they answer is what docs/providers/webhook.md and docs/providers/rest.md ask of a system.
"""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from sync.testing import Failure


@dataclass(frozen=True)
class Asked:
    """One request; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class OwnSystem:
    """Acts on what it is asked, unless told to fail. `act` returns a status and a JSON object."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.failures: list[Failure] = []
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()

    def act(self, asked: Asked) -> tuple[int, dict[str, object]]:
        raise NotImplementedError

    def _answer(self, asked: Asked) -> tuple[int, Mapping[str, str], bytes] | None:
        self.asked.append(asked)
        failure = self.failures.pop(0) if self.failures else None
        if failure is None or failure.after_acting:
            status, told = self.act(asked)
            if failure is None:
                return status, {"Content-Type": "application/json"}, json.dumps(told).encode()
        if failure.silent:
            self._over.wait(30)
            return None
        return failure.status, failure.headers, failure.body.encode()

    def _handler(system) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                parts = urlsplit(self.path)
                asked = Asked(
                    self.command,
                    parts.path,
                    parse_qs(parts.query),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(int(self.headers.get("Content-Length", 0))),
                )
                answer = system._answer(asked)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, content = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                """Silent."""

        return Handler


class WebhookReceiver(OwnSystem):
    """Keeps what it is told of the rooms it has, as docs/providers/webhook.md, "What to answer", says.

    Signatures are made here from the words of the specification, not with the code of the sender.
    """

    def __init__(self, keys: list[str], rooms: list[str]) -> None:
        super().__init__()
        self.keys = keys  # each as "whsec_…"; any of them will do
        self.rooms: dict[str, dict[str, Any]] = {name: {} for name in rooms}
        self.extra: dict[str, object] = {}  # said with each success

    def act(self, asked: Asked) -> tuple[int, dict[str, object]]:
        if not any(signs(key, asked) for key in self.keys):
            return 401, {"error": "SECRET"}
        message = asked.json
        data = message["data"]
        if message.get("specversion"):
            assert message["id"] == asked.headers["webhook-id"]
        room = self.rooms.get(data["conference_id"])
        if room is None:
            return 410, {"error": "conference_gone"}
        if room.get("version", 0) > data["version"]:
            return 409, {"error": "older_version"}
        if room.get("deleted") and message["type"] == "conference.updated":
            return 410, {"error": "conference_gone"}
        state = {**data, "deleted": message["type"] == "conference.deleted"}
        self.rooms[data["conference_id"]] = state
        return 200, {"changed": state != room, **self.extra}


def signs(key: str, asked: Asked) -> bool:
    """Whether one of the signatures was made with this key: HMAC-SHA256 over "id.timestamp.body", base64.

    github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, "Signature scheme".
    """
    secret = base64.b64decode(key.split("_", 1)[1])
    signed = b".".join(
        (asked.headers["webhook-id"].encode(), asked.headers["webhook-timestamp"].encode(), asked.body)
    )
    mac = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return f"v1,{mac}" in asked.headers["webhook-signature"].split(" ")


class PlainApi(OwnSystem):
    """Keeps meetings under /api/meetings/ID: PATCH sets what it is given, DELETE ends, GET tells."""

    def __init__(self, token: str, meetings: list[str]) -> None:
        super().__init__()
        self.token = token
        self.meetings: dict[str, dict[str, Any]] = {name: {"topic": "old", "when": {}} for name in meetings}

    def act(self, asked: Asked) -> tuple[int, dict[str, object]]:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"error": "SECRET"}
        *root, name = asked.path.split("/")
        meeting = self.meetings.get(unquote(name))
        if root != ["", "api", "meetings"] or meeting is None:
            return 404, {"error": "SECRET"}
        if asked.method == "DELETE":
            del self.meetings[unquote(name)]
            return 200, {}
        if asked.method != "GET":
            meeting.update(asked.json)
        return 200, {"meeting": meeting}
