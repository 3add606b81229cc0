"""Replies that are held back keep nobody else waiting: not other requests, not a server that is to stop."""

import asyncio
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from shared.mongo import Client
from tests.e2e.misbehaviour.conftest import Receiver, Shop, StartGateway
from tests.http_double import Asked, http_double
from tests.logs import logged
from tests.waiting import until

HELD = {"replySeconds": 120}


async def never(_asked: Asked) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


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
    receiver: Receiver,
    mongo: Client,
    database_name: str,
    fault: str,
    status: int,
) -> None:
    async with start_gateway() as gateway:
        replies = held(Shop(http, gateway.url, receiver), fault, 3)
        await stored(mongo, database_name, 3)
        assert await asyncio.to_thread(gateway.stop) == 0
        assert [(await reply).status for reply in replies] == [status] * 3


async def test_a_server_that_stops_waits_for_no_early_webhook(
    start_gateway: StartGateway, http: aiohttp.ClientSession
) -> None:
    async with http_double(never) as silent, start_gateway(WEBHOOK_ENDPOINT_URL=silent.url) as gateway:
        shop = Shop(http, gateway.url, silent)
        reply = asyncio.create_task(shop.charge(scenario={"webhooks": ["early"]}))

        async def is_told() -> bool:
            return bool(silent.asked)

        await until(is_told, "the webhook is sent")
        assert await asyncio.to_thread(gateway.stop) == 0
        assert (await reply).status == 201


async def test_what_is_held_back_takes_no_place_of_those_at_work(
    start_gateway: StartGateway,
    http: aiohttp.ClientSession,
    receiver: Receiver,
    mongo: Client,
    database_name: str,
) -> None:
    async with start_gateway(HTTP_REQUESTS_MAX="2") as gateway:
        shop = Shop(http, gateway.url, receiver)

        async def has_a_place() -> bool:  # a charge is stored a moment before its place is given back
            return (await shop.call("GET", "/v1/charges")).status == 200

        for count in range(1, 6):
            held(shop, "slow")
            await stored(mongo, database_name, count)
            await until(has_a_place, "a place is given back")

        async def is_served() -> bool:
            return (await shop.charge(key=uuid4().hex)).status == 201

        await until(is_served, "another charge")


async def test_a_client_that_goes_ends_what_is_held_back_for_it(
    start_gateway: StartGateway,
    http: aiohttp.ClientSession,
    receiver: Receiver,
    mongo: Client,
    database_name: str,
) -> None:
    async with start_gateway() as gateway:
        [reply] = held(Shop(http, gateway.url, receiver), "timeout")
        await stored(mongo, database_name, 1)
        reply.cancel()

        async def is_logged() -> bool:
            lines = logged(gateway.log_file)
            return any(line.get("path") == "/v1/charges" and line["status"] == 0 for line in lines)

        await until(is_logged, "the request is over")


async def test_receivers_that_hang_take_no_place_of_those_at_work(
    start_gateway: StartGateway, http: aiohttp.ClientSession, receiver: Receiver
) -> None:
    few = {"HTTP_REQUESTS_MAX": "2", "WEBHOOK_TIMEOUT_SECONDS": "5"}
    async with http_double(never) as silent, start_gateway(**few) as gateway:
        shop = Shop(http, gateway.url, receiver)
        body = {"url": silent.url, "body": "anything"}
        sending = [asyncio.create_task(shop.call("POST", "/v1/test/webhooks", body)) for _ in range(2)]

        async def are_sent() -> bool:
            return len(silent.asked) == 2

        await until(are_sent, "both are waited for")
        assert (await shop.charge()).status == 201
        for task in sending:
            task.cancel()
