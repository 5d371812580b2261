"""The times of a Webex meeting: what they should be, whether Webex has them, and what to tell it. Pure.

Facts are from Cisco's "Patch a Meeting" (no start in the past or ten years ahead, to the minute, 10 minutes to
23 hours and 59, how many occurrences a rule may have, and that of several days in a monthly or yearly rule the
first is taken).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from sync.conferences.recurrence import Place, Rule, Series, read, series
from sync.conferences.told import moment
from sync.errors import Unsupported
from sync.meeting import Meeting

_SHORTEST, _LONGEST = timedelta(minutes=10), timedelta(hours=23, minutes=59)
_MOST = {"YEARLY": 5, "MONTHLY": 60, "WEEKLY": 261, "DAILY": 1826}  # occurrences of a rule that ends
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "WKST"}
_PAST = "Webex takes no start in the past"
_FARTHEST = timedelta(days=10 * 365)  # less than ten years, wherever the leap days fall


@dataclass(frozen=True, slots=True)
class Times:
    """What an event says of the times of its meeting. `first`: where it is, or its first occurrence."""

    first: Place
    zone: str
    series: Series | None
    now: datetime

    @property
    def has_begun(self) -> bool:
        """Whether it is a series that is not told from its first occurrence on."""
        return self.series is not None and self.first.start <= self.now

    def are_in(self, found: Mapping[str, object]) -> bool:
        """Whether Webex has them; of a series, whether it has what is ahead."""
        rule = found.get("recurrence") or ""
        there = Place(moment(found["start"]), moment(found["end"]))
        if self.series is None or not rule:
            return self.series is None and not rule and there == self.first
        theirs = _series_in(str(rule), there, found.get("timezone"))
        return theirs is not None and self._rest(self.series).meets_as(self._rest(theirs))

    def _rest(self, whole: Series) -> Series:
        return whole.ahead(self.now) or whole

    def told(self) -> dict[str, object]:
        """What to tell Webex. Raises Unsupported."""
        rest = self.series.ahead(self.now) if self.series else None
        if rest is None and self.first.start <= self.now:
            raise Unsupported(_PAST)
        place, rule = self.first, None
        if rest is not None:
            start = next(rest.starts())
            place, rule = Place(start, start + rest.length), _told(rest.rule)
        if place.start - self.now > _FARTHEST:
            raise Unsupported("Webex takes no start ten years ahead")
        return {
            "start": text(place.start),
            "end": text(place.end),
            "timezone": self.zone,
            "recurrence": rule,
        }


def times(meeting: Meeting, now: datetime) -> Times:
    """The times of a meeting in Webex. Raises Unsupported for what it cannot have, and says why."""
    if meeting.all_day:
        raise Unsupported("an all-day meeting is longer than Webex has them")
    if not _SHORTEST <= meeting.end - meeting.start <= _LONGEST:
        raise Unsupported("Webex has meetings of 10 minutes to 23 hours and 59 minutes")
    start, end = (at.replace(second=0, microsecond=0) for at in (meeting.start, meeting.end))
    whole = series(replace(meeting, start=start, end=end)) if meeting.recurrence else None
    if whole:
        _check(whole)
    return Times(Place(start, end), meeting.time_zone if meeting.zone else "UTC", whole, now)


def _check(whole: Series) -> None:
    """Raises Unsupported for a rule that Webex would take only in part."""
    rule = whole.rule
    many = {name for name, value in rule.parts.items() if "," in value}
    if rule.parts.keys() - _PARTS or (
        many and (rule.frequency in ("MONTHLY", "YEARLY") or many != {"BYDAY"})
    ):
        raise Unsupported("Webex has no such rule")
    most = _MOST[rule.frequency]
    if rule.ends and len(list(islice(whole.starts(), most + 1))) > most:
        raise Unsupported(f"Webex has series of {most} occurrences")


def _series_in(rule: str, place: Place, zone: object) -> Series | None:
    """The series that Webex has; None for one that cannot be read, and so is not as wanted."""
    try:
        there = ZoneInfo(str(zone))
        first = place.start.astimezone(there).replace(tzinfo=None)
        return Series(read(rule, first, there), first, there, place.end - place.start)
    except (Unsupported, OSError, ValueError, LookupError):
        return None


def _told(rule: Rule) -> str:
    return ";".join(f"{name}={value}" for name, value in {"FREQ": rule.frequency, **rule.parts}.items())


def text(moment: datetime) -> str:
    """A moment as Webex is told it: it keeps no seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:00Z")
