"""What payment_gateway counts as it works, and what it finds open in the database."""

from datetime import timedelta

import pytest

from payment_gateway.app import Application
from payment_gateway.take_stock import counts
from shared.times import utc_now
from tests.http_double import HttpDouble, always
from tests.integration.payment_gateway.conftest import create
from tests.scraping import assert_all_through_indexes, stock, value


async def settle(application: Application) -> None:
    while not await application.settle_charges.run_once():
        pass


@pytest.mark.parametrize(("status", "result"), [(200, "2xx"), (302, "3xx"), (404, "4xx"), (500, "5xx"), (999, "other")])
async def test_attempts_count_by_the_class_of_the_answer(
    application: Application, receiver: HttpDouble, status: int, result: str
) -> None:
    succeeded = value("payment_gateway_settled_total", kind="charge", status="succeeded")
    attempts = value("payment_gateway_delivery_attempts_total", result=result)
    receiver.answer = always(status)
    await create(application)
    await settle(application)
    assert await application.deliver_webhooks.work.run_once() == 1
    assert value("payment_gateway_settled_total", kind="charge", status="succeeded") == succeeded + 1
    assert value("payment_gateway_delivery_attempts_total", result=result) == attempts + 1


async def test_what_is_open_is_counted_with_its_age(application: Application, receiver: HttpDouble) -> None:
    receiver.answer = always(500)
    for _ in range(2):
        await create(application)
    await settle(application)
    await application.deliver_webhooks.work.run_once()
    hours = {"charges": ("due_at", 3), "deliveries": ("next_attempt_at", 2)}
    await create(application)
    for collection, (field, ago) in hours.items():
        due = utc_now() - timedelta(hours=ago)
        await application.store.database[collection].update_many({field: {"$ne": None}}, {"$set": {field: due}})
    found = await stock(counts(application.store, application.clock))
    assert {name: round(number / 3600) for name, number in found.items() if "age" in name} == {
        "payment_gateway_settlement_oldest_due_age_seconds": 3,
        "payment_gateway_delivery_oldest_due_age_seconds": 2,
    }
    assert found["payment_gateway_pending_deliveries"] == 2


async def test_counting_what_is_open_reads_nothing_but_through_indexes(application: Application) -> None:
    await create(application)
    await settle(application)
    await assert_all_through_indexes(
        application.store.database, lambda: stock(counts(application.store, application.clock))
    )
