"""A stand-in for Secret Manager on this machine: the one method of its REST API v1 that we use.

Secrets have versions, of which any may be disabled; an account may be denied a secret; and what Google's front end
says when it is out of order can be put in the way of all of them.
"""

import base64
import re
from dataclasses import dataclass, field

from tests.contract.loopback import Answer, Asked, Loopback

# REST reference, "Method: projects.secrets.versions.access". Also there: `latest` is the most recently created
# version, in whatever state it is.
_ACCESS = re.compile(r"/v1/(projects/[^/]+/secrets/[^/]+)/versions/latest:access", re.ASCII)


@dataclass
class _Secret:
    versions: list[bytes] = field(default_factory=list)
    disabled: set[int] = field(default_factory=set)
    denied: bool = False


class FakeSecretManager(Loopback):
    """Secrets by their full name. `instead`: what every request gets, whatever it asks for."""

    def __init__(self) -> None:
        super().__init__(self._answer_to)
        self._secrets: dict[str, _Secret] = {}
        self.instead: Answer | None = None

    def add_version(self, name: str, value: bytes) -> None:
        self._secrets.setdefault(name, _Secret()).versions.append(value)

    def disable_newest(self, name: str) -> None:
        secret = self._secrets[name]
        secret.disabled.add(len(secret.versions))

    def deny(self, name: str) -> None:
        self._secrets[name].denied = True

    def _answer_to(self, asked: Asked) -> Answer:
        path, _, _ = asked.path.partition("?")
        found = _ACCESS.fullmatch(path)
        if self.instead:
            return self.instead
        if asked.method != "GET" or not found:
            return NOT_FOUND
        return _accessed(found[1], self._secrets.get(found[1]))


def _accessed(name: str, secret: _Secret | None) -> Answer:
    if secret is None or not secret.versions:
        return NOT_FOUND
    if secret.denied:
        return PERMISSION_DENIED
    number = len(secret.versions)
    if number in secret.disabled:
        return DISABLED
    data = base64.b64encode(secret.versions[-1]).decode()
    return Answer(200, {"name": f"{name}/versions/{number}", "payload": {"data": data}})


def refusal(status: int, code: str) -> Answer:
    """An error in the form of google.rpc.Status ("Errors", google.aip.dev/193)."""
    return Answer(status, {"error": {"code": status, "status": code, "message": "SECRET words of Google's"}})


# Status and code belong together as in google/rpc/code.proto.
NOT_FOUND = refusal(404, "NOT_FOUND")
# "Access control with IAM": it takes secretmanager.versions.access, as roles/secretmanager.secretAccessor has.
PERMISSION_DENIED = refusal(403, "PERMISSION_DENIED")
# "Disable a secret version": its contents cannot be accessed until it is enabled again. With this status also in
# google-github-actions/get-secretmanager-secrets, issue 268.
DISABLED = refusal(400, "FAILED_PRECONDITION")
# "Quotas and limits": access requests per minute and project.
TOO_MANY = refusal(429, "RESOURCE_EXHAUSTED")
# google/rpc/code.proto: most likely a transient condition.
UNAVAILABLE = refusal(503, "UNAVAILABLE")
