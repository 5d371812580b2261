"""The environment -> a frozen Settings, read once. Every problem is told at once, a sentence each, no values.

Light on purpose: the webhook reads it on its cold path. docs/settings.md says what each variable means.
"""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeGuard
from urllib.parse import urlsplit

from sync.channel import parse_keys
from sync.errors import Misconfigured, nearest
from sync.recognise import System

Door = Literal["webhook", "worker"]
Person = Literal["person", "doctor"]  # at the command line: who works on it, and who tries the whole of it

VARIABLES = (
    "SYNC_PROJECT",
    "SYNC_REGION",
    "SYNC_DATABASE",
    "SYNC_STORE",
    "SYNC_QUEUE",
    "SYNC_WORKER_URL",
    "SYNC_DISPATCH_ACCOUNT",
    "SYNC_CHANNEL_KEYS",
    "SYNC_CONFERENCES",
    "SYNC_DELEGATION",
    "SYNC_DELEGATION_CLIENT",
    "SYNC_ENROL",
    "SYNC_MODE",
    "SYNC_CANARY",
    "SYNC_CALENDAR_API",
    "SYNC_IDENTITY_API",
    "SYNC_TASKS_API",
    "SYNC_SECRETS_API",
    "SYNC_CERTS_API",
    "SYNC_TIMES",
)

_QUEUE = re.compile(r"projects/[^/]+/locations/[^/]+/queues/[^/]+", re.ASCII)
_SECRET = re.compile(r"projects/[a-z0-9][a-z0-9.:-]*/secrets/[A-Za-z0-9_-]{1,255}", re.ASCII)
_SERVICE_ACCOUNT = re.compile(r"[^@/\s]{1,64}@[a-z0-9.-]{1,190}", re.ASCII)
_PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_PATTERNS = ("path", "personal", "id_pattern")
_USE = re.compile(r"[a-z][a-z0-9_]*|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_MODES = ("apply", "observe")
_PROVIDER_KEYS = ("use", "options", "tell", "write_back", "accounts")
_TOLD = ("agenda", "invitees")
_MOST_DAYS = 366
_MOST_DAYS_OF = {"channel_life": 30}  # longer than any channel that Google grants
_SLACK_S = 2.0  # what a call may take beside waiting for the other side


@dataclass(frozen=True, slots=True)
class Times:
    """Every wait, in seconds. SYNC_TIMES changes them by name."""

    bucket: float = 5.0  # notifications of one calendar within it are one wake
    margin: float = 2.0  # a wake fires this long after its bucket: more than clocks differ
    lease: float = 90.0  # a worker that says nothing for this long is taken for dead
    lease_margin: float = 20.0  # ... and stops starting calls this long before
    calendar_timeout: float = 20.0  # one call of the Calendar API
    connect_timeout: float = 3.0  # reaching a provider; reaching Secret Manager, and its answer
    read_timeout: float = 10.0  # a provider's answer, to its end
    sweep: float = 21600.0  # a calendar is looked at this often even if nobody asks
    poll: float = 900.0  # ... and this often if Google does not watch it, or it is the canary
    grace: float = 3600.0  # how long a dropped conference lives on
    window: float = 86400.0  # how far a full listing looks back
    channel_life: float = 604800.0  # asked for; Google may grant less
    keys_reread: float = 60.0  # how old the channel keys in memory may be
    secrets_reread: float = 300.0  # how old a secret in memory may be
    horizon: float = 120.0  # how long an abandoned provider call may still land
    first_backoff: float = 5.0  # the longest wait after a first failure; it doubles with each
    most_backoff: float = 3600.0  # ... up to this
    quarantine: float = 86400.0  # until a refused conference is tried again


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Where an option is kept that the settings do not tell: in a secret of Secret Manager, or else in a file."""

    secret: str = ""  # projects/…/secrets/…
    file: str = ""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One configured provider: the name of a built-in one or `module:Class`, and what it is told.

    An option that is kept elsewhere is a SecretPlace, however deep it lies.
    """

    name: str
    use: str
    options: Mapping[str, object] = field(default_factory=dict, repr=False)  # may name secrets
    tell: frozenset[str] = frozenset()  # "agenda", "invitees": what it is told beside title and times
    write_back: bool = False  # whether the join URLs that it tells are written into events
    accounts: tuple["AccountSettings", ...] = ()  # none: one for everybody, with the options above


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One of a provider's accounts: whose meetings it looks after, and what its options add to the provider's."""

    name: str
    organizers: frozenset[str] = field(repr=False)  # addresses, domains, or "*" for everybody else
    options: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class EnrolSettings:
    """Who may enrol calendars at run time: users of these domains, with tokens issued to these client ids."""

    audiences: frozenset[str]
    domains: frozenset[str]


@dataclass(frozen=True, slots=True)
class Settings:
    """What this process runs with."""

    sqlite: Path | None  # the store; None: Firestore
    queue: str  # the full name of a Cloud Tasks queue; empty: tasks are kept beside the SQLite store
    channel_keys: tuple[Path, ...]  # read as one file
    times: Times
    project: str
    region: str
    database: str
    worker_url: str
    dispatch_account: str
    delegation: str
    delegation_client: str  # its number, for what we say to administrators
    calendar_api: str  # root URL; empty for Google's own
    identity_api: str  # likewise, of everything that gives tokens
    tasks_api: str  # likewise
    secrets_api: str  # likewise
    certs_api: str = ""  # likewise
    enrol: EnrolSettings | None = None  # None: nobody
    canary: str = ""  # the slug of a wired calendar
    observing: bool = False  # SYNC_MODE=observe: call no provider
    providers: tuple[ProviderSettings, ...] = ()  # of a worker
    systems: tuple[System, ...] = ()  # of a worker: to be recognised beside those that are known anyway
    conferences_secret: str = ""  # of a worker: where both are to be read, if they are kept as a secret


def read(environ: Mapping[str, str], door: Door) -> Settings:
    """Read the settings of one door. Raises Misconfigured with every problem there is."""
    settings, problems = draft(environ, door)
    if problems:
        raise Misconfigured(problems)
    return settings


def draft(environ: Mapping[str, str], door: Door | Person) -> tuple[Settings, tuple[str, ...]]:
    """What can be read of them, and every problem: for whoever has more to find wrong with them.

    A person at the command line needs the store; of the rest, what is missing is no problem before it is needed.
    A doctor needs all that the worker has, but for the channel keys: those leave Secret Manager for few people.
    """
    reader = _Reader(environ)
    reader.refuse_unknown_variables()
    knows_providers = door in ("worker", "doctor") or (
        door == "person" and bool(reader.text("SYNC_CONFERENCES"))
    )
    knows_keys = door in ("webhook", "worker") or (
        door == "doctor" and bool(reader.text("SYNC_CHANNEL_KEYS"))
    )
    providers, systems = reader.conferences() if knows_providers else ((), ())
    queue = reader.queue() if door != "person" or reader.text("SYNC_QUEUE") else ""
    settings = Settings(
        sqlite=reader.store() if door != "webhook" or not queue else None,
        queue=queue,
        channel_keys=reader.channel_keys() if knows_keys else (),
        times=reader.times(),
        project=reader.text("SYNC_PROJECT"),
        region=reader.text("SYNC_REGION"),
        database=reader.text("SYNC_DATABASE"),
        worker_url=reader.url("SYNC_WORKER_URL"),
        dispatch_account=reader.text("SYNC_DISPATCH_ACCOUNT"),
        delegation=reader.delegation(),
        delegation_client=reader.delegation_client(),
        calendar_api=reader.url("SYNC_CALENDAR_API"),
        identity_api=reader.identity_api(),
        tasks_api=reader.url("SYNC_TASKS_API"),
        secrets_api=reader.url("SYNC_SECRETS_API"),
        certs_api=reader.url("SYNC_CERTS_API"),
        enrol=reader.enrol(),
        canary=reader.text("SYNC_CANARY"),
        observing=reader.observing(),
        providers=providers,
        systems=systems,
        conferences_secret=reader.conferences_secret() if knows_providers else "",
    )
    return settings, tuple(reader.problems)


def with_conferences(settings: Settings, document: str) -> tuple[Settings, tuple[str, ...]]:
    """The settings of a worker whose SYNC_CONFERENCES is a secret, once that was read; and every problem in it."""
    reader = _Reader({})
    providers, systems = reader.document(document)
    return replace(settings, providers=providers, systems=systems), tuple(reader.problems)


class _Reader:
    """Reads what it can; where it cannot, it notes a problem and goes on."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def url(self, name: str) -> str:
        value = self.text(name)
        if value and not _is_url(value):
            self._problem(f"{name} is not an http or https URL.")
        return value

    def refuse_unknown_variables(self) -> None:
        ours = (name for name in self._environ if name.startswith("SYNC_"))
        self._refuse_unknown(ours, VARIABLES, "a variable")

    def observing(self) -> bool:
        mode = self.text("SYNC_MODE") or "apply"
        if mode not in _MODES:
            self._problem(f"SYNC_MODE is not one of {', '.join(_MODES)}{nearest(mode, _MODES)}")
        return mode == "observe"

    def store(self) -> Path | None:
        """The SQLite file; None for Firestore."""
        scheme, _, path = self.text("SYNC_STORE").partition(":")
        if scheme == "firestore" and not path:
            self._needs("SYNC_STORE=firestore", "SYNC_PROJECT", "SYNC_DATABASE")
            if self.text("SYNC_QUEUE") == "local":
                self._problem(
                    "SYNC_QUEUE=local keeps its tasks beside the store and needs SYNC_STORE=sqlite:PATH."
                )
            return None
        if not scheme:
            self._problem("SYNC_STORE is missing: firestore, or sqlite:PATH.")
        elif scheme != "sqlite" or not path:
            self._problem(
                f"SYNC_STORE is neither firestore nor sqlite:PATH{nearest(scheme, ('firestore', 'sqlite'))}"
            )
        return Path(path)

    def queue(self) -> str:
        """The full name of a Cloud Tasks queue; empty for the local one."""
        queue = self.text("SYNC_QUEUE")
        if _QUEUE.fullmatch(queue):
            self._needs("A Cloud Tasks queue", "SYNC_WORKER_URL", "SYNC_DISPATCH_ACCOUNT")
            return queue
        if not queue:
            self._problem("SYNC_QUEUE is missing: local, or projects/…/locations/…/queues/….")
        elif queue == "inline":
            self._problem("SYNC_QUEUE=inline is not built in this version.")
        elif queue.startswith("projects/"):
            self._problem("SYNC_QUEUE is not projects/…/locations/…/queues/….")
        elif queue != "local":
            self._problem(f"SYNC_QUEUE is not local{nearest(queue, ('local',))}")
        return ""

    def _needs(self, what: str, *names: str) -> None:
        for name in names:
            if not self.text(name):
                self._problem(f"{what} needs {name}.")

    def delegation(self) -> str:
        value = self.text("SYNC_DELEGATION")
        if value and not _SERVICE_ACCOUNT.fullmatch(value):
            self._problem("SYNC_DELEGATION is not the e-mail address of a service account.")
        return value

    def delegation_client(self) -> str:
        value = self.text("SYNC_DELEGATION_CLIENT")
        if value and not re.fullmatch(r"[0-9]{5,40}", value):
            self._problem("SYNC_DELEGATION_CLIENT is not the number of a service account (its uniqueId).")
        return value

    def identity_api(self) -> str:
        """Tokens of a stand-in are of no use to Google, and Google's are none of a stand-in's business."""
        if self.text("SYNC_IDENTITY_API"):
            self._needs("SYNC_IDENTITY_API, a stand-in,", "SYNC_CALENDAR_API")
        return self.url("SYNC_IDENTITY_API")

    def channel_keys(self) -> tuple[Path, ...]:
        paths = [path for path in self.text("SYNC_CHANNEL_KEYS").split(os.pathsep) if path]
        if not paths:
            self._problem("SYNC_CHANNEL_KEYS is missing: the path of the channel keys.")
        texts = [self._file("SYNC_CHANNEL_KEYS", path) for path in paths]
        readable = [text for text in texts if text is not None]
        if readable and len(readable) == len(texts):
            try:
                parse_keys(*readable)
            except ValueError as problem:
                self._problem(f"SYNC_CHANNEL_KEYS names a file without good keys: {problem}.")
        return tuple(map(Path, paths))

    def enrol(self) -> EnrolSettings | None:
        text = self.text("SYNC_ENROL")
        document = self._object("SYNC_ENROL", text, "audiences", "domains") if text else None
        if document is None:
            return None
        audiences, domains = (self._some_texts(document, name) for name in ("audiences", "domains"))
        for domain in domains:
            if ":" in domain or not _is_host(domain):
                self._problem("SYNC_ENROL has domains that are not lower-case domain names.")
        return EnrolSettings(audiences, domains)

    def _some_texts(self, document: Mapping[str, object], name: str) -> frozenset[str]:
        texts = document.get(name)
        if not _is_texts(texts) or not all(texts) or not texts:
            self._problem(f"SYNC_ENROL has no {name}: a list of texts.")
            return frozenset()
        return frozenset(texts)

    def times(self) -> Times:
        known = [each.name for each in fields(Times)]
        before = len(self.problems)
        found: dict[str, float] = {}
        for entry in self.text("SYNC_TIMES").split():
            name, _, text = entry.partition("=")
            if name not in known:
                self._problem(f"SYNC_TIMES does not know {name}{nearest(name, known)}")
            elif name in found:
                self._problem(f"SYNC_TIMES names {name} twice.")
            else:
                found[name] = self._seconds(name, text)
        times = Times(**found)
        self.problems += _contradictions(times)
        return times if len(self.problems) == before else Times()

    def _seconds(self, name: str, text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            self._problem(f"SYNC_TIMES gives {name} no number of seconds above 0.")
            return math.nan
        days = _MOST_DAYS_OF.get(name, _MOST_DAYS)
        if seconds > days * 86400:
            self._problem(f"SYNC_TIMES gives {name} more than {days} days.")
            return math.nan
        return seconds

    # --- SYNC_CONFERENCES ---

    def conferences(self) -> tuple[tuple[ProviderSettings, ...], tuple[System, ...]]:
        value = self.text("SYNC_CONFERENCES")
        text: str | None = None
        if not value:
            self._problem(
                "SYNC_CONFERENCES is missing: a JSON document, its path, or the secret that has it."
            )
        elif value.startswith("{"):
            text = value
        elif value.startswith("projects/") and "/secrets/" in value:
            if not _SECRET.fullmatch(value):
                self._problem("SYNC_CONFERENCES is not projects/…/secrets/…, without a version.")
        else:
            text = self._file("SYNC_CONFERENCES", value)
        return self.document(text) if text is not None else ((), ())

    def conferences_secret(self) -> str:
        """The secret that has the document; empty if none has."""
        value = self.text("SYNC_CONFERENCES")
        return value if _SECRET.fullmatch(value) else ""

    def document(self, text: str) -> tuple[tuple[ProviderSettings, ...], tuple[System, ...]]:
        document = self._object("SYNC_CONFERENCES", text, "providers", "systems")
        if document is None:
            return (), ()
        return self._providers(document.get("providers", {})), self._systems(document.get("systems", []))

    def _providers(self, raw: object) -> tuple[ProviderSettings, ...]:
        if not isinstance(raw, dict):
            self._problem("SYNC_CONFERENCES has providers that are not an object of names.")
            return ()
        providers = (self._provider(name, entry) for name, entry in raw.items())
        return tuple(provider for provider in providers if provider is not None)

    def _provider(self, name: str, raw: object) -> ProviderSettings | None:
        entry = raw if isinstance(raw, dict) else {}
        where = f"SYNC_CONFERENCES, provider {name}"
        before = len(self.problems)
        self._refuse_unknown(entry, _PROVIDER_KEYS, f"a key of {where}")
        if not isinstance(write_back := entry.get("write_back", False), bool):
            self._problem(f"{where}: write_back is neither true nor false.")
        use = entry.get("use")
        if not _PROVIDER_NAME.fullmatch(name):
            self._problem(f"{where}: a name is lower-case letters, digits, - and _.")
        if not (isinstance(use, str) and _USE.fullmatch(use)):
            self._problem(f"{where}: use is not the name of a provider, nor module:Class.")
        provider = ProviderSettings(
            name=name,
            use=str(use),
            options=self._options(where, entry.get("options", {})),
            tell=self._tell(where, entry.get("tell", [])),
            write_back=write_back is True,
            accounts=self._accounts(where, entry.get("accounts", {})),
        )
        return provider if len(self.problems) == before else None

    def _options(self, where: str, raw: object) -> dict[str, object]:
        if not isinstance(raw, dict):
            self._problem(f"{where}: options are not an object.")
            return {}
        return {key: self._option(f"{where}, option {key}", value) for key, value in raw.items()}

    def _tell(self, where: str, raw: object) -> frozenset[str]:
        if not _is_texts(raw):
            self._problem(f"{where}: tell is not a list of texts.")
            return frozenset()
        for name in raw:
            if name not in _TOLD:
                self._problem(f"{where}: {name} is nothing to tell{nearest(name, _TOLD)}")
        return frozenset(raw)

    def _accounts(self, where: str, raw: object) -> tuple[AccountSettings, ...]:
        if not isinstance(raw, dict):
            self._problem(f"{where}: accounts are not an object of names.")
            return ()
        accounts = tuple(
            self._account(f"{where}, account {name}", name, entry) for name, entry in raw.items()
        )
        served = Counter(organizer for account in accounts for organizer in account.organizers)
        for organizer, times in served.items():
            if times > 1:
                self._problem(f"{where}: {organizer} has more than one account.")
        return accounts

    def _account(self, where: str, name: str, raw: object) -> AccountSettings:
        entry = raw if isinstance(raw, dict) else {}
        self._refuse_unknown(entry, ("organizers", "options"), f"a key of {where}")
        if not _PROVIDER_NAME.fullmatch(name):
            self._problem(f"{where}: a name is lower-case letters, digits, - and _.")
        organizers = entry.get("organizers", [])
        if not _is_texts(organizers) or not organizers:
            self._problem(f'{where}: organizers are not a list of addresses and domains, or "*".')
            organizers = []
        lower = frozenset(organizer.lower() for organizer in organizers)
        return AccountSettings(name, lower, self._options(where, entry.get("options", {})))

    def _option(self, where: str, raw: object) -> object:
        """An option as it stands, but with the places of secrets understood."""
        match raw:
            case {"secret": name, **rest} if not rest:
                if isinstance(name, str) and _SECRET.fullmatch(name):
                    return SecretPlace(secret=name)
                self._problem(f"{where}: the secret is not projects/…/secrets/…, without a version.")
            case {"file": path, **rest} if not rest:
                if isinstance(path, str) and path:
                    return SecretPlace(file=path)
                self._problem(f"{where}: the file is not a path.")
            case dict():
                return {key: self._option(f"{where}.{key}", value) for key, value in raw.items()}
            case list():
                return [self._option(where, value) for value in raw]
        return raw

    def _systems(self, raw: object) -> tuple[System, ...]:
        if not isinstance(raw, list):
            self._problem("SYNC_CONFERENCES has systems that are not a list.")
            return ()
        systems = (self._system(number, entry) for number, entry in enumerate(raw, start=1))
        return tuple(system for system in systems if system is not None)

    def _system(self, number: int, raw: object) -> System | None:
        where = f"SYNC_CONFERENCES, system {number}"
        if not isinstance(raw, dict):
            self._problem(f"{where} is not an object.")
            return None
        lists = {each.name for each in fields(System) if isinstance(each.default, tuple)}
        texts = {each.name for each in fields(System)} - lists - {"located", "folded", "plain_ids"}
        before = len(self.problems)
        self._refuse_unknown(raw, texts | lists, f"a key of {where}")
        for name, value in raw.items():
            if name in lists and not _is_texts(value):
                self._problem(f"{where}: {name} is not a list of texts.")
            elif name in texts and not isinstance(value, str):
                self._problem(f"{where}: {name} is not a text.")
            elif name in _PATTERNS and not _is_pattern(value):
                self._problem(f"{where}: {name} is not a regular expression.")
        if _is_texts(hosts := raw.get("hosts", [])) and not all(map(_is_host, hosts)):
            self._problem(f"{where}: hosts are lower-case names, with or without :port.")
        if not _PROVIDER_NAME.fullmatch(str(raw.get("provider", ""))):
            self._problem(f"{where}: provider is not a name of lower-case letters, digits, - and _.")
        if len(self.problems) > before:
            return None
        arguments: dict[str, Any] = {name: tuple(raw[name]) if name in lists else raw[name] for name in raw}
        return System(**arguments)

    # --- What all of them need ---

    def _file(self, variable: str, path: str) -> str | None:
        try:
            return Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self._problem(f"{variable} names a file that cannot be read: {why}.")
            return None

    def _object(self, variable: str, text: str, *keys: str) -> dict[str, object] | None:
        """The JSON object in a variable, which has no other keys than these; None if it is none."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self._problem(f"{variable} is not a JSON object.")
            return None
        self._refuse_unknown(found, keys, f"a key of {variable}")
        return found

    def _refuse_unknown(self, names: Iterable[str], known: Collection[str], what: str) -> None:
        for name in names:
            if name not in known:
                self._problem(f"{name} is not {what}{nearest(name, known)}")

    def _problem(self, sentence: str) -> None:
        self.problems.append(sentence)


def too_long(calls_s: Mapping[str, float], times: Times) -> list[str]:
    """What the times forbid of calls that take so long, by provider: they would never be made."""
    usable = times.lease - times.lease_margin
    return [
        f"SYNC_TIMES do not suit provider {name}: lease must be longer than lease_margin + {call_s + _SLACK_S:g},"
        f" and horizon no shorter than {call_s + _SLACK_S:g}; or shorten connect_timeout and read_timeout."
        for name, call_s in calls_s.items()
        if usable <= call_s + _SLACK_S or times.horizon < call_s + _SLACK_S
    ]


def _contradictions(times: Times) -> list[str]:
    """What no single time shows. The comparisons are false for nan: a bad number was told already."""
    usable = times.lease - times.lease_margin
    provider_call = times.connect_timeout + times.read_timeout + _SLACK_S
    said = f"connect_timeout + read_timeout + {_SLACK_S:g}"
    rules = (
        (usable <= times.calendar_timeout, "lease must be longer than lease_margin + calendar_timeout"),
        (usable <= provider_call, f"lease must be longer than lease_margin + {said}"),
        (times.horizon < provider_call, f"horizon must not be shorter than {said}"),
        (times.most_backoff < times.first_backoff, "most_backoff must not be shorter than first_backoff"),
    )
    return [f"SYNC_TIMES contradict each other: {rule}." for broken, rule in rules if broken]


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable()


def _is_texts(raw: object) -> TypeGuard[list[str]]:
    return isinstance(raw, list) and all(isinstance(each, str) for each in raw)


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and int(found["port"] or 0) <= 65535


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True
