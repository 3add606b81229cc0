"""The store that the verbs share: orders, each one document, and the provider's events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from order_api.calls import Call
from order_api.event import StoredEvent
from order_api.metrics import UNREADABLE, count_status
from order_api.order import Order, Status
from order_api.outbox import asks_for_more
from order_api.questions import scheduled
from order_api.recent_orders import RecentOrders
from order_api.reviews import OPEN_REVIEW
from shared.batches import answered_within
from shared.documents import Changes, Decide, Documents, Verdict
from shared.documents.keys import change_once
from shared.forward import forward, pass_barrier, read_up_to_date
from shared.idempotency import Answer, KeyedRequest, KeyReused
from shared.ids import first_id
from shared.mongo import BARRIERS, Client, Collection, Document
from shared.not_found import NotFound
from shared.page_reader import PageReader
from shared.pages import CursorError, Found, Paging, Unreadable, older_than, place
from shared.server_clock import ServerClock
from shared.telemetry import log
from shared.tracing import note

PAGE_MAX = 100  # documents that one read or write of an operator's command takes

_SHOWN: Document = {"$unset": "keys"}  # without the stored answers to an order's requests, which are as long as itself
_LATEST_FIRST = {"received_at": -1, "_id": -1}

A = TypeVar("A")
DecideOwn: TypeAlias = Callable[[Order, datetime], Verdict[Order, A]]
_Shown = TypeVar("_Shown", Order, StoredEvent, Call)


class Store:
    """The collections of one order_api database."""

    def __init__(self, client: Client, database: str, *, reconcile_after: timedelta) -> None:
        self.client = client
        self.database = client[database]
        self.orders = self.database["orders"]
        self.payment_events = self.database["payment_events"]
        self.barriers = self.database[BARRIERS]
        self.reconcile_after = reconcile_after
        self.new_calls = asyncio.Event()  # a hint that an order asks for a call which it has not asked for before
        self._read_page = PageReader()
        self._change = Changes[Order](self.orders, Order)
        self.clock = ServerClock(client)
        self.recent = RecentOrders(self.clock)
        self.events = Documents[StoredEvent, StoredEvent](
            self.payment_events, StoredEvent, explain=self._stored_events, ids_are_ours=False
        )
        self.writers = (self._change, *self.events.writers)

    async def change(
        self,
        order_id: str,
        decide: Decide[Order, A],
        *,
        read: Document | Callable[[], Document | None] | None = None,
        patience: float = 0,
    ) -> A:
        """Changes an order as Changes does. A question that the change leaves open is scheduled for the provider (C22), and
        a new status is counted.
        """
        changed: list[tuple[Order, Order]] = []  # in the run whose write was acknowledged, which is the last

        def deciding(order: Order | None, now: datetime | None) -> Verdict[Order, A]:
            changed.clear()
            verdict = decide(order, now)
            if verdict.after is None or order is None or now is None:
                return verdict
            after = scheduled(order, verdict.after, now=now, pause=self.reconcile_after)
            changed.append((order, after))
            return Verdict(verdict.answer, after)

        answer = await self._change(order_id, deciding, read=read, written=self.recent.note, patience=patience)
        for before, after in changed:
            if after.status != before.status:
                count_status(after)
            if asks_for_more(before, after):
                self.new_calls.set()
        return answer

    async def learn(self, order_id: str, decide: Decide[Order, A]) -> A:
        """Changes an order as `change` does. What this process wrote a moment ago is not read again for it."""
        return await self.change(order_id, decide, read=lambda: self.recent.read(order_id))

    async def change_own(self, merchant: str, order_id: str, decide: DecideOwn[A]) -> A | NotFound:
        """Changes an order of this merchant as `change` does. NotFound rests on an absence. C9"""

        def deciding(order: Order | None, now: datetime | None) -> Verdict[Order, Any]:
            if order is None or now is None or order.merchant != merchant:
                return Verdict(NotFound("order"))
            return decide(order, now)

        answer: A | NotFound = await self.change(order_id, deciding)
        return answer

    async def change_once(
        self, merchant: str, order_id: str, request: KeyedRequest, decide: DecideOwn[A]
    ) -> Answer | KeyReused | A | NotFound:
        """As `change_own`, for a decision that writes the key of `request` into the order. If another order has the key, its
        answer is returned. Raises UnresolvedDuplicateError and PyMongoError too. C5
        """
        return await change_once(self.orders, merchant, request, lambda: self.change_own(merchant, order_id, decide))

    async def order(self, merchant: str, order_id: str) -> Order | NotFound:
        """Reads an order. NotFound only if the merchant really has no such order, also after a failover (C9). Raises what
        Changes.read raises.
        """
        order = await self._change.read(order_id)
        if order is None or order.merchant != merchant:
            return NotFound("order")
        note(order_id=order_id)
        return order

    async def confirmed_order(self, merchant: str, order_id: str) -> Order | NotFound:
        """With all that was acknowledged before, at the cost of a small write. Raises what `change_own` raises. C9"""
        return await self.change_own(merchant, order_id, lambda order, _now: Verdict(order))

    async def wants_charge(self, order_id: str) -> bool:
        """Whether the order is neither paid nor cancelled. A no rests on an absence. C9. Raises PyMongoError."""
        wanted = {"_id": order_id, "status": "Pending"}
        found = await read_up_to_date(
            self.database, lambda session: self.orders.find_one(wanted, {"_id": 1}, session=session)
        )
        return found is not None

    async def list_orders(
        self,
        merchant: str,
        paging: Paging,
        *,
        status: Status | None = None,
        order_number: str | None = None,
        review: str | None = None,
    ) -> Found[Order | Unreadable]:
        """Lists orders, the newest first. `review` is the code of an open one, or "open" for any. That no order has a number
        is answered only after a write of our own, because clients decide by it whether to place the order. C9
        """
        wanted = {"merchant": merchant, **_orders_with(status, order_number, review), **_ids_of(paging)}
        async with answered_within():
            async with forward(self.client) as session:
                found, more = await self._newest(wanted, paging.limit, session)
            if not found and order_number:
                async with self.client.start_session(causal_consistency=True) as session:
                    await pass_barrier(self.barriers, session)
                    found, more = await self._newest(wanted, paging.limit, session)
        orders = [_readable(document, Order, document["_id"]) for document in found]
        return Found(orders, orders[-1].id if more else None)

    async def _newest(
        self, wanted: Mapping[str, Any], limit: int, session: AsyncClientSession
    ) -> tuple[list[Document], bool]:
        newest: list[Document] = [{"$match": wanted}, {"$sort": {"_id": -1}}]
        if "order_number" in wanted:  # one order at most: it needs no turn of the page reader
            return await (await self.orders.aggregate([*newest, _SHOWN], session=session)).to_list(), False
        return await self._read_page(self.orders, [*newest, _SHOWN], limit, session=session)

    async def events_of(self, order_id: str, paging: Paging) -> Found[StoredEvent | Unreadable]:
        """The events about an order, the latest first; their time is that of receipt. Raises CursorError."""
        received = {"received_at": paging.created} if paging.created else {}
        older = older_than("received_at", paging.after) if paging.after else {}
        wanted = {"order_id": order_id, "$and": [received, older]}
        async with forward(self.client) as session:
            latest: list[Document] = [{"$match": wanted}, {"$sort": _LATEST_FIRST}]
            found, more = await self._read_page(self.payment_events, latest, paging.limit, session=session)
        events = [_readable(event, StoredEvent, event["_id"]) for event in found]
        return Found(events, place(found[-1], "received_at") if more else None)

    async def latest_events(self, order_id: str, limit: int) -> list[StoredEvent]:
        """The latest events that were received about an order, without their bytes."""
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
        if not found:  # C9: that no order has it is believed only after a write of our own
            async with self.client.start_session(causal_consistency=True) as session:
                await pass_barrier(self.barriers, session)
                found = await self.orders.find_one(wanted, {"_id": 1}, session=session)
        return str(found["_id"]) if found else own

    async def list_calls(
        self, merchant: str, states: Sequence[str], paging: Paging
    ) -> Found[tuple[str, Call | Unreadable]]:
        """Lists open or dead calls, each with its order's id. The calls of the newest order come first, and within an order
        the newest call. `states` are "ready", "leased" and "dead". Raises CursorError.
        """
        conditions: dict[str, Document] = {
            "ready": {"state": "open", "claim": None},
            "leased": {"state": "open", "claim": {"$ne": None}},
            "dead": {"state": "dead"},
        }
        then = {"created_at": paging.created} if paging.created else {}
        found: list[Document] = []
        # Orders at rest are in neither index. Without the hint MongoDB may choose an index of all the merchant's orders.
        for index, orders, those in (
            ("open_calls", {"due_at": {"$type": "date"}}, {"ready", "leased"}),
            ("dead_calls", {"calls.state": "dead"}, {"dead"}),
        ):
            if wanted := [{**conditions[state], **then} for state in states if state in those]:
                stages = _newest_calls({"merchant": merchant, **orders}, wanted, paging)
                async with forward(self.client) as session:
                    newest = await self.orders.aggregate(stages, hint=index, session=session)
                    found += await newest.to_list()
        found.sort(key=lambda one: (one["_id"], one["calls"]["id"]), reverse=True)
        page = found[: paging.limit]
        calls = [(one["_id"], _readable(one["calls"], Call, one["calls"]["id"])) for one in page]
        following = f"{page[-1]['_id']} {page[-1]['calls']['id']}" if len(found) > paging.limit else None
        return Found(calls, following)

    async def _stored_events(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent | None]:
        found = self.payment_events.find({"_id": {"$in": [event.id for event in events]}})
        known = {document["_id"]: msgspec.convert(document, StoredEvent) async for document in found}
        return [known.get(event.id) for event in events]


def _orders_with(status: Status | None, order_number: str | None, review: str | None) -> Document:
    """The condition that these make; what is None makes none."""
    given = {"status": status, "order_number": order_number}
    conditions: Document = {name: value for name, value in given.items() if value}
    if review:
        code = {"$exists": True} if review == "open" else review
        conditions |= {**OPEN_REVIEW, "reviews": {"$elemMatch": {"code": code, "resolved_at": None}}}
    return conditions


def _ids_of(paging: Paging) -> Document:
    """The condition on the ids of orders, which have their time in them."""
    bounds = {bound: first_id("ord", at) for bound, at in paging.created.items()}
    if paging.after:
        bounds["$lt"] = min(paging.after, bounds.get("$lt", paging.after))
    return {"_id": bounds} if bounds else {}


def _newest_calls(orders: Document, calls: Sequence[Document], paging: Paging) -> list[Document]:
    """The stages that find one call more than the page takes. Every order that they read has one of the calls, so with any
    number of orders no more are read than the page needs. Raises CursorError.
    """
    position, is_later = {}, {}
    if paging.after:
        order_id, _, call_id = paging.after.partition(" ")
        if not call_id:
            raise CursorError("not a cursor of this list")
        position = {"_id": {"$lte": order_id}}
        is_later = {"$nor": [{"_id": order_id, "calls.id": {"$gte": call_id}}]}
    those = [{f"calls.{name}": value for name, value in one.items()} for one in calls]
    return [
        {"$match": {**orders, **position, "calls": {"$elemMatch": {"$or": [*calls]}}}},
        {"$sort": {"_id": -1}},
        {"$limit": paging.limit + 2},  # the page before may have shown all calls of the first one
        {"$project": {"calls": 1}},
        {"$unwind": "$calls"},
        {"$match": {"$or": those, **is_later}},
        {"$sort": {"_id": -1, "calls.id": -1}},
        {"$limit": paging.limit + 1},
    ]


def _readable(document: Document, kind: type[_Shown], own_id: str) -> _Shown | Unreadable:
    """Decodes one document of a page. One that is not as it must be does not fail the page."""
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
