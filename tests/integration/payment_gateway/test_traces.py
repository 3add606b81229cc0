"""A charge's trace goes on when it settles and with every delivery of its event; whom it is for is in every line."""

import asyncio

from structlog.testing import capture_logs

from payment_gateway.app import Application
from shared import wire
from shared.telemetry import bound, merge_bound
from shared.tracing import continue_trace
from tests.http_double import HttpDouble, always
from tests.integration.payment_gateway.conftest import create
from tests.integration.payment_gateway.money.test_charges_and_refunds import refund, settle
from tests.integration.payment_gateway.webhooks.test_deliver import deliver
from tests.traces import Trace, new_trace, stored_trace, trace_of


async def created_in(application: Application, trace: Trace) -> wire.Charge:
    async def creating() -> wire.Charge:
        continue_trace(trace.stored)
        return await create(application)

    return await asyncio.create_task(creating())


async def test_every_delivery_attempt_is_of_the_charges_trace_and_a_step_of_its_own(
    application: Application, receiver: HttpDouble
) -> None:
    trace = new_trace(state="congo=t61rcWkgMzE")
    await created_in(application, trace)
    await settle(application)
    receiver.answer = always(500)
    await deliver(application)
    await deliver(application)
    first, second = (trace_of(asked.headers) for asked in receiver.asked)
    assert first._replace(span_id="") == second._replace(span_id="") == trace._replace(span_id="")
    assert len({first.span_id, second.span_id, trace.span_id}) == 3


async def test_charges_that_settle_and_are_delivered_together_each_keep_their_own(
    application: Application, receiver: HttpDouble
) -> None:
    traces = [new_trace() for _ in range(30)]
    charges = await asyncio.gather(*(created_in(application, trace) for trace in traces))
    with capture_logs([merge_bound]) as lines:
        while await settle(application):
            pass
        while await deliver(application):
            pass
    expected = {(charge.reference, trace.trace_id) for charge, trace in zip(charges, traces, strict=True)}
    for event in ("charge settled", "delivered"):
        assert {(line["reference"], line["trace_id"]) for line in lines if line["event"] == event} == expected
    assert {trace_of(asked.headers).trace_id for asked in receiver.asked} == {trace.trace_id for trace in traces}


async def test_a_refund_is_of_the_trace_that_asked_for_it_and_about_the_charges_reference(
    application: Application, receiver: HttpDouble
) -> None:
    charge = await created_in(application, new_trace())
    await settle(application)
    trace = new_trace()

    async def refunding() -> None:
        continue_trace(trace.stored)
        await refund(application, charge, 1000)
        assert bound()["reference"] == charge.reference

    await asyncio.create_task(refunding())
    with capture_logs([merge_bound]) as lines:
        await application.settle_charges.run_once()
    [line] = lines
    assert (line["event"], line["reference"], line["trace_id"]) == ("refund settled", charge.reference, trace.trace_id)
    event = await application.store.events.find_one({"type": "refund.succeeded"})
    assert event is not None
    assert stored_trace(event["trace"]).trace_id == trace.trace_id


async def test_work_that_fails_says_for_whom(application: Application) -> None:
    trace = new_trace()
    charge = await created_in(application, trace)
    await application.store.charges.update_one({"_id": charge.id}, {"$unset": {"payment_method": ""}})
    with capture_logs([merge_bound]) as lines:
        await settle(application)
    [line] = lines
    found = (line["event"], line["reference"], line["trace_id"])
    assert found == ("not settled", charge.reference, trace.trace_id)


async def test_documents_from_before_there_were_traces_are_worked_on_all_the_same(
    application: Application, receiver: HttpDouble
) -> None:
    charge = await create(application)
    await application.store.charges.update_one({"_id": charge.id}, {"$unset": {"trace": ""}})
    await settle(application)
    await application.store.events.update_many({}, {"$unset": {"trace": ""}})
    await deliver(application)
    [asked] = receiver.asked
    assert trace_of(asked.headers).trace_id
