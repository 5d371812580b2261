"""The demo's conferences: a title, a start and an end. PUT sets them; they cannot repeat, and that is said."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from sync.conferences import Context
from sync.conferences.http import Http
from sync.conferences.told import NOT_OURS, moment
from sync.errors import Gone, Misconfigured, Transient
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import System


class Demo:
    """The client of a conference service as `python -m sync demo` starts one. Option: `url`, its root."""

    name = "demo"
    capabilities = frozenset({"title", "time", "read"})

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        url = options.get("url")
        if not isinstance(url, str) or set(options) != {"url"}:
            raise Misconfigured(["options are exactly one: url, the root of the conference service."])
        self._http = Http(url, connect_s=context.connect_s, read_s=context.read_s)
        self.call_s = self._http.call_s
        self.system = System(
            provider=self.name,
            names=("Demo Conference",),
            hosts=(urlsplit(url).netloc.lower(),),
            path=r"^/j/([a-z0-9-]{6,40})$",
            id_pattern=r"^[a-z0-9-]{6,40}$",
        )

    def read(self, target: Target) -> Actual | None:
        try:
            told = self._http.call("GET", "api", "conferences", target.id)
        except Gone:
            return None
        return _actual(told)

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        state = {
            "title": meeting.title,
            "start": meeting.start.isoformat(),
            "end": meeting.end.isoformat(),
        }
        told = self._http.call("PUT", "api", "conferences", target.id, body=state)
        return Outcome(
            changed=told.get("changed") is not False,
            applied=("title", "time"),
            ignored=("recurrence",) if meeting.recurrence else (),
        )

    def delete(self, target: Target) -> Outcome:
        try:
            self._http.call("DELETE", "api", "conferences", target.id)
        except Gone:
            return Outcome(changed=False)
        return Outcome(changed=True)


def _actual(told: Mapping[str, object]) -> Actual:
    """A conference as the service tells it. An answer that is none proves nothing: not even that it is there."""
    match told:
        case {"title": str(title), "start": start, "end": end}:
            return Actual(title, moment(start), moment(end))
    raise Transient(NOT_OURS)
