"""A receiver of conference webhooks: WEBHOOK_KEY=whsec_… python receiver.py PORT ROOM…"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_KEY"].removeprefix("whsec_"))
rooms = {name: {"version": 0} for name in sys.argv[2:]}  # yours is a database


def answer(headers, body):
    sent_at = headers.get("webhook-timestamp", "")
    text = f"{headers.get('webhook-id')}.{sent_at}.".encode() + body
    mac = "v1," + base64.b64encode(hmac.new(KEY, text, hashlib.sha256).digest()).decode()
    signatures = headers.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(mac.encode(), each.encode()) for each in signatures):
        return 401, {}
    if not sent_at.isdigit() or abs(time.time() - int(sent_at)) > 300:
        return 401, {}
    kind, data = json.loads(body)["type"], json.loads(body)["data"]
    room = rooms.get(data["conference_id"])
    if room is None:
        return 410, {"error": "conference_gone"}
    if data["version"] < room["version"]:
        return 409, {"error": "older_version"}
    wanted = {"deleted": kind == "conference.deleted", **data}
    rooms[data["conference_id"]] = wanted
    return 200, {"changed": wanted != room}


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        status, told = answer(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
