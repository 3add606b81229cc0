"""Waiting until everything has come to rest, without waiting for hours of backoff."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

from aiohttp import ClientError
from bson import ObjectId
from pymongo.errors import PyMongoError

from shared.mongo import Database, connect
from shared.times import rfc3339
from tools.chaos.cluster import Cluster

PAUSE_SECONDS = 2.0
PROVIDER_STEP_SECONDS = 60
ASK_EVERY_SECONDS = 10.0  # so that what fails each time, as a refund may, is at rest in between
SWEEPS_MAX = 3


async def wait_until_quiet(
    cluster: Cluster, still_open: Callable[[], Awaitable[list[str]]], *, seconds: float
) -> list[str]:
    """Returns what is still open after `seconds`, or nothing as soon as all is quiet.

    Waits are brought forward again and again: those of orders by `order-api ask-now`, as an operator does it, the next look
    at events by ourselves, and the provider's times by its test clock. That changes no decision, only when it is made.
    """
    now = asyncio.get_running_loop().time
    deadline, ask_at = now() + seconds, now()
    while left := await still_open():
        if now() > deadline:
            return left
        with suppress(PyMongoError, ClientError, TimeoutError):  # the next round tries again
            if now() >= ask_at:
                await cluster.operate("ask-now")
                ask_at = now() + ASK_EVERY_SECONDS
            await _bring_all_forward(cluster)
        await asyncio.sleep(PAUSE_SECONDS)
    return []


async def sweep(cluster: Cluster, *, since: float) -> list[str]:
    """Records everything that the provider has announced since then, in Unix seconds, as the services do it hourly, which is
    too seldom for us. Returns what is left to do if that fails.
    """
    for _ in range(SWEEPS_MAX):
        with suppress(TimeoutError):
            if await cluster.operate("sweep", "--since", rfc3339(datetime.fromtimestamp(since, UTC))) == 0:
                return []
    return ["order-api sweep does not end well; see operator.log"]


async def _bring_all_forward(cluster: Cluster) -> None:
    async with connect(cluster.world.mongodb_uri, app_name="settle") as client:
        await bring_forward(client[cluster.world.databases[0]])
    await cluster.ask_gateway("POST", "/v1/test/clock", {"action": "advance", "seconds": PROVIDER_STEP_SECONDS})


async def bring_forward(order_api: Database) -> None:
    """Makes the next look at each event without a final outcome due now, if it lies ahead. A time that is null stays so. The
    write is right for any document that it matches, and counts in its version, as order_api's own writes do.
    """
    written = {"version": {"$add": ["$version", 1]}, "writer": {"$literal": ObjectId()}}
    ahead = {"reconcile_at": {"$type": "date"}, "$expr": {"$gt": ["$reconcile_at", "$$NOW"]}}
    await order_api["payment_events"].update_many(ahead, [{"$set": {"reconcile_at": "$$NOW", **written}}])
