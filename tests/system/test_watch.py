"""`python -m sync watch` and `enrol`: what a person does beside converge, on a whole deployment."""

import json
import time

import pytest
import urllib3

from sync.channel import calendar_key
from sync.cli import verbs
from sync.ports import CalendarId, EnrolledCalendar, WiredCalendar
from tests.system.house import ME, YOU, House, house

__all__ = ["house"]

Capture = pytest.CaptureFixture[str]


def run(capture: Capture, *argv: str) -> tuple[int, str, str]:
    capture.readouterr()
    code = verbs.main(list(argv))
    written = capture.readouterr()
    assert "Traceback" not in written.err
    said = [
        line for line in written.out.splitlines(keepends=True) if '"severity"' not in line
    ]  # the doors log too
    return code, "".join(said), written.err


def ids(house: House) -> list[str]:
    return [channel.id for record in house.store.calendars() for channel in record.channels]


def without_keys(house: House) -> None:
    """Whoever runs the command line has no channel keys; the worker has read them."""
    house.monkeypatch.delenv("SYNC_CHANNEL_KEYS")


def google(house: House) -> list[str]:
    """The channels that Google has open."""
    state = urllib3.request("GET", f"{house.simulator.url}/_sim/state").json()
    return [each["id"] for each in state["channels"] if each["live"]]


def test_the_channels_are_listed_for_people_and_for_programs(house: House, capsys: Capture) -> None:
    code, out, _ = run(capsys, "watch", "list")
    assert code == 0
    head, line = out.splitlines()
    assert head.split() == ["calendar", "channel", "state", "expires", "greeted", "key"]
    assert line.split()[:5] == ["me", *ids(house), "open", "in", "7"]
    _, out, _ = run(capsys, "watch", "list", "me", "--json")
    [told] = json.loads(out)["channels"]
    assert (told["calendar"], told["channel"], told["state"]) == ("me", *ids(house), "open")
    assert told["address"] == house.webhook


def test_without_channels_that_is_said(house: House, capsys: Capture) -> None:
    house.wire("", WiredCalendar("me", CalendarId(ME)))
    house.converge()
    assert run(capsys, "watch", "list")[1] == "no channel is known\n"


def test_a_renewed_channel_is_another_and_the_only_one(house: House, capsys: Capture) -> None:
    [before] = ids(house)
    without_keys(house)
    assert run(capsys, "watch", "renew", "me")[0] == 0
    assert ids(house) == google(house) == [before]
    house.converge()
    [after] = ids(house)
    assert after != before
    assert google(house) == [after]


def test_a_calendar_that_is_not_to_be_watched_is_not(house: House, capsys: Capture) -> None:
    house.wire(house.webhook, WiredCalendar("me", CalendarId(ME), paused=True))
    house.converge()
    code, _, err = run(capsys, "watch", "renew", "me")
    assert (code, "paused" in err) == (2, True)
    house.wire("", WiredCalendar("me", CalendarId(ME)))
    code, _, err = run(capsys, "watch", "renew", "me")
    assert (code, "switch is off" in err) == (2, True)
    assert google(house) == []


def test_a_renewal_that_google_refuses_leaves_the_channel_there_is(house: House, capsys: Capture) -> None:
    before = ids(house)
    house.fault(where="events.watch", status=403, reason="forbidden")
    assert run(capsys, "watch", "renew", "me")[0] == 0
    house.converge()
    assert ids(house) == before == google(house)
    assert run(capsys, "watch", "renew", "me")[0] == 0  # at the next converge, and not after a while
    house.converge()
    assert ids(house) == google(house) != before


def test_stopped_channels_are_gone_until_converge_opens_one(house: House, capsys: Capture) -> None:
    without_keys(house)
    code, out, _ = run(capsys, "watch", "stop", ME)
    assert (code, "until converge" in out) == (0, True)
    assert ids(house) == google(house) == []
    house.converge()
    assert len(google(house)) == 1


def test_a_channel_that_nobody_knows_is_adopted_and_so_stopped(house: House, capsys: Capture) -> None:
    body = {"id": "stray", "type": "web_hook", "address": house.webhook, "token": "somebody's"}
    url = f"{house.simulator.url}/calendar/v3/calendars/{ME}/events/watch"
    stray = urllib3.request("POST", url, json=body).json()
    house.converge()
    assert "stray" in google(house)
    code, _, _ = run(capsys, "watch", "adopt", "me", "stray", stray["resourceId"])
    assert code == 0
    assert "stray" in ids(house)
    house.converge()
    assert ids(house) == google(house)
    assert "stray" not in ids(house)
    code, _, err = run(capsys, "watch", "adopt", "me", ids(house)[0], "resource")
    assert (code, "known already" in err) == (2, True)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["list", "mee"], "did you mean me?"),
        (["renew"], "renew needs a calendar"),
        (["stop"], "stop needs a calendar"),
        (["adopt", "me", "channel"], "needs a channel and its resource"),
        (["list", "me", "channel", "resource"], "needs a channel and its resource"),
        (["dance"], "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_said_with_a_hint(
    house: House, capsys: Capture, argv: list[str], says: str
) -> None:
    try:
        code, _, err = run(capsys, "watch", *argv)
    except SystemExit as exit_:
        code, err = int(exit_.code or 0), capsys.readouterr().err
    assert code == 2
    assert says in err
    assert "hint:" in err


# --- enrol ---


def test_a_calendar_is_enrolled_and_looked_after_by_the_next_converge(house: House, capsys: Capture) -> None:
    house.act("change_role", calendar=YOU, user=ME, role="reader")
    code, out, _ = run(capsys, "enrol", YOU)
    assert (code, "within five minutes" in out) == (0, True)
    assert [each.calendar for each in house.store.enrolled()] == [CalendarId(YOU)]
    assert [each.by for each in house.store.enrolled()] == [""]
    house.converge()
    assert len(google(house)) == 2


def test_a_calendar_that_is_removed_is_let_go_and_its_channels_stopped(house: House, capsys: Capture) -> None:
    house.act("change_role", calendar=YOU, user=ME, role="reader")
    run(capsys, "enrol", YOU)
    house.converge()
    house.dispatching.stop()  # no pass is over it
    code, out, _ = run(capsys, "enrol", YOU, "--remove", "--json")
    removed = {"calendar": YOU, "outcome": "withdrawn", "left_over": []}
    assert (code, json.loads(out.splitlines()[-1])) == (0, removed)
    assert house.store.enrolled() == []
    house.converge()
    [left] = google(house)
    assert [each.active for each in house.store.calendars() if not each.label] == [False]
    assert left in ids(house)


def test_who_is_wired_already_is_told_so(house: House, capsys: Capture) -> None:
    code, out, _ = run(capsys, "enrol", ME.upper())
    assert (code, "Terraform has wired it" in out) == (0, True)
    code, out, _ = run(capsys, "enrol", ME, "--remove")
    assert (code, "Terraform has wired it" in out) == (0, True)
    house.converge()
    assert len(google(house)) == 1


def test_what_was_asked_for_later_stands(house: House, capsys: Capture) -> None:
    key = calendar_key(house.store.salt(), YOU)
    house.store.enrol(key, EnrolledCalendar(CalendarId(YOU), time.time() + 3600))
    code, out, _ = run(capsys, "enrol", YOU, "--remove")
    assert (code, "something later was asked for" in out) == (1, True)
    assert len(house.store.enrolled()) == 1


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["primary"], "`primary` is not one"),
        (["room"], "has an @"),
        ([YOU, "--subject", "ada"], "is an address"),
        ([YOU, "--subject", ME, "--remove"], "says nothing about a calendar that goes"),
    ],
)
def test_what_cannot_be_enrolled_is_said_with_a_hint(capsys: Capture, argv: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as caught:
        verbs.main(["enrol", *argv])
    err = capsys.readouterr().err
    assert caught.value.code == 2
    assert says in err
    assert "hint:" in err


def test_a_subject_needs_delegation(house: House, capsys: Capture) -> None:
    code, _, err = run(capsys, "enrol", YOU, "--subject", YOU)
    assert (code, "needs SYNC_DELEGATION" in err) == (2, True)
    assert house.store.enrolled() == []
