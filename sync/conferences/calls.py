"""The HTTP calls of one operation, made with a token that all workers of an account share.

For systems where an operation is several calls: find it, read it, tell it, look again. A token may end at any of
them, and a limit may be reached at any; either way the caller hears what is true of the operation as a whole.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sync.conferences.http import Answer, Http
from sync.conferences.token import SharedToken, bearer
from sync.errors import RateLimited, Transient


@dataclass(frozen=True, slots=True)
class Api:
    """A system's API as one account calls it, and how it says that it will not.

    `ends_token`: whether an answer says that the token has ended, and no more than that.
    `refuse`: raises what an answer says in the system's own words; the rest is http.py's.
    """

    http: Http
    token: SharedToken
    ends_token: Callable[[Answer], bool]
    refuse: Callable[[Answer], None]

    @property
    def operation_s(self) -> float:
        """An operation ends within this time, however many calls it takes."""
        return 2 * self.http.call_s

    def operation(self) -> "Calls":
        return Calls(self)


class Calls:
    """The calls of one operation. They begin within the time of one, so all end within that of two.

    `acted`: whether one of them has changed something.
    """

    def __init__(self, api: Api) -> None:
        self.acted = False
        self._api = api
        self._until = time.monotonic() + api.http.call_s

    def make(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        """One call that must succeed. Raises what the system says, or what http.py makes of it."""
        answer = self.ask(method, *path, query=query, body=body)
        self.judge(answer)
        self.acted = self.acted or method != "GET"
        return answer

    def ask(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        """One call, whatever the answer; made once more with another token if this one has ended."""
        token = self._token(method)
        answer = self._send(token, method, *path, query=query, body=body)
        if self._api.ends_token(answer):
            answer = self._send(self._token(method, token), method, *path, query=query, body=body)
        return answer

    def judge(self, answer: Answer) -> None:
        """Raises for anything but a success."""
        if answer.succeeded:
            return
        try:
            self._api.refuse(answer)
            self._api.http.judge(answer)
        except RateLimited as limited:
            if self.acted:  # it would promise that nothing was done
                raise Transient(str(limited), limited.retry_after_s) from None
            raise

    def _token(self, method: str, refused: str = "") -> str:
        self._check_time(method)
        return self._api.token.read(refused)

    def _send(
        self,
        token: str,
        method: str,
        *path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, object] | None,
    ) -> Answer:
        self._check_time(method)
        return self._api.http.send(method, *path, query=query, body=body, headers=bearer(token))

    def _check_time(self, method: str) -> None:
        if time.monotonic() > self._until:
            raise Transient(f"{method}: the calls before it took all the time there is")
