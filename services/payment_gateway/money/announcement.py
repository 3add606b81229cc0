"""What merchants are told of a charge or refund that has ended: its event, or two where one was asked to be wrong. Pure."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from payment_gateway.faults.rates import WRONG_AMOUNT
from payment_gateway.money import charge as charges
from payment_gateway.money import refund as refunds
from payment_gateway.money.charge import Charge
from payment_gateway.money.refund import Refund
from payment_gateway.webhooks.event import Event, event_id
from shared import wire
from shared.money import AMOUNT_MINOR_MAX


def settled_event(subject: Charge | Refund, *, now: datetime) -> Event:
    """The event that says how a charge or refund ended."""
    return _event(subject, now=now)


def wrong_event(subject: Charge | Refund, *, now: datetime) -> Event:
    """The same with an amount that is not so, an id of its own, and the moment before."""
    amount = subject.amount + 1 if subject.amount < AMOUNT_MINOR_MAX else subject.amount - 1
    untrue = msgspec.structs.replace(subject, amount=amount)
    return _event(untrue, now=now - timedelta(milliseconds=1), fault=WRONG_AMOUNT)


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
    made = event_id(subject.id, kind, fault)
    return Event(
        id=made,
        merchant=subject.merchant,
        type=kind,
        object_id=subject.id,
        reference=reference,
        raw=wire.encode(wire.Event(id=made, type=kind, timestamp=now, data=data)).decode(),
        trace=subject.trace,
        fault=fault,
        created_at=now,
    )
