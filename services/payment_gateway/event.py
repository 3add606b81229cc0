"""What an event is: something that happened to a charge or a refund. Its bytes are made once. Pure."""

from datetime import datetime

import msgspec

from payment_gateway import charge as charges
from payment_gateway import refund as refunds
from payment_gateway.charge import Charge
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
