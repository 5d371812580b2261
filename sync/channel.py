"""Watch channels: their tokens, which prove a notification, and which channels are due. Pure.

A channel token is `1.<key id>.<calendar key>.<expiry>.<MAC>`: it names its key, so that keys can be rotated, and
it carries the calendar key, so that routing reads nothing. The MAC binds the channel id, the calendar key and
the expiry. Google allows 256 characters (events.watch, `token`).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

TOKEN_MAX = 256
_TOKEN = re.compile(r"1\.([a-z0-9]{1,16})\.([a-z2-7]{26})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})", re.ASCII)
_KEY_LINE = re.compile(r"([a-z0-9]{1,16}):([A-Za-z0-9_-]{43}=?)(?:\s+(\S+))?", re.ASCII)
_NO_KEY = b"\0" * 32  # a MAC is computed for unknown key ids too, so that time tells nothing
_ANSWER_S = 3600.0  # after this, no watch call can still be on its way
_EARLIEST, _LATEST = 0.5, 0.25  # of a channel's life is left when it is replaced


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
    lapsing: bool = (
        False  # whoever opened it can stop it no more: it ends by itself, or serves again until then
    )
    spent: bool = False  # somebody wants another one in its place; until that is open, it serves


@dataclass(frozen=True, slots=True)
class Due:
    """What to do about one calendar's channels now. Open first, stop afterwards: overlap is harmless."""

    open_one: bool
    stop: tuple[Channel, ...]
    forget: tuple[Channel, ...]  # without a call: they are over by themselves
    speaks_until: float = 0.0  # when the last good channel ends; 0: there is none


@dataclass(frozen=True, slots=True)
class Wish:
    """What one calendar's channel should be like. An empty address: there should be none."""

    address: str
    subject: str
    key_ids: Collection[
        str
    ]  # the keys that verify: what a channel says that was signed with another is refused
    fresh_ids: Collection[str]  # of these, the one that signs now, and newer ones
    left: float = _LATEST  # the share of its life that is left when it is replaced


def share_left(calendar_key: str) -> float:
    """Between a half and a quarter, for each calendar another: what was opened at once is not renewed at once."""
    return (
        _LATEST
        + (_EARLIEST - _LATEST) * int.from_bytes(hashlib.sha256(calendar_key.encode()).digest()[:4]) / 2**32
    )


def due(channels: Sequence[Channel], now: float, wish: Wish) -> Due:
    """Keep one good channel, with enough of its life left, and replace it while it still speaks.

    An unfinished opening counts as no channel: its answer was lost, and the next one has a new id. It may run all
    the same. Google's name for the calendar is the same for all its channels: with that of another one it can be
    stopped, as soon as no call of it can be on its way any more.
    """
    forget = tuple(each for each in channels if is_over(each, now))
    rest = [each for each in channels if each not in forget]
    running = [each for each in rest if each.state is ChannelState.OPEN]
    speaking = [each for each in running if _speaks(each, wish)]
    keep = max(speaking, key=lambda each: (_is_fresh(each, wish), each.expires_at), default=None)
    fresh = keep is not None and _is_fresh(keep, wish) and _left(keep, now) > wish.left
    resource_id = next((each.resource_id for each in reversed(channels) if each.resource_id), "")
    lost = [
        replace(each, resource_id=resource_id)
        for each in rest
        if each.state is ChannelState.OPENING and now >= each.opened_at + _ANSWER_S and resource_id
    ]
    superfluous = [each for each in running if each is not keep and not each.lapsing]
    return Due(
        open_one=bool(wish.address) and not fresh,
        stop=(*(superfluous if fresh or not wish.address else ()), *lost),
        forget=forget,
        speaks_until=max((each.expires_at for each in speaking), default=0.0),
    )


def _speaks(channel: Channel, wish: Wish) -> bool:
    """Whether it was opened as we would open it now, and what it says is believed."""
    as_wished = channel.address == wish.address and channel.subject == wish.subject
    return bool(wish.address) and as_wished and channel.key_id in wish.key_ids


def _is_fresh(channel: Channel, wish: Wish) -> bool:
    """Whether there is no reason but its age to have another one in its place."""
    return channel.key_id in wish.fresh_ids and not channel.spent


def _left(channel: Channel, now: float) -> float:
    return (channel.expires_at - now) / max(channel.expires_at - channel.opened_at, 1.0)


def is_over(channel: Channel, now: float) -> bool:
    """Whether it has ended by itself: it lapsed, or its opening came to nothing."""
    return now >= ends_at(channel)


def ends_at(channel: Channel) -> float:
    """When it ends by itself. An opening was to last no longer; of earlier versions' we do not know that."""
    return channel.expires_at or channel.opened_at + _ANSWER_S
