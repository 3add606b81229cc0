"""What an operator does to a running system without writing to MongoDB by hand."""

from datetime import timedelta
from typing import Any

import pytest

from order_api.app import Application
from order_api.archive_events import ARCHIVE, archive_events
from order_api.ask_now import ask_now
from shared.ids import new_id
from shared.mongo import Document
from shared.times import utc_now
from tests.integration.order_api.conftest import charge_of, document_of, edit_calls, event_bytes, place, received
from tests.programs import order_api

LATER = timedelta(minutes=30)


async def events_in(application: Application, name: str) -> dict[str, Document]:
    return {one["_id"]: one async for one in application.store.database[name].find()}


async def make_old(application: Application) -> None:
    long_ago = utc_now() - timedelta(days=60)
    await application.store.payment_events.update_many({}, {"$set": {"received_at": long_ago}})


async def test_ask_now_makes_due_what_waits_and_nothing_that_is_claimed(application: Application) -> None:
    waiting, claimed, in_time = [await place(application) for _ in range(3)]
    later = utc_now() + LATER
    for order, fields in (
        (waiting, {"due_at": later, "attempts": 3}),
        (claimed, {"due_at": later, "attempts": 1, "claim": "its-token"}),
    ):
        await edit_calls(application, {"id": order.calls[0].id}, **fields)
    await application.store.orders.update_one({"_id": in_time.id}, {"$set": {"reconcile_at": utc_now() - LATER}})
    before = {order.id: await document_of(application, order) for order in (waiting, claimed, in_time)}

    assert await ask_now(application.store) == 2

    after = {order.id: await document_of(application, order) for order in (waiting, claimed, in_time)}
    assert after[in_time.id] == before[in_time.id], "it is due already"
    for order in (waiting, claimed):
        assert after[order.id]["reconcile_at"] <= utc_now()
        assert after[order.id]["version"] == before[order.id]["version"] + 1
        assert after[order.id]["writer"] != before[order.id]["writer"]
    assert after[waiting.id]["due_at"] == after[waiting.id]["calls"][0]["due_at"] <= utc_now()
    assert after[claimed.id]["calls"] == before[claimed.id]["calls"]
    assert after[claimed.id]["due_at"] == before[claimed.id]["due_at"]
    assert await ask_now(application.store) == 0, "all of it is due"
    assert await application.dispatch_outbox.work.run_once() == 2
    assert await application.reconcile.work.run_once() >= 3


async def test_ask_now_asks_about_settled_orders_too_if_they_changed_since(
    application: Application,
) -> None:
    old, new = await place(application), await place(application)
    for order in (old, new):
        await application.record_events(received(event_bytes(charge_of(order))))
    long_ago = utc_now() - timedelta(days=3)
    await application.store.orders.update_one({"_id": old.id}, {"$set": {"updated_at": long_ago}})
    settled = {"reconcile_at": None, "asks_left": 0}
    await application.store.orders.update_many({}, {"$set": settled})

    assert await ask_now(application.store) == 0
    assert await ask_now(application.store, updated_since=utc_now() - timedelta(days=1)) == 1
    assert (await document_of(application, old))["reconcile_at"] is None
    assert await application.reconcile.work.run_once() == 1
    asked = await document_of(application, new)
    assert (asked["status"], asked["reconcile_at"]) == ("Paid", None), "asked once, and at rest again"


async def test_archive_moves_old_events_that_are_final_or_of_no_order_and_no_others(application: Application) -> None:
    orders = [await place(application) for _ in range(3)]
    applied, changed, young = [event_bytes(charge_of(order)) for order in orders]
    mismatch = event_bytes(charge_of(orders[0], amount=1))
    unmatched = event_bytes(charge_of(orders[0], reference=new_id("ord")))
    for raw in (applied, changed, mismatch, unmatched):
        await application.record_events(received(raw))
    await make_old(application)
    await application.record_events(received(young))
    before = await events_in(application, "payment_events")

    moved = await archive_events(
        application.store.payment_events, application.store.database[ARCHIVE], before=utc_now() - timedelta(days=30)
    )

    archived, left = await events_in(application, ARCHIVE), await events_in(application, "payment_events")
    assert moved == len(archived) == 3
    assert {**archived, **left} == before
    assert {event["outcome"] for event in archived.values()} == {"applied", "unmatched"}
    assert {received(raw).id for raw in (mismatch, young)} == {*left}
    # It comes once more: the order knows, so nothing changes but that the event is stored again.
    order_before = await document_of(application, orders[0])
    assert await application.record_events(received(applied)) == "applied"
    assert await document_of(application, orders[0]) == order_before


async def test_archive_that_was_broken_off_between_its_steps_goes_on(application: Application) -> None:
    order = await place(application)
    await application.record_events(received(event_bytes(charge_of(order))))
    await make_old(application)
    [event] = (await events_in(application, "payment_events")).values()
    archive = application.store.database[ARCHIVE]
    await archive.insert_one(event)
    before = utc_now() - timedelta(days=30)
    assert await archive_events(application.store.payment_events, archive, before=before) == 1
    assert (await events_in(application, "payment_events"), await events_in(application, ARCHIVE)) == (
        {},
        {event["_id"]: event},
    )


async def test_the_program_says_in_one_line_what_it_did(
    application: Application, mongodb_uri: str, database_name: str
) -> None:
    await place(application)
    environment = {"MONGODB_URI": mongodb_uri, "ORDER_API_DATABASE": database_name}
    asked = await order_api("ask-now", **environment)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith(f"{database_name}: 1 order to ask the provider about now")
    archived = await order_api("archive", "--before", "2026-01-01", **environment)
    assert (archived.returncode, archived.stderr) == (0, "")
    said = f"{database_name}: 0 events moved to {ARCHIVE}, received before 2026-01-01T00:00:00.000Z\n"
    assert archived.stdout == said


@pytest.mark.parametrize("uri", ["mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100", "nonsense"])
async def test_the_program_ends_with_one_line_where_there_is_no_mongodb(uri: str) -> None:
    ended: Any = await order_api("ask-now", MONGODB_URI=uri)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("cannot start: MONGODB_URI: ")
    assert ended.stderr.count("\n") == 1
