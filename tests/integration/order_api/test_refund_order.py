"""C2, C18: what is given back is reserved on the order first, and never more than was paid."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from order_api.app import Application
from order_api.order import Order, kept_charge, unreserved_minor
from order_api.outbox import ATTEMPTS_MAX
from order_api.refund import ExceedsPaid, NotRefundable
from order_api.refund_order import NewRefund, Outcome
from shared.idempotency import Answer, KeyReused
from shared.ids import new_id
from shared.times import utc_now
from tests.http_double import HttpDouble, always
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_everything,
    charge_of,
    event_bytes,
    place,
    received,
    refund_of,
    stored_order,
)


async def paid(application: Application, **changes: Any) -> Order:
    order = await place(application, **changes)
    await application.record_events(received(event_bytes(charge_of(order))))
    return await stored_order(application, order.id)


async def refund(application: Application, order: Order, amount_minor: int | None = None, key: str = "") -> Outcome:
    return await application.refund_order(key or uuid4().hex, order, NewRefund(amount_minor))


async def test_key_reservation_and_message_appear_together(application: Application) -> None:
    order = await paid(application)
    answer = await refund(application, order, 1000, key="key")
    assert isinstance(answer, Answer)
    order = await stored_order(application, order.id)
    [asked] = order.refunds
    assert (asked.amount_minor, asked.state, asked.cause) == (1000, "requested", "merchant")
    assert order.status == "Paid"
    [message] = await application.store.outbox.find({"kind": "refund"}).to_list()
    assert (message["refund_id"], message["path"]) == (asked.id, f"/v1/charges/{asked.charge_id}/refunds")
    [key] = await application.store.idempotency_keys.find({"_id": "default:key"}).to_list()
    assert (key["resource_id"], key["status"]) == (asked.id, 202)
    shown = msgspec.json.decode(answer.body)
    assert (answer.status, shown["id"], shown["amount"], shown["state"]) == (202, asked.id, 10.0, "requested")
    assert answer.location == f"/api/orders/{order.id}/refunds/{asked.id}"


async def test_c5_a_refund_that_was_committed_since_its_key_was_looked_up_is_replayed_and_not_refused(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await paid(application)
    first = await refund(application, order, key="key")

    async def find_nothing(asked: Sequence[Any]) -> list[None]:
        return [None] * len(asked)

    monkeypatch.setattr(application.refund_order.commits, "_look_up", find_nothing)
    again = await refund(application, order, key="key")
    assert isinstance(first, Answer)
    assert again == msgspec.structs.replace(first, replayed=True)


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
    await refund(application, order)  # read before the first refund: it is judged anew
    order = await stored_order(application, order.id)
    assert sorted(one.amount_minor for one in order.refunds) == [4000, 5999]
    assert await refund(application, order) == ExceedsPaid(0)


async def test_c18_more_than_is_left_is_refused_and_leaves_its_key_free(application: Application) -> None:
    order = await paid(application)
    await refund(application, order, 9000)
    assert await refund(application, order, 1000, key="key") == ExceedsPaid(999)
    assert await refund(application, order, 10_000) == ExceedsPaid(999)
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
        assert {outcome for outcome in outcomes if not isinstance(outcome, Answer)} == {ExceedsPaid(0)}
        assert await one.store.outbox.count_documents({"kind": "refund"}) == len(granted)


async def test_c2_manual_and_automatic_refunds_of_a_charge_share_its_amount(make_application: MakeApplication) -> None:
    """While a merchant refunds the kept charge, an earlier one turns out to have succeeded: the other is owed back."""
    async with make_application() as one, make_application() as other:
        earlier = new_id("ch")
        order = await paid(one)
        kept = kept_charge(order)
        assert kept is not None
        await asyncio.gather(
            *(refund(one, order, 100) for _ in range(60)),
            other.record_events(received(event_bytes(charge_of(order, id=earlier)))),
        )
        order = await stored_order(one, order.id)
        assert earlier < kept.id
        assert unreserved_minor(order, kept) == 0
        by_charge = {kept.id: 0, earlier: 0}
        for asked in order.refunds:
            by_charge[asked.charge_id] += asked.amount_minor
        assert by_charge[kept.id] == order.amount_minor
        assert by_charge[earlier] <= order.amount_minor
        assert len(order.refunds) == 61
        assert sum(asked.cause == "duplicateCharge" for asked in order.refunds) == 1


async def test_c18_partial_refunds_whose_replies_are_lost_until_they_are_dead_stay_reserved(
    application: Application, provider: HttpDouble
) -> None:
    """Nobody knows whether they were made, so they cannot be asked for again; a definite refusal frees the amount."""
    order = await paid(application)
    provider.answer = always(500)
    for amount_minor in (4000, 5000):
        await refund(application, order, amount_minor)
    await application.store.outbox.update_many(
        {"kind": "refund"},
        {"$set": {"attempts": ATTEMPTS_MAX - 1, "first_attempt_at": utc_now() - timedelta(hours=1)}},
    )
    await application.dispatch_outbox.work.run_once()
    assert await application.store.outbox.count_documents({"kind": "refund", "state": "dead"}) == 2
    assert await refund(application, order, 4000) == ExceedsPaid(999)
    assert isinstance(await refund(application, order, 999), Answer)


async def test_c18_a_refund_that_is_refused_for_good_can_be_asked_for_again(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    provider.answer = always(409, '{"type": "/problems/exceeds-paid"}')
    await refund(application, order)
    await application.dispatch_outbox.work.run_once()
    order = await stored_order(application, order.id)
    assert [asked.state for asked in order.refunds] == ["failed"]
    assert isinstance(await refund(application, order), Answer)


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
    assert await application.store.outbox.count_documents({"state": {"$ne": "done"}}) == 0
