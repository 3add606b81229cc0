"""The calls of an order: what it asks of the provider, and how it learns what became of that. Pure."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from order_api.calls import CLOCK_SKEW, REDRIVES_MAX, Call, Kind, ended
from order_api.order import Order, Refund, in_doubt, merge, money_owed_back
from shared import wire


def charge_call(order: Order) -> Call:
    """The call that charges a new order. There is one an order: its id follows from the order's."""
    method = order.payment_method
    body = wire.ChargeRequest(
        amount=order.amount_minor, currency=order.currency, reference=order.id, payment_method=method
    )
    call_id = charge_call_id(order.id)
    return _new_call(call_id, "charge", "/v1/charges", body, at=order.created_at, payment_method=method)


def refund_call(refund: Refund, *, now: datetime) -> Call:
    """The call that asks for a refund which its order has reserved. Its id follows from the refund's."""
    body = wire.RefundRequest(amount=refund.amount_minor, reference=refund.id)
    path = f"/v1/charges/{refund.charge_id}/refunds"
    return _new_call(refund_call_id(refund.id), "refund", path, body, at=now, refund_id=refund.id)


def _new_call(
    call_id: str, kind: Kind, path: str, body: wire.ChargeRequest | wire.RefundRequest, *, at: datetime, **others: Any
) -> Call:
    return Call(
        id=call_id,
        kind=kind,
        reference=body.reference,
        path=path,
        body=msgspec.json.encode(body).decode(),
        due_at=at - CLOCK_SKEW,
        created_at=at,
        updated_at=at,
        **others,
    )


def charge_call_id(order_id: str) -> str:
    return "obx_" + order_id.removeprefix("ord_")


def refund_call_id(refund_id: str) -> str:
    return "obx_" + refund_id.removeprefix("rf_")


def call_by_id(order: Order, call_id: str) -> Call | None:
    return next((call for call in order.calls if call.id == call_id), None)


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
            order = with_call(order, ended(call, "done", now=now))
            if call.kind == "charge" and call.first_attempt_at is not None:
                order = in_doubt(order)
    return order


def without_unsent_charges(order: Order, *, now: datetime) -> Order:
    """The order whose charges that were never sent never will be. C17"""
    for call in order.calls:
        unsent = call.attempts == 0 and call.claim is None and call.first_attempt_at is None
        if call.kind == "charge" and call.state == "open" and unsent:
            order = with_call(order, ended(call, "void", now=now))
    return order


def may_be_redriven(call: Call, order: Order) -> bool:
    """Whether it may be sent again. A refund that was refused for good is failed, and what it reserved is free again:
    sending that as well could give it back twice. C18
    """
    requested = {refund.id for refund in order.refunds if refund.state == "requested"}
    redrivable = call.state == "dead" and call.redrives < REDRIVES_MAX
    return redrivable and (call.kind == "charge" or call.refund_id in requested)
