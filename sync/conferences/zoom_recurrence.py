"""A rule of repetition as Zoom's `recurrence` object. Pure.

Facts are from Zoom's Meetings API, "Update a meeting". What Zoom could only take in part is Unsupported.
"""

from itertools import islice

from sync.conferences.recurrence import Rule, Series
from sync.errors import Unsupported

MOST = 60  # occurrences of a series that ends: the limit of `end_times`
_TYPES = {"DAILY": 1, "WEEKLY": 2, "MONTHLY": 3}
_WIDEST = {"DAILY": 99, "WEEKLY": 50, "MONTHLY": 10}
_ANYWHERE = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST"}
_PARTS = {"DAILY": set[str](), "WEEKLY": {"BYDAY"}, "MONTHLY": {"BYDAY", "BYMONTHDAY", "BYSETPOS"}}
_MONDAY, _SUNDAY = 0, 6
_SURE_MONTH_DAY = 28  # what Zoom does in a month without a 31st no document says


def told(series: Series) -> dict[str, object]:
    """The whole of the object: Zoom refuses a part of it. Raises Unsupported."""
    recurrence = {**_pattern(series.rule), **_end(series.rule)}
    if series.rule.ends and len(list(islice(series.starts(), MOST + 1))) > MOST:
        raise Unsupported(f"Zoom has at most {MOST} occurrences in a series that ends")
    return recurrence


def _pattern(rule: Rule) -> dict[str, object]:
    if rule.frequency not in _TYPES:
        raise Unsupported("Zoom repeats daily, weekly or monthly only")
    if rule.parts.keys() - _ANYWHERE - _PARTS[rule.frequency]:
        raise Unsupported(f"Zoom cannot combine such parts in a {rule.frequency.lower()} rule")
    widest = _WIDEST[rule.frequency]
    if rule.interval > widest:
        raise Unsupported(f"Zoom repeats a {rule.frequency.lower()} series at intervals of 1 to {widest}")
    pattern: dict[str, object] = {"type": _TYPES[rule.frequency], "repeat_interval": rule.interval}
    if rule.frequency == "WEEKLY":
        pattern["weekly_days"] = _weekly_days(rule)
    if rule.frequency == "MONTHLY":
        pattern |= _monthly(rule)
    return pattern


def _weekly_days(rule: Rule) -> str:
    days = {weekday for _, weekday in rule.days}
    # A guess from the numbering of its days: Zoom's week begins on Sunday. A rule's begins on Monday unless told.
    alike = rule.week_start == _SUNDAY or (rule.week_start == _MONDAY and _SUNDAY not in days)
    if rule.interval > 1 and len(days) > 1 and not alike:
        raise Unsupported(
            "every few weeks, on days around the turn of the week: Zoom's weeks begin on Sunday"
        )
    return ",".join(map(str, sorted(map(_number, days))))


def _monthly(rule: Rule) -> dict[str, object]:
    if not rule.days:
        if len(rule.month_days) != 1 or not 1 <= rule.month_days[0] <= _SURE_MONTH_DAY or rule.positions:
            raise Unsupported(
                f"Zoom repeats surely only on one day of the month, from 1 to {_SURE_MONTH_DAY}"
            )
        return {"monthly_day": rule.month_days[0]}
    match rule.days, rule.positions, rule.month_days:
        case ((0, weekday),), (week,), ():
            pass
        case ((week, weekday),), (), ():
            pass
        case _:
            week, weekday = 0, 0
    if week not in (-1, 1, 2, 3, 4):
        raise Unsupported("Zoom repeats on the first to fourth or last of one weekday in a month")
    return {"monthly_week": week, "monthly_week_day": _number(weekday)}


def _number(weekday: int) -> int:
    """Zoom counts the days of a week from 1, and from Sunday."""
    return (weekday + 1) % 7 + 1


def _end(rule: Rule) -> dict[str, object]:
    if rule.until:
        return {"end_date_time": f"{rule.until:%Y-%m-%dT%H:%M:%SZ}"}
    return {"end_times": rule.times}  # 0: by Zoom's specification a series without an end
