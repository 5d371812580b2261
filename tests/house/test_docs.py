"""What the documents list is what the code has."""

import ast
import re
from pathlib import Path

import pytest

from sync.codes import Code
from tests.simulation import mistakes

ROOT = Path(__file__).parents[2]


def test_every_decision_code_is_explained_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/codes.md").read_text(), re.MULTILINE)
    assert [code for code, _ in rows] == [code.value for code in Code]
    assert all(len(meaning) > 10 for _, meaning in rows)


def test_every_field_that_a_door_tells_of_a_request_is_listed() -> None:
    """The doors write their record in one place, and name its fields where they answer."""
    calls = [
        node for node in ast.walk(ast.parse((ROOT / "main.py").read_text())) if isinstance(node, ast.Call)
    ]
    answers = [call for call in calls if ast.unparse(call.func) in ("_record", "logs.write")]
    told = {word.arg for call in answers for word in call.keywords if word.arg} - {"trace", "problems"}
    (listed,) = re.findall(
        r"^\| `request` \| .+ \| (.+) \|$", (ROOT / "docs/logs.md").read_text(), re.MULTILINE
    )
    assert {"reception", "refused_before", "status"} <= told
    assert told == set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", listed)))


def test_every_field_that_is_written_anywhere_is_listed_with_its_record_and_no_other() -> None:
    page = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", (ROOT / "docs/logs.md").read_text(), re.MULTILINE)
    listed = {name: set(re.findall(r"`([@\w]+)`", fields)) for name, fields in page}
    written: dict[str, set[str]] = {
        "request": listed["request"],  # above
        "bug": {"@type", "error", "stack_trace", "why"},
    }
    for source in (ROOT / "main.py", *(ROOT / "sync").rglob("*.py")):
        for call in ast.walk(ast.parse(source.read_text())):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            fields = {word.arg for word in call.keywords if word.arg}
            match re.split(r"[.(]", ast.unparse(call)):
                case ["logs", "write_bug", *_]:
                    written["bug"] |= fields
                case ["logs", "write", *_] | ["write", *_]:
                    record = re.search(r"Record\.(\w+)", ast.unparse(call.args[0]))
                    if record and record[1] != "REQUEST":
                        written.setdefault(record[1].lower(), set()).update(fields)
    assert {name: fields for name, fields in written.items() if fields} == {
        name: fields for name, fields in listed.items() if fields
    }


def test_every_step_of_the_protocol_names_what_breaks_without_it() -> None:
    page = (ROOT / "docs/protocol.md").read_text()
    rows = re.findall(r"^\| .+ \| .+ \| (.+) \|$", page, re.MULTILINE)
    proofs = [row for row in rows if row != "breaks without it"]
    assert len(proofs) > 25
    named = {name for row in proofs for name in re.findall(r"\*(\w+)\*", row)}
    assert [name for name in named if not callable(getattr(mistakes, name, None))] == []
    assert mistakes.PLANTED.keys() - named == set()
    tests = {name for row in proofs for name in re.findall(r"`(test_\w+)`", row)}
    sources = [*(ROOT / "tests").rglob("test_*.py"), ROOT / "sync/testing.py"]
    text = "".join(path.read_text() for path in sources)
    assert [name for name in tests if f"def {name}(" not in text] == []
    assert all(re.search(r"\*\w+\*|`test_\w+`|the same pair", row) for row in proofs)


def test_every_decision_on_the_list_is_a_page_and_every_page_is_on_the_list() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"\]\((.+?\.md)\)", (folder / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in folder.glob("[0-9]*.md"))


PAGES = [page for folder in (".", "docs", "docs/decisions") for page in (ROOT / folder).glob("*.md")]


@pytest.mark.parametrize("path", [page.relative_to(ROOT) for page in PAGES], ids=str)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / path).read_text())
    assert [link for link in links if not (ROOT / path.parent / link).exists()] == []


def test_the_map_of_the_house_names_every_room() -> None:
    import sync

    rooms = {path.stem for path in (ROOT / "sync").iterdir() if not path.name.startswith(("_", "."))}
    words = set(re.findall(r"\w+", sync.__doc__ or ""))
    assert rooms - words - {"version"} == set()
