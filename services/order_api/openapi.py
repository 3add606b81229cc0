"""What the OpenAPI document of order_api says that its code does not: how it is meant to be used, and examples."""

from typing import Any

from order_api.order_routes import PlaceOrderRequest
from order_api.refund_routes import RefundRequest
from order_api.routes import WebhookReceipt
from order_api.views import EventView, OrderView, RefundView
from shared.edge.health import Live, Ready
from shared.edge.openapi import SIGNATURE, Api
from shared.wire import EventEnvelope

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

_CHARGE: dict[str, Any] = {
    "id": "ch_01a209e9aade7799afdccfd98db8e668",
    "state": "succeeded",
    "amount": 99.99,
    "failureCode": None,
    "at": "2026-11-23T19:37:23.370Z",
}
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

_PAID: dict[str, Any] = {
    "id": "ord_01a209e9aac873d8b2de2b8cece39e02",
    "orderNumber": "ORD-001",
    "amount": 99.99,
    "currency": "USD",
    "status": "Paid",
    "refundedAmount": 0,
    "paymentMethod": "pm_card_visa",
    "metadata": {"basket": "7"},
    "charges": [_CHARGE],
    "refunds": [],
    "reviews": [],
    "history": [
        {"status": "Pending", "at": "2026-11-23T19:37:18.280Z", "cause": "placed"},
        {"status": "Paid", "at": "2026-11-23T19:37:23.390Z", "cause": f"payment.succeeded {_EVENT['id']}"},
    ],
    "createdAt": "2026-11-23T19:37:18.280Z",
    "updatedAt": "2026-11-23T19:37:23.390Z",
}
_PENDING: dict[str, Any] = {
    **_PAID,
    "status": "Pending",
    "charges": [],
    "history": _PAID["history"][:1],
    "updatedAt": _PAID["createdAt"],
}

_CANCELLED = {
    **_PENDING,
    "status": "Cancelled",
    "history": [
        *_PENDING["history"],
        {"status": "Cancelled", "at": "2026-11-23T19:37:19.120Z", "cause": "cancelled by the merchant"},
    ],
    "updatedAt": "2026-11-23T19:37:19.120Z",
}
_REFUND = {
    "id": "rf_01a209e9bd1c7c2f95b1f30d6b7ad911",
    "chargeId": _CHARGE["id"],
    "amount": 10.00,
    "state": "succeeded",
    "cause": "merchant",
    "failureCode": None,
    "at": "2026-11-23T19:39:02.410Z",
}

API = Api(
    title="order_api",
    description=_DESCRIPTION,
    tags={
        "Orders": "Placing orders and following them.",
        "Webhooks": "Where the payment provider says what happened.",
        "Service": "Whether it works, and what its problems mean.",
    },
    rate_limited=True,
    parameters={
        "order_id": _PAID["id"],
        "refund_id": _REFUND["id"],
        "orderNumber": "ORD-001",
        "review": "open",
        "slug": "idempotency-key-reused",
    },
    answers={
        "create_order": _PENDING,
        "cancel_order": _CANCELLED,
        "create_refund": {**_REFUND, "state": "requested", "at": "2026-11-23T19:39:01.020Z"},
    },
    headers={"receive_payment_webhook": [SIGNATURE]},
    bodies={"receive_payment_webhook": EventEnvelope},
    examples={
        PlaceOrderRequest: {
            name: _PAID[name] for name in ("orderNumber", "amount", "currency", "paymentMethod", "metadata")
        },
        OrderView: _PAID,
        RefundRequest: {"amount": 10.00},
        RefundView: _REFUND,
        EventView: {
            "id": _EVENT["id"],
            "type": _EVENT["type"],
            "outcome": "applied",
            "detail": None,
            "source": "webhook",
            "chargeId": _CHARGE["id"],
            "raw": f'{{"id":"{_EVENT["id"]}","type":"{_EVENT["type"]}", … }}',
            "receivedAt": "2026-11-23T19:37:23.390Z",
            "timesReceived": 1,
        },
        EventEnvelope: _EVENT,
        WebhookReceipt: {"outcome": "applied"},
        Live: {"status": "live"},
        Ready: {"status": "ready"},
    },
)
