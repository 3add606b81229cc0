"""The calls of an order: what it asks of the provider, and how it learns what became of that. Pure."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from order_api.calls import CLOCK_SKEW, REDRIVES_MAX, Call, Kind, ended, is_unsent
from order_api.facts import Refund, joined
from order_api.order import Order, attempt_reference, attempts
from order_api.questions import in_doubt
from shared import wire
from shared.ids import derive_id


def charge_call(order: Order, payment_method: str, *, at: datetime) -> Call:
    """The call of the order's next payment attempt. Its id and reference follow from the order's and how many there were."""
    number = len(attempts(order)) + 1
    reference = attempt_reference(order.id, number)
    body = wire.ChargeRequest(
        amount=order.amount_minor, currency=order.currency, reference=reference, payment_method=payment_method
    )
    own = charge_call_id(order.id)
    call_id = own if number == 1 else derive_id("obx", own, "attempt", str(number))
    return _new_call(call_id, "charge", "/v1/charges", body, at=at, payment_method=payment_method)


def refund_call(refund: Refund, *, now: datetime, pause: timedelta = timedelta()) -> Call:
    """The call that asks for a refund which its order has reserved. Its id follows from the refund's."""
    body = wire.RefundRequest(amount=refund.amount_minor, reference=refund.id)
    path = f"/v1/charges/{refund.charge_id}/refunds"
    call = _new_call(refund_call_id(refund.id), "refund", path, body, at=now, refund_id=refund.id)
    return replace(call, due_at=now + pause) if pause else call


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


def with_refund_asked(order: Order, refund: Refund, *, now: datetime, pause: timedelta = timedelta()) -> Order:
    """The order with `refund` reserved, and the call that asks for it. What follows from that is for `merge`. C18"""
    call = refund_call(refund, now=now, pause=pause)
    return replace(order, refunds=joined(order.refunds, refund), calls=(*order.calls, call))


def with_call(order: Order, call: Call) -> Order:
    """The order with this call instead of the one of its id."""
    return replace(
        order, calls=tuple(call if one.id == call.id else one for one in order.calls), updated_at=call.updated_at
    )


def answered_by_event(order: Order, kind: Kind, reference: str, *, now: datetime) -> Order:
    """The order after an event about its charge or refund `reference`: the call is over. C14: nobody asks any more.

    A charge that was asked for, and not accepted as far as we know, may not be the one that the event is about: somebody
    else may have made that under the same reference. So the provider is asked some more times. C22
    """
    for call in order.calls:
        if (call.kind, call.reference) == (kind, reference) and call.state in {"open", "dead"}:
            order = with_call(order, ended(call, "done", now=now))
            if call.kind == "charge" and call.first_attempt_at is not None:
                order = in_doubt(order)
    return order


def without_unsent_charges(order: Order, *, now: datetime) -> Order:
    """The order whose charges that were never sent never will be. C17"""
    for call in order.calls:
        if call.kind == "charge" and is_unsent(call):
            order = with_call(order, ended(call, "void", now=now))
    return order


def may_be_redriven(call: Call, order: Order) -> bool:
    """Whether it may be sent again: it was given up, and what it asked for may have been done. C15"""
    requested = {refund.id for refund in order.refunds if refund.state == "requested"}
    redrivable = call.state == "dead" and call.refused_code is None and call.redrives < REDRIVES_MAX
    return redrivable and (call.kind == "charge" or call.refund_id in requested)
