"""A receiver of conference webhooks: WEBHOOK_KEY=whsec_… python receiver.py PORT ROOM…"""

import base64
import hmac
import json
import os
import sys
import time
from wsgiref.simple_server import make_server

KEY = base64.b64decode(os.environ["WEBHOOK_KEY"].removeprefix("whsec_"))
rooms = {name: {"version": 0} for name in sys.argv[2:]}  # yours is a table,
seen = set()  # and so is this one: the ids of the last ten minutes would do


def answer(message_id, sent_at, signatures, body):
    mac = base64.b64encode(hmac.digest(KEY, f"{message_id}.{sent_at}.".encode() + body, "sha256"))
    is_ours = any(hmac.compare_digest(b"v1," + mac, each.encode()) for each in signatures.split())
    if not is_ours or abs(time.time() - int(sent_at)) > 300:
        return "401 Unauthorized", {}
    kind, data = json.loads(body)["type"], json.loads(body)["data"]
    if (room := rooms.get(data["conference_id"])) is None:
        return "410 Gone", {"error": "conference_gone"}
    if data["version"] < room["version"]:
        return "409 Conflict", {"error": "older_version"}
    if message_id in seen:
        return "200 OK", {"changed": False}
    rooms[data["conference_id"]] = {"deleted": kind == "conference.deleted", **data}
    seen.add(message_id)
    return "200 OK", {}


def receive(environ, respond):
    headers = (environ.get(f"HTTP_WEBHOOK_{name}", "") for name in ("ID", "TIMESTAMP", "SIGNATURE"))
    status, told = answer(*headers, environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    respond(status, [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]


server = make_server("127.0.0.1", int(sys.argv[1]), receive)
print(server.server_port, flush=True)
server.serve_forever()
