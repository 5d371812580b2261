"""The tables of terraform/README.md, from the variables and outputs: python -m tests.terraform.tables"""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "terraform"
PAGE = FOLDER / "README.md"


def variables() -> list[tuple[str, str, str]]:
    """Name, default, description; what is needed first, and otherwise as they stand."""
    found = []
    for name, body in re.findall(
        r'^variable "(\w+)" \{\n(.+?)^\}', _read("variables.tf"), re.MULTILINE | re.DOTALL
    ):
        default = re.search(r"^  default +=(.+)$", body, re.MULTILINE)
        found.append((name, default[1].strip() if default else "", _description(body)))
    return sorted(found, key=lambda row: row[1] != "")


def outputs() -> list[tuple[str, str]]:
    return [
        (name, _description(body))
        for name, body in re.findall(
            r'^output "(\w+)" \{\n(.+?)^\}', _read("outputs.tf"), re.MULTILINE | re.DOTALL
        )
    ]


def renewed(page: str) -> str:
    """The page with both tables as they ought to be."""
    told = [
        f"| `{name}` | {f'`{default}`' if default else 'needed'} | {text} |"
        for name, default, text in variables()
    ]
    page = _put(page, "variables", ["| variable | default | meaning |", "|---|---|---|", *told])
    told = [f"| `{name}` | {text} |" for name, text in outputs()]
    return _put(page, "outputs", ["| output | meaning |", "|---|---|", *told])


def _put(page: str, name: str, lines: list[str]) -> str:
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    assert place.search(page), f"there is no place for the {name}"
    return place.sub(lambda found: found[1] + "\n".join(lines) + "\n" + found[2], page)


def _description(body: str) -> str:
    found = re.search(r'^  description = "(.+)"$', body, re.MULTILINE)
    return found[1].replace('\\"', '"') if found else ""


def _read(name: str) -> str:
    return (FOLDER / name).read_text()


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
