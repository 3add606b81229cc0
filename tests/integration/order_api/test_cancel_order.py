"""C17, C22: an order that is not paid can be cancelled, and nothing is charged for it that is not given back."""

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp import web
from pymongo.errors import OperationFailure

from order_api.app import Application
from order_api.calls import Call
from order_api.cancel_order import Cancelled, NotCancellable
from order_api.order import Order
from shared.not_found import NotFound
from tests.http_double import Asked, HttpDouble
from tests.integration.conftest import FailCommand
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_charges,
    calls_of,
    charge_call_of,
    charge_of,
    document_of,
    event_bytes,
    make_due,
    place,
    received,
    stored_order,
)


async def cancel(application: Application, order: Order) -> Order:
    outcome = await application.cancel_order("default", order.id)
    assert isinstance(outcome, Cancelled), outcome
    return outcome.order


async def reconcile_at(application: Application, order: Order) -> Any:
    return (await document_of(application, order))["reconcile_at"]


async def test_a_pending_order_is_cancelled_and_its_history_says_so(application: Application) -> None:
    order = await place(application)
    await cancel(application, order)
    order = await stored_order(application, order.id)
    assert [(change.status, change.cause) for change in order.history] == [
        ("Pending", "placed"),
        ("Cancelled", "cancelled by the merchant"),
    ]


async def test_an_order_whose_charge_failed_is_cancelled(application: Application) -> None:
    order = await place(application)
    failed = charge_of(order, status="failed", failure_code="card_declined")
    await application.record_events(received(event_bytes(failed, "payment.failed")))
    assert (await cancel(application, order)).status == "Cancelled"


async def test_a_paid_order_is_not_cancelled(application: Application) -> None:
    order = await place(application)
    await application.record_events(received(event_bytes(charge_of(order))))
    assert await application.cancel_order("default", order.id) == NotCancellable()
    assert (await stored_order(application, order.id)).status == "Paid"


async def test_cancelling_again_changes_nothing(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        order = await place(one)
        outcomes = await asyncio.gather(*(app.cancel_order("default", order.id) for app in [one, other] * 10))
        assert [isinstance(outcome, Cancelled) and outcome.newly for outcome in outcomes].count(True) == 1
        cancelled = await stored_order(one, order.id)
        assert (cancelled.version, len(cancelled.history)) == (order.version + 1, 2)
        # Paid after all: the order is cancelled still, so cancelling it again is no error.
        await one.record_events(received(event_bytes(charge_of(order))))
        assert (await cancel(one, order)).cancelled_at == cancelled.cancelled_at


async def test_nobody_cancels_an_order_of_another_merchant(application: Application) -> None:
    order = await place(application)
    for merchant, order_id in (("other", order.id), ("default", "ord_none")):
        assert await application.cancel_order(merchant, order_id) == NotFound("order")
    assert (await stored_order(application, order.id)).status == "Pending"


async def test_c17_a_call_that_was_never_sent_is_void_and_nobody_is_asked_about_the_order(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    await cancel(application, order)
    assert (await charge_call_of(application, order))["state"] == "void"
    assert (await document_of(application, order))["due_at"] is None
    assert await reconcile_at(application, order) is None
    assert await application.dispatch_outbox.work.run_once() == 0
    assert provider.asked == []


async def test_c17_a_call_that_was_sent_stays_and_the_question_stays_open(application: Application) -> None:
    order = await place(application)
    await application.dispatch_outbox.work.run_once()
    await cancel(application, order)
    assert (await charge_call_of(application, order))["state"] == "done"
    assert await reconcile_at(application, order) is not None


async def test_c17_of_a_claim_and_a_cancellation_at_once_one_sees_the_other(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    """Whoever is first, no charge is asked for whose call is void, and no call is void that was sent."""
    async with make_application() as one, make_application() as other:
        orders = await asyncio.gather(*(place(one) for _ in range(40)))
        await asyncio.gather(
            *(cancel(one, order) for order in orders),
            *(other.dispatch_outbox.work.run_once() for _ in range(3)),
        )
        await other.dispatch_outbox.work.run_once()
        posted = {asked.headers["Idempotency-Key"] for asked in provider.posts()}
        void = {call["id"] for call in await calls_of(one, state="void")}
        assert posted.isdisjoint(void)
        assert len(posted) + len(void) == len(orders)
        assert await one.store.orders.count_documents({"status": "Cancelled"}) == len(orders)


async def test_c17_a_claim_that_is_under_way_is_not_voided(application: Application, provider: HttpDouble) -> None:
    order = await place(application)

    async def cancel_meanwhile(asked: Asked) -> web.StreamResponse:
        await cancel(application, order)
        return await accept_charges(asked)

    provider.answer = cancel_meanwhile
    await application.dispatch_outbox.work.run_once()
    assert (await charge_call_of(application, order))["state"] == "done"
    order = await stored_order(application, order.id)
    assert (order.status, [charge.state for charge in order.charges]) == ("Cancelled", ["pending"])


async def test_c17_a_claim_that_is_given_back_unsent_never_charges_a_cancelled_order(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    [claimed] = await application.dispatch_outbox._claim(1)  # by a replica whose breaker opens then
    await cancel(application, order)
    assert (await charge_call_of(application, order))["claim"] is not None
    await application.dispatch_outbox._give_back(order.id, msgspec.convert(claimed.call, Call))
    call = await charge_call_of(application, order)
    assert (call["state"], call["attempts"], call["first_attempt_at"]) == ("open", 0, None)
    assert await application.dispatch_outbox.work.run_once() == 1
    assert provider.asked == []
    assert (await charge_call_of(application, order))["state"] == "void"


async def test_c11_a_claim_that_cannot_be_read_back_sends_nothing_and_lapses(
    application: Application, provider: HttpDouble, fail_command: FailCommand
) -> None:
    order = await place(application)
    orders = f"{application.store.database.name}.orders"
    await fail_command(
        "order_api", ["aggregate"], all_after=1, errorCode=13388, namespace=orders
    )  # the search succeeds
    with pytest.raises(OperationFailure):
        await application.dispatch_outbox.work.run_once()
    await fail_command("order_api", ["aggregate"], times=0)
    call = await charge_call_of(application, order)
    assert (call["claim"] is not None, call["attempts"]) == (True, 1)
    assert provider.asked == []
    await make_due(application)  # the lease is over
    assert await application.dispatch_outbox.work.run_once() == 1
    assert (await charge_call_of(application, order))["state"] == "done"


async def test_c17_what_got_no_answer_is_only_asked_about_when_its_order_was_cancelled(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    provider.answer = unavailable
    await application.dispatch_outbox.work.run_once()
    await cancel(application, order)
    provider.answer = accept_charges
    provider.asked.clear()
    await make_due(application)
    assert await application.dispatch_outbox.work.run_once() == 1
    assert [(asked.method, asked.path) for asked in provider.asked] == [("GET", "/v1/charges")]
    assert (await charge_call_of(application, order))["state"] == "void"
    assert await reconcile_at(application, order) is not None, "the first request may be on its way yet"


async def unavailable(_: Asked) -> web.StreamResponse:
    return web.Response(status=503)


async def test_c2_what_is_paid_on_a_cancelled_order_is_given_back_by_itself(application: Application) -> None:
    order = await place(application)
    await application.dispatch_outbox.work.run_once()
    await cancel(application, order)
    [pending] = (await stored_order(application, order.id)).charges
    await application.record_events(received(event_bytes(charge_of(order, id=pending.id))))
    order = await stored_order(application, order.id)
    assert order.status == "Cancelled"
    assert [(refund.charge_id, refund.amount_minor, refund.cause) for refund in order.refunds] == [
        (pending.id, order.amount_minor, "cancelled")
    ]
    assert len(await calls_of(application, kind="refund", state="open")) == 1


async def test_c2_a_cancellation_and_a_payment_at_once_end_in_one_of_two_ways(
    make_application: MakeApplication,
) -> None:
    """Paid and not cancelled, or cancelled and the money asked back: never both, never neither."""
    async with make_application() as one, make_application() as other:
        orders = await asyncio.gather(*(place(one) for _ in range(30)))
        await one.dispatch_outbox.work.run_once()
        outcomes, _ = await asyncio.gather(
            asyncio.gather(*(one.cancel_order("default", order.id) for order in orders)),
            asyncio.gather(*(other.record_events(received(event_bytes(charge_of(order)))) for order in orders)),
        )
        for before, outcome in zip(orders, outcomes, strict=True):
            order = await stored_order(one, before.id)
            cancelled = isinstance(outcome, Cancelled)
            assert order.status == ("Cancelled" if cancelled else "Paid")
            assert [refund.cause for refund in order.refunds] == (["cancelled"] if cancelled else [])


async def test_c4_a_cancellation_whose_reply_was_lost_is_answered_as_the_one_that_cancelled(
    application: Application, fail_command: FailCommand
) -> None:
    order = await place(application)
    unconfirmed = {"code": 64, "errmsg": "waiting for replication timed out"}
    await fail_command("order_api", ["update"], times=1, writeConcernError=unconfirmed)
    outcome = await application.cancel_order("default", order.id)
    assert isinstance(outcome, Cancelled)
    assert outcome.newly
    assert len(outcome.order.history) == 2
