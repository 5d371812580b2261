"""`python -m sync watch`: the channels by which Google tells us of changes, as converge looks after them."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from difflib import get_close_matches

from sync import watching, wiring
from sync.channel import Channel, ChannelState, calendar_key
from sync.cli.verbs import Parser, complain
from sync.errors import Misconfigured, SyncError
from sync.ports import CalendarRecord
from sync.wiring import Hands

_WEEK_S = 7 * 86400.0  # what Google grants if nobody asks for another time


class _Wrong(Exception):
    """What was asked for makes no sense: why, and what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


def main(argv: list[str]) -> int:
    """Exit code 0, 1 if Google or the store refuses, 2 for wrong arguments."""
    arguments = _arguments(argv)
    verbs: dict[str, Callable[[Hands, Namespace], object]] = {
        "list": _list,
        "renew": _renew,
        "stop": _stop,
        "adopt": _adopt,
    }
    try:
        ours = wiring.hands(os.environ, of_a_person=True)
        with redirect_stdout(sys.stderr):  # log records of what we use on the way
            told = verbs[arguments.action](ours, arguments)
    except _Wrong as wrong:
        complain(f"watch: {wrong}", wrong.hint)
        return 2
    except Misconfigured as error:
        complain("\n".join(f"watch: {each}" for each in error.problems), "python -m sync config lists them")
        return 1
    except SyncError as error:
        complain(f"watch: {error}", "python -m sync doctor says what to do")
        return 1
    if arguments.json:
        print(json.dumps(told))
    elif isinstance(told, str):
        print(told)
    elif isinstance(told, dict):
        _show(told["channels"])
    return 0


def _arguments(argv: list[str]) -> Namespace:
    parser = Parser(
        "watch",
        "Look at the watch channels, and lend converge a hand. A calendar is named by its label, key or id.\n"
        "  list    every channel, of one calendar or of all\n"
        "  renew   a new channel, and then the end of the others\n"
        "  stop    the end of all; converge opens a new one, unless the calendar is paused or taken back\n"
        "  adopt   note a running channel that the store does not know, so that converge stops it\n"
        "Exit code 0; 1 if Google or the store refuses; 2 for wrong arguments.",
        [
            "python -m sync watch list",
            "python -m sync watch renew room --json",
            "python -m sync watch adopt room 6f1ed002ab559585 o3hgv1538sdjfh",
        ],
    )
    parser.add_argument("action", choices=("list", "renew", "stop", "adopt"))
    parser.add_argument("calendar", nargs="?", default="", metavar="CALENDAR")
    parser.add_argument("channel", nargs="?", default="", metavar="CHANNEL", help="adopt: its id")
    parser.add_argument(
        "resource", nargs="?", default="", metavar="RESOURCE", help="adopt: Google's resource id"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    if arguments.action != "list" and not arguments.calendar:
        parser.error(f"{arguments.action} needs a calendar")
    if (arguments.action == "adopt") is not bool(arguments.resource):
        parser.error("adopt, and nothing else, needs a channel and its resource")
    return arguments


def _list(ours: Hands, arguments: Namespace) -> dict[str, object]:
    now = ours.outside.clock.now()
    chosen = [_named(ours, arguments.calendar)] if arguments.calendar else ours.outside.store.calendars()
    return {"channels": [_told(each, channel, now) for each in chosen for channel in each.channels]}


def _renew(ours: Hands, arguments: Namespace) -> str:
    record = _named(ours, arguments.calendar)
    url = ours.outside.store.webhook_url()
    if not url:
        raise _Wrong(
            "the switch is off: nothing is to be watched", "terraform apply writes where channels post"
        )
    if not record.active:
        raise _Wrong("this calendar is paused or taken back", "python -m sync enrol has it looked after")
    watching.renew(ours.outside, ours.policy, ours.keys.signing_key(), record, url)
    return f"{_name(record)}: a new channel is open, and no other"


def _stop(ours: Hands, arguments: Namespace) -> str:
    record = _named(ours, arguments.calendar)
    keys = ours.keys
    watching.look_after(ours.outside, ours.policy, keys.signing_key(), keys.keys, record, "")
    left = _named(ours, record.key).channels
    running = sum(channel.state is ChannelState.OPEN for channel in left)
    if running:
        return f"{_name(record)}: {running} could not be stopped; converge tries again, or they lapse"
    return f"{_name(record)}: no channel is open{', until converge opens one' if record.active else ''}"


def _adopt(ours: Hands, arguments: Namespace) -> str:
    record = _named(ours, arguments.calendar)
    if any(each.id == arguments.channel for each in record.channels):
        raise _Wrong("that channel is known already", f"python -m sync watch list {arguments.calendar}")
    expires_at = ours.outside.clock.now() + _WEEK_S
    watching.adopt(ours.outside.store, record, arguments.channel, arguments.resource, expires_at)
    return f"{_name(record)}: noted; converge stops it as soon as another one is open"


def _named(ours: Hands, name: str) -> CalendarRecord:
    """The calendar of this label, key or id. Raises _Wrong."""
    store = ours.outside.store
    records = store.calendars()
    key = calendar_key(store.salt(), name)
    for record in records:
        if name in (record.label, record.key) or record.key == key:
            return record
    known = [each.label or each.key for each in records]
    near = get_close_matches(name, known, n=1, cutoff=0.4)
    hint = (
        f"the nearest is {near[0]}" if near else "python -m sync watch list, or converge has not seen it yet"
    )
    raise _Wrong(f"there is no calendar {name!r}", hint)


def _name(record: CalendarRecord) -> str:
    return record.label or record.key


def _told(record: CalendarRecord, channel: Channel, now: float) -> dict[str, object]:
    return {
        "calendar": _name(record),
        "channel": channel.id,
        "resource": channel.resource_id,
        "state": channel.state if channel.expires_at > now or not channel.expires_at else "lapsed",
        "opened": _moment(channel.opened_at),
        "expires": _moment(channel.expires_at),
        "greeted": _moment(channel.greeted_at),
        "key": channel.key_id,
        "address": channel.address,
    }


def _moment(at: float) -> str:
    """UTC; empty if it has not come."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""


def _show(channels: list[dict[str, str]]) -> None:
    if not channels:
        print("no channel is known")
        return
    columns = ("calendar", "channel", "state", "expires", "greeted", "key")
    rows = [columns, *([each[name] or "–" for name in columns] for each in channels)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
