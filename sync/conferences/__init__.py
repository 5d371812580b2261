"""The conference systems, one file each. This page is all that the author of another one needs.

A provider is a class, built as `Class(options, context)`, once for each of its accounts: `options` are what
SYNC_CONFERENCES says of it, `context` (below) bounds its calls and keeps what its workers share. The constructor
opens no connection; what is wrong with the options it raises as one Misconfigured, a sentence for each problem.
One object serves many threads.

An option may be kept in Secret Manager or in a file: then it is no text but a Secret (below). Ask it within each
call, `key.read()`, and keep nothing of it, so that a new version is used within minutes. What it raises is for
whoever called you.

It has (ports.Provider says the same in types):

name            what it is called by default
system          how its conferences look in an event. Recognition is declared, not coded: the hosts of its join
                URLs, the pattern of their paths, the ids of its add-on. A look-alike must not match: anybody
                can write anything into an event, and what we recognise we change
capabilities    which of these it can do: title, agenda, time, recurrence, occurrence, invitees, read, restore;
                and join_url, if it tells where its conferences are joined
call_s          each call ends within this time, all in all. Whatever it does by way of conferences/http.py, by
                a Secret and by conferences/token.py is ended then, in whatever state it is
read            the conference as it is; None when it is gone. What the system does not tell is None in Actual

Each call is about a Target: the conference's key, the version of what is wanted (a call that is repeated has the
same again: an idempotency key), and what may help to find it.

update          make it so. Sets the whole state, never a difference: once more does no harm, and a call that
                took effect late is made good by the next. What Meeting does not have it leaves alone:
                passwords, waiting rooms, hosts
delete          end it. That it was gone already is success too: Outcome(changed=False)
check           may be missing: one harmless call that proves credentials and rights, for `python -m sync doctor`.
                Returns in a few words what it found

An Outcome tells `applied` and `ignored` by capability ("title", "time", "recurrence"). What a system cannot
express is ignored aloud; a system that can express nothing of a change raises Unsupported. It may tell `join_url`,
and so may an Actual: where the settings say `write_back`, that URL is written into the event, if it is another one
and leads to the very same conference.

Errors say who must act; sync/errors.py has the tree. Gone: it is not there (not from delete). RateLimited: come
again later; promises that nothing was done. Transient and Timeout: what was done is not known, or not all is done.
AuthFailed: our credentials. Refused: never again like this. conferences/http.py turns HTTP into exactly these.

Never try again inside a call, never sleep, never remember a conference between calls: when and how often is the
ledger's business. Never let a title, a link or a secret into an error's text.

A new one goes into a file of its own here, `acme_calls.py` with the class `AcmeCalls`, and is used as
`{"use": "acme_calls"}`; or a package offers it as an entry point `acme_calls` of the group `sync.providers`; or
it lives in any module that can be imported, as `{"use": "module:Class"}`. Prove it with
sync.testing.ProviderContract: inherit, and say what to test against.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sync.conferences.token import Shared
from sync.errors import AuthFailed, Misconfigured


@dataclass(frozen=True, slots=True)
class Context:
    """What a provider is built into. Reaching its system, and waiting for an answer, are bounded in seconds."""

    connect_s: float
    read_s: float
    shared: Shared  # a text that all workers of this account share; conferences/token.py makes use of it


class Secret:
    """An option that is kept elsewhere. It shows where, and never what."""

    def __init__(self, place: str, read: Callable[[], str]) -> None:
        self._place = place
        self._read = read

    def __repr__(self) -> str:
        return f"Secret({self._place})"

    def read(self) -> str:
        """The text as it is now, or was minutes ago. Raises AuthFailed if it cannot be had, Transient."""
        try:
            return self._read()
        except Misconfigured as error:  # of all that we do, it concerns this provider's account alone
            raise AuthFailed(str(error)) from None
