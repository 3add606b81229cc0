"""What of an order may be given back, and what a person's decision gives back. Pure."""

from datetime import datetime

import msgspec

from order_api.order import Charge, Order, Refund, Review, kept_charge, unreserved_minor
from shared.ids import derive_id


class NotRefundable(msgspec.Struct, frozen=True):
    """No charge has succeeded, or the order is cancelled: then what was paid is given back by itself."""


class ExceedsPaid(msgspec.Struct, frozen=True):
    """More than the `left_minor` that no other refund has taken or asked for."""

    left_minor: int


def refundable(order: Order) -> Charge | NotRefundable:
    """The charge that a merchant may refund."""
    kept = kept_charge(order)
    return NotRefundable() if kept is None or order.cancelled_at is not None else kept


def refuse(order: Order, charge: Charge, amount_minor: int) -> ExceedsPaid | None:
    """Why this much of `charge` cannot be refunded. C18"""
    left = unreserved_minor(order, charge)
    return None if 0 < amount_minor <= left else ExceedsPaid(left)


def decided_refund(order: Order, review: Review, *, now: datetime) -> Refund | ExceedsPaid | NotRefundable:
    """The refund that deciding `review` with "refund" asks for: what is left of the charge that it is about.

    Its id derives from charge and review, so asking twice is asking once.
    """
    charge, limit_minor = _subject(order, review)
    if charge is None or charge.state != "succeeded":
        return NotRefundable()
    amount_minor = min(unreserved_minor(order, charge), limit_minor)
    if amount_minor <= 0:
        return ExceedsPaid(0)
    return Refund(
        id=derive_id("rf", charge.id, "review", review.code, review.event_id),
        charge_id=charge.id,
        amount_minor=amount_minor,
        state="requested",
        cause="merchant",
        at=now,
    )


def _subject(order: Order, review: Review) -> tuple[Charge | None, int]:
    """The charge that a review is about, and the most of it that is in question."""
    charges = {charge.id: charge for charge in order.charges}
    match review.code:
        case "second-charge":
            charge = charges.get(review.event_id)
        case "refund-failed":
            failed = next((refund for refund in order.refunds if refund.id == review.event_id), None)
            return (charges.get(failed.charge_id), failed.amount_minor) if failed else (None, 0)
        case _:
            charge = kept_charge(order)
    return charge, charge.amount_minor if charge else 0
