"""The registry finds providers by name, imports none that nobody asked for, and tells problems in sentences."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from sync.account import Account
from sync.conferences import Context, Secret
from sync.conferences.demo import Demo
from sync.conferences.registry import Registry
from sync.errors import AuthFailed, Misconfigured, SyncError, Transient
from sync.event import Carried
from sync.ports import Outcome, Target
from sync.recognise import ConferenceKey, recognise
from sync.settings import AccountSettings, ProviderSettings, SecretPlace

ZOOM = "projects/p/secrets/zoom"
URL = {"url": "http://127.0.0.1:8080"}


class Kept:
    """A Secret Manager with one secret. `refusal`: what it raises instead."""

    call_s = 5.0

    def __init__(self) -> None:
        self.texts = {ZOOM: "hush-1"}
        self.refusal: SyncError | None = None

    def read(self, name: str) -> str:
        if self.refusal:
            raise self.refusal
        return self.texts[name]


def nothing_kept() -> Kept:
    raise AssertionError("nobody has an option that is kept there")


def registry(
    secrets: Callable[[], Kept] = nothing_kept, **chosen: tuple[str, Mapping[str, object]]
) -> Registry:
    settings = [ProviderSettings(name, use, options) for name, (use, options) in chosen.items()]
    return Registry(settings, connect_s=1, read_s=2, secrets=secrets, accounts=nothing_kept)


class Elsewhere(Demo):
    """A provider that does not come with us, and has a bug."""

    name = "elsewhere"

    def delete(self, target: Target) -> Outcome:
        raise KeyError(target.id)


class Keyed(Elsewhere):
    """Shows what it was given."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        super().__init__(URL, context)
        self.options = options

    def delete(self, target: Target) -> Outcome:
        key = self.options["key"]
        assert isinstance(key, Secret)
        key.read()
        return Outcome(changed=True)


class Half:
    """Looks like a provider, and would fail at its first deletion."""

    name = "half"

    def __init__(self, options: Mapping[str, object], context: Context) -> None: ...
    def read(self) -> None: ...
    def update(self) -> None: ...


def test_a_provider_is_found_by_its_name_and_kept() -> None:
    conferences = registry(demo=("demo", URL))
    provider = conferences.provider("demo")
    assert provider.capabilities == Demo.capabilities
    assert provider.call_s == 1 + 2
    assert conferences.provider("demo") is provider


def test_a_provider_may_live_in_any_module() -> None:
    provider = registry(demo=(f"{__name__}:Elsewhere", URL)).provider("demo")
    assert provider.name == "elsewhere"


def test_a_provider_with_a_bug_fails_like_one_that_is_out_of_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    provider = registry(demo=(f"{__name__}:Elsewhere", URL)).provider("demo")
    with pytest.raises(Transient, match="KeyError"):
        provider.delete(Target(ConferenceKey("demo", "c-1")))
    assert '"message":"bug"' in capsys.readouterr().out


def test_its_conferences_are_known_by_the_name_it_was_given() -> None:
    system = registry(rooms=("demo", URL)).rules().systems[0]
    assert (system.provider, system.hosts) == ("rooms", ("127.0.0.1:8080",))


@pytest.mark.parametrize("name", ["jitsi", "whereby", "zoom"])
def test_a_provider_has_its_name_for_itself(name: str) -> None:
    """The world's rooms of that name, at hosts that are not its own, must not be taken for its own."""
    links = {
        "jitsi": "https://meet.jit.si/standup",
        "whereby": "https://whereby.com/standup",
        "zoom": "https://zoom.us/j/94153040095",
    }
    seen = Carried("addOn", "Anything", "", "", "", (links[name],))
    assert recognise(seen, registry(other=("demo", URL)).rules().systems) is not None
    assert recognise(seen, registry(**{name: ("demo", URL)}).rules().systems) is None


def test_a_provider_that_nobody_asked_for_is_not_imported() -> None:
    program = (
        "import sys; from sync.conferences.registry import Registry; from sync.settings import ProviderSettings\n"
        "chosen = [ProviderSettings('demo', 'demo'), ProviderSettings('other', 'json:JSONDecoder')]\n"
        "try: Registry(chosen, connect_s=1, read_s=1, secrets=list, accounts=list).provider('other')\n"
        "except TypeError: sys.exit('sync.conferences.demo' in sys.modules or 'urllib3' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0


@pytest.mark.parametrize(
    ("use", "options", "sentence"),
    [
        ("dmo", URL, "dmo is not a provider that comes with us or is installed; did you mean demo?"),
        ("http", URL, "http is not a provider that comes with us or is installed."),
        ("demo", {}, "options are exactly one: url, the root of the conference service."),
        ("demo", {"url": "ftp://x"}, "a provider's URL is not of the form https://host/path"),
        ("no_such_module:Demo", URL, "no_such_module cannot be imported: No module named 'no_such_module'."),
        ("sync.conferences.demo:Dmo", URL, "sync.conferences.demo has no class Dmo; did you mean Demo?"),
        (
            "sync.conferences.demo:suppress_",
            URL,
            "sync.conferences.demo has no class suppress_.",
        ),
        (f"{__name__}:URL", URL, f"{__name__} has no class URL."),
        (
            f"{__name__}:Half",
            URL,
            f"{__name__}:Half is no provider: it has no system, capabilities, call_s, delete.",
        ),
    ],
)
def test_a_problem_is_a_sentence_that_names_the_provider(
    use: str, options: Mapping[str, object], sentence: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        registry(rooms=(use, options)).provider("rooms")
    assert caught.value.problems == (f"SYNC_CONFERENCES, provider rooms: {sentence}",)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        registry(one=("dmo", URL), two=("demo", URL), three=("demo", {})).rules()
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "SYNC_CONFERENCES, provider one",
        "SYNC_CONFERENCES, provider three",
    ]


def test_a_name_that_is_not_configured_is_told_with_the_nearest() -> None:
    with pytest.raises(Misconfigured) as caught:
        registry(rooms=("demo", URL)).provider("room")
    assert caught.value.problems == ("No provider room is configured; did you mean rooms?",)


# --- Options that are kept elsewhere ---


def keyed(secrets: Kept, key: object) -> Any:
    options = {"key": key}
    return registry(lambda: secrets, acme=(f"{__name__}:Keyed", options)).provider("acme")


def test_a_secret_is_what_it_is_at_the_time_of_the_call() -> None:
    secrets = Kept()
    key = keyed(secrets, SecretPlace(secret=ZOOM)).options["key"]
    assert key.read() == "hush-1"
    secrets.texts[ZOOM] = "hush-2"
    assert key.read() == "hush-2"


def test_a_secret_may_be_a_file_and_lie_deep(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush-1\n")
    place = SecretPlace(file=str(tmp_path / "key"))
    key = keyed(Kept(), {"example.com": [place, "plain"]}).options["key"]["example.com"][0]
    assert key.read() == "hush-1"
    (tmp_path / "key").write_text("hush-2\n")
    assert key.read() == "hush-2"


def test_a_secret_shows_where_it_is_kept_and_not_what_it_is() -> None:
    provider = keyed(Kept(), SecretPlace(secret=ZOOM))
    provider.options["key"].read()
    assert repr(provider.options) == f"{{'key': Secret({ZOOM})}}"
    assert "hush" not in repr(vars(provider.options["key"]))


def test_a_secret_that_we_cannot_have_is_the_trouble_of_its_provider_alone() -> None:
    secrets = Kept()
    secrets.refusal = Misconfigured([f"This account may not read {ZOOM}."])
    provider = keyed(secrets, SecretPlace(secret=ZOOM))
    with pytest.raises(AuthFailed, match=f"This account may not read {ZOOM}"):
        provider.delete(Target(ConferenceKey("acme", "c-1")))


def test_a_secret_manager_that_is_out_of_order_passes() -> None:
    secrets = Kept()
    secrets.refusal = Transient("Secret Manager did not tell")
    with pytest.raises(Transient, match="Secret Manager did not tell"):
        keyed(secrets, SecretPlace(secret=ZOOM)).delete(Target(ConferenceKey("acme", "c-1")))


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file or directory"), (b"\xff", "it is not UTF-8 text"), (b"\n", "is empty")],
)
def test_a_file_without_a_secret_is_the_trouble_of_its_provider_alone(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(AuthFailed, match=why):
        keyed(Kept(), SecretPlace(file=str(tmp_path / "key"))).delete(Target(ConferenceKey("acme", "c-1")))


def test_the_time_of_a_call_has_room_for_reading_a_secret() -> None:
    plain = keyed(Kept(), "plain").call_s
    assert keyed(Kept(), SecretPlace(secret=ZOOM)).call_s == plain + Kept.call_s
    assert keyed(Kept(), [{"deep": SecretPlace(secret=ZOOM)}]).call_s == plain + Kept.call_s
    assert keyed(Kept(), SecretPlace(file="/key")).call_s == plain


# --- Accounts ---


class Wired(Demo):
    """Shows what it was built with."""

    name = "wired"
    capabilities = frozenset({"title", "time", "read", "agenda", "occurrence"})

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        super().__init__(URL, context)
        self.options, self.context = options, context


class Book:
    """Accounts in memory."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}

    def change_account(self, name: str, body: Callable[[Account, float], Account]) -> Account:
        self.accounts[name] = body(self.accounts.get(name, Account(name)), 5.0)
        return self.accounts[name]


def wired(book: Book, **more: Any) -> Registry:
    accounts = (
        AccountSettings("emea", frozenset({"emea.example.com"}), {"tenant": "t-1"}),
        AccountSettings("rest", frozenset({"*"}), {"tenant": "t-2", "region": "us"}),
    )
    chosen = ProviderSettings(
        "rooms", f"{__name__}:Wired", {"region": "eu"}, **({"accounts": accounts} | more)
    )
    return Registry([chosen], connect_s=1, read_s=2, secrets=nothing_kept, accounts=lambda: book)


def test_each_account_is_a_provider_of_its_own_with_the_common_options() -> None:
    registry = wired(Book())
    assert registry.provider("rooms", "emea").options == {"region": "eu", "tenant": "t-1"}  # type: ignore[attr-defined]
    assert registry.provider("rooms", "rest").options == {"region": "us", "tenant": "t-2"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("account", ["", "emeaa"])
def test_an_account_that_the_settings_do_not_have_is_refused_by_name(account: str) -> None:
    with pytest.raises(Misconfigured, match=r"provider rooms.*has no such account"):
        wired(Book()).provider("rooms", account)


def test_the_rules_say_who_looks_after_whom_and_what_is_told() -> None:
    rules = wired(Book(), tell=frozenset({"agenda"})).rules()
    assert [(each.account, each.organizers) for each in rules.accounts["rooms"]] == [
        ("emea", {"emea.example.com"}),
        ("rest", {"*"}),
    ]
    assert (rules.details, rules.occurrences) == ({"rooms": {"agenda"}}, {"rooms"})
    assert wired(Book(), accounts=()).rules().accounts == {}


def test_what_a_provider_cannot_take_is_not_promised_to_it() -> None:
    with pytest.raises(Misconfigured, match="provider rooms: it cannot be told the invitees of a meeting"):
        wired(Book(), tell=frozenset({"invitees"})).rules()


def test_links_are_written_back_of_providers_that_tell_them_and_are_wanted() -> None:
    assert wired(Book()).rules().written_back == frozenset()
    with pytest.raises(Misconfigured, match="provider rooms: it never tells a join URL"):
        wired(Book(), write_back=True).rules()


def test_what_workers_share_is_in_the_record_of_their_account() -> None:
    book = Book()
    shared = wired(book).provider("rooms", "emea").context.shared  # type: ignore[attr-defined]
    assert shared.change(lambda text, now: f"{text}{now}") == "5.0"
    assert book.accounts["rooms:emea"].shared == "5.0"


def test_a_provider_that_a_package_offers_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = EntryPoint("rooms", f"{__name__}:Wired", "sync.providers")
    monkeypatch.setattr(
        "sync.conferences.registry.entry_points", lambda group: EntryPoints([offered]).select(group=group)
    )
    assert registry(rooms=("rooms", {})).provider("rooms").name == "wired"
    with pytest.raises(Misconfigured, match="did you mean rooms"):
        registry(rooms=("room", {})).provider("rooms")
