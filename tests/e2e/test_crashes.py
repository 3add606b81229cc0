"""What was acknowledged survives: kill -9 of either service and of MongoDB, a stopped process, many replicas."""

import asyncio
import itertools
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from pymongo.errors import PyMongoError

from shared.mongo import Database, connect
from tests.e2e.conftest import (
    StartStack,
    all_paid,
    assert_each_paid_and_charged_once,
    end_claims,
    end_leases,
    order_body,
    place_until_acknowledged,
    set_clock,
    whatever_the_provider_does,
)
from tests.waiting import until
from tools.mongod import Mongod

Databases = tuple[Database, Database]


async def test_order_api_killed_right_after_its_answer(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    with start_stack() as stack:
        [order_api] = stack.order_apis
        for _ in range(3):
            order_id = await place_until_acknowledged(http, lambda: order_api.url, order_body())
            order_api.kill()
            assert await databases[0]["orders"].count_documents({"_id": order_id}) == 1
            order_api.start()
        # A call that was claimed when its process died waits for the lease to end; the test ends it now.
        await end_claims(databases[0]["orders"])
        await until(all_paid(databases, 3), "all paid after three kills")
    order_ids = await databases[0]["orders"].distinct("_id")
    await assert_each_paid_and_charged_once(databases, order_ids)


async def test_the_gateway_killed_while_charges_are_pending(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    with start_stack() as stack:
        [order_api], [gateway] = stack.order_apis, stack.gateways
        set_clock(stack, "freeze")
        order_ids = await asyncio.gather(
            *(place_until_acknowledged(http, lambda: order_api.url, order_body()) for _ in range(40))
        )

        async def some_are_pending() -> bool:
            return await databases[1]["charges"].count_documents({"status": "pending"}) >= 20

        await until(some_are_pending, "charges are pending")
        gateway.kill()
        gateway.start()
        set_clock(stack, "resume")
        await end_leases(databases[1]["deliveries"])
        await until(all_paid(databases, 40), "all paid after the gateway's death")
    await assert_each_paid_and_charged_once(databases, list(order_ids))


@whatever_the_provider_does
async def test_mongod_killed_in_the_middle(
    start_stack: StartStack, tmp_path: Path, database_name: str, http: aiohttp.ClientSession
) -> None:
    mongod = Mongod(tmp_path / "mongodb")
    mongod.start()
    client = connect(mongod.uri, app_name="tests")
    databases = (client[database_name], client[f"{database_name}_gateway"])
    try:
        with start_stack(uri=mongod.uri) as stack:
            [order_api] = stack.order_apis
            placing = [
                asyncio.create_task(place_until_acknowledged(http, lambda: order_api.url, order_body()))
                for _ in range(200)
            ]
            await asyncio.wait(placing, return_when=asyncio.FIRST_COMPLETED)
            mongod.kill()
            mongod.start()
            order_ids = await asyncio.gather(*placing)
            await until(_quietly(all_paid(databases, 200)), "all paid after mongod's death", seconds=90)
        await assert_each_paid_and_charged_once(databases, list(order_ids))
    finally:
        await client.close()
        mongod.stop()


@whatever_the_provider_does
async def test_c11_a_dispatcher_stopped_for_longer_than_its_lease_charges_nothing_twice(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    with start_stack(order_apis=2) as stack:
        one, other = stack.order_apis
        order_ids = await asyncio.gather(
            *(place_until_acknowledged(http, lambda: one.url, order_body()) for _ in range(60))
        )
        assert one.process is not None
        one.process.send_signal(signal.SIGSTOP)  # the webhooks go to it as well, and wait or come again
        await end_claims(databases[0]["orders"])

        async def nothing_left() -> bool:
            return not await databases[0]["orders"].count_documents({"calls.state": "open"})

        await until(nothing_left, "the other replica has dispatched all", seconds=120)
        one.process.send_signal(signal.SIGCONT)
        await until(all_paid(databases, 60), "all paid", seconds=120)
        assert other.process is not None
    await assert_each_paid_and_charged_once(databases, list(order_ids))


async def test_two_of_each_on_one_database_pay_a_thousand_orders_once(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    with start_stack(order_apis=2, gateways=2) as stack:
        urls = itertools.cycle([service.url for service in stack.order_apis])
        slots = asyncio.Semaphore(64)

        async def place() -> str:
            async with slots:
                return await place_until_acknowledged(http, lambda: next(urls), order_body())

        order_ids = await asyncio.gather(*(place() for _ in range(1000)))
        await until(all_paid(databases, 1000), "a thousand paid", seconds=120)
    await assert_each_paid_and_charged_once(databases, list(order_ids))
    assert await databases[1]["events"].count_documents({}) == 1000


@pytest.mark.usefixtures("as_programs")
async def test_sigterm_ends_both_services_with_status_0(start_stack: StartStack, http: aiohttp.ClientSession) -> None:
    with start_stack() as stack:
        [order_api], [gateway] = stack.order_apis, stack.gateways
        await place_until_acknowledged(http, lambda: order_api.url, order_body())
        assert order_api.stop() == 0
        assert gateway.stop() == 0


def _quietly(condition: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    """The database may be away when asked."""

    async def quiet() -> bool:
        try:
            return bool(await condition())
        except PyMongoError:
            return False

    return quiet
