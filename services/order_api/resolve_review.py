"""A person has decided about what an order asks them to look at: the reviews are closed, and money is given back if that is
the decision, in one transaction.
"""

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from order_api.order import Order, Refund, Review, merge
from order_api.outbox import Message, refund_message
from order_api.refund import ExceedsPaid, NotRefundable, decided_refund
from order_api.store import Store
from shared.group_commit import GroupCommit
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span

Decision: TypeAlias = Literal["accept", "refund"]


class NoSuchReview(msgspec.Struct, frozen=True):
    """No order of this merchant has a review with that code, or that was raised by that event."""


class AlreadyResolved(msgspec.Struct, frozen=True):
    """`decision` was another."""

    decision: str


Refusal: TypeAlias = NoSuchReview | AlreadyResolved | ExceedsPaid | NotRefundable
Outcome: TypeAlias = Order | Refusal


class _Request(msgspec.Struct, frozen=True):
    merchant: str
    order_id: str
    code: str
    decision: Decision
    event_id: str | None
    at: datetime


class ResolveReview:
    """The order as it is then. Raises OverloadedError and UnavailableError. `wake` hints at new messages."""

    def __init__(self, store: Store, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        self.commits = GroupCommit[_Request, Outcome](store.client, self._write, name="resolve_review", keys=_keys)

    async def __call__(
        self, merchant: str, order_id: str, code: str, decision: Decision, *, event_id: str | None = None
    ) -> Outcome:
        """About all open reviews with this code, or the one that `event_id` raised."""
        note(order_id=order_id)
        with span("resolve review"):
            outcome = await self.commits.submit(_Request(merchant, order_id, code, decision, event_id, utc_now()))
        if isinstance(outcome, Order):
            log.info("review resolved", code=code, decision=decision)
            self._wake()
        return outcome

    async def _write(self, session: AsyncClientSession, requests: Sequence[_Request]) -> Sequence[Outcome]:
        """No two requests of a batch are about one order: `_keys` sees to that."""
        before = await self._store.orders_by_id({one.order_id for one in requests}, session)
        outcomes: list[Outcome] = []
        changes: list[tuple[Order, Order]] = []
        messages: list[Message] = []
        for one in requests:
            order = before.get(one.order_id)
            outcome = NoSuchReview() if order is None else _resolve(order, one)
            if isinstance(outcome, Order) and order is not None and outcome is not order:
                changes.append((order, outcome))
                messages += _new_messages(order, outcome, one.at)
            outcomes.append(outcome)
        await self._store.save_orders(changes, now=max(one.at for one in requests), session=session)
        await self._store.add_messages(messages, session=session)
        return outcomes


def _keys(request: _Request) -> tuple[Hashable, ...]:
    return (request.order_id,)


def _resolve(order: Order, request: _Request) -> Outcome:
    reviews = [review for review in order.reviews if review.code == request.code]
    if request.event_id is not None:
        reviews = [review for review in reviews if review.event_id == request.event_id]
    if order.merchant != request.merchant or not reviews:
        return NoSuchReview()
    raised = [review for review in reviews if review.resolved_at is None]
    if not raised:
        decisions = [review.decision or "" for review in reviews]
        return order if request.decision in decisions else AlreadyResolved(decisions[-1])
    if request.decision == "refund":
        refunded = _with_refunds(order, raised, request.at)
        if not isinstance(refunded, Order):
            return refunded
        order = refunded
    for review in raised:
        closed = msgspec.structs.replace(review, resolved_at=request.at, decision=request.decision)
        order = merge(order, closed, now=request.at, cause=review.code)
    return order


def _with_refunds(order: Order, raised: Sequence[Review], at: datetime) -> Order | ExceedsPaid | NotRefundable:
    """The order with a refund asked for of whatever these reviews leave to be refunded; it must be something."""
    refusal: ExceedsPaid | NotRefundable | None = None
    asked = False
    for review in raised:
        refund = decided_refund(order, review, now=at)
        if isinstance(refund, Refund):
            order = merge(order, refund, now=at, cause=f"refund asked for: {review.code}")
            asked = True
        else:
            refusal = refund
    return refusal if refusal is not None and not asked else order


def _new_messages(before: Order, after: Order, at: datetime) -> list[Message]:
    known = {refund.id for refund in before.refunds}
    return [refund_message(after, refund, now=at) for refund in after.refunds if refund.id not in known]
