"""All routes of the gateway, each in its wing."""

from payment_gateway.controls.clock_routes import PROBLEMS as CLOCK_PROBLEMS
from payment_gateway.controls.routes import TEST_ROUTES
from payment_gateway.money.routes import MONEY_ROUTES
from payment_gateway.money.routes import PROBLEMS as MONEY_PROBLEMS
from payment_gateway.webhooks.endpoint_routes import ENDPOINT_ROUTES
from payment_gateway.webhooks.event_routes import EVENT_ROUTES
from shared.edge.problems import Table

PROBLEMS: Table = {**MONEY_PROBLEMS, **CLOCK_PROBLEMS}
ROUTES = [*MONEY_ROUTES, *EVENT_ROUTES, *ENDPOINT_ROUTES, *TEST_ROUTES]
