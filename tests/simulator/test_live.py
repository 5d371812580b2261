"""The same scenario against Google, when asked: SYNC_LIVE=1 and application default credentials."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any

import pytest

from sync.simulator import Simulator

from .conftest import ME
from .scenario import play
from .test_official_client import service_for


def test_google_and_the_simulator_answer_in_the_same_shapes(simulator: Simulator) -> None:
    if os.environ.get("SYNC_LIVE") != "1":
        pytest.skip(
            "SYNC_LIVE=1 plays the scenario to Google, in a calendar made for it and deleted after it"
        )
    import google.auth
    from googleapiclient.discovery import build

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/calendar"])
    with closing(build("calendar", "v3", static_discovery=True, credentials=credentials)) as google_service:
        made: Any = (
            google_service.calendars().insert(body={"summary": "scenario", "timeZone": "UTC"}).execute()
        )
        try:
            live = dict(play(google_service, made["id"]))
        finally:
            google_service.calendars().delete(calendarId=made["id"]).execute()
    with closing(service_for(simulator)) as service:
        assert dict(play(service, ME)) == live
