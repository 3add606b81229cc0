"""A person decides about a review: once, and money that is given back for it is given back once."""

import asyncio
from typing import Any

import msgspec

from order_api.app import Application
from order_api.order import Order
from order_api.refund_order import ExceedsPaid, NewRefund, NotRefundable
from order_api.resolve_review import AlreadyResolved, NoSuchReview, Outcome
from shared.idempotency import Answer
from shared.ids import new_id
from tests.integration.order_api.conftest import (
    MakeApplication,
    calls_of,
    charge_of,
    event_bytes,
    place,
    received,
    refund_of,
    stored_order,
)


async def resolve(application: Application, order: Order, code: str, decision: Any) -> Outcome:
    return await application.resolve_review("default", order.id, code, decision)


async def altered(application: Application) -> Order:
    """A paid order whose event came again with other bytes."""
    order = await place(application)
    charge, event_id = charge_of(order), new_id("evt")
    await application.record_events(received(event_bytes(charge, event_id=event_id)))
    await application.record_events(received(event_bytes(charge_of(order, id=charge.id), event_id=event_id)))
    return await stored_order(application, order.id)


async def test_accepting_closes_the_review_and_moves_no_money(application: Application) -> None:
    order = await altered(application)
    assert isinstance(await resolve(application, order, "event-altered", "accept"), Order)
    order = await stored_order(application, order.id)
    [review] = order.reviews
    assert review.decision == "accept"
    assert review.resolved_at is not None
    assert order.refunds == ()


async def test_the_same_decision_again_changes_nothing_and_another_is_refused(
    make_application: MakeApplication,
) -> None:
    async with make_application() as one, make_application() as other:
        order = await altered(one)
        outcomes = await asyncio.gather(*(resolve(app, order, "event-altered", "refund") for app in [one, other] * 5))
        assert all(isinstance(outcome, Order) for outcome in outcomes)
        decided = await stored_order(one, order.id)
        assert [refund.amount_minor for refund in decided.refunds] == [9999]
        assert len(await calls_of(one, kind="refund")) == 1
        assert await resolve(other, order, "event-altered", "accept") == AlreadyResolved("refund")
        assert await stored_order(one, order.id) == decided


async def test_a_decision_about_one_review_leaves_those_that_came_up_since(application: Application) -> None:
    order = await place(application)
    for _ in range(2):
        await application.record_events(received(event_bytes(charge_of(order, amount=1))))
    first, second = (await stored_order(application, order.id)).reviews
    for _ in range(2):
        decided = await application.resolve_review(
            "default", order.id, "event-mismatch", "accept", event_id=second.event_id
        )
        assert isinstance(decided, Order)
    assert [review.decision for review in (await stored_order(application, order.id)).reviews] == [None, "accept"]
    nothing = application.resolve_review("default", order.id, "event-mismatch", "accept", event_id="evt_none")
    assert await nothing == NoSuchReview()
    assert first.event_id != second.event_id


async def test_of_two_opposite_decisions_at_once_one_wins_in_whole(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        order = await altered(one)
        outcomes = await asyncio.gather(
            resolve(one, order, "event-altered", "refund"), resolve(other, order, "event-altered", "accept")
        )
        assert [isinstance(outcome, Order) for outcome in outcomes].count(True) == 1
        order = await stored_order(one, order.id)
        assert len(order.refunds) == (1 if order.reviews[0].decision == "refund" else 0)


async def test_there_must_be_such_a_review_on_an_order_of_ones_own(application: Application) -> None:
    order = await altered(application)
    assert await resolve(application, order, "second-charge", "accept") == NoSuchReview()
    assert await application.resolve_review("other", order.id, "event-altered", "accept") == NoSuchReview()
    assert await application.resolve_review("default", "ord_none", "event-altered", "accept") == NoSuchReview()


async def test_c18_what_is_reserved_already_is_not_given_back_again(application: Application) -> None:
    order = await altered(application)
    assert isinstance(await application.refund_order("key", "default", order.id, NewRefund(9000)), Answer)
    await resolve(application, order, "event-altered", "refund")
    order = await stored_order(application, order.id)
    assert sorted(refund.amount_minor for refund in order.refunds) == [999, 9000]


async def test_when_nothing_is_left_to_give_back_the_review_stays_open(application: Application) -> None:
    """A second charge is refunded by itself."""
    order = await place(application)
    for charge in (charge_of(order), charge_of(order)):
        await application.record_events(received(event_bytes(charge)))
    assert await resolve(application, order, "second-charge", "refund") == ExceedsPaid(0)
    [review] = (await stored_order(application, order.id)).reviews
    assert review.resolved_at is None
    assert isinstance(await resolve(application, order, "second-charge", "accept"), Order)


async def test_an_order_that_nobody_paid_has_nothing_to_give_back(application: Application) -> None:
    order = await place(application)
    await application.record_events(received(event_bytes(charge_of(order, amount=1))))
    assert await resolve(application, order, "event-mismatch", "refund") == NotRefundable()


async def test_money_that_is_not_the_orders_is_not_given_back_from_its_payment(application: Application) -> None:
    order = await place(application)
    for charge in (charge_of(order), charge_of(order, amount=1)):
        await application.record_events(received(event_bytes(charge)))
    assert await resolve(application, order, "event-mismatch", "refund") == NotRefundable()
    assert (await stored_order(application, order.id)).refunds == ()


async def test_a_refund_that_failed_is_tried_once_more_for_its_own_amount(application: Application) -> None:
    order = await place(application)
    await application.record_events(received(event_bytes(charge_of(order))))
    order = await stored_order(application, order.id)
    for failures in (1, 2):
        if failures == 1:
            await application.refund_order("key", "default", order.id, NewRefund(4000))
        else:
            assert isinstance(await resolve(application, order, "refund-failed", "refund"), Order)
        order = await stored_order(application, order.id)
        failed = msgspec.structs.replace(refund_of(order), status="failed", failure_code="bank_said_no")
        await application.record_events(received(event_bytes(failed, "refund.failed")))
        order = await stored_order(application, order.id)
        assert [refund.amount_minor for refund in order.refunds] == [4000] * failures
        assert [review.resolved_at is None for review in order.reviews].count(True) == 1
    assert len({refund.id for refund in order.refunds}) == 2
    assert {refund.cause for refund in order.refunds} == {"merchant"}
