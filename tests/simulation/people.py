"""What people do to their calendars, and Google to its tokens, told in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sync.simulator import acts
from sync.simulator.model import Copy
from sync.simulator.world import World
from tests.simulation import provider
from tests.simulation.google import BROKEN, SYNC

ME, YOU, TEAM = "me@example.com", "you@example.com", "team@group.calendar.google.com"
WATCHED = (ME, YOU, TEAM)
GUEST = "guest@example.com"  # has a calendar that nobody watches

Json = dict[str, Any]


class People:
    """Everybody who is not us."""

    def __init__(self, world: World, acme: provider.Acme, rng: Random, *, calm: bool) -> None:
        self._world = world
        self._acme = acme
        self._rng = rng
        self._conferences = 0
        self._last = ""
        self.lost: set[str] = set()  # conferences that somebody ended at the provider
        for user in (ME, YOU, GUEST):
            world.add_user(user, rng.choice(("UTC", "Europe/Berlin")))
        world.add_calendar(TEAM, owner=ME, summary="Team")
        for calendar in WATCHED:
            world.change_role(calendar, SYNC, "writer")
        world.change_role(YOU, ME, "writer")
        self._acts: list[tuple[float, Callable[[], Json | str]]] = [
            (6, self._create),
            (4, self._retitle),
            (4, self._move),
            (3, self._delete),
            (4, self._restore),
            (1, self._strip),
            (1, self._swap),
            (2.5, self._copy),
            (1, self._split),
            (1, self._cut),
            (1.5, self._change_calendar),
            (1, self._refuse),
            (1, self._answer),
            (1, self._invite),
            (2, self._edit_occurrence),
            (1, self._touch),
            (0.5, self._swap_occurrence),
            (0.4, self._clean_up),
            (1, self._renew_passcode),
        ]
        if not calm:
            self._acts += [
                (1.5, self._expire_tokens),
                (1, self._change_role),
                (0.3, self._lose_conference),
                (0.4, self._hide),
            ]

    def act(self) -> str:
        """Somebody does something; says what, or nothing if it was not possible."""
        weights, deeds = zip(*self._acts, strict=True)
        what = self._rng.choices(deeds, weights)[0]()
        return what if isinstance(what, str) else self.do(what)

    def plan(self) -> str:
        """The plainest of all meetings."""
        start = datetime.fromtimestamp(self._world.now() / 1e6, UTC) + timedelta(days=1)
        times = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
        conference = conferencing(f"{provider.HOST}/j/{self._new_conference()}")
        return self.do(
            {"do": "create_meeting", "calendar": ME, "title": "Plan", "conference": conference, **times}
        )

    def do(self, what: Json) -> str:
        """One act, and how it is told."""
        done = acts.perform(self._world, what)
        told = {key: value for key, value in what.items() if key != "conference"}
        if done.get("id") != what.get("event"):
            told["makes"] = done.get("id")
        return ", ".join(f"{key} {value}" for key, value in told.items() if value)

    def hide(self, calendar: str, event: str) -> str:
        return self.do({"calendar": calendar, "event": event, **_showing("private")})

    def calm_down(self) -> None:
        """Nobody is in anybody's way any more."""
        for calendar in WATCHED:
            self._world.change_role(calendar, SYNC, "writer")

    # --- new meetings ---

    def _create(self) -> Json | str:
        draw = self._rng.random()
        kind = provider.HOST + "/j/" + self._new_conference()
        if draw < 0.06:
            kind = "us02web.zoom.us/j/12345678901"
        elif draw < 0.1:
            kind = provider.HOST + "/my/anna"
        body: Json = {
            "do": "create_meeting",
            "calendar": self._calendar(),
            "title": self._title(),
            **self._times(),
        }
        if self._rng.random() < 0.9:
            body["conference"] = conferencing(kind)
        if self._rng.random() < 0.3:
            body["attendees"] = self._rng.sample([*WATCHED, GUEST], 2)
        if self._rng.random() < 0.3:
            body |= {"recurrence": [self._rule()], "time_zone": "Europe/Berlin"}
        if self._rng.random() < 0.25:
            body["visibility"] = "private"
        return body

    def _copy(self) -> Json | str:
        return self._to_one(lambda _: {"do": "copy_event", "to": self._calendar(), **self._times()})

    def _new_conference(self) -> str:
        self._conferences += 1
        name = f"c-{self._conferences}"
        self._acme.has[name] = None
        return name

    # --- changes ---

    def _retitle(self) -> Json | str:
        return self._to_one(lambda _: {"do": "retitle", "title": self._title()})

    def _move(self) -> Json | str:
        return self._to_one(lambda _: {"do": "move", **self._times()})

    def _delete(self) -> Json | str:
        return self._to_one(lambda _: {"do": "delete"})

    def _restore(self) -> Json | str:
        return self._to_one(lambda _: {"do": "restore"}, cancelled=True)

    def _strip(self) -> Json | str:
        return self._to_one(lambda _: {"do": "strip_conference"})

    def _swap(self) -> Json | str:
        return self._to_one(lambda _: {"do": "replace_conference", "conference": self._another()})

    def _another(self) -> Json:
        if self._rng.random() < 0.2:
            return conferencing("us02web.zoom.us/j/12345678901")
        if self._rng.random() < 0.2 and self._conferences:  # one that is used elsewhere, or was
            return conferencing(f"{provider.HOST}/j/c-{self._rng.randint(1, self._conferences)}")
        return conferencing(f"{provider.HOST}/j/{self._new_conference()}")

    def _change_calendar(self) -> Json | str:
        return self._to_one(lambda copy: {"do": "move_to_calendar", "to": self._calendar(but=copy.calendar)})

    def _touch(self) -> Json | str:
        return self._to_one(lambda _: {"do": "touch"})

    def _hide(self) -> Json | str:
        return self._to_one(lambda _: _showing(self._rng.choice(("private", "default"))))

    def _invite(self) -> Json | str:
        return self._to_one(
            lambda _: {
                "do": "invite",
                "attendees": [self._rng.choice([*WATCHED, GUEST, "x@elsewhere.example"])],
            }
        )

    def _clean_up(self) -> str:
        """Many meetings of one calendar go at once."""
        name = self._calendar()
        calendar = self._world.calendars[name]
        there = [copy for copy in calendar.events.values() if copy.organized_here and not copy.series]
        for copy in there:
            if not copy.cancelled:
                self._world.delete(calendar.owner, name, copy.id)
        return f"everything in {name} is deleted"

    # --- guests ---

    def _answer(self) -> Json | str:
        return self._to_one(lambda _: {"do": "rsvp", "response": "accepted"}, guest=True)

    def _refuse(self) -> Json | str:
        return self._to_one(lambda _: {"do": "delete"}, guest=True)

    # --- series ---

    def _split(self) -> Json | str:
        return self._to_one(
            lambda copy: {
                "do": "split_series",
                "at": self._occurrence(copy),
                **({"title": self._title()} if self._rng.random() < 0.6 else self._times()),
            },
            series=True,
        )

    def _cut(self) -> Json | str:
        return self._to_one(
            lambda copy: {"do": "delete_following", "at": self._occurrence(copy)}, series=True
        )

    def _edit_occurrence(self) -> Json | str:
        change: Json = {"do": "cancel_occurrence"}
        if self._rng.random() < 0.6:
            change = {"do": "move_occurrence", **self._times()}
        return self._to_one(lambda copy: {**change, "at": self._occurrence(copy)}, series=True)

    def _swap_occurrence(self) -> Json | str:
        found = self._pick(lambda copy: bool(copy.series))
        if found is None:
            return ""
        what = self._rng.choice(("replace", "strip"))
        act: Json = {"do": f"{what}_conference", "calendar": found.calendar, "event": found.id}
        return {**act, "conference": self._another()} if what == "replace" else act

    def _occurrence(self, copy: Copy) -> str:
        start = copy.shared["start"]
        name = "date" if "date" in start else "dateTime"
        moment = datetime.fromisoformat(start[name]) + timedelta(days=self._rng.randint(1, 4))
        return moment.date().isoformat() if name == "date" else moment.isoformat()

    # --- what nobody asked for ---

    def _expire_tokens(self) -> str:
        calendar = self._world.calendars[self._calendar()]
        if self._rng.random() < 0.5:
            calendar.epoch += 1
            return f"the sync tokens of {calendar.id} die"
        calendar.spoiled, calendar.epoch = calendar.epoch, calendar.epoch + 1
        return f"the sync tokens of {calendar.id} are malformed now"

    def _change_role(self) -> Json:
        roles = ("none", "freeBusyReader", "reader", "reader", "reader", "writer", "writer")
        return {
            "do": "change_role",
            "calendar": self._calendar(),
            "user": SYNC,
            "role": self._rng.choice(roles),
        }

    def _renew_passcode(self) -> str:
        if not self._acme.has:
            return ""
        name = self._rng.choice(list(self._acme.has))
        self._acme.passcodes[name] += 1
        return f"somebody renews the passcode of {name} at the provider"

    def _lose_conference(self) -> str:
        if not self._acme.has:
            return ""
        name = self._rng.choice(list(self._acme.has))
        del self._acme.has[name]
        self.lost.add(name)
        return f"somebody ends conference {name} at the provider"

    # --- choices ---

    def _to_one(
        self,
        act: Callable[[Copy], Json],
        *,
        cancelled: bool = False,
        guest: bool = False,
        series: bool = False,
    ) -> Json | str:
        def fits(copy: Copy) -> bool:
            return (
                copy.cancelled == cancelled
                and not copy.series
                and not copy.orphan  # an occurrence that no series reaches: nobody finds it in a bin
                and copy.organized_here != guest
                and (bool(copy.recurrence) or not series)
            )

        found = self._pick(fits)
        return "" if found is None else {"calendar": found.calendar, "event": found.id, **act(found)}

    def _pick(self, fits: Callable[[Copy], bool]) -> Copy | None:
        copies = [
            copy for name in WATCHED for copy in self._world.calendars[name].events.values() if fits(copy)
        ]
        if not copies:
            return None
        again = [
            copy for copy in copies if copy.id == self._last
        ]  # who has changed one thing changes another
        found = self._rng.choice(again if again and self._rng.random() < 0.6 else copies)
        self._last = found.id
        return found

    def _calendar(self, but: str = "") -> str:
        return self._rng.choice([name for name in WATCHED if name != but])

    def _title(self) -> str:
        rare = {1: provider.POISON, 2: provider.WEIRD, 3: BROKEN}
        return rare.get(self._rng.randint(1, 40), f"Title {self._rng.randint(1, 999)}")

    def _times(self) -> Json:
        """Mostly ahead, sometimes now, seldom long ago, once in a while a whole day."""
        now = datetime.fromtimestamp(self._world.now() / 1e6, UTC).replace(second=0, microsecond=0)
        start = now + timedelta(minutes=self._rng.choice((-4500, -90, -20, 30, 120, 600, 1500, 4000, 9000)))
        if self._rng.random() < 0.05:
            return {"start": start.date().isoformat(), "end": (start.date() + timedelta(days=1)).isoformat()}
        end = start + timedelta(minutes=self._rng.choice((30, 60)))
        return {"start": start.isoformat(), "end": end.isoformat()}

    def _rule(self) -> str:
        return self._rng.choice(
            ("RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "RRULE:FREQ=DAILY;COUNT=9")
        )


def _showing(visibility: str) -> Json:
    return {"do": "edit", "fields": {"visibility": visibility}}


def conferencing(place: str) -> Json:
    """conferenceData as an add-on writes it."""
    uri = f"https://{place}"
    return {
        "conferenceId": place.rpartition("/")[2],
        "conferenceSolution": {"key": {"type": "addOn"}, "name": "Some Call"},
        "entryPoints": [{"entryPointType": "video", "uri": uri, "label": place}],
    }
