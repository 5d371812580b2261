"""A Nextcloud with the Talk app: rooms, their lobbies, and OCS' answers.

Statuses are those of the vendor's conversation.md ("Rename", "Set description", "Delete", "Get single") and
webinar.md ("Set lobby for a conversation"). The envelope and the codes of OCS (997 without a login, 998 without
such an endpoint), and 412 without the header OCS-APIRequest, are guesses from how its servers are known to answer.
"""

import json
from base64 import b64decode

from tests.contract.fake_server import Asked, FakeServer, Told

ROOT = "/ocs/v2.php/apps/spreed/api/v4/room/"


class FakeNextcloud(FakeServer):
    """`rooms` by token, as "Get single conversation" tells them."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms: dict[str, dict[str, object]] = {}
        self.user = "sync:SECRET-PASSWORD"
        self.has_talk = True

    def add(self, token: str, **fields: object) -> None:
        usual = {
            "type": 3,
            "name": "A room",
            "description": "",
            "participantType": 1,
            "lobbyState": 0,
            "lobbyTimer": 0,
            "hasPassword": True,
        }
        self.rooms[token] = {"token": token, **usual, **fields}

    def state(self) -> str:
        return json.dumps(self.rooms, sort_keys=True)

    def act(self, asked: Asked) -> Told:
        if asked.headers.get("ocs-apirequest") != "true":
            return _told(412, 412, {"message": "CSRF check failed"})
        scheme, _, credentials = asked.headers.get("authorization", "").partition(" ")
        if scheme != "Basic" or b64decode(credentials).decode() != self.user:
            return _told(401, 997, [])
        if not self.has_talk or not asked.path.startswith(ROOT):
            return _told(404, 998, [])
        token, _, what = asked.path.removeprefix(ROOT).partition("/")
        room = self.rooms.get(token)
        if room is None:
            return _told(404, 404, None)
        if asked.method == "GET" and not what:
            return _told(200, 200, room)
        if room["participantType"] not in (1, 2, 6):
            return _told(403, 403, None)
        if room["type"] not in (2, 3):
            return _told(400, 400, {"error": "type"})
        return self._written(asked, what, token, json.loads(asked.body or b"{}"))

    def _written(self, asked: Asked, what: str, token: str, body: dict[str, object]) -> Told:
        room = self.rooms[token]
        match asked.method, what, body:
            case "DELETE", "", _:
                del self.rooms[token]
                return _told(200, 200, None)
            case "PUT", "", {"roomName": str(name)}:
                if not name.strip() or len(name.strip()) > 255:
                    return _told(400, 400, {"error": "value"})
                room["name"] = name.strip()
            case "PUT", "description", {"description": str(text)}:
                if len(text) > 500:
                    return _told(400, 400, {"error": "value"})
                room["description"] = text
            case "PUT", "webinar/lobby", {"state": 0 | 1 as state}:
                room["lobbyState"], room["lobbyTimer"] = state, body.get("timer", 0)
            case _:
                return _told(404, 998, [])
        return _told(200, 200, room)


def _told(status: int, code: int, data: object) -> Told:
    meta = {"status": "ok" if status == 200 else "failure", "statuscode": code, "message": ""}
    return Told(status, "application/json", json.dumps({"ocs": {"meta": meta, "data": data}}))
