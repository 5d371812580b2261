"""Who is speaking: any credential, or none, is the first user; a token issued here is the user it was issued to.

With strict auth only tokens issued here count, and only for an hour. Assertions are believed, not verified: the
stand-in proves that a client asks, refreshes and sends what it got, not that its keys are good.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import parse_qs

from . import errors
from .clock import SECOND
from .wire import Answer, Request, json_answer, parsed

LIFETIME_S = 3600


@dataclass(frozen=True)
class Grant:
    email: str
    expires: int


class Accounts:
    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self._grants: dict[str, Grant] = {}

    def issue(self, email: str, now: int) -> str:
        token = f"ya29.sim-{len(self._grants) + 1:06d}-{email}"
        self._grants[token] = Grant(email, now + LIFETIME_S * SECOND)
        return token

    def principal(self, token: str, users: list[str], now: int) -> str:
        grant = self._grants.get(token)
        if grant is None and not self.strict and users:
            return users[0]
        if grant is None or grant.email not in users or grant.expires <= now:
            raise errors.invalid_credentials()
        return grant.email

    def exchange(self, request: Request, users: list[str], now: int) -> Answer:
        """POST /token: a signed assertion (its `sub`, or else its `iss`) or a refresh token that is an address."""
        told = parse_qs(request.body.decode(errors="replace"))
        form = {name: values[0] for name, values in told.items()}
        email = _subject(form["assertion"]) if "assertion" in form else form.get("refresh_token", "")
        if email not in users:
            refusal = {"error": "invalid_grant", "error_description": "Invalid email or User ID"}
            return json_answer(400, refusal)
        granted = {
            "access_token": self.issue(email, now),
            "expires_in": LIFETIME_S - 1,
            "token_type": "Bearer",
        }
        return json_answer(200, granted)


def bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else request.param("access_token")


def _subject(assertion: str) -> str:
    try:
        claims = assertion.split(".")[1]
        content = parsed(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except (IndexError, ValueError):
        return ""
    return str(content.get("sub") or content.get("iss", "")) if isinstance(content, dict) else ""
