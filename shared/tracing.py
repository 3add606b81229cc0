"""What is being done, and for whom: in every log line, and in spans where OpenTelemetry is installed and switched on.

A request or a piece of background work is one task. It begins with `serving` or `continue_trace`; from then on the task's
log lines carry its `trace_id` and whatever is `note`d, `order_id` above all, and so do its spans. Without OpenTelemetry
the ids still travel, so that the logs of all services can be read as one.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

from shared.telemetry import bind, bound, log, rebind
from shared.trace import Kind, Trace, child, new_trace, parse_stored

if TYPE_CHECKING:
    from shared.otel import Recorded, Recorder

_recorder: "Recorder | None" = None
_current: ContextVar["Span | None"] = ContextVar("span", default=None)


class Span:
    """A step of a trace, being taken while it is entered."""

    __slots__ = ("_outer", "_recorded", "trace")

    def __init__(self, trace: Trace, recorded: "Recorded | None" = None) -> None:
        self.trace = trace
        self._recorded = recorded

    def __enter__(self) -> "Span":
        self._outer: Token[Span | None] = _current.set(self)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        _current.reset(self._outer)
        if self._recorded:
            if error:
                self._recorded.failed(type(error).__name__)
            self._recorded.end()

    def note(self, about: Mapping[str, str]) -> None:
        if self._recorded:
            self._recorded.set(about)

    def answered(self, status: int | None, *, failed: bool, route: str | None = None) -> None:
        """How the HTTP request ended that this step is about: `status` is None where no answer came."""
        if self._recorded:
            self._recorded.answered(status, failed=failed, route=route)


def serving(method: str, path: str, caller: Trace | None, *, recorded: bool, **about: str) -> Span:
    """The step of serving a request of `caller`; without one a trace starts. What was noted before is forgotten: on one
    connection a request may begin in the context of another.
    """
    attributes = {"http.request.method": method, "url.path": path, **about}
    step = _step(method, "server", caller, attributes, _recorder if recorded else None)
    rebind(trace_id=step.trace.trace_id, **about)
    return step


def span(name: str, kind: Kind = "internal", attributes: Mapping[str, str] = {}) -> Span:
    """A step of the work in hand."""
    current = _current.get()
    if current and kind == "internal" and not _recorder:
        return Span(current.trace)  # nobody sees it, so it needs no id of its own
    noted = {name: value for name, value in bound().items() if name != "trace_id"} if _recorder else {}
    step = _step(name, kind, current.trace if current else None, {**noted, **attributes}, _recorder)
    if current is None:
        bind(trace_id=step.trace.trace_id)
    return step


def continue_trace(stored: object, **about: object) -> None:
    """From here on this task works for the trace that a document carries, or for a new one if it carries none."""
    trace = parse_stored(stored) or new_trace()
    _current.set(Span(trace))
    rebind(trace_id=trace.trace_id)
    note(**about)


def note(**about: object) -> None:
    """What this task's log lines are about from here on, and its spans; what is no string says nothing."""
    known = {name: value for name, value in about.items() if isinstance(value, str)}
    bind(**known)
    if current := _current.get():
        current.note(known)


def current_trace() -> str | None:
    """The present step as a document keeps it, for whoever continues the work later."""
    current = _current.get()
    return current.trace.stored if current else None


def trace_headers() -> Mapping[str, str]:
    """For a call to another service that the present step makes."""
    current = _current.get()
    return current.trace.headers if current else {}


@contextmanager
def exporting_traces(service: str) -> Iterator[None]:
    """Exports spans, if the OTEL_* variables say where to. What is left at the end goes out within a bounded time."""
    global _recorder  # noqa: PLW0603 - one for the process, like the logs
    _recorder = _open_recorder(service, os.environ)
    try:
        yield
    finally:
        if _recorder:
            _recorder.stop()
            _recorder = None


def _step(
    name: str, kind: Kind, parent: Trace | None, attributes: Mapping[str, str], recorder: "Recorder | None"
) -> Span:
    if recorder:
        recorded = recorder.start(name, kind, parent, attributes)
        return Span(recorded.trace, recorded)
    return Span(child(parent) if parent else new_trace())


def _open_recorder(service: str, environ: Mapping[str, str]) -> "Recorder | None":
    """Off without an endpoint, and where a standard variable says so."""
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
