"""What the verbs read and write together. Each verb's own writes are in the verb."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from bson import Int64
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern

from order_api.order import Order, has_open_question, open_questions
from order_api.outbox import OPEN_STATES, Message, charge_message_id
from shared.group_commit import StaleError
from shared.mongo import Client, Document, to_document
from shared.pages import older_than

_CHANGING = (
    *("status", "charges", "refunds", "cancelled_at", "reviews", "history", "updated_at"),
    *("charge_voided", "asks_left"),
)


class Store:
    """The collections of one order_api database."""

    def __init__(self, client: Client, database: str, *, reconcile_after: timedelta) -> None:
        self.client = client
        self.database = client[database]
        self.orders = self.database["orders"]
        self._latest_orders = self.orders.with_options(read_concern=ReadConcern("linearizable"))
        self.idempotency_keys = self.database["idempotency_keys"]
        self.outbox = self.database["outbox"]
        self.payment_events = self.database["payment_events"]
        self.reconcile_after = reconcile_after

    async def order(self, merchant: str, order_id: str) -> Order | None:
        """None only if there is none: a primary that is new, or that was cut off and does not know it yet, may lack what was
        acknowledged. Raises PyMongoError. C9
        """
        wanted = {"_id": order_id, "merchant": merchant}
        document = await self.orders.find_one(wanted) or await self._latest_orders.find_one(wanted)
        return None if document is None else msgspec.convert(document, Order)

    async def latest_order(self, merchant: str, order_id: str) -> Order | None:
        """With everything that was acknowledged before. It takes a write of the replica set's. Raises PyMongoError."""
        document = await self._latest_orders.find_one({"_id": order_id, "merchant": merchant})
        return None if document is None else msgspec.convert(document, Order)

    async def cancelled_among(self, order_ids: Collection[str | None]) -> set[str]:
        """Those that are cancelled as a majority knows it. Raises PyMongoError."""
        if not order_ids:
            return set()
        found = self.orders.find({"_id": {"$in": list(order_ids)}, "cancelled_at": {"$ne": None}}, {"_id": 1})
        return {document["_id"] async for document in found}

    async def list_orders(
        self, merchant: str, conditions: Mapping[str, Any], *, before: str | None, limit: int
    ) -> list[Order]:
        """The newest first, from just after the order `before`."""
        position = {"_id": {"$lt": before}} if before else {}
        found = self.orders.find({"merchant": merchant, **conditions, **position}).sort("_id", -1).limit(limit)
        return [msgspec.convert(document, Order) async for document in found]

    async def events_of(self, order_id: str, *, before: str | None = None, limit: int = 100) -> list[Document]:
        """What was received about an order, the latest first, from just after the position `before`. Raises CursorError."""
        position = older_than("received_at", before) if before else {}
        found = self.payment_events.find({"order_id": order_id, **position})
        return await found.sort([("received_at", -1), ("_id", -1)]).limit(limit).to_list()

    async def orders_by_id(self, ids: Iterable[str], session: AsyncClientSession) -> dict[str, Order]:
        found = self.orders.find({"_id": {"$in": list(ids)}}, session=session)
        return {document["_id"]: msgspec.convert(document, Order) async for document in found}

    async def messages_by_id(self, ids: Iterable[str], session: AsyncClientSession) -> dict[str, Message]:
        found = self.outbox.find({"_id": {"$in": list(ids)}}, session=session)
        return {document["_id"]: msgspec.convert(document, Message) async for document in found}

    async def list_messages(
        self, merchant: str, states: Iterable[str], *, before: str | None, limit: int
    ) -> list[Message]:
        """Those in one of `states`, the newest first, from just after the position `before`. Raises CursorError."""
        position = older_than("created_at", before) if before else {}
        found = self.outbox.find({"merchant": merchant, "state": {"$in": list(states)}, **position})
        newest = found.sort([("created_at", -1), ("_id", -1)]).limit(limit)
        return [msgspec.convert(document, Message) async for document in newest]

    async def save_orders(
        self, changes: Sequence[tuple[Order, Order]], *, now: datetime, session: AsyncClientSession
    ) -> None:
        """Writes each changed order once, if it is still as it was read. Raises StaleError. C3"""
        writes = []
        for before, after in changes:
            document = to_document(after)
            fields = {name: document[name] for name in _CHANGING}
            change: Document = {"$set": fields, "$inc": {"version": Int64(1)}}
            if not has_open_question(after):
                fields["reconcile_at"] = None
            elif after.asks_left > before.asks_left or not has_open_question(before):
                fields |= {"reconcile_at": now + self.reconcile_after, "reconcile_attempts": 0}
            elif open_questions(after) - open_questions(before):  # an older one is not put off
                fields["reconcile_attempts"] = 0
                change["$min"] = {"reconcile_at": now + self.reconcile_after}
            writes.append(UpdateOne({"_id": before.id, "version": before.version}, change))
        if writes:
            result = await self.orders.bulk_write(writes, ordered=False, session=session)
            if result.matched_count != len(writes):
                raise StaleError

    async def complete_messages(self, ids: Sequence[str], *, now: datetime, session: AsyncClientSession) -> set[str]:
        """Ends messages whose question an event has answered; whoever holds a lease on one finds its fence passed. C14

        Returns the orders whose charge was asked for, and not accepted as far as we know: the event may be about a charge
        that somebody else has made under the same reference, and ours be another. C22
        """
        if not ids:
            return set()
        unanswered = {"_id": {"$in": list(ids)}, "state": {"$in": [*OPEN_STATES, "dead"]}}
        shown = {"kind": 1, "order_id": 1, "first_attempt_at": 1}
        found = await self.outbox.find(unanswered, shown, session=session).to_list()
        if found:
            await self.outbox.update_many(
                unanswered,
                {"$set": {"state": "done", "lease_until": None, "updated_at": now}, "$inc": {"fence": Int64(1)}},
                session=session,
            )
        return {one["order_id"] for one in found if one["kind"] == "charge" and one["first_attempt_at"] is not None}

    async def close_questions(self, order_ids: Sequence[str], *, session: AsyncClientSession) -> None:
        """Has nobody ask about these orders any more, until one of them has an open question again."""
        if order_ids:
            await self.orders.update_many(
                {"_id": {"$in": list(order_ids)}, "reconcile_at": {"$type": "date"}},
                {"$set": {"reconcile_at": None}},
                session=session,
            )

    async def void_unsent_charges(
        self, order_ids: Collection[str], *, now: datetime, session: AsyncClientSession
    ) -> set[str]:
        """Sees to it that the charge messages of these orders which were never sent never will be, and returns their orders.

        A claim writes the message too, so of both one meets a conflict and looks again. Raises StaleError. C17
        """
        if not order_ids:
            return set()
        ids = [charge_message_id(order_id) for order_id in order_ids]
        unsent = {"_id": {"$in": ids}, "state": "ready", "attempts": 0, "first_attempt_at": None}
        found = {one["order_id"] async for one in self.outbox.find(unsent, {"order_id": 1}, session=session)}
        if found:
            result = await self.outbox.update_many(
                {**unsent, "_id": {"$in": [charge_message_id(order_id) for order_id in found]}},
                {"$set": {"state": "void", "updated_at": now}, "$inc": {"fence": Int64(1)}},
                session=session,
            )
            if result.matched_count != len(found):
                raise StaleError
        return found

    async def add_messages(self, messages: Sequence[Message], *, session: AsyncClientSession) -> None:
        if messages:
            await self.outbox.insert_many([to_document(message) for message in messages], session=session)
