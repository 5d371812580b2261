"""Large calendars: a page costs what a page costs, not what the calendar costs."""

from __future__ import annotations

import tracemalloc

from sync.simulator import Simulator

from .conftest import ME, Caller

EVENTS = 100_000
BODY = {"start": {"date": "2026-03-02"}, "end": {"date": "2026-03-03"}}


def test_a_hundred_thousand_events_are_forty_pages_at_a_steady_memory(simulator: Simulator) -> None:
    me = Caller(simulator)
    for number in range(EVENTS):
        simulator.world.insert(ME, ME, {"summary": f"Meeting {number}", **BODY})
    wish = {"maxResults": 2500, "fields": "items(id),nextPageToken,nextSyncToken", "prettyPrint": False}
    seen: set[str] = set()
    page = me.list(**wish).body
    held: dict[int, int] = {}  # bytes in use after some of the pages; tracing all of them would take a minute
    for number in range(1, 41):
        seen |= {item["id"] for item in page["items"]}
        if number == 40:
            break
        if number == 20:
            tracemalloc.start()
        page = me.list(**wish, pageToken=page["nextPageToken"]).body
        held[number] = tracemalloc.get_traced_memory()[0]
        if number == 24:
            tracemalloc.stop()
    assert len(seen) == EVENTS
    assert "nextPageToken" not in page
    assert page["nextSyncToken"]
    answer = 2500 * 400  # the ids of a page, which the test itself keeps
    assert held[24] - held[20] < 4 * answer
