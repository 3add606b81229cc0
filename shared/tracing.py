"""What is being done, and for whom: in every log line, and in spans where OpenTelemetry is installed and switched on.

A request or a piece of background work is one task. It begins with `request_span` or `continue_trace`; from then on the
task's log lines carry its `trace_id` and whatever is `note`d, `order_id` above all, and so do its spans. Without
OpenTelemetry the ids still travel, so that the logs of all services can be read as one.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal

import structlog

from shared.telemetry import log
from shared.trace import Trace, child, new_trace, parse_stored

if TYPE_CHECKING:
    from shared.otel import Recorded, Recorder

Kind = Literal["server", "client", "internal"]


class Span:
    """A step of a trace."""

    __slots__ = ("_recorded", "trace")

    def __init__(self, trace: Trace, recorded: "Recorded | None" = None) -> None:
        self.trace = trace
        self._recorded = recorded

    def note(self, **about: str) -> None:
        if self._recorded:
            self._recorded.set(about)

    def answered(self, status: int | None, *, failed: bool, name: str | None = None, route: str | None = None) -> None:
        """How the HTTP request ended that this step is about: `status` is None where no answer came."""
        if self._recorded:
            self._recorded.answered(status, failed=failed, name=name, route=route)


_recorder: "Recorder | None" = None
_current: ContextVar[Span | None] = ContextVar("span", default=None)


def span(name: str, kind: Kind = "internal", attributes: Mapping[str, str] = {}) -> AbstractContextManager[Span]:
    """A step of the work in hand."""
    current = _current.get()
    return _step(name, kind, current.trace if current else None, attributes, _recorder)


def request_span(
    name: str, caller: Trace | None, attributes: Mapping[str, str], *, recorded: bool
) -> AbstractContextManager[Span]:
    """Serving a request of `caller`; without one a trace starts.

    What was noted before is forgotten: on one connection a request may begin in the context of another.
    """
    structlog.contextvars.clear_contextvars()
    return _step(name, "server", caller, attributes, _recorder if recorded else None)


def continue_trace(stored: object, **about: object) -> None:
    """From here on this task works for the trace that a document carries, or for a new one if it carries none."""
    structlog.contextvars.clear_contextvars()
    trace = parse_stored(stored) or new_trace()
    _current.set(Span(trace))
    structlog.contextvars.bind_contextvars(trace_id=trace.trace_id)
    note(**about)


def note(**about: object) -> None:
    """What this task's log lines are about from here on, and its spans; what is no string says nothing."""
    known = {name: value for name, value in about.items() if isinstance(value, str)}
    structlog.contextvars.bind_contextvars(**known)
    if current := _current.get():
        current.note(**known)


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
    """Records spans and exports them, if the OTEL_* variables say where to. What is left goes out at the end, for a
    bounded time.
    """
    global _recorder  # noqa: PLW0603 - one for the process, like the logs
    _recorder = _open_recorder(service, os.environ)
    try:
        yield
    finally:
        if _recorder:
            _recorder.stop()
            _recorder = None


@contextmanager
def _step(
    name: str, kind: Kind, parent: Trace | None, attributes: Mapping[str, str], recorder: "Recorder | None"
) -> Iterator[Span]:
    """The trace id stays bound when the step ends: who then logs how it ended is still of this trace."""
    if recorder:
        recorded = recorder.start(name, kind, parent, {**_noted(), **attributes})
        this = Span(recorded.trace, recorded)
    else:
        recorded = None
        this = Span(child(parent) if parent else new_trace())
    structlog.contextvars.bind_contextvars(trace_id=this.trace.trace_id)
    token = _current.set(this)
    try:
        yield this
    except BaseException as error:
        if recorded:
            recorded.failed(type(error).__name__)
        raise
    finally:
        _current.reset(token)
        if recorded:
            recorded.end()


def _noted() -> dict[str, str]:
    noted = structlog.contextvars.get_contextvars()
    noted.pop("trace_id", None)
    return noted


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
    return Recorder(service)
