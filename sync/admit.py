"""Whoever asks to enrol a calendar proves who they are, and what they ask for becomes a task.

A request that does not prove who makes it costs no I/O but a look at Google's keys now and then, and is told no
reason. The tasks of one caller are numbered by the hour, and so are few: that is the rate limit. Nothing is judged
here but the caller's domain: whose calendar it is, the worker finds out.
"""

import hashlib
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from sync import enrolment
from sync.enrolment import Ask, Enrolment, Person
from sync.errors import Rejected
from sync.ports import Clock, Queue, Task

MOST_AN_HOUR = 12  # requests of one caller that become tasks
_ASKS = {"POST": Ask.ENROL, "DELETE": Ask.WITHDRAW}
_HOUR_S = 3600.0
_CALLERS = 10_000  # whom an instance remembers
_EVERYBODYS = ("gmail.com", "googlemail.com")  # domains of Google's own, whose accounts have no `hd`


class Proofs(Protocol):
    """What proves who somebody is."""

    def person(self, token: str) -> Person:
        """Raises Rejected for a token that is not genuine, Transient if nobody can say for now."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller is told: a status, and for whoever has proved who they are a word that says why."""

    status: int
    word: str
    wait_s: int = 0  # until it is worth asking again

    @property
    def body(self) -> dict[str, str]:
        return {"accepted" if self.status == 202 else "refused": self.word}


class Admission:
    """The public door's second use case. Safe for many threads."""

    def __init__(self, proofs: Proofs, domains: Collection[str], queue: Queue, clock: Clock) -> None:
        self._proofs = proofs
        self._domains = domains
        self._queue = queue
        self._clock = clock
        self._made: dict[str, int] = {}  # how many tasks a caller has made in an hour, at least

    def admit(self, method: str, authorization: str, length: int, read: Callable[[], bytes]) -> Answer:
        """Verify, and keep the task: POST enrols, DELETE withdraws. Raises Transient: nothing may have been kept.

        `read` gives the body, of `length` bytes; it is not called before the caller is known.
        """
        scheme, _, token = authorization.partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise Rejected("no bearer token")
            person = self._proofs.person(token.strip())
        except Rejected:
            return Answer(401, "token")
        if not is_admitted(person, self._domains):
            return Answer(403, "domain")
        if length > enrolment.MOST_BYTES:
            return Answer(413, "size")
        try:
            asked = enrolment.read(read(), person.address, self._clock.now())
        except Rejected:
            return Answer(400, "body")
        return self._keep(_ASKS[method], asked)

    def _keep(self, ask: Ask, asked: Enrolment) -> Answer:
        """Under the first number of this hour that is free; those known to be taken are not tried again."""
        hour = math.floor(asked.asked_at / _HOUR_S)
        whose = f"{asked.caller}\0{hour}"
        for number in range(self._made.get(whose, 0), MOST_AN_HOUR):
            name = hashlib.sha256(f"{whose}\0{number}".encode()).hexdigest()[:32]
            created = self._queue.create(Task(name, ask, enrolment.written(asked), due_at=asked.asked_at))
            self._remember(whose, number + 1)
            if created:
                return Answer(202, ask)
        return Answer(429, "later", wait_s=math.ceil((hour + 1) * _HOUR_S - asked.asked_at))

    def _remember(self, whose: str, made: int) -> None:
        self._made.pop(whose, None)
        self._made[whose] = made
        if len(self._made) > _CALLERS:
            self._made.pop(next(iter(self._made)), None)


def is_admitted(person: Person, domains: Collection[str]) -> bool:
    """Whether Google vouches for the address, and its domain is one of ours.

    Anybody can have an account with an address of any provider of mail; only with `hd` is Google the authority.
    """
    domain = person.address.rpartition("@")[2].lower()
    if domain in _EVERYBODYS:
        return domain in domains
    return domain in domains and person.organization.lower() in domains
