"""The trace of a request goes on, and nothing else of the header that told it."""

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import trace
from sync.trace import Trace

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{ID}-{SPAN}-01"


def test_a_sound_header_names_the_trace_of_all_that_is_done_within() -> None:
    assert trace.current() is None
    with trace.within(TRACEPARENT):
        assert trace.current() == Trace(ID, SPAN, sampled=True)
    assert trace.current() is None


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("fe", False), ("ff", True)])
def test_of_the_flags_only_the_one_we_know_is_passed_on(flags: str, sampled: bool) -> None:
    with trace.within(f"00-{ID}-{SPAN}-{flags}"):
        assert trace.onward()["traceparent"].endswith("-01" if sampled else "-00")


def test_a_request_of_ours_is_a_new_span_of_the_same_trace() -> None:
    with trace.within(TRACEPARENT):
        spans = {trace.onward()["traceparent"] for _ in range(3)}
    assert len(spans) == 3
    assert all(re.fullmatch(rf"00-{ID}-(?!{SPAN})[0-9a-f]{{16}}-01", each) for each in spans)


HOSTILE = {
    "nothing": "",
    "words": "garbage",
    "an end of line": TRACEPARENT + "\n",
    "a second header": TRACEPARENT + "\r\nX-Admin: yes",
    "upper case": TRACEPARENT.upper(),
    "a version that is forbidden": f"ff-{ID}-{SPAN}-01",
    "no trace": f"00-{'0' * 32}-{SPAN}-01",
    "no span": f"00-{ID}-{'0' * 16}-01",
    "more than we know": TRACEPARENT + "-more",
    "digits of another script": TRACEPARENT.replace("4", "\u0664"),
    "a long one": f"00-{ID * 1000}-{SPAN}-01",
}


@pytest.mark.parametrize("header", HOSTILE.values(), ids=HOSTILE.keys())
def test_any_other_header_names_none_and_none_is_invented(header: str) -> None:
    with trace.within(header):
        assert trace.current() is None
        assert trace.onward() == {}


@given(header=st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
def test_whatever_is_told_what_goes_on_is_hexadecimal_digits(header: str) -> None:
    with trace.within(header):
        for value in trace.onward().values():
            assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", value, re.ASCII)


def test_a_trace_is_of_one_thread() -> None:
    seen: list[Trace | None] = []
    with trace.within(TRACEPARENT):
        thread = threading.Thread(target=lambda: seen.append(trace.current()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_trace_ends_with_its_request_also_when_that_fails() -> None:
    with pytest.raises(ValueError, match="broken"), trace.within(TRACEPARENT):
        raise ValueError("broken")
    assert trace.current() is None
