"""Waiting until everything has come to rest, without waiting for hours of backoff."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import ClientError
from pymongo.errors import PyMongoError

from shared.mongo import Database, connect
from tools.chaos.cluster import Cluster

PAUSE_SECONDS = 2.0
PROVIDER_STEP_SECONDS = 60

# What only waits for its time, by collection of order_api's.
_WAITING = {
    "outbox": ("next_attempt_at", {"state": "ready"}),
    "orders": ("reconcile_at", {}),
    "payment_events": ("reconcile_at", {}),
}


async def wait_until_quiet(
    cluster: Cluster, still_open: Callable[[], Awaitable[list[str]]], *, seconds: float
) -> list[str]:
    """What is still open after `seconds`; nothing as soon as all is quiet.

    What only waits for its time is brought forward, again and again: order_api's times of the next attempt are set to now
    where they lie ahead, and the provider's test clock is advanced. That changes no decision, only when it is made: a time
    that is null stays null, and leases and fences, by which work is handed over, are never touched.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while left := await still_open():
        if asyncio.get_running_loop().time() > deadline:
            return left
        with suppress(PyMongoError, ClientError, TimeoutError):  # the next round tries again
            await _bring_all_forward(cluster)
        await asyncio.sleep(PAUSE_SECONDS)
    return []


async def _bring_all_forward(cluster: Cluster) -> None:
    async with connect(cluster.world.mongodb_uri, app_name="settle") as client:
        await bring_forward(client[cluster.world.databases[0]])
    await cluster.ask_gateway("POST", "/v1/test/clock", {"action": "advance", "seconds": PROVIDER_STEP_SECONDS})


async def bring_forward(order_api: Database) -> None:
    for name, (field, also) in _WAITING.items():
        ahead = {**also, field: {"$type": "date"}, "$expr": {"$gt": [f"${field}", "$$NOW"]}}
        await order_api[name].update_many(ahead, [{"$set": {field: "$$NOW"}}])
