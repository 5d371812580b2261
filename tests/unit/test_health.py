"""What `status` says of calendars that Google does not watch, and of more of them than the budget has room for."""

from dataclasses import replace

from sync.channel import Channel, ChannelState
from sync.cli import health
from sync.cli.health import Trouble, Watched
from sync.ports import CalendarId, CalendarRecord
from sync.settings import Times

NOW = 1_900_000_000.0
WATCHED = Watched("https://hook.example/", Times())
RECORD = CalendarRecord("cal", CalendarId("holidays@example.com"), "holidays", listed_at=NOW - 60)


def troubles(record: CalendarRecord) -> list[Trouble]:
    return list(health.of_calendar(record, NOW, "holidays", WATCHED))


def test_a_calendar_without_a_channel_is_in_trouble_unless_google_does_not_watch_it() -> None:
    assert [(each.code, each.grave) for each in troubles(RECORD)] == [("no_channel", True)]
    refusal = "events.watch: 400 pushNotSupportedForRequestedResource"
    [polled] = troubles(replace(RECORD, unwatchable=refusal))
    assert (polled.code, polled.grave) == ("unwatchable", False)
    assert refusal in polled.cause
    assert "15 min" in polled.cause


def test_a_calendar_with_a_channel_that_speaks_is_in_none() -> None:
    channel = Channel(
        "c", ChannelState.OPEN, "https://hook.example/", "k1", "", NOW - 60, "r", NOW + 7 * 86400.0
    )
    assert troubles(replace(RECORD, channels=(channel,))) == []


def test_too_many_calendars_for_the_budget_are_worth_knowing() -> None:
    said = health.of_budget(12 * 3600.0, Times())
    assert not said.grave
    assert "12 h" in said.cause
    assert "docs/channels.md" in said.fix
