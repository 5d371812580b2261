"""`python -m sync version`: say which version this is."""

import json

from sync.cli.verbs import Parser
from sync.version import VERSION


def main(argv: list[str]) -> int:
    """Print it. Exit code 0, 2 for wrong arguments."""
    parser = Parser(
        "version",
        "Say which version this is. Exit code 0; 2 for wrong arguments.",
        ["python -m sync version", "python -m sync version --json"],
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    print(json.dumps({"version": VERSION}) if arguments.json else VERSION)
    return 0
