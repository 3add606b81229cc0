"""C23: a delivery is claimed by the insert that stores it, if it may be sent at once, and never by two."""

import time

import pytest

from payment_gateway.app import Application
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from tests.http_double import HttpDouble
from tests.integration.payment_gateway.conftest import MakeApplication, create
from tests.integration.payment_gateway.money.test_announcing import settled_only
from tests.waiting import until, until_it_has_a_slot


async def all_delivered(application: Application) -> bool:
    waiting = {"state": "pending", "fault": None}
    return bool(await application.store.deliveries.count_documents({})) and not (
        await application.store.deliveries.count_documents(waiting)
    )


async def test_a_delivery_that_may_be_sent_at_once_is_stored_as_claimed(make_application: MakeApplication) -> None:
    async with make_application(workers=True) as application:
        await until_it_has_a_slot(application.deliver_webhooks.work)
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
