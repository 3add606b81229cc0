"""Placing an order: one insert of one document, with its idempotency key and the call that will charge it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from order_api.metrics import count_status
from order_api.order import Order, StatusChange
from order_api.outbox import charge_call
from order_api.store import Store
from order_api.views import order_view, to_json
from shared.documents import Inserts
from shared.documents.keys import known_key, known_keys
from shared.idempotency import Answer, Key, KeyedRequest, KeyReused, entry_of, fingerprint, new_key
from shared.ids import new_id, time_of
from shared.money import AmountError, CurrencyError, exponent_of, in_minor
from shared.tracing import current_trace, note, span

ENDPOINT = "POST /api/orders"


class NewOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request to place an order, `amount` in major units. A key remembers its fingerprint, so a field that is added needs
    a default: a retry from before the upgrade must still be the same request.
    """

    merchant: str
    order_number: str
    amount: Decimal
    currency: str
    payment_method: str
    metadata: dict[str, str]


class OrderNumberTaken(msgspec.Struct, frozen=True):
    order_number: str


Outcome: TypeAlias = Answer | KeyReused | OrderNumberTaken


class PlaceOrder:
    """`wake` hints at new calls. Raises what Inserts raises; then the same key finds the truth. Raises AmountError and
    CurrencyError for what cannot be paid, unless the key remembers that it once could: currencies are withdrawn.
    """

    def __init__(self, store: Store, *, idempotency_ttl: timedelta, wake: Callable[[], None]) -> None:
        self._store = store
        self._ttl = idempotency_ttl
        self._wake = wake
        self._insert = Inserts[Order, Outcome](store.orders, explain=self._explain)
        self.writers = (self._insert,)

    async def __call__(self, key: str, new: NewOrder) -> Outcome:
        try:
            exponent = exponent_of(new.currency)
            amount_minor = in_minor(new.amount, new.currency, exponent)
        except (AmountError, CurrencyError):
            known = await known_key(self._store.orders, new.merchant, _request(key, new))
            if known is None:
                raise
            return known
        order = self._order(key, new, amount_minor, exponent)
        with span("place order"):
            outcome = await self._insert(order) or order.keys[0].answer
        if isinstance(outcome, Answer):
            note(order_id=outcome.resource_id)  # of a replay, that of the first
            if not outcome.replayed:
                count_status(order)
        self._wake()
        return outcome

    def _order(self, key: str, new: NewOrder, amount_minor: int, exponent: int) -> Order:
        """The order as it is stored, all of it made before the first try. C4"""
        order_id = new_id("ord")
        now = time_of(order_id)  # lists by time go by the ids
        order = Order(
            id=order_id,
            merchant=new.merchant,
            order_number=new.order_number,
            amount_minor=amount_minor,
            currency=new.currency,
            exponent=exponent,
            payment_method=new.payment_method,
            metadata=new.metadata,
            history=(StatusChange("Pending", now, "placed"),),
            reconcile_at=now + self._store.reconcile_after,
            trace=current_trace(),
            created_at=now,
            updated_at=now,
        )
        order = replace(order, calls=(charge_call(order, new.payment_method, at=now),))
        return replace(order, keys=(self._key(key, new, order),))

    def _key(self, key: str, new: NewOrder, order: Order) -> Key:
        """The entry by which the key remembers the request, and the answer that each retry of it gets."""
        return new_key(
            key,
            endpoint=ENDPOINT,
            command=new,
            body=to_json(order_view(order)),
            location=f"/api/orders/{order.id}",
            now=order.created_at,
            ttl=self._ttl,
        )

    async def _explain(self, orders: Sequence[Order]) -> Sequence[Outcome | None]:
        """What stands in the way of each: its own key, with the stored answer, or another order with its number.

        C5: the number is read before the key. Both appear together, so a number without the key belongs to another request.
        None if nothing stands in the way any more, or an expired key was taken off. C10: one of many takers gets the key.
        """
        numbers = await self._by_number(orders)
        answers = await known_keys(self._store.orders, [(order.merchant, order.keys[0]) for order in orders])
        outcomes: list[Outcome | None] = []
        for order, answer in zip(orders, answers, strict=True):
            ours = order.keys[0]
            numbered = numbers.get((order.merchant, order.order_number))
            known = numbered and entry_of(numbered.keys, ours.value)
            if known and numbered and known.expires_at > numbered.now:
                outcomes.append(known.replayed_for(ours))
            else:
                outcomes.append(answer or (OrderNumberTaken(order.order_number) if numbered else None))
        return outcomes

    async def _by_number(self, orders: Sequence[Order]) -> dict[tuple[str, str], "_Numbered"]:
        wanted: dict[str, list[str]] = {}
        for order in orders:
            wanted.setdefault(order.merchant, []).append(order.order_number)
        either = [{"merchant": merchant, "order_number": {"$in": numbers}} for merchant, numbers in wanted.items()]
        shown = {"_id": 0, "merchant": 1, "order_number": 1, "keys": 1, "now": "$$NOW"}
        found = await self._store.orders.aggregate([{"$match": {"$or": either}}, {"$project": shown}])
        numbered = [msgspec.convert(document, _Numbered) async for document in found]
        return {(one.merchant, one.order_number): one for one in numbered}


def _request(key: str, new: NewOrder) -> KeyedRequest:
    return KeyedRequest(value=key, endpoint=ENDPOINT, fingerprint=fingerprint(ENDPOINT, new))


class _Numbered(msgspec.Struct, frozen=True):
    """The order that has a number, with its keys; `now` is the server's time of the read."""

    merchant: str
    order_number: str
    now: datetime
    keys: tuple[Key, ...] = ()
