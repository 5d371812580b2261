"""`python -m sync doctor`: try a provider with the worker's settings, up to a call, and delete nothing."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from io import StringIO
from typing import TYPE_CHECKING, Any

from sync import wiring
from sync.cli.verbs import Parser, complain
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
from sync.event import Carried
from sync.meeting import Meeting
from sync.ports import Actual, Provider, Target
from sync.recognise import ConferenceKey, recognise
from sync.settings import ProviderSettings, Settings

if TYPE_CHECKING:
    pass

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
_MARKS = {OK: "\x1b[32m✓\x1b[0m", FAILED: "\x1b[31m✗\x1b[0m", SKIPPED: "–"}
_WIDTH = len(SKIPPED)


def main(argv: list[str]) -> int:
    """Try one thing after the other. Exit code 0, 1 if a check failed, 2 for wrong arguments."""
    arguments = _arguments(argv)
    try:
        with redirect_stdout(StringIO()):  # a provider's bug writes a log record, with its stack
            checks = list(_checks(arguments))
    except _Wrong as wrong:
        complain(f"doctor: {wrong}", wrong.hint)
        return 2
    failed = [check.name for check in checks if check.result == FAILED]
    if arguments.json:
        told = [asdict(check) for check in checks]
        print(json.dumps({"provider": arguments.provider, "ok": not failed, "checks": told}))
    else:
        marked = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        for check in checks:
            print("\n".join(check.lines(marked)))
    if failed:
        complain(f"doctor: {', '.join(failed)} failed", "do what stands behind fix: and try again")
    return 1 if failed else 0


def _arguments(argv: list[str]) -> Namespace:
    parser = Parser(
        "doctor",
        "Try a provider with this environment's settings, as the worker would use it: its settings, its secrets,\n"
        "its token, and with --conference a reading and an update with what was read, which changes nothing.\n"
        "Take a conference made for this, that does not repeat. Nothing is ever deleted.\n"
        "Exit code 0 if all is well; 1 if a check failed; 2 for wrong arguments.",
        [
            "python -m sync doctor --provider zoom",
            "python -m sync doctor --provider zoom --account emea --conference 84411223344 --json",
        ],
    )
    parser.add_argument("--provider", required=True, metavar="NAME", help="its name in SYNC_CONFERENCES")
    parser.add_argument("--account", default="", metavar="NAME", help="one of its accounts")
    parser.add_argument(
        "--conference",
        default="",
        metavar="ID",
        help="a conference there: its id, or the URL it is joined at",
    )
    parser.add_argument("--organizer", default="", metavar="ADDRESS", help="whose conference that is")
    parser.add_argument(
        "--single",
        action="store_true",
        help="the conference does not repeat: without this promise none is updated that might",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(argv)


class _Wrong(Exception):
    """The arguments do not fit the settings: why, and what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Check:
    """One thing that was tried, what came of it, and what to do about it."""

    name: str
    result: str
    told: str
    fix: str = ""

    def lines(self, marked: bool) -> Iterator[str]:
        mark = _MARKS[self.result] if marked else self.result.ljust(_WIDTH)
        yield f"{mark}  {self.name:<9} {self.told}"
        if self.fix:
            yield f"{'':<{1 if marked else _WIDTH}}  {'':<9} fix: {self.fix}"


def _checks(arguments: Namespace) -> Iterator[_Check]:
    try:
        chosen, registry, _ = wiring.worker_settings(os.environ)
    except Exception as error:
        yield _failed("settings", "read the worker's settings", error)
        return
    settings = _provider_settings(chosen, arguments)
    yield _Check("settings", OK, f"read the worker's settings: {settings.name} is {settings.use}")
    options = registry.options(settings.name, arguments.account)
    secrets = [_secret(secret) for secret in _secrets_in(options)]
    yield from secrets or [_Check("secrets", OK, "no option is kept elsewhere")]
    if any(check.result == FAILED for check in secrets):
        return
    provider = registry.provider(settings.name, arguments.account)
    yield _token(provider, arguments)
    if not arguments.conference:
        yield _Check("read", SKIPPED, "name a conference with --conference")
        yield _Check("update", SKIPPED, "name a conference with --conference")
        return
    target = _target(provider, settings.name, arguments)
    read, actual = _read(provider, target)
    yield read
    yield _update(provider, target, actual, arguments, chosen)


# --- Settings and secrets ---


def _provider_settings(chosen: Settings, arguments: Namespace) -> ProviderSettings:
    """What the settings say of the provider. Raises _Wrong for one, or an account, that they do not have."""
    providers = {each.name: each for each in chosen.providers}
    if arguments.provider not in providers:
        raise _Wrong(
            f"no provider {arguments.provider!r} is in SYNC_CONFERENCES",
            _one_of("--provider", arguments.provider, providers),
        )
    settings = providers[arguments.provider]
    accounts = [each.name for each in settings.accounts]
    if arguments.account not in (accounts or [""]):
        named = repr(arguments.account) if arguments.account else "none"
        raise _Wrong(
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


def _secret(secret: Any) -> _Check:
    tried = f"read {secret!r}"
    try:
        secret.read()
    except Exception as error:
        check = _failed("secrets", tried, error)
        return replace(check, fix="add a version or the file, and let the worker's identity read it")
    return _Check("secrets", OK, tried)


# --- Calls ---


def _token(provider: Provider, arguments: Namespace) -> _Check:
    """A provider may have `check() -> str`: one harmless call that proves credentials and scopes."""
    check: Callable[[], str] | None = getattr(provider, "check", None)
    if check is None:
        instead = "reading says it" if arguments.conference else "name a conference: reading it says as much"
        return _Check("token", SKIPPED, f"this provider has no check of its own; {instead}")
    try:
        return _Check("token", OK, check())
    except Exception as error:
        return _failed("token", "tried its credentials", error)


def _target(provider: Provider, name: str, arguments: Namespace) -> Target:
    """The conference that was named. Raises _Wrong for a URL that is not of this system."""
    told: str = arguments.conference
    if "://" not in told:
        return Target(ConferenceKey(name, told), organizer=arguments.organizer)
    found = recognise(Carried("", "", "", "", "", (told,)), (provider.system,))
    if found is None:
        raise _Wrong(
            f"--conference is no URL that {name} joins its conferences at", "name the conference by its id"
        )
    if found.personal:
        raise _Wrong(
            "--conference leads to a personal room, which is never touched", "name another conference"
        )
    return Target(ConferenceKey(name, found.key.id), locator=told, organizer=arguments.organizer)


def _read(provider: Provider, target: Target) -> tuple[_Check, Actual | None]:
    if "read" not in provider.capabilities:
        return _Check("read", SKIPPED, "this provider cannot read"), None
    tried = "read the conference"
    try:
        actual = provider.read(target)
    except Exception as error:
        return _failed("read", tried, error), None
    if actual is None:
        return _failed("read", tried, Gone("it is not there")), None
    says = [name for name in ("title", "start", "end") if getattr(actual, name) is not None]
    return _Check("read", OK, f"{tried}: it tells {', '.join(says) or 'that it is there'}"), actual


def _update(
    provider: Provider, target: Target, actual: Actual | None, arguments: Namespace, chosen: Settings
) -> _Check:
    """Set what was read, so that nothing changes; where that cannot be known, leave it."""
    why = _not_to_be_updated(provider, actual, arguments, chosen)
    if why or actual is None or actual.start is None or actual.end is None:
        return _Check("update", SKIPPED, why)
    tried = "set title and times to what was read"
    meeting = Meeting(actual.title or "", actual.start, actual.end, "UTC", all_day=False, recurrence=())
    try:
        outcome = provider.update(target, meeting)
        after = provider.read(target)
    except Unsupported as error:
        return _Check("update", SKIPPED, f"{tried}: the system cannot express that: {error}")
    except Exception as error:
        return _failed("update", tried, error)
    if after is None or not after.equals(meeting):
        fix = "the provider did not set what it was told: compare its page in docs/providers"
        return _Check("update", FAILED, f"{tried}: it reads otherwise now", fix)
    ignored = f"; ignored: {', '.join(outcome.ignored)}" if outcome.ignored else ""
    return _Check("update", OK, f"{tried}: it reads as before{ignored}")


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


def _failed(name: str, tried: str, error: Exception) -> _Check:
    if isinstance(error, SyncError):
        return _Check(name, FAILED, f"{tried}: {error}", _fix(error))
    # Somebody else's code: what it says may hold anything.
    told = f"{tried}: a provider fails with {type(error).__name__}"
    return _Check(name, FAILED, told, "that is a bug in it: prove it with sync.testing.ProviderContract")


def _fix(error: SyncError) -> str:
    match error:
        case Misconfigured():
            return "docs/settings.md explains each variable, `python -m sync config` lists every problem"
        case AuthFailed():
            return "renew the credentials, or grant them the scopes that its page in docs/providers lists"
        case Gone():
            return "check the id; it may be over, deleted, or another account's"
        case RateLimited(retry_after_s=float(wait_s)):
            return f"wait {wait_s:.0f} seconds and try again"
        case RateLimited():
            return "wait some minutes and try again"
        case Timeout() | Transient():
            return "try again; see whether its host answers from this machine, and its status page"
        case Refused():
            return "the system refuses this conference or request for good: see its page in docs/providers"
    return "its page in docs/providers says what it can do"
