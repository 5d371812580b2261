"""python -m tests.simulation: tell the story of one seed in words, or very many and count."""

import argparse
import sys
import time

from tests.simulation.crowd import CORES, tell, titles
from tests.simulation.story import PROFILES, play
from tests.simulation.tally import Tally

_WORD_EVERY_S = 10.0
_INTERRUPTED = 130


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="tell this one story")
    parser.add_argument("--seeds", type=int, default=1000, help="tell so many, shared out to the profiles")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--profile", choices=sorted(PROFILES), help="only this one")
    parser.add_argument("--processes", type=int, default=CORES, help="at a time")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        profiles = [chosen.profile] if chosen.profile else list(PROFILES)
        return _one(chosen.seed, profiles)
    return _soak(chosen.first, chosen.seeds, chosen.profile or "", chosen.processes)


def _one(seed: int, profiles: list[str]) -> int:
    endings = [play(seed, profile) for profile in profiles]
    print(*endings, sep="\n")
    return any(ending.violation for ending in endings)


def _soak(first: int, count: int, profile: str, processes: int) -> int:
    tally, interrupted = Tally(), False
    progress = _Progress(tally, count)
    try:
        for ending in tell(titles(first, count, profile), processes):
            tally.add(ending)
            if ending.violation:
                print(f"seed {ending.seed}, profile {ending.profile}: {ending.violation}", flush=True)
                print(f"  {_again(ending.seed, ending.profile)}", flush=True)
            progress.maybe_tell()
    except KeyboardInterrupt:
        interrupted = True
    progress.tell()
    _report(tally)
    if tally.broken:
        return 1
    return _INTERRUPTED if interrupted else 0


def _again(seed: int, profile: str) -> str:
    return f".venv/bin/python -m tests.simulation --seed {seed} --profile {profile}"


def _report(tally: Tally) -> None:
    for name, times in sorted(tally.counts.items()):
        print(f"{times:9}  {name}")
    for name in tally.untried():
        print(f"    never  {name}")
    print(tally)


class _Progress:
    """A word on stderr now and then."""

    def __init__(self, tally: Tally, count: int) -> None:
        self._tally = tally
        self._count = count
        self._began = self._told = time.monotonic()

    def maybe_tell(self) -> None:
        if time.monotonic() > self._told + _WORD_EVERY_S:
            self.tell()

    def tell(self) -> None:
        self._told = time.monotonic()
        done, rate = self._tally.stories, self._tally.stories / (self._told - self._began)
        print(
            f"{done} of {self._count} stories, {rate:.1f} a second, {len(self._tally.broken)} violations",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
