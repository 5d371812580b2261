"""A system of one's own that is told by webhook: signed messages, each with the whole state it should have.

Signed as Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md); in the
structured JSON format of CloudEvents 1.0 if wanted. docs/providers/webhook.md tells receivers all they need.

| the receiver answers                           | it means                                                   |
|------------------------------------------------|------------------------------------------------------------|
| 2xx, with {"changed": false, "ignored": [...]} | done; of what is ignored the owner is told                 |
| 409 and {"error": "older_version"}             | success: it knows better already                           |
| 404, 410 and {"error": "conference_gone"}      | this conference is gone                                    |
| 404, 410 without that                          | there is no receiver: the account pauses, somebody is told |
| anything else                                  | as in http.py                                              |
"""

import base64
import hashlib
import hmac
import json
import time
from binascii import Error
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from sync.conferences import Context
from sync.conferences.http import Answer, Http
from sync.conferences.options import Options
from sync.conferences.own_system import system
from sync.conferences.told import address
from sync.errors import AuthFailed, Gone, Unsupported
from sync.meeting import Meeting, Moved
from sync.ports import Actual, Outcome, Reason, Target

_KEY_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_KEYS = range(1, 3)  # two while one takes over from the other
_DAY_S = 86400
_FORMATS = {"plain": "application/json", "cloudevents": "application/cloudevents+json"}
_TYPES = {
    Reason.CHANGED: "conference.updated",
    Reason.RESTORED: "conference.restored",
    Reason.REMOVED: "conference.deleted",
}


class Webhook:
    """The sender. Options: `url`, `key` (a Secret), `recognise`; `format`, `gone_by_status`."""

    name = "webhook"
    capabilities = frozenset(
        {"title", "time", "recurrence", "occurrence", "agenda", "invitees", "restore", "join_url"}
    )  # no read: a receiver is told, never asked

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        told = Options(options, ("url", "key", "recognise"), ("format", "gone_by_status"))
        url = told.url()
        self.system = system(told, self.name)
        self._key = told.secret("key")
        self._format = told.choice("format", _FORMATS, "plain")
        self._gone_by_status = told.flag("gone_by_status", usual=False)
        told.check()
        self._http = Http(url, connect_s=context.connect_s, read_s=context.read_s)
        self.call_s = self._http.call_s

    def read(self, target: Target) -> Actual | None:  # noqa: ARG002
        raise Unsupported("a webhook's receiver is told, and never asked")

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        state = _state(meeting)
        told = _told(meeting)
        answer = self._send(target, state)
        if _is_older(answer):
            return Outcome(changed=False, note="the receiver has a newer version")
        said = self._judged(answer)
        ignored, note = _ignored(said.get("ignored", []), told)
        if len(ignored) == len(told):
            raise Unsupported("the receiver ignores all that it was told")
        applied = tuple(word for word in told if word not in ignored)
        return Outcome(
            said.get("changed") is not False, applied, ignored, note, address(said.get("join_url"))
        )

    def delete(self, target: Target) -> Outcome:
        answer = self._send(replace(target, reason=Reason.REMOVED), {})
        if _is_older(answer):
            return Outcome(changed=False, note="the receiver has a newer version")
        try:
            said = self._judged(answer)
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=said.get("changed") is not False)

    def _send(self, target: Target, state: Mapping[str, object]) -> Answer:
        now = time.time()
        message = _message(target, state, _utc(datetime.fromtimestamp(now, UTC)))
        if self._format == "cloudevents":
            message = _cloud_event(target, message)
        content = json.dumps(message).encode()
        headers = {
            "Content-Type": _FORMATS[self._format],
            **_signed(_id(target), int(now), content, _keys(self._key.read())),
        }
        return self._http.send("POST", headers=headers, content=content)

    def _judged(self, answer: Answer) -> dict[str, object]:
        """What the receiver says of a success. Raises what the table above says."""
        if answer.status in (404, 410) and not self._gone_by_status:
            if answer.said("error") == "conference_gone":
                raise Gone(f"POST: {answer.status} from {answer.host}: the conference is gone")
            raise AuthFailed(f"POST: {answer.status} from {answer.host}: there is no receiver at this URL")
        self._http.judge(answer)
        return answer.json()


# --- What is said ---


def _id(target: Target) -> str:
    """The message's id: a call that is made again has the same."""
    what = [_TYPES[target.reason], target.key.provider, target.id, target.version]
    return "msg_" + hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def _message(target: Target, state: Mapping[str, object], timestamp: str) -> dict[str, object]:
    about = {
        "conference_id": target.id,
        "provider": target.key.provider,
        "version": target.version,
        "reason": str(target.reason),
    }
    return {"type": _TYPES[target.reason], "timestamp": timestamp, "data": {**about, **state}}


def _cloud_event(target: Target, message: Mapping[str, object]) -> dict[str, object]:
    """The same as CloudEvents has it: "JSON Event Format for CloudEvents", 1.0.2, section 3."""
    return {
        "specversion": "1.0",
        "id": _id(target),
        "source": f"/conferences/{target.key.provider}",
        "type": message["type"],
        "subject": target.id,
        "time": message["timestamp"],
        "datacontenttype": "application/json",
        "data": message["data"],
    }


def _state(meeting: Meeting) -> dict[str, object]:
    state: dict[str, object] = {
        "title": meeting.title,
        "start": _when(meeting.start, meeting.all_day),
        "end": _when(meeting.end, meeting.all_day),
        "time_zone": meeting.time_zone,
        "all_day": meeting.all_day,
        "recurrence": list(meeting.recurrence),
    }
    if meeting.moved:
        state["occurrence"] = [_occurrence(each) for each in meeting.moved]
    if meeting.agenda is not None:
        state["agenda"] = meeting.agenda
    if meeting.invitees is not None:
        state["invitees"] = list(meeting.invitees)
    return state


def _occurrence(moved: Moved) -> dict[str, object]:
    """Where an occurrence is now; nowhere, if it was cancelled. Whole days are told only of an all-day series."""
    times = (moved.start, moved.end)
    dated = "T" not in moved.original and all(time_s is None or time_s % _DAY_S == 0 for time_s in times)
    start, end = (
        None if time_s is None else _when(datetime.fromtimestamp(time_s, UTC), dated) for time_s in times
    )
    return {"original_start": moved.original, "start": start, "end": end}


def _when(moment: datetime, is_date: bool) -> str:
    return moment.date().isoformat() if is_date else _utc(moment)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# --- What is answered ---


def _told(meeting: Meeting) -> tuple[str, ...]:
    """What a message about this meeting tells, by capability."""
    others = {
        "recurrence": bool(meeting.recurrence),
        "occurrence": bool(meeting.moved),
        "agenda": meeting.agenda is not None,
        "invitees": meeting.invitees is not None,
    }
    return ("title", "time", *(word for word, told in others.items() if told))


def _ignored(said: object, told: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """What of it the receiver ignored. Its own words stay with it: who knows what they hold."""
    words = [word if isinstance(word, str) else "" for word in said] if isinstance(said, list) else [""]
    legible = Webhook.capabilities.issuperset(words)
    note = "" if legible else "what the receiver says to have ignored is not a list of our words"
    return tuple(word for word in told if word in words), note


def _is_older(answer: Answer) -> bool:
    return answer.status == 409 and answer.said("error") == "older_version"


# --- Signatures ---


def _keys(kept: str) -> list[bytes]:
    """The keys to sign with, a line each. Raises AuthFailed."""
    keys = [_decoded(line) for line in kept.split()]
    if len(keys) not in _KEYS or not all(len(key) in _KEY_BYTES for key in keys):
        raise AuthFailed(
            "the webhook's key is not one line, or two, of whsec_ and the base64 of 24 to 64 bytes"
        )
    return keys


def _decoded(line: str) -> bytes:
    prefix, key = line[: len(_KEY_PREFIX)], line[len(_KEY_PREFIX) :]
    try:
        return base64.b64decode(key, validate=True) if prefix == _KEY_PREFIX else b""
    except Error:
        return b""


def _signed(message_id: str, at: int, content: bytes, keys: list[bytes]) -> dict[str, str]:
    """The three headers: spec/standard-webhooks.md, "Signature scheme" and "Webhook headers"."""
    text = f"{message_id}.{at}.".encode() + content
    macs = (base64.b64encode(hmac.digest(key, text, "sha256")).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{mac}" for mac in macs),
    }
