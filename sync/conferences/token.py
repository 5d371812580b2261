"""An access token that all workers of an account share, fetched by one of them at a time.

Some systems end the token before when they give out another: workers that each fetched their own would take it
from each other for ever. So the token is in the account's record; who finds it ended claims the fetching, and the
others come again.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from sync.errors import Transient

_SPARE_S = 60.0  # a token is not used so shortly before its end


class Shared(Protocol):
    """A text that all workers of an account share."""

    def change(self, body: Callable[[str, float], str]) -> str:
        """Change it at the store's time, and return what stands now. `body` may run more than once."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a system answers. `renewal`: what the next token is fetched with, if that changes each time."""

    token: str = field(repr=False)
    lives_s: float
    renewal: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _State:
    """Times are seconds since the epoch, the store's."""

    token: str = ""
    ends_at: float = 0.0
    renewal: str = ""
    fetching_until: float = 0.0

    @classmethod
    def read(cls, text: str) -> "_State":
        told = json.loads(text) if text else {}
        return cls(
            **{name: told[name] for name in cls.__slots__ if name in told}
        )  # a later version tells more

    def __str__(self) -> str:
        return json.dumps(asdict(self))


Fetch = Callable[[str], Fetched]


class SharedToken:
    """The token of one account. Safe for many threads."""

    def __init__(
        self,
        shared: Shared,
        fetch: Fetch,
        *,
        fetch_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fetch` asks the system for a token, given the last renewal; it ends within `fetch_s` seconds."""
        self._shared = shared
        self._fetch = fetch
        self._fetch_s = fetch_s
        self._monotonic = monotonic
        self._known = ("", 0.0)  # the token, and until when by our own clock

    def read(self, refused: str = "") -> str:
        """The token; another one than `refused`, which the system no longer takes.

        Raises Transient when another worker is fetching it just now, and whatever `fetch` raises.
        """
        token, until = self._known
        if token and token != refused and self._monotonic() < until:
            return token
        look = _Look(refused, self._fetch_s)
        self._shared.change(look)
        if look.waits:
            raise Transient("another worker is fetching an access token just now")
        if look.claimed is None:
            self._known = (look.state.token, self._monotonic() + look.lives_s - _SPARE_S)
            return look.state.token
        return self._fetched(look.state, look.claimed)

    def _fetched(self, state: _State, claimed: _State) -> str:
        try:
            fetched = self._fetch(state.renewal)
        except Exception:
            self._shared.change(lambda text, _: str(state) if text == str(claimed) else text)
            raise

        def keep(text: str, now: float) -> str:
            if text != str(claimed):
                return text
            return str(_State(fetched.token, now + fetched.lives_s, fetched.renewal or state.renewal))

        self._shared.change(keep)
        self._known = (fetched.token, self._monotonic() + fetched.lives_s - _SPARE_S)
        return fetched.token


class _Look:
    """What one look at the shared text came to; looking claims the fetching if there is need for it."""

    def __init__(self, refused: str, fetch_s: float) -> None:
        self._refused = refused
        self._fetch_s = fetch_s
        self.state = _State()
        self.claimed: _State | None = None
        self.waits = False
        self.lives_s = 0.0

    def __call__(self, text: str, now: float) -> str:
        self.state, self.claimed, self.waits = _State.read(text), None, False
        self.lives_s = self.state.ends_at - now
        if self.state.token and self.state.token != self._refused and self.lives_s > _SPARE_S:
            return text
        if now < self.state.fetching_until:
            self.waits = True
            return text
        self.claimed = replace(self.state, fetching_until=now + self._fetch_s)
        return str(self.claimed)


def bearer(token: str) -> Mapping[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}
