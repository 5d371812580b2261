"""Sync and page tokens are sealed: nobody can read one, forge one, or use it on another calendar or another run.

Real tokens can be decoded today, and some clients do. These change their alphabet with every run, so that a
client which looks inside breaks here and not in production.
"""

from __future__ import annotations

import base64
import hmac
import json
from hashlib import sha256
from random import Random
from typing import Any

STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
TAG_BYTES = 9


class BadToken(ValueError):
    """Not a token of this run, this purpose and this calendar."""


class Sealer:
    def __init__(self, run: int) -> None:
        rng = Random(f"tokens:{run}")
        shuffled = "".join(rng.sample(STANDARD, len(STANDARD)))
        self._key = rng.randbytes(32)
        self._out = str.maketrans(STANDARD, shuffled)
        self._in = str.maketrans(shuffled, STANDARD)

    def seal(self, context: str, content: Any) -> str:
        plain = json.dumps(content, separators=(",", ":")).encode()
        sealed = self._tag(context, plain) + self._mask(context, plain)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=").translate(self._out) + "="

    def open(self, context: str, token: str) -> Any:
        try:
            text = token.rstrip("=").translate(self._in)
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError as broken:
            raise BadToken(token) from broken
        plain = self._mask(context, sealed[TAG_BYTES:])
        if not hmac.compare_digest(sealed[:TAG_BYTES], self._tag(context, plain)):
            raise BadToken(token)
        return json.loads(plain)

    def _tag(self, context: str, plain: bytes) -> bytes:
        return hmac.new(self._key, context.encode() + b"\0" + plain, sha256).digest()[:TAG_BYTES]

    def _mask(self, context: str, content: bytes) -> bytes:
        """Hides the content from the eye; the tag, not this, is what keeps tokens honest."""
        pad = Random(self._key + context.encode()).randbytes(len(content))
        return bytes(a ^ b for a, b in zip(content, pad, strict=True))
