"""SIGTERM: nothing in hand is lost, nobody is waited for too long, the exit status is 0."""

import asyncio
import signal
from typing import Any

import aiohttp
from aiohttp import web

from shared.mongo import Database
from tests.e2e.conftest import CLAIMED, Api, StartStack, order_body
from tests.http_double import Asked, http_double
from tests.waiting import until
from tools.mongod import scratch, temporary_mongod

Databases = tuple[Database, Database]


async def never(_asked: Asked) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def stopped(service: Any) -> int:
    return int(await asyncio.to_thread(service.stop))


async def test_clients_that_hold_on_do_not_keep_either_service_from_stopping(start_stack: StartStack) -> None:
    with start_stack() as stack:
        for service, path in ((stack.order_apis[0], "/api/orders"), (stack.gateways[0], "/v1/charges")):
            opened = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(3)]
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stack.api_key}\r\n"
            opened[0][1].write(head.encode())
            opened[1][1].write(f"{head}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{{".encode())
            assert await stopped(service) == 0
            for reader, writer in opened:
                await reader.read()
                writer.close()
                await writer.wait_closed()


async def test_a_database_that_does_not_answer_keeps_neither_service_from_stopping(
    start_stack: StartStack, http: aiohttp.ClientSession
) -> None:
    with temporary_mongod(below=scratch()) as mongod, start_stack(uri=mongod.uri) as stack:
        await Api(http, stack.order_apis[0].url).place(order_body())
        assert mongod.process is not None
        mongod.process.send_signal(signal.SIGSTOP)
        asking = asyncio.create_task(Api(http, stack.order_apis[0].url).place(order_body()))
        assert await asyncio.gather(*(stopped(service) for service in stack.services)) == [0, 0]
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_a_delivery_in_hand_is_released_for_whoever_comes_next(
    start_stack: StartStack, http: aiohttp.ClientSession, databases: Databases
) -> None:
    deliveries = databases[1]["deliveries"]
    async with http_double(never) as receiver:
        with start_stack() as stack:
            [gateway] = stack.gateways
            gateway.stop()
            gateway.environment["WEBHOOK_ENDPOINT_URL"] = receiver.url
            gateway.start()
            await Api(http, stack.order_apis[0].url).place(order_body())

            async def is_sent() -> bool:
                return bool(receiver.asked)

            await until(is_sent, "the event is being delivered")
            assert await stopped(gateway) == 0
            assert await deliveries.count_documents({"state": "pending", "lease_until": {"$ne": None}}) == 0


async def test_an_order_placed_while_the_service_stops_is_answered_and_paid_by_the_next(
    start_stack: StartStack, http: aiohttp.ClientSession, databases: Databases
) -> None:
    orders = databases[0]["orders"]
    with start_stack() as stack:
        [service] = stack.order_apis
        api = Api(http, service.url)
        placing = [asyncio.create_task(api.place(order_body())) for _ in range(200)]
        await asyncio.wait(placing, return_when=asyncio.FIRST_COMPLETED)
        assert await stopped(service) == 0
        ended = await asyncio.gather(*placing, return_exceptions=True)
        placed = [one[2]["id"] for one in ended if not isinstance(one, BaseException) and one[0] == 201]
        assert await orders.count_documents({"_id": {"$in": placed}}) == len(placed) > 0
        assert await orders.count_documents({"calls": {"$elemMatch": CLAIMED}}) == 0
        service.start()

        async def all_paid() -> bool:
            return await orders.count_documents({"_id": {"$in": placed}, "status": "Paid"}) == len(placed)

        await until(all_paid, "all that were placed are paid")
