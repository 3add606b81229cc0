"""The calls of an order: what it asks of the provider, and how it learns what became of that. Pure."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec.structs import replace

from order_api.calls import CLOCK_SKEW, REDRIVES_MAX, Call, ended, voided
from order_api.order import Order, Refund, in_doubt, merge, money_owed_back
from shared import wire


def charge_call(order: Order) -> Call:
    """The call that charges a new order. There is one an order: its id follows from the order's."""
    body = wire.ChargeRequest(
        amount=order.amount_minor,
        currency=order.currency,
        reference=order.id,
        payment_method=order.payment_method,
    )
    return Call(
        id=charge_call_id(order.id),
        kind="charge",
        reference=order.id,
        payment_method=order.payment_method,
        path="/v1/charges",
        body=msgspec.json.encode(body).decode(),
        due_at=order.created_at - CLOCK_SKEW,
        created_at=order.created_at,
        updated_at=order.created_at,
    )


def refund_call(refund: Refund, *, now: datetime) -> Call:
    """The call that asks for a refund which its order has reserved. Its id follows from the refund's."""
    body = wire.RefundRequest(amount=refund.amount_minor, reference=refund.id)
    return Call(
        id=refund_call_id(refund.id),
        kind="refund",
        reference=refund.id,
        refund_id=refund.id,
        path=f"/v1/charges/{refund.charge_id}/refunds",
        body=msgspec.json.encode(body).decode(),
        due_at=now - CLOCK_SKEW,
        created_at=now,
        updated_at=now,
    )


def charge_call_id(order_id: str) -> str:
    return "obx_" + order_id.removeprefix("ord_")


def refund_call_id(refund_id: str) -> str:
    return "obx_" + refund_id.removeprefix("rf_")


def call_by_id(order: Order, call_id: str) -> Call | None:
    return next((call for call in order.calls if call.id == call_id), None)


def due_at(calls: Iterable[Call]) -> datetime | None:
    """When the first of the open calls is due, None if none is open: what claims look for. C11"""
    return min((call.due_at for call in calls if call.state == "open" and call.due_at is not None), default=None)


def ask_for_refund(order: Order, refund: Refund, *, now: datetime, why: str) -> Order:
    """The order with `refund` reserved, and the call that asks for it. C18"""
    reserved = merge(order, refund, now=now, cause=f"refund asked for: {why}")
    return replace(reserved, calls=(*reserved.calls, refund_call(refund, now=now)))


def ask_for_money_owed(order: Order, *, now: datetime) -> Order:
    """The order with a refund asked for of every charge that must be given back. C2"""
    for refund in money_owed_back(order, now=now):
        order = ask_for_refund(order, refund, now=now, why=refund.cause)
    return order


def with_call(order: Order, call: Call) -> Order:
    """The order with this call instead of the one of its id."""
    return replace(
        order, calls=tuple(call if one.id == call.id else one for one in order.calls), updated_at=call.updated_at
    )


def answered_by_event(order: Order, reference: str, *, now: datetime) -> Order:
    """The order whose charge or refund `reference` an event has told of: its call is over. C14

    A charge that was asked for, and not accepted as far as we know, may not be the one that the event is about: somebody
    else may have made that under the same reference. So the provider is asked some more times. C22
    """
    for call in order.calls:
        if call.reference == reference and call.state in {"open", "dead"}:
            order = with_call(order, ended(call, now=now))
            if call.kind == "charge" and call.first_attempt_at is not None:
                order = in_doubt(order)
    return order


def without_unsent_charges(order: Order, *, now: datetime) -> Order:
    """The order whose charges that were never sent never will be. C17"""
    for call in order.calls:
        unsent = call.attempts == 0 and call.claim is None and call.first_attempt_at is None
        if call.kind == "charge" and call.state == "open" and unsent:
            order = with_call(order, voided(call, now=now))
    return order


def may_be_redriven(call: Call, order: Order) -> bool:
    """Whether it may be sent again. A refund that was refused for good is failed, and what it reserved is free again:
    sending that as well could give it back twice. C18
    """
    requested = {refund.id for refund in order.refunds if refund.state == "requested"}
    redrivable = call.state == "dead" and call.redrives < REDRIVES_MAX
    return redrivable and (call.kind == "charge" or call.refund_id in requested)
