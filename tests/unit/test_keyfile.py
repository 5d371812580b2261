"""The key file: rotation without a deploy, without a lost hint and without a wait for the disk."""

import base64
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sync.channel import Key
from sync.keyfile import KeyFile
from tests.clock import ManualClock

PERIOD = 60.0
K1, K2, K3 = (Key(f"k{number}", bytes([number]) * 32) for number in (1, 2, 3))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    write(path, K1)
    return path


@pytest.fixture
def keys(path: Path, clock: ManualClock) -> KeyFile:
    return opened(path, clock)


def opened(path: Path, clock: ManualClock) -> KeyFile:
    """As a process that starts now, by its clock, reads the file."""
    return KeyFile([path], PERIOD, clock.monotonic, clock.now)


def written_at(path: Path, clock: ManualClock, seconds_ago: float) -> None:
    os.utime(path, (clock.now() - seconds_ago,) * 2)


def write(path: Path, *keys: Key) -> None:
    path.write_text("".join(f"{key.id}:{base64.urlsafe_b64encode(key.secret).decode()}\n" for key in keys))


# --- Reading ---


def test_the_keys_are_there_from_the_start(keys: KeyFile) -> None:
    assert keys.keys.oldest_first == (K1,)


@pytest.mark.parametrize("contents", [None, "", "k1:short"])
def test_without_readable_keys_nothing_starts(path: Path, clock: ManualClock, contents: str | None) -> None:
    path.unlink() if contents is None else path.write_text(contents)
    with pytest.raises((OSError, ValueError)):
        KeyFile([path], PERIOD, clock.monotonic)


def test_a_new_key_verifies_as_soon_as_it_was_read(keys: KeyFile, path: Path) -> None:
    write(path, K1, K2)
    assert keys.keys.find("k2") is None
    keys.reread()
    assert keys.keys.find("k2") == K2


@pytest.mark.parametrize("contents", [None, b"", b"k1:short", b"\xff\xfe"])
def test_while_the_file_cannot_be_read_the_last_good_keys_serve(
    keys: KeyFile, path: Path, contents: bytes | None
) -> None:
    path.unlink() if contents is None else path.write_bytes(contents)
    keys.reread()
    assert keys.keys.oldest_first == (K1,)
    write(path, K2)
    keys.reread()
    assert keys.keys.oldest_first == (K2,)


def test_one_thread_rereads_however_often_it_is_started(path: Path) -> None:
    changed = threading.Event()
    keys = KeyFile([path], 0.01, lambda: 0.0)
    keys.reread = changed.set  # type: ignore[method-assign]
    before = threading.active_count()
    keys.keep_fresh()
    keys.keep_fresh()
    assert threading.active_count() == before + 1
    assert changed.wait(10)


# --- Signing ---


def test_the_only_key_signs_at_once(keys: KeyFile) -> None:
    assert keys.signing_key() == K1


def test_a_new_key_signs_only_after_two_periods(keys: KeyFile, path: Path, clock: ManualClock) -> None:
    clock.advance(10 * PERIOD)
    write(path, K1, K2)
    keys.reread()
    assert keys.signing_key() == K1
    clock.advance(2 * PERIOD - 0.1)
    assert keys.signing_key() == K1
    clock.advance(0.1)
    assert keys.signing_key() == K2


def test_reading_a_new_key_again_does_not_make_it_newer(
    keys: KeyFile, path: Path, clock: ManualClock
) -> None:
    clock.advance(10 * PERIOD)
    write(path, K1, K2)
    for _ in range(3):
        keys.reread()
        clock.advance(PERIOD)
    assert keys.signing_key() == K2


def test_a_process_that_has_just_started_signs_with_the_newest_key_of_a_file_that_is_old_enough(
    path: Path, clock: ManualClock
) -> None:
    """So that a worker which is stopped between its jobs does not sign with the oldest key for ever."""
    write(path, K1, K2)
    written_at(path, clock, 2 * PERIOD)
    assert opened(path, clock).signing_key() == K2


@pytest.mark.parametrize("seconds_ago", [2 * PERIOD - 1, 0, -3600])
def test_a_process_that_has_just_started_leaves_time_for_a_key_that_was_just_written(
    path: Path, clock: ManualClock, seconds_ago: float
) -> None:
    write(path, K1, K2)
    written_at(path, clock, seconds_ago)
    keys = opened(path, clock)
    assert keys.signing_key() == K1
    clock.advance(2 * PERIOD)
    assert keys.signing_key() == K2


@pytest.mark.parametrize(("seconds_ago", "signs"), [(2 * PERIOD - 1, "k1"), (2 * PERIOD, "k2")])
def test_a_process_that_has_just_started_believes_the_time_in_the_file_and_not_that_of_the_file(
    tmp_path: Path, clock: ManualClock, seconds_ago: float, signs: str
) -> None:
    """Of a mounted secret, nobody says what the time of the file means."""
    files = [tmp_path / "even", tmp_path / "odd"]
    for file, key, ago in zip(files, (K2, K1), (seconds_ago, 86400.0), strict=True):
        write(file, key)
        made_at = datetime.fromtimestamp(clock.now() - ago, UTC)
        file.write_text(f"{file.read_text().strip()} {made_at.isoformat()}\n")
        written_at(file, clock, 10 * PERIOD if signs == "k1" else 0)
    assert KeyFile(files, PERIOD, clock.monotonic, clock.now).signing_key().id == signs


def test_a_slot_that_is_written_anew_brings_a_key_and_takes_the_older_one_away(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Two secrets, each with one key, whose older one is replaced: docs/decisions/7-channel-keys.md."""
    even, odd = tmp_path / "even", tmp_path / "odd"
    write(even, K2)
    write(odd, K1)
    keys = KeyFile([odd, even], PERIOD, clock.monotonic, clock.now)
    clock.advance(2 * PERIOD)
    assert keys.signing_key() == K2
    write(odd, K3)
    odd.write_text(f"{odd.read_text().strip()} {datetime.fromtimestamp(clock.now(), UTC).isoformat()}")
    keys.reread()
    assert [key.id for key in keys.keys.oldest_first] == ["k2", "k3"]
    assert keys.signing_key() == K2
    clock.advance(2 * PERIOD)
    assert keys.signing_key().id == "k3"


def test_a_withdrawn_key_signs_no_more(keys: KeyFile, path: Path, clock: ManualClock) -> None:
    clock.advance(10 * PERIOD)
    write(path, K2)
    keys.reread()
    assert keys.signing_key() == K2


def test_there_is_a_key_to_sign_with_at_every_moment_of_a_rotation(
    keys: KeyFile, path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also between reading the new keys and using them."""
    signed: list[Key] = []

    class Watched(dict[str, int]):
        def items(self):  # type: ignore[no-untyped-def]
            signed.append(keys.signing_key())
            return super().items()

    monkeypatch.setattr(keys, "_strangers", Watched(stranger=1))
    write(path, K2)
    keys.reread()
    assert signed == [K1]
    assert keys.signing_key() == K2


# --- Keys not known yet ---


def test_an_unknown_key_may_yet_be_known_until_a_reading_has_missed_it(keys: KeyFile) -> None:
    assert keys.may_yet_know("k2")
    assert keys.may_yet_know("k2")
    keys.reread()
    assert not keys.may_yet_know("k2")


def test_no_time_that_passes_without_a_reading_makes_a_key_unknown(keys: KeyFile, clock: ManualClock) -> None:
    keys.may_yet_know("k2")
    clock.advance(100 * PERIOD)
    assert keys.may_yet_know("k2")


def test_a_reading_that_failed_has_missed_no_key(keys: KeyFile, path: Path) -> None:
    keys.may_yet_know("k2")
    path.write_text("k1:short")
    keys.reread()
    assert keys.may_yet_know("k2")


def test_a_reading_that_had_begun_before_a_key_was_asked_for_has_not_missed_it(
    keys: KeyFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_text = Path.read_text

    def slowly(path: Path, *how: str, **more: str) -> str:
        text = read_text(path, *how, **more)
        assert keys.may_yet_know("k2")
        return text

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", slowly)
        keys.reread()
    assert keys.may_yet_know("k2")
    keys.reread()
    assert not keys.may_yet_know("k2")


def test_each_unknown_key_waits_for_a_reading_of_its_own(keys: KeyFile) -> None:
    keys.may_yet_know("k2")
    keys.reread()
    assert keys.may_yet_know("k3")
    assert not keys.may_yet_know("k2")


def test_so_many_made_up_keys_take_no_memory_and_hide_no_real_one(keys: KeyFile) -> None:
    for number in range(1000):
        keys.may_yet_know(f"made up {number}")
    assert len(keys._strangers) == 64
    keys.reread()
    assert keys.may_yet_know("k2")


def test_made_up_keys_are_forgotten_in_time(keys: KeyFile) -> None:
    keys.may_yet_know("made up")
    for _ in range(61):
        keys.reread()
    assert keys.may_yet_know("made up")


def test_a_stranger_at_the_door_does_not_disturb_the_rereading(
    keys: KeyFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread of its own reads the keys while others serve requests: one may come at any moment."""
    strangers = iter(range(50))

    class Busy(int):
        def __rsub__(self, other: int) -> int:
            keys.may_yet_know(f"stranger {next(strangers)}")
            return other - int(self)

    monkeypatch.setattr(keys, "_strangers", {"first": Busy(1), "second": Busy(1)})
    write(path, K1, K2)
    keys.reread()
    assert keys.keys.oldest_first == (K1, K2)
    assert next(strangers) == 2


@pytest.mark.parametrize("pause_s", [366 * 86400.0, 1e12])
def test_the_thread_survives_any_pause(path: Path, pause_s: float) -> None:
    before = {*threading.enumerate()}
    KeyFile([path], pause_s, lambda: 0.0).keep_fresh()
    (reader,) = {*threading.enumerate()} - before
    reader.join(0.05)
    assert reader.is_alive()
