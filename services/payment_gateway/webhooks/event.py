"""What an event is: something that happened to a charge, a refund or an endpoint. Its bytes are made once. Pure."""

from datetime import datetime
from typing import Literal, get_args

import msgspec

from payment_gateway.faults.rates import WRONG_AMOUNT
from payment_gateway.webhooks.endpoint import Endpoint, on_the_wire
from payment_gateway.webhooks.mark import Mark
from shared import wire
from shared.ids import derive_id


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as stored. `raw` is what is sent and served, byte for byte; `created_at` is when it was announced. An event
    of an endpoint has no `charge_id`.
    """

    id: str = msgspec.field(name="_id")
    merchant: str
    type: wire.EventType
    object_id: str
    charge_id: str | None = None
    reference: str
    raw: str
    trace: str | None = None
    fault: Literal["wrong_amount"] | None = None
    created_at: datetime


def event_id(object_id: str, kind: wire.EventType, fault: str | None = None) -> str:
    """The id of the one event of this type about this object. It follows from both, so that two gateways that settle one
    object make one event. The wrong event sorts before the true one: both may be announced in one millisecond. C23
    """
    return derive_id("evt", object_id, kind, *([fault] if fault else []), place=0 if fault else 1)


def event_of(mark: Mark, *, merchant: str, reference: str, charge_id: str | None, now: datetime) -> Event:
    """What a mark becomes when it is announced."""
    return Event(
        id=mark.id,
        merchant=merchant,
        type=mark.type,
        object_id=mark.object,
        charge_id=charge_id,
        reference=reference,
        raw=mark.raw,
        trace=mark.trace,
        fault=mark.fault,
        created_at=now,
    )


def event_ids(object_id: str) -> list[str]:
    """The ids of all events that settling this charge or refund can make."""
    kinds: tuple[wire.EventType, ...] = get_args(wire.EventType)
    return [event_id(object_id, kind, fault) for kind in kinds for fault in (None, WRONG_AMOUNT)]


def disabled_mark(
    endpoint: Endpoint, delivery_id: str, attempt: int, *, now: datetime, to: tuple[str, ...], trace: str | None
) -> Mark:
    """The mark that says why an endpoint gets nothing any more. Its id follows from the attempt that showed it."""
    made = derive_id("evt", delivery_id, "webhook_endpoint.disabled", str(attempt))
    body = wire.Event(id=made, type="webhook_endpoint.disabled", timestamp=now, data=on_the_wire(endpoint))
    return Mark(
        id=made,
        object=endpoint.id,
        type="webhook_endpoint.disabled",
        raw=wire.encode(body).decode(),
        trace=trace,
        at=now,
        to=to,
    )
