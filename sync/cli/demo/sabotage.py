"""Providers that misbehave once in a worker's life, so that one can see the judge notice.

The worker's settings name them as `module:Class`, as they would any provider from elsewhere.
"""

from dataclasses import replace

from sync.conferences.demo import Demo
from sync.meeting import Meeting
from sync.ports import Outcome, Target
from sync.recognise import ConferenceKey


class SkipUpdate(Demo):
    """Claims one update that it never made."""

    _done = False

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        if self._done:
            return super().update(target, meeting)
        self._done = True
        return Outcome(changed=True, applied=("title", "time"))


class SkipDelete(Demo):
    """Claims one deletion that it never made."""

    _done = False

    def delete(self, target: Target) -> Outcome:
        if self._done:
            return super().delete(target)
        self._done = True
        return Outcome(changed=True)


class TouchLive(Demo):
    """Renames one conference that nobody asked to change."""

    _done = False

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        if not self._done and (bystander := self._bystander(target)):
            super().update(bystander, replace(meeting, title="Nobody asked for this"))
            self._done = True
        return super().update(target, meeting)

    def _bystander(self, target: Target) -> Target | None:
        listed = self._http.call("GET", "api", "conferences")["conferences"]
        assert isinstance(listed, list)
        others = (each["id"] for each in listed if not each["deleted"] and each["id"] != target.id)
        return next((Target(ConferenceKey(target.key.provider, other)) for other in others), None)
