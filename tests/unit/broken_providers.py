"""A small provider that keeps every promise, and one for each promise that breaks it."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sync.conferences import Context
from sync.conferences.http import Http
from sync.errors import Gone, Refused, Timeout, Transient
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target
from sync.recognise import System


class Sound:
    """Keeps them all."""

    name = "small"
    capabilities = frozenset({"title", "time", "read"})
    system = System("small", hosts=("small.example",), path=r"^/join/(\d{9})$")

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self.url = str(options["url"])
        self.http = Http(self.url, connect_s=context.connect_s, read_s=context.read_s)
        self.call_s = self.http.call_s

    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        return self.http.call(method, "m", target.id, body=body)

    def read(self, target: Target) -> Actual | None:
        try:
            told = self.call("GET", target)
            start, end = (datetime.fromisoformat(str(told[name])) for name in ("start", "end"))
            return Actual(str(told["title"]), start, end)
        except Gone:
            return None
        except (KeyError, ValueError):
            raise Transient("what came back is no meeting") from None

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        state = {
            "title": meeting.title,
            "start": meeting.start.isoformat(),
            "end": meeting.end.isoformat(),
        }
        self.call("PATCH", target, state)
        return Outcome(True, ("title", "time"), ("recurrence",) if meeting.recurrence else ())

    def delete(self, target: Target) -> Outcome:
        try:
            self.call("DELETE", target)
        except Gone:
            return Outcome(False)
        return Outcome(True)


class Unread(Sound):
    """Cannot be read, and keeps its promises all the same."""

    capabilities = frozenset({"title", "time"})

    def read(self, target: Target) -> Actual | None:
        raise NotImplementedError


class CannotDeleteTwice(Sound):
    def delete(self, target: Target) -> Outcome:
        self.call("DELETE", target)
        return Outcome(True)


class AddsInsteadOfSetting(Sound):
    def update(self, target: Target, meeting: Meeting) -> Outcome:
        before = self.read(target)
        if before is None:
            raise Gone("PATCH: it is gone")
        return super().update(target, replace(meeting, title=f"{meeting.title} {len(before.title or '')}"))


class ForgetsTheEnd(Sound):
    def update(self, target: Target, meeting: Meeting) -> Outcome:
        self.call("PATCH", target, {"title": meeting.title, "start": meeting.start.isoformat()})
        return Outcome(True, ("title", "time"), ("recurrence",) if meeting.recurrence else ())


class SaysNothingOfWhatItIgnores(Sound):
    def update(self, target: Target, meeting: Meeting) -> Outcome:
        return super().update(target, replace(meeting, recurrence=()))


class MakesWhatIsGone(Sound):
    """An upsert: what somebody deleted comes back."""

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        try:
            return super().update(target, meeting)
        except Gone:
            return Outcome(True)


class TriesAgain(Sound):
    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        try:
            return super().call(method, target, body)
        except Transient:
            return super().call(method, target, body)


class WaitsForTheLimit(Sound):
    """Keeps a limit in mind, and does not even ask."""

    limit: Transient | None = None

    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        if self.limit:
            raise self.limit
        try:
            return super().call(method, target, body)
        except Transient as error:
            self.limit = error
            raise


class TakesALimitForARefusal(Sound):
    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        answer = self.http.send(method, "m", target.id, body=body)
        if answer.status == 429:
            raise Refused("too many")
        self.http.judge(answer)
        return answer.json()


class HearsNoRetryAfter(Sound):
    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        answer = self.http.send(method, "m", target.id, body=body)
        self.http.judge(replace(answer, headers={}))
        return answer.json()


class BelievesAnyAnswer(Sound):
    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        answer = self.http.send(method, "m", target.id, body=body)
        self.http.judge(answer)
        try:
            return answer.json()
        except Transient:
            return {"title": "", "start": "2030-01-01T10:00:00Z", "end": "2030-01-01T10:00:00Z"}


class BelievesWhatItDeleted(Sound):
    def delete(self, target: Target) -> Outcome:
        answer = self.http.send("DELETE", "m", target.id)
        try:
            self.http.judge(answer)
        except Gone:
            return Outcome(False)
        return Outcome(True)


class TakesAnOutageForGone(Sound):
    def read(self, target: Target) -> Actual | None:
        try:
            return super().read(target)
        except Transient:
            return None


class TakesAnyMeetingForTheConference(Sound):
    def read(self, target: Target) -> Actual | None:
        told = self.call("GET", target)
        return Actual(str(told.get("title")))


class IsSpoiltByOneRefusal(Sound):
    """Keeps the credentials' refusal in mind after they were set right."""

    refusal: Exception | None = None

    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        if self.refusal:
            raise self.refusal
        try:
            return super().call(method, target, body)
        except Exception as error:
            self.refusal = error
            raise


class RemembersConferences(Sound):
    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        super().__init__(options, context)
        self.known: dict[str, Actual | None] = {}

    def read(self, target: Target) -> Actual | None:
        if target.id not in self.known:
            self.known[target.id] = super().read(target)
        return self.known[target.id]

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        self.known[target.id] = Actual(meeting.title, meeting.start, meeting.end)
        return super().update(target, meeting)


class TakesSilenceForAnOutage(Sound):
    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        try:
            return super().call(method, target, body)
        except Timeout:
            raise Transient("no answer") from None


class TellsTheAnswer(Sound):
    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        answer = self.http.send(method, "m", target.id, body=body)
        if answer.status == 422:
            raise Refused(f"it says {answer.content!r}")
        self.http.judge(answer)
        return answer.json()


class LogsTheTitle(Sound):
    def update(self, target: Target, meeting: Meeting) -> Outcome:
        logging.getLogger("small").warning("updating %s", meeting.title)
        return super().update(target, meeting)


class ClimbsOutOfItsPath(Sound):
    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        name = target.id.rpartition("/")[2].partition("?")[0]
        return self.http.call(method, "m", name, body=body)


class PromisesTheMoon(Sound):
    capabilities = frozenset({"title", "time", "read", "moon"})


class IsNeverDone(Sound):
    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        super().__init__(options, context)
        self.call_s = float("inf")


class IsEverywhere(Sound):
    system = System("small", hosts=("example",), path=r"^/join/(\d{9})$")


class KnowsNoneOfItsOwn(Sound):
    system = System("small", hosts=("small.example",), path=r"^/meet/(\d{9})$")


class TakesForEverToRecognise(Sound):
    system = System("small", hosts=("small.example",), path=r"^/(?:join/(\d{9})|(?:a|aa)+)$")


class CallsWhileRecognising(Sound):
    @property
    def system(self) -> System:  # type: ignore[override]
        self.http.send("GET", "m", "1")
        return System("small", hosts=("small.example",), path=r"^/join/(\d{9})$")


class SleepsOverALimit(Sound):
    def call(
        self, method: str, target: Target, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        try:
            return super().call(method, target, body)
        except Transient:
            time.sleep(0.05)
            return super().call(method, target, body)
