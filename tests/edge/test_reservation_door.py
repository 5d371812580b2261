"""Jitsi's reservation API at the private door: a room opens in its slot, and only then.

Questions and answers as in "Reservation System setup" of the Jitsi handbook and in Prosody's mod_reservations,
which takes an answer only if it has the same name, an id, an owner, a start it can read, and a duration.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

import sync.wiring
from sync.conference import Applied, Conference, Ref, State, Want, approved, rejected, released, unused
from sync.errors import Rejected, Transient
from sync.event import Carried
from sync.meeting import Moved, Reach
from sync.recognise import ConferenceKey, recognise
from sync.reservation import Reply, Reservations, Rooms
from tests.clock import ManualClock

NOW = 1_900_000_000.0
HOUR, DAY = 3600.0, 86400.0
KEY = ConferenceKey("meetings", "standup")
STRICT = Rooms("meetings", early_s=900, late_s=0, allows_unknown=False)


class OneConference:
    """A store that has at most one, and counts how often it is read."""

    def __init__(self, conference: Conference | None) -> None:
        self.reads = 0
        self._conference = conference

    def conferences(self, keys: list[ConferenceKey]) -> list[Conference]:
        self.reads += 1
        return [self._conference] if self._conference and self._conference.key in keys else []


def used_by(*reaches: Reach, moved: tuple[Moved, ...] = ()) -> Conference:
    refs = {
        f"cal.e{number}": Ref("f1", reach, {each.original: each for each in moved})
        for number, reach in enumerate(reaches)
    }
    return Conference(KEY, "cal", refs, want=Want(1, "f1", "cal.e0"), applied=Applied(1, "f1"))


def once(start: float = NOW, length: float = HOUR) -> Reach:
    return Reach(start, start + length, length, repeats=False)


def series(start: float = NOW, length: float = HOUR, end: float | None = None) -> Reach:
    return Reach(start, end, length, repeats=True)


def ask(
    conference: Conference | None, at: float, rooms: Rooms = STRICT, name: str = "standup", owner: str = "a@b"
) -> Reply:
    store = OneConference(conference)
    reply = Reservations(store, ManualClock(at), rooms).reserve(name, owner)  # type: ignore[arg-type]
    assert store.reads <= 1
    return reply


def ends(reply: Reply) -> float:
    """When Prosody ends the room: at the start it was told, and the duration."""
    assert reply.status == 200, reply
    duration = reply.body["duration"]
    assert isinstance(duration, int)
    return datetime.fromisoformat(str(reply.body["start_time"])).timestamp() + duration


# --- the slot ---


@pytest.mark.parametrize(
    ("at", "opens"),
    [(-901, False), (-900, True), (-1, True), (0, True), (HOUR - 1, True), (HOUR, False), (DAY, False)],
)
def test_a_room_opens_shortly_before_its_meeting_and_not_after_it(at: float, opens: bool) -> None:
    reply = ask(used_by(once()), NOW + at)
    assert reply.status == (200 if opens else 403)
    if opens:
        assert ends(reply) == NOW + HOUR


def test_a_refusal_is_a_sentence_for_the_guest() -> None:
    reply = ask(used_by(once()), NOW + DAY)
    assert reply.body == {"message": "The meeting of this room is at another time."}


def test_a_room_may_stay_open_after_its_meeting() -> None:
    lenient = replace(STRICT, late_s=600)
    assert ends(ask(used_by(once()), NOW + HOUR, lenient)) == NOW + HOUR + 600
    assert ask(used_by(once()), NOW + HOUR + 600, lenient).status == 403


def test_a_meeting_shorter_than_the_margin_is_open_all_through_it() -> None:
    short = used_by(once(length=60))
    assert [ask(short, NOW + at).status for at in (-900, -800, -1, 0, 59, 60)] == [200] * 5 + [403]


def test_a_meeting_of_no_length_is_open_in_its_margins_only() -> None:
    lenient = replace(STRICT, late_s=300)
    assert [ask(used_by(once(length=0)), NOW + at, lenient).status for at in (-900, 0, 299, 300)] == [
        200,
        200,
        200,
        403,
    ]


def test_an_all_day_meeting_and_one_over_a_day_are_open_throughout() -> None:
    assert ends(ask(used_by(once(length=DAY)), NOW + DAY - 1)) == NOW + DAY
    assert ends(ask(used_by(once(length=3 * DAY)), NOW + 2.5 * DAY)) == NOW + 3 * DAY


def test_a_room_shared_by_two_meetings_opens_for_each_and_ends_with_the_later_that_runs() -> None:
    shared = used_by(once(), once(NOW + 0.5 * HOUR), once(NOW + DAY))
    assert ends(ask(shared, NOW + 0.5 * HOUR)) == NOW + 1.5 * HOUR
    assert ask(shared, NOW + 5 * HOUR).status == 403
    assert ends(ask(shared, NOW + DAY)) == NOW + DAY + HOUR


# --- a series: what the ledger knows of it is its time of day ---


def test_a_series_is_open_every_day_around_its_time_of_day() -> None:
    weekly = used_by(series())
    assert ask(weekly, NOW + 3 * DAY + 60).status == 200
    assert ask(weekly, NOW + 3 * DAY + 5 * HOUR).status == 403
    assert ask(weekly, NOW - 901).status == 403
    assert ask(weekly, NOW - 899).status == 200


def test_a_series_that_crosses_summer_time_is_neither_locked_out_nor_cut_short() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2030, 3, 4, 10, tzinfo=berlin)
    weekly = used_by(series(first.timestamp()))
    for week in range(60):
        start = (first + timedelta(weeks=week)).timestamp()  # the same time on the wall
        for at in (start, start + HOUR - 1):
            assert ends(ask(weekly, at)) >= start + HOUR


def test_a_series_that_is_over_opens_no_more() -> None:
    weekly = used_by(series(end=NOW + 20 * DAY))
    assert ask(weekly, NOW + 19 * DAY).status == 200
    assert ask(weekly, NOW + 30 * DAY).status == 403


def test_a_cancelled_occurrence_keeps_the_room_closed_and_a_moved_one_moves_it() -> None:
    def original(day: int) -> str:
        return datetime.fromtimestamp(NOW + day * DAY).astimezone(ZoneInfo("UTC")).isoformat()

    gone = Moved(original(7), None, None)
    later = Moved(original(14), NOW + 14 * DAY + 6 * HOUR, NOW + 14 * DAY + 7 * HOUR)
    weekly = used_by(series(), moved=(gone, later))
    assert ask(weekly, NOW + 7 * DAY).status == 403
    assert ask(weekly, NOW + 14 * DAY).status == 403
    assert ends(ask(weekly, NOW + 14 * DAY + 6 * HOUR)) == NOW + 14 * DAY + 7 * HOUR
    assert ask(weekly, NOW + 21 * DAY).status == 200


def test_an_occurrence_whose_origin_was_not_told_breaks_nothing() -> None:
    assert ask(used_by(series(), moved=(Moved("soon", None, None),)), NOW + DAY).status == 200


@given(
    start=st.floats(NOW - 400 * DAY, NOW + DAY),
    length=st.floats(0, 10 * DAY),
    day=st.integers(0, 400),
    within=st.floats(0, 0.999),
)
def test_no_occurrence_finds_its_room_closed_or_is_cut_short(
    start: float, length: float, day: int, within: float
) -> None:
    begins = start + day * DAY
    reply = ask(used_by(series(start, length)), begins + within * length)
    assert ends(reply) >= begins + length - 1


# --- rooms that no event wants, or that nobody knows ---


def test_a_room_whose_event_is_gone_is_refused_at_once_and_after_its_deletion() -> None:
    dropped = unused(used_by(once()), "cal.e0", "cal", NOW)
    deleted = replace(dropped, applied=Applied(2), state=State.GONE)
    for conference in (dropped, deleted, replace(dropped, state=State.HELD), approved(dropped, NOW)):
        reply = ask(conference, NOW, replace(STRICT, allows_unknown=True))
        assert (reply.status, reply.body) == (403, {"message": "The meeting of this room was cancelled."})


def test_a_room_that_is_wanted_again_opens_again() -> None:
    dropped = unused(used_by(once()), "cal.e0", "cal", NOW)
    restored = replace(used_by(once()), want=Want(3, "f1", "cal.e0"), applied=dropped.applied)
    assert ask(restored, NOW).status == 200


@pytest.mark.parametrize(
    "conference",
    [
        None,
        released(used_by(once()), "cal.e0", "cal", NOW),
        rejected(unused(used_by(once()), "cal.e0", "cal", NOW), NOW),
        Conference(KEY, "cal"),
    ],
    ids=["unknown", "released", "left alone by a person", "never wanted"],
)
def test_a_room_nobody_speaks_for_gets_what_the_settings_say(conference: Conference | None) -> None:
    assert ask(conference, NOW).status == 403
    assert ends(ask(conference, NOW, replace(STRICT, allows_unknown=True))) == NOW + DAY


def test_a_room_is_found_whatever_its_capitals_and_told_its_own_name() -> None:
    reply = ask(used_by(once()), NOW, name="StandUp", owner="ada@example.com")
    assert (reply.status, reply.body["name"], reply.body["mail_owner"]) == (200, "StandUp", "ada@example.com")


@pytest.mark.parametrize("name", ["x" * 1000, "\x00", "[tenant]standup", "a/b", "Ünïcode"])
def test_a_name_that_is_none_of_ours_is_unknown(name: str) -> None:
    assert ask(used_by(once()), NOW, name=name).status == 403


@pytest.mark.parametrize("name", ["x" * 1000, "\x00"])
def test_a_name_that_no_conference_can_have_is_not_looked_for(name: str) -> None:
    store = OneConference(None)
    assert Reservations(store, ManualClock(NOW), STRICT).reserve(name, "").status == 403  # type: ignore[arg-type]
    assert store.reads == 0


def test_a_question_without_a_name_is_none() -> None:
    with pytest.raises(Rejected):
        ask(None, NOW, name="")


@given(st.text(min_size=1, max_size=80, alphabet=st.characters(exclude_categories=["Cs"])))
def test_an_id_leads_back_to_its_room_and_is_safe_in_a_url(name: str) -> None:
    rooms = replace(STRICT, allows_unknown=True)
    reservations = Reservations(OneConference(None), ManualClock(NOW), rooms)  # type: ignore[arg-type]
    room_id = str(reservations.reserve(name, "").body["id"])
    assert room_id.isascii()
    assert room_id.isalnum()
    assert reservations.look_up(room_id).body["name"] == name.lower()


@pytest.mark.parametrize("room_id", ["", "..", "zz", "ff", "7374616e647570"])
def test_an_id_without_a_reservation_is_not_found(room_id: str) -> None:
    reservations = Reservations(OneConference(None), ManualClock(NOW), STRICT)  # type: ignore[arg-type]
    assert reservations.look_up(room_id).status == 404


# --- at the door ---

Record = Callable[[Conference], None]


@pytest.fixture
def asked(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"hosts": ["meet.example.com"], "unknown": "refuse"}
    document = {"providers": {"meetings": {"use": "jitsi", "options": options}}}
    monkeypatch.setenv("SYNC_CONFERENCES", json.dumps(document))


@pytest.fixture
def record(asked: None, monkeypatch: pytest.MonkeyPatch) -> Record:
    """What the ledger has, in place of a whole pass."""

    def record(conference: Conference) -> None:
        store = sync.wiring.work()._outside.store
        monkeypatch.setattr(store, "conferences", OneConference(conference).conferences)

    return record


def test_jitsi_is_told_what_prosody_needs_to_open_a_room(
    worker: FlaskClient, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    record(used_by(once(now - 60)))
    form = {"name": "standup", "start_time": "2030-01-01T10:00:00.000Z", "mail_owner": "ada@example.com"}
    answer = worker.post("/reservations/conference", data=form)
    assert answer.status_code == 200
    assert answer.json is not None
    assert set(answer.json) == {"id", "name", "mail_owner", "start_time", "duration"}
    assert 3500 <= answer.json["duration"] <= 3541
    path = f"/reservations/conference/{answer.json['id']}"
    assert worker.get(path).status_code == 200
    assert (worker.delete(path).status_code, worker.delete(path).status_code) == (204, 204)
    assert worker.get(path).status_code == 200
    logged = capsys.readouterr().out
    assert "ada@" not in logged
    assert "standup" not in logged
    assert answer.json["id"] not in logged


def test_jitsi_is_told_in_json_why_a_room_stays_closed(worker: FlaskClient, record: Record) -> None:
    record(used_by(once(time.time() + DAY)))
    answer = worker.post("/reservations/conference", data={"name": "standup"})
    assert (answer.status_code, answer.content_type) == (403, "application/json")
    assert answer.json == {"message": "The meeting of this room is at another time."}


def test_an_empty_store_is_asked_and_knows_no_room(worker: FlaskClient, asked: None) -> None:
    answer = worker.post("/reservations/conference", data={"name": "standup"})
    assert (answer.status_code, answer.json) == (
        403,
        {"message": "There is no meeting for this room in any calendar."},
    )


def test_a_question_that_is_none_is_refused(worker: FlaskClient, asked: None) -> None:
    assert worker.post("/reservations/conference", data=b"\xff=").status_code == 400
    assert worker.post("/reservations/conference").status_code == 400


def test_a_store_that_does_not_answer_is_asked_again_by_prosody(
    worker: FlaskClient, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> None:
        raise Transient("the store does not answer")

    monkeypatch.setattr(sync.wiring.work()._outside.store, "conferences", fails)
    assert worker.post("/reservations/conference", data={"name": "standup"}).status_code == 503


def test_other_methods_are_refused(worker: FlaskClient, asked: None) -> None:
    assert worker.get("/reservations/conference").status_code == 405
    assert worker.post("/reservations/conference/00").status_code == 405
    assert worker.get("/reservations").status_code == 404


def test_without_a_jitsi_in_the_settings_there_is_no_such_door(worker: FlaskClient) -> None:
    assert worker.post("/reservations/conference", data={"name": "standup"}).status_code == 404
    assert worker.get("/reservations/conference/00").status_code == 404
    assert worker.delete("/reservations/conference/00").status_code == 404


def test_the_public_door_has_no_such_path(webhook: FlaskClient, asked: None) -> None:
    assert webhook.post("/reservations/conference", data={"name": "standup"}).status_code == 404


def test_two_servers_could_not_be_told_apart(
    worker: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"hosts": ["meet.example.com"]}
    document = {"providers": {name: {"use": "jitsi", "options": options} for name in ("meetings", "other")}}
    monkeypatch.setenv("SYNC_CONFERENCES", json.dumps(document))
    assert worker.get("/status").status_code == 500
    assert "only one provider may use jitsi" in capsys.readouterr().out


def test_a_provider_may_be_called_jitsi_and_the_worlds_rooms_are_none_of_its_own(
    worker: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {"providers": {"jitsi": {"use": "jitsi", "options": {"hosts": ["meet.example.com"]}}}}
    monkeypatch.setenv("SYNC_CONFERENCES", json.dumps(document))
    assert worker.get("/status").status_code == 200
    systems = sync.wiring.worker_settings(os.environ)[2].systems
    for url, ours in (("https://meet.example.com/standup", True), ("https://meet.jit.si/standup", False)):
        seen = recognise(Carried("addOn", "Jitsi Meeting", "", "", "", (url,)), systems)
        assert (seen is not None) is ours
