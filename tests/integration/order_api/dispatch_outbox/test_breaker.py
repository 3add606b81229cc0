"""C15, C16: a provider that is away, or says when to come again, is left alone, and costs no order."""

import asyncio
from datetime import timedelta
from typing import Any

from aiohttp import web

from order_api.app import Application
from order_api.breaker import COOL_DOWN_CAP_SECONDS, Breaker
from shared.times import http_date, utc_now
from tests.http_double import Asked, HttpDouble, always
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_charges,
    calls_of,
    charge_call_of,
    make_due,
    place,
    stored_order,
)
from tests.integration.order_api.dispatch_outbox.conftest import PROBLEM, dispatch
from tests.waiting import until


async def test_c15_a_wrong_api_key_for_a_while_loses_nothing(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    right = asyncio.Event()

    async def answer(asked: Asked) -> web.StreamResponse:
        if not right.is_set():
            return web.Response(status=401, text=PROBLEM % "unauthenticated")
        return await accept_charges(asked)

    provider.answer = answer
    async with make_application(workers=True) as application:
        orders = [await place(application) for _ in range(8)]
        await until(_has(provider, 5), "the breaker has had enough")
        right.set()
        for order in orders:
            await until(_is_charged(application, order.id), "charged once the key is right")


async def test_c16_a_retry_after_of_thirty_years_is_capped(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    provider.answer = always(503, Retry_After="1000000000")
    await dispatch(application)
    call = await charge_call_of(application, order)
    wait: timedelta = call["due_at"] - call["updated_at"]
    assert timedelta(minutes=59) < wait <= timedelta(hours=1, seconds=1)


async def test_c16_a_retry_after_that_is_a_date_is_waited_for(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    until = utc_now() + timedelta(minutes=30)
    provider.answer = always(503, Retry_After=http_date(until))
    await dispatch(application)
    call = await charge_call_of(application, order)
    assert timedelta(0) <= call["due_at"] - until <= timedelta(minutes=1)


async def test_c16_the_breaker_sends_one_probe_and_a_cancelled_probe_is_free_again(
    application: Application, provider: HttpDouble
) -> None:
    seconds = 0.0
    application.dispatch_outbox.breaker = Breaker(lambda: seconds)
    for _ in range(12):
        await place(application)
    provider.answer = always(500)
    await dispatch(application)
    assert application.dispatch_outbox.breaker.is_open
    asked_before = len(provider.posts())
    assert await dispatch(application) == 0  # nothing is claimed while it cools down
    assert len(provider.posts()) == asked_before

    held = asyncio.Event()

    async def hang(asked: Asked) -> web.StreamResponse:
        held.set()
        await asyncio.Event().wait()
        raise AssertionError

    provider.answer = hang
    await make_due(application)
    seconds = COOL_DOWN_CAP_SECONDS
    probes = await application.dispatch_outbox.work._start()
    assert len(probes) == 1
    await held.wait()
    assert application.dispatch_outbox.breaker.permits(10) == 0
    probes[0].cancel()
    await asyncio.gather(*probes, return_exceptions=True)
    assert application.dispatch_outbox.breaker.permits(10) == 1


async def test_c16_while_the_breaker_is_open_waiting_costs_no_attempts(
    application: Application, provider: HttpDouble
) -> None:
    for _ in range(12):
        await place(application)
    provider.answer = always(500)
    for _ in range(5):
        await make_due(application)
        await dispatch(application)
    assert sum(call["attempts"] for call in await calls_of(application)) == len(provider.posts())


def _has(provider: HttpDouble, posts: int) -> Any:
    async def condition() -> bool:
        return len(provider.posts()) >= posts

    return condition


def _is_charged(application: Application, order_id: str) -> Any:
    async def condition() -> bool:
        return bool((await stored_order(application, order_id)).charges)

    return condition
