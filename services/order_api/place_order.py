"""Placing an order: its idempotency key, the order and the message that will charge it, in one transaction."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from order_api.metrics import count_status
from order_api.order import Order, StatusChange
from order_api.outbox import charge_message
from order_api.store import Store
from order_api.views import order_view, to_json
from shared.create_once import CreateOnce
from shared.group_commit import Limits
from shared.idempotency import Answer, KeyReused, created
from shared.ids import new_id
from shared.mongo import to_document
from shared.times import utc_now
from shared.tracing import current_trace, note, span

ENDPOINT = "POST /api/orders"
# While one batch waits for the disk, requests are parsed for the next: measured 0.30 of the ceiling with one, 0.39 with 3.
LIMITS = Limits(batches_in_flight=3)


class NewOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """A valid request to place an order. A key remembers its fingerprint, so a field that is added needs a default: a retry
    from before the upgrade must still be the same request.
    """

    merchant: str
    order_number: str
    amount_minor: int
    currency: str
    payment_method: str
    metadata: dict[str, str]


class OrderNumberTaken(msgspec.Struct, frozen=True):
    order_number: str


Outcome: TypeAlias = Answer | KeyReused | OrderNumberTaken


class PlaceOrder:
    """`wake` hints at new messages. Raises what CreateOnce raises."""

    def __init__(self, store: Store, *, idempotency_ttl: timedelta, wake: Callable[[], None]) -> None:
        self._store = store
        self._ttl = idempotency_ttl
        self._wake = wake
        self._create = CreateOnce[Order, OrderNumberTaken](
            store.client, store.idempotency_keys, self._write, name="place_order", known=self._taken, limits=LIMITS
        )
        self.commits = self._create.commits

    async def __call__(self, key: str, new: NewOrder) -> Outcome:
        order = _order(new)
        record = created(
            new.merchant,
            key,
            endpoint=ENDPOINT,
            command=new,
            body=to_json(order_view(order)),
            location=f"/api/orders/{order.id}",
            now=order.created_at,
            ttl=self._ttl,
        )
        with span("place order"):
            outcome = await self._create(record, order)
        if isinstance(outcome, Answer):
            note(order_id=outcome.resource_id)  # of a replay, that of the first
            if not outcome.replayed:
                count_status(order)
        self._wake()
        return outcome

    async def _taken(self, orders: Sequence[Order]) -> Sequence[OrderNumberTaken | None]:
        wanted: dict[str, list[str]] = {}
        for order in orders:
            wanted.setdefault(order.merchant, []).append(order.order_number)
        either = [{"merchant": merchant, "order_number": {"$in": numbers}} for merchant, numbers in wanted.items()]
        found = self._store.orders.find({"$or": either}, {"_id": 0, "merchant": 1, "order_number": 1})
        taken = {(document["merchant"], document["order_number"]) async for document in found}
        return [
            OrderNumberTaken(order.order_number) if (order.merchant, order.order_number) in taken else None
            for order in orders
        ]

    async def _write(self, orders: Sequence[Order], session: AsyncClientSession) -> None:
        documents = [
            {
                **to_document(order),
                "reconcile_at": order.created_at + self._store.reconcile_after,
                "reconcile_attempts": 0,
            }
            for order in orders
        ]
        await self._store.orders.insert_many(documents, session=session)
        await self._store.add_messages([charge_message(order) for order in orders], session=session)


def _order(new: NewOrder) -> Order:
    now = utc_now()
    return Order(
        id=new_id("ord"),
        merchant=new.merchant,
        order_number=new.order_number,
        amount_minor=new.amount_minor,
        currency=new.currency,
        payment_method=new.payment_method,
        metadata=new.metadata,
        history=(StatusChange("Pending", now, "placed"),),
        trace=current_trace(),
        created_at=now,
        updated_at=now,
    )
