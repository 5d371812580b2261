"""A provider that has a key, and a check of its own."""

from typing import Any

from sync.conferences.demo import Demo
from sync.errors import AuthFailed


class Checked(Demo):
    def __init__(self, options: Any, context: Any) -> None:
        super().__init__({"url": options["url"]}, context)
        self.key = options["key"]

    def check(self) -> str:
        if self.key.read() != "right":
            raise AuthFailed("GET: 401 from 127.0.0.1")
        return "asked for the scopes: all are granted"
