"""The public door: acknowledges only what is durable, and a refusal touches nothing outside."""

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sync.channel import Key, calendar_key, mint
from sync.errors import Transient
from sync.keyfile import KeyFile
from sync.ports import Task
from sync.receive import Receiver, Reception
from sync.wake import Buckets
from tests.clock import ManualClock

PERIOD = 60.0
K1, K2 = (Key(f"k{number}", bytes([number]) * 32) for number in (1, 2))
CALENDAR = calendar_key(b"salt", "ada@example.com")


class Shelf:
    """A queue that keeps what it is given, or does not answer."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.answers = True

    def create(self, task: Task) -> bool:
        if not self.answers:
            raise Transient("no answer")
        self.tasks.append(task)
        return True


class Door:
    """A receiver with the first key, and all around it."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock, self.queue = path, ManualClock(), Shelf()
        self.write(K1)
        self.keys = KeyFile([path], PERIOD, self.clock.monotonic)
        self.receiver = Receiver(self.keys, self.queue, self.clock, Buckets())

    def write(self, *keys: Key) -> None:
        lines = (f"{key.id}:{base64.urlsafe_b64encode(key.secret).decode()}\n" for key in keys)
        self.path.write_text("".join(lines))

    def headers(
        self,
        key: Key = K1,
        state: str = "exists",
        channel_id: str = "channel",
        life: int = 60,
        calendar: str = CALENDAR,
    ) -> dict[str, str]:
        return {
            "X-Goog-Channel-ID": "channel",
            "X-Goog-Channel-Token": mint(key, channel_id, calendar, int(self.clock.now()) + life),
            "X-Goog-Resource-State": state,
        }

    def at_the_start_of_a_bucket(self) -> None:
        self.clock.advance(-self.clock.now() % 20.0)

    def receive(self, **kind: Any) -> Reception:
        return self.receiver.receive(self.headers(**kind))


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path / "keys")


def test_a_genuine_notification_becomes_a_wake_of_its_calendar(door: Door) -> None:
    assert door.receive() is Reception.WOKEN
    assert [(task.kind, task.subject) for task in door.queue.tasks] == [("sync", CALENDAR)]
    assert door.queue.tasks[0].due_at > door.clock.now()


def test_a_new_channels_hello_wakes_nobody_and_is_noted_once(door: Door) -> None:
    for _ in range(3):
        assert door.receive(state="sync") is Reception.HELLO
    [noted] = door.queue.tasks
    assert (noted.kind, noted.subject) == ("hello", f"{CALENDAR}.channel")


def test_a_hello_that_is_not_noted_is_asked_for_again(door: Door) -> None:
    door.queue.answers = False
    with pytest.raises(Transient):
        door.receive(state="sync")
    door.queue.answers = True
    door.receive(state="sync")
    assert len(door.queue.tasks) == 1


def test_a_door_remembers_no_more_hellos_than_it_has_room_for(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.receive._BURSTS", 2)
    for channel_id in ("a", "b", "c", "a"):
        headers = door.headers(state="sync", channel_id=channel_id) | {"X-Goog-Channel-ID": channel_id}
        door.receiver.receive(headers)
    assert len(door.receiver._greeted) == 2
    assert len({task.name for task in door.queue.tasks}) == 3


def test_a_wake_says_when_the_first_notification_came_that_it_stands_for(door: Door) -> None:
    door.at_the_start_of_a_bucket()
    came_at = door.clock.now()
    for _ in range(9):
        door.receive()
        door.clock.advance(0.5)
    assert [task.notified_at for task in door.queue.tasks] == [came_at]


def test_a_wake_that_is_not_durable_is_not_acknowledged(door: Door) -> None:
    door.queue.answers = False
    with pytest.raises(Transient):
        door.receive()


# --- Bursts and storms ---


def test_a_burst_costs_one_task_a_bucket_and_one_call(door: Door) -> None:
    door.at_the_start_of_a_bucket()
    for _ in range(50):
        door.receive()
        door.clock.advance(0.05)
    assert len(door.queue.tasks) == 1


def test_a_notification_after_its_bucket_has_a_wake_of_its_own(door: Door) -> None:
    door.at_the_start_of_a_bucket()
    door.receive()
    door.clock.advance(Buckets().bucket_s)
    door.receive()
    assert len({task.name for task in door.queue.tasks}) == 2
    assert door.queue.tasks[1].due_at > door.clock.now()


def test_no_notification_is_covered_by_a_wake_that_was_not_durable(door: Door) -> None:
    door.queue.answers = False
    with pytest.raises(Transient):
        door.receive()
    door.queue.answers = True
    assert door.receive() is Reception.WOKEN
    assert len(door.queue.tasks) == 1


def test_no_notification_is_covered_by_a_wake_made_before_the_clock_was_set_back(door: Door) -> None:
    door.receive()
    door.clock.set_back(3600)
    door.receive()
    assert len(door.queue.tasks) == 2


def test_calendars_do_not_cover_each_other(door: Door) -> None:
    door.receive()
    door.receive(calendar=calendar_key(b"salt", "bob@example.com"))
    assert len({task.subject for task in door.queue.tasks}) == 2


def test_a_calendar_that_does_not_come_to_rest_is_looked_at_less_often(door: Door) -> None:
    door.at_the_start_of_a_bucket()
    for _ in range(600):
        door.receive()
        door.clock.advance(1.0)
    assert len(door.queue.tasks) <= 6 + 4 + 600 / 20
    waits = [later.due_at - task.due_at for task, later in pairwise(door.queue.tasks)]
    assert max(waits) <= 25  # and is never left alone for longer


def test_a_storm_is_over_after_one_silent_bucket(door: Door) -> None:
    for _ in range(200):
        door.receive()
        door.clock.advance(1.0)
    door.clock.advance(45.0)
    door.receive()
    assert door.queue.tasks[-1].due_at - door.clock.now() <= Buckets().bucket_s + Buckets().margin_s


def test_what_is_remembered_of_bursts_is_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.receive._BURSTS", 3)
    for number in range(10):
        door.receive(calendar=calendar_key(b"salt", f"{number}@example.com"))
    door.receive(calendar=calendar_key(b"salt", "9@example.com"))
    assert len(door.queue.tasks) == 10
    door.receive(calendar=calendar_key(b"salt", "0@example.com"))
    assert len(door.queue.tasks) == 11


REFUSALS: list[dict[str, Any]] = [
    {"channel_id": "another"},
    {"key": Key("k1", bytes([9]) * 32)},
    {"life": 0},
    {"state": ""},
]


@pytest.mark.parametrize("kind", REFUSALS, ids=["another channel's", "forged", "expired", "malformed"])
def test_what_is_not_genuine_is_refused_and_wakes_nobody(door: Door, kind: dict[str, Any]) -> None:
    assert door.receive(**kind) is Reception.REFUSED
    assert door.queue.tasks == []


def test_refusals_are_counted_until_they_are_told(door: Door) -> None:
    door.receive()
    for kind in REFUSALS:
        door.receive(**kind)
    assert (door.receiver.refused(), door.receiver.refused()) == (len(REFUSALS), 0)


# --- Rotation ---


def test_an_unknown_key_is_asked_to_come_again_until_the_keys_were_read_again_and_then_refused(
    door: Door,
) -> None:
    assert door.receive(key=K2) is Reception.NOT_YET
    door.clock.advance(PERIOD)
    assert door.receive(key=K2) is Reception.NOT_YET
    door.keys.reread()
    assert door.receive(key=K2) is Reception.REFUSED
    assert (door.queue.tasks, door.receiver.refused()) == ([], 1)


def test_a_key_that_the_next_reading_brings_loses_no_notification(door: Door) -> None:
    door.write(K1, K2)
    assert door.receive(key=K2) is Reception.NOT_YET
    door.keys.reread()
    assert door.receive(key=K2) is Reception.WOKEN


# --- No input and no output ---

_events: list[str] = []
_watching = False


def _audit(event: str, _arguments: object) -> None:
    if _watching:
        _events.append(event)


@contextmanager
def watched() -> Iterator[list[str]]:
    """What the interpreter does inside that leaves the interpreter: files, sockets, processes, imports."""
    global _watching
    if _audit not in _installed:
        sys.addaudithook(_audit)  # for ever: a hook cannot be taken away
        _installed.append(_audit)
    _events.clear()
    _watching = True
    try:
        yield _events
    finally:
        _watching = False


_installed: list[object] = []


def test_the_watch_sees_a_file_being_opened(door: Door) -> None:
    with watched() as events:
        door.keys.reread()
    assert "open" in events


def test_refusals_do_no_input_and_no_output(door: Door) -> None:
    refused = [door.headers(**kind) for kind in [*REFUSALS, {"key": K2}]]
    with watched() as events:
        for headers in [*refused, {}, {"X-Goog-Channel-ID": "x" * 100_000}]:
            door.receiver.receive(headers)
    assert events == []
