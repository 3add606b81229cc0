"""Reviews: each asks a person to look at one cause in an order, while the cause stands and nobody has decided. Pure.

The causes are functions of the facts and calls, so a review closes by itself when its cause is gone, and may open again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec.structs import replace

from order_api.calls import WITHDRAWN_CODES, death_id
from order_api.facts import Refund, Review, joined, standing
from order_api.money import AUTOMATIC, Sums, succeeded, sums, taken_of
from order_api.order import Order

# The query for orders with an open review. A partial index has only these.
OPEN_REVIEW = {"reviews.resolved_at": {"$type": "null"}}
KEPT_OF_ONE_CODE = 100  # in one order, whose document must stay small enough to be written; the audit trail has all
TRIES_BEFORE_A_REVIEW = 3
UNTIL_DECIDED = frozenset({"event-mismatch", "event-altered"})  # these have no cause that could go away


def with_reviews(order: Order, *, now: datetime) -> Order:
    """Opens a review for each cause that stands, and closes each review whose cause is gone."""
    causes = {(review.code, review.event_id): review for review in _causes(order)}
    if not causes and not order.reviews:
        return order
    reviews = [_as_it_stands(review, causes, now) for review in order.reviews]
    known = {(review.code, review.event_id) for review in reviews}
    count = Counter(review.code for review in reviews)
    for key, review in causes.items():
        if key not in known and count[review.code] < KEPT_OF_ONE_CODE:
            reviews.append(review)
            count[review.code] += 1
    return order if tuple(reviews) == order.reviews else replace(order, reviews=tuple(reviews))


def raised(order: Order, review: Review) -> Order:
    """Adds a review that stays open until a person decides."""
    known = any((one.code, one.event_id) == (review.code, review.event_id) for one in order.reviews)
    full = sum(one.code == review.code for one in order.reviews) >= KEPT_OF_ONE_CODE
    reviews = order.reviews if full and not known else joined(order.reviews, review)
    return order if reviews is order.reviews else replace(order, reviews=reviews)


def decided(order: Order, reviews: Iterable[Review], decision: str, *, at: datetime) -> Order:
    """Closes these reviews with a person's decision."""
    for review in reviews:
        closed = replace(review, resolved_at=at, decision=decision)
        order = replace(order, reviews=joined(order.reviews, closed))
    return order


def _as_it_stands(review: Review, causes: dict[tuple[str, str], Review], now: datetime) -> Review:
    if review.decision is not None or review.code in UNTIL_DECIDED:
        return review
    cause = causes.get((review.code, review.event_id))
    if cause is not None:
        return replace(review, detail=cause.detail, resolved_at=None)
    return review if review.resolved_at is not None else replace(review, resolved_at=now)


def _causes(order: Order) -> Iterator[Review]:
    """Yields a review for each cause. Its time comes from the facts, so it says the same whenever they arrived."""
    for call in order.calls:
        if call.state == "dead" and call.refused_code is None:
            detail = call.last_error or "given up"
            yield Review(code="dead-letter", event_id=death_id(call), detail=detail, raised_at=call.updated_at)
    for refund in order.refunds:
        if refund.cause == "merchant" and refund.state in {"refused", "failed"}:
            why = f": {refund.failure_code}" if refund.failure_code else ""
            detail = f"a refund was not made{why}"
            yield Review(code="refund-failed", event_id=refund.id, detail=detail, raised_at=refund.at)
    for dispute in standing(order.disputes):
        what_now = "answer it at the provider" if dispute.state == "open" else "it is lost"
        detail = f"the customer disputes the charge: {dispute.reason}; {what_now}"
        yield Review(code="dispute", event_id=dispute.id, detail=detail, raised_at=dispute.at)
    if order.refunds:
        of_order = sums(order)
        yield from _of_charges(order, of_order.owed)
        yield from _of_the_order(order, of_order)


def _of_charges(order: Order, owed: int) -> Iterator[Review]:
    for charge in succeeded(order):
        disputed = any(dispute.charge_id == charge.id for dispute in standing(order.disputes))
        if disputed and taken_of(order, charge.id) > charge.amount_minor:
            detail = "more is refunded and disputed than was paid"
            yield Review(code="refunded-and-disputed", event_id=charge.id, detail=detail, raised_at=charge.at)
        automatic = [one for one in order.refunds if one.charge_id == charge.id and one.cause in AUTOMATIC]
        missed = [one for one in automatic if was_missed(one)]
        is_out = owed or any(one.state == "requested" for one in automatic)  # the next may be asked for already
        if is_out and len(missed) >= TRIES_BEFORE_A_REVIEW:
            detail = "money must go back, and the provider does not give it back: see to it there"
            at = max(one.at for one in missed)
            yield Review(code="not-given-back", event_id=charge.id, detail=detail, raised_at=at)


def was_missed(refund: Refund) -> bool:
    """Whether the provider was asked for the refund and has not made it."""
    return refund.state in {"refused", "failed"} and refund.failure_code not in WITHDRAWN_CODES


def _of_the_order(order: Order, of_order: Sums) -> Iterator[Review]:
    if order.cancelled_at is not None:
        return
    at = max(refund.at for refund in order.refunds)
    if of_order.excess and of_order.for_excess:
        detail = "a charge too many was refunded by hand: accept if that is why, refund if it was meant for the order"
        yield Review(code="second-charge", event_id=order.id, detail=detail, raised_at=at)
    twice = of_order.automatic + of_order.for_excess > of_order.excess
    if twice or of_order.merchant + of_order.by_hand > order.amount_minor:
        detail = "more was given back than was paid for the order, or than was charged too much"
        yield Review(code="given-back-twice", event_id=order.id, detail=detail, raised_at=at)
