"""C21, C22: whatever has an open money question is asked about until it has none."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web

from order_api.app import Application
from shared.ids import new_id
from shared.times import utc_now
from tests.http_double import Answer, Asked, HttpDouble, always
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_charges,
    charge_of,
    event_bytes,
    place,
    received,
    stored_order,
)


def serving(*events: bytes, page_size: int = 100) -> Answer:
    """The provider's events, newest first, in pages."""

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.path == "/v1/charges":
            return await accept_charges(asked)
        assert asked.path == "/v1/events"
        start = int(asked.query.get("cursor", 0))
        page = [msgspec.Raw(raw) for raw in events[start : start + page_size]]
        following = str(start + page_size) if len(events) > start + page_size else None
        return web.Response(body=msgspec.json.encode({"data": page, "nextCursor": following}))

    return answer


async def reconcile(application: Application) -> int:
    """One round, with everything that is to be asked about due now."""
    past = utc_now() - timedelta(seconds=1)
    for collection in (application.store.orders, application.store.payment_events):
        await collection.update_many({"reconcile_at": {"$type": "date"}}, {"$set": {"reconcile_at": past}})
    return await application.reconcile.work.run_once()


async def test_c22_a_webhook_that_is_lost_for_ever_still_ends_in_paid(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    raw = event_bytes(charge_of(order))
    provider.answer = serving(raw)
    assert await reconcile(application) == 1
    assert (await stored_order(application, order.id)).status == "Paid"
    [event] = await application.store.events_of(order.id)
    assert (event["source"], event["raw"].encode()) == ("reconcile", raw)
    assert await reconcile(application) == 0, "a settled order is not asked about again"


async def test_c21_the_same_event_by_both_ways_takes_effect_once(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    raw = event_bytes(charge_of(order))
    provider.answer = serving(raw)
    outcomes = await asyncio.gather(application.record_events(received(raw)), reconcile(application))
    assert outcomes[0] in {"applied", "duplicate"}
    [event] = await application.store.events_of(order.id)
    assert len((await stored_order(application, order.id)).history) == 2
    assert event["outcome"] == "applied"


async def test_c22_all_pages_are_read(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    failed = [charge_of(order, status="failed", failure_code="card_declined") for _ in range(4)]
    events = [event_bytes(charge_of(order)), *(event_bytes(charge, "payment.failed") for charge in failed)]
    provider.answer = serving(*events, page_size=2)
    await reconcile(application)
    assert len((await stored_order(application, order.id)).charges) == 5


@pytest.mark.parametrize("answer", [always(500), always(200, "garbage"), always(401)])
async def test_c22_it_asks_again_with_growing_pauses_and_without_end(
    application: Application, provider: HttpDouble, answer: Answer
) -> None:
    order = await place(application)
    provider.answer = answer
    pauses = []
    for _ in range(12):
        assert await reconcile(application) == 1
        document: dict[str, Any] = await application.store.orders.find_one({"_id": order.id}) or {}
        pauses.append(document["reconcile_at"] - utc_now())
    assert pauses[0] < pauses[3] < pauses[6]
    assert pauses[-1] <= timedelta(hours=1)


async def test_c22_a_dead_letter_is_asked_about_too(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    provider.answer = always(422, '{"type": "/problems/invalid-fields"}')
    await application.dispatch_outbox.work.run_once()
    message = await application.store.outbox.find_one({"order_id": order.id})
    assert message is not None
    assert message["state"] == "dead"
    provider.answer = serving(event_bytes(charge_of(order)))
    await reconcile(application)
    assert (await stored_order(application, order.id)).status == "Paid"
    message = await application.store.outbox.find_one({"order_id": order.id})
    assert message is not None
    assert message["state"] == "done"


async def test_c22_an_unmatched_event_is_judged_again(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    provider.answer = serving()
    charge = charge_of(order, reference=new_id("ord"))
    assert await application.record_events(received(event_bytes(charge))) == "unmatched"
    document: dict[str, Any] = await application.store.orders.find_one({"_id": order.id}) or {}
    await application.store.orders.insert_one({**document, "_id": charge.reference, "order_number": "restored"})
    await reconcile(application)
    assert (await stored_order(application, charge.reference)).status == "Paid"


async def test_c22_two_replicas_do_not_ask_the_same_question_at_once(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    provider.answer = serving()
    async with make_application() as one, make_application() as other:
        for _ in range(6):
            await place(one)
        past = utc_now() - timedelta(seconds=1)
        await one.store.orders.update_many({}, {"$set": {"reconcile_at": past}})
        asked = await asyncio.gather(one.reconcile.work.run_once(), other.reconcile.work.run_once())
        assert sum(asked) == 6
        assert [one.path for one in provider.asked].count("/v1/events") == 6
