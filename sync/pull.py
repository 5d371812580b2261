"""Listing -> ledger -> token: one calendar from its cursor to now.

The token is stored with, or after, everything it passes: a crash at any point lists the same again. A full
listing proves presence, never absence: what it does not mention is asked for by name.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sync import cursor, ledger, logs
from sync.codes import Code
from sync.cursor import Cursor, LastPage, Window
from sync.errors import SyncTokenGone, Transient
from sync.event import Event, Unreadable
from sync.ledger import Ledger, Link
from sync.ports import Page, Progress
from sync.tenure import Item, Tenure

T = TypeVar("T")

_BATCH = 60  # events a transaction: with their links and conferences, at most 200 documents
_ASKED = 50  # events asked for by name in one pass; the rest wait for the next
_ASK_AGAIN_S = 900.0  # until who did not answer is asked again
_KEPT = 500  # events of this pass whose content is kept for apply; others are asked for again
_PAGES = 1000
_QUIET = (Code.UNCHANGED, Code.NO_CONFERENCE, Code.OUT_OF_WINDOW)  # counted, not logged one by one


@dataclass(slots=True)
class Pulled:
    """What a pull has come to. `progress` is what the closing write still has to store."""

    listed_at: float  # the store's time before the first page was asked for
    full: bool
    progress: Progress = field(default_factory=Progress)
    recorded: bool = False  # the ledger may have changed
    doubts_at: float | None = None  # when more events are to be asked for by name
    pages: int = 0
    items: int = 0
    events: dict[str, Event] = field(default_factory=dict)  # by ref: what apply need not ask for
    codes: Counter[Code] = field(default_factory=Counter)


def pull(tenure: Tenure) -> Pulled:
    """Bring the ledger up to date with one calendar. Raises AccessLost, LeaseLost, Transient."""
    listing = tenure.policy.listing(tenure.outside.calendar.listing)
    now, window_s = tenure.now(), tenure.policy.window_s
    start = cursor.start(tenure.record.bookmark, listing, now, window_s)
    pulled = Pulled(now, full=False)
    try:
        return _Pull(tenure, listing, pulled).run(start)
    except SyncTokenGone:
        logs.write(logs.Record.SYNC_TOKEN_GONE, "NOTICE", calendar=tenure.record.key)
    return _Pull(tenure, listing, pulled).run(cursor.full(now, window_s))


class _Pull:
    """One listing on its way into the ledger."""

    def __init__(self, tenure: Tenure, listing: str, pulled: Pulled) -> None:
        self._tenure = tenure
        self._record = tenure.record
        self._listing = listing
        self._since = pulled.listed_at - tenure.policy.window_s
        self._pulled = pulled
        self._waiting: dict[str, Item] = {}  # seen, not yet recorded
        self._versions: dict[str, int] = {}  # what was seen of each event: a second version is noticed
        self._known: dict[str, Link] = {}  # for a full listing: the live links

    def run(self, start: Cursor) -> Pulled:
        self._pulled.full = isinstance(start, Window)
        if self._pulled.full:
            links = self._tenure.outside.store.live_links(self._record.key)
            self._known = {link.event_id: link for link in links}
        role, end = self._list(start)
        self._ask_for(self._unmentioned())
        self._ask_for(self._doubted())
        bookmark = cursor.finish(self._record.bookmark, end, self._listing)
        if not end.sync_token:
            logs.write(logs.Record.NO_SYNC_TOKEN, "WARNING", calendar=self._record.key)
        self._finish(Progress(bookmark, self._pulled.listed_at, role))
        return self._pulled

    def _list(self, start: Cursor) -> tuple[str, LastPage]:
        """To the last page. Each is recorded before the next is asked for, so that memory stays flat."""
        page_token = ""
        for _ in range(_PAGES):
            self._tenure.stay(self._tenure.outside.calendar.call_s)
            page = self._tenure.outside.calendar.list_page(self._record.calendar, start, page_token)
            if not self._pulled.full and page.access_role != self._record.access_role:
                raise SyncTokenGone(
                    "it was earned with another view of the calendar: what that hid was passed"
                )
            self._take(page)
            if isinstance(page.end, LastPage):
                return page.access_role, page.end
            page_token = page.end.value
        raise Transient(f"a listing of calendar {self._record.key} has more than {_PAGES} pages")

    def _take(self, page: Page) -> None:
        self._pulled.pages += 1
        self._pulled.items += len(page.items)
        for item in page.items:
            if isinstance(item, Unreadable):
                self._versions[item.id] = 0
                self._note(item, Code.MALFORMED)
            elif not self._pulled.full or self._concerns_us(item):
                self._waiting[item.id] = self._agreed(item)
        self._write_full_batches()

    def _concerns_us(self, event: Event) -> bool:
        """Of a full listing, only what carries a conference or is linked already needs the ledger."""
        series = event.occurrence.series_id if event.occurrence else event.id
        return event.carried is not None or event.id in self._known or series in self._known

    def _agreed(self, event: Event) -> Item:
        """An event that was listed before in another version says nothing sure: ask which one stands."""
        version = hash(event)
        if self._versions.setdefault(event.id, version) == version:
            return event
        stands = self._tenure.ask(self._record, event.id)
        if stands is None:
            raise Transient(f"calendar {self._record.key} lists an event twice and does not say which stands")
        return stands

    def _unmentioned(self) -> list[Link]:
        """Absence is a hint, never evidence. Before the window it is not even a hint."""
        in_window = (link for link in self._known.values() if link.end is None or link.end > self._since)
        return [link for link in in_window if link.conference and link.event_id not in self._versions]

    def _doubted(self) -> Sequence[Link]:
        work_at = self._record.work_at
        if work_at is None or work_at > self._pulled.listed_at:
            return ()
        return self._tenure.outside.store.doubted_links(self._record.key, _ASKED)

    def _ask_for(self, links: Sequence[Link]) -> None:
        """Ask for events by name, so many a pass; what is not answered stays doubted until a later one."""
        answers = {link.event_id: self._tenure.ask(self._record, link.event_id) for link in links[:_ASKED]}
        self._waiting.update({event_id: item for event_id, item in answers.items() if item is not None})
        unasked, unanswered = links[_ASKED:], [link for link in links[:_ASKED] if not answers[link.event_id]]
        again_at = self._pulled.listed_at if unasked else self._pulled.listed_at + _ASK_AGAIN_S
        for batch in _batches([*unasked, *unanswered]):
            self._doubt([link.event_id for link in batch], again_at)

    def _doubt(self, event_ids: Sequence[str], again_at: float) -> None:
        """Ask later. Who was asked in vain goes to the end of the queue."""

        def body(book: Ledger, now: float) -> None:
            book.prefetch(event_ids)
            for event_id in event_ids:
                link = book.link(event_id)
                if link is not None and link.live:
                    book.put_link(replace(link, doubted_at=now))

        self._tenure.change(body, Progress(work_at=again_at))
        self._pulled.recorded, self._pulled.doubts_at = True, again_at

    def _write_full_batches(self) -> None:
        """All but the last batch: that one takes the token along."""
        batches = list(_batches(list(self._waiting.values())))
        for batch in batches[:-1]:
            self._write(batch, None)
        self._waiting = {item.id: item for item in batches[-1]} if batches else {}

    def _finish(self, progress: Progress) -> None:
        if not self._waiting:
            self._pulled.progress = progress  # nothing to record: the closing write takes the token along
            return
        self._write_full_batches()
        self._write(list(self._waiting.values()), progress)

    def _write(self, items: Sequence[Item], progress: Progress | None) -> None:
        """Record a batch in one transaction."""
        rules = self._tenure.policy.rules

        def body(book: Ledger, now: float) -> list[tuple[Item, Code | None]]:
            book.prefetch(_ids(items))
            return [
                (item, ledger.record(book, item, rules, now, self._since)) for item in ledger.in_order(items)
            ]

        decided = self._tenure.change(body, progress)
        self._pulled.recorded = True
        for item, code in decided:
            self._note(item, code)

    def _note(self, item: Item, code: Code | None) -> None:
        if isinstance(item, Event) and item.carried is not None and len(self._pulled.events) < _KEPT:
            self._pulled.events[ledger.ref_of(self._record.key, item.id)] = item
        if code is None:
            return
        self._pulled.codes[code] += 1
        if code not in _QUIET:
            why = item.problem if isinstance(item, Unreadable) else ""
            logs.write(logs.Record.DECISION, calendar=self._record.key, event=item.id, code=code, why=why)


def _ids(items: Iterable[Item]) -> list[str]:
    """The events of a batch, and the series of its occurrences."""
    events = [item for item in items if isinstance(item, Event)]
    return [event.id for event in events] + [e.occurrence.series_id for e in events if e.occurrence]


def _batches(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[at : at + _BATCH] for at in range(0, len(items), _BATCH))
