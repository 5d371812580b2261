"""One provider, tried with the worker's settings up to a call. Nothing is ever deleted."""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from sync import wiring
from sync.cli.desk import Wrong
from sync.cli.doctor.check import FAILED, OK, SKIPPED, Check
from sync.conferences.registry import Registry
from sync.errors import (
    AuthFailed,
    Gone,
    Misconfigured,
    RateLimited,
    Refused,
    SyncError,
    Timeout,
    Transient,
    Unsupported,
)
from sync.meeting import Meeting
from sync.ports import Actual, Provider, Target
from sync.recognise import ConferenceKey, joined_at
from sync.settings import ProviderSettings, Settings


def checks(arguments: Namespace) -> Iterator[Check]:
    try:
        chosen, registry, _ = wiring.worker_settings(os.environ)
    except Exception as error:
        yield failed("settings", "read the worker's settings", error)
        return
    settings = _provider_settings(chosen, arguments)
    yield Check("settings", OK, f"read the worker's settings: {settings.name} is {settings.use}")
    options = registry.options(settings.name, arguments.account)
    secrets = [_secret("secrets", secret) for secret in _secrets_in(options)]
    yield from secrets or [Check("secrets", OK, "no option is kept elsewhere")]
    if any(check.result == FAILED for check in secrets):
        return
    provider = registry.provider(settings.name, arguments.account)
    yield _token("token", provider, arguments.conference)
    if not arguments.conference:
        yield Check("read", SKIPPED, "name a conference with --conference")
        yield Check("update", SKIPPED, "name a conference with --conference")
        return
    target = _target(provider, settings.name, arguments)
    read, actual = _read(provider, target)
    yield read
    yield _update(provider, target, actual, arguments, chosen)


def credentials(registry: Registry, settings: ProviderSettings) -> Iterator[Check]:
    """Whether each of its accounts would get in, without a conference to try it on."""
    for account in [each.name for each in settings.accounts] or [""]:
        name = f"provider {settings.name}{account and f' {account}'}"
        options = registry.options(settings.name, account)
        missing = [check for each in _secrets_in(options) if (check := _secret(name, each)).result == FAILED]
        yield from missing or [_token(name, registry.provider(settings.name, account), "")]


# --- Settings and secrets ---


def _provider_settings(chosen: Settings, arguments: Namespace) -> ProviderSettings:
    """What the settings say of the provider. Raises Wrong for one, or an account, that they do not have."""
    providers = {each.name: each for each in chosen.providers}
    if arguments.provider not in providers:
        raise Wrong(
            f"no provider {arguments.provider!r} is in SYNC_CONFERENCES",
            _one_of("--provider", arguments.provider, providers),
        )
    settings = providers[arguments.provider]
    accounts = [each.name for each in settings.accounts]
    if arguments.account not in (accounts or [""]):
        named = repr(arguments.account) if arguments.account else "none"
        raise Wrong(
            f"{settings.name} has accounts, and {named} is not among them"
            if accounts
            else f"{settings.name} has no accounts",
            _one_of("--account", arguments.account, accounts) if accounts else "leave --account out",
        )
    return settings


def _one_of(option: str, name: str, known: Mapping[str, object] | list[str]) -> str:
    if near := get_close_matches(name, known, n=1, cutoff=0.4):
        return f"{option} {near[0]}"
    return (
        f"{option} is one of: {', '.join(known)}" if known else "docs/settings.md explains SYNC_CONFERENCES"
    )


def _secrets_in(option: object) -> Iterator[Any]:
    """Every Secret, however deep it lies."""
    from sync.conferences import Secret

    match option:
        case Secret():
            yield option
        case Mapping():
            yield from (secret for value in option.values() for secret in _secrets_in(value))
        case list():
            yield from (secret for value in option for secret in _secrets_in(value))


def _secret(name: str, secret: Any) -> Check:
    tried = f"read {secret!r}"
    try:
        secret.read()
    except Exception as error:
        check = failed(name, tried, error)
        return replace(check, fix="add a version or the file, and let the worker's identity read it")
    return Check(name, OK, tried)


# --- Calls ---


def _token(name: str, provider: Provider, conference: str) -> Check:
    """A provider may have `check() -> str`: one harmless call that proves credentials and scopes."""
    check: Callable[[], str] | None = getattr(provider, "check", None)
    if check is None:
        instead = "reading says it" if conference else "name a conference: reading it says as much"
        return Check(name, SKIPPED, f"this provider has no check of its own; {instead}")
    try:
        return Check(name, OK, check())
    except Exception as error:
        return failed(name, "tried its credentials", error)


def _target(provider: Provider, name: str, arguments: Namespace) -> Target:
    """The conference that was named. Raises Wrong for a URL that is not of this system."""
    told: str = arguments.conference
    if "://" not in told:
        return Target(ConferenceKey(name, told), organizer=arguments.organizer)
    found = joined_at(told, (provider.system,))
    if found is None:
        raise Wrong(
            f"--conference is no URL that {name} joins its conferences at", "name the conference by its id"
        )
    if found.personal:
        raise Wrong(
            "--conference leads to a personal room, which is never touched", "name another conference"
        )
    return Target(ConferenceKey(name, found.key.id), locator=told, organizer=arguments.organizer)


def _read(provider: Provider, target: Target) -> tuple[Check, Actual | None]:
    if "read" not in provider.capabilities:
        return Check("read", SKIPPED, "this provider cannot read"), None
    tried = "read the conference"
    try:
        actual = provider.read(target)
    except Exception as error:
        return failed("read", tried, error), None
    if actual is None:
        return failed("read", tried, Gone("it is not there")), None
    says = [name for name in ("title", "start", "end") if getattr(actual, name) is not None]
    return Check("read", OK, f"{tried}: it tells {', '.join(says) or 'that it is there'}"), actual


def _update(
    provider: Provider, target: Target, actual: Actual | None, arguments: Namespace, chosen: Settings
) -> Check:
    """Set what was read, so that nothing changes; where that cannot be known, leave it."""
    why = _not_to_be_updated(provider, actual, arguments, chosen)
    if why or actual is None or actual.start is None or actual.end is None:
        return Check("update", SKIPPED, why)
    zone = actual.time_zone or "UTC"
    in_zone = "" if actual.time_zone else ", in UTC as it tells no zone"
    tried = f"set title and times to what was read{in_zone}"
    meeting = Meeting(actual.title or "", actual.start, actual.end, zone, all_day=False, recurrence=())
    try:
        outcome = provider.update(target, meeting)
        after = provider.read(target)
    except Unsupported as error:
        return Check("update", SKIPPED, f"{tried}: the system cannot express that: {error}")
    except Exception as error:
        return failed("update", tried, error)
    if after is None or not after.equals(meeting):
        fix = "the provider did not set what it was told: compare its page in docs/providers"
        return Check("update", FAILED, f"{tried}: it reads otherwise now", fix)
    ignored = f"; ignored: {', '.join(outcome.ignored)}" if outcome.ignored else ""
    return Check("update", OK, f"{tried}: it reads as before{ignored}")


def _not_to_be_updated(
    provider: Provider, actual: Actual | None, arguments: Namespace, chosen: Settings
) -> str:
    """Why an update might change something; empty if it cannot."""
    if chosen.observing:
        return "SYNC_MODE is observe"
    if actual is None:
        return "what cannot be read cannot be set to what it was"
    if actual.title is None or actual.start is None or actual.end is None:
        return "the system does not tell title, start and end: setting them would change them"
    if "recurrence" in provider.capabilities and not arguments.single:
        return "the conference may repeat, and would not any more; with --single you say that it does not"
    return ""


# --- What went wrong ---


def failed(name: str, tried: str, error: Exception) -> Check:
    if isinstance(error, SyncError):
        return Check(name, FAILED, f"{tried}: {error}", _fix(error))
    # Somebody else's code: what it says may hold anything.
    told = f"{tried}: a provider fails with {type(error).__name__}"
    return Check(name, FAILED, told, "that is a bug in it: prove it with sync.testing.ProviderContract")


def _fix(error: SyncError) -> str:
    match error:
        case Misconfigured():
            return "docs/settings.md explains each variable, `python -m sync config` lists every problem"
        case AuthFailed():
            return "renew the credentials, or grant them the scopes that its page in docs/providers lists"
        case Gone():
            return "check the id; it may be over, deleted, or another account's"
        case Transient(retry_after_s=float(wait_s)):
            return f"wait {wait_s:.0f} seconds and try again"
        case RateLimited():
            return "wait some minutes and try again"
        case Timeout() | Transient():
            return "try again; see whether its host answers from this machine, and its status page"
        case Refused():
            return "the system refuses this conference or request for good: see its page in docs/providers"
    return "its page in docs/providers says what it can do"
