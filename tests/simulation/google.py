"""The simulator's pure world as the Calendar port: rendered as JSON, read by the parser of production.

A sync token says which calendar it is of, its epoch and its watermark, so that the judge can read what only Google
should; nobody else looks into it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from sync import event
from sync.channel import Channel
from sync.cursor import Cursor, LastPage, PageToken, SyncToken
from sync.errors import AccessLost, Gone, Overtaken, Refused, SyncTokenGone, Transient
from sync.event import Event, Unreadable
from sync.ports import CalendarId, Page, Version, Watch
from sync.simulator import shapes
from sync.simulator.errors import ApiError
from sync.simulator.model import Calendar, Copy, Query
from sync.simulator.world import World

SYNC = "sync@service.example"  # as whom the calendars are read
BROKEN = "Broken"  # events of this title make no sense to anybody
HIDING = ("none", "freeBusyReader")


@dataclass(frozen=True)
class Mark:
    """What a sync token stands for."""

    calendar: str
    epoch: int
    watermark: int

    def __str__(self) -> str:
        return f"{self.calendar}|{self.epoch}|{self.watermark}"

    @classmethod
    def read(cls, token: str) -> "Mark":
        calendar, epoch, watermark = token.split("|")
        return cls(calendar, int(epoch), int(watermark))


class WorldCalendar:
    """Google Calendar, as far as the use cases know it."""

    call_s = 20.0
    listing = "simulation"

    def __init__(
        self,
        world: World,
        rng: Random,
        mischief: Callable[[bool], str],
        overlooks: Callable[[str, str], bool],
        page_size: int,
    ) -> None:
        self._world = world
        self._rng = rng
        self._mischief = mischief
        self._overlooks = overlooks
        self._page_size = page_size
        self._pages: dict[str, Query] = {}
        self.wrote: Callable[[], None] = lambda: None
        self.unwritable: set[str] = set()  # URLs that a role, or the weather, did not let us write
        self.listings = 0
        self.full_listings = 0

    def list_page(self, calendar: CalendarId, cursor: Cursor, page_token: str) -> Page:
        full = not isinstance(cursor, SyncToken)
        try:
            opened = self._world.open(SYNC, calendar.id)
            query = self._pages.get(page_token) or self._first_query(opened, cursor)
            page = self._world.page(SYNC, calendar.id, query, self._mischief(not page_token))
        except ApiError as error:
            raise _refusal(error, with_token=not full) from None
        role = opened.role(SYNC)
        if role in HIDING:
            raise AccessLost("the role hides the events")
        if not page_token:
            self.listings += 1
            self.full_listings += full
        shown = [copy for copy in page.items if not (full and self._overlooks(opened.id, copy.id))]
        items = [self._parsed(opened, shapes.listed(self._world, SYNC, copy), copy) for copy in shown]
        if page.next_page is not None:
            name = f"page {len(self._pages) + 1}"
            self._pages[name] = page.next_page
            return Page(items, PageToken(name), role)
        token = "" if page.next_sync is None else str(Mark(opened.id, opened.epoch, page.next_sync))
        return Page(items, LastPage(token), role)

    def get(self, calendar: CalendarId, event_id: str) -> Event | Unreadable:
        try:
            opened = self._world.open(SYNC, calendar.id)
        except (
            ApiError
        ) as error:  # Google tells it like an event that is not there; the adapter tells it apart
            raise AccessLost(str(error)) from None
        try:
            copy = self._world.get(SYNC, calendar.id, event_id)
        except ApiError as error:
            raise (Gone if error.status in (404, 410) else AccessLost)(str(error)) from None
        if opened.role(SYNC) in HIDING:
            raise AccessLost("the role hides the events")
        return self._parsed(opened, shapes.event(self._world, SYNC, copy), copy)

    def replace_url(self, calendar: CalendarId, version: Version, old: str, new: str) -> str:
        try:
            copy = self._world.get(SYNC, calendar.id, version.event_id)
            carried = copy.shared.get("conferenceData", {})
            points = [
                {**point, "uri": new} if point["uri"] == old else point
                for point in carried.get("entryPoints", ())
            ]
            self._world.patch(
                SYNC,
                calendar.id,
                version.event_id,
                {"conferenceData": {**carried, "entryPoints": points}},
                if_match=version.etag,
                conference_version=1,
            )
        except ApiError as error:
            if error.status == 412:
                raise Overtaken(str(error)) from None
            if error.status in (404, 410):
                raise Gone(str(error)) from None
            self.unwritable.add(new)
            raise Refused(str(error)) from None
        self.wrote()
        written = self._world.get(SYNC, calendar.id, version.event_id)
        return str(shapes.event(self._world, SYNC, written)["etag"])

    def access_role(self, calendar: CalendarId) -> str:
        try:
            role = self._world.open(SYNC, calendar.id).role(SYNC)
        except ApiError as error:
            raise AccessLost(str(error)) from None
        if role in HIDING:
            raise AccessLost("the role hides the events")
        return role

    def watch(self, calendar: CalendarId, channel_id: str, token: str, address: str, life_s: float) -> Watch:
        body = {"id": channel_id, "type": "web_hook", "address": address, "token": token}
        try:
            channel = self._world.watch(SYNC, calendar.id, {**body, "params": {"ttl": int(life_s)}})
        except ApiError as error:
            raise AccessLost(str(error)) from None
        return Watch(channel.resource_id, channel.expiration_ms / 1000)

    def stop(self, channel: Channel) -> None:
        try:
            self._world.stop({"id": channel.id, "resourceId": channel.resource_id})
        except ApiError:
            return

    def _first_query(self, calendar: Calendar, cursor: Cursor) -> Query:
        size = self._page_size
        if not isinstance(cursor, SyncToken):
            return Query(
                max_results=size, show_deleted=True, time_min=shapes.rfc3339(int(cursor.since * 1e6))
            )
        mark = Mark.read(cursor.value)
        if mark.calendar != calendar.id:
            raise ApiError(400, "invalid", "a token of another calendar")
        self._world.check_token(calendar, mark.epoch, mark.watermark)
        return Query(max_results=size, show_deleted=True, since=mark.watermark)

    @staticmethod
    def _parsed(calendar: Calendar, raw: dict[str, Any], copy: Copy) -> Event | Unreadable:
        if copy.shared.get("summary") == BROKEN and "start" in raw:
            raw = {**raw, "start": {"dateTime": "soon"}}
        return event.parse(raw, time_zone=calendar.time_zone, access_role=calendar.role(SYNC))


def _refusal(error: ApiError, *, with_token: bool) -> Exception:
    if error.status in (400, 410) and with_token:
        return SyncTokenGone(str(error))
    return AccessLost(str(error)) if error.status in (401, 403, 404, 410) else Transient(str(error))
