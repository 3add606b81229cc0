"""What a refund is: a part of its charge that is given back. Pure."""

from datetime import datetime, timedelta

import msgspec

from payment_gateway.faults.scenario import Scenario, settle_delay
from shared import wire
from shared.ids import new_id


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as stored in its charge, in minor units of the charge's currency. `settles_at` is when it ends."""

    id: str
    reference: str
    amount: int
    status: wire.MoneyState = "pending"
    failure_code: str | None = None
    scenario: Scenario = Scenario()
    created_at: datetime
    settles_at: datetime
    settled_at: datetime | None = None
    trace: str | None = None


def new_refund(
    asked: wire.RefundRequest, scenario: Scenario, *, now: datetime, delay: timedelta, trace: str | None = None
) -> Refund:
    """A pending refund that settles after `delay`, unless its scenario says otherwise."""
    return Refund(
        id=new_id("re"),
        reference=asked.reference,
        amount=asked.amount,
        scenario=scenario,
        created_at=now,
        settles_at=now + settle_delay(scenario, usual=delay),
        trace=trace,
    )
