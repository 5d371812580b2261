"""Records of version 1 are read for ever, later ones are refused aloud, and two versions side by side do no harm.

The samples were written by version 1, before and after it kept a history for `explain`, to the letter: never
change them. What later versions add has a value for the
records that lack it, and nothing that version 1 wrote goes missing.
"""

import base64
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sync import records, tend, work
from sync.channel import Keys
from sync.errors import NewerRecord, Timeout, Transient
from sync.google.tasks import CloudTasks
from sync.local.sqlite import SqliteStore
from sync.ports import Claimed, Closing, Store, Task
from sync.recognise import ConferenceKey
from sync.records import Document
from sync.simulator import Simulator
from tests.clock import ManualClock
from tests.passes.conftest import KEY, ME, YOU, Town, conferencing

VERSION_1: dict[str, Document] = json.loads(
    (Path(__file__).parents[1] / "samples/records_v1.json").read_text(encoding="utf-8")
)
HISTORY: dict[str, Document] = json.loads(
    (Path(__file__).parents[1] / "samples/records_v1_history.json").read_text(encoding="utf-8")
)
ROOM = VERSION_1["calendar"]["key"]
OTTER = ConferenceKey("demo", "quiet-otter-42")

Reader = Callable[[Document], Any]
Writer = Callable[[Any], Document]

KINDS: dict[str, tuple[Reader, Writer]] = {
    "calendar": (records.calendar_record, records.calendar_document),
    "link": (records.link, records.link_document),
    "conference": (records.conference, records.conference_document),
    "wired calendar": (records.wired_calendar, records.wired_calendar_document),
    "account": (records.account, records.account_document),
    "enrolled calendar": (records.enrolled_calendar, records.enrolled_document),
    "webhook": (records.webhook_url, records.webhook_document),
    "salt": (records.salt, records.salt_document),
}


def kind_of(name: str) -> tuple[Reader, Writer]:
    """ "conference that is gone" is a conference."""
    return KINDS[name if name in KINDS else name.split()[0]]


RECORDS = [name for name in VERSION_1 if name != "task"]


# --- Read and written again ---


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_version_1_is_read_and_written_again_with_all_it_said(name: str) -> None:
    read, write = kind_of(name)
    again = write(read(VERSION_1[name]))
    assert says_all_of(again, VERSION_1[name])
    assert read(again) == read(VERSION_1[name])


def says_all_of(document: Any, earlier: Any) -> bool:
    """Whether nothing that the earlier document says is missing or different; more may be said."""
    if isinstance(earlier, dict):
        return all(name in document and says_all_of(document[name], value) for name, value in earlier.items())
    if isinstance(earlier, list):
        return len(document) == len(earlier) and all(map(says_all_of, document, earlier))
    return bool(document == earlier)


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_a_later_schema_is_refused_in_a_sentence_that_says_what_to_do(name: str) -> None:
    read, _ = kind_of(name)
    later = records.SCHEMA + 1
    says = f"has schema {later}, and this version reads none above {records.SCHEMA}: deploy a later one"
    with pytest.raises(NewerRecord, match=says):
        read(VERSION_1[name] | {"schema": later})


def test_a_task_of_version_1_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[object, ...]] = []
    monkeypatch.setattr(work, "one_pass", lambda _o, _p, subject, _w, *more: served.append((subject, *more)))
    work.Work(None, None, None).task(json.dumps(VERSION_1["task"]).encode())  # type: ignore[arg-type]
    assert served == [(ROOM, 7, 0.0)]


def test_a_task_says_all_that_version_1_waits_for() -> None:
    queue = CloudTasks("q", "https://worker.example", "", token=lambda: "", clock=ManualClock())
    request: Any = queue._document(Task("name", "sync", ROOM, 0.0, 7))["httpRequest"]
    assert says_all_of(json.loads(base64.b64decode(request["body"])), VERSION_1["task"])


@pytest.mark.parametrize("name", HISTORY)
def test_a_history_is_read_and_written_again_with_all_it_said(name: str) -> None:
    read, write = kind_of(name)
    assert says_all_of(write(read(HISTORY[name])), HISTORY[name])


def test_a_record_without_a_history_has_an_empty_one() -> None:
    link, conference = records.link(VERSION_1["link"]), records.conference(VERSION_1["conference"])
    assert (link.rule, link.seen, conference.want.since) == ("", (), 0.0)
    assert [(each.decision.why, each.times) for each in conference.decisions] == [("", 1), ("", 1)]


# --- In a file that version 1 made ---

TABLES_1 = """
CREATE TABLE calendars (
    key TEXT PRIMARY KEY, active INTEGER NOT NULL, due_at REAL NOT NULL, document TEXT NOT NULL
);
CREATE INDEX calendars_due ON calendars (due_at) WHERE active;
CREATE TABLE links (
    name TEXT PRIMARY KEY, calendar_key TEXT NOT NULL, live INTEGER NOT NULL, doubted_at REAL,
    document TEXT NOT NULL
);
CREATE INDEX links_live ON links (calendar_key) WHERE live;
CREATE INDEX links_doubted ON links (calendar_key, doubted_at) WHERE doubted_at IS NOT NULL;
CREATE TABLE conferences (
    name TEXT PRIMARY KEY, home TEXT NOT NULL, due_at REAL, live INTEGER NOT NULL, waiting INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX conferences_due ON conferences (home, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX conferences_standing ON conferences (home, live, waiting);
CREATE TABLE wired_calendars (slug TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE wiring (name TEXT PRIMARY KEY, document TEXT NOT NULL);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file as version 1 left it."""
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(TABLES_1)
        for name, document in VERSION_1.items():
            row = row_of(name, document)
            if row:
                table, *values = row
                file.execute(
                    f"INSERT INTO {table} VALUES ({', '.join('?' * (len(values) + 1))})",
                    (*values, json.dumps(document)),
                )
    return path


def row_of(name: str, document: Document) -> tuple[Any, ...]:
    """The table and the columns before the document."""
    match name.split()[0]:
        case "calendar":
            return "calendars", document["key"], document["active"], document["due_at"]
        case "link":
            of = (document["calendar_key"], document["event_id"])
            return "links", ".".join(of), of[0], document["live"], document["doubted_at"]
        case "conference":
            called, live = ":".join(document["key"].values()), bool(document["refs"])
            due_at = document["not_before"] if live else None
            return "conferences", called, document["home"], due_at, live, False
        case "wired":
            return "wired_calendars", document["slug"]
        case "webhook" | "salt":
            return "wiring", name
    return ()


@pytest.fixture
def store(path: Path) -> SqliteStore:
    clock = ManualClock(now=VERSION_1["calendar"]["lease"]["renewed_at"] + 1000)
    return SqliteStore(str(path), lease_s=90.0, margin_s=20.0, grace_s=3600.0, clock=clock)


def test_all_that_version_1_stored_is_found(store: Store) -> None:
    assert {record.key for record in store.calendars()} == {
        ROOM,
        VERSION_1["calendar that was never looked at"]["key"],
    }
    assert store.wired().webhook_url == VERSION_1["webhook"]["url"]
    assert [each.slug for each in store.wired().calendars] == ["room"]
    assert store.salt().hex() == VERSION_1["salt"]["salt"]
    assert [each.key for each in store.due_conferences(ROOM, 1767600300.0, 9)] == [OTTER]
    assert len(list(store.live_links(ROOM))) == 2
    assert [link.conference for link in store.doubted_links(ROOM, 9)] == [OTTER]
    assert {each.key for each in store.due_calendars(9)} == {record.key for record in store.calendars()}


def test_a_pass_writes_the_records_of_version_1_again_and_loses_nothing(store: Store, path: Path) -> None:
    claim = store.claim(ROOM, "new")
    assert isinstance(claim, Claimed)
    assert claim.hold.fence == VERSION_1["calendar"]["lease"]["fence"] + 1

    def touch(book: Any, _: float) -> None:
        found, link = book.conference(OTTER), book.link(VERSION_1["link"]["event_id"])
        book.changed_conferences[OTTER] = found
        book.changed_links[link.event_id] = link

    _, hold = store.change(claim.hold, touch)
    assert store.close(hold, claim.record.generation, Closing(due_at=0.0, work_at=None, frozen="notFound"))
    for name in ("conference", "link"):
        assert says_all_of(stored(path, name), VERSION_1[name])
    unchanged = ("key", "calendar", "label", "active", "bookmark", "generation", "access_role", "channels")
    calendar = stored(path, "calendar")
    assert says_all_of(calendar, {field: VERSION_1["calendar"][field] for field in unchanged})


def stored(path: Path, name: str) -> Document:
    table, key, *_ = row_of(name, VERSION_1[name])
    column = "key" if table == "calendars" else "name"
    with closing(sqlite3.connect(path)) as file:
        (text,) = file.execute(f"SELECT document FROM {table} WHERE {column} = ?", (key,)).fetchone()
    return dict(json.loads(text))


# --- A record of a later version among ours ---


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(clock="frozen") as simulator:
        yield simulator


@pytest.fixture
def town(simulator: Simulator, tmp_path: Path) -> Town:
    urllib3.request("POST", f"{simulator.url}/_sim/reset", json={})
    return Town(simulator, tmp_path / "town.db")


@contextmanager
def of_a_later_version(town: Town, tmp_path: Path, table: str, key: str) -> Iterator[Callable[[], list[Any]]]:
    """This record has been written by a later version. Gives a look at all that is stored."""
    column = "key" if table == "calendars" else "name"
    with closing(sqlite3.connect(tmp_path / "town.db", isolation_level=None)) as file:
        edit = f"UPDATE {table} SET document = json_set(document, '$.schema', ?) WHERE {column} = ?"
        assert file.execute(edit, (records.SCHEMA + 1, key)).rowcount == 1
        yield lambda: file.execute(f"SELECT * FROM {table} WHERE {column} = ?", (key,)).fetchall()
        file.execute(edit, (records.SCHEMA, key))


def test_a_calendar_of_a_later_version_is_not_touched_and_goes_on_when_that_version_is_deployed(
    town: Town, tmp_path: Path
) -> None:
    event = town.meet()
    town.settle()
    town.act("retitle", event=event, title="Later")
    with of_a_later_version(town, tmp_path, "calendars", town.key) as row:
        before = row()
        with pytest.raises(NewerRecord, match="deploy a later one"):
            town.look()
        assert row() == before
        assert town.calls() == {"c-1": 1}
    town.settle()
    assert title(town) == "Later"


def two_calendars(town: Town) -> str:
    """The town's own, and another; returns the key of that."""
    town.act("change_role", calendar=YOU, user=ME, role="writer")
    other = town.enrol(YOU)
    town.look(other)
    return other


def test_a_calendar_of_a_later_version_stops_no_meeting_of_another_calendar(
    town: Town, tmp_path: Path
) -> None:
    other = two_calendars(town)
    event = town.meet()
    town.settle()
    with of_a_later_version(town, tmp_path, "calendars", other):
        town.act("retitle", event=event, title="Later")
        town.settle()
    assert title(town) == "Later"


def test_a_calendar_of_a_later_version_stops_no_other_calendars_pass_that_has_a_deletion_to_confirm(
    town: Town, tmp_path: Path
) -> None:
    other = two_calendars(town)
    event, gone = town.meet(), town.meet("c-2")
    town.settle()
    with of_a_later_version(town, tmp_path, "calendars", other):
        town.act("delete", event=gone)
        town.settle()
        town.act("retitle", event=event, title="Later")
        town.settle()
    assert title(town) == "Later"


def test_a_calendar_of_a_later_version_stops_no_other_calendars_channels(town: Town, tmp_path: Path) -> None:
    other = two_calendars(town)
    with of_a_later_version(town, tmp_path, "calendars", other):
        tend.converge(town.outside, town.policy, KEY, Keys((KEY,)))


def title(town: Town, conference: str = "c-1") -> str:
    meeting = town.acme.has[conference]
    assert meeting is not None
    return meeting.title


# --- Two versions side by side ---


@contextmanager
def version_1(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process of version 1: it writes whole documents, and knows no field that came later."""
    with monkeypatch.context() as patch:
        for kind, name in (
            ("calendar", "calendar_document"),
            ("link", "link_document"),
            ("conference", "conference_document"),
        ):
            patch.setattr(records, name, forgetful(getattr(records, name), VERSION_1[kind]))
        yield


def forgetful(write: Writer, known: Document) -> Writer:
    return lambda item: {field: value for field, value in write(item).items() if field in known}


def test_two_versions_take_turns_on_one_calendar_and_keep_the_promises(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(hours: float = 2.0) -> None:
        """The old looks first, and then the new at what it left; the next time the other way round."""
        nonlocal old_first
        for old in (old_first, not old_first):
            if old:
                with version_1(monkeypatch):
                    town.look()
            else:
                town.look()
            town.clock.advance(10)
        old_first = not old_first
        if old_first:
            town.settle(hours)
        else:
            with version_1(monkeypatch):
                town.settle(hours)

    old_first = True
    event = town.meet()
    gone = town.meet("c-2", title="Gone")
    both()
    town.act("retitle", event=event, title="One")
    both()
    town.act("move", event=event, start=town.at(48), end=town.at(49))
    both()
    town.acme.late = [Timeout("no answer")]
    town.act("retitle", event=event, title="Two")
    both()
    town.acme.faults = [Transient("503")]
    town.act("retitle", event=event, title="Three")
    both()
    town.act("delete", event=gone)
    both(hours=0.001)
    town.act("restore", event=gone)
    both()
    assert town.calls("delete") == {}
    town.act("delete", event=gone)
    town.fault(expire_tokens=ME)
    both()
    assert town.calls("delete") == {"c-2": 1}
    town.acme.has["c-3"] = None
    town.act("replace_conference", event=event, conference=conferencing("c-3"))
    both()
    town.act("retitle", event=event, title="Four")
    both()
    assert town.acme.has.keys() == {"c-3"}
    assert title(town, "c-3") == "Four"
    made = len(town.acme.calls)
    both()
    assert len(town.acme.calls) == made
