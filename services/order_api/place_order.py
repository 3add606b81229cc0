"""Placing an order: one insert of one document, with its idempotency key and the call that charges it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from order_api.dispatch_outbox import DispatchOutbox
from order_api.metrics import count_status
from order_api.order import Order, StatusChange
from order_api.outbox import charge_call
from order_api.store import Store
from order_api.views import order_view, to_json
from shared.documents import Inserts
from shared.documents.keys import known_key, known_keys
from shared.idempotency import Answer, Key, KeyReused, entry_of, keyed, new_key
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
    """Places an order. Raises what Inserts raises; the same key then finds the truth. Raises AmountError and CurrencyError
    for what cannot be paid, unless the key has its answer already: a currency may have been withdrawn since.
    """

    def __init__(self, store: Store, dispatch: DispatchOutbox, *, idempotency_ttl: timedelta) -> None:
        self._store = store
        self._dispatch = dispatch
        self._ttl = idempotency_ttl
        self._insert = Inserts[Order, Outcome](store.orders, explain=self._explain)
        self.writers = (self._insert,)

    async def __call__(self, key: str, new: NewOrder) -> Outcome:
        try:
            exponent = exponent_of(new.currency)
            amount_minor = in_minor(new.amount, new.currency, exponent)
        except (AmountError, CurrencyError):
            known = await known_key(self._store.orders, new.merchant, keyed(key, ENDPOINT, new))
            if known is None:
                raise
            return known
        order = self._order(key, new, amount_minor, exponent)
        with span("place order"):
            refusal: Outcome | None = await self._dispatch.insert(order, self._insert)
        outcome = refusal or order.keys[0].answer
        if isinstance(outcome, Answer):
            note(order_id=outcome.resource_id)  # a replay names the order of the first request
            if not outcome.replayed:
                count_status(order)
        return outcome

    def _order(self, key: str, new: NewOrder, amount_minor: int, exponent: int) -> Order:
        """The order as it is stored. All of it is made before the first try, so that a retry writes the same. C4"""
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
            keyed(key, ENDPOINT, new),
            body=to_json(order_view(order)),
            location=f"/api/orders/{order.id}",
            now=order.created_at,
            ttl=self._ttl,
        )

    async def _explain(self, orders: Sequence[Order]) -> Sequence[Outcome | None]:
        """Finds why each could not be stored: its own key, with the answer that the key remembers, or another order with its
        number. None if nothing is in its way any more, or an expired key was taken off (C10). C5: one key is one order.

        The order with the number usually has the key too: that is a replay. Otherwise the key is looked up after the number,
        not before. Both appear together, so a number without the key belongs to another request.
        """
        numbers = await self._by_number(orders)
        outcomes: dict[str, Outcome | None] = {}
        for order in orders:
            numbered = numbers.get((order.merchant, order.order_number))
            known = numbered and entry_of(numbered.keys, order.keys[0].value)
            if numbered and known and known.expires_at > numbered.now:
                outcomes[order.id] = known.replayed_for(order.keys[0])
        others = [order for order in orders if order.id not in outcomes]
        answers = await known_keys(self._store.orders, [(order.merchant, order.keys[0]) for order in others])
        for order, answer in zip(others, answers, strict=True):
            is_taken = (order.merchant, order.order_number) in numbers
            outcomes[order.id] = answer or (OrderNumberTaken(order.order_number) if is_taken else None)
        return [outcomes[order.id] for order in orders]

    async def _by_number(self, orders: Sequence[Order]) -> dict[tuple[str, str], "_Numbered"]:
        wanted: dict[str, list[str]] = {}
        for order in orders:
            wanted.setdefault(order.merchant, []).append(order.order_number)
        either = [{"merchant": merchant, "order_number": {"$in": numbers}} for merchant, numbers in wanted.items()]
        shown = {"_id": 0, "merchant": 1, "order_number": 1, "keys": 1, "now": "$$NOW"}
        found = await self._store.orders.aggregate([{"$match": {"$or": either}}, {"$project": shown}])
        numbered = [msgspec.convert(document, _Numbered) async for document in found]
        return {(one.merchant, one.order_number): one for one in numbered}


class _Numbered(msgspec.Struct, frozen=True):
    """The order that has a number, with its keys; `now` is the server's time of the read."""

    merchant: str
    order_number: str
    now: datetime
    keys: tuple[Key, ...] = ()
