"""The marks that announce a charge or refund that has ended, or a dispute. A wrong amount adds a second mark. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from payment_gateway.faults.rates import WRONG_AMOUNT
from payment_gateway.money import charge as charges
from payment_gateway.money.charge import Charge, Part, Refund
from payment_gateway.money.dispute import Dispute
from payment_gateway.webhooks.endpoint import Endpoint, who_hears
from payment_gateway.webhooks.event import Mark, event_id, mark_of
from shared import wire
from shared.money import AMOUNT_MINOR_MAX


def marks_of(
    charge: Charge, subject: Part, endpoints: Sequence[Endpoint], *, now: datetime, trace: str | None = None
) -> tuple[Mark, ...]:
    """The marks for a charge or a refund of it that has ended, or for a dispute that is open or closed. They go to those of
    the `endpoints` that want them.
    """
    if charges.settles_at(subject) is not None:
        raise AssertionError(f"not settled: {subject.id}")

    def mark(told: Part, at: datetime, fault: Literal["wrong_amount"] | None = None) -> Mark:
        kind: wire.EventType
        data: wire.Charge | wire.Refund | wire.Dispute
        match told:
            case Charge():
                kind = "payment.succeeded" if told.status == "succeeded" else "payment.failed"
                data = charges.on_the_wire(told)
            case Refund():
                kind = "refund.succeeded" if told.status == "succeeded" else "refund.failed"
                data = charges.refund_on_the_wire(charge, told)
            case Dispute():
                kind = "dispute.created" if told.status == "open" else "dispute.closed"
                data = charges.dispute_on_the_wire(charge, told)
        event = wire.Event(id=event_id(told.id, kind, fault), type=kind, timestamp=at, data=data)
        return mark_of(event, who_hears(endpoints, charge.merchant, kind), trace=trace, fault=fault)

    if isinstance(subject, Dispute) or not subject.scenario.wrong_amount:
        return (mark(subject, now),)
    # The same event with a wrong amount, an id of its own, and a time just before.
    amount = subject.amount + 1 if subject.amount < AMOUNT_MINOR_MAX else subject.amount - 1
    untrue = mark(replace(subject, amount=amount), now - timedelta(milliseconds=1), WRONG_AMOUNT)
    return untrue, mark(subject, now)
