"""Which trace a piece of work belongs to: W3C Trace Context, level 2. Pure.

Ids come from whoever calls and prove nothing; they are only ever copied, and only if they are well-formed.
"""

import re
from random import getrandbits
from typing import Literal, NamedTuple

STATE_CHARS_MAX = 512  # what everybody must be able to pass on, §3.3.1.5; more is cut
STATE_MEMBERS_MAX = 32  # §3.3.1.1
Kind = Literal["server", "client", "internal"]  # of a span

_SAMPLED, _RANDOM = 0x01, 0x02  # whoever called records this trace; its id was drawn at random
# Version, trace id, span id, flags, and what later versions may add.
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_MEMBER = re.compile(
    r"(?P<key>[a-z0-9][a-z0-9_\-*/@]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]\Z"
)


class Trace(NamedTuple):
    """A place in a trace: the span `span_id` of the trace `trace_id`, both in lower-case hex. `state` is the tracestate."""

    trace_id: str
    span_id: str
    flags: int
    state: str = ""

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def stored(self) -> str:
        """As documents keep it: the traceparent, then a space and the tracestate if there is one."""
        return f"{self.traceparent} {self.state}" if self.state else self.traceparent

    @property
    def headers(self) -> dict[str, str]:
        """What tells the called to continue this trace."""
        return {"traceparent": self.traceparent, **({"tracestate": self.state} if self.state else {})}


def new_trace() -> Trace:
    """A trace that starts here. Nobody records it, as far as we know, so it is not sampled."""
    return Trace(f"{getrandbits(128):032x}", _new_span_id(), _RANDOM)


def child(trace: Trace) -> Trace:
    """The next place in the same trace."""
    return Trace(trace.trace_id, _new_span_id(), trace.flags, trace.state)


def parse(traceparent: str, tracestate: str = "") -> Trace | None:
    """The caller's place, from its headers; None if the traceparent is malformed: then a new trace starts, §3.2.

    A version that we do not know is read like ours as far as it goes. Of the flags we pass on those that we know.
    """
    found = _TRACEPARENT.match(traceparent.strip(" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, future = found.groups()
    if version == "ff" or (version == "00" and future is not None) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    state = _parse_state(tracestate) if tracestate else ""
    return Trace(trace_id, span_id, int(flags, 16) & (_SAMPLED | _RANDOM), state)


def parse_stored(value: object) -> Trace | None:
    """The inverse of `stored`; None for whatever else a document may hold."""
    if not isinstance(value, str):
        return None
    traceparent, _, state = value.partition(" ")
    return parse(traceparent, state)


def _new_span_id() -> str:
    return f"{getrandbits(64):016x}"


def _parse_state(tracestate: str) -> str:
    """The tracestate, at most STATE_CHARS_MAX of it; empty if any of it is malformed, §3.3."""
    members = [member for part in tracestate.split(",") if (member := part.strip(" \t"))]
    if len(members) > STATE_MEMBERS_MAX:
        return ""
    keys = {match["key"] for member in members if (match := _MEMBER.match(member))}
    if len(keys) != len(members):  # one is malformed, or comes twice
        return ""
    while members and len(",".join(members)) > STATE_CHARS_MAX:
        members.pop()  # those at the end changed longest ago
    return ",".join(members)
