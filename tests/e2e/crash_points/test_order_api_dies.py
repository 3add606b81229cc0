"""kill -9 of order_api after every single step of the flows that place an order, have it charged, and record that."""

from collections.abc import Mapping, Sequence

import pytest

from tests.e2e.crash_points.life import Lives
from tests.e2e.crash_points.proxy import Point

VICTIM = "order_api"
FLOWS = ("place_order", "dispatch_outbox", "record_events")


@pytest.mark.parametrize("flow", FLOWS)
async def test_an_order_is_paid_once_wherever_order_api_dies_in(
    flow: str, points: Mapping[str, Sequence[Point]], lives: Lives
) -> None:
    for point in points[flow]:
        await lives.die_at(point)
