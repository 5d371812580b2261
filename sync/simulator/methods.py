"""The served methods of the API, one function each: parameters in, the world asked, a resource out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from . import errors, series, shapes
from .faults import RequestFault
from .model import Calendar, Copy, Page, Query
from .tokens import BadToken, Sealer
from .wire import Request
from .world import World

Json = dict[str, Any]
Outcome = tuple[int, Json | None]

FORBIDDEN_WITH_TOKEN = (
    "iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty",
    "timeMin", "timeMax", "updatedMin",
)  # fmt: skip
SAME_ON_EVERY_PAGE = (*FORBIDDEN_WITH_TOKEN, "singleEvents", "showDeleted", "eventTypes", "syncToken")
MOST_RESULTS = 2500
GRANTED_ROLES = ("none", "freeBusyReader", "reader", "writer", "owner")


@dataclass(frozen=True)
class Call:
    """A request that has found its method and its speaker."""

    method: str
    request: Request
    path: dict[str, str]
    principal: str
    body: Json
    faults: list[RequestFault]

    @property
    def calendar(self) -> str:
        return self.path.get("calendarId", "")

    @property
    def event(self) -> str:
        return self.path.get("eventId", "")

    @property
    def if_match(self) -> str:
        return self.request.headers.get("if-match", "")

    @property
    def conference_version(self) -> int:
        return self.number("conferenceDataVersion", 0)

    @property
    def mischief(self) -> str:
        return next((fault.listing for fault in self.faults if fault.listing), "")

    @property
    def zone(self) -> str:
        """The zone to show times in; empty for the calendar's own."""
        wanted = self.text("timeZone")
        return _known_zone(wanted) if wanted else ""

    def text(self, name: str) -> str:
        return self.request.param(name)

    def flag(self, name: str) -> bool:
        value = self.text(name) or "false"
        if value not in ("true", "false"):
            raise errors.invalid(f"Invalid boolean value: '{value}'.", parameter=name)
        return value == "true"

    def number(self, name: str, default: int) -> int:
        value = self.text(name)
        if value and not re.fullmatch(r"\d{1,9}", value):
            raise errors.invalid(f"Invalid integer value: '{value}'.", parameter=name)
        return int(value) if value else default


@dataclass(frozen=True)
class Listing:
    """What a list request asks for; its later pages must not ask for anything else."""

    query: Query
    asked: dict[str, list[str]]


class Methods:
    def __init__(self, world: World, sealer: Sealer) -> None:
        self._world = world
        self._sealer = sealer
        self._served: dict[str, Callable[[Call], Outcome]] = {
            "events.list": self._list,
            "events.instances": self._instances,
            "events.get": self._get,
            "events.insert": self._insert,
            "events.import": self._import,
            "events.patch": self._patch,
            "events.update": self._update,
            "events.delete": self._delete,
            "events.move": self._move,
            "events.watch": self._watch,
            "channels.stop": self._stop,
            "calendarList.list": self._calendar_list,
            "calendarList.get": self._calendar_list_entry,
            "calendars.insert": self._insert_calendar,
            "calendars.get": self._get_calendar,
            "calendars.delete": self._delete_calendar,
            "acl.list": self._list_acl,
            "acl.get": self._get_acl,
            "acl.insert": self._insert_acl,
            "acl.patch": self._change_acl,
            "acl.update": self._change_acl,
            "acl.delete": self._delete_acl,
        }

    def perform(self, call: Call) -> Outcome:
        serve = self._served.get(call.method)
        if serve is None:
            raise errors.not_implemented(f"{call.request.verb} {unquote(call.request.path)}")
        return serve(call)

    # -- listings --

    def _list(self, call: Call) -> Outcome:
        calendar = self._world.open(call.principal, call.calendar)
        listing = self._listing(call, calendar)
        page = self._world.page(call.principal, calendar.id, listing.query, call.mischief)
        return 200, self._shown_page(call, calendar, listing, page)

    def _instances(self, call: Call) -> Outcome:
        calendar = self._world.open(call.principal, call.calendar)
        listing = self._listing(call, calendar)
        query = replace(listing.query, series=call.event, original_start=call.text("originalStart"))
        page = self._world.instances(call.principal, calendar.id, query, call.mischief)
        return 200, self._shown_page(call, calendar, listing, page)

    def _listing(self, call: Call, calendar: Calendar) -> Listing:
        values = {name: list(call.request.params(name)) for name in SAME_ON_EVERY_PAGE}
        asked = {name: given for name, given in values.items() if given}
        if call.text("pageToken"):
            return self._continued(call, calendar, asked)
        query = Query(
            max_results=min(call.number("maxResults", 0) or 250, MOST_RESULTS),
            single_events=call.flag("singleEvents"),
            show_deleted=call.flag("showDeleted"),
            order_by=call.text("orderBy"),
            time_min=call.text("timeMin"),
            time_max=call.text("timeMax"),
            updated_min=call.text("updatedMin"),
            q=call.text("q"),
            ical_uid=call.text("iCalUID"),
            event_types=call.request.params("eventTypes"),
            private_properties=call.request.params("privateExtendedProperty"),
            shared_properties=call.request.params("sharedExtendedProperty"),
        )
        if query.order_by not in ("", "startTime", "updated"):
            raise errors.invalid(f"Invalid value for orderBy: {query.order_by}", parameter="orderBy")
        if not call.text("syncToken"):
            return Listing(query, asked)
        if asked.keys() & {*FORBIDDEN_WITH_TOKEN} or call.text("showDeleted") == "false":
            raise errors.token_with_restrictions()
        return Listing(replace(query, since=self._since(call, calendar)), asked)

    def _since(self, call: Call, calendar: Calendar) -> int:
        try:
            epoch, watermark = self._sealer.open(f"sync {calendar.id}", call.text("syncToken"))
        except BadToken as bad:
            raise errors.invalid_sync_token() from bad
        self._world.check_token(calendar, epoch, watermark)
        return int(watermark)

    def _continued(self, call: Call, calendar: Calendar, asked: dict[str, list[str]]) -> Listing:
        """The next page of the same listing. Parameters may be left out, but not changed."""
        try:
            content = self._sealer.open(f"page {calendar.id} {call.event}", call.text("pageToken"))
        except BadToken as bad:
            raise errors.invalid_page_token() from bad
        before: dict[str, list[str]] = content["asked"]
        if any(before.get(name) != given for name, given in asked.items()):
            raise errors.invalid_page_token()
        stored: Json = {name: tuple(x) if isinstance(x, list) else x for name, x in content["query"].items()}
        query = Query(**stored)
        if query.since is not None:
            self._world.check_token(calendar, content["epoch"], query.since)
        most = min(call.number("maxResults", 0) or query.max_results, MOST_RESULTS)
        return Listing(replace(query, max_results=most), before)

    def _shown_page(self, call: Call, calendar: Calendar, listing: Listing, page: Page) -> Json:
        tokens: dict[str, str] = {}
        if page.next_page is not None:
            told = {
                name: value for name, value in vars(page.next_page).items() if value != getattr(Query, name)
            }
            content = {"query": told, "asked": listing.asked, "epoch": calendar.epoch}
            tokens["nextPageToken"] = self._sealer.seal(f"page {calendar.id} {call.event}", content)
        elif page.next_sync is not None:
            tokens["nextSyncToken"] = self._sealer.seal(
                f"sync {calendar.id}", [calendar.epoch, page.next_sync]
            )
        return shapes.events(
            self._world,
            call.principal,
            calendar,
            page,
            tokens,
            zone=call.zone,
            most_attendees=call.number("maxAttendees", 0),
        )

    # -- events --

    def _get(self, call: Call) -> Outcome:
        copy = self._world.get(call.principal, call.calendar, call.event)
        if call.request.headers.get("if-none-match") == f'"{copy.etag}"':
            return 304, None
        return self._shown(call, copy)

    def _insert(self, call: Call) -> Outcome:
        body, version = self._let_through(call), call.conference_version
        return self._shown(
            call, self._world.insert(call.principal, call.calendar, body, conference_version=version)
        )

    def _import(self, call: Call) -> Outcome:
        body, version = self._let_through(call), call.conference_version
        return self._shown(
            call, self._world.import_event(call.principal, call.calendar, body, conference_version=version)
        )

    def _patch(self, call: Call) -> Outcome:
        return self._changed(call, whole=False)

    def _update(self, call: Call) -> Outcome:
        return self._changed(call, whole=True)

    def _changed(self, call: Call, *, whole: bool) -> Outcome:
        before = self._world.get(call.principal, call.calendar, call.event)
        copy = self._world.patch(
            call.principal,
            call.calendar,
            call.event,
            self._let_through(call, before.shared.get("conferenceData")),
            if_match=call.if_match,
            conference_version=call.conference_version,
            whole=whole,
        )
        return self._shown(call, copy)

    def _let_through(self, call: Call, old: Json | None = None) -> Json:
        """The body, as far as a client may do to a conference what people do in the web page."""
        switches, body = self._world.switches, call.body
        wanted = body.get("conferenceData", {})
        if call.conference_version != 1:
            return body
        if wanted is None and not switches.null_erases_conference:
            return {name: value for name, value in body.items() if name != "conferenceData"}
        kind = (wanted or {}).get("conferenceSolution", {}).get("key", {}).get("type")
        if kind == "addOn" and switches.addon_writes == "refuse" and wanted != old:
            raise errors.invalid()
        return body

    def _delete(self, call: Call) -> Outcome:
        self._world.delete(call.principal, call.calendar, call.event, if_match=call.if_match)
        return 204, None

    def _move(self, call: Call) -> Outcome:
        if not call.text("destination"):
            raise errors.required("Required")
        copy = self._world.move(call.principal, call.calendar, call.event, call.text("destination"))
        return self._shown(call, copy)

    def _shown(self, call: Call, copy: Copy) -> Outcome:
        zone, most = call.zone, call.number("maxAttendees", 0)
        return 200, shapes.event(self._world, call.principal, copy, zone=zone, most_attendees=most)

    # -- channels --

    def _watch(self, call: Call) -> Outcome:
        calendar = self._world.open(call.principal, call.calendar)
        if call.text("syncToken"):
            try:
                self._since(call, calendar)
            except errors.ApiError as refusal:
                raise errors.invalid() if refusal.status == 400 else refusal from None
        typed = bool(call.request.params("eventTypes"))
        return 200, shapes.channel(self._world.watch(call.principal, call.calendar, call.body, typed=typed))

    def _stop(self, call: Call) -> Outcome:
        self._world.stop(call.body)
        return 204, None

    # -- calendars and roles --

    def _calendar_list(self, call: Call) -> Outcome:
        readable = (one for one in self._world.calendars.values() if one.role(call.principal) != "none")
        items = [shapes.calendar_list_entry(call.principal, one) for one in readable if not one.deleted]
        etag = f'"p{self._world.watermark():x}o"'
        return 200, {"kind": "calendar#calendarList", "etag": etag, "items": items}

    def _calendar_list_entry(self, call: Call) -> Outcome:
        calendar = self._world.open(call.principal, call.calendar)
        return 200, shapes.calendar_list_entry(call.principal, calendar)

    def _get_calendar(self, call: Call) -> Outcome:
        return 200, shapes.calendar_resource(self._world.open(call.principal, call.calendar))

    def _insert_calendar(self, call: Call) -> Outcome:
        if not call.body.get("summary"):
            raise errors.required("Missing summary.")
        zone = _known_zone(call.body.get("timeZone", "UTC"))
        calendar = self._world.add_calendar(
            owner=call.principal, summary=call.body["summary"], time_zone=zone
        )
        calendar.description = call.body.get("description", "")
        return 200, shapes.calendar_resource(calendar)

    def _delete_calendar(self, call: Call) -> Outcome:
        self._world.delete_calendar(call.principal, call.calendar)
        return 204, None

    def _list_acl(self, call: Call) -> Outcome:
        calendar = self._world.open(call.principal, call.calendar, "owner")
        items = [shapes.acl_rule(calendar, who) for who in calendar.acl]
        return 200, {"kind": "calendar#acl", "etag": f'"{calendar.stamp}"', "items": items}

    def _get_acl(self, call: Call) -> Outcome:
        return 200, shapes.acl_rule(*self._rule(call))

    def _insert_acl(self, call: Call) -> Outcome:
        calendar = self._world.open(call.principal, call.calendar, "owner")
        scope = call.body.get("scope", {})
        who = "*" if scope.get("type") == "default" else str(scope.get("value", "")).lower()
        return self._granted(call, calendar, who)

    def _change_acl(self, call: Call) -> Outcome:
        return self._granted(call, *self._rule(call))

    def _delete_acl(self, call: Call) -> Outcome:
        calendar, who = self._rule(call)
        self._world.change_role(calendar.id, who, "none")
        return 204, None

    def _granted(self, call: Call, calendar: Calendar, who: str) -> Outcome:
        role = call.body.get("role")
        if not who or role not in GRANTED_ROLES:
            raise errors.invalid()
        self._world.change_role(calendar.id, who, role)
        return 200, shapes.acl_rule(calendar, who)

    def _rule(self, call: Call) -> tuple[Calendar, str]:
        calendar = self._world.open(call.principal, call.calendar, "owner")
        rule_id = call.path["ruleId"]
        who = "*" if rule_id == "default" else rule_id.partition(":")[2]
        if who not in calendar.acl:
            raise errors.not_found()
        return calendar, who


def _known_zone(name: str) -> str:
    try:
        series.zone(name)
    except ValueError as unknown:
        raise errors.invalid("Invalid time zone.", parameter="timeZone") from unknown
    return name
