"""Watch channels: every live one of a calendar tells every change; an id serves once, and expiry is silent."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from . import errors
from .clock import SECOND
from .faults import Faults
from .model import Calendar, Channel, Message, Switches

Json = dict[str, Any]

DEFAULT_TTL_S = 604_800


class Channels:
    def __init__(self, seed: int, faults: Faults) -> None:
        self._seed = seed
        self._faults = faults
        self._numbers = Random(f"numbers:{seed}")
        self._by_id: dict[str, Channel] = {}
        self._by_calendar: dict[str, list[Channel]] = {}
        self._held: tuple[int, Message] | None = None  # back by one, for reordering, or until it is due
        self.outbox: list[Message] = []

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._by_id.values())

    def of(self, calendar_id: str) -> list[Channel]:
        """Every channel that one calendar ever had."""
        return self._by_calendar.get(calendar_id, [])

    def watch(
        self,
        calendar: Calendar,
        named: str,
        creator: str,
        body: Json,
        now: int,
        switches: Switches,
        *,
        typed: bool = False,
    ) -> Channel:
        """`named` is the calendar id as the client wrote it: the resource URI repeats it."""
        if calendar.generated:
            raise errors.push_not_supported()
        self._check(body, switches)
        digest = hashlib.sha256(f"{self._seed}:{calendar.id}".encode()).digest()
        root = "https://www.googleapis.com/calendar/v3/calendars"
        channel = Channel(
            id=body["id"],
            calendar=calendar.id,
            resource_id=urlsafe_b64encode(digest).decode()[:27],
            resource_uri=f"{root}/{quote(named, safe='')}/events?alt=json",
            address=body["address"],
            token=body.get("token", ""),
            expiration_ms=_expiration_ms(body, now // 1000, switches),
            creator=creator,
            typed=typed,
        )
        self._by_id[channel.id] = channel
        self._by_calendar.setdefault(calendar.id, []).append(channel)
        self._tell(channel, "sync", now)
        return channel

    def stop(self, body: Json, now: int) -> None:
        channel = self._by_id.get(body.get("id", ""))
        if channel is None or not self.is_live(channel, now) or channel.resource_id != body.get("resourceId"):
            raise errors.not_found(f"Channel '{body.get('id', '')}' not found for project 'simulator'")
        channel.stopped_at = now

    def notify(self, calendar_id: str, now: int, switches: Switches) -> None:
        straggle = round(switches.straggle_s * SECOND)  # 0: none, even if the clock is set back
        for channel in self.of(calendar_id):
            straggles = straggle and channel.stopped_at is not None and now < channel.stopped_at + straggle
            muted = channel.typed and switches.typed_channels == "mute"
            if not muted and (self.is_live(channel, now) or straggles):
                self._tell(channel, "exists", now)

    def due(self) -> int | None:
        """When what was held back for another notification goes without one."""
        return self._held[0] if self._held else None

    def release(self, now: int) -> None:
        """What nothing came in front of goes now, if its time has come."""
        if self._held and self._held[0] <= now:
            self.outbox += self._take_held()

    @staticmethod
    def is_live(channel: Channel, now: int) -> bool:
        return channel.stopped_at is None and now < channel.expiration_ms * 1000

    def _check(self, body: Json, switches: Switches) -> None:
        channel_id, address = body.get("id", ""), body.get("address", "")
        if not channel_id:
            raise errors.required("Required")
        known = r"[A-Za-z0-9\-_+/=]{1,64}" if switches.channel_ids == "narrow" else r"[\s\S]{1,64}"
        if not re.fullmatch(known, channel_id) or len(body.get("token", "")) > 256:
            raise errors.invalid()
        if body.get("type") not in ("web_hook", "webhook"):
            raise errors.invalid("Unknown channel type")
        if not _may_be_called(address):
            raise errors.webhook_not_https(address)
        if channel_id in self._by_id:
            raise errors.channel_id_not_unique(channel_id, switches.reused_channel_status)

    def _take_held(self) -> list[Message]:
        held, self._held = self._held, None
        return [held[1]] if held else []

    def _tell(self, channel: Channel, state: Literal["sync", "exists"], now: int) -> None:
        channel.number = 1 if state == "sync" else channel.number + self._numbers.randrange(2, 500_000)
        message = Message(
            channel_id=channel.id,
            address=channel.address,
            token=channel.token,
            expiration_ms=channel.expiration_ms,
            resource_id=channel.resource_id,
            resource_uri=channel.resource_uri,
            state=state,
            number=channel.number,
        )
        behind = self._take_held()
        fault = self._faults.take_push(channel.calendar) if state == "exists" else None
        match fault.push if fault else "":
            case "drop":
                sent = []
            case "duplicate":
                sent = [message, message]
            case "delay":
                sent = [replace(message, delay_us=round(fault.delay_s * SECOND))] if fault else []
            case "reorder":
                sent = []
                self._held = (now + round(fault.delay_s * SECOND), message) if fault else None
            case _:
                sent = [message]
        self.outbox += [*sent, *behind]


def _expiration_ms(body: Json, now_ms: int, switches: Switches) -> int:
    """The more restrictive of what was asked for and what is granted, in whole seconds."""
    try:
        ttl_s = int(body.get("params", {}).get("ttl", DEFAULT_TTL_S))
        wanted = int(body["expiration"]) if body.get("expiration") else now_ms + ttl_s * 1000
    except ValueError as broken:
        raise errors.invalid() from broken
    return min(wanted, now_ms + switches.ttl_cap_s * 1000) // 1000 * 1000


def _may_be_called(address: str) -> bool:
    """https anywhere, http on the loopback only."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - looks at it
    except ValueError:
        return False
    loopback = host in ("localhost", "::1") or host.startswith("127.")
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and loopback))
