"""The metrics of every request, and the page `/metrics`."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import Any

import pymongo
from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics
from pymongo.errors import PyMongoError

from shared.edge.types import Request
from shared.kept import Kept
from shared.metrics import SECONDS
from shared.mongo import Client, describe, is_reachable
from shared.telemetry import log

STOCK_KEPT_SECONDS = 5.0  # however often we are scraped, the database is asked this often
COUNT_TIMEOUT_SECONDS = 0.5  # Prometheus gives up on a scrape after ten
SHOWN_KEPT_SECONDS = 0.2  # making it takes about ten milliseconds, in which nobody else is served

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ROUTE = "none"  # never the path itself: anybody can make up new ones
_REQUESTS = Counter(
    "http_requests_total", "Requests by route; with status 0, no answer was begun", ["method", "route", "status"]
)
_DURATION = Histogram(
    "http_request_duration_seconds", "Time to answer requests, by route", ["method", "route"], buckets=SECONDS
)
_REFUSALS = Counter(
    "http_connections_refused_total",
    "Connections ended before there was a request to route: too many, too slow, too large, or not HTTP",
    ["status"],
)
CUT_OFF = Counter("http_connections_cut_off_total", "Connections ended because the client left unread what it was sent")
UNREAD_BYTES = Gauge("http_unread_bytes", "Bytes of answers that all clients together have not read yet")
UNREAD_BYTES_BOUND = Gauge("http_unread_bytes_max", "The bound of http_unread_bytes; above it connections are closed")
REQUESTS_AT_WORK = Gauge("http_requests_at_work", "Requests being answered")
Count = Callable[[], Awaitable[Sequence[Metric]]]
_seen: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Counts a request under the route that Litestar has found for it, or under `none`."""
    seen = (method if method in _METHODS else "other", route or _NO_ROUTE, status)
    if seen not in _seen:
        _seen[seen] = (_REQUESTS.labels(*seen), _DURATION.labels(*seen[:2]))
    requests, duration = _seen[seen]
    requests.inc()
    duration.observe(seconds)


def count_refusal(status: HTTPStatus) -> None:
    _REFUSALS.labels(status.value).inc()


class Exposition:
    """All metrics of the process, and those that `counts` read from the database. A count that is too slow is left out."""

    def __init__(self, client: Client, counts: Sequence[Count]) -> None:
        self._client = client
        self._counts = counts
        self._stock: Sequence[Metric] = ()
        self._taking_stock = Kept(self._take_stock, seconds=STOCK_KEPT_SECONDS)
        self._as_text = Kept(partial(self._make, generate_latest), seconds=SHOWN_KEPT_SECONDS)
        self._as_open_metrics = Kept(partial(self._make, openmetrics.generate_latest), seconds=SHOWN_KEPT_SECONDS)

    async def show(self, *, open_metrics: bool) -> bytes:
        """The page, as OpenMetrics or in Prometheus' text format. It is kept for a moment, because making it is costly."""
        return await (self._as_open_metrics() if open_metrics else self._as_text())

    def collect(self) -> Iterable[Metric]:
        """All metrics, for `generate_latest`, which takes this object for a registry."""
        return chain(REGISTRY.collect(), self._stock)

    async def _make(self, generate: Callable[[Any], bytes]) -> bytes:
        self._stock = await self._taking_stock()
        return generate(self)

    async def _take_stock(self) -> Sequence[Metric]:
        answers = await is_reachable(self._client)
        up = "Whether MongoDB answers; if not, what is counted there is missing"
        stock: list[Metric] = [GaugeMetricFamily("database_up", up, answers)]
        for count in self._counts if answers else ():
            try:
                with pymongo.timeout(COUNT_TIMEOUT_SECONDS):
                    stock += await count()
            except PyMongoError as error:
                log.warning("not counted", reason=describe(error))
        return stock


@get("/metrics", public=True, always=True, include_in_schema=False)
async def show_metrics(request: Request, exposition: NamedDependency[Exposition]) -> Response[bytes]:
    """OpenMetrics if the client accepts it, else Prometheus' text format 0.0.4."""
    open_metrics = "application/openmetrics-text" in request.headers.get("accept", "")
    media_type = openmetrics.CONTENT_TYPE_LATEST if open_metrics else CONTENT_TYPE_PLAIN_0_0_4
    return Response(await exposition.show(open_metrics=open_metrics), headers={"Content-Type": media_type})
