"""A replica that died in mid-transaction keeps its locks for seconds: only whoever needs what it locked may wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from order_api.app import Application
from shared.idempotency import Answer
from shared.mongo import Collection
from tests.http_double import HttpDouble
from tests.integration.order_api.conftest import charge_of, event_bytes, new_order, place, received, stored_order


@asynccontextmanager
async def locked(collection: Collection, document: dict[str, Any]) -> AsyncIterator[None]:
    """As a transaction that nobody commits: it writes the document and stays open."""
    async with collection.database.client.start_session() as session, await session.start_transaction():
        changed = {**document, "locked": True}
        await collection.replace_one({"_id": document["_id"]}, changed, upsert=True, session=session)
        yield
        await session.abort_transaction()


async def test_c6_neighbours_of_an_event_whose_order_is_locked_are_recorded(application: Application) -> None:
    orders = [await place(application) for _ in range(20)]
    events = [received(event_bytes(charge_of(order))) for order in orders]
    document = await application.store.orders.find_one({"_id": orders[7].id})
    async with locked(application.store.orders, document or {}):
        recording = [asyncio.create_task(application.record_events(event)) for event in events]
        others = [task for number, task in enumerate(recording) if number != 7]
        assert await asyncio.gather(*others) == ["applied"] * 19
        assert not recording[7].done()
    assert await recording[7] == "applied"
    assert (await stored_order(application, orders[7].id)).status == "Paid"


async def test_c6_neighbours_of_a_locked_key_are_placed(application: Application) -> None:
    await application.place_order("another", new_order())
    record = await application.store.idempotency_keys.find_one({}) or {}
    async with locked(application.store.idempotency_keys, {**record, "_id": "default:held"}):
        waiting = asyncio.create_task(application.place_order("held", new_order()))
        others = await asyncio.gather(*(application.place_order(f"k{number}", new_order()) for number in range(20)))
        assert all(isinstance(other, Answer) for other in others)
        assert not waiting.done()
    assert isinstance(await waiting, Answer)


async def test_c11_messages_beside_a_locked_one_are_dispatched(application: Application, provider: HttpDouble) -> None:
    for _ in range(10):
        await place(application)
    messages = await application.store.outbox.find().sort("_id").to_list()
    async with locked(application.store.outbox, messages[4]):
        assert await application.dispatch_outbox.work.run_once() == 9
        assert len(provider.posts()) == 9
    assert await application.dispatch_outbox.work.run_once() == 1
    attempts = [message["attempts"] async for message in application.store.outbox.find()]
    assert attempts == [1] * 10


async def test_c22_orders_beside_a_locked_one_are_asked_about(application: Application, provider: HttpDouble) -> None:
    orders = [await place(application) for _ in range(5)]
    await application.store.orders.update_many({}, {"$set": {"reconcile_at": orders[0].created_at}})
    document = await application.store.orders.find_one({"_id": orders[2].id})
    async with locked(application.store.orders, document or {}):
        assert await application.reconcile.work.run_once() == 4
    asked = {asked.query["reference"] for asked in provider.asked}
    assert asked == {order.id for order in orders} - {orders[2].id}


async def test_a_message_that_is_not_as_it_must_be_spoils_no_other(
    application: Application, provider: HttpDouble
) -> None:
    for _ in range(5):
        await place(application)
    [spoiled, *_] = await application.store.outbox.find().sort("_id").to_list()
    unset = {"$unset": {"path": ""}}
    await application.store.outbox.update_one({"_id": spoiled["_id"]}, unset, bypass_document_validation=True)
    assert await application.dispatch_outbox.work.run_once() == 4
    assert await application.store.outbox.count_documents({"state": "done"}) == 4
    assert len(provider.posts()) == 4


async def test_c11_a_claim_that_comes_back_while_stopping_is_still_done(
    application: Application, provider: HttpDouble
) -> None:
    await place(application)
    work = application.dispatch_outbox.work
    running = asyncio.create_task(work.run())
    await asyncio.sleep(0)  # now it is claiming
    await work.stop()
    await running
    [message] = await application.store.outbox.find().to_list()
    assert message["state"] in {"ready", "done"}
    assert message["attempts"] == len(provider.posts())
