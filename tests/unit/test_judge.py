"""The judge finds every way in which a conference can be wrong, and shares no code with what it judges."""

import ast
import sys
from pathlib import Path
from typing import Any

import pytest

from sync.cli.demo import judge as judge_module
from sync.cli.demo.judge import Mismatch, Unseen, compare, judge
from tests.contract.loopback import Answer, Asked, Loopback

SERVICE = "http://127.0.0.1:8080"

Json = dict[str, Any]


def event(**changes: Any) -> Json:
    return {
        "live": True,
        "organizer_self": True,
        "series": None,
        "recurrence": None,
        "title": "Planning",
        "start": {"dateTime": "2030-03-04T10:30:00+01:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2030-03-04T11:00:00+01:00", "timeZone": "Europe/Berlin"},
        "conference": carried("conf-001"),
        **changes,
    }


def carried(name: str, service: str = SERVICE) -> Json:
    return {
        "entryPoints": [
            {"entryPointType": "phone", "uri": "tel:+1"},
            {"entryPointType": "video", "uri": f"{service}/j/{name}"},
        ]
    }


def conference(*calls: tuple[str, int | None], **changes: Any) -> Json:
    return {
        "id": "conf-001",
        "title": "Planning",
        "start": "2030-03-04T09:30:00+00:00",
        "end": "2030-03-04T10:00:00+00:00",
        "deleted": False,
        "calls": [{"verb": verb, "status": status} for verb, status in calls],
        **changes,
    }


def problems(events: list[Json], listed: list[Json], touches: int = 0) -> list[str]:
    found = compare(events, listed, SERVICE, {"conf-001": touches})
    assert all(mismatch.conference == "conf-001" for mismatch in found)
    return [mismatch.problem for mismatch in found]


def test_equal_is_equal_whatever_the_zone() -> None:
    assert problems([event()], [conference()]) == []


def test_nothing_is_in_order() -> None:
    assert compare([], [], SERVICE, {}) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"title": "Plan"}, "its title is Plan, its event says Planning"),
        (
            {"start": "2030-03-04T09:31:00+00:00"},
            "its start is 2030-03-04 09:31:00+00:00, its event says 2030-03-04 10:30:00+01:00",
        ),
        (
            {"end": "2030-03-05T10:00:00+00:00"},
            "its end is 2030-03-05 10:00:00+00:00, its event says 2030-03-04 11:00:00+01:00",
        ),
    ],
)
def test_a_difference_is_told_with_both_sides(changes: Json, problem: str) -> None:
    assert problems([event()], [conference(**changes)]) == [problem]


@pytest.mark.parametrize("listed", [[], [conference(deleted=True)]], ids=["forgotten", "deleted"])
def test_a_conference_that_a_live_event_uses_must_exist(listed: list[Json]) -> None:
    assert problems([event()], listed) == ["an event uses it, and it does not exist"]


def test_a_conference_whose_events_are_all_gone_must_be_gone() -> None:
    gone = [event(live=False), event(live=False)]
    assert problems(gone, [conference()]) == ["its events are gone, and it still exists"]
    assert problems(gone, [conference(deleted=True)]) == []


def test_a_conference_that_was_taken_off_its_event_must_be_gone() -> None:
    for other in (None, {"entryPoints": []}, carried("conf-001", "http://127.0.0.1:9090"), {}):
        bare = [event(conference=other)]
        assert problems(bare, [conference()]) == ["it was taken off its event, and it still exists"]
        assert problems(bare, [conference(deleted=True)]) == []


def test_only_the_organizers_copy_counts() -> None:
    guest = event(organizer_self=False, title="Seen by a guest")
    assert problems([event(), guest], [conference()]) == []
    assert problems([guest], [conference()]) == ["it was taken off its event, and it still exists"]


def test_a_changed_occurrence_does_not_speak_for_its_series() -> None:
    late = {"dateTime": "2031-01-01T00:00:00Z"}
    occurrence = event(series="s1", title="This once", end=late)
    assert problems([event(), occurrence], [conference()]) == []


def test_an_all_day_event_lasts_from_midnight_to_midnight() -> None:
    whole_day = event(start={"date": "2030-03-04"}, end={"date": "2030-03-05"})
    day = conference(start="2030-03-04T00:00:00+00:00", end="2030-03-05T00:00:00+00:00")
    assert problems([whole_day], [day]) == []


def weekly(week: int, *, until: str = "", **changes: Any) -> Json:
    """A series that begins so many weeks later."""
    day = f"2030-03-{4 + 7 * week:02}"
    return event(
        start={"dateTime": f"{day}T09:30:00Z"},
        end={"dateTime": f"{day}T10:00:00Z"},
        recurrence=["EXDATE;TZID=UTC:20300401T093000", f"RRULE:FREQ=WEEKLY{until and f';UNTIL={until}'}"],
        **changes,
    )


@pytest.mark.parametrize("last_until", ["", "20300601T000000Z"])
def test_of_a_series_that_was_split_the_part_that_ends_last_gives_title_and_times(last_until: str) -> None:
    first, rest = weekly(0, until="20300317T235959Z"), weekly(2, until=last_until, title="Planning, new")
    told = {"start": "2030-03-18T09:30:00+00:00", "end": "2030-03-18T10:00:00+00:00"}
    assert problems([first, rest], [conference(title="Planning, new", **told)]) == []
    assert problems([rest, first], [conference()]) != []


def test_a_series_that_never_ends_speaks_for_the_single_event_that_shares_its_conference() -> None:
    late = event(
        title="The last",
        start={"dateTime": "2031-01-01T10:00:00Z"},
        end={"dateTime": "2031-01-01T11:00:00Z"},
    )
    assert problems([weekly(0), late], [conference()]) == []
    told = {"start": "2031-01-01T10:00:00+00:00", "end": "2031-01-01T11:00:00+00:00"}
    ended = weekly(0, until="20300601T000000Z")
    assert problems([ended, late], [conference(title="The last", **told)]) == []


def test_several_events_share_their_times_and_the_last_gives_the_title() -> None:
    later = event(
        title="Planning, part two",
        start={"dateTime": "2030-03-04T14:00:00Z"},
        end={"dateTime": "2030-03-04T15:00:00Z"},
    )
    both = conference(title="Planning, part two", end="2030-03-04T15:00:00+00:00")
    assert problems([later, event()], [both]) == []
    assert problems([event(), later], [conference(title="Planning, part two")]) != []


@pytest.mark.parametrize(
    "calls",
    [
        [("PUT", 200), ("PUT", 200)],
        [("PUT", 200), ("PUT", None)],
        [("PUT", 200), ("DELETE", 204)],
    ],
)
def test_a_touch_that_the_story_does_not_need_is_told(calls: list[tuple[str, int | None]]) -> None:
    assert problems([event()], [conference(*calls)], touches=1) == [
        "it was touched 2 times where its story needs 1"
    ]
    assert problems([event()], [conference(*calls)], touches=2) == []


def test_looking_and_being_refused_are_no_touches() -> None:
    calls = [("GET", 200), ("PUT", 503), ("DELETE", 404), ("PUT", 429)]
    assert problems([event()], [conference(*calls)]) == []


def test_a_conference_outside_the_story_must_not_be_touched_at_all() -> None:
    other = conference(("PUT", 200), id="conf-002")
    found = compare([event(conference=carried("conf-002"))], [other], SERVICE, {"conf-001": 5})
    assert found == [Mismatch("conf-002", "it was touched 1 times where its story needs 0")]


def test_everything_that_is_wrong_is_told_conference_by_conference() -> None:
    listed = [conference(id="conf-002"), conference(("PUT", 200), title="Plan")]
    assert [mismatch.conference for mismatch in compare([event()], listed, SERVICE, {})] == [
        "conf-001",
        "conf-001",
        "conf-002",
    ]


# --- Looking ---


def test_a_side_that_hangs_up_is_looked_at_again() -> None:
    answers = iter([Answer(lost=True), Answer(200, {"calendars": {}})])
    with (
        Loopback(lambda _: next(answers)) as calendar,
        Loopback(lambda _: Answer(200, {"conferences": []})) as service,
    ):
        assert judge(calendar.url, service.url, {}) == []
    assert [asked.path for asked in calendar.asked] == ["/_sim/state"] * 2


def test_a_side_that_cannot_be_looked_at_is_named_and_leaves_no_verdict() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(200, {"calendars": {}}) if "state" in asked.path else Answer(503)

    with Loopback(answer) as town, pytest.raises(Unseen, match="the conference service cannot be looked at"):
        judge(town.url, town.url, {})
    assert len(town.asked) == 4


def test_the_judge_imports_nothing_of_what_it_judges() -> None:
    tree = ast.parse(Path(judge_module.__file__).read_text())
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in named} <= sys.stdlib_module_names
