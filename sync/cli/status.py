"""`python -m sync status`: how every calendar stands, what is wrong, and what to do about it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from sync import budget
from sync.account import Account
from sync.channel import ChannelState
from sync.cli import health, say
from sync.cli.desk import Desk, answer
from sync.cli.health import Trouble, Watched
from sync.cli.verbs import Parser
from sync.conference import Conference, State
from sync.ports import CalendarRecord

_HEAD = ("", "calendar", "channel", "notified", "passed", "token", "pending", "quarant.", "held", "lost")


def main(argv: list[str]) -> int:
    """Print it. Exit code 0 if all is well, 1 if something is wrong, 2 for wrong arguments."""
    parser = Parser(
        "status",
        "Say how every calendar stands: days left of its channel, last notification, last pass, age of its sync\n"
        "token, and the conferences that are pending, quarantined, held back or lost; then everything that is\n"
        "wrong, with what mends it. Marks: ✓ well, ! worth knowing, ✗ wrong. Nothing is changed.\n"
        "Exit code 0 if all is well; 1 if something is wrong; 2 for wrong arguments.",
        ["python -m sync status", "python -m sync status room-a --json"],
    )
    parser.add_argument("calendar", nargs="?", metavar="CALENDAR", help="only this one: its label, key or id")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    return answer(lambda: _status(Desk(), arguments.calendar, as_json=arguments.json))


@dataclass(frozen=True, slots=True)
class _Row:
    """One calendar."""

    record: CalendarRecord
    counts: Counter[str]
    watched: bool  # there is a webhook, and so there should be a channel

    def channel_ends_at(self) -> float | None:
        opened = [each for each in self.record.channels if each.state is ChannelState.OPEN]
        return max((each.expires_at for each in opened), default=None)

    def cells(self, mark: str, name: str, now: float) -> tuple[str, ...]:
        counts = (str(self.counts[kind] or "–") for kind in ("pending", "quarantined", "held", "lost"))
        record = self.record
        return (
            mark,
            name,
            self._channel(now),
            say.ago(now, record.notified_at),
            say.ago(now, record.lease.renewed_at),
            say.ago(now, record.listed_at if record.bookmark else None),
            *counts,
        )

    def _channel(self, now: float) -> str:
        if not self.record.active:
            return "paused"
        if self.record.frozen:
            return "frozen"
        ends_at = self.channel_ends_at()
        if ends_at is None:
            return "none" if self.watched and not self.record.unwatchable else "polled"
        return f"{say.span(ends_at - now)} left" if ends_at > now else "expired"

    def as_json(self, name: str, now: float) -> Mapping[str, object]:
        record = self.record
        return {
            "label": name,
            "key": record.key,
            "active": record.active,
            "frozen": record.frozen,
            "access_role": record.access_role,
            "channel": self._channel(now),
            "channel_left_s": None if (ends := self.channel_ends_at()) is None else round(ends - now),
            "notified_s_ago": _since(now, record.notified_at),
            "passed_s_ago": _since(now, record.lease.renewed_at),
            "token_age_s": _since(now, record.listed_at if record.bookmark else 0.0),
            "failures": record.failures,
            "failed": record.failed,
            "skew_s": record.skew_s,
            **{kind: self.counts[kind] for kind in ("pending", "quarantined", "held", "lost")},
        }


def _status(desk: Desk, name: str | None, *, as_json: bool) -> int:
    chosen = [desk.named(name)] if name else list(desk.calendars)
    key = chosen[0].key if name else ""
    unsettled = list(desk.store.unsettled(key))
    accounts = desk.store.accounts()
    watched = Watched(desk.store.webhook_url(), desk.settings.times)
    counts = _counts(unsettled, desk.now)
    rows = [_Row(each, counts[each.key], bool(watched.webhook_url)) for each in chosen]
    troubles = list(_troubles(desk, chosen, unsettled, accounts, watched))
    well = not any(each.grave for each in troubles)
    if as_json:
        say.as_json(
            {
                "healthy": well,
                "at": say.moment(desk.now),
                "mode": "observe" if desk.settings.observing else "apply",
                "looked_at_every_s": round(_interval_s(desk)),
                "calendars": [row.as_json(desk.label(row.record.key), desk.now) for row in rows],
                "accounts": [_account(each, desk.now) for each in accounts if not each.answers],
                "troubles": [asdict(each) for each in troubles],
            }
        )
    else:
        _print(desk, rows, troubles)
    return 0 if well else 1


def _troubles(
    desk: Desk,
    calendars: Iterable[CalendarRecord],
    unsettled: Sequence[Conference],
    accounts: Iterable[Account],
    watched: Watched,
) -> Iterator[Trouble]:
    for record in calendars:
        if record.active:
            yield from health.of_calendar(record, desk.now, desk.label(record.key), watched)
        elif to_go := [each for each in unsettled if each.home == record.key and each.is_to_go]:
            yield health.of_resting_calendar(record, to_go, desk.label(record.key))
    if (interval_s := _interval_s(desk)) > desk.settings.times.sweep:
        yield health.of_budget(interval_s, desk.settings.times)
    known = list(accounts)
    yield from (health.of_account(each, desk.now) for each in known if not each.answers)
    yield from health.of_conferences(unsettled, desk.now, desk.labels, known)


def _interval_s(desk: Desk) -> float:
    """How often every calendar is looked at, at the latest."""
    subjects = (each.calendar.subject for each in desk.calendars if each.active)
    return budget.interval_s(desk.settings.times.sweep, subjects)


def _counts(unsettled: Iterable[Conference], now: float) -> Mapping[str, Counter[str]]:
    """How many stand how, by the calendar that looks after them."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for conference in unsettled:
        here = counts[conference.home]
        if conference.state in (State.QUARANTINED, State.HELD):
            here[conference.state.value] += 1
        elif conference.state is State.LOST:
            here["lost"] += not health.is_over(conference, now)
        else:
            here["pending"] += conference.pending
    return counts


def _print(desk: Desk, rows: list[_Row], troubles: list[Trouble]) -> None:
    wrong = {each.calendar for each in troubles if each.grave}
    noted = {each.calendar for each in troubles}
    in_trouble = sum(row.record.key in wrong for row in rows)
    said = f"{in_trouble} in trouble" if in_trouble else "all well" if not wrong else "something is wrong"
    observing = "; observing: no provider is called" if desk.settings.observing else ""
    print(f"{say.plural(len(rows), 'calendar')}, {said}{observing}   {say.moment(desk.now)} UTC\n")
    if rows:
        say.table(
            _HEAD,
            [
                row.cells(
                    "✗" if row.record.key in wrong else "!" if row.record.key in noted else "✓",
                    desk.label(row.record.key),
                    desk.now,
                )
                for row in rows
            ],
        )
    for each in troubles:
        print()
        say.paragraph(f"{each.about}: {each.cause}", f"{say.marked('✗' if each.grave else '!')} ", "  ")
        say.paragraph(each.fix, "  fix: ", "       ")
    if not rows:
        print("No calendar is wired or enrolled yet, or converge has not run since: docs/deploy.md")


def _account(account: Account, now: float) -> Mapping[str, object]:
    return {
        "name": account.name,
        "refusals": account.refusals,
        "paused_s": round(max(0.0, account.paused_until - now)),
        "why": account.why,
    }


def _since(now: float, at: float) -> int | None:
    return round(max(0.0, now - at)) if at else None
