"""Delivery of notifications by real POSTs: tried again on 500, 502, 503 and 504 only, with growing pauses.

200, 201, 202, 204 and 102 are success; whatever else comes back, the notification is lost, as with the real one.
"""

from __future__ import annotations

import heapq
import http.client
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Thread
from urllib.parse import urlsplit

from . import shapes
from .clock import SECOND, Clock
from .model import Message, Switches

SUCCESS = (200, 201, 202, 204, 102)
RETRIED = (500, 502, 503, 504)
CARRIERS = 4
TIMEOUT_S = 10.0
LONGEST_NAP_S = 3600.0


@dataclass(order=True)
class Parcel:
    due: int
    order: int
    message: Message = field(compare=False)
    tries: int = field(default=0, compare=False)


class Courier:
    """A few threads that carry what is due. `send` never waits; `stop` ends them."""

    def __init__(
        self, clock: Clock, switches: Callable[[], Switches], told: Callable[[Message, int], None]
    ) -> None:
        self._clock = clock
        self._switches = switches
        self._told = told
        self._parcels: list[Parcel] = []
        self._changed = Condition()
        self._order = 0
        self._carrying = 0
        self._stopping = False
        self.counts = {"delivered": 0, "failed": 0, "retried": 0}
        self._carriers = [Thread(target=self._run, name="push", daemon=True) for _ in range(CARRIERS)]

    def start(self) -> None:
        for carrier in self._carriers:
            carrier.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._parcels.clear()
            self._changed.notify_all()
        for carrier in self._carriers:
            if carrier.is_alive():
                carrier.join(timeout=1.0)

    def send(self, messages: list[Message]) -> None:
        now = self._clock.true_now()
        with self._changed:
            for message in messages:
                self._order += 1
                heapq.heappush(self._parcels, Parcel(now + message.delay_us, self._order, message))
            self._changed.notify_all()

    def forget(self) -> None:
        """What has not been delivered yet never will be: it is of a world that is gone."""
        with self._changed:
            self._parcels.clear()
            self._changed.notify_all()

    def nudge(self) -> None:
        """The clock was moved: look again at what is due."""
        with self._changed:
            self._changed.notify_all()

    def idle(self, timeout_s: float) -> bool:
        """Waits until nothing is due and nothing is on its way."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._carrying and not self._is_due(), timeout_s)

    def waiting(self) -> int:
        with self._changed:
            return len(self._parcels) + self._carrying

    def _is_due(self) -> bool:
        return bool(self._parcels) and self._parcels[0].due <= self._clock.true_now()

    def _run(self) -> None:
        while (parcel := self._next()) is not None:
            status = _post(parcel.message)
            self._told(parcel.message, status)
            with self._changed:
                self._carrying -= 1
                self._settle(parcel, status)
                self._changed.notify_all()

    def _next(self) -> Parcel | None:
        with self._changed:
            while not self._stopping:
                if self._is_due():
                    self._carrying += 1
                    return heapq.heappop(self._parcels)
                self._changed.wait(self._pause_s())
            return None

    def _pause_s(self) -> float | None:
        """A real clock comes nearer by itself; a frozen one only when told, and then we are nudged."""
        if not self._parcels or self._clock.mode == "frozen":
            return None
        return min(max(0.001, (self._parcels[0].due - self._clock.true_now()) / SECOND), LONGEST_NAP_S)

    def _settle(self, parcel: Parcel, status: int) -> None:
        if status in SUCCESS:
            self.counts["delivered"] += 1
        elif status in RETRIED and parcel.tries < self._switches().push_tries and not self._stopping:
            self.counts["retried"] += 1
            pause_s = self._switches().push_pause_s * 2**parcel.tries
            parcel.due = self._clock.true_now() + round(pause_s * SECOND)
            parcel.tries += 1
            heapq.heappush(self._parcels, parcel)
        else:
            self.counts["failed"] += 1


def _post(message: Message) -> int:
    """The status of the answer; 0 if none came."""
    address = urlsplit(message.address)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=TIMEOUT_S)
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    try:
        connection.putrequest("POST", target, skip_accept_encoding=True)
        for name, value in shapes.notification(message).items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException):  # nobody there, or nothing a header may hold
        return 0
    finally:
        connection.close()
