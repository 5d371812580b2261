"""`python -m sync inspect`: say which conferences the events in a file carry, and nothing private of them."""

import json
import sys
from dataclasses import dataclass

from sync.cli.redact import redact
from sync.cli.verbs import Parser, complain
from sync.event import Unreadable, parse
from sync.recognise import KNOWN, Recognised, recognise

SIZE_LIMIT = 64 * 1024 * 1024  # several times the largest page the Calendar API sends


def main(argv: list[str]) -> int:
    """Print one line per event. Exit code 0, or 1 if the file cannot be used, or 2 for wrong arguments."""
    parser = Parser(
        "inspect",
        "Say which conference each event in a file carries, and by which rule it was recognised. The\n"
        'file holds an event, a list of events, an answer of events.list, or one of these under "body".\n'
        "With --redact it prints the file instead, personal data replaced, fit to be sent to us.\n"
        "Exit code 0; 1 if the file cannot be used; 2 for wrong arguments.",
        ["python -m sync inspect event.json --redact", "python -m sync inspect - --json < listing.json"],
    )
    parser.add_argument("file", metavar="FILE", help="a JSON file, or - for standard input")
    told = parser.add_mutually_exclusive_group()
    told.add_argument("--json", action="store_true", help="print one JSON object")
    told.add_argument("--redact", action="store_true", help="print the file with personal data replaced")
    arguments = parser.parse_args(argv)
    try:
        document = _read(arguments.file)
        items = _items(document)
    except _Unusable as unusable:
        complain(f"inspect: {arguments.file!r} {unusable.problem}", unusable.hint)
        return 1
    if not items:
        print("inspect: it holds no events", file=sys.stderr)
    if arguments.redact:
        print(json.dumps(redact(document), indent=2))
        print(
            "inspect: times, hosts and names of solutions stay: look it over before you send it",
            file=sys.stderr,
        )
        return 0
    findings = [_finding(item) for item in items]
    if arguments.json:
        print(json.dumps({"events": [finding.as_json() for finding in findings]}))
    else:
        _print_table([finding.as_row() for finding in findings])
    return 0


@dataclass(frozen=True, slots=True)
class _Finding:
    """What is told of one event: no title, no address, no link."""

    id: str
    kind: str | None
    conference: Recognised | None
    problem: str | None

    def as_json(self) -> dict[str, object]:
        found = self.conference
        return {
            "id": self.id,
            "kind": self.kind,
            "conference": found
            and {"provider": found.key.provider, "id": found.key.id, "personal": found.personal},
            "rule": found and found.rule,
            "problem": self.problem,
        }

    def as_row(self) -> tuple[str, ...]:
        if self.problem:
            return (self.id or "-", "unreadable", "-", self.problem)
        if self.conference is None:
            return (self.id, self.kind or "-", "-", "-")
        personal = " (personal)" if self.conference.personal else ""
        return (self.id, self.kind or "-", f"{self.conference.key}{personal}", self.conference.rule)


class _Unusable(Exception):
    """The file cannot be used: why, and what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def _read(path: str) -> object:
    try:
        if path == "-":
            content = sys.stdin.buffer.read(SIZE_LIMIT + 1)
        else:
            with open(path, "rb") as file:
                content = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _Unusable(f"cannot be read: {reason}", "name a JSON file, or - for standard input") from None
    if len(content) > SIZE_LIMIT:
        raise _Unusable(f"has more than {SIZE_LIMIT >> 20} MiB", "inspect one page of the listing at a time")
    try:
        return json.loads(content)
    except RecursionError:
        raise _Unusable("is nested too deeply", "no answer of the Calendar API is") from None
    except ValueError:  # also for bytes that are no text, and for numbers of thousands of digits
        raise _Unusable("is not JSON", "save the answer of the Calendar API as it came") from None


def _items(document: object) -> list[object]:
    """The events in a document. Answers of the Calendar API that hold none are no mistake; other things are."""
    if isinstance(document, dict) and "body" in document:
        document = document["body"]
    match document:
        case list(items) | {"items": list(items)}:
            return items
        case {"kind": "calendar#event"}:
            return [document]
        case {"id": _, **rest} if "kind" not in rest:
            return [document]
        case {"error": _} | {"kind": "api#channel"}:
            return []
        case dict() if not document:
            return []  # the body of a notification
    raise _Unusable(
        "holds neither an event nor a list of events", "save an answer of events.get or events.list"
    )


def _finding(item: object) -> _Finding:
    event = parse(item)  # the calendar's time zone and our access to it change nothing that is told here
    if isinstance(event, Unreadable):
        return _Finding(event.id, None, None, event.problem)
    return _Finding(event.id, event.kind, recognise(event.carried, KNOWN), None)


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
