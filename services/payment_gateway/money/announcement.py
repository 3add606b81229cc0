"""What merchants are told of a charge or refund that has ended: a mark, or two where one was asked to be wrong. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from payment_gateway.faults.rates import WRONG_AMOUNT
from payment_gateway.money import charge as charges
from payment_gateway.money.charge import Charge
from payment_gateway.money.refund import Refund
from payment_gateway.webhooks.endpoint import Endpoint, who_hears
from payment_gateway.webhooks.event import event_id
from payment_gateway.webhooks.mark import Mark
from shared import wire
from shared.money import AMOUNT_MINOR_MAX


def marks_of(
    charge: Charge, subject: Charge | Refund, endpoints: Sequence[Endpoint], *, now: datetime, trace: str | None = None
) -> tuple[Mark, ...]:
    """The marks for a charge that has ended, or for a refund of it. Those `endpoints` hear of it that want to."""
    true = _mark(charge, subject, endpoints, now=now, trace=trace)
    if not subject.scenario.wrong_amount:
        return (true,)
    # The same with an amount that is not so, an id of its own, and the moment before.
    amount = subject.amount + 1 if subject.amount < AMOUNT_MINOR_MAX else subject.amount - 1
    untrue = replace(subject, amount=amount)
    before = now - timedelta(milliseconds=1)
    return _mark(charge, untrue, endpoints, now=before, trace=trace, fault=WRONG_AMOUNT), true


def _mark(
    charge: Charge,
    subject: Charge | Refund,
    endpoints: Sequence[Endpoint],
    *,
    now: datetime,
    trace: str | None,
    fault: Literal["wrong_amount"] | None = None,
) -> Mark:
    if subject.status == "pending":
        raise AssertionError(f"not settled: {subject.id}")
    kind: wire.EventType
    data: wire.Charge | wire.Refund
    if isinstance(subject, Charge):
        kind = "payment.succeeded" if subject.status == "succeeded" else "payment.failed"
        data = charges.on_the_wire(subject)
    else:
        kind = "refund.succeeded" if subject.status == "succeeded" else "refund.failed"
        data = charges.refund_on_the_wire(charge, subject)
    made = event_id(subject.id, kind, fault)
    return Mark(
        id=made,
        object=subject.id,
        type=kind,
        fault=fault,
        raw=wire.encode(wire.Event(id=made, type=kind, timestamp=now, data=data)).decode(),
        trace=trace,
        at=now,
        to=who_hears(endpoints, charge.merchant, kind),
    )
