"""Cancelling an order that nobody has paid: the order, and its charge message if that was never sent, in one transaction.

A charge that was sent may succeed yet. The order then stays Cancelled and the money is given back by itself. C17, C22
"""

from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from order_api.metrics import count_status
from order_api.order import Cancellation, Order, kept_charge, merge
from order_api.store import Store
from shared.group_commit import GroupCommit
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span


class NoSuchOrder(msgspec.Struct, frozen=True):
    pass


class NotCancellable(msgspec.Struct, frozen=True):
    """A charge has succeeded: what is paid can be refunded, not cancelled."""


class Cancelled(msgspec.Struct, frozen=True):
    """`order` is cancelled; `newly` by this request."""

    order: Order
    newly: bool


Outcome: TypeAlias = Cancelled | NotCancellable | NoSuchOrder


class _Request(msgspec.Struct, frozen=True):
    merchant: str
    order_id: str
    at: datetime


class CancelOrder:
    """Raises OverloadedError and UnavailableError; asking again is safe, and then finds the truth."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.commits = GroupCommit[_Request, Outcome](store.client, self._write, name="cancel_order", keys=_keys)

    async def __call__(self, merchant: str, order_id: str) -> Outcome:
        note(order_id=order_id)
        with span("cancel order"):
            outcome = await self.commits.submit(_Request(merchant, order_id, utc_now()))
        if isinstance(outcome, Cancelled) and outcome.newly:
            count_status(outcome.order)
            log.info("order cancelled", charge_voided=outcome.order.charge_voided)
        return outcome

    async def _write(self, session: AsyncClientSession, requests: Sequence[_Request]) -> Sequence[Outcome]:
        """No two requests of a batch are about one order: `_keys` sees to that."""
        before = await self._store.orders_by_id({one.order_id for one in requests}, session)
        outcomes = {one.order_id: _cancel(before.get(one.order_id), one) for one in requests}
        newly = {one.order.id: one.order for one in outcomes.values() if isinstance(one, Cancelled) and one.newly}
        now = max(one.at for one in requests)
        for order_id in await self._store.void_unsent_charges(newly, now=now, session=session):
            newly[order_id] = msgspec.structs.replace(newly[order_id], charge_voided=True)
            outcomes[order_id] = Cancelled(newly[order_id], newly=True)
        await self._store.save_orders([(before[one.id], one) for one in newly.values()], now=now, session=session)
        return [outcomes[one.order_id] for one in requests]


def _keys(request: _Request) -> tuple[Hashable, ...]:
    return (request.order_id,)


def _cancel(order: Order | None, request: _Request) -> Outcome:
    if order is None or order.merchant != request.merchant:
        return NoSuchOrder()
    if order.cancelled_at is not None:
        return Cancelled(order, newly=False)
    if kept_charge(order) is not None:
        return NotCancellable()
    cancelled = merge(order, Cancellation(request.at), now=request.at, cause="cancelled by the merchant")
    return Cancelled(cancelled, newly=True)
