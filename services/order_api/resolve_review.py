"""A person has decided about what an order asks them to look at: the reviews are closed, and money is given back if that is
the decision, in one change of the order.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from order_api.order import Charge, Order, Refund, Review, kept_charge, unreserved_minor, with_reviews_closed
from order_api.outbox import ask_for_refund, refund_call_id
from order_api.refund_order import ExceedsPaid, NotRefundable
from order_api.store import Store
from shared.documents import Verdict
from shared.ids import derive_id
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span

Decision: TypeAlias = Literal["accept", "refund"]


class NoSuchReview(msgspec.Struct, frozen=True):
    """No order of this merchant has a review with that code, or that was raised by that event."""


class AlreadyResolved(msgspec.Struct, frozen=True):
    """`decision` was another."""

    decision: str


Outcome: TypeAlias = Order | NoSuchReview | AlreadyResolved | ExceedsPaid | NotRefundable


class ResolveReview:
    """The order as it is then. Raises what Changes raises. `wake` hints at new calls."""

    def __init__(self, store: Store, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    async def __call__(
        self, merchant: str, order_id: str, code: str, decision: Decision, *, event_id: str | None = None
    ) -> Outcome:
        """About all open reviews with this code, or the one that `event_id` raised."""
        note(order_id=order_id)
        asked = Resolution(merchant, code, decision, event_id, utc_now())
        with span("resolve review"):
            outcome = await self._store.change(order_id, lambda order, _now: resolved(order, asked))
        if isinstance(outcome, Order):
            log.info("review resolved", code=code, decision=decision)
            self._wake()
        return outcome


class Resolution(msgspec.Struct, frozen=True):
    """A person's decision, made at the time `at`."""

    merchant: str
    code: str
    decision: Decision
    event_id: str | None
    at: datetime


def resolved(order: Order | None, asked: Resolution) -> Verdict[Order, Outcome]:
    """The same decision made twice is made once. C4"""
    if order is None or order.merchant != asked.merchant:
        return Verdict(NoSuchReview())
    reviews = [one for one in order.reviews if one.code == asked.code and asked.event_id in {None, one.event_id}]
    if not reviews:
        return Verdict(NoSuchReview())
    raised = [review for review in reviews if review.resolved_at is None]
    if not raised:
        decisions = [review.decision or "" for review in reviews]
        known = order if asked.decision in decisions else AlreadyResolved(decisions[-1])
        return Verdict(known, found=True)
    decided = _with_refunds(order, raised, asked.at) if asked.decision == "refund" else order
    if not isinstance(decided, Order):
        return Verdict(decided)
    after = with_reviews_closed(decided, raised, asked.decision, at=asked.at)
    return Verdict(after, after)


def _with_refunds(order: Order, raised: Sequence[Review], at: datetime) -> Order | ExceedsPaid | NotRefundable:
    """The order with a refund asked for of whatever these reviews leave to be refunded; it must be something."""
    refusal: ExceedsPaid | NotRefundable | None = None
    asked = False
    for review in raised:
        refund = decided_refund(order, review, now=at)
        if isinstance(refund, Refund):
            if refund not in order.refunds:  # which it is where two reviews are about one failed refund
                order = ask_for_refund(order, refund, now=at, why=review.code)
            asked = True
        else:
            refusal = refund
    return refusal if refusal is not None and not asked else order


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
