"""Watch channels: their tokens, which prove a notification, and which channels are due. Pure.

A channel token is `1.<key id>.<calendar key>.<expiry>.<MAC>`: it names its key, so that keys can be rotated, and
it carries the calendar key, so that routing reads nothing. The MAC binds the channel id, the calendar key and
the expiry. Google allows 256 characters (events.watch, `token`).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

TOKEN_MAX = 256
_TOKEN = re.compile(r"1\.([a-z0-9]{1,16})\.([a-z2-7]{26})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})", re.ASCII)
_KEY_LINE = re.compile(r"([a-z0-9]{1,16}):([A-Za-z0-9_-]{43}=?)(?:\s+(\S+))?", re.ASCII)
_NO_KEY = b"\0" * 32  # a MAC is computed for unknown key ids too, so that time tells nothing
_ANSWER_S = 3600.0  # an opening that nobody has finished within this time never will be


@dataclass(frozen=True, slots=True)
class Key:
    """One channel key. 32 bytes; the id is public."""

    id: str
    secret: bytes
    made_at: float | None = None  # seconds since the epoch, where that is known

    def __repr__(self) -> str:
        return f"Key({self.id!r}, …)"


@dataclass(frozen=True, slots=True)
class Keys:
    """The channel keys, oldest first: the newest signs, all verify."""

    oldest_first: tuple[Key, ...]

    def find(self, key_id: str) -> Key | None:
        return next((key for key in self.oldest_first if key.id == key_id), None)

    @property
    def newest(self) -> Key:
        return self.oldest_first[-1]


def parse_keys(*files: str) -> Keys:
    """Read lines `id:base64url` (32 bytes), with the time the key was made or without, of all files as of one.

    Those without a time are taken as they stand, newest last; those with one are newer, and their time tells which
    is the newest. Raises ValueError naming the line, not its contents.
    """
    keys: list[Key] = []
    lines = (line.strip() for file in files for line in file.splitlines())
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        match = _KEY_LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is not `id:base64url of 32 bytes`")
        secret = base64.urlsafe_b64decode(match[2].rstrip("=") + "=")
        key = Key(match[1], secret, _made_at(number, match[3]) if match[3] else None)
        if key.id in (known.id for known in keys):
            raise ValueError(f"line {number} repeats a key id")
        keys.append(key)
    if not keys:
        raise ValueError("there is no key")
    return Keys(tuple(sorted(keys, key=lambda key: key.made_at or 0.0)))


def _made_at(number: int, text: str) -> float:
    with suppress(ValueError):
        made = datetime.fromisoformat(text)
        if made.tzinfo is not None:
            return made.timestamp()
    raise ValueError(f"line {number} ends in no time like 2026-01-31T12:00:00Z")


def calendar_key(salt: bytes, calendar_id: str) -> str:
    """The name of a calendar in paths, tasks and logs: a keyed hash, so that it tells no address."""
    digest = hmac.digest(salt, b"calendar\0" + calendar_id.strip().lower().encode(), "sha256")
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


@dataclass(frozen=True, slots=True)
class Claims:
    """What a genuine token says."""

    calendar_key: str
    expires_at: int  # seconds since the epoch


class TokenProblem(StrEnum):
    """Why a token is refused. Never told to the caller."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    FORGED = "forged"
    EXPIRED = "expired"


def mint(key: Key, channel_id: str, calendar_key: str, expires_at: int) -> str:
    """The token to hand to events.watch. `expires_at`: seconds since the epoch."""
    mac = _mac(key.secret, key.id, channel_id, calendar_key, str(expires_at))
    return f"1.{key.id}.{calendar_key}.{expires_at}.{mac}"


def verify(keys: Keys, channel_id: str, token: str, now: float) -> Claims | TokenProblem:
    """Read a token in constant time, whatever is wrong with it."""
    match = _TOKEN.fullmatch(token) if len(token) <= TOKEN_MAX else None
    if match is None:
        return TokenProblem.MALFORMED
    key_id, calendar, expires_at, mac = match.groups()
    key = keys.find(key_id)
    genuine = _mac(key.secret if key else _NO_KEY, key_id, channel_id, calendar, expires_at)
    if not hmac.compare_digest(genuine, mac) or key is None:
        return TokenProblem.UNKNOWN_KEY if key is None else TokenProblem.FORGED
    if int(expires_at) <= now:
        return TokenProblem.EXPIRED
    return Claims(calendar, int(expires_at))


def key_id_of(token: str) -> str:
    """Which key a well-formed token names; empty for any other text."""
    match = _TOKEN.fullmatch(token) if len(token) <= TOKEN_MAX else None
    return match[1] if match else ""


def _mac(secret: bytes, key_id: str, channel_id: str, calendar: str, expires_at: str) -> str:
    fields = ("channel-token", key_id, channel_id, calendar, expires_at)
    message = "\0".join(fields).encode(errors="surrogatepass")  # a header may hold anything at all
    return base64.urlsafe_b64encode(hmac.digest(secret, message, hashlib.sha256)).rstrip(b"=").decode()


class ChannelState(StrEnum):
    """Written ahead of the watch call, so that a watch whose answer was lost is still known for a while."""

    OPENING = "opening"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Channel:
    """One watch of one calendar."""

    id: str  # ours
    state: ChannelState
    address: str  # where Google posts
    key_id: str
    subject: str  # who opened it, and so must stop it
    opened_at: float
    resource_id: str = ""  # Google's
    expires_at: float = 0.0  # seconds since the epoch; Google's answer, not our wish
    greeted_at: float = 0.0  # when its first message had come all the way here; 0: not yet


@dataclass(frozen=True, slots=True)
class Due:
    """What to do about one calendar's channels now. Open first, stop afterwards: overlap is harmless."""

    open_one: bool
    stop: tuple[Channel, ...]
    forget: tuple[Channel, ...]  # without a call: over by themselves, or never to be named to Google


def due(channels: Sequence[Channel], now: float, address: str, subject: str, key_ids: Container[str]) -> Due:
    """Keep one good channel: at `address`, opened by `subject`, with more than a quarter of its life left.

    `key_ids` are the keys that verify: what a channel says that was signed with another is refused. An empty
    address means that this calendar is not to be watched. An unfinished opening counts as no channel: its answer
    was lost, and the next one has a new id.
    """
    forget = tuple(c for c in channels if _is_over(c, now))
    running = [c for c in channels if c.state is ChannelState.OPEN and c not in forget]
    good = [c for c in running if c.address == address and c.subject == subject and c.key_id in key_ids]
    keep = max(good if address else (), key=lambda c: c.expires_at, default=None)
    fresh = keep is not None and keep.expires_at - now > (keep.expires_at - keep.opened_at) / 4
    stop = tuple(c for c in running if c is not keep and (fresh or not address))
    return Due(open_one=bool(address) and not fresh, stop=stop, forget=forget)


def _is_over(channel: Channel, now: float) -> bool:
    """Lapsed; or never known to be open, when no answer can be on its way any more."""
    if channel.state is ChannelState.OPENING:
        return now >= channel.opened_at + _ANSWER_S
    return now >= channel.expires_at
