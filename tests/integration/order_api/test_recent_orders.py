"""An order that this process wrote a moment ago is not read again for an event, and nothing is lost by that."""

from collections.abc import Sequence
from typing import Any

import pytest

from order_api import recent_orders
from order_api.app import Application
from order_api.order import Order
from tests.integration.order_api.conftest import (
    MakeApplication,
    charge_of,
    event_bytes,
    make_due,
    place,
    received,
    stored_order,
)
from tests.waiting import until


@pytest.fixture
async def read(application: Application, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the orders that the application reads to change them, as it reads them."""
    ids = list[str]()
    documents = application.store._change._documents

    async def reading(wanted: Sequence[str], *session: Any) -> Any:
        ids.extend(wanted)
        return await documents(wanted, *session)

    async def knows_the_time() -> bool:
        await application.store.clock.look()
        return application.store.clock.now() is not None

    monkeypatch.setattr(application.store._change, "_documents", reading)
    monkeypatch.setattr(recent_orders, "SECONDS", 3600.0)
    await until(knows_the_time, "the server's time")
    return ids


async def learn(application: Application, order: Order) -> Order:
    await application.record_events(received(event_bytes(charge_of(order))))
    return await stored_order(application, order.id)


async def test_an_event_that_follows_a_call_at_once_needs_no_read_of_its_order(
    application: Application, read: list[str]
) -> None:
    order = await place(application)
    await make_due(application)
    await application.dispatch_outbox.work.run_once()
    assert (await learn(application, order)).status == "Paid"
    assert read == []


async def test_c3_what_another_process_has_written_meanwhile_stays(
    application: Application, make_application: MakeApplication, read: list[str]
) -> None:
    order = await place(application)
    application.store.recent.note(order)
    async with make_application() as other:
        await other.cancel_order("default", order.id)
    after = await learn(application, order)
    assert (after.status, [refund.cause for refund in after.refunds]) == ("Cancelled", ["cancelled"])
    assert read == [order.id]


async def test_an_order_that_was_written_some_time_ago_is_read(
    application: Application, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_orders, "SECONDS", 0.0)
    order = await place(application)
    application.store.recent.note(order)
    assert (await learn(application, order)).status == "Paid"
    assert read == [order.id]


@pytest.mark.usefixtures("read")
async def test_no_more_orders_are_kept_than_there_is_room_for(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_orders, "ORDERS_MAX", 2)
    orders = [await place(application) for _ in range(3)]
    for order in orders:
        application.store.recent.note(order)
    assert [application.store.recent.read(order.id) is not None for order in orders] == [False, True, True]


@pytest.mark.usefixtures("read")
@pytest.mark.parametrize("text", ["x" * 480, "😀" * 120], ids=["ascii", "emoji"])
async def test_an_order_that_is_large_in_memory_is_not_kept(application: Application, text: str) -> None:
    order = await place(application, metadata={str(number): text for number in range(20)})
    application.store.recent.note(order)
    assert application.store.recent.read(order.id) is None
