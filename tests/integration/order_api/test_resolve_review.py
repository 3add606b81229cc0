"""A person decides about a review: once, and money that is given back for it is given back once."""

import asyncio
from typing import Any

from order_api.app import Application
from order_api.money import ExceedsPaid, sums
from order_api.order import Order
from order_api.resolve_review import AlreadyResolved, NothingToRefund, Outcome, SeveralReviews
from shared.idempotency import Answer
from shared.ids import new_id
from shared.not_found import NotFound
from tests.integration.order_api.conftest import (
    MakeApplication,
    calls_of,
    charge_of,
    dispute_of,
    event_bytes,
    paid,
    place,
    received,
    refund,
    refund_by_hand,
    refund_of,
    stored_order,
)


async def resolve(application: Application, order: Order, code: str, decision: Any, event_id: Any = None) -> Outcome:
    return await application.resolve_review("default", order.id, code, decision, event_id=event_id)


async def altered(application: Application) -> Order:
    """A paid order whose event came again with other bytes."""
    order = await place(application)
    event_id = new_id("evt")
    for _ in range(2):
        await application.record_events(received(event_bytes(charge_of(order), event_id=event_id)))
    return await stored_order(application, order.id)


async def refund_failed(application: Application, amount_minor: int = 4000) -> Order:
    """A paid order of which the merchant wanted to give back so much, and it failed."""
    order = await paid(application)
    assert isinstance(await refund(application, order, amount_minor), Answer)
    return await fail_refund(application, order)


async def fail_refund(application: Application, order: Order) -> Order:
    order = await stored_order(application, order.id)
    failed = refund_of(order, status="failed", failure_code="bank_said_no")
    await application.record_events(received(event_bytes(failed, "refund.failed")))
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
        order = await refund_failed(one)
        outcomes = await asyncio.gather(*(resolve(app, order, "refund-failed", "refund") for app in [one, other] * 5))
        assert all(isinstance(outcome, Order) for outcome in outcomes)
        decided = await stored_order(one, order.id)
        assert [(refund.amount_minor, refund.state) for refund in decided.refunds] == [
            (4000, "failed"),
            (4000, "requested"),
        ]
        assert len(await calls_of(one, kind="refund", state="open")) == 1
        assert await resolve(other, order, "refund-failed", "accept") == AlreadyResolved("refund")
        assert await stored_order(one, order.id) == decided


async def test_a_decision_is_about_one_review_and_must_say_which_where_several_are_open(
    application: Application,
) -> None:
    order = await place(application)
    for _ in range(2):
        await application.record_events(received(event_bytes(charge_of(order, amount=1))))
    first, second = (await stored_order(application, order.id)).reviews
    several = SeveralReviews((first.event_id, second.event_id))
    assert await resolve(application, order, "event-mismatch", "accept") == several
    for _ in range(2):
        decided = await resolve(application, order, "event-mismatch", "accept", second.event_id)
        assert isinstance(decided, Order)
    assert [review.decision for review in (await stored_order(application, order.id)).reviews] == [None, "accept"]
    assert await resolve(application, order, "event-mismatch", "accept", "evt_none") == NotFound("review")
    assert isinstance(await resolve(application, order, "event-mismatch", "accept"), Order), "only one is open now"
    assert [review.decision for review in (await stored_order(application, order.id)).reviews] == ["accept"] * 2


async def test_of_two_opposite_decisions_at_once_one_wins_in_whole(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        order = await refund_failed(one)
        outcomes = await asyncio.gather(
            resolve(one, order, "refund-failed", "refund"), resolve(other, order, "refund-failed", "accept")
        )
        assert [isinstance(outcome, Order) for outcome in outcomes].count(True) == 1
        order = await stored_order(one, order.id)
        assert len(order.refunds) == (2 if order.reviews[0].decision == "refund" else 1)


async def test_there_must_be_such_a_review_on_an_order_of_ones_own(application: Application) -> None:
    order = await altered(application)
    assert await resolve(application, order, "refund-failed", "accept") == NotFound("review")
    assert await application.resolve_review("other", order.id, "event-altered", "accept") == NotFound("review")
    assert await application.resolve_review("default", "ord_none", "event-altered", "accept") == NotFound("review")


async def test_c18_what_is_reserved_already_is_not_given_back_again(application: Application) -> None:
    order = await refund_failed(application)
    assert isinstance(await refund(application, order, 9000), Answer)
    assert isinstance(await resolve(application, order, "refund-failed", "refund"), Order)
    order = await stored_order(application, order.id)
    alive = [refund.amount_minor for refund in order.refunds if refund.state == "requested"]
    assert sorted(alive) == [999, 9000]


async def test_when_nothing_is_left_to_give_back_the_review_stays_open(application: Application) -> None:
    order = await refund_failed(application)
    assert isinstance(await refund(application, order), Answer)
    assert await resolve(application, order, "refund-failed", "refund") == ExceedsPaid(0, "USD", 2)
    [review] = (await stored_order(application, order.id)).reviews
    assert review.resolved_at is None
    assert isinstance(await resolve(application, order, "refund-failed", "accept"), Order)


async def test_an_order_that_nobody_paid_has_nothing_to_give_back(application: Application) -> None:
    order = await place(application)
    await application.record_events(received(event_bytes(charge_of(order, amount=1))))
    assert await resolve(application, order, "event-mismatch", "refund") == NothingToRefund()


async def test_money_that_is_not_the_orders_is_not_given_back_from_its_payment(application: Application) -> None:
    order = await place(application)
    for charge in (charge_of(order), charge_of(order, amount=1)):
        await application.record_events(received(event_bytes(charge)))
    assert await resolve(application, order, "event-mismatch", "refund") == NothingToRefund()
    assert (await stored_order(application, order.id)).refunds == ()


async def test_bytes_that_differ_and_a_dispute_can_only_be_accepted(application: Application) -> None:
    order = await altered(application)
    charge = charge_of(order, id=order.charges[0].id)
    await application.record_events(received(event_bytes(dispute_of(charge, amount=1), "dispute.created")))
    for code in ("event-altered", "dispute"):
        assert await resolve(application, order, code, "refund") == NothingToRefund()
    order = await stored_order(application, order.id)
    assert [review.resolved_at for review in order.reviews] == [None, None]
    assert order.refunds == ()


async def test_a_refund_that_failed_is_tried_once_more_for_its_own_amount(application: Application) -> None:
    order = await refund_failed(application)
    assert isinstance(await resolve(application, order, "refund-failed", "refund"), Order)
    order = await fail_refund(application, order)
    assert [refund.amount_minor for refund in order.refunds] == [4000, 4000]
    assert len({refund.id for refund in order.refunds}) == 2
    assert {refund.cause for refund in order.refunds} == {"merchant"}
    [open_now] = [review for review in order.reviews if review.resolved_at is None]
    assert open_now.event_id == order.refunds[1].id


async def charged_twice_and_refunded_by_hand(application: Application) -> Order:
    """A charge too many went back by hand before ours was sent, which then is not sent at all."""
    order = await place(application)
    charges = [charge_of(order), charge_of(order)]
    for charge in charges:
        await application.record_events(received(event_bytes(charge)))
    by_hand = refund_by_hand(charges[1], order.amount_minor)
    await application.record_events(received(event_bytes(by_hand, "refund.succeeded")))
    order = await stored_order(application, order.id)
    assert [refund.failure_code for refund in order.refunds] == ["not-owed", None]
    return order


async def test_a_second_charge_that_was_refunded_by_hand_is_a_question_and_accepting_leaves_the_order_paid(
    application: Application,
) -> None:
    order = await charged_twice_and_refunded_by_hand(application)
    assert (order.status, sums(order).owed) == ("Paid", 0)
    assert [(review.code, review.event_id, review.resolved_at) for review in order.reviews] == [
        ("second-charge", order.id, None)
    ]
    assert isinstance(await resolve(application, order, "second-charge", "accept"), Order)
    order = await stored_order(application, order.id)
    assert (order.status, [review.decision for review in order.reviews]) == ("Paid", ["accept"])
    assert len(order.refunds) == 2


async def test_what_was_refunded_by_hand_and_meant_for_the_order_is_given_back_as_a_merchants_refund(
    application: Application,
) -> None:
    order = await charged_twice_and_refunded_by_hand(application)
    for _ in range(2):
        assert isinstance(await resolve(application, order, "second-charge", "refund"), Order)
    order = await stored_order(application, order.id)
    asked = [refund for refund in order.refunds if refund.state == "requested"]
    assert [(refund.amount_minor, refund.cause) for refund in asked] == [(9999, "merchant")]
    await application.record_events(received(event_bytes(refund_of(order), "refund.succeeded")))
    assert (await stored_order(application, order.id)).status == "Refunded"


async def test_a_review_that_has_closed_by_itself_cannot_be_decided(application: Application) -> None:
    order = await paid(application)
    dispute = dispute_of(charge_of(order, id=order.charges[0].id))
    await application.record_events(received(event_bytes(dispute, "dispute.created")))
    await application.record_events(received(event_bytes(dispute, "dispute.closed", status="won")))
    assert await resolve(application, order, "dispute", "accept") == AlreadyResolved(None)
    [review] = (await stored_order(application, order.id)).reviews
    assert review.decision is None
