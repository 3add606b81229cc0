"""What is counted of a request: labels that a stranger cannot make more of."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from shared.edge.exchange import exchanging
from tests.scraping import value


@pytest.mark.parametrize(
    ("method", "route", "labels"),
    [
        ("GET", "/api/orders/{order_id}", {"method": "GET", "route": "/api/orders/{order_id}"}),
        ("GET", None, {"method": "GET", "route": "none"}),
        ("PROPFIND", None, {"method": "other", "route": "none"}),
    ],
)
async def test_a_request_counts_under_its_route_and_never_under_its_path(
    method: str, route: str | None, labels: dict[str, str]
) -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if route:
            scope["path_template"] = route
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def nothing(*_: Any) -> None:
        """Nobody sends, and nobody reads it."""

    before = value("http_requests_total", status="200", **labels)
    for _ in range(2):
        scope: Any = {"type": "http", "method": method, "path": "/a/path/of/their/own", "headers": []}
        await exchanging(app)(scope, nothing, nothing)  # type: ignore[arg-type]
    assert value("http_requests_total", status="200", **labels) == before + 2
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    assert not any("their" in text for sample in samples for text in sample.labels.values())
