"""`python -m sync apply`: carry out a plan, exactly that."""

import json
from pathlib import Path

from sync.cli import say
from sync.cli.desk import Desk, Wrong, answer
from sync.cli.planned import Done, carry_out, read
from sync.cli.progress import Progress
from sync.cli.verbs import Parser


def main(argv: list[str]) -> int:
    """Exit code 0 if all of it was done, 1 if not, 2 for wrong arguments."""
    parser = Parser(
        "apply",
        "Carry out a plan of `plan --out`: what was to be told or deleted at once, and nothing else. What has\n"
        "moved since, as its events want something else by now, is refused and said. It acts in observe mode\n"
        "too: a person has seen the plan. Deletions need the same evidence as ever, and meet the same brake.\n"
        "Exit code 0 if all of it was done; 1 if something moved or failed; 2 for wrong arguments.",
        ["python -m sync apply plan.json", "python -m sync apply plan.json --json"],
    )
    parser.add_argument("file", metavar="FILE", help="the plan")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    return answer(lambda: _apply(Desk(), arguments.file, as_json=arguments.json))


def _apply(desk: Desk, file: str, *, as_json: bool) -> int:
    try:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise Wrong(
            f"{file} cannot be read: {error.strerror}", "make one: python -m sync plan --out FILE"
        ) from None
    except ValueError:
        document = None
    planned = [(desk.named(key), steps) for key, steps in read(document)]
    done: list[Done] = []
    with Progress("applying", sum(len(steps) for _, steps in planned)) as progress:
        for record, steps in planned:
            if steps:
                done += carry_out(desk, record, steps)
                progress.step(len(steps), desk.label(record.key))
    if as_json:
        say.as_json(
            {"steps": [{"conference": str(e.conference), "outcome": e.outcome, "why": e.why} for e in done]}
        )
    else:
        for each in done:
            why = f": {each.why}" if each.why else ""
            print(
                f"{say.marked('✓' if each.outcome == 'done' else '✗')} {each.conference}  {each.outcome}{why}"
            )
        print(f"{sum(each.outcome == 'done' for each in done)} of {len(done)} done")
    return 0 if all(each.outcome == "done" for each in done) else 1
