"""All routes of the gateway, each in its wing; and the stream of what changes in any of them."""

from litestar import Response, get
from litestar.di import NamedDependency

from payment_gateway.controls.routes import TEST_ROUTES
from payment_gateway.money.routes import MONEY_ROUTES
from payment_gateway.webhooks.endpoint_routes import ENDPOINT_ROUTES
from payment_gateway.webhooks.event_routes import EVENT_ROUTES
from shared.edge.stream import EVENT_STREAM, stream_hints
from shared.edge.types import Request
from shared.watch import Hint, Watch

STREAM_PATH = "/v1/stream"


@get(STREAM_PATH, tags=["Events"], media_type=EVENT_STREAM, response_description="Server-sent events")
async def stream_changes(request: Request, watch: NamedDependency[Watch]) -> Response[Hint]:
    """Says at once which of your charges, deliveries and endpoints have changed, by server-sent events `{"id", "version"}`.
    `event: more` says that some were left out. Changes of `faults`, `clock` and requests go to every merchant. A comment
    comes every 15 seconds.
    """
    return stream_hints(request, watch)


ROUTES = [*MONEY_ROUTES, *EVENT_ROUTES, *ENDPOINT_ROUTES, *TEST_ROUTES, stream_changes]
