"""Records spans with the SDK of OpenTelemetry. A thread of its own sends them to a collector (OTLP over HTTP).

This module needs the extra `otel`. `tracing.py` imports it only if traces are switched on.
"""

import logging
import threading
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from shared.telemetry import log

STOP_SECONDS = 2.0  # for the spans that are left at the end; a collector that does not answer cannot delay our own end


class Recorder:
    """Sampling, limits, batches, headers and the service's name are as the OTEL_* variables say; `service` is the default
    of the name. Raises ValueError for a variable that does not parse.
    """

    def __init__(self, service: str) -> None:
        self._exporter = _Exporter()
        self._provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.tracer = self._provider.get_tracer(service)
        # From here on the SDK would only repeat that its queue is full. That follows from what the exporter says once.
        logging.getLogger("opentelemetry.sdk").setLevel(logging.CRITICAL)

    def stop(self) -> None:
        """Exports the spans that are left, for at most STOP_SECONDS."""
        stopping = threading.Thread(target=self._provider.shutdown, daemon=True)
        stopping.start()
        stopping.join(STOP_SECONDS)
        if stopping.is_alive():
            log.warning("traces are lost: the collector did not take the last ones in time")
            self._exporter.shutdown()  # type: ignore[no-untyped-call]


class _Exporter(OTLPSpanExporter):
    """Logs once that the collector does not take our spans, and once that it takes them again."""

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
    """Silences a logger, and keeps its last message."""

    last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.last = record.getMessage()[:300]
        return False


def _resource(service: str) -> Resource:
    found = Resource.create()
    named = not str(found.attributes[SERVICE_NAME]).startswith("unknown_service")
    return found if named else found.merge(Resource({SERVICE_NAME: service}))
