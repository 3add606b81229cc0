"""C2, C15, C18: a refund that the provider refuses is asked for anew, released or kept for a person."""

from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from order_api.app import Application
from order_api.calls import ATTEMPTS_MAX, GIVING_BACK_TRIES
from order_api.money import ExceedsPaid, sums
from order_api.order import Order
from shared.idempotency import Answer as Replayable
from shared.times import utc_now
from tests.http_double import Answer, Asked, HttpDouble, always
from tests.integration.order_api.conftest import (
    accept_everything,
    calls_of,
    charge_of,
    declined,
    dispute_of,
    event_bytes,
    events_of,
    make_due,
    paid,
    pay_again,
    place,
    received,
    refund,
    refund_by_hand,
    refund_of,
    stored_order,
)
from tests.integration.order_api.dispatch_outbox.conftest import PROBLEM, dispatch
from tests.integration.order_api.test_reconcile import serving


def refusing_refunds(code: str, *events: bytes) -> Answer:
    """A provider that has these events, and refuses every refund."""
    listing = serving(*events)

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.method == "POST" and asked.path.endswith("/refunds"):
            return web.Response(status=409, text=PROBLEM % code)
        return await listing(asked)

    return answer


async def charged_twice(application: Application) -> Order:
    order = await place(application)
    for charge in (charge_of(order), charge_of(order)):
        await application.record_events(received(event_bytes(charge)))
    return await stored_order(application, order.id)


async def test_c2_an_automatic_refund_that_is_refused_for_good_is_asked_for_anew_after_a_pause_that_grows(
    application: Application, provider: HttpDouble
) -> None:
    """It releases its amount and is followed by the next, which is no dead letter. A person looks after the third."""
    order = await charged_twice(application)
    provider.answer = refusing_refunds("exceeds-paid")
    for number in range(1, 6):
        await make_due(application)
        await dispatch(application)
        order = await stored_order(application, order.id)
        assert [refund.state for refund in order.refunds] == [*["refused"] * number, "requested"]
        assert {refund.failure_code for refund in order.refunds[:-1]} == {"exceeds-paid"}
        [call] = await calls_of(application, kind="refund", state="open")
        assert call["due_at"] - call["created_at"] == timedelta(minutes=2 ** (number - 1))
        assert order.due_at == call["due_at"]
        codes = ["not-given-back"] if number >= 3 else []
        assert [review.code for review in order.reviews if review.resolved_at is None] == codes
    assert len({refund.id for refund in order.refunds}) == 6
    assert order.status == "Paid"
    provider.answer = accept_everything
    await make_due(application)
    await dispatch(application)
    await application.record_events(received(event_bytes(refund_of(order), "refund.succeeded")))
    order = await stored_order(application, order.id)
    assert [review.resolved_at is None for review in order.reviews] == [False], "it closes when the money has gone back"
    assert (order.status, sums(order).owed) == ("Paid", 0)


async def test_c2_a_provider_that_answers_no_refund_for_hours_is_asked_again_and_it_is_no_dead_letter(
    application: Application, provider: HttpDouble
) -> None:
    """A merchant's refund is given up after ATTEMPTS_MAX attempts; what must go back, after 30 days."""
    order = await charged_twice(application)
    provider.answer = always(500)
    await make_due(application, attempts=ATTEMPTS_MAX, first_attempt_at=utc_now())
    await dispatch(application)
    [call] = await calls_of(application, kind="refund")
    assert (call["state"], call["attempts"]) == ("open", ATTEMPTS_MAX + 1)
    assert call["due_at"] - call["updated_at"] == timedelta(days=1)
    days = timedelta(days=30, minutes=1)
    await make_due(application, created_at=utc_now() - days, first_attempt_at=utc_now() - days)
    await dispatch(application)
    order = await stored_order(application, order.id)
    assert [(review.code, review.event_id) for review in order.reviews] == [("dead-letter", call["id"])]
    assert [refund.state for refund in order.refunds] == ["requested"]


async def test_c2_after_30_days_of_refusals_only_the_review_is_left(
    application: Application, provider: HttpDouble
) -> None:
    order = await charged_twice(application)
    provider.answer = refusing_refunds("invalid-fields")
    for _ in range(GIVING_BACK_TRIES):
        await make_due(application)
        await dispatch(application)
    order = await stored_order(application, order.id)
    assert [refund.state for refund in order.refunds] == ["refused"] * GIVING_BACK_TRIES
    assert [review.code for review in order.reviews if review.resolved_at is None] == ["not-given-back"]
    assert await calls_of(application, kind="refund", state="open") == []
    assert order.reconcile_at is not None, "money that is owed stays an open question"


@pytest.mark.parametrize("code", ["exceeds-paid", "not-refundable"])
async def test_c2_a_refusal_that_tells_of_something_unheard_of_has_the_events_recorded_before_it_is_settled(
    application: Application, provider: HttpDouble, code: str
) -> None:
    """Somebody has given the charge back by hand, and its event never came: nothing is owed any more then."""
    order = await charged_twice(application)
    [automatic] = order.refunds
    second = charge_of(order, id=automatic.charge_id)
    event = event_bytes(refund_by_hand(second, order.amount_minor), "refund.succeeded")
    provider.answer = refusing_refunds(code, event)
    await dispatch(application)
    assert [(asked.method, asked.path) for asked in provider.asked][1:] == [("GET", "/v1/events")]
    order = await stored_order(application, order.id)
    assert sorted((refund.cause, refund.state) for refund in order.refunds) == [
        ("duplicateCharge", "refused"),
        ("provider", "succeeded"),
    ]
    assert await calls_of(application, kind="refund", state="open") == [], "no next one"
    assert (order.status, sums(order).owed) == ("Paid", 0)
    assert [stored.id for stored in await events_of(application, order) if stored.source == "reconcile"]


async def test_c2_the_events_of_the_charge_that_was_to_be_refunded_are_asked_for_after_such_a_refusal(
    application: Application, provider: HttpDouble
) -> None:
    order = await pay_again(application, await declined(application))
    await dispatch(application)
    second = charge_of(order, reference=f"{order.id}.2")
    await application.record_events(received(event_bytes(second)))
    await refund(application, order, 1000)
    dispute = event_bytes(dispute_of(second), "dispute.created")
    provider.answer = refusing_refunds("not-refundable", dispute)
    provider.asked.clear()
    await dispatch(application)
    asked = [asked.query["reference"] for asked in provider.asked if asked.path == "/v1/events"]
    assert asked == [f"{order.id}.2"]
    order = await stored_order(application, order.id)
    assert [refund.state for refund in order.refunds] == ["refused"]
    open_now = {review.code for review in order.reviews if review.resolved_at is None}
    assert open_now == {"dispute", "refund-failed"}


async def test_c2_such_a_refusal_is_not_settled_while_the_events_cannot_be_had(
    application: Application, provider: HttpDouble
) -> None:
    order = await charged_twice(application)
    provider.answer = always(409, PROBLEM % "exceeds-paid")
    await make_due(application)
    await dispatch(application)
    assert [refund.state for refund in (await stored_order(application, order.id)).refunds] == ["requested"]
    [call] = await calls_of(application, kind="refund")
    assert (call["state"], call["refused_code"]) == ("open", None)


async def test_c15_such_a_refusal_is_settled_though_an_event_never_can_be_recorded(
    application: Application, provider: HttpDouble
) -> None:
    order = await charged_twice(application)
    provider.answer = refusing_refunds("exceeds-paid", unrecordable(order))
    await make_due(application)
    await dispatch(application)
    refunds = (await stored_order(application, order.id)).refunds
    assert [refund.state for refund in refunds] == ["refused", "requested"]


def unrecordable(order: Order) -> bytes:
    return msgspec.json.encode({"reference": order.id})


async def test_c15_a_merchants_refund_that_is_refused_for_good_releases_its_amount_and_raises_a_review(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    await refund(application, order, 9000)
    provider.answer = refusing_refunds("invalid-fields")
    await dispatch(application)
    order = await stored_order(application, order.id)
    [refused] = order.refunds
    assert (refused.state, refused.failure_code) == ("refused", "invalid-fields")
    assert [(review.code, review.event_id) for review in order.reviews] == [("refund-failed", refused.id)]
    [call] = await calls_of(application, kind="refund")
    assert (call["state"], call["refused_code"], call["due_at"]) == ("done", "invalid-fields", None)
    assert isinstance(await refund(application, order), Replayable)
    assert sums(await stored_order(application, order.id)).refundable == 0


async def test_a_refund_that_was_not_sent_and_no_longer_fits_is_refused_when_the_dispute_comes(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    for amount_minor in (4000, 5000):
        await refund(application, order, amount_minor)
    charge = charge_of(order, id=order.charges[0].id)
    await application.record_events(received(event_bytes(dispute_of(charge, amount=5000), "dispute.created")))
    order = await stored_order(application, order.id)
    assert [(one.amount_minor, one.state, one.failure_code) for one in order.refunds] == [
        (4000, "requested", None),
        (5000, "refused", "disputed"),
    ]
    provider.answer = accept_everything
    while await dispatch(application):
        pass
    assert [asked.body for asked in provider.posts()] == [order.calls[1].body.encode()]


async def test_c18_a_refund_that_was_given_up_keeps_its_amount_reserved(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    await refund(application, order)
    provider.answer = always(500)
    await make_due(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now())
    await dispatch(application)
    order = await stored_order(application, order.id)
    assert [call["state"] for call in await calls_of(application, kind="refund")] == ["dead"]
    assert [refund.state for refund in order.refunds] == ["requested"]
    assert await refund(application, order, 1) == ExceedsPaid(0, "USD", 2)
