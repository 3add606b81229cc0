"""kill -9 of the gateway after every single step of the flows that take a charge, settle it, and tell the merchant."""

from collections.abc import Mapping, Sequence

import pytest

from tests.e2e.crash_points.life import Lives
from tests.e2e.crash_points.proxy import Point

VICTIM = "payment_gateway"
FLOWS = ("create_charge", "settle_charges", "deliver_webhooks")


@pytest.mark.parametrize("flow", FLOWS)
async def test_an_order_is_paid_once_wherever_the_gateway_dies_in(
    flow: str, points: Mapping[str, Sequence[Point]], lives: Lives
) -> None:
    for point in points[flow]:
        await lives.die_at(point)
