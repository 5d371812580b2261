"""Clients by other people, unmodified. Each is tried where it is installed."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from .conftest import ME, Caller, Receiver
from .test_official_client import service_for

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_gcsa(me: Caller) -> None:
    pytest.importorskip("gcsa")
    from gcsa.event import Event
    from gcsa.google_calendar import GoogleCalendar
    from google.auth.credentials import AnonymousCredentials

    calendar = GoogleCalendar(credentials=AnonymousCredentials())
    calendar.service = service_for(me.simulator)
    with closing(calendar.service):
        made = [
            calendar.add_event(Event(f"{n}", start=START + timedelta(days=n), timezone="UTC"))
            for n in range(5)
        ]
        found = list(calendar.get_events(START, START + timedelta(days=9), maxResults=2))
        assert [event.summary for event in found] == [event.summary for event in made]
        made[0].summary = "changed"
        assert calendar.update_event(made[0]).summary == "changed"
        calendar.delete_event(made[1])
        assert len(list(calendar.get_events(START, START + timedelta(days=9)))) == 4


def test_gcal_sync(me: Caller) -> None:
    pytest.importorskip("gcal_sync")
    aiohttp = pytest.importorskip("aiohttp")
    from gcal_sync.api import GoogleCalendarService
    from gcal_sync.auth import AbstractAuth
    from gcal_sync.model import DateOrDatetime, Event
    from gcal_sync.sync import CalendarEventSyncManager

    class Anonymous(AbstractAuth):  # type: ignore[misc]
        async def async_get_access_token(self) -> str:
            return "anything"

    async def day() -> None:
        async with aiohttp.ClientSession() as session:
            api = GoogleCalendarService(Anonymous(session, f"{me.simulator.url}/calendar/v3"))
            times = {
                "start": DateOrDatetime(date_time=START),
                "end": DateOrDatetime(date_time=START + timedelta(hours=1)),
            }
            for number in range(3):
                await api.async_create_event(ME, Event(summary=f"{number}", **times))
            manager = CalendarEventSyncManager(api, ME)

            async def titles() -> set[str]:
                await manager.run()
                timeline = await manager.store_service.async_get_timeline()
                return {event.summary for event in timeline}

            assert await titles() == {"0", "1", "2"}
            (first, second, _), _ = me.everything()
            me.act("retitle", event=first["id"], title="new")
            me.act("delete", event=second["id"])
            assert await titles() == {"new", "2"}
            me.fault(expire_tokens=ME)
            assert await titles() == {"new", "2"}

    asyncio.run(day())


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
