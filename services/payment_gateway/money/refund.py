"""What a refund is, and how it ends. Pure."""

from datetime import datetime, timedelta

import msgspec

from payment_gateway.faults.scenario import Scenario, settle_delay
from payment_gateway.money.charge import Charge
from shared import wire
from shared.ids import new_id


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as stored, in minor units of its charge's currency."""

    id: str = msgspec.field(name="_id")
    merchant: str
    charge_id: str
    charge_reference: str
    reference: str
    amount: int
    currency: str
    status: wire.MoneyState = "pending"
    failure_code: str | None = None
    scenario: Scenario = Scenario()
    created_at: datetime
    settled_at: datetime | None = None
    due_at: datetime
    lease_until: datetime | None = None
    fence: int = 0
    trace: str | None = None


def new_refund(
    charge: Charge,
    asked: wire.RefundRequest,
    scenario: Scenario,
    *,
    now: datetime,
    delay: timedelta,
    trace: str | None = None,
) -> Refund:
    """A pending refund that settles after `delay`, unless its scenario says otherwise."""
    return Refund(
        id=new_id("re"),
        merchant=charge.merchant,
        charge_id=charge.id,
        charge_reference=charge.reference,
        reference=asked.reference,
        amount=asked.amount,
        currency=charge.currency,
        scenario=scenario,
        created_at=now,
        due_at=now + settle_delay(scenario, usual=delay),
        trace=trace,
    )


def settled(refund: Refund, *, now: datetime) -> Refund:
    """The refund as it ends."""
    if refund.status != "pending":
        raise AssertionError(f"settled twice: {refund.id}")
    code = refund.scenario.failure_code
    return msgspec.structs.replace(refund, status="failed" if code else "succeeded", failure_code=code, settled_at=now)


def on_the_wire(refund: Refund) -> wire.Refund:
    return wire.Refund(
        id=refund.id,
        charge_id=refund.charge_id,
        charge_reference=refund.charge_reference,
        reference=refund.reference,
        amount=refund.amount,
        currency=refund.currency,
        status=refund.status,
        failure_code=refund.failure_code,
        created_at=refund.created_at,
        settled_at=refund.settled_at,
    )
