"""A receiver that takes few requests at once gets no more, and each event once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from payment_gateway.app import Application
from payment_gateway.webhooks import deliver as deliver_webhooks
from payment_gateway.webhooks.deliver import SLOTS
from payment_gateway.webhooks.endpoint import Change
from tests.http_double import Asked, HttpDouble
from tests.integration.payment_gateway.conftest import MakeApplication, create
from tests.integration.payment_gateway.test_isolation import all_delivered_to, endpoint_with, hanging, stop
from tests.integration.payment_gateway.webhooks.test_endpoints import add, configured_id
from tests.waiting import until

__all__ = ["hanging"]

EVENTS = 30


class OneAtATime:
    """Answers each request after a twentieth of a second, and refuses another meanwhile."""

    def __init__(self) -> None:
        self._busy = False
        self.refused = 0

    async def __call__(self, _asked: Asked) -> web.StreamResponse:
        if self._busy:
            self.refused += 1
            return web.Response(status=503)
        self._busy = True
        await asyncio.sleep(0.05)
        self._busy = False
        return web.Response()


@asynccontextmanager
async def delivering(application: Application) -> AsyncIterator[None]:
    """Its deliveries are made, and those that are under way at the end are not waited for."""
    worker = asyncio.create_task(application.deliver_webhooks.work.run())
    yield
    await stop(application, worker)


async def bound(application: Application, endpoint_id: str, count: int) -> None:
    await application.change_endpoints.change("default", endpoint_id, Change(max_in_flight=count))


async def test_a_receiver_that_takes_one_request_at_a_time_gets_each_event_once(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    receiver.answer = one_at_a_time = OneAtATime()
    async with make_application(workers=True) as application:
        endpoint_id = await configured_id(application)
        await bound(application, endpoint_id, 1)
        await asyncio.gather(*(create(application) for _ in range(EVENTS)))
        await all_delivered_to(application, endpoint_id, EVENTS)
    assert (len(receiver.asked), one_at_a_time.refused) == (EVENTS, 0)
    assert len({sent.headers["webhook-id"] for sent in receiver.asked}) == EVENTS


async def test_a_bound_that_is_raised_counts_while_a_delivery_is_under_way(
    make_application: MakeApplication, hanging: HttpDouble
) -> None:
    async def under_way(count: int) -> None:
        async def condition() -> bool:
            return len(hanging.asked) == count

        await until(condition, f"{count} deliveries under way")

    settings: dict[str, Any] = {"webhook_endpoint_url": f"{hanging.url}/hooks", "webhook_timeout_seconds": 60}
    async with make_application(workers=False, **settings) as application, delivering(application):
        endpoint_id = await configured_id(application)
        await bound(application, endpoint_id, 1)
        await asyncio.gather(*(create(application) for _ in range(5)))
        await application.settle_charges.run_once()
        await under_way(1)
        await bound(application, endpoint_id, 3)
        await under_way(3)


async def test_a_small_receiver_with_a_large_backlog_delays_no_other(
    make_application: MakeApplication, receiver: HttpDouble, hanging: HttpDouble
) -> None:
    async with make_application(workers=False, webhook_timeout_seconds=120) as application:
        await endpoint_with(application, "we_small", hanging.url, due=4 * SLOTS, max_in_flight=1)
        await endpoint_with(application, "we_usual", receiver.url, due=20)
        async with delivering(application):
            await all_delivered_to(application, "we_usual", 20)
            assert len(hanging.asked) == 1


async def test_a_claim_does_not_walk_through_the_backlog_of_a_small_receiver(make_application: MakeApplication) -> None:
    async with make_application(workers=False) as application:
        await endpoint_with(application, "we_1", "http://127.0.0.1:1/", due=3000, max_in_flight=1)
        await endpoint_with(application, "we_2", "http://127.0.0.1:1/", due=5)
        database = application.store.database
        application.deliver_webhooks._shares.hold("we_1")
        await database.command("profile", 2)
        assert len(await application.deliver_webhooks._claim(100)) == 5
        await database.command("profile", 0)
        examined = [one.get("keysExamined", 0) async for one in database["system.profile"].find({"op": "query"})]
        assert 0 < max(examined) < 100


async def test_many_small_receivers_with_backlogs_get_their_turn_though_a_claim_has_little_time(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver_webhooks, "CHOOSE_SECONDS", 0.0)  # for one look, which shows one endpoint only
    for number in range(4):
        await endpoint_with(application, f"we_{number}", "http://127.0.0.1:1/", due=70, max_in_flight=1)
    deliver = application.deliver_webhooks
    claimed = [[one.delivery["endpoint_id"] for one in await deliver._claim(SLOTS)] for _ in range(4)]
    assert claimed == [["we_0"], ["we_1"], ["we_2"], ["we_3"]]
    assert deliver.work.more


async def test_what_one_look_leaves_behind_of_an_endpoint_is_claimed_at_once(application: Application) -> None:
    await endpoint_with(application, "we_1", "http://127.0.0.1:1/", due=10)
    await endpoint_with(application, "we_2", "http://127.0.0.1:1/", due=56)
    assert len(await application.deliver_webhooks._claim(SLOTS)) == 64
    assert application.deliver_webhooks.work.more


async def test_a_slot_that_comes_back_while_others_are_claimed_is_used_at_once(
    application: Application, receiver: HttpDouble
) -> None:
    deliver = application.deliver_webhooks
    await endpoint_with(application, "we_1", receiver.url, due=2, max_in_flight=1)
    deliver._shares.hold("we_1")
    look_up = deliver._bounds

    async def give_back_meanwhile(endpoint_ids: Any) -> dict[str, int]:
        bounds = await look_up(endpoint_ids)
        if deliver._shares.holders():
            deliver._shares.give_back("we_1")
        return bounds

    deliver._bounds = give_back_meanwhile  # type: ignore[method-assign]
    deliver.work.wake.clear()
    assert await deliver._claim(10) == []
    assert deliver.work.wake.is_set()


async def test_an_endpoint_that_says_nothing_else_takes_sixty_four_at_once(application: Application) -> None:
    assert (await add(application, "http://127.0.0.1:1/hooks")).max_in_flight == 64
