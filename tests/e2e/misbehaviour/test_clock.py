"""C24 from outside: three days pass at the user's word, and a kill in the middle of them loses nothing."""

import asyncio
import time
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from payment_gateway.clock.advance import ANSWER_SECONDS
from shared.mongo import Client
from tests.e2e.conftest import end_leases
from tests.e2e.misbehaviour.conftest import Receiver, Shop, StartGateway
from tests.http_double import Asked, always, http_double
from tests.waiting import until

THREE_DAYS = 72 * 3600
# A step more than by default: with its jitter, that may end before 72 hours have passed.
SCHEDULE = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, 86400]
SCHEDULE_SECONDS = ",".join(map(str, SCHEDULE))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def advance(shop: Shop, seconds: int) -> dict[str, Any]:
    """The clock once it has arrived. The reply to the request waits for that for ANSWER_SECONDS at least."""
    began = time.monotonic()
    clock: dict[str, Any] = (await shop.call("POST", "/v1/test/clock", {"action": "advance", "seconds": seconds})).json
    if clock["state"] == "advancing":
        assert time.monotonic() - began >= ANSWER_SECONDS
        return await arrival(shop)
    return clock


async def arrival(shop: Shop) -> dict[str, Any]:
    """The clock once it has arrived."""
    clock: dict[str, Any] = {}

    async def has_arrived() -> bool:
        clock.update((await shop.call("GET", "/v1/test/clock")).json)
        return bool(clock["state"] == "frozen")

    await until(has_arrived, "the clock has arrived")
    return clock


def assert_on_schedule(delivery: dict[str, Any]) -> None:
    """Each attempt was made when the one before, and the schedule, say."""
    times = [at(delivery["createdAt"]), *(at(attempt["at"]) for attempt in delivery["attempts"])]
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert waits == [0, *(pytest.approx(wait, rel=0.1) for wait in SCHEDULE[: len(waits) - 1])]
    assert [attempt["number"] for attempt in delivery["attempts"]] == list(range(1, len(waits) + 1))


async def test_c24_seventy_two_hours_pass_while_the_reply_is_waited_for(
    start_gateway: StartGateway, http: aiohttp.ClientSession
) -> None:
    async with (
        http_double(always(503)) as down,
        start_gateway(WEBHOOK_RETRY_SCHEDULE_SECONDS=SCHEDULE_SECONDS, WEBHOOK_ENDPOINT_URL=down.url) as gateway,
    ):
        shop = Shop(http, gateway.url, down)
        began = at((await shop.call("POST", "/v1/test/clock", {"action": "freeze"})).json["now"])
        charge = (await shop.charge(scenario={"settleDelaySeconds": 60})).json
        clock = await advance(shop, THREE_DAYS)
        assert (clock["state"], at(clock["now"])) == ("frozen", began + timedelta(seconds=THREE_DAYS))
        [event] = await shop.listed("/v1/events")
        assert at(event["timestamp"]) == at(charge["createdAt"]) + timedelta(seconds=60)
        [delivery] = await shop.listed("/v1/deliveries")
        assert_on_schedule(delivery)
        assert len(delivery["attempts"]) == len(down.asked) >= 8
        assert at(delivery["nextAttemptAt"]) > at(clock["now"])
        down.answer = always(200)
        await advance(shop, 2 * 86400)
        [delivery] = await shop.listed("/v1/deliveries")
        assert delivery["state"] == "delivered"
        assert_on_schedule(delivery)


async def test_c24_a_clock_whose_gateway_is_killed_on_the_way_goes_on_from_where_it_stands(
    start_gateway: StartGateway, http: aiohttp.ClientSession, mongo: Client, database_name: str
) -> None:
    over = asyncio.Event()

    async def hang_at_the_fifth(_asked: Asked) -> web.StreamResponse:
        if len(down.asked) == 5:
            await over.wait()
        return web.Response(status=500)

    async with (
        http_double(hang_at_the_fifth) as down,
        start_gateway(
            WEBHOOK_RETRY_SCHEDULE_SECONDS=SCHEDULE_SECONDS,
            WEBHOOK_ENDPOINT_URL=down.url,
        ) as gateway,
    ):
        shop = Shop(http, gateway.url, down)
        began = at((await shop.call("POST", "/v1/test/clock", {"action": "freeze"})).json["now"])
        await shop.charge()
        order = {"action": "advance", "seconds": THREE_DAYS}
        asking = asyncio.create_task(shop.call("POST", "/v1/test/clock", order))

        async def is_in_hand() -> bool:
            return len(down.asked) == 5

        await until(is_in_hand, "the fifth attempt")
        gateway.kill()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        over.set()
        for collection in ("clock", "deliveries"):
            await end_leases(mongo[database_name][collection])
        await asyncio.to_thread(gateway.start)
        assert at((await arrival(shop))["now"]) == began + timedelta(seconds=THREE_DAYS)
        [delivery] = await shop.listed("/v1/deliveries")
        assert_on_schedule(delivery)
        assert len(down.asked) == len(delivery["attempts"]) + 1, "only what was in hand is sent again"


async def test_an_endpoint_that_fails_for_five_days_is_disabled_and_another_is_told(
    start_gateway: StartGateway, http: aiohttp.ClientSession, receiver: Receiver
) -> None:
    async with (
        http_double(always(500)) as down,
        start_gateway() as gateway,
    ):
        shop = Shop(http, gateway.url, receiver)
        endpoint = (
            await shop.call("POST", "/v1/webhook-endpoints", {"url": down.url}, **{"Idempotency-Key": "down"})
        ).json
        await shop.call("POST", "/v1/test/clock", {"action": "freeze"})
        for _day in range(6):
            await shop.charge()
            await advance(shop, 86400)
        shown = (await shop.call("GET", f"/v1/webhook-endpoints/{endpoint['id']}")).json
        assert (shown["state"], shown["disabledReason"]) == ("disabled", "failing")
        [event] = await shop.listed("/v1/events?type=webhook_endpoint.disabled")
        assert event["data"]["id"] == endpoint["id"]
        await shop.hears(event["id"])
