"""C11: the insert of an order claims its call too, if a slot is free, and then the call is made at once."""

import asyncio
import math
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from order_api.app import Application
from order_api.breaker import FAILURES_TO_OPEN
from order_api.cancel_order import Cancelled
from order_api.dispatch_outbox import LEASE_SECONDS, SLOTS
from order_api.order import Order
from order_api.place_order import OrderNumberTaken
from shared.batches import UnavailableError
from shared.idempotency import Answer
from shared.ids import time_of
from shared.times import utc_now
from tests.http_double import Asked, HttpDouble, always
from tests.integration.conftest import UNCONFIRMED, FailCommand
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_charges,
    charge_call_of,
    make_due,
    new_order,
    place,
)
from tests.integration.order_api.dispatch_outbox.conftest import dispatch
from tests.waiting import until, until_it_has_a_slot


async def until_it_claims_new_orders(application: Application) -> None:
    """Returns when it knows the server's time, which its first claim reads, and has a free slot."""

    async def knows_the_time() -> bool:
        return application.store.clock.now() is not None

    await until(knows_the_time, "the server's time")
    await until_it_has_a_slot(application.dispatch_outbox.work)


async def test_c11_an_order_placed_while_a_slot_is_free_is_stored_with_its_call_claimed(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def hold(call: Asked) -> web.StreamResponse:
        asked.set()
        await release.wait()
        return await accept_charges(call)

    provider.answer = hold
    async with make_application(workers=True) as one, make_application() as other:
        await until_it_claims_new_orders(one)
        order = await place(one)
        await asked.wait()
        call = await charge_call_of(one, order)
        assert (call["state"], call["attempts"]) == ("open", 1)
        assert call["claim"] is not None
        assert order.due_at == call["due_at"] == call["first_attempt_at"] + timedelta(seconds=LEASE_SECONDS)
        assert await dispatch(other) == 0
        release.set()
        await until(lambda: is_done(one), "the call to be settled")
        call = await charge_call_of(one, order)
        assert (call["attempts"], len(call["tries"]), len(provider.posts())) == (1, 1, 1)


async def is_done(application: Application) -> bool:
    return await application.store.orders.count_documents({"calls.state": {"$ne": "done"}}) == 0


async def test_c11_nothing_is_sent_for_an_order_that_is_not_known_to_be_stored(
    make_application: MakeApplication, provider: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application(workers=True) as application:
        await until_it_claims_new_orders(application)
        order = await place(application)
        await until(lambda: is_done(application), "the call to be settled")
        taken = await application.place_order(uuid4().hex, new_order(order_number=order.order_number))
        assert isinstance(taken, OrderNumberTaken)

        async def unknown(_order: object) -> None:
            raise UnavailableError

        with monkeypatch.context() as without_answers:
            without_answers.setattr(application.place_order, "_insert", unknown)
            with pytest.raises(UnavailableError):
                await application.place_order(uuid4().hex, new_order())
        await place(application)
        await until(lambda: is_done(application), "the other call to be settled")
        assert len(provider.posts()) == 2

        async def all_are_free() -> bool:
            return application.dispatch_outbox.work.free == SLOTS

        await until(all_are_free, "every slot to be given back")


async def test_c17_an_order_that_is_cancelled_while_nobody_knows_whether_it_is_stored_is_not_charged(
    make_application: MakeApplication,
    provider: HttpDouble,
    monkeypatch: pytest.MonkeyPatch,
    fail_command: FailCommand,
) -> None:
    monkeypatch.setattr("order_api.dispatch_outbox.JUST_READ_SECONDS", 0.0)
    async with make_application(workers=True) as one, make_application() as other:
        await until_it_claims_new_orders(one)
        await fail_command("order_api", ["insert"], times="always", **UNCONFIRMED)
        placing = asyncio.create_task(one.place_order(uuid4().hex, new_order()))

        async def is_seen() -> bool:
            return await other.store.orders.count_documents({}) == 1

        await until(is_seen, "the order to be seen by others")
        [order] = await other.store.orders.find().to_list()
        assert isinstance(await other.cancel_order("default", order["_id"]), Cancelled)
        await fail_command("order_api", ["insert"], times=0)
        assert isinstance(await placing, Answer)

        async def is_settled() -> bool:
            return await other.store.orders.count_documents({"calls.state": "open"}) == 0

        await until(is_settled, "the call to be settled")
        [order] = await other.store.orders.find().to_list()
        assert (order["status"], order["calls"][0]["state"], provider.posts()) == ("Cancelled", "void", [])


async def test_c11_what_a_dead_process_had_claimed_with_its_insert_is_sent_by_another(
    make_application: MakeApplication, provider: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application(workers=True) as dead, make_application() as other:
        await until_it_claims_new_orders(dead)
        monkeypatch.setattr(dead.dispatch_outbox.work, "begin", lambda _piece: None)
        order = await place(dead)
        assert await dispatch(other) == 0
        await make_due(other)  # the lease is over
        assert await dispatch(other) == 1
        call = await charge_call_of(other, order)
        assert (call["state"], call["attempts"], len(provider.posts())) == ("done", 2, 1)


@pytest.mark.parametrize("hours", [2, -2])
async def test_c3_a_claim_and_the_pause_after_it_are_by_the_clock_of_the_server(
    hours: int, make_application: MakeApplication, provider: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C13 relies on it: by a clock that is ahead, the provider would be trusted with a key that it has forgotten."""

    def wrong(order_id: str) -> datetime:
        return time_of(order_id) + timedelta(hours=hours)

    monkeypatch.setattr("order_api.place_order.time_of", wrong)
    provider.answer = always(503)
    async with make_application(workers=True) as application:
        await until_it_claims_new_orders(application)
        order = await place(application)
        [inserted] = order.calls
        assert inserted.first_attempt_at is not None
        assert abs(inserted.first_attempt_at - utc_now()) < timedelta(minutes=1)

        async def is_settled() -> bool:
            call = await charge_call_of(application, order)
            return call["claim"] is None

        await until(is_settled, "the first try to be settled")
        call = await charge_call_of(application, order)
        assert abs(call["due_at"] - utc_now()) < timedelta(minutes=5)


async def test_c3_while_the_time_of_the_server_is_not_known_an_order_is_stored_unclaimed(
    make_application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application(workers=True) as application:
        await until_it_claims_new_orders(application)
        monkeypatch.setattr(application.store.clock, "_looked_at", -math.inf)
        assert (await inserted(application, monkeypatch)).calls[0].claim is None


async def inserted(application: Application, monkeypatch: pytest.MonkeyPatch) -> Order:
    """An order as it was handed to its insert."""
    orders = list[Order]()
    insert = application.place_order._insert

    async def noting(order: Order) -> Any:
        orders.append(order)
        return await insert(order)

    monkeypatch.setattr(application.place_order, "_insert", noting)
    await place(application)
    return orders[0]


async def test_c11_an_order_placed_while_the_provider_is_away_costs_no_attempt(
    make_application: MakeApplication, provider: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.answer = always(503)
    async with make_application(workers=True) as application:
        for _ in range(FAILURES_TO_OPEN):
            with application.dispatch_outbox.breaker.call() as calling:
                calling.healthy = False
        call = (await inserted(application, monkeypatch)).calls[0]
        assert (call.attempts, call.claim) == (0, None)
