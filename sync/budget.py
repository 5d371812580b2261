"""How often calendars can be looked at without asking too much of Google: pure arithmetic (docs/channels.md).

Google gives a project so many requests a day before they cost, and each user so many a minute (quota page). Half
of both is the sweep's; the rest is for notifications, full listings and channels. A quiet look is one request.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

A_DAY = 1_000_000  # requests of a project
A_MINUTE = 600  # requests of one user; all calendars that are shared with us have one: ourselves
SHARE = 0.5
RUN_S = 300.0  # the scheduler has the sweep run this often

_PACE_S = 86400.0 / (A_DAY * SHARE)  # from one look to the next
_USERS_PACE_S = 60.0 / (A_MINUTE * SHARE)  # ... as the same user
MOST = int(RUN_S / _PACE_S)  # looks in one run


def interval_s(wanted_s: float, subjects: Iterable[str]) -> float:
    """How often every calendar is looked at, of which these are the subjects: as wanted, or else as allowed."""
    users = Counter(subjects)
    return max(wanted_s, users.total() * _PACE_S, max(users.values(), default=0) * _USERS_PACE_S)


def pause_s(requests: int) -> float:
    """How long whoever has made so many requests as one user is to make none, on the average."""
    return requests * _USERS_PACE_S


def spread(subjects: Sequence[str], run_s: float = RUN_S) -> list[float | None]:
    """When to look at each, in seconds from now; None: not in this run. Those who come first go first."""
    project_s, users_s = 0.0, defaultdict[str, float](float)
    times: list[float | None] = []
    for subject in subjects:
        at = max(project_s, users_s[subject])
        if at >= run_s:
            times.append(None)
            continue
        times.append(at)
        project_s, users_s[subject] = project_s + _PACE_S, at + _USERS_PACE_S
    return times
