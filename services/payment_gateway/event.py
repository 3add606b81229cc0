"""What an event is: something that happened to a charge, a refund or an endpoint. Its bytes are made once. Pure."""

from datetime import datetime, timedelta
from typing import Literal, get_args

import msgspec

from payment_gateway import charge as charges
from payment_gateway import endpoint as endpoints
from payment_gateway import refund as refunds
from payment_gateway.charge import Charge
from payment_gateway.endpoint import Endpoint
from payment_gateway.faults import WRONG_AMOUNT
from payment_gateway.refund import Refund
from shared import wire
from shared.ids import derive_id
from shared.money import AMOUNT_MINOR_MAX


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as stored. `raw` is what is sent and served, byte for byte."""

    id: str = msgspec.field(name="_id")
    merchant: str
    type: wire.EventType
    object_id: str
    reference: str
    raw: str
    trace: str | None = None
    fault: Literal["wrong_amount"] | None = None
    created_at: datetime


def settled_event(subject: Charge | Refund, *, now: datetime) -> Event:
    """The event that says how a charge or refund ended. Its id follows from the object's id and the type, so that two
    gateways that settle one object make one event. C23
    """
    return _event(subject, now=now)


def wrong_event(subject: Charge | Refund, *, now: datetime) -> Event:
    """The same with an amount that is not so, an id of its own, and the moment before."""
    amount = subject.amount + 1 if subject.amount < AMOUNT_MINOR_MAX else subject.amount - 1
    untrue = msgspec.structs.replace(subject, amount=amount)
    return _event(untrue, now=now - timedelta(milliseconds=1), fault=WRONG_AMOUNT)


def event_ids(object_id: str) -> list[str]:
    """Of all events that settling this charge or refund can make."""
    kinds = get_args(wire.EventType)
    return [_event_id(object_id, kind, fault) for kind in kinds for fault in (None, WRONG_AMOUNT)]


def _event_id(object_id: str, kind: str, fault: str | None) -> str:
    return derive_id("evt", object_id, kind, *([fault] if fault else []))


def _event(subject: Charge | Refund, *, now: datetime, fault: Literal["wrong_amount"] | None = None) -> Event:
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
    event_id = _event_id(subject.id, kind, fault)
    body = wire.Event(id=event_id, type=kind, timestamp=now, data=data)
    return Event(
        id=event_id,
        merchant=subject.merchant,
        type=kind,
        object_id=subject.id,
        reference=reference,
        raw=wire.encode(body).decode(),
        trace=subject.trace,
        fault=fault,
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
