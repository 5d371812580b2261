"""Two worker processes hammer one calendar in the Firestore of the emulator: the fence loses and lends nothing.

Each is a process of the operating system with a store of its own. They report line by line into files, end by
themselves, and are ended if they do not; nothing is promised about who gets how many turns.
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sync.google.firestore import FirestoreStore
from sync.ports import Claimed
from tests.contract.emulator import emulator
from tests.contract.hammer import CLOSING, KEY, opened
from tests.contract.store_contract import CAL, claimed, conference, know, put

TOTAL = 40  # counted by both together
ENDS_WITHIN_S = 150.0
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with emulator() as running:
        yield running


@dataclass
class Town:
    """A calendar with one conference in a database of its own."""

    project: str
    store: FirestoreStore
    folder: Path

    @contextmanager
    def worker(self, name: str, deed: str) -> Iterator["Worker"]:
        """A process at work; ended at the latest with the block."""
        report, complaint = self.folder / f"{name}.jsonl", self.folder / f"{name}.err"
        command = [sys.executable, "-m", "tests.contract.hammer", self.project, name, deed, str(self.folder)]
        with report.open("wb") as out, complaint.open("wb") as err:
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
        try:
            yield Worker(name, process, report, complaint)
        finally:
            process.kill()
            process.wait()

    def counted(self) -> int:
        [found] = self.store.conferences([KEY])
        return found.attempts


@dataclass
class Worker:
    """A process, and what it has said so far."""

    name: str
    process: "subprocess.Popen[bytes]"
    report: Path
    complaint: Path

    def said(self) -> list[dict[str, Any]]:
        whole = self.report.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def told(self, what: str) -> list[dict[str, Any]]:
        return [each for each in self.said() if each["what"] == what]

    def ends(self, within_s: float) -> None:
        try:
            status = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"worker {self.name} did not end in {within_s:.0f} s: {self.in_words()}")
        assert status == 0, f"worker {self.name} ended with {status}: {self.in_words()}"

    def says(self, what: str, within_s: float) -> None:
        end = time.monotonic() + within_s
        while not self.told(what):
            assert time.monotonic() < end, f"worker {self.name} never said {what}: {self.in_words()}"
            assert self.process.poll() is None, f"worker {self.name} is gone: {self.in_words()}"
            time.sleep(0.01)

    def in_words(self) -> str:
        return f"{self.said()[-5:]} {self.complaint.read_text()[-2000:]}"


@pytest.fixture
def town(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", host)  # no wire between: the time is the server's
    project = f"test-{uuid.uuid4().hex[:20]}"
    store = opened(project)
    know(store, CAL)
    hold = claimed(store).hold
    put(store, hold, conference("e"))
    store.close(hold, 0, CLOSING)
    return Town(project, store, tmp_path)


@pytest.mark.timeout(400)
def test_two_processes_lose_no_update_and_share_no_fence(town: Town) -> None:
    with town.worker("one", f"until={TOTAL}") as one, town.worker("two", f"until={TOTAL}") as two:
        one.ends(ENDS_WITHIN_S)
        two.ends(ENDS_WITHIN_S)
    changes = sorted((*one.told("changed"), *two.told("changed")), key=lambda each: each["fence"])
    told = f"{one.in_words()} {two.in_words()}"
    assert [each["count"] for each in changes] == list(range(1, len(changes) + 1)), told
    assert town.counted() == len(changes) >= TOTAL, told
    fences = [each["fence"] for each in changes]
    assert fences == sorted(set(fences)), "none was granted twice"
    for last, following in pairwise(changes):
        assert last["until"] <= following["since"], f"by the store's time both held it: {last} {following}"


@pytest.mark.timeout(400)
def test_who_slept_longer_than_its_lease_is_refused_whatever_it_writes(town: Town) -> None:
    with town.worker("sleeper", "hold") as sleeper:
        sleeper.says("holds", ENDS_WITHIN_S)
        os.kill(sleeper.process.pid, signal.SIGSTOP)
        with town.worker("other", "until=3") as other:
            other.ends(ENDS_WITHIN_S)
        before = town.store.calendar(CAL), town.counted()
        os.kill(sleeper.process.pid, signal.SIGCONT)
        (town.folder / "go").touch()
        sleeper.ends(ENDS_WITHIN_S)
    outcomes = {each["way"]: each["outcome"] for each in sleeper.told("wrote")}
    assert outcomes == dict.fromkeys(("change", "renew", "close"), "LeaseLost"), sleeper.in_words()
    assert (town.store.calendar(CAL), town.counted()) == before
    assert other.told("changed")[0]["fence"] > sleeper.told("holds")[0]["fence"]
    assert isinstance(town.store.claim(CAL, "afterwards"), Claimed)
