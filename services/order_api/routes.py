"""HTTP: parse, call a verb, respond."""

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from msgspec import Struct

from order_api.event import NotAnEventError, Outcome
from order_api.order_routes import ORDER_ROUTES
from order_api.outbox_routes import OUTBOX_ROUTES
from order_api.receive_webhook import ReceiveWebhook
from order_api.refund_routes import REFUND_ROUTES
from order_api.views import to_json
from shared.edge.problems import ProblemError, Table
from shared.edge.requests import header_values, require_no_coding
from shared.edge.responses import json_response
from shared.signing import SignatureError

PROBLEMS: Table = {
    SignatureError: lambda _: ProblemError("invalid-signature"),
    NotAnEventError: lambda error: ProblemError("malformed-json", f"not an event: {error}"),
}


class WebhookReceipt(Struct):
    """What became of an event."""

    outcome: Outcome


@post(
    "/api/webhooks/payments",
    tags=["Webhooks"],
    public=True,
    status_code=200,
    response_description="Stored",
    responses={202: ResponseSpec(WebhookReceipt, description="Stored; of no order", generate_examples=False)},
    problems=["invalid-signature", "malformed-json", "unsupported-media-type", "body-too-large"],
)
async def receive_payment_webhook(
    request: Request[Any, Any, Any], receive_webhook: NamedDependency[ReceiveWebhook]
) -> Response[WebhookReceipt]:
    """Takes an event of the provider, signed in `X-Signature`. 2xx means stored."""
    require_no_coding(request)
    outcome = await receive_webhook(header_values(request, b"x-signature"), await request.body())
    return json_response(to_json(WebhookReceipt(outcome)), 202 if outcome == "unmatched" else 200)


ROUTES = [*ORDER_ROUTES, *REFUND_ROUTES, *OUTBOX_ROUTES, receive_payment_webhook]
