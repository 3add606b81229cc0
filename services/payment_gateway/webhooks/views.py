"""Events, deliveries and new secrets as the API shows them. Structs that events carry too are in `shared.wire`."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from payment_gateway.faults.rates import Forgery
from payment_gateway.webhooks.delivery import Delivery, Failure, Fault, State
from payment_gateway.webhooks.endpoint import Endpoint, on_the_wire
from shared import wire

_SUBJECTS = ("Charge", "Refund", "Dispute", "WebhookEndpoint")
_SUBJECT = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in _SUBJECTS]}


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """An event. `data` is its charge, refund, dispute or webhook endpoint, as it was then."""

    id: Annotated[str, Meta(examples=["evt_01a209e9aade7ffe862f26fa1fb6b5a0"])]
    type: Annotated[wire.EventType, Meta(examples=["payment.succeeded"])]
    timestamp: Annotated[wire.Time, Meta(examples=["2026-11-23T19:37:23.370Z"])]
    data: Annotated[dict[str, Any], Meta(extra_json_schema=_SUBJECT)]


class AttemptView(msgspec.Struct, frozen=True, rename="camel"):
    """One HTTP try. `status` is null if no status line came; then `failure` says why, and `error` the same in words.
    `forbidden`: the operator of the gateway does not let webhooks go there. With a status, `failure` is null, and `error`
    says what was wrong with the rest of the response; it is usually null. `forgery` says which forgery was sent instead of
    the true event, and is usually null.

    It was sent to `url` with `sentHeaders`, where the endpoint's own headers have `…` for a value. Its body is `sentBody`,
    or the event as `GET /v1/events/{id}` shows it if that is null. Of the response, the start of the body and the first
    headers are kept, without those that may be secret. An attempt of an earlier version has null for `failure`, `url` and
    headers.
    """

    number: Annotated[int, Meta(examples=[1])]
    at: Annotated[wire.Time, Meta(examples=["2026-11-23T19:37:23.387Z"])]
    status: Annotated[int | None, Meta(examples=[200])]
    duration_ms: Annotated[int, Meta(examples=[11])]
    failure: Failure | None
    error: str | None
    response_body: Annotated[str, Meta(examples=['{"outcome":"applied"}'])]
    forgery: Forgery | None
    url: wire.Url | None
    sent_headers: dict[str, str] | None
    sent_body: str | None
    response_headers: Annotated[dict[str, str] | None, Meta(examples=[{"content-type": "application/json"}])]


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event on its way to an endpoint, with every attempt. `eventType`, and `reference` of its charge, come from the
    event, and are null if a reset took it. `nextAttemptAt` is null once there is no further attempt. `fault` says why it is
    not delivered as usual, and is usually null.
    """

    id: Annotated[str, Meta(examples=["dlv_01a209e9aade76a6878437494af678bd"])]
    event_id: Annotated[str, Meta(examples=["evt_01a209e9aade7ffe862f26fa1fb6b5a0"])]
    event_type: Annotated[wire.EventType | None, Meta(examples=["payment.succeeded"])]
    reference: wire.Reference | None
    endpoint_id: Annotated[str, Meta(examples=["we_01a209e9f3b07c21a9d54be0a3c1d7f4"])]
    state: Annotated[State, Meta(examples=["delivered"])]
    next_attempt_at: wire.Time | None
    attempts: list[AttemptView]
    fault: Fault | None
    created_at: Annotated[wire.Time, Meta(examples=["2026-11-23T19:37:23.370Z"])]


_OF_THE_DELIVERY = set(DeliveryView.__struct_fields__) - {"event_type", "reference"}


def delivery_view(delivery: Delivery, event: Mapping[str, Any]) -> DeliveryView:
    """The view of a delivery. `event` has its type and reference, or nothing."""
    shown = {name: getattr(delivery, name) for name in _OF_THE_DELIVERY}
    attempts = msgspec.convert(delivery.attempts, list[AttemptView], from_attributes=True)
    return DeliveryView(
        **{**shown, "attempts": attempts}, event_type=event.get("type"), reference=event.get("reference")
    )


class WebhookEndpointWithSecretView(wire.WebhookEndpoint, frozen=True, kw_only=True, rename="camel"):
    """An endpoint with its `secret`, as shown only in the answer to the request that made the secret."""

    secret: Annotated[str, Meta(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])]


def with_secret(endpoint: Endpoint) -> WebhookEndpointWithSecretView:
    shown = msgspec.structs.asdict(on_the_wire(endpoint))
    return WebhookEndpointWithSecretView(**shown, secret=endpoint.secrets[0].value)
