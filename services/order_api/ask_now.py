"""Asks the provider at once, instead of after the pause, because an operator wants to know now. C22"""

from collections.abc import AsyncIterator
from datetime import datetime

import pymongo

from order_api.claims import hasten
from order_api.store import PAGE_MAX, Store, pages_of

BATCH_SECONDS = 30.0  # nobody waits for an answer


async def ask_now(store: Store, *, updated_since: datetime | None = None) -> int:
    """Makes the next question, and the next try of calls, due for every order that has an open question. With
    `updated_since` it does so for every order that has changed since then, so that settled ones are asked about too, once.

    Returns how many orders it changed. Raises PyMongoError; what was done by then stays done.
    """
    now = (await store.database.command("hello"))["localTime"]  # by the server's clock
    pages = _with_a_question(store) if updated_since is None else _updated(store, updated_since)
    changed = 0
    async for ids in pages:
        with pymongo.timeout(BATCH_SECONDS):
            changed += await hasten(store.orders, ids, at=now)
    return changed


async def _with_a_question(store: Store) -> AsyncIterator[list[str]]:
    """Yields those to be asked about last first: what we make due meanwhile is then behind us, and is not met again."""
    found = store.orders.find({"reconcile_at": {"$type": "date"}}, {"_id": 1}).sort("reconcile_at", -1)
    while orders := await found.to_list(PAGE_MAX):
        yield [order["_id"] for order in orders]


async def _updated(store: Store, since: datetime) -> AsyncIterator[list[str]]:
    async for orders in pages_of(store.orders, {"updated_at": 1}):
        if ids := [order["_id"] for order in orders if order["updated_at"] >= since]:
            yield ids
