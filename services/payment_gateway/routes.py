"""All routes of the gateway, each in its wing; and the stream of what changes in any of them."""

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from payment_gateway.controls.clock_routes import PROBLEMS as CLOCK_PROBLEMS
from payment_gateway.controls.routes import TEST_ROUTES
from payment_gateway.money.routes import MONEY_ROUTES
from payment_gateway.money.routes import PROBLEMS as MONEY_PROBLEMS
from payment_gateway.webhooks.endpoint_routes import ENDPOINT_ROUTES
from payment_gateway.webhooks.event_routes import EVENT_ROUTES
from shared.edge.problems import Table
from shared.edge.stream import EVENT_STREAM, stream_hints
from shared.watch import Hint, Watch

STREAM_PATH = "/v1/stream"


@get(STREAM_PATH, tags=["Events"], media_type=EVENT_STREAM, response_description="Server-sent events")
async def stream_changes(request: Request[Any, Any, Any], watch: NamedDependency[Watch]) -> Response[Hint]:
    """Says which of your charges, deliveries and endpoints have changed, as it happens: server-sent events `{"id",
    "version"}`, and `event: more` where some were left out. `faults`, `clock` and requests are told to everybody. A comment
    comes every 15 seconds.
    """
    return stream_hints(request, watch)


PROBLEMS: Table = {**MONEY_PROBLEMS, **CLOCK_PROBLEMS}
ROUTES = [*MONEY_ROUTES, *EVENT_ROUTES, *ENDPOINT_ROUTES, *TEST_ROUTES, stream_changes]
