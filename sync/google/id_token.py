"""Who a Google-signed ID token speaks for (OpenID Connect: "Validating an ID token").

Google's keys are kept for as long as it says. A token signed with a key that is not among them may have them read
again, but never more often than once a minute, whoever asks: a request must not be able to make requests of ours.

The public door loads this module when somebody first asks to enrol a calendar, and not before: it brings along
`cryptography`.
"""

import base64
import json
import math
import re
import threading
from collections.abc import Collection, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from urllib3.exceptions import HTTPError

from sync import connections
from sync.enrolment import Person
from sync.errors import Rejected, Transient
from sync.ports import Clock

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
_ROOT = "https://www.googleapis.com"
_PATH = "/oauth2/v3/certs"  # RFC 7517; accounts.google.com/.well-known/openid-configuration, `jwks_uri`
_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_TOKEN_MOST = 4096  # characters
# Only ASCII: in lower case, letters of other scripts may turn into those of somebody else's address.
_ADDRESS = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,255}")
_LEEWAY_S = 30.0  # how far clocks may differ
_ASK_AGAIN_S = 60.0
_MAX_AGE = re.compile(r"max-age=(\d{1,7})", re.ASCII)
_UNTOLD_S = 300.0  # how long keys are kept that come without an age
_LONGEST_S = 86400.0
_BITS = range(2048, 8193)  # of a modulus
_KEYS_MOST = 65536  # bytes of an answer

Claims = Mapping[str, Any]


class GoogleTokens:
    """Implements admit.Proofs for tokens that were issued to one of `audiences`. Threads may share it."""

    def __init__(
        self,
        audiences: Collection[str],
        clock: Clock,
        *,
        root_url: str = "",
        connect_s: float = 3.0,
        read_s: float = 3.0,
    ) -> None:
        self._audiences = audiences
        self._clock = clock
        self._keys = _Keys(f"{(root_url or _ROOT).rstrip('/')}{_PATH}", clock, connect_s, read_s)

    def person(self, token: str) -> Person:
        parts = _TOKEN.fullmatch(token) if len(token) <= _TOKEN_MOST else None
        if parts is None:
            raise Rejected("not a token")
        header = _object(parts[1])
        key_id = header.get("kid")
        if header.get("alg") != "RS256" or not isinstance(key_id, str):
            raise Rejected("signed in another way")
        key = self._keys.find(key_id)
        if key is None:
            raise Rejected("signed with a key that is not Google's")
        try:
            key.verify(_bytes(parts[3]), f"{parts[1]}.{parts[2]}".encode(), PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            raise Rejected("forged") from None
        return self._person(_object(parts[2]))

    def _person(self, claims: Claims) -> Person:
        """What a token says that Google has signed. It may be meant for somebody else, or over."""
        now, audience = self._clock.now(), claims.get("aud")
        if claims.get("iss") not in ISSUERS:
            raise Rejected("issued by somebody else")
        if not isinstance(audience, str) or audience not in self._audiences:
            raise Rejected("issued to somebody else")
        if not now < _moment(claims, "exp") + _LEEWAY_S or not _moment(claims, "iat") <= now + _LEEWAY_S:
            raise Rejected("over, or not begun")
        address, organization = claims.get("email"), claims.get("hd", "")
        if claims.get("email_verified") is not True or not isinstance(address, str):
            raise Rejected("without an address that was verified")
        if not isinstance(organization, str) or not (_ADDRESS.fullmatch(address) and organization.isascii()):
            raise Rejected("without an address")
        return Person(address.lower(), organization)


class _Keys:
    """Google's public keys, by their ids."""

    def __init__(self, url: str, clock: Clock, connect_s: float, read_s: float) -> None:
        self._url = url
        self._clock = clock
        self._pool = connections.pool(1, connect_s)
        self._call_s = connect_s + read_s
        self._reading = threading.Lock()
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._good_until = self._asked_at = -math.inf

    def find(self, key_id: str) -> RSAPublicKey | None:
        """None: no key of Google's, as far as may be known now. Raises Transient without keys to go by."""
        if key_id not in self._keys or self._are_old():
            self._read_again()
        if self._are_old():
            raise Transient("Google's keys cannot be read for now.")
        return self._keys.get(key_id)

    def _are_old(self) -> bool:
        return self._clock.monotonic() >= self._good_until

    def _read_again(self) -> None:
        """Unless that was done a short while ago, or is being done: nobody waits for another's request."""
        if not self._reading.acquire(blocking=False):
            return
        try:
            now = self._clock.monotonic()
            if now < self._asked_at + _ASK_AGAIN_S:
                return
            self._asked_at = now
            with connections.within(self._call_s):
                answer = self._pool.request("GET", self._url, preload_content=False)
                try:
                    content = answer.read(_KEYS_MOST + 1)
                finally:
                    answer.release_conn()
            keys = _public_keys(content) if answer.status == 200 and len(content) <= _KEYS_MOST else {}
            if keys:
                self._keys, self._good_until = keys, now + _age_s(answer.headers)
        except (TimeoutError, HTTPError):
            return
        finally:
            self._reading.release()


def _age_s(headers: Mapping[str, str]) -> float:
    """For how long this answer is good (RFC 9111)."""
    told = _MAX_AGE.search(headers.get("Cache-Control", ""))
    if told is None:
        return _UNTOLD_S
    age = headers.get("Age", "0")
    return max(_ASK_AGAIN_S, min(float(told[1]), _LONGEST_S) - (float(age) if age.isdecimal() else 0.0))


def _public_keys(content: bytes) -> Mapping[str, RSAPublicKey]:
    """The keys of a JWK set that verify RS256; what else is in it is left aside."""
    try:
        listed = json.loads(content)["keys"]
        return {each["kid"]: _public_key(each) for each in listed if each.get("kty") == "RSA"}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _public_key(told: Mapping[str, str]) -> RSAPublicKey:
    modulus, exponent = (int.from_bytes(_bytes(told[name]), "big") for name in ("n", "e"))
    if modulus.bit_length() not in _BITS:
        raise ValueError("a modulus of an unusual length")
    return RSAPublicNumbers(exponent, modulus).public_key()


def _object(part: str) -> Claims:
    """The JSON object in a part of a token. Raises Rejected."""
    try:
        told = json.loads(_bytes(part))
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Rejected("not a token")
    return told


def _bytes(text: str) -> bytes:
    """base64url without padding (RFC 7515). Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _moment(claims: Claims, name: str) -> int:
    """Seconds since the epoch. Raises Rejected."""
    told = claims.get(name)
    if not isinstance(told, int) or isinstance(told, bool):
        raise Rejected(f"without {name}")
    return told
