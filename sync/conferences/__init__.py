"""The conference systems, one file each. This page is all that the author of another one needs.

A provider is a class, built as `Class(options, connect_s=…, read_s=…)`: `options` are what SYNC_CONFERENCES says
of it, the times bound each of its calls. Its constructor opens no connection; what is wrong with its options it
raises as one Misconfigured, a sentence for each problem. One object serves many threads.

It has (ports.Provider says the same in types):

name            what it is called by default
system          how its conferences look in an event. Recognition is declared, not coded: the hosts of its join
                URLs, the pattern of their paths, the ids of its add-on. A look-alike must not match: anybody
                can write anything into an event, and what we recognise we change
capabilities    which of these it can do: title, agenda, time, recurrence, occurrence, invitees, read, restore
call_s          each call ends within this time
read            the conference as it is; None when it is gone. What the system does not tell is None in Actual
update          make it so. Sets the whole state, never a difference: once more does no harm, and a call that
                took effect late is made good by the next. What Meeting does not have it leaves alone:
                passwords, waiting rooms, hosts
delete          end it. That it was gone already is success too: Outcome(changed=False)

An Outcome tells `applied` and `ignored` by capability ("title", "time", "recurrence"). What a system cannot
express is ignored aloud; a system that can express nothing of a change raises Unsupported.

Errors say who must act; sync/errors.py has the tree. Gone: it is not there (not from delete). RateLimited: come
again later; promises that nothing was done. Transient and Timeout: what was done is not known. AuthFailed: our
credentials. Refused: never again like this. conferences/http.py turns HTTP into exactly these.

Never try again inside a call, never sleep, never remember a conference between calls: when and how often is the
ledger's business. Never let a title, a link or a secret into an error's text.

A new one goes into a file of its own here, `acme_calls.py` with the class `AcmeCalls`, and is used as
`{"use": "acme_calls"}`; or it lives in any module that can be imported, as `{"use": "module:Class"}`. Prove it
with tests/contract/provider_contract.py: inherit, and say what to test against.
"""

import pkgutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar, cast

from sync import logs
from sync.errors import Misconfigured, SyncError, Transient
from sync.ports import Provider
from sync.recognise import System
from sync.settings import ProviderSettings

T = TypeVar("T")

_CONTRACT = ("name", "system", "capabilities", "call_s", "read", "update", "delete")
_NO_PROVIDER = "http"  # what is beside the providers in this folder


class Registry:
    """The configured providers, by name. One that is not configured is not even imported."""

    def __init__(self, chosen: Iterable[ProviderSettings], *, connect_s: float, read_s: float) -> None:
        self._chosen = {each.name: each for each in chosen}
        self._times = {"connect_s": connect_s, "read_s": read_s}
        self._built: dict[str, Provider] = {}

    def provider(self, name: str) -> Provider:
        """The provider of this name, built at first use. Raises Misconfigured."""
        if name not in self._chosen:
            raise Misconfigured([f"No provider {name} is configured{_nearest(name, self._chosen)}"])
        if name not in self._built:
            self._built[name] = self._build(self._chosen[name])
        return self._built[name]

    def systems(self) -> tuple[System, ...]:
        """How to recognise their conferences. Builds all of them; raises Misconfigured with every problem."""
        systems: list[System] = []
        problems: list[str] = []
        for name in self._chosen:
            try:
                systems.append(replace(self.provider(name).system, provider=name))
            except Misconfigured as error:
                problems += error.problems
        if problems:
            raise Misconfigured(problems)
        return tuple(systems)

    def _build(self, chosen: ProviderSettings) -> Provider:
        try:
            provider = _class(chosen.use)(chosen.options, **self._times)
            if missing := [part for part in _CONTRACT if not hasattr(provider, part)]:
                raise Misconfigured([f"{chosen.use} is no provider: it has no {', '.join(missing)}."])
        except Misconfigured as error:
            where = f"SYNC_CONFERENCES, provider {chosen.name}"
            raise Misconfigured([f"{where}: {problem}" for problem in error.problems]) from None
        return cast(Provider, _Guarded(provider))


class _Guarded:
    """A provider whose bugs stop here: one that raises what it must not fails like one that is out of order."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        thing = getattr(self._provider, name)
        return _guarded(thing) if name in ("read", "update", "delete") else thing


def _guarded(call: Callable[..., T]) -> Callable[..., T]:
    def guarded(*args: object) -> T:
        try:
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
        known = {module.name for module in pkgutil.iter_modules(__path__)} - {_NO_PROVIDER}
        if use not in known:
            raise Misconfigured([f"{use} is not a provider that comes with us{_nearest(use, known)}"])
        module_name, name = f"{__name__}.{use}", use.title().replace("_", "")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise Misconfigured([f"{module_name} cannot be imported: {error}."]) from None
    if not isinstance(found := getattr(module, name, None), type):
        own = (value for value in vars(module).values() if getattr(value, "__module__", "") == module_name)
        classes = [value.__name__ for value in own if isinstance(value, type)]
        raise Misconfigured([f"{module_name} has no class {name}{_nearest(name, classes)}"])
    return cast(Callable[..., Provider], found)


def _nearest(name: str, known: Collection[str]) -> str:
    """The end of a sentence about an unknown name."""
    near = get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; did you mean {near[0]}?" if near else "."
