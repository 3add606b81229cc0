"""One slow endpoint never delays another, nor do several, however many deliveries wait for them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from bson import Int64

from payment_gateway.app import Application
from payment_gateway.webhooks.deliver import SLOTS
from shared.mongo import Document
from shared.times import utc_now
from tests.http_double import Asked, HttpDouble, http_double
from tests.integration.payment_gateway.conftest import MakeApplication
from tests.waiting import until


@pytest.fixture
async def hanging() -> AsyncIterator[HttpDouble]:
    """A receiver that answers when the test is over."""
    over = asyncio.Event()

    async def hang(_asked: Asked) -> web.StreamResponse:
        await over.wait()
        return web.Response(status=500)

    async with http_double(hang) as double:
        yield double
        over.set()


async def endpoint_with(application: Application, endpoint_id: str, url: str, *, due: int, **fields: Any) -> None:
    """An endpoint for which so many deliveries have been due for an hour."""
    now = utc_now()
    common = {"merchant": "default", "created_at": now}
    secrets = [{"value": f"whsec_{'A' * 32}", "expires_at": None}]
    await application.store.webhook_endpoints.insert_one(
        {"_id": endpoint_id, "url": url, "event_types": [], "state": "enabled", "secrets": secrets, **common, **fields}
    )
    event: Document = {"type": "payment.succeeded", "object_id": "ch_1", "reference": "ord_1", "raw": "{}", **common}
    events = [{"_id": f"evt_{uuid4().hex}", **event} for _ in range(due)]
    deliveries = [
        {
            "_id": f"dlv_{uuid4().hex}",
            "event_id": one["_id"],
            "endpoint_id": endpoint_id,
            "state": "pending",
            "next_attempt_at": now - timedelta(hours=1),
            "lease_until": None,
            "claim": None,
            "version": Int64(0),
            "attempts": [],
            **common,
        }
        for one in events
    ]
    await application.store.events.insert_many(events)
    await application.store.deliveries.insert_many(deliveries)


async def all_delivered_to(application: Application, endpoint_id: str, count: int) -> None:
    async def condition() -> bool:
        done = {"endpoint_id": endpoint_id, "state": "delivered"}
        return await application.store.deliveries.count_documents(done) == count

    await until(condition, f"{count} deliveries to {endpoint_id}")


@pytest.mark.parametrize("count", [1, 7])
async def test_endpoints_that_hang_with_large_backlogs_delay_no_other(
    make_application: MakeApplication, receiver: HttpDouble, hanging: HttpDouble, count: int
) -> None:
    async with make_application(workers=False, webhook_timeout_seconds=120) as application:
        for number in range(count):
            await endpoint_with(application, f"we_hanging_{number}", f"{hanging.url}/{number}", due=2000 // count)
        await endpoint_with(application, "we_healthy", receiver.url, due=500)
        worker = asyncio.create_task(application.deliver_webhooks.work.run())
        try:
            await all_delivered_to(application, "we_healthy", 500)
            assert len(hanging.asked) < SLOTS * (1 - 0.75**count) + count, "as many slots stayed free"
        finally:
            await stop(application, worker)


async def test_an_endpoint_that_hangs_gets_no_more_than_a_quarter_of_the_slots(
    make_application: MakeApplication, hanging: HttpDouble
) -> None:
    async with make_application(workers=False, webhook_timeout_seconds=120) as application:
        await endpoint_with(application, "we_hanging", hanging.url, due=SLOTS * 2)
        worker = asyncio.create_task(application.deliver_webhooks.work.run())
        try:

            async def a_quarter() -> bool:
                return len(hanging.asked) == SLOTS // 4

            await until(a_quarter, "a quarter of the slots are taken")
            claimed = await application.store.deliveries.count_documents({"claim": {"$ne": None}})
            assert claimed == SLOTS // 4
        finally:
            await stop(application, worker)


async def test_many_endpoints_with_backlogs_all_get_their_turn(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    """More than a round can start with: of one that begins anew from the first, the last would wait for all others."""
    async with make_application(workers=False) as application:
        for number in range(20):
            await endpoint_with(application, f"we_{number:02}", f"{receiver.url}/{number}", due=SLOTS)
        served: set[str] = set()
        for _ in range(6):
            await application.deliver_webhooks.work.run_once()
            served |= {sent.path for sent in receiver.asked}
        assert len(served) == 20


async def test_the_earliest_delivery_of_an_endpoint_is_sent_first(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application(workers=False) as application:
        await endpoint_with(application, "we_1", receiver.url, due=SLOTS)
        earliest = await application.store.deliveries.find_one_and_update(
            {}, {"$set": {"next_attempt_at": utc_now() - timedelta(days=1)}}, sort=[("_id", -1)]
        )
        await application.deliver_webhooks.work.run_once()
        assert earliest is not None
        assert earliest["event_id"] in {sent.headers["webhook-id"] for sent in receiver.asked}


async def test_a_claim_does_not_walk_through_the_backlog_of_who_has_its_share(
    make_application: MakeApplication, mongo: Any
) -> None:
    async with make_application(workers=False) as application:
        await endpoint_with(application, "we_1", "http://127.0.0.1:1/", due=3000)
        await endpoint_with(application, "we_2", "http://127.0.0.1:1/", due=5)
        database = application.store.database
        await database.command("profile", 2)
        for _ in range(SLOTS):
            application.deliver_webhooks._shares.hold("we_1")
        assert len(await application.deliver_webhooks._claim(100)) == 5
        await database.command("profile", 0)
        examined = [one.get("keysExamined", 0) async for one in database["system.profile"].find({"op": "query"})]
        assert 0 < max(examined) < 100


async def stop(application: Application, worker: "asyncio.Task[None]") -> None:
    """Until it has: PyMongo sometimes loses a cancellation, and the worker would go on."""
    work = application.deliver_webhooks.work
    while tasks := {task for task in (worker, *work._in_hand) if not task.done()}:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=1)
