"""`python -m sync inspect` answers for every file there can be, and tells nothing private."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.cli import inspect, redact, verbs
from sync.event import Event, parse
from sync.recognise import KNOWN, recognise
from sync.version import VERSION

SAMPLES = Path(__file__).parent.parent / "samples"
SERIES = "7hq2k4m6o8q0s2u4w6y8a0c2e4"

Capture = pytest.CaptureFixture[str]


def write(folder: Path, content: object) -> str:
    file = folder / "given.json"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(json.dumps(content), encoding="utf-8")
    return str(file)


def report(capture: Capture, file: str) -> list[dict[str, Any]]:
    """What `--json` says of a file that can be used."""
    assert inspect.main([file, "--json"]) == 0
    answer = json.loads(capture.readouterr().out.splitlines()[-1])
    assert list(answer) == ["events"]
    events: list[dict[str, Any]] = answer["events"]
    return events


# --- What a file says ---


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("life_2_created", [("3vq8d0c2l5m7n9p1r4t6", "organizer")]),
        ("life_3_start_moved", [("3vq8d0c2l5m7n9p1r4t6", "organizer")]),
        ("life_4_end_moved", [("3vq8d0c2l5m7n9p1r4t6", "organizer")]),
        ("life_5_cancelled", [("3vq8d0c2l5m7n9p1r4t6", "tombstone")]),
        ("series_1_created", [(SERIES, "series")]),
        ("series_2_one_edited", [(SERIES, "series"), (f"{SERIES}_20260303T083000Z", "occurrence")]),
        (
            "series_3_all_edited",
            [
                (SERIES, "series"),
                (f"{SERIES}_20260303T083000Z", "occurrence"),
                (f"{SERIES}_R20260305T083000", "series"),
            ],
        ),
        ("series_4_split", [(SERIES, "series"), (f"{SERIES}_R20260309T083000", "series")]),
        ("series_5_one_deleted", [(SERIES, "series"), (f"{SERIES}_20260304T083000Z", "tombstone")]),
        ("series_6_all_deleted", [(SERIES, "tombstone")]),
        ("occurrence_cancelled", [(f"{SERIES}_20260310T083000Z", "tombstone")]),
        ("occurrence_cancelled_all_day", [("5k7m9o1q3s5u_20260311", "tombstone")]),
        ("tombstone_orphan", [(f"{SERIES}_20260304T083000Z", "tombstone")]),
        ("meet_1_pending", [("2af4c6e8g0i2k4m6o8q0s2u4", "organizer")]),
        ("private_masked", [("6qs8u0w2y4a6c8e0", "organizer")]),
        ("all_day", [("1xz3b5d7f9h1j3l5", "organizer")]),
    ],
)
def test_each_event_is_named_with_its_kind(capsys: Capture, name: str, events: list[tuple[str, str]]) -> None:
    assert report(capsys, str(SAMPLES / f"{name}.json")) == [
        {"id": event_id, "kind": kind, "conference": None, "rule": None, "problem": None}
        for event_id, kind in events
    ]


@pytest.mark.parametrize(
    ("name", "kind", "conference", "rule"),
    [
        (
            "zoom_guest_copy",
            "guest",
            {"provider": "zoom", "id": "84411223355", "personal": False},
            "script_id",
        ),
        (
            "meet_2_success",
            "organizer",
            {"provider": "meet", "id": "abc-defg-hij", "personal": False},
            "entry_point",
        ),
    ],
)
def test_a_conference_is_named_with_the_rule_that_recognised_it(
    capsys: Capture, name: str, kind: str, conference: dict[str, Any], rule: str
) -> None:
    (event,) = report(capsys, str(SAMPLES / f"{name}.json"))
    assert event == {"id": event["id"], "kind": kind, "conference": conference, "rule": rule, "problem": None}


@pytest.mark.parametrize(
    "name",
    [
        "life_1_empty",
        "channel",
        "notification_sync",
        "notification_exists",
        "error_400_invalid_sync_token",
        "error_403_rate_limit",
        "error_404_not_found",
        "error_410_full_sync_required",
        "error_412_condition_not_met",
    ],
)
def test_an_answer_without_events_is_no_failure_and_says_so(capsys: Capture, name: str) -> None:
    assert inspect.main([str(SAMPLES / f"{name}.json"), "--json"]) == 0
    written = capsys.readouterr()
    assert json.loads(written.out) == {"events": []}
    assert "holds no events" in written.err


@pytest.mark.parametrize(
    "around",
    [
        lambda event: event,
        lambda event: [event],
        lambda event: {"items": [event]},
        lambda event: {"kind": "calendar#events", "items": [event], "timeZone": 5, "accessRole": None},
        lambda event: {"body": event, "_status": 200},
        lambda event: {"body": {"items": [event]}},
        lambda event: {name: value for name, value in event.items() if name != "kind"},
    ],
)
def test_an_event_is_found_bare_listed_and_wrapped(capsys: Capture, tmp_path: Path, around: Any) -> None:
    event = json.loads((SAMPLES / "all_day.json").read_text(encoding="utf-8"))["items"][0]
    (found,) = report(capsys, write(tmp_path, around(event)))
    assert (found["id"], found["kind"]) == ("1xz3b5d7f9h1j3l5", "organizer")


def test_an_unreadable_event_is_reported_beside_the_others(capsys: Capture, tmp_path: Path) -> None:
    items = [{"id": "a"}, {"kind": "calendar#event"}, 7, {"id": "b", "status": "cancelled"}]
    nothing = {"conference": None, "rule": None}
    assert report(capsys, write(tmp_path, items)) == [
        {"id": "a", "kind": None, **nothing, "problem": "start is missing"},
        {"id": "", "kind": None, **nothing, "problem": "it has no id"},
        {"id": "", "kind": None, **nothing, "problem": "it is not an object"},
        {"id": "b", "kind": "tombstone", **nothing, "problem": None},
    ]


def test_a_personal_room_is_marked(capsys: Capture, tmp_path: Path) -> None:
    event = json.loads((SAMPLES / "zoom_guest_copy.json").read_text(encoding="utf-8"))["body"]
    event["conferenceData"] = {
        "entryPoints": [{"entryPointType": "video", "uri": "https://zoom.us/my/grace"}]
    }
    file = write(tmp_path, event)
    assert report(capsys, file)[0]["conference"] == {"provider": "zoom", "id": "grace", "personal": True}
    assert inspect.main([file]) == 0
    assert capsys.readouterr().out == f"{event['id']}  guest  zoom:grace (personal)  entry_point\n"


def test_people_get_one_aligned_line_per_event(capsys: Capture, tmp_path: Path) -> None:
    file = write(tmp_path, [{"id": "a"}, {"id": "longer", "status": "cancelled"}])
    assert inspect.main([file]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a       unreadable  -  start is missing",
        "longer  tombstone   -  -",
    ]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_no_title_address_or_link_is_printed(capsys: Capture, options: list[str]) -> None:
    assert inspect.main([str(SAMPLES / "zoom_guest_copy.json"), *options]) == 0
    written = capsys.readouterr()
    for private in ("Quarterly", "@", "https", "000111", "+1"):
        assert private not in written.out + written.err


def test_a_dash_reads_standard_input(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((SAMPLES / "all_day.json").read_bytes())))
    assert [event["id"] for event in report(capsys, "-")] == ["1xz3b5d7f9h1j3l5"]


# --- Files that cannot be used ---


def assert_refused(capture: Capture, file: str, problem: str) -> None:
    assert inspect.main([file, "--json"]) == 1
    written = capture.readouterr()
    assert written.out == ""
    said, hint = written.err.splitlines()
    assert said.startswith("inspect: ")
    assert problem in said
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not JSON"),
        (b"\x00\xff\xfe\x80", "is not JSON"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is not JSON"),
        (b"<html>502</html>", "is not JSON"),
        (b'{"id": "a"', "is not JSON"),
        (b"9" * 5000, "is not JSON"),
        (b"[" * 200_000 + b"]" * 200_000, "is nested too deeply"),
        (b'{"body":' * 200_000 + b"1" + b"}" * 200_000, "is nested too deeply"),
        (b"7", "holds neither"),
        (b'"event"', "holds neither"),
        (b"null", "holds neither"),
        (b'{"hello": "world"}', "holds neither"),
        (b'{"kind": "calendar#calendar", "id": "a"}', "holds neither"),
        (b'{"kind": "calendar#events", "items": {}}', "holds neither"),
        (b'{"body": "<html>"}', "holds neither"),
    ],
    ids=range(15),
)
def test_an_unusable_file_is_refused_in_one_line_with_a_hint(
    capsys: Capture, tmp_path: Path, content: bytes, problem: str
) -> None:
    assert_refused(capsys, write(tmp_path, content), problem)


def test_a_file_that_cannot_be_opened_is_refused(capsys: Capture, tmp_path: Path) -> None:
    assert_refused(capsys, str(tmp_path / "missing.json"), "No such file")
    assert_refused(capsys, str(tmp_path), "Is a directory")
    assert_refused(capsys, "nul\0byte", "cannot be read")


def test_a_huge_file_is_refused_before_it_is_read_whole(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect, "SIZE_LIMIT", 2 << 20)
    file = tmp_path / "huge.json"
    with file.open("wb") as empty:
        empty.truncate(1 << 40)  # sparse: reading all of it would not fit into memory
    assert_refused(capsys, str(file), "has more than 2 MiB")


@given(content=st.binary() | st.text().map(str.encode))
def test_no_bytes_whatever_make_it_raise(content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert inspect.main(["-"]) in (0, 1)


# --- The command line around it ---


@pytest.mark.parametrize("argv", [[], ["a", "b"], ["a", "--jsn"], ["a", "--js"]])
def test_wrong_arguments_are_a_usage_error_with_a_hint(capsys: Capture, argv: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        inspect.main(argv)
    assert exit_.value.code == 2
    said, hint = capsys.readouterr().err.splitlines()
    assert said.startswith("inspect: ")
    assert hint == "hint: python -m sync inspect --help"


@pytest.mark.parametrize("verb", ["config", "doctor", "enrol", "inspect", "version", "watch"])
def test_help_ends_with_examples(capsys: Capture, verb: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        verbs.main([verb, "--help"])
    assert exit_.value.code == 0
    _, _, examples = capsys.readouterr().out.partition("\nexamples:\n")
    assert len(examples.splitlines()) >= 2
    assert all(line.startswith(f"  python -m sync {verb}") for line in examples.splitlines())


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_without_a_verb_all_of_them_are_listed(capsys: Capture, argv: list[str]) -> None:
    assert verbs.main(argv) == 0
    listed = capsys.readouterr().out
    for verb in verbs.VERBS:
        assert f"\n  {verb} " in listed


@pytest.mark.parametrize(
    ("typed", "nearest"), [("inspct", "inspect"), ("simulate", "simulator"), ("--version", "version")]
)
def test_an_unknown_verb_is_answered_with_the_nearest_one(capsys: Capture, typed: str, nearest: str) -> None:
    assert verbs.main([typed]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    said, hint = written.err.splitlines()
    assert repr(typed) in said
    assert repr(nearest) in said
    assert hint.startswith("hint: ")


def test_the_version_is_said(capsys: Capture) -> None:
    assert verbs.main(["version"]) == 0
    assert capsys.readouterr().out == f"{VERSION}\n"
    assert verbs.main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": VERSION}


def test_it_runs_as_a_module_and_imports_only_the_verb_asked_for() -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['sync', 'inspect', {str(SAMPLES / 'all_day.json')!r}]\n"
        "try:\n    runpy.run_module('sync', run_name='__main__')\n"
        "finally:\n    print(*sorted(name for name in sys.modules if name.startswith('sync.cli.')))\n"
    )
    root = SAMPLES.parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.splitlines() == [
        "1xz3b5d7f9h1j3l5  organizer  -  -",
        "sync.cli.inspect sync.cli.redact sync.cli.verbs",
    ]


def test_a_reader_that_has_left_is_not_shouted_after(tmp_path: Path) -> None:
    """As `… | head -1` does: the pipe is closed before all is said."""
    unread, closed = os.pipe()
    os.close(unread)
    ran = subprocess.run(
        [sys.executable, "-m", "sync", "inspect", write(tmp_path, [{"id": "a"}] * 10_000)],
        cwd=SAMPLES.parent.parent,
        stdout=closed,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(closed)
    assert (ran.returncode, ran.stderr) == (1, b"")


def test_a_little_said_to_nobody_ends_quietly_too() -> None:
    unread, closed = os.pipe()
    os.close(unread)
    command = [sys.executable, "-m", "sync", "inspect", str(SAMPLES / "all_day.json")]
    ran = subprocess.run(
        command, cwd=SAMPLES.parent.parent, stdout=closed, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(closed)
    assert (ran.returncode, ran.stderr) == (1, b"")


def test_ctrl_c_while_it_waits_for_input_ends_it_quietly(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waiting(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise KeyboardInterrupt

    class Terminal:
        buffer = Waiting()

    monkeypatch.setattr(sys, "stdin", Terminal())
    assert verbs.main(["inspect", "-"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_terminal_without_unicode_shows_escapes(tmp_path: Path) -> None:
    event = json.loads((SAMPLES / "zoom_guest_copy.json").read_text(encoding="utf-8"))["body"]
    event["conferenceData"] = {
        "entryPoints": [{"entryPointType": "video", "uri": "https://meet.jit.si/Café"}]
    }
    ran = subprocess.run(
        [sys.executable, "-m", "sync", "inspect", write(tmp_path, event)],
        cwd=SAMPLES.parent.parent,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "jitsi:Caf\\xe9" in ran.stdout


# --- Redacted ---

WORDS = st.text("bdfhkqvxyzBDFHKQVXYZ5679", min_size=4, max_size=12)
TEXTS = st.lists(WORDS | st.text("béñ 日本✓<&\"'\\\n", min_size=1, max_size=8), min_size=1, max_size=5).map(
    " ".join
)
MAILS = st.tuples(WORDS, WORDS).map(lambda parts: f"{parts[0]}@{parts[1]}.org")
NUMBERS = st.text("56789", min_size=9, max_size=11)
HEX = st.text("bdf5679", min_size=32, max_size=32)
LINKS = st.one_of(
    st.tuples(NUMBERS, WORDS).map(lambda it: f"https://firm.zoom.us/j/{it[0]}?pwd={it[1]}"),
    st.tuples(NUMBERS, WORDS).map(
        lambda it: f"https://www.google.com/url?q=https://zoom.us/j/{it[0]}%3Fpwd%3D{it[1]}&sa=D&usg={it[1]}"
    ),
    HEX.map(lambda name: f"https://firm.webex.com/firm/j.php?MTID=m{name}"),
    WORDS.map(lambda name: f"https://zoom.us/my/{name}"),
    WORDS.map(lambda name: f"https://whereby.com/{name}"),
    WORDS.map(lambda name: f"https://meet.jit.si/{name}%20{name.encode().hex('%').join(('%', ''))}"),
    HEX.map(lambda name: f"https://8x8.vc/vpaas-magic-cookie-{name}/{name[:7]}"),
    st.tuples(WORDS, HEX).map(
        lambda it: (
            f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{it[0]}%40thread.v2/0"
            f"?context=%7b%22Tid%22%3a%22{it[1]}%22%7d"
        )
    ),
    WORDS.map(lambda name: f"https://{name}@zoom.us/j/567895678"),
    WORDS.map(lambda name: f"https://unknown.example/{name}/{name}#{name}"),
    WORDS.map(lambda name: f"https://zoom.us\\j/{name}"),
)


@st.composite
def personal_events(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    """An event, and every personal text in it."""
    told: list[str] = []

    def some(strategy: st.SearchStrategy[str]) -> str:
        told.append(draw(strategy))
        return told[-1]

    solution = draw(st.sampled_from(["Zoom Meeting", "Webex", "Another Conference"]))
    number, mail = some(NUMBERS | HEX.map("m{}".format)), some(MAILS)
    parameters = {"realMeetingId": draw(st.sampled_from([number, ""])), "creator": mail, "uuid": some(WORDS)}
    if draw(st.booleans()):
        parameters["scriptId"] = "1O_9DeEljSH2vrECr8XeFYYRxFFiowFKOivqSDz316BlBcDXrF00BXrkO"
    return {
        "id": some(WORDS.map(str.lower)),
        "etag": f'"{some(NUMBERS)}"',
        "status": "confirmed",
        "summary": some(TEXTS),
        "description": some(TEXTS),
        "location": some(TEXTS | LINKS),
        "creator": {"email": mail, "displayName": some(TEXTS)},
        "organizer": {"self": True, "email": mail},
        "start": {"dateTime": "2030-03-04T00:30:00Z", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2030-03-04T01:00:00Z"},
        "attendees": [{"email": some(MAILS), "displayName": some(WORDS), "comment": some(TEXTS)}],
        "conferenceData": {
            "conferenceSolution": {"key": {"type": "addOn"}, "name": solution},
            "conferenceId": number,
            "notes": some(TEXTS),
            "entryPoints": [
                {
                    "entryPointType": "video",
                    "uri": some(LINKS),
                    "label": some(TEXTS),
                    "passcode": some(NUMBERS),
                },
                {"entryPointType": "phone", "uri": f"tel:+{some(NUMBERS)},,{number}#", "pin": some(NUMBERS)},
                {"entryPointType": "sip", "uri": f"sip:{some(NUMBERS)}@sip.example"},
            ],
            "parameters": {"addOnParameters": {"parameters": parameters}},
        },
        "extendedProperties": {
            "shared": {"meetingParams": json.dumps({"topic": some(TEXTS), "id": int(some(NUMBERS))})},
            "private": {some(MAILS): some(WORDS)},
        },
    }, told


def grams(text: str) -> set[str]:
    """Every four letters or digits in a row."""
    return {run[at : at + 4] for run in re.findall(r"[a-z0-9]+", text.lower()) for at in range(len(run) - 3)}


def all_texts(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


KEPT = """
    https www google com url firm zoom webex meet jit 8x8 vpaas magic cookie teams microsoft meetup join meeting
    thread whereby unknown example context MTID pwd usg realMeetingId php
"""


@given(personal=personal_events())
def test_no_four_characters_of_anything_personal_come_out_again(
    personal: tuple[dict[str, Any], list[str]],
) -> None:
    event, told = personal
    redacted = redact.redact(event)
    private = {gram for text in told for gram in grams(unquote(unquote(text)))} - grams(KEPT)
    harmless = {"scriptId": "1O_9DeEljSH2vrECr8XeFYYRxFFiowFKOivqSDz316BlBcDXrF00BXrkO"}
    assert not private & (grams(unquote(unquote(all_texts(redacted)))) - grams(all_texts(harmless)))
    for text in filter(grams, told):
        assert text not in all_texts(redacted)


@given(personal=personal_events())
def test_what_is_redacted_is_recognised_by_the_same_rule(personal: tuple[dict[str, Any], list[str]]) -> None:
    def told(raw: object) -> object:
        event = parse(raw)
        assert isinstance(event, Event)
        found = recognise(event.carried, KNOWN)
        return event.kind, found and (found.rule, found.key.provider, found.personal, len(found.key.id))

    event, _ = personal
    assert told(redact.redact(event)) == told(event)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
        max_leaves=12,
    )
)
def test_whatever_json_can_say_is_redacted_into_the_same_structure(value: Any) -> None:
    def structure(value: object) -> object:
        match value:
            case dict():
                return [structure(each) for each in value.values()]
            case list():
                return [structure(each) for each in value]
        return type(value)

    assert structure(redact.redact(value)) == structure(value)


def test_a_redacted_event_keeps_what_tells_its_add_on_apart(capsys: Capture) -> None:
    assert inspect.main([str(SAMPLES / "zoom_guest_copy.json"), "--redact"]) == 0
    written = capsys.readouterr()
    event = json.loads(written.out)["body"]
    data = event["conferenceData"]
    assert data["conferenceSolution"]["name"] == "Zoom Meeting"
    uri = data["entryPoints"][0]["uri"]
    assert re.fullmatch(r"https://northwind\.zoom\.us/j/\d{11}\?pwd=[A-Za-z]{6}\.1&jst=2", uri)
    # The same in, the same out:
    assert data["conferenceId"] == data["entryPoints"][0]["meetingCode"] == uri[28:39]
    assert data["entryPoints"][1]["uri"].endswith(f",,{data['conferenceId']}#")
    assert event["iCalUID"] == f"{event['id']}@google.com"
    assert json.loads(event["extendedProperties"]["shared"]["meetingParams"]) == {
        "topic": event["summary"],
        "type": 2,
    }
    for private in ("Quarterly", "grace", "ada", "000111", "84411223344", "84411223355", "exampleUserId"):
        assert private not in written.out
    assert "look it over" in written.err


def test_the_same_event_is_redacted_otherwise_each_time() -> None:
    event = {"id": "bdfhkqvx56795679"}
    assert redact.redact(event) != redact.redact(event)


def test_redacted_output_is_for_people_to_send_and_not_also_json(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exit_:
        inspect.main(["a", "--json", "--redact"])
    assert exit_.value.code == 2
