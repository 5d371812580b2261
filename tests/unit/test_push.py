"""Silence is told from quiet: by changes that nobody told of, and by channels that never said their first word."""

from dataclasses import replace

import pytest

from sync.channel import Channel, ChannelState
from sync.ports import CalendarId, CalendarRecord, Progress
from sync.push import LATE_S, SIGNS, liveness, was_missed
from sync.records import advanced, notified

NOW = 1_900_000_000.0
HOUR, DAY = 3600.0, 86400.0
OPEN = Channel(
    "c", ChannelState.OPEN, "https://hook/", "k1", "", NOW - DAY, "r", NOW + DAY, greeted_at=NOW - DAY
)
RECORD = CalendarRecord("cal", CalendarId("a@example.com"), listed_at=NOW - 6 * HOUR, channels=(OPEN,))


def test_a_change_that_a_notification_should_have_told_of_was_missed() -> None:
    assert was_missed(RECORD, NOW - HOUR, NOW)


@pytest.mark.parametrize(
    ("record", "changed_at"),
    [
        pytest.param(RECORD, 0.0, id="no change"),
        pytest.param(RECORD, NOW - LATE_S, id="a notification may still come"),
        pytest.param(RECORD, NOW - 7 * HOUR, id="older than the last listing, which Google shows again"),
        pytest.param(replace(RECORD, notified_at=NOW - HOUR), NOW - HOUR, id="told"),
        pytest.param(
            replace(RECORD, notified_at=NOW - HOUR - 50), NOW - HOUR, id="told, our clock is behind"
        ),
        pytest.param(replace(RECORD, channels=()), NOW - HOUR, id="nobody watches"),
        pytest.param(
            replace(RECORD, channels=(replace(OPEN, opened_at=NOW - HOUR),)),
            NOW - HOUR,
            id="opened meanwhile",
        ),
        pytest.param(
            replace(RECORD, channels=(replace(OPEN, expires_at=NOW - 2 * HOUR),)),
            NOW - HOUR,
            id="lapsed before",
        ),
        pytest.param(
            replace(RECORD, channels=(replace(OPEN, state=ChannelState.OPENING),)), NOW - HOUR, id="not open"
        ),
        pytest.param(replace(RECORD, listed_at=0.0), 0.5, id="never listed before"),
    ],
)
def test_other_changes_were_not_missed(record: CalendarRecord, changed_at: float) -> None:
    assert not was_missed(record, changed_at, NOW)


def missing(times: int, record: CalendarRecord = RECORD, changed_at: float = NOW - HOUR) -> CalendarRecord:
    for _ in range(times):
        record = advanced(record, Progress(changed_at=changed_at, missed=True), NOW)
    return record


def test_it_takes_several_signs_to_be_silent() -> None:
    assert [liveness([missing(n)], NOW).is_silent for n in range(SIGNS + 1)] == [False] * SIGNS + [True]


def test_the_signs_of_all_calendars_count_together() -> None:
    assert liveness([missing(1) for _ in range(SIGNS)], NOW).is_silent


def test_a_notification_of_any_calendar_takes_back_all_signs_before_it() -> None:
    told = replace(RECORD, notified_at=NOW - 60)
    assert liveness([missing(9), told], NOW) == replace(liveness([told], NOW), changed_at=NOW - HOUR)
    assert notified(missing(9), NOW - 60, NOW).missed == 0


def test_signs_after_the_last_notification_count() -> None:
    told = replace(RECORD, notified_at=NOW - 2 * HOUR)
    assert liveness([missing(SIGNS), told], NOW).is_silent


def test_quiet_is_not_silence() -> None:
    quiet = liveness([RECORD], NOW + 30 * DAY)
    assert (quiet.is_silent, quiet.missing, quiet.notified_at, quiet.changed_at) == (False, 0, NOW - DAY, 0.0)


def test_channels_that_never_said_their_first_word_are_signs() -> None:
    mute = replace(RECORD, channels=(replace(OPEN, opened_at=NOW - LATE_S - 1, greeted_at=0.0),))
    assert liveness([mute] * SIGNS, NOW).is_silent
    assert not liveness([mute] * SIGNS, NOW - 2).is_silent, "it may still come"
    assert not liveness([mute] * SIGNS, NOW + DAY).is_silent, "an old channel says nothing of today"
    assert not liveness([mute] * SIGNS + [replace(RECORD, notified_at=NOW)], NOW).is_silent


def test_calendars_that_are_not_watched_say_nothing() -> None:
    idle = replace(missing(9), active=False)
    assert liveness([idle], NOW).missing == 0
    assert liveness([], NOW).missing == 0
