"""Jitsi Meet on one's own server. Nobody can tell it of a meeting; it asks whether a room may be opened.

Our worker answers from the ledger (sync/reservation.py), so to record a meeting is to have told Jitsi. This
provider makes no call. Its options say how the rooms look in an event, and how the worker answers.
"""

from collections.abc import Mapping

from sync.conferences import Context
from sync.conferences.options import Options
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import AUTHORITY, System

_NOTE = "Jitsi asks us: the ledger is the answer"
_MOST_S = 86400


class Jitsi:
    """Options: `hosts`, the names of one server; `early_s` and `late_s`, how long a room is open before and after
    its meeting (900, 0); `unknown`, what rooms without a meeting get: allow (the default) or refuse.
    """

    name = "jitsi"
    # Not "read": there is nothing to read. A series opens its room every day, so it is not expressed.
    capabilities = frozenset({"time"})
    call_s = 1.0  # it makes none

    def __init__(self, options: Mapping[str, object], context: Context) -> None:  # noqa: ARG002
        told = Options(options, ("hosts",), ("early_s", "late_s", "unknown"))
        hosts = options.get("hosts", ["missing.invalid"])
        if not (isinstance(hosts, list) and hosts and all(map(_is_host, hosts))):
            told.problem("hosts is not a list of lower-case host names, with or without :port.")
            hosts = []
        self.early_s = _seconds(told, "early_s", 900)
        self.late_s = _seconds(told, "late_s", 0)
        self.allows_unknown = told.choice("unknown", ("allow", "refuse"), "allow") == "allow"
        told.check()
        # Prosody asks for rooms in lower case, whatever their links look like.
        self.system = System(
            provider=self.name, hosts=tuple(hosts), path=r"^/((?:(?!%)[^/]){1,200})$", folded=True
        )

    def read(self, target: Target) -> Actual | None:  # noqa: ARG002
        """A room is there whenever somebody opens it; nothing is known of it."""
        return Actual()

    def update(self, target: Target, meeting: Meeting) -> Outcome:  # noqa: ARG002
        ignored = ("title", "recurrence") if meeting.recurrence else ("title",)
        return Outcome(changed=False, applied=("time",), ignored=ignored, note=_NOTE)

    def delete(self, target: Target) -> Outcome:  # noqa: ARG002
        return Outcome(changed=False, note=_NOTE)


def _is_host(text: object) -> bool:
    return isinstance(text, str) and text == text.lower() and AUTHORITY.fullmatch(text) is not None


def _seconds(told: Options, name: str, usual: int) -> float:
    seconds = told.told.get(name, usual)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _MOST_S:
        told.problem(f"{name} is not a number of seconds from 0 to {_MOST_S}.")
        return usual
    return float(seconds)
