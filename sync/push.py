"""Whether notifications arrive at all: "push is silent" is another matter than "nothing happened". Pure.

Two things show it. A look that no notification asked for finds a change that one should have told of: it is old
enough, and there was a channel. And a channel that is open has not said its first word, with which Google greets
every new one: so each renewal is a proof, even of calendars that nobody touches. A few notifications are always
lost (push guide); so it takes several such signs in a row, of all calendars together, and any notification that
does arrive takes back all that came before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sync.channel import Channel, ChannelState
from sync.ports import CalendarRecord

LATE_S = 600.0  # a notification that has not come by then counts as lost until it does
SIGNS = 3
_SKEW_S = 60.0  # Google's clock, the webhook's and the store's are not one
_GREETING_AGE_S = 86400.0  # a channel that was never greeted says something about its first day only


def was_missed(record: CalendarRecord, changed_at: float, now: float) -> bool:
    """Whether a change, made at that time and found now, should have been told of and was not.

    `record`: as it was at the claim, with what the notification has brought that asked for this look, if one did.
    """
    if (
        not max(record.listed_at, 1.0) < changed_at < now - LATE_S
        or record.notified_at >= changed_at - _SKEW_S
    ):
        return False
    return any(_ran_at(each, changed_at) for each in record.channels)


def _ran_at(channel: Channel, at: float) -> bool:
    return channel.state is ChannelState.OPEN and channel.opened_at + _SKEW_S < at < channel.expires_at


@dataclass(frozen=True, slots=True)
class Liveness:
    """How push stands in the whole deployment. Times are seconds since the epoch; 0: never."""

    notified_at: float  # the last notification, a greeting or a genuine one
    changed_at: float  # the last change that was found, however we came to look
    missing: int  # signs since the last notification that one should have come

    @property
    def is_silent(self) -> bool:
        return self.missing >= SIGNS


def liveness(records: Iterable[CalendarRecord], now: float) -> Liveness:
    """Of all calendars that are watched."""
    active = [record for record in records if record.active]
    greeted = (each.greeted_at for record in active for each in record.channels)
    notified_at = max((*greeted, *(record.notified_at for record in active)), default=0.0)
    missed = sum(record.missed for record in active if record.changed_at > notified_at)
    return Liveness(
        notified_at,
        max((record.changed_at for record in active), default=0.0),
        missed + sum(_not_greeted(each, now, notified_at) for record in active for each in record.channels),
    )


def _not_greeted(channel: Channel, now: float, notified_at: float) -> bool:
    age_s = now - channel.opened_at
    speaks = channel.state is ChannelState.OPEN and not channel.greeted_at and channel.address
    return bool(speaks) and LATE_S < age_s < _GREETING_AGE_S and channel.opened_at > notified_at
