"""The life of an order in one list, oldest first: requests, calls with their tries, events, and changes of status. Pure."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import get_args

from order_api.calls import Call
from order_api.event import StoredEvent
from order_api.facts import Charge, Dispute, Refund
from order_api.order import Order
from order_api.views import Moment, MomentKind, TimelineView
from shared.money import in_major
from shared.times import rfc3339

# Of moments with one time, the one that leads to the other comes first: the kinds stand in that order.
_RANK = {kind: rank for rank, kind in enumerate(get_args(MomentKind))}


def timeline(order: Order, events: Iterable[StoredEvent]) -> TimelineView:
    moments = [*_of_order(order), *(one for call in order.calls for one in _of_call(call)), *map(_of_event, events)]
    return TimelineView(sorted(moments, key=lambda moment: (moment.at, _RANK[moment.kind])))


def _of_order(order: Order) -> Iterator[Moment]:
    def money(kind: MomentKind, fact: Charge | Refund | Dispute, reason: str | None) -> Moment:
        amount = in_major(fact.amount_minor, order.exponent)
        return Moment(at=rfc3339(fact.at), kind=kind, id=fact.id, state=fact.state, amount=amount, reason=reason)

    amount = in_major(order.amount_minor, order.exponent)
    yield Moment(at=rfc3339(order.created_at), kind="placed", id=order.id, amount=amount)
    for change in order.history:
        yield Moment(at=rfc3339(change.at), kind="status", state=change.status, reason=change.cause)
    yield from (money("charge", charge, charge.failure_code) for charge in order.charges)
    yield from (money("refund", refund, refund.failure_code or refund.cause) for refund in order.refunds)
    yield from (money("dispute", dispute, dispute.reason) for dispute in order.disputes)
    for review in order.reviews:
        state = review.decision or ("open" if review.resolved_at is None else "closed")
        yield Moment(at=rfc3339(review.raised_at), kind="review", id=review.event_id, state=state, reason=review.code)


def _of_call(call: Call) -> Iterator[Moment]:
    yield Moment(at=rfc3339(call.created_at), kind="call", id=call.id, state=call.state, type=call.kind)
    for tried in call.tries:
        began = tried.at - timedelta(milliseconds=tried.ms)
        yield Moment(
            at=rfc3339(began),
            kind="attempt",
            id=call.id,
            ms=tried.ms,
            state=tried.outcome,
            type=call.kind,
            status=tried.status,
            reason=tried.reason,
        )


def _of_event(event: StoredEvent) -> Moment:
    return Moment(
        at=rfc3339(event.received_at),
        kind="event",
        id=event.id,
        state=event.outcome,
        type=event.type,
        source=event.source,
        reason=event.detail,
    )
