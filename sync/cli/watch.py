"""`python -m sync watch`: the channels by which Google tells us of changes, as converge looks after them."""

from argparse import Namespace
from collections.abc import Callable

from sync import watching
from sync.channel import Channel, ChannelState
from sync.cli import say
from sync.cli.desk import Desk, Wrong, answer, quietly
from sync.cli.verbs import Parser
from sync.ports import CalendarRecord

_WEEK_S = 7 * 86400.0  # what Google grants if nobody asks for another time
_HEAD = ("calendar", "channel", "state", "expires", "greeted", "key")


def main(argv: list[str]) -> int:
    """Exit code 0, 1 if Google or the store refuses, 2 for wrong arguments."""
    arguments = _arguments(argv)
    verbs = {"list": _list, "renew": _renew, "stop": _stop, "adopt": _adopt}
    does: Callable[[Desk, Namespace], None] = verbs[arguments.action]

    def ask() -> int:
        does(Desk(), arguments)
        return 0

    return answer(ask)


def _arguments(argv: list[str]) -> Namespace:
    parser = Parser(
        "watch",
        "Look at the watch channels, and lend converge a hand. A calendar is named by its label, key or id.\n"
        "  list    every channel, of one calendar or of all\n"
        "  renew   note that converge is to open a new channel, and then to stop the others\n"
        "  stop    stop all, now; converge opens a new one, unless the calendar is paused or taken back\n"
        "  adopt   note a running channel that the store does not know, so that converge stops it\n"
        "None of it needs the channel keys. All but stop only need the store; stop speaks to Google as the\n"
        "worker does, so it needs the worker's settings and an account that may do the same.\n"
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


def _list(desk: Desk, arguments: Namespace) -> None:
    chosen = [desk.named(arguments.calendar)] if arguments.calendar else desk.calendars
    channels = [(record, channel) for record in chosen for channel in record.channels]
    if arguments.json:
        say.as_json({"channels": [_told(record, channel) for record, channel in channels]})
    elif channels:
        say.table(_HEAD, (_cells(record, channel, desk.now) for record, channel in channels), left=len(_HEAD))
    else:
        print("no channel is known")


def _renew(desk: Desk, arguments: Namespace) -> None:
    record = desk.named(arguments.calendar)
    if not desk.store.webhook_url():
        raise Wrong(
            "the switch is off: nothing is to be watched", "terraform apply writes where channels post"
        )
    if not record.active:
        raise Wrong("this calendar is paused or taken back", "python -m sync enrol has it looked after")
    watching.renew(desk.store, record)
    _done(
        arguments,
        record,
        "noted; converge opens a new channel within five minutes, and then stops the others",
    )


def _stop(desk: Desk, arguments: Namespace) -> None:
    record, (outside, policy) = desk.named(arguments.calendar), desk.workplace
    with quietly():
        watching.stop_all(outside, policy, record)
    left = desk.store.calendar(record.key) or record
    if running := sum(channel.state is ChannelState.OPEN for channel in left.channels):
        _done(arguments, record, f"{running} could not be stopped: converge tries again, or they lapse")
    else:
        _done(arguments, record, f"no channel is open{', until converge opens one' if record.active else ''}")


def _adopt(desk: Desk, arguments: Namespace) -> None:
    record = desk.named(arguments.calendar)
    if any(each.id == arguments.channel for each in record.channels):
        raise Wrong("that channel is known already", f"python -m sync watch list {arguments.calendar}")
    watching.adopt(desk.store, record, arguments.channel, arguments.resource, desk.now + _WEEK_S)
    _done(arguments, record, "noted; converge stops it as soon as another one is open")


def _done(arguments: Namespace, record: CalendarRecord, what: str) -> None:
    if arguments.json:
        say.as_json({"calendar": _name(record), "done": what})
    else:
        print(f"{_name(record)}: {what}")


def _name(record: CalendarRecord) -> str:
    return record.label or record.key


def _cells(record: CalendarRecord, channel: Channel, now: float) -> tuple[str, ...]:
    expires = say.when(now, channel.expires_at) if channel.expires_at else "–"
    return (
        _name(record),
        channel.id,
        channel.state,
        expires,
        say.ago(now, channel.greeted_at),
        channel.key_id or "–",
    )


def _told(record: CalendarRecord, channel: Channel) -> dict[str, object]:
    return {
        "calendar": _name(record),
        "channel": channel.id,
        "resource": channel.resource_id,
        "state": channel.state,
        "opened_at": channel.opened_at,
        "expires_at": channel.expires_at,
        "greeted_at": channel.greeted_at,
        "key": channel.key_id,
        "address": channel.address,
    }
