"""What the OpenAPI document of order_api says that its code does not: how it is meant to be used, and examples."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from order_api import views
from order_api.calls import redriven
from order_api.order import Cancellation, Charge, Order, Refund, Review, StatusChange, merge
from order_api.order_routes import PlaceOrderRequest
from order_api.outbox import charge_call
from order_api.refund_routes import RefundRequest, ReviewDecision
from order_api.routes import ROUTES, WebhookReceipt
from shared.edge.health import Live, Ready
from shared.wire import EventEnvelope
from tools.openapi.document import SIGNATURE, Api

_DESCRIPTION = """\
Takes orders, has them charged by a payment provider, and says what became of them. An order is `Paid` only after a signed
event of the provider, or the same event fetched from it.

**Access.** `Authorization: Bearer <key>`. A service that was set up without keys serves everybody as one merchant.

**Idempotency.** A POST that creates needs an `Idempotency-Key`. For 24 hours the same key and body get the same answer,
marked `Idempotent-Replayed: true`, and nothing is done twice; with another body the key is refused (422). A refused request
stores nothing, so its key stays free. After a timeout, 409 or 503 send the same request with the same key again.

**Errors** are problem documents (RFC 9457), `application/problem+json`. `type` is an address of this service that explains
the problem; `instance` is the request's id, which is in `X-Request-Id` and in the logs too.

**Amounts** are decimal, in major units of an ISO 4217 currency: 99.99 USD, 5000 JPY, 1.250 KWD.

**Lists** are newest first. `nextCursor` of a page, sent as `cursor`, gets the next one; on the last it is null.
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
    "data": {
        "id": "ch_01a209e9aade7799afdccfd98db8e668",
        "amount": 9999,
        "currency": "USD",
        "reference": "ord_01a209e9aac873d8b2de2b8cece39e02",
        "status": "succeeded",
        "failureCode": None,
        "amountRefunded": 0,
        "paymentMethod": "pm_card_visa",
        "metadata": {},
        "createdAt": "2026-11-23T19:37:18.290Z",
        "settledAt": "2026-11-23T19:37:23.370Z",
    },
}
_CHARGE = Charge(id=_EVENT["data"]["id"], state="succeeded", amount_minor=9999, at=_at("19:37:23.370"))
_PENDING = Order(
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
_PAID = merge(_PENDING, _CHARGE, now=_at("19:37:23.390"), cause=f"payment.succeeded {_EVENT['id']}")
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
_DEAD = replace(
    charge_call(_PENDING),
    state="dead",
    attempts=24,
    first_attempt_at=_at("19:37:18.291"),
    due_at=None,
    last_error="gave up after 24 attempts: HTTP 503 unavailable",
    updated_at=_at("21:09:05.022"),
)
_REDRIVEN_AT = _at("22:00:31.070")
_REDRIVEN = redriven(_DEAD, "", at=_REDRIVEN_AT, now=_REDRIVEN_AT)
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
        "slug": "idempotency-key-reused",
    },
    answers={
        "create_order": _shown(views.order_view(_PENDING)),
        "cancel_order": _shown(views.order_view(_CANCELLED)),
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
        RefundRequest: {"amount": 10.00},
        views.RefundView: _shown(views.refund_view(_REFUND, _PAID)),
        ReviewDecision: {"decision": "accept"},
        views.MessageView: views.message_view(_PAID.id, _DEAD),
        views.EventView: {
            "id": _EVENT["id"],
            "type": _EVENT["type"],
            "outcome": "applied",
            "detail": None,
            "source": "webhook",
            "chargeId": _CHARGE.id,
            "raw": f'{{"id":"{_EVENT["id"]}","type":"{_EVENT["type"]}", … }}',
            "receivedAt": "2026-11-23T19:37:23.390Z",
            "timesReceived": 1,
        },
        views.TimelineView: {
            "data": [
                {"at": _SHOWN["createdAt"], "kind": "placed", "id": _PAID.id, "amount": 99.99},
                {"at": _SHOWN["createdAt"], "kind": "call", "id": _DEAD.id, "state": "done", "type": "charge"},
                {"at": _SHOWN["createdAt"], "kind": "status", "state": "Pending", "reason": "placed"},
                {
                    "at": "2026-11-23T19:37:18.291Z",
                    "kind": "attempt",
                    "id": _DEAD.id,
                    "state": "accepted",
                    "type": "charge",
                    "ms": 14,
                    "reason": f"made {_CHARGE.id}",
                },
                {"at": "2026-11-23T19:37:23.390Z", "kind": "status", "state": "Paid"},
            ]
        },
        EventEnvelope: _EVENT,
        WebhookReceipt: {"outcome": "applied"},
        Live: {"status": "live"},
        Ready: {"status": "ready"},
    },
)
