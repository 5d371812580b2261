"""A conference system in memory: what each conference is, and what the system will never accept."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sync.errors import Gone, Refused, Unsupported
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import System

NAME = "acme"
HOST = "calls.acme.example"
SYSTEM = System(
    NAME, names=("Acme Call",), hosts=(HOST,), path=r"^/j/([a-z0-9-]+)$", personal=r"^/my/([a-z]+)$"
)
POISON = "Poison"  # a title that is refused for good
WEIRD = "Weird"  # a title that cannot be expressed


@dataclass
class Acme:
    """What the system has, and what it was asked. A conference nobody described yet is None."""

    has: dict[str, Meeting | None] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)  # by kind and conference
    deleted: list[str] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    passcodes: Counter[str] = field(default_factory=Counter)  # how often each was renewed
    said: dict[str, tuple[str, float]] = field(
        default_factory=dict
    )  # the join URL an update told last, and when
    now: Callable[[], float] = lambda: 0.0
    changed: Callable[[str, str], None] = lambda _kind, _conference: None
    name: str = NAME
    system: System = SYSTEM
    capabilities: frozenset[str] = frozenset({"title", "time", "recurrence", "read"})
    call_s: float = 10.0

    def read(self, target: Target) -> Actual | None:
        self.calls[f"read {target.id}"] += 1
        if target.id not in self.has:
            return None
        meeting, url = self.has[target.id], self.url(target.id)
        return Actual(meeting.title, meeting.start, meeting.end, url) if meeting else Actual("", join_url=url)

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        self.calls[f"update {target.id}"] += 1
        if target.id not in self.has:
            raise Gone("there is no such conference")
        if meeting.title == POISON:
            raise Refused("never")
        if meeting.title == WEIRD:
            raise Unsupported("this has no words here")
        self.has[target.id] = meeting
        self.told.add(target.id)
        self.changed("update", target.id)
        url = self.url(target.id)
        self.said[target.id] = url, self.now()
        return Outcome(changed=True, applied=("title", "time"), join_url=url)

    def url(self, conference: str) -> str:
        """Where it is joined: the passcode is in it, as of Zoom's meetings."""
        renewed = self.passcodes[conference]
        return f"https://{HOST}/j/{conference}" + (f"?pwd={renewed}" if renewed else "")

    def delete(self, target: Target) -> Outcome:
        self.calls[f"delete {target.id}"] += 1
        there = target.id in self.has
        self.has.pop(target.id, None)
        if there:
            self.deleted.append(target.id)
            self.changed("delete", target.id)
        return Outcome(changed=there)
