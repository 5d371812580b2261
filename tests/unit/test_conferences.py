"""The registry finds providers by name, imports none that nobody asked for, and tells problems in sentences."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sync.conferences import Registry
from sync.conferences.demo import Demo
from sync.errors import Misconfigured, Transient
from sync.ports import Outcome, Target
from sync.recognise import ConferenceKey
from sync.settings import ProviderSettings

URL = {"url": "http://127.0.0.1:8080"}


def registry(**chosen: tuple[str, Mapping[str, object]]) -> Registry:
    settings = [ProviderSettings(name, use, options) for name, (use, options) in chosen.items()]
    return Registry(settings, connect_s=1, read_s=2)


class Elsewhere(Demo):
    """A provider that does not come with us, and has a bug."""

    name = "elsewhere"

    def delete(self, target: Target) -> Outcome:
        raise KeyError(target.id)


class Half:
    """Looks like a provider, and would fail at its first deletion."""

    name = "half"

    def __init__(self, options: Mapping[str, object], *, connect_s: float, read_s: float) -> None: ...
    def read(self) -> None: ...
    def update(self) -> None: ...


def test_a_provider_is_found_by_its_name_and_kept() -> None:
    conferences = registry(demo=("demo", URL))
    provider = conferences.provider("demo")
    assert provider.capabilities == Demo.capabilities
    assert provider.call_s == 1 + 2 * 2
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
    [system] = registry(rooms=("demo", URL)).systems()
    assert (system.provider, system.hosts) == ("rooms", ("127.0.0.1:8080",))


def test_a_provider_that_nobody_asked_for_is_not_imported() -> None:
    program = (
        "import sys; from sync.conferences import Registry; from sync.settings import ProviderSettings\n"
        "chosen = [ProviderSettings('demo', 'demo'), ProviderSettings('other', 'json:JSONDecoder')]\n"
        "try: Registry(chosen, connect_s=1, read_s=1).provider('other')\n"
        "except TypeError: sys.exit('sync.conferences.demo' in sys.modules or 'urllib3' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0


@pytest.mark.parametrize(
    ("use", "options", "sentence"),
    [
        ("dmo", URL, "dmo is not a provider that comes with us; did you mean demo?"),
        ("http", URL, "http is not a provider that comes with us."),
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
        registry(one=("dmo", URL), two=("demo", URL), three=("demo", {})).systems()
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "SYNC_CONFERENCES, provider one",
        "SYNC_CONFERENCES, provider three",
    ]


def test_a_name_that_is_not_configured_is_told_with_the_nearest() -> None:
    with pytest.raises(Misconfigured) as caught:
        registry(rooms=("demo", URL)).provider("room")
    assert caught.value.problems == ("No provider room is configured; did you mean rooms?",)
