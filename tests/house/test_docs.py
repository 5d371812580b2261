"""What the documents list is what the code has."""

import re
from pathlib import Path

import pytest

from sync.codes import Code
from tests.simulation import channel_mistakes, mistakes

ROOT = Path(__file__).parents[2]


def test_every_decision_code_is_explained_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/codes.md").read_text(), re.MULTILINE)
    assert [code for code, _ in rows] == [code.value for code in Code]
    assert all(len(meaning) > 10 for _, meaning in rows)


def test_every_step_of_the_protocol_names_what_breaks_without_it() -> None:
    page = (ROOT / "docs/protocol.md").read_text()
    rows = re.findall(r"^\| .+ \| .+ \| (.+) \|$", page, re.MULTILINE)
    proofs = [row for row in rows if row != "breaks without it"]
    assert len(proofs) > 25
    named = {name for row in proofs for name in re.findall(r"\*(\w+)\*", row)}
    known = vars(mistakes) | channel_mistakes.PLANTED
    assert [name for name in named if name not in known] == []
    assert mistakes.PLANTED.keys() | channel_mistakes.PLANTED.keys() <= named
    tests = {name for row in proofs for name in re.findall(r"`(test_\w+)`", row)}
    sources = [*(ROOT / "tests").rglob("test_*.py"), ROOT / "sync/testing.py"]
    text = "".join(path.read_text() for path in sources)
    assert [name for name in tests if f"def {name}(" not in text] == []
    assert all(re.search(r"\*\w+\*|`test_\w+`|the same pair", row) for row in proofs)


def test_every_decision_on_the_list_is_a_page_and_every_page_is_on_the_list() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"\]\((.+?\.md)\)", (folder / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in folder.glob("[0-9]*.md"))


PAGES = [
    page
    for folder in (".", "docs", "docs/decisions", "docs/playbooks")
    for page in (ROOT / folder).glob("*.md")
]


@pytest.mark.parametrize("path", [page.relative_to(ROOT) for page in PAGES], ids=str)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / path).read_text())
    assert [link for link in links if not (ROOT / path.parent / link).exists()] == []


def test_the_map_of_the_house_names_every_room() -> None:
    import sync

    rooms = {path.stem for path in (ROOT / "sync").iterdir() if not path.name.startswith(("_", "."))}
    words = set(re.findall(r"\w+", sync.__doc__ or ""))
    assert rooms - words - {"version"} == set()


def test_the_readmes_map_names_every_room_and_every_verb() -> None:
    from sync.cli.verbs import VERBS

    _, _, mapped = (ROOT / "README.md").read_text().partition("## Map of the house")
    rooms = {path.name for path in (ROOT / "sync").iterdir() if not path.name.startswith(("_", "."))}
    assert {room for room in rooms if f"{room}`" not in mapped and f"{room}/`" not in mapped} == set()
    (listed,) = re.findall(r"`python -m sync` (\w+(?: · \w+)*)", mapped)
    assert sorted(listed.split(" · ")) == sorted(VERBS)
