"""Settings: right ones are read, and of wrong ones every problem is told at once and nothing else."""

import base64
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from sync.errors import Misconfigured
from sync.recognise import System
from sync.settings import (
    VARIABLES,
    Door,
    EnrolSettings,
    ProviderSettings,
    SecretPlace,
    Settings,
    Times,
    draft,
    read,
    too_long,
    with_conferences,
)

ROOT = Path(__file__).parent.parent.parent
DOCS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
KEY_LINE = "k1:" + base64.urlsafe_b64encode(b"secret--" * 4).decode()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """What a worker cannot do without."""
    keys = tmp_path / "keys"
    keys.write_text(KEY_LINE, encoding="utf-8")
    return {
        "SYNC_STORE": "sqlite:/var/sync.db",
        "SYNC_QUEUE": "local",
        "SYNC_CHANNEL_KEYS": str(keys),
        "SYNC_CONFERENCES": "{}",
    }


def problems(environ: dict[str, str], door: Door = "worker") -> tuple[str, ...]:
    with pytest.raises(Misconfigured) as raised:
        read(environ, door)
    return raised.value.problems


# --- What is read ---


def test_little_is_needed_and_the_rest_has_defaults(environ: dict[str, str]) -> None:
    assert read(environ, "worker") == Settings(
        sqlite=Path("/var/sync.db"),
        queue="",
        channel_keys=(Path(environ["SYNC_CHANNEL_KEYS"]),),
        times=Times(),
        project="",
        region="",
        database="",
        worker_url="",
        dispatch_account="",
        delegation="",
        delegation_client="",
        calendar_api="",
        identity_api="",
        tasks_api="",
        secrets_api="",
    )


def test_everything_that_is_told_is_read(environ: dict[str, str]) -> None:
    told = {
        "SYNC_PROJECT": "p",
        "SYNC_REGION": "r",
        "SYNC_DATABASE": "d",
        "SYNC_WORKER_URL": "https://worker.example/",
        "SYNC_DISPATCH_ACCOUNT": "a",
        "SYNC_DELEGATION": "s@p.iam.gserviceaccount.com",
        "SYNC_DELEGATION_CLIENT": "1234567",
        "SYNC_IDENTITY_API": "http://127.0.0.1:7/",
        "SYNC_CALENDAR_API": "http://127.0.0.1:9/",
        "SYNC_SECRETS_API": "http://127.0.0.1:8/",
        "SYNC_MODE": "apply",
        "PATH": "of no concern",
    }
    settings = read(environ | told, "worker")
    assert (settings.project, settings.region, settings.database) == ("p", "r", "d")
    assert (settings.worker_url, settings.dispatch_account) == ("https://worker.example/", "a")
    assert (settings.delegation, settings.delegation_client) == ("s@p.iam.gserviceaccount.com", "1234567")
    assert (settings.calendar_api, settings.identity_api) == ("http://127.0.0.1:9/", "http://127.0.0.1:7/")
    assert settings.secrets_api == "http://127.0.0.1:8/"


def test_times_are_changed_by_name(environ: dict[str, str]) -> None:
    settings = read(environ | {"SYNC_TIMES": " grace=1.5\n bucket=0.2 "}, "webhook")
    assert settings.times == Times(grace=1.5, bucket=0.2)


CONFERENCES = {
    "providers": {
        "demo": {"use": "demo", "options": {"url": "http://x", "secret": "hush"}},
        "own": {"use": "a.b:C"},
    },
    "systems": [{"provider": "demo", "hosts": ["127.0.0.1:8080"], "path": "^/j/([a-z0-9-]+)"}],
}


@pytest.mark.parametrize("from_file", [True, False])
def test_conferences_are_read_from_a_file_or_as_they_stand(
    environ: dict[str, str], tmp_path: Path, from_file: bool
) -> None:
    text = json.dumps(CONFERENCES)
    (tmp_path / "conferences.json").write_text(text, encoding="utf-8")
    environ["SYNC_CONFERENCES"] = str(tmp_path / "conferences.json") if from_file else text
    settings = read(environ, "worker")
    assert settings.providers == (
        ProviderSettings("demo", "demo", {"url": "http://x", "secret": "hush"}),
        ProviderSettings("own", "a.b:C"),
    )
    assert settings.systems == (System("demo", hosts=("127.0.0.1:8080",), path="^/j/([a-z0-9-]+)"),)


def test_a_webhook_knows_nothing_of_conferences(environ: dict[str, str]) -> None:
    environ["SYNC_CONFERENCES"] = "{broken"
    assert read(environ, "webhook").providers == ()
    del environ["SYNC_CONFERENCES"]
    assert read(environ, "webhook").systems == ()


SECRET = "projects/acme-123/secrets/conferences"


def test_conferences_that_are_a_secret_are_named_and_not_read_here(environ: dict[str, str]) -> None:
    settings = read(environ | {"SYNC_CONFERENCES": SECRET}, "worker")
    assert (settings.conferences_secret, settings.providers, settings.systems) == (SECRET, (), ())
    assert read(environ | {"SYNC_CONFERENCES": SECRET}, "webhook").conferences_secret == ""


def test_a_document_that_came_as_a_secret_is_read_like_any_other(environ: dict[str, str]) -> None:
    unread = read(environ | {"SYNC_CONFERENCES": SECRET}, "worker")
    settings, told = with_conferences(unread, json.dumps(CONFERENCES))
    as_it_stands = read(environ | {"SYNC_CONFERENCES": json.dumps(CONFERENCES)}, "worker")
    assert (settings.providers, settings.systems) == (as_it_stands.providers, as_it_stands.systems)
    assert (settings.conferences_secret, told) == (SECRET, ())


@pytest.mark.parametrize("text", ["/etc/passwd", "", "[]", "{"])
def test_a_secret_that_holds_no_document_is_a_problem_and_never_a_path(
    environ: dict[str, str], text: str
) -> None:
    _, told = with_conferences(read(environ | {"SYNC_CONFERENCES": SECRET}, "worker"), text)
    assert told == ("SYNC_CONFERENCES is not a JSON object.",)


def test_an_option_may_be_the_place_of_a_secret_however_deep_it_lies(environ: dict[str, str]) -> None:
    options = {
        "key": {"secret": SECRET},
        "account": {"example.com": {"key": {"file": "/run/key"}, "keys": [{"secret": SECRET}, "plain"]}},
        "secret": "hush",
        "both": {"secret": "plain", "file": "plain"},
    }
    document = {"providers": {"demo": {"use": "demo", "options": options}}}
    (provider,) = read(environ | {"SYNC_CONFERENCES": json.dumps(document)}, "worker").providers
    assert provider.options == {
        "key": SecretPlace(secret=SECRET),
        "account": {
            "example.com": {
                "key": SecretPlace(file="/run/key"),
                "keys": [SecretPlace(secret=SECRET), "plain"],
            }
        },
        "secret": "hush",
        "both": {"secret": "plain", "file": "plain"},
    }


DEPLOYED = {
    "SYNC_PROJECT": "p",
    "SYNC_DATABASE": "sync",
    "SYNC_STORE": "firestore",
    "SYNC_QUEUE": "projects/p/locations/europe-west1/queues/wakes",
    "SYNC_WORKER_URL": "https://worker.example",
    "SYNC_DISPATCH_ACCOUNT": "dispatch@p.iam.gserviceaccount.com",
}


def test_a_deployed_worker_keeps_its_records_in_firestore_and_its_tasks_in_cloud_tasks(
    environ: dict[str, str],
) -> None:
    settings = read(environ | DEPLOYED, "worker")
    assert (settings.sqlite, settings.queue) == (None, DEPLOYED["SYNC_QUEUE"])


def test_a_deployed_webhook_needs_no_store_at_all(environ: dict[str, str]) -> None:
    deployed = environ | DEPLOYED
    del deployed["SYNC_STORE"], deployed["SYNC_PROJECT"], deployed["SYNC_DATABASE"]
    assert read(deployed, "webhook").queue == DEPLOYED["SYNC_QUEUE"]


def test_who_may_enrol_is_read_from_a_json_object_and_without_one_nobody_may(environ: dict[str, str]) -> None:
    assert read(environ, "webhook").enrol is None
    said = {"audiences": ["1-a.apps.googleusercontent.com"], "domains": ["example.com", "example.org"]}
    enrol = read(environ | {"SYNC_ENROL": json.dumps(said)}, "webhook").enrol
    assert enrol == EnrolSettings(frozenset(said["audiences"]), frozenset(said["domains"]))


# --- What is refused ---

WRONG = [
    ({"SYNC_STORE": ""}, r"SYNC_STORE is missing: firestore, or sqlite:PATH\."),
    ({"SYNC_STORE": "sqlite:"}, r"SYNC_STORE is neither firestore nor sqlite:PATH"),
    ({"SYNC_STORE": "sqllite:x"}, r"SYNC_STORE is neither firestore nor .*; did you mean sqlite\?"),
    ({"SYNC_STORE": "postgres:x", "SYNC_QUEUE": ""}, r"SYNC_STORE is neither firestore nor sqlite:PATH\."),
    ({"SYNC_STORE": "firestore"}, r"SYNC_STORE=firestore needs SYNC_PROJECT\."),
    ({"SYNC_STORE": "firestore"}, r"SYNC_STORE=firestore needs SYNC_DATABASE\."),
    ({"SYNC_STORE": "firestore"}, r"SYNC_QUEUE=local .* needs SYNC_STORE=sqlite:PATH\."),
    ({"SYNC_QUEUE": ""}, r"SYNC_QUEUE is missing: local, or projects/"),
    ({"SYNC_QUEUE": "inline"}, r"SYNC_QUEUE=inline is not built in this version"),
    ({"SYNC_QUEUE": "projects/p/queues/q"}, r"SYNC_QUEUE is not projects/…/locations/…/queues/…\."),
    ({"SYNC_QUEUE": "projects/p/locations/l/queues/q"}, r"A Cloud Tasks queue needs SYNC_WORKER_URL\."),
    ({"SYNC_QUEUE": "projects/p/locations/l/queues/q"}, r"A Cloud Tasks queue needs SYNC_DISPATCH_ACCOUNT\."),
    ({"SYNC_QUEUE": "locl"}, r"SYNC_QUEUE is not local; did you mean local\?"),
    ({"SYNC_CHANNEL_KEYS": ""}, r"SYNC_CHANNEL_KEYS is missing"),
    ({"SYNC_CHANNEL_KEYS": "/nowhere"}, r"SYNC_CHANNEL_KEYS names a file that cannot be read: No such file"),
    ({"SYNC_CONFERENCES": ""}, r"SYNC_CONFERENCES is missing"),
    ({"SYNC_CONFERENCES": "/nowhere"}, r"SYNC_CONFERENCES names a file that cannot be read: No such file"),
    *(
        (
            {"SYNC_CONFERENCES": name},
            r"SYNC_CONFERENCES is not projects/…/secrets/…, without a version\.",
        )
        for name in ("projects/p/secrets/s/versions/1", "projects/../secrets/s", "projects/p/secrets/a b")
    ),
    ({"SYNC_CONFERENCES": "{"}, r"SYNC_CONFERENCES is not a JSON object\."),
    ({"SYNC_CONFERENCES": '{"a":' * 100_000}, r"SYNC_CONFERENCES is not a JSON object\."),
    ({"SYNC_CONFERENCES": '{"sytems": []}'}, r"sytems is not a key of .*; did you mean systems\?"),
    ({"SYNC_CONFERENCES": '{"providers": []}'}, r"providers that are not an object of names\."),
    ({"SYNC_CONFERENCES": '{"systems": {}}'}, r"systems that are not a list\."),
    ({"SYNC_ENROL": "example.com"}, r"SYNC_ENROL is not a JSON object\."),
    ({"SYNC_ENROL": "[" * 100_000}, r"SYNC_ENROL is not a JSON object\."),
    ({"SYNC_ENROL": "{}"}, r"SYNC_ENROL has no audiences: a list of texts\."),
    ({"SYNC_ENROL": '{"audiences": ["a"]}'}, r"SYNC_ENROL has no domains: a list of texts\."),
    ({"SYNC_ENROL": '{"audiences": ["a"], "domains": []}'}, r"SYNC_ENROL has no domains: a list of texts\."),
    ({"SYNC_ENROL": '{"audiences": ["a"], "domains": "example.com"}'}, r"SYNC_ENROL has no domains"),
    ({"SYNC_ENROL": '{"audiences": [""], "domains": ["a"]}'}, r"SYNC_ENROL has no audiences"),
    *(
        ({"SYNC_ENROL": f'{{"audiences": ["a"], "domains": ["{domain}"]}}'}, r"not lower-case domain names\.")
        for domain in ("Example.com", "@example.com", "*", "example.com:443", "ada@example.com")
    ),
    ({"SYNC_ENROL": '{"audience": ["a"]}'}, r"audience is not a key of SYNC_ENROL; did you mean audiences\?"),
    ({"SYNC_CERTS_API": "x"}, r"SYNC_CERTS_API is not an http or https URL\."),
    ({"SYNC_MODE": "aply"}, r"SYNC_MODE is not one of apply, observe; did you mean apply\?"),
    ({"SYNC_WORKER_URL": "worker.example"}, r"SYNC_WORKER_URL is not an http or https URL\."),
    ({"SYNC_CALENDAR_API": "ftp://x/"}, r"SYNC_CALENDAR_API is not an http or https URL\."),
    ({"SYNC_CALENDAR_API": "http://[x/"}, r"SYNC_CALENDAR_API is not an http or https URL\."),
    ({"SYNC_STOR": "x"}, r"SYNC_STOR is not a variable; did you mean SYNC_STORE\?"),
    ({"SYNC_XYZZY": "x"}, r"SYNC_XYZZY is not a variable\."),
    ({"SYNC_TIMES": "leese=9"}, r"SYNC_TIMES does not know leese; did you mean lease\?"),
    ({"SYNC_TIMES": "grace=1 grace=2"}, r"SYNC_TIMES names grace twice\."),
    ({"SYNC_TIMES": "lease=40"}, r"lease must be longer than lease_margin \+ calendar_timeout\."),
    (
        {"SYNC_TIMES": "lease=90 read_timeout=65"},
        r"lease must be .* connect_timeout \+ read_timeout \+ 2\.",
    ),
    ({"SYNC_TIMES": "horizon=14"}, r"horizon must not be .* connect_timeout \+ read_timeout \+ 2\."),
    ({"SYNC_TIMES": "most_backoff=4"}, r"most_backoff must not be shorter than first_backoff\."),
    ({"SYNC_TIMES": "channel_life=2592001"}, r"SYNC_TIMES gives channel_life more than 30 days\."),
    *(
        ({"SYNC_TIMES": f"{each.name}=31622401"}, rf"SYNC_TIMES gives {each.name} more than \d+ days\.")
        for each in fields(Times)
    ),
    *(
        ({"SYNC_TIMES": f"grace{bad}"}, r"gives grace no number")
        for bad in ("", "=", "=x", "=0", "=-1", "=inf", "=nan")
    ),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG)
def test_what_is_wrong_is_said_in_a_sentence(
    environ: dict[str, str], change: dict[str, str], sentence: str
) -> None:
    assert any(re.search(sentence, problem) for problem in problems(environ | change))


@pytest.mark.parametrize(
    "times",
    ["lease=90 read_timeout=32.4 horizon=69.8", "horizon=25", "channel_life=2592000 window=31622400"],
)
def test_times_at_their_bounds_are_taken(environ: dict[str, str], times: str) -> None:
    read(environ | {"SYNC_TIMES": times}, "worker")


def test_a_number_that_is_refused_contradicts_nothing(environ: dict[str, str]) -> None:
    assert len(problems(environ | {"SYNC_TIMES": "calendar_timeout=1e12 lease=0"})) == 2


@pytest.mark.parametrize(("variable", "typo"), [("SYNC_QUEUE", "inlne")])
def test_nothing_is_suggested_that_is_not_built(environ: dict[str, str], variable: str, typo: str) -> None:
    (problem,) = problems(environ | {variable: typo})
    assert "did you mean" not in problem


def test_a_draft_is_what_can_be_read_beside_all_that_is_wrong(environ: dict[str, str]) -> None:
    environ |= {"SYNC_MODE": "aply", "SYNC_TIMES": "lease=1", "SYNC_CONFERENCES": json.dumps(CONFERENCES)}
    settings, told = draft(environ, "worker")
    assert told == problems(environ)
    assert [provider.name for provider in settings.providers] == ["demo", "own"]
    assert settings.times == Times()  # never half of what was told


def test_a_file_of_keys_is_judged_without_being_quoted(environ: dict[str, str]) -> None:
    Path(environ["SYNC_CHANNEL_KEYS"]).write_text(KEY_LINE + "\nk2:hush", encoding="utf-8")
    (problem,) = problems(environ, "webhook")
    assert problem.startswith("SYNC_CHANNEL_KEYS names a file without good keys: line 2 ")
    assert "hush" not in problem


def test_the_channel_keys_may_be_in_several_files(environ: dict[str, str], tmp_path: Path) -> None:
    even, odd = tmp_path / "even", tmp_path / "odd"
    odd.write_text(f"{KEY_LINE} 2026-01-31T12:00:00Z\n", encoding="utf-8")
    environ["SYNC_CHANNEL_KEYS"] = f"{even}{os.pathsep}{odd}"
    assert problems(environ) == (
        "SYNC_CHANNEL_KEYS names a file that cannot be read: No such file or directory.",
    )
    even.write_text(KEY_LINE, encoding="utf-8")
    assert problems(environ) == (
        "SYNC_CHANNEL_KEYS names a file without good keys: line 2 repeats a key id.",
    )
    even.write_text(KEY_LINE.replace("k1", "k2"), encoding="utf-8")
    assert read(environ, "worker").channel_keys == (even, odd)


def test_a_file_that_is_no_text_is_a_problem_and_no_crash(environ: dict[str, str]) -> None:
    Path(environ["SYNC_CHANNEL_KEYS"]).write_bytes(b"\xff")
    assert problems(environ) == ("SYNC_CHANNEL_KEYS names a file that cannot be read: it is not UTF-8 text.",)


@pytest.mark.parametrize(
    ("provider", "sentence"),
    [
        (
            {"use": "demo", "option": {}},
            "option is not a key of SYNC_CONFERENCES, provider demo; did you mean options?",
        ),
        ({"use": "demo", "options": []}, "SYNC_CONFERENCES, provider demo: options are not an object."),
        (
            {"use": "a b"},
            "SYNC_CONFERENCES, provider demo: use is not the name of a provider, nor module:Class.",
        ),
        ({}, "SYNC_CONFERENCES, provider demo: use is not the name of a provider, nor module:Class."),
        ("demo", "SYNC_CONFERENCES, provider demo: use is not the name of a provider, nor module:Class."),
    ],
)
def test_a_provider_that_makes_no_sense_is_named(
    environ: dict[str, str], provider: object, sentence: str
) -> None:
    environ["SYNC_CONFERENCES"] = json.dumps({"providers": {"demo": provider}})
    assert problems(environ) == (sentence,)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"secret": "zoom"}, "option keys.old: the secret is not projects/…/secrets/…, without a version."),
        ({"secret": f"{SECRET}/versions/1"}, "option keys.old: the secret is not projects/…/secrets/…"),
        ({"secret": ["hush"]}, "option keys.old: the secret is not projects/…/secrets/…"),
        ({"file": ""}, "option keys.old: the file is not a path."),
        ({"file": 1}, "option keys.old: the file is not a path."),
    ],
)
def test_a_place_of_a_secret_that_makes_no_sense_is_named_and_not_quoted(
    environ: dict[str, str], option: object, sentence: str
) -> None:
    document = {"providers": {"demo": {"use": "demo", "options": {"keys": {"old": option}}}}}
    (problem,) = problems(environ | {"SYNC_CONFERENCES": json.dumps(document)})
    assert problem.startswith(f"SYNC_CONFERENCES, provider demo, {sentence}")
    assert "hush" not in problem


def test_a_provider_cannot_be_called_what_a_conference_key_cannot_hold(environ: dict[str, str]) -> None:
    environ["SYNC_CONFERENCES"] = json.dumps({"providers": {"a:b": {"use": "demo"}}})
    (problem,) = problems(environ)
    assert "a name is lower-case letters" in problem


@pytest.mark.parametrize(
    ("system", "sentence"),
    [
        ("demo", "SYNC_CONFERENCES, system 1 is not an object."),
        (
            {"provider": "demo", "host": []},
            "host is not a key of SYNC_CONFERENCES, system 1; did you mean hosts?",
        ),
        ({"provider": "demo", "hosts": "x"}, "SYNC_CONFERENCES, system 1: hosts is not a list of texts."),
        ({"provider": "demo", "hosts": [1]}, "SYNC_CONFERENCES, system 1: hosts is not a list of texts."),
        *(
            (
                {"provider": "demo", "hosts": ["ok.example:8080", host]},
                "SYNC_CONFERENCES, system 1: hosts are lower-case names, with or without :port.",
            )
            for host in (
                *("https://x.example", "x.example/j", "x.example:port", "x.example:", "X.example", "", "*.x"),
                *("x.example:99999", "me@x.example", "[::1]", "x .example", "x.example\n"),
            )
        ),
        ({"provider": "demo", "path": ["x"]}, "SYNC_CONFERENCES, system 1: path is not a text."),
        ({"provider": "demo", "path": "("}, "SYNC_CONFERENCES, system 1: path is not a regular expression."),
    ],
)
def test_a_system_that_makes_no_sense_is_named(
    environ: dict[str, str], system: object, sentence: str
) -> None:
    environ["SYNC_CONFERENCES"] = json.dumps({"systems": [system]})
    assert problems(environ) == (sentence,)


def test_all_problems_are_told_at_once(environ: dict[str, str]) -> None:
    told = problems({"SYNC_STORE": "firestore", "SYNC_TYPO": "1", "SYNC_TIMES": "grace=0 x=1"})
    named = {re.match(r"\w+", problem)[0] for problem in told}  # type: ignore[index]
    assert named == {
        "SYNC_TYPO",
        "SYNC_STORE",
        "SYNC_QUEUE",
        "SYNC_CHANNEL_KEYS",
        "SYNC_CONFERENCES",
        "SYNC_TIMES",
    }
    assert len(told) == 8


# --- What stays unsaid, and what stays unloaded ---


def test_settings_do_not_print_what_providers_are_told(environ: dict[str, str]) -> None:
    environ["SYNC_CONFERENCES"] = json.dumps(CONFERENCES)
    assert "hush" not in repr(read(environ, "worker"))


def test_settings_load_nothing_heavy() -> None:
    seen = "import sys; bare = {*sys.modules}; import sync.settings; print(*({*sys.modules} - bare))"
    loaded = subprocess.run(
        [sys.executable, "-c", seen], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    roots = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert "sync" in roots
    assert roots <= sys.stdlib_module_names | {"sync"}


# --- The documentation ---


def test_the_page_lists_every_variable_and_no_other() -> None:
    assert sorted(re.findall(r"^\| `(SYNC_\w+)`", DOCS, re.MULTILINE)) == sorted(VARIABLES)


def test_the_page_lists_every_time_with_its_default_and_no_other() -> None:
    listed = {
        name: float(text) for name, text in re.findall(r"^\| `([a-z_]+)` \| (\d+) \|", DOCS, re.MULTILINE)
    }
    assert listed == {each.name: each.default for each in fields(Times)}


def test_the_page_names_every_field_of_a_system() -> None:
    assert {each.name for each in fields(System)} - {"located", "folded", "plain_ids"} <= {
        *re.findall(r"\w+", DOCS)
    }


def test_the_example_of_the_page_works(environ: dict[str, str]) -> None:
    plain, accounts, enrol = re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)
    settings = read(environ | {"SYNC_CONFERENCES": plain}, "worker")
    assert [provider.name for provider in settings.providers] == ["demo"]
    assert [system.provider for system in settings.systems] == ["demo"]
    assert read(environ | {"SYNC_ENROL": enrol}, "webhook").enrol is not None
    (rooms,) = read(environ | {"SYNC_CONFERENCES": accounts}, "worker").providers
    assert [account.name for account in rooms.accounts] == ["emea", "rest"]


def test_calls_that_would_never_fit_into_a_lease_are_told_by_provider() -> None:
    assert too_long({"demo": 23.0, "teams": 46.0}, Times()) == []
    (problem,) = too_long({"demo": 23.0, "slow": 68.0}, Times())
    assert "provider slow: lease must be longer than lease_margin + 70" in problem
    (problem,) = too_long({"demo": 23.0}, Times(horizon=24.0))
    assert "provider demo" in problem


# --- Accounts ---

ZOOM_SECRET = "projects/p/secrets/zoom"


def with_accounts(accounts: object, **more: object) -> dict[str, object]:
    return {"providers": {"rooms": {"use": "demo", "accounts": accounts, **more}}}


def test_accounts_and_what_is_told_are_read(environ: dict[str, str]) -> None:
    accounts = {"emea": {"organizers": ["Emea.Example.com"], "options": {"key": {"secret": ZOOM_SECRET}}}}
    document = with_accounts(accounts, tell=["agenda"], write_back=True)
    (provider,) = read(environ | {"SYNC_CONFERENCES": json.dumps(document)}, "worker").providers
    assert (provider.tell, provider.write_back) == ({"agenda"}, True)
    (account,) = provider.accounts
    assert (account.name, account.organizers) == ("emea", {"emea.example.com"})
    assert account.options == {"key": SecretPlace(secret=ZOOM_SECRET)}
    assert "example" not in repr(provider)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (with_accounts([]), "accounts are not an object of names"),
        (with_accounts({"E MEA": {"organizers": ["*"]}}), "a name is lower-case letters"),
        (with_accounts({"a": {}}), "organizers are not a list of addresses and domains"),
        (with_accounts({"a": {"organizers": "*"}}), "organizers are not a list of addresses and domains"),
        (with_accounts({"a": {"organisers": ["*"]}}), "did you mean organizers"),
        (with_accounts({"a": {"organizers": ["*"], "options": 5}}), "options are not an object"),
        (
            with_accounts({"a": {"organizers": ["x.example"]}, "b": {"organizers": ["X.example"]}}),
            "x.example has more than one account",
        ),
        (with_accounts({}, tell="agenda"), "tell is not a list"),
        (with_accounts({}, write_back="yes"), "write_back is neither true nor false"),
        (with_accounts({}, tell=["agend"]), "agend is nothing to tell; did you mean agenda"),
    ],
)
def test_accounts_that_cannot_work_are_told(
    environ: dict[str, str], document: dict[str, object], sentence: str
) -> None:
    told = " ".join(problems(environ | {"SYNC_CONFERENCES": json.dumps(document)}))
    assert sentence in told


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"SYNC_DELEGATION": "me"}, "SYNC_DELEGATION is not the e-mail address of a service account."),
        ({"SYNC_DELEGATION_CLIENT": "me@x"}, "SYNC_DELEGATION_CLIENT is not the number of a service account"),
        (
            {"SYNC_IDENTITY_API": "http://127.0.0.1:1"},
            "SYNC_IDENTITY_API, a stand-in, needs SYNC_CALENDAR_API.",
        ),
    ],
)
def test_an_identity_that_cannot_be_is_a_problem(
    environ: dict[str, str], told: dict[str, str], problem: str
) -> None:
    (found,) = problems(environ | told)
    assert found.startswith(problem)
