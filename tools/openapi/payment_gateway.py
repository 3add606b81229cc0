"""What the OpenAPI document of payment_gateway says that its code does not: how it is meant to be used, examples, and the
webhooks that it sends.
"""

from collections.abc import Mapping
from typing import get_args

from payment_gateway.controls.check_signature import CheckSignatureRequest
from payment_gateway.controls.clock_routes import ClockRequest, ClockView
from payment_gateway.controls.routes import (
    CloseDisputeRequest,
    DisputeRequest,
    Done,
    SignatureView,
    WebhookReplyView,
)
from payment_gateway.controls.send_anything import SendWebhookRequest
from payment_gateway.faults.rates import Faults
from payment_gateway.money.routes import CreateChargeRequest, CreateRefundRequest
from payment_gateway.routes import ROUTES
from payment_gateway.webhooks.endpoint_routes import (
    CreateWebhookEndpointRequest,
    RotateSecretRequest,
    UpdateWebhookEndpointRequest,
)
from payment_gateway.webhooks.event_routes import ResendEventRequest, ResendSinceRequest
from payment_gateway.webhooks.resend import Resent
from payment_gateway.webhooks.views import DeliveryView, EventView, WebhookEndpointWithSecretView
from shared import wire
from shared.signing import sign
from tools.openapi.document import ERRORS, IDEMPOTENCY, LISTS, SIGNATURE, Api, prose, required_header
from tools.openapi.schemas import Json

_DESCRIPTION = f"""\
A mock payment provider. It moves no money, and behaves like one that does.

**Access.** `Authorization: Bearer <key>`.

{IDEMPOTENCY}

**What happens to a charge.** It is `pending`, and settles after a delay as its `paymentMethod` says: `pm_card_visa`
succeeds, `pm_card_declined`, `pm_insufficient_funds` and others fail with that code. Then an event is sent, see
Webhooks. `pm_card_disputed` succeeds too, and after as long again a bank disputes it; `POST /v1/test/charges/{{id}}/dispute`
does so with any. What is disputed, or lost by that, cannot be refunded.

**Webhook endpoints.** Any number of them, each with a secret that is shown when it is made. Rotating it lets both sign for a
while. An endpoint that answers 410, or whose every attempt has failed for five days, is disabled, and your other endpoints
get `webhook_endpoint.disabled`. What was missed can be sent again.
**What goes wrong** is up to you, in three ways that say the same. `paymentMethod` takes chains: with
`pm_500|pm_timeout|pm_card_visa` the first attempt with its Idempotency-Key gets a 500, the second no answer, the third a
true one. `scenario` in a charge or refund says how replies and webhooks go wrong. `PUT /v1/test/faults` gives every fault a
rate, drawn by a seed and the Idempotency-Keys.

{ERRORS}

**Amounts** are whole minor units of an ISO 4217 currency: 9999 is 99.99 USD, 5000 JPY is 5000.

{LISTS}
"""

CHARGE: Json = {
    "id": "ch_01a209e9aade7799afdccfd98db8e668",
    "amount": 9999,
    "currency": "USD",
    "reference": "ord_01a209e9aac873d8b2de2b8cece39e02",
    "status": "succeeded",
    "failureCode": None,
    "amountRefunded": 0,
    "paymentMethod": "pm_card_visa",
    "metadata": {"basket": "7"},
    "createdAt": "2026-11-23T19:37:18.290Z",
    "settledAt": "2026-11-23T19:37:23.370Z",
}
_REFUND: Json = {
    "id": "re_01a209e9d1c47a05b3dd41f2f3a7be9c",
    "chargeId": CHARGE["id"],
    "chargeReference": CHARGE["reference"],
    "reference": "refund-7",
    "amount": 1000,
    "currency": "USD",
    "status": "succeeded",
    "failureCode": None,
    "createdAt": "2026-11-23T19:40:02.104Z",
    "settledAt": "2026-11-23T19:40:07.180Z",
}
_DISPUTE: Json = {
    "id": "dp_01a209e9e2b87bd2a6f1c09d7be4f305",
    "chargeId": CHARGE["id"],
    "chargeReference": CHARGE["reference"],
    "amount": 9999,
    "currency": "USD",
    "reason": "fraudulent",
    "status": "open",
    "createdAt": "2026-11-23T19:37:28.450Z",
    "closedAt": None,
}
_LOST: Json = {**_DISPUTE, "status": "lost", "closedAt": "2026-11-24T08:12:40.910Z"}
_ENDPOINT: Json = {
    "id": "we_01a209e9f3b07c21a9d54be0a3c1d7f4",
    "url": "https://shop.example/hooks",
    "eventTypes": ["payment.succeeded", "payment.failed"],
    "state": "enabled",
    "disabledReason": None,
    "failingSince": None,
    "maxInFlight": 64,
    "headerNames": ["X-Gateway-Token"],
    "expiresAt": None,
    "createdAt": "2026-11-23T19:30:00.000Z",
}
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the Standard Webhooks specification
_SPACED = b'{"id": "evt_1", "type": "payment.succeeded"}'
_COMPACT = sign(_SPACED.replace(b" ", b""), [_SECRET], 1614265330)
_FAILING: Json = {"state": "disabled", "disabledReason": "failing", "failingSince": "2026-11-23T19:37:23.387Z"}
_EVENTS: Mapping[str, tuple[str, Json]] = {
    "payment.succeeded": ("A charge has succeeded", CHARGE),
    "payment.failed": ("A charge has failed", {**CHARGE, "status": "failed", "failureCode": "card_declined"}),
    "refund.succeeded": ("A refund has succeeded", _REFUND),
    "refund.failed": ("A refund has failed", {**_REFUND, "status": "failed", "failureCode": "refused"}),
    "dispute.created": ("A customer's bank disputes a charge", _DISPUTE),
    "dispute.closed": ("A dispute was won or lost", _LOST),
    "webhook_endpoint.disabled": (
        "Another endpoint of yours is disabled: it has failed for days, or is gone",
        {**_ENDPOINT, **_FAILING},
    ),
}
_EVENT_ID = "evt_01a209e9aade7ffe862f26fa1fb6b5a0"

_STANDARD_WEBHOOKS = [
    required_header(
        "webhook-id",
        "The event's id, the same in every attempt: what to tell repetitions by (Standard Webhooks).",
        pattern="^evt_[0-9a-f]{32}$",
        example=_EVENT_ID,
    ),
    required_header(
        "webhook-timestamp",
        "When this attempt was signed, in Unix seconds (Standard Webhooks).",
        pattern="^[0-9]{1,12}$",
        example="1795462643",
    ),
    required_header(
        "webhook-signature",
        "`v1,<base64>`, more than one separated by spaces while a secret is rotated: HMAC-SHA-256 of "
        "`<webhook-id>.<webhook-timestamp>.<raw body>`, keyed with the base64-decoded part of the secret after `whsec_` "
        "(Standard Webhooks).",
        pattern="^v1,[A-Za-z0-9+/]{43}=(?: v1,[A-Za-z0-9+/]{43}=)*$",
        example="v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
]
_ATTEMPTS = """\
Sent to every webhook endpoint that wants it, and again until it is answered with 2xx within 15 seconds: after about 5 s,
5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h. A redirect is not followed, and fails. An event may come twice, and events
in any order. Verify one of the two signatures over the raw body before you decode it. `GET /v1/deliveries` shows every
attempt."""


def _event(event_type: str) -> Json:
    data = _EVENTS[event_type][1]
    at = data.get("settledAt") or data.get("closedAt") or "2026-11-28T19:37:24.016Z"
    return {"id": _EVENT_ID, "type": event_type, "timestamp": at, "data": data}


def _webhook(event_type: str) -> Json:
    head, *tail = event_type.replace("_", ".").split(".")
    content = {"schema": {"$ref": "#/components/schemas/Event"}, "example": _event(event_type)}
    return {
        "post": {
            "operationId": head + "".join(word.capitalize() for word in tail),
            "summary": _EVENTS[event_type][0],
            "description": prose(_ATTEMPTS),
            "tags": ["Events"],
            "security": [],
            "parameters": [SIGNATURE, *_STANDARD_WEBHOOKS],
            "requestBody": {"required": True, "content": {"application/json": content}},
            "responses": {
                "2XX": {"description": "Received; it is not sent again"},
                "410": {"description": "The endpoint is disabled, and gets nothing any more"},
                "default": {"description": "Sent again later, not before `Retry-After` seconds if that is there"},
            },
        }
    }


API = Api(
    title="payment_gateway",
    routes=ROUTES,
    description=_DESCRIPTION,
    tags={
        "Charges": "Taking money.",
        "Refunds": "Giving it back.",
        "Disputes": "What customers' banks take back.",
        "Events": "What happened, and how it was delivered.",
        "Webhook endpoints": "Where events are delivered, and what signs them.",
        "Test": "What no real provider lets you do. Refused with 403 where test endpoints are disabled.",
        "Service": "Whether it works, and what its problems mean.",
    },
    parameters={
        "charge_id": CHARGE["id"],
        "chargeId": CHARGE["id"],
        "refund_id": _REFUND["id"],
        "dispute_id": _DISPUTE["id"],
        "event_id": _EVENT_ID,
        "delivery_id": "dlv_01a209e9aade76a6878437494af678bd",
        "eventId": _EVENT_ID,
        "endpoint_id": _ENDPOINT["id"],
        "endpointId": _ENDPOINT["id"],
    },
    answers={
        "create_charge": {**CHARGE, "status": "pending", "settledAt": None},
        "create_refund": {**_REFUND, "status": "pending", "settledAt": None},
        "close_dispute": _LOST,
    },
    webhooks={event_type: _webhook(event_type) for event_type in get_args(wire.EventType)},
    examples={
        CreateChargeRequest: {
            name: CHARGE[name] for name in ("amount", "currency", "reference", "paymentMethod", "metadata")
        },
        CreateRefundRequest: {name: _REFUND[name] for name in ("amount", "reference")},
        wire.Charge: CHARGE,
        wire.Refund: _REFUND,
        wire.Dispute: _DISPUTE,
        DisputeRequest: {"amount": 9999, "reason": "fraudulent"},
        CloseDisputeRequest: {"outcome": "lost"},
        wire.WebhookEndpoint: _ENDPOINT,
        WebhookEndpointWithSecretView: {**_ENDPOINT, "secret": _SECRET},
        CreateWebhookEndpointRequest: {
            "url": _ENDPOINT["url"],
            "eventTypes": _ENDPOINT["eventTypes"],
            "headers": {"X-Gateway-Token": "chosen-by-you"},
        },
        UpdateWebhookEndpointRequest: {"state": "enabled"},
        RotateSecretRequest: {"overlapSeconds": 3600},
        ResendEventRequest: {"endpointId": _ENDPOINT["id"]},
        ResendSinceRequest: {"since": "2026-11-23T00:00:00Z"},
        Resent: {"resent": 1, "complete": True},
        SendWebhookRequest: {
            "url": "http://127.0.0.1:9000/hooks",
            "body": {"id": "evt_mine", "type": "payment.succeeded"},
            "secret": _SECRET,
            "timestamp": 1614265330,
            "id": "evt_mine",
            "headers": {"X-Mine": "1"},
        },
        WebhookReplyView: {
            "status": 401,
            "durationMs": 4,
            "error": None,
            "responseBody": "stale",
            "sent": {"headers": {"X-Mine": "1"}, "body": "{}"},
        },
        CheckSignatureRequest: {
            "body": _SPACED.decode(),
            "secret": _SECRET,
            "headers": {"X-Signature": _COMPACT},
            "at": 1614265330,
        },
        SignatureView: {
            "verdicts": [
                {
                    "scheme": "X-Signature",
                    "valid": False,
                    "mistakes": [
                        {
                            "wrong": "bytes",
                            "explanation": "The same JSON was signed, printed without spaces: it was parsed and printed "
                            "again. Sign and verify the raw bytes.",
                        }
                    ],
                    "expected": {"X-Signature": sign(_SPACED, [_SECRET], 1614265330)},
                }
            ]
        },
        EventView: _event("payment.succeeded"),
        DeliveryView: {
            "id": "dlv_01a209e9aade76a6878437494af678bd",
            "eventId": _EVENT_ID,
            "eventType": "payment.succeeded",
            "reference": CHARGE["reference"],
            "endpointId": _ENDPOINT["id"],
            "state": "delivered",
            "nextAttemptAt": None,
            "attempts": [
                {
                    "number": 1,
                    "at": "2026-11-23T19:37:23.387Z",
                    "status": 200,
                    "durationMs": 11,
                    "failure": None,
                    "error": None,
                    "responseBody": '{"outcome":"applied"}',
                    "forgery": None,
                    "url": _ENDPOINT["url"],
                    "sentHeaders": {
                        "X-Gateway-Token": "…",
                        "Content-Type": "application/json",
                        "User-Agent": "payment_gateway",
                        "X-Signature": SIGNATURE["example"],
                        **{header["name"]: header["example"] for header in _STANDARD_WEBHOOKS},
                    },
                    "sentBody": None,
                    "responseHeaders": {"content-type": "application/json", "content-length": "21"},
                }
            ],
            "fault": None,
            "createdAt": "2026-11-23T19:37:23.370Z",
        },
        Faults: Faults(seed=42, rates={"declined": 0.1, "reply_timeout": 0.05, "webhook_duplicated": 0.2}),
        ClockRequest: {"action": "advance", "seconds": 259200},
        ClockView: {
            "now": "2026-11-26T19:37:23.370Z",
            "state": "running",
            "advancingTo": None,
            "aheadSeconds": 259200,
            "next": [{"what": "deliveries", "at": "2026-11-26T21:04:51.018Z"}],
        },
        Done: {},
    },
)
