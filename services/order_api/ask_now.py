"""An operator wants to know now: the provider is asked at once, instead of after the pause. C22"""

from collections.abc import AsyncIterator
from datetime import datetime

import pymongo

from order_api.claims import hasten
from order_api.store import Store

AT_ONCE = 100
READ_AT_ONCE = 1000  # of all orders: there is no index on `updated_at`
BATCH_SECONDS = 30.0  # nobody waits for an answer


async def ask_now(store: Store, *, updated_since: datetime | None = None) -> int:
    """Makes due what every order waits for that has an open question: the next question, and the next try of its calls. With
    `updated_since`, of every order that has changed since then, so that settled ones are asked about too, once.

    Returns how many orders had something to make due. Raises PyMongoError; then what was done stays done.
    """
    now = (await store.database.command("hello"))["localTime"]  # by the server's clock
    pages = _with_a_question(store) if updated_since is None else _updated(store, updated_since)
    changed = 0
    async for ids in pages:
        with pymongo.timeout(BATCH_SECONDS):
            changed += await hasten(store.orders, ids, at=now)
    return changed


async def _with_a_question(store: Store) -> AsyncIterator[list[str]]:
    """Those to be asked about last come first: what we make due meanwhile is behind us then, and is not met again."""
    ids: list[str] = []
    async for order in store.orders.find({"reconcile_at": {"$type": "date"}}, {"_id": 1}).sort("reconcile_at", -1):
        ids.append(order["_id"])
        if len(ids) == AT_ONCE:
            yield ids
            ids = []
    yield ids


async def _updated(store: Store, since: datetime) -> AsyncIterator[list[str]]:
    last = ""
    while True:
        found = store.orders.find({"_id": {"$gt": last}}, {"updated_at": 1}).sort("_id", 1).limit(READ_AT_ONCE)
        orders = await found.to_list()
        if not orders:
            return
        last = orders[-1]["_id"]
        ids = [order["_id"] for order in orders if order["updated_at"] >= since]
        for start in range(0, len(ids), AT_ONCE):
            yield ids[start : start + AT_ONCE]
