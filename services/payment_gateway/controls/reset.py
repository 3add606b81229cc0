"""Forgets everything, before the next test run."""

import asyncio
from collections.abc import Awaitable, Callable

import pymongo

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.seen import SEEN_SECONDS
from payment_gateway.store import Store

IN_HAND_SECONDS = 0.2
RESET_SECONDS = 60.0  # enough for millions of charges


class Reset:
    """Empties every collection, then calls `begin`. After a PyMongoError it may be half done, and can be called again."""

    def __init__(self, store: Store, clock: StoredClock, begin: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._clock = clock
        self._begin = begin

    async def __call__(self) -> None:
        """Empties charges first: a process that announces one finds it gone and takes back what it has inserted, mostly
        before the rest goes. Indexes stay; requests under way would lose them if the collections were dropped.
        """
        store = self._store
        with pymongo.timeout(RESET_SECONDS):
            await store.charges.delete_many({})
            await asyncio.sleep(IN_HAND_SECONDS)
            await store.deliveries.delete_many({})
            for name in await store.database.list_collection_names(filter={"type": "collection"}):
                if not name.startswith("system."):
                    await store.database[name].delete_many({})
            await self._clock.read()
            await self._begin()
        await asyncio.sleep(SEEN_SECONDS)  # until the other replicas have seen the new clock
