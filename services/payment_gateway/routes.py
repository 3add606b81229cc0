"""All routes of the gateway, each in its wing; and those about the service itself."""

from litestar import Response, get
from litestar.di import NamedDependency

from payment_gateway.controls.routes import PROBLEMS as CONTROL_PROBLEMS
from payment_gateway.controls.routes import TEST_ROUTES
from payment_gateway.money.routes import MONEY_ROUTES
from payment_gateway.money.routes import PROBLEMS as MONEY_PROBLEMS
from payment_gateway.webhooks.endpoint_routes import ENDPOINT_ROUTES
from payment_gateway.webhooks.event_routes import EVENT_ROUTES
from shared.edge.health import NOT_READY, Readiness, Ready
from shared.edge.metrics import show_metrics
from shared.edge.problems import Table

PROBLEMS: Table = {**MONEY_PROBLEMS, **CONTROL_PROBLEMS}


@get("/health/ready", tags=["Service"], public=True, always=True, responses=NOT_READY)
async def health_ready(readiness: NamedDependency[Readiness]) -> Response[Ready]:
    """Whether it can serve: the database's primary answers."""
    return await readiness()


ROUTES = [*MONEY_ROUTES, *EVENT_ROUTES, *ENDPOINT_ROUTES, *TEST_ROUTES, health_ready, show_metrics]
