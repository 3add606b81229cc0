"""What is counted of a request: labels that a stranger cannot make more of."""

from typing import Any, cast

import pytest
from litestar.types import HTTPScope
from prometheus_client import REGISTRY

from shared.edge.metrics import count_request
from tests.scraping import value


def scope(method: str, **fields: Any) -> HTTPScope:
    return cast("HTTPScope", {"method": method, "path": "/a/path/of/their/own", **fields})


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        (scope("GET", path_template="/api/orders/{order_id}"), {"method": "GET", "route": "/api/orders/{order_id}"}),
        (scope("GET"), {"method": "GET", "route": "none"}),
        (scope("PROPFIND"), {"method": "other", "route": "none"}),
    ],
)
def test_a_request_counts_under_its_route_and_never_under_its_path(asked: HTTPScope, labels: dict[str, str]) -> None:
    before = value("http_requests_total", status="200", **labels)
    for _ in range(2):
        count_request(asked, 200, 0.01)
    assert value("http_requests_total", status="200", **labels) == before + 2
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    assert not any("their" in text for sample in samples for text in sample.labels.values())
