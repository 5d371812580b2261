"""One account at a provider: whose meetings it looks after, and how it pauses when it is refused. Pure.

Refused, it pauses as a whole, and one probe at a time asks it again: a dead credential or a spent quota concerns
every conference of the account alike. Asking for each of them would be answered alike, and make it worse.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

EVERYBODY = "*"
_WHY_KEPT = 200  # characters


@dataclass(frozen=True, slots=True)
class Clients:
    """Whose meetings an account looks after: organizers by address or by domain, or everybody else's."""

    account: str
    organizers: frozenset[str] = frozenset({EVERYBODY})


def account_of(organizer: str, accounts: Sequence[Clients]) -> str | None:
    """The account for this organizer: by address, else by domain, else everybody's. None: nobody's."""
    address = organizer.lower()
    for name in (address, address.rpartition("@")[2], EVERYBODY):
        for clients in accounts:
            if name in clients.organizers:
                return clients.account
    return None


@dataclass(frozen=True, slots=True)
class Account:
    """How an account stands. Times are seconds since the epoch, the store's."""

    name: str
    refusals: int = 0  # in a row; none: it answers
    paused_until: float = 0.0  # nobody but the probe asks it before
    probe: str = ""  # the lease owner who asks first
    refused_for: str = ""  # the conference it was last refused for
    why: str = ""  # it was refused, in its provider's words
    answer: str = ""  # the kind of error
    shared: str = field(
        default="", repr=False
    )  # what its workers share: a token, in its provider's own words

    @property
    def answers(self) -> bool:
        return self.refusals == 0

    def may_be_asked_by(self, who: str) -> bool:
        return self.answers or self.probe == who


def account_name(provider: str, account: str) -> str:
    """What an account is called among those of all providers."""
    return f"{provider}:{account}" if account else provider


def approached(account: Account, now: float, who: str, takes_s: float) -> Account:
    """Somebody wants to ask it. After a pause the first to come is the probe, and all others wait for it."""
    if account.answers or now < account.paused_until:
        return account
    return replace(account, paused_until=now + takes_s, probe=who)


def refused(account: Account, until: float, conference: str, why: str = "", answer: str = "") -> Account:
    """It refused us. The longest pause asked for counts: of two answers the later need not be the newer.

    One conference refused again is no further sign against the account: that may be this conference's trouble.
    """
    if conference == account.refused_for:
        return replace(account, probe="")
    longest = until if account.probe else max(until, account.paused_until)
    return replace(
        account,
        refusals=account.refusals + 1,
        paused_until=longest,
        probe="",
        refused_for=conference,
        why=why[:_WHY_KEPT],
        answer=answer,
    )


def hurried(account: Account, now: float) -> Account:
    """A person wants it asked now: by one probe, as after any pause."""
    return account if account.answers else replace(account, paused_until=min(account.paused_until, now))


def answered(account: Account) -> Account:
    """It answers, if only to say that it does not know a conference."""
    return Account(account.name, shared=account.shared)


def exchanged(account: Account, seen: str, shared: str) -> Account:
    """What its workers share is replaced, unless another has replaced what we saw."""
    return replace(account, shared=shared) if account.shared == seen else account
