"""Cursors: a token is used only for the listing that earned it, and is never lost to an empty one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.cursor import Bookmark, LastPage, SyncToken, Window, finish, full, listing_hash, start

NOW, DAY = 1_900_000_000.0, 86400.0
OURS, THEIRS = listing_hash("ours"), listing_hash("theirs")
BOOKMARK = Bookmark("token", OURS)


@pytest.mark.parametrize(
    ("bookmark", "cursor"),
    [
        (None, Window(NOW - DAY)),
        (BOOKMARK, SyncToken("token")),
        (Bookmark("token", THEIRS), Window(NOW - DAY)),
    ],
    ids=["nothing stored", "a token of this listing", "a token of another listing"],
)
def test_a_listing_starts_where_its_own_token_says_or_in_the_window(
    bookmark: Bookmark | None, cursor: SyncToken | Window
) -> None:
    assert start(bookmark, OURS, NOW, DAY) == cursor


def test_a_dead_token_means_the_window() -> None:
    assert full(NOW, DAY) == Window(NOW - DAY)


@pytest.mark.parametrize("bookmark", [None, BOOKMARK, Bookmark("token", THEIRS)])
def test_a_last_page_with_a_token_is_remembered_with_its_listing(bookmark: Bookmark | None) -> None:
    assert finish(bookmark, LastPage("next"), OURS) == Bookmark("next", OURS)


@pytest.mark.parametrize("bookmark", [None, BOOKMARK, Bookmark("token", THEIRS)])
def test_a_last_page_without_a_token_leaves_what_was_remembered(bookmark: Bookmark | None) -> None:
    assert finish(bookmark, LastPage(""), OURS) == bookmark


@given(st.none() | st.builds(Bookmark, st.text(min_size=1), st.sampled_from([OURS, THEIRS])), st.text())
def test_no_answer_makes_an_empty_token(bookmark: Bookmark | None, token: str) -> None:
    after = finish(bookmark, LastPage(token), OURS)
    assert after is None or after.token


@given(st.none() | st.builds(Bookmark, st.text(min_size=1), st.sampled_from([OURS, THEIRS])))
def test_a_full_listing_without_a_token_is_followed_by_another_full_one(bookmark: Bookmark | None) -> None:
    """Unless the old token was this listing's own: then its death is found out by asking with it."""
    after = finish(bookmark, LastPage(""), OURS)
    assert isinstance(start(after, OURS, NOW, DAY), Window) or after == bookmark


parts = st.lists(st.text() | st.integers() | st.floats(allow_nan=False), max_size=4)


@given(parts, parts)
def test_every_way_of_listing_has_its_own_hash(one: list[object], other: list[object]) -> None:
    assert (listing_hash(*one) == listing_hash(*other)) is (repr(one) == repr(other))
