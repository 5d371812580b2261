"""What a full listing costs: its speed beside gunzip and json.loads of the same bytes, and how its memory grows.

Pages come from a small server in a process of its own, as Google would send them: gzipped, 2500 events each, with
the fields that are asked for. Each figure is measured in a fresh process.
"""

import argparse
import gzip
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from statistics import median
from typing import Any

PAGE = 2500
WHOLE = 10_000, 100_000
RUNS = 5
ROOT = Path(__file__).parent.parent
MYSELF = (sys.executable, "-m", "bench.listing")

# --- The server ---


def event(number: int, conference: bool) -> dict[str, Any]:
    day, hour = 1 + number % 28, 8 + number % 9
    plain = {
        "id": f"{number:026d}",
        "status": "confirmed",
        "etag": f'"34012345{number:08d}"',
        "summary": f"Weekly planning of team {number}",
        "organizer": {"email": "anna@example.com", "self": True},
        "start": {"dateTime": f"2031-03-{day:02d}T{hour:02d}:00:00+01:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": f"2031-03-{day:02d}T{hour + 1:02d}:00:00+01:00", "timeZone": "Europe/Berlin"},
    }
    return {**plain, "conferenceData": carried(number)} if conference else plain


def carried(number: int) -> dict[str, Any]:
    return {
        "conferenceId": f"c-{number}",
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Acme Call"},
        "entryPoints": [
            {"entryPointType": "video", "uri": f"https://calls.acme.example/j/c-{number}"},
            {"entryPointType": "phone", "uri": "tel:+49-30-1234567"},
        ],
    }


def page(events: int, every: int, number: int) -> bytes:
    """Page `number` of a calendar of so many events, one in `every` of which carries a conference."""
    first, last = number * PAGE, min(events, (number + 1) * PAGE)
    end = {"nextPageToken": str(number + 1)} if last < events else {"nextSyncToken": "since"}
    items = [event(each, each % every == 0) for each in range(first, last)]
    answer = {"accessRole": "owner", "timeZone": "Europe/Berlin", **end, "items": items}
    return gzip.compress(json.dumps(answer, indent=1).encode(), 6)


class Pages(BaseHTTPRequestHandler):
    """GET /EVENTS/EVERY/… answers with a page of such a calendar."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        events, every = map(int, address.path.split("/")[1:3])
        token = urllib.parse.parse_qs(address.query).get("pageToken", ["0"])[0]
        body = page(events, every, int(token))
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def serve() -> None:
    server = HTTPServer(("127.0.0.1", 0), Pages)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def serving() -> Iterator[str]:
    server = subprocess.Popen([*MYSELF, "serve"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait()


# --- What is measured, each in a process of its own ---


def listing(url: str, store: str) -> None:
    """One full listing into this store, which may know it already."""
    from sync import wiring
    from sync.cursor import Bookmark
    from sync.decide import Brake
    from sync.google.calendar import GoogleCalendar
    from sync.ledger import Rules
    from sync.local.clock import SystemClock
    from sync.local.sqlite import SqliteStore
    from sync.policy import Backoff, Policy
    from sync.ports import CalendarId, CalendarRecord, Claimed, Closing, Outside
    from sync.pull import pull
    from sync.recognise import KNOWN, System
    from sync.tenure import Tenure
    from sync.wake import Buckets

    class Patient(Tenure):
        """Measures a listing to its end, however long that takes on this machine."""

        def has_listed_long(self) -> bool:
            return False

    acme = System("acme", hosts=("calls.acme.example",), path=r"^/j/([a-z0-9-]+)$")
    policy = Policy(
        rules=Rules((acme, *KNOWN), frozenset({"acme"})),
        buckets=Buckets(),
        backoff=Backoff(5.0, 3600.0),
        brake=Brake(),
        window_s=86400.0,
        grace_s=3600.0,
        sweep_s=21600.0,
        horizon_s=120.0,
        quarantine_s=86400.0,
        channel_life_s=604800.0,
    )
    clock = SystemClock()
    kept = SqliteStore(store, lease_s=90.0, margin_s=20.0, grace_s=3600.0, clock=clock)
    kept.tend("key", lambda record, now: record or CalendarRecord("key", CalendarId("anna"), due_at=now))
    claim = kept.claim("key", f"worker {time.time_ns()}")
    assert isinstance(claim, Claimed)
    outside: Any = Outside(GoogleCalendar(root_url=url), kept, None, None, clock)  # type: ignore[arg-type]
    dead = replace(claim.record, bookmark=Bookmark("dead", "earned otherwise"))
    tenure = Patient(outside, policy, replace(claim, record=dead))
    kept.reset_counts()
    wiring.spare_the_loaded()  # as a worker does
    began = time.process_time()
    with redirect_stdout(io.StringIO()):
        pulled = pull(tenure)
    kept.close(tenure.hold, claim.record.generation, Closing(0.0, None))
    report(seconds=time.process_time() - began, pages=pulled.pages, writes=kept.writes, reads=kept.reads)


def loading(url: str, _store: str) -> None:
    """What nobody can do without: the same bytes, fetched, unpacked and loaded, a page at a time."""
    token, pages, seconds = "0", 0, 0.0
    while token:
        body = urllib.request.urlopen(f"{url}/?pageToken={token}").read()
        began = time.process_time()
        answer = json.loads(gzip.decompress(body))
        seconds += time.process_time() - began
        token, pages = answer.get("nextPageToken", ""), pages + 1
    report(seconds=seconds, pages=pages, writes=0, reads=0)


def report(**figures: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform != "darwin" else 1024)
    print(json.dumps({**figures, "peak_mb": peak / 1024}))


MEASURED: dict[str, Callable[[str, str], None]] = {"listing": listing, "loading": loading}


# --- The figures ---


def measure(what: str, url: str, events: int, every: int, store: str = ":memory:") -> dict[str, float]:
    command = [*MYSELF, what, f"{url}/{events}/{every}", store]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    figures: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return figures


def speed(url: str, events: int) -> float:
    """Of a listing of events that do not concern us, beside loading alone: in turn, as machines drift."""
    ratios = []
    for _ in range(RUNS):
        alone, whole = (measure(what, url, events, events) for what in ("loading", "listing"))
        ratios.append(alone["seconds"] / whole["seconds"])
    return median(ratios)


def growth(url: str, every: int, folder: Path) -> tuple[float, float]:
    """Of peak memory from few to many events: of the first full listing, and of a later one."""
    first, later = [], []
    for events in WHOLE:
        store = str(folder / f"{events}-{every}.db")
        first.append(measure("listing", url, events, every, store)["peak_mb"])
        later.append(measure("listing", url, events, every, store)["peak_mb"])
    return first[1] / first[0], later[1] / later[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.listing", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a line")
    chosen = parser.parse_args()
    with serving() as url, tempfile.TemporaryDirectory() as folder:
        few, few_later = growth(url, 100, Path(folder))
        all_, all_later = growth(url, 1, Path(folder))
        figures = {
            "speed": speed(url, 50_000),
            "memory_few": few,
            "memory_few_later": few_later,
            "memory_all": all_,
            "memory_all_later": all_later,
        }
    rounded = {name: round(figure, 2) for name, figure in figures.items()}
    print(json.dumps(rounded) if chosen.json else " ".join(f"{n} {f:.2f}" for n, f in rounded.items()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif len(sys.argv) == 4:
        MEASURED[sys.argv[1]](sys.argv[2], sys.argv[3])
    else:
        main()
