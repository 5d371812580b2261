"""The one thing that we write into a calendar: where a conference is joined now, if its provider says another URL.

Level, not edge: the provider's URL is compared with what the event carries, each time a provider has told it. So
nothing need be remembered, and whatever dies in between is made good by the next comparison. A user's edit always
comes first, nobody is sent a mail, and an event never comes to carry another conference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sync.codes import Code
from sync.errors import AccessLost, Gone, Overtaken, Refused, Transient
from sync.event import Event
from sync.ports import CalendarRecord, Version
from sync.recognise import ConferenceKey
from sync.tenure import Tenure

_REQUESTS = 2  # of one write: to read the present version, and to replace it


Copies = Mapping[str, tuple[CalendarRecord, Event]]  # the events of one conference, by ref


@dataclass(slots=True)
class Written:
    """What came of it. `code`: none if nothing was to be written; `etags`: of what was, by ref."""

    code: Code | None = None
    why: str = ""
    etags: dict[str, str] = field(default_factory=dict)

    @property
    def is_half_done(self) -> bool:
        """Whether there is more to be written, and another try may do it."""
        return self.code in (Code.PRECONDITION_FAILED, Code.RETRY_LATER)


def write_back(tenure: Tenure, key: ConferenceKey, copies: Copies, join_url: str) -> Written:
    """Have all events of a conference say the URL at which it is joined. Raises LeaseLost."""
    written, calendar = Written(), tenure.outside.calendar
    for ref, (record, event) in copies.items():
        old = tenure.policy.rules.outdated_url(event, key, join_url)
        if not old:
            continue
        tenure.stay(_REQUESTS * calendar.call_s)
        try:
            version = Version(event.id, event.etag)
            written.etags[ref] = calendar.replace_url(record.calendar, version, old, join_url)
        except (Overtaken, Gone) as error:
            return Written(Code.PRECONDITION_FAILED, str(error), written.etags)
        except Transient as error:
            return Written(Code.RETRY_LATER, str(error), written.etags)
        except (Refused, AccessLost) as error:  # nothing would come of another try: it is said
            written.why = f"its URL is not written into an event: {error}"
        else:
            written.code = Code.WRITTEN_BACK
    return written


def is_outdated(tenure: Tenure, key: ConferenceKey, copies: Copies, join_url: str) -> bool:
    """Whether an event says another URL than the one at which its conference is joined."""
    rules = tenure.policy.rules
    return any(rules.outdated_url(event, key, join_url) for _, event in copies.values())
