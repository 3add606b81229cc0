"""kill -9 of order_api after every single step of the flows through which an order goes."""

from collections.abc import Mapping, Sequence

import pytest

from tests.e2e.crash_points.invariants import Life
from tests.e2e.crash_points.life import Lives
from tests.e2e.crash_points.proxy import Point

VICTIM = "order_api"
FLOWS: Mapping[Life, Sequence[str]] = {
    "paid": ("place_order", "dispatch_outbox", "record_events"),
    "refunded": ("refund_order", "dispatch_outbox", "record_events"),
    "doubled": ("record_events of a second charge", "dispatch_outbox", "record_events of its refund"),
    "cancelled": ("cancel_order",),
}


@pytest.mark.parametrize(("life", "flow"), [(life, flow) for life, flows in FLOWS.items() for flow in flows])
async def test_each_order_is_placed_charged_refunded_or_cancelled_once_wherever_order_api_dies(
    life: Life, flow: str, points: Mapping[tuple[Life, str], Sequence[Point]], lives: Lives
) -> None:
    for point in points[life, flow]:
        await lives.die_at(life, point)
