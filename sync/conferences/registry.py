"""The providers that the settings choose: found by name, built once for each account, and guarded."""

import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from sync import conferences, in_time, logs
from sync.account import Account, Clients, account_name
from sync.conferences import Context, Secret
from sync.errors import Misconfigured, SyncError, Timeout, Transient, nearest
from sync.ports import Provider
from sync.recognise import KNOWN, System
from sync.rules import Rules
from sync.settings import ProviderSettings, SecretPlace

T = TypeVar("T")

_CONTRACT = ("name", "system", "capabilities", "call_s", "read", "update", "delete")
_BESIDE = {  # what stands in this folder beside the providers
    *("calls", "http", "options", "own_system", "recurrence", "registry", "token", "told"),
    *("rest_template", "webex_times", "zoom_recurrence", "zoom_times"),
}
_ENTRY_POINTS = "sync.providers"


class Secrets(Protocol):
    """Secret Manager, as far as options need it."""

    call_s: float  # a reading ends within this time

    def read(self, name: str) -> str:
        """The text of `projects/…/secrets/…`. Raises Misconfigured for one that we cannot have, Transient."""


class Accounts(Protocol):
    """The store, as far as providers need it."""

    def change_account(self, name: str, body: Callable[[Account, float], Account]) -> Account:
        """See ports.Store."""


class Registry:
    """The configured providers and their accounts, by name. One that is not configured is not even imported.

    `secrets` is asked for only if an option is kept there, and `accounts` only within a call.
    """

    def __init__(
        self,
        chosen: Iterable[ProviderSettings],
        *,
        connect_s: float,
        read_s: float,
        secrets: Callable[[], Secrets],
        accounts: Callable[[], Accounts],
    ) -> None:
        self._chosen = {each.name: each for each in chosen}
        self._connect_s = connect_s
        self._read_s = read_s
        self._secrets = secrets
        self._accounts = accounts
        self._built: dict[tuple[str, str], Provider] = {}

    def provider(self, name: str, account: str = "") -> Provider:
        """One of a provider's accounts, built at first use. Raises Misconfigured."""
        if name not in self._chosen:
            raise Misconfigured([f"No provider {name} is configured{nearest(name, self._chosen)}"])
        if (name, account) not in self._built:
            self._built[name, account] = self._build(self._chosen[name], account)
        return self._built[name, account]

    def rules(self, systems: Iterable[System] = ()) -> Rules:
        """What the settings make of events; `systems` are to be recognised beside those of the providers.

        A provider has its name for itself: what else is known by that name does not count.

        Builds every account of every provider; raises Misconfigured with every problem.
        """
        built: list[tuple[ProviderSettings, Provider]] = []
        problems: list[str] = []
        for chosen in self._chosen.values():
            try:
                accounts = [self.provider(chosen.name, account) for account in _names(chosen)]
                built.append((chosen, accounts[0]))
                problems += _vain_wishes(chosen, accounts[0])
            except Misconfigured as error:
                problems += error.problems
        if problems:
            raise Misconfigured(problems)
        return Rules(
            systems=(
                *systems,
                *(replace(each.system, provider=chosen.name) for chosen, each in built),
                *(known for known in KNOWN if known.provider not in self._chosen),
            ),
            providers=frozenset(self._chosen),
            accounts={chosen.name: _clients(chosen) for chosen, _ in built if chosen.accounts},
            details={chosen.name: chosen.tell for chosen, _ in built if chosen.tell},
            occurrences=frozenset(chosen.name for chosen, each in built if "occurrence" in each.capabilities),
            written_back=frozenset(chosen.name for chosen, _ in built if chosen.write_back),
        )

    def options(self, name: str, account: str = "") -> Mapping[str, object]:
        """What one of a provider's accounts is told, its secrets ready to be read. Raises Misconfigured."""
        opened: Mapping[str, object] = self._opened(_options(self._chosen[name], account))
        return opened

    def longest_call_s(self) -> Mapping[str, float]:
        """By provider, how long a call of it may take. To be asked after `rules`."""
        return {name: provider.call_s for (name, _), provider in self._built.items()}

    def _build(self, chosen: ProviderSettings, account: str) -> Provider:
        where = f"SYNC_CONFERENCES, provider {chosen.name}"
        try:
            options = _options(chosen, account)
            provider = _class(chosen.use)(self._opened(options), self._context(chosen.name, account))
            if missing := [part for part in _CONTRACT if not hasattr(provider, part)]:
                raise Misconfigured([f"{chosen.use} is no provider: it has no {', '.join(missing)}."])
        except Misconfigured as error:
            where += f", account {account}" if account else ""
            raise Misconfigured([f"{where}: {problem}" for problem in error.problems]) from None
        # One reading: of several, the first that takes so long ends the call.
        has_secrets = any(place.secret for place in places(options))
        return cast(Provider, _Guarded(provider, self._secrets().call_s if has_secrets else 0.0))

    def _context(self, provider: str, account: str) -> Context:
        shared = _SharedText(self._accounts, account_name(provider, account))
        return Context(self._connect_s, self._read_s, shared)

    def _opened(self, option: Any) -> Any:
        """The option with a Secret wherever there is the place of one."""
        match option:
            case SecretPlace(secret="", file=path):
                return Secret(path, partial(_text, path))
            case SecretPlace(secret=name):
                return Secret(name, partial(self._secrets().read, name))
            case Mapping():
                return {key: self._opened(value) for key, value in option.items()}
            case list():
                return [self._opened(value) for value in option]
        return option


class _SharedText:
    """The text in an account's record."""

    def __init__(self, accounts: Callable[[], Accounts], name: str) -> None:
        self._accounts = accounts
        self._name = name

    def change(self, body: Callable[[str, float], str]) -> str:
        def changed(account: Account, now: float) -> Account:
            return replace(account, shared=body(account.shared, now))

        try:
            return in_time.awaited(lambda: self._accounts().change_account(self._name, changed)).shared
        except TimeoutError:
            raise Timeout("the store did not answer in time") from None


def _names(chosen: ProviderSettings) -> list[str]:
    return [account.name for account in chosen.accounts] or [""]


def _clients(chosen: ProviderSettings) -> tuple[Clients, ...]:
    return tuple(Clients(account.name, account.organizers) for account in chosen.accounts)


def _options(chosen: ProviderSettings, account: str) -> dict[str, object]:
    """What the provider is told, and its account in addition. Raises Misconfigured for an account it lacks."""
    names = _names(chosen)
    if account not in names:
        raise Misconfigured([f"it has no such account{nearest(account, names)}"])
    own = next((each.options for each in chosen.accounts if each.name == account), {})
    return {**chosen.options, **own}


def _vain_wishes(chosen: ProviderSettings, provider: Provider) -> list[str]:
    """What the settings ask of a provider that it cannot do."""
    where = f"SYNC_CONFERENCES, provider {chosen.name}"
    unable = sorted(chosen.tell - provider.capabilities)
    problems = [f"{where}: it cannot be told the {detail} of a meeting." for detail in unable]
    if chosen.write_back and "join_url" not in provider.capabilities:
        problems.append(f"{where}: it never tells a join URL, so that write_back has nothing to write.")
    return problems


def places(option: object) -> Iterator[SecretPlace]:
    """Where options are kept that the settings do not tell, however deep they lie."""
    match option:
        case SecretPlace():
            yield option
        case Mapping():
            yield from (place for value in option.values() for place in places(value))
        case list():
            yield from (place for value in option for place in places(value))


def _text(path: str) -> str:
    """What a file says now: it is as near as any memory of it. Raises Misconfigured."""
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Misconfigured([f"The file {path} cannot be read: {why}."]) from None
    if not text:
        raise Misconfigured([f"The file {path} is empty."])
    return text


class _Guarded:
    """A provider whose bugs stop here: one that raises what it must not fails like one that is out of order.

    Its calls end in time. `secrets_s`: how long it may wait for its secrets in a call, beyond its own bound.
    """

    def __init__(self, provider: Provider, secrets_s: float) -> None:
        self._provider = provider
        self.call_s = provider.call_s + secrets_s

    def __getattr__(self, name: str) -> Any:
        thing = getattr(self._provider, name)
        return _guarded(thing, self.call_s) if name in ("read", "update", "delete", "check") else thing


def _guarded(call: Callable[..., T], call_s: float) -> Callable[..., T]:
    def guarded(*args: object) -> T:
        try:
            with in_time.within(call_s):
                return call(*args)
        except SyncError:
            raise
        except Exception as error:  # somebody else's code: its bug must not stop the conferences next to it
            logs.write_bug(error)
            raise Transient(f"the provider failed in a way it should not: {type(error).__name__}") from None

    return guarded


def _class(use: str) -> Callable[..., Provider]:
    """The class that `use` names. Imports its module, and no other provider's."""
    module_name, _, name = use.partition(":")
    if not name:
        known = {module.name for module in pkgutil.iter_modules(conferences.__path__)} - _BESIDE
        offered = {point.name: point.value for point in entry_points(group=_ENTRY_POINTS)}
        if use in known:
            module_name, name = f"{conferences.__name__}.{use}", use.title().replace("_", "")
        elif use in offered:
            module_name, _, name = offered[use].partition(":")
        else:
            meant = nearest(use, known | offered.keys())
            raise Misconfigured([f"{use} is not a provider that comes with us or is installed{meant}"])
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise Misconfigured([f"{module_name} cannot be imported: {error}."]) from None
    if not isinstance(found := getattr(module, name, None), type):
        own = (value for value in vars(module).values() if getattr(value, "__module__", "") == module_name)
        classes = [value.__name__ for value in own if isinstance(value, type)]
        raise Misconfigured([f"{module_name} has no class {name}{nearest(name, classes)}"])
    return cast(Callable[..., Provider], found)
