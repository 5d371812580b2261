"""`python -m sync config` says beforehand what the doors would say, and nothing that is secret."""

import base64
import json
import sys
from pathlib import Path

import pytest

import sync.wiring
from sync.cli import verbs
from sync.errors import Misconfigured
from sync.settings import VARIABLES, Door

KEY_LINE = "k1:" + base64.urlsafe_b64encode(b"hush----" * 4).decode()
CONFERENCES = {"providers": {"mine": {"use": "demo", "options": {"url": "http://127.0.0.1:1/hush"}}}}

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What both doors run with."""
    keys = tmp_path / "keys"
    keys.write_text(KEY_LINE)
    monkeypatch.setenv("SYNC_STORE", "sqlite:/var/sync.db")
    monkeypatch.setenv("SYNC_QUEUE", "local")
    monkeypatch.setenv("SYNC_CHANNEL_KEYS", str(keys))
    monkeypatch.setenv("SYNC_CONFERENCES", json.dumps(CONFERENCES))


def run(capture: Capture, *argv: str) -> tuple[int, list[str], list[str]]:
    code = verbs.main(["config", *argv])
    written = capture.readouterr()
    return code, written.out.splitlines(), written.err.splitlines()


def test_settings_that_work_are_listed_without_what_is_secret(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_CALENDAR_API", "http://me:hush@127.0.0.1:9/hush?hush")
    code, out, err = run(capsys)
    assert (code, err) == (0, [])
    listed = dict(line.split(maxsplit=1) for line in out)
    assert listed["SYNC_STORE"] == "sqlite:/var/sync.db"
    assert listed["SYNC_CONFERENCES"] == "mine (demo)"
    assert listed["SYNC_CALENDAR_API"] == "http://127.0.0.1:9"
    assert "SYNC_PROJECT" not in listed
    assert "hush" not in str(out)


def test_a_document_that_is_a_secret_is_not_asked_for_and_named(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_CONFERENCES", "projects/p/secrets/conferences")
    monkeypatch.setenv("SYNC_SECRETS_API", "http://me:hush@127.0.0.1:9/hush")  # nobody listens there
    code, out, err = run(capsys)
    assert (code, err) == (0, [])
    listed = dict(line.split(maxsplit=1) for line in out)
    assert (
        listed["SYNC_CONFERENCES"] == "projects/p/secrets/conferences (a secret, read when the worker runs)"
    )
    assert listed["SYNC_SECRETS_API"] == "http://127.0.0.1:9"


def test_what_is_wrong_in_a_file_is_told_beforehand(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = {
        "providers": {"demo": {"use": "dmo", "options": {"key": {"secret": "hush"}}}, "own": {"use": "dmo"}}
    }
    (tmp_path / "conferences.json").write_text(json.dumps(document))
    monkeypatch.setenv("SYNC_CONFERENCES", str(tmp_path / "conferences.json"))
    code, _, (secret, use, _) = run(capsys)
    assert code == 1
    assert "option key: the secret is not projects/…/secrets/…" in secret
    assert "did you mean demo?" in use


def test_what_is_set_is_told_to_programs_too(capsys: Capture) -> None:
    code, (line,), _ = run(capsys, "--json")
    told = json.loads(line)
    assert code == 0
    assert told["problems"] == {"webhook": [], "worker": []}
    assert told["set"]["SYNC_QUEUE"] == "local"
    assert "hush" not in line


# --- show ---


def shown(capture: Capture, *argv: str, code: int = 0) -> dict[str, tuple[str, str]]:
    """By name: the value, and where it came from."""
    exit_code, (line,), _ = run(capture, "show", "--origin", "--json", *argv)
    assert exit_code == code
    assert "hush" not in line
    return {each["name"]: (each["value"], each["origin"]) for each in json.loads(line)["settings"]}


def test_every_setting_is_shown_with_where_it_came_from(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SYNC_TIMES", "grace=60 bucket=5")
    monkeypatch.setenv("SYNC_CALENDAR_API", "http://me:hush@127.0.0.1:9/hush?hush")
    told = shown(capsys)
    assert told["SYNC_STORE"] == ("sqlite:/var/sync.db", "environment")
    assert told["SYNC_MODE"] == ("apply", "default")
    assert told["SYNC_PROJECT"] == ("–", "default")
    assert told["SYNC_CALENDAR_API"] == ("http://127.0.0.1:9", "environment")
    assert told["SYNC_CHANNEL_KEYS"] == (
        "1 there, the newest is k1",
        f"environment: file {tmp_path / 'keys'}",
    )
    assert told["SYNC_TIMES grace"] == ("60 s", "environment")
    assert told["SYNC_TIMES bucket"] == ("5 s", "environment")
    assert told["SYNC_TIMES sweep"] == ("21600 s", "default")
    assert {name.split()[0] for name in told} >= set(VARIABLES)


def test_of_a_secret_only_where_it_is_and_whether(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "there").write_text("hush")
    secret = "projects/p/secrets/emea"
    options = {"account_id": "hush", "client_id": "hush", "client_secret": {"file": str(tmp_path / "there")}}
    emea = {"organizers": ["hush@example.com"], "options": {"client_secret": {"secret": secret}}}
    rest = {"organizers": ["*"], "options": {"client_secret": {"file": "/nowhere"}}}
    zoom = {"use": "zoom", "options": options, "accounts": {"emea": emea, "rest": rest}}
    (tmp_path / "conferences").write_text(json.dumps({"providers": {"zoom": zoom}}))
    monkeypatch.setenv("SYNC_CONFERENCES", str(tmp_path / "conferences"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
    every = shown(capsys)
    told = {
        name.removeprefix("SYNC_CONFERENCES zoom."): each for name, each in every.items() if "zoom" in name
    }
    document = f"environment: file {tmp_path / 'conferences'}"
    assert told == {
        "use": ("zoom", document),
        "tell": ("–", "default"),
        "write_back": ("false", "default"),
        "options.account_id": ("there, and not shown", document),
        "options.client_id": ("there, and not shown", document),
        "options.client_secret": ("there, and not shown", f"file {tmp_path / 'there'}"),
        "accounts.emea": ("1 organizer", document),
        "accounts.emea.options.client_secret": ("read when the worker runs", f"secret {secret}"),
        "accounts.rest": ("1 organizer", document),
        "accounts.rest.options.client_secret": ("not there", "file /nowhere"),
    }
    assert every["GOOGLE_APPLICATION_CREDENTIALS"] == ("not there", "environment")


def test_what_is_wrong_may_be_anything_and_is_not_shown(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_CHANNEL_KEYS", "hush")
    monkeypatch.setenv("SYNC_MODE", "hush")
    told = shown(capsys, code=1)
    assert told["SYNC_CHANNEL_KEYS"] == told["SYNC_MODE"]
    assert told["SYNC_MODE"] == ("not shown: see what is wrong with it", "environment")
    _, out, err = run(capsys, "show")
    assert "hush" not in str(out + err)
    assert err[-1].startswith("hint: ")


def test_without_being_asked_it_does_not_say_where_from(capsys: Capture) -> None:
    assert run(capsys, "show")[1][0].split() == ["name", "value"]
    assert run(capsys, "show", "--origin")[1][0].split() == ["name", "value", "origin"]
    with pytest.raises(SystemExit) as exit_:
        verbs.main(["config", "--origin"])
    assert exit_.value.code == 2


# --- Problems ---


def test_every_problem_is_a_line_said_once_with_one_hint(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_QEUE", "local")
    monkeypatch.delenv("SYNC_STORE")
    monkeypatch.setenv("SYNC_CONFERENCES", '{"providers": {"demo": {"use": "dmo"}}}')
    code, out, err = run(capsys)
    *problems, hint = err
    assert (code, out) == (1, [])
    assert len(problems) == len({*problems}) == 3
    assert all(problem.startswith("config: ") for problem in problems)
    assert "did you mean SYNC_QUEUE?" in problems[0]
    assert "SYNC_STORE" in problems[1]
    assert "did you mean demo?" in problems[2]
    assert hint.startswith("hint: ")


def test_programs_are_told_which_door_has_which_problem(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SYNC_CONFERENCES")
    code, (line,), _ = run(capsys, "--json")
    told = json.loads(line)["problems"]
    assert (code, told["webhook"]) == (1, [])
    assert [problem.split()[0] for problem in told["worker"]] == ["SYNC_CONFERENCES"]


def test_one_door_is_judged_by_itself(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYNC_CONFERENCES")
    assert run(capsys, "--door", "webhook")[0] == 0
    assert run(capsys, "--door", "worker")[0] == 1


DOORS: dict[Door, "sync.wiring._Once[object]"] = {"webhook": sync.wiring.receiver, "worker": sync.wiring.work}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SYNC_TIMES", "lease=1"),
        ("SYNC_CHANNEL_KEYS", "/nowhere"),
        ("SYNC_CONFERENCES", '{"providers": {"demo": {"use": "demo"}, "a b": {}}, "systems": 1}'),
        ("SYNC_STORE", "firestore"),
    ],
)
def test_it_says_what_the_door_would_say(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, door: Door, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    if door == "webhook" and variable == "SYNC_CONFERENCES":
        return
    with pytest.raises(Misconfigured) as raised:
        DOORS[door]._build()
    assert run(capsys, "--door", door)[2][:-1] == [f"config: {problem}" for problem in raised.value.problems]


def test_a_refusal_is_looked_at_again_when_what_it_was_about_may_be_mended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, looked = [0.0], []
    monkeypatch.setattr(sync.wiring.time, "monotonic", lambda: now[0])

    def build() -> str:
        looked.append(now[0])
        if now[0] < 30:
            raise Misconfigured(["The secret has no version."])
        return "built"

    once = sync.wiring._Once(build)
    for now[0] in (0.0, 1.0, 29.0):
        with pytest.raises(Misconfigured, match="The secret has no version"):
            once()
    now[0] = 30.0
    assert (once(), once()) == ("built", "built")
    assert looked == [0.0, 30.0]


@pytest.mark.parametrize(
    "module", ["raise RuntimeError('hush')", "def (", "class Own:\n  def __init__(self): 0"]
)
def test_a_provider_that_breaks_is_a_problem_and_no_traceback(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str
) -> None:
    (tmp_path / "own_broken_provider.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SYNC_CONFERENCES", '{"providers": {"own": {"use": "own_broken_provider:Own"}}}')
    monkeypatch.delitem(sys.modules, "own_broken_provider", raising=False)
    code, _, err = run(capsys)
    assert code == 1
    assert err[-1].startswith("hint: ")
    assert "SYNC_CONFERENCES" in err[0]
    assert "hush" not in str(err)


def test_help_ends_with_examples(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exit_:
        verbs.main(["config", "--help"])
    assert exit_.value.code == 0
    assert "examples:\n  python -m sync config" in capsys.readouterr().out


def test_another_door_is_a_usage_error(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exit_:
        verbs.main(["config", "--door", "back"])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == "hint: python -m sync config --help"
