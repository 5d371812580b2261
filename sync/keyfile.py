"""The channel keys, from the file that a secret is mounted as: no request ever waits for a disk.

They are read at start and re-read by a thread of its own, never on the way of a refusal.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from sync.channel import Key, Keys, parse_keys

_STRANGERS = 64  # unknown key ids remembered between two readings


class KeyFile:
    """The keys as last read. A thread re-reads them, so that no request has to."""

    def __init__(self, path: Path, reread_s: float, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._reread_s = reread_s
        self._monotonic = monotonic
        self._known_since: dict[str, float] = {}
        self._strangers: dict[str, float] = {}
        self._reader: threading.Thread | None = None
        self._lock = threading.Lock()
        self.keys = self._read()

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

    def may_yet_know(self, key_id: str) -> bool:
        """Whether the next reading may bring this key: it has not been missed by one already."""
        now = self._monotonic()
        if key_id not in self._strangers and len(self._strangers) >= _STRANGERS:
            return True
        return now - self._strangers.setdefault(key_id, now) <= self._reread_s

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
        keys = parse_keys(self._path.read_text())
        now = self._monotonic()
        self._known_since = {key.id: self._known_since.get(key.id, now) for key in keys.oldest_first}
        strangers = list(self._strangers.items())  # at once: requests add to them meanwhile
        self._strangers = {key_id: at for key_id, at in strangers if now - at <= 3600}
        return keys

    def _reread_for_ever(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._reread_s):
            self.reread()
