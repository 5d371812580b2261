"""What every provider promises, as tests to inherit. They need pytest and this package, and nothing else.

A system that is a plain REST API needs no stand-in of its own:

    class TestAcmeCalls(RestContract):
        path = "/v1/meetings/{id}"
        link = "https://acme.example/join/{id}"

        def build(self, url, context):
            return AcmeCalls({"url": url, "key": SECRET}, context)

For any other write a stand-in on this machine, inherit ProviderContract and say by fixtures what is what:

    connect      makes a provider that waits so many seconds: `lambda read_s: Acme({…}, context(read_s))`
    target       a conference that exists there, beside another; its id is no shorter than two characters
    fail         makes the next call fail as the Failure says, in the system's own words where it has some. Failing
                 it three times makes the next three calls fail. If a call may fetch a new token and ask again, as
                 after a 401, both fail
    state        what the system has now, as text
    calls        how often it was called about conferences. Neither this nor `state` nor fetching a token counts
    events       conferenceData of the system's own, each for `target`
    look_alikes  conferenceData of somebody else's. What can be made from `events` the kit tries by itself
    mend         only where failing with a 401 lasts: sets the credentials right again

What holds the word SECRET must not come out in an error or a log: give it to the provider as its credentials
(SECRET below is an option that is kept elsewhere); failures, titles and links have it already.

What is otherwise with your system, the class says:

    meanings     what a status means there, where that is not the usual: `meanings = {409: Gone}`; None for success
    tries        how often a call is made that ends with a status: `tries = {401: 2}` if it gets a new token then

Reading is asked only of providers that have the capability "read". A promise that your system cannot keep you
override by its name, with a sentence that says why. For failures to show what was compared, put
`pytest.register_assert_rewrite("sync.testing")` into a conftest.py.
"""

import json
import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Self
from urllib.parse import urlsplit

import pytest

from sync import event as events_
from sync.conferences import Context, Secret
from sync.errors import AuthFailed, Gone, RateLimited, Refused, SyncError, Timeout, Transient
from sync.event import Event
from sync.meeting import Meeting
from sync.ports import Provider, Target
from sync.recognise import KNOWN, LOOPBACK, ConferenceKey, System, recognise

PATIENT_S = 30.0  # no call takes that long, however busy the machine is
IMPATIENT_S = 0.2
BUSY_S = 10.0  # what a busy machine may add to a bound
STORM = 3  # workers that call at once

SECRET = Secret("a test", lambda: "SECRET-KEY")  # an option that is kept elsewhere

START = datetime(2030, 3, 4, 9, 30, tzinfo=UTC)
MEETING = Meeting(
    title='SECRET-TITLE ✓ "quoted" <b>',
    start=START,
    end=START + timedelta(minutes=45),
    time_zone="Europe/Berlin",
    all_day=False,
    recurrence=(),
)
WEEKLY = replace(MEETING, recurrence=("RRULE:FREQ=WEEKLY",))
CAPABILITIES = {
    "title",
    "agenda",
    "time",
    "recurrence",
    "occurrence",
    "invitees",
    "read",
    "restore",
    "join_url",
}


@dataclass(frozen=True)
class Failure:
    """What the system does instead of answering. `after_acting`: it has done what it was asked for."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "SECRET-BODY"
    silent: bool = False
    after_acting: bool = False


Connect = Callable[[float], Provider]


class SharedInMemory:
    """What the workers of an account share, in a test."""

    def __init__(self) -> None:
        self.text = ""
        self._lock = threading.Lock()

    def change(self, body: Callable[[str, float], str]) -> str:
        with self._lock:
            self.text = body(self.text, time.time())
            return self.text


def context(read_s: float) -> Context:
    """A provider's surroundings, as patient as said."""
    return Context(connect_s=read_s, read_s=read_s, shared=SharedInMemory())


Fail = Callable[[Failure], None]
State = Callable[[], str]
Calls = Callable[[], int]

STATUSES: list[tuple[int, type[SyncError]]] = [
    (400, Refused),
    (401, AuthFailed),
    (403, AuthFailed),
    (404, Gone),
    (410, Gone),
    (409, Refused),
    (422, Refused),
    (423, Transient),
    (500, Transient),
    (502, Transient),
    (503, Transient),
]

FAILURES = [
    *(Failure(status) for status, error in STATUSES if error is not Gone),
    Failure(302, {"Location": "http://127.0.0.1/SECRET"}),
    Failure(429, {"X-Note": "SECRET"}),
    Failure(200),
]


def waits() -> list[Mapping[str, str]]:
    at = datetime.now(UTC) + timedelta(seconds=90)
    return [
        {"Retry-After": "90"},
        {"Retry-After": format_datetime(at, usegmt=True)},
        {"Retry-After": at.isoformat(timespec="seconds")},
        {"X-RateLimit-Reset": str(int(at.timestamp()))},
    ]


def _another(target: Target, name: str) -> Target:
    return replace(target, key=ConferenceKey(target.key.provider, name))


class ProviderContract:
    """The promises. Inherit, under a name that begins with Test."""

    CALLS = ("read", "update", "delete")
    meanings: ClassVar[Mapping[int, type[SyncError] | None]] = {}
    tries: ClassVar[Mapping[int, int]] = {}

    @pytest.fixture
    def provider(self, connect: Connect) -> Provider:
        return connect(PATIENT_S)

    @pytest.fixture
    def impatient(self, connect: Connect) -> Provider:
        return connect(IMPATIENT_S)

    def call(self, name: str, provider: Provider, target: Target) -> object:
        if name == "read" and not _reads(provider):
            pytest.skip("it cannot be read")
        if name == "update":
            return provider.update(target, MEETING)
        return getattr(provider, name)(target)

    def calls_of(self, provider: Provider) -> Sequence[str]:
        return [name for name in self.CALLS if name != "read" or _reads(provider)]

    # --- what it says of itself ---

    def test_it_says_what_it_can_do_in_words_we_know(self, provider: Provider) -> None:
        assert provider.capabilities <= CAPABILITIES
        assert provider.name
        assert provider.system.provider == provider.name
        assert 0 < provider.call_s < math.inf, "call_s is how many seconds a call may take"

    def test_its_own_events_are_recognised(
        self, provider: Provider, target: Target, events: Sequence[dict[str, object]]
    ) -> None:
        for conference_data in events:
            recognised = recognise(_carried(conference_data), (provider.system, *KNOWN))
            assert recognised is not None
            assert recognised.key == target.key

    def test_look_alikes_are_not_its_own(
        self, provider: Provider, look_alikes: Sequence[dict[str, object]]
    ) -> None:
        for conference_data in look_alikes:
            assert recognise(_carried(conference_data), (provider.system,)) is None, conference_data

    def test_an_address_that_only_resembles_its_own_is_not_its_own(
        self, provider: Provider, events: Sequence[dict[str, object]]
    ) -> None:
        for uri in _links(events, provider.system):
            for elsewhere in _resembling(uri, provider.system.hosts):
                assert recognise(_at(elsewhere), (provider.system,)) is None, elsewhere

    def test_recognition_depends_on_nothing_but_the_event(
        self, provider: Provider, events: Sequence[dict[str, object]], calls: Calls
    ) -> None:
        before = calls()
        for conference_data in events:
            carried = _carried(conference_data)
            assert recognise(carried, (provider.system,)) == recognise(carried, (provider.system,))
        assert isinstance(provider.system, System)
        assert calls() == before, "recognising is no reason to call anybody"

    def test_recognition_is_quick_whatever_an_event_says(self, provider: Provider) -> None:
        """Longer and longer, so that a pattern like (x+)+ is found out before it takes for ever."""
        root = _root((provider.system.hosts or ("acme.example",))[0])
        for filler in ("a", "7", "/", "a/", "-", "%41"):
            for length in range(2, 600, 2):
                carried = _at(f"{root}/{(filler * length)[:length]}!")
                started = time.thread_time()  # of this thread's own work: a busy machine adds nothing
                recognise(carried, (provider.system,))
                assert time.thread_time() - started < 1, "a pattern of its system takes ever longer"

    # --- what it does ---

    def test_an_update_sets_what_it_says_it_applied(self, provider: Provider, target: Target) -> None:
        outcome = provider.update(target, MEETING)
        assert outcome.changed
        assert set(outcome.applied) <= provider.capabilities
        if _reads(provider):
            actual = provider.read(target)
            assert actual is not None
            assert actual.equals(MEETING)

    def test_an_update_made_twice_is_an_update_made_once(
        self, provider: Provider, target: Target, state: State
    ) -> None:
        provider.update(target, MEETING)
        once = state()
        provider.update(target, MEETING)
        assert state() == once

    def test_what_it_cannot_express_it_ignores_aloud(self, provider: Provider, target: Target) -> None:
        outcome = provider.update(target, WEEKLY)
        told = "recurrence" in (outcome.applied if "recurrence" in provider.capabilities else outcome.ignored)
        assert told
        assert not set(outcome.ignored) & set(outcome.applied)

    def test_a_deleted_conference_is_gone_and_deleting_it_again_is_success(
        self, provider: Provider, target: Target
    ) -> None:
        assert provider.delete(target).changed
        assert not provider.delete(target).changed
        if _reads(provider):
            assert provider.read(target) is None

    def test_it_remembers_no_conference_between_calls(
        self, connect: Connect, provider: Provider, target: Target
    ) -> None:
        """Another worker, or a person, may have been there since."""
        provider.update(target, MEETING)
        if _reads(provider):
            assert provider.read(target) is not None
        connect(PATIENT_S).delete(target)
        if _reads(provider):
            assert provider.read(target) is None
        with pytest.raises(Gone):
            provider.update(target, MEETING)
        assert not provider.delete(target).changed

    def test_a_conference_that_never_was_is_gone(self, provider: Provider, target: Target) -> None:
        never = _another(target, target.id[:-1] + "0")
        if _reads(provider):
            assert provider.read(never) is None
        assert not provider.delete(never).changed
        with pytest.raises(Gone):
            provider.update(never, MEETING)

    def test_one_call_leaves_other_conferences_alone(
        self, provider: Provider, target: Target, state: State
    ) -> None:
        before = state()
        never = _another(target, target.id[:-1] + "0")
        provider.delete(never)
        assert state() == before

    def test_an_id_that_is_a_path_does_not_lead_elsewhere(
        self, provider: Provider, target: Target, state: State
    ) -> None:
        before = state()
        for name in (f"x/../{target.id}", "..", ".", "", f"{target.id}?x=", f"{target.id}#x"):
            climbing = _another(target, name)
            for call in self.calls_of(provider):
                try:
                    self.call(call, provider, climbing)
                except (Gone, Refused):
                    continue
        assert state() == before

    # --- what it makes of trouble ---

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize(("status", "error"), STATUSES)
    def test_a_status_is_one_error_and_is_not_tried_again(
        self,
        provider: Provider,
        target: Target,
        fail: Fail,
        calls: Calls,
        call: str,
        status: int,
        error: type[SyncError],
    ) -> None:
        fail(Failure(status))
        before = calls()
        meant = self.meanings.get(status, error)
        if meant is None:
            self.call(call, provider, target)
        elif meant is Gone and call != "update":
            assert not getattr(self.call(call, provider, target), "changed", False)
        else:
            with pytest.raises(SyncError) as caught:
                self.call(call, provider, target)
            assert type(caught.value) is meant
        assert calls() == before + self.tries.get(status, 1), "trying again is not the provider's business"

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("form", range(4))
    def test_a_limit_says_how_long(
        self, provider: Provider, target: Target, fail: Fail, call: str, form: int
    ) -> None:
        fail(Failure(429, waits()[form]))
        with pytest.raises(RateLimited) as caught:
            self.call(call, provider, target)
        assert caught.value.retry_after_s is not None
        assert 80 <= caught.value.retry_after_s <= 90

    @pytest.mark.parametrize("call", CALLS)
    def test_a_limit_may_say_nothing_of_how_long(
        self, provider: Provider, target: Target, fail: Fail, call: str
    ) -> None:
        fail(Failure(429))
        with pytest.raises(RateLimited) as caught:
            self.call(call, provider, target)
        assert caught.value.retry_after_s is None

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("after_acting", [False, True])
    def test_silence_is_a_timeout_and_ends_in_time(
        self, impatient: Provider, target: Target, fail: Fail, call: str, after_acting: bool
    ) -> None:
        fail(Failure(silent=True, after_acting=after_acting))
        started = time.monotonic()
        with pytest.raises(Timeout) as caught:
            self.call(call, impatient, target)
        assert time.monotonic() - started < IMPATIENT_S + BUSY_S
        assert target.id not in str(caught.value)

    def test_a_lost_answer_is_made_good_by_the_same_call(
        self, provider: Provider, impatient: Provider, target: Target, fail: Fail
    ) -> None:
        fail(Failure(silent=True, after_acting=True))
        with pytest.raises(Timeout):
            impatient.update(target, MEETING)
        provider.update(target, MEETING)
        if _reads(provider):
            actual = provider.read(target)
            assert actual is not None
            assert actual.equals(MEETING)
        fail(Failure(silent=True, after_acting=True))
        with pytest.raises(Timeout):
            impatient.delete(target)
        assert not provider.delete(target).changed

    @pytest.mark.parametrize("body", ["<html>SECRET</html>", "[]", "SECRET", '{"id": "SECRET"', "\ufffd"])
    def test_an_answer_that_is_none_proves_nothing(
        self, provider: Provider, target: Target, fail: Fail, body: str
    ) -> None:
        for call in self.calls_of(provider):
            fail(Failure(200, body=body))
            with pytest.raises(Transient):
                self.call(call, provider, target)

    def test_a_page_that_says_200_is_no_answer_to_a_deletion(
        self, provider: Provider, target: Target, fail: Fail
    ) -> None:
        """Nor to an update: a proxy's page of greeting would make a success of what may never have been."""
        for call in (each for each in self.calls_of(provider) if each != "read"):
            fail(Failure(200, body="<html>SECRET</html>", after_acting=True))
            with pytest.raises(Transient):
                self.call(call, provider, target)

    @pytest.mark.parametrize("body", ["{}", '{"title": null, "start": 5, "end": []}', '{"error": "SECRET"}'])
    def test_an_answer_about_something_else_is_not_the_conference(
        self, provider: Provider, target: Target, fail: Fail, body: str
    ) -> None:
        if not _reads(provider):
            pytest.skip("it cannot be read")
        fail(Failure(200, body=body))
        with pytest.raises(Transient):
            provider.read(target)

    @pytest.mark.parametrize("call", CALLS)
    def test_a_page_of_a_proxy_between_is_an_outage(
        self, provider: Provider, target: Target, fail: Fail, call: str
    ) -> None:
        fail(Failure(502, body="<html><h1>SECRET</h1>502 Bad Gateway</html>"))
        with pytest.raises(Transient) as caught:
            self.call(call, provider, target)
        assert not isinstance(caught.value, RateLimited), "after a 502 something may have happened"
        assert "SECRET" not in str(caught.value)

    @pytest.mark.parametrize("call", CALLS)
    def test_credentials_that_are_set_right_work_at_the_next_call(
        self, request: pytest.FixtureRequest, provider: Provider, target: Target, fail: Fail, call: str
    ) -> None:
        """In the middle of a batch: a provider that has seen a 401 must not be spoilt by it."""
        provider.update(target, MEETING)
        fail(Failure(401))
        with pytest.raises(AuthFailed):
            self.call(call, provider, target)
        _optional(request, "mend", lambda: None)()
        self.call(call, provider, target)

    def test_a_storm_of_limits_is_each_time_a_limit_and_nothing_else(
        self, provider: Provider, target: Target, fail: Fail, calls: Calls
    ) -> None:
        def ends() -> SyncError | None:
            try:
                provider.update(target, MEETING)
            except SyncError as error:
                return error
            return None

        def storm() -> None:
            for _ in range(STORM):
                fail(Failure(429, waits()[0]))

        storm()
        one_by_one = [type(ends()) for _ in range(STORM)]
        assert RateLimited in one_by_one
        storm()
        before, started = calls(), time.monotonic()
        with ThreadPoolExecutor(STORM) as workers:
            at_once = [type(each.result()) for each in [workers.submit(ends) for _ in range(STORM)]]
        assert sorted(map(repr, at_once)) == sorted(map(repr, one_by_one))
        assert calls() == before + STORM * self.tries.get(429, 1), (
            "a limit is no reason to ask again, or not to ask"
        )
        assert time.monotonic() - started < BUSY_S, "waiting is not the provider's business"

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: str(failure.status))
    def test_an_error_tells_no_secret(
        self, provider: Provider, target: Target, fail: Fail, call: str, failure: Failure
    ) -> None:
        if self.meanings.get(failure.status, Refused) in (None, Gone):
            pytest.skip("that is no error there")
        fail(failure)
        with pytest.raises(SyncError) as caught:
            self.call(call, provider, target)
        told = "".join(traceback.format_exception_only(caught.value))
        assert "SECRET" not in told
        assert target.id not in told
        assert caught.value.__cause__ is None

    def test_nothing_secret_is_logged_printed_or_shown(
        self,
        provider: Provider,
        impatient: Provider,
        target: Target,
        fail: Fail,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def ends(call: str, provider: Provider) -> None:
            try:
                self.call(call, provider, target)
            except SyncError:
                return

        with caplog.at_level(logging.INFO):
            for call in self.calls_of(provider):
                for failure in FAILURES:
                    fail(failure)
                    ends(call, provider)
                fail(Failure(silent=True))
                ends(call, impatient)
            for call in self.calls_of(provider):
                ends(call, provider)
        written = capsys.readouterr()
        assert "SECRET" not in caplog.text
        assert "SECRET" not in written.out + written.err
        assert "SECRET" not in repr(provider)


class RestSystem:
    """A plain REST API on this machine: JSON objects at their paths.

    | call                    | answer                                                        |
    |-------------------------|---------------------------------------------------------------|
    | GET                     | 200 and the object                                            |
    | PUT, PATCH, POST        | 200 and the object, with the fields of the body set           |
    | DELETE                  | 204, and it is gone                                           |
    | any, and nothing there  | 404 and an error                                              |

    It asks for no credentials. What else yours does, a subclass says by overriding `act`.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, object]] = {}
        self.calls: list[tuple[str, str]] = []  # method and path, oldest first
        self._failures: list[Failure] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()

    def fail(self, failure: Failure) -> None:
        """Make the next call fail; called again, the one after it."""
        self._failures.append(failure)

    def state(self) -> str:
        return json.dumps(self.objects, sort_keys=True)

    def act(self, method: str, path: str, body: dict[str, object]) -> tuple[int, dict[str, object] | None]:
        """What a call does, and its answer: a status, and an object or nothing."""
        if path not in self.objects:
            return 404, {"error": "there is no such thing"}
        if method == "DELETE":
            del self.objects[path]
            return 204, None
        if method in ("PUT", "PATCH", "POST"):
            self.objects[path].update(body)
        return 200, self.objects[path]

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, Mapping[str, str], bytes] | None:
        """A status, headers and a body; None for silence."""
        with self._lock:
            self.calls.append((method, path))
            failure = self._failures.pop(0) if self._failures else None
            answer: tuple[int, dict[str, object] | None] = (0, None)
            if failure is None or failure.after_acting:
                answer = self.act(method, path, json.loads(body or b"{}"))
        if failure is None:
            status, told = answer
            return status, {}, b"" if told is None else json.dumps(told).encode()
        if failure.silent:
            self._over.wait(PATIENT_S)
            return None
        return failure.status, failure.headers, failure.body.encode()

    def _handler(system) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = system._answer(self.command, self.path, body)
                if answer is None:
                    return
                status, headers, content = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, *_: object) -> None:
                """Silent."""

        return Handler


class RestContract(ProviderContract):
    """The promises, kept against a plain REST API that the kit has. Say `path`, `link` and how to `build`.

    `path` is where the API keeps a conference, `link` where one joins it; both with `{id}`. A link that begins
    with `/` is at the API's own host.
    """

    path = ""
    link = ""
    id = "314159265"
    name = ""  # of the solution in an event, where the provider recognises by name
    fields: ClassVar[Mapping[str, object]] = {
        "title": "Ours",
        "start": "2030-01-01T10:00:00Z",
        "end": "2030-01-01T11:00:00Z",
    }

    def build(self, url: str, context: Context) -> Provider:
        """The provider, for an API at this URL."""
        raise NotImplementedError("say how your provider is built")

    @pytest.fixture
    def system(self) -> Iterator[RestSystem]:
        with RestSystem() as system:
            for name in (self.id, self.id[::-1]):
                system.objects[self.path.format(id=name)] = dict(self.fields)
            yield system

    @pytest.fixture
    def connect(self, system: RestSystem) -> Connect:
        return lambda read_s: self.build(system.url, context(read_s))

    @pytest.fixture
    def target(self, provider: Provider) -> Target:
        return Target(ConferenceKey(provider.name, self.id))

    @pytest.fixture
    def state(self, system: RestSystem) -> State:
        return system.state

    @pytest.fixture
    def calls(self, system: RestSystem) -> Calls:
        return lambda: len(system.calls)

    @pytest.fixture
    def fail(self, system: RestSystem) -> Fail:
        return system.fail

    @pytest.fixture
    def events(self, system: RestSystem) -> list[dict[str, object]]:
        return [self._conference_data(system, self.link)]

    @pytest.fixture
    def look_alikes(self, system: RestSystem) -> list[dict[str, object]]:
        return [self._conference_data(system, f"https://evil.example{urlsplit(self.link).path}")]

    def _conference_data(self, system: RestSystem, link: str) -> dict[str, object]:
        uri = link.format(id=self.id)
        return {
            "conferenceSolution": {"key": {"type": "addOn"}, "name": self.name},
            "entryPoints": [
                {"entryPointType": "video", "uri": f"{system.url}{uri}" if uri.startswith("/") else uri}
            ],
        }


def _reads(provider: Provider) -> bool:
    return "read" in provider.capabilities


def _optional(request: pytest.FixtureRequest, name: str, otherwise: Callable[[], None]) -> Callable[[], None]:
    """A fixture that need not be there. One of this class would hide that of the module."""
    try:
        found: Callable[[], None] = request.getfixturevalue(name)
    except pytest.FixtureLookupError:
        return otherwise
    return found


def _links(events: Sequence[dict[str, object]], system: System) -> list[str]:
    """The addresses in events that the system is recognised by."""
    carried = [each for data in events if (each := _carried(data))]
    uris = {uri for each in carried for uri in each.uris}
    return sorted(uri for uri in uris if recognise(_at(uri), (system,)))


def _at(uri: str) -> events_.Carried | None:
    return _carried({"entryPoints": [{"entryPointType": "video", "uri": uri}]})


def _root(host: str) -> str:
    return f"{'http' if LOOPBACK.fullmatch(host.partition(':')[0]) else 'https'}://{host}"


def _resembling(uri: str, hosts: Sequence[str]) -> list[str]:
    """Addresses of somebody else's that look much like this one."""
    parts = urlsplit(uri)
    host, _, port = parts.netloc.partition(":")
    rest = parts._replace(scheme="", netloc="").geturl()
    named = f":{port}" if port else ""
    resembling = [
        f"https://{host}.evil.example{named}{rest}",
        f"https://evil.example/?x={uri}",
        f"https://evil.example/{uri}",
        f"https://evil.example#{uri}",
        f"https://{parts.netloc}@evil.example{rest}",
        f"{parts.scheme}://user@{parts.netloc}{rest}",
        f"{parts.scheme}://evil.example\\@{parts.netloc}{rest}",
        f"{parts.scheme}://{host}:{int(port or 443) ^ 1}{rest}",
        f"ftp://{parts.netloc}{rest}",
    ]
    if not LOOPBACK.fullmatch(host):
        resembling.append(f"http://{parts.netloc}{rest}")
    for name in hosts:
        if not LOOPBACK.fullmatch(name.partition(":")[0]):
            resembling += [f"https://evil-{name}{rest}", f"https://evil.{name.rpartition('.')[2]}{rest}"]
    return resembling


def _carried(conference_data: dict[str, object]) -> events_.Carried | None:
    parsed = events_.parse(
        {
            "id": "e1",
            "organizer": {"self": True},
            "start": {"dateTime": "2030-03-04T09:30:00Z"},
            "end": {"dateTime": "2030-03-04T10:00:00Z"},
            "conferenceData": conference_data,
        }
    )
    assert isinstance(parsed, Event)
    return parsed.carried
