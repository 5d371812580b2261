"""The headers of a push -> Notification | Rejection. Constant time, no I/O; the body is never read.

Google sends a POST with an empty body; all it says is in the headers (push guide: "Receive notifications").
"""

from dataclasses import dataclass
from typing import Protocol

from sync import channel
from sync.channel import Claims, Keys, TokenProblem

_CHANNEL_ID_MAX = 64  # push guide: "Maximum length: 64 characters"


class Headers(Protocol):
    """The headers of a request, by their names in any case."""

    def get(self, name: str, default: str, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Notification:
    """Something in this calendar may have changed; or, for `is_sync`, a new channel says hello."""

    calendar_key: str
    channel_id: str
    is_sync: bool


@dataclass(frozen=True, slots=True)
class Rejection:
    """Not from a channel of ours. The reason is counted, never answered."""

    reason: TokenProblem
    key_id: str = ""  # for an unknown key: which, so that the next re-read of the keys can settle it


def read(headers: Headers, keys: Keys, now: float) -> Notification | Rejection:
    """Authenticate and route one push by its headers alone. `now`: seconds since the epoch."""
    channel_id = headers.get("X-Goog-Channel-ID", "")
    token = headers.get("X-Goog-Channel-Token", "")
    state = headers.get("X-Goog-Resource-State", "")
    if not state or not 0 < len(channel_id) <= _CHANNEL_ID_MAX:
        return Rejection(TokenProblem.MALFORMED)
    claims = channel.verify(keys, channel_id, token, now)
    if isinstance(claims, Claims):
        return Notification(claims.calendar_key, channel_id, is_sync=state == "sync")
    return Rejection(claims, channel.key_id_of(token) if claims is TokenProblem.UNKNOWN_KEY else "")
