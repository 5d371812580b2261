"""Keys of our own in Google's place: what they sign, and a server that tells them as Google does."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from tests.contract.loopback import Answer, Asked, Loopback

ADDON = "1234-addon.apps.googleusercontent.com"
ADA = "ada@example.com"


def part(content: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Signer:
    """One key pair, and its id."""

    def __init__(self, key_id: str = "k1", bits: int = 2048) -> None:
        self.id = key_id
        self.key: RSAPrivateKey = generate_private_key(65537, bits)

    def token(self, claims: Mapping[str, Any] | bytes, **header: Any) -> str:
        """A token that says just this, signed whatever it says. A header of None is left out."""
        told = {"alg": "RS256", "kid": self.id, "typ": "JWT", **header}
        kept = {name: value for name, value in told.items() if value is not None}
        content = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        signed = f"{part(json.dumps(kept).encode())}.{part(content)}"
        return f"{signed}.{part(self.key.sign(signed.encode(), PKCS1v15(), SHA256()))}"

    @property
    def jwk(self) -> dict[str, str]:
        numbers = self.key.public_key().public_numbers()
        n, e = (number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (numbers.n, numbers.e))
        return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.id, "n": part(n), "e": part(e)}


def claims(now: Callable[[], float] = time.time, **changes: Any) -> dict[str, Any]:
    """What ScriptApp.getIdentityToken() says of ada, with changes; one of None is left out."""
    told = {
        "iss": "https://accounts.google.com",
        "azp": ADDON,
        "aud": ADDON,
        "sub": "1157",
        "hd": "example.com",
        "email": ADA,
        "email_verified": True,
        "iat": int(now()),
        "exp": int(now()) + 3600,
        **changes,
    }
    return {name: value for name, value in told.items() if value is not None}


class GoogleKeys(Loopback):
    """Tells these keys at www.googleapis.com/oauth2/v3/certs."""

    def __init__(self, *signers: Signer, max_age_s: int = 3600) -> None:
        self.signers = list(signers)
        self.max_age_s = max_age_s
        self.instead: Answer | None = None
        super().__init__(self._tell)

    def _tell(self, asked: Asked) -> Answer:
        if asked.path != "/oauth2/v3/certs":
            return Answer(404)
        if self.instead is not None:
            return self.instead
        kept = {"Cache-Control": f"public, max-age={self.max_age_s}, must-revalidate, no-transform"}
        return Answer(body={"keys": [each.jwk for each in self.signers]}, headers=kept)
