"""What a charge is, and how it ends. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from shared import wire
from shared.ids import new_id

# How a charge ends, by its payment method: None succeeds, a code is why it fails.
PAYMENT_METHODS: Mapping[str, str | None] = {
    "pm_card_visa": None,
    "pm_card_declined": "card_declined",
    "pm_insufficient_funds": "insufficient_funds",
    "pm_expired_card": "expired_card",
}


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge as stored, amounts in minor units. `amount_refunded` counts what refunds have reserved or given back."""

    id: str = msgspec.field(name="_id")
    merchant: str
    amount: int
    currency: str
    reference: str
    status: wire.MoneyState = "pending"
    failure_code: str | None = None
    amount_refunded: int = 0
    payment_method: str
    metadata: dict[str, str] = {}
    scenario: dict[str, str] = {}
    created_at: datetime
    settled_at: datetime | None = None
    due_at: datetime
    lease_until: datetime | None = None
    fence: int = 0
    trace: str | None = None


def new_charge(
    merchant: str, asked: wire.ChargeRequest, *, now: datetime, delay: timedelta, trace: str | None = None
) -> Charge:
    """A pending charge that settles after `delay`."""
    return Charge(
        id=new_id("ch"),
        merchant=merchant,
        amount=asked.amount,
        currency=asked.currency,
        reference=asked.reference,
        payment_method=asked.payment_method,
        metadata=asked.metadata,
        created_at=now,
        due_at=now + delay,
        trace=trace,
    )


def settled(charge: Charge, *, now: datetime) -> Charge:
    """The charge as it ends."""
    if charge.status != "pending":
        raise AssertionError(f"settled twice: {charge.id}")
    code = PAYMENT_METHODS[charge.payment_method]
    return msgspec.structs.replace(charge, status="failed" if code else "succeeded", failure_code=code, settled_at=now)


def on_the_wire(charge: Charge) -> wire.Charge:
    return wire.Charge(
        id=charge.id,
        amount=charge.amount,
        currency=charge.currency,
        reference=charge.reference,
        status=charge.status,
        failure_code=charge.failure_code,
        amount_refunded=charge.amount_refunded,
        payment_method=charge.payment_method,
        metadata=charge.metadata,
        created_at=charge.created_at,
        settled_at=charge.settled_at,
    )
