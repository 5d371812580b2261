"""What is wrong with a deployment, told from its records: each trouble's cause, and what mends it. Pure.

One table for `status` and `explain`. A grave trouble makes a deployment unhealthy; the others are worth knowing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sync import decide
from sync.account import Account, account_name
from sync.channel import Channel, ChannelState
from sync.cli import say
from sync.codes import Code
from sync.conference import Conference, Decided, State
from sync.ports import CalendarRecord
from sync.settings import Times

_PATIENCE_S = 600.0  # what is not done by then is told as a trouble of its own
_STALE = 1.5  # of the sweep interval
_ENDING = 8  # a channel in the last eighth of its life should have been renewed long ago
_OFTEN = 3  # refusals in a row
_TOLD = 5  # conferences of one kind, by name; of the others only how many

_RETRY = "`python -m sync retry {conference}`"
_FIXES: Mapping[str, str] = {
    "auth_failed": "renew its credentials, or add a version of its secret; try them with"
    " `python -m sync doctor --provider {provider}`, then `python -m sync retry`",
    "rate_limited": "its quota is used up: wait, or have it raised; it is asked again by itself, or now with"
    " `python -m sync retry`",
    "transient": f"see its status page; it is asked again by itself, or now with {_RETRY}",
    "timeout": f"see its status page; it is asked again by itself, or now with {_RETRY}",
    "refused": "see docs/providers for what {provider} takes; change the event or the settings, then"
    f" {_RETRY}",
    "unsupported": "see docs/providers for what {provider} cannot express: nothing else is wrong",
    "gone": f"give the event a new conference; if this one is there again, {_RETRY}",
}
_OTHERWISE = f"it is tried again by itself, or now with {_RETRY}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong, or worth knowing."""

    code: str
    about: str  # what people call it: a calendar's label, a conference, an account
    cause: str
    fix: str
    grave: bool = True
    calendar: str = ""  # the key of the calendar it is about


@dataclass(frozen=True, slots=True)
class Watched:
    """What there should be: where notifications go, and how long the waits are."""

    webhook_url: str
    times: Times


def of_calendar(record: CalendarRecord, now: float, label: str, watched: Watched) -> Iterator[Trouble]:
    """What is wrong with one calendar that is looked after."""

    def trouble(code: str, cause: str, fix: str, *, grave: bool = True) -> Trouble:
        return Trouble(code, label, cause, fix, grave, record.key)

    times = watched.times
    if record.frozen:
        yield trouble(
            "frozen",
            f"it cannot be read since {say.moment(record.frozen_at)}: {record.frozen}; nothing of it is deleted",
            "share it with the worker's service account (to see all event details), or authorise the account for"
            f" its subject again; it catches up by itself, or at once with `python -m sync pull {label}`",
        )
    elif record.failures and record.failed:
        yield trouble(
            "failing",
            f"its last {say.plural(record.failures, 'pass')} failed: {record.failed}"
            if record.failures == 1
            else f"its last {record.failures} passes failed: {record.failed}",
            f"it is tried again by itself, or now with `python -m sync pull {label}`",
            grave=record.failures > 2,
        )
    elif record.listed_at and now - record.listed_at > _STALE * times.sweep:
        yield trouble(
            "stale",
            f"nobody has looked at it for {say.span(now - record.listed_at)}, though every {say.span(times.sweep)}"
            " is due",
            "see that the sweep runs and that the queue is not paused;"
            f" `python -m sync pull {label}` looks at once",
        )
    if record.unwatchable:
        yield trouble(
            "unwatchable",
            f"Google does not watch it ({record.unwatchable}): it is looked at every {say.span(times.poll)}",
            "nothing: calendars of holidays and birthdays are like that; it is tried again once a week",
            grave=False,
        )
    elif watched.webhook_url and not record.frozen:
        yield from (trouble(*each) for each in _of_channels(record, now, times))
    if abs(record.skew_s) > times.margin:
        ahead = "ahead of" if record.skew_s > 0 else "behind"
        yield trouble(
            "clock_skew",
            f"the clock of its last worker is {say.span(abs(record.skew_s))} {ahead} the store's: a wake may come"
            " before the change it stands for, which then waits for the sweep",
            "set that machine's clock (NTP); until then, SYNC_TIMES margin must be larger than clocks differ",
        )
    if record.stranger is not None:
        named = (
            f"“{record.stranger.solution}”"
            if record.stranger.solution
            else "a system that does not say its name"
        )
        yield trouble(
            "unknown_conference",
            f"events carry conferences of {named} that no rule knows ({record.stranger.number} seen, last in"
            f" event {record.stranger.event_id}): they are left alone",
            "if they are yours, add the name to `names` of a system in SYNC_CONFERENCES, with hosts and path of"
            " its join URLs (docs/settings.md)",
            grave=False,
        )


def of_resting_calendar(record: CalendarRecord, to_go: Sequence[Conference], label: str) -> Trouble:
    """One that is paused or unwired, with deletions that wait for its return."""
    what = "a deletion waits" if len(to_go) == 1 else f"{len(to_go)} deletions wait"
    named = ", ".join(str(each.key) for each in to_go[:_TOLD]) + (", …" if len(to_go) > _TOLD else "")
    return Trouble(
        "resting",
        label,
        f"it is paused or unwired, and {what} until somebody looks after it again, as only its events could say"
        f" that nobody uses them: {named}",
        "wire it again, and they are made on fresh evidence; or delete them at their provider",
        grave=False,
        calendar=record.key,
    )


def of_budget(interval_s: float, times: Times) -> Trouble:
    """More calendars than can be looked at as often as is wanted."""
    return Trouble(
        "sweep_stretched",
        "the sweep",
        f"there are too many calendars to look at each every {say.span(times.sweep)} with half of Google's request"
        f" budget: without notifications a change is seen after up to {say.span(interval_s)}",
        "read calendars for several users by delegation instead of sharing all of them with one account, or raise"
        " SYNC_TIMES sweep (docs/channels.md has the arithmetic)",
        grave=False,
    )


def _of_channels(record: CalendarRecord, now: float, times: Times) -> Iterator[tuple[str, str, str]]:
    fix = "see that converge runs (Cloud Scheduler, /jobs/converge); until then the sweep finds changes"
    opened = [each for each in record.channels if each.state is ChannelState.OPEN]
    last = max(opened, key=lambda each: each.expires_at, default=None)
    polled = f"changes are seen only every {say.span(times.sweep)}"
    if last is None:
        yield "no_channel", f"it has no open channel: Google notifies nobody, {polled}", fix
    elif last.expires_at <= now:
        ended = f"its channel expired {say.when(now, last.expires_at)}"
        yield "channel_expired", f"{ended}: Google notifies nobody, {polled}", fix
    elif last.expires_at - now < (last.expires_at - last.opened_at) / _ENDING:
        yield "channel_ending", f"its channel ends {say.when(now, last.expires_at)} and was not renewed", fix
    elif _is_silent(last, record, now):
        opened_ago = (
            f"its channel is open since {say.moment(last.opened_at)}, and nothing ever came through it"
        )
        told = "see whether the webhook can be reached from outside: `python -m sync doctor`"
        yield "push_silent", f"{opened_ago}: notifications are lost on the way, {polled}", told


def _is_silent(channel: Channel, record: CalendarRecord, now: float) -> bool:
    """Google says hello on every new channel: one on which that never arrived brings nothing else either."""
    heard = max(channel.greeted_at, record.notified_at)
    return now - channel.opened_at > _PATIENCE_S and heard < channel.opened_at


def of_conferences(
    conferences: Iterable[Conference], now: float, labels: Mapping[str, str], accounts: Sequence[Account]
) -> Iterator[Trouble]:
    """What is wrong with the conferences that are not settled, the same things together."""
    paused = {each.name for each in accounts if not each.answers}
    held: dict[str, list[Conference]] = {}
    waiting: dict[tuple[str, str, str], list[Conference]] = {}
    told: dict[tuple[str, str], int] = {}
    for conference in conferences:
        last = last_failure(conference)
        if conference.state is State.HELD:
            held.setdefault(conference.home, []).append(conference)
        elif conference.state is State.LOST and not is_over(conference, now):
            yield from _limited(told, lost(conference, now))
        elif conference.state is State.QUARANTINED:
            yield from _limited(told, quarantined(conference, now))
        elif last is not None and is_overdue(conference, now) and account_of(conference) not in paused:
            group = (conference.home, account_of(conference), last.decision.why)
            waiting.setdefault(group, []).append(conference)
    for home, alike in held.items():
        yield _held(alike, labels.get(home, home))
    for alike in waiting.values():
        yield _waiting(alike, now)


def _limited(told: dict[tuple[str, str], int], trouble: Trouble) -> Iterator[Trouble]:
    """The first few by name."""
    kind = (trouble.code, trouble.calendar)
    told[kind] = told.get(kind, 0) + 1
    if told[kind] <= _TOLD:
        yield trouble


def of_conference(
    conference: Conference, now: float, labels: Mapping[str, str], accounts: Sequence[Account]
) -> Iterator[Trouble]:
    """What is wrong with one conference, however short a time."""
    names = {each.name: each for each in accounts}
    account = names.get(account_of(conference))
    if account is not None and not account.answers and conference.pending:
        yield of_account(account, now)
    if conference.state is State.LOST:
        yield lost(conference, now)
    elif conference.state is State.QUARANTINED:
        yield quarantined(conference, now)
    elif conference.state is State.HELD:
        yield _held([conference], labels.get(conference.home, conference.home))
    elif last_failure(conference) is not None and (account is None or account.answers):
        yield _waiting([conference], now)


def lost(conference: Conference, now: float) -> Trouble:
    return Trouble(
        "lost",
        str(conference.key),
        "it is gone at its provider while an event uses it" + _since(conference, now),
        fix_of("gone", conference),
        calendar=conference.home,
    )


def quarantined(conference: Conference, now: float) -> Trouble:
    last = last_failure(conference)
    why = f": {last.decision.why}" if last and last.decision.why else ""
    call = f"{last.decision.call} was refused" if last and last.decision.call else "it was refused"
    return Trouble(
        "quarantined",
        str(conference.key),
        f"{call}{why}; it is left alone, and tried again {_again(now, conference.not_before)} or when its event"
        " changes",
        fix_of(last.decision.answer if last else "refused", conference),
        calendar=conference.home,
    )


def _held(conferences: Sequence[Conference], label: str) -> Trouble:
    number = len(conferences)
    what = "a deletion waits" if number == 1 else f"{number} deletions wait"
    return Trouble(
        "held",
        label,
        f"{what} for a person: more at once than can be judged",
        f"look at them with `python -m sync holds list {label}`, then approve or reject them",
        calendar=conferences[0].home,
    )


def _waiting(conferences: Sequence[Conference], now: float) -> Trouble:
    one = conferences[0]
    last = last_failure(one)
    assert last is not None, "only those that failed wait"
    times = sum(each.times for each in one.decisions if each.version == one.want.version and _failed(each))
    about = str(one.key) if len(conferences) == 1 else f"{len(conferences)} conferences of {account_of(one)}"
    call = f"{last.decision.call}: " if last.decision.call else ""
    return Trouble(
        "waiting",
        about,
        f"not yet told: {call}{last.decision.why or last.decision.code} ({times} times since"
        f" {say.moment(last.since)}); tried again {_again(now, one.not_before)}",
        fix_of(last.decision.answer, one),
        grave=any(is_overdue(each, now) for each in conferences),
        calendar=one.home,
    )


def of_account(account: Account, now: float) -> Trouble:
    """An account that pauses."""
    provider = account.name.partition(":")[0]
    lasts = account.paused_until - now > _PATIENCE_S or account.refusals > _OFTEN
    again = f"asked again {_again(now, account.paused_until)}, by one probe first"
    return Trouble(
        "account_paused",
        account.name,
        f"it refused us {say.plural(account.refusals, 'time')} in a row: {account.why or 'no reason is kept'};"
        f" all its conferences wait, {again}",
        _FIXES.get(account.answer, _FIXES["auth_failed"]).format(provider=provider, conference=""),
        grave=account.answer == "auth_failed" or lasts,
    )


def _again(now: float, at: float) -> str:
    return say.when(now, max(now, at))


def fix_of(answer: str, conference: Conference) -> str:
    """What mends a conference that got this answer."""
    return _FIXES.get(answer, _OTHERWISE).format(provider=conference.key.provider, conference=conference.key)


def last_failure(conference: Conference) -> Decided | None:
    """The last decision about the present want, if it is not settled since."""
    ours = [each for each in conference.decisions if each.version == conference.want.version]
    failed = [each for each in ours if _failed(each)]
    return failed[-1] if failed and conference.pending else None


def _failed(decided: Decided) -> bool:
    waits = (
        Code.RETRY_LATER,
        Code.RATE_LIMITED,
        Code.QUARANTINED,
        Code.ACCESS_LOST,
        Code.NOT_OURS,
        Code.LOST,
    )
    return decided.decision.code in (*waits, Code.IGNORED_BY_PROVIDER) and bool(
        decided.decision.call or decided.decision.code is not Code.RETRY_LATER
    )


def is_overdue(conference: Conference, now: float) -> bool:
    return conference.pending and conference.wanted and now - conference.want.since > _PATIENCE_S


def is_over(conference: Conference, now: float) -> bool:
    """Whether every event that uses it has ended."""
    return all(use.reach.is_over(now) for use in conference.refs.values())


def account_of(conference: Conference) -> str:
    return account_name(conference.key.provider, conference.account)


def _since(conference: Conference, now: float) -> str:
    found = [each for each in conference.decisions if each.decision.code is Code.LOST]
    return f", seen {say.when(now, found[-1].at)}" if found else ""


def next_step(conference: Conference, now: float, grace_s: float) -> tuple[str, float | None]:
    """What happens next to a conference by itself, and when; None: only when one of its events changes."""
    match decide.decide(conference, now, grace_s):
        case decide.Update():
            return "it is told", now
        case decide.Confirm():
            return "it is deleted, if everybody says that nobody uses it", now
        case decide.Verify():
            return "it is read back", now
        case decide.Nothing(until=None, code=code):
            return _AT_REST.get(code, "nothing, until one of its events changes"), None
        case decide.Nothing(until=until, code=Code.DELETION_WAITING):
            return "its grace ends, and it is deleted if nobody uses it", until
        case decide.Nothing(until=until, code=Code.IN_PROGRESS):
            return "it is looked at again: its meeting may be running", until
        case decide.Nothing(until=until):
            return ("it is told again" if conference.pending else "it is read back"), until


_AT_REST: Mapping[Code, str] = {
    Code.HELD: "nothing, until a person answers",
    Code.PERSONAL_ROOM: "nothing: so many events use it that it is a room, never changed",
}
