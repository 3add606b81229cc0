"""C2, C18: what is given back is reserved on the order first, and never more than was paid."""

import asyncio
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest

from order_api.app import Application
from order_api.calls import ATTEMPTS_MAX
from order_api.money import ExceedsPaid, NotRefundable, sums
from order_api.refund_order import NewRefund, RefundNumberTaken
from shared.idempotency import Answer, KeyReused
from shared.not_found import NotFound
from shared.times import utc_now
from tests.http_double import HttpDouble, always
from tests.integration.conftest import FailCommand
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_everything,
    calls_of,
    charge_of,
    event_bytes,
    expire,
    make_due,
    paid,
    place,
    received,
    refund,
    refund_of,
    stored_order,
)


async def test_key_reservation_and_call_appear_together(application: Application) -> None:
    order = await paid(application)
    answer = await refund(application, order, 1000, key="key")
    assert isinstance(answer, Answer)
    order = await stored_order(application, order.id)
    [asked] = order.refunds
    assert (asked.amount_minor, asked.state, asked.cause) == (1000, "requested", "merchant")
    assert order.status == "Paid"
    [call] = await calls_of(application, kind="refund")
    assert (call["refund_id"], call["path"]) == (asked.id, f"/v1/charges/{asked.charge_id}/refunds")
    _, key = order.keys
    assert (key.value, key.of, key.status) == ("key", asked.id, 202)
    shown = msgspec.json.decode(answer.body)
    assert (answer.status, shown["id"], shown["amount"], shown["state"]) == (202, asked.id, 10.0, "requested")
    assert answer.location == f"/api/orders/{order.id}/refunds/{asked.id}"


async def test_c5_a_refund_whose_reply_was_lost_is_replayed_and_not_refused(
    application: Application, fail_command: FailCommand
) -> None:
    """The write is made and not confirmed; when the decision runs again nothing is left to give back but its own refund."""
    order = await paid(application)
    unconfirmed = {"code": 64, "errmsg": "waiting for replication timed out"}
    await fail_command("order_api", ["update"], times=1, writeConcernError=unconfirmed)
    first = await refund(application, order, key="key")
    assert isinstance(first, Answer)
    assert not first.replayed
    assert await refund(application, order, key="key") == msgspec.structs.replace(first, replayed=True)
    assert len((await stored_order(application, order.id)).refunds) == 1


async def test_c5_one_key_for_refunds_of_two_orders_at_once_makes_one(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        orders = [await paid(one), await paid(one)]
        pairs = [(app, order) for app in (one, other) for order in orders] * 4
        outcomes = await asyncio.gather(*(refund(app, order, 100, key="key") for app, order in pairs))
        made = [(await stored_order(one, order.id)).refunds for order in orders]
        assert sorted(len(refunds) for refunds in made) == [0, 1]
        assert outcomes.count(KeyReused()) == 8
        assert len({outcome.body for outcome in outcomes if isinstance(outcome, Answer)}) == 1


async def test_c10_an_expired_key_of_another_order_is_taken_over_by_exactly_one(
    make_application: MakeApplication,
) -> None:
    async with make_application() as one, make_application() as other:
        first, *orders = [await paid(one) for _ in range(3)]
        await refund(one, first, 100, key="key")
        past = {"$set": {"keys.$.expires_at": utc_now() - timedelta(seconds=1)}}
        await one.store.orders.update_one({"keys.value": "key"}, past)
        outcomes = await asyncio.gather(
            *(refund(app, order, 200, key="key") for app, order in zip([one, other] * 4, orders * 4, strict=True))
        )
        made = [(await stored_order(one, order.id)).refunds for order in orders]
        assert sorted(len(refunds) for refunds in made) == [0, 1]
        assert {type(outcome) for outcome in outcomes} == {Answer, KeyReused}
        assert [key.value for key in (await stored_order(one, first.id)).keys].count("key") == 0


async def test_c10_an_expired_key_of_the_same_order_goes_in_the_write_that_uses_it_again(
    application: Application,
) -> None:
    order = await paid(application)
    first = await refund(application, order, 100, key="key")
    past = {"$set": {"keys.$[].expires_at": utc_now() - timedelta(seconds=1)}}
    await application.store.orders.update_one({"_id": order.id}, past)
    version = (await stored_order(application, order.id)).version
    again = await refund(application, order, 200, key="key")
    assert isinstance(first, Answer)
    assert isinstance(again, Answer)
    assert (again.replayed, again.location == first.location) == (False, False)
    order = await stored_order(application, order.id)
    assert [key.value for key in order.keys] == ["key"]
    assert order.version == version + 1


async def test_c5_the_key_that_placed_an_order_is_none_of_its_refunds(application: Application) -> None:
    order = await paid(application)
    assert await refund(application, order, 100, key=order.keys[0].value) == KeyReused()


async def test_c9_that_an_order_is_not_there_or_takes_no_refund_is_said_after_a_write_of_our_own(
    application: Application,
) -> None:
    unpaid = await place(application)
    before = await barriers_passed(application)
    of_none = await application.refund_order(uuid4().hex, "default", "ord_none", NewRefund(Decimal("0.01")), 1)
    assert of_none == NotFound("order")
    assert await barriers_passed(application) == before + 1
    assert await refund(application, unpaid, 1) == NotRefundable()
    assert await barriers_passed(application) == before + 2


async def barriers_passed(application: Application) -> int:
    return sum([int(barrier["passed"]) async for barrier in application.store.barriers.find()])


async def test_the_same_key_gives_back_once_and_answers_the_same(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        order = await paid(one)
        answers = await asyncio.gather(*(refund(app, order, None, key="key") for app in [one, other] * 8))
        bodies = {answer.body for answer in answers if isinstance(answer, Answer)}
        assert (len(answers), len(bodies)) == (16, 1)
        assert len((await stored_order(one, order.id)).refunds) == 1
        again = await refund(one, await stored_order(one, order.id), None, key="key")  # nothing is left now
        assert isinstance(again, Answer)
        assert again.replayed


async def test_a_key_belongs_to_one_amount_of_one_order(application: Application) -> None:
    order, another = await paid(application), await paid(application)
    await refund(application, order, 1000, key="key")
    assert await refund(application, order, 2000, key="key") == KeyReused()
    assert await refund(application, order, None, key="key") == KeyReused()
    assert await refund(application, another, 1000, key="key") == KeyReused()


async def test_without_an_amount_the_rest_is_given_back(application: Application) -> None:
    order = await paid(application)
    await refund(application, order, 4000)
    await refund(application, order)
    order = await stored_order(application, order.id)
    assert sorted(one.amount_minor for one in order.refunds) == [4000, 5999]
    assert await refund(application, order) == ExceedsPaid(0, "USD", 2)


async def test_c18_more_than_is_left_is_refused_and_leaves_its_key_free(application: Application) -> None:
    order = await paid(application)
    await refund(application, order, 9000)
    assert await refund(application, order, 1000, key="key") == ExceedsPaid(999, "USD", 2)
    assert await refund(application, order, 10_000) == ExceedsPaid(999, "USD", 2)
    assert isinstance(await refund(application, order, 999, key="key"), Answer)


async def test_an_order_that_nobody_paid_cannot_be_refunded(application: Application) -> None:
    order = await place(application)
    assert await refund(application, order) == NotRefundable()
    failed = charge_of(order, status="failed", failure_code="card_declined")
    await application.record_events(received(event_bytes(failed, "payment.failed")))
    assert await refund(application, await stored_order(application, order.id)) == NotRefundable()


async def test_what_is_paid_on_a_cancelled_order_is_not_refunded_a_second_time_by_hand(
    application: Application,
) -> None:
    order = await place(application)
    await application.dispatch_outbox.work.run_once()
    await application.cancel_order("default", order.id)
    await application.record_events(received(event_bytes(charge_of(order))))
    assert await refund(application, await stored_order(application, order.id)) == NotRefundable()


@pytest.mark.parametrize("amount_minor", [99, None], ids=["partial", "the rest"])
async def test_c18_200_refunds_at_once_never_exceed_what_was_paid(
    make_application: MakeApplication, amount_minor: int | None
) -> None:
    async with make_application() as one, make_application() as other:
        order = await paid(one)
        outcomes = await asyncio.gather(*(refund(app, order, amount_minor) for app in [one, other] * 100))
        granted = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        order = await stored_order(one, order.id)
        assert len(granted) == len(order.refunds) == (101 if amount_minor else 1)
        assert sum(asked.amount_minor for asked in order.refunds) == order.amount_minor
        assert {outcome for outcome in outcomes if not isinstance(outcome, Answer)} == {ExceedsPaid(0, "USD", 2)}
        assert len(await calls_of(one, kind="refund")) == len(granted)


async def test_c2_manual_and_automatic_refunds_of_a_charge_share_its_amount(make_application: MakeApplication) -> None:
    """While a merchant refunds one charge, an earlier one turns out to have succeeded: so much must go back."""
    async with make_application() as one, make_application() as other:
        order = await paid(one)
        [first] = order.charges
        earlier = charge_of(order, settled_at=first.at - timedelta(seconds=1))
        await asyncio.gather(
            *(refund(one, order, 100) for _ in range(60)),
            other.record_events(received(event_bytes(earlier))),
        )
        order = await stored_order(one, order.id)
        by_cause, by_charge = Counter[str](), Counter[str]()
        for asked in order.refunds:
            by_cause[asked.cause] += asked.amount_minor
            by_charge[asked.charge_id] += asked.amount_minor
        assert by_cause == {"merchant": 60 * 100, "duplicateCharge": order.amount_minor}
        assert by_charge.keys() <= {first.id, earlier.id}
        assert max(by_charge.values()) <= order.amount_minor
        assert (sums(order).owed, sums(order).left, sums(order).keep) == (0, 3999, 3999)
        assert sum(asked.cause == "duplicateCharge" for asked in order.refunds) in {1, 2}


async def test_c18_partial_refunds_whose_replies_are_lost_until_they_are_dead_stay_reserved(
    application: Application, provider: HttpDouble
) -> None:
    """Nobody knows whether they were made, so they cannot be asked for again; a definite refusal frees the amount."""
    order = await paid(application)
    provider.answer = always(500)
    for amount_minor in (4000, 5000):
        await refund(application, order, amount_minor)
    await make_due(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now() - timedelta(hours=1))
    await application.dispatch_outbox.work.run_once()
    assert len(await calls_of(application, kind="refund", state="dead")) == 2
    assert await refund(application, order, 4000) == ExceedsPaid(999, "USD", 2)
    assert isinstance(await refund(application, order, 999), Answer)


async def test_c18_a_refund_that_is_refused_for_good_can_be_asked_for_again(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    provider.answer = always(422, '{"type": "/problems/invalid-fields"}')
    await refund(application, order)
    await application.dispatch_outbox.work.run_once()
    order = await stored_order(application, order.id)
    assert [asked.state for asked in order.refunds] == ["refused"]
    assert isinstance(await refund(application, order), Answer)


async def test_a_refund_number_is_taken_for_ever_even_when_its_key_has_expired(application: Application) -> None:
    order = await paid(application)
    first = await refund(application, order, 100, key="key", number="R-1")
    assert isinstance(first, Answer)
    assert msgspec.json.decode(first.body)["number"] == "R-1"
    again = await refund(application, order, 100, key="key", number="R-1")
    assert again == msgspec.structs.replace(first, replayed=True)
    assert await refund(application, order, 100, number="R-1") == RefundNumberTaken("R-1")
    await expire(application, "key")
    assert await refund(application, order, 100, key="key", number="R-1") == RefundNumberTaken("R-1")
    assert len((await stored_order(application, order.id)).refunds) == 1
    assert isinstance(await refund(application, order, 100, key="key", number="R-2"), Answer)


async def test_a_refund_number_stays_taken_whatever_became_of_its_refund(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    provider.answer = always(422, '{"type": "/problems/invalid-fields"}')
    await refund(application, order, number="R-1")
    await application.dispatch_outbox.work.run_once()
    assert await refund(application, order, number="R-1") == RefundNumberTaken("R-1")


async def test_a_refund_number_is_one_orders_own(application: Application) -> None:
    orders = [await paid(application) for _ in range(2)]
    for order in orders:
        assert isinstance(await refund(application, order, 100, number="R-1"), Answer)


async def test_of_many_refunds_with_one_number_at_once_one_is_made(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        order = await paid(one)
        outcomes = await asyncio.gather(*(refund(app, order, 1, number="R-1") for app in [one, other] * 20))
        assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 1
        assert outcomes.count(RefundNumberTaken("R-1")) == 39
        assert len((await stored_order(one, order.id)).refunds) == 1


async def test_a_refund_number_is_part_of_what_a_key_stands_for(application: Application) -> None:
    order = await paid(application)
    await refund(application, order, 100, key="key", number="R-1")
    assert await refund(application, order, 100, key="key", number="R-2") == KeyReused()
    assert await refund(application, order, 100, key="key") == KeyReused()


async def test_a_merchant_gives_back_what_may_be_kept_and_never_of_a_charge_that_goes_back_by_itself(
    application: Application,
) -> None:
    order = await paid(application)
    [first] = order.charges
    second = charge_of(order, settled_at=first.at + timedelta(seconds=1))
    await application.record_events(received(event_bytes(second)))
    order = await stored_order(application, order.id)
    await refund(application, order, 3000)
    await refund(application, order)
    order = await stored_order(application, order.id)
    taken = sorted((one.charge_id, one.amount_minor, one.cause) for one in order.refunds)
    assert taken == sorted(
        [
            (second.id, 9999, "duplicateCharge"),
            (first.id, 3000, "merchant"),
            (first.id, 6999, "merchant"),
        ]
    )
    assert await refund(application, order) == ExceedsPaid(0, "USD", 2)


async def test_a_refund_that_succeeds_shows_in_the_status(application: Application, provider: HttpDouble) -> None:
    order = await paid(application)
    provider.answer = accept_everything
    for amount_minor, status in ((4000, "PartiallyRefunded"), (None, "Refunded")):
        await refund(application, order, amount_minor)
        await application.dispatch_outbox.work.run_once()
        order = await stored_order(application, order.id)
        await application.record_events(received(event_bytes(refund_of(order), "refund.succeeded")))
        order = await stored_order(application, order.id)
        assert order.status == status
    assert {call["state"] for call in await calls_of(application)} == {"done"}
