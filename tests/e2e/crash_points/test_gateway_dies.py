"""kill -9 of the gateway after every single step of the flows through which a charge and a refund go."""

from collections.abc import Mapping, Sequence

import pytest

from tests.e2e.crash_points.invariants import Life
from tests.e2e.crash_points.life import Lives
from tests.e2e.crash_points.proxy import Point

VICTIM = "payment_gateway"
FLOWS: Mapping[Life, Sequence[str]] = {
    "paid": ("create_charge", "settle_charges", "deliver_webhooks"),
    "refunded": ("create_refund", "settle_charges", "deliver_webhooks"),
}
# With what each flow ends, but for the last. Settling ends with the second write of the charge, the mark off.
LAST: Mapping[Life, Sequence[tuple[str, int]]] = {
    "paid": (("insert charges", 1), ("update charges", 2)),
    "refunded": (("update charges", 1), ("update charges", 3)),
}


@pytest.mark.parametrize(("life", "flow"), [(life, flow) for life, flows in FLOWS.items() for flow in flows])
async def test_each_order_is_charged_and_refunded_once_wherever_the_gateway_dies(
    life: Life, flow: str, points: Mapping[tuple[Life, str], Sequence[Point]], lives: Lives
) -> None:
    for point in points[life, flow]:
        await lives.die_at(life, point)
