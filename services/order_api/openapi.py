"""What the OpenAPI document of order_api says that its code does not: how it is meant to be used, and examples."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from order_api.calls import Call
from order_api.order_routes import PlaceOrderRequest
from order_api.refund_routes import RefundRequest, ReviewDecision
from order_api.routes import WebhookReceipt
from order_api.views import EventView, MessageView, OrderView, RefundView, TimelineView, message_view
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

_REVIEWED = {
    **_PAID,
    "reviews": [
        {
            "code": "event-mismatch",
            "detail": "9900 USD for an order of 9999 USD",
            "eventId": "evt_01a209e9aade74c1a7b70b6a3f7d5e02",
            "raisedAt": "2026-11-23T19:37:21.020Z",
            "resolvedAt": "2026-11-23T20:12:40.300Z",
            "decision": "accept",
        }
    ],
}
_CALL = Call(
    id="obx_01a209e9aac873d8b2de2b8cece39e02",
    kind="charge",
    reference=_PAID["id"],
    path="/v1/charges",
    body="",
    state="dead",
    attempts=24,
    first_attempt_at=datetime(2026, 11, 23, 19, 37, 18, 291_000, UTC),
    due_at=None,
    last_error="gave up after 24 attempts: HTTP 503 unavailable",
    created_at=datetime(2026, 11, 23, 19, 37, 18, 280_000, UTC),
    updated_at=datetime(2026, 11, 23, 21, 9, 5, 22_000, UTC),
)
_DEAD = message_view(_PAID["id"], _CALL)
_REDRIVEN = message_view(
    _PAID["id"],
    msgspec.structs.replace(
        _CALL,
        state="open",
        attempts=0,
        redrives=1,
        redriven_at=datetime(2026, 11, 23, 22, 0, 31, 70_000, UTC),
        due_at=datetime(2026, 11, 23, 22, 0, 31, 70_000, UTC),
        updated_at=datetime(2026, 11, 23, 22, 0, 31, 70_000, UTC),
    ),
)

API = Api(
    title="order_api",
    description=_DESCRIPTION,
    tags={
        "Orders": "Placing orders and following them.",
        "Outbox": "What is asked of the payment provider, and what to do where it did not answer.",
        "Webhooks": "Where the payment provider says what happened.",
        "Service": "Whether it works, and what its problems mean.",
    },
    rate_limited=True,
    parameters={
        "order_id": _PAID["id"],
        "refund_id": _REFUND["id"],
        "code": "event-mismatch",
        "message_id": _CALL.id,
        "orderNumber": "ORD-001",
        "review": "open",
        "slug": "idempotency-key-reused",
    },
    answers={
        "create_order": _PENDING,
        "cancel_order": _CANCELLED,
        "create_refund": {**_REFUND, "state": "requested", "at": "2026-11-23T19:39:01.020Z"},
        "resolve_review": _REVIEWED,
        "redrive_message": msgspec.to_builtins(_REDRIVEN),
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
        ReviewDecision: {"decision": "accept"},
        MessageView: _DEAD,
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
        TimelineView: {
            "data": [
                {"at": _PAID["createdAt"], "kind": "placed", "id": _PAID["id"], "amount": 99.99},
                {"at": _PAID["createdAt"], "kind": "call", "id": _CALL.id, "state": "done", "type": "charge"},
                {"at": _PAID["createdAt"], "kind": "status", "state": "Pending", "reason": "placed"},
                {
                    "at": "2026-11-23T19:37:18.291Z",
                    "kind": "attempt",
                    "id": _CALL.id,
                    "state": "accepted",
                    "type": "charge",
                    "ms": 14,
                    "reason": f"made {_CHARGE['id']}",
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
