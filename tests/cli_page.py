"""docs/cli.md, as the tests read it: a section for each verb, with commands, their output, and exit codes."""

import re
import shlex
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs/cli.md").read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    found = re.findall(r"^## `(\w+)`.*?\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return dict(found)


class Shown:
    """One command of the page, the exit code and the output that it shows."""

    def __init__(self, block: str) -> None:
        command, _, self.output = block.partition("\n")
        line, _, code = command.removeprefix("$ ").partition("  # exit code ")
        self.argv = shlex.split(line)[3:]
        self.code = int(code or 0)
        assert line.startswith("python -m sync ")


def commands(text: str) -> list[Shown]:
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [
        Shown(each) for block in blocks for each in re.split(r"^(?=\$ )", block, flags=re.MULTILINE) if each
    ]
