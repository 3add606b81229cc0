"""What the OpenAPI document of order_api says that its code does not: how it is meant to be used, and examples."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from order_api import views
from order_api.calls import Try, redriven
from order_api.event import StoredEvent
from order_api.facts import Cancellation, Charge, Refund, Review
from order_api.merge import merge
from order_api.order import Order, StatusChange
from order_api.order_routes import PaymentRequest, PlaceOrderRequest
from order_api.outbox import charge_call
from order_api.refund_routes import RefundRequest, ReviewDecision
from order_api.routes import ROUTES, WebhookReceipt
from order_api.timeline import timeline
from shared.wire import EventEnvelope
from tools.openapi.document import ERRORS, IDEMPOTENCY, LISTS, SIGNATURE, Api
from tools.openapi.payment_gateway import CHARGE

_DESCRIPTION = f"""\
Takes orders, has them charged by a payment provider, and says what became of them. An order is `Paid` only after a signed
event of the provider, or the same event fetched from it.

**Access.** `Authorization: Bearer <key>`. A service that was set up without keys serves everybody as one merchant.

{IDEMPOTENCY}

{ERRORS}

**Amounts** are decimal, in major units of an ISO 4217 currency: 99.99 USD, 5000 JPY, 1.250 KWD.

{LISTS}
"""


def _shown(view: Any) -> Any:
    return msgspec.json.decode(views.to_json(view))


def _at(time: str) -> datetime:
    """On the day of the examples."""
    return datetime.fromisoformat(f"2026-11-23T{time}Z")


_EVENT: dict[str, Any] = {
    "id": "evt_01a209e9aade7ffe862f26fa1fb6b5a0",
    "type": "payment.succeeded",
    "timestamp": "2026-11-23T19:37:23.370Z",
    "data": {**CHARGE, "metadata": {}},
}
_CHARGE = Charge(
    id=_EVENT["data"]["id"],
    reference=_EVENT["data"]["reference"],
    state="succeeded",
    amount_minor=9999,
    at=_at("19:37:23.370"),
)
_PLACED = Order(
    id=_EVENT["data"]["reference"],
    merchant="default",
    order_number="ORD-001",
    amount_minor=9999,
    currency="USD",
    exponent=2,
    payment_method="pm_card_visa",
    metadata={"basket": "7"},
    history=(StatusChange("Pending", _at("19:37:18.280"), "placed"),),
    created_at=_at("19:37:18.280"),
    updated_at=_at("19:37:18.280"),
)
_CALL = charge_call(_PLACED, _PLACED.payment_method, at=_PLACED.created_at)
_PENDING = replace(_PLACED, calls=(_CALL,))
_PAID = merge(_PENDING, _CHARGE, now=_at("19:37:23.390"), cause=f"payment.succeeded {_EVENT['id']}")
_STORED = StoredEvent(
    id=_EVENT["id"],
    type=_EVENT["type"],
    charge_id=_CHARGE.id,
    outcome="applied",
    source="webhook",
    raw=msgspec.json.encode(_EVENT).decode(),
    received_at=_at("19:37:23.390"),
)
_CANCELLED_AT = _at("19:37:19.120")
_CANCELLED = merge(_PENDING, Cancellation(_CANCELLED_AT), now=_CANCELLED_AT, cause="cancelled by the merchant")
_REVIEW = Review(
    code="event-mismatch",
    detail="9900 USD for an order of 9999 USD",
    event_id="evt_01a209e9aade74c1a7b70b6a3f7d5e02",
    raised_at=_at("19:37:21.020"),
    resolved_at=_at("20:12:40.300"),
    decision="accept",
)
_REFUND = Refund(
    id="rf_01a209e9bd1c7c2f95b1f30d6b7ad911",
    charge_id=_CHARGE.id,
    amount_minor=1000,
    state="succeeded",
    cause="merchant",
    at=_at("19:39:02.410"),
)
_ASKED_FOR = replace(_REFUND, state="requested", at=_at("19:39:01.020"))
_MADE = replace(
    _CALL,
    state="done",
    tries=(Try(at=_at("19:37:18.305"), ms=14, outcome="accepted", reason=f"made {_CHARGE.id}"),),
)
_DEAD = replace(
    _CALL,
    state="dead",
    attempts=24,
    first_attempt_at=_at("19:37:18.291"),
    due_at=None,
    last_error="gave up after 24 attempts: HTTP 503 unavailable",
    updated_at=_at("21:09:05.022"),
)
_REDRIVEN_AT = _at("22:00:31.070")
_REDRIVEN = redriven(_DEAD, "", at=_REDRIVEN_AT, now=_REDRIVEN_AT)
_DECLINED = replace(_CHARGE, state="failed", failure_code="card_declined")
_FAILED = merge(replace(_PENDING, calls=(_MADE,)), _DECLINED, now=_at("19:37:23.390"), cause="payment.failed evt_1")
_AGAIN = charge_call(_FAILED, "pm_card_visa", at=_at("19:41:02.118"))
_PAID_AGAIN = merge(
    replace(_FAILED, calls=(*_FAILED.calls, _AGAIN)), now=_AGAIN.created_at, cause="paid again with pm_card_visa"
)
_SHOWN = _shown(views.order_view(_PAID))

API = Api(
    title="order_api",
    routes=ROUTES,
    description=_DESCRIPTION,
    tags={
        "Orders": "Placing orders and following them.",
        "Outbox": "What is asked of the payment provider, and what to do where it did not answer.",
        "Webhooks": "Where the payment provider says what happened.",
        "Service": "Whether it works, and what its problems mean.",
    },
    rate_limited=True,
    parameters={
        "order_id": _PAID.id,
        "refund_id": _REFUND.id,
        "code": "event-mismatch",
        "message_id": _DEAD.id,
        "orderNumber": "ORD-001",
        "review": "open",
        "createdFrom": "2026-11-23T00:00:00Z",
        "createdTo": "2026-11-24T00:00:00Z",
    },
    answers={
        "create_order": _shown(views.order_view(_PENDING)),
        "cancel_order": _shown(views.order_view(_CANCELLED)),
        "create_payment": _shown(views.order_view(_PAID_AGAIN)),
        "create_refund": _shown(views.refund_view(_ASKED_FOR, _PAID)),
        "resolve_review": _shown(views.order_view(replace(_PAID, reviews=(_REVIEW,)))),
        "redrive_message": _shown(views.message_view(_PAID.id, _REDRIVEN)),
    },
    headers={"receive_payment_webhook": [SIGNATURE]},
    bodies={"receive_payment_webhook": EventEnvelope},
    examples={
        PlaceOrderRequest: {
            name: _SHOWN[name] for name in ("orderNumber", "amount", "currency", "paymentMethod", "metadata")
        },
        views.OrderView: _SHOWN,
        PaymentRequest: {"paymentMethod": "pm_card_visa"},
        RefundRequest: {"amount": 10.00},
        views.RefundView: _shown(views.refund_view(_REFUND, _PAID)),
        ReviewDecision: {"decision": "accept"},
        views.MessageView: views.message_view(_PAID.id, _DEAD),
        views.EventView: _shown(views.event_view(_STORED)),
        views.TimelineView: _shown(timeline(replace(_PAID, calls=(_MADE,)), [_STORED])),
        EventEnvelope: _EVENT,
        WebhookReceipt: {"outcome": "applied"},
    },
)
