"""Who is speaking: any credential, or none, is the first user; a token issued here is the user it was issued to.

With strict auth only tokens issued here count, and only for an hour. Assertions are believed, not verified: the
stand-in proves that a client asks, refreshes and sends what it got, not that its keys are good. But what was
signed here must be unchanged; and as soon as anything is delegated, a user's token needs a delegation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from . import errors
from .clock import SECOND
from .wire import Answer, Request, json_answer, parsed
from .world import World

Json = dict[str, Any]

LIFETIME_S = 3600
LONGEST_ASSERTION_S = 3600
SKEW_S = 300
WORKER = "worker@simulator.iam.gserviceaccount.com"  # whom the metadata server knows
SIGNER = "simulator"  # the id of the key that signJwt signs with
READING = ("list", "get", "instances", "watch", "stop")
NOT_DELEGATED = (
    "Client is unauthorized to retrieve access tokens using this method, "
    "or client not authorized for any of the scopes requested."
)
ENDPOINTS = [
    (verb, re.compile(pattern), method)
    for verb, pattern, method in (
        ("POST", "/token", "oauth.token"),
        ("POST", r"/v1/projects/-/serviceAccounts/(?P<account>[^/]+):signJwt", "iam.signJwt"),
        ("GET", "/computeMetadata/v1/instance/service-accounts/[^/]+/", "metadata.account"),
        ("GET", "/computeMetadata/v1/instance/service-accounts/[^/]+/token", "metadata.token"),
    )
]


class Refusal(Exception):
    """What a token endpoint says no with (RFC 6749, section 5.2)."""

    def __init__(self, status: int, error: str, description: str = "") -> None:
        super().__init__(error)
        self.answer = json_answer(status, {"error": error, "error_description": description or error})


@dataclass(frozen=True)
class Grant:
    email: str
    expires: int
    scopes: frozenset[str] = frozenset()  # empty: all


class Accounts:
    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self._grants: dict[str, Grant] = {}
        self._served: dict[str, Callable[[Request, World], Answer]] = {
            "oauth.token": self._exchange,
            "iam.signJwt": self._sign,
            "metadata.account": self._tell_account,
            "metadata.token": self._tell_token,
        }

    def issue(self, email: str, now: int, scopes: frozenset[str] = frozenset()) -> str:
        token = f"ya29.sim-{len(self._grants) + 1:06d}-{email}"
        self._grants[token] = Grant(email, now + LIFETIME_S * SECOND, scopes)
        return token

    def principal(self, token: str, world: World, method: str = "") -> str:
        """Who speaks, and may ask for that."""
        grant = self._grants.get(token)
        if grant is None and not self.strict and world.users:
            return world.users[0]
        known = grant is not None and grant.email in world.users and grant.email not in world.suspended
        if grant is None or not known or grant.expires <= world.now():
            raise errors.invalid_credentials()
        if method and not _allows(grant.scopes, method):
            raise errors.insufficient_scope()
        return grant.email

    def endpoint(self, request: Request) -> str:
        """What this request is called if it wants a token; else empty."""
        for verb, pattern, method in ENDPOINTS:
            if verb == request.verb and pattern.fullmatch(request.path):
                return method
        return ""

    def perform(self, method: str, request: Request, world: World) -> Answer:
        try:
            return self._served[method](request, world)
        except Refusal as refusal:
            return refusal.answer

    def _exchange(self, request: Request, world: World) -> Answer:
        """POST /token: a signed assertion (its `sub`, or else its `iss`) or a refresh token that is an address."""
        told = parse_qs(request.body.decode(errors="replace"))
        form = {name: values[0] for name, values in told.items()}
        scopes: frozenset[str] = frozenset()
        if "assertion" in form:
            email, scopes = _believed(form["assertion"], world)
        else:
            email = form.get("refresh_token", "")
        if email not in world.users or email in world.suspended:
            raise Refusal(400, "invalid_grant", "Invalid email or User ID")
        return self._granted(email, world, scopes)

    def _granted(self, email: str, world: World, scopes: frozenset[str]) -> Answer:
        token = self.issue(email, world.now(), scopes)
        return json_answer(200, {"access_token": token, "expires_in": LIFETIME_S - 1, "token_type": "Bearer"})

    def _sign(self, request: Request, world: World) -> Answer:
        """IAM's signJwt, for whoever the metadata server has given a token."""
        grant = self._grants.get(bearer(request))
        if grant is None or grant.expires <= world.now():
            raise errors.invalid_credentials()
        account = unquote(request.path.rpartition("/")[2].removesuffix(":signJwt"))
        try:
            payload = parsed(request.body)["payload"]
            claims = parsed(payload.encode())
        except (ValueError, KeyError, TypeError, AttributeError):
            raise errors.invalid() from None
        if not isinstance(claims, dict) or claims.get("iss") != account:
            raise errors.invalid("The iss claim must be the service account.")
        return json_answer(200, {"keyId": SIGNER, "signedJwt": _signed(claims, world)})

    def _tell_account(self, request: Request, _: World) -> Answer:
        _from_metadata(request)
        account = {"aliases": ["default"], "email": WORKER, "scopes": []}
        return json_answer(200, account, headers={"metadata-flavor": "Google"})

    def _tell_token(self, request: Request, world: World) -> Answer:
        _from_metadata(request)
        scopes = frozenset(scope for scope in request.param("scopes").split(",") if scope)
        answer = self._granted(WORKER, world, scopes)
        answer.headers["metadata-flavor"] = "Google"
        return answer


def bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else request.param("access_token")


def _allows(scopes: frozenset[str], method: str) -> bool:
    """Whether a token of these scopes is good for this method of the API."""
    names = {scope.rpartition("/")[2] for scope in scopes}
    reads = method.rpartition(".")[2] in READING
    return (
        not names
        or bool(names & {"calendar", "calendar.events"})
        or (reads and bool(names & {"calendar.readonly", "calendar.events.readonly"}))
    )


def _from_metadata(request: Request) -> None:
    if request.headers.get("metadata-flavor") != "Google":
        raise Refusal(403, "Forbidden", "Missing Metadata-Flavor header")


def _believed(assertion: str, world: World) -> tuple[str, frozenset[str]]:
    """Whose token an assertion asks for, and with which scopes."""
    claims = _claims(assertion, world)
    issuer, subject = str(claims.get("iss", "")), str(claims.get("sub") or claims.get("iss", ""))
    scopes = frozenset(str(claims.get("scope", "")).split())
    if world.delegations and subject != issuer:
        now_s = world.now() // SECOND
        begins, ends = claims.get("iat"), claims.get("exp")
        if not (isinstance(begins, int) and isinstance(ends, int) and begins <= now_s + SKEW_S):
            raise Refusal(400, "invalid_grant", "Invalid JWT: iat and exp must be in a reasonable timeframe.")
        if ends <= now_s - SKEW_S or ends - begins > LONGEST_ASSERTION_S:
            raise Refusal(
                400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)."
            )
        if not scopes or not scopes <= world.delegations.get(issuer, frozenset()):
            raise Refusal(401, "unauthorized_client", NOT_DELEGATED)
    return subject, scopes


def _claims(assertion: str, world: World) -> Json:
    try:
        head, body, _ = assertion.split(".")
        header, claims = (
            parsed(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body)
        )
    except ValueError:
        raise Refusal(400, "invalid_grant", "Invalid JWT") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Refusal(400, "invalid_grant", "Invalid JWT")
    if header.get("kid") == SIGNER and not hmac.compare_digest(_signed(claims, world), assertion):
        raise Refusal(400, "invalid_grant", "Invalid JWT Signature.")
    return claims


def _signed(claims: Json, world: World) -> str:
    """A JWT; its signature is of no use to anybody but this stand-in."""
    parts = [
        _packed(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": SIGNER, "typ": "JWT"}, claims)
    ]
    text = ".".join(parts)
    key = f"signs for the world of seed {world.seed}".encode()
    return f"{text}.{_packed(hmac.digest(key, text.encode(), hashlib.sha256))}"


def _packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
