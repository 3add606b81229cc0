"""W3C Trace Context: what is taken from headers, and what is passed on."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.trace import STATE_CHARS_MAX, Trace, child, new_trace, parse, parse_stored

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE_ID}-{SPAN_ID}-01"


def test_a_traceparent_names_trace_span_and_whether_it_is_sampled() -> None:
    assert parse(GOOD) == Trace(TRACE_ID, SPAN_ID, 1)
    assert parse(f"00-{TRACE_ID}-{SPAN_ID}-00") == Trace(TRACE_ID, SPAN_ID, 0)


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "00",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "0",
        GOOD + "-",
        GOOD + "-00",
        GOOD + "\n",
        GOOD.replace("-", "_"),
        "ff" + GOOD[2:],
        "0" + GOOD[2:],
        "0x" + GOOD[2:],
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID[:-1]}-{SPAN_ID}-01",
        f"00-{TRACE_ID[:-1]}g-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID[:-1]}G-01",
        f"00-{TRACE_ID}-{SPAN_ID}-0x",
        f"00-{TRACE_ID[:-1]}\N{ARABIC-INDIC DIGIT ONE}-{SPAN_ID}-01",
        f"01-{TRACE_ID}-{SPAN_ID}-01.what",
        f"{GOOD},{GOOD}",
    ],
)
def test_a_malformed_traceparent_is_none_and_takes_its_tracestate_along(malformed: str) -> None:
    assert parse(malformed, "congo=t61rcWkgMzE") is None


@pytest.mark.parametrize("future", ["", "-", "-what-the-future-brings"])
def test_a_later_version_is_read_as_far_as_we_know_it_and_passed_on_as_ours(future: str) -> None:
    found = parse(f"cc-{TRACE_ID}-{SPAN_ID}-09{future}")
    assert found == Trace(TRACE_ID, SPAN_ID, 1)
    assert found.traceparent == GOOD


def test_unknown_flags_are_not_passed_on() -> None:
    assert parse(f"00-{TRACE_ID}-{SPAN_ID}-ff") == Trace(TRACE_ID, SPAN_ID, 3)


@pytest.mark.parametrize(
    ("tracestate", "kept"),
    [
        ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
        (" a=1 ,, b= 2,\t1tenant@vendor/x=3", "a=1,b= 2,1tenant@vendor/x=3"),
        ("", ""),
        ("a", ""),
        ("A=1", ""),
        ("a=1,a=2", ""),
        ("a=1,b", ""),
        ("a=1=2", ""),
        ("a=é", ""),
        (f"{'k' * 257}=1", ""),
        (f"a={'v' * 257}", ""),
        (",".join(f"k{number}=1" for number in range(33)), ""),
        (f"a=1,b={'v' * 256},c={'w' * 256},d=2", f"a=1,b={'v' * 256}"),
    ],
)
def test_a_tracestate_is_passed_on_bounded_or_not_at_all(tracestate: str, kept: str) -> None:
    found = parse(GOOD, tracestate)
    assert found is not None
    assert found.state == kept
    assert found.headers == {"traceparent": GOOD, **({"tracestate": kept} if kept else {})}


@given(st.text(max_size=80), st.text(string.printable, max_size=2000))
def test_whatever_the_headers_hold_nothing_is_raised_and_what_is_kept_is_bounded(parent: str, state: str) -> None:
    parse(parent)
    found = parse(GOOD, state)
    assert found is not None
    assert len(found.state) <= STATE_CHARS_MAX


def test_a_child_is_another_place_in_the_same_trace() -> None:
    parent = parse(GOOD, "congo=t61rcWkgMzE")
    assert parent is not None
    following = child(parent)
    assert following.span_id != parent.span_id
    assert following._replace(span_id=parent.span_id) == parent
    assert parse(following.traceparent, following.state) == following


def test_a_trace_that_starts_here_is_well_formed_and_not_sampled() -> None:
    first, second = new_trace(), new_trace()
    assert first.trace_id != second.trace_id
    assert parse(first.traceparent) == first
    assert first.flags & 1 == 0


@pytest.mark.parametrize("state", ["", "a=1", "a=1 2,b=3"])
def test_what_a_document_keeps_is_the_whole_of_it(state: str) -> None:
    trace = Trace(TRACE_ID, SPAN_ID, 1, state)
    assert parse_stored(trace.stored) == trace
    assert trace.stored.startswith(GOOD)


@pytest.mark.parametrize("spoiled", [None, 7, "", "x", b"00", {"a": 1}])
def test_whatever_else_a_document_holds_is_no_trace(spoiled: object) -> None:
    assert parse_stored(spoiled) is None
