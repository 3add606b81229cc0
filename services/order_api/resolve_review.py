"""A person has decided about what an order asks them to look at: the reviews are closed, and money is given back if that is
the decision, in one change of the order.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from order_api.order import Order, Refund, Review, with_reviews_closed
from order_api.outbox import ask_for_refund
from order_api.refund import ExceedsPaid, NotRefundable, decided_refund
from order_api.store import Store
from shared.documents import Verdict
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
