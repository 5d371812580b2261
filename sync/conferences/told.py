"""What becomes of each detail of a meeting: told, or ignored aloud and why."""

from datetime import UTC, datetime
from typing import cast

from sync.errors import Transient, Unsupported
from sync.ports import Outcome

NOT_OURS = "GET: what came back is not the conference that was asked for"


class Told:
    """Gathers an Outcome. Details are named as capabilities are."""

    def __init__(self) -> None:
        self._applied: list[str] = []
        self._ignored: list[str] = []
        self._notes: list[str] = []

    def say(self, detail: str, why_not: str = "") -> None:
        """This detail is as the event has it now; or it is not, and why. What is said last holds."""
        for said in (self._applied, self._ignored):
            if detail in said:
                said.remove(detail)
        (self._ignored if why_not else self._applied).append(detail)
        if why_not:
            self.note(why_not)

    def note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes.append(sentence)

    def outcome(self, *, changed: bool, join_url: str = "") -> Outcome:
        """Raises Unsupported when nothing at all could be told."""
        why = "; ".join(self._notes)
        if not self._applied:
            raise Unsupported(why)
        return Outcome(changed, tuple(self._applied), tuple(self._ignored), why, join_url)


def address(said: object) -> str:
    """A join URL as a system tells it, if it tells one. Whether it leads to the conference, the rules judge."""
    return said if isinstance(said, str) else ""


def said(text: object) -> str | None:
    """A text as a system tells it; None: it tells none."""
    return text if isinstance(text, str) and text else None


def moment(text: object) -> datetime:
    """A moment as a system tells it, in UTC. One that cannot be read proves that the answer is no conference."""
    try:
        told = datetime.fromisoformat(cast(str, text))
        if told.tzinfo is not None:
            return told.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Transient(NOT_OURS)
