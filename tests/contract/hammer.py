"""One of several worker processes at one calendar: `python -m tests.contract.hammer PROJECT NAME DEED FOLDER`.

`until=N` claims, counts and gives back, until both together have counted to N and it has had turns itself.
`hold` claims, waits for the file `go` in FOLDER, and only then writes, in every way there is. Each line told is a
JSON object, and it ends by itself, whatever happens.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sync.conference import Conference, Ref
from sync.errors import LeaseLost, SyncError, Transient
from sync.google.firestore import FirestoreStore
from sync.lease import Hold
from sync.ledger import Ledger
from sync.local.clock import SystemClock
from sync.meeting import Reach
from sync.ports import Claimed, Closing
from sync.recognise import ConferenceKey
from tests.contract.store_contract import CAL

T = TypeVar("T")

LEASE_S, MARGIN_S = 3.0, 0.5
ENDS_WITHIN_S = 120.0
TURNS = 3
KEY = ConferenceKey("demo", "e")
CLOSING = Closing(due_at=0.0, work_at=None)


def opened(project: str) -> FirestoreStore:
    return FirestoreStore(
        project, "sync", lease_s=LEASE_S, margin_s=MARGIN_S, grace_s=60.0, clock=SystemClock()
    )


def tell(what: str, **more: object) -> None:
    print(json.dumps({"what": what, **more}), flush=True)


class Worker:
    """Counts in the ledger: one change, and one mark of its own in it, for each tenure."""

    def __init__(self, store: FirestoreStore, name: str) -> None:
        self._store = store
        self._name = name
        self._over_at = time.monotonic() + ENDS_WITHIN_S
        self._turns = 0

    def hammer(self, total: int) -> None:
        while not self._is_enough(total):
            try:
                claim = self._store.claim(CAL, self._name)
                if isinstance(claim, Claimed):
                    self._tenure(claim)
                else:
                    tell("busy")
                    time.sleep(random.uniform(0.0, 0.1))
            except LeaseLost:
                tell("lost")
            except Transient as error:
                tell("trouble", why=str(error))

    def hold(self, go: Path) -> None:
        claim = self._sure(lambda: self._store.claim(CAL, self._name))
        assert isinstance(claim, Claimed), claim
        tell("holds", fence=claim.hold.fence)
        while not go.exists() and time.monotonic() < self._over_at:
            time.sleep(0.01)
        writes: dict[str, Callable[[], object]] = {
            "change": lambda: self._count(claim.hold),
            "renew": lambda: self._store.renew(claim.hold),
            "close": lambda: self._store.close(claim.hold, claim.record.generation, CLOSING),
        }
        for way, write in writes.items():
            try:
                self._sure(write)
            except SyncError as error:
                tell("wrote", way=way, outcome=type(error).__name__)
            else:
                tell("wrote", way=way, outcome="success")

    def _is_enough(self, total: int) -> bool:
        if time.monotonic() > self._over_at:
            tell("gives up")
            return True
        return self._turns >= TURNS and self._sure(self._conference).attempts >= total

    def _tenure(self, claim: Claimed) -> None:
        self._turns += 1
        count, now = self._count(claim.hold)
        tell("changed", fence=claim.hold.fence, count=count, since=claim.now, until=now)
        generation = claim.record.generation
        while not self._store.close(claim.hold, generation, CLOSING):
            record = self._store.calendar(CAL)
            generation = record.generation if record else 0

    def _count(self, hold: Hold) -> tuple[int, float]:
        """One more, at the store's time. What became of a change without an answer is read."""
        mark = f"{self._name}.{hold.fence}"

        def body(ledger: Ledger, now: float) -> tuple[int, float]:
            found = ledger.conference(KEY)
            assert found is not None
            count = found.attempts + 1
            made = Ref(str(count), Reach(now, None, 0.0, repeats=False))
            ledger.put_conference(replace(found, attempts=count, former={**found.former, mark: made}))
            return count, now

        try:
            return self._store.change(hold, body)[0]
        except Transient as error:
            tell("trouble", why=str(error))
            made = self._sure(self._conference).former.get(mark)
            if made is None:
                raise
            return int(made.fingerprint), made.reach.start

    def _conference(self) -> Conference:
        [found] = self._store.conferences([KEY])
        return found

    def _sure(self, ask: Callable[[], T]) -> T:
        """The answer, however often it takes."""
        while True:
            try:
                return ask()
            except Transient as error:
                tell("trouble", why=str(error))
                if time.monotonic() > self._over_at:
                    raise


def main(project: str, name: str, deed: str, folder: str) -> None:
    worker = Worker(opened(project), name)
    what, _, how = deed.partition("=")
    if what == "until":
        worker.hammer(int(how))
    else:
        worker.hold(Path(folder, "go"))
    tell("ends")


if __name__ == "__main__":
    main(*sys.argv[1:])
