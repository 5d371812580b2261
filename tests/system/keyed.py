"""A conference system behind a key, and its provider, which asks for the key at each call."""

from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Request, Response

from sync.cli.demo.conference_service import Call, ConferenceService
from sync.conferences import Context, Secret
from sync.conferences.demo import Demo
from sync.conferences.http import Http
from sync.meeting import Meeting
from sync.ports import Actual, Outcome, Target


class KeyedService(ConferenceService):
    """Lets nobody near a conference without the present key. `let_in`: the keys it has let in, in order."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.let_in: list[str] = []
        self.turned_away = 0

    def _call(self, request: Request, call: Call) -> Response:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            self.turned_away += 1
            return Response(status=401)
        self.let_in.append(self.key)
        return super()._call(request, call)


class Keyed(Demo):
    """The demo's provider, for that service. Options: `url`, and `key`, which is a Secret."""

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__({"url": options["url"]}, context)
        self._url, self._key = options["url"], options["key"]
        assert isinstance(self._key, Secret)
        self._context = context

    def read(self, target: Target) -> Actual | None:
        return self._let_in().read(target)

    def update(self, target: Target, meeting: Meeting) -> Outcome:
        return self._let_in().update(target, meeting)

    def delete(self, target: Target) -> Outcome:
        return self._let_in().delete(target)

    def _let_in(self) -> Demo:
        demo = Demo({"url": self._url}, self._context)
        headers = {"Authorization": f"Bearer {self._key.read()}"}
        times = {"connect_s": self._context.connect_s, "read_s": self._context.read_s}
        demo._http = Http(self._url, headers=headers, **times)
        return demo
