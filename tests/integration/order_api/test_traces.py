"""The trace that an order was placed in goes on with whatever is done for it later, in another task or process."""

import asyncio
from uuid import uuid4

from structlog.testing import capture_logs

from order_api.app import Application
from order_api.order import Order
from shared.telemetry import bound, merge_bound
from shared.tracing import continue_trace
from tests.http_double import HttpDouble, always
from tests.integration.order_api.conftest import (
    accept_charges,
    charge_of,
    event_bytes,
    events_of,
    make_due,
    place,
    received,
    stored_order,
)
from tests.integration.order_api.test_reconcile import reconcile, serving
from tests.traces import Trace, new_trace, stored_trace, trace_of


async def placed_in(application: Application, trace: Trace) -> Order:
    async def placing() -> Order:
        continue_trace(trace.stored)
        return await place(application)

    return await asyncio.create_task(placing())


async def test_an_order_keeps_its_trace_and_the_provider_is_asked_in_it(
    application: Application, provider: HttpDouble
) -> None:
    trace = new_trace(state="congo=t61rcWkgMzE,rojo=1 2")
    order = await placed_in(application, trace)
    assert stored_trace(order.trace) == trace
    await application.dispatch_outbox.work.run_once()
    [asked] = provider.posts()
    sent = trace_of(asked.headers)
    assert sent.span_id != trace.span_id
    assert sent == trace._replace(span_id=sent.span_id)


async def test_many_orders_that_are_written_together_each_keep_their_own_trace(
    application: Application, provider: HttpDouble
) -> None:
    traces = [new_trace() for _ in range(40)]
    orders = await asyncio.gather(*(placed_in(application, trace) for trace in traces))
    assert [stored_trace(order.trace) for order in orders] == traces
    while await application.dispatch_outbox.work.run_once():
        pass
    expected = {order.id: trace.trace_id for order, trace in zip(orders, traces, strict=True)}
    sent = {
        "ord_" + asked.headers["Idempotency-Key"][4:]: trace_of(asked.headers).trace_id for asked in provider.posts()
    }
    assert sent == expected


async def test_every_attempt_is_of_one_trace_and_is_a_step_of_its_own(
    application: Application, provider: HttpDouble
) -> None:
    trace = new_trace()
    await placed_in(application, trace)
    provider.answer = always(503)
    await application.dispatch_outbox.work.run_once()
    await make_due(application)
    provider.answer = accept_charges
    await application.dispatch_outbox.work.run_once()
    first, second = (trace_of(asked.headers) for asked in provider.posts())
    assert first.trace_id == second.trace_id == trace.trace_id
    assert first.span_id != second.span_id


async def test_a_refund_that_follows_from_an_order_is_asked_for_in_its_trace(
    application: Application, provider: HttpDouble
) -> None:
    trace = new_trace()
    order = await placed_in(application, trace)
    for _ in range(2):
        await application.record_events(received(event_bytes(charge_of(order))))
    await application.dispatch_outbox.work.run_once()
    [refund] = [asked for asked in provider.posts() if asked.path.endswith("/refunds")]
    assert trace_of(refund.headers).trace_id == trace.trace_id


async def test_reconciliation_asks_and_records_in_the_orders_trace(
    application: Application, provider: HttpDouble
) -> None:
    trace = new_trace()
    order = await placed_in(application, trace)
    provider.answer = serving(event_bytes(charge_of(order)))
    with capture_logs([merge_bound]) as lines:
        await reconcile(application)
    asked = provider.asked[0]
    assert trace_of(asked.headers).trace_id == trace.trace_id
    [event] = await events_of(application, order)
    assert stored_trace(event.trace).trace_id == trace.trace_id
    assert [line["event"] for line in lines] == ["event recorded", "asked the provider"]
    assert {(line["order_id"], line["trace_id"]) for line in lines} == {(order.id, trace.trace_id)}


async def test_documents_from_before_there_were_traces_are_worked_on_all_the_same(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    await application.store.orders.update_one({"_id": order.id}, {"$unset": {"trace": ""}})
    await application.dispatch_outbox.work.run_once()
    assert trace_of(provider.posts()[0].headers).trace_id
    provider.answer = serving(event_bytes(charge_of(order)))
    await reconcile(application)
    assert (await stored_order(application, order.id)).status == "Paid"


async def test_whatever_runs_next_in_the_same_task_is_not_taken_for_what_ran_before() -> None:
    async def one_after_the_other() -> None:
        continue_trace(new_trace().stored, order_id=f"ord_{uuid4().hex}")
        following = new_trace()
        continue_trace(following.stored)
        assert bound() == {"trace_id": following.trace_id}

    await asyncio.create_task(one_after_the_other())
