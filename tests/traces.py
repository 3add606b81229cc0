"""A place in a trace (W3C Trace Context), as tests send it and find it in headers and documents."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import uuid4


class Trace(NamedTuple):
    trace_id: str
    span_id: str
    flags: int
    state: str = ""

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def headers(self) -> dict[str, str]:
        return {"traceparent": self.traceparent, **({"tracestate": self.state} if self.state else {})}

    @property
    def stored(self) -> str:
        return " ".join(self.headers.values())


def new_trace(*, flags: int = 1, state: str = "") -> Trace:
    return Trace(uuid4().hex, uuid4().hex[:16], flags, state)


def trace_of(headers: Mapping[str, str]) -> Trace:
    version, trace_id, span_id, flags = headers["traceparent"].split("-")
    assert (version, len(trace_id), len(span_id), len(flags)) == ("00", 32, 16, 2)
    return Trace(trace_id, span_id, int(flags, 16), headers.get("tracestate", ""))


def stored_trace(value: object) -> Trace:
    assert isinstance(value, str)
    traceparent, _, state = value.partition(" ")
    return trace_of({"traceparent": traceparent, "tracestate": state})
