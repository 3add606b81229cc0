"""Closes reviews as a person has decided, and gives money back if that is the decision, in one change of the order."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from order_api.facts import Review
from order_api.merge import merge
from order_api.money import Part, sums
from order_api.order import Order
from order_api.outbox import with_refund_asked
from order_api.refund_order import Refusal, may_be_refunded, merchants_refund
from order_api.reviews import decided
from order_api.store import Store
from shared.documents import Verdict
from shared.ids import derive_id
from shared.not_found import NotFound
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span

Decision: TypeAlias = Literal["accept", "refund"]


class NothingToRefund(msgspec.Struct, frozen=True):
    """The review is not about a refund, or that refund has not failed."""


class SeveralReviews(msgspec.Struct, frozen=True):
    """Several open reviews have this code, and the request names none of them. `causes` are their event ids."""

    causes: tuple[str, ...]


class AlreadyResolved(msgspec.Struct, frozen=True):
    """The review is closed already. `decision` is the other decision, or None if it closed by itself."""

    decision: str | None


Outcome: TypeAlias = Order | NotFound | SeveralReviews | AlreadyResolved | NothingToRefund | Refusal


class ResolveReview:
    """Returns the order as it is afterwards. Raises what Changes raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(
        self, merchant: str, order_id: str, code: str, decision: Decision, *, event_id: str | None = None
    ) -> Outcome:
        """Decides the review with this code. If there are several, `event_id` names the cause of the one to decide."""
        note(order_id=order_id)
        asked = Resolution(merchant, code, decision, event_id, utc_now())
        with span("resolve review"):
            outcome = await self._store.change(order_id, lambda order, _now: resolved(order, asked))
        if isinstance(outcome, Order):
            log.info("review resolved", code=code, decision=decision)
        return outcome


class Resolution(msgspec.Struct, frozen=True):
    """A person's decision, made at the time `at`."""

    merchant: str
    code: str
    decision: Decision
    event_id: str | None
    at: datetime


def resolved(order: Order | None, asked: Resolution) -> Verdict[Order, Outcome]:  # noqa: PLR0911 - each is an answer
    """The same decision made twice is made once. C4"""
    if order is None or order.merchant != asked.merchant:
        return Verdict(NotFound("review"))
    reviews = [one for one in order.reviews if one.code == asked.code and asked.event_id in {None, one.event_id}]
    if not reviews:
        return Verdict(NotFound("review"))
    if any((one.decision, one.resolved_at) == (asked.decision, asked.at) for one in reviews):  # our own effect
        return Verdict(order, found=True)
    raised = [review for review in reviews if review.resolved_at is None]
    if not raised:
        decisions = [review.decision for review in reviews]
        known = order if asked.decision in decisions else AlreadyResolved(decisions[-1])
        return Verdict(known, found=isinstance(known, Order))
    if len(raised) > 1:
        return Verdict(SeveralReviews(tuple(review.event_id for review in raised)))
    after = order if asked.decision == "accept" else _with_refund(order, raised[0], asked.at)
    if not isinstance(after, Order):
        return Verdict(after)
    after = decided(after, raised, asked.decision, at=asked.at)
    after = merge(after, now=asked.at, cause=f"{asked.code} decided: {asked.decision}")
    return Verdict(after, after)


def _with_refund(order: Order, review: Review, at: datetime) -> Order | NothingToRefund | Refusal:
    """Asks for the refund that the decision means: once more the one that failed, or as much as was refunded by hand for a
    second charge. Its id derives from the review's cause, so asking twice is asking once.
    """
    match review.code:
        case "refund-failed":
            failed = [one for one in order.refunds if one.id == review.event_id and one.state in {"refused", "failed"}]
            if not failed:
                return NothingToRefund()
            amount_minor = min(failed[0].amount_minor, sums(order).refundable)
        case "second-charge":
            amount_minor = min(sums(order).for_excess, sums(order).refundable)
        case _:
            return NothingToRefund()
    part = may_be_refunded(order, amount_minor)
    if not isinstance(part, Part):
        return part
    refund = merchants_refund(part, derive_id("rf", review.event_id, "review", review.code), at=at)
    return with_refund_asked(order, refund, now=at)
