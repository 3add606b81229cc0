"""C22: what the provider did unasked is found, though its webhook is lost for ever and no question of ours is open."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from order_api import sweep_events
from order_api.app import Application
from order_api.gateway_client import GatewayUnavailableError
from order_api.order import Order
from shared import wire
from shared.ids import new_id
from shared.times import rfc3339, utc_now
from tests.http_double import Asked, HttpDouble, always
from tests.integration.order_api.conftest import (
    charge_of,
    dispute_of,
    event_bytes,
    events_of,
    paid,
    place,
    received,
    refund_by_hand,
    stored_order,
)
from tests.integration.order_api.test_reconcile import reconcile, serving
from tests.waiting import until

SINCE = utc_now() - timedelta(hours=1)


def its_charge(order: Order) -> wire.Charge:
    return charge_of(order, id=order.charges[0].id)


async def test_c22_an_event_that_was_never_delivered_to_us_is_recorded(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    provider.answer = serving()
    assert await reconcile(application) == 0, "nobody would ask about it"
    raw = event_bytes(dispute_of(its_charge(order)), "dispute.created")
    provider.answer = serving(raw)
    assert await application.sweep_events.run_once(SINCE, undelivered=True) == 1
    order = await stored_order(application, order.id)
    assert [review.code for review in order.reviews] == ["dispute"]
    swept = (await events_of(application, order))[0]
    assert (swept.raw.encode(), swept.source, swept.outcome) == (raw, "reconcile", "applied")


async def test_c22_the_provider_is_asked_for_what_it_announced_since_then_and_did_not_deliver(
    application: Application, provider: HttpDouble
) -> None:
    provider.answer = serving()
    await application.sweep_events.run_once(SINCE, undelivered=True)
    await application.sweep_events.run_once(SINCE)
    since = rfc3339(SINCE)
    assert [(asked.method, asked.path, asked.query) for asked in provider.asked] == [
        ("GET", "/v1/events", {"createdFrom": since, "delivered": "false", "limit": "100"}),
        ("GET", "/v1/events", {"createdFrom": since, "limit": "100"}),
    ]


async def test_c22_all_pages_are_swept_and_what_is_known_already_takes_no_effect_again(
    application: Application, provider: HttpDouble
) -> None:
    order, other = await paid(application), await place(application)
    known = event_bytes(charge_of(other))
    assert await application.record_events(received(known)) == "applied"
    by_hand = [event_bytes(refund_by_hand(its_charge(order), amount), "refund.succeeded") for amount in (1, 2)]
    provider.answer = serving(known, *by_hand, page_size=1)
    for _ in range(2):
        assert await application.sweep_events.run_once(SINCE) == 3
    assert [refund.amount_minor for refund in (await stored_order(application, order.id)).refunds] == [1, 2]
    [event] = await events_of(application, other)
    assert (event.times_received, event.source) == (1, "webhook"), "only webhooks are counted"


async def test_c22_a_page_that_fails_ends_the_sweep_and_what_was_recorded_stays(
    application: Application, provider: HttpDouble
) -> None:
    orders = [await place(application) for _ in range(2)]
    pages = serving(*(event_bytes(charge_of(order)) for order in orders), page_size=1)

    async def first_page_only(asked: Asked) -> web.StreamResponse:
        return web.Response(status=500) if "cursor" in asked.query else await pages(asked)

    provider.answer = first_page_only
    with pytest.raises(GatewayUnavailableError):
        await application.sweep_events.run_once(SINCE)
    assert [(await stored_order(application, order.id)).status for order in orders] == ["Paid", "Pending"]
    provider.answer = pages
    assert await application.sweep_events.run_once(SINCE) == 2
    assert [(await stored_order(application, order.id)).status for order in orders] == ["Paid", "Paid"]


async def test_c22_one_that_cannot_be_recorded_keeps_none_after_it_from_being_recorded(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    provider.answer = serving(b'{"id":"no event"}', event_bytes(charge_of(order)))
    assert await application.sweep_events.run_once(SINCE) == 1
    assert (await stored_order(application, order.id)).status == "Paid"


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"data": [%s], "nextCursor": null}' % ("[" * 100_000 + "]" * 100_000),
        '{"data": [], "nextCursor": 7}',
        "<html>",
    ],
)
async def test_c22_a_page_that_is_none_ends_the_sweep(
    application: Application, provider: HttpDouble, body: str
) -> None:
    provider.answer = always(200, body)
    with pytest.raises(GatewayUnavailableError):
        await application.sweep_events.run_once(SINCE)


async def test_c22_a_list_that_goes_round_in_a_circle_ends_the_sweep(
    application: Application, provider: HttpDouble
) -> None:
    async def answer(asked: Asked) -> web.Response:
        following = {None: "a", "a": "b", "b": "a"}[asked.query.get("cursor")]
        return web.json_response({"data": [], "nextCursor": following})

    provider.answer = answer
    with pytest.raises(GatewayUnavailableError):
        async with asyncio.timeout(20):
            await application.sweep_events.run_once(SINCE)
    assert len(provider.asked) == 3


async def test_c22_an_event_of_nobody_we_know_is_kept_as_unmatched(
    application: Application, provider: HttpDouble
) -> None:
    nobodys = charge_of(await place(application), reference=new_id("ord"))
    provider.answer = serving(event_bytes(nobodys))
    assert await application.sweep_events.run_once(SINCE) == 1
    [event] = await application.store.payment_events.find().to_list()
    assert event["outcome"] == "unmatched"


async def test_c22_it_sweeps_hourly_what_was_not_delivered_and_daily_all_and_goes_on_after_a_failure(
    application: Application, provider: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_events, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(sweep_events, "EVERY_SECONDS", 0.001)
    provider.answer = always(503)
    began = utc_now()
    running = asyncio.create_task(application.sweep_events.run())
    try:
        await until(_asked(provider, 2), "it has failed twice")
        provider.answer = serving()
        failed = len(provider.asked)
        await until(_asked(provider, failed + 28), "more than a day has passed")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    undelivered = ["delivered" in asked.query for asked in provider.asked]
    first = undelivered.index(False)
    assert all(undelivered[:first]), "what it cannot deliver comes first"
    assert undelivered[first : first + 26] == [False, *[True] * 24, False]
    hourly, daily = provider.asked[first - 1].query["createdFrom"], provider.asked[first].query["createdFrom"]
    assert rfc3339(began - timedelta(days=7)) <= hourly <= rfc3339(utc_now() - timedelta(days=7))
    assert rfc3339(began - timedelta(hours=25)) <= daily <= rfc3339(utc_now() - timedelta(hours=25))


def _asked(provider: HttpDouble, number: int) -> Any:
    async def condition() -> bool:
        return len(provider.asked) >= number

    return condition
