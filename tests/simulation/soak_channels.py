"""python -m tests.simulation.soak_channels: ninety days of a thousand calendars, in one line of figures.

Calls fail one time in twenty, and the webhook is down twice for up to two days. Exit code 1 if a calendar was dark
for longer than a sweep interval, a channel was lost, or Google was asked for more than half of its daily budget.
"""

import argparse
import sys

from sync import budget
from tests.simulation.watching import SWEEP_S, Ending, Scale, keep

HOUR = 3600.0


def figures(scale: Scale, ending: Ending) -> str:
    return (
        f"days {scale.days:.0f} calendars {scale.calendars} dark_hours_max {ending.dark_hours_max:.2f} "
        f"leaked {ending.leaked} requests_per_day_max {ending.requests_per_day_max}"
    )


def kept(ending: Ending) -> bool:
    dark = ending.dark_hours_max * HOUR > SWEEP_S
    return not (ending.violation or dark or ending.leaked) and (
        ending.requests_per_day_max <= budget.A_DAY * budget.SHARE
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.soak_channels", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--days", type=float, default=90.0)
    parser.add_argument("--calendars", type=int, default=1000)
    chosen = parser.parse_args()
    scale = Scale(
        days=chosen.days,
        calendars=chosen.calendars,
        converge_every_s=900.0,
        changes_a_day=1.0,
        outages=2,
        rotations=1,
        dying_grants=0,
        pauses=0,
        unwatchable=0,
        overlaps=0.01,
        failing=0.05,
    )
    ending = keep(chosen.seed, scale)
    for name, times in sorted(ending.counts.items()):
        print(f"{times:9}  {name}")
    if ending.violation:
        print(f"violation: {ending.violation}")
    print(figures(scale, ending))
    return 0 if kept(ending) else 1


if __name__ == "__main__":
    sys.exit(main())
