"""Every setting that counts here, and where it came from; of a secret only where it is, and whether."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sync.channel import parse_keys
from sync.cli import say
from sync.settings import VARIABLES, ProviderSettings, SecretPlace, Settings, draft

ENVIRONMENT, DEFAULT = "environment", "default"
URLS = (
    "SYNC_WORKER_URL",
    "SYNC_CALENDAR_API",
    "SYNC_IDENTITY_API",
    "SYNC_TASKS_API",
    "SYNC_SECRETS_API",
    "SYNC_CERTS_API",
)
_DEFAULTS = {"SYNC_MODE": "apply"}
_FILES = ("GOOGLE_APPLICATION_CREDENTIALS",)
_OTHERS = (*_FILES, "FIRESTORE_EMULATOR_HOST", "THREADS")  # not ours, but they count
_NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Setting:
    """One of them, as it may be shown."""

    name: str
    value: str
    origin: str


def settings_of(environ: Mapping[str, str], problems: Iterable[str] = ()) -> Iterator[Setting]:
    """As the worker reads them. What there is a problem with may be anything, and is not shown."""
    settings, own = draft(environ, "worker")
    said = " ".join((*own, *problems))
    doubtful = {name for name in VARIABLES if re.search(rf"\b{name}\b", said)}
    for name in VARIABLES:
        text = environ.get(name, "").strip()
        if name in doubtful and text:
            yield Setting(name, "not shown: see what is wrong with it", ENVIRONMENT)
        elif name == "SYNC_CHANNEL_KEYS" and text:
            yield _keys(settings.channel_keys)
        elif name == "SYNC_CONFERENCES" and text:
            yield from _conferences(text, settings)
        elif name != "SYNC_TIMES":
            value = root(text) if name in URLS and text else text
            yield Setting(name, value or _DEFAULTS.get(name, _NOTHING), ENVIRONMENT if text else DEFAULT)
    times = "" if "SYNC_TIMES" in doubtful else environ.get("SYNC_TIMES", "")
    chosen = {entry.partition("=")[0] for entry in times.split()}
    for time, seconds in asdict(settings.times).items():
        yield Setting(f"SYNC_TIMES {time}", f"{seconds:g} s", ENVIRONMENT if time in chosen else DEFAULT)
    for name in _OTHERS:
        if text := environ.get(name, ""):
            yield Setting(name, _there(text) if name in _FILES else text, ENVIRONMENT)


def root(url: str) -> str:
    """Without user, path and query: any of them may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _keys(paths: Sequence[Path]) -> Setting:
    keys = parse_keys(*(path.read_text(encoding="utf-8") for path in paths))
    said = f"{len(keys.oldest_first)} there, the newest is {keys.newest.id}"
    return Setting("SYNC_CHANNEL_KEYS", said, f"{ENVIRONMENT}: file {', '.join(map(str, paths))}")


def _conferences(text: str, settings: Settings) -> Iterator[Setting]:
    name = "SYNC_CONFERENCES"
    if settings.conferences_secret:
        yield Setting(
            name, "read when the worker runs", f"{ENVIRONMENT}: secret {settings.conferences_secret}"
        )
        return
    origin = ENVIRONMENT if text.startswith("{") else f"{ENVIRONMENT}: file {text}"
    for provider in settings.providers:
        yield from (
            Setting(f"{name} {each.name}", each.value, each.origin or origin) for each in _provider(provider)
        )
    for system in settings.systems:
        yield Setting(f"{name} systems", f"{system.provider}: {', '.join(system.hosts) or 'by name'}", origin)


def _provider(provider: ProviderSettings) -> Iterator[Setting]:
    """What has no origin of its own has that of the document."""
    name = provider.name
    yield Setting(f"{name}.use", provider.use, "")
    yield Setting(
        f"{name}.tell", ", ".join(sorted(provider.tell)) or _NOTHING, "" if provider.tell else DEFAULT
    )
    written = json.dumps(provider.write_back)
    yield Setting(f"{name}.write_back", written, "" if provider.write_back else DEFAULT)
    yield from _options(f"{name}.options", provider.options)
    for account in provider.accounts:
        yield Setting(f"{name}.accounts.{account.name}", say.plural(len(account.organizers), "organizer"), "")
        yield from _options(f"{name}.accounts.{account.name}.options", account.options)


def _options(name: str, value: object) -> Iterator[Setting]:
    """Whether one is a secret only its provider knows: none is shown."""
    match value:
        case SecretPlace(secret=secret) if secret:
            yield Setting(name, "read when the worker runs", f"secret {secret}")
        case SecretPlace(file=file):
            yield Setting(name, _there(file), f"file {file}")
        case Mapping():
            for key, inner in value.items():
                yield from _options(f"{name}.{key}", inner)
        case _:
            yield Setting(name, "there, and not shown", "")


def _there(file: str) -> str:
    return "there, and not shown" if Path(file).is_file() else "not there"
