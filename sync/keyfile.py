"""The channel keys, from the files that secrets are mounted as: no request ever waits for a disk.

They are read at start and re-read by a thread of its own, never on the way of a refusal.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sync.channel import Key, Keys, parse_keys

_STRANGERS = 64  # unknown key ids remembered
_REMEMBERED = 60  # ... for so many readings


class KeyFile:
    """The keys as last read. A thread re-reads them, so that no request has to."""

    def __init__(
        self,
        paths: Sequence[Path],
        reread_s: float,
        monotonic: Callable[[], float],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._paths = tuple(paths)
        self._reread_s = reread_s
        self._monotonic = monotonic
        self._now = now
        self._known_since: dict[str, float] = {}
        self._strangers: dict[str, int] = {}  # and which reading had begun last when each was first seen
        self._begun = self._completed = 0  # readings
        self._reader: threading.Thread | None = None
        self._lock = threading.Lock()
        self.keys = self._read()
        self._completed = self._begun

    def keep_fresh(self) -> None:
        """Start re-reading, in this process: called after the server has forked."""
        with self._lock:
            if self._reader is None:
                self._reader = threading.Thread(target=self._reread_for_ever, name="keys", daemon=True)
                self._reader.start()

    def reread(self) -> None:
        """Read the keys again; while they cannot be read, the last good ones serve."""
        try:
            self.keys = self._read()
        except (OSError, ValueError):
            return
        self._completed = self._begun

    def may_yet_know(self, key_id: str) -> bool:
        """Whether the next reading may bring this key: none that began after it was first seen has missed it."""
        if key_id not in self._strangers and len(self._strangers) >= _STRANGERS:
            return True
        return self._completed <= self._strangers.setdefault(key_id, self._begun)

    def signing_key(self) -> Key:
        """The newest key that every verifier has had time to read: known for two periods, or the only one."""
        now = self._monotonic()
        settled = [
            key
            for key in self.keys.oldest_first
            if now - self._known_since.get(key.id, now) >= 2 * self._reread_s
        ]
        return settled[-1] if settled else self.keys.oldest_first[0]

    def _read(self) -> Keys:
        self._begun += 1
        keys = parse_keys(*(path.read_text("utf-8") for path in self._paths))
        now, first = self._monotonic(), not self._known_since
        self._known_since = {
            key.id: self._known_since.get(key.id, now - self._age(key) if first else now)
            for key in keys.oldest_first
        }
        strangers = list(self._strangers.items())  # at once: requests add to them meanwhile
        self._strangers = {each: seen for each, seen in strangers if self._begun - seen <= _REMEMBERED}
        return keys

    def _age(self, key: Key) -> float:
        """For how long it was there to be read: a process that has just started need not be the first to do so."""
        made_at = key.made_at or max(path.stat().st_mtime for path in self._paths)
        return max(0.0, self._now() - made_at)

    def _reread_for_ever(self) -> None:
        pause = threading.Event()
        while not pause.wait(min(self._reread_s, threading.TIMEOUT_MAX)):
            self.reread()
