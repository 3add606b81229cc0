"""kill -9 of order_api after every single step of the flows through which an order goes."""

from collections.abc import Mapping, Sequence

import pytest

from tests.e2e.crash_points.invariants import Life
from tests.e2e.crash_points.life import Lives
from tests.e2e.crash_points.proxy import Point

VICTIM = "order_api"
# By flow, steps that it makes, the last of which ends it. An event is stored, merged into its order, and given its outcome.
_DISPATCH_NEW = ("POST /v1/charges", "update orders")  # the insert of the order has claimed its call
_DISPATCH_CHARGE = ("update orders", "POST /v1/charges", "update orders")
_DISPATCH_REFUND = ("update orders", "POST /v1/charges/{id}/refunds", "update orders")
_RECORD = ("insert payment_events", "update orders", "update payment_events", "answer POST /api/webhooks/payments")
FLOWS: Mapping[Life, Mapping[str, Sequence[str]]] = {
    "paid": {
        "place_order": ("insert orders", "answer POST /api/orders"),
        "dispatch_outbox": _DISPATCH_NEW,
        "record_events": _RECORD,
    },
    "refunded": {
        "refund_order": ("update orders", "answer POST /api/orders/{id}/refunds"),
        "dispatch_outbox": _DISPATCH_REFUND,
        "record_events": _RECORD,
    },
    "doubled": {
        "record_events of a second charge": _RECORD,
        "dispatch_outbox": _DISPATCH_REFUND,
        "record_events of its refund": _RECORD,
    },
    "cancelled": {"cancel_order": ("update orders", "answer POST /api/orders/{id}/cancel")},
    "paid again": {
        "pay_order": ("update orders", "answer POST /api/orders/{id}/payments"),
        "dispatch_outbox of the second attempt": _DISPATCH_CHARGE,
        "record_events of its charge": _RECORD,
    },
}


@pytest.mark.parametrize(("life", "flow"), [(life, flow) for life, flows in FLOWS.items() for flow in flows])
async def test_each_order_is_placed_charged_refunded_or_cancelled_once_wherever_order_api_dies(
    life: Life, flow: str, points: Mapping[tuple[Life, str], Sequence[Point]], lives: Lives
) -> None:
    for point in points[life, flow]:
        await lives.die_at(life, point)
