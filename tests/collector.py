"""A collector as OpenTelemetry's exporters see it (OTLP over HTTP), which keeps the spans that it is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.http_double import Asked, HttpDouble, http_double


@dataclass(frozen=True)
class Collected:
    """A span. `parent_id` is empty for one without a parent; ids in hex."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    failed: bool


class Collector:
    def __init__(self, double: HttpDouble) -> None:
        self.double = double
        self.url = double.url

    def spans(self) -> list[Collected]:
        return [span for asked in self.double.posts() for span in _spans(asked)]


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    async def take(_asked: Asked) -> web.StreamResponse:
        return web.Response(content_type="application/x-protobuf")

    async with http_double(take) as double:
        yield Collector(double)


def _spans(asked: Asked) -> list[Collected]:
    assert asked.path == "/v1/traces"
    request = ExportTraceServiceRequest.FromString(asked.body)
    return [
        _collected(_attributes(resource.resource.attributes)["service.name"], span)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _collected(service: str, span: Span) -> Collected:
    return Collected(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
