"""order_api's own routes with nothing behind them: the ceiling that `make bench` measures order_api against."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Response, get

from order_api.order_routes import create_order
from order_api.place_order import NewOrder, Outcome, PlaceOrder
from order_api.routes import PROBLEMS
from order_api.settings import Settings
from shared.edge.admit import Admission
from shared.edge.application import build
from shared.edge.limits import HttpLimits
from shared.edge.server import serve
from shared.env import load
from shared.idempotency import Answer
from shared.telemetry import configure_logs

BODY = '{"id":"ord_0","orderNumber":"ORD-001","amount":99.99,"currency":"USD","status":"Pending"}'


class Instant(PlaceOrder):
    """Answers without doing anything."""

    async def __call__(self, key: str, new: NewOrder) -> Outcome:
        return Answer(201, BODY, "/api/orders/ord_0", replayed=False)


@get("/health/ready", public=True)
async def ready() -> Response[Any]:
    return Response({"status": "ready"})


@asynccontextmanager
async def running() -> AsyncIterator[None]:
    yield


def main() -> None:
    settings = load(Settings, {**os.environ, "APP_ENV": "development", "MONGODB_URI": "mongodb://127.0.0.1:1"})
    configure_logs(settings.log_level, settings.log_format, service="instant")
    parts = {"place_order": Instant.__new__(Instant)}
    limits = HttpLimits()
    admission = Admission((), requests_max=limits.http_requests_max)
    app = build(
        "order_api", [create_order, ready], admission=admission, parts=parts, problems=PROBLEMS, running=running
    )
    serve(app, settings.address, limits=limits)


if __name__ == "__main__":
    main()
