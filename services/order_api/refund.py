"""What of an order may be given back, and what a person's decision gives back. Pure."""

from datetime import datetime

import msgspec

from order_api.order import Charge, Order, Refund, Review, kept_charge, unreserved_minor
from order_api.outbox import refund_call_id
from shared.ids import derive_id

REFUNDS_MAX = 500  # a merchant's, of one order: it is one document, which must stay small enough to be written


class NotRefundable(msgspec.Struct, frozen=True):
    """No charge has succeeded, or the order is cancelled: then what was paid is given back by itself."""


class ExceedsPaid(msgspec.Struct, frozen=True):
    """More than the `left_minor` that no other refund has taken or asked for."""

    left_minor: int


class TooManyRefunds(msgspec.Struct, frozen=True):
    """The merchant has asked for REFUNDS_MAX already. Those that the service asks for by itself do not count."""


def refundable(order: Order) -> Charge | NotRefundable:
    """The charge that a merchant may refund."""
    kept = kept_charge(order)
    return NotRefundable() if kept is None or order.cancelled_at is not None else kept


def refuse(order: Order, charge: Charge, amount_minor: int) -> ExceedsPaid | TooManyRefunds | None:
    """Why this much of `charge` cannot be refunded. C18"""
    if sum(refund.cause == "merchant" for refund in order.refunds) >= REFUNDS_MAX:
        return TooManyRefunds()
    left = unreserved_minor(order, charge)
    return None if 0 < amount_minor <= left else ExceedsPaid(left)


def decided_refund(order: Order, review: Review, *, now: datetime) -> Refund | ExceedsPaid | NotRefundable:
    """The refund that deciding `review` with "refund" asks for: what is left of the charge or refund that it is about.

    Its id derives from that, so asking twice is asking once, whichever of two reviews about one failed refund is decided.
    """
    subject = _subject(order, review)
    if subject is None or subject.charge.state != "succeeded":
        return NotRefundable()
    refunds = {refund.id: refund for refund in order.refunds}
    while known := refunds.get(refund_id := derive_id("rf", subject.charge.id, "review", *subject.names)):
        if known.state != "failed":
            return known
        subject = _Subject(subject.charge, known.amount_minor, (known.id,))  # asked for once more
    amount_minor = min(unreserved_minor(order, subject.charge), subject.limit_minor)
    if amount_minor <= 0:
        return ExceedsPaid(0)
    return Refund(id=refund_id, charge_id=subject.charge.id, amount_minor=amount_minor, cause="merchant", at=now)


class _Subject(msgspec.Struct, frozen=True):
    """The charge that a review is about, the most of it that is in question, and what the decision's refund is named by."""

    charge: Charge
    limit_minor: int
    names: tuple[str, ...]


def _subject(order: Order, review: Review) -> _Subject | None:
    """None where no refund of ours could be what is decided about."""
    charges = {charge.id: charge for charge in order.charges}
    match review.code:
        case "refund-failed":
            return _failed_refund(order, charges, {review.event_id})
        case "dead-letter" if refund_ids := {one.id for one in order.refunds if _is_of(review, one)}:
            return _failed_refund(order, charges, refund_ids)
        case "second-charge":
            charge = charges.get(review.event_id)
        case "event-mismatch":  # other money than the order's: what the provider took is given back there
            return None
        case _:
            charge = kept_charge(order)
    return None if charge is None else _Subject(charge, charge.amount_minor, (review.code, review.event_id))


def _failed_refund(order: Order, charges: dict[str, Charge], refund_ids: set[str]) -> _Subject | None:
    """One that was given up may have been made: it is sent again, and not asked for as another. C18"""
    for refund in order.refunds:
        if refund.id in refund_ids and refund.state == "failed" and refund.charge_id in charges:
            return _Subject(charges[refund.charge_id], refund.amount_minor, (refund.id,))
    return None


def _is_of(review: Review, refund: Refund) -> bool:
    """Whether a dead letter is the one that asked for this refund."""
    return review.event_id.partition("~")[0] == refund_call_id(refund.id)
