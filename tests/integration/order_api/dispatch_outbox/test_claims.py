"""C3, C11: one process at a time has a call in hand, and one that comes too late changes nothing."""

import asyncio

import msgspec
import pytest
from aiohttp import web

from order_api.app import Application
from order_api.calls import Call
from order_api.dispatch_outbox import DispatchOutbox
from order_api.order import Order
from shared.documents import Verdict
from shared.idempotency import Answer as Replayable
from tests.http_double import Asked, HttpDouble, always
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_everything,
    calls_of,
    charge_call_of,
    event_bytes,
    make_due,
    paid,
    place,
    received,
    refund,
    refund_of,
    stored_order,
)
from tests.integration.order_api.dispatch_outbox.conftest import PROBLEM, dispatch


async def test_c11_two_replicas_never_claim_one_call_twice(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    async with make_application() as one, make_application() as other:
        await asyncio.gather(*(place(one) for _ in range(150)))
        while sum(await asyncio.gather(dispatch(one), dispatch(other), dispatch(one))):
            pass
        keys = [asked.headers["Idempotency-Key"] for asked in provider.posts()]
        assert len(keys) == len(set(keys)) == 150


async def test_c11_no_more_is_claimed_than_there_are_free_slots(application: Application) -> None:
    for _ in range(3):
        await place(application)
    narrow = DispatchOutbox(application.store, application.gateway, application.record_events, slots=2)
    assert len(await narrow.work._start()) == 2
    assert sum(call["claim"] is not None for call in await calls_of(application)) == 2


async def test_c11_a_claim_that_is_too_short_to_send_costs_no_attempt(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    brief = DispatchOutbox(application.store, application.gateway, application.record_events, lease_seconds=1)
    assert await brief.work.run_once() == 1
    call = await charge_call_of(application, order)
    assert (call["state"], call["attempts"], call["first_attempt_at"]) == ("open", 0, None)
    assert call["settled_claim"] is not None
    assert call["claim"] is None
    assert provider.asked == []


async def test_c11_a_claim_that_was_passed_changes_nothing(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    """One is held up past its lease; the other takes over and is told 'later'. What the first then hears is too late."""
    held, release = asyncio.Event(), asyncio.Event()

    async def hold_the_first(asked: Asked) -> web.StreamResponse:
        if held.is_set():
            return web.Response(status=503)
        held.set()
        await release.wait()
        return web.Response(status=422, text=PROBLEM % "invalid-fields")

    provider.answer = hold_the_first
    async with make_application() as slow, make_application() as quick:
        order = await place(slow)
        late = asyncio.create_task(dispatch(slow))
        await held.wait()
        await make_due(slow)  # the lease is over
        assert await dispatch(quick) == 1
        settled = await charge_call_of(quick, order)
        release.set()
        await late
        assert await charge_call_of(quick, order) == settled
        assert (settled["state"], settled["attempts"], settled["claim"]) == ("open", 2, None)
        assert (await stored_order(quick, order.id)).reviews == ()


@pytest.mark.parametrize("how", ["unsent", "cancelled"])
async def test_c11_a_claim_that_is_given_back_too_late_leaves_the_next_one_alone(
    make_application: MakeApplication, how: str
) -> None:
    async with make_application() as slow, make_application() as quick:
        order = await place(slow)
        brief = DispatchOutbox(slow.store, slow.gateway, slow.record_events, lease_seconds=1)
        [late] = await brief._claim(1)
        await make_due(slow)  # the lease is over
        assert len(await quick.dispatch_outbox._claim(1)) == 1
        taken = await charge_call_of(quick, order)
        await (brief._attempt(late) if how == "unsent" else brief._release(late))
        assert await charge_call_of(quick, order) == taken


async def paid_with_refunds(application: Application, number: int) -> Order:
    order = await paid(application)
    refunds = (refund(application, order, 10) for _ in range(number))
    assert all(isinstance(answer, Replayable) for answer in await asyncio.gather(*refunds))
    return await stored_order(application, order.id)


async def test_c11_200_refund_calls_of_one_order_are_200_posts_from_two_replicas(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    """Claims come while settlements change the order: neither starves, and none takes what another has claimed."""
    provider.answer = accept_everything
    async with make_application() as one, make_application() as other:
        await paid_with_refunds(one, 200)
        while sum(await asyncio.gather(dispatch(one), dispatch(other), dispatch(one), dispatch(other))):
            pass
        calls = await calls_of(one, kind="refund")
        assert {(call["state"], call["attempts"]) for call in calls} == {("done", 1)}
        keys = [asked.headers["Idempotency-Key"] for asked in provider.posts()]
        assert len(keys) == len(set(keys)) == 200


async def test_c3_a_claim_on_an_order_that_changes_all_the_time_does_not_starve(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    async with make_application() as one, make_application() as other:
        order = await place(one)
        stop = asyncio.Event()

        async def change_without_end() -> int:
            changes = 0
            while not stop.is_set():
                await other.store.change(order.id, lambda known, _now: counted(known))
                changes += 1
            return changes

        changing = asyncio.create_task(change_without_end())
        await other.store.change(order.id, lambda known, _now: counted(known))
        claimed = await one.dispatch_outbox._claim(1)
        stop.set()
        assert await changing > 0
        assert len(claimed) == 1


def counted(order: Order | None) -> Verdict[Order, None]:
    assert order is not None
    return Verdict(None, msgspec.structs.replace(order, reconcile_attempts=order.reconcile_attempts + 1))


async def test_c11_every_write_leaves_the_order_due_when_its_first_open_call_is(
    application: Application, provider: HttpDouble
) -> None:
    """Claimed, given back, refused for a while, done: and `due_at` is always the least of what is open."""
    provider.answer = always(503)
    order = await paid_with_refunds(application, 3)
    [claimed, *_] = await application.dispatch_outbox._claim(1)
    await assert_due_when_its_calls_are(application)
    await application.dispatch_outbox._give_back(order.id, msgspec.convert(claimed.call, Call))
    await assert_due_when_its_calls_are(application)
    await dispatch(application)
    await assert_due_when_its_calls_are(application)
    await application.record_events(received(event_bytes(refund_of(order), "refund.succeeded")))
    await assert_due_when_its_calls_are(application)
    provider.answer = accept_everything
    await make_due(application)
    await dispatch(application)
    await assert_due_when_its_calls_are(application)
    assert {call["state"] for call in await calls_of(application)} == {"done"}


async def assert_due_when_its_calls_are(application: Application) -> None:
    [order] = await application.store.orders.find().to_list()
    due = [call["due_at"] for call in order["calls"] if call["state"] == "open"]
    assert order["due_at"] == min(due, default=None)


async def test_c11_a_call_that_an_event_ended_is_not_claimed_by_an_older_look(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    """Of one order a call is over and another is due: the claim takes what is open as it is written, and nothing else."""
    async with make_application() as application:
        order = await paid_with_refunds(application, 2)
        await application.record_events(received(event_bytes(refund_of(order), "refund.succeeded")))
        provider.answer = accept_everything
        assert await dispatch(application) == 1
        assert [call["attempts"] for call in await calls_of(application, kind="refund")] in ([0, 1], [1, 0])
