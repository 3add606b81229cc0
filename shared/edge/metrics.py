"""`/metrics`, and what is counted of every request."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from itertools import chain
from typing import Any

import pymongo
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.types import HTTPScope
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics
from pymongo.errors import PyMongoError

from shared.metrics import SECONDS
from shared.mongo import count_error

STOCK_KEPT_SECONDS = 5.0  # however often we are scraped, the database is asked this often
STOCK_TIMEOUT_SECONDS = 1.0  # Prometheus gives up on a scrape after ten

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ROUTE = "none"  # never the path itself: anybody can make up new ones
_REQUESTS = Counter(
    "http_requests_total",
    "Requests by route; with status 0, no answer was begun",
    ["method", "route", "status"],
)
_DURATION = Histogram(
    "http_request_duration_seconds", "Time to answer requests, by route", ["method", "route"], buckets=SECONDS
)
_REFUSALS = Counter(
    "http_connections_refused_total",
    "Connections ended before there was a request to route: too many, too slow, too large, or not HTTP",
    ["status"],
)
REQUESTS_AT_WORK = Gauge("http_requests_at_work", "Requests being answered")
_seen: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}


def count_request(scope: HTTPScope, status: int, seconds: float) -> None:
    """Under the route that Litestar has found for it, or none."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    seen = (method, scope.get("path_template", _NO_ROUTE), status)
    if seen not in _seen:
        _seen[seen] = (_REQUESTS.labels(*seen), _DURATION.labels(*seen[:2]))
    requests, duration = _seen[seen]
    requests.inc()
    duration.observe(seconds)


def count_refusal(status: HTTPStatus) -> None:
    _REFUSALS.labels(status.value).inc()


class Exposition:
    """All metrics of the process, and what `take_stock` counts in the database, unless that is slow or away."""

    def __init__(self, take_stock: Callable[[], Awaitable[Sequence[Metric]]]) -> None:
        self._take_stock = take_stock
        self._taking = asyncio.Lock()
        self._stock: Sequence[Metric] = ()
        self._kept_until = 0.0

    async def stock(self) -> Sequence[Metric]:
        """As it was at most STOCK_KEPT_SECONDS ago."""
        async with self._taking:
            if time.monotonic() >= self._kept_until:
                self._stock = await self._ask()
                self._kept_until = time.monotonic() + STOCK_KEPT_SECONDS
            return self._stock

    async def _ask(self) -> Sequence[Metric]:
        answers = "Whether MongoDB answered in time; if not, what is counted there is missing here"
        try:
            with pymongo.timeout(STOCK_TIMEOUT_SECONDS):
                return [GaugeMetricFamily("database_up", answers, 1), *await self._take_stock()]
        except PyMongoError as error:
            count_error(error)
            return [GaugeMetricFamily("database_up", answers, 0)]


class _Everything:
    def __init__(self, stock: Sequence[Metric]) -> None:
        self._stock = stock

    def collect(self) -> Iterable[Metric]:
        return chain(REGISTRY.collect(), self._stock)


@get("/metrics", public=True, always=True, include_in_schema=False)
async def show_metrics(request: Request[Any, Any, Any], exposition: NamedDependency[Exposition]) -> Response[bytes]:
    """In OpenMetrics for whoever accepts it, else in Prometheus' text format 0.0.4."""
    everything = _Everything(await exposition.stock())
    if "application/openmetrics-text" in request.headers.get("accept", ""):
        body = openmetrics.generate_latest(everything)  # type: ignore[no-untyped-call]
        return Response(body, headers={"Content-Type": openmetrics.CONTENT_TYPE_LATEST})
    return Response(generate_latest(everything), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
