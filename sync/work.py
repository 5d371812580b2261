"""The worker's tasks and jobs: each is one use case, told apart here."""

import json
import math
import os
import re
import uuid

from sync import enrol, enrolment, logs, tend, watching
from sync.enrolment import Ask, Enrolment
from sync.errors import Rejected
from sync.keyfile import KeyFile
from sync.one_pass import one_pass
from sync.policy import Policy
from sync.ports import Outside
from sync.reservation import Reservations

_CALENDAR_KEY = re.compile(r"[a-z2-7]{1,64}", re.ASCII)
_CHANNEL = re.compile(r"([a-z2-7]{1,64})\.(.{1,64})")  # of a calendar


class Work:
    """Everything the private door can be asked for. Safe for many threads."""

    def __init__(
        self, outside: Outside, policy: Policy, keys: KeyFile, reservations: Reservations | None = None
    ) -> None:
        self._outside = outside
        self._policy = policy
        self._keys = keys
        self.reservations = reservations  # None: no Jitsi asks us

    def task(self, body: bytes) -> None:
        """One task of the queue: {"kind": "sync", "subject": calendar key, "generation": n, "notified_at": s}.

        Or of another kind: "hello", of a channel; "enrol" or "withdraw", with what the public door was asked for.
        Raises Rejected for a body that says nothing we know, Transient when the queue should try again.
        """
        try:
            task = json.loads(body)
            kind, subject, generation = task["kind"], task["subject"], int(task.get("generation", 0))
            notified_at = _moment(task.get("notified_at"))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise Rejected("a task must be a JSON object with kind and subject") from error
        if not isinstance(subject, str):
            raise Rejected("a task's subject must be a text")
        match kind:
            case "sync" if _CALENDAR_KEY.fullmatch(subject):
                one_pass(self._outside, self._policy, subject, _owner(), generation, notified_at)
            case "sync":
                raise Rejected("a sync task's subject must be a calendar key")
            case "hello" if found := _CHANNEL.fullmatch(subject):
                watching.greeted(self._outside.store, found[1], found[2])
            case "hello":
                raise Rejected("a hello task's subject must be a calendar key and a channel id")
            case Ask.ENROL | Ask.WITHDRAW:
                self._enrolment(Ask(kind), enrolment.read_again(subject))
            case _:
                raise Rejected(f"a task's kind is one of: sync, hello, {', '.join(Ask)}")

    def _enrolment(self, ask: Ask, asked: Enrolment) -> None:
        if ask is Ask.WITHDRAW:
            return enrol.withdraw(self._outside, self._policy, asked, _owner())
        signing, known = self._keys.signing_key(), self._keys.keys
        return enrol.enrol(self._outside, self._policy, signing, known, asked, _owner())

    def converge(self) -> None:
        """Bring channels to the wired state."""
        with logs.operation(_owner()):
            tend.converge(self._outside, self._policy, self._keys.signing_key(), self._keys.keys)

    def sweep(self) -> None:
        """Wake what is due, and tell how everything stands."""
        with logs.operation(_owner()):
            tend.sweep(self._outside, self._policy)
        tend.take_stock(self._outside)


def _moment(told: object) -> float:
    """Seconds since the epoch, or 0. It only tells of a wake: for one that makes no sense no wake is refused."""
    return float(told) if isinstance(told, float) and math.isfinite(told) and told > 0 else 0.0


def _owner() -> str:
    """A new name for each piece of work: a worker must never take its own former lease for its present one."""
    return f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
