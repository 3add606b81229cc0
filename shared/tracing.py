"""The trace of the work in hand. Its id is in every log line; its spans are recorded if the extra `otel` is switched on.

A request or a piece of background work is one task. The task begins with `serving` or `continue_trace`. From then on its log
lines carry its `trace_id` and everything that was noted, `order_id` above all, and so do its spans. The API of OpenTelemetry
keeps the current span and reads the headers of callers (W3C Trace Context, level 2). Where nothing is recorded the ids still
travel, so that the logs of both services can be read as one.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Token
from random import getrandbits
from typing import TYPE_CHECKING, Literal

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.telemetry import bind, bound, log, rebind

if TYPE_CHECKING:
    from shared.otel import Recorder

STATE_CHARS_MAX = 512  # of a tracestate: as much as everybody must be able to pass on, §3.3.1.5. Documents keep it.
_FLAGS = TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID  # those that level 2 knows; no others are passed on, §3.2.2.5
_W3C = TraceContextTextMapPropagator()
logging.getLogger(trace.__name__).setLevel(logging.CRITICAL)  # otherwise each malformed tracestate would be logged
_tracer: trace.Tracer | None = None


class Span:
    """A step of a trace. It is the current one while it is entered."""

    __slots__ = ("_name", "_outer", "_span")

    def __init__(self, name: str, span: trace.Span) -> None:
        self._name = name
        self._span = span

    def __enter__(self) -> "Span":
        self._outer: Token[Context] = attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        detach(self._outer)
        if error:
            self._failed(type(error).__name__)
        self._span.end()

    def answered(self, status: int | None, *, failed: bool, route: str | None = None) -> None:
        """Records how the HTTP request of this step ended. Without an answer `status` is None.

        The names are those of the semantic conventions for HTTP spans. The route of a request is known once it is served.
        """
        if route:
            self._span.update_name(f"{self._name} {route}")
            self._span.set_attribute("http.route", route)
        if status:
            self._span.set_attribute("http.response.status_code", status)
        if failed:
            self._failed(str(status or "no answer"))

    def _failed(self, kind: str) -> None:
        """Records the kind of an error only: its text may hold something confidential."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.StatusCode.ERROR)


def parse(traceparent: str, tracestate: str = "") -> SpanContext | None:
    """The caller's span, from its headers. It is None if the traceparent is malformed; then a new trace starts, §3.2.

    A tracestate that is too long loses the members at its end, which changed longest ago. A malformed one is dropped.
    """
    if len(tracestate) > STATE_CHARS_MAX:
        tracestate = tracestate[: STATE_CHARS_MAX + 1].rpartition(",")[0]
    context = _W3C.extract({"traceparent": traceparent, "tracestate": tracestate}, Context())
    found = trace.get_current_span(context).get_span_context()
    if not found.is_valid:
        return None
    flags = TraceFlags(found.trace_flags & _FLAGS)
    return SpanContext(found.trace_id, found.span_id, is_remote=True, trace_flags=flags, trace_state=found.trace_state)


def serving(method: str, path: str, caller: SpanContext | None, *, recorded: bool, **about: str) -> Span:
    """The step of serving a request. It belongs to the trace of `caller`, or to a new one without a caller.

    Notes from before are forgotten, because a request may begin in the context of the one before it on its connection.
    """
    attributes = {"http.request.method": method, "url.path": path, **about}
    step = _step(method, SpanKind.SERVER, caller or INVALID_SPAN_CONTEXT, attributes, _tracer if recorded else None)
    rebind(trace_id=_trace_id(step), **about)
    return Span(method, step)


def span(name: str, kind: Literal["client", "internal"] = "internal", attributes: Mapping[str, str] = {}) -> Span:
    """A step of the work in hand."""
    current = trace.get_current_span()
    at = current.get_span_context()
    if at.is_valid and kind == "internal" and not _tracer:
        return Span(name, current)  # nothing shows this step, so it needs no id of its own
    noted = {name: value for name, value in bound().items() if name != "trace_id"} if _tracer else {}
    step = _step(name, SpanKind[kind.upper()], at, {**noted, **attributes}, _tracer)
    if not at.is_valid:
        bind(trace_id=_trace_id(step))
    return Span(name, step)


def continue_trace(stored: object, **about: object) -> None:
    """Makes this task work for the trace that a document carries, or for a new trace if the document carries none."""
    traceparent, _, tracestate = stored.partition(" ") if isinstance(stored, str) else ("", "", "")
    found = parse(traceparent, tracestate)
    current = NonRecordingSpan(found) if found else _unrecorded(INVALID_SPAN_CONTEXT)
    attach(trace.set_span_in_context(current))
    rebind(trace_id=_trace_id(current))
    note(**about)


def note(**about: object) -> None:
    """Adds to the log lines of this task from here on, and to its current span. Values that are no strings are left out."""
    known = {name: value for name, value in about.items() if isinstance(value, str)}
    bind(**known)
    trace.get_current_span().set_attributes(known)


def current_trace() -> str | None:
    """The current step as documents keep it: the traceparent, then a space and the tracestate if there is one."""
    return " ".join(trace_headers().values()) or None


def trace_headers() -> Mapping[str, str]:
    """The headers of a call to another service that the current step makes."""
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    return headers


@contextmanager
def exporting_traces(service: str) -> Iterator[None]:
    """Exports spans, if the OTEL_* variables say where to. At the end those that are left are exported in bounded time."""
    global _tracer  # noqa: PLW0603 - one for the process, like the logs
    recorder = _open_recorder(service, os.environ)
    _tracer = recorder.tracer if recorder else None
    try:
        yield
    finally:
        _tracer = None
        if recorder:
            recorder.stop()


def _step(
    name: str, kind: SpanKind, parent: SpanContext, attributes: Mapping[str, str], tracer: trace.Tracer | None
) -> trace.Span:
    if tracer is None:
        return _unrecorded(parent)
    return tracer.start_span(name, trace.set_span_in_context(NonRecordingSpan(parent), Context()), kind, attributes)


def _unrecorded(parent: SpanContext) -> trace.Span:
    """A span in the trace of `parent`, or in a new trace. The API of OpenTelemetry alone makes no ids.

    A new trace is not sampled, because nobody records it as far as we know.
    """
    flags = parent.trace_flags if parent.is_valid else TraceFlags(TraceFlags.RANDOM_TRACE_ID)
    trace_id = parent.trace_id or getrandbits(128)
    return NonRecordingSpan(SpanContext(trace_id, getrandbits(64), False, flags, parent.trace_state))


def _trace_id(span: trace.Span) -> str:
    return trace.format_trace_id(span.get_span_context().trace_id)


def _open_recorder(service: str, environ: Mapping[str, str]) -> "Recorder | None":
    """None without an endpoint, and where a standard variable switches traces off."""
    endpoint = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    exporters = {name.strip() for name in (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")}
    if not endpoint or "otlp" not in exporters or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    try:
        from shared.otel import Recorder  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        log.warning("no traces: install the extra `otel`", missing=error.name)
        return None
    try:
        return Recorder(service)
    except ValueError as error:
        raise SystemExit(f"cannot start: an OTEL_* variable does not parse: {error}") from None
