"""Every call to the outside ends within its time, whatever the other side does."""

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sync import in_time as in_time_
from sync.account import Account
from sync.conferences import Context
from sync.conferences.http import Http
from sync.conferences.registry import Registry
from sync.conferences.token import Fetched, SharedToken
from sync.cursor import Window
from sync.errors import Gone, Timeout, Transient
from sync.google.calendar import GoogleCalendar
from sync.google.id_token import GoogleTokens
from sync.google.identity import Identity
from sync.google.secrets import Secrets
from sync.google.tasks import CloudTasks, MetadataToken
from sync.ports import CalendarId, Outcome, Provider, Target, Task
from sync.recognise import ConferenceKey, System
from sync.settings import ProviderSettings, SecretPlace
from tests.clock import ManualClock
from tests.slow_server import SLOWNESS, Slowness, SlowServer

HALF_S = 0.05  # to connect, and again for the answer
BUSY_S = 8.0  # what a busy machine may add; a slow server goes on for longer
ANNA = CalendarId("anna@example.com")
TASK = Task("name", "sync", "calendar", 0.0)


def http(url: str) -> object:
    return Http(url, connect_s=HALF_S, read_s=HALF_S).call("PUT", "r", body={"a": 1})


def calendar(url: str) -> GoogleCalendar:
    return GoogleCalendar(root_url=url, call_s=2 * HALF_S)


def cloud_tasks(url: str) -> object:
    return CloudTasks(
        "projects/p/locations/l/queues/q",
        "https://worker.example",
        "a@p",
        token=lambda: "t",
        clock=ManualClock(),
        root_url=url,
        connect_s=HALF_S,
        read_s=HALF_S,
    ).create(TASK)


def metadata(url: str) -> object:
    return MetadataToken(ManualClock(), root_url=url, connect_s=HALF_S, read_s=HALF_S)()


def as_somebody(url: str) -> object:
    identity = Identity(delegation="sync@p.iam.gserviceaccount.com", stand_in=url)
    reads = GoogleCalendar(root_url=url, call_s=2 * HALF_S, credentials=identity)
    return reads.list_page(CalendarId("anna@example.com", "anna@example.com"), Window(0.0), "")


import_module("google.cloud.secretmanager")  # which takes longer than a call may


def secrets(url: str) -> object:
    return Secrets(clock=ManualClock(), cache_s=1.0, wait_s=HALF_S, root_url=url).read("projects/p/secrets/s")


def keys(url: str) -> object:
    header = base64.urlsafe_b64encode(b'{"alg": "RS256", "kid": "k"}').decode().rstrip("=")
    tokens = GoogleTokens(["us"], ManualClock(), root_url=url, connect_s=HALF_S, read_s=HALF_S)
    return tokens.person(f"{header}.e30.AA")


CALLS: dict[str, Callable[[str], object]] = {
    "a provider": http,
    "a listing": lambda url: calendar(url).list_page(ANNA, Window(0.0), ""),
    "an event": lambda url: calendar(url).get(ANNA, "e1"),
    "a watch": lambda url: calendar(url).watch(ANNA, "c", "t", "https://hook.example", 60.0),
    "a task": cloud_tasks,
    "an access token": metadata,
    "a secret": secrets,
    "a token for a user": as_somebody,
    "the keys of ID tokens": keys,
}
_TELL_NO_DIFFERENCE = (
    "a secret",
    "a token for a user",
    "the keys of ID tokens",
)  # between silence and other trouble


@contextmanager
def in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 2 * HALF_S + BUSY_S


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Every connection of ours, as it is opened."""
    opened, connect = [], in_time_.connected

    def connected(host: str, port: int, most_s: float) -> socket.socket:
        opened.append(connect(host, port, most_s))
        return opened[-1]

    monkeypatch.setattr(in_time_, "connected", connected)
    return opened


@pytest.mark.parametrize("slowness", SLOWNESS)
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_comes_bit_by_bit_and_never_ends(
    opened: list[socket.socket], call: str, slowness: str
) -> None:
    with SlowServer(SLOWNESS[slowness]) as server, in_time(), pytest.raises(Transient) as caught:
        CALLS[call](server.url)
    if call not in _TELL_NO_DIFFERENCE:
        assert isinstance(caught.value, Timeout)
    assert [line for line in opened if line.fileno() != -1] == [], "it is closed, whoever still knows of it"


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A resolver that does not come back."""
    over = threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        over.wait(20)
        raise socket.gaierror("at last")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", getaddrinfo)
        yield over
        over.set()


@pytest.mark.usefixtures("hanging")
@pytest.mark.parametrize("call", CALLS)
def test_a_name_that_is_not_resolved(call: str) -> None:
    with in_time(), pytest.raises(Transient):
        CALLS[call]("http://nowhere.invalid")


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_accepts_and_never_begins_to_speak_tls(call: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, in_time(), pytest.raises(Transient):
        CALLS[call](f"https://127.0.0.1:{server.getsockname()[1]}")


def test_credentials_that_are_not_found(slow: "Slow") -> None:
    waiting = GoogleCalendar(root_url="http://h", call_s=2 * HALF_S, credentials=slow.credentials)
    with in_time(), pytest.raises(Timeout):
        waiting.list_page(ANNA, Window(0.0), "")


# --- The same under TLS ---


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, under a certificate that everybody here believes."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain = tmp_path / "chain.pem"
    encoding = serialization.Encoding.PEM
    clear = serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, clear)
    chain.write_bytes(private + certificate.public_bytes(encoding))
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    monkeypatch.setattr("httplib2.CA_CERTS", str(chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context


class TlsServer(SlowServer):
    def __init__(self, slowness: Slowness, context: ssl.SSLContext) -> None:
        super().__init__(slowness)
        self._context = context

    def get_request(self) -> tuple[socket.socket, Any]:
        line, address = super().get_request()
        return self._context.wrap_socket(line, server_side=True, do_handshake_on_connect=False), address

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


OVER_TLS: dict[str, Callable[[str, float], object]] = {
    "a provider": lambda url, call_s: Http(url, connect_s=call_s / 2, read_s=call_s / 2).call("GET", "r"),
    "a listing": lambda url, call_s: GoogleCalendar(root_url=url, call_s=call_s).list_page(
        ANNA, Window(0.0), ""
    ),
}
PATIENT_S, HASTY_S = 20.0, 0.3


@pytest.mark.parametrize("slowness", ["silence", "a header", "the body", "the size of a chunk"])
@pytest.mark.parametrize("call", OVER_TLS)
def test_the_same_under_tls(trusted: ssl.SSLContext, call: str, slowness: str) -> None:
    with TlsServer(SLOWNESS[slowness], trusted) as server, in_time(), pytest.raises(Timeout):
        OVER_TLS[call](server.url, HASTY_S)


@pytest.mark.parametrize("call", OVER_TLS)
def test_an_answer_is_read_under_tls_and_another_certificate_is_not_believed(
    trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    body = json.dumps({"accessRole": "owner", "items": []}).encode()
    whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    with TlsServer(Slowness(whole % (len(body), body), b"", 1.0), trusted) as server:
        assert OVER_TLS[call](server.url, PATIENT_S)
        with pytest.raises(Transient):  # the certificate has no such name
            OVER_TLS[call](server.url.replace("localhost", "127.0.0.1"), PATIENT_S)
        monkeypatch.undo()
        with pytest.raises(Transient):
            OVER_TLS[call](server.url, PATIENT_S)


# --- A provider's call as a whole ---


class Slow:
    """Holds up whoever asks it."""

    call_s = 2 * HALF_S

    def __init__(self) -> None:
        self.over = threading.Event()

    def __getattr__(self, name: str) -> Any:
        def stall(*_: Any) -> Any:
            self.over.wait(20)
            raise Transient("at last")

        return stall


class Steps:
    """A provider that takes as many steps as it likes, each of which ends in time."""

    name = "steps"
    system = System("steps")
    capabilities = frozenset({"title"})

    def __init__(self, options: dict[str, Any], context: Context) -> None:
        self._http = Http(options["url"], connect_s=context.connect_s, read_s=context.read_s)
        self._token = SharedToken(context.shared, self._fetch, fetch_s=self._http.call_s)
        self._secret = options.get("key")
        self.call_s = self._http.call_s

    def _fetch(self, _: str) -> Fetched:
        self._http.call("POST", "token")
        return Fetched("t", 3600.0)

    def read(self, target: Target) -> None: ...

    def update(self, target: Target, meeting: object) -> Outcome:
        if self._secret:
            self._secret.read()
        self._token.read()
        return Outcome(changed=True)

    def delete(self, target: Target) -> Outcome:
        began = time.monotonic()
        while time.monotonic() - began < BUSY_S:  # so patient is nobody but this provider
            try:
                self._http.call("DELETE", "r")
            except Gone:
                continue
        return Outcome(changed=True)


class Memory:
    """A store that has one account."""

    def __init__(self) -> None:
        self.account = Account("steps")

    def change_account(self, _: str, body: Callable[[Account, float], Account]) -> Account:
        self.account = body(self.account, time.time())
        return self.account


def steps(url: str, *, secrets: Any = None, accounts: Any = None) -> Provider:
    options: dict[str, Any] = {"url": url, **({"key": SecretPlace(secret="s")} if secrets else {})}
    return Registry(
        [ProviderSettings("steps", f"{__name__}:Steps", options)],
        connect_s=HALF_S,
        read_s=HALF_S,
        secrets=lambda: secrets,
        accounts=lambda: accounts or Memory(),
    ).provider("steps")


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.over.set()


TARGET = Target(ConferenceKey("steps", "c-1"))


def test_a_store_that_holds_up_a_provider_that_fetches_its_token(slow: Slow) -> None:
    with in_time(), pytest.raises(Timeout, match="store"):
        steps("http://127.0.0.1:9", accounts=slow).update(TARGET, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("slowness", ["a header", "the body"])
def test_a_token_that_comes_bit_by_bit(slowness: str) -> None:
    with SlowServer(SLOWNESS[slowness]) as server, in_time(), pytest.raises(Timeout):
        steps(server.url).update(TARGET, None)  # type: ignore[arg-type]


def test_ever_more_requests_each_of_which_is_quick() -> None:
    gone = Slowness(b"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"", 1.0)
    with SlowServer(gone) as server, in_time(), pytest.raises(Timeout):
        steps(server.url).delete(TARGET)
