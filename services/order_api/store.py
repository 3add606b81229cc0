"""What the verbs read and write together: orders, each one document, and the provider's events."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from order_api.calls import Call
from order_api.event import StoredEvent
from order_api.metrics import UNREADABLE, count_status
from order_api.order import Order
from order_api.questions import scheduled
from shared.batches import answered_within
from shared.documents import Changes, Decide, Documents, Verdict, pass_barrier
from shared.forward import forward
from shared.mongo import BARRIERS, Client, Collection, Document
from shared.page_reader import PageReader
from shared.pages import CursorError, Found, Unreadable, older_than, place
from shared.telemetry import log
from shared.tracing import note

PAGE_MAX = 100  # documents that one read or write of an operator's command takes

_SHOWN: Document = {"$unset": "keys"}  # of an order: not what its requests were answered, which is as long as itself
_LATEST_FIRST = {"received_at": -1, "_id": -1}

A = TypeVar("A")
_Shown = TypeVar("_Shown", Order, StoredEvent, Call)


class NoSuchOrderError(Exception):
    """The merchant has no such order."""


class Store:
    """The collections of one order_api database."""

    def __init__(self, client: Client, database: str, *, reconcile_after: timedelta) -> None:
        self.client = client
        self.database = client[database]
        self.orders = self.database["orders"]
        self.payment_events = self.database["payment_events"]
        self.barriers = self.database[BARRIERS]
        self.reconcile_after = reconcile_after
        self._read_page = PageReader()
        self._change = Changes[Order](self.orders, Order)
        self.events = Documents[StoredEvent, StoredEvent](
            self.payment_events, StoredEvent, explain=self._stored_events, ids_are_ours=False
        )
        self.writers = (self._change, *self.events.writers)

    async def change(self, order_id: str, decide: Decide[Order, A], *, patient: bool = False) -> A:
        """As Changes, with the provider asked in time about whatever question the change leaves open, and a new status
        counted. C22
        """
        changed: list[Order] = []  # in the run whose write was acknowledged, which is the last

        def deciding(order: Order | None, now: datetime | None) -> Verdict[Order, A]:
            changed.clear()
            verdict = decide(order, now)
            if verdict.after is None or order is None or now is None:
                return verdict
            after = scheduled(order, verdict.after, now=now, pause=self.reconcile_after)
            if after.status != order.status:
                changed.append(after)
            return Verdict(verdict.answer, after)

        answer = await self._change(order_id, deciding, patient=patient)
        for order in changed:
            count_status(order)
        return answer

    async def change_own(
        self, merchant: str, order_id: str, decide: Callable[[Order, datetime], Verdict[Order, A]]
    ) -> A:
        """As `change`, of an order of this merchant. Raises NoSuchOrderError too, which rests on an absence. C9"""

        def deciding(order: Order | None, now: datetime | None) -> Verdict[Order, Any]:
            if order is None or now is None or order.merchant != merchant:
                return Verdict(None)
            return decide(order, now)

        answer: A | None = await self.change(order_id, deciding)
        if answer is None:
            raise NoSuchOrderError
        return answer

    async def order(self, merchant: str, order_id: str) -> Order:
        """Raises NoSuchOrderError only if the merchant has no such order, whatever failover has just been, and what
        Changes.read raises. C9
        """
        order = await self._change.read(order_id)
        if order is None or order.merchant != merchant:
            raise NoSuchOrderError
        note(order_id=order_id)
        return order

    async def confirmed_order(self, merchant: str, order_id: str) -> Order:
        """With everything that was acknowledged before, at the price of a small write. Raises what `change_own` does. C9"""
        return await self.change_own(merchant, order_id, lambda order, _now: Verdict(order))

    async def wants_charge(self, order_id: str) -> bool:
        """Whether nobody has paid it or cancelled it, as a majority knows it. Raises PyMongoError."""
        return await self.orders.find_one({"_id": order_id, "status": "Pending"}, {"_id": 1}) is not None

    async def list_orders(
        self,
        merchant: str,
        conditions: Mapping[str, Any],
        *,
        created: Mapping[str, str] = {},
        before: str | None,
        limit: int,
    ) -> Found[Order | Unreadable]:
        """The newest first, from just after the order `before`, with ids as `created` says. That no order has a number is
        answered only after a write of our own: clients decide by it whether to place the order. C9
        """
        earlier = {"$lt": min(before, created.get("$lt", before))} if before else {}
        position = {"_id": {**created, **earlier}} if created or before else {}
        wanted = {"merchant": merchant, **conditions, **position}
        async with answered_within():
            async with forward(self.client) as session:
                found, more = await self._newest(wanted, limit, session)
            if not found and "order_number" in conditions:
                async with self.client.start_session(causal_consistency=True) as session:
                    await pass_barrier(self.barriers, session)
                    found, more = await self._newest(wanted, limit, session)
        orders = [_readable(document, Order, document["_id"]) for document in found]
        return Found(orders, orders[-1].id if more else None)

    async def _newest(
        self, wanted: Mapping[str, Any], limit: int, session: AsyncClientSession
    ) -> tuple[list[Document], bool]:
        newest: list[Document] = [{"$match": wanted}, {"$sort": {"_id": -1}}]
        if "order_number" in wanted:  # one at most: it waits for no place
            return await (await self.orders.aggregate([*newest, _SHOWN], session=session)).to_list(), False
        return await self._read_page(self.orders, [*newest, _SHOWN], limit, session=session)

    async def events_of(
        self, order_id: str, *, received: Mapping[str, datetime] = {}, before: str | None, limit: int
    ) -> Found[StoredEvent | Unreadable]:
        """The events that were `received` about an order, the latest first, from just after the position `before`. Raises
        CursorError.
        """
        between = {"received_at": received} if received else {}
        wanted = {"order_id": order_id, "$and": [between, older_than("received_at", before) if before else {}]}
        async with forward(self.client) as session:
            latest: list[Document] = [{"$match": wanted}, {"$sort": _LATEST_FIRST}]
            found, more = await self._read_page(self.payment_events, latest, limit, session=session)
        events = [_readable(event, StoredEvent, event["_id"]) for event in found]
        return Found(events, place(found[-1], "received_at") if more else None)

    async def latest_events(self, order_id: str, limit: int) -> list[StoredEvent]:
        """The latest that was received about an order, without the bytes that came."""
        async with forward(self.client) as session:
            latest = self.payment_events.find({"order_id": order_id}, {"raw": 0}, session=session)
            found = await latest.sort(_LATEST_FIRST).limit(limit).to_list()
        events = [_readable({**event, "raw": ""}, StoredEvent, event["_id"]) for event in found]
        return [event for event in events if isinstance(event, StoredEvent)]

    async def order_of_call(self, merchant: str, call_id: str) -> str:
        """The id of the order that has this call. An order's first call has the order's own hex, others have an index."""
        wanted = {"merchant": merchant, "calls.id": call_id, "calls.1": {"$exists": True}}
        own = "ord_" + call_id.removeprefix("obx_")
        found = await self.orders.find_one({"_id": own}, {"_id": 1}) or await self.orders.find_one(wanted, {"_id": 1})
        if not found:  # C9: no failover takes an answer back, so an absence counts only after a write of our own
            async with self.client.start_session(causal_consistency=True) as session:
                await pass_barrier(self.barriers, session)
                found = await self.orders.find_one(wanted, {"_id": 1}, session=session)
        return str(found["_id"]) if found else own

    async def list_calls(
        self,
        merchant: str,
        states: Sequence[str],
        *,
        created: Mapping[str, datetime] = {},
        before: str | None,
        limit: int,
    ) -> Found[tuple[str, Call | Unreadable]]:
        """Calls that are open or dead and were `created` then, each with its order's id, from just after the position
        `before`: those of the newest order first, and of one order the newest call first. `states` are "ready", "leased" and
        "dead". Raises CursorError.
        """
        conditions: dict[str, Document] = {
            "ready": {"state": "open", "claim": None},
            "leased": {"state": "open", "claim": {"$ne": None}},
            "dead": {"state": "dead"},
        }
        then = {"created_at": created} if created else {}
        found: list[Document] = []
        # Orders at rest are in neither index. Left to itself MongoDB may choose one that has all orders of the merchant.
        for index, orders, those in (
            ("open_calls", {"due_at": {"$type": "date"}}, {"ready", "leased"}),
            ("dead_calls", {"calls.state": "dead"}, {"dead"}),
        ):
            if wanted := [{**conditions[state], **then} for state in states if state in those]:
                stages = _newest_calls({"merchant": merchant, **orders}, wanted, before, limit)
                async with forward(self.client) as session:
                    newest = await self.orders.aggregate(stages, hint=index, session=session)
                    found += await newest.to_list()
        found.sort(key=lambda one: (one["_id"], one["calls"]["id"]), reverse=True)
        page = found[:limit]
        calls = [(one["_id"], _readable(one["calls"], Call, one["calls"]["id"])) for one in page]
        following = f"{page[-1]['_id']} {page[-1]['calls']['id']}" if len(found) > limit else None
        return Found(calls, following)

    async def _stored_events(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent | None]:
        found = self.payment_events.find({"_id": {"$in": [event.id for event in events]}})
        known = {document["_id"]: msgspec.convert(document, StoredEvent) async for document in found}
        return [known.get(event.id) for event in events]


def _newest_calls(orders: Document, calls: Sequence[Document], before: str | None, limit: int) -> list[Document]:
    """The stages that find up to `limit` + 1 calls in these orders. Every order that they read has one of the calls, so with
    any number of orders no more are read than the page needs. Raises CursorError.
    """
    position, is_later = {}, {}
    if before:
        order_id, _, call_id = before.partition(" ")
        if not call_id:
            raise CursorError("not a cursor of this list")
        position = {"_id": {"$lte": order_id}}
        is_later = {"$nor": [{"_id": order_id, "calls.id": {"$gte": call_id}}]}
    those = [{f"calls.{name}": value for name, value in one.items()} for one in calls]
    return [
        {"$match": {**orders, **position, "calls": {"$elemMatch": {"$or": [*calls]}}}},
        {"$sort": {"_id": -1}},
        {"$limit": limit + 2},  # of the first, the page before may have shown all
        {"$project": {"calls": 1}},
        {"$unwind": "$calls"},
        {"$match": {"$or": those, **is_later}},
        {"$sort": {"_id": -1, "calls.id": -1}},
        {"$limit": limit + 1},
    ]


def _readable(document: Document, kind: type[_Shown], own_id: str) -> _Shown | Unreadable:
    """One document that is not as it must be fails no page."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        UNREADABLE.inc()
        log.error("a document cannot be shown", document_id=own_id, reason=str(error))
        return Unreadable(own_id)


async def pages_of(collection: Collection, shown: Document) -> AsyncIterator[list[Document]]:
    """All of its documents, PAGE_MAX at a time, in the order of their ids: for what no index finds. Raises PyMongoError."""
    last = ""
    while page := await collection.find({"_id": {"$gt": last}}, shown).sort("_id", 1).limit(PAGE_MAX).to_list():
        yield page
        last = page[-1]["_id"]
