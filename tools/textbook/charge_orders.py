"""Charges the rows of the outbox: claims a row under a lease, POSTs it, and takes it off."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from pymongo import ReturnDocument
from pymongo.errors import PyMongoError

from tools.textbook.database import Database

WORKERS = 8
POLL_SECONDS = 0.1  # while there is nothing to do
FAILURE_PAUSE_SECONDS = 1.0  # how long a worker waits, so that a provider which is away costs little
LEASE = timedelta(seconds=30)
TRANSIENT = frozenset({401, 403, 408, 409, 425, 429})  # of the 4xx; every other one is final

log = logging.getLogger(__name__)


async def charge_orders(database: Database, gateway: aiohttp.ClientSession) -> None:
    """Runs until cancelled."""
    async with asyncio.TaskGroup() as workers:
        for _ in range(WORKERS):
            workers.create_task(_work(database, gateway))


async def _work(database: Database, gateway: aiohttp.ClientSession) -> None:
    while True:
        try:
            if not await _charge_next(database, gateway):
                await asyncio.sleep(POLL_SECONDS)
        except (aiohttp.ClientError, TimeoutError, PyMongoError) as error:
            log.warning("no charge: %s", error)  # the lease of the row lapses, and it is tried again
            await asyncio.sleep(FAILURE_PAUSE_SECONDS)


async def _charge_next(database: Database, gateway: aiohttp.ClientSession) -> bool:
    """Charges a row, if one is due. Its id is the provider's Idempotency-Key, so posting again is charging once."""
    now = datetime.now(UTC)
    row: dict[str, Any] | None = await database.outbox.find_one_and_update(
        {"state": "open", "due_at": {"$lte": now}},
        {"$set": {"due_at": now + LEASE}, "$inc": {"attempts": 1}},
        sort=[("due_at", 1)],
        return_document=ReturnDocument.AFTER,
    )
    if row is None:
        return False
    async with gateway.post("/v1/charges", json=row["request"], headers={"Idempotency-Key": row["_id"]}) as reply:
        await reply.read()
    if reply.status < 300:
        await database.outbox.delete_one({"_id": row["_id"]})
    elif reply.status < 500 and reply.status not in TRANSIENT:  # the row stays, for a person to look at
        await database.outbox.update_one({"_id": row["_id"]}, {"$set": {"state": "refused"}})
    return True
