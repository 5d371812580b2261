"""What the documents list is what the code has."""

import re
from pathlib import Path

import pytest

from sync.codes import Code

ROOT = Path(__file__).parents[2]


def test_every_decision_code_is_explained_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/codes.md").read_text(), re.MULTILINE)
    assert [code for code, _ in rows] == [code.value for code in Code]
    assert all(len(meaning) > 10 for _, meaning in rows)


def test_every_decision_on_the_list_is_a_page_and_every_page_is_on_the_list() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"\]\((.+?\.md)\)", (folder / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in folder.glob("[0-9]*.md"))


@pytest.mark.parametrize("path", [p.relative_to(ROOT) for p in ROOT.glob("*.md")], ids=str)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / path).read_text())
    assert [link for link in links if not (ROOT / path.parent / link).exists()] == []


def test_the_map_of_the_house_names_every_room() -> None:
    import sync

    rooms = {path.stem for path in (ROOT / "sync").iterdir() if not path.name.startswith(("_", "."))}
    words = set(re.findall(r"\w+", sync.__doc__ or ""))
    assert rooms - words - {"version"} == set()
