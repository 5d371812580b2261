"""Every verb of `python -m sync` is named here; its module is imported only when it is asked for."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn

VERBS = {
    "demo": ("sync.cli.demo", "play one day of meetings and watch their conferences follow"),
    "simulator": ("sync.simulator.command", "serve a stand-in for Google Calendar"),
    "status": ("sync.cli.status", "say how every calendar stands, what is wrong and what mends it"),
    "explain": ("sync.cli.explain", "say why a meeting and its conference are as they are"),
    "tail": ("sync.cli.tail", "follow what passes see, decide and come to"),
    "plan": ("sync.cli.plan", "say what a pass would do, without doing it"),
    "apply": ("sync.cli.apply", "carry out a plan, exactly that"),
    "pull": ("sync.cli.pull", "have one calendar looked at now"),
    "retry": ("sync.cli.retry", "have what waits after a failure tried now"),
    "replay": ("sync.cli.replay", "have done again what was due since a time"),
    "backfill": ("sync.cli.backfill", "have all that calendars hold looked at anew, and brought in step"),
    "holds": ("sync.cli.holds", "list, approve or reject deletions that wait for a person"),
    "config": ("sync.cli.config", "say what is wrong with the settings, before the doors do"),
    "doctor": ("sync.cli.doctor", "try the deployment, or a provider, and say what to do"),
    "enrol": ("sync.cli.enrol", "have a calendar looked after from now on, or no longer"),
    "forget": ("sync.cli.forget", "erase what is known of a calendar"),
    "watch": ("sync.cli.watch", "list, renew, stop or adopt watch channels"),
    "inspect": ("sync.cli.inspect", "say which conferences the events in a file carry"),
    "version": ("sync.cli.version", "say which version this is"),
}


def main(argv: list[str]) -> int:
    """Run one verb; its exit code is ours."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: python -m sync VERB …\n")
        for name, (_, purpose) in VERBS.items():
            print(f"  {name:<11}{purpose}")
        print("\n`python -m sync VERB --help` says more about one of them.")
        return 0
    verb = argv[0]
    if verb not in VERBS:
        nearest = get_close_matches(verb, VERBS, n=1, cutoff=0)[0]
        complain(
            f"sync: unknown verb {verb!r}, the nearest is {nearest!r}", "python -m sync --help lists them all"
        )
        return 2
    return _quietly(import_module(VERBS[verb][0]).main, argv[1:])


def _quietly(run: Callable[[list[str]], int], argv: list[str]) -> int:
    """A reader that has left, as `head` does, and Ctrl-C are no failures: they end a verb without a word."""
    try:
        code = run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130  # as shells say of whatever SIGINT has ended
    except BrokenPipeError:
        # What is still to be said, the interpreter would try to say once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def complain(problem: str, hint: str) -> None:
    """How every verb reports a failure: one line that says what, one that says what to do."""
    print(f"{problem}\nhint: {hint}", file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """The arguments of one verb, with examples at the end of its `--help`."""

    def __init__(self, verb: str, description: str, examples: Sequence[str], wrong: int = 2) -> None:
        super().__init__(
            prog=f"python -m sync {verb}",
            description=description,
            epilog="\n".join(("examples:", *(f"  {example}" for example in examples))),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.verb = verb
        self._wrong = wrong  # the exit code for wrong arguments

    def error(self, message: str) -> NoReturn:
        complain(f"{self.verb}: {message}", f"{self.prog} --help")
        sys.exit(self._wrong)
