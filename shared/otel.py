"""Spans recorded by the OpenTelemetry SDK and sent to a collector (OTLP over HTTP) by a thread of its own.

The only module that imports OpenTelemetry, and itself imported only where that is switched on.
"""

import logging
import threading
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.telemetry import log
from shared.trace import Kind, Trace

STOP_SECONDS = 2.0  # for what is left to export; a collector that does not answer does not keep us from ending

_W3C = TraceContextTextMapPropagator()
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}


class Recorded:
    """A span of the SDK. One that its sampler turned down takes all this too, and is not exported."""

    __slots__ = ("_name", "_span", "trace")

    def __init__(self, name: str, span: Span) -> None:
        self._name = name
        self._span = span
        at = span.get_span_context()
        state = at.trace_state.to_header()
        self.trace = Trace(f"{at.trace_id:032x}", f"{at.span_id:016x}", int(at.trace_flags), state)

    def set(self, attributes: Mapping[str, str]) -> None:
        self._span.set_attributes(attributes)

    def answered(self, status: int | None, *, failed: bool, route: str | None) -> None:
        """Names: semantic conventions for HTTP spans. A request's route is known once it is served."""
        if route:
            self._span.update_name(f"{self._name} {route}")
            self._span.set_attribute("http.route", route)
        if status:
            self._span.set_attribute("http.response.status_code", status)
        if failed:
            self.failed(str(status or "no answer"))

    def failed(self, kind: str) -> None:
        """`kind` is all that is said of an error: its text may hold what is nobody's business."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        self._span.end()


class Recorder:
    """Sampling, limits, batches and headers are as the OTEL_* variables say; the service's name too, if they have one."""

    def __init__(self, service: str) -> None:
        self._exporter = _Exporter()
        self._provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer(service)
        # From here on it has nothing to say but that its queue is full, again and again, which follows from what the
        # exporter says once.
        logging.getLogger("opentelemetry.sdk").setLevel(logging.CRITICAL)

    def start(self, name: str, kind: Kind, parent: Trace | None, attributes: Mapping[str, str]) -> Recorded:
        context = _W3C.extract(parent.headers) if parent else Context()
        return Recorded(name, self._tracer.start_span(name, context, _KINDS[kind], attributes))

    def stop(self) -> None:
        """Exports what is left, for at most STOP_SECONDS."""
        stopping = threading.Thread(target=self._provider.shutdown, daemon=True)
        stopping.start()
        stopping.join(STOP_SECONDS)
        if stopping.is_alive():
            log.warning("traces are lost: the collector did not take the last ones in time")
            self._exporter.shutdown()  # type: ignore[no-untyped-call]


class _Exporter(OTLPSpanExporter):
    """Says once that the collector does not take our spans, and once that it takes them again."""

    def __init__(self) -> None:
        super().__init__()
        self._failing = False
        self._says = _LastWords()
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(self._says)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            log.warning("traces are lost: the collector does not take them", reason=self._says.last)
        elif self._failing and not failing:
            log.info("traces are exported again")
        self._failing = failing
        return result


class _LastWords(logging.Filter):
    """Keeps a logger quiet, and what it would have said last."""

    last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.last = record.getMessage()[:300]
        return False


def _resource(service: str) -> Resource:
    found = Resource.create()
    named = not str(found.attributes[SERVICE_NAME]).startswith("unknown_service")
    return found if named else found.merge(Resource({SERVICE_NAME: service}))
