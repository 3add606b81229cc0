"""Taking expired idempotency keys off the orders that were placed with them, hour by hour.

No answer depends on it: an expired key counts for nothing wherever it is read. It keeps orders small, and the index of keys.
Keys of later refunds go with the next write of their order. There is no TTL index here: it would delete the orders. C10
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from bson import Int64, ObjectId
from pymongo.errors import PyMongoError

from order_api.store import Store
from shared.ids import first_id
from shared.mongo import Document, count_error, describe
from shared.telemetry import log
from shared.times import utc_now

EVERY_SECONDS = 3600.0
FIRST_SECONDS = 60.0  # after a start, which has other things to do
REACH = timedelta(minutes=75)  # a little more than what has expired since the last time
AT_ONCE = 1000

_HAS_EXPIRED: Document = {"$lte": ["$$key.expires_at", "$$NOW"]}


class ForgetKeys:
    def __init__(self, store: Store, *, idempotency_ttl: timedelta, now: Callable[[], datetime] = utc_now) -> None:
        self._orders = store.orders
        self._ttl = idempotency_ttl
        self._now = now

    async def run(self) -> None:
        """Until cancelled. Every replica does so for itself: twice is harmless."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                if forgotten := await self.run_once():
                    log.info("forgot expired keys", orders=forgotten)
            except PyMongoError as error:
                count_error(error)
                log.warning("expired keys are kept for now", reason=describe(error))
            await asyncio.sleep(EVERY_SECONDS)

    async def run_once(self) -> int:
        """Of how many orders keys were taken off. Raises PyMongoError."""
        ended = self._now() - self._ttl
        after, before = first_id("ord", ended - REACH), first_id("ord", ended)
        forgotten = 0
        while True:
            found = self._orders.find({"_id": {"$gt": after, "$lt": before}}, {"_id": 1}).sort("_id").limit(AT_ONCE)
            ids = [order["_id"] async for order in found]
            if not ids:
                return forgotten
            forgotten += await self._forget(ids)
            after = ids[-1]

    async def _forget(self, ids: list[str]) -> int:
        """One total write: it is right for any order that has an expired key when it is written. C3"""
        keys = {"$filter": {"input": "$keys", "as": "key", "cond": {"$not": _HAS_EXPIRED}}}
        some = {"$anyElementTrue": {"$map": {"input": "$keys", "as": "key", "in": _HAS_EXPIRED}}}
        version = {"$add": ["$version", Int64(1)]}
        result = await self._orders.update_many(
            {"_id": {"$in": ids}, "$expr": some},
            [{"$set": {"keys": keys, "version": version, "writer": {"$literal": ObjectId()}}}],
        )
        return result.modified_count
