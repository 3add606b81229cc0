"""C13 to C15, C17: a failed order is paid again under the same number, and charged once whatever the first attempt does."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from aiohttp import web

from order_api.app import Application
from order_api.money import sums
from order_api.order import Order
from order_api.pay_order import ATTEMPTS_MAX
from order_api.redrive_message import NotRedrivable
from order_api.views import order_view
from shared.times import utc_now
from tests.http_double import Answer, Asked, HttpDouble, always
from tests.integration.conftest import FailCommand
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_charges,
    as_json,
    calls_of,
    charge_of,
    client_of,
    declined,
    event_bytes,
    expire,
    make_due,
    paid,
    pay_again,
    place,
    received,
    refund,
    refund_of,
    stored_order,
)
from tests.scraping import value

MASTERCARD = {"paymentMethod": "pm_card_mastercard"}
REFUSING = always(422, '{"type": "/problems/invalid-fields"}')


async def post(client: httpx.AsyncClient, order: Order, body: Any = MASTERCARD, *, key: str = "key") -> httpx.Response:
    return await client.post(f"/api/orders/{order.id}/payments", json=body, headers={"Idempotency-Key": key})


async def dispatch(application: Application) -> None:
    await make_due(application)
    await application.dispatch_outbox.work.run_once()


async def refused(application: Application, provider: HttpDouble) -> Order:
    """An order whose charge the provider has refused for good."""
    order = await place(application)
    answer, provider.answer = provider.answer, REFUSING
    await dispatch(application)
    provider.answer = answer
    return await stored_order(application, order.id)


def payments(order: Order) -> list[tuple[str, str, str | None]]:
    return [(one.payment_method, one.state, one.failure_code) for one in order_view(order).payments]


async def test_a_failed_order_is_paid_again_with_a_reference_and_a_key_of_its_own(
    application: Application, provider: HttpDouble
) -> None:
    order = await declined(application)
    pending = value("order_api_orders_total", status="Pending")
    async with client_of(application) as client:
        answer = await post(client, order)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/orders/{order.id}"
    shown = answer.json()
    assert (shown["id"], shown["status"], shown["paymentMethod"]) == (order.id, "Pending", "pm_card_visa")
    assert [(one["paymentMethod"], one["state"], one["failureCode"]) for one in shown["payments"]] == [
        ("pm_card_visa", "failed", "card_declined"),
        ("pm_card_mastercard", "pending", None),
    ]
    assert value("order_api_orders_total", status="Pending") == pending + 1
    await dispatch(application)
    first, second = provider.posts()
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]
    assert msgspec.json.decode(second.body) == {
        "amount": 9999,
        "currency": "USD",
        "reference": f"{order.id}.2",
        **MASTERCARD,
    }
    order = await stored_order(application, order.id)
    await application.record_events(
        received(event_bytes(charge_of(order, id=order.charges[1].id, reference=f"{order.id}.2")))
    )
    order = await stored_order(application, order.id)
    assert (order.status, order.refunds, order.reviews) == ("Paid", (), ())
    assert [change.status for change in order.history] == ["Pending", "Failed", "Pending", "Paid"]


async def test_the_same_key_pays_once_and_is_answered_the_same_whatever_became_of_the_order(
    application: Application,
) -> None:
    order = await declined(application)
    async with client_of(application) as client:
        first = await post(client, order)
        await application.record_events(received(event_bytes(charge_of(order, reference=f"{order.id}.2"))))
        again = await post(client, order)
        assert (again.status_code, again.content) == (202, first.content)
        assert again.headers["location"] == first.headers["location"]
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        other = await post(client, order, {"paymentMethod": "pm_card_amex"})
        assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
        placed = await post(client, order, key=order.keys[0].value)
        assert (placed.status_code, placed.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len((await stored_order(application, order.id)).calls) == 2


async def test_c5_a_payment_under_the_key_of_another_order_is_told_as_the_key_used_twice(
    application: Application,
) -> None:
    order, unpaid = await declined(application), await place(application)
    other = await paid(application)
    await refund(application, other, 1, key="a-key")
    async with client_of(application) as client:
        for one in (order, unpaid):
            answer = await post(client, one, key="a-key")
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len((await stored_order(application, order.id)).calls) == 1


@pytest.mark.parametrize("body", [{}, {"paymentMethod": ""}, {"paymentMethod": None}, {"amount": 1}, []])
async def test_a_payment_needs_a_method_and_a_key_and_nothing_else(application: Application, body: Any) -> None:
    order = await declined(application)
    async with client_of(application) as client:
        answer = await post(client, order, body)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-fields")
        answer = await client.post(f"/api/orders/{order.id}/payments", json=MASTERCARD)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/idempotency-key-missing")
    assert (await stored_order(application, order.id)).status == "Failed"


async def test_only_a_failed_order_of_ones_own_is_payable(application: Application) -> None:
    pending, done, gone = await place(application), await paid(application), await declined(application)
    await application.cancel_order("default", gone.id)
    async with client_of(application) as client:
        for order, status in ((pending, "Pending"), (done, "Paid"), (gone, "Cancelled")):
            answer = await post(client, order)
            problem = answer.json()
            assert (answer.status_code, problem["type"]) == (409, "/problems/not-payable"), status
            assert problem["detail"] == f"the order is {status}"
            assert len((await stored_order(application, order.id)).calls) == 1
        answer = await client.post("/api/orders/ord_none/payments", json=MASTERCARD, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_what_is_refused_leaves_its_key_free(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    async with client_of(application) as client:
        assert (await post(client, order)).status_code == 409
        provider.answer = REFUSING
        await dispatch(application)
        assert (await post(client, order)).status_code == 202


async def test_an_order_takes_so_many_payments_and_no_more(application: Application, provider: HttpDouble) -> None:
    order = await refused(application, provider)
    provider.answer = REFUSING
    async with client_of(application) as client:
        for number in range(2, ATTEMPTS_MAX + 1):
            assert (await post(client, order, key=f"key-{number}")).status_code == 202
            await dispatch(application)
        answer = await post(client, order)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-payable")
        assert str(ATTEMPTS_MAX) in answer.json()["detail"]
    order = await stored_order(application, order.id)
    references = [order.id, *(f"{order.id}.{number}" for number in range(2, ATTEMPTS_MAX + 1))]
    assert [call.reference for call in order.calls] == references
    assert [msgspec.json.decode(asked.body)["reference"] for asked in provider.posts()] == references
    assert len({call.id for call in order.calls}) == ATTEMPTS_MAX
    assert order.status == "Failed"


async def test_c5_one_hundred_identical_posts_to_two_replicas_make_one_attempt(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    async with make_application() as one, make_application() as other:
        order = await declined(one)
        async with client_of(one) as first, client_of(other) as second:
            answers = await asyncio.gather(*(post(client, order) for client in (first, second) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.content for answer in answers}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
        assert len((await stored_order(one, order.id)).calls) == 2
        await dispatch(other)
        assert len(provider.posts()) == 2


async def test_of_many_who_pay_at_once_with_keys_of_their_own_one_does(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        order = await declined(one)
        async with client_of(one) as first, client_of(other) as second:
            answers = await asyncio.gather(
                *(post(client, order, key=f"key-{number}") for number in range(10) for client in (first, second))
            )
        # A key that both replicas get is one request.
        made = {answer.content for answer in answers if answer.status_code == 202}
        assert len(made) == 1
        assert {answer.json()["type"] for answer in answers if answer.status_code != 202} == {"/problems/not-payable"}
        assert len((await stored_order(one, order.id)).calls) == 2


async def test_c4_a_payment_whose_reply_was_lost_is_answered_as_made(
    application: Application, fail_command: FailCommand
) -> None:
    order = await declined(application)
    unconfirmed = {"code": 64, "errmsg": "waiting for replication timed out"}
    await fail_command("order_api", ["update"], times=1, writeConcernError=unconfirmed)
    async with client_of(application) as client:
        answer = await post(client, order)
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (202, False)
    assert len((await stored_order(application, order.id)).calls) == 2


async def test_c10_an_expired_key_pays_once_more_and_only_what_has_failed(application: Application) -> None:
    order = await declined(application)
    async with client_of(application) as client:
        await post(client, order)
        await expire(application, "key")
        assert (await post(client, order)).json()["type"] == "/problems/not-payable"
        failed = charge_of(order, reference=f"{order.id}.2", status="failed", failure_code="expired_card")
        await application.record_events(received(event_bytes(failed, "payment.failed")))
        answer = await post(client, order)
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (202, False)
    order = await stored_order(application, order.id)
    assert [one.reference for one in order.calls] == [order.id, f"{order.id}.2", f"{order.id}.3"]
    assert [key.value for key in order.keys].count("key") == 1


async def test_c15_what_was_refused_for_good_is_no_dead_letter_and_is_paid_again(
    application: Application, provider: HttpDouble
) -> None:
    order = await refused(application, provider)
    assert (order.status, payments(order)) == ("Failed", [("pm_card_visa", "failed", "invalid-fields")])
    assert await calls_of(application, state="dead") == []
    assert isinstance(await application.redrive_message("default", order.calls[0].id), NotRedrivable)
    order = await pay_again(application, order)
    await dispatch(application)
    await application.record_events(received(event_bytes(charge_of(order, reference=f"{order.id}.2"))))
    order = await stored_order(application, order.id)
    assert (order.status, order.reviews) == ("Paid", ())
    assert payments(order)[1] == ("pm_card_mastercard", "succeeded", None)


async def test_c15_a_second_attempt_of_unknown_outcome_leaves_the_order_pending(
    application: Application, provider: HttpDouble
) -> None:
    order = await pay_again(application, await declined(application))
    provider.answer = always(500)
    await make_due(application, attempts=23, first_attempt_at=utc_now())
    await application.dispatch_outbox.work.run_once()
    order = await stored_order(application, order.id)
    assert (order.status, order.calls[1].state) == ("Pending", "dead")
    assert [one[1] for one in payments(order)] == ["failed", "pending"]
    async with client_of(application) as client:
        assert (await post(client, order)).json()["type"] == "/problems/not-payable"


async def test_c14_the_first_charges_event_once_more_leaves_the_second_attempts_call_alone(
    application: Application, provider: HttpDouble
) -> None:
    order = await declined(application)
    [failed] = order.charges
    order = await pay_again(application, order)
    [claimed] = await application.dispatch_outbox._claim(1)
    for _ in range(2):  # under ids of their own
        told = charge_of(order, id=failed.id, status="failed", failure_code="card_declined")
        assert await application.record_events(received(event_bytes(told, "payment.failed"))) == "applied"
    order = await stored_order(application, order.id)
    assert (order.status, order.calls[1].state, order.calls[1].claim) == ("Pending", "open", claimed.call["claim"])
    await application.dispatch_outbox._attempt(claimed)
    order = await stored_order(application, order.id)
    assert order.calls[1].state == "done"
    assert [charge.reference for charge in order.charges] == [order.id, f"{order.id}.2"]


async def test_c17_a_late_success_of_the_first_attempt_voids_a_second_that_was_not_sent(
    application: Application, provider: HttpDouble
) -> None:
    order = await declined(application)
    [failed] = order.charges
    await pay_again(application, order)
    await application.record_events(received(event_bytes(charge_of(order, id=failed.id))))
    order = await stored_order(application, order.id)
    assert (order.status, order.calls[1].state) == ("Paid", "void")
    assert [one[:2] for one in payments(order)] == [("pm_card_visa", "succeeded"), ("pm_card_mastercard", "void")]
    await dispatch(application)
    assert len(provider.posts()) == 1, "one charge"


async def test_c17_a_second_attempt_in_hand_is_not_sent_once_the_first_has_succeeded(
    application: Application, provider: HttpDouble
) -> None:
    order = await declined(application)
    [failed] = order.charges
    order = await pay_again(application, order)
    provider.answer = always(503)
    await dispatch(application)
    await application.record_events(received(event_bytes(charge_of(order, id=failed.id))))
    assert (await stored_order(application, order.id)).calls[1].state == "open", "it may have been sent"
    provider.answer = accept_charges
    provider.asked.clear()
    await dispatch(application)
    assert [(asked.method, asked.query["reference"]) for asked in provider.asked] == [("GET", f"{order.id}.2")]
    order = await stored_order(application, order.id)
    assert (order.status, order.calls[1].state, order.asks_left) == ("Paid", "void", 3)


@pytest.mark.parametrize("late", [True, False], ids=["it succeeds later", "it is heard of later"])
async def test_c2_when_both_attempts_succeed_one_is_kept_and_the_other_given_back(
    application: Application, late: bool
) -> None:
    order = await declined(application)
    [failed] = order.charges
    order = await pay_again(application, order)
    await dispatch(application)
    accepted = (await stored_order(application, order.id)).charges[1]
    second = charge_of(order, id=accepted.id, reference=f"{order.id}.2")
    await application.record_events(received(event_bytes(second)))
    moved = timedelta(seconds=1 if late else -1)
    assert second.settled_at
    first = charge_of(order, id=failed.id, settled_at=second.settled_at + moved)
    await application.record_events(received(event_bytes(first)))
    order = await stored_order(application, order.id)
    kept, other = (second, first) if late else (first, second)
    assert order.status == "Paid"
    assert [(refund.charge_id, refund.amount_minor, refund.cause) for refund in order.refunds] == [
        (other.id, 9999, "duplicateCharge")
    ]
    assert (sums(order).captured, sums(order).owed, sums(order).refundable) == (2 * 9999, 0, 9999)
    given_back = refund_of(order, charge_reference=order.id)
    await application.record_events(received(event_bytes(given_back, "refund.succeeded")))
    order = await stored_order(application, order.id)
    assert (order.status, order.reviews, sums(order).given_back) == ("Paid", (), 0)
    assert {charge.id for charge in order.charges if charge.state == "succeeded"} == {kept.id, other.id}


async def test_c13_a_late_second_attempt_asks_by_its_own_reference_and_adopts_its_own_charge(
    application: Application, provider: HttpDouble
) -> None:
    """The first attempt's charge is no answer to what became of the second."""
    order = await declined(application)
    [failed] = order.charges
    order = await pay_again(application, order)
    provider.answer = having(charge_of(order, id=failed.id, status="failed"))
    await make_due(application, created_at=utc_now() - timedelta(hours=23, minutes=1))
    provider.asked.clear()
    await application.dispatch_outbox.work.run_once()
    looked, posted = provider.asked
    assert (looked.path, looked.query["reference"]) == ("/v1/charges", f"{order.id}.2")
    assert msgspec.json.decode(posted.body)["reference"] == f"{order.id}.2"
    assert len((await stored_order(application, order.id)).charges) == 2


def having(*charges: Any) -> Answer:
    """A provider that answers every list with these charges whose reference is asked for, and takes another."""

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.method == "GET":
            data = [as_json(charge) for charge in charges if charge.reference == asked.query["reference"]]
            return web.json_response({"data": data, "nextCursor": None})
        return await accept_charges(asked)

    return answer


async def test_c17_a_payment_and_a_cancellation_at_once_end_in_one_of_two_ways(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    """Either way the order is cancelled in the end, and nothing more is charged for it."""
    async with make_application() as one, make_application() as other:
        orders = [await declined(one) for _ in range(10)]
        posted = len(provider.posts())
        async with client_of(one) as client:
            answers = await asyncio.gather(
                asyncio.gather(*(post(client, order, key=order.id) for order in orders)),
                asyncio.gather(*(other.cancel_order("default", order.id) for order in orders)),
            )
        assert {answer.status_code for answer in answers[0]} <= {202, 409}
        await dispatch(other)
        assert len(provider.posts()) == posted
        for order in orders:
            after = await stored_order(one, order.id)
            assert after.status == "Cancelled"
            assert {call.state for call in after.calls[1:]} <= {"void"}


async def test_one_key_for_payments_of_two_orders_at_once_makes_one(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        orders = [await declined(one) for _ in range(2)]
        async with client_of(one) as first, client_of(other) as second:
            answers = await asyncio.gather(
                *(post(client, order) for client in (first, second) for order in orders for _ in range(4))
            )
        assert sorted(answer.status_code for answer in answers) == [202] * 8 + [422] * 8
        made = [len((await stored_order(one, order.id)).calls) for order in orders]
        assert sorted(made) == [1, 2]
