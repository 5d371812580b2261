"""google-api-python-client against the stand-in, unmodified: it cannot tell the difference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httplib2
import pytest
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from sync.simulator import Simulator

from .conftest import ME, PATIENCE_S, YOU, Caller, Receiver, channel, hours, ids
from .scenario import play

BODY = hours("2026-03-02", 9, 10)


def service_for(simulator: Simulator, http: Any = None) -> Any:
    endpoint = {"api_endpoint": f"{simulator.url}/calendar/v3/"}
    http = http or httplib2.Http(timeout=PATIENCE_S)
    return build("calendar", "v3", static_discovery=True, http=http, client_options=endpoint)


@pytest.fixture
def service(simulator: Simulator) -> Iterator[Any]:
    with closing(service_for(simulator)) as built:
        yield built


def test_a_day_of_a_sync_client(service: Any, me: Caller, receiver: Receiver) -> None:
    """insert → paged list → sync → stale If-Match 412 → 410 → watch → stop."""
    events = service.events()
    made = [events.insert(calendarId="primary", body={"summary": f"{n}", **BODY}).execute() for n in range(5)]
    listed, request = [], events.list(calendarId="primary", maxResults=2)
    while request is not None:
        page = request.execute()
        listed += page["items"]
        request = events.list_next(request, page)
    assert ids(listed) == ids(made)
    token = page["nextSyncToken"]

    events.patch(calendarId="primary", eventId=made[1]["id"], body={"summary": "new"}).execute()
    events.delete(calendarId="primary", eventId=made[2]["id"]).execute()
    delta = events.list(calendarId="primary", syncToken=token).execute()
    assert [item.get("summary", item["status"]) for item in delta["items"]] == ["new", "cancelled"]

    stale = events.patch(calendarId="primary", eventId=made[1]["id"], body={"summary": "too late"})
    stale.headers["If-Match"] = made[1]["etag"]
    with pytest.raises(HttpError) as refused:
        stale.execute()
    assert (refused.value.status_code, refused.value.error_details[0]["reason"]) == (412, "conditionNotMet")

    me.fault(expire_tokens=ME)
    with pytest.raises(HttpError) as gone:
        events.list(calendarId="primary", syncToken=token).execute()
    assert (gone.value.status_code, gone.value.error_details[0]["reason"]) == (410, "fullSyncRequired")

    watched = events.watch(calendarId="primary", body=channel(receiver)).execute()
    receiver.wait_for(1)
    stopped = service.channels().stop(body={"id": watched["id"], "resourceId": watched["resourceId"]})
    assert stopped.execute() == ""
    journal = me.sim("GET", "journal")["requests"]
    assert [entry["unknown"] for entry in journal if entry["unknown"]] == []


def test_the_scenario_plays(service: Any, me: Caller) -> None:
    shapes = dict(play(service, ME))
    assert shapes["a delta of one tombstone, one cancelled occurrence, one series"][0] == {
        "kind": "str",
        "etag": "str",
        "id": "str",
        "status": "str",
    }
    assert shapes["no token with an order"] is False
    refused = {name: one for name, one in shapes.items() if isinstance(one, dict) and "reason" in one}
    assert {name: (one["status"], one["reason"]) for name, one in refused.items()} == {
        "a stale etag": (412, "conditionNotMet"),
        "delete twice": (410, "deleted"),
        "a token with a filter": (400, "invalid"),
        "a malformed token": (400, "invalid"),
        "a malformed page token": (400, "invalid"),
        "an empty window": (400, "timeRangeEmpty"),
        "an unknown event": (404, "notFound"),
        "an unsafe address": (400, "push.webhookUrlNotHttps"),
        "an unknown channel": (404, "notFound"),
    }


def test_a_query_too_long_for_a_line_arrives_all_the_same(service: Any) -> None:
    words = "word " * 500
    assert service.events().list(calendarId="primary", q=words).execute()["items"] == []


def test_the_transport_sends_a_post_twice_when_the_line_drops(service: Any, me: Caller) -> None:
    me.fault(where="events.insert", close="after")
    service.events().insert(calendarId="primary", body=BODY).execute()
    assert len(me.everything()[0]) == 2
    me.fault(where="events.watch", close="after")
    with pytest.raises(HttpError) as refused:
        service.events().watch(
            calendarId="primary", body={"id": "w", "type": "web_hook", "address": "https://hooks.example/x"}
        ).execute()
    assert refused.value.error_details[0]["reason"] == "channelIdNotUnique"


def test_a_refused_token_is_refreshed_by_the_client_itself(simulator: Simulator, me: Caller) -> None:
    def issue() -> str:
        return simulator.accounts.issue(YOU, simulator.clock.now())

    credentials = Credentials(
        issue(),
        refresh_token=YOU,
        token_uri=f"{simulator.url}/token",
        client_id="client",
        client_secret="secret",
    )
    http = AuthorizedHttp(credentials, http=httplib2.Http(timeout=PATIENCE_S))
    me.fault(status=401, until="refresh")
    with closing(service_for(simulator, http)) as service:
        assert service.calendars().get(calendarId="primary").execute()["id"] == YOU
    statuses = [entry["status"] for entry in me.sim("GET", "journal")["requests"]]
    assert statuses == [401, 200, 200]  # refused, a new token, and again
