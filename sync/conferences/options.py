"""What SYNC_CONFERENCES tells a provider, and how that is judged: every problem at once, a sentence each.

Two things hold for all of them. Calls go to hosts that stand in the settings, or that are the vendor's by default;
nothing in an event can change them. And what is secret is kept elsewhere: only for a system on this very machine,
where nothing is secret, it may stand in the settings.
"""

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from sync.conferences import Secret
from sync.errors import AuthFailed, Misconfigured, nearest
from sync.recognise import AUTHORITY, LOOPBACK

ELSEWHERE = '{"secret": "projects/…/secrets/…"} or {"file": "/path"}'


class Options:
    """A provider's options, and every problem there is with them.

    What is read off them is sound, or there is a problem: `check` comes last. Of an option that is missing nothing
    else is said.
    """

    def __init__(
        self, told: Mapping[str, object], needed: Collection[str], others: Collection[str] = ()
    ) -> None:
        self.problems: list[str] = []
        self.told = told
        self._places: list[str] = []
        self.refuse_unknown(told, (*needed, *others), "an option")
        for name in needed:
            if name not in told:
                self.problem(f"the option {name} is missing.")

    def problem(self, sentence: str) -> None:
        self.problems.append(sentence)

    def refuse_unknown(self, names: Collection[str], known: Collection[str], what: str) -> None:
        for name in names:
            if name not in known:
                self.problem(f"{name} is not {what}{nearest(name, known)}")

    def check(self) -> None:
        """Raises Misconfigured with every problem."""
        if self.problems:
            raise Misconfigured(self.problems)

    def text(self, name: str) -> str:
        told = self.told.get(name, "missing")
        if isinstance(told, str) and told.strip() and told.isprintable():
            return told
        self.problem(f"{name} is not a text.")
        return ""

    def flag(self, name: str, usual: bool) -> bool:
        told = self.told.get(name, usual)
        if isinstance(told, bool):
            return told
        self.problem(f"{name} is neither true nor false.")
        return usual

    def choice(self, name: str, known: Collection[str], usual: str) -> str:
        told = self.told.get(name, usual)
        if isinstance(told, str) and told in known:
            return told
        self.problem(f"{name} is none of {', '.join(known)}.")
        return usual

    # --- where calls go ---

    @property
    def on_loopback(self) -> bool:
        """Whether all that is called is on this very machine. To be asked after the URLs."""
        return bool(self._places) and set(self._places) == {"loopback"}

    def url(self, name: str = "url") -> str:
        """The root of a system of one's own, or its only address. A private one is as good as any."""
        url = self.told.get(name, "https://missing.invalid")
        scheme, host = _place(url) if isinstance(url, str) else ("", "")
        self._places.append(host)
        if not host:
            self.problem(
                f"{name} is not of the form https://host/path, without a user, a query or a last slash."
            )
        elif scheme != "https" and host != "loopback":
            self.problem(f"{name} must begin with https://, except on this very machine.")
        return str(url)

    def root(self, name: str, usual: str, hosts: Collection[str]) -> str:
        """The root of a vendor's API: nobody else is shown what signs in there. `hosts`: and all below them."""
        root = self.told.get(name, usual)
        scheme, host = _place(root) if isinstance(root, str) else ("", "")
        self._places.append(host)
        own = any(host == each or host.endswith(f".{each}") for each in hosts)
        bare = isinstance(root, str) and not urlsplit(root).path.strip("/") if host else False
        if not bare or not (host == "loopback" or (own and scheme == "https" and _has_usual_port(str(root)))):
            self.problem(f"{name} is https:// and a host of {' or '.join(hosts)}, without a path.")
        return str(root)

    # --- what is secret ---

    def secret(self, name: str) -> Secret:
        """One that is kept elsewhere. To be asked for after the URLs."""
        told = self.told.get(name, "")
        if isinstance(told, Secret):
            return told
        if isinstance(told, str) and (self.on_loopback or name not in self.told):
            return Secret(f"the option {name}", lambda: told)
        self.problem(f"{name} must be kept elsewhere: {ELSEWHERE}.")
        return Secret(name, lambda: "")


def _place(url: str) -> tuple[str, str]:
    """The scheme of a URL and its host, `loopback` if that is this machine; empty when there is any doubt."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    authority = AUTHORITY.fullmatch(parts.netloc)
    bare = url.isprintable() and not re.search(r"[?#\\ ]", url) and not parts.path.endswith("/", 1)
    if authority is None or not bare or parts.scheme not in ("http", "https"):
        return "", ""
    if int(authority["port"] or 0) > 65535:
        return "", ""
    host = authority["host"].lower()
    return parts.scheme, "loopback" if LOOPBACK.fullmatch(host) else host


def _has_usual_port(root: str) -> bool:
    return urlsplit(root).port in (None, 443)


def header(secret: Secret) -> str:
    """A secret's text, fit for a header. Raises AuthFailed, Transient."""
    text = secret.read()
    if not (text.isascii() and text.isprintable()):
        raise AuthFailed(f"{secret!r} holds what no header can: it must be one line of plain characters")
    return text
