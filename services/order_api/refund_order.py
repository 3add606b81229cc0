"""A merchant gives money back: key, reservation on the order and the message that asks for it, in one transaction. C18

The answer is made before the transaction, from the order as it was read; if the order has changed by then so that the
answer would be another, nothing is written and the request is judged anew. C4
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from order_api.order import Order, Refund, merge, unreserved_minor
from order_api.outbox import refund_message
from order_api.refund import ExceedsPaid, NotRefundable, TooManyRefunds, refundable, refuse
from order_api.store import Store
from order_api.views import refund_view, to_json
from shared.batches import UnavailableError
from shared.create_once import CreateOnce
from shared.idempotency import Answer, KeyReused, created
from shared.ids import new_id
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span

JUDGED_MAX = 5  # each time the order has changed since it was read


class NewRefund(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request to give back so much, or what is left. A key remembers its fingerprint: a field that is added needs a
    default.
    """

    amount_minor: int | None = None


class _Reservation(msgspec.Struct, frozen=True):
    """`rest`: the amount is what was left when the order was read."""

    order_id: str
    refund: Refund
    rest: bool


class _Changed(msgspec.Struct, frozen=True):
    """The order is no longer as it was when the answer was made."""


Refusal: TypeAlias = NotRefundable | ExceedsPaid | TooManyRefunds
Outcome: TypeAlias = Answer | KeyReused | Refusal


class RefundOrder:
    """`wake` hints at new messages. Raises what CreateOnce raises."""

    def __init__(self, store: Store, *, idempotency_ttl: timedelta, wake: Callable[[], None]) -> None:
        self._store = store
        self._ttl = idempotency_ttl
        self._wake = wake
        self._create = CreateOnce[_Reservation, Refusal | _Changed](
            store.client, store.idempotency_keys, self._write, name="refund_order", refuse=self._refuse
        )
        self.commits = self._create.commits

    async def __call__(self, key: str, order: Order, new: NewRefund) -> Outcome:
        """`order` is the merchant's, as it was just read."""
        note(order_id=order.id)
        with span("refund order"):
            for _ in range(JUDGED_MAX):
                outcome = await self._judge(key, order, new)
                if not isinstance(outcome, _Changed):
                    return outcome
                order = await self._store.order(order.merchant, order.id) or order
        raise UnavailableError

    async def _judge(self, key: str, order: Order, new: NewRefund) -> Outcome | _Changed:
        charge = refundable(order)
        if isinstance(charge, NotRefundable):  # and never was: no earlier request with this key was answered otherwise
            return charge
        amount_minor = unreserved_minor(order, charge) if new.amount_minor is None else new.amount_minor
        now = utc_now()
        refund = Refund(
            id=new_id("rf"),
            charge_id=charge.id,
            amount_minor=amount_minor,
            state="requested",
            cause="merchant",
            at=now,
        )
        record = created(
            order.merchant,
            key,
            endpoint=f"POST /api/orders/{order.id}/refunds",
            command=new,
            body=to_json(refund_view(refund, order.currency)),
            location=f"/api/orders/{order.id}/refunds/{refund.id}",
            now=now,
            ttl=self._ttl,
            status=202,
        )
        outcome = await self._create(record, _Reservation(order.id, refund, rest=new.amount_minor is None))
        if isinstance(outcome, Answer) and not outcome.replayed:
            log.info("refund asked for", refund_id=refund.id, charge_id=charge.id)
            self._wake()
        return outcome

    async def _refuse(
        self, reservations: Sequence[_Reservation], session: AsyncClientSession
    ) -> Sequence[Refusal | _Changed | None]:
        orders = await self._store.orders_by_id({one.order_id for one in reservations}, session)
        refusals: list[Refusal | _Changed | None] = []
        for one in reservations:
            order = orders[one.order_id]
            refusal = _refusal(order, one)
            if refusal is None:
                orders[order.id] = _reserved(order, one.refund)
            refusals.append(refusal)
        return refusals

    async def _write(self, reservations: Sequence[_Reservation], session: AsyncClientSession) -> None:
        """All refunds of one order are one write of it. C3"""
        before = await self._store.orders_by_id({one.order_id for one in reservations}, session)
        after = dict(before)
        for one in reservations:
            after[one.order_id] = _reserved(after[one.order_id], one.refund)
        now = max(one.refund.at for one in reservations)
        changes = [(before[order_id], order) for order_id, order in after.items()]
        await self._store.save_orders(changes, now=now, session=session)
        messages = [refund_message(after[one.order_id], one.refund, now=one.refund.at) for one in reservations]
        await self._store.add_messages(messages, session=session)


def _refusal(order: Order, reservation: _Reservation) -> Refusal | _Changed | None:
    refund, charge = reservation.refund, refundable(order)
    if isinstance(charge, NotRefundable):
        return charge
    if charge.id != refund.charge_id:
        return _Changed()
    left = unreserved_minor(order, charge)
    if reservation.rest and 0 < left != refund.amount_minor:
        return _Changed()
    return refuse(order, charge, refund.amount_minor)


def _reserved(order: Order, refund: Refund) -> Order:
    return merge(order, refund, now=refund.at, cause=f"refund asked for: {refund.cause}")
