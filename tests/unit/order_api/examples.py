"""An order and what can happen to it, each with as little said as possible."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from order_api.calls import Call
from order_api.facts import (
    Cancellation,
    Charge,
    ChargeState,
    Dispute,
    DisputeState,
    Fact,
    Refund,
    RefundCause,
    RefundState,
    Review,
)
from order_api.merge import merge
from order_api.order import Order
from order_api.outbox import charge_call

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
AMOUNT = 9999
ORDER_ID = "ord_018dfa3c00007000800000000000abcd"
EARLIER, LATER, LATEST = (f"ch_018dfa3c{time:04x}7000800000000000cafe" for time in (1, 2, 3))


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def an_order(*facts: Fact) -> Order:
    """Whose charge the provider has accepted, and that knows these facts."""
    placed = Order(
        id=ORDER_ID,
        merchant="default",
        order_number="ORD-001",
        amount_minor=AMOUNT,
        currency="USD",
        exponent=2,
        payment_method="pm_card_visa",
        created_at=NOW,
        updated_at=NOW,
    )
    accepted = with_its_charge_call(placed, state="done", attempts=1, due_at=None, first_attempt_at=NOW)
    return knowing(accepted, facts)


def with_its_charge_call(order: Order, **changes: Any) -> Order:
    """With that call alone as it is when it is placed, but for these `changes`."""
    return msgspec.structs.replace(order, calls=(msgspec.structs.replace(its_charge_call(order), **changes),))


def its_charge_call(order: Order) -> Call:
    return charge_call(msgspec.structs.replace(order, calls=()), order.payment_method, at=order.created_at)


def knowing(order: Order, facts: Iterable[Fact], *, now: datetime = NOW) -> Order:
    for fact in facts:
        order = merge(order, fact, now=now, cause="test")
    return order


def a_charge(state: ChargeState, charge_id: str = EARLIER, *, seconds: float = 0) -> Charge:
    code = "card_declined" if state == "failed" else None
    return Charge(id=charge_id, reference=ORDER_ID, state=state, amount_minor=AMOUNT, failure_code=code, at=at(seconds))


def a_refund(
    state: RefundState,
    amount_minor: int = AMOUNT,
    *,
    refund_id: str = "rf_1",
    charge_id: str = EARLIER,
    cause: RefundCause = "merchant",
    seconds: float = 0,
) -> Refund:
    return Refund(
        id=refund_id,
        charge_id=charge_id,
        amount_minor=amount_minor,
        state=state,
        cause=cause,
        failure_code="bank_said_no" if state == "failed" else None,
        at=at(seconds),
    )


def a_dispute(
    state: DisputeState, amount_minor: int = AMOUNT, *, dispute_id: str = "dp_1", charge_id: str = EARLIER
) -> Dispute:
    return Dispute(
        id=dispute_id, charge_id=charge_id, amount_minor=amount_minor, state=state, reason="fraudulent", at=NOW
    )


def a_review(code: str = "event-mismatch", *, resolved: bool = False, seconds: float = 0) -> Review:
    resolved_at = at(seconds + 1) if resolved else None
    decision = "accept" if resolved else None
    return Review(
        code=code, event_id="evt_1", detail="?", raised_at=at(seconds), resolved_at=resolved_at, decision=decision
    )


CANCELLED = Cancellation(NOW)
