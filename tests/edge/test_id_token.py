"""Only a token that Google signed for us, for a verified address, now, speaks for anybody."""

import hmac
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sync.enrolment import Person
from sync.errors import Rejected, Transient
from sync.google.id_token import GoogleTokens
from tests.clock import ManualClock
from tests.contract.google_keys import ADA, ADDON, GoogleKeys, Signer, claims, part
from tests.contract.loopback import Answer

OTHER_ADDON = "5678-other.apps.googleusercontent.com"
K1, STRANGER = Signer(), Signer()


class Town:
    """Google's keys, and who goes by them."""

    def __init__(self, google: GoogleKeys) -> None:
        self.google, self.clock = google, ManualClock()
        self.tokens = GoogleTokens({ADDON, OTHER_ADDON}, self.clock, root_url=google.url)

    def token(self, signer: Signer = K1, **changes: Any) -> str:
        return signer.token(claims(self.clock.now, **changes))

    def asked(self) -> int:
        return len(self.google.asked)


@pytest.fixture
def town() -> Iterator[Town]:
    with GoogleKeys(K1) as google:
        yield Town(google)


def test_a_genuine_token_says_who_it_is(town: Town) -> None:
    assert town.tokens.person(town.token(email="Ada@Example.com")) == Person(ADA, "example.com")
    assert town.tokens.person(town.token(hd=None)) == Person(ADA, "")
    assert town.tokens.person(town.token(aud=OTHER_ADDON, iss="accounts.google.com")).address == ADA
    assert ADA not in repr(town.tokens.person(town.token()))


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://accounts.example.com"},
    "an issuer that begins alike": {"iss": "https://accounts.google.com.example"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "5678.apps.googleusercontent.com"},
    "several audiences": {"aud": [ADDON]},
    "no audience": {"aud": None},
    "over": {"exp": 1_900_000_000 - 31},
    "no end": {"exp": None},
    "an end in words": {"exp": "1900003600"},
    "an end that is true": {"exp": True},
    "an end without end": {"exp": float("inf")},
    "no end of digits": {"exp": float("nan")},
    "from the future": {"iat": 1_900_000_000 + 31},
    "no beginning": {"iat": None},
    "an address that was not verified": {"email_verified": False},
    "an address verified in words": {"email_verified": "true"},
    "no word on the address": {"email_verified": None},
    "no address": {"email": None},
    "an address that is none": {"email": "ada"},
    "two addresses": {"email": "ada@example.com bob@example.com"},
    "an address whose letters are others in lower case": {
        "email": "ada@\u212aelvin.example"
    },  # a Kelvin sign
    "an address with a letter that only looks alike": {"email": "ada@ex\u0430mple.com"},
    "an address with an end that nobody sees": {"email": "ada@example.com\u200b"},
    "an organization that is none": {"hd": ["example.com"]},
    "an organization with a letter that only looks alike": {"hd": "ex\u0430mple.com"},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_a_token_that_is_not_for_us_or_not_now_speaks_for_nobody(town: Town, changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        town.tokens.person(town.token(**changes))


def test_clocks_may_differ_a_little(town: Town) -> None:
    now = int(town.clock.now())
    assert town.tokens.person(town.token(exp=now - 29)).address == ADA
    assert town.tokens.person(town.token(iat=now + 29)).address == ADA


def public_forms(signer: Signer) -> dict[str, bytes]:
    """What everybody has of a key, as a verifier that lets the token choose might take it for a secret."""
    public = signer.key.public_key()
    return {
        "as PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "as DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "its modulus": public.public_numbers().n.to_bytes(256, "big"),
        "nothing": b"",
    }


def with_shared_secret(told: dict[str, Any], secret: bytes) -> str:
    header = json.dumps({"alg": "HS256", "kid": K1.id}).encode()
    signed = f"{part(header)}.{part(json.dumps(told).encode())}"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), 'sha256'))}"


def forged() -> dict[str, str]:
    clock = ManualClock()
    good = K1.token(claims(clock.now))
    header, said, signature = good.split(".")
    other = part(json.dumps(claims(clock.now, email="eve@example.com")).encode())
    unsigned = part(json.dumps({"alg": "none", "kid": "k1"}).encode())
    return {
        "nothing": "",
        "words": "let me in",
        "two parts": f"{header}.{said}",
        "four parts": f"{good}.x",
        "too long": f"{header}.{'A' * 5000}.{signature}",
        "another's signature": STRANGER.token(claims(clock.now)),
        "other words under the same signature": f"{header}.{other}.{signature}",
        "half a signature": f"{header}.{said}.{signature[:100]}",
        "a signature of one character": f"{header}.{said}.A",
        "no signature, and saying so": f"{unsigned}.{said}.A",
        "signed as we want it, and saying otherwise": K1.token(claims(clock.now), alg="HS256"),
        **{
            f"the public key as a shared secret, {how}": with_shared_secret(claims(clock.now), secret)
            for how, secret in public_forms(K1).items()
        },
        "another algorithm": K1.token(claims(clock.now), alg="RS512"),
        "no algorithm": K1.token(claims(clock.now), alg=None),
        "no key": K1.token(claims(clock.now), kid=None),
        "a key that is a list": K1.token(claims(clock.now), kid=["k1"]),
        "a key nobody knows": K1.token(claims(clock.now), kid="k9"),
        "claims that are a list": K1.token(b"[]"),
        "claims that are no JSON": K1.token(b"\xff"),
        "claims that are deep": K1.token(b"[" * 2000),
        "a header that is a list": f"{part(b'[]')}.{said}.{signature}",
        "a header that is no JSON": f"{part(b'{')}.{said}.{signature}",
        "padding": good + "=",
        "a line end": good + "\n",
        "digits of another script": good[:-1] + "\u0661",
    }


@pytest.mark.parametrize("token", forged().values(), ids=forged().keys())
def test_a_token_that_google_did_not_sign_speaks_for_nobody(town: Town, token: str) -> None:
    with pytest.raises(Rejected):
        town.tokens.person(token)


def test_whatever_is_changed_in_a_token_it_speaks_for_nobody_any_more(town: Town) -> None:
    good = town.token()
    town.tokens.person(good)

    @given(st.integers(0, len(good) - 1), st.sampled_from("AZaz09-_.\x00é"))
    def change(at: int, to: str) -> None:
        changed = good[:at] + to + good[at + 1 :]
        try:
            person = town.tokens.person(changed)
        except Rejected:
            return
        # The last character of a part has bits that say nothing: only such a change may pass.
        assert changed == good or person == Person(ADA, "example.com")

    change()
    assert town.asked() == 1


def test_keys_are_asked_for_once_and_kept_as_long_as_google_says(town: Town) -> None:
    for _ in range(50):
        town.tokens.person(town.token())
    assert town.asked() == 1
    town.clock.advance(3599)
    town.tokens.person(town.token())
    assert town.asked() == 1
    town.clock.advance(1)
    town.tokens.person(town.token())
    assert town.asked() == 2


def test_a_key_that_came_since_is_found(town: Town) -> None:
    town.tokens.person(town.token())
    new = Signer("k2")
    town.google.signers.append(new)
    town.clock.advance(60)
    assert town.tokens.person(town.token(new)).address == ADA
    assert town.asked() == 2


def test_a_key_that_google_has_withdrawn_is_forgotten(town: Town) -> None:
    town.tokens.person(town.token())
    town.google.signers = [Signer("k2")]
    town.clock.advance(3600)
    with pytest.raises(Rejected):
        town.tokens.person(town.token())


def test_no_number_of_unknown_keys_asks_google_more_than_once_a_minute(town: Town) -> None:
    for minute in range(3):
        for number in range(100):
            with pytest.raises(Rejected):
                town.tokens.person(STRANGER.token(claims(), kid=f"k{minute}-{number}"))
        town.clock.advance(60)
    assert town.asked() == 3


DOWN: dict[str, Answer] = {
    "an error": Answer(503),
    "a page of somebody's": Answer(body=b"<html>"),
    "no keys": Answer(body={"keys": []}),
    "keys without numbers": Answer(body={"keys": [{"kty": "RSA", "kid": "k1"}]}),
    "a short key": Answer(body={"keys": [Signer(bits=1024).jwk]}),
    "keys of another kind": Answer(body={"keys": [{"kty": "EC", "kid": "k1"}]}),
    "a list": Answer(body=[]),
    "deep": Answer(body=b"[" * 60_000),
    "very long": Answer(body=b" " * 70_000),
    "a way elsewhere": Answer(302, location="http://127.0.0.1:9/"),
    "nothing": Answer(lost=True),
}


@pytest.mark.parametrize("answer", DOWN.values(), ids=DOWN.keys())
def test_without_keys_nobody_is_refused_or_admitted_and_google_is_not_pestered(
    town: Town, answer: Answer
) -> None:
    town.google.instead = answer
    for _ in range(20):
        with pytest.raises(Transient):
            town.tokens.person(town.token())
    assert town.asked() == 1
    town.google.instead = None
    town.clock.advance(60)
    assert town.tokens.person(town.token()).address == ADA


def test_while_keys_are_being_read_nobody_waits_for_them(town: Town) -> None:
    entered, go_on = threading.Event(), threading.Event()
    tell = town.google._tell

    def slowly(asked: Any) -> Answer:
        entered.set()
        go_on.wait(30)
        return tell(asked)

    town.google._answer = slowly
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(town.tokens.person, town.token())
        entered.wait(30)
        with pytest.raises(Transient):
            town.tokens.person(town.token())
        go_on.set()
        assert first.result().address == ADA
    assert town.asked() == 1
