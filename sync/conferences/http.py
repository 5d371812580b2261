"""One HTTP call to a provider: bounded in time and size, made once, and ended as an answer or as one error.

| the other side                                      | becomes                                            |
|-----------------------------------------------------|----------------------------------------------------|
| 2xx with a JSON object, or without a body           | that object, or an empty one                       |
| 429, or another refusal with a `Retry-After`        | RateLimited                                        |
| 404, 410                                            | Gone                                               |
| 401, 403                                            | AuthFailed                                         |
| 408, 423, 425, 5xx                                  | Transient                                          |
| 3xx, any other 4xx                                  | Refused                                            |
| 2xx with anything else: a proxy's page, over 1 MiB  | Transient: it may have taken effect                |
| no connection, or one that breaks                   | Transient                                          |
| silence                                             | Timeout                                            |

A message names the method, the status and the host: never a path, a query, a header or a body, which hold secrets
and what meetings are about. Nothing is tried again and no redirect is followed: retries are the ledger's.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from sync import connections, logs, trace
from sync.errors import AuthFailed, Gone, Misconfigured, RateLimited, Refused, Timeout, Transient

ANSWER_LIMIT = 1024 * 1024
WAIT_LIMIT_S = 86400.0  # whoever asks for more is asked again after a day
_CHUNK = 64 * 1024
_CONNECTIONS = 8  # kept for reuse, about as many as an instance has threads
_MAY_PASS = (408, 423, 425)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever it says. Neither its headers nor its content may reach an error's text or a log."""

    method: str
    host: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, object]:
        """The JSON object it holds, or an empty one for no content. Raises Transient for anything else."""
        answer = self._read()
        if answer is None:
            raise Transient(f"{self.method}: {self.status} without a JSON object from {self.host}")
        return answer

    def said(self, *path: str) -> object:
        """What a JSON answer says under `path`; None if there is no such thing, or no JSON."""
        said: object = self._read()
        for name in path:
            said = said.get(name) if isinstance(said, dict) else None
        return said

    def _read(self) -> dict[str, object] | None:
        try:
            answer = json.loads(self.content or b"{}")
        except (ValueError, RecursionError):
            return None
        return answer if isinstance(answer, dict) else None


class Http:
    """The API below one root URL. Opens no connection before the first call, so it survives a fork.

    A call ends within `call_s` seconds, or earlier where there is less time left: `connect_s` to find the host and
    to connect, and all in all `read_s` more.

    `call` is all that a plain JSON API needs. A system with words of its own for what went wrong sends, reads
    those words, and leaves the rest to `judge`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_s: float,
        read_s: float,
        headers: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._host = _host(base_url)
        self._headers = {"Accept": "application/json", **(headers or {})}
        self._now = now
        self.call_s = connect_s + read_s
        self._pool = connections.pool(_CONNECTIONS, connect_s)

    def call(self, method: str, *path: str, body: Mapping[str, object] | None = None) -> dict[str, object]:
        """Make one call, and return the JSON object of a success. Raises what the table above says."""
        answer = self.send(method, *path, body=body)
        self.judge(answer)
        return answer.json()

    def send(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Make one call; every element of `path` is one segment, whatever characters it has.

        `body` goes as JSON, `form` as a form, `content` as it is. Raises Transient, Timeout, and AuthFailed for a
        header that would be two.
        """
        url = "/".join((self._base_url, *map(self._segment, path)))
        sent, kind = _encoded(body, form, content)
        shown = {**self._headers, **kind, **trace.onward(), **(headers or {})}
        if not all(value.isascii() and value.isprintable() for value in shown.values()):
            raise AuthFailed(f"{method}: a key or token for {self._host} is not one line of plain characters")
        logs.count(logs.Asked.PROVIDER)
        try:
            with connections.within(self.call_s):
                response = self._pool.request(
                    method,
                    f"{url}?{urlencode(query, quote_via=quote)}" if query else url,
                    body=sent,
                    headers=shown,
                    preload_content=False,
                    decode_content=False,  # we ask for no compression; what is compressed all the same is no JSON
                )
                with closing(response):  # one that was read to its end is back in the pool by then
                    read = self._content(method, response)
                    return Answer(method, self._host, response.status, response.headers, read)
        except TimeoutError:
            raise Timeout(f"{method}: no answer in time from {self._host}") from None
        except NameResolutionError:
            raise Transient(f"{method}: nobody knows a host {self._host}") from None
        except NewConnectionError:
            raise Transient(f"{method}: {self._host} takes no connection") from None
        except HTTPError as error:
            raise Transient(f"{method}: {type(error).__name__} with {self._host}") from None

    def judge(self, answer: Answer) -> None:
        """Raises, for anything but a success, what the table above says."""
        status, message = answer.status, f"{answer.method}: {answer.status} from {answer.host}"
        if answer.succeeded:
            return
        if status < 400:
            raise Refused(f"{message}: redirects are not followed")
        # RateLimited promises that nothing happened; after a 500, 502 or 504 something may have.
        if status == 429 or ("Retry-After" in answer.headers and (status < 500 or status == 503)):
            raise RateLimited(message, retry_after(answer.headers, self._now()))
        if status in (404, 410):
            raise Gone(message)
        if status in (401, 403):
            raise AuthFailed(message)
        if status in _MAY_PASS or status >= 500:
            raise Transient(message, retry_after(answer.headers, self._now()))
        raise Refused(message)

    def _segment(self, text: str) -> str:
        """One segment of a path. Dots would climb out of it, however they are written."""
        if text.strip(".") == "":
            raise Refused(f"not a name that {self._host} could have given")
        return quote(text, safe="")

    def _content(self, method: str, response: urllib3.BaseHTTPResponse) -> bytes:
        """The whole body, read piece by piece so that its length cannot hold us up."""
        content = bytearray()
        while piece := response.read1(_CHUNK):
            content += piece
            if len(content) > ANSWER_LIMIT and response.status >= 300:
                return b""  # what an error goes on about is not needed to know that it is one
            if len(content) > ANSWER_LIMIT:
                raise Transient(f"{method}: {response.status} and too long an answer from {self._host}")
        return bytes(content)


def _encoded(
    body: Mapping[str, object] | None, form: Mapping[str, str] | None, content: bytes | None
) -> tuple[bytes | None, Mapping[str, str]]:
    """The bytes to send, and the header that says what they are."""
    if body is not None:
        return json.dumps(body).encode(), {"Content-Type": "application/json"}
    if form is not None:
        return urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    return content, {}


def _host(base_url: str) -> str:
    try:
        root = urlsplit(base_url)
        _ = root.port  # is read only now, and may be no number
    except ValueError:
        root = urlsplit("")
    if root.scheme not in ("http", "https") or not root.hostname or root.username or root.query:
        raise Misconfigured(["a provider's URL is not of the form https://host/path"])
    return root.hostname


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """How many seconds the other side wants to be left alone; None when it does not say, or not legibly.

    `Retry-After` is a number of seconds or an HTTP date (RFC 9110, 10.2.3); Zoom also writes ISO 8601, and for
    limits by the second tells only `X-RateLimit-Reset`, in seconds since the epoch.
    """
    text = headers.get("Retry-After", "").strip()
    reset = headers.get("X-RateLimit-Reset", "").strip()
    if _is_number(text):
        wait_s = float(text)
    elif (at := _moment(text)) is not None:
        wait_s = at - now
    elif _is_number(reset):
        wait_s = float(reset) - now
    else:
        return None
    return min(max(wait_s, 0.0), WAIT_LIMIT_S)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _moment(text: str) -> float | None:
    """An HTTP date or an ISO 8601 one, in seconds since the epoch; without a zone it is UTC."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    return None
