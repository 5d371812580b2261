"""A payload with personal data replaced: what is not known to be harmless is personal.

Structure, keys, numbers of few digits, times, time zones, the hosts and the shape of URLs stay, and what says
which system a conference is of: the kind and the name of its solution, and the id of the add-on's script. An id
becomes one of the same kind, the same wherever it occurs. What stands for what is drawn anew for each payload and
kept nowhere: nothing can be tried against it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from random import SystemRandom
from string import ascii_lowercase, ascii_uppercase, digits
from urllib.parse import quote_plus, unquote_plus, urlsplit
from zoneinfo import available_timezones

from sync.event import TEXT_LIMIT
from sync.recognise import AUTHORITY, ID_LIMIT

_GRAM = 4  # of what is replaced, no so many characters in a row come out again
_DEEPEST = 20  # wrapped in URLs and JSON: nobody's link is

_TEXTS = {"summary", "description", "displayName", "notes", "label", "location", "comment"}
_TEXTS |= {"title", "topic", "agenda", "subject", "text"}
_CLOSED: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "status": "confirmed tentative cancelled",
        "visibility": "default public private confidential",
        "transparency": "opaque transparent",
        "responseStatus": "needsAction declined tentative accepted",
        "statusCode": "pending success failure",
        "entryPointType": "video phone sip more",
        "eventType": "default outOfOffice focusTime workingLocation fromGmail birthday",
        "type": "addOn hangoutsMeet eventHangout eventNamedHangout",
        "method": "email popup sms",
        "accessRole": "owner writer reader freeBusyReader writerWithoutPrivateAccess none",
        "kind": "calendar#event calendar#events",
    }.items()
}
_RULE = re.compile(r"(?:RRULE|EXRULE|EXDATE|RDATE)[:;][A-Z0-9a-z_=;,:+/-]{1,400}", re.ASCII)
_KEY = re.compile(r"(?!.*\d{5})[A-Za-z_][\w.-]{0,63}", re.ASCII)
_MOMENT = re.compile(r"R?\d{8}T\d{6}Z?", re.ASCII)  # in the id of an occurrence
_MAIL = re.compile(r"[^\s@:/]+@[^\s@:/]+")
_OWN_DOMAINS = ("google.com", "group.calendar.google.com", "resource.calendar.google.com")
_SCHEME = re.compile(r"(?:tel|sips?|h323):", re.IGNORECASE)
_ID_LIKE = re.compile(r"[\x21-\x3f\x41-\x7e]+")  # printable ASCII without spaces and @
_PIECE = re.compile(r"%(?P<code>[0-9A-Fa-f]{2})|(?P<token>[A-Za-z0-9]+)|(?P<other>[^\x00-\x7f])", re.ASCII)
_HEX_AFTER_LETTER = re.compile(r"[a-z][0-9a-f]{32}")  # a Webex MTID

# What paths of join links consist of beside ids. Whatever else stands in one may be somebody's name.
_PATH_WORD_LIST = """
    addon api app calendar call conf conference conferences cookie detail event html index invitation invite j join
    launch ldr link magic meet meeting meetings meetup my p php r room rooms s session sessions thread url v1 v2 v3
    video vpaas w wc web webinar webappng
"""
_PATH_WORDS = frozenset(_PATH_WORD_LIST.split())


def redact(document: object) -> object:
    """The document, fit to be shown to strangers. Never raises for anything that JSON can say."""
    return _Redaction(document).value(document)


class _Redaction:
    """What stands for what, in one payload."""

    def __init__(self, document: object) -> None:
        self._random = SystemRandom()
        self._forbidden = {gram for text in _texts(document) for gram in _grams(text)}
        self._tokens: dict[str, str] = {}
        self._named: dict[str, dict[str, str]] = {}

    def value(self, value: object, *path: str, depth: int = 0) -> object:
        match value:
            case dict():
                return {
                    self._key(key): self.value(each, *path, key, depth=depth) for key, each in value.items()
                }
            case list():
                return [self.value(each, *path, depth=depth) for each in value]
            case str():
                return self._padded(value, self._text(value, path, depth))
            case bool() | None:
                return value
            case int() if abs(value) >= 10_000:
                return int(self._token(str(abs(value))))
            case float() if abs(value) >= 10_000:
                return float(self._token(str(int(min(abs(value), 1e15)))))
        return value

    def _key(self, key: str) -> str:
        return key if _KEY.fullmatch(key) else self._name("key", key)

    def _text(self, text: str, path: tuple[str, ...], depth: int) -> str:
        if not text or _is_harmless(text, path):
            return text
        if not text.isprintable():
            return self._name("text", text) + "\n"  # nor is this
        if _MAIL.fullmatch(text):
            return self._mail(text)
        if scheme := _SCHEME.match(text):
            return scheme[0] + self._dialled(text[scheme.end() :])
        if (path and path[-1] in _TEXTS) or depth > _DEEPEST:
            return self._name("text", text)
        return self._nested(text, depth) or (
            self._shape(text) if _ID_LIKE.fullmatch(text) else self._name("text", text)
        )

    def _nested(self, text: str, depth: int) -> str:
        """What is a URL or JSON itself, likewise redacted; else empty."""
        if text.lower().startswith(("https://", "http://")):
            return self._url(text, depth)
        if text.startswith(("{", "[")):
            try:
                return json.dumps(self.value(json.loads(text), depth=depth + 1), separators=(",", ":"))
            except (ValueError, RecursionError):
                return ""
        return ""

    def _url(self, text: str, depth: int) -> str:
        try:
            parts = urlsplit(text)
        except ValueError:
            return ""
        user, at, place = parts.netloc.rpartition("@")
        if " " in text or "\\" in text or not AUTHORITY.fullmatch(place):
            return f"{parts.scheme}://{self._name('text', text)}"
        path = "/".join(self._segment(segment) for segment in parts.path.split("/"))
        query = "&".join(self._parameter(each, depth) for each in parts.query.split("&"))
        return parts._replace(
            netloc=f"{self._shape(user)}{at}{place}",
            path=path,
            query=query,
            fragment=self._shape(parts.fragment),
        ).geturl()

    def _segment(self, segment: str) -> str:
        return self._shape(segment, kept=_PATH_WORDS) if len(segment) > 1 else segment

    def _parameter(self, parameter: str, depth: int) -> str:
        raw_name, equals, raw = parameter.partition("=")
        name = unquote_plus(raw_name)
        kept = name if _KEY.fullmatch(name) and equals else self._shape(raw_name)
        inner = self._nested(unquote_plus(raw), depth + 1) if depth < _DEEPEST else ""
        return f"{kept}{equals}{quote_plus(inner, safe=':/?') if inner else self._shape(raw)}"

    def _shape(self, text: str, kept: frozenset[str] = frozenset()) -> str:
        """Every run of letters and digits replaced by one of its kind."""

        def replaced(piece: re.Match[str]) -> str:
            if piece["other"]:
                return "ø"
            if piece["token"]:
                return piece["token"] if piece["token"] in kept else self._token(piece["token"])
            byte = int(piece["code"], 16)
            if byte >= 0x80:
                return "%BF"
            return "%78" if chr(byte).isalnum() else piece[0]

        return _PIECE.sub(replaced, text)

    def _token(self, token: str) -> str:
        if (len(token) <= 2 and token.isdigit()) or _MOMENT.fullmatch(token):
            return token
        if token not in self._tokens:
            self._tokens[token] = self._drawn(token)
        return self._tokens[token]

    def _drawn(self, token: str) -> str:
        """Digits for digits, letters for letters, and hexadecimal for hexadecimal."""
        drawn = token[0] if _HEX_AFTER_LETTER.fullmatch(token) else ""
        for old in token[len(drawn) :]:
            choices = [each for each in _alphabet(old) if each != old and (drawn or each != "0")]
            self._random.shuffle(choices)
            unseen = (each for each in choices if _tail(drawn + each) not in self._forbidden)
            drawn += next(unseen, choices[0])
        return drawn

    def _mail(self, text: str) -> str:
        name, _, domain = text.partition("@")
        if domain in _OWN_DOMAINS:
            return f"{self._shape(name)}@{domain}"
        return f"{self._name('person', name.lower())}@{self._name('domain', domain.lower())}.example"

    def _dialled(self, text: str) -> str:
        """A number, or somebody at a host."""
        name, at, place = text.partition("@")
        if at and not AUTHORITY.fullmatch(place):
            return self._name("text", text)
        return f"{self._shape(name)}{at}{place}"

    def _name(self, kind: str, text: str) -> str:
        names = self._named.setdefault(kind, {})
        return names.setdefault(text, f"{kind}{len(names) + 1}")

    def _padded(self, text: str, redacted: str) -> str:
        """As much too long as it was, for whoever has a limit."""
        for limit in (TEXT_LIMIT, ID_LIMIT):
            if len(text) > limit >= len(redacted):
                return redacted.ljust(limit + 1, "~")
        return redacted


def _is_harmless(text: str, path: tuple[str, ...]) -> bool:
    key = path[-1] if path else ""
    if text in _CLOSED.get(key, ()):
        return True
    if path[-2:] == ("conferenceSolution", "name"):
        return len(text) <= 64 and "@" not in text
    judge = _JUDGES.get(key)
    return judge is not None and judge(text)


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return len(text) <= 40


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


_JUDGES: Mapping[str, Callable[[str], bool]] = {
    "scriptId": lambda text: re.fullmatch(r"[\w-]{20,100}", text, re.ASCII) is not None,
    "regionCode": lambda text: re.fullmatch(r"[A-Z]{2}", text) is not None,
    "recurrence": lambda text: _RULE.fullmatch(text) is not None,
    "timeZone": lambda text: text in _zones(),
    **dict.fromkeys(("dateTime", "date", "created", "updated"), _is_moment),
}


def _alphabet(letter: str) -> str:
    for kind in (digits, "abcdef", "ABCDEF", ascii_lowercase[6:], ascii_uppercase[6:]):
        if letter in kind:
            return kind
    raise AssertionError("tokens are letters and digits")


def _texts(value: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every text that will be replaced, and every long number."""
    match value:
        case dict():
            for key, each in value.items():
                yield from _texts(each, (*path, key))
        case list():
            for each in value:
                yield from _texts(each, path)
        case str() if not _is_harmless(value, path):
            yield value
        case int() | float() if not isinstance(value, bool):
            yield str(value)


def _grams(text: str) -> Iterator[str]:
    folded = text.lower()
    return (folded[at : at + _GRAM] for at in range(len(folded) - _GRAM + 1))


def _tail(text: str) -> str:
    return text[-_GRAM:].lower()
