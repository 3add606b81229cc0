"""C6: an order or an event that is not as it must be, or that the database refuses, spoils no other."""

import asyncio

import msgspec
from bson import DatetimeMS

from order_api.app import Application
from order_api.order import Order
from order_api.reconcile import EVENTS_AT_ONCE
from shared.documents import InvalidError, Verdict
from shared.pages import Paging, Unreadable
from shared.times import utc_now
from tests.http_double import HttpDouble
from tests.integration.order_api.conftest import (
    calls_of,
    charge_call_of,
    charge_of,
    event_bytes,
    place,
    received,
    stored_order,
)


async def spoil(application: Application, order: Order) -> None:
    """Any write of it by us is refused by the validator from now on."""
    unset = {"$unset": {"calls.0.path": "", "currency": ""}}
    await application.store.orders.update_one({"_id": order.id}, unset, bypass_document_validation=True)


async def test_c6_neighbours_of_an_event_whose_order_is_spoilt_are_recorded(application: Application) -> None:
    orders = [await place(application) for _ in range(10)]
    await spoil(application, orders[4])
    events = [received(event_bytes(charge_of(order))) for order in orders]
    outcomes = await asyncio.gather(*(application.record_events(event) for event in events), return_exceptions=True)
    assert isinstance(outcomes.pop(4), InvalidError)
    assert outcomes == ["applied"] * 9
    spoilt = await application.store.payment_events.find_one({"_id": events[4].id}) or {}
    assert (spoilt["outcome"], spoilt["reconcile_at"] is None) == ("received", False)


async def test_c11_calls_beside_one_that_cannot_be_claimed_are_dispatched(
    application: Application, provider: HttpDouble
) -> None:
    orders = [await place(application) for _ in range(6)]
    await spoil(application, orders[2])
    assert await application.dispatch_outbox.work.run_once() == 5
    assert len(provider.posts()) == 5
    assert sorted(call["state"] for call in await calls_of(application)) == [*["done"] * 5, "open"]


async def test_c22_orders_beside_a_spoilt_one_are_asked_about(application: Application, provider: HttpDouble) -> None:
    orders = [await place(application) for _ in range(5)]
    await application.store.orders.update_many({}, {"$set": {"reconcile_at": orders[0].created_at}})
    await spoil(application, orders[2])
    assert await application.reconcile.work.run_once() == 4
    assert {one.query["reference"] for one in provider.asked} == {order.id for order in orders} - {orders[2].id}


async def test_c22_an_event_that_does_not_decode_spoils_the_turn_of_no_order(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    assert await application.record_events(received(event_bytes(charge_of(order, reference="ord_no")))) == "unmatched"
    now = {"$set": {"reconcile_at": utc_now()}}
    for collection in (application.store.orders, application.store.payment_events):
        await collection.update_many({}, now)
    unset = {"$unset": {"received_at": ""}, "$set": {"times_received": 1}}
    await application.store.payment_events.update_one({}, unset, bypass_document_validation=True)
    await application.store.database.command("collMod", "payment_events", validationLevel="off")
    assert await application.reconcile.work.run_once() == 2
    assert {one.query["reference"] for one in provider.asked} == {order.id}


async def test_c6_a_time_that_python_does_not_know_spoils_its_own_order_only(
    application: Application, provider: HttpDouble
) -> None:
    orders = [await place(application) for _ in range(5)]
    await application.store.orders.update_many({}, {"$set": {"reconcile_at": orders[0].created_at}})
    no_year_of_ours = {"$set": {"updated_at": DatetimeMS(2**55)}}
    await application.store.orders.update_one({"_id": orders[2].id}, no_year_of_ours)
    assert await application.dispatch_outbox.work.run_once() == 5
    assert len(provider.posts()) == 5
    assert await application.reconcile.work.run_once() == 5
    events = [received(event_bytes(charge_of(order))) for order in orders]
    outcomes = await asyncio.gather(*(application.record_events(event) for event in events), return_exceptions=True)
    assert isinstance(outcomes.pop(2), InvalidError)
    assert outcomes == ["applied"] * 4
    shown = await application.store.list_orders(orders[0].merchant, Paging(limit=5))
    assert [type(one) for one in shown.things] == [Order, Order, Unreadable, Order, Order]


async def test_c21_events_beside_an_order_that_cannot_be_read_are_taken_up(application: Application) -> None:
    order = await place(application)
    for number in range(3 * EVENTS_AT_ONCE):
        await application.record_events(received(event_bytes(charge_of(order, reference=f"not-ours-{number}"))))
    spoilt = {"$set": {"reconcile_at": order.created_at}, "$unset": {"calls.0.reference": ""}}
    await application.store.orders.update_one({"_id": order.id}, spoilt, bypass_document_validation=True)
    events = application.store.payment_events
    await events.update_many({}, {"$set": {"reconcile_at": order.created_at}})
    assert [await application.reconcile.work.run_once() for _ in range(3)] == [EVENTS_AT_ONCE] * 3
    assert await events.count_documents({"reconcile_attempts": {"$gt": 0}}) == 3 * EVENTS_AT_ONCE


async def test_c6_a_refund_too_many_for_a_document_harms_only_itself(application: Application) -> None:
    """What the validator refuses of a fold is tried one by one."""
    order = await place(application)
    raw = event_bytes(charge_of(order))
    good = application.record_events(received(raw))
    bad = application.store.change(order.id, lambda known, _now: _unwritable(known))
    outcomes = await asyncio.gather(good, bad, return_exceptions=True)
    assert outcomes[0] == "applied"
    assert isinstance(outcomes[1], InvalidError)
    assert (await stored_order(application, order.id)).status == "Paid"


def _unwritable(order: Order | None) -> Verdict[Order, None]:
    assert order is not None
    return Verdict(None, msgspec.structs.replace(order, currency="usd"))


async def test_c11_a_claim_that_comes_back_while_stopping_is_still_done(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    work = application.dispatch_outbox.work
    running = asyncio.create_task(work.run())
    await asyncio.sleep(0)  # now it is claiming
    await work.stop()
    await running
    call = await charge_call_of(application, order)
    assert (call["state"] in {"open", "done"}, call["claim"]) == (True, None)
    assert call["attempts"] == len(provider.posts())
