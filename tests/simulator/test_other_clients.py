"""Clients by other people, unmodified. Each is tried where it is installed."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

import pytest

from .conftest import ME, Caller, Receiver, channel

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_gcsa(me: Caller, receiver: Receiver) -> None:
    """insert → paged list → sync → stale If-Match 412 → 410 → watch → stop.

    Insert, the paged list, the change and the deletion are gcsa's own calls. It has none for sync tokens,
    conditions and channels: these go over its own service, with its own credentials, to the address that was set
    in it.
    """
    pytest.importorskip("gcsa")
    from gcsa.event import Event
    from gcsa.google_calendar import GoogleCalendar
    from google.oauth2.credentials import Credentials
    from googleapiclient.errors import HttpError

    calendar = GoogleCalendar(credentials=Credentials("anything"))
    service = calendar.service
    service._baseUrl = f"{me.simulator.url}/calendar/v3/"
    with closing(service):
        times = [START + timedelta(days=day) for day in range(5)]
        made = [
            calendar.add_event(Event(f"{day}", start=start, timezone="UTC"))
            for day, start in enumerate(times)
        ]
        found = list(calendar.get_events(START, START + timedelta(days=9), maxResults=2))
        assert [event.summary for event in found] == ["0", "1", "2", "3", "4"]
        events = service.events()
        token = events.list(calendarId="primary").execute()["nextSyncToken"]

        stale = events.get(calendarId="primary", eventId=made[0].event_id).execute()["etag"]
        made[0].summary = "new"
        calendar.update_event(made[0])
        calendar.delete_event(made[1])
        delta = events.list(calendarId="primary", syncToken=token).execute()["items"]
        assert [item.get("summary", item["status"]) for item in delta] == ["new", "cancelled"]

        late = events.patch(calendarId="primary", eventId=made[0].event_id, body={"summary": "too late"})
        late.headers["If-Match"] = stale
        with pytest.raises(HttpError) as refused:
            late.execute()
        assert refused.value.status_code == 412
        assert calendar.get_event(made[0].event_id).summary == "new"

        me.fault(expire_tokens=ME)
        with pytest.raises(HttpError) as gone:
            events.list(calendarId="primary", syncToken=token).execute()
        assert gone.value.status_code == 410

        watched = events.watch(calendarId="primary", body=channel(receiver)).execute()
        receiver.wait_for(1)
        calendar.add_event(Event("told", start=START, timezone="UTC"))
        receiver.wait_for(2)
        stop = {"id": watched["id"], "resourceId": watched["resourceId"]}
        assert service.channels().stop(body=stop).execute() == ""
    assert sorted(receiver.states()) == ["exists", "sync"]
    assert pages_of(me) == 3


def test_gcal_sync(me: Caller, receiver: Receiver) -> None:
    """insert → paged list → sync → stale If-Match 412 → 410 → watch → stop.

    Insert, the paged list, the changes, sync, and the full sync after 410 are gcal_sync's own calls. It has none
    for channels, and its patch does not look at the answer: watch, stop and the conditional patch go over its
    authenticated transport, the condition as a header of its session.
    """
    pytest.importorskip("gcal_sync")
    aiohttp = pytest.importorskip("aiohttp")
    from gcal_sync.api import GoogleCalendarService, SyncEventsRequest
    from gcal_sync.auth import AbstractAuth
    from gcal_sync.exceptions import InvalidSyncTokenException
    from gcal_sync.model import DateOrDatetime, Event
    from gcal_sync.sync import CalendarEventSyncManager

    class Anonymous(AbstractAuth):  # type: ignore[misc]
        async def async_get_access_token(self) -> str:
            return "anything"

    async def day() -> None:
        root = f"{me.simulator.url}/calendar/v3"
        async with aiohttp.ClientSession() as session:
            auth = Anonymous(session, root)
            api = GoogleCalendarService(auth)
            times = {
                "start": DateOrDatetime(date_time=START),
                "end": DateOrDatetime(date_time=START + timedelta(hours=1)),
            }
            for number in range(3):
                await api.async_create_event(ME, Event(summary=f"{number}", **times))
            me.fault(where="events.list", listing="empty")  # a first page without items: the client goes on
            manager = CalendarEventSyncManager(api, ME)

            async def titles() -> set[str]:
                await manager.run()
                timeline = await manager.store_service.async_get_timeline()
                return {event.summary for event in timeline}

            assert await titles() == {"0", "1", "2"}
            assert pages_of(me) == 2
            (first, second, _), token = me.everything()
            await api.async_patch_event(ME, first["id"], {"summary": "new"})
            await api.async_delete_event(ME, second["id"])
            assert await titles() == {"new", "2"}

            async with aiohttp.ClientSession(headers={"If-Match": first["etag"]}) as conditional:
                place, body = f"calendars/{ME}/events/{first['id']}", {"summary": "too late"}
                late = await Anonymous(conditional, root).request("patch", place, json=body)
                assert late.status == 412
            assert me.get(first["id"]).body["summary"] == "new"

            me.fault(expire_tokens=ME)
            with pytest.raises(InvalidSyncTokenException):
                await api.async_list_events(SyncEventsRequest(calendar_id=ME, sync_token=token))
            assert await titles() == {"new", "2"}

            watched = await auth.post_json(f"calendars/{ME}/events/watch", json=channel(receiver))
            receiver.wait_for(1)
            stop = {"id": watched["id"], "resourceId": watched["resourceId"]}
            assert (await auth.post("channels/stop", json=stop)).status == 204

    asyncio.run(day())
    assert receiver.states() == ["sync"]


def pages_of(me: Caller) -> int:
    """How many pages the first listing of the day took."""
    journal = me.sim("GET", "journal")["requests"]
    assert [entry["unknown"] for entry in journal if entry["unknown"]] == []
    tokens = ["pageToken" in entry["params"] for entry in journal if entry["method"] == "events.list"]
    return len(list(takewhile(bool, tokens[1:]))) + 1


def test_the_client_for_node(me: Caller, receiver: Receiver) -> None:
    node, folder = shutil.which("node"), Path(__file__).parent / "node"
    if node is None or not (folder / "node_modules/@googleapis/calendar").is_dir():
        pytest.skip("needs node, and @googleapis/calendar installed in tests/simulator/node")
    wish = json.dumps({"root": me.simulator.url, "address": receiver.address})
    played = subprocess.run(
        [node, "day.mjs", wish], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert played.returncode == 0, played.stderr
    assert json.loads(played.stdout) == {
        "listed": 5,
        "delta": ["new", "cancelled"],
        "stale": 412,
        "expired": 410,
        "stopped": 204,
    }
    assert "sync" in receiver.states()
