"""kill -9 of the gateway after every single step of the flows through which a charge and a refund go."""

from collections.abc import Mapping, Sequence

import pytest

from tests.e2e.crash_points.invariants import Life
from tests.e2e.crash_points.life import Lives
from tests.e2e.crash_points.proxy import Point

VICTIM = "payment_gateway"
# By flow, steps that it makes, the last of which ends it.
_SETTLE = ("update charges", "insert events", "insert deliveries", "update charges")  # the mark, and the mark off
_DELIVER = ("POST /api/webhooks/payments", "update deliveries")
FLOWS: Mapping[Life, Mapping[str, Sequence[str]]] = {
    "paid": {
        "create_charge": ("insert charges", "answer POST /v1/charges"),
        "settle_charges": _SETTLE,
        "deliver_webhooks": _DELIVER,
    },
    "refunded": {
        "create_refund": ("update charges", "answer POST /v1/charges/{id}/refunds"),
        "settle_refunds": _SETTLE,
        "deliver_webhooks": _DELIVER,
    },
}


@pytest.mark.parametrize(("life", "flow"), [(life, flow) for life, flows in FLOWS.items() for flow in flows])
async def test_each_order_is_charged_and_refunded_once_wherever_the_gateway_dies(
    life: Life, flow: str, points: Mapping[tuple[Life, str], Sequence[Point]], lives: Lives
) -> None:
    for point in points[life, flow]:
        await lives.die_at(life, point)
