"""What a charge is, and how it ends. Pure."""

from datetime import datetime, timedelta

import msgspec

from payment_gateway.faults.scenario import Scenario, settle_delay
from shared import wire
from shared.ids import new_id


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge as stored, amounts in minor units. `amount_refunded` counts what refunds have reserved or given back;
    `scenario` says how it ends and what goes wrong with it.
    """

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
    scenario: Scenario = Scenario()
    created_at: datetime
    settled_at: datetime | None = None
    due_at: datetime
    lease_until: datetime | None = None
    fence: int = 0
    trace: str | None = None


def new_charge(
    merchant: str,
    asked: wire.ChargeRequest,
    scenario: Scenario,
    *,
    now: datetime,
    delay: timedelta,
    trace: str | None = None,
) -> Charge:
    """A pending charge that settles after `delay`, unless its scenario says otherwise."""
    return Charge(
        id=new_id("ch"),
        merchant=merchant,
        amount=asked.amount,
        currency=asked.currency,
        reference=asked.reference,
        payment_method=asked.payment_method,
        metadata=asked.metadata,
        scenario=scenario,
        created_at=now,
        due_at=now + settle_delay(scenario, usual=delay),
        trace=trace,
    )


def settled(charge: Charge, *, now: datetime) -> Charge:
    """The charge as it ends."""
    if charge.status != "pending":
        raise AssertionError(f"settled twice: {charge.id}")
    code = charge.scenario.failure_code
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
