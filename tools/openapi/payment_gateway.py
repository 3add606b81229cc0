"""What the OpenAPI document of payment_gateway needs besides its structs and `words.toml`: the webhooks that it sends, and
examples that members of structs cannot show one by one.
"""

import msgspec

from payment_gateway.controls.check_signature import CheckSignatureRequest
from payment_gateway.controls.routes import SignatureView
from payment_gateway.controls.signature_mistakes import judge
from payment_gateway.routes import ROUTES
from payment_gateway.webhooks.send import USUAL_HEADERS
from payment_gateway.webhooks.views import AttemptView, EventView
from shared import wire
from shared.signing import sign
from tools.openapi.document import SIGNATURE, WORDS, Api, prose, required_header
from tools.openapi.schemas import Json, Schemas

_STANDARD_WEBHOOKS = [required_header(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")]
_SIGNED = {header["name"]: header["example"] for header in (SIGNATURE, *_STANDARD_WEBHOOKS)}
_LOST = {"status": "lost", "closedAt": "2026-11-24T08:12:40.910Z"}
_DISABLED = {"state": "disabled", "disabledReason": "failing", "failingSince": "2026-11-23T19:37:23.387Z"}
_EVENTS: dict[str, tuple[type, Json]] = {
    "payment.succeeded": (wire.Charge, {}),
    "payment.failed": (wire.Charge, {"status": "failed", "failureCode": "card_declined"}),
    "refund.succeeded": (wire.Refund, {}),
    "refund.failed": (wire.Refund, {"status": "failed", "failureCode": "refused"}),
    "dispute.created": (wire.Dispute, {}),
    "dispute.closed": (wire.Dispute, _LOST),
    "webhook_endpoint.disabled": (wire.WebhookEndpoint, _DISABLED),
}
# The signature of JSON that was printed anew: the usual mistake, and a receiver would be told so.
_SPACED = b'{"id": "evt_1", "type": "payment.succeeded"}'
_SECRET, _AT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1614265330
_CHECKED = {"X-Signature": sign(_SPACED.replace(b" ", b""), [_SECRET], _AT)}
_VERDICTS = judge(_SPACED, _SECRET, {"x-signature": _CHECKED["X-Signature"]}, at=_AT, others={})


def _webhooks(schemas: Schemas) -> Json:
    return {kind: _webhook(kind, _event(kind, schemas)) for kind in _EVENTS}


def _event(kind: str, schemas: Schemas) -> Json:
    subject, members = _EVENTS[kind]
    data = schemas.example(subject, members)
    at = data.get("settledAt") or data.get("closedAt") or data["createdAt"]
    if kind == "webhook_endpoint.disabled":
        at = "2026-11-28T19:37:24.016Z"  # after five days
    return schemas.example(EventView, {"type": kind, "timestamp": at, "data": data})


def _webhook(kind: str, event: Json) -> Json:
    head, *tail = kind.replace("_", ".").split(".")
    content = {"schema": {"$ref": "#/components/schemas/Event"}, "example": event}
    return {
        "post": {
            "operationId": head + "".join(word.capitalize() for word in tail),
            "summary": WORDS["payment_gateway"]["webhooks"][kind],
            "description": prose(WORDS["payment_gateway"]["attempts"]),
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
    answers={
        "create_charge": {"status": "pending", "settledAt": None},
        "create_refund": {"status": "pending", "settledAt": None},
        "close_dispute": _LOST,
    },
    webhooks=_webhooks,
    examples={
        AttemptView: {"sentHeaders": {**USUAL_HEADERS, "X-Gateway-Token": "…", **_SIGNED}},
        CheckSignatureRequest: {"body": _SPACED.decode(), "secret": _SECRET, "headers": _CHECKED, "at": _AT},
        SignatureView: msgspec.to_builtins(SignatureView(_VERDICTS)),
    },
)
