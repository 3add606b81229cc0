"""C23: a delivery is claimed by the insert that stores it, if it may be sent at once, and never by two."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from payment_gateway.app import Application
from payment_gateway.webhooks.deliver import FRESH_SECONDS
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from shared.mongo import Collection
from tests.http_double import HttpDouble
from tests.integration.payment_gateway.conftest import MakeApplication, create
from tests.integration.payment_gateway.money.test_announcing import settled_only
from tests.waiting import until, until_it_has_a_slot


async def all_delivered(application: Application) -> bool:
    waiting = {"state": "pending", "fault": None}
    return bool(await application.store.deliveries.count_documents({})) and not (
        await application.store.deliveries.count_documents(waiting)
    )


async def until_only_inserts_claim(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Returns when a delivery is sent only if its insert has claimed it. However slow the machine is, nothing hinders that:
    no other claim is under way, and no endpoint was read too long ago.
    """

    async def nothing(_limit: int) -> Sequence[Any]:
        return ()

    work = application.deliver_webhooks.work
    monkeypatch.setattr("payment_gateway.webhooks.deliver.FRESH_SECONDS", 3600)
    monkeypatch.setattr(work, "_claim", nothing)
    await until_it_has_a_slot(work)  # which is not before the last claim has ended


async def test_a_delivery_that_may_be_sent_at_once_is_stored_as_claimed(
    make_application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application(workers=True) as application:
        await until_only_inserts_claim(application, monkeypatch)
        await create(application)
        await until(lambda: all_delivered(application), "the delivery")
        [delivery] = await application.store.deliveries.find().to_list()
        assert delivery["version"] == 1, "one write after the insert: its attempt"
        assert [attempt["status"] for attempt in delivery["attempts"]] == [200]


async def test_c23_a_delivery_that_another_gateway_has_stored_first_is_not_sent_twice(
    make_application: MakeApplication, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application() as first:
        await create(first)
        marked = await settled_only(first, monkeypatch)
        await first.announce_charges(marked)
        await first.store.charges.replace_one({"_id": marked[0]["_id"]}, {**marked[0], "version": 9})
        async with make_application(workers=True) as second:
            await until_it_has_a_slot(second.deliver_webhooks.work)
            endpoints = await find_endpoints(second.store, {"state": "enabled"})
            await second.announce_charges([{**marked[0], "version": 9}], endpoints, time.monotonic())
            await until(lambda: all_delivered(second), "the delivery")
        assert len(receiver.asked) == 1


async def test_a_delivery_that_is_to_wait_is_not_claimed_when_it_is_stored(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application(workers=True) as application:
        await until_it_has_a_slot(application.deliver_webhooks.work)
        for fault in ("delayed", "out_of_order"):
            await create(application, scenario={"webhooks": [fault], "webhookDelaySeconds": 3600})
        await until(lambda: all_waiting(application), "both deliveries to be stored")
        assert receiver.asked == []
        assert await application.store.deliveries.count_documents({"claim": None}) == 2


async def all_waiting(application: Application) -> bool:
    stored = await application.store.deliveries.count_documents({"state": "pending"})
    return stored == 2 and not await application.store.charges.count_documents({"due_at": {"$ne": None}})


@pytest.fixture
def hold_inserts(monkeypatch: pytest.MonkeyPatch) -> Callable[[Collection], tuple[asyncio.Event, asyncio.Event]]:
    """Holds the next insert into a collection: the first event tells that it has begun, the second lets it go on."""

    def hold(collection: Collection) -> tuple[asyncio.Event, asyncio.Event]:
        begun, go_on, insert = asyncio.Event(), asyncio.Event(), collection.insert_many

        async def held(*of: Any, **how: Any) -> Any:
            begun.set()
            await go_on.wait()
            return await insert(*of, **how)

        monkeypatch.setattr(collection, "insert_many", held)
        return begun, go_on

    return hold


async def test_a_gateway_that_stops_finishes_the_delivery_that_it_is_storing(
    make_application: MakeApplication, hold_inserts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application() as other:
        async with make_application(workers=True) as one:
            await until_only_inserts_claim(one, monkeypatch)
            begun, go_on = hold_inserts(one.store.deliveries)
            await create(one)
            await begun.wait()
            asyncio.get_running_loop().call_later(0.2, go_on.set)
        [delivery] = await other.store.deliveries.find().to_list()
        assert (delivery["state"], delivery["claim"]) == ("delivered", None)


async def test_an_endpoint_that_is_deleted_while_its_event_is_stored_is_not_called(
    make_application: MakeApplication, receiver: HttpDouble, hold_inserts: Any
) -> None:
    async with make_application(workers=True) as application:
        await until_it_has_a_slot(application.deliver_webhooks.work)
        begun, go_on = hold_inserts(application.store.deliveries)
        await create(application)
        await begun.wait()
        [endpoint] = await application.store.webhook_endpoints.find().to_list()
        assert await application.change_endpoints.delete("default", endpoint["_id"])
        asyncio.get_running_loop().call_later(2 * FRESH_SECONDS, go_on.set)
        await until(lambda: all_delivered(application), "the delivery to end")
        assert receiver.asked == []
        assert await application.store.deliveries.count_documents({"state": "cancelled"}) == 1


async def test_a_delivery_whose_insert_was_not_answered_does_not_wait_for_a_lease(
    make_application: MakeApplication, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application(workers=True) as application:
        await until_it_has_a_slot(application.deliver_webhooks.work)
        deliveries, lost = application.store.deliveries, list[str]()
        insert = deliveries.insert_many

        async def lose_the_first_reply(*of: Any, **how: Any) -> Any:
            result = await insert(*of, **how)
            if not lost:
                lost.append("reply")
                raise AutoReconnect
            return result

        monkeypatch.setattr(deliveries, "insert_many", lose_the_first_reply)
        began = time.monotonic()
        await create(application)
        await until(lambda: all_delivered(application), "the delivery")
        assert time.monotonic() - began < application.deliver_webhooks.lease_seconds
        assert len(receiver.asked) == 1
