"""Listing -> ledger -> token: one calendar from its cursor to now.

The token is stored with, or after, everything it passes: a crash at any point lists the same again. A full
listing proves presence, never absence: what it does not mention is asked for by name.

No page token is stored either: a pull that has had its time is begun again by a later pass. What is recorded is
not written again: a full listing knows it by its links and does not even read it, and whatever else changes
nothing is gone through in longer strides. So each pull comes further than the one before; only listing and reading
must fit into one.
"""

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from sync import cursor, ledger, logs, push
from sync.codes import Code
from sync.cursor import Cursor, LastPage, PageEnd, Window
from sync.errors import SyncTokenGone, Transient
from sync.event import Event, Items, Unreadable
from sync.ledger import Ledger, Link
from sync.ports import Page, Progress
from sync.recognise import Stranger
from sync.records import soonest
from sync.tenure import Item, Tenure

_BATCH = 60  # events a transaction: with their links and conferences, at most 200 documents
_LONGEST = 480  # events a transaction that changes nothing
_CHANGES = 200  # documents after which no further event is taken into a transaction
_ASKED = 50  # events asked for by name in one pass; the rest wait for the next
_ASK_AGAIN_S = 900.0  # until who did not answer is asked again
_KEPT = 500  # events of this pass whose content is kept for apply; others are asked for again
_PAGES = 1000
_SHELVES = 4096
_UNEXPECTED, _NO_VERSION = 0, 1  # in place of a mark: its absence says nothing, nothing can be read of it
_QUIET = (Code.UNCHANGED, Code.NO_CONFERENCE, Code.OUT_OF_WINDOW)  # counted, not logged one by one


@dataclass(slots=True)
class Pulled:
    """What a pull has come to. `progress` is what the closing write still has to store."""

    listed_at: float  # the store's time before the first page was asked for
    full: bool
    complete: bool = True  # to the last page; if not, the next pull begins again
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
        try:
            _Pull(tenure, listing, pulled).run(start)
        except SyncTokenGone:
            logs.write(logs.Record.SYNC_TOKEN_GONE, "NOTICE", calendar=tenure.record.key)
            _Pull(tenure, listing, pulled).run(cursor.full(now, window_s))
    except _OutOfTime:
        # To those who ask when the calendar was last listed, this was no listing.
        pulled.complete, pulled.listed_at = False, tenure.record.listed_at
    return pulled


class _OutOfTime(Exception):
    """There is more to list or to record, but not in this pass."""


class _TooMuch(Exception):
    """What was thought to be the last transaction cannot be."""


class _Pull:
    """One listing on its way into the ledger."""

    def __init__(self, tenure: Tenure, listing: str, pulled: Pulled) -> None:
        self._tenure = tenure
        self._record = tenure.record
        self._listing = listing
        self._since = pulled.listed_at - tenure.policy.window_s
        self._pulled = pulled
        self._stride = _BATCH  # how many of them to take at once
        self._waiting: dict[str, Item] = {}  # seen, not yet recorded
        self._early: dict[str, Event] = {}  # occurrences that were listed before their series
        self._changed_at = 0.0  # of the newest item, if only changes were listed
        self._stranger: Stranger | None = None  # the last one on this listing, and how many there were
        self._seen = _Marks()  # of every event that concerns us, which version was listed
        self._known = _Marks()  # of every live link that a full listing has not come to, which is recorded

    def run(self, start: Cursor) -> None:
        self._pulled.full = isinstance(start, Window)
        if self._pulled.full:
            self._learn()
        role, end = self._list(start)
        self._take_early()
        self._ask_for(self._unmentioned())
        self._ask_for(self._doubted())
        bookmark = cursor.finish(self._record.bookmark, end, self._listing)
        if not end.sync_token:
            logs.write(logs.Record.NO_SYNC_TOKEN, "WARNING", calendar=self._record.key)
        self._finish(
            Progress(
                bookmark,
                self._pulled.listed_at,
                role,
                changed_at=self._changed_at,
                missed=push.was_missed(self._record, self._changed_at, self._pulled.listed_at),
                stranger=self._stranger,
                starts_over=self._pulled.full,
            )
        )

    def _learn(self) -> None:
        """Which events are linked. Before the window, absence is not even a hint; a doubt is noted already."""
        for link in self._live_links():
            in_window = link.end is None or link.end > self._since
            expected = in_window and link.conference is not None and link.doubted_at is None
            self._known.put(link.event_id, hash(link) if expected else _UNEXPECTED)

    def _live_links(self) -> Iterator[Link]:
        for link in self._tenure.outside.store.live_links(self._record.key):
            self._tenure.stay(self._tenure.outside.calendar.call_s)  # a page of links takes no longer
            yield link

    def _list(self, start: Cursor) -> tuple[str, LastPage]:
        """To the last page. Each is recorded before the next is asked for, so that memory stays flat."""
        page_token, roles = "", set()
        for _ in range(_PAGES):
            role, end = self._page(start, page_token)
            roles.add(role)
            if isinstance(end, LastPage):
                # Shown to several roles, some of it may have been hidden: no role is known by it, and so the next
                # listing finds another one, and is full again.
                return role if len(roles) == 1 else "", end
            self._go_on()
            page_token = end.value
        raise Transient(f"a listing of calendar {self._record.key} has more than {_PAGES} pages")

    def _page(self, start: Cursor, page_token: str) -> tuple[str, PageEnd]:
        """One page: nothing of it but what still waits outlives this."""
        self._tenure.stay(self._tenure.outside.calendar.call_s)
        page = self._tenure.outside.calendar.list_page(self._record.calendar, start, page_token)
        if not self._pulled.full and page.access_role != self._record.access_role:
            raise SyncTokenGone("it was earned with another view of the calendar: what that hid was passed")
        self._take(page)
        return page.access_role, page.end

    def _go_on(self) -> None:
        """Asked where there is more to do, and something was done."""
        if self._tenure.has_listed_long():
            raise _OutOfTime

    def _take(self, page: Page) -> None:
        self._pulled.pages += 1
        self._pulled.items += len(page.items)
        if not self._pulled.full:
            changes = (item.updated_at for item in page.items if isinstance(item, Event))
            self._changed_at = max((self._changed_at, *changes))
        for item in self._read(page.items):
            if isinstance(item, Unreadable):
                self._known.take(item.id)
                self._seen.put(item.id, _NO_VERSION)
                self._note(item, Code.MALFORMED)
            elif not self._pulled.full or self._concerns_us(item):
                self._see(item)
        self._write_most()

    def _take_early(self) -> None:
        """Occurrences come after their series, wherever they were listed: what they say is noted with it."""
        for event_id, event in self._early.items():
            series = event.occurrence.series_id if event.occurrence else ""
            if not self._pulled.full or event.times is not None or self._is_linked(series):
                self._waiting[event_id] = event
        self._early.clear()
        self._write_most()

    def _write_most(self) -> None:
        while len(self._waiting) > _BATCH:
            self._write()
            self._go_on()

    def _read(self, items: Collection[Item]) -> Iterable[Item]:
        """Most events of a full listing concern nobody: they are not even read."""
        if self._pulled.full and isinstance(items, Items):
            return items.carrying_or(self._is_linked)
        return items

    def _concerns_us(self, event: Event) -> bool:
        """Whether a full listing is to note it. Of a cancelled occurrence only its series can tell."""
        gap = event.times is None and event.occurrence is not None
        told = gap and bool(self._tenure.policy.rules.occurrences)
        return event.carried is not None or self._is_linked(event.id) or told

    def _is_linked(self, event_id: str) -> bool:
        return event_id in self._known or event_id in self._seen

    def _see(self, event: Event) -> None:
        """Have it recorded, unless it is. In two versions an event says nothing sure: ask which one stands."""
        link = ledger.link_of(self._record.key, event, self._tenure.policy.rules)
        if link is None:
            self._look_for_stranger(event)
        version = hash(link or event)
        recorded, seen = self._known.take(event.id), self._seen.get(event.id)
        if seen is None:
            self._seen.put(event.id, version)
            if recorded == version:
                self._pulled.codes[Code.UNCHANGED] += 1
            elif event.occurrence is not None and event.occurrence.series_id not in self._seen:
                self._early[event.id] = event
            else:
                self._waiting[event.id] = event
        elif seen != version:
            self._early.pop(event.id, None)
            self._waiting[event.id] = self._which_stands(event.id)

    def _look_for_stranger(self, event: Event) -> None:
        stranger = self._tenure.policy.rules.stranger(event, self._pulled.listed_at)
        if stranger is not None:
            number = self._stranger.number + 1 if self._stranger else 1
            self._stranger = replace(stranger, number=number)

    def _which_stands(self, event_id: str) -> Item:
        stands = self._tenure.ask(self._record, event_id)
        if stands is None:
            raise Transient(f"calendar {self._record.key} lists an event twice and does not say which stands")
        return stands

    def _unmentioned(self) -> list[Link]:
        """Absence is a hint, never evidence."""
        if not self._known.any_but(_UNEXPECTED):
            return []
        links = self._live_links()
        return [link for link in links if self._known.get(link.event_id) not in (None, _UNEXPECTED)]

    def _doubted(self) -> Sequence[Link]:
        work_at = self._record.work_at
        if work_at is None:
            return ()
        if work_at > self._pulled.listed_at:
            self._ask_again(work_at)  # it may be for the sake of a doubt
            return ()
        return self._tenure.outside.store.doubted_links(self._record.key, _ASKED + 1)  # are there more?

    def _ask_for(self, links: Sequence[Link]) -> None:
        """Ask for events by name, so many a pass; what is not answered stays doubted until a later one."""
        answers: dict[str, Item | None] = {}
        for link in links[:_ASKED]:
            if self._tenure.has_listed_long():
                break
            answers[link.event_id] = self._tenure.ask(self._record, link.event_id)
        self._waiting.update({event_id: item for event_id, item in answers.items() if item is not None})
        unasked = [link.event_id for link in links[len(answers) :]]
        unanswered = [event_id for event_id, item in answers.items() if item is None]
        again_at = self._pulled.listed_at + (0.0 if unasked else _ASK_AGAIN_S)
        doubted = [*unasked, *unanswered]
        for at in range(0, len(doubted), _BATCH):
            if at:
                self._go_on()
            self._doubt(doubted[at : at + _BATCH], again_at)

    def _doubt(self, event_ids: Sequence[str], again_at: float) -> None:
        """Ask later. Who was asked in vain goes to the end of the queue."""

        def body(book: Ledger, now: float) -> None:
            book.prefetch(event_ids)
            for event_id in event_ids:
                link = book.link(event_id)
                if link is not None and link.live:
                    book.put_link(replace(link, doubted_at=now))

        self._tenure.change(body, Progress(work_at=again_at))
        self._pulled.recorded = True
        self._ask_again(again_at)

    def _ask_again(self, at: float) -> None:
        self._pulled.doubts_at = soonest(self._pulled.doubts_at, at)

    def _finish(self, progress: Progress) -> None:
        """The last batch takes the token along; without one, the closing write does."""
        while len(self._waiting) > _BATCH:
            self._write()
        try:
            if self._waiting:
                return self._write(progress)
        except _TooMuch:
            while self._waiting:
                self._write()
        self._pulled.progress = progress
        return None

    def _write(self, progress: Progress | None = None) -> None:
        """Record the next of those that wait in one transaction; `progress` only with the last of them."""
        rules = self._tenure.policy.rules
        items = list(islice(self._waiting.values(), self._stride))

        def body(book: Ledger, now: float) -> tuple[list[tuple[Item, Code | None]], bool]:
            decided: list[tuple[Item, Code | None]] = []
            book.prefetch(_ids(items))
            for item in ledger.in_order(items):
                if (len(decided) >= _BATCH and book.changes >= _BATCH) or book.changes >= _CHANGES:
                    break
                code = ledger.record(book, item, rules, now, self._since)
                if item.id not in book.unfinished:
                    decided.append((item, code))
            if progress is not None and len(decided) < len(items):
                raise _TooMuch  # the token must not pass what is not recorded
            return decided, book.changes > 0

        decided, changed = self._tenure.change(body, progress)
        self._stride = _BATCH if changed else min(2 * self._stride, _LONGEST)
        self._pulled.recorded = True
        for item, code in decided:
            del self._waiting[item.id]
            self._note(item, code)

    def _note(self, item: Item, code: Code | None) -> None:
        if isinstance(item, Event) and item.carried is not None and len(self._pulled.events) < _KEPT:
            self._pulled.events[ledger.ref_of(self._record.key, item.id)] = item
        if code is None:
            return
        self._pulled.codes[code] += 1
        if code not in _QUIET:
            why = self._why(item, code)
            logs.write(logs.Record.DECISION, calendar=self._record.key, event=item.id, code=code, why=why)

    def _why(self, item: Item, code: Code) -> str:
        if isinstance(item, Unreadable):
            return item.problem
        return self._tenure.policy.rules.why_not(item) if code is Code.NOT_OURS else ""


def _ids(items: Iterable[Item]) -> list[str]:
    """The events of a batch, and the series of its occurrences."""
    events = [item for item in items if isinstance(item, Event)]
    return [event.id for event in events] + [e.occurrence.series_id for e in events if e.occurrence]


class _Marks:
    """One number for each of very many events. A dictionary would take ten times the memory."""

    def __init__(self) -> None:
        # On each shelf, hashes of event ids and the mark of each.
        self._shelves: dict[int, tuple[array[int], array[int]]] = {}

    def __contains__(self, event_id: str) -> bool:
        event = hash(event_id)
        shelf = self._shelves.get(event % _SHELVES)
        return shelf is not None and event in shelf[0]

    def get(self, event_id: str) -> int | None:
        event = hash(event_id)
        events, marks = self._shelves.get(event % _SHELVES, _NOTHING)
        return marks[events.index(event)] if event in events else None

    def put(self, event_id: str, mark: int) -> None:
        self.take(event_id)
        event = hash(event_id)
        events, marks = self._shelves.setdefault(event % _SHELVES, (array("q"), array("q")))
        events.append(event)
        marks.append(mark)

    def take(self, event_id: str) -> int | None:
        event = hash(event_id)
        events, marks = self._shelves.get(event % _SHELVES, _NOTHING)
        if event not in events:
            return None
        at = events.index(event)
        del events[at]
        return marks.pop(at)

    def any_but(self, mark: int) -> bool:
        return any(each != mark for _, marks in self._shelves.values() for each in marks)


_NOTHING = array("q"), array("q")
