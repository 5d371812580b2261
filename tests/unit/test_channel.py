"""Channels: a token proves what it says and nothing else does, and each calendar keeps one good channel."""

import base64
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.channel import (
    TOKEN_MAX,
    Channel,
    ChannelState,
    Claims,
    Key,
    Keys,
    TokenProblem,
    Wish,
    calendar_key,
    due,
    key_id_of,
    mint,
    parse_keys,
    share_left,
    verify,
)

NOW = 1_900_000_000
EXPIRES = NOW + 3600
OLD, NEW = Key("k1", b"\1" * 32), Key("k2", b"\2" * 32)
KEYS = Keys((OLD, NEW))
CALENDAR = calendar_key(b"salt", "ada@example.com")
TOKEN = mint(NEW, "channel", CALENDAR, EXPIRES)

key_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=16)
secrets = st.binary(min_size=32, max_size=32)
any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates too


# --- Tokens ---


def test_a_token_says_which_calendar_and_until_when() -> None:
    assert verify(KEYS, "channel", TOKEN, NOW) == Claims(CALENDAR, EXPIRES)


@given(key_ids, secrets, any_text, st.text(), st.integers(0, 10**12 - 1))
def test_every_minted_token_fits_and_verifies(
    key_id: str, secret: bytes, channel_id: str, calendar_id: str, expires_at: int
) -> None:
    key, calendar = Key(key_id, secret), calendar_key(secret, calendar_id)
    token = mint(key, channel_id, calendar, expires_at)
    assert len(token) <= TOKEN_MAX
    assert verify(Keys((key,)), channel_id, token, expires_at - 1) == Claims(calendar, expires_at)


@given(at=st.integers(0, len(TOKEN) - 1), put=st.characters() | st.sampled_from(TOKEN) | st.just(""))
def test_a_token_with_any_character_changed_is_refused(at: int, put: str) -> None:
    mutated = TOKEN[:at] + put + TOKEN[at + 1 :]
    assert (verify(KEYS, "channel", mutated, NOW) == Claims(CALENDAR, EXPIRES)) is (mutated == TOKEN)
    assert isinstance(verify(KEYS, "channel", mutated, NOW), Claims) is (mutated == TOKEN)


@given(any_text, any_text)
def test_no_text_whatever_is_a_token_or_an_exception(channel_id: str, token: str) -> None:
    assert isinstance(verify(KEYS, channel_id, token, NOW), TokenProblem)


def forged(
    channel_id: str = "channel", calendar: str = CALENDAR, expires_at: int = EXPIRES, key: Key = NEW
) -> str:
    return mint(key, channel_id, calendar, expires_at)


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("", TokenProblem.MALFORMED),
        (TOKEN + "\n", TokenProblem.MALFORMED),
        (" " + TOKEN, TokenProblem.MALFORMED),
        (TOKEN.upper(), TokenProblem.MALFORMED),
        ("2" + TOKEN[1:], TokenProblem.MALFORMED),
        (TOKEN + "A" * 300, TokenProblem.MALFORMED),
        (forged(key=Key("k3", NEW.secret)), TokenProblem.UNKNOWN_KEY),
        (forged(key=Key("k2", b"\3" * 32)), TokenProblem.FORGED),
        (forged(key=Key("k2", OLD.secret)), TokenProblem.FORGED),
        (forged(channel_id="another"), TokenProblem.FORGED),
        (forged(channel_id=""), TokenProblem.FORGED),
        (TOKEN.replace(str(EXPIRES), str(EXPIRES + 1)), TokenProblem.FORGED),
        (TOKEN.replace(str(EXPIRES), f"0{EXPIRES}"), TokenProblem.FORGED),
        (TOKEN.replace(CALENDAR, calendar_key(b"salt", "eve@example.com")), TokenProblem.FORGED),
        (TOKEN.replace(".k2.", ".k1."), TokenProblem.FORGED),
        (forged(expires_at=NOW), TokenProblem.EXPIRED),
        (forged(expires_at=0), TokenProblem.EXPIRED),
    ],
)
def test_each_fault_has_its_name(token: str, problem: TokenProblem) -> None:
    assert verify(KEYS, "channel", token, NOW) is problem


@pytest.mark.parametrize(("now", "good"), [(EXPIRES - 1e-6, True), (EXPIRES, False), (EXPIRES + 1, False)])
def test_a_token_expires_at_exactly_its_second(now: float, good: bool) -> None:
    assert isinstance(verify(KEYS, "channel", TOKEN, now), Claims) is good


def test_a_token_is_bound_to_the_key_it_names_though_another_had_the_same_secret() -> None:
    twin = Key("k3", NEW.secret)
    assert verify(Keys((NEW, twin)), "channel", TOKEN.replace(".k2.", ".k3."), NOW) is TokenProblem.FORGED


def test_an_expired_forgery_is_a_forgery() -> None:
    assert verify(KEYS, "another", TOKEN, EXPIRES + 1) is TokenProblem.FORGED


@given(st.text("ab\0.", max_size=6), st.text("ab\0.", max_size=6))
def test_no_two_channels_share_a_token(one: str, other: str) -> None:
    assert (mint(NEW, one, CALENDAR, EXPIRES) == mint(NEW, other, CALENDAR, EXPIRES)) is (one == other)


@pytest.mark.parametrize(
    ("token", "key_id"), [(TOKEN, "k2"), (TOKEN[:-1] + "A", "k2"), ("1.k2.x", ""), ("", "")]
)
def test_only_a_well_formed_token_names_a_key(token: str, key_id: str) -> None:
    assert key_id_of(token) == key_id


# --- Keys ---


def line(key: Key, padding: str = "=") -> str:
    return f"{key.id}:{base64.urlsafe_b64encode(key.secret).decode().rstrip('=')}{padding}"


def test_during_a_rotation_the_newest_key_signs_and_both_verify() -> None:
    keys = parse_keys(f"{line(OLD)}\n{line(NEW)}\n")
    assert keys.newest == NEW
    for key in (OLD, NEW):
        assert isinstance(verify(keys, "channel", forged(key=key), NOW), Claims)


def test_after_a_rotation_the_old_key_is_unknown() -> None:
    assert verify(Keys((NEW,)), "channel", forged(key=OLD), NOW) is TokenProblem.UNKNOWN_KEY


@pytest.mark.parametrize("text", [line(OLD), line(OLD, ""), f"\n  {line(OLD)}  \r\n\n"])
def test_keys_are_read_with_and_without_padding_and_blank_lines(text: str) -> None:
    assert parse_keys(text) == Keys((OLD,))


def test_keys_of_several_files_are_told_apart_by_the_time_they_were_made() -> None:
    newer, older = f"{line(NEW)} 2026-01-31T12:00:00Z\n", f"{line(OLD)} 2026-01-31T12:59:59+01:00\n"
    for files in ((newer, older), (older, newer), (older + newer,), (newer + older,)):
        keys = parse_keys(*files)
        assert [key.id for key in keys.oldest_first] == ["k1", "k2"]
        assert keys.newest == Key(NEW.id, NEW.secret, made_at=1769860800.0)


def test_a_key_of_unknown_age_is_older_than_those_with_a_time() -> None:
    assert parse_keys(f"{line(NEW)} 1999-01-01T00:00:00Z", line(OLD)).newest.id == "k2"


def test_a_key_may_be_in_one_file_only() -> None:
    with pytest.raises(ValueError, match=r"^line 2 repeats a key id$"):
        parse_keys(line(OLD), line(OLD))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no key"),
        (" \n", "there is no key"),
        ("k1", "line 1 is not"),
        (f"{line(OLD)}\nsecret", "line 2 is not"),
        (f"{line(OLD)}\n\nsecret", "line 3 is not"),
        (f"{line(OLD)} {line(NEW)}", "line 1 ends in no time"),
        (f"{line(OLD)} 2026-01-31T12:00:00", "line 1 ends in no time"),
        (f"{line(OLD)} 2026-01-31T12:00:00Z soon", "line 1 is not"),
        ("K1:" + line(OLD)[3:], "line 1 is not"),
        ("k" * 17 + line(OLD)[2:], "line 1 is not"),
        (line(OLD)[:-2], "line 1 is not"),
        (line(OLD, "=="), "line 1 is not"),
        (line(OLD).replace("A", "+"), "line 1 is not"),
        (f"{line(OLD)}\n{line(Key('k1', NEW.secret))}", "line 2 repeats a key id"),
    ],
)
def test_a_bad_key_is_named_by_its_line(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}"):
        parse_keys(text)


@given(st.lists(st.text("k1:-_=AQIDBAUGBwgJ \n", min_size=9), max_size=4), st.booleans())
def test_the_error_never_quotes_a_key(lines: list[str], repeat: bool) -> None:
    text = "\n".join([*lines, line(OLD), *([line(OLD)] if repeat else []), "k3:short"])
    with pytest.raises(ValueError, match=r"^line ") as caught:
        parse_keys(text)
    said = str(caught.value)
    assert not any(word in said for word in text.split() if len(word) > 8)
    assert base64.urlsafe_b64encode(OLD.secret).decode()[:8] not in said


def test_a_printed_key_hides_its_secret() -> None:
    for text in (repr(NEW), str(NEW), repr(KEYS), f"{KEYS}"):
        assert "k2" in text
        assert "\\x02" not in text


# --- Calendar keys ---


def test_a_calendar_has_one_key_however_its_address_is_written() -> None:
    assert calendar_key(b"salt", " Ada@Example.COM ") == CALENDAR


def test_another_salt_makes_another_key() -> None:
    assert calendar_key(b"other salt", "ada@example.com") != CALENDAR


@given(st.binary(max_size=40), st.text())
def test_a_calendar_key_has_one_shape_and_tells_no_address(salt: bytes, calendar_id: str) -> None:
    key = calendar_key(salt, calendar_id)
    assert len(key) == 26
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert len(calendar_id) < 5 or calendar_id.lower() not in key


# --- Which channels are due ---

HERE, ELSEWHERE = "https://here.example/", "https://elsewhere.example/"
DAY = 86400.0


def channel(
    name: str = "one",
    *,
    opened: float = -1 * DAY,
    expires: float = 6 * DAY,
    address: str = HERE,
    subject: str = "ada",
    state: ChannelState = ChannelState.OPEN,
    key: str = "k1",
) -> Channel:
    """Opened a day ago for a week, unless told otherwise; times in seconds from now."""
    if state is ChannelState.OPENING:
        return Channel(name, state, address, key, subject, NOW + opened, expires_at=NOW + opened + 7 * DAY)
    return Channel(name, state, address, key, subject, NOW + opened, "resource", NOW + expires)


WISH = Wish(HERE, "ada", {"k1", "k2"}, {"k1", "k2"})
NOWHERE = replace(WISH, address="")


def is_due(*channels: Channel, wish: Wish = WISH) -> tuple[bool, set[str], set[str]]:
    decided = due(channels, NOW, wish)
    return decided.open_one, {each.id for each in decided.stop}, {each.id for each in decided.forget}


@pytest.mark.parametrize(
    ("channels", "open_one", "stop"),
    [
        pytest.param([], True, set(), id="none"),
        pytest.param([channel()], False, set(), id="a good one"),
        pytest.param(
            [channel(opened=-6 * DAY, expires=2 * DAY)], True, set(), id="a quarter of its life left"
        ),
        pytest.param(
            [channel(opened=-6 * DAY, expires=2 * DAY + 1)], False, set(), id="more than a quarter left"
        ),
        pytest.param([channel(address=ELSEWHERE)], True, set(), id="posts elsewhere"),
        pytest.param([channel(subject="bob")], True, set(), id="opened by somebody else"),
        pytest.param([channel(key="gone")], True, set(), id="signed with a key that is gone"),
        pytest.param(
            [channel("mute", key="gone"), channel("new", key="k2")],
            False,
            {"mute"},
            id="one signed with a key that is gone, and a new one",
        ),
        pytest.param(
            [channel("old", opened=-6 * DAY, expires=DAY), channel("new", opened=0, expires=7 * DAY)],
            False,
            {"old"},
            id="an old and a new one",
        ),
        pytest.param(
            [channel("old", opened=-7 * DAY, expires=DAY / 2), channel("new", opened=-6 * DAY, expires=DAY)],
            True,
            set(),
            id="two that are both near their end",
        ),
        pytest.param(
            [channel("moved", address=ELSEWHERE), channel("new", opened=0)], False, {"moved"}, id="moved"
        ),
    ],
)
def test_one_good_channel_is_kept_and_the_next_is_open_before_it_is_stopped(
    channels: list[Channel], open_one: bool, stop: set[str]
) -> None:
    assert is_due(*channels) == (open_one, stop, set())
    assert is_due(*reversed(channels)) == (open_one, stop, set())


def test_a_channel_in_whose_place_somebody_wants_another_speaks_until_that_is_open() -> None:
    spent = replace(channel("spent", expires=9 * DAY), spent=True)
    assert is_due(spent) == (True, set(), set())
    assert due([spent], NOW, WISH).speaks_until == spent.expires_at
    assert is_due(spent, channel()) == (False, {"spent"}, set())


OVER = [
    pytest.param(channel("x", expires=0), True, id="lapsed this second"),
    pytest.param(channel("x", expires=1, address=ELSEWHERE), False, id="lapses in a second"),
    pytest.param(
        channel("x", state=ChannelState.OPENING, opened=-7 * DAY), True, id="it cannot run any more"
    ),
    pytest.param(channel("x", state=ChannelState.OPENING, opened=1 - 7 * DAY), False, id="it may run"),
    pytest.param(
        replace(channel("x", state=ChannelState.OPENING, opened=-3600), expires_at=0.0),
        True,
        id="an earlier version's, whose answer never came",
    ),
]


@pytest.mark.parametrize(("old", "over"), OVER)
@pytest.mark.parametrize("wish", [WISH, NOWHERE], ids=["watched", "not watched"])
@pytest.mark.parametrize("beside", [[], [channel()]], ids=["alone", "beside a good one"])
def test_what_is_over_is_forgotten_whatever_else_there_is(
    old: Channel, over: bool, wish: Wish, beside: list[Channel]
) -> None:
    _, stop, forgotten = is_due(old, *beside, wish=wish)
    assert forgotten == ({"x"} if over else set())
    assert not stop & forgotten


def test_an_unfinished_opening_is_no_channel_and_while_its_answer_may_come_it_cannot_be_stopped() -> None:
    lost = channel("lost", state=ChannelState.OPENING, opened=-3599)
    assert is_due(lost) == (True, set(), set())
    assert is_due(lost, channel()) == (False, set(), set())
    assert is_due(lost, wish=NOWHERE) == (False, set(), set())


@pytest.mark.parametrize("wish", [WISH, NOWHERE], ids=["watched", "not watched"])
def test_an_opening_whose_answer_was_lost_is_stopped_by_the_name_that_google_has_for_the_calendar(
    wish: Wish,
) -> None:
    lost = channel("lost", state=ChannelState.OPENING, opened=-3600)
    assert due([lost], NOW, wish).stop == ()
    for known in (channel(), channel(expires=0)):  # also if that other one has lapsed
        assert replace(lost, resource_id="resource") in due([lost, known], NOW, wish).stop


def test_without_an_address_every_channel_is_stopped_and_none_opened() -> None:
    assert is_due(channel(), channel("two", subject="bob"), wish=NOWHERE) == (False, {"one", "two"}, set())


def test_what_cannot_be_stopped_is_not_asked_to_again_and_serves_if_it_is_wanted_after_all() -> None:
    lapsing = replace(channel(), lapsing=True)
    assert is_due(lapsing, wish=NOWHERE) == (False, set(), set())
    assert is_due(lapsing, channel("two", opened=0, expires=7 * DAY)) == (False, set(), set())
    assert is_due(lapsing) == (False, set(), set())
    assert is_due(replace(lapsing, address=ELSEWHERE)) == (True, set(), set())


def test_a_channel_signed_with_an_older_key_is_replaced_and_speaks_until_then() -> None:
    rotated = replace(WISH, fresh_ids={"k2"})
    assert is_due(channel(), wish=rotated) == (True, set(), set())
    assert due([channel()], NOW, rotated).speaks_until == NOW + 6 * DAY
    newer = channel("new", opened=0, expires=DAY, key="k2")
    assert is_due(channel(), newer, wish=rotated) == (False, {"one"}, set())


@pytest.mark.parametrize(
    ("known", "until"),
    [
        ([], 0.0),
        ([channel(address=ELSEWHERE)], 0.0),
        ([channel(key="gone")], 0.0),
        ([channel(subject="bob")], 0.0),
        ([channel(expires=0)], 0.0),
        ([channel(state=ChannelState.OPENING)], 0.0),
        ([channel(), channel("two", expires=7 * DAY)], NOW + 7 * DAY),
    ],
)
def test_a_calendar_is_dark_unless_a_channel_speaks_that_is_believed(
    known: list[Channel], until: float
) -> None:
    assert due(known, NOW, WISH).speaks_until == until
    assert due(known, NOW, NOWHERE).speaks_until == 0.0


@given(st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26))
def test_a_channel_is_renewed_with_a_quarter_to_a_half_of_its_life_left(key: str) -> None:
    assert 0.25 <= share_left(key) < 0.5
    assert share_left(key) == share_left(key)


def test_a_thousand_channels_of_one_moment_are_not_renewed_in_one_hour() -> None:
    hours = Counter(int(share_left(calendar_key(b"salt", f"{n}@example.com")) * 7 * 24) for n in range(1000))
    assert max(hours.values()) < 50


ONE_KEY = Wish(HERE, "ada", {"k1"}, {"k1"})
any_channel = st.builds(
    channel,
    st.uuids().map(str),
    opened=st.floats(-30 * DAY, 0),
    expires=st.floats(-10 * DAY, 30 * DAY),
    address=st.sampled_from([HERE, ELSEWHERE]),
    subject=st.sampled_from(["ada", "bob"]),
    state=st.sampled_from(ChannelState),
    key=st.sampled_from(["k1", "gone"]),
)
channels = st.lists(
    st.builds(lambda each, spent: replace(each, spent=spent), any_channel, st.booleans()), max_size=5
)


def is_live(each: Channel) -> bool:
    return (
        each.state is ChannelState.OPEN
        and each.expires_at > NOW
        and each.address == HERE
        and each.subject == "ada"
        and each.key_id == "k1"
    )


@given(channels)
def test_no_channel_is_stopped_before_a_good_one_is_there(known: list[Channel]) -> None:
    decided = due(known, NOW, ONE_KEY)
    stopped = {each.id for each in decided.stop if each.state is ChannelState.OPEN}
    rest = [each for each in known if each.id not in stopped]
    assert not stopped or any(is_live(each) for each in rest)
    assert not (stopped and decided.open_one)


@given(channels)
def test_a_new_channel_settles_everything(known: list[Channel]) -> None:
    """After opening, and then stopping, there is exactly one channel; but for answers that may still come."""
    if due(known, NOW, ONE_KEY).open_one:
        known = [*known, channel("new", opened=0, expires=31 * DAY)]
    decided = due(known, NOW, ONE_KEY)
    gone = {each.id for each in decided.stop + decided.forget}
    rest = [each for each in known if each.id not in gone]
    assert len([each for each in rest if each.state is ChannelState.OPEN]) == 1
    assert all(each.opened_at > NOW - 3600 for each in rest if each.state is ChannelState.OPENING)
    settled = due(rest, NOW, ONE_KEY)
    assert (settled.open_one, settled.stop, settled.forget) == (False, (), ())
