"""The same scenario against Google, when asked: SYNC_LIVE=1 and application default credentials."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any

import pytest

from sync.simulator import Simulator

from .conftest import Caller
from .scenario import play
from .test_official_client import service_for


def played(service: Any) -> dict[str, Any]:
    """The shapes of the scenario, in a calendar made for it and deleted after it, whatever happens."""
    made = service.calendars().insert(body={"summary": "scenario", "timeZone": "UTC"}).execute()
    try:
        return dict(play(service, made["id"]))
    finally:
        service.calendars().delete(calendarId=made["id"]).execute()


def google() -> Any:
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from googleapiclient.discovery import build

    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/calendar"])
    except (GoogleAuthError, OSError) as missing:
        pytest.fail(f"SYNC_LIVE=1 needs application default credentials: {missing}", pytrace=False)
    return build("calendar", "v3", static_discovery=True, credentials=credentials)


def test_google_and_the_simulator_answer_in_the_same_shapes(simulator: Simulator) -> None:
    if os.environ.get("SYNC_LIVE") != "1":
        pytest.skip(
            "SYNC_LIVE=1 plays the scenario to Google, in a calendar made for it and deleted after it"
        )
    with closing(google()) as live, closing(service_for(simulator)) as service:
        assert played(service) == played(live)


def test_the_scenario_leaves_no_calendar_behind_even_if_it_breaks(
    me: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    with closing(service_for(me.simulator)) as service:
        assert played(service)["a stale etag"]["reason"] == "conditionNotMet"
        monkeypatch.setitem(globals(), "play", broken)
        with pytest.raises(ZeroDivisionError):
            played(service)
    calendars = me.sim("GET", "state")["calendars"]
    assert [one["deleted"] for one in calendars.values()] == [False, False, True, True]
