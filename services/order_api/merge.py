"""An order learns facts, and everything that follows from them is done in the same write. Pure.

Nothing depends on the order in which facts arrive: merging is commutative, associative and idempotent. C1
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from order_api.calls import DISPUTED, GIVING_BACK_TRIES, NOT_OWED, Call, ended, is_unsent, pause_before_giving_back
from order_api.facts import Cancellation, Charge, Dispute, Fact, Refund, RefundCause, Review, joined
from order_api.money import AUTOMATIC, Part, derive, parts_owed, succeeded, sums, taken_of
from order_api.order import Order, StatusChange
from order_api.outbox import call_by_id, refund_call_id, with_call, with_refund_asked, without_unsent_charges
from order_api.reviews import raised, was_missed, with_reviews
from shared.ids import derive_id

HISTORY_KEPT = 1000  # lines of one order, whose document must stay small enough to be written


def merge(order: Order, *facts: Fact, now: datetime, cause: str) -> Order:
    """The order after it has learned `facts`, with everything that follows from them: calls that must not be sent any more
    are ended, what must go back is asked for, reviews open and close, and the status is derived. `version` is
    left to the write.

    Returns the same object if nothing is new. `cause` goes into the history if the status changes.
    """
    grown = knowing(order, facts)
    if grown.cancelled_at is not None or succeeded(grown):
        grown = without_unsent_charges(grown, now=now)
    if grown.disputes:
        grown = _without_unsent_refunds(grown, now)
    if grown.refunds:
        grown = _without_what_is_not_owed(grown, now)
    grown = _with_what_is_owed(grown, now)
    grown = with_reviews(grown, now=now)
    status = derive(grown)
    if grown is order and status == order.status:
        return order
    history = grown.history
    if status != order.status and len(history) < HISTORY_KEPT:
        history = (*history, StatusChange(status, now, cause))
    return replace(grown, status=status, history=history, updated_at=now)


def knowing(order: Order, facts: Iterable[Fact]) -> Order:
    """Adds the facts to the order, without anything that follows from them."""
    for fact in facts:
        order = _with(order, fact)
    return order


def _with(order: Order, fact: Fact) -> Order:
    match fact:
        case Charge():
            return _changed(order, charges=joined(order.charges, fact))
        case Refund():
            return _changed(order, refunds=joined(order.refunds, fact))
        case Dispute():
            return _changed(order, disputes=joined(order.disputes, fact))
        case Review():
            return raised(order, fact)
        case Cancellation(at):
            return _changed(order, cancelled_at=min(at, order.cancelled_at or at))


def _changed(order: Order, **fields: Any) -> Order:
    """`order` with these fields, or `order` itself if they are what it has."""
    if all(getattr(order, name) == value for name, value in fields.items()):
        return order
    return replace(order, **fields)


def _without_unsent_refunds(order: Order, now: datetime) -> Order:
    """Ends refunds that were never sent and no longer fit, because a dispute has taken their money. The latest are ended
    first, until the others fit.
    """
    amounts = {charge.id: charge.amount_minor for charge in succeeded(order)}
    disputed = {dispute.charge_id for dispute in order.disputes} & amounts.keys()
    for refund in reversed(order.refunds):
        call = call_by_id(order, refund_call_id(refund.id))
        if refund.charge_id not in disputed or call is None or not is_unsent(call):
            continue
        if taken_of(order, refund.charge_id) > amounts[refund.charge_id]:
            order = _withdrawn(order, refund, call, DISPUTED, now)
    return order


def _without_what_is_not_owed(order: Order, now: datetime) -> Order:
    """Ends automatic refunds that were never sent, if nothing would be owed without them: somebody has given the money back
    by hand.
    """
    for refund in reversed(order.refunds):
        call = call_by_id(order, refund_call_id(refund.id))
        if refund.cause in AUTOMATIC and refund.state == "requested" and call is not None and is_unsent(call):
            others = tuple(one for one in order.refunds if one is not refund)
            if sums(replace(order, refunds=others)).owed == 0:
                order = _withdrawn(order, refund, call, NOT_OWED, now)
    return order


def _withdrawn(order: Order, refund: Refund, call: Call, code: str, now: datetime) -> Order:
    refused = replace(refund, state="refused", failure_code=code, at=now)
    order = replace(order, refunds=joined(order.refunds, refused))
    return with_call(order, replace(ended(call, "done", now=now), refused_code=code))


def _with_what_is_owed(order: Order, now: datetime) -> Order:
    """Asks for a refund of all that the merchant must not keep. C2

    Its id derives from the charge's id and from how many were asked for, so asking twice is asking once. If earlier refunds
    were not made, the next one is sent after a pause. This goes on for about 30 days; then only the review is left.
    """
    cause: RefundCause = "duplicateCharge" if order.cancelled_at is None else "cancelled"
    for part in parts_owed(order):
        asked = [one for one in order.refunds if one.charge_id == part.charge.id and one.cause in AUTOMATIC]
        missed = [one for one in asked if was_missed(one)]
        if len(missed) >= GIVING_BACK_TRIES:
            continue
        pause = pause_before_giving_back(len(missed)) if missed else timedelta()
        order = with_refund_asked(
            order, _refund(part, len({one.id for one in asked}), cause, now), now=now, pause=pause
        )
    return order


def _refund(part: Part, number: int, cause: RefundCause, now: datetime) -> Refund:
    refund_id = derive_id("rf", part.charge.id, "automatic", str(number))
    return Refund(id=refund_id, charge_id=part.charge.id, amount_minor=part.amount_minor, cause=cause, at=now)
