"""Settling ends a charge or a refund, or opens a dispute, and marks the charge, so that the event is announced. A wrong
amount adds a second mark. Pure.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from payment_gateway.faults.rates import WRONG_AMOUNT
from payment_gateway.money import charge as charges
from payment_gateway.money.charge import Charge, Part, Refund, announced, part, settles_at, with_settled
from payment_gateway.money.dispute import Dispute
from payment_gateway.webhooks.endpoint import Endpoint, who_hears
from payment_gateway.webhooks.event import Mark, event_id, mark_of
from shared import wire
from shared.documents import Verdict
from shared.money import AMOUNT_MINOR_MAX

HAND_SECONDS = 5.0  # for so long no other process announces what we have settled


def settled(
    charge: Charge | None,
    object_id: str,
    endpoints: Sequence[Endpoint],
    *,
    now: datetime,
    delay: timedelta,
    read_at: datetime | None,
    trace: str | None,
) -> Verdict[Charge, Part | None]:
    """The charge with that part ended, or that dispute opened, and a mark for its event; no change if that was done already.
    Its `due_at` stays, so it is due until the mark is announced. Pure.
    """
    subject = None if charge is None else part(charge, object_id)
    if charge is None or read_at is None or subject is None or settles_at(subject) is None:
        return Verdict(None, found=True)  # a reset took it, or another process was quicker
    after = with_settled(charge, object_id, now=now, delay=delay)
    ended = part(after, object_id)
    if ended is None:  # nothing was left to dispute, so there is nothing to announce either
        return Verdict(None, announced(after, ()))
    return Verdict(ended, marked(after, ended, endpoints, now=now, read_at=read_at, trace=trace))


def marked(
    charge: Charge,
    subject: Part,
    endpoints: Sequence[Endpoint],
    *,
    now: datetime,
    read_at: datetime,
    trace: str | None,
) -> Charge:
    """The charge with a mark for that part; the process that writes it announces it. Pure."""
    marks = marks_of(charge, subject, endpoints, now=now, trace=trace)
    hand_until = read_at + timedelta(seconds=HAND_SECONDS)
    return replace(charge, announce=(*charge.announce, *marks), hand_until=hand_until)


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
