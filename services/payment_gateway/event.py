"""What an event is: something that happened to a charge, a refund or an endpoint. Its bytes are made once. Pure."""

from datetime import datetime

import msgspec

from payment_gateway import charge as charges
from payment_gateway import endpoint as endpoints
from payment_gateway import refund as refunds
from payment_gateway.charge import Charge
from payment_gateway.endpoint import Endpoint
from payment_gateway.refund import Refund
from shared import wire
from shared.ids import derive_id


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as stored. `raw` is what is sent and served, byte for byte."""

    id: str = msgspec.field(name="_id")
    merchant: str
    type: wire.EventType
    object_id: str
    reference: str
    raw: str
    trace: str | None = None
    created_at: datetime


def settled_event(subject: Charge | Refund, *, now: datetime) -> Event:
    """The event that says how a charge or refund ended. Its id follows from the object's id and the type, so that two
    gateways that settle one object make one event. C23
    """
    if subject.status == "pending":
        raise AssertionError(f"not settled: {subject.id}")
    kind: wire.EventType
    data: wire.Charge | wire.Refund
    if isinstance(subject, Charge):
        kind = "payment.succeeded" if subject.status == "succeeded" else "payment.failed"
        data, reference = charges.on_the_wire(subject), subject.reference
    else:
        kind = "refund.succeeded" if subject.status == "succeeded" else "refund.failed"
        data, reference = refunds.on_the_wire(subject), subject.charge_reference
    event_id = derive_id("evt", subject.id, kind)
    body = wire.Event(id=event_id, type=kind, timestamp=now, data=data)
    return Event(
        id=event_id,
        merchant=subject.merchant,
        type=kind,
        object_id=subject.id,
        reference=reference,
        raw=wire.encode(body).decode(),
        trace=subject.trace,
        created_at=now,
    )


def disabled_event(endpoint: Endpoint, delivery_id: str, attempt: int, *, now: datetime) -> Event:
    """The event that says why an endpoint gets nothing any more. Its id follows from the attempt that showed it."""
    event_id = derive_id("evt", delivery_id, "webhook_endpoint.disabled", str(attempt))
    body = wire.Event(
        id=event_id, type="webhook_endpoint.disabled", timestamp=now, data=endpoints.on_the_wire(endpoint)
    )
    return Event(
        id=event_id,
        merchant=endpoint.merchant,
        type="webhook_endpoint.disabled",
        object_id=endpoint.id,
        reference=endpoint.id,
        raw=wire.encode(body).decode(),
        created_at=now,
    )
