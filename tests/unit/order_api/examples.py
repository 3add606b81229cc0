"""An order and what can happen to it, each with as little said as possible."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from order_api.order import (
    Cancellation,
    Charge,
    ChargeState,
    Fact,
    Order,
    Refund,
    RefundCause,
    RefundState,
    Review,
    merge,
)
from order_api.outbox import charge_call

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
AMOUNT = 9999
ORDER_ID = "ord_018dfa3c00007000800000000000abcd"
EARLIER, LATER, LATEST = (f"ch_018dfa3c{time:04x}7000800000000000cafe" for time in (1, 2, 3))


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def an_order(*facts: Fact) -> Order:
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
    return knowing(placed, facts)


def with_its_charge_call(order: Order, **changes: Any) -> Order:
    """As it is when it is placed, with these `changes` of the call."""
    return msgspec.structs.replace(order, calls=(msgspec.structs.replace(charge_call(order), **changes),))


def knowing(order: Order, facts: Iterable[Fact], *, now: datetime = NOW) -> Order:
    for fact in facts:
        order = merge(order, fact, now=now, cause="test")
    return order


def a_charge(state: ChargeState, charge_id: str = EARLIER, *, seconds: float = 0) -> Charge:
    code = "card_declined" if state == "failed" else None
    return Charge(id=charge_id, state=state, amount_minor=AMOUNT, failure_code=code, at=at(seconds))


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


def a_review(code: str = "event-mismatch", *, resolved: bool = False, seconds: float = 0) -> Review:
    resolved_at = at(seconds + 1) if resolved else None
    decision = "accept" if resolved else None
    return Review(
        code=code, event_id="evt_1", detail="?", raised_at=at(seconds), resolved_at=resolved_at, decision=decision
    )


CANCELLED = Cancellation(NOW)
