"""W3C Trace Context: what is taken from headers and documents, and what is passed on."""

import asyncio
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry import bound
from shared.tracing import STATE_CHARS_MAX, continue_trace, current_trace, parse, serving, span, trace_headers
from tests.traces import Trace, stored_trace, trace_of

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE_ID}-{SPAN_ID}-01"


async def passed_on(traceparent: str, tracestate: str = "") -> Trace:
    """What is sent on with the call of a task that works for this caller."""

    async def working() -> Trace:
        with serving("GET", "/", parse(traceparent, tracestate), recorded=False):
            return trace_of(trace_headers())

    return await asyncio.create_task(working())


async def test_a_trace_goes_on_under_another_span_and_is_sampled_as_its_caller_says() -> None:
    for flags in (0, 1):
        sent = await passed_on(f"00-{TRACE_ID}-{SPAN_ID}-0{flags}")
        assert (sent.trace_id, sent.flags) == (TRACE_ID, flags)
        assert sent.span_id != SPAN_ID


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
async def test_a_later_version_is_read_as_far_as_we_know_it_and_passed_on_as_ours(future: str) -> None:
    sent = await passed_on(f"cc-{TRACE_ID}-{SPAN_ID}-09{future}")
    assert (sent.trace_id, sent.flags) == (TRACE_ID, 1)


async def test_unknown_flags_are_not_passed_on() -> None:
    assert (await passed_on(f"00-{TRACE_ID}-{SPAN_ID}-ff")).flags == 3


async def test_without_a_caller_a_trace_starts_that_is_not_sampled() -> None:
    first, second = await passed_on(""), await passed_on("malformed")
    assert first.trace_id != second.trace_id
    assert first.flags & 1 == second.flags & 1 == 0


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
async def test_a_tracestate_is_passed_on_bounded_or_not_at_all(
    tracestate: str, kept: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await passed_on(GOOD, tracestate)).state == kept
    assert caplog.records == [], "a caller could fill the log"


@given(st.text(max_size=80), st.text(string.printable, max_size=2000))
def test_whatever_the_headers_hold_nothing_is_raised_and_what_is_kept_is_bounded(parent: str, state: str) -> None:
    parse(parent)
    found = parse(GOOD, state)
    assert found is not None
    assert len(found.trace_state.to_header()) <= STATE_CHARS_MAX


@pytest.mark.parametrize("state", ["", "a=1", "a=1 2,b=3"])
async def test_what_a_document_keeps_is_the_whole_of_it(state: str) -> None:
    trace = Trace(TRACE_ID, SPAN_ID, 1, state)

    async def working() -> str | None:
        continue_trace(trace.stored)
        return current_trace()

    assert await asyncio.create_task(working()) == trace.stored


@pytest.mark.parametrize("spoiled", [None, 7, "", "x", b"00", {"a": 1}])
async def test_whatever_else_a_document_holds_a_new_trace_starts(spoiled: object) -> None:
    async def working() -> tuple[Trace, str]:
        continue_trace(spoiled)
        return stored_trace(current_trace()), bound()["trace_id"]

    found, logged = await asyncio.create_task(working())
    assert found.trace_id == logged


async def test_each_call_is_a_step_of_its_own_and_work_inside_is_none() -> None:
    async def working() -> list[Trace]:
        continue_trace(GOOD)
        found = []
        for kind in ("client", "client", "internal"):
            with span("work", kind):
                found.append(stored_trace(current_trace()))
        return found

    first, second, inside = await asyncio.create_task(working())
    assert {one.trace_id for one in (first, second, inside)} == {TRACE_ID}
    assert len({first.span_id, second.span_id, SPAN_ID}) == 3
    assert inside.span_id == SPAN_ID
