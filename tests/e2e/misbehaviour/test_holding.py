"""Replies that are held back keep nobody else waiting: not other requests, not a server that is to stop."""

import asyncio
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from shared.mongo import Client
from tests.e2e.misbehaviour.conftest import Shop, StartGateway
from tests.http_double import HttpDouble
from tests.waiting import until

HELD = {"replySeconds": 120}


def held(shop: Shop, fault: str, count: int = 1) -> list["asyncio.Task[Any]"]:
    return [asyncio.create_task(shop.charge(scenario={"replies": [fault], **HELD})) for _ in range(count)]


async def stored(mongo: Client, database: str, count: int) -> None:
    async def are_stored() -> bool:
        return await mongo[database]["charges"].count_documents({}) >= count

    await until(are_stored, f"{count} charges are stored")


@pytest.mark.parametrize(("fault", "status"), [("slow", 201), ("timeout", 0)])
async def test_a_server_that_stops_ends_what_it_holds_back(
    start_gateway: StartGateway,
    http: aiohttp.ClientSession,
    receiver: HttpDouble,
    mongo: Client,
    database_name: str,
    fault: str,
    status: int,
) -> None:
    with start_gateway() as gateway:
        replies = held(Shop(http, gateway.url, receiver), fault, 3)
        await stored(mongo, database_name, 3)
        assert await asyncio.to_thread(gateway.stop) == 0
        assert [(await reply).status for reply in replies] == [status] * 3


async def test_a_server_that_stops_waits_for_no_early_webhook(
    start_gateway: StartGateway, http: aiohttp.ClientSession, mongo: Client, database_name: str
) -> None:
    silent = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    async with silent:
        with start_gateway(WEBHOOK_ENDPOINT_URL=url) as gateway:
            shop = Shop(http, gateway.url, HttpDouble(answer=None))  # type: ignore[arg-type]
            reply = asyncio.create_task(shop.charge(scenario={"webhooks": ["early"]}))
            await stored(mongo, database_name, 1)
            assert await asyncio.to_thread(gateway.stop) == 0
            assert (await reply).status == 201


async def test_what_is_held_back_takes_no_place_of_those_at_work(
    start_gateway: StartGateway,
    http: aiohttp.ClientSession,
    receiver: HttpDouble,
    mongo: Client,
    database_name: str,
) -> None:
    with start_gateway(HTTP_REQUESTS_MAX="2") as gateway:
        shop = Shop(http, gateway.url, receiver)
        for count in range(1, 6):
            held(shop, "slow")
            await stored(mongo, database_name, count)

        async def is_served() -> bool:
            return (await shop.charge(key=uuid4().hex)).status == 201

        await until(is_served, "another charge", seconds=10)


async def test_a_client_that_goes_ends_what_is_held_back_for_it(
    start_gateway: StartGateway,
    http: aiohttp.ClientSession,
    receiver: HttpDouble,
    mongo: Client,
    database_name: str,
) -> None:
    with start_gateway() as gateway:
        [reply] = held(Shop(http, gateway.url, receiver), "timeout")
        await stored(mongo, database_name, 1)
        reply.cancel()

        async def is_logged() -> bool:
            return b'"path": "/v1/charges", "status": 0' in gateway.log_file.read_bytes()

        await until(is_logged, "the request is over")
