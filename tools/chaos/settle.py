"""Waiting until everything has come to rest, without waiting for hours of backoff."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import ClientError
from bson import ObjectId
from pymongo.errors import PyMongoError

from shared.mongo import Database, Document, connect
from tools.chaos.cluster import Cluster

PAUSE_SECONDS = 2.0
PROVIDER_STEP_SECONDS = 60

_IS_OPEN = {"$eq": ["$$call.state", "open"]}
_WAITS = {"$and": [_IS_OPEN, {"$eq": ["$$call.claim", None]}, {"$gt": ["$$call.due_at", "$$NOW"]}]}
_DUE_NOW = {"$cond": [_WAITS, {"$mergeObjects": ["$$call", {"due_at": "$$NOW"}]}, "$$call"]}
_CALLS = {"input": "$calls", "as": "call"}
_OPEN_CALLS = {"$filter": {**_CALLS, "cond": _IS_OPEN}}
_LEAST_DUE = {"$min": {"$map": {"input": _OPEN_CALLS, "as": "call", "in": "$$call.due_at"}}}


async def wait_until_quiet(
    cluster: Cluster, still_open: Callable[[], Awaitable[list[str]]], *, seconds: float
) -> list[str]:
    """What is still open after `seconds`; nothing as soon as all is quiet.

    What only waits for its time is brought forward, again and again: order_api's times of the next attempt are set to now
    where they lie ahead, and the provider's test clock is advanced. That changes no decision, only when it is made: a time
    that is null stays null, and what is claimed, by which work is handed over, is never touched. Each of these writes is
    right for any document that it matches, and counts in its version, as order_api's own of that kind.
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
    written: Document = {"version": {"$add": ["$version", 1]}, "writer": {"$literal": ObjectId()}}
    for name in ("orders", "payment_events"):
        ahead = {"reconcile_at": {"$type": "date"}, "$expr": {"$gt": ["$reconcile_at", "$$NOW"]}}
        await order_api[name].update_many(ahead, [{"$set": {"reconcile_at": "$$NOW", **written}}])
    some_wait = {"$anyElementTrue": [{"$map": {**_CALLS, "in": _WAITS}}]}
    await order_api["orders"].update_many(
        {"due_at": {"$type": "date"}, "$expr": some_wait},
        [{"$set": {"calls": {"$map": {**_CALLS, "in": _DUE_NOW}}}}, {"$set": {"due_at": _LEAST_DUE, **written}}],
    )
