"""Notifications: told apart by their headers alone, and no headers whatever are an exception."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.channel import Key, Keys, TokenProblem, calendar_key, mint
from sync.notification import Notification, Rejection, read

NOW = 1_900_000_000
KEY = Key("k1", b"\1" * 32)
KEYS = Keys((KEY,))
CALENDAR = calendar_key(b"salt", "ada@example.com")
GENUINE = {
    "X-Goog-Channel-ID": "channel",
    "X-Goog-Channel-Token": mint(KEY, "channel", CALENDAR, NOW + 60),
    "X-Goog-Resource-State": "exists",
    "X-Goog-Resource-ID": "resource",
    "X-Goog-Message-Number": "398005",
}


def with_header(name: str, value: str) -> dict[str, str]:
    return {**GENUINE, name: value}


def for_channel(channel_id: str) -> dict[str, str]:
    return {
        **GENUINE,
        "X-Goog-Channel-ID": channel_id,
        "X-Goog-Channel-Token": mint(KEY, channel_id, CALENDAR, NOW + 60),
    }


@pytest.mark.parametrize(
    ("state", "is_sync"), [("exists", False), ("not_exists", False), ("sync", True), ("of tomorrow", False)]
)
def test_every_state_but_sync_means_that_something_may_have_changed(state: str, is_sync: bool) -> None:
    headers = with_header("X-Goog-Resource-State", state)
    assert read(headers, KEYS, NOW) == Notification(CALENDAR, "channel", is_sync)


@pytest.mark.parametrize("name", ["X-Goog-Channel-ID", "X-Goog-Channel-Token", "X-Goog-Resource-State"])
@pytest.mark.parametrize("present", [False, True], ids=["missing", "empty"])
def test_without_what_google_always_sends_it_is_malformed(name: str, present: bool) -> None:
    headers = {header: value for header, value in GENUINE.items() if header != name}
    if present:
        headers[name] = ""
    assert read(headers, KEYS, NOW) == Rejection(TokenProblem.MALFORMED)


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        (for_channel("c" * 65), Rejection(TokenProblem.MALFORMED)),
        (with_header("X-Goog-Channel-ID", "c" * 100_000), Rejection(TokenProblem.MALFORMED)),
        (with_header("X-Goog-Channel-Token", "1" * 100_000), Rejection(TokenProblem.MALFORMED)),
        (with_header("X-Goog-Channel-Token", "١.k1.x"), Rejection(TokenProblem.MALFORMED)),
        (with_header("X-Goog-Channel-ID", "chännel"), Rejection(TokenProblem.FORGED)),
        (with_header("X-Goog-Channel-ID", "\ud800"), Rejection(TokenProblem.FORGED)),
        (with_header("X-Goog-Channel-ID", "CHANNEL"), Rejection(TokenProblem.FORGED)),
    ],
)
def test_what_google_would_not_send_is_refused(headers: Mapping[str, str], refused: Rejection) -> None:
    assert read(headers, KEYS, NOW) == refused


def test_a_channel_id_may_be_as_long_as_google_allows() -> None:
    assert isinstance(read(for_channel("c" * 64), KEYS, NOW), Notification)


def test_an_expired_token_is_refused() -> None:
    assert read(GENUINE, KEYS, NOW + 60) == Rejection(TokenProblem.EXPIRED)


def test_an_unknown_key_is_named_so_that_the_next_reading_can_settle_it() -> None:
    assert read(GENUINE, Keys((Key("k2", KEY.secret),)), NOW) == Rejection(TokenProblem.UNKNOWN_KEY, "k1")


def test_no_other_header_matters() -> None:
    needed = {name: GENUINE[name] for name in GENUINE if "Channel" in name or "State" in name}
    other = {"X-Goog-Message-Number": "x", "X-Goog-Resource-ID": "", "Content-Length": "-1"}
    assert read({**needed, **other}, KEYS, NOW) == read(GENUINE, KEYS, NOW)


values = st.text(st.characters(exclude_categories=()), max_size=300) | st.sampled_from(list(GENUINE.values()))


@given(st.dictionaries(st.sampled_from(list(GENUINE)) | st.text(), values))
def test_no_headers_are_an_exception_and_only_genuine_ones_a_notification(headers: dict[str, str]) -> None:
    answer = read(headers, KEYS, NOW)
    genuine = all(
        headers.get(name) == GENUINE[name] for name in ("X-Goog-Channel-ID", "X-Goog-Channel-Token")
    )
    assert isinstance(answer, Notification) is (genuine and bool(headers.get("X-Goog-Resource-State")))
