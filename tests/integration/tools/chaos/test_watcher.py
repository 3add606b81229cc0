"""The watcher sees every write, in its order, with the whole document before and after; also when its stream breaks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest

from shared.mongo import Client, Document
from tools.chaos.watcher import Watcher
from tools.chaos.webhook_secrets import WebhookSecrets
from tools.chaos.world import World

Watch = Callable[[], Awaitable[Watcher]]


@pytest.fixture
async def watch(mongodb_uri: str, database_name: str) -> AsyncIterator[Watch]:
    """A watcher that has started to watch."""
    world = World(
        order_apis=[],
        gateways=[],
        merchants=[],
        gateway_key="",
        webhook_url="",
        webhook_secrets=WebhookSecrets(Random(1)),
        mongodb_uri=mongodb_uri,
        databases=(database_name, database_name),
    )
    watching: list[asyncio.Task[None]] = []

    async def start() -> Watcher:
        watcher = Watcher(world)
        watching.append(asyncio.create_task(watcher.run()))
        return watcher

    yield start
    for task in watching:
        while not task.done():  # PyMongo sometimes takes a cancellation for an error of the connection
            task.cancel()
            await asyncio.wait([task], timeout=1)


async def test_it_sees_each_document_as_it_was_and_as_it_became(
    mongo: Client, database_name: str, watch: Watch
) -> None:
    watcher = await watch()
    orders = mongo[database_name]["orders"]
    await orders.insert_one({"_id": "ord_1", "charges": [{"id": 1, "state": "pending"}], "claim": None})
    versions = [await orders.find_one()]
    for update in (
        [{"$set": {"charges": [{"id": 1, "state": "succeeded"}, {"id": 2}], "at": "$$NOW"}}],
        {"$set": {"charges.0.state": "failed"}, "$unset": {"claim": ""}},
        {"$push": {"charges": {"id": 3}}},
        {"$set": {"charges.3": {"id": 4, "tries": []}}},
        {"$set": {"charges.3.tries.0": {"ms": 1}, "charges.4": {"id": 5}}},
        [{"$set": {"charges": [{"id": 1}]}}],
    ):
        await orders.update_one({"_id": "ord_1"}, update)
        versions.append(await orders.find_one())
    await orders.delete_one({"_id": "ord_1"})
    await watcher.catch_up(mongo)
    assert [change.after for change in watcher.changes] == [*versions, None]
    assert [change.before for change in watcher.changes] == [None, *versions]


async def test_it_goes_on_where_its_stream_broke(mongo: Client, database_name: str, watch: Watch) -> None:
    watcher = await watch()
    orders = mongo[database_name]["orders"]
    await orders.insert_one({"_id": "ord_0"})
    await watcher.catch_up(mongo)
    broken: Document = {"failCommands": ["getMore", "aggregate"], "errorCode": 11601, "appName": "watcher"}
    await mongo.admin.command({"configureFailPoint": "failCommand", "mode": {"times": 3}, "data": broken})
    for number in range(1, 20):
        await orders.insert_one({"_id": f"ord_{number}"})
    await watcher.catch_up(mongo)
    assert [change.id for change in watcher.changes] == [f"ord_{number}" for number in range(20)]


async def test_it_sees_what_both_services_write_by_one_time(mongo: Client, database_name: str, watch: Watch) -> None:
    watcher = await watch()
    database = mongo[database_name]
    for number in range(10):
        await database["orders"].insert_one({"_id": f"ord_{number}"})
        await database["charges"].insert_one({"_id": f"ch_{number}"})
    await watcher.catch_up(mongo)
    seen = [change.id for change in watcher.changes]
    assert seen == [f"{kind}_{number}" for number in range(10) for kind in ("ord", "ch")]
