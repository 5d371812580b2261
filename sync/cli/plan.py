"""`python -m sync plan`: what a pass would do, without doing it."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from sync.cli import say
from sync.cli.desk import Desk, Wrong, answer
from sync.cli.planned import KEEP, Plan, Step, plan
from sync.cli.progress import Progress
from sync.cli.verbs import Parser

_QUIET = ("no_conference", "out_of_window")


def main(argv: list[str]) -> int:
    """Exit code 0 if there is nothing to do, 2 if there is, 1 if it failed."""
    parser = Parser(
        "plan",
        "Say what a pass would do now, without doing it: the calendar is listed, what is decided stays in\n"
        "memory, no provider is called, and neither token nor lease is stored.\n"
        "  ~ told   - deleted   ? waits, or is not sure   = is as it should be\n"
        "With --out the plan is kept, for apply to do exactly that. It also tells what observe mode holds back.\n"
        "Exit code 0 if there is nothing to do; 2 if there are changes; 1 if it failed, or for wrong arguments.",
        ["python -m sync plan room-a", "python -m sync plan --out plan.json --json"],
        wrong=1,
    )
    parser.add_argument("calendar", nargs="?", metavar="CALENDAR", help="its label, key or id; else all")
    parser.add_argument("--out", metavar="FILE", help="keep the plan, for apply")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    return answer(lambda: _plan(Desk(), arguments.calendar, arguments.out, as_json=arguments.json), wrong=1)


def _plan(desk: Desk, name: str | None, out: str | None, *, as_json: bool) -> int:
    chosen = desk.chosen([name] if name else [])
    plans = []
    with Progress("planning", len(chosen)) as progress:
        for record in chosen:
            progress.tell(desk.label(record.key))
            plans.append(plan(desk, record))
            progress.step()
    told = {"plan": 1, "made_at": say.moment(desk.now), "calendars": [_told(desk, each) for each in plans]}
    if out is not None:
        try:
            Path(out).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise Wrong(f"{out} cannot be written: {error.strerror}", "name another file") from None
    changes = any(step.is_change for each in plans for step in each.steps)
    if as_json:
        say.as_json({"changes": changes, **told})
    else:
        _print(desk, plans, out)
    return 2 if changes else 0


def _told(desk: Desk, made: Plan) -> Mapping[str, object]:
    return {
        "label": desk.label(made.calendar.key),
        "key": made.calendar.key,
        "complete": made.complete,
        "codes": dict(sorted(made.codes.items())),
        "steps": [_step(each) for each in made.steps],
    }


def _step(step: Step) -> Mapping[str, object]:
    return {
        "mark": step.mark,
        "conference": str(step.conference),
        "what": step.what,
        "due": step.is_due,
        "at": say.moment(step.at) if step.at else None,
        "fingerprint": step.fingerprint,
        "dropped_at": step.dropped_at,
    }


def _print(desk: Desk, plans: list[Plan], out: str | None) -> None:
    marks = Counter(step.mark for each in plans for step in each.steps)
    for made in plans:
        print(desk.label(made.calendar.key))
        for step in made.steps:
            later = f", {say.when(desk.now, step.at)}" if step.at and step.at > desk.now else ""
            say.paragraph(f"{step.what}{later}", f"  {say.marked(step.mark)} {step.conference}  ", " " * 6)
        unchanged = made.codes["unchanged"]
        if unchanged or not made.steps:
            said = f"{say.plural(unchanged, 'event')} as recorded" if unchanged else "nothing to do"
            print(f"  {say.marked(KEEP)} {said}")
        if not made.complete:
            print("  ? the listing did not come to its end: there may be more")
    print(f"\n{marks['~']} to tell, {marks['-']} to delete, {marks['?']} that wait or are not sure")
    if out is not None:
        print(f"kept in {out}: python -m sync apply {out}")
