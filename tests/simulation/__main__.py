"""python -m tests.simulation: tell the story of one seed, or count over many."""

import argparse
import sys
import time
from collections import Counter

from tests.simulation.story import PROFILES, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="tell this one story")
    parser.add_argument("--seeds", type=int, default=100, help="so many stories of each profile")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--profile", choices=sorted(PROFILES), help="only this one")
    chosen = parser.parse_args()
    profiles = [chosen.profile] if chosen.profile else list(PROFILES)
    if chosen.seed is not None:
        endings = [play(chosen.seed, profile) for profile in profiles]
        print(*endings, sep="\n")
        return any(ending.violation for ending in endings)
    return _many(range(chosen.first, chosen.first + chosen.seeds), profiles)


def _many(seeds: range, profiles: list[str]) -> int:
    counts: Counter[str] = Counter()
    steps = violations = 0
    started = time.perf_counter()
    for profile in profiles:
        for seed in seeds:
            ending = play(seed, profile)
            steps += ending.steps
            counts += ending.counts
            if ending.violation:
                violations += 1
                print(f"--seed {seed} --profile {profile}: {ending.violation}")
    for name, times in sorted(counts.items()):
        print(f"{times:9}  {name}")
    told = len(seeds) * len(profiles)
    print(f"{told / (time.perf_counter() - started):.0f} seeds a second", file=sys.stderr)
    print(f"seeds {told} violations {violations} steps {steps}")
    return violations > 0


if __name__ == "__main__":
    sys.exit(main())
