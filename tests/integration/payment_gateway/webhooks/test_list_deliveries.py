"""Deliveries are found by the reference of what was paid, and by whether they are failing."""

from typing import Any

import pytest

from payment_gateway.app import Application
from payment_gateway.webhooks import list_deliveries
from payment_gateway.webhooks.list_deliveries import page_of_deliveries
from shared.pages import LIMIT_MAX, Paging
from tests.http_double import HttpDouble, always
from tests.integration.payment_gateway.conftest import create
from tests.integration.payment_gateway.webhooks.test_deliver import deliver
from tests.integration.payment_gateway.webhooks.test_endpoints import settle_and_deliver


async def listed(application: Application, merchant: str = "default", **asked: Any) -> list[str]:
    """The ids of the deliveries, newest first."""
    found, _ = await page_of_deliveries(application.store, merchant, Paging(limit=LIMIT_MAX), **asked)
    return [one["_id"] for one in found]


async def test_the_deliveries_of_a_reference_are_those_of_all_its_events(
    application: Application, receiver: HttpDouble
) -> None:
    for reference in ("basket-1", "basket-2", "basket-1"):
        await create(application, reference=reference)
    await settle_and_deliver(application)
    events = await application.store.events.find({"reference": "basket-1"}).to_list()
    found = await application.store.deliveries.find({"event_id": {"$in": [one["_id"] for one in events]}}).to_list()
    assert len(found) == 2
    assert set(await listed(application, reference="basket-1")) == {one["_id"] for one in found}


async def test_a_reference_that_nothing_is_about_has_no_deliveries(
    application: Application, receiver: HttpDouble
) -> None:
    await create(application)
    await settle_and_deliver(application)
    assert await listed(application, reference="nobody's") == []
    assert len(await listed(application)) == 1


async def test_the_reference_of_another_merchant_has_none_either(
    application: Application, receiver: HttpDouble
) -> None:
    await create(application, reference="basket-1")
    await settle_and_deliver(application)
    assert await listed(application, merchant="other", reference="basket-1") == []


async def test_an_event_is_only_found_by_its_own_reference(application: Application, receiver: HttpDouble) -> None:
    await create(application, reference="basket-1")
    await settle_and_deliver(application)
    [event] = await application.store.events.find().to_list()
    assert len(await listed(application, event_id=event["_id"], reference="basket-1")) == 1
    assert await listed(application, event_id=event["_id"], reference="basket-2") == []


async def test_of_a_reference_with_more_events_than_are_looked_at_the_newest_count(
    application: Application, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await create(application, reference="basket-1")
        await settle_and_deliver(application)
    monkeypatch.setattr(list_deliveries, "EVENTS_MAX", 2)
    assert await listed(application, reference="basket-1") == (await listed(application))[:2]


async def test_a_delivery_is_failing_once_it_has_failed_and_until_it_is_taken(
    application: Application, receiver: HttpDouble
) -> None:
    await create(application)
    await application.settle_charges.run_once()
    assert await listed(application, state="failing") == []
    receiver.answer = always(500)
    await deliver(application)
    assert len(await listed(application, state="failing")) == 1
    receiver.answer = always(200)
    await deliver(application)
    assert await listed(application, state="failing") == []


async def test_a_forgery_that_was_refused_makes_no_delivery_a_failing_one(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(401)
    await create(application, scenario={"webhooks": ["bad_signature"]})
    await settle_and_deliver(application)
    assert await listed(application, state="failing") == []
    await deliver(application)
    assert len(await listed(application, state="failing")) == 1
